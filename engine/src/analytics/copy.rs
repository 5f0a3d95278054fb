//! Rows that a client sends: `COPY ... FROM STDIN`.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::copied;
use super::insert::targets;
use super::rows::{FileWriter, Shaper};
use super::statement::existing;
use crate::error::{Error, Result};
use crate::query::postgres::Zone;
use crate::query::session::QuerySession;

/// Where the rows of a COPY go.
#[derive(Debug, Clone)]
pub struct CopyTarget {
    name: String,
    columns: Vec<Field>,
}

impl CopyTarget {
    /// Returns the columns that each row has values of.
    pub fn columns(&self) -> &[Field] {
        &self.columns
    }
}

impl QuerySession {
    /// Finds the table that a COPY fills. `relation` is its name as SQL writes it; no columns stand for all.
    ///
    /// # Errors
    /// [`crate::Error::Denied`] if the session may not fill it.
    pub async fn copy_target(&self, relation: &str, columns: &[String]) -> Result<CopyTarget> {
        self.engine().catalog().require_writable()?;
        self.require_write()?;
        let seen = self.seen();
        self.context(&seen.live)?;
        let parsed = Parser::new(&PostgreSqlDialect {})
            .try_with_sql(relation)
            .and_then(|mut parser| parser.parse_object_name(false))
            .map_err(|error| DataFusionError::SQL(Box::new(error), None))?;
        let name = existing(&parsed, "COPY FROM", self.facts())?;
        let (relation, table) = seen.table(&name, "COPY FROM")?;
        self.require_owner(&name, relation)?;
        self.may_fill(&seen, &name, false, false)?;
        let named = (!columns.is_empty()).then_some(columns);
        if let Some(column) = columns.iter().find(|name| table.generated.contains_key(*name)) {
            return Err(Error::Row {
                sqlstate: "42P10",
                message: format!("column \"{column}\" is a generated column"),
                detail: Some("Generated columns cannot be used in COPY.".into()),
                hint: "Leave it out: it is computed.".into(),
            });
        }
        let mut columns = targets(&name, &seen.columns(table), named)?;
        columns.retain(|target| !table.generated.contains_key(target.name()));
        self.note(&seen, &name).await?;
        Ok(CopyTarget { name, columns })
    }

    /// Puts rows into the table, column by column: texts, or values of types that can be assigned. Returns how many they are.
    pub async fn copy_rows(&self, target: &CopyTarget, columns: Vec<ArrayRef>) -> Result<u64> {
        let seen = self.seen();
        self.admit_reading(&seen.live)?;
        let (_, table) = seen.table(&target.name, "COPY FROM")?;
        self.may_fill(&seen, &target.name, false, false)?;
        let count = columns.first().map_or(0, |column| column.len());
        let names: Vec<String> =
            target.columns.iter().map(|column| column.name().clone()).collect();
        let targets = targets(&target.name, &seen.columns(table), Some(&names))?;
        let zone = self.facts().setting("TimeZone").and_then(|name| Zone::parse(&name));
        let zone = zone.unwrap_or_else(Zone::utc);
        let columns = columns.iter().zip(&targets);
        let columns = columns.map(|(texts, target)| copied::read(texts, target, &zone));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let fields = names.iter().zip(&columns);
        let fields =
            fields.map(|(name, column)| Field::new(name, column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let rows = RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(DataFusionError::from)?;
        let sources = names.into_iter().enumerate().map(|(at, name)| (name, at)).collect();
        let made = self.opened(&table.path).await?;
        let mut shaper = self.shaper(&seen, (&target.name, table), &made, sources)?;
        let mut writer = FileWriter::new(&made);
        writer.push(shaper.shape(&rows).await?).await?;
        let Shaper { numbers, brought, .. } = shaper;
        let of_table = (target.name.as_str(), table);
        let doubts = self.settle_rows(&seen, of_table, &numbers, brought, &[]).await?;
        let files = writer.finish().await?;
        let doubts = self.owe_own(&seen, &target.name, doubts);
        let of_table = (target.name.as_str(), &made);
        self.stage_and_follow(&seen, of_table, files, &[], doubts).await?;
        Ok(count as u64)
    }

    /// Holds the rows of a COPY against each other that came in pieces, when all of them are there.
    pub async fn end_copy(&self) -> Result<()> {
        self.settle_owed(false).await
    }
}
