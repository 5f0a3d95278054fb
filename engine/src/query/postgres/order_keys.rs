//! What rows are ordered by is worked out below what needs the order: `row_number() OVER (ORDER BY abs(a - b))`.
//!
//! DataFusion asks each part of such an expression in which order its values come. Where a function stands within another
//! expression this may fail, since it does not say between which values its own lie; the rows that were sorted then count for
//! unsorted, and the plan is refused. A column has no parts.

use std::mem::take;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection, Sort, Window};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::sparing::Rule;

/// What the columns are called: no text of a statement has such a name.
const KEY: &str = "\u{1}key_";

/// Puts the rule behind those of DataFusion, some of which make what orders rows.
pub(super) fn among(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.push(Arc::new(OrderKeys));
    rules
}

/// The rule.
#[derive(Debug)]
struct OrderKeys;

impl OptimizerRule for OrderKeys {
    fn name(&self) -> &str {
        "order_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Sort(sort) if sort.expr.iter().any(|by| has_parts(&by.expr)) => {
                sorted(sort).map(Transformed::yes)
            }
            LogicalPlan::Window(window) if window.window_expr.iter().any(orders_by_parts) => {
                windowed(window).map(Transformed::yes)
            }
            LogicalPlan::Aggregate(aggregate)
                if aggregate.aggr_expr.iter().any(orders_by_parts) =>
            {
                aggregated(aggregate).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

/// Tells whether a function stands within an expression: not whether it is one.
fn has_parts(expr: &Expr) -> bool {
    let is_function = |part: &Expr| Ok(matches!(part, Expr::ScalarFunction(_)));
    let mut found = false;
    let visited = expr.apply_children(|child| {
        found = found || child.exists(is_function)?;
        Ok(TreeNodeRecursion::Continue)
    });
    visited.is_err() || found
}

/// The expressions that a call over rows orders or parts them by.
fn keys_of(call: &Expr) -> Vec<&Expr> {
    match call {
        Expr::Alias(alias) => keys_of(&alias.expr),
        Expr::WindowFunction(call) => {
            let order = call.params.order_by.iter().map(|by| &by.expr);
            order.chain(&call.params.partition_by).collect()
        }
        // Distinct values are ordered by what they are, once all are there, and not by columns beside them.
        Expr::AggregateFunction(call) if !call.params.distinct => {
            call.params.order_by.iter().map(|by| &by.expr).collect()
        }
        _ => vec![],
    }
}

fn orders_by_parts(call: &Expr) -> bool {
    keys_of(call).into_iter().any(has_parts)
}

fn columns_of(schema: &DFSchema) -> Vec<Expr> {
    schema.columns().into_iter().map(Expr::Column).collect()
}

fn sorted(mut sort: Sort) -> Result<LogicalPlan> {
    let columns = columns_of(sort.input.schema());
    let mut keys = Keys::beside(sort.input.schema());
    sort.expr.iter_mut().for_each(|by| keys.put(&mut by.expr));
    sort.input = keys.beneath(sort.input)?;
    let sorted = Arc::new(LogicalPlan::Sort(sort));
    Projection::try_new(columns, sorted).map(LogicalPlan::Projection)
}

fn windowed(window: Window) -> Result<LogicalPlan> {
    let mut keys = Keys::beside(window.input.schema());
    let calls = window.window_expr.into_iter().map(|call| keys.put_in_call(call)).collect();
    let over = Window::try_new(calls, keys.beneath(window.input)?)?;
    let columns = columns_of(&window.schema);
    Projection::try_new(columns, Arc::new(LogicalPlan::Window(over))).map(LogicalPlan::Projection)
}

fn aggregated(aggregate: Aggregate) -> Result<LogicalPlan> {
    let mut keys = Keys::beside(aggregate.input.schema());
    let calls = aggregate.aggr_expr.into_iter().map(|call| keys.put_in_call(call)).collect();
    let input = keys.beneath(aggregate.input)?;
    Aggregate::try_new(input, aggregate.group_expr, calls).map(LogicalPlan::Aggregate)
}

/// The expressions that become columns.
struct Keys {
    /// The number of the first.
    first: usize,
    exprs: Vec<Expr>,
}

impl Keys {
    /// None yet, beside columns of which some may be such.
    fn beside(schema: &DFSchema) -> Self {
        let numbers = schema.fields().iter().filter_map(|field| {
            let number = field.name().strip_prefix(KEY)?;
            number.parse::<usize>().ok()
        });
        Keys { first: numbers.max().map_or(0, |number| number + 1), exprs: vec![] }
    }

    fn name(&self, at: usize) -> String {
        format!("{KEY}{}", self.first + at)
    }

    /// Puts the column of an expression in its place.
    fn put(&mut self, expr: &mut Expr) {
        if !has_parts(expr) {
            return;
        }
        let key = take(expr);
        let at = self.exprs.iter().position(|known| *known == key).unwrap_or(self.exprs.len());
        if at == self.exprs.len() {
            self.exprs.push(key);
        }
        *expr = Expr::Column(Column::new_unqualified(self.name(at)));
    }

    /// The same with all that a call orders or parts rows by; it keeps its name.
    fn put_in_call(&mut self, mut call: Expr) -> Expr {
        let name = NamePreserver::new_for_projection().save(&call);
        self.put_in(&mut call);
        name.restore(call)
    }

    fn put_in(&mut self, call: &mut Expr) {
        match call {
            Expr::Alias(alias) => self.put_in(&mut alias.expr),
            Expr::WindowFunction(call) => {
                call.params.order_by.iter_mut().for_each(|by| self.put(&mut by.expr));
                call.params.partition_by.iter_mut().for_each(|expr| self.put(expr));
            }
            Expr::AggregateFunction(call) if !call.params.distinct => {
                call.params.order_by.iter_mut().for_each(|by| self.put(&mut by.expr));
            }
            _ => {}
        }
    }

    /// The rows with these columns.
    fn beneath(self, input: Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
        let mut columns = columns_of(input.schema());
        let names: Vec<String> = (0..self.exprs.len()).map(|at| self.name(at)).collect();
        columns.extend(self.exprs.into_iter().zip(names).map(|(key, name)| key.alias(name)));
        Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(columns, input)?)))
    }
}
