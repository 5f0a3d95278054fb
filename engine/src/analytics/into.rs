//! `SELECT ... INTO`: a table that is made of the rows of a query, as `CREATE TABLE ... AS` makes it.

use datafusion::sql::sqlparser::ast::{Query, SelectInto, SetExpr};

/// Returns where the rows of a query go, and the query without that; `None` if they go to whoever asks.
pub fn without_into(query: &Query) -> Option<(SelectInto, Query)> {
    if !is_into(query) {
        return None;
    }
    let mut without = query.clone();
    let into = taken(&mut without.body)?;
    Some((into, without))
}

/// Tells whether the rows of a query go to a table.
pub(super) fn is_into(query: &Query) -> bool {
    let mut body = query.body.as_ref();
    loop {
        body = match body {
            SetExpr::Select(select) => return select.into.is_some(),
            SetExpr::Query(query) => &query.body,
            SetExpr::SetOperation { left, .. } => left,
            _ => return false,
        }
    }
}

/// Takes the table out of the first SELECT, where alone it may stand.
fn taken(body: &mut SetExpr) -> Option<SelectInto> {
    match body {
        SetExpr::Select(select) => select.into.take(),
        SetExpr::Query(query) => taken(&mut query.body),
        SetExpr::SetOperation { left, .. } => taken(left),
        _ => None,
    }
}
