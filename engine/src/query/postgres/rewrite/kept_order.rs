//! Rows that are gathered from a query with an order of its own: `SELECT json_agg(t) FROM (SELECT ... ORDER BY x) t`.
//!
//! PostgreSQL gathers them as they come, and people rely on that. DataFusion leaves out an order that nothing asks for, so
//! that it is given to what gathers: by columns that the query shows, and by others that are put among them. Where a statement
//! hands on such rows, as tools write it around the query of a user, [`comes_sorted`] says so, and the order stays.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Function, FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident, OrderBy,
    OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    TableWithJoins, Value, visit_expressions,
};

use super::made::expr_of;
use super::{function_name, normal, parts};
use crate::query::syntax::outside;

/// Aggregate functions whose results have the order of their rows.
const GATHERING: [&str; 6] =
    ["array_agg", "string_agg", "json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg"];

/// Aggregate functions that make one row of many, whatever their order.
const COUNTING: [&str; 8] =
    ["count", "sum", "avg", "min", "max", "bool_and", "bool_or", "approx_distinct"];

/// What columns are called that are there for what rows are sorted by: no text of a statement has such a name.
const KEY: &str = "\u{1}key_";

/// Tells whether a column is none of those that a statement names or shows.
pub(super) fn is_key(column: &str) -> bool {
    column.starts_with(KEY)
}

/// Tells whether the rows of a statement are those of one query in its `FROM`, which sorts them.
pub fn comes_sorted(statement: &Statement) -> bool {
    match statement {
        Statement::Query(query) => hands_on(query, &[]),
        Statement::Explain { statement, .. } => comes_sorted(statement),
        _ => false,
    }
}

/// Tells whether a query hands on the rows of another one as they come, and that one sorts them; `outer` are the queries with
/// names around it.
fn hands_on(query: &Query, outer: &[&Cte]) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let [TableWithJoins { relation, joins }] = select.from.as_slice() else { return false };
    let is_grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(groups, _) => !groups.is_empty(),
    };
    if query.order_by.is_some()
        || select.distinct.is_some()
        || select.having.is_some()
        || is_grouped
        || !joins.is_empty()
        || select.projection.iter().any(makes_one)
    {
        return false;
    }
    let mut known = outer.to_vec();
    known.extend(query.with.iter().flat_map(|with| &with.cte_tables));
    match relation {
        TableFactor::Derived { subquery, .. } => is_sorted(subquery, &known),
        TableFactor::Table { name, args: None, .. } => {
            let names = parts(name);
            let is_meant = |cte: &&Cte| names == [normal(&cte.alias.name)];
            // What such a query names itself is there before it.
            let at = known.iter().rposition(is_meant);
            at.is_some_and(|at| is_sorted(&known[at].query, &known[..at]))
        }
        _ => false,
    }
}

fn is_sorted(query: &Query, outer: &[&Cte]) -> bool {
    query.order_by.is_some() || hands_on(query, outer)
}

