//! The rows that an `INSERT ... ON CONFLICT` puts in and changes.

use std::collections::HashSet;

use arrow::array::{AsArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, filter_record_batch, sort_to_indices, take_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;

use super::changed::{Changed, new_values, with_next_numbers};
use super::checks::{check_not_null, null_value};
use super::conflict::{CHANGES, PLACED, Upsert};
use super::keys::{Key, is_first};
use super::provenance::Provenance;
use super::returning::{Item, Returned};
use super::rows::{self, FileWriter, Shaper};
use super::write::{Seen, Written, missing};
use crate::catalog::AnalyticsTable;
use crate::error::{Error, Result};
use crate::query::postgres::Zone;
use crate::query::session::QuerySession;

impl QuerySession {
    /// Puts the rows in whose keys are not there yet, and changes those that are there as the statement says.
    pub(super) async fn upsert_rows(
        &self,
        seen: &Seen,
        name: &str,
        upsert: &Upsert,
        returning: Option<&[Item]>,
        plan: LogicalPlan,
    ) -> Result<Written> {
        let (relation, table) = seen.table(name, "INSERT")?;
        self.require_owner(name, relation)?;
        let provenance = Provenance::of_change(&plan, table.of_persons)?;
        let purpose = self.may_fill(seen, name, provenance.personal, false)?;
        let columns = seen.columns(table);
        let returned = || returning.map(|items| Returned::new(items, &columns)).transpose();
        let (of_new, of_changed) = (returned()?, returned()?);
        let found = self.found(seen, name, plan).await?;
        let order = sort_to_indices(found.column(PLACED), None, None);
        let order = order.map_err(DataFusionError::from)?;
        let found = take_record_batch(&found, &order).map_err(DataFusionError::from)?;
        let made = self.opened(&table.path).await?;
        let mut shaper = self.shaper(seen, (name, table), &made, upsert.inserted.clone())?;
        if let Err(error) = check_proposed((name, table), upsert, &found) {
            // It is told with the row that lacks the value.
            shaper.shape(&found).await?;
            return Err(error);
        }
        let mut fate = Fate::of(&found, upsert)?;
        let snapshot = seen.live.published.table(&table.path).ok_or_else(|| missing(name))?;

        shaper.returned = of_new;
        // Keys are held against each other first: of rows with the same one the first goes in.
        let keys = std::mem::take(&mut shaper.keys);
        let links = std::mem::take(&mut shaper.links);
        let mut stored = match shaper.checks.are_there() {
            false => shaper.shape(&chosen(&found, &fate.is_new)?).await?,
            // A row is to fulfil the checks also if another one is there in its place.
            true => {
                let proposed = shaper.shape(&found).await?;
                shaper.returned.as_mut().map_or(Ok(()), |one| one.keep(&fate.is_new))?;
                chosen(&proposed, &fate.is_new)?
            }
        };
        let brought: Vec<&Key> = keys.iter().filter(|key| shaper.brings(key)).collect();
        let is_met = |key: &&Key| upsert.met.iter().any(|name| name == key.constraint());
        let met: Vec<&Key> = brought.iter().copied().filter(is_met).collect();
        if !met.is_empty() {
            let first = is_first(&met, &stored)?;
            if upsert.assigned.is_some() && first.false_count() > 0 {
                return Err(second_time());
            }
            stored = chosen(&stored, &first)?;
            shaper.returned.as_mut().map_or(Ok(()), |returned| returned.keep(&first))?;
            fate.leave_out(&first);
        }
        for key in brought {
            shaper.brought.keys.take(key, &stored, table)?;
        }
        links.take_came(&stored, None, &mut shaper.brought.doubts)?;
        let mut count = stored.num_rows();

        let mut changed = chosen(&found, &fate.is_changed)?;
        let mut changes = vec![];
        if let Some(assigned) = &upsert.assigned {
            let assigned: Vec<(&String, usize)> =
                assigned.iter().map(|(column, at)| (column, *at)).collect();
            let (numbered, numbers) = (&upsert.numbered, &shaper.numbers);
            changed = with_next_numbers(changed, &assigned, numbered, numbers).await?;
            let values = new_values(&snapshot.schema, &assigned, &changed, &shaper.zone)?;
            for (column, array) in &values {
                if table.numbered.contains_key(column) && !upsert.numbered.contains(column) {
                    shaper.brought.take(column, array)?;
                }
            }
            let numbers = changed.column(0).as_primitive::<Int64Type>();
            changes.push(Changed::new(numbers, Some(values)));
        }
        count += changed.num_rows();
        let zone = &shaper.zone;
        let of_changed = of_changed.map(|returned| given_back(returned, upsert, &changed, zone));
        let Shaper { numbers, mut brought, returned: of_new, .. } = shaper;
        let of_table = (name, &made, snapshot.as_ref(), table);
        let anew = self.written_anew(seen, of_table, &changes, &keys, &mut brought);
        let (mut adds, removes) = anew.await?;
        let doubts = self.settle_rows(seen, (name, table), &numbers, brought, &changes).await?;
        let mut writer = FileWriter::new(&made);
        writer.push(stored).await?;
        adds.extend(writer.finish().await?);
        if !adds.is_empty() || !removes.is_empty() {
            self.stage_and_follow(seen, (name, &made), adds, &removes, doubts).await?;
        }
        let returned = match (of_new, of_changed.transpose()?) {
            (Some(new), Some(changed)) => Some(in_order(new, changed, &fate)?),
            _ => None,
        };
        let written = Written { returned, ..Written::tagged(format!("INSERT 0 {count}")) };
        self.bind(seen, name, purpose.filter(|_| count > 0), written)
    }
}

/// What becomes of each row that is proposed.
struct Fate {
    /// It is put in.
    is_new: BooleanArray,
    /// The one that has its key changes.
    is_changed: BooleanArray,
}

impl Fate {
    /// Finds out about rows in the order in which they were proposed.
    fn of(found: &RecordBatch, upsert: &Upsert) -> Result<Self> {
        let numbers = found.column(0).as_primitive::<Int64Type>();
        let changes = found.column(CHANGES).as_boolean();
        let mut touched = HashSet::new();
        let mut is_changed = Vec::with_capacity(found.num_rows());
        for (row, changes) in numbers.iter().zip(changes) {
            let changes = upsert.assigned.is_some() && changes == Some(true);
            if let Some(row) = row.filter(|_| upsert.assigned.is_some()) {
                if touched.contains(&row) {
                    return Err(second_time());
                }
                if changes {
                    touched.insert(row);
                }
            }
            is_changed.push(changes);
        }
        let is_new = numbers.iter().map(|row| Some(row.is_none())).collect();
        Ok(Self { is_new, is_changed: is_changed.into() })
    }

    /// Leaves those of the new rows out that have the key of one before them.
    fn leave_out(&mut self, first: &BooleanArray) {
        let mut first = first.iter();
        let is_new = self.is_new.iter().map(|is_new| {
            let is_new = is_new == Some(true);
            Some(is_new && first.next().flatten() == Some(true))
        });
        self.is_new = is_new.collect();
    }

    /// Returns the places of rows.
    fn places(rows: &BooleanArray) -> impl Iterator<Item = usize> {
        rows.iter().enumerate().filter(|(_, row)| *row == Some(true)).map(|(at, _)| at)
    }
}

fn chosen(rows: &RecordBatch, mask: &BooleanArray) -> Result<RecordBatch> {
    Ok(filter_record_batch(rows, mask).map_err(DataFusionError::from)?)
}

/// Fails if a row that is proposed lacks a value that rows of the table have, also if it does not go in.
fn check_proposed(
    (name, table): (&str, &AnalyticsTable),
    upsert: &Upsert,
    found: &RecordBatch,
) -> Result<()> {
    let is_made = |column: &String| {
        table.numbered.contains_key(column)
            || table.defaults.contains_key(column)
            || table.generated.contains_key(column)
    };
    for column in &table.not_null {
        match upsert.inserted.iter().find(|(inserted, _)| inserted == column) {
            Some((_, at)) => check_not_null(name, column, found.column(*at))?,
            None if is_made(column) || found.num_rows() == 0 => {}
            None => return Err(null_value(name, column, None)),
        }
    }
    Ok(())
}

/// Takes what comes back of the rows that change.
fn given_back(
    mut returned: Returned,
    upsert: &Upsert,
    changed: &RecordBatch,
    zone: &Zone,
) -> Result<Returned> {
    let assigned = upsert.assigned.iter().flatten();
    for (name, at) in assigned.chain(&upsert.kept) {
        if let Some(field) = returned.field_of(name) {
            returned.take_column(name, &rows::assigned(changed.column(*at), &field, zone)?);
        }
    }
    returned.end_batch(changed.num_rows())?;
    Ok(returned)
}

/// Returns the rows that come back in the order in which they were proposed.
fn in_order(
    new: Returned,
    changed: Returned,
    fate: &Fate,
) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let (schema, mut batches) = new.into_rows();
    batches.extend(changed.into_rows().1);
    let rows = concat_batches(&schema, &batches).map_err(DataFusionError::from)?;
    let places: Vec<usize> =
        Fate::places(&fate.is_new).chain(Fate::places(&fate.is_changed)).collect();
    let mut order: Vec<u64> = (0..places.len() as u64).collect();
    order.sort_by_key(|at| usize::try_from(*at).ok().and_then(|at| places.get(at).copied()));
    let rows = take_record_batch(&rows, &UInt64Array::from(order));
    Ok((schema, vec![rows.map_err(DataFusionError::from)?]))
}

/// The answer to two rows with the same key.
fn second_time() -> Error {
    Error::Standard {
        sqlstate: "21000",
        message: "ON CONFLICT DO UPDATE command cannot affect row a second time".into(),
        hint: "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.".into(),
    }
}
