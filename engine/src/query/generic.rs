//! Plans that serve for any values of their parameters: optimized once, run many times.
//!
//! To optimize a small statement costs more than to run it. The plan of a statement that is run again is optimized with its
//! parameters in it, which PostgreSQL calls a generic plan, and each run puts its values in and goes on from there. A
//! statement has such a plan if it reads tables that are governed and nothing else, calls nothing that answers
//! otherwise from one statement to the next, and if the types of its parameters say all that a plan depends on. Who may
//! be seen is not in a plan: the scan asks for the [`Access`](super::access::Access) of each run. So has one that asks the
//! catalog, as psql and drivers do, and calls besides what follows from the catalog: a plan is good for one version of it.

use std::any::Any;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::catalog::MemTable;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::{Cast, Placeholder};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Volatility};

use super::governed::GovernedTable;
use super::postgres::{OfSession, follows_from_catalog, known_in_zone};
use super::quick::Quick;
use crate::lake::LOGICAL_TYPE;

/// What is kept of a statement from its first run for those that follow.
#[derive(Debug, Default)]
pub(super) struct Generic {
    run_before: AtomicBool,
    /// The optimized plan, if the statement has one for all values.
    plan: OnceLock<Option<LogicalPlan>>,
    /// The short way of that plan, if it is a small one.
    quick: OnceLock<Option<Quick>>,
}

impl Generic {
    /// Returns the short way of the statement, once it was run often enough to have one.
    pub(super) fn quick(&self) -> Option<&Quick> {
        self.quick.get().and_then(Option::as_ref)
    }

    /// Tells whether the statement has an optimized plan already.
    pub(super) fn is_optimized(&self) -> bool {
        self.plan.get().is_some_and(Option::is_some)
    }

    /// Returns the optimized plan of `plan`, with `values` in it, from the second run on; `None` where it must be planned
    /// for these values.
    pub(super) fn with_values(
        &self,
        state: &SessionState,
        plan: &LogicalPlan,
        parameters: &[FieldRef],
        values: &[ScalarValue],
    ) -> DataFusionResult<Option<LogicalPlan>> {
        if !self.run_before.swap(true, Ordering::Relaxed) {
            return Ok(None);
        }
        let generic = match self.plan.get() {
            Some(generic) => generic,
            None => {
                let generic =
                    parameters.iter().all(|field| says_all(field.data_type())) && lasts(plan);
                let optimized = match generic {
                    true => state.optimize(&typed(plan.clone(), parameters)?).ok(),
                    false => None,
                };
                let generic = self.plan.get_or_init(|| optimized);
                // Nobody shows the catalog of a run to functions that are called the short way.
                let quick = generic.as_ref().filter(|plan| reads_tables_alone(plan));
                let quick = quick.and_then(|plan| Quick::of(state, plan, parameters));
                self.quick.get_or_init(|| quick);
                generic
            }
        };
        let fits = parameters.len() == values.len()
            && parameters
                .iter()
                .zip(values)
                .all(|(field, value)| *field.data_type() == value.data_type());
        match generic {
            Some(generic) if fits => with_values(generic.clone(), values).map(Some),
            _ => Ok(None),
        }
    }
}

/// Tells whether a plan stays right as long as the catalog and the session are as they were: what it answers depends on the
/// rows of governed tables and on its parameters, and on nothing else; or on the catalog and on its parameters.
pub(super) fn lasts(plan: &LogicalPlan) -> bool {
    reads_tables_alone(plan) || reads_catalog_alone(plan)
}

fn reads_tables_alone(plan: &LogicalPlan) -> bool {
    let governed = |node: &LogicalPlan, provider: Option<&dyn Any>| match provider {
        Some(provider) => provider.is::<GovernedTable>(),
        None => is_plain(node),
    };
    reads_alone(plan, governed, |call| call.volatility == Volatility::Immutable)
}

fn reads_catalog_alone(plan: &LogicalPlan) -> bool {
    let catalog = |node: &LogicalPlan, provider: Option<&dyn Any>| match provider {
        Some(provider) => provider.is::<MemTable>() || provider.is::<OfSession>(),
        None => is_plain(node) || matches!(node, LogicalPlan::Unnest(_)),
    };
    reads_alone(plan, catalog, |call| match call.volatility {
        Volatility::Immutable => true,
        Volatility::Stable => follows_from_catalog(call.name),
        Volatility::Volatile => false,
    })
}

/// Tells whether a node answers the same again if what is below it does.
fn is_plain(node: &LogicalPlan) -> bool {
    matches!(
        node,
        LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
    )
}

/// A function that is called, as far as it decides about a plan.
struct Called<'a> {
    name: &'a str,
    volatility: Volatility,
}

