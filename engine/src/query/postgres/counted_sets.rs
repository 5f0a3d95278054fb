//! `EXCEPT ALL` and `INTERSECT ALL`, which count: of rows that are alike as many are left out as the other side has.
//!
//! DataFusion makes joins of them that tell only whether the other side has such a row. Here the rows of each side that are alike
//! are numbered, and the number is one more thing that has to be equal.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder, Projection,
};
use datafusion::optimizer::AnalyzerRule;

/// The numbers of the sides: no text of a statement has such names.
const NUMBERS: [&str; 2] = ["\u{1}left", "\u{1}right"];

/// The rule.
#[derive(Debug)]
pub(super) struct CountedSets;

impl AnalyzerRule for CountedSets {
    fn name(&self) -> &str {
        "counted_sets"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) if is_counted(&join) => counted(join).map(Transformed::yes),
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

/// Tells whether a join stands for one of them: of no other join nulls are equal. Where the left side has no rows that are alike,
/// the join alone says it.
fn is_counted(join: &Join) -> bool {
    let is_numbered = |(left, _): &(Expr, Expr)| matches!(left, Expr::Column(column) if column.name == NUMBERS[0]);
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(_))
        && !join.on.iter().any(is_numbered)
}

fn counted(join: Join) -> Result<LogicalPlan> {
    let columns = join.left.schema().columns().into_iter().map(Expr::Column).collect();
    let [left_number, right_number] = NUMBERS;
    let left = numbered(join.left.as_ref(), left_number)?;
    let right = numbered(join.right.as_ref(), right_number)?;
    let mut on = join.on;
    on.push((number(left_number), number(right_number)));
    let joined = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        join.filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let shown = Projection::try_new(columns, Arc::new(LogicalPlan::Join(joined)))?;
    Ok(LogicalPlan::Projection(shown))
}

fn number(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// The rows of a plan, those that are alike counted from one.
fn numbered(plan: &LogicalPlan, name: &str) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let count = row_number().partition_by(columns.clone()).build()?;
    let counted = number(&count.schema_name().to_string()).alias(name);
    let shown = columns.into_iter().chain([counted]);
    LogicalPlanBuilder::from(plan.clone()).window([count])?.project(shown)?.build()
}
