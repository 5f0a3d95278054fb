//! The short way of small statements that are run again and again: one row of constants, or few rows of one table.
//!
//! ```text
//!  generic plan -> leaf (one row | rows sought by profile or value) -> filters, projections, limits -> one batch
//! ```
//!
//! To make a physical plan of `SELECT ... WHERE profile_id = $1`, to start it and to open a file costs a hundred times
//! what it costs to look up the row. So of a statement that has a [generic plan](super::generic) of this shape the
//! expressions are compiled once, and each run evaluates them on the rows that
//! [`GovernedTable::seek`](super::governed) finds: no plan, no task, no file. The answer is that of the plan. Whatever is
//! not certain to be the same goes the long way instead: an expression that fails, a type that does not fit, many rows.

mod compiled;

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::physical_expr::PhysicalExpr;

use super::access::{Access, no_purpose};
use super::governed::GovernedTable;
use super::governed::seek::{Cold, Found, Sought, Taking};
use super::reads::Reads;
use super::scan::with_rows;
use crate::audit::{Class, Entry};

/// How often something is read for one run before it goes the long way: runs, indexes, blocks, and what others pushed
/// out of memory meanwhile.
const READS_MAX: usize = 4;

/// After so many runs on end that found too many rows no run looks for them any more.
const MISSES_MAX: usize = 64;

/// A statement that has a short way.
#[derive(Debug)]
pub(super) struct Quick {
    leaf: Leaf,
    /// What is done to the rows of the leaf, in order.
    steps: Vec<Step>,
    parameters: Vec<FieldRef>,
    /// What it reads of persons.
    pub(super) reads: Reads,
    /// What is noted of a run, as it was noted first.
    noted: OnceLock<Arc<Entry>>,
    /// How many runs on end have found more rows than there are to be.
    misses: AtomicUsize,
}

/// Where rows come from.
#[derive(Debug)]
enum Leaf {
    /// There is one, without columns.
    Row,
    /// They are sought in a table.
    Rows(Rows),
}

/// Rows that are sought in a table.
#[derive(Debug)]
struct Rows {
    table: Arc<dyn TableProvider>,
    taking: Taking,
    by: By,
}

/// What rows are sought by.
#[derive(Debug)]
enum By {
    /// One of these profiles.
    Profiles(Vec<Constant>),
    /// One of these values in a column of the files.
    Values(usize, Vec<Constant>),
}

/// A value that is known when a statement is run.
#[derive(Debug)]
enum Constant {
    /// It stands in the statement.
    Value(ScalarValue),
    /// It is that of a parameter, in this type.
    Parameter(usize, DataType),
}

/// What is done to rows.
#[derive(Debug)]
enum Step {
    /// Those are kept for which it is true.
    Filter(Arc<dyn PhysicalExpr>, Input),
    /// Columns are worked out.
    Project(Vec<Arc<dyn PhysicalExpr>>, Input, SchemaRef),
    /// Some are passed over, and no more than some are kept.
    Limit(usize, Option<usize>),
}

/// What expressions are evaluated on.
#[derive(Debug)]
enum Input {
    /// The rows as they are.
    Rows,
    /// The rows with the values of the parameters, as columns behind theirs.
    WithParameters(SchemaRef),
}

impl Constant {
    fn value(&self, values: &[ScalarValue]) -> Option<ScalarValue> {
        match self {
            Constant::Value(value) => Some(value.clone()),
            Constant::Parameter(at, data_type) => {
                let value = values.get(*at)?;
                match value.data_type() == *data_type {
                    true => Some(value.clone()),
                    false => value.cast_to(data_type).ok(),
                }
            }
        }
    }
}

/// What the rows of one run are sought by. What equals null is nothing.
enum Key {
    Profiles(Vec<i64>),
    Values(usize, Vec<ScalarValue>),
}

impl Key {
    fn of(by: &By, values: &[ScalarValue]) -> Option<Key> {
        let known = |constants: &[Constant]| {
            let known = constants.iter().map(|constant| constant.value(values));
            let known: Option<Vec<ScalarValue>> = known.collect();
            known
                .map(|known| known.into_iter().filter(|value| !value.is_null()).collect::<Vec<_>>())
        };
        Some(match by {
            By::Profiles(constants) => {
                let ids = known(constants)?.into_iter().map(|value| match value {
                    ScalarValue::Int64(id) => id,
                    _ => None,
                });
                Key::Profiles(ids.collect::<Option<_>>()?)
            }
            By::Values(column, constants) => Key::Values(*column, known(constants)?),
        })
    }

    fn sought(&self) -> Sought<'_> {
        match self {
            Key::Profiles(ids) => Sought::Profiles(ids),
            Key::Values(column, values) => Sought::Values(*column, values),
        }
    }
}

/// What came of one try.
enum Tried {
    Answered(RecordBatch),
    /// Something has to be read for this key first.
    Cold(Cold, Key),
    Unfit,
}

impl Quick {
    /// Answers out of what is in memory; `None` if that is not enough, or if the statement goes the long way.
    pub(super) fn answer_at_once(
        &self,
        access: Option<&Arc<Access>>,
        values: &[ScalarValue],
    ) -> Option<RecordBatch> {
        match self.try_with(access, values) {
            Tried::Answered(batch) => Some(batch),
            Tried::Cold(..) | Tried::Unfit => None,
        }
    }

