//! Errors as a Postgres client sees them: severity, SQLSTATE, message, detail, hint and position.
//!
//! Everything that can go wrong becomes a [`WireError`] here and nowhere else. Errors of the engine are sorted by their
//! SQLSTATE. What a running query says is not passed on: Arrow and DataFusion put values of rows into such messages, and a
//! row may be of a person whom the session must not know of. The client gets one fixed text for each SQLSTATE instead.

mod cause;
mod context;
mod engine;
mod hint;
mod place;

pub(crate) use context::{CopyContext, SHOWN_BYTES_MAX, shown};
pub(crate) use engine::{Phase, from_engine};
pub(crate) use hint::usual_hint;
pub(crate) use place::Place;

use std::borrow::Cow;

use ::engine::Violated;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
}

impl Severity {
    /// Returns the word of the protocol.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
        }
    }
}

/// A failure, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct WireError {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// The five characters of its class and kind.
    pub(crate) sqlstate: &'static str,
    /// What happened: lower case, without a full stop.
    pub(crate) message: Cow<'static, str>,
    /// More about it.
    pub(crate) detail: Option<Box<str>>,
    /// What to do: a sentence.
    pub(crate) hint: Option<Cow<'static, str>>,
    /// Where in the statement, in characters from 1.
    pub(crate) position: Option<usize>,
    /// What is known of the rows that it is about; few errors are.
    pub(crate) rows: Option<Box<AboutRows>>,
}

/// What an error says of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AboutRows {
    /// Where in the rows that the client sends.
    context: Option<CopyContext>,
    /// Which constraint or column they violate.
    violated: Option<Violated>,
}

/// SQLSTATE codes that the front itself gives.
pub(crate) mod sqlstate {
    pub(crate) const PROTOCOL_VIOLATION: &str = "08P01";
    pub(crate) const FEATURE_NOT_SUPPORTED: &str = "0A000";
    pub(crate) const NUMERIC_OUT_OF_RANGE: &str = "22003";
    pub(crate) const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";
    pub(crate) const INVALID_PARAMETER_VALUE: &str = "22023";
    pub(crate) const INVALID_TEXT_REPRESENTATION: &str = "22P02";
    pub(crate) const INVALID_BINARY_REPRESENTATION: &str = "22P03";
    pub(crate) const ACTIVE_SQL_TRANSACTION: &str = "25001";
    pub(crate) const READ_ONLY_SQL_TRANSACTION: &str = "25006";
    pub(crate) const NO_ACTIVE_SQL_TRANSACTION: &str = "25P01";
    pub(crate) const IN_FAILED_SQL_TRANSACTION: &str = "25P02";
    pub(crate) const IDLE_IN_TRANSACTION_TIMEOUT: &str = "25P03";
    pub(crate) const INVALID_SQL_STATEMENT_NAME: &str = "26000";
    pub(crate) const INVALID_AUTHORIZATION: &str = "28000";
    pub(crate) const INVALID_PASSWORD: &str = "28P01";
    pub(crate) const INVALID_CURSOR_NAME: &str = "34000";
    pub(crate) const INVALID_CATALOG_NAME: &str = "3D000";
    pub(crate) const INVALID_SAVEPOINT: &str = "3B001";
    pub(crate) const INSUFFICIENT_PRIVILEGE: &str = "42501";
    pub(crate) const SYNTAX_ERROR: &str = "42601";
    pub(crate) const UNDEFINED_OBJECT: &str = "42704";
    pub(crate) const DUPLICATE_CURSOR: &str = "42P03";
    pub(crate) const DUPLICATE_PREPARED_STATEMENT: &str = "42P05";
    pub(crate) const INDETERMINATE_DATATYPE: &str = "42P18";
    pub(crate) const TOO_MANY_CONNECTIONS: &str = "53300";
    pub(crate) const LIMIT_EXCEEDED: &str = "54000";
    pub(crate) const OBJECT_NOT_IN_STATE: &str = "55000";
    pub(crate) const CANNOT_CHANGE_PARAMETER: &str = "55P02";
    pub(crate) const QUERY_CANCELED: &str = "57014";
    pub(crate) const ADMIN_SHUTDOWN: &str = "57P01";
    pub(crate) const INTERNAL_ERROR: &str = "XX000";
}

impl WireError {
    /// Makes an error of a statement.
    pub(crate) fn new(sqlstate: &'static str, message: impl Into<Cow<'static, str>>) -> WireError {
        WireError {
            severity: Severity::Error,
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            rows: None,
        }
    }

    /// Makes an error that ends the connection.
    pub(crate) fn fatal(
        sqlstate: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> WireError {
        WireError { severity: Severity::Fatal, ..WireError::new(sqlstate, message) }
    }

    /// Makes the error of a message that breaks the protocol, after which nothing can be understood.
    pub(crate) fn protocol(message: impl Into<Cow<'static, str>>) -> WireError {
        WireError::fatal(sqlstate::PROTOCOL_VIOLATION, message)
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> WireError {
        self.hint = Some(hint.into());
        self
    }

    /// Adds where it is.
    pub(crate) fn at(mut self, position: Option<usize>) -> WireError {
        self.position = position;
        self
    }

    /// Adds where in the rows of a COPY it is.
    pub(crate) fn within(mut self, context: Option<CopyContext>) -> WireError {
        if context.is_some() {
            self.rows.get_or_insert_default().context = context;
        }
        self
    }

    /// Adds what rows violate.
    pub(crate) fn of(mut self, violated: Option<&Violated>) -> WireError {
        if violated.is_some() {
            self.rows.get_or_insert_default().violated = violated.cloned();
        }
        self
    }

    /// Returns where in the rows of a COPY it is.
    pub(crate) fn context(&self) -> Option<&CopyContext> {
        self.rows.as_ref()?.context.as_ref()
    }

    /// Returns what rows violate.
    pub(crate) fn violated(&self) -> Option<&Violated> {
        self.rows.as_ref()?.violated.as_ref()
    }

    /// Turns it into one that ends the connection.
    pub(crate) fn into_fatal(mut self) -> WireError {
        self.severity = Severity::Fatal;
        self
    }
}

impl From<crate::dialect::ParseError> for WireError {
    fn from(error: crate::dialect::ParseError) -> WireError {
        WireError {
            hint: error.hint.map(Cow::Owned),
            position: Some(error.position),
            ..WireError::new(error.sqlstate, error.message)
        }
    }
}
