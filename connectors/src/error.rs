//! What can go wrong outside, sorted by who can mend it.

use std::path::PathBuf;

/// The result of a connector.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of a connector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The definition is wrong: the user changes it.
    #[error("{what} of {connector} \"{name}\" is not valid")]
    Invalid {
        /// `source` or `destination`.
        connector: &'static str,
        /// Its name.
        name: String,
        /// Which part.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A file is absent, unreadable or outside the allowed folder.
    #[error("file \"{}\" of {connector} \"{name}\" cannot be used", path.display())]
    File {
        /// `source` or `destination`.
        connector: &'static str,
        /// Its name.
        name: String,
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: String,
        /// What the system said.
        #[source]
        source: Option<std::io::Error>,
    },
    /// A file is damaged: not rows that are wrong, the container.
    #[error("file \"{}\" of source \"{name}\" is damaged", path.display())]
    Damaged {
        /// The source.
        name: String,
        /// The file.
        path: PathBuf,
        /// What the reader said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The process is shutting down: the same request works later.
    #[error("{connector} \"{name}\" was interrupted")]
    Interrupted {
        /// `source` or `destination`.
        connector: &'static str,
        /// Its name.
        name: String,
    },
}

impl Error {
    /// Returns what the reader can do about it.
    pub fn hint(&self) -> String {
        match self {
            Error::Invalid { hint, .. } | Error::File { hint, .. } => hint.clone(),
            Error::Damaged { path, .. } => {
                format!("Replace \"{}\" by a whole copy.", path.display())
            }
            Error::Interrupted { .. } => "Run it again.".to_owned(),
        }
    }
}
