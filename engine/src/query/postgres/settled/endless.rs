//! A statement that names an infinite day or point in time: what it does with such values leaves them as they are.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use crate::query::postgres::functions::{
    days_between, days_later, is_endless_day, is_endless_time, later, time_as,
};

/// Tells whether a literal is such a value.
pub(super) fn is_end(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Date32(Some(days)) => is_endless_day(*days),
        ScalarValue::TimestampMicrosecond(Some(micros), _) => is_endless_time(*micros),
        _ => false,
    }
}

/// Gives a plan the operations that know of them.
pub(super) fn with_ends(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let names = match node {
            LogicalPlan::Values(_) => None,
            _ => Some(NamePreserver::new(&node)),
        };
        let node = node.map_expressions(|expr| {
            if matches!(expr, Expr::GroupingSet(_)) {
                return Ok(Transformed::no(expr));
            }
            let name = names.as_ref().map(|names| names.save(&expr));
            let kept = expr.transform_up(|expr| part(expr, &schema))?;
            Ok(match name {
                Some(name) => kept.update_data(|expr| name.restore(expr)),
                None => kept,
            })
        });
        node?.map_data(LogicalPlan::recompute_schema)
    });
    plan.data()
}

fn part(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    use DataType::{Date32, Interval, Timestamp};
    use Operator::{Minus, Plus};
    let type_of = |expr: &Expr| expr.get_type(schema).ok();
    let kept = match expr {
        Expr::Cast(Cast { expr, field })
            if type_of(expr.as_ref()).is_some_and(|of| is_other_time(&of, field.data_type())) =>
        {
            time_as(*expr, field.data_type().clone())
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            match (type_of(left.as_ref()), op, type_of(right.as_ref())) {
                (Some(Timestamp(..)), Plus, Some(Interval(_))) => later(*left, *right),
                (Some(Timestamp(..)), Minus, Some(Interval(_))) => {
                    later(*left, Expr::Negative(right))
                }
                (Some(Interval(_)), Plus, Some(Timestamp(..))) => later(*right, *left),
                (Some(Date32), Minus, Some(Date32)) => days_between(*left, *right),
                (Some(Date32), Plus, Some(count)) if count.is_integer() => {
                    days_later(*left, *right)
                }
                (Some(Date32), Minus, Some(count)) if count.is_integer() => {
                    days_later(*left, Expr::Negative(right))
                }
                (Some(count), Plus, Some(Date32)) if count.is_integer() => {
                    days_later(*right, *left)
                }
                _ => return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))),
            }
        }
        other => return Ok(Transformed::no(other)),
    };
    Ok(Transformed::yes(kept))
}

/// Tells whether a cast makes a day, a point in time or a time of the day of a value of another such type.
fn is_other_time(of: &DataType, to: &DataType) -> bool {
    use DataType::{Date32, Time64, Timestamp};
    let is_time = |known: &DataType| matches!(known, Date32 | Timestamp(TimeUnit::Microsecond, _));
    is_time(of) && of != to && (is_time(to) || *to == Time64(TimeUnit::Microsecond))
}
