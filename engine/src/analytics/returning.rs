//! `RETURNING`: the rows that were put in come back as they were put in, those that were changed as they became, and those
//! that are gone as they were.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{Expr, SelectItem};

use super::insert::no_column;
use super::statement::{normal, unsupported};
use crate::error::{Error, Result};

/// Bytes that one statement gives back at most: they wait in memory until all rows are in.
const RETURNED_BYTES_MAX: usize = 64 << 20;

/// What stands behind `RETURNING`, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// `*`.
    All,
    /// A column, and the name that it comes back under.
    Column { name: String, shown: String },
}

/// Reads what stands behind `RETURNING` of a statement about the table `table`.
///
/// # Errors
/// [`Error::Unsupported`] for anything but columns.
pub(super) fn items(list: &[SelectItem], table: &str) -> Result<Vec<Item>> {
    let item = |item: &SelectItem| {
        let (expr, alias) = match item {
            SelectItem::Wildcard(_) => return Ok(Item::All),
            SelectItem::UnnamedExpr(expr) => (expr, None),
            SelectItem::ExprWithAlias { expr, alias } => (expr, Some(normal(alias))),
            SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) => {
                return Err(not_a_column(item));
            }
        };
        let name = match expr {
            Expr::Identifier(name) => normal(name),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., of, name] if normal(of) == table => normal(name),
                _ => return Err(not_a_column(item)),
            },
            _ => return Err(not_a_column(item)),
        };
        let shown = alias.unwrap_or_else(|| name.clone());
        Ok(Item::Column { name, shown })
    };
    list.iter().map(item).collect()
}

fn not_a_column(item: &SelectItem) -> Error {
    let hint = "Name columns of the table, or *; compute in a SELECT afterwards.";
    unsupported(format!("\"{item}\" in RETURNING"), hint)
}

/// The rows that come back.
#[derive(Debug)]
pub(crate) struct Returned {
    /// Their columns.
    pub(super) schema: SchemaRef,
    /// For each of them the column of the table.
    sources: Vec<String>,
    /// The columns of the rows that are put in now, as far as they are known.
    next: Vec<Option<ArrayRef>>,
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl Returned {
    /// Returns no rows yet; `columns` are those of the table.
    ///
    /// # Errors
    /// [`Error::Standard`] for a column that the table does not have.
    pub(super) fn new(items: &[Item], relation: &str, columns: &[Field]) -> Result<Self> {
        let (mut sources, mut fields) = (vec![], vec![]);
        for item in items {
            match item {
                Item::All => {
                    sources.extend(columns.iter().map(|column| column.name().clone()));
                    fields.extend(columns.iter().cloned());
                }
                Item::Column { name, shown } => {
                    let column = columns.iter().find(|column| column.name() == name);
                    let column = column.ok_or_else(|| no_column(relation, name))?;
                    sources.push(name.clone());
                    fields.push(column.clone().with_name(shown));
                }
            }
        }
        let (next, schema) = (vec![None; sources.len()], Arc::new(Schema::new(fields)));
        Ok(Self { schema, sources, next, batches: vec![], bytes: 0 })
    }

    /// Returns the columns of the table that come back and are not among `assigned`, each once.
    pub(super) fn kept(&self, assigned: &[String]) -> Vec<String> {
        let mut kept: Vec<String> =
            self.sources.iter().filter(|source| !assigned.contains(source)).cloned().collect();
        kept.sort_unstable();
        kept.dedup();
        kept
    }

    /// Returns the field that a column of the table comes back as.
    pub(super) fn field_of(&self, name: &str) -> Option<Field> {
        let at = self.sources.iter().position(|source| source == name)?;
        Some(self.schema.field(at).clone())
    }

    /// Takes a column of the rows that are put in.
    pub(super) fn take_column(&mut self, name: &str, values: &ArrayRef) {
        for (source, next) in self.sources.iter().zip(&mut self.next) {
            if source == name {
                *next = Some(Arc::clone(values));
            }
        }
    }

    /// Ends a batch of rows.
    pub(super) fn end_batch(&mut self, rows: usize) -> Result<()> {
        let columns = self.next.iter_mut().zip(self.schema.fields()).map(|(next, field)| {
            next.take().unwrap_or_else(|| new_null_array(field.data_type(), rows))
        });
        let columns: Vec<ArrayRef> = columns.collect();
        self.bytes += columns.iter().map(|column| column.get_array_memory_size()).sum::<usize>();
        if self.bytes > RETURNED_BYTES_MAX {
            return Err(Error::Limit {
                sqlstate: "54000",
                message: format!("RETURNING gives back more than {} MB", RETURNED_BYTES_MAX >> 20),
                hint: "Write fewer rows at a time, or read them with a SELECT.".into(),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(DataFusionError::from)?;
        self.batches.push(batch);
        Ok(())
    }

    /// Returns the columns and all rows.
    pub(super) fn into_rows(self) -> (SchemaRef, Vec<RecordBatch>) {
        (self.schema, self.batches)
    }
}
