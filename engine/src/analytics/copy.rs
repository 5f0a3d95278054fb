//! Rows of texts that a client sends: `COPY ... FROM STDIN`.

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
use crate::error::Result;
use crate::query::postgres::Zone;
use crate::query::session::QuerySession;

/// Where the rows of a COPY go.
#[derive(Debug, Clone)]
pub struct CopyTarget {
    name: String,
    columns: Vec<String>,
}

impl CopyTarget {
    /// Returns how many values each row has.
    pub fn width(&self) -> usize {
        self.columns.len()
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
        let targets = targets(&name, &seen.columns(table), named)?;
        self.note(&seen, &name).await?;
        let columns = targets.iter().map(|target| target.name().clone()).collect();
        Ok(CopyTarget { name, columns })
    }

    /// Puts rows into the table, column by column. Returns how many they are.
    pub async fn copy_rows(&self, target: &CopyTarget, columns: Vec<ArrayRef>) -> Result<u64> {
        let seen = self.seen();
        self.admit_reading(&seen.live)?;
        let (_, table) = seen.table(&target.name, "COPY FROM")?;
        self.may_fill(&seen, &target.name, false, false)?;
        let count = columns.first().map_or(0, |column| column.len());
        let targets = targets(&target.name, &seen.columns(table), Some(&target.columns))?;
        let zone = self.facts().setting("TimeZone").and_then(|name| Zone::parse(&name));
        let zone = zone.unwrap_or_else(Zone::utc);
        let columns = columns.iter().zip(&targets);
        let columns = columns.map(|(texts, target)| copied::read(texts, target, &zone));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let fields = target.columns.iter().zip(&columns);
        let fields =
            fields.map(|(name, column)| Field::new(name, column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let rows = RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(DataFusionError::from)?;
        let sources = target.columns.iter().enumerate();
        let sources = sources.map(|(at, name)| (name.clone(), at)).collect();
        let made = self.opened(&table.path).await?;
        let mut shaper = self.shaper(&seen, (&target.name, table), &made, sources)?;
        let mut writer = FileWriter::new(&made);
        writer.push(shaper.shape(&rows).await?).await?;
        let Shaper { numbers, brought, .. } = shaper;
        self.settle_rows(&seen, (&target.name, table), &numbers, brought, &[]).await?;
        let files = writer.finish().await?;
        self.stage_rows(&seen, &made, files, &[]);
        Ok(count as u64)
    }
}
