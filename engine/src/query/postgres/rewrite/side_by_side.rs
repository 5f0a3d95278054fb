//! Functions of rows side by side in `FROM`: `unnest(a, b)`, which is `ROWS FROM (unnest(a), unnest(b))`.
//!
//! Each of their columns is a list, and the lists become rows together: null stands for what one lacks that is shorter than
//! others. A column is called like its function, so that several may have one name.

use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, Ident, SelectItem, SetExpr, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins,
};

use super::columns::{UNIQUE, unique};
use super::numbered::{self, ORDINALITY};
use super::relations::LISTS;
use super::{
    arguments, arrays, call, expressions, function_name, json, normal, null, times, unnamed,
};
use crate::query::postgres::functions::MOMENT_SERIES;
use crate::query::syntax::ROWS_FROM;

/// A function with the values that it is called with.
type Call = (String, Vec<Expr>);

/// A column of the rows.
struct Column {
    name: String,
    list: Expr,
    /// Its type, where a list does not have it.
    of: Option<DataType>,
}

/// The rows of functions side by side.
struct Rows<'a> {
    /// What they are called without an alias: like the first function.
    name: String,
    alias: Option<&'a TableAlias>,
    columns: Vec<Column>,
    /// Whether the rows have numbers behind these columns.
    is_numbered: bool,
}

/// The relation of functions side by side; `None` for all else.
pub(super) fn relation(factor: &TableFactor) -> Option<TableFactor> {
    let rows = Rows::of(factor)?;
    let mut lists: Vec<Expr> = rows.columns.iter().map(|column| column.list.clone()).collect();
    let numbers = rows.is_numbered.then(|| numbered::places(&lists));
    lists.iter_mut().for_each(arrays::flatten_rows);
    let mut lists = apart(&lists);
    lists.extend(numbers);
    let mut alias = rows.alias.cloned().unwrap_or_else(|| named(&rows.name));
    let names = rows.idents();
    // More names than there are columns are refused where it is planned.
    let is_refused = alias.columns.len() > names.len();
    let columns: Vec<_> = names.iter().cloned().map(definition).collect();
    if rows.columns.iter().all(|column| column.of.is_none()) {
        if !is_refused {
            alias.columns = columns;
        }
        return Some(unnest(alias, lists));
    }
    if !is_refused {
        alias.columns.clear();
    }
    let inner = TableAlias { columns, ..named(LISTS) };
    let types = rows.columns.into_iter().map(|column| column.of).chain([None]);
    let items = names.into_iter().zip(types).map(|(alias, of)| {
        let expr = json::of_type(Expr::Identifier(alias.clone()), of);
        SelectItem::ExprWithAlias { expr, alias }
    });
    let mut query = expressions::select(items.collect());
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![TableWithJoins { relation: unnest(inner, lists), joins: vec![] }];
    }
    let subquery = Box::new(query);
    Some(TableFactor::Derived { lateral: true, subquery, alias: Some(alias), sample: None })
}

/// The name of such a relation without an alias, and those of its columns, of which several may be one.
pub(super) fn names(factor: &TableFactor) -> Option<(String, Vec<String>)> {
    let rows = Rows::of(factor)?;
    let names = rows.columns.into_iter().map(|column| column.name);
    let number = rows.is_numbered.then(|| ORDINALITY.to_owned());
    Some((rows.name, names.chain(number).collect()))
}

