//! The rows that `DELETE`, `UPDATE` and `MERGE` change: the files that hold them are written anew.
//!
//! Rows of hidden people in these files go into the new ones as they are. Keys that change are held against others once all
//! rows have changed, so that rows may pass keys on to each other.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch, interleave, take};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::LogicalPlan;
use futures::{FutureExt, TryStreamExt};

use super::checks::Checks;
use super::keys::Key;
use super::links::Links;
use super::numbers::{Brought, Numbering};
use super::provenance::Provenance;
use super::returning::{Item, Returned};
use super::rows::{self, FileWriter, ROW};
use super::write::{Seen, Written, missing};
use crate::catalog::{AnalyticsTable, placed, qualified};
use crate::error::Result;
use crate::lake::{FileEntry, Table, TableSnapshot};
use crate::query::kept::Context;
use crate::query::postgres::{Zone, bytes_held, zone_of};
use crate::query::session::QuerySession;
use crate::table_read;

/// A `DELETE` or an `UPDATE`.
pub(super) struct Change<'a> {
    /// The table.
    pub(super) name: &'a str,
    pub(super) verb: &'a str,
    /// The columns that `UPDATE` assigns.
    pub(super) assigned: &'a [String],
    /// Those of them that become the next number of their sequence.
    pub(super) numbered: &'a [String],
    pub(super) returning: Option<&'a [Item]>,
    /// How many columns of other relations come back.
    pub(super) others: usize,
}

/// Rows that change, by their number, and what they become.
pub(super) struct Changed {
    /// For each row its place in the new values.
    places: HashMap<i64, usize>,
    /// The new values of each column that is assigned, as they are stored; `None` if the rows go.
    values: Option<Vec<(String, ArrayRef)>>,
}

impl Changed {
    /// Of several matches of a row the first counts.
    pub(super) fn new(numbers: &Int64Array, values: Option<Vec<(String, ArrayRef)>>) -> Self {
        let mut places: HashMap<i64, usize> = HashMap::with_capacity(numbers.len());
        for (place, row) in numbers.iter().enumerate() {
            if let Some(row) = row {
                places.entry(row).or_insert(place);
            }
        }
        Self { places, values }
    }

    /// Returns how many rows change.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Tells whether the row of this number has a key no more, since it goes or has another one.
    pub(super) fn frees(&self, key: &Key, row: i64) -> bool {
        (self.removes() || self.assigns(key)) && self.places.contains_key(&row)
    }

    /// Tells whether a value is null in a column that never is.
    fn brings_null(&self, table: &AnalyticsTable) -> bool {
        let mut values = self.values.iter().flatten();
        values.any(|(name, array)| table.not_null.contains(name) && array.logical_null_count() > 0)
    }

    /// Tells whether a key becomes another one.
    fn assigns(&self, key: &Key) -> bool {
        self.assigns_some(key.columns())
    }

    /// Tells whether one of these columns gets another value.
    pub(super) fn assigns_some(&self, columns: &[String]) -> bool {
        let mut assigned = self.values.iter().flatten();
        assigned.any(|(name, _)| columns.contains(name))
    }

    /// Tells whether the rows go.
    pub(super) fn removes(&self) -> bool {
        self.values.is_none()
    }

    /// Returns those of the rows of a batch that change.
    fn among(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let changed: BooleanArray = numbers(batch)?
            .iter()
            .map(|row| Some(row.is_some_and(|row| self.places.contains_key(&row))))
            .collect();
        Ok(filter_record_batch(batch, &changed).map_err(DataFusionError::from)?)
    }

    /// Returns the places of the rows, in the order in which they were found.
    fn order(&self) -> Int64Array {
        let mut places: Vec<i64> =
            self.places.values().filter_map(|place| i64::try_from(*place).ok()).collect();
        places.sort_unstable();
        Int64Array::from(places)
    }

    fn make_in(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        match &self.values {
            None => without(batch, &self.places),
            Some(values) => updated(batch, &self.places, values),
        }
    }
}

