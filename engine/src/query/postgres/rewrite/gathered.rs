//! Rows that are gathered: `array_agg(DISTINCT x)` is in order, and groups may be named by their place in the select list.

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, GroupByExpr, OrderByExpr, OrderByOptions, Select, SelectItem, Value,
};

use super::function_name;

/// Sorts distinct values that are put into one. PostgreSQL finds them by sorting, and people rely on that.
pub(super) fn sort_distinct(function: &mut Function) {
    let name = function_name(&function.name);
    if function.over.is_some() || !matches!(name.as_deref(), Some("array_agg" | "string_agg")) {
        return;
    }
    let FunctionArguments::List(list) = &mut function.args else { return };
    if list.duplicate_treatment != Some(DuplicateTreatment::Distinct) || !list.clauses.is_empty() {
        return;
    }
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(value))) = list.args.first() else {
        return;
    };
    if has_parts(value) {
        return;
    }
    let (expr, options) = (value.clone(), OrderByOptions::default());
    let order = OrderByExpr { expr, options, with_fill: None };
    list.clauses = vec![FunctionArgumentClause::OrderBy(vec![order])];
}

/// Tells whether a value is a row or an array, which are told apart by hashing alone.
fn has_parts(value: &Expr) -> bool {
    match value {
        Expr::Tuple(_) | Expr::Array(_) => true,
        Expr::Function(function) => {
            matches!(function_name(&function.name).as_deref(), Some("row" | "array"))
        }
        _ => false,
    }
}

/// Puts the columns of the select list in the places of their numbers in `ROLLUP`, `CUBE` and `GROUPING SETS`.
pub(super) fn by_position(select: &mut Select) {
    let GroupByExpr::Expressions(groups, _) = &mut select.group_by else { return };
    for group in groups {
        let (Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets)) = group else {
            continue;
        };
        for member in sets.iter_mut().flatten() {
            if let Some(column) = at_position(member, &select.projection) {
                *member = column;
            }
        }
    }
}

fn at_position(member: &Expr, items: &[SelectItem]) -> Option<Expr> {
    let Expr::Value(value) = member else { return None };
    let Value::Number(digits, _) = &value.value else { return None };
    let place = digits.parse::<usize>().ok()?.checked_sub(1)?;
    let is_one = |item: &SelectItem| {
        matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
    };
    // Behind a star nobody knows which column that is.
    match items.get(..=place)?.iter().all(is_one).then(|| &items[place])? {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            Some(expr.clone())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::SetExpr;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn parser(text: &str) -> Parser<'static> {
        Parser::new(&PostgreSqlDialect {}).try_with_sql(text).unwrap()
    }

    #[test]
    fn distinct_values_are_sorted_where_nobody_says_how() {
        for (written, expected) in [
            ("array_agg(DISTINCT a)", "array_agg(DISTINCT a ORDER BY a)"),
            ("string_agg(DISTINCT a, ',')", "string_agg(DISTINCT a, ',' ORDER BY a)"),
            ("array_agg(DISTINCT a ORDER BY a DESC)", "array_agg(DISTINCT a ORDER BY a DESC)"),
            ("array_agg(DISTINCT (a, b))", "array_agg(DISTINCT (a, b))"),
            ("array_agg(a)", "array_agg(a)"),
        ] {
            let Expr::Function(mut function) = parser(written).parse_expr().unwrap() else {
                unreachable!("{written} is a call");
            };
            sort_distinct(&mut function);
            assert_eq!(function.to_string(), expected);
        }
    }

    #[test]
    fn groups_are_named_by_their_place() {
        for (written, expected) in [
            ("SELECT a, b + 1 AS c FROM t GROUP BY ROLLUP (1, 2)", "ROLLUP (a, b + 1)"),
            (
                "SELECT a, b FROM t GROUP BY GROUPING SETS ((1), (2), ())",
                "GROUPING SETS ((a), (b), ())",
            ),
            ("SELECT *, b FROM t GROUP BY CUBE (2)", "CUBE (2)"),
        ] {
            let mut query = parser(written).parse_query().unwrap();
            let SetExpr::Select(select) = query.body.as_mut() else {
                unreachable!("{written} is a select");
            };
            by_position(select);
            let GroupByExpr::Expressions(groups, _) = &select.group_by else {
                unreachable!("{written} names its groups");
            };
            assert_eq!(groups[0].to_string(), expected);
        }
    }
}
