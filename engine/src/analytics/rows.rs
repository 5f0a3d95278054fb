//! From the rows of a query to the rows of a table: columns by name or place, each in the type of its column, and the
//! person of each row in the place of its profile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions,
    StringArray, new_null_array,
};
use arrow::compute::{
    CastOptions, SortColumn, SortOptions, cast_with_options, concat_batches, lexsort_to_indices,
    take_record_batch,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use futures::FutureExt;
use uuid::Uuid;

use super::checks::{Checks, check_not_null};
use super::defaults::Defaults;
use super::generated::{Generated, Open};
use super::keys::Key;
use super::lengths::fitted;
use super::links::Links;
use super::numbers::{Brought, Numbering};
use super::returning::Returned;
use crate::catalog::AnalyticsTable;
use crate::error::{Error, Result};
use crate::identity::ProfileIds;
use crate::lake::{self, FileEntry, Table, TableSchema, WriteOptions};
use crate::query::access::Access;
use crate::query::governed::{PROFILE_ID, SUBJECT};
use crate::query::postgres::input::{Kept, documents};
use crate::query::postgres::types::{is_blank_padded, pg_type_of};
use crate::query::postgres::{
    Zone, assigned_arrays, assigned_moments, has_ends, input, numerics_of,
};
use crate::segment::anchor_of;

/// The system column that tells the rows of a table apart.
pub(crate) const ROW: &str = "_row";

/// How many rows are sorted and written at a time.
const ROWS_MAX: usize = 1 << 20;

/// Returns the layout of a table whose rows have these columns.
///
/// # Errors
/// [`Error::Standard`] and [`Error::Unsupported`] for columns that cannot be kept.
pub(crate) fn layout(columns: &Schema) -> Result<(TableSchema, bool)> {
    let mut fields = Vec::with_capacity(columns.fields().len() + 2);
    let mut seen = BTreeSet::new();
    let mut of_persons = false;
    for column in columns.fields() {
        let name = column.name();
        if !seen.insert(name.to_lowercase()) {
            let same = columns.fields().iter().filter(|other| other.name() == name).count() > 1;
            return Err(match same {
                true => Error::Standard {
                    sqlstate: "42701",
                    message: format!("column \"{name}\" specified more than once"),
                    hint: "Give each column a name of its own: AS another_name.".into(),
                },
                // Delta takes names that differ by their case for one.
                false => Error::Unsupported {
                    what: format!("column \"{name}\" beside another case of its name in a table"),
                    hint: "Give the column a name that differs by more than its case: AS another_name.".into(),
                },
            });
        }
        if !lake::is_column_name(name) || name.starts_with('_') {
            return Err(Error::Unsupported {
                what: format!("column name \"{}\" in a table", name.escape_debug()),
                hint: "Give the column a name without control characters that does not start with an underscore: AS some_name.".into(),
            });
        }
        if name == PROFILE_ID {
            if column.data_type() != &DataType::Int64 {
                return Err(Error::Standard {
                    sqlstate: "42804",
                    message: format!("column \"{PROFILE_ID}\" of a table must be bigint"),
                    hint: "It says whose a row is: select it as it is in profiles, without a cast."
                        .into(),
                });
            }
            of_persons = true;
            fields.push(Arc::new(Field::new(SUBJECT, DataType::Int64, true)));
            continue;
        }
        fields.push(stored_field(column)?);
    }
    if !of_persons {
        fields.push(Arc::new(Field::new(SUBJECT, DataType::Int64, true)));
    }
    fields.push(Arc::new(Field::new(ROW, DataType::Int64, true)));
    let system = || if of_persons { vec![SUBJECT.to_owned()] } else { vec![] };
    let layout = TableSchema {
        stats_columns: system(),
        sort: system(),
        ..TableSchema::new(Arc::new(Schema::new(fields)))
    };
    Ok((layout, of_persons))
}

/// Returns the stored form of a column of a query. Its logical type is believed only where values stay what they are: a
/// column of numbers has a number of digits behind the point, whatever those of a query need.
fn stored_field(column: &Field) -> Result<FieldRef> {
    let plain = Field::new(column.name(), column.data_type().clone(), true);
    let bare = lake::physical_field(&plain).map_err(|error| match column.data_type() {
        // Delta has a type for their elements alone, as numbers or texts with a note on the column.
        DataType::List(item) => Error::Unsupported {
            what: format!("a column of type {}[] in a table", pg_type_of(item).0.display),
            hint: "Keep the elements as texts, and cast them back where they are read: CAST(column AS text[])."
                .into(),
        },
        _ => error,
    })?;
    let logical = column.metadata().get(lake::LOGICAL_TYPE);
    let Some(logical) = logical.filter(|_| !plain.data_type().is_decimal()) else {
        return Ok(bare);
    };
    let metadata = [(lake::LOGICAL_TYPE.to_owned(), logical.clone())];
    let named = lake::physical_field(&plain.with_metadata(metadata.into()))?;
    let same = lake::logical_field(&named).data_type() == lake::logical_field(&bare).data_type();
    Ok(if same { named } else { bare })
}

/// Brings a column into the type of a field as queries see it. Days, wall clocks and texts of times are those of `zone`.
pub(crate) fn assigned(array: &ArrayRef, field: &Field, zone: &Zone) -> Result<ArrayRef> {
    let array = converted(array, field, zone)?;
    let elements = array.as_list_opt::<i32>().map_or(&array, |lists| lists.values());
    if has_ends(elements) {
        return Err(Error::Unsupported {
            what: format!("an infinite date or timestamp in column \"{}\"", field.name()),
            hint: "Store null for no end, and ask for coalesce(column, 'infinity').".into(),
        });
    }
    Ok(array)
}

fn converted(array: &ArrayRef, field: &Field, zone: &Zone) -> Result<ArrayRef> {
    let target = field.data_type();
    if let Some(turned) = assigned_moments(array, target, zone) {
        return Ok(turned?);
    }
    if let Some(arrays) = assigned_arrays(array, target, zone) {
        return Ok(arrays?);
    }
    if target.is_temporal()
        && array.data_type().is_string()
        && let Some(read) = input::times(&crate::tables::texts(array)?, target, zone)
    {
        return read;
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |array: &ArrayRef, to: &DataType| match array.data_type() == to {
        true => Ok(Arc::clone(array)),
        false => cast_with_options(array, to, &options)
            .map_err(|error| Error::from(DataFusionError::from(error))),
    };
    let rounded = match array.data_type() {
        from if target.is_integer() && from.is_floating() => {
            let floats = cast(array, &DataType::Float64)?;
            let floats = floats.as_primitive::<Float64Type>();
            let rounded: Float64Array = floats.unary(f64::round_ties_even);
            Arc::new(rounded) as ArrayRef
        }
        from if target.is_integer() && from.is_decimal() => {
            cast(array, &DataType::Decimal128(38, 0))?
        }
        // By their digits: what 1.005 is in binary is less than that.
        from if from.is_floating() && matches!(target, DataType::Decimal128(..)) => {
            numerics_of(array, target)?
        }
        _ => Arc::clone(array),
    };
    let mut array = cast(&rounded, target)?;
    if is_blank_padded(field) {
        let texts = crate::tables::texts(&array)?;
        let bare = texts.iter().map(|text| text.map(|text| text.trim_end_matches(' ')));
        array = cast(&(Arc::new(bare.collect::<StringArray>()) as ArrayRef), target)?;
    }
    let array = fitted(array, field)?;
    let logical = field.metadata().get(lake::LOGICAL_TYPE).filter(|_| target.is_string());
    match logical.map(String::as_str) {
        Some("uuid") => cast(&uuids(&array)?, target),
        Some(logical) => match Kept::of(logical) {
            Some(kept) => cast(&documents(&array, kept)?, target),
            None => Ok(array),
        },
        None => Ok(array),
    }
}

/// Brings texts of uuids into their one form.
fn uuids(array: &ArrayRef) -> Result<ArrayRef> {
    let uuid = |text: &str| match input::uuid(text) {
        Ok(bytes) => Ok(Uuid::from_bytes(bytes).to_string()),
        Err(_) => Err(Error::Standard {
            sqlstate: "22P02",
            message: format!("invalid input syntax for type uuid: \"{text}\""),
            hint: "Write 32 hexadecimal digits, with hyphens or without.".into(),
        }),
    };
    let texts = crate::tables::texts(array)?;
    let read = texts.iter().map(|text| text.map(uuid).transpose());
    Ok(Arc::new(read.collect::<Result<StringArray>>()?))
}

/// What turns rows of a query into rows of a table.
pub(crate) struct Shaper<'a> {
    /// The columns as they are stored.
    pub(crate) stored: SchemaRef,
    /// For each column that queries see by name: which column of the query it comes from.
    pub(crate) sources: Vec<(String, usize)>,
    /// The columns that come from their defaults.
    pub(crate) defaults: Defaults<'a>,
    /// What holds for its columns.
    pub(crate) table: &'a AnalyticsTable,
    /// Who may be written about, if rows belong to persons.
    pub(crate) persons: Option<Persons>,
    /// The number of the next row.
    pub(crate) next_row: i64,
    /// The columns whose rows are numbered.
    pub(crate) numbers: BTreeMap<String, Numbering>,
    /// The primary key and unique constraints.
    pub(crate) keys: Vec<Key>,
    /// The foreign keys.
    pub(crate) links: Links,
    /// The columns that are computed of others.
    pub(crate) generated: Generated<'a>,
    /// The numbers and keys that rows brought.
    pub(crate) brought: Brought,
    /// What rows are to be.
    pub(crate) checks: Checks<'a>,
    /// The rows that come back.
    pub(crate) returned: Option<Returned>,
    /// The session's zone.
    pub(crate) zone: Zone,
}

/// Whom rows may belong to.
pub(crate) struct Persons {
    pub(crate) access: Arc<Access>,
    pub(crate) ids: ProfileIds,
    /// Whether rows may belong to nobody, as they may for whoever sees everyone.
    pub(crate) nobody: bool,
}

impl Shaper<'_> {
    /// Brings rows of the query into the stored columns.
    pub(crate) async fn shape(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let defaults = self.defaults.take(rows).boxed().await?;
        let mut columns = Vec::with_capacity(self.stored.fields().len());
        // The same as queries see them.
        let mut shown = Vec::with_capacity(self.stored.fields().len());
        let mut open = Open::default();
        for field in self.stored.fields() {
            columns.push(match field.name().as_str() {
                ROW => {
                    let first = self.next_row;
                    let count = i64::try_from(rows).unwrap_or(i64::MAX);
                    self.next_row = first.wrapping_add(count);
                    Arc::new(Int64Array::from_iter_values(
                        (0..count).map(|row| first.wrapping_add(row)),
                    )) as ArrayRef
                }
                SUBJECT => match &self.persons {
                    Some(persons) => {
                        let bigint = Field::new(PROFILE_ID, DataType::Int64, true);
                        let ids = match self.source(batch, PROFILE_ID) {
                            Some(ids) => assigned(ids, &bigint, &self.zone)?,
                            None => new_null_array(&DataType::Int64, rows),
                        };
                        if !persons.nobody {
                            check_not_null(self.checks.name(), PROFILE_ID, &ids)?;
                        }
                        if let Some(returned) = &mut self.returned {
                            returned.take_column(PROFILE_ID, &ids);
                        }
                        let subjects = persons.subjects(&ids)?;
                        shown.push(ids);
                        subjects
                    }
                    None => new_null_array(&DataType::Int64, rows),
                },
                name => {
                    let logical = lake::logical_field(field);
                    let (given, numbering) = (self.source(batch, name), self.numbers.get(name));
                    let array = match (given, numbering) {
                        (Some(array), _) => assigned(array, &logical, &self.zone)?,
                        (None, Some(numbers)) => {
                            assigned(&numbers.take(rows).await?, &logical, &self.zone)?
                        }
                        (None, None) => match defaults.get(name) {
                            Some(array) => assigned(array, &logical, &self.zone)?,
                            None => new_null_array(logical.data_type(), rows),
                        },
                    };
                    if given.is_some() && numbering.is_some() {
                        self.brought.take(name, &array)?;
                    }
                    if self.generated.has(name) {
                        open.places.push((columns.len(), shown.len()));
                    } else if let Some(returned) = &mut self.returned {
                        returned.take_column(name, &array);
                    }
                    if !self.generated.are_none() {
                        open.known.insert(name.to_owned(), Arc::clone(&array));
                    }
                    let stored = stored(&array, &logical, field)?;
                    shown.push(array);
                    stored
                }
            });
        }
        if !self.generated.are_none() {
            self.compute(&open, &mut columns, &mut shown).boxed().await?;
        }
        self.checks.hold(&shown).boxed().await?;
        if let Some(returned) = &mut self.returned {
            returned.end_batch(rows)?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let shaped = RecordBatch::try_new_with_options(Arc::clone(&self.stored), columns, &options)
            .map_err(DataFusionError::from)?;
        let (sources, numbers) = (&self.sources, &self.numbers);
        for key in self.keys.iter().filter(|key| brings(key, sources, numbers)) {
            self.brought.keys.take(key, &shaped, self.table)?;
        }
        self.links.take_came(&shaped, None, &mut self.brought.doubts)?;
        Ok(shaped)
    }

    /// Tells whether rows bring keys that others may have.
    pub(crate) fn brings(&self, key: &Key) -> bool {
        brings(key, &self.sources, &self.numbers)
    }

    fn source<'b>(&self, batch: &'b RecordBatch, name: &str) -> Option<&'b ArrayRef> {
        let found = self.sources.iter().find(|(source, _)| source == name);
        found.map(|(_, at)| batch.column(*at))
    }
}

