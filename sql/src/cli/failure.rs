//! How a command fails: what is written, and with which code it ends.

use std::error::Error as StdError;

use super::{CONFIGURATION, FAILURE, USAGE};
use crate::project::{Problem, Problems};

/// Why a command ends without success.
pub(crate) struct Failure {
    code: u8,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// The work failed.
    pub(crate) fn failed(message: impl Into<String>, source: impl StdError) -> Self {
        Self {
            code: FAILURE,
            message: format!("{}: {}", message.into(), chain(&source)),
            hint: None,
        }
    }

    /// The command line asks for something that is not there.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into(), hint: Some(hint.into()) }
    }

    /// A file of the configuration or the project is wrong.
    pub(crate) fn configuration(message: impl Into<String>, hint: Option<String>) -> Self {
        Self { code: CONFIGURATION, message: message.into(), hint }
    }

    /// A statement is wrong.
    pub(crate) fn statement(message: String, hint: Option<String>) -> Self {
        Self { code: FAILURE, message, hint }
    }

    /// Writes what is known to stderr and returns the exit code.
    pub(crate) fn report(&self) -> u8 {
        eprintln!("onefold: {}", self.message);
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
        self.code
    }
}

/// Writes an error with everything that caused it.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // A transparent variant says what its source says.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        let mut message = chain(&error);
        if let engine::Error::Refresh { failed } = &error {
            for (object, error) in failed {
                let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                message.push_str(&format!("\n  {object}: {}{hint}", chain(error)));
            }
        }
        Self { code: FAILURE, message, hint: error.hint() }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::configuration(problem.to_string(), None)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::configuration(problems.to_string(), None)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::failed("input or output failed", error)
    }
}
