//! PostgreSQL's functions that DataFusion lacks, or answers otherwise.
//!
//! A function is one [`Function`] line in the list of its file: name, parameters, result type and body. The body sees
//! whole columns through a [`Call`], or one row at a time where the function is for catalogs only. Functions are strict
//! as in PostgreSQL: a null argument gives null, except where the list says otherwise.

mod advisory;
mod age;
mod allowed;
mod arrays;
pub(super) mod bounded;
mod call;
mod checked;
mod compared;
pub(super) mod definitions_of;
mod describe;
mod domain;
mod expand;
mod from_text;
pub(super) mod grown;
mod held;
mod identifiers;
mod json;
mod jsonb;
mod keywords;
mod names;
mod now;
mod part;
mod privileges;
mod record;
mod rounded;
mod sequences;
mod series;
mod session;
mod single_value;
mod sizes;
mod spans;
mod split;
mod sum;
mod text;
mod text_of;
mod timezone;
mod to_char;
mod type_of;
mod visibility;

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, Expr, ScalarUDF};

pub use allowed::{AllowedFunctions, allowed_functions};
pub(super) use call::{Body, Call, Function, Kind, failure};
pub(in crate::query) use compared::own;
pub(super) use expand::NAME as EXPAND_ARRAY;
pub(super) use jsonb::{CONCAT, CONTAINED, CONTAINS, DELETE};
pub(super) use keywords::NAME as KEYWORDS;
use names::NAME_SUFFIX;
pub(super) use names::REG_TYPES;
pub(super) use part::extract;
pub(super) use record::NAME as RECORD;
pub(super) use rounded::rounded;
pub(super) use spans::{divided, times};
pub(super) use text::quote_ident;
pub(super) use text_of::{is_other_text, text_of};
pub(super) use timezone::in_zone;

use super::facts::SessionFacts;
use call::PgFunction;

/// Returns the scalar functions of a session. They replace DataFusion's functions of the same name.
pub fn functions(facts: &Arc<SessionFacts>) -> Vec<ScalarUDF> {
    let lists: [&'static [Function]; 17] = [
        session::FUNCTIONS,
        visibility::FUNCTIONS,
        describe::FUNCTIONS,
        names::FUNCTIONS,
        privileges::FUNCTIONS,
        text::FUNCTIONS,
        arrays::FUNCTIONS,
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
    ];
    let listed = lists.into_iter().flatten().map(|function| PgFunction::udf(function, facts));
    listed
        .chain([
            now::now(),
            type_of::type_of(),
            expand::expand(),
            record::record(),
            timezone::timezone(),
        ])
        .chain(part::parts())
        .chain(bounded::functions())
        .chain(compared::functions())
        .chain(domain::functions())
        .chain(advisory::waiting(facts))
        .collect()
}

/// Tells whether what a function answers follows from its arguments, from who the session is and from the catalog as it sees
/// it: as long as the plan of a statement is good, so is what was worked out with it.
pub(in crate::query) fn follows_from_catalog(name: &str) -> bool {
    let lists: [&'static [Function]; 4] =
        [visibility::FUNCTIONS, describe::FUNCTIONS, names::FUNCTIONS, privileges::FUNCTIONS];
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
    let own = [single_value::single_value(), sum::sum()];
    own.into_iter().chain(held::functions()).chain(crate::profile::survivors()).collect()
}
