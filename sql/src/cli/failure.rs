//! How a command fails: what is written, and with which code it ends.

use std::error::Error as StdError;

use super::output::tell;
use super::{CONFIGURATION, FAILURE, USAGE};
use crate::project::{Problem, Problems};
use crate::wire::{Phase, Place, WireError, from_engine};

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

    /// What the command works on is not there.
    pub(crate) fn missing(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: FAILURE, message: message.into(), hint: Some(hint.into()) }
    }

    /// A file of the configuration or the project is wrong.
    pub(crate) fn configuration(message: impl Into<String>, hint: Option<String>) -> Self {
        Self { code: CONFIGURATION, message: message.into(), hint }
    }

    /// Returns a function that turns what the engine says of a statement into what a client of the server would read.
    pub(crate) fn of_statement(
        phase: Phase,
        place: Place<'_>,
    ) -> impl Fn(engine::Error) -> Failure + '_ {
        move |error| from_engine(&error, phase, place).into()
    }

    /// Writes what is known to stderr and returns the exit code.
    pub(crate) fn report(&self) -> u8 {
        tell(format_args!("onefold: {}", self.message));
        if let Some(hint) = &self.hint {
            tell(format_args!("hint: {hint}"));
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

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        let place = error.position.map(|at| format!(" (at character {at})")).unwrap_or_default();
        let mut message = format!("{}{place} [{}]", error.message, error.sqlstate);
        for line in error.detail.iter().flat_map(|detail| detail.lines()) {
            message.push_str(&format!("\n  {line}"));
        }
        Self { code: FAILURE, message, hint: error.hint.map(|hint| hint.into_owned()) }
    }
}

impl From<engine::Error> for Failure {
    /// What a query says while it runs may quote rows, so it is told as a client of the server is told it. What a store
    /// or damaged data say names objects and no values, and whoever runs the command has to know it.
    fn from(error: engine::Error) -> Self {
        let mut failure = Self::from(from_engine(&error, Phase::Running, Place::NOWHERE));
        if let engine::Error::Unavailable { .. } | engine::Error::Corrupt { .. } = error {
            failure.message = format!("{} [{}]", chain(&error), error.sqlstate());
        }
        failure
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
