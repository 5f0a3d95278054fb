//! Names and functions in `FROM`.

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
    TableFunctionArgs, TableWithJoins,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::json::{self, Part};
use super::numbered::{self, ORDINALITY, numbers};
use super::scope::Cte;
use super::{
    call, expressions, function_name, literals, parts, records, side_by_side, times, unnamed,
};
use crate::query::postgres::catalog::definition;
use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::functions::{KEYWORDS, MOMENT_SERIES};
use crate::query::postgres::snapshot::RelationKind;

/// The schema that DataFusion looks in for names without one.
const DEFAULT_SCHEMA: &str = "public";

/// The relation of the lists that become rows: no text of a statement has such a name.
pub(in crate::query::postgres) const LISTS: &str = "\u{1}parts";

/// Resolves a relation's name, and makes a function in `FROM` a relation.
pub(super) fn rewrite(factor: &mut TableFactor, facts: &SessionFacts, ctes: &[Vec<Cte>]) {
    let rows = side_by_side::relation(factor).or_else(|| numbered::with_ordinality(factor));
    if let Some(rows) = rows.or_else(|| integers(factor)) {
        *factor = rows;
        return;
    }
    match factor {
        TableFactor::Table { name, args: None, .. } => resolve(name, facts, ctes),
        TableFactor::Table { name, args: given, alias, with_ordinality: false, .. } => {
            let Some(function) = function_name(name) else { return };
            let Some(args) = given else { return };
            if function == EXTENSIONS && args.args.is_empty() {
                let alias = alias.take().unwrap_or_else(|| named(&function));
                *factor = extensions(alias);
                return;
            }
            if let Some(relation) = of_catalog(&function).filter(|_| args.args.is_empty()) {
                *name = ObjectName::from(vec![Ident::new("pg_catalog"), Ident::new(relation)]);
                *given = None;
                alias.get_or_insert_with(|| named(&function));
                return;
            }
            let explains = explains(&function, facts);
            if !explains && let Some(relation) = relation(&function, args, alias) {
                *factor = relation;
            } else if function == KEYWORDS || explains {
                // Its columns have names of their own.
                *name = ObjectName::from(vec![Ident::new(function.as_str())]);
                alias.get_or_insert_with(|| named(&function));
            } else {
                *name = ObjectName::from(vec![Ident::new(function.as_str())]);
                *alias = Some(with_column(alias.take(), &function));
            }
        }
        // `LATERAL` before a function says what holds for functions anyway.
        TableFactor::Function { name, args, alias, with_ordinality: false, .. }
            if function_name(name).is_some_and(|name| gives_rows(&name)) =>
        {
            *factor = TableFactor::Table {
                name: name.clone(),
                alias: alias.take(),
                args: Some(TableFunctionArgs { args: std::mem::take(args), settings: None }),
                with_hints: vec![],
                version: None,
                with_ordinality: false,
                partitions: vec![],
                json_path: None,
                sample: None,
                index_hints: vec![],
            };
            rewrite(factor, facts, ctes);
        }
        TableFactor::UNNEST { alias, array_exprs, .. } if array_exprs.len() == 1 => {
            *alias = Some(with_column(alias.take(), "unnest"));
        }
        _ => {}
    }
}

/// The relation of the catalog whose rows a function gives.
fn of_catalog(function: &str) -> Option<&'static str> {
    Some(match function {
        "pg_cursor" => "pg_cursors",
        "pg_lock_status" => "pg_locks",
        "pg_prepared_statement" => "pg_prepared_statements",
        "pg_show_all_settings" => "pg_settings",
        "pg_timezone_abbrevs" => "pg_timezone_abbrevs",
        "pg_timezone_names" => "pg_timezone_names",
        _ => return None,
    })
}

/// The function that tells of extensions, with fewer columns than the view of its name.
const EXTENSIONS: &str = "pg_available_extensions";

/// The rows that the function gives.
fn extensions(alias: TableAlias) -> TableFactor {
    let text = "SELECT name, default_version, comment FROM pg_catalog.pg_available_extensions";
    let parsed = Parser::new(&PostgreSqlDialect {})
        .try_with_sql(text)
        .and_then(|mut parser| parser.parse_query());
    let subquery = parsed.expect("the text is a constant and parses");
    TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None }
}

