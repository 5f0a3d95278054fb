//! `(a, b) IN (SELECT ...)` as a condition of `WHERE`, which DataFusion takes of single values alone: rows for which it is
//! null are left out like those for which it is false, so that `EXISTS` means the same there.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Query, Select, SelectItem, SetExpr, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins, Value,
};

use super::expressions::{self, take};

/// What the columns of the query are called: like nothing that a user names.
const ALIAS: &str = "row_in";

/// Rewrites the conditions of `WHERE` that all have to hold.
pub(super) fn rewrite(select: &mut Select) {
    if let Some(condition) = &mut select.selection {
        conjunct(condition);
    }
}

fn conjunct(condition: &mut Expr) {
    match condition {
        Expr::Nested(inner) => conjunct(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            conjunct(left);
            conjunct(right);
        }
        Expr::InSubquery { expr, subquery, negated: false } => {
            if let Expr::Tuple(values) = expr.as_mut() {
                let values = std::mem::take(values);
                let query = std::mem::replace(subquery.as_mut(), expressions::select(vec![]));
                *condition = exists(values, query);
            }
        }
        _ => {}
    }
}

/// Returns `EXISTS (SELECT 1 FROM (query) AS row_in (row_in_1, ...) WHERE row_in_1 = value AND ...)`.
fn exists(mut values: Vec<Expr>, query: Query) -> Expr {
    let names: Vec<Ident> =
        (1..=values.len()).map(|number| Ident::new(format!("{ALIAS}_{number}"))).collect();
    let equal = values.iter_mut().zip(&names).map(|(value, name)| Expr::BinaryOp {
        left: Box::new(Expr::Identifier(name.clone())),
        op: BinaryOperator::Eq,
        right: Box::new(Expr::Nested(Box::new(take(value)))),
    });
    let condition = equal.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    });
    let columns =
        names.into_iter().map(|name| TableAliasColumnDef { name, data_type: None }).collect();
    let alias = TableAlias { explicit: true, name: Ident::new(ALIAS), columns, at: None };
    let relation = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias: Some(alias),
        sample: None,
    };
    let one = Expr::Value(Value::Number("1".into(), false).into());
    let mut found = expressions::select(vec![SelectItem::UnnamedExpr(one)]);
    if let SetExpr::Select(select) = found.body.as_mut() {
        select.from = vec![TableWithJoins { relation, joins: vec![] }];
        select.selection = condition;
    }
    Expr::Exists { subquery: Box::new(found), negated: false }
}
