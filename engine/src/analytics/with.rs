//! `WITH` before `INSERT`, `UPDATE`, `DELETE` and `MERGE`: its queries become those of the query that finds the rows.

use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement, With};

use super::statement::{Write, normal, unsupported};
use crate::error::Result;

/// What to write in the place of two lists of queries that cannot become one.
const ONE_LIST: &str =
    "Put all queries of WITH in front of INSERT, and give each a name of its own.";

/// Returns the statement that stands behind a `WITH`; `None` for a query that reads.
pub(super) fn behind(query: &Query) -> Option<&Statement> {
    match query.body.as_ref() {
        SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) => Some(statement),
        _ => None,
    }
}

/// Tells whether one of the queries of a `WITH` changes rows.
pub(super) fn changes_rows(query: &Query) -> bool {
    let mut tables = query.with.iter().flat_map(|with| &with.cte_tables);
    tables.any(|table| behind(&table.query).is_some())
}

/// Puts the queries of a `WITH` in front of the query that a write takes its rows from.
pub(super) fn add(write: &mut Write, with: &With) -> Result<()> {
    let query = match write {
        Write::Insert { query, .. } => query.as_mut(),
        Write::Change { query, .. } | Write::Merge { query, .. } => match query.as_mut() {
            Statement::Query(query) => query.as_mut(),
            _ => return Err(unsupported("WITH here", ONE_LIST)),
        },
        _ => return Err(unsupported("WITH here", ONE_LIST)),
    };
    let Some(own) = &mut query.with else {
        query.with = Some(with.clone());
        return Ok(());
    };
    let named = |name: &str| with.cte_tables.iter().any(|table| normal(&table.alias.name) == name);
    if own.recursive != with.recursive
        || own.cte_tables.iter().any(|table| named(&normal(&table.alias.name)))
    {
        return Err(unsupported("WITH before INSERT and within it", ONE_LIST));
    }
    drop(own.cte_tables.splice(0..0, with.cte_tables.iter().cloned()));
    Ok(())
}
