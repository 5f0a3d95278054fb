//! Rows that a client sends: `COPY ... FROM STDIN`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::copied;
use super::insert::{no_column, targets};
use super::rows::{FileWriter, Shaper, assigned};
use super::statement::existing;
use crate::catalog::placed;
use crate::error::{Error, Result};
use crate::query::postgres::{Zone, zone_of};
use crate::query::session::QuerySession;

/// Where the rows of a COPY go.
#[derive(Debug, Clone)]
pub struct CopyTarget {
    name: String,
    columns: Vec<Field>,
    /// Those that the rows have no values of.
    left_out: Vec<String>,
}

/// Why rows of a COPY were not taken.
#[derive(Debug)]
pub struct CopyFailure {
    /// What is wrong.
    pub error: Error,
    /// Where, if one row is to blame.
    pub place: Option<CopyPlace>,
}

/// What of the rows of a COPY is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyPlace {
    /// The row, from 0.
    pub row: u32,
    /// The column, from 0, if its value is none of the type.
    pub column: Option<u16>,
}

impl From<Error> for CopyFailure {
    fn from(error: Error) -> Self {
        Self { error, place: None }
    }
}

impl CopyTarget {
    /// Returns the name of the table, without its schema.
    pub fn relation(&self) -> &str {
        placed(&self.name).1
    }

    /// Fails unless each row has a value of a column that an option of the COPY names.
    ///
    /// # Errors
    /// [`Error::Standard`] with the codes that PostgreSQL has for it.
    pub fn require(&self, column: &str, option: &str) -> Result<()> {
        if self.columns.iter().any(|filled| filled.name() == column) {
            return Ok(());
        }
        if !self.left_out.iter().any(|other| other == column) {
            return Err(no_column(&self.name, column));
        }
        Err(Error::Standard {
            sqlstate: "42P10",
            message: format!("{option} column \"{column}\" not referenced by COPY"),
            hint: "Name it in the list of columns, or leave it out of the option.".into(),
        })
    }

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
        let all = seen.columns(table);
        let mut columns = targets(&name, &all, named)?;
        columns.retain(|target| !table.generated.contains_key(target.name()));
        let is_filled = |name: &str| columns.iter().any(|target| target.name() == name);
        let names = all.iter().map(|column| column.name().clone());
        let left_out = names.filter(|name| !is_filled(name)).collect();
        self.note(&seen, &name).await?;
        Ok(CopyTarget { name, columns, left_out })
    }

    /// Puts rows into the table, column by column: texts, or values of types that can be assigned. Returns how many they are.
    ///
    /// # Errors
    /// [`CopyFailure`] with the first row that is to blame, if one is.
    pub async fn copy_rows(
        &self,
        target: &CopyTarget,
        columns: Vec<ArrayRef>,
    ) -> Result<u64, CopyFailure> {
        let seen = self.seen();
        self.admit_reading(&seen.live)?;
        let (_, table) = seen.table(&target.name, "COPY FROM")?;
        self.may_fill(&seen, &target.name, false, false)?;
        let count = columns.first().map_or(0, |column| column.len());
        let names: Vec<String> =
            target.columns.iter().map(|column| column.name().clone()).collect();
        let targets = targets(&target.name, &seen.columns(table), Some(&names))?;
        let zone = zone_of(self.facts());
        let given = columns;
        let refused = || first_refused(&given, &targets, &zone);
        let columns = given.iter().zip(&targets);
        let columns = columns.map(|(texts, target)| copied::read(texts, target, &zone));
        let columns = columns.collect::<Result<Vec<_>>>();
        let columns = columns.map_err(|error| refused().unwrap_or_else(|| error.into()))?;
        let fields = names.iter().zip(&columns);
        let fields =
            fields.map(|(name, column)| Field::new(name, column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let rows = RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(|error| Error::from(DataFusionError::from(error)))?;
        let sources = names.into_iter().enumerate().map(|(at, name)| (name, at)).collect();
        let made = self.opened(&table.path).await?;
        let mut shaper = self.shaper(&seen, (&target.name, table), &made, sources)?;
        let mut writer = FileWriter::new(&made);
        let shaped = match shaper.shape(&rows).await {
            Ok(shaped) => shaped,
            Err(error) => {
                let row = shaper.checks.refused().and_then(|row| u32::try_from(row).ok());
                let place = row.map(|row| CopyPlace { row, column: None });
                return Err(match place {
                    Some(_) => CopyFailure { error, place },
                    None => refused().unwrap_or_else(|| error.into()),
                });
            }
        };
        writer.push(shaped).await?;
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

/// Returns why the first row cannot be put in of which a value is none of the type of its column; `None` if there is none.
/// The rows were refused as a whole before: this looks for the one to tell of.
fn first_refused(given: &[ArrayRef], targets: &[Field], zone: &Zone) -> Option<CopyFailure> {
    let put = |texts: &ArrayRef, target: &Field| {
        copied::read(texts, target, zone).and_then(|read| assigned(&read, target, zone))
    };
    let mut found = None;
    let mut rows = given.first().map_or(0, |column| column.len());
    for (column, (texts, target)) in given.iter().zip(targets).enumerate() {
        if rows == 0 {
            break;
        }
        if put(&texts.slice(0, rows), target).is_ok() {
            continue;
        }
        // The rows before `taken` can be put in, and those before `rows` cannot.
        let mut taken = 0;
        while taken + 1 < rows {
            let middle = taken.midpoint(rows);
            match put(&texts.slice(0, middle), target) {
                Ok(_) => taken = middle,
                Err(_) => rows = middle,
            }
        }
        // What a row is refused for alone is what it is refused for among others.
        let one = texts.slice(taken, rows - taken);
        let text = one.as_string_opt::<i32>().filter(|texts| texts.is_valid(0));
        let told = text.and_then(|texts| copied::refusal(texts.value(0), target, zone));
        let error = told.or_else(|| put(&one, target).err())?;
        let (row, column) = (u32::try_from(taken).ok()?, u16::try_from(column).ok());
        found = Some(CopyFailure { error, place: Some(CopyPlace { row, column }) });
        rows = taken;
    }
    found
}
