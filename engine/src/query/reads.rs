//! What a plan reads of persons: what the audit log notes before the first row leaves.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::governed::{GovernedTable, Whose};
use super::system::SystemTable;

/// The functions that answer for persons, and the relation that each of them looks into.
const FUNCTIONS: [(&str, &str); 2] =
    [("consent_allows", "public.consents"), ("resolve_profile", "public.profile_identifiers")];

/// What a plan reads of persons.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Whether rows of persons are among it, which nobody reads without a purpose.
    pub(crate) personal: bool,
    /// The relations, each once, sorted: personal ones, those that are on record, and those that functions look into.
    pub(crate) relations: Vec<String>,
}

impl Reads {
    /// Tells whether the function named `name` looks into a relation about persons.
    pub(crate) fn is_by_function(name: &str) -> bool {
        FUNCTIONS.iter().any(|(known, _)| *known == name)
    }

    /// Finds out what `plan` reads, in subqueries, too.
    pub(crate) fn of(plan: &LogicalPlan) -> DataFusionResult<Reads> {
        let mut reads = Reads::default();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                let provider = source_as_provider(&scan.source)?;
                let provider: &dyn std::any::Any = provider.as_ref();
                if let Some(table) = provider.downcast_ref::<GovernedTable>() {
                    if table.whose() != Whose::Nobody {
                        reads.personal = true;
                        reads.relations.push(table.name().to_owned());
                    }
                } else if let Some(table) = provider.downcast_ref::<SystemTable>() {
                    reads.relations.extend(table.on_record().iter().cloned());
                }
            }
            node.apply_expressions(|expression| {
                expression.apply(|part| {
                    if let Expr::ScalarFunction(call) = part {
                        let found = FUNCTIONS.iter().find(|(name, _)| *name == call.func.name());
                        reads.relations.extend(found.map(|(_, relation)| (*relation).to_owned()));
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        reads.relations.sort();
        reads.relations.dedup();
        Ok(reads)
    }
}
