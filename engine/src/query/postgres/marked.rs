//! `EXISTS` as a value that depends on the row: a join that marks the rows for which the subquery has some.
//!
//! DataFusion makes joins of `EXISTS` in filters alone. The same join serves where a projection shows one or an aggregate takes
//! one: the conditions on the row around the subquery become those of the join, whatever they are. In a filter it serves where
//! such conditions stand within a query in `FROM`, which DataFusion does not take them out of.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRewriter};
use datafusion::common::{Column, JoinType, Result};
use datafusion::logical_expr::expr_rewriter::{NamePreserver, replace_col};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, Projection, lit};
use datafusion::optimizer::decorrelate::PullUpCorrelatedExpr;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The rule of DataFusion that this one has to come before.
const BEFORE: &str = "decorrelate_predicate_subquery";

/// Puts the rule in its place among those of DataFusion.
pub(super) fn among(
    mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
) -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let place = rules.iter().position(|rule| rule.name() == BEFORE).unwrap_or(0);
    rules.insert(place, Arc::new(MarkedRows));
    rules
}

/// The rule.
#[derive(Debug)]
struct MarkedRows;

impl OptimizerRule for MarkedRows {
    fn name(&self) -> &str {
        "marked_rows"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Projection(projection) if projection.expr.iter().any(has_exists) => {
                let mut input = Arc::unwrap_or_clone(projection.input);
                let expr = marked(projection.expr, &mut input, config)?;
                let projection = Projection::try_new(expr, Arc::new(input))?;
                Ok(Transformed::yes(LogicalPlan::Projection(projection)))
            }
            LogicalPlan::Aggregate(aggregate)
                if aggregate.group_expr.iter().chain(&aggregate.aggr_expr).any(has_exists) =>
            {
                let mut input = Arc::unwrap_or_clone(aggregate.input);
                let groups = marked(aggregate.group_expr, &mut input, config)?;
                let values = marked(aggregate.aggr_expr, &mut input, config)?;
                let aggregate = Aggregate::try_new(Arc::new(input), groups, values)?;
                Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
            }
            LogicalPlan::Filter(filter) if has_exists_behind_alias(&filter.predicate) => {
                let columns = filter.input.schema().columns().into_iter().map(Expr::Column);
                let columns: Vec<Expr> = columns.collect();
                let mut input = filter.input.as_ref().clone();
                let predicate = with_marks(filter.predicate.clone(), &mut input, config)?;
                // The rule would come to what it makes nothing of again and again.
                if has_exists_behind_alias(&predicate) {
                    return Ok(Transformed::no(LogicalPlan::Filter(filter)));
                }
                let kept = LogicalPlanBuilder::from(input).filter(predicate)?;
                Ok(Transformed::yes(kept.project(columns)?.build()?))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn has_exists(expr: &Expr) -> bool {
    expr.exists(|part| Ok(matches!(part, Expr::Exists(_)))).unwrap_or(false)
}

/// Tells whether a query in `FROM` of a subquery depends on the row around it.
fn has_exists_behind_alias(expr: &Expr) -> bool {
    let is_behind = |node: &LogicalPlan| {
        Ok(matches!(node, LogicalPlan::SubqueryAlias(alias)
            if !alias.input.all_out_ref_exprs().is_empty()))
    };
    let has = |part: &Expr| match part {
        Expr::Exists(exists) => exists.subquery.subquery.as_ref().exists(is_behind),
        _ => Ok(false),
    };
    expr.exists(has).unwrap_or(false)
}

/// Puts marks in the place of subqueries, for which joins are put over `input`.
fn marked(
    exprs: Vec<Expr>,
    input: &mut LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Vec<Expr>> {
    let names = NamePreserver::new_for_projection();
    let exprs = exprs.into_iter().map(|expr| {
        if !has_exists(&expr) {
            return Ok(expr);
        }
        let name = names.save(&expr);
        Ok(name.restore(with_marks(expr, input, config)?))
    });
    exprs.collect()
}

/// The same with one expression, which may have another name then.
fn with_marks(expr: Expr, input: &mut LogicalPlan, config: &dyn OptimizerConfig) -> Result<Expr> {
    let marked = expr.transform_up(|part| match part {
        Expr::Exists(exists) => {
            let alias = config.alias_generator().next("__marked");
            if !join(input, &exists.subquery.subquery, &alias)? {
                return Ok(Transformed::no(Expr::Exists(exists)));
            }
            let mark = Expr::Column(Column::new(Some(alias), "mark"));
            Ok(Transformed::yes(if exists.negated { !mark } else { mark }))
        }
        other => Ok(Transformed::no(other)),
    });
    marked.data()
}

/// Takes conditions on the row around a subquery out of it.
struct Pulled(PullUpCorrelatedExpr);

impl TreeNodeRewriter for Pulled {
    type Node = LogicalPlan;

    fn f_down(&mut self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        self.0.f_down(node)
    }

    fn f_up(&mut self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        // It shows the columns, too, that the conditions need.
        let node = match node {
            LogicalPlan::SubqueryAlias(_) => node.recompute_schema()?,
            other => other,
        };
        self.0.f_up(node)
    }
}

/// Joins `left` with the rows of a subquery, so that each of its rows is marked; tells whether that can be.
fn join(left: &mut LogicalPlan, subquery: &LogicalPlan, alias: &str) -> Result<bool> {
    let mut pulled = Pulled(PullUpCorrelatedExpr::new().with_exists_sub_query(true));
    let right = rows_of(subquery).clone().rewrite(&mut pulled).data()?;
    let Pulled(pulled) = pulled;
    if !pulled.can_pull_up {
        return Ok(false);
    }
    let condition = conjunction(pulled.join_filters).unwrap_or_else(|| lit(true));
    let inner: Vec<Column> = pulled.correlated_subquery_cols_map.into_values().flatten().collect();
    // The columns of the condition that are the subquery's, and what stands for them.
    let mut shown: Vec<Expr> = Vec::new();
    let mut outside: HashMap<&Column, Column> = HashMap::new();
    let columns: BTreeSet<&Column> = condition.column_refs().into_iter().collect();
    for column in columns {
        if !inner.contains(column) {
            if left.schema().has_column(column) {
                continue;
            }
            // Of a row that is further out, which is not there yet.
            return Ok(false);
        }
        let Some(found) = visible(column, &right, &inner) else { return Ok(false) };
        let name = format!("key_{}", shown.len());
        shown.push(Expr::Column(found).alias_qualified(Some(alias), &name));
        outside.insert(column, Column::new(Some(alias), name));
    }
    if shown.is_empty() {
        shown.push(lit(true).alias_qualified(Some(alias), "key"));
    }
    let replaced = outside.iter().map(|(column, by)| (*column, by)).collect();
    let condition = replace_col(condition.clone(), &replaced)?;
    let right = LogicalPlanBuilder::from(right).project(shown)?.build()?;
    let joined = LogicalPlanBuilder::from(std::mem::take(left));
    *left = joined.join_on(right, JoinType::LeftMark, [condition])?.build()?;
    Ok(true)
}

/// What a subquery shows of its rows does not matter.
fn rows_of(subquery: &LogicalPlan) -> &LogicalPlan {
    match subquery {
        LogicalPlan::Projection(projection) => rows_of(&projection.input),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => rows_of(&sort.input),
        other => other,
    }
}

/// The column of a plan that a column within it became: itself, or the one of its name behind an alias.
fn visible(column: &Column, plan: &LogicalPlan, inner: &[Column]) -> Option<Column> {
    if plan.schema().has_column(column) {
        return Some(column.clone());
    }
    let columns = plan.schema().columns();
    let mut alike = columns.into_iter().filter(|c| c.name == column.name && inner.contains(c));
    match (alike.next(), alike.next()) {
        (Some(found), None) => Some(found),
        _ => None,
    }
}
