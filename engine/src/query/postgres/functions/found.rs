//! What a pattern finds in a text: `regexp_substr`, and the array of arrays that `regexp_matches` unnests.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::Volatility;
use regex::{Captures, Regex};

use super::bounded::{BATCH_BYTES_MAX, too_large};
use super::split::{PARTS_MAX, compile};
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

/// The pattern of the row before, which mostly is that of all rows.
#[derive(Default)]
struct Compiled(Option<(String, String, Regex)>);

impl Compiled {
    fn of(&mut self, function: &str, pattern: &str, flags: &str) -> Result<&Regex> {
        let known = self.0.take().filter(|(p, f, _)| p == pattern && f == flags);
        let compiled = match known {
            Some(compiled) => compiled,
            None => {
                let regex = compile(function, pattern, flags)?;
                (pattern.to_owned(), flags.to_owned(), regex)
            }
        };
        Ok(&self.0.insert(compiled).2)
    }
}

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
        let regex = compiled.of("regexp_matches", pattern, &flags.replace('g', ""))?;
        let first = usize::from(regex.captures_len() > 1);
        for found in regex.captures_iter(text).take(if is_global { usize::MAX } else { 1 }) {
            let groups = matches.values();
            for at in first..regex.captures_len() {
                let part = found.get(at).map(|part| part.as_str());
                bytes += part.map_or(0, str::len) as u64;
                parts += 1;
                groups.values().append_option(part);
            }
            groups.append(true);
            if bytes > BATCH_BYTES_MAX || parts > PARTS_MAX {
                return Err(too_large("regexp_matches"));
            }
        }
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
        if flags.contains('g') {
            return Err(invalid(format!("{SUBSTRING}() does not support the \"global\" option")));
        }
        let regex = compiled.of(SUBSTRING, pattern, flags)?;
        let start = place("start", start, 1)?;
        let nth = place("n", nth, 1)?;
        let group = place("subexpr", group, 0)?;
        let from = text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(start - 1);
        let found: Option<Captures<'_>> =
            from.and_then(|from| regex.captures_iter(&text[from..]).nth(nth - 1));
        match found.as_ref().and_then(|found| found.get(group)) {
            Some(part) => out.push_str(part.as_str()),
            None => return Ok(false),
        }
        Ok(true)
    })
}

/// A number of a call that begins at `least`.
fn place(parameter: &str, value: i64, least: i64) -> Result<usize> {
    match usize::try_from(value) {
        Ok(place) if value >= least => Ok(place),
        _ => Err(invalid(format!("invalid value for parameter \"{parameter}\": {value}"))),
    }
}

fn invalid(message: String) -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "22023",
        message,
        hint: "Matches and letters are counted from 1, groups of a pattern too.".to_owned(),
    })
}
