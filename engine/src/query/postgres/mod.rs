//! The Postgres face of the planner: what makes a DataFusion session answer as PostgreSQL 15 does.
//!
//! A statement passes through here in this order. [`rewrite()`] changes the parsed statement: names, casts to object names,
//! syntax that only PostgreSQL has. While it is planned, `MergedJoins` plans joins by `USING`, `OperatorRelations` plans
//! the operators of identity resolution, and [`PostgresTypes`] and [`PostgresOperators`] give types and literals
//! PostgreSQL's meaning. [`settle()`] then gives its expressions their types, and reads its literals. `WindowedSubqueries`
//! puts subqueries of a row below windows and aggregates, `JoinedValues` those in conditions of joins above or below these,
//! `LiftedValues` values of a row further out beside it. `KnownRows` looks at what of a row is compared with itself.
//! [`CorrelatedSubqueries`] and [`ObjectNames`] change the plan, `DocumentOrder` what `jsonb` is compared by, `NamedSets` the
//! names of groups, `CheckedIntegers` its arithmetic, `MarkedRows` makes joins of `EXISTS`, `AppliedRows` of other subqueries
//! of a row, and [`ObjectNames::present`] changes its result. Relations of [`pg_catalog`] and [`information_schema`] and the
//! [`functions()`] read one [`SessionFacts`], whose [`Snapshot`] holds what the role can see: nothing here names a relation
//! that the snapshot does not hold.
//!
//! [`extend`] puts all of it into a session.

mod any_row;
mod applied;
mod array_order;
pub mod arrow_names;
mod backends;
mod catalog;
mod checked;
mod compared_sets;
mod comparisons;
mod configured;
mod copies;
mod counted_sets;
pub(in crate::query) mod diagnosis;
mod document_order;
mod early_joins;
mod facts;
mod foreign_keys;
mod functions;
mod given;
mod held;
mod held_conditions;
pub mod input;
mod intervals;
mod joined_values;
mod json_operators;
mod known_rows;
mod lateral;
mod lifted;
mod locks;
mod lone_values;
mod marked;
mod merged_joins;
mod moments;
mod named_sets;
mod narrowed;
mod notified;
mod object_names;
mod oids;
mod order_keys;
mod ordered;
mod ordered_once;
mod origins;
mod peer_frames;
mod planners;
mod result_types;
mod rewrite;
mod same_windows;
pub mod settings;
mod settled;
mod snapshot;
mod sparing;
mod subqueries;
#[cfg(test)]
mod tests;
pub mod types;
mod unknown;
mod windowed;
mod zone;

use std::sync::{Arc, LazyLock};

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::{ExprPlanner, RelationPlanner};
use datafusion::optimizer::{Analyzer, AnalyzerRule, Optimizer, OptimizerRule};

pub(in crate::query) use applied::{check_joined, of_subqueries};
pub use backends::{Backends, Reachable, Shown, Signal};
pub(in crate::query) use catalog::OfSession;
pub use catalog::{information_schema, pg_catalog};
pub(crate) use catalog::{volatilities, volatility_of};
pub use configured::{CheckSetting, Configured};
pub(crate) use diagnosis::{
    ambiguous_column, at_span, check_assigned, check_returned, missing_column, refuse_unseen,
};
pub use facts::SessionFacts;
pub use functions::{AllowedFunctions, aggregates, allowed_functions, functions};
pub(crate) use functions::{assigned_arrays, bytes_held, has_ends, numerics_of};
pub(in crate::query) use functions::{follows_from_catalog, is_in_zone, known_in_zone, own};
pub use held::{OpenCursor, PreparedStatement};
pub use locks::AdvisoryLocks;
pub(crate) use moments::{assigned as assigned_moments, zone_of};
pub use notified::{NOTIFICATIONS_MAX, Said, check_channel, check_payload, too_many_notifications};
pub use object_names::ObjectNames;
pub use origins::{origin_of, with_origins};
pub use planners::{PostgresOperators, PostgresTypes};
pub use rewrite::{
    ArrayText, column_name, comes_sorted, follow, outer_aggregates, qualify, rewrite,
};
pub(crate) use rewrite::{
    RenamedColumn, columns_read, follow_column, has_star, names_alone, normal, parts, with_columns,
};
pub use settled::settle;
pub(crate) use snapshot::{DEFAULT, GENERATED};
pub use snapshot::{Relation, RelationKind, Sequence, Snapshot};
pub use subqueries::CorrelatedSubqueries;
pub use zone::{DateOrder, Zone};

use super::operators::OperatorRelations;
use crate::query::stop;

/// Gives a session PostgreSQL's functions, types, operators and rules, and of DataFusion's functions those that are
/// allowed. Call it on a builder without default features. `more` are functions of onefold's own.
pub fn extend(
    builder: SessionStateBuilder,
    facts: &Arc<SessionFacts>,
    more: Vec<Arc<datafusion::logical_expr::ScalarUDF>>,
) -> SessionStateBuilder {
    let allowed = allowed_functions();
    let mut scalar = allowed.scalar.clone();
    scalar.extend(functions(facts).into_iter().map(Arc::new));
    scalar.extend(more);
    let mut aggregate = allowed.aggregate.clone();
    aggregate.extend(aggregates().into_iter().map(Arc::new));
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(PostgresOperators::new(facts))];
    planners.extend(SessionStateDefaults::default_expr_planners());
    let relations: Vec<Arc<dyn RelationPlanner>> =
        vec![Arc::new(merged_joins::MergedJoins), Arc::new(OperatorRelations)];
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![
        Arc::new(ObjectNames::new(facts)),
        Arc::new(known_rows::KnownRows),
        Arc::new(lateral::LateralRows),
        Arc::new(ordered::OrderedSubqueries),
        Arc::new(windowed::WindowedSubqueries),
        Arc::new(joined_values::JoinedValues),
        Arc::new(lifted::LiftedValues),
        Arc::new(CorrelatedSubqueries::new()),
        Arc::new(applied::AppliedRows),
        Arc::new(counted_sets::CountedSets),
        Arc::new(ordered_once::OrderedOnce),
        Arc::new(document_order::DocumentOrder),
        Arc::new(peer_frames::PeerFrames),
    ];
    for rule in Analyzer::new().rules {
        if rule.name() == named_sets::RESOLVING {
            rules.push(Arc::new(named_sets::AskedSets));
            rules.push(rule);
            rules.push(Arc::new(named_sets::NamedSets));
        } else {
            rules.push(rule);
        }
    }
    rules.push(Arc::new(checked::CheckedIntegers));
    builder
        .with_scalar_functions(scalar)
        .with_higher_order_functions(allowed.higher_order.clone())
        .with_aggregate_functions(aggregate)
        .with_window_functions(allowed.window.clone())
        .with_table_function_list(allowed.table.clone())
        .with_expr_planners(planners)
        .with_relation_planners(relations)
        .with_type_planner(Arc::new(PostgresTypes))
        .with_analyzer_rules(stop::analysis(rules))
        .with_optimizer_rules(optimization())
        .with_physical_optimizer_rules(stop::physical_optimization())
}

/// The rules of the optimizer, which are the same for every session.
fn optimization() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    static RULES: LazyLock<Vec<Arc<dyn OptimizerRule + Send + Sync>>> = LazyLock::new(|| {
        let rules = early_joins::among(Optimizer::new().rules);
        let rules = marked::among(held_conditions::among(rules));
        stop::optimization(order_keys::among(same_windows::among(rules)))
    });
    RULES.clone()
}
