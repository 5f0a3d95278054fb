//! What a row does to a constraint of its table: the error, and the names by which clients tell constraints apart.

use crate::catalog::placed;
use crate::error::Error;

/// Rows are not what those of their table are to be.
#[derive(Debug)]
pub struct Violation {
    /// The SQLSTATE: 23502, 23503, 23505 or 23514.
    pub sqlstate: &'static str,
    /// Which constraint is violated.
    pub message: String,
    /// The values that do it, as far as they are known.
    pub detail: Option<String>,
    /// What to do.
    pub hint: String,
    /// What is violated.
    pub object: Violated,
}

/// A constraint, or a column that is never null, and the table that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violated {
    /// The schema of the table.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The column that is null.
    pub column: Option<String>,
    /// The constraint.
    pub constraint: Option<String>,
}

impl Violated {
    /// Returns a constraint of the table that is kept under `name`.
    pub(crate) fn constraint(name: &str, constraint: &str) -> Self {
        Self { constraint: Some(constraint.to_owned()), ..Self::of(name) }
    }

    /// Returns a column of the table that is kept under `name`.
    pub(crate) fn column(name: &str, column: &str) -> Self {
        Self { column: Some(column.to_owned()), ..Self::of(name) }
    }

    fn of(name: &str) -> Self {
        let (schema, table) = placed(name);
        Self { schema: schema.to_owned(), table: table.to_owned(), column: None, constraint: None }
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Error {
        Error::Violation(Box::new(violation))
    }
}
