//! Folders that a test may fill and that go away with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A folder for one test.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// Makes an empty one, beside cargo's own files rather than on a small `/tmp`.
    pub(crate) fn new() -> Folder {
        Folder(
            tempfile::Builder::new()
                .prefix("onefold-")
                .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
                .unwrap(),
        )
    }

    /// Returns the folder.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns a path in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

/// Copies a folder with all that is in it; `to` must not be there.
pub(crate) fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "cp -r {} {}: {status}", from.display(), to.display());
}

/// Returns every file below a folder, relative to it, in order. Files that vanish meanwhile are left out.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(_) => found.push(entry.path().strip_prefix(folder).unwrap().to_owned()),
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}
