//! What a session holds under names: prepared statements and cursors, as `pg_prepared_statements` and `pg_cursors` tell of them.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::facts::SessionFacts;

/// A prepared statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedStatement {
    /// Its name.
    pub name: String,
    /// Its text.
    pub statement: Arc<str>,
    /// When it was prepared, in microseconds since 1970.
    pub prepared_at_us: i64,
    /// The types of its parameters, by their numbers in `pg_type`.
    pub parameter_types: Vec<u32>,
    /// Whether `PREPARE` made it, and not the protocol.
    pub from_sql: bool,
}

/// A cursor that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCursor {
    /// Its name.
    pub name: String,
    /// The text that declared it.
    pub statement: Arc<str>,
    /// Whether it is to outlive its transaction.
    pub is_holdable: bool,
    /// Whether its rows are written in binary.
    pub is_binary: bool,
    /// Whether it goes backward, too.
    pub is_scrollable: bool,
    /// When it was declared, in microseconds since 1970.
    pub created_at_us: i64,
}

/// What a session holds. Whoever holds it says so by keeping what it was given for it.
#[derive(Debug, Default)]
pub(super) struct Held {
    prepared: Mutex<Vec<Weak<PreparedStatement>>>,
    cursors: Mutex<Vec<Weak<OpenCursor>>>,
}

impl SessionFacts {
    /// Shows a prepared statement for as long as somebody keeps what this returns.
    pub fn show_prepared(&self, statement: PreparedStatement) -> Arc<PreparedStatement> {
        shown(&self.held.prepared, statement)
    }

    /// Shows a cursor for as long as somebody keeps what this returns.
    pub fn show_cursor(&self, cursor: OpenCursor) -> Arc<OpenCursor> {
        shown(&self.held.cursors, cursor)
    }

    /// Returns the prepared statements, in the order in which they were made.
    pub(super) fn prepared_statements(&self) -> Vec<Arc<PreparedStatement>> {
        self.held.prepared.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Returns the open cursors, in the order in which they were made.
    pub(super) fn open_cursors(&self) -> Vec<Arc<OpenCursor>> {
        self.held.cursors.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

fn shown<T>(all: &Mutex<Vec<Weak<T>>>, one: T) -> Arc<T> {
    let one = Arc::new(one);
    let mut all = all.lock();
    all.retain(|held| held.strong_count() > 0);
    all.push(Arc::downgrade(&one));
    one
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::postgres::snapshot::Snapshot;

    #[test]
    fn what_nobody_keeps_is_shown_no_more() {
        let snapshot = Snapshot::new(vec![], &[], &[]);
        let facts = SessionFacts::new("ada".into(), "onefold".into(), 1, 0, snapshot);
        let prepare = |name: &str| {
            facts.show_prepared(PreparedStatement {
                name: name.to_owned(),
                statement: "SELECT 1".into(),
                prepared_at_us: 0,
                parameter_types: vec![],
                from_sql: true,
            })
        };
        let names = || {
            let statements = facts.prepared_statements();
            statements.iter().map(|statement| statement.name.clone()).collect::<Vec<_>>()
        };
        let (one, _two) = (prepare("one"), prepare("two"));
        assert_eq!(names(), ["one", "two"]);
        drop(one);
        let _three = prepare("three");
        assert_eq!(names(), ["two", "three"]);
        assert!(facts.open_cursors().is_empty());
    }
}
