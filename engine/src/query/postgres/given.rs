//! The numbers that rows of this session were given: what `currval` and `lastval` tell. Each numbered column has a sequence
//! of its own, as in PostgreSQL; it is named by table and column.

use std::collections::HashMap;

use parking_lot::Mutex;

/// Returns the name of the sequence of a numbered column.
pub(crate) fn sequence_of(table: &str, column: &str) -> String {
    format!("{table}_{column}_seq")
}

/// The numbers that were given last.
#[derive(Debug, Default)]
pub(super) struct GivenNumbers(Mutex<Given>);

#[derive(Debug, Default)]
struct Given {
    last: Option<i64>,
    /// By the schema and the name of the sequence.
    by_sequence: HashMap<(String, String), i64>,
}

impl GivenNumbers {
    pub(super) fn note(&self, schema: &str, sequence: String, number: i64) {
        let mut given = self.0.lock();
        given.last = Some(number);
        given.by_sequence.insert((schema.to_owned(), sequence), number);
    }

    pub(super) fn of(&self, schema: &str, sequence: &str) -> Option<i64> {
        self.0.lock().by_sequence.get(&(schema.to_owned(), sequence.to_owned())).copied()
    }

    pub(super) fn last(&self) -> Option<i64> {
        self.0.lock().last
    }

    pub(super) fn forget(&self) {
        *self.0.lock() = Given::default();
    }
}