impl QuerySession {
    /// `DELETE` and `UPDATE`: writes the files anew that hold rows which the plan found.
    pub(super) async fn change_rows(
        &self,
        seen: &Seen,
        change: &Change<'_>,
        plan: LogicalPlan,
    ) -> Result<Written> {
        let Change { name, verb, assigned, numbered, returning, others } = *change;
        let (relation, table) = seen.table(name, verb)?;
        self.require_owner(name, relation)?;
        let provenance = match assigned.is_empty() {
            true => Provenance::of_removal(&plan, table.of_persons)?,
            false => Provenance::of_change(&plan, table.of_persons)?,
        };
        let (personal, apart) = (provenance.personal, provenance.of_one_person_each);
        let purpose = self.may_fill(seen, name, personal, apart)?;
        let returned = returning.map(|items| Returned::new(items, &seen.columns(table)));
        let fields = plan.schema().fields();
        let others = fields.get(fields.len().saturating_sub(others)..).unwrap_or_default();
        let returned = returned.transpose()?.map(|returned| returned.with_others(others));
        let found = self.found(seen, name, plan).await?;
        let made = self.opened(&table.path).await?;
        let snapshot = seen.live.published.table(&table.path).ok_or_else(|| missing(name))?;
        let places: Vec<(&String, usize)> = assigned.iter().zip(1..).collect();
        let numbers = self.numbers(seen, table)?;
        let found = with_next_numbers(found, &places, numbered, &numbers).await?;
        let zone = zone_of(self.facts());
        let values = match assigned.is_empty() {
            true => None,
            false => Some(new_values(&snapshot.schema, &places, &found, &zone)?),
        };
        let mut brought = Brought::default();
        for (column, array) in values.iter().flatten() {
            if table.numbered.contains_key(column) && !numbered.contains(column) {
                brought.take(column, array)?;
            }
        }
        let changed = Changed::new(found.column(0).as_primitive::<Int64Type>(), values);
        let returned =
            returned.map(|returned| given_back(returned, assigned, &found, &changed, &zone));
        let returned = returned.transpose()?;
        let count = changed.len();
        let (keys, changes) = (Key::all(name, table, &snapshot.schema)?, [changed]);
        let of_table = (name, &made, snapshot.as_ref(), table);
        let anew = self.written_anew(seen, of_table, &changes, &keys, &mut brought);
        let (adds, removes) = anew.await?;
        let doubts = self.settle_rows(seen, (name, table), &numbers, brought, &changes).await?;
        if !removes.is_empty() {
            self.stage_and_follow(seen, (name, &made), adds, &removes, doubts).await?;
        }
        let tagged = Written::tagged(format!("{verb} {count}"));
        let written = Written { returned: returned.map(Returned::into_rows), ..tagged };
        self.bind(seen, name, purpose.filter(|_| count > 0), written)
    }

    /// Returns what a statement is planned with that finds rows of a table to change them.
    pub(super) fn context_of_change(&self, seen: &Seen, name: &str) -> Result<Arc<Context>> {
        let numbered = |all| seen.shaped(all).with_row_numbers(name);
        let context = self.shaped_context(&seen.live, numbered)?;
        let (schema, table) = placed(name);
        let is_there =
            context.relations.iter().any(|known| known.schema == schema && known.name == table);
        // Tables of persons are not there where nobody is.
        if is_there { Ok(context) } else { Err(missing(name)) }
    }

    /// Runs a plan that finds rows of a table, and returns what it found. A row may be found as often as others join it.
    pub(super) async fn found(
        &self,
        seen: &Seen,
        name: &str,
        plan: LogicalPlan,
    ) -> Result<RecordBatch> {
        let mut stream = self.run(&seen.live, plan, Some(&qualified(name))).await?;
        let schema = stream.schema();
        let memory = MemoryConsumer::new("rows that change").register(&self.memory());
        let mut found: Vec<RecordBatch> = vec![];
        while let Some(batch) = stream.try_next().await? {
            let bytes: usize =
                batch.columns().iter().map(|column| bytes_held(column.as_ref())).sum();
            // They are there twice while they are put together.
            memory.try_grow(2 * bytes)?;
            found.push(batch);
        }
        Ok(concat_batches(&schema, &found).map_err(DataFusionError::from)?)
    }

    /// Writes the files of a table anew that hold rows which change, and takes the keys that become others or go. Returns the new
    /// files, and those in whose places they come.
    ///
    /// # Errors
    /// [`Error::Row`](crate::Error::Row) for a row that becomes one which its table may not have.
    pub(super) async fn written_anew(
        &self,
        seen: &Seen,
        (name, made, snapshot, table): (&str, &Table, &TableSnapshot, &AnalyticsTable),
        changes: &[Changed],
        keys: &[Key],
        brought: &mut Brought,
    ) -> Result<(Vec<FileEntry>, Vec<FileEntry>)> {
        let lake = self.engine().catalog().lake();
        let (mut adds, mut removes) = (vec![], vec![]);
        if changes.iter().all(|changed| changed.places.is_empty()) {
            return Ok((adds, removes));
        }
        let mut checks = Checks::of(self, seen, (name, table), &snapshot.schema);
        let links = Links::of(seen, (name, table), &snapshot.schema)?;
        let numbers_only = table_read::project(&snapshot.schema, &[ROW])?;
        for file in snapshot.files.iter() {
            let rows = table_read::read_file(lake, made.path(), file, &numbers_only).await?;
            let hit = |batch: &RecordBatch| {
                let rows = batch.column(0).as_primitive::<Int64Type>();
                rows.iter()
                    .flatten()
                    .any(|row| changes.iter().any(|changed| changed.places.contains_key(&row)))
            };
            if !rows.iter().any(hit) {
                continue;
            }
            removes.push(file.clone());
            let mut writer = FileWriter::new(made);
            let batches = table_read::read_file(lake, made.path(), file, &snapshot.schema).await?;
            for mut batch in batches {
                for changed in changes {
                    let is_held =
                        changed.brings_null(table) || checks.are_there() && !changed.removes();
                    let is_key = keys.iter().any(|key| changed.assigns(key));
                    let is_lost = links.lose(changed);
                    if !is_held && !is_key && !is_lost && !links.gain(changed) {
                        batch = changed.make_in(&batch)?;
                        continue;
                    }
                    let before = is_lost.then(|| changed.among(&batch)).transpose()?;
                    batch = changed.make_in(&batch)?;
                    let after = changed.among(&batch)?;
                    if is_held {
                        checks.hold_stored(&after).boxed().await?;
                    }
                    for key in keys.iter().filter(|key| changed.assigns(key)) {
                        brought.keys.take(key, &after, table)?;
                    }
                    links.take_came(&after, Some(changed), &mut brought.doubts)?;
                    if let Some(before) = &before {
                        links.take_gone(changed, before, &after, &mut brought.doubts)?;
                    }
                }
                writer.push(batch).await?;
            }
            adds.extend(writer.finish().await?);
        }
        Ok((adds, removes))
    }
}

