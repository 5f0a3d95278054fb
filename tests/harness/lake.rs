//! Lakes that are built once for all tests of a run, and copied by those that write.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::{Folder, Process, Server, copy, onefold_in, root};
use crate::corpus::Corpus;

/// One in so many persons is in the small corpus.
const SMALL_ONE_IN: u32 = 10;

/// A project and the lake that was made of it.
pub(crate) struct Built {
    _folder: Option<Folder>,
    /// The project's folder.
    pub(crate) project: PathBuf,
    /// The lake's folder.
    pub(crate) lake: PathBuf,
}

impl Built {
    /// Copies the definitions of the shop into `folder`, with the files of `corpus`.
    pub(crate) fn project(folder: &Path, corpus: &Corpus) -> PathBuf {
        let (shop, project) = (root().join("examples/shop"), folder.join("project"));
        std::fs::create_dir(&project).unwrap();
        for entry in std::fs::read_dir(&shop).unwrap().map(Result::unwrap) {
            if !["data", "out", "lake"].iter().any(|name| entry.file_name() == *name) {
                copy(&entry.path(), &project.join(entry.file_name()));
            }
        }
        corpus.write(&project.join("data"));
        project
    }

    /// Makes a lake of a corpus.
    pub(crate) fn of(corpus: &Corpus) -> Built {
        let folder = Folder::new();
        let project = Built::project(folder.path(), corpus);
        let built = Built { lake: folder.join("lake"), project, _folder: Some(folder) };
        built.apply();
        built.refresh();
        built
    }

    /// Copies project and lake, for a test that changes them.
    pub(crate) fn copied(&self) -> Built {
        let folder = Folder::new();
        let (project, lake) = (folder.join("project"), folder.join("lake"));
        copy(&self.project, &project);
        copy(&self.lake, &lake);
        let copied = Built { _folder: Some(folder), project, lake };
        copied.apply();
        copied
    }

    /// Returns the lake's folder as a text.
    pub(crate) fn dir(&self) -> &str {
        self.lake.to_str().unwrap()
    }

    /// Runs `onefold apply`.
    pub(crate) fn apply(&self) {
        onefold_in(&self.project, &["apply", ".", "--dir", self.dir()]);
    }

    /// Runs `onefold refresh`.
    pub(crate) fn refresh(&self) {
        onefold_in(&self.project, &["refresh", "--dir", self.dir()]);
    }

    /// Starts `onefold refresh` and does not wait for it.
    pub(crate) fn start_refresh(&self) -> Process {
        let mut command = Command::new(super::BINARY);
        command.args(["refresh", "--dir", self.dir()]).current_dir(&self.project);
        Process::spawn(command)
    }

    /// Serves the lake.
    pub(crate) fn serve(&self) -> Server {
        Server::start(&self.project, &self.lake)
    }

    /// Reads the corpus back from the project.
    pub(crate) fn corpus(&self) -> Corpus {
        Corpus::read(&self.project.join("data"))
    }
}

/// The shop as it stands in `examples/`, refreshed. To be read only: who writes copies it.
fn demo() -> &'static Built {
    static DEMO: OnceLock<Built> = OnceLock::new();
    DEMO.get_or_init(|| {
        sweep();
        let lake =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("demo-{}", std::process::id()));
        let built = Built { _folder: None, project: root().join("examples/shop"), lake };
        built.apply();
        built.refresh();
        built
    })
}

/// A tenth of the people of the shop, with all that is theirs, refreshed. To be read only.
pub(crate) fn small() -> &'static Built {
    static SMALL: OnceLock<Built> = OnceLock::new();
    SMALL.get_or_init(|| {
        sweep();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("small-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let whole = Corpus::read(&root().join("examples/shop/data"));
        let project =
            Built::project(&folder, &whole.of_people(|number| number % SMALL_ONE_IN == 0));
        let built = Built { _folder: None, project, lake: folder.join("lake") };
        built.apply();
        built.refresh();
        built
    })
}

/// Deletes what test runs left that are over: the lakes of a run live as long as its process.
fn sweep() {
    for entry in std::fs::read_dir(env!("CARGO_TARGET_TMPDIR")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let run = name.strip_prefix("demo-").or_else(|| name.strip_prefix("small-"));
        let over = run
            .and_then(|pid| pid.parse::<u32>().ok())
            .is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).is_dir());
        if over {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A server over [`demo`] for tests that only read. It ends with the last test that holds it.
pub(crate) fn shared_server() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let built = demo();
    let server = Arc::new(Server::start(&built.project, &built.lake));
    *shared = Arc::downgrade(&server);
    server
}