/// Tells whether a function gives a row for each part of its argument.
pub(super) fn gives_rows(function: &str) -> bool {
    ["unnest", "generate_series"].contains(&function)
        || numbered::rows_of(function).is_some()
        || json::parts_of(function).is_some()
        || records::is_one(function)
}

/// Tells whether a function explains profiles, and there are some to explain.
fn explains(function: &str, facts: &SessionFacts) -> bool {
    crate::explain::NAMES.contains(&function)
        && facts.snapshot().named(DEFAULT_SCHEMA, "profiles").is_some()
}

/// Gives a name without schema the schema that the search path finds it in.
fn resolve(name: &mut ObjectName, facts: &SessionFacts, ctes: &[Vec<Cte>]) {
    let names = parts(name);
    let [table] = names.as_slice() else { return };
    if ctes.iter().flatten().any(|cte| cte.name == *table) {
        return;
    }
    let snapshot = facts.snapshot();
    let has = |schema: &String| {
        definition(schema, table).is_some() || snapshot.named(schema, table).is_some()
    };
    // Views of the default schema, too: a view is told from an alias by the schema in its name.
    let is_view = |schema: &String| {
        let known = snapshot.named(schema, table);
        known.is_some_and(|known| known.relation.kind == RelationKind::View)
    };
    match facts.search_path().into_iter().find(has) {
        Some(schema) if schema != DEFAULT_SCHEMA || is_view(&schema) => {
            let quoted = |part: &str| Ident::with_quote('"', part);
            *name = ObjectName::from(vec![quoted(&schema), quoted(table)]);
        }
        _ => {}
    }
}

/// In `SELECT v.* FROM v` the relation is named with its schema where it is so in `FROM`: DataFusion knows it by that name.
pub(super) fn qualify_wildcards(select: &mut Select) {
    let mut names = Vec::new();
    select.from.iter().for_each(|from| collect_names(from, &mut names));
    for item in &mut select.projection {
        if let SelectItem::QualifiedWildcard(
            SelectItemQualifiedWildcardKind::ObjectName(relation),
            _,
        ) = item
            && let [table] = parts(relation).as_slice()
            && let Some(name) = names.iter().find(|name| parts(name).last() == Some(table))
        {
            *relation = (*name).clone();
        }
    }
}

/// The names of relations that have no other name and stand with their schema.
fn collect_names<'a>(from: &'a TableWithJoins, names: &mut Vec<&'a ObjectName>) {
    let factors = std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation));
    for factor in factors {
        match factor {
            TableFactor::Table { name, alias: None, args: None, .. } if name.0.len() > 1 => {
                names.push(name);
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                collect_names(table_with_joins, names);
            }
            _ => {}
        }
    }
}

/// The relation for a function in `FROM`; `None` for functions that DataFusion knows as relations.
fn relation(
    function: &str,
    args: &TableFunctionArgs,
    alias: &mut Option<TableAlias>,
) -> Option<TableFactor> {
    let values = unnamed(&args.args);
    let unnest = |array: Expr, alias: Option<TableAlias>| TableFactor::UNNEST {
        alias: Some(with_column(alias, function)),
        array_exprs: vec![array],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
    if let Some(list) = numbered::rows_of(function) {
        return Some(unnest(call(list, values), alias.take()));
    }
    match function {
        "unnest" if values.len() == 1 => Some(unnest(values.into_iter().next()?, alias.take())),
        name if json::parts_of(name).is_some() => json_rows(name, values, alias.take(), false),
        name if records::is_one(name) => records::relation(name, &values, alias),
        "generate_series" | "range" if times::are_times(&values) => {
            Some(unnest(call(MOMENT_SERIES, values), alias.take()))
        }
        // With constant bounds a series is a stream, otherwise an array.
        "generate_series" | "range" if values.iter().all(is_constant) => None,
        KEYWORDS => None,
        "generate_series" | "range" => {
            Some(unnest(numbered::series(function, values), alias.take()))
        }
        // Any other function is one row.
        _ => {
            let name = Ident::new(function);
            let query = expressions::select(vec![SelectItem::ExprWithAlias {
                expr: call(function, values),
                alias: name,
            }]);
            let alias = with_column(alias.take(), function);
            Some(TableFactor::Derived {
                lateral: false,
                subquery: Box::new(query),
                alias: Some(alias),
                sample: None,
            })
        }
    }
}

/// A series of integers: DataFusion's are of bigints.
fn integers(factor: &TableFactor) -> Option<TableFactor> {
    if !matches!(factor, TableFactor::Table { args: Some(_), .. }) {
        return None;
    }
    let mut bigints = factor.clone();
    let TableFactor::Table { name, args: Some(args), alias, with_ordinality: false, .. } =
        &mut bigints
    else {
        return None;
    };
    let function = function_name(name).filter(|name| name == "generate_series")?;
    for arg in &mut args.args {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else { return None };
        if !literals::is_integer(expr) {
            return None;
        }
        *expr = cast(expr.clone(), DataType::BigInt(None));
    }
    let alias = with_column(alias.take(), &function);
    let column = Ident::new(function.as_str());
    let mut query = expressions::select(vec![SelectItem::ExprWithAlias {
        expr: cast(Expr::Identifier(column.clone()), literals::INTEGER),
        alias: column,
    }]);
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![TableWithJoins { relation: bigints, joins: vec![] }];
    }
    let subquery = Box::new(query);
    Some(TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None })
}

