//! `pg_timezone_names`, the zones that the setting `TimeZone` takes, and `pg_timezone_abbrevs`, by which times are read. The letters
//! of a zone of the first are not known here: they are null.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;

use super::definition::Definition;
use super::rows::{Cell, Rows};
use crate::query::postgres::input::ABBREVIATIONS;
use crate::query::postgres::zone::Zone;

const HALF_A_YEAR_S: i64 = 182 * 86_400;
/// Abbreviations of summer times that do not say so by their end.
const SUMMER: [&str; 5] = ["brst", "bst", "cest", "eest", "mest"];

/// Builds `pg_timezone_names` as the zones are at a time, in seconds since 1970.
pub(super) fn names(definition: &'static Definition, at: i64) -> Result<RecordBatch> {
    let mut rows = Rows::new(definition, &["name", "utc_offset", "is_dst"])?;
    let known = include_str!("data/zones.txt").lines();
    for (name, zone) in known.filter_map(|name| Some((name, Zone::parse(name)?))) {
        // In summer the clock is ahead of what it is half a year before and after.
        let offset = zone.offset_at(at);
        let is_dst = offset > zone.offset_at(at.saturating_sub(HALF_A_YEAR_S))
            && offset > zone.offset_at(at.saturating_add(HALF_A_YEAR_S));
        rows.push(&[name.into(), Cell::Seconds(offset), is_dst.into()]);
    }
    rows.finish()
}

/// Builds `pg_timezone_abbrevs`.
pub(super) fn abbreviations(definition: &'static Definition) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for (name, minutes) in ABBREVIATIONS {
        let is_dst = SUMMER.contains(&name) || name.ends_with("dt");
        let name = name.to_ascii_uppercase();
        rows.push(&[name.as_str().into(), Cell::Seconds(minutes * 60), is_dst.into()]);
    }
    rows.finish()
}
