//! A statement that was planned, and what it was planned for.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::Statement;
use parking_lot::Mutex;

use super::generic::Generic;
use super::parameters::Numerics;
use super::postgres;
use super::reads::Reads;
use crate::error::Result;

/// A statement that was planned.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The columns of its rows, named as PostgreSQL names them.
    pub schema: SchemaRef,
    /// The same, each with the column of a relation that it is.
    pub described: SchemaRef,
    pub(super) statement: Statement,
    pub(super) plan: LogicalPlan,
    /// Its parameters, in order: their types, with the logical ones in the metadata.
    pub parameters: Vec<FieldRef>,
    pub(super) declared_types: Vec<Option<DataType>>,
    pub(super) numerics: Numerics,
    pub(super) generic: Arc<Generic>,
    pub(super) stamp: Stamp,
    /// As it was planned anew when the ground that it was planned on had changed, the last time.
    pub(super) renewed: Arc<Mutex<Option<Arc<Planned>>>>,
}

impl Planned {
    /// Returns the plan of the statement, whose parameters have no values yet.
    pub(crate) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// Returns what the statement reads of persons, and whether it changes sequences.
    pub(crate) fn reads(&self) -> Result<Reads> {
        Ok(Reads::of(&self.plan)?)
    }

    /// Returns the plan of the statement for what `stamp` stands for, if it was made anew for that.
    pub(super) fn renewed(&self, stamp: &Stamp) -> Option<Arc<Planned>> {
        self.renewed.lock().as_ref().filter(|renewed| renewed.stamp == *stamp).cloned()
    }

    /// Keeps what the statement was planned as anew: a statement that outlives a change is planned once for it, and not
    /// with every run.
    pub(super) fn renew(&self, plan: LogicalPlan, stamp: Stamp) -> Arc<Planned> {
        let (generic, renewed) = (Arc::default(), Arc::default());
        let planned = Arc::new(Planned { plan, stamp, generic, renewed, ..self.clone() });
        *self.renewed.lock() = Some(Arc::clone(&planned));
        planned
    }
}

/// What a plan was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) sequence: u64,
    /// What the session itself has changed.
    pub(super) staged: u64,
    pub(super) purpose: Option<String>,
    pub(super) search_path: Vec<String>,
    pub(super) time_zone: Option<String>,
    pub(super) date_style: Option<String>,
}

impl Stamp {
    /// Tells whether it stands for the purpose that was `declared` when something was begun, which has the access of that
    /// purpose or none.
    pub(super) fn is_of(&self, declared: Option<&str>, access: Option<&str>) -> bool {
        let purpose = self.purpose.as_deref();
        purpose == declared && access.is_none_or(|access| purpose == Some(access))
    }
}

/// Returns the columns of a plan's rows under the names that a client sees.
pub(super) fn columns_of(plan: &LogicalPlan) -> SchemaRef {
    let named = |field: &Arc<arrow::datatypes::Field>| {
        field.as_ref().clone().with_name(postgres::column_name(field.name()))
    };
    Arc::new(Schema::new(plan.schema().fields().iter().map(named).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stands_for_another_purpose_than_it_was_made_under() {
        let of = |purpose: Option<&str>| Stamp {
            sequence: 1,
            staged: 0,
            purpose: purpose.map(str::to_owned),
            search_path: Vec::new(),
            time_zone: None,
            date_style: None,
        };
        let marketing = of(Some("marketing"));
        assert!(marketing.is_of(Some("marketing"), Some("marketing")));
        assert!(marketing.is_of(Some("marketing"), None), "it was taken back from the role");
        assert!(of(None).is_of(None, None));
        // The purpose changed before, between and behind.
        assert!(!marketing.is_of(Some("support"), Some("marketing")));
        assert!(!marketing.is_of(Some("marketing"), Some("support")));
        assert!(!marketing.is_of(Some("support"), Some("support")));
        assert!(!marketing.is_of(None, None));
        assert!(!of(None).is_of(Some("support"), Some("support")));
        assert!(!of(None).is_of(None, Some("support")));
    }
}
