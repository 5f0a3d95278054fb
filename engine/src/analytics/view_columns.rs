//! Columns of views that get other names, and views over relations whose columns do.

use arrow::datatypes::{Field, Schema};

use super::column_changes::{taken, unknown};
use super::objects::{definition_over, used};
use super::write::{Seen, Written, missing};
use crate::catalog::{AnalyticsBody, AnalyticsRelation, AnalyticsTable, placed};
use crate::error::{Error, Result};
use crate::query::planner::parse_one;
use crate::query::postgres::types::{format_type, pg_type_of};
use crate::query::postgres::{
    RenamedColumn, columns_read, follow_column, has_star, names_alone, with_columns,
};
use crate::query::session::QuerySession;

/// Fails unless a view with the columns `before` can show others in their place: whoever reads it finds those that it had, and
/// more stand behind them.
///
/// # Errors
/// SQLSTATE 42P16.
pub(super) fn refuse_replaced(before: &[Field], after: &Schema) -> Result<()> {
    let refused = |message: String, hint: &str| {
        let hint = hint.to_owned();
        Err(Error::Standard { sqlstate: "42P16", message, hint })
    };
    if after.fields().len() < before.len() {
        let hint = "Drop the view, and make it anew.";
        return refused("cannot drop columns from view".into(), hint);
    }
    for (old, new) in before.iter().zip(after.fields()) {
        let name = old.name();
        if name != new.name() {
            let message =
                format!("cannot change name of view column \"{name}\" to \"{}\"", new.name());
            let hint =
                "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.";
            return refused(message, hint);
        }
        let (from, to) = (pg_type_of(old), pg_type_of(new));
        if from.0.oid != to.0.oid {
            let [from, to] = [from, to]
                .map(|(of, modifier)| format_type(i64::from(of.oid), i64::from(modifier)));
            let message =
                format!("cannot change data type of view column \"{name}\" from {from} to {to}");
            return refused(message, "Drop the view, and make it anew.");
        }
    }
    Ok(())
}

impl QuerySession {
    /// `ALTER VIEW name RENAME COLUMN column TO to`.
    pub(super) async fn rename_view_column(
        &self,
        seen: &Seen,
        (name, relation): (&str, &AnalyticsRelation),
        (column, to): (&str, &str),
    ) -> Result<Written> {
        self.require_owner(name, relation)?;
        let mut after = relation.clone();
        let AnalyticsBody::View(view) = &mut after.body else { return Err(missing(name)) };
        let before: Vec<String> = view.columns.iter().map(|one| one.name().clone()).collect();
        if !before.iter().any(|one| one == column) {
            return Err(unknown(name, column));
        }
        if before.iter().any(|one| one == to) {
            return Err(taken(placed(name).1, to));
        }
        if let Some(user) = definition_over(&seen.live.published.state, name) {
            return Err(used(name, user));
        }
        for field in view.columns.iter_mut().filter(|field| field.name() == column) {
            *field = field.clone().with_name(to);
        }
        let columns: Vec<&str> = view.columns.iter().map(|one| one.name().as_str()).collect();
        view.query = with_columns(&view.query, &columns)?;
        if let Some(comment) = after.column_comments.remove(column) {
            after.column_comments.insert(to.to_owned(), comment);
        }
        let mut relations =
            self.views_following(seen, (name, &before), Some((column, to)), &[to])?;
        relations.push((name.to_owned(), after));
        for (name, _) in &relations {
            self.note(seen, name).await?;
        }
        self.staged().lock().found.takes(&seen.base.published.state, name);
        let relations = relations.into_iter().map(|(name, after)| (name, Some(after)));
        self.put_checked(seen, relations.collect())?;
        Ok(Written::tagged("ALTER VIEW"))
    }

