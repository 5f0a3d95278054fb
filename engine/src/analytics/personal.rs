//! Temporary tables of rows of persons whose query does not say whose rows they are, such as those in which BI tools keep the
//! values of a filter.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{Expr, GroupByExpr, Ident, SelectItem, SetExpr, Statement};

use super::provenance::{Provenance, names_persons};
use super::write::Seen;
use crate::error::{Error, Result};
use crate::query::governed::PROFILE_ID;
use crate::query::kept::Context;
use crate::query::planned::Planned;
use crate::query::session::QuerySession;

/// What is said where a temporary table gets a column that its query does not select.
pub(super) const NOTICE: &str =
    "column \"profile_id\" was added, by which a row disappears with its person";

impl QuerySession {
    /// Plans the query of a temporary table; returns whether it selects `profile_id` for rows that may not be kept without.
    pub(super) async fn plan_temporary(
        &self,
        seen: &Seen,
        context: &Arc<Context>,
        query: &Statement,
        types: &[Option<DataType>],
    ) -> Result<(Planned, bool)> {
        let planned = self.plan_with(&seen.live, context, query, types).await?;
        let refused = planned.schema.column_with_name(PROFILE_ID).is_none()
            && matches!(Provenance::of_change(planned.plan(), false), Err(Error::Denied { .. }));
        let with_persons = with_profile_id(query).filter(|_| refused);
        let Some(with_persons) = with_persons else { return Ok((planned, false)) };
        // Where it is not clear whose rows they are, what refuses them says so.
        match self.plan_with(&seen.live, context, &with_persons, types).await {
            Ok(with) if names_persons(with.plan(), with.schema.fields().len() - 1)? => {
                Ok((with, true))
            }
            _ => Ok((planned, false)),
        }
    }
}

/// A query of rows as they are, with `profile_id` behind its columns.
fn with_profile_id(query: &Statement) -> Option<Statement> {
    let mut query = query.clone();
    let Statement::Query(inner) = &mut query else { return None };
    let SetExpr::Select(select) = inner.body.as_mut() else { return None };
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    if select.distinct.is_some() || !ungrouped || select.having.is_some() {
        return None;
    }
    let id = Expr::Identifier(Ident::new(PROFILE_ID));
    select.projection.push(SelectItem::UnnamedExpr(id));
    Some(query)
}