    /// Answers, and reads what is not in memory first; `None` if the statement goes the long way.
    pub(super) async fn answer(
        &self,
        access: Option<&Arc<Access>>,
        values: &[ScalarValue],
    ) -> Option<RecordBatch> {
        for _ in 0..=READS_MAX {
            match self.try_with(access, values) {
                Tried::Answered(batch) => return Some(batch),
                Tried::Unfit => return None,
                Tried::Cold(cold, key) => {
                    let Leaf::Rows(rows) = &self.leaf else { return None };
                    let table = rows.table()?;
                    // What cannot be read fails the long way, too, and is told of there.
                    table.warm(given(access), cold, &key.sought()).await.ok()?;
                }
            }
        }
        None
    }

    fn try_with(&self, access: Option<&Arc<Access>>, values: &[ScalarValue]) -> Tried {
        if self.misses.load(Ordering::Relaxed) >= MISSES_MAX || !self.fits(values) {
            return Tried::Unfit;
        }
        let batch = match &self.leaf {
            Leaf::Row => one_row(),
            Leaf::Rows(rows) => {
                let (Some(table), Some(key)) = (rows.table(), Key::of(&rows.by, values)) else {
                    return Tried::Unfit;
                };
                match table.seek(given(access), &key.sought(), &rows.taking) {
                    Found::Rows(batch) => {
                        self.misses.store(0, Ordering::Relaxed);
                        Ok(batch)
                    }
                    Found::Cold(cold) => return Tried::Cold(cold, key),
                    Found::Unfit => {
                        self.misses.fetch_add(1, Ordering::Relaxed);
                        return Tried::Unfit;
                    }
                }
            }
        };
        let answered = batch.and_then(|batch| {
            self.steps.iter().try_fold(batch, |batch, step| step.of(batch, values))
        });
        // What fails, fails the long way with the error that is told.
        answered.map_or(Tried::Unfit, Tried::Answered)
    }

    /// Returns what is noted of a run by `role` for `purpose`.
    pub(super) fn entry(&self, role: &str, purpose: &str) -> Arc<Entry> {
        let entry = || {
            let relations = self.reads.relations.clone();
            let (role, purpose) = (role.to_owned(), purpose.to_owned());
            Arc::new(Entry { role, purpose, class: Class::Read, relations })
        };
        let noted = self.noted.get_or_init(entry);
        match noted.role == role && noted.purpose == purpose {
            true => Arc::clone(noted),
            false => entry(),
        }
    }

    fn fits(&self, values: &[ScalarValue]) -> bool {
        values.len() == self.parameters.len()
            && self
                .parameters
                .iter()
                .zip(values)
                .all(|(field, value)| *field.data_type() == value.data_type())
    }
}

impl Rows {
    fn table(&self) -> Option<&GovernedTable> {
        let table: &dyn std::any::Any = self.table.as_ref();
        table.downcast_ref()
    }
}

impl Step {
    fn of(&self, batch: RecordBatch, values: &[ScalarValue]) -> DataFusionResult<RecordBatch> {
        let rows = batch.num_rows();
        match self {
            Step::Filter(predicate, input) => {
                let needed = input.of(&batch, values)?;
                let kept = predicate.evaluate(needed.as_ref())?.into_array(rows)?;
                drop(needed);
                let kept = kept.as_boolean_opt().ok_or_else(|| {
                    DataFusionError::Internal("a filter is not true or false".into())
                })?;
                // Nearly always what was sought is what was found.
                match kept.true_count() == rows {
                    true => Ok(batch),
                    false => Ok(filter_record_batch(&batch, kept)?),
                }
            }
            Step::Project(columns, input, schema) => {
                let input = input.of(&batch, values)?;
                let columns = columns
                    .iter()
                    .map(|column| column.evaluate(&input)?.into_array(rows))
                    .collect::<DataFusionResult<Vec<_>>>()?;
                with_rows(schema, columns, rows)
            }
            Step::Limit(skip, fetch) => {
                let start = rows.min(*skip);
                Ok(batch.slice(start, (rows - start).min(fetch.unwrap_or(rows))))
            }
        }
    }
}

/// Returns what a statement gives to a table as its access.
fn given(access: Option<&Arc<Access>>) -> DataFusionResult<Arc<Access>> {
    access.cloned().ok_or_else(|| DataFusionError::External(Box::new(no_purpose())))
}

fn one_row() -> DataFusionResult<RecordBatch> {
    with_rows(&Arc::new(Schema::empty()), vec![], 1)
}

impl Input {
    /// Returns rows as expressions find them.
    fn of<'a>(
        &self,
        batch: &'a RecordBatch,
        values: &[ScalarValue],
    ) -> DataFusionResult<Cow<'a, RecordBatch>> {
        let Input::WithParameters(schema) = self else { return Ok(Cow::Borrowed(batch)) };
        let rows = batch.num_rows();
        let mut columns = Vec::with_capacity(batch.num_columns() + values.len());
        columns.extend_from_slice(batch.columns());
        for value in values {
            columns.push(value.to_array_of_size(rows)?);
        }
        with_rows(schema, columns, rows).map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests;
