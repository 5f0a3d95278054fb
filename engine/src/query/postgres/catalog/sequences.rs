//! The relations of the catalog that describe sequences and the columns that they number.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;

use super::definition::Definition;
use super::rows::{Cell, Rows};
use crate::catalog::WholeNumber;
use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::functions::definitions_of;
use crate::query::postgres::snapshot::{OWNER, Sequence, Snapshot};
use crate::query::postgres::types::{self, PgType};

/// What stands before the oid of a sequence in `pg_attrdef.adbin`, which `pg_get_expr` makes an expression of.
pub(in crate::query::postgres) const DEFAULT_BY: &str = "nextval ";

fn type_of(sequence: &Sequence) -> Option<&'static PgType> {
    types::by_name(sequence.counted.range.data_type.name())
}

/// Builds `pg_sequence`.
pub(super) fn sequences(
    definition: &'static Definition,
    snapshot: &Snapshot,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for (r, sequence) in snapshot.sequences() {
        let range = &sequence.counted.range;
        rows.push(&[
            r.oid.into(),
            type_of(sequence).map_or(0, |known| known.oid).into(),
            range.start.into(),
            range.increment.into(),
            range.maximum.into(),
            range.minimum.into(),
            range.cache.into(),
            range.cycle.into(),
        ]);
    }
    rows.finish()
}

/// Builds `pg_sequences`, with the last numbers of now.
pub(super) fn sequences_now(
    definition: &'static Definition,
    facts: &SessionFacts,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    let snapshot = facts.snapshot();
    for (r, sequence) in snapshot.sequences() {
        let range = &sequence.counted.range;
        let given = facts.sequences().filter(|_| sequence.readable);
        let last = given.and_then(|given| {
            let (place, _) = given.position(&sequence.counted);
            place.called.then_some(place.last)
        });
        rows.push(&[
            r.relation.schema.as_str().into(),
            r.relation.name.as_str().into(),
            snapshot.role_name(r.owner_oid).unwrap_or(OWNER).into(),
            type_of(sequence).map_or(0, |known| known.oid).into(),
            range.start.into(),
            range.minimum.into(),
            range.maximum.into(),
            range.increment.into(),
            range.cycle.into(),
            range.cache.into(),
            last.map_or(Cell::Null, Cell::Int),
        ]);
    }
    rows.finish()
}

/// Builds `pg_attrdef`: the defaults of columns, those that are numbers of sequences among them, and what columns are
/// computed of.
pub(super) fn defaults(
    definition: &'static Definition,
    snapshot: &Snapshot,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for r in &snapshot.relations {
        for (column, oid) in &r.defaults {
            let text = match snapshot.numbering(r, column) {
                Some(sequence) => format!("{DEFAULT_BY}{}", sequence.oid),
                None => match definitions_of::default_of(r, column)
                    .or_else(|| r.generated_of(column).map(str::to_owned))
                {
                    Some(text) => text,
                    None => continue,
                },
            };
            rows.push(&[
                (*oid).into(),
                r.oid.into(),
                r.column(column).into(),
                text.as_str().into(),
            ]);
        }
    }
    rows.finish()
}

/// Builds `information_schema.sequences`, of which those of identity columns are no part.
pub(super) fn standard(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for (r, sequence) in snapshot.sequences() {
        if sequence.owned_by.as_ref().is_some_and(|owner| owner.identity) {
            continue;
        }
        let range = &sequence.counted.range;
        let bits = match range.data_type {
            WholeNumber::Smallint => 16,
            WholeNumber::Integer => 32,
            WholeNumber::Bigint => 64,
        };
        let numbers = [range.start, range.minimum, range.maximum, range.increment];
        let [start, minimum, maximum, increment] = numbers.map(|number| number.to_string());
        rows.push(&[
            database.into(),
            r.relation.schema.as_str().into(),
            r.relation.name.as_str().into(),
            range.data_type.name().into(),
            Cell::Int(bits),
            Cell::Int(2),
            Cell::Int(0),
            start.as_str().into(),
            minimum.as_str().into(),
            maximum.as_str().into(),
            increment.as_str().into(),
            (if range.cycle { "YES" } else { "NO" }).into(),
        ]);
    }
    rows.finish()
}
