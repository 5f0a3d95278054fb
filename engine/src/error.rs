//! One error for the engine, sorted by what the reader can do next.

use datafusion::error::DataFusionError;

use crate::catalog::Kind;
use crate::violation::{Violated, Violation};

/// How many statements the hint of [`Error::InUse`] writes out.
const DROPS_MAX: usize = 3;

/// The result of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the engine. Messages are lower case, without a full stop, and name the kind and the thing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request is wrong: change it. SQLSTATE 22023, or 42601 with a position.
    #[error("{message}")]
    Invalid {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A named thing is absent. SQLSTATE 42P01 for relations, 42883 for functions, 42704 otherwise.
    #[error("{kind} \"{name}\" does not exist")]
    Missing {
        /// Such as `relation` or `segment`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What to do.
        hint: String,
    },
    /// A named thing is there already. SQLSTATE 42710.
    #[error("{kind} \"{name}\" already exists")]
    Exists {
        /// Such as `segment`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Others refer to what is to be dropped. SQLSTATE 2BP01.
    #[error("cannot drop {} \"{name}\": it is used by {}", kind.word(), listed(users))]
    InUse {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// Who refers to it.
        users: Vec<(Kind, String)>,
    },
    /// The role or the purpose does not allow it. SQLSTATE 42501.
    #[error("{message}")]
    Denied {
        /// What was refused, with no value of a person.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Somebody else was faster, or holds the lake. SQLSTATE 55006: try again.
    #[error("{message}")]
    Conflict {
        /// With whom.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A named bound was reached. SQLSTATE 54000, 53200 or 57014.
    #[error("{message}")]
    Limit {
        /// The SQLSTATE: 54000 too complex, 53200 memory, 57014 cancelled or timed out.
        sqlstate: &'static str,
        /// Which bound, and how large it is.
        message: String,
        /// What to do.
        hint: String,
    },
    /// What PostgreSQL has a code of its own for.
    #[error("{message}")]
    Standard {
        /// The SQLSTATE.
        sqlstate: &'static str,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Rows are not what those of their table are to be. SQLSTATE 23502, 23503, 23505 or 23514.
    #[error("{}", .0.message)]
    Violation(Box<Violation>),
    /// What PostgreSQL has a code of its own for, with a detail that tells what stands against a row or a change of a table.
    #[error("{message}")]
    Row {
        /// The SQLSTATE.
        sqlstate: &'static str,
        /// What is wrong.
        message: String,
        /// What stands against it, as far as it is known.
        detail: Option<String>,
        /// What to do.
        hint: String,
    },
    /// Not built. SQLSTATE 0A000.
    #[error("{what} is not supported")]
    Unsupported {
        /// What was asked for.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// The store or a connector did not answer. SQLSTATE 58030: try again.
    #[error("{message}")]
    Unavailable {
        /// What did not answer.
        message: String,
        /// What it said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Stored data is damaged. SQLSTATE XX001.
    #[error("{message}")]
    Corrupt {
        /// What is damaged, and where.
        message: String,
        /// What the reader said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Parts of a refresh failed; everything else was done and published. The SQLSTATE is that of the first.
    #[error("could not refresh {}", objects(failed))]
    Refresh {
        /// The objects, such as `source crm_contacts`, and why each of them failed.
        failed: Vec<(String, Error)>,
    },
    /// What a definition says cannot be done with what there is. The SQLSTATE is that of the cause.
    #[error("{} \"{name}\" cannot work", kind.word())]
    Definition {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// A query failed. The SQLSTATE is that of the root cause, if it is one of these.
    #[error(transparent)]
    Query(#[from] DataFusionError),
    /// A connector failed. SQLSTATE 58030 or 22023.
    #[error(transparent)]
    Connector(#[from] connectors::Error),
}

impl Error {
    /// Returns the SQLSTATE.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Error::Invalid { .. } => "22023",
            Error::Missing { kind: "relation", .. } => "42P01",
            Error::Missing { kind: "function", .. } => "42883",
            Error::Missing { .. } => "42704",
            Error::Exists { .. } => "42710",
            Error::InUse { .. } => "2BP01",
            Error::Denied { .. } => "42501",
            Error::Conflict { .. } => "55006",
            Error::Limit { sqlstate, .. }
            | Error::Standard { sqlstate, .. }
            | Error::Row { sqlstate, .. } => sqlstate,
            Error::Violation(violation) => violation.sqlstate,
            Error::Unsupported { .. } => "0A000",
            Error::Unavailable { .. } => "58030",
            Error::Corrupt { .. } => "XX001",
            Error::Refresh { failed } => {
                failed.first().map_or("XX000", |(_, error)| error.sqlstate())
            }
            Error::Definition { source, .. } => source.sqlstate(),
            Error::Query(_) => match self.root() {
                Error::Query(_) => "XX000",
                root => root.sqlstate(),
            },
            Error::Connector(connectors::Error::Invalid { .. }) => "22023",
            Error::Connector(_) => "58030",
        }
    }

    /// Tells what happened without a value of a person, for logs: a failed query may quote the row that it failed on, so
    /// only its code is told. Other messages name things, never values.
    pub fn without_values(&self) -> String {
        match self.root() {
            Error::Query(_) => format!("{}: the query failed", self.sqlstate()),
            root => format!("{}: {root}", root.sqlstate()),
        }
    }

    /// Returns the error of the engine that a query failed with, or else the error itself.
    fn root(&self) -> &Error {
        let Error::Query(error) = self else { return self };
        match error.find_root() {
            DataFusionError::External(external) => {
                external.downcast_ref::<Error>().map_or(self, Error::root)
            }
            _ => self,
        }
    }

    /// Returns what there is to say beside the message. It may quote values, so that no log has it.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Error::Violation(violation) => violation.detail.as_deref(),
            Error::Row { detail, .. } => detail.as_deref(),
            Error::Definition { source, .. } => source.detail(),
            Error::Invalid { .. }
            | Error::Missing { .. }
            | Error::Exists { .. }
            | Error::InUse { .. }
            | Error::Denied { .. }
            | Error::Conflict { .. }
            | Error::Limit { .. }
            | Error::Standard { .. }
            | Error::Unsupported { .. }
            | Error::Unavailable { .. }
            | Error::Corrupt { .. }
            | Error::Refresh { .. }
            | Error::Query(_)
            | Error::Connector(_) => None,
        }
    }

    /// Returns what rows violate, by which clients tell constraints apart.
    pub fn violated(&self) -> Option<&Violated> {
        match self {
            Error::Violation(violation) => Some(&violation.object),
            _ => None,
        }
    }

    /// Returns what the reader can do about it, if anything is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Invalid { hint, .. }
            | Error::Missing { hint, .. }
            | Error::Denied { hint, .. }
            | Error::Conflict { hint, .. }
            | Error::Limit { hint, .. }
            | Error::Standard { hint, .. }
            | Error::Row { hint, .. }
            | Error::Unsupported { hint, .. } => Some(hint.clone()),
            Error::Violation(violation) => Some(violation.hint.clone()),
            Error::Exists { kind, .. } => Some(format!(
                "CREATE OR REPLACE {} puts this one in its place.",
                kind.to_uppercase()
            )),
            Error::InUse { users, .. } => {
                let drops = users
                    .iter()
                    .take(DROPS_MAX)
                    .map(|(kind, name)| format!("DROP {} {name};", kind.word().to_uppercase()));
                let more = if users.len() > DROPS_MAX { " ..." } else { "" };
                Some(format!(
                    "Replace what uses it, or drop it first: {}{more}",
                    drops.collect::<Vec<_>>().join(" ")
                ))
            }
            Error::Refresh { .. } => Some(
                "Everything else was done. SELECT at, object, status, error FROM cdp.refreshes ORDER BY at DESC says more."
                    .into(),
            ),
            Error::Definition { source, .. } => source.hint(),
            Error::Connector(error) => Some(error.hint()),
            Error::Unavailable { .. } | Error::Corrupt { .. } | Error::Query(_) => None,
        }
    }
}

/// Makes an error of the engine an error of DataFusion, from which the wire takes the SQLSTATE.
pub(crate) fn failure(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Lists objects: `role "analyst", segment "lapsed"`.
pub(crate) fn listed(users: &[(Kind, String)]) -> String {
    let named = users.iter().map(|(kind, name)| format!("{} \"{name}\"", kind.word()));
    named.collect::<Vec<_>>().join(", ")
}

/// Names objects with their kinds: `source "crm_contacts", segment "lapsed"`.
fn objects(failed: &[(String, Error)]) -> String {
    let named = failed.iter().map(|(object, _)| match object.split_once(' ') {
        Some((kind @ ("source" | "segment"), name)) => format!("{kind} \"{name}\""),
        _ => object.clone(),
    });
    named.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_holds_no_value_that_a_query_met() {
        let cast = DataFusionError::Execution("cannot cast 'ada@example.com'".into());
        assert_eq!(Error::Query(cast).without_values(), "XX000: the query failed");
        let denied = Error::Denied { message: "no purpose".into(), hint: "Declare one.".into() };
        let wrapped = DataFusionError::External(Box::new(denied)).context("planning");
        let wrapped = Error::Query(wrapped);
        assert_eq!(
            (wrapped.sqlstate(), wrapped.without_values().as_str()),
            ("42501", "42501: no purpose")
        );
    }
}
