//! A project of a test's own making, with a lake.

use std::path::PathBuf;

use super::{Folder, Server, Session, onefold_in};

/// A project and its lake, both in a folder of their own.
pub(crate) struct Project {
    folder: Folder,
}

impl Project {
    /// Makes a project of these files, and a lake that knows its definitions and has read nothing yet.
    pub(crate) fn of(files: &[(&str, &str)]) -> Project {
        let project = Project { folder: Folder::new() };
        project.write("onefold.toml", "[log]\nlevel = \"info\"\n");
        for (path, text) in files {
            project.write(path, text);
        }
        onefold_in(&project.root(), &["apply", ".", "--dir", project.lake().to_str().unwrap()]);
        project
    }

    /// The folder with the definitions.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("project")
    }

    /// The lake's folder.
    pub(crate) fn lake(&self) -> PathBuf {
        self.folder.join("lake")
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Serves the lake, and returns a session of its engineer.
    pub(crate) async fn serve(&self) -> (Server, Session) {
        let server = Server::start(&self.root(), &self.lake());
        let engineer = server.session("engineer").await;
        (server, engineer)
    }
}
