//! `onefold serve` on a free port.

use std::path::Path;
use std::process::Command;

use super::process::Process;
use super::{BINARY, WORK};

/// A server that accepts connections, and ends with the test.
pub(crate) struct Server {
    /// Its process.
    pub(crate) process: Process,
    port: u16,
}

impl Server {
    /// Serves the lake in `lake`; the project that its files come from is in `project`.
    pub(crate) fn start(project: &Path, lake: &Path) -> Server {
        Server::from(Server::command(project, lake))
    }

    /// Returns the command that serves, for who wants to add to it.
    pub(crate) fn command(project: &Path, lake: &Path) -> Command {
        let mut command = Command::new(BINARY);
        command
            .arg("serve")
            .arg("--dir")
            .arg(lake)
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(project);
        command
    }

    /// Starts a command that serves, and waits until it is ready.
    pub(crate) fn from(command: Command) -> Server {
        let mut process = Process::spawn(command);
        let line = process.line(WORK).unwrap_or_else(|| {
            let status = process.wait(WORK);
            panic!("the server ended before it was ready: {status}; stderr:\n{}", process.stderr())
        });
        let port = port_of(&line).unwrap_or_else(|| panic!("not a line that says ready: {line}"));
        Server { process, port }
    }

    /// Returns the port of its Postgres front.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

fn port_of(line: &str) -> Option<u16> {
    let mut words = line.split_whitespace();
    if words.next() != Some("ready") {
        return None;
    }
    let address = words.find_map(|word| word.strip_prefix("postgres="))?;
    address.rsplit(':').next()?.parse().ok()
}
