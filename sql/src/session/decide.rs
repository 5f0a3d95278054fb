//! Decisions about who is who, as statements: what came of one is told in rows.

use std::sync::Arc;

use arrow::array::Int64Array;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use engine::Result;
use engine::overrides::Decision;

use super::backend::Outcome;
use super::engine_backend::{EngineSession, rows};
use super::transaction::tag_of;

/// Returns the columns of what came of a decision: its number, and each profile that its records belong to now.
pub(super) fn columns() -> SchemaRef {
    let columns = ["override", "profile_id"].map(|name| Field::new(name, DataType::Int64, true));
    Arc::new(Schema::new(columns.to_vec()))
}

impl EngineSession {
    /// Takes a decision.
    pub(super) async fn decide(&self, decision: &Decision, reason: &str) -> Result<Outcome> {
        let made = self.session.engine().decide(&self.session, decision, reason).await?;
        let numbers = Int64Array::from(vec![made.number; made.profiles.len()]);
        let profiles = Int64Array::from(made.profiles);
        let rows = rows(&columns(), vec![Arc::new(numbers), Arc::new(profiles)])?;
        Ok(Outcome::Rows { tag: tag_of(decision).to_owned(), rows })
    }
}
