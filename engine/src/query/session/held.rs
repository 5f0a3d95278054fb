//! What a session holds under names, shown with the time from which it does.

use std::sync::Arc;

use super::QuerySession;
use crate::query::postgres::{OpenCursor, PreparedStatement};

impl QuerySession {
    /// Shows a statement that was prepared now, for as long as somebody keeps what this returns.
    pub fn show_prepared(&self, statement: PreparedStatement) -> Arc<PreparedStatement> {
        let prepared_at_us = self.engine.now();
        self.facts.show_prepared(PreparedStatement { prepared_at_us, ..statement })
    }

    /// Shows a cursor that was declared now, for as long as somebody keeps what this returns.
    pub fn show_cursor(&self, cursor: OpenCursor) -> Arc<OpenCursor> {
        let created_at_us = self.engine.now();
        self.facts.show_cursor(OpenCursor { created_at_us, ..cursor })
    }
}