/// Puts the next numbers into the columns of `found` that become these; each of `assigned` stands at a place of it.
pub(super) async fn with_next_numbers(
    found: RecordBatch,
    assigned: &[(&String, usize)],
    numbered: &[String],
    numbers: &BTreeMap<String, Numbering>,
) -> Result<RecordBatch> {
    if numbered.is_empty() {
        return Ok(found);
    }
    let (mut fields, mut columns) = (found.schema().fields().to_vec(), found.columns().to_vec());
    for (column, at) in assigned.iter().filter(|(column, _)| numbered.contains(column)) {
        let numbering = numbers.get(*column).ok_or_else(|| missing(column))?;
        columns[*at] = numbering.take(found.num_rows()).await?;
        fields[*at] = Arc::new(Field::new(fields[*at].name(), DataType::Int64, true));
    }
    let schema = Arc::new(Schema::new(fields));
    Ok(RecordBatch::try_new(schema, columns).map_err(DataFusionError::from)?)
}

/// Takes what comes back of the rows that change: their new values where they are `assigned`, and those they have.
fn given_back(
    mut returned: Returned,
    assigned: &[String],
    found: &RecordBatch,
    changed: &Changed,
    zone: &Zone,
) -> Result<Returned> {
    let order = changed.order();
    let columns = assigned.iter().cloned().chain(returned.kept(assigned));
    let columns = columns.chain(returned.others()).zip(1..);
    for (name, at) in columns {
        let Some(field) = returned.field_of(&name) else { continue };
        let values = take(found.column(at), &order, None).map_err(DataFusionError::from)?;
        returned.take_column(&name, &rows::assigned(&values, &field, zone)?);
    }
    returned.end_batch(order.len())?;
    Ok(returned)
}

/// Returns the new values of each assigned column, as they are stored; each comes from a column of what was found.
pub(super) fn new_values(
    stored: &Schema,
    assigned: &[(&String, usize)],
    found: &RecordBatch,
    zone: &Zone,
) -> Result<Vec<(String, ArrayRef)>> {
    let value = |(name, at): &(&String, usize)| {
        let (_, field) = stored.fields().find(name).ok_or_else(|| missing(name))?;
        let logical = crate::lake::logical_field(field);
        let array = rows::assigned(found.column(*at), &logical, zone)?;
        Ok(((*name).clone(), rows::stored(&array, &logical, field)?))
    };
    assigned.iter().map(value).collect()
}

/// Returns the rows of a batch that were not found.
fn without(batch: &RecordBatch, places: &HashMap<i64, usize>) -> Result<RecordBatch> {
    let kept: BooleanArray = numbers(batch)?
        .iter()
        .map(|place| Some(place.is_none_or(|row| !places.contains_key(&row))))
        .collect();
    Ok(filter_record_batch(batch, &kept).map_err(DataFusionError::from)?)
}

/// Returns a batch with the new values in the rows that were found.
fn updated(
    batch: &RecordBatch,
    places: &HashMap<i64, usize>,
    values: &[(String, ArrayRef)],
) -> Result<RecordBatch> {
    let from: Vec<(usize, usize)> = numbers(batch)?
        .iter()
        .enumerate()
        .map(|(at, row)| match row.and_then(|row| places.get(&row)) {
            Some(place) => (1, *place),
            None => (0, at),
        })
        .collect();
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, old)| {
        match values.iter().find(|(name, _)| name == field.name()) {
            None => Ok(Arc::clone(old)),
            Some((_, new)) => {
                let both: [&dyn Array; 2] = [old, new];
                Ok(interleave(&both, &from).map_err(DataFusionError::from)?)
            }
        }
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(&schema), columns).map_err(DataFusionError::from)?)
}

fn numbers(batch: &RecordBatch) -> Result<Int64Array> {
    Ok(crate::tables::column(batch, ROW)?.as_primitive::<Int64Type>().clone())
}