/// Tells whether rows of which these columns are given bring keys that others may have. One with a number that a sequence
/// gives, and has not given before, is nobody else's.
fn brings(key: &Key, sources: &[(String, usize)], numbers: &BTreeMap<String, Numbering>) -> bool {
    let is_given = |column: &String| sources.iter().any(|(source, _)| source == column);
    let is_new =
        |column: &String| !is_given(column) && numbers.get(column).is_some_and(Numbering::is_ahead);
    !key.columns().iter().any(is_new)
}

/// Brings a column from the form that queries see into the one that is stored.
pub(crate) fn stored(array: &ArrayRef, logical: &FieldRef, field: &FieldRef) -> Result<ArrayRef> {
    let seen = Arc::new(Schema::new(vec![Arc::clone(logical)]));
    let batch =
        RecordBatch::try_new(seen, vec![Arc::clone(array)]).map_err(DataFusionError::from)?;
    let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
    Ok(Arc::clone(lake::physical_batch(&batch, &schema)?.column(0)))
}

impl Persons {
    /// Returns the subject of each row; somebody hidden is refused like somebody who is not there.
    fn subjects(&self, ids: &ArrayRef) -> Result<ArrayRef> {
        let ids = ids.as_primitive::<Int64Type>();
        let subject = |id: i64| {
            let anchor = anchor_of(&self.ids, &self.access.people, id)
                .filter(|anchor| self.access.visible.contains(*anchor));
            anchor.map(i64::from).ok_or_else(|| Error::Standard {
                sqlstate: "23503",
                message: format!(
                    "a row has a {PROFILE_ID} that no profile has which purpose \"{}\" allows to see",
                    self.access.purpose
                ),
                hint: format!("Take {PROFILE_ID} from profiles, events or sources as it is."),
            })
        };
        let subjects = ids.iter().map(|id| id.map(subject).transpose());
        Ok(Arc::new(subjects.collect::<Result<Int64Array>>()?))
    }
}

