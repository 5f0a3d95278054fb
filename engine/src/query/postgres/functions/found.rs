//! What a pattern finds in a text: `regexp_substr`, and the array of arrays that `regexp_matches` unnests.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::Volatility;

use super::bounded::{BATCH_BYTES_MAX, too_large};
use super::matched::{letter_at, refuse_global};
use super::regexp::Compiled;
use super::split::PARTS_MAX;
use super::{Body, Call, Function, Kind, failure};
use crate::Error;

/// The function whose rows are those of `regexp_matches`.
const ALL: &str = "regexp_all_matches";
const SUBSTRING: &str = "regexp_substr";

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(ALL, &[Kind::Text, Kind::Text, Kind::Text], "__text", Body::Column(all))
        .at_least(2)
        .with_nulls()
        .with(Volatility::Immutable),
    Function::new(
        SUBSTRING,
        &[Kind::Text, Kind::Text, Kind::Int, Kind::Int, Kind::Text, Kind::Int],
        "text",
        Body::Column(substring),
    )
    .at_least(2)
    .with(Volatility::Immutable),
];

/// The groups of each match, or the match as a whole if the pattern has none. Without the option `g` there is one match.
fn all(call: &Call<'_>) -> Result<ArrayRef> {
    let DataType::List(outer) = call.result.data_type() else {
        return internal_err!("{ALL} returns a list");
    };
    let DataType::List(inner) = outer.data_type() else {
        return internal_err!("{ALL} returns lists");
    };
    let groups = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(inner));
    let mut matches = ListBuilder::new(groups).with_field(Arc::clone(outer));
    let mut compiled = Compiled::default();
    let (mut bytes, mut parts) = (0_u64, 0_usize);
    for row in 0..call.rows {
        let flags = if call.arguments.len() < 3 { Some("") } else { call.text(2, row) };
        let (Some(text), Some(pattern), Some(flags)) =
            (call.text(0, row), call.text(1, row), flags)
        else {
            // Nothing is found: there is no row.
            matches.append(true);
            continue;
        };
        let is_global = flags.contains('g');
        let regexp = compiled.of("regexp_matches", pattern, &flags.replace('g', ""))?;
        let first = usize::from(regexp.groups() > 1);
        regexp.each(text, 0, |found| {
            let groups = matches.values();
            for at in first..regexp.groups() {
                let part = found.get(at).map(|at| &text[at]);
                bytes += part.map_or(0, str::len) as u64;
                parts += 1;
                groups.values().append_option(part);
            }
            groups.append(true);
            if bytes > BATCH_BYTES_MAX || parts > PARTS_MAX {
                return Err(too_large("regexp_matches"));
            }
            Ok(if is_global { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        matches.append(true);
    }
    Ok(Arc::new(matches.finish()))
}

/// `regexp_substr(text, pattern, start, n, flags, group)`: the n-th match from a letter on, or one of its groups.
fn substring(call: &Call<'_>) -> Result<ArrayRef> {
    let mut compiled = Compiled::default();
    let given = call.arguments.len();
    let number = |at: usize, row: usize, otherwise: i64| {
        if given > at { call.int(at, row) } else { Some(otherwise) }
    };
    call.texts(SUBSTRING, |row, out| {
        let flags = if given > 4 { call.text(4, row) } else { Some("") };
        let (Some(text), Some(pattern), Some(flags)) =
            (call.text(0, row), call.text(1, row), flags)
        else {
            return Ok(false);
        };
        let numbers = (number(2, row, 1), number(3, row, 1), number(5, row, 0));
        let (Some(start), Some(nth), Some(group)) = numbers else { return Ok(false) };
        refuse_global(SUBSTRING, flags)?;
        let regexp = compiled.of(SUBSTRING, pattern, flags)?;
        let start = place("start", start, 1)?;
        let nth = place("n", nth, 1)?;
        let group = place("subexpr", group, 0)?;
        let (mut seen, mut part) = (0, None);
        if let Some(from) = letter_at(text, start) {
            regexp.each(text, from, |found| {
                seen += 1;
                if seen < nth {
                    return Ok(ControlFlow::Continue(()));
                }
                part = found.get(group);
                Ok(ControlFlow::Break(()))
            })?;
        }
        out.push_str(part.clone().map_or("", |at| &text[at]));
        Ok(part.is_some())
    })
}

/// A number of a call that begins at `least`.
pub(super) fn place(parameter: &str, value: i64, least: i64) -> Result<usize> {
    match usize::try_from(value) {
        Ok(place) if value >= least => Ok(place),
        _ => Err(invalid_value(parameter, value)),
    }
}

/// Says that a number of a call is none.
pub(super) fn invalid_value(parameter: &str, value: i64) -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "22023",
        message: format!("invalid value for parameter \"{parameter}\": {value}"),
        hint: "Matches and letters are counted from 1, groups of a pattern too.".to_owned(),
    })
}