/// Tells whether a column of a select makes one row of all.
fn makes_one(item: &SelectItem) -> bool {
    let found = visit_expressions(item, |expr| match expr {
        Expr::Function(function) if gathers(function) || is_one_of(function, &COUNTING) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Gives what is gathered the order of the one query that its rows come from.
pub(super) fn keep(select: &mut Select) {
    let is_open = takes_keys(select);
    let [TableWithJoins { relation: TableFactor::Derived { subquery, alias, .. }, joins }] =
        select.from.as_mut_slice()
    else {
        return;
    };
    let Some(alias) = alias.as_ref().filter(|alias| alias.columns.is_empty()) else { return };
    if !joins.is_empty() {
        return;
    }
    if is_open {
        show_keys(subquery);
    }
    if let Some(order) = order_of(subquery, &alias.name) {
        give(select, &order);
    }
}

/// Tells whether a select list gathers rows in the order in which they come, and would not show more columns of theirs.
fn takes_keys(select: &Select) -> bool {
    let found = outside::see(&select.projection, |expr| match expr {
        Expr::Function(function) if takes_order(function) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let is_star = |item: &SelectItem| {
        matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
    };
    found.is_break() && !select.projection.iter().any(is_star)
}

/// Puts the columns that a query sorts its rows by among those that it shows.
fn show_keys(query: &mut Query) {
    let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = &query.order_by else {
        return;
    };
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if select.distinct.is_some() {
        return;
    }
    for key in keys {
        let is_column = matches!(key.expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        if is_column && column_of(&key.expr, select).is_none() {
            let alias = Ident::with_quote('"', format!("{KEY}{}", select.projection.len()));
            select.projection.push(SelectItem::ExprWithAlias { expr: key.expr.clone(), alias });
        }
    }
}

/// As [`keep`], where the query has a name: `WITH t AS (SELECT ... ORDER BY x) SELECT json_agg(t) FROM t`.
pub(super) fn keep_of_named(query: &mut Query) {
    let (Some(with), SetExpr::Select(select)) = (&query.with, query.body.as_mut()) else { return };
    let [TableWithJoins { relation: TableFactor::Table { name, alias, args: None, .. }, joins }] =
        select.from.as_slice()
    else {
        return;
    };
    let names = parts(name);
    let [name] = names.as_slice() else { return };
    let named = with.cte_tables.iter().find(|cte| normal(&cte.alias.name) == *name);
    let Some(cte) = named.filter(|cte| cte.alias.columns.is_empty() && joins.is_empty()) else {
        return;
    };
    let alias = alias.as_ref().unwrap_or(&cte.alias);
    if alias.columns.is_empty()
        && let Some(order) = order_of(&cte.query, &alias.name)
    {
        give(select, &order);
    }
}

/// Orders what a select list gathers.
fn give(select: &mut Select, order: &[OrderByExpr]) {
    // The visitor never breaks off.
    let _: ControlFlow<()> = outside::change(&mut select.projection, |expr| {
        if let Expr::Function(function) = expr
            && takes_order(function)
            && let FunctionArguments::List(list) = &mut function.args
        {
            list.clauses = vec![FunctionArgumentClause::OrderBy(order.to_vec())];
        }
        ControlFlow::Continue(())
    });
}

/// The order of a query by its columns, which are those of a relation with this name; `None` if it has none, or another.
fn order_of(query: &Query, relation: &Ident) -> Option<Vec<OrderByExpr>> {
    let OrderBy { kind: OrderByKind::Expressions(keys), .. } = query.order_by.as_ref()? else {
        return None;
    };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let of_relation = |key: &OrderByExpr| {
        let column = column_of(&key.expr, select)?;
        let expr = Expr::CompoundIdentifier(vec![relation.clone(), column]);
        Some(OrderByExpr { expr, options: key.options, with_fill: None })
    };
    keys.iter().map(of_relation).collect()
}

/// The column of a select that holds what its rows are sorted by.
fn column_of(key: &Expr, select: &Select) -> Option<Ident> {
    let items = &select.projection;
    if let Expr::Value(value) = key {
        let Value::Number(digits, _) = &value.value else { return None };
        let place = digits.parse::<usize>().ok()?.checked_sub(1)?;
        // Behind a star nobody knows which column that is.
        let known = items.get(..=place)?.iter().all(|item| expr_of(item).is_some());
        return known.then(|| name_of(&items[place]))?;
    }
    if let Expr::Identifier(name) = key
        && let Some(found) =
            items.iter().filter_map(name_of).find(|found| normal(found) == normal(name))
    {
        return Some(found);
    }
    if let Some(item) = items.iter().find(|item| expr_of(item) == Some(key)) {
        return name_of(item);
    }
    let column = match key {
        Expr::Identifier(name) => name,
        Expr::CompoundIdentifier(names) => names.last()?,
        _ => return None,
    };
    // All columns of one relation have names of their own.
    let is_one = matches!(select.from.as_slice(), [from] if from.joins.is_empty());
    let has_all = items.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
    (is_one && has_all).then(|| column.clone())
}
fn name_of(item: &SelectItem) -> Option<Ident> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.clone()),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.clone()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().cloned(),
        _ => None,
    }
}

/// Tells whether a function gathers rows in the order in which they come.
fn takes_order(function: &Function) -> bool {
    gathers(function)
        && matches!(&function.args, FunctionArguments::List(list)
            if list.duplicate_treatment.is_none() && list.clauses.is_empty())
}

fn gathers(function: &Function) -> bool {
    is_one_of(function, &GATHERING)
}

fn is_one_of(function: &Function, names: &[&str]) -> bool {
    let name = function_name(&function.name);
    function.over.is_none() && name.is_some_and(|name| names.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn what_is_gathered_has_the_order_of_its_rows() {
        for (written, expected) in [
            (
                "array_agg(x) FROM (SELECT x FROM r ORDER BY x DESC) t",
                "array_agg(x ORDER BY t.x DESC)",
            ),
            (
                "json_agg(t) FROM (SELECT r.a, b AS c FROM r ORDER BY 2, r.a) t",
                "json_agg(t ORDER BY t.c, t.a)",
            ),
            (
                "string_agg(x, ',') FROM (SELECT * FROM r ORDER BY y) t",
                "string_agg(x, ',' ORDER BY t.y)",
            ),
            (
                "string_agg(x, ',') FROM (SELECT * FROM r JOIN s ON a = b ORDER BY y) t",
                "string_agg(x, ',' ORDER BY t.\"\u{1}key_1\")",
            ),
            (
                "array_agg(x) FROM (SELECT x FROM r ORDER BY y DESC, x, r.z, y) t",
                "array_agg(x ORDER BY t.\"\u{1}key_1\" DESC, t.x, t.\"\u{1}key_2\", t.\"\u{1}key_1\")",
            ),
            ("array_agg(x) FROM (SELECT x FROM r ORDER BY y + 1) t", "array_agg(x)"),
            ("array_agg(x), t.* FROM (SELECT x FROM r ORDER BY y) t", "array_agg(x)"),
            ("array_agg(x) FROM (SELECT x FROM r UNION SELECT 1 ORDER BY y) t", "array_agg(x)"),
            (
                "array_agg(x ORDER BY y) FROM (SELECT x, y FROM r ORDER BY x) t",
                "array_agg(x ORDER BY y)",
            ),
            ("count(x) FROM (SELECT x FROM r ORDER BY x) t", "count(x)"),
            (
                "(SELECT array_agg(a) FROM s) FROM (SELECT x FROM r ORDER BY x) t",
                "(SELECT array_agg(a) FROM s)",
            ),
        ] {
            check("", written, expected);
        }
        let with = "WITH w AS (SELECT x FROM r ORDER BY x) ";
        check(with, "array_agg(x) FROM w", "array_agg(x ORDER BY w.x)");
        check(with, "array_agg(x) FROM w AS v", "array_agg(x ORDER BY v.x)");
        check(with, "array_agg(x) FROM w, r", "array_agg(x)");
        check(with, "array_agg(x) FROM r", "array_agg(x)");
        // Others may read all columns of it.
        check("WITH w AS (SELECT x FROM r ORDER BY y) ", "array_agg(x) FROM w", "array_agg(x)");
    }

    fn check(with: &str, written: &str, expected: &str) {
        let written = format!("{with}SELECT {written}");
        let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(&written).unwrap();
        let mut query = parser.parse_query().unwrap();
        keep_of_named(&mut query);
        let SetExpr::Select(select) = query.body.as_mut() else {
            unreachable!("{written} is a select");
        };
        keep(select);
        assert_eq!(select.projection[0].to_string(), expected, "{written}");
    }

    #[test]
    fn statements_hand_on_sorted_rows() {
        for (written, expected) in [
            ("SELECT * FROM (SELECT a FROM r ORDER BY b) t LIMIT 9", true),
            (
                "SELECT a + 1 FROM (SELECT * FROM (SELECT a FROM r ORDER BY b) s) t WHERE a > 1",
                true,
            ),
            ("WITH r AS (SELECT a FROM r ORDER BY b) SELECT * FROM r", true),
            ("WITH r AS (SELECT a FROM r) SELECT * FROM r", false),
            ("SELECT * FROM (SELECT a FROM r ORDER BY b) t ORDER BY a", false),
            ("SELECT count(*) FROM (SELECT a FROM r ORDER BY b) t", false),
            ("SELECT a FROM (SELECT a FROM r ORDER BY b) t GROUP BY a", false),
            ("SELECT * FROM (SELECT a FROM r ORDER BY b) t, s", false),
            ("SELECT a FROM r ORDER BY b", false),
        ] {
            let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(written).unwrap();
            let statement = parser.parse_statement().unwrap();
            assert_eq!(comes_sorted(&statement), expected, "{written}");
        }
    }
}
