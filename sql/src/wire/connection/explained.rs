//! `EXPLAIN EXECUTE`: the plan of a statement that was prepared, for the values of its parameters.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::query::{Planned, unsupported};
use super::statement::How;
use super::{Connection, Run};
use crate::dialect::{ExplainFormat, Statement};
use crate::wire::error::Place;
use crate::wire::types::LOGICAL_TYPE_KEY;

/// Returns the column that an `EXPLAIN` answers with.
pub(super) fn explain_columns(format: ExplainFormat) -> SchemaRef {
    let logical = match format {
        ExplainFormat::Text => None,
        ExplainFormat::Json => Some("json"),
        ExplainFormat::Xml => Some("xml"),
    };
    let metadata = logical.map(|name| (LOGICAL_TYPE_KEY.to_owned(), name.to_owned()));
    let metadata: HashMap<String, String> = metadata.into_iter().collect();
    let column = Field::new("QUERY PLAN", DataType::Utf8, true).with_metadata(metadata);
    Arc::new(Schema::new(vec![column]))
}

impl Connection {
    /// Explains the plan of a prepared statement; `prefix` is what stands before it in the text that is planned.
    pub(super) async fn explain_prepared(
        &mut self,
        prefix: &str,
        (name, arguments): (&str, &[String]),
        how: How<'_>,
    ) -> Run<String> {
        let (prepared, values) = self.with_values(name, arguments, how.source).await?;
        let parsed = match &prepared.parsed {
            Some(parsed) if matches!(parsed.statement, Statement::Query { .. }) => parsed,
            Some(parsed) if matches!(parsed.statement, Statement::Write { .. }) => {
                let hint = "Explain the query that it reads: nothing is written then.";
                return Err(unsupported("EXPLAIN of a statement that writes", hint).into());
            }
            _ => {
                let hint = "Explain the query itself.";
                return Err(unsupported("EXPLAIN of this statement", hint).into());
            }
        };
        let (source, offset, text) = (&*prepared.source, parsed.offset, parsed.text.as_str());
        let place = Place { source, offset, text, prefix: prefix.len() };
        let plan = self.plan(format!("{prefix}{text}"), prepared.declared.clone()).await;
        let plan = plan.map_err(|halt| halt.at(place))?;
        let sent = self.send_rows(Planned::Plan(plan, values), how.delivery()).await;
        let (sent, run, encoder) = sent.map_err(|halt| halt.at(place))?;
        self.keep_unsent(sent, (run, encoder));
        Ok("EXPLAIN".to_owned())
    }
}
