//! What a plan reads: of persons, which the audit log notes before the first row leaves, and on what its rows hang.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use super::governed::{GovernedTable, Whose};
use super::operators::OperatorNode;
use super::relations::ReturnedTable;
use super::system::SystemTable;
use crate::error::{Error, Result};

/// The functions that answer for persons, and the relation that each of them looks into.
const FUNCTIONS: [(&str, &str); 2] =
    [("consent_allows", "public.consents"), ("resolve_profile", "public.profile_identifiers")];

/// The functions that leave something behind which others read, whatever their purpose is.
const COUNTING: [&str; 3] = ["nextval", "setval", NOTIFY];
/// The one of them that other sessions of the role hear.
const NOTIFY: &str = "pg_notify";

/// What a plan reads of persons.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Whether rows of persons are among it, which nobody reads without a purpose.
    pub(crate) personal: bool,
    /// The relations, each once, sorted: personal ones, those that are on record, and those that functions look into.
    pub(crate) relations: Vec<String>,
    /// The function that changes sequences, if one is called.
    pub(crate) counts: Option<&'static str>,
}

impl Reads {
    /// Tells whether the function named `name` looks into a relation about persons.
    pub(crate) fn is_by_function(name: &str) -> bool {
        FUNCTIONS.iter().any(|(known, _)| *known == name)
    }

    /// Returns the relations about persons that a node looks into by itself, whatever its inputs are.
    pub(crate) fn of_operator(node: &LogicalPlan) -> &'static [&'static str] {
        match node {
            LogicalPlan::Extension(extension) => {
                match extension.node.as_any().downcast_ref::<OperatorNode>() {
                    Some(operator) => operator.looks_into(),
                    None => &[],
                }
            }
            _ => &[],
        }
    }

    /// Fails if rows of persons would be counted by a sequence, which tells everybody.
    pub(crate) fn check_counts(&self) -> Result<()> {
        match self.counts.filter(|_| self.personal || !self.relations.is_empty()) {
            None => Ok(()),
            Some(function) => Err(Error::Denied {
                message: format!("{function} cannot be called where rows of persons are read"),
                hint: match function {
                    NOTIFY => "Other sessions of the role would hear of them, whatever they may see: call it by itself.",
                    _ => "The sequence would tell how many there are: use row_number() OVER (), or a literal.",
                }
                .into(),
            }),
        }
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
                        reads.relations.push(told(table.name()).to_owned());
                    }
                } else if let Some(table) = provider.downcast_ref::<SystemTable>() {
                    reads.relations.extend(table.on_record().iter().cloned());
                } else if let Some(rows) = provider.downcast_ref::<ReturnedTable>()
                    && rows.whose() != Whose::Nobody
                {
                    reads.personal = true;
                    reads.relations.push(rows.of().to_owned());
                }
            }
            let looked_into = Self::of_operator(node);
            reads.personal |= !looked_into.is_empty();
            reads.relations.extend(looked_into.iter().map(|relation| (*relation).to_owned()));
            node.apply_expressions(|expression| {
                expression.apply(|part| {
                    if let Expr::ScalarFunction(call) = part {
                        let found = FUNCTIONS.iter().find(|(name, _)| *name == call.func.name());
                        reads.relations.extend(found.map(|(_, relation)| (*relation).to_owned()));
                        let counts = COUNTING.into_iter().find(|name| *name == call.func.name());
                        reads.counts = reads.counts.or(counts);
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

/// Returns the name of the relation by which people read a table: one that is there for a view of onefold's own alone is named
/// behind that view.
fn told(table: &str) -> &str {
    let is_own = ["cdp.", "segments."].iter().any(|schema| table.starts_with(schema));
    table.split_once('/').filter(|_| is_own).map_or(table, |(view, _)| view)
}

/// Returns the paths of the tables that `plan` reads, in subqueries, too.
pub(crate) fn tables_read(plan: &LogicalPlan) -> Result<BTreeSet<String>> {
    let mut paths = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let provider = source_as_provider(&scan.source)?;
            let provider: &dyn std::any::Any = provider.as_ref();
            if let Some(table) = provider.downcast_ref::<GovernedTable>() {
                paths.extend(table.paths().iter().cloned());
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(paths)
}

/// Tells whether `plan` calls a function that does not depend on its arguments alone, such as `now()`.
pub(crate) fn reads_the_clock(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found |= matches!(expr, Expr::ScalarFunction(call)
                    if call.func.signature().volatility != Volatility::Immutable);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}
