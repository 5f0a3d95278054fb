//! The shape of queries: numbers of columns, positions, names that are given twice, limits.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, GroupByExpr, LimitClause, ObjectName, OrderByKind, Query,
    Select, SelectItem, SetExpr, Spanned, TableFactor, TableWithJoins, UnaryOperator, Value,
    ValueWithSpan,
};
use datafusion::sql::sqlparser::tokenizer::Span as TextSpan;

use super::Fault;
use super::calls::last_name;
use crate::error::Result;
use crate::query::DATABASE;
use crate::query::postgres::rewrite::normal;
use crate::query::syntax::ROWS_FROM;

/// How many columns a query has, where `*` is not among them.
pub(super) fn width(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Select(select) => {
            let star = |item: &SelectItem| {
                matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
            };
            (!select.projection.iter().any(star)).then_some(select.projection.len())
        }
        SetExpr::Query(query) => width(&query.body),
        SetExpr::SetOperation { left, right, .. } => width(left).or_else(|| width(right)),
        SetExpr::Values(values) => values.rows.first().map(|row| row.len()),
        _ => None,
    }
}

/// Checks what a query has around its body, and the body unless it is one `SELECT`.
pub(super) fn check_query(query: &Query) -> Result<()> {
    if let Some(with) = &query.with {
        for (at, table) in with.cte_tables.iter().enumerate() {
            let name = normal(&table.alias.name);
            if with.cte_tables[..at].iter().any(|before| normal(&before.alias.name) == name) {
                let message = format!("WITH query name \"{name}\" specified more than once");
                let hint = "Give one of the two another name.";
                return Err(Fault::new("42712", message, hint).at(table.alias.name.span));
            }
        }
    }
    check_body(&query.body)?;
    let order = query.order_by.as_ref().map(|order| &order.kind);
    if let (Some(OrderByKind::Expressions(order)), Some(width)) = (order, width(&query.body)) {
        for by in order {
            check_position(&by.expr, width, "ORDER BY")?;
        }
    }
    match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => {
            if let Some(limit) = limit {
                check_limit(limit, "LIMIT", "2201W")?;
            }
            offset.iter().try_for_each(|offset| check_limit(&offset.value, "OFFSET", "2201X"))
        }
        _ => Ok(()),
    }
}

fn check_body(body: &SetExpr) -> Result<()> {
    match body {
        SetExpr::SetOperation { op, left, right, .. } => {
            check_body(left)?;
            check_body(right)?;
            match (width(left), width(right)) {
                (Some(one), Some(other)) if one != other => {
                    let message = format!("each {op} query must have the same number of columns");
                    let hint = format!(
                        "The query before has {one}, this one {other}: write NULL where one has nothing to say."
                    );
                    Err(Fault::new("42601", message, hint).at(first_column(right)))
                }
                _ => Ok(()),
            }
        }
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.len());
            match values.rows.iter().find(|row| row.len() != width) {
                None => Ok(()),
                Some(row) => {
                    let span = row.first().map_or_else(TextSpan::empty, Spanned::span);
                    let hint = format!("The first has {width} values, this one {}.", row.len());
                    let message = "VALUES lists must all be the same length";
                    Err(Fault::new("42601", message, hint).at(span))
                }
            }
        }
        _ => Ok(()),
    }
}

/// Where the first column of a query stands.
fn first_column(body: &SetExpr) -> TextSpan {
    column(body, 0)
}

/// Where a column of a query stands.
pub(super) fn column(body: &SetExpr, index: usize) -> TextSpan {
    match body {
        SetExpr::Select(select) => {
            select.projection.get(index).map_or_else(TextSpan::empty, Spanned::span)
        }
        SetExpr::Query(query) => column(&query.body, index),
        SetExpr::SetOperation { left, .. } => column(left, index),
        other => other.span(),
    }
}

fn check_position(by: &Expr, width: usize, clause: &str) -> Result<()> {
    let Expr::Value(ValueWithSpan { value: Value::Number(number, _), span }) = by else {
        return Ok(());
    };
    match number.parse::<usize>() {
        Ok(position) if position == 0 || position > width => {
            let message = format!("{clause} position {number} is not in select list");
            let hint = format!("Columns are counted from 1 to {width}.");
            Err(Fault::new("42P10", message, hint).at(*span))
        }
        _ => Ok(()),
    }
}

