//! What every test stands on: processes of the binary, servers, sessions and lakes to read or to spoil.

mod contents;
mod folder;
mod lake;
mod process;
mod project;
mod server;
mod session;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) use contents::Contents;
pub(crate) use folder::{Folder, copy, files};
pub(crate) use lake::{Built, shared_server, small};
pub(crate) use process::{Finished, Process};
pub(crate) use project::Project;
pub(crate) use server::Server;
pub(crate) use session::{Answer, Failure, Session, connect};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_onefold");
/// How long a command may work on a corpus, in a build without optimisation on a busy machine.
pub(crate) const WORK: Duration = Duration::from_secs(600);
/// How long anything may take that has nothing to work on.
pub(crate) const PROMPT: Duration = Duration::from_secs(60);

/// The root of the source tree.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs the binary to its end.
pub(crate) fn onefold(arguments: &[&str]) -> Finished {
    let mut command = Command::new(BINARY);
    command.args(arguments);
    Process::spawn(command).finish(WORK)
}

/// Runs the binary to its end in `folder`, and fails the test if it fails.
pub(crate) fn onefold_in(folder: &Path, arguments: &[&str]) -> Finished {
    let mut command = Command::new(BINARY);
    command.args(arguments).current_dir(folder);
    Process::spawn(command).finish(WORK).success()
}

/// Runs the statements in a lake that no server is needed for, as `role`; rows come as CSV.
pub(crate) fn sql(lake: &Path, role: &str, statement: &str) -> Finished {
    let lake = lake.to_str().unwrap();
    onefold(&["sql", "--dir", lake, "--role", role, "--format", "csv", "-c", statement])
}

/// As [`sql`], of statements that succeed: returns the rows.
pub(crate) fn sql_csv(lake: &Path, role: &str, statement: &str) -> String {
    sql(lake, role, statement).success().stdout
}

/// The Python of `.venv`, which has what is in `tests/requirements.txt`.
pub(crate) fn python() -> PathBuf {
    let python = root().join(".venv/bin/python");
    assert!(
        python.is_file(),
        "{} is not there: run `make test`, which installs it",
        python.display()
    );
    python
}

/// Runs psql, or says that there is none.
pub(crate) fn psql(server: &Server, role: &str, arguments: &[&str]) -> Option<Finished> {
    let found = std::process::Command::new("psql").arg("--version").output().is_ok();
    if !found {
        println!("psql is not here: passed over");
        return None;
    }
    let mut command = Command::new("psql");
    command
        .args(["--no-psqlrc", "--host", "127.0.0.1", "--port", &server.port().to_string()])
        .args(["--username", role, "--dbname", "onefold"])
        .args(arguments)
        .env("PGPASSWORD", "demo");
    Some(Process::spawn(command).finish(WORK))
}
