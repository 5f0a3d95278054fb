//! PostgreSQL's functions that DataFusion lacks, or answers otherwise.
//!
//! A function is one [`Function`] line in the list of its file: name, parameters, result type and body. The body sees
//! whole columns through a [`Call`], or one row at a time where the function is for catalogs only. Functions are strict
//! as in PostgreSQL: a null argument gives null, except where the list says otherwise.

mod acl;
mod advisory;
mod age;
mod allowed;
mod array_casts;
mod array_keys;
mod arrays;
mod average;
mod binned;
pub(super) mod bounded;
mod bytes;
mod call;
mod checked;
mod chosen;
mod compared;
mod contained;
mod date_trunc;
pub(super) mod definitions_of;
mod degrees;
mod describe;
mod divisors;
mod documents;
mod domain;
mod domains;
mod elapsed;
mod endless;
mod expand;
mod flat;
mod format;
mod found;
mod from_text;
pub(super) mod grown;
mod held;
mod identifiers;
mod index_properties;
mod integer_series;
mod interval_totals;
mod joined_arrays;
mod json;
mod jsonb;
mod keywords;
mod matched;
mod moment_series;
mod names;
mod now;
mod numbers;
mod numeric;
mod object_lists;
mod ordered;
mod overlaps;
mod part;
mod patterns;
mod privileges;
mod record;
mod records_of;
mod regexp;
mod rounded;
mod sequences;
mod series;
mod server;
mod session;
mod set_parts;
mod similar;
mod single_value;
mod sizes;
mod sleep;
mod spans;
mod split;
mod subscripts;
mod sum;
mod text;
mod text_of;
mod times_made;
mod times_read;
mod timezone;
mod to_char;
mod type_of;
mod unistr;
mod uuids;
mod variance;
mod visibility;
mod zone_part;

use std::sync::Arc;

use datafusion::arrow::datatypes::Field;
use datafusion::logical_expr::{AggregateUDF, Expr, ScalarUDF};

pub(super) use crate::error::failure;
pub use allowed::{AllowedFunctions, allowed_functions};
pub(crate) use array_casts::assigned_arrays;
pub(super) use array_casts::{
    NAME as ARRAY_CAST, array_cast, array_of, is_cut, is_other_cast, leaf_of, reads_uuids,
};
pub(super) use array_keys::array_order;
pub(super) use bytes::cut_call;
pub(super) use call::{Body, Call, Function, Kind};
pub(super) use chosen::NAMES as CHOOSING;
pub(in crate::query) use compared::own;
pub(super) use contained::{NAME as HAS, contains};
pub(super) use documents::{document, order};
pub(super) use domains::OF_DOMAIN;
pub(super) use elapsed::{INTERVAL, between, elapsed, length as interval_length, moved, span};
pub(crate) use endless::has_ends;
pub(super) use endless::{
    days_between, days_later, is_endless_day, is_endless_time, later, time_as,
};
pub(super) use expand::NAME as EXPAND_ARRAY;
pub(super) use flat::{NAME as FLAT_ARRAY, flat, has_dimensions};
pub(crate) use held::measure::bytes as bytes_held;
pub(super) use interval_totals::settled as interval_total;
pub(super) use jsonb::{CONCAT, CONTAINED, CONTAINS, DELETE};
pub(super) use keywords::NAME as KEYWORDS;
pub(super) use moment_series::NAME as MOMENT_SERIES;
use names::NAME_SUFFIX;
pub(super) use names::REG_TYPES;
pub(super) use now::call as now;
pub(crate) use numeric::numerics_of;
pub(super) use numeric::{
    arithmetic, from_float, numeric_call, plain_numeric, rounds_twice, to_float,
};
pub(super) use object_lists::object_list;
pub(super) use overlaps::NAME as OVERLAPS;
pub(super) use part::{EXTRACT, WHOLE_PRECISION, extract};
pub(super) use patterns::{Matching, matching};
pub(super) use record::{FOUND as RECORD_FOUND, NAME as RECORD};
pub(super) use records_of::NAME as RECORDS_OF;
pub(super) use rounded::rounded;
pub(super) use server::TRANSACTION_AGE;
pub(super) use set_parts::set_part;
pub(super) use single_value::single;
pub(super) use spans::{divided, times};
pub(super) use subscripts::{ELEMENT as ARRAY_ELEMENT, PART as ARRAY_PART, subscript};
pub(super) use sum::added_again;
pub(super) use text::quote_ident;
pub(super) use text_of::{is_other_text, text_of};
pub(super) use times_made::TIME_ROUNDED;
pub(super) use times_read::{read_as as read_as_times, read_times};
pub(super) use timezone::in_zone;
pub(in crate::query) use timezone::{is_in_zone, known_in_zone};
pub(super) use type_of::NAME as TYPE_OF;
pub(super) use uuids::read_uuids;
pub(super) use zone_part::{ZonePart, offset_part, zone_part};

use super::facts::SessionFacts;
use super::types::TYPE_KEY;
use call::PgFunction;

