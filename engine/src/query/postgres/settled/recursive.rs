//! Recursive queries, whose steps were planned over rows of the types that they begin with.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::expr_rewriter::coerce_plan_expr_for_schema;
use datafusion::logical_expr::{LogicalPlan, RecursiveQuery};

/// Gives all rows of a recursive query the types that it was planned with, in which each step reads those of the step before.
pub(super) fn with_types(query: RecursiveQuery) -> Result<LogicalPlan> {
    let RecursiveQuery { name, static_term, recursive_term, is_distinct, schema } = query;
    let typed = |term: Arc<LogicalPlan>| -> Result<Arc<LogicalPlan>> {
        let found = term.schema().fields().iter();
        if found.zip(schema.fields()).all(|(found, read)| found.data_type() == read.data_type()) {
            return Ok(term);
        }
        Ok(Arc::new(coerce_plan_expr_for_schema(Arc::unwrap_or_clone(term), &schema)?))
    };
    let (static_term, recursive_term) = (typed(static_term)?, typed(recursive_term)?);
    let query = RecursiveQuery::try_new(name, static_term, recursive_term, is_distinct)?;
    Ok(LogicalPlan::RecursiveQuery(query))
}
