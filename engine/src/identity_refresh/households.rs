//! The table of households: what profiles that may be of one say for it and against it.
//!
//! Which of them are one household follows from it for whoever may be seen, so that it is not written down.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};

use super::rows::Ids;
use super::*;
use crate::identity::{Households, StoredTie, Tie, probability_of};
use crate::matching::SCALE;

const LAYOUT: &SystemLayout = &tables::HOUSEHOLDS;

/// Parts of a bit, which a table holds as a fraction.
const PARTS: f64 = SCALE as f64;

impl Memory {
    /// Adds to people who may live with whom, if the graph asks for it.
    pub(super) fn with_households(&self, people: People, key: [u8; 16]) -> People {
        match self.resolver.households() {
            Some(households) => {
                people.with_households(Arc::clone(households), ProfileIds::of_households(key))
            }
            None => people,
        }
    }

    /// Writes the rows of the profiles that were looked at anew, of all if nothing of what the lake has may stay, and takes
    /// out all rows if the graph asks for no households.
    pub(super) async fn write_households(
        &self,
        catalog: &Catalog,
        change: &mut Change,
        ids: &Ids<'_>,
        fresh: bool,
        looked_at: &[u32],
    ) -> Result<()> {
        let all = || -> BTreeSet<u32> {
            (0..=bucket_of(self.seen.len().saturating_sub(1) as u32)).collect()
        };
        let Some(households) = self.resolver.households() else {
            let there = catalog.current().table(LAYOUT.path);
            if there.is_none_or(|table| table.files.is_empty()) {
                return Ok(());
            }
            let nothing = RecordBatch::new_empty(LAYOUT.schema());
            return put(catalog, change, LAYOUT, &all(), Replaced::All, &nothing).await;
        };
        if fresh {
            let rows = household_rows(households, ids, self.resolver.profiles())?;
            return put(catalog, change, LAYOUT, &all(), Replaced::All, &rows).await;
        }
        if looked_at.is_empty() {
            return Ok(());
        }
        let dirty: BTreeSet<u32> = looked_at.iter().map(|anchor| bucket_of(*anchor)).collect();
        let replaced = Replaced::Of(Arc::new(looked_at.iter().copied().collect()));
        let rows = household_rows(households, ids, looked_at.iter().copied())?;
        put(catalog, change, LAYOUT, &dirty, replaced, &rows).await
    }
}

/// The ties of profiles, which ascend, to those that come after them in their circles.
fn household_rows(
    households: &Households,
    ids: &Ids<'_>,
    anchors: impl Iterator<Item = u32>,
) -> Result<RecordBatch> {
    let mut numbers: [Int64Builder; 5] = std::array::from_fn(|_| Int64Builder::new());
    let mut figures: [Float64Builder; 3] = std::array::from_fn(|_| Float64Builder::new());
    let mut one_person = BooleanBuilder::new();
    for anchor in anchors {
        for found in households.circle(anchor).into_iter().flat_map(|of| of.ties_from(anchor)) {
            let StoredTie { circle, left, right, tie } = found;
            let shown = [left, right, circle].map(i64::from);
            let shown = shown.into_iter().chain([ids(left), ids(right)]);
            numbers.iter_mut().zip(shown).for_each(|(column, number)| column.append_value(number));
            let [bits, speaks] = [tie.weight, tie.speaks].map(|parts| f64::from(parts) / PARTS);
            let shown = [bits, speaks, probability_of(bits)];
            figures.iter_mut().zip(shown).for_each(|(column, figure)| column.append_value(figure));
            one_person.append_value(tie.one_person);
        }
    }
    let [subject, other, circle, profile, other_profile] =
        numbers.map(|mut column| Arc::new(column.finish()) as ArrayRef);
    let [bits, speaks, probability] =
        figures.map(|mut column| Arc::new(column.finish()) as ArrayRef);
    let one_person: ArrayRef = Arc::new(one_person.finish());
    LAYOUT.batch(vec![
        subject,
        other,
        circle,
        profile,
        other_profile,
        bits,
        speaks,
        probability,
        one_person,
    ])
}

/// Reads who may live with whom, if the graph in force asks for it.
pub(super) async fn load(lake: &Lake, published: &Published) -> Result<Option<Households>> {
    let in_force = published.state.graph_in_force.as_ref().map(|in_force| &in_force.graph);
    let Some(graph) = in_force.filter(|graph| graph.has_households()) else { return Ok(None) };
    let mut ties = Vec::new();
    if let Some(table) = published.table(LAYOUT.path) {
        let columns = ["_subject", "_other", "_circle", "bits", "speaks", "one_person"];
        for batch in crate::table_read::read_table(lake, LAYOUT.path, &table, &columns).await? {
            let [left, right, circle] =
                [0, 1, 2].map(|at| batch.column(at).as_primitive::<Int64Type>());
            let [weight, speaks] = [3, 4].map(|at| batch.column(at).as_primitive::<Float64Type>());
            let one_person = batch.column(5).as_boolean();
            ties.extend((0..batch.num_rows()).map(|row| StoredTie {
                circle: circle.value(row) as u32,
                left: left.value(row) as u32,
                right: right.value(row) as u32,
                tie: Tie {
                    speaks: in_parts(speaks.value(row)),
                    weight: in_parts(weight.value(row)),
                    one_person: one_person.value(row),
                },
            }));
        }
    }
    Ok(Some(Households::of_ties(graph.shared_limit, ties)))
}

fn in_parts(bits: f64) -> i32 {
    (bits * PARTS).round() as i32
}
