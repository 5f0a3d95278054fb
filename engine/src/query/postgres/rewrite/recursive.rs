//! `WITH RECURSIVE`, whose columns have the types of the rows that it begins with.
//!
//! A numeric of PostgreSQL has as many digits as it needs, a column of decimals so many for all rows: what the steps work out
//! of `1.0` would be cut to one digit. Numbers with a point that a recursive query begins with, and casts to a plain numeric,
//! have digits to spare instead.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, ExactNumberInfo, Expr, Query, SelectItem, SetExpr, UnaryOperator,
    Value, visit_relations,
};

use super::expressions::take;
use super::{normal, parts, relations};

/// What such numbers become: what a text becomes that is cast to a plain numeric.
const SPARE: DataType = DataType::Numeric(ExactNumberInfo::PrecisionAndScale(38, 16));

/// Gives digits to spare to the numbers that the recursive parts of a query begin with.
pub(super) fn widen(query: &mut Query) {
    let Some(with) = query.with.as_mut().filter(|with| with.recursive) else { return };
    for cte in &mut with.cte_tables {
        let name = normal(&cte.alias.name);
        if let SetExpr::SetOperation { left, right, .. } = cte.query.body.as_mut()
            && reads(right, &name)
        {
            widen_rows(left);
        }
    }
}

/// Tells whether a query reads a relation of this name.
fn reads(body: &SetExpr, name: &str) -> bool {
    let found = visit_relations(body, |relation| match parts(relation).as_slice() {
        [part] if part == name => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

fn widen_rows(body: &mut SetExpr) {
    match body {
        SetExpr::SetOperation { left, right, .. } => {
            widen_rows(left);
            widen_rows(right);
        }
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
                {
                    widen_number(expr);
                }
            }
        }
        SetExpr::Values(values) => {
            for row in &mut values.rows {
                row.content.iter_mut().for_each(widen_number);
            }
        }
        _ => {}
    }
}

fn widen_number(expr: &mut Expr) {
    if is_numeric(expr) == Some(true) {
        *expr = relations::cast(take(expr), SPARE);
    }
}

/// Tells whether an expression is a numeric, and not an integer; `None` where it is made of more than numbers and casts to a
/// plain numeric.
fn is_numeric(expr: &Expr) -> Option<bool> {
    use BinaryOperator as Op;
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(digits.contains(['.', 'e', 'E'])),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr }
        | Expr::Nested(expr) => is_numeric(expr),
        Expr::BinaryOp {
            left,
            op: Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo,
            right,
        } => Some(is_numeric(left)? | is_numeric(right)?),
        Expr::Cast {
            data_type: DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info),
            ..
        } => (*info == ExactNumberInfo::None).then_some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn numbers_at_the_beginning_have_digits_to_spare() {
        for (written, expected) in [
            (
                "WITH RECURSIVE t(n) AS (SELECT -1.0 UNION ALL SELECT n * 1.1 FROM t) SELECT n FROM t",
                "WITH RECURSIVE t (n) AS (SELECT CAST(-1.0 AS NUMERIC(38,16)) UNION ALL SELECT n * 1.1 FROM t) SELECT n FROM t",
            ),
            (
                "WITH RECURSIVE t(n) AS (SELECT 10 / 3.0, 10 / 3 UNION ALL SELECT n FROM t) SELECT n FROM t",
                "WITH RECURSIVE t (n) AS (SELECT CAST(10 / 3.0 AS NUMERIC(38,16)), 10 / 3 UNION ALL SELECT n FROM t) SELECT n FROM t",
            ),
            (
                "WITH RECURSIVE t(n) AS (SELECT 1.0 UNION ALL SELECT 2.25) SELECT n FROM t",
                "WITH RECURSIVE t (n) AS (SELECT 1.0 UNION ALL SELECT 2.25) SELECT n FROM t",
            ),
            (
                "WITH RECURSIVE t(n) AS (VALUES (1, 2::numeric) UNION ALL SELECT n FROM t) SELECT n FROM t",
                "WITH RECURSIVE t (n) AS (VALUES (1, CAST(2::NUMERIC AS NUMERIC(38,16))) UNION ALL SELECT n FROM t) SELECT n FROM t",
            ),
        ] {
            let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(written).unwrap();
            let mut query = parser.parse_query().unwrap();
            widen(&mut query);
            assert_eq!(query.to_string(), expected);
        }
    }
}
