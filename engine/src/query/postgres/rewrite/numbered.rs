//! Rows of `FROM` that come from lists: functions `WITH ORDINALITY`, and series of parameters.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, FunctionArg, Ident, TableAlias, TableAliasColumnDef, TableFactor, Value,
};

use super::made::array;
use super::relations::{self, cast};
use super::{arrays, call, function_name, json, literals, unnamed};

/// What the column of numbers is called.
pub(super) const ORDINALITY: &str = "ordinality";

/// A function `WITH ORDINALITY`; `None` for all else, and for functions that give no lists.
pub(super) fn with_ordinality(factor: &TableFactor) -> Option<TableFactor> {
    let (function, values, alias) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality: true, .. } => {
            (function_name(name)?, arguments(&args.args)?, alias)
        }
        TableFactor::Function { name, args, alias, with_ordinality: true, .. } => {
            (function_name(name)?, arguments(args)?, alias)
        }
        TableFactor::UNNEST { alias, array_exprs, with_ordinality: true, .. } => {
            ("unnest".to_owned(), array_exprs.clone(), alias)
        }
        _ => return None,
    };
    if json::parts_of(&function).is_some() {
        return relations::json_rows(&function, values, alias.clone(), true);
    }
    if function == "unnest" {
        let [list] = <[Expr; 1]>::try_from(values).ok()?;
        return Some(elements(list, alias.clone()));
    }
    let list = list_of(&function, values)?;
    let numbers = numbers(&list);
    Some(unnest(alias.clone(), &function, vec![list, numbers], &[function.as_str(), ORDINALITY]))
}

/// The elements of an array with their numbers.
fn elements(mut list: Expr, alias: Option<TableAlias>) -> TableFactor {
    let numbers = places(std::slice::from_ref(&list));
    arrays::flatten_rows(&mut list);
    unnest(alias, "unnest", vec![list, numbers], &["unnest", ORDINALITY])
}

/// The places of the elements of lists that become rows together.
pub(super) fn places(lists: &[Expr]) -> Expr {
    cast(call("array_ordinals", lists.to_vec()), array(DataType::BigInt(None)))
}

fn arguments(args: &[FunctionArg]) -> Option<Vec<Expr>> {
    let values = unnamed(args);
    (values.len() == args.len()).then_some(values)
}

/// The list whose parts are the rows of a function.
fn list_of(function: &str, values: Vec<Expr>) -> Option<Expr> {
    match function {
        "generate_series" => Some(series(function, values)),
        _ => Some(call(rows_of(function)?, values)),
    }
}

/// The function that gives as a list what another gives as rows.
pub(super) fn rows_of(function: &str) -> Option<&'static str> {
    Some(match function {
        "generate_subscripts" => "array_subscripts",
        "regexp_matches" => "regexp_all_matches",
        "regexp_split_to_table" => "regexp_split_to_array",
        "string_to_table" => "string_to_array",
        _ => return None,
    })
}

/// The places of the parts of a list.
pub(super) fn numbers(list: &Expr) -> Expr {
    let first = Expr::Value(Value::Number("1".into(), false).into());
    let places = call("array_subscripts", vec![list.clone(), first]);
    cast(places, array(DataType::BigInt(None)))
}

/// A series as a list: of integers it is one of integers, which DataFusion counts in bigints.
pub(super) fn series(function: &str, values: Vec<Expr>) -> Expr {
    let is_integer = |value: &Expr| {
        is_parameter(value)
            || literals::is_integer(value)
            || matches!(value, Expr::Cast { data_type, .. }
                if matches!(data_type, DataType::Int(_) | DataType::Int4(_) | DataType::Integer(_)))
    };
    if !values.iter().all(is_integer) {
        return call(function, values);
    }
    let values = values.into_iter().map(|value| cast(value, DataType::BigInt(None)));
    cast(call(function, values.collect()), array(literals::INTEGER))
}

/// Tells whether a value is a parameter.
pub(super) fn is_parameter(value: &Expr) -> bool {
    match value {
        Expr::Nested(inner) => is_parameter(inner),
        Expr::Value(value) => matches!(value.value, Value::Placeholder(_)),
        _ => false,
    }
}

/// Lists side by side as rows. The first column of a function is called like its alias, the others as they are `named`.
fn unnest(
    alias: Option<TableAlias>,
    function: &str,
    lists: Vec<Expr>,
    named: &[&str],
) -> TableFactor {
    let mut alias = alias.unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::new(function),
        columns: vec![],
        at: None,
    });
    for (at, name) in named.iter().enumerate().skip(alias.columns.len()) {
        let name = match at == 0 && *name == function {
            true => alias.name.clone(),
            false => Ident::new(*name),
        };
        alias.columns.push(TableAliasColumnDef { name, data_type: None });
    }
    TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs: lists,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    }
}