/// Tells whether a plan consists of such nodes, given with the relation if they scan one, and calls such functions alone.
fn reads_alone(
    plan: &LogicalPlan,
    node_fits: impl Fn(&LogicalPlan, Option<&dyn Any>) -> bool,
    function_fits: impl Fn(&Called<'_>) -> bool,
) -> bool {
    let mut alone = true;
    let visited = plan.apply_with_subqueries(|node| {
        alone &= match node {
            LogicalPlan::TableScan(scan) => {
                let provider = source_as_provider(&scan.source)?;
                let provider: &dyn Any = provider.as_ref();
                node_fits(node, Some(provider))
            }
            _ => node_fits(node, None),
        };
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                alone &= match part {
                    Expr::ScalarFunction(call) => {
                        let volatility = call.func.signature().volatility;
                        function_fits(&Called { name: call.func.name(), volatility })
                    }
                    Expr::AggregateFunction(call) => {
                        call.func.signature().volatility == Volatility::Immutable
                    }
                    // The optimizer moves a bound to where it can only be a number.
                    Expr::Placeholder(_) => !matches!(node, LogicalPlan::Limit(_)),
                    Expr::ScalarVariable(..) => false,
                    _ => true,
                };
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(if alone { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    alone && visited.is_ok()
}

/// Tells whether all values of a type are planned alike. A numeric has the scale of its value.
fn says_all(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Utf8
            | DataType::Date32
            | DataType::Timestamp(..)
    )
}

/// Gives each parameter of a plan its type.
fn typed(plan: LogicalPlan, parameters: &[FieldRef]) -> DataFusionResult<LogicalPlan> {
    replaced(plan, |id| {
        let field = parameters.get(place_of(id)?)?;
        let placeholder = Placeholder::new_with_field(id.to_owned(), Some(field.clone()));
        Some(Expr::Placeholder(placeholder))
    })
}

/// Returns a parameter without the cast to a text that drivers write around texts: what it is compared with is the same.
fn without_cast(expr: Expr) -> Expr {
    match expr {
        Expr::Cast(Cast { expr: inner, field })
            if matches!(inner.as_ref(), Expr::Placeholder(Placeholder { field: Some(given), .. })
                if given.data_type() == field.data_type() && is_as_given(given, &field)) =>
        {
            *inner
        }
        other => other,
    }
}

/// Tells whether a cast leaves values as they are given: as texts, or as what they are declared to be.
fn is_as_given(given: &Field, cast: &Field) -> bool {
    let (from, to) = (given.metadata().get(LOGICAL_TYPE), cast.metadata().get(LOGICAL_TYPE));
    to.is_none_or(|to| matches!(to.as_str(), "text" | "varchar") || from == Some(to))
}

/// Puts values in the place of the parameters, and works out what casts make of them: scans take constants alone.
fn with_values(plan: LogicalPlan, values: &[ScalarValue]) -> DataFusionResult<LogicalPlan> {
    replaced(plan, |id| Some(Expr::Literal(values.get(place_of(id)?)?.clone(), None)))
}

fn place_of(id: &str) -> Option<usize> {
    id.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)
}

fn replaced(plan: LogicalPlan, by: impl Fn(&str) -> Option<Expr>) -> DataFusionResult<LogicalPlan> {
    let replace = |expr: Expr| {
        Ok(match expr {
            Expr::Placeholder(placeholder) => match by(&placeholder.id) {
                Some(by) => Transformed::yes(by),
                None => Transformed::no(Expr::Placeholder(placeholder)),
            },
            Expr::Cast(Cast { expr, field }) => match expr.as_ref() {
                Expr::Literal(value, _) => match value.cast_to(field.data_type()) {
                    Ok(value) => Transformed::yes(Expr::Literal(value, None)),
                    // It fails when it is run, if it is.
                    Err(_) => Transformed::no(Expr::Cast(Cast { expr, field })),
                },
                _ => Transformed::no(Expr::Cast(Cast { expr, field })),
            },
            Expr::ScalarFunction(call) => match known_in_zone(&call) {
                Some(time) => Transformed::yes(Expr::Literal(time, None)),
                None => Transformed::no(Expr::ScalarFunction(call)),
            },
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
                let (left, right) = (without_cast(*left), without_cast(*right));
                Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(left.into(), op, right.into())))
            }
            other => Transformed::no(other),
        })
    };
    let replaced = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            if !expr.exists(|part| Ok(matches!(part, Expr::Placeholder(_))))? {
                return Ok(Transformed::no(expr));
            }
            let name = names.save(&expr);
            Ok(expr.transform_up(replace)?.update_data(|expr| name.restore(expr)))
        })
    });
    replaced.data()
}
