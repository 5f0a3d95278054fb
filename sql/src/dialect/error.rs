//! What is wrong with a statement, and where.

/// The SQLSTATE of a statement that cannot be read.
pub(crate) const SYNTAX_ERROR: &str = "42601";
/// The SQLSTATE of a statement that is too large.
pub(crate) const PROGRAM_LIMIT_EXCEEDED: &str = "54000";
/// A parameter that is not there.
pub(crate) const UNDEFINED_PARAMETER: &str = "42P02";
/// The SQLSTATE of a statement that is too complex.
pub(crate) const STATEMENT_TOO_COMPLEX: &str = "54001";
/// The SQLSTATE of something that is not built.
pub(crate) const FEATURE_NOT_SUPPORTED: &str = "0A000";
/// The SQLSTATE of an option with a value it cannot have.
pub(crate) const INVALID_PARAMETER_VALUE: &str = "22023";
/// The SQLSTATE of a name that cannot be one.
pub(crate) const INVALID_NAME: &str = "42602";
/// The SQLSTATE of a query that lacks a column its definition needs.
pub(crate) const INVALID_COLUMN_DEFINITION: &str = "42611";
/// The SQLSTATE of a column that is named and not there.
pub(crate) const UNDEFINED_COLUMN: &str = "42703";
/// The SQLSTATE of a function or an operator that is not there.
pub(crate) const UNDEFINED_FUNCTION: &str = "42883";
/// The SQLSTATE of an escape in a string that is none.
pub(crate) const INVALID_ESCAPE_SEQUENCE: &str = "22025";
/// The SQLSTATE of a thing that is given twice.
pub(crate) const DUPLICATE_OBJECT: &str = "42710";

/// The SQLSTATE of a thing that is named and not there.
pub(crate) const UNDEFINED_OBJECT: &str = "42704";
/// The SQLSTATE of a thing of another kind than the statement is for.
pub(crate) const WRONG_OBJECT_TYPE: &str = "42809";
/// The SQLSTATE of a thing that cannot go, since others need it.
pub(crate) const DEPENDENT_OBJECTS: &str = "2BP01";

/// A statement that cannot be taken. The message is lower case without a full stop, the hint is a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ParseError {
    /// What is wrong: what was expected and what was found. Never a password.
    pub(crate) message: String,
    /// Where, as Postgres counts it: the character in the whole input, from 1.
    pub(crate) position: usize,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The SQLSTATE.
    pub(crate) sqlstate: &'static str,
}

impl ParseError {
    /// Returns a syntax error at a byte of the input.
    pub(crate) fn at(input: &str, byte: usize, message: impl Into<String>) -> Self {
        let position = position_of(input, byte);
        ParseError { message: message.into(), position, hint: None, sqlstate: SYNTAX_ERROR }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds "Did you mean ...?" if one of the candidates is near the word that was found.
    pub(crate) fn suggest<'a>(
        self,
        found: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        match super::nearest(found, candidates) {
            Some(near) => self.hint(format!("Did you mean {near}?")),
            None => self,
        }
    }

    /// Replaces the SQLSTATE.
    pub(crate) fn sqlstate(mut self, sqlstate: &'static str) -> Self {
        self.sqlstate = sqlstate;
        self
    }
}

/// Returns the character, from 1, that stands at a byte of the input.
pub(crate) fn position_of(input: &str, byte: usize) -> usize {
    let byte = input.floor_char_boundary(byte);
    input[..byte].chars().count() + 1
}
