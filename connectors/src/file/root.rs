//! The folder that no path may leave, and the files below it that patterns name.
//!
//! Paths are compared after symlinks are resolved, so that neither `..` nor a link leads outside.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::error::{Error, Result};

/// A folder and whom to blame when a path leaves it.
#[derive(Debug, Clone)]
pub(super) struct Root {
    /// The folder, with symlinks resolved.
    pub(super) path: PathBuf,
    connector: &'static str,
    name: String,
}

/// A file below a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it is, with symlinks resolved.
    pub(super) path: PathBuf,
    /// Its path relative to the root: its identity in cursors, batches and messages.
    pub(super) name: String,
}

/// Hidden files are not matched (half-written deliveries are hidden), and `*` stays within one folder.
pub(super) const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

impl Root {
    /// Resolves the root folder of a connector.
    pub(super) fn open(connector: &'static str, name: &str, path: &Path) -> Result<Root> {
        let root = Root { path: path.to_owned(), connector, name: name.to_owned() };
        let resolved = path.canonicalize().map_err(|error| root.refused(path, error))?;
        Ok(Root { path: resolved, ..root })
    }

    /// Returns the files that `patterns` name, sorted by name, each once. A pattern that names none is an error unless
    /// `seen` holds a file that it named earlier: a file that vanished is no mistake.
    pub(super) fn find<'a>(
        &self,
        patterns: &[String],
        seen: impl Iterator<Item = &'a String> + Clone,
    ) -> Result<Vec<Found>> {
        if patterns.is_empty() {
            return Err(self.invalid("the list of paths", "Name at least one file or glob."));
        }
        let mut found = BTreeMap::new();
        for text in patterns {
            let (base, pattern) = self.split(text)?;
            let matches = self.expand(&base, text)?;
            if matches.is_empty() && !seen.clone().any(|name| pattern.matches_with(name, MATCHING))
            {
                return Err(self.error(
                    Path::new(text),
                    "No file matches. Paths are relative to the project's folder; `*` does not \
                     match hidden files or folders within folders, `**/` does the latter.",
                    None,
                ));
            }
            for path in matches {
                let file = self.resolve(&path)?;
                found.insert(file.name.clone(), file);
            }
        }
        Ok(found.into_values().collect())
    }

    /// Returns the pattern to expand and the same pattern relative to the root.
    pub(super) fn split(&self, text: &str) -> Result<(String, Pattern)> {
        let root = self.path.to_str().ok_or_else(|| {
            self.invalid("the root folder", "Use a folder whose path is valid UTF-8.")
        })?;
        let below = Path::new(text).strip_prefix(&self.path).ok().and_then(Path::to_str);
        let relative = below.unwrap_or(text);
        let relative = relative.strip_prefix("./").unwrap_or(relative);
        let pattern = Pattern::new(relative).map_err(|error| {
            self.invalid(
                &format!("the glob \"{text}\""),
                &format!("The pattern is wrong: {}.", error.msg),
            )
        })?;
        let base = match relative.starts_with('/') {
            true => relative.to_owned(),
            false => format!("{}/{relative}", Pattern::escape(root)),
        };
        Ok((base, pattern))
    }

    fn expand(&self, base: &str, text: &str) -> Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        let walk = glob::glob_with(base, MATCHING).map_err(|error| {
            self.invalid(
                &format!("the glob \"{text}\""),
                &format!("The pattern is wrong: {}.", error.msg),
            )
        })?;
        for entry in walk {
            let path = entry.map_err(|error| {
                let path = error.path().to_owned();
                self.refused(&path, error.into())
            })?;
            if !path.is_dir() {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    /// Resolves symlinks and refuses what lies outside or is no regular file.
    fn resolve(&self, path: &Path) -> Result<Found> {
        let resolved = path.canonicalize().map_err(|error| self.refused(path, error))?;
        let relative = self.inside(&resolved)?;
        let name = relative.to_str().ok_or_else(|| {
            self.error(&resolved, "Rename it so that its name is valid UTF-8.", None)
        })?;
        let metadata = resolved.metadata().map_err(|error| self.refused(&resolved, error))?;
        if !metadata.is_file() {
            return Err(self.error(&resolved, "Only regular files can be read.", None));
        }
        Ok(Found { name: name.to_owned(), path: resolved.clone() })
    }

    /// Returns a resolved path relative to the root, or refuses it.
    pub(super) fn inside<'p>(&self, resolved: &'p Path) -> Result<&'p Path> {
        resolved.strip_prefix(&self.path).map_err(|_| {
            self.error(
                resolved,
                "It lies outside the allowed folder. Move it in there, or name a path that \
                 leads there without `..` and links.",
                None,
            )
        })
    }

    /// Returns the error for what the system refused.
    pub(super) fn refused(&self, path: &Path, error: io::Error) -> Error {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "Create it, or correct the path.",
            io::ErrorKind::PermissionDenied => "Give the user that runs onefold access to it.",
            io::ErrorKind::StorageFull => "Make room on the disk.",
            _ => "See what the system said.",
        };
        self.error(path, hint, Some(error))
    }

    /// Returns an error about a part of the definition.
    pub(super) fn invalid(&self, what: &str, hint: &str) -> Error {
        Error::Invalid {
            connector: self.connector,
            name: self.name.clone(),
            what: what.to_owned(),
            hint: hint.to_owned(),
        }
    }

    /// Returns an error about a file.
    pub(super) fn error(&self, path: &Path, hint: &str, source: Option<io::Error>) -> Error {
        Error::File {
            connector: self.connector,
            name: self.name.clone(),
            path: path.to_owned(),
            hint: hint.to_owned(),
            source,
        }
    }
}
