//! `x > ANY (SELECT y ...)` and `x > ALL (SELECT y ...)` as values.
//!
//! Of rows that are the same for each row around them the smallest or the greatest decides, and how many of them are null: those
//! are aggregates, and no row is compared with each of the others. Where the rows depend on the row around them it is `EXISTS`.
//! `= ANY` and `<> ALL` are `IN` and `NOT IN`, which the rewrite makes of them.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchema, Result, ScalarValue, TableReference, internal_err};
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::expr::{Exists, SetComparison, SetQuantifier};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, binary_expr, lit, when,
};

use super::copies::Copies;
use super::subqueries::{as_outer, exists_value, is_correlated};
use super::types::TYPE_KEY;

/// The relation of what is compared: no text of a statement has such a name, so that no column around it is taken for it.
const COMPARED: &str = "\u{1}compared";
/// Its column, which may come to stand beside others of the subquery.
const VALUE: &str = "\u{1}value";

/// Tells whether what is compared has one value for all rows, or turns out to once what chooses it is worked out, as of
/// `coalesce(5, n)`.
pub(super) fn is_constant(expr: &Expr) -> bool {
    let is_chosen = |part: &Expr| {
        Ok(match part {
            Expr::Case(case) => case.when_then_expr.iter().any(|(when, _)| is_known(when)),
            Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
                call.args.first().is_some_and(is_known)
            }
            _ => false,
        })
    };
    is_known(expr) || expr.exists(is_chosen).unwrap_or(false)
}

/// Tells whether an expression names no column.
fn is_known(expr: &Expr) -> bool {
    expr.column_refs().is_empty() && !expr.contains_outer()
}

/// The first column of a subquery under a name of its own.
pub(super) fn compared(plan: &LogicalPlan) -> Result<(LogicalPlan, Column)> {
    let Some(column) = plan.schema().columns().into_iter().next() else {
        return internal_err!("a subquery that is compared has a column");
    };
    let relation = TableReference::bare(COMPARED);
    let renamed = Expr::Column(column).alias_qualified(Some(relation.clone()), VALUE);
    let plan = LogicalPlanBuilder::from(plan.clone()).project([renamed])?.build()?;
    Ok((plan, Column::new(Some(relation), VALUE)))
}

/// A comparison with some or all rows of a subquery: null where a null leaves it open.
pub(super) fn value(comparison: SetComparison, outer: &DFSchema, copies: &Copies) -> Result<Expr> {
    use Operator::{Gt, GtEq, Lt, LtEq, NotEq};
    copies.note(2, &comparison.subquery.subquery, &comparison.expr)?;
    let (rows, column) = compared(&comparison.subquery.subquery)?;
    let field = rows.schema().field(0);
    let data_type = field.data_type();
    // The least text of `jsonb` is not its least value.
    let is_jsonb = field.metadata().get(TYPE_KEY).is_some_and(|logical| logical == "jsonb");
    let is_ordered = !data_type.is_nested() && *data_type != DataType::Null && !is_jsonb;
    // What decides: for `ANY` a row of which it is so, for `ALL` one of which it is not.
    let deciding = match comparison.quantifier {
        SetQuantifier::Any => Some(comparison.op),
        SetQuantifier::All => comparison.op.negate(),
    };
    match deciding {
        Some(op @ (Gt | GtEq | Lt | LtEq | NotEq))
            if is_ordered && !is_correlated(&comparison.subquery) =>
        {
            by_bounds(&comparison, op, &rows, &column)
        }
        _ => by_rows(comparison, &rows, &column, outer),
    }
}

/// Whether something is so of the smallest or of the greatest of all values.
fn by_bounds(
    comparison: &SetComparison,
    deciding: Operator,
    rows: &LogicalPlan,
    column: &Column,
) -> Result<Expr> {
    let SetComparison { expr, subquery, quantifier, .. } = comparison;
    let value = || Expr::Column(column.clone());
    let against = |bound: Expr| -> Result<Expr> {
        let name = bound.schema_name().to_string();
        let plan = LogicalPlanBuilder::from(rows.clone())
            .aggregate(Vec::<Expr>::new(), vec![bound])?
            .project([Expr::Column(Column::new_unqualified(name)).alias("bound")])?
            .build()?;
        Ok(binary_expr(expr.as_ref().clone(), deciding, scalar(plan, subquery)))
    };
    let decided = match deciding {
        Operator::Gt | Operator::GtEq => against(min(value()))?,
        Operator::Lt | Operator::LtEq => against(max(value()))?,
        _ => against(min(value()))?.or(against(max(value()))?),
    };
    // Whether there are no rows, values alone, or nulls among them.
    let (rows_of, values_of) = (count(lit(1_i64)), count(value()));
    let counted =
        |count: &Expr| Expr::Column(Column::new_unqualified(count.schema_name().to_string()));
    let (all, values) = (counted(&rows_of), counted(&values_of));
    let state = when(all.clone().eq(lit(0_i64)), lit(0_i64))
        .when(values.eq(all), lit(1_i64))
        .otherwise(lit(2_i64))?;
    let plan = LogicalPlanBuilder::from(rows.clone())
        .aggregate(Vec::<Expr>::new(), vec![rows_of, values_of])?
        .project([state.alias("state")])?
        .build()?;
    // A null on the left leaves it open once there is any row.
    let open_from = when(expr.as_ref().clone().is_null(), lit(1_i64)).otherwise(lit(2_i64))?;
    let is_all = *quantifier == SetQuantifier::All;
    when(decided, lit(!is_all))
        .when(scalar(plan, subquery).gt_eq(open_from), lit(ScalarValue::Boolean(None)))
        .otherwise(lit(is_all))
}

/// Whether there are rows of which something is so.
fn by_rows(
    comparison: SetComparison,
    rows: &LogicalPlan,
    column: &Column,
    outer: &DFSchema,
) -> Result<Expr> {
    let SetComparison { expr, subquery, op, quantifier } = comparison;
    let compared = binary_expr(as_outer(*expr, outer)?, op, Expr::Column(column.clone()));
    let exists = |condition: Expr| -> Result<Expr> {
        let plan = LogicalPlanBuilder::from(rows.clone()).filter(condition)?.build()?;
        let exists = Exists { subquery: subquery_of(plan, &subquery), negated: false };
        match is_correlated(&exists.subquery) {
            true => Ok(Expr::Exists(exists)),
            false => exists_value(exists),
        }
    };
    let is_all = quantifier == SetQuantifier::All;
    let deciding = match is_all {
        true => compared.clone().is_false(),
        false => compared.clone().is_true(),
    };
    when(exists(deciding)?, lit(!is_all))
        .when(exists(compared.is_null())?, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(is_all))
}

fn scalar(plan: LogicalPlan, old: &Subquery) -> Expr {
    Expr::ScalarSubquery(subquery_of(plan, old))
}

fn subquery_of(plan: LogicalPlan, old: &Subquery) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: old.spans.clone() }
}
