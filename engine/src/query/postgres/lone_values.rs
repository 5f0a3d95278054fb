//! Values of subqueries that are null where the subquery has no rows: `(SELECT true FROM t WHERE false)`.
//!
//! DataFusion takes such a value for one that is never null where its column is not, so that `IS NULL` is false of it and the null
//! fails the query. The aggregate of the one row may be null.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Subquery};

use super::functions::single;
use super::subqueries::gives_one_row;

/// Makes a value that may lack of one that says that it does not.
pub(super) fn with_null(subquery: Subquery) -> Result<Transformed<Expr>> {
    let plan = subquery.subquery.as_ref();
    let column = plan.schema().columns().into_iter().next();
    let lacks = |_: &Column| !plan.schema().field(0).is_nullable() && !gives_one_row(plan);
    let Some(column) = column.filter(lacks) else {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    };
    let name = column.name.clone();
    let value = single(Expr::Column(column));
    let aggregated = Column::new_unqualified(value.schema_name().to_string());
    let plan = LogicalPlanBuilder::from(plan.clone())
        .aggregate(Vec::<Expr>::new(), vec![value])?
        .project([Expr::Column(aggregated).alias(name)])?
        .build()?;
    let subquery = Subquery { subquery: Arc::new(plan), ..subquery };
    Ok(Transformed::yes(Expr::ScalarSubquery(subquery)))
}
