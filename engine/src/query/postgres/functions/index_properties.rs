//! What kinds of indexes, and the indexes of keys, can do: every index here is the B-tree of a key, in ascending order.

use datafusion::common::Result;

use super::{Body, Call, Function, Kind, names};
use crate::query::postgres::snapshot::NumberedKey;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(
        "pg_indexam_has_property",
        &[Kind::Int, Kind::Text],
        "bool",
        Body::Bool(of_method),
    ),
    Function::new(
        "pg_index_has_property",
        &[Kind::Object, Kind::Text],
        "bool",
        Body::Bool(of_index),
    ),
    Function::new(
        "pg_index_column_has_property",
        &[Kind::Object, Kind::Int, Kind::Text],
        "bool",
        Body::Bool(of_column),
    ),
];

/// What the access methods of indexes can do, by `pg_am.oid`.
const METHODS: [(i64, &[&str]); 6] = [
    (403, &["can_order", "can_unique", "can_multi_col", "can_exclude", "can_include"]),
    (405, &["can_exclude"]),
    (783, &["can_multi_col", "can_exclude", "can_include"]),
    (2742, &["can_multi_col"]),
    (3580, &["can_multi_col"]),
    (4000, &["can_exclude", "can_include"]),
];

/// What a B-tree can do as a whole.
const OF_INDEX: [&str; 4] = ["clusterable", "index_scan", "bitmap_scan", "backward_scan"];

/// What it can do with a column that is sorted in ascending order.
const OF_COLUMN: [&str; 6] =
    ["asc", "nulls_last", "orderable", "returnable", "search_array", "search_nulls"];
/// What it cannot.
const NOT_OF_COLUMN: [&str; 3] = ["desc", "nulls_first", "distance_orderable"];

/// The property that is asked for, in letters of any case; `None` if it is none of these.
fn asked<'a>(call: &Call<'_>, argument: usize, row: usize, known: &[&'a str]) -> Option<&'a str> {
    let text = call.text(argument, row)?;
    known.iter().copied().find(|known| known.eq_ignore_ascii_case(text))
}

fn of_method(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let (_, all) = METHODS[0];
    let method = METHODS.iter().find(|(oid, _)| Some(*oid) == call.int(0, row));
    Ok(match (method, asked(call, 1, row, all)) {
        (Some((_, can)), Some(property)) => Some(can.contains(&property)),
        _ => None,
    })
}

fn of_index(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    Ok(key(call, row)?.and_then(|_| asked(call, 1, row, &OF_INDEX)).map(|_| true))
}

fn of_column(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let Some(key) = key(call, row)? else { return Ok(None) };
    let place = call.int(1, row).and_then(|place| usize::try_from(place).ok());
    if !place.is_some_and(|place| (1..=key.columns.len()).contains(&place)) {
        return Ok(None);
    }
    let can = asked(call, 2, row, &OF_COLUMN).map(|_| true);
    Ok(can.or_else(|| asked(call, 2, row, &NOT_OF_COLUMN).map(|_| false)))
}

/// The key whose index is asked about.
fn key<'a>(call: &Call<'a>, row: usize) -> Result<Option<&'a NumberedKey>> {
    let oid = names::object(call, 0, row, "regclass")?.and_then(|oid| u32::try_from(oid).ok());
    let found = oid.and_then(|oid| Some((oid, call.snapshot.with_key(oid)?.1)));
    Ok(found.filter(|(oid, key)| key.index == *oid).map(|(_, key)| key))
}