pub(super) fn cast(expr: Expr, data_type: DataType) -> Expr {
    let (kind, expr) = (CastKind::Cast, Box::new(expr));
    Expr::Cast { kind, expr, data_type, array: false, format: None }
}

pub(super) fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) if numbered::is_parameter(expr) => false,
        Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_) => true,
        Expr::UnaryOp { expr, .. } | Expr::Cast { expr, .. } | Expr::Nested(expr) => {
            is_constant(expr)
        }
        _ => false,
    }
}

/// The parts of JSON as rows, which may be of the row before, with their places if they are `numbered`.
pub(super) fn json_rows(
    function: &str,
    values: Vec<Expr>,
    alias: Option<TableAlias>,
    numbered: bool,
) -> Option<TableFactor> {
    let parts = json::parts_of(function)?;
    let mut alias = alias.unwrap_or_else(|| named(function));
    let name = |part: &Part| Ident::new(part.column.unwrap_or(function));
    if let [Part { column: None, .. }] = parts.as_slice() {
        alias = with_column(Some(alias), function);
    }
    // The columns have the names of the alias at once. More of them than there are columns are refused where it is planned.
    let width = parts.len() + usize::from(numbered);
    let given: Vec<Ident> = match alias.columns.len() <= width {
        true => alias.columns.drain(..).map(|column| column.name).collect(),
        false => Vec::new(),
    };
    let column = |name: Ident| TableAliasColumnDef { name, data_type: None };
    let mut columns: Vec<TableAliasColumnDef> =
        parts.iter().map(|part| column(name(part))).collect();
    let mut array_exprs: Vec<Expr> =
        parts.iter().map(|part| call(part.list, values.clone())).collect();
    if numbered {
        columns.push(column(Ident::new(ORDINALITY)));
        array_exprs.push(numbers(array_exprs.first()?));
    }
    let lists = TableFactor::UNNEST {
        alias: Some(TableAlias { columns, ..named(LISTS) }),
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
    let shown = parts.into_iter().enumerate().map(|(at, part)| {
        let column = name(&part);
        let alias = given.get(at).unwrap_or(&column).clone();
        SelectItem::ExprWithAlias { expr: json::of_type(Expr::Identifier(column), part.of), alias }
    });
    let number = numbered.then(|| {
        let column = Ident::new(ORDINALITY);
        let alias = given.get(width - 1).unwrap_or(&column).clone();
        SelectItem::ExprWithAlias { expr: Expr::Identifier(column), alias }
    });
    let mut query = expressions::select(shown.chain(number).collect());
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![TableWithJoins { relation: lists, joins: vec![] }];
    }
    let subquery = Box::new(query);
    Some(TableFactor::Derived { lateral: true, subquery, alias: Some(alias), sample: None })
}

fn named(function: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::new(function), columns: vec![], at: None }
}

/// The one column of a function is named like its alias, or like the function.
fn with_column(alias: Option<TableAlias>, function: &str) -> TableAlias {
    let mut alias = alias.unwrap_or_else(|| named(function));
    if alias.columns.is_empty() {
        alias.columns = vec![TableAliasColumnDef { name: alias.name.clone(), data_type: None }];
    }
    alias
}