impl<'a> Rows<'a> {
    fn of(factor: &'a TableFactor) -> Option<Self> {
        let (calls, alias, is_numbered) = match factor {
            TableFactor::UNNEST {
                alias, array_exprs, with_offset: false, with_ordinality, ..
            } if array_exprs.len() > 1 && !is_made(alias.as_ref()) => {
                (unnested(array_exprs.clone()), alias, *with_ordinality)
            }
            TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
                (called(&function_name(name)?, &args.args)?, alias, *with_ordinality)
            }
            TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                (called(&function_name(name)?, args)?, alias, *with_ordinality)
            }
            _ => return None,
        };
        let name = calls.first()?.0.clone();
        let alias = alias.as_ref();
        // The column of one function alone is called like the relation.
        let alone = match calls.as_slice() {
            [_] => alias.map(|alias| normal(&alias.name)),
            _ => None,
        };
        let columns = calls.into_iter().flat_map(|one| columns(one, alone.as_deref())).collect();
        Some(Rows { name, alias, columns, is_numbered })
    }

    /// What the columns are called where each has a name of its own: as the alias says, and behind that as they are.
    fn idents(&self) -> Vec<Ident> {
        let given = self.alias.map_or(&[][..], |alias| alias.columns.as_slice());
        let names = self.columns.iter().map(|column| column.name.as_str());
        let names = names.chain(self.is_numbered.then_some(ORDINALITY));
        let mut counts: HashMap<String, usize> = HashMap::new();
        let own = names.enumerate().map(|(at, name)| {
            let given = given.get(at).map(|column| &column.name);
            let name = given.map_or_else(|| name.to_owned(), normal);
            let count = counts.entry(name.clone()).or_default();
            let again = *count;
            *count += 1;
            match given {
                Some(given) => given.clone(),
                None => Ident::with_quote('"', unique(&name, again)),
            }
        });
        own.collect()
    }
}

/// The functions that stand side by side in a call; `None` where it is one function.
fn called(function: &str, args: &[FunctionArg]) -> Option<Vec<Call>> {
    match function {
        ROWS_FROM => {
            let calls: Option<Vec<Vec<Call>>> = args.iter().map(within).collect();
            calls.map(|calls| calls.concat())
        }
        "unnest" if args.len() > 1 => {
            let arrays = unnamed(args);
            (arrays.len() == args.len()).then(|| unnested(arrays))
        }
        _ => None,
    }
}

/// What a function within `ROWS FROM` stands for; `None` for what is no function.
fn within(arg: &FunctionArg) -> Option<Vec<Call>> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(function))) = arg else {
        return None;
    };
    let (name, values) = (function_name(&function.name)?, arguments(&function.args));
    Some(match name.as_str() {
        "unnest" => unnested(values),
        _ => vec![(name, values)],
    })
}

fn unnested(arrays: Vec<Expr>) -> Vec<Call> {
    arrays.into_iter().map(|array| ("unnest".to_owned(), vec![array])).collect()
}

/// The columns of the rows that a function gives; `alone` is what its column is called if it stands alone.
fn columns((function, values): Call, alone: Option<&str>) -> Vec<Column> {
    let own = alone.unwrap_or(&function).to_owned();
    if let Some(parts) = json::parts_of(&function) {
        let column = |part: json::Part| Column {
            name: part.column.map_or_else(|| own.clone(), str::to_owned),
            list: call(part.list, values.clone()),
            of: part.of,
        };
        return parts.into_iter().map(column).collect();
    }
    let list = match function.as_str() {
        "unnest" => values.into_iter().next().unwrap_or_else(null),
        "generate_series" if times::are_times(&values) => call(MOMENT_SERIES, values),
        "generate_series" => numbered::series(&function, values),
        name => match numbered::rows_of(name) {
            Some(list) => call(list, values),
            // Any other function is one row.
            None => call("make_array", vec![call(name, values)]),
        },
    };
    vec![Column { name: own, list, of: None }]
}

/// Lists that the planner tells apart, which it does by how they are written.
fn apart(lists: &[Expr]) -> Vec<Expr> {
    let apart = lists.iter().enumerate().map(|(at, list)| {
        let again = lists[..at].iter().filter(|other| *other == list).count();
        (0..again).fold(list.clone(), |list, _| call("array_whole", vec![list]))
    });
    apart.collect()
}

/// Tells whether lists were put side by side here, and no statement did.
fn is_made(alias: Option<&TableAlias>) -> bool {
    alias.is_some_and(|alias| alias.name.value.starts_with(UNIQUE))
}

fn unnest(alias: TableAlias, array_exprs: Vec<Expr>) -> TableFactor {
    TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    }
}

fn named(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::with_quote('"', name), columns: vec![], at: None }
}

fn definition(name: Ident) -> TableAliasColumnDef {
    TableAliasColumnDef { name, data_type: None }
}