/// Returns the scalar functions of a session. They replace DataFusion's functions of the same name.
pub fn functions(facts: &Arc<SessionFacts>) -> Vec<ScalarUDF> {
    let lists: [&'static [Function]; 32] = [
        acl::FUNCTIONS,
        session::FUNCTIONS,
        server::FUNCTIONS,
        visibility::FUNCTIONS,
        describe::FUNCTIONS,
        index_properties::FUNCTIONS,
        names::FUNCTIONS,
        privileges::FUNCTIONS,
        text::FUNCTIONS,
        arrays::FUNCTIONS,
        joined_arrays::FUNCTIONS,
        to_char::FUNCTIONS,
        age::FUNCTIONS,
        from_text::FUNCTIONS,
        identifiers::FUNCTIONS,
        advisory::FUNCTIONS,
        json::FUNCTIONS,
        jsonb::FUNCTIONS,
        spans::FUNCTIONS,
        split::FUNCTIONS,
        sequences::FUNCTIONS,
        times_made::FUNCTIONS,
        numbers::FUNCTIONS,
        similar::FUNCTIONS,
        matched::FUNCTIONS,
        found::FUNCTIONS,
        bytes::FUNCTIONS,
        bytes::BITS,
        degrees::FUNCTIONS,
        overlaps::FUNCTIONS,
        unistr::FUNCTIONS,
        domains::FUNCTIONS,
    ];
    let listed = lists.into_iter().flatten().map(|function| PgFunction::udf(function, facts));
    listed
        .chain([
            type_of::type_of(),
            expand::expand(),
            records_of::records_of(),
            flat::function(),
            date_trunc::date_trunc(),
            moment_series::moment_series(facts),
            timezone::timezone(),
            sleep::sleep(),
        ])
        .chain(record::records())
        .chain(now::functions(facts))
        .chain(part::parts())
        .chain(binned::functions())
        .chain(bounded::functions())
        .chain(subscripts::functions())
        .chain(patterns::functions())
        .chain(bytes::lengths())
        .chain(bytes::cuts())
        .chain([Arc::unwrap_or_clone(contains())])
        .chain(chosen::functions())
        .chain(compared::functions())
        .chain(divisors::functions())
        .chain(domain::functions())
        .chain(numbers::functions())
        .chain(numeric::functions())
        .chain(advisory::waiting(facts))
        .collect()
}

/// Tells whether what a function answers follows from its arguments, from who the session is and from the catalog as it sees
/// it: as long as the plan of a statement is good, so is what was worked out with it.
pub(in crate::query) fn follows_from_catalog(name: &str) -> bool {
    let lists: [&'static [Function]; 5] = [
        visibility::FUNCTIONS,
        describe::FUNCTIONS,
        index_properties::FUNCTIONS,
        names::FUNCTIONS,
        privileges::FUNCTIONS,
    ];
    session::LASTING.contains(&name)
        || lists.into_iter().flatten().any(|function| function.name == name)
}

/// Calls a function over JSON by its name; `None` if there is none.
pub(super) fn call_json(
    name: &str,
    arguments: Vec<Expr>,
    facts: &Arc<SessionFacts>,
) -> Option<Expr> {
    let function = jsonb::FUNCTIONS.iter().find(|function| function.name == name)?;
    Some(PgFunction::udf(function, facts).call(arguments))
}

/// Calls the function that gives a letter of a name.
pub(super) fn letter_of(name: Expr, at: Expr, facts: &Arc<SessionFacts>) -> Option<Expr> {
    let mut functions = identifiers::FUNCTIONS.iter();
    let function = functions.find(|function| function.name == identifiers::LETTER)?;
    Some(PgFunction::udf(function, facts).call(vec![name, at]))
}

/// Tells whether values are numbers of objects that are shown by name.
pub(super) fn is_object(field: &Field) -> bool {
    let logical = field.metadata().get(TYPE_KEY);
    field.data_type().is_integer()
        && logical.is_some_and(|logical| REG_TYPES.contains(&logical.as_str()))
}

/// Calls the function that gives the number of an object of one of [`REG_TYPES`] by its name.
pub(super) fn object_named(reg: &str, name: Expr, facts: &Arc<SessionFacts>) -> Option<Expr> {
    let reg = REG_TYPES.into_iter().find(|known| *known == reg)?;
    let function = names::FUNCTIONS.iter().find(|function| function.name == reg)?;
    Some(PgFunction::udf(function, facts).call(vec![name]))
}

/// Returns the functions that show the objects of [`REG_TYPES`] by name, each with its type.
pub(super) fn name_functions(facts: &Arc<SessionFacts>) -> Vec<(&'static str, ScalarUDF)> {
    let named = |function: &'static Function| {
        let reg = function.name.strip_suffix(NAME_SUFFIX)?;
        REG_TYPES.contains(&reg).then(|| (reg, PgFunction::udf(function, facts)))
    };
    names::FUNCTIONS.iter().filter_map(named).collect()
}

/// Returns the aggregate functions of a session that DataFusion lacks or answers otherwise. They replace those of the same
/// name.
pub fn aggregates() -> Vec<AggregateUDF> {
    let own = [single_value::single_value(), sum::sum(), average::average()];
    let own = own.into_iter().chain(variance::functions()).chain(ordered::functions());
    let own = own.chain(held::functions()).chain(crate::profile::survivors());
    interval_totals::with_intervals(own.collect())
}