    /// Returns what becomes of the views that read a column of a table when that is called `to`, and lets the query of a
    /// materialized view, which the table becomes `after`, give it that name.
    pub(super) fn views_of_renamed(
        &self,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        (column, to): (&str, &str),
        after: &mut AnalyticsRelation,
    ) -> Result<Vec<(String, AnalyticsRelation)>> {
        let columns = seen.columns(table);
        let columns: Vec<String> = columns.iter().map(|one| one.name().clone()).collect();
        if let AnalyticsBody::Table(AnalyticsTable { definition: Some(query), .. }) =
            &mut after.body
        {
            let called = columns.iter().map(|one| if one == column { to } else { one.as_str() });
            *query = with_columns(query, &called.collect::<Vec<_>>())?;
        }
        self.views_following(seen, (name, &columns), Some((column, to)), &[to])
    }

    /// Returns what becomes of the views over a table which gets columns that are called `added`: they go on to show, and to mean,
    /// those of before.
    pub(super) fn views_of_wider(
        &self,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        added: &[&str],
    ) -> Result<Vec<(String, AnalyticsRelation)>> {
        let columns = seen.columns(table);
        let columns: Vec<String> = columns.iter().map(|one| one.name().clone()).collect();
        self.views_following(seen, (name, &columns), None, added)
    }

    /// Returns the same of the views over a view with the columns `before` that shows those of `after`; `None` if these are no
    /// more.
    pub(super) fn views_of_replaced(
        &self,
        seen: &Seen,
        name: &str,
        (before, after): (&[Field], &Schema),
    ) -> Result<Option<Vec<(String, AnalyticsRelation)>>> {
        let added: Vec<&str> =
            after.fields().iter().skip(before.len()).map(|one| one.name().as_str()).collect();
        if added.is_empty() {
            return Ok(None);
        }
        let columns: Vec<String> = before.iter().map(|one| one.name().clone()).collect();
        self.views_following(seen, (name, &columns), None, &added).map(Some)
    }

    /// Returns what becomes of the views over the relation which is kept under `name`, and has these columns before: those that
    /// read a column which is `renamed`, with its name then, and those for which the names that are `new` in it are not nothing.
    fn views_following(
        &self,
        seen: &Seen,
        (name, columns): (&str, &[String]),
        renamed: Option<(&str, &str)>,
        new: &[&str],
    ) -> Result<Vec<(String, AnalyticsRelation)>> {
        // Of another column all are called as before.
        let (from, to) = renamed.unwrap_or_default();
        let (schema, relation) = placed(name);
        let snapshot = self.facts().snapshot();
        let known = snapshot.named(schema, relation);
        let mut following = vec![];
        for view in seen.live.published.state.views_over(name) {
            let mut after = seen.find(&view).cloned().ok_or_else(|| missing(&view))?;
            let query = match &mut after.body {
                AnalyticsBody::View(view) => Some(&mut view.query),
                AnalyticsBody::Table(table) => table.definition.as_mut(),
                AnalyticsBody::Sequence(_) => None,
            };
            let Some(query) = query else { continue };
            // A table of persons is none for a purpose that sees nobody: each view over it may read the column.
            let read: Vec<String> = match known {
                None => columns.to_vec(),
                Some(known) => {
                    let read = columns_read(query, &snapshot);
                    let read = read.get(&known.oid).cloned().unwrap_or_default();
                    let is_read = |column: &&String| read.contains(&known.column(column));
                    columns.iter().filter(is_read).cloned().collect()
                }
            };
            let mut statement = parse_one(query)?;
            let is_renamed = renamed.is_some() && read.iter().any(|column| column == from);
            let shows_all = !read.is_empty() && has_star(&statement);
            if !is_renamed && !shows_all && !names_alone(&statement, new) {
                continue;
            }
            // There is no query of no column.
            let read = if read.is_empty() { columns.to_vec() } else { read };
            let renamed = RenamedColumn { schema, relation, columns, read: &read, from, to };
            follow_column(&mut statement, renamed)?;
            *query = statement.to_string();
            following.push((view, after));
        }
        Ok(following)
    }
}