/// Writes rows to files as they come, those of persons sorted by person.
pub(crate) struct FileWriter<'a> {
    table: &'a Table,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    files: Vec<FileEntry>,
}

impl<'a> FileWriter<'a> {
    pub(crate) fn new(table: &'a Table) -> Self {
        Self { table, waiting: vec![], waiting_rows: 0, files: vec![] }
    }

    pub(crate) async fn push(&mut self, rows: RecordBatch) -> Result<()> {
        self.waiting_rows += rows.num_rows();
        self.waiting.push(rows);
        if self.waiting_rows >= ROWS_MAX {
            self.flush().await?;
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<Vec<FileEntry>> {
        self.flush().await?;
        Ok(self.files)
    }

    async fn flush(&mut self) -> Result<()> {
        if self.waiting_rows == 0 {
            return Ok(());
        }
        let batches = std::mem::take(&mut self.waiting);
        self.waiting_rows = 0;
        let schema = &self.table.snapshot().schema;
        let rows = concat_batches(schema, &batches).map_err(DataFusionError::from)?;
        drop(batches);
        let rows = sorted(&rows)?;
        self.files
            .extend(lake::write_files(self.table, vec![rows], &WriteOptions::default()).await?);
        Ok(())
    }
}

/// Returns the rows in the order of their persons, those of nobody first.
fn sorted(rows: &RecordBatch) -> Result<RecordBatch> {
    let column = |name: &str| {
        let values = rows.column_by_name(name).cloned();
        values.map(|values| SortColumn { values, options: Some(SortOptions::default()) })
    };
    let Some(subject) =
        column(SUBJECT).filter(|subject| subject.values.null_count() < subject.values.len())
    else {
        return Ok(rows.clone());
    };
    let keys: Vec<SortColumn> = std::iter::once(subject).chain(column(ROW)).collect();
    let order = lexsort_to_indices(&keys, None).map_err(DataFusionError::from)?;
    Ok(take_record_batch(rows, &order).map_err(DataFusionError::from)?)
}