fn check_limit(limit: &Expr, clause: &str, negative: &'static str) -> Result<()> {
    let hint = "Write a whole number that is not negative, or leave it out for all rows.";
    match limit {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } if matches!(expr.as_ref(), Expr::Value(value) if matches!(value.value, Value::Number(..))) =>
        {
            let message = format!("{clause} must not be negative");
            Err(Fault::new(negative, message, hint).at(TextSpan::empty()))
        }
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), span })
            if text.trim().parse::<i64>().is_err() =>
        {
            Err(Fault::new("22P02", "invalid input syntax for type bigint", hint).at(*span))
        }
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
            let message = format!("argument of {clause} must not contain variables");
            Err(Fault::new("42P10", message, hint).at(limit.span()))
        }
        _ => Ok(()),
    }
}

/// Checks what a `SELECT` names and counts.
pub(super) fn check_select(select: &Select) -> Result<()> {
    let star = select.projection.iter().find_map(|item| match item {
        SelectItem::Wildcard(options) => Some(options.span()),
        _ => None,
    });
    if let (true, Some(span)) = (select.from.is_empty(), star) {
        let message = "SELECT * with no tables specified is not valid";
        return Err(Fault::new("42601", message, "Name the relation: SELECT * FROM ...").at(span));
    }
    let mut names = Vec::new();
    select.from.iter().for_each(|table| names_of(table, &mut names));
    for (at, (name, relation)) in names.iter().enumerate() {
        let twice = names[..at].iter().any(|(before, other)| {
            before == name
                && match (relation, other) {
                    (Some(one), Some(other)) => one == other,
                    _ => true,
                }
        });
        if twice {
            let message = format!("table name \"{name}\" specified more than once");
            let hint = "Give each of them an alias of its own: FROM a AS x JOIN b AS y ON ...";
            return Err(Fault::new("42712", message, hint).at(TextSpan::empty()));
        }
    }
    if let (GroupByExpr::Expressions(groups, _), None) = (&select.group_by, star) {
        let width = select.projection.len();
        let known =
            !select.projection.iter().any(|i| matches!(i, SelectItem::QualifiedWildcard(..)));
        if known {
            groups.iter().try_for_each(|group| check_position(group, width, "GROUP BY"))?;
        }
    }
    Ok(())
}

/// What relations of `FROM` are called: those without an alias by their last name, tables with the whole name.
fn names_of(table: &TableWithJoins, names: &mut Vec<(String, Option<ObjectName>)>) {
    let factors =
        [&table.relation].into_iter().chain(table.joins.iter().map(|join| &join.relation));
    for factor in factors {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                names_of(table_with_joins, names);
            }
            TableFactor::Table { alias: None, name, args: None, .. } => {
                names.push((last_name(name), Some(name.clone())));
            }
            // What a function gives is called like the function.
            TableFactor::Table { alias: None, name, args: Some(args), .. } => {
                names.push((name_of_call(name, &args.args), None));
            }
            TableFactor::Function { alias: None, name, args, .. } => {
                names.push((name_of_call(name, args), None));
            }
            TableFactor::UNNEST { alias: None, .. } => names.push(("unnest".to_owned(), None)),
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => {
                names.push((normal(&alias.name), None));
            }
            _ => {}
        }
    }
}

/// What rows of functions are called: several that stand side by side like the first of them.
fn name_of_call(name: &ObjectName, args: &[FunctionArg]) -> String {
    match args {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(first))), ..]
            if last_name(name) == ROWS_FROM =>
        {
            last_name(&first.name)
        }
        _ => last_name(name),
    }
}

/// Refuses what is no function in `ROWS FROM`.
fn check_rows_from(name: &ObjectName, args: &[FunctionArg]) -> Result<()> {
    let is_call = |arg: &&FunctionArg| {
        matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(_))))
    };
    match args.iter().find(|arg| !is_call(arg)) {
        Some(arg) if last_name(name) == ROWS_FROM => {
            let hint =
                "Only calls of functions stand in ROWS FROM: write values as unnest(ARRAY[...]).";
            Err(Fault::new("42601", "syntax error in ROWS FROM", hint).at(arg.span()))
        }
        _ => Ok(()),
    }
}

/// Checks one relation of `FROM`.
pub(super) fn check_relation(factor: &TableFactor) -> Result<()> {
    let (name, args) = match factor {
        TableFactor::Table { name, args, .. } => {
            (name, args.as_ref().map_or(&[][..], |args| args.args.as_slice()))
        }
        TableFactor::Function { name, args, .. } => return check_rows_from(name, args),
        _ => return Ok(()),
    };
    check_rows_from(name, args)?;
    let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).collect();
    match parts.as_slice() {
        [database, _, _] if normal(database) != DATABASE => {
            let message = format!("cross-database references are not implemented: \"{name}\"");
            let hint =
                format!("There is one database, {DATABASE}: name the schema and the relation.");
            Err(Fault::new("0A000", message, hint).at(name.span()))
        }
        _ => Ok(()),
    }
}
