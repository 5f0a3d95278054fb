//! Relations that get another name or go to another schema, and what names them then: views, foreign keys, and the sequences of
//! columns, which go to the schema of their table.

use datafusion::sql::sqlparser::ast::{Expr, SqlOption};

use super::referring;
use super::schemas;
use super::sequence_objects;
use super::staged::exists;
use super::statement::{HERE, normal, unsupported};
use super::write::{Seen, Written, missing};
use crate::catalog::{
    AnalyticsBody, AnalyticsRelation, CatalogState, TEMPORARY, is_reserved, keyed, placed,
};
use crate::error::{Error, Result};
use crate::query::planner::parse_one;
use crate::query::postgres::{self, SessionFacts};
use crate::query::session::QuerySession;

/// The option of `ALTER TABLE` that stands for `SET SCHEMA name`, which sqlparser does not read.
pub const SET_SCHEMA: &str = "relation_schema";

/// Returns the schema of `SET SCHEMA`, if that is what options say.
pub(super) fn schema(options: &[SqlOption]) -> Option<String> {
    match options {
        [SqlOption::KeyValue { key, value: Expr::Identifier(schema) }]
            if normal(key) == SET_SCHEMA =>
        {
            Some(normal(schema))
        }
        _ => None,
    }
}

/// Returns what the relation is kept under in another schema that is kept under `name`.
///
/// # Errors
/// SQLSTATE 3F000 if there is no such schema, and 0A000 if nothing can be moved to it.
pub(super) fn target(name: &str, schema: &str, facts: &SessionFacts) -> Result<String> {
    let (own, relation) = placed(name);
    if [own, schema].contains(&TEMPORARY) && own != schema {
        return Err(Error::Standard {
            sqlstate: "0A000",
            message: "cannot move objects into or out of temporary schemas".into(),
            hint: "Make it anew: CREATE TABLE ... AS SELECT ...".into(),
        });
    }
    if facts.snapshot().schema_oid(schema).is_none() {
        return Err(schemas::missing(schema));
    }
    if is_reserved(schema) && schema != TEMPORARY {
        return Err(unsupported(format!("SET SCHEMA \"{schema}\""), HERE));
    }
    Ok(keyed(schema, relation))
}

impl QuerySession {
    /// `RENAME TO`, and `SET SCHEMA` if it `moves`: the relation is kept under `to`.
    pub(super) async fn rename(
        &self,
        seen: &Seen,
        (name, to): (&str, &str),
        moves: bool,
        if_exists: bool,
    ) -> Result<Written> {
        let Some(relation) = seen.find(name) else {
            return match if_exists {
                true => Ok(Written::tagged("ALTER TABLE")
                    .noticed(format!("relation \"{}\" does not exist, skipping", placed(name).1))),
                false => Err(missing(name)),
            };
        };
        self.require_owner(name, relation)?;
        let tag = format!("ALTER {}", relation.word().to_uppercase());
        if moves && name == to {
            return Ok(Written::tagged(tag));
        }
        let (own, schema) = (placed(name).0, placed(to).0);
        if own == schema {
            self.rename_one(seen, name, to).await?;
            return Ok(Written::tagged(tag));
        }
        if let Some(owner) =
            seen.live.published.state.sequence(name).and_then(|one| one.owned_by.as_ref())
        {
            return Err(Error::Row {
                sqlstate: "0A000",
                message: "cannot move an owned sequence into another schema".into(),
                detail: Some(format!(
                    "Sequence \"{}\" is linked to table \"{}\".",
                    placed(name).1,
                    placed(&owner.table).1
                )),
                hint: "Move the table: its sequences go with it.".into(),
            });
        }
        let owned = seen.live.published.state.sequences_of(name).cloned();
        let owned: Vec<String> = owned.collect();
        let before = self.changes();
        let done = self.move_all(seen, (name, to), owned).await;
        if done.is_err() {
            self.back_to(&before);
        }
        done.map(|()| Written::tagged(tag))
    }

    /// Moves a relation and then its sequences.
    async fn move_all(
        &self,
        seen: &Seen,
        (name, to): (&str, &str),
        owned: Vec<String>,
    ) -> Result<()> {
        let schema = placed(to).0;
        refuse_taken(&seen.live.published.state, name, schema)?;
        self.rename_one(seen, name, to).await?;
        for sequence in owned {
            let now = self.now(seen);
            refuse_taken(&now.live.published.state, &sequence, schema)?;
            let to = keyed(schema, placed(&sequence).1);
            self.rename_one(&now, &sequence, &to).await?;
        }
        Ok(())
    }

    async fn rename_one(&self, seen: &Seen, name: &str, to: &str) -> Result<()> {
        let relation = seen.find(name).ok_or_else(|| missing(name))?;
        if seen.find(to).is_some() {
            return Err(exists(to));
        }
        self.note(seen, name).await?;
        self.refuse_pending(name)?;
        let mut moved = relation.clone();
        if let AnalyticsBody::Table(table) = &mut moved.body
            && !table.primary_key.is_empty()
        {
            // The key keeps its name.
            table.primary_key_name = Some(table.name_of_primary_key(name));
        }
        let state = &seen.live.published.state;
        let referring = referring::renamed(state, name, to, &mut moved);
        let others = sequence_objects::renamed(state, name, to).into_iter().chain(referring);
        let mut relations = vec![];
        for view in state.views_over(name) {
            let relation = seen.find(&view).ok_or_else(|| missing(&view))?;
            self.note(seen, &view).await?;
            relations.push((view, Some(following(relation, name, to)?)));
        }
        relations.extend([(name.to_owned(), None), (to.to_owned(), Some(moved))]);
        relations.extend(others.map(|(name, relation)| (name, Some(relation))));
        let ending = {
            let mut staged = self.staged().lock();
            staged.found.takes(&seen.base.published.state, name);
            staged.endings.get(name).copied()
        };
        self.put_checked(seen, relations)?;
        if let Some(ending) = ending {
            self.staged().lock().end_with(to, ending);
        }
        Ok(())
    }
}

/// Fails if the name of a relation, or of one of its keys, is another's in a schema.
fn refuse_taken(state: &CatalogState, name: &str, schema: &str) -> Result<()> {
    let relation = state.analytics.get(name).ok_or_else(|| missing(name))?;
    let own = placed(name).1.to_owned();
    let keys = relation.table().map(|table| table.keys(name)).unwrap_or_default();
    let mut names = std::iter::once(own).chain(keys.into_iter().map(|key| key.name));
    let is_there = |one: &String| {
        let mut there = state.analytics.iter().filter(|(other, _)| placed(other).0 == schema);
        there.any(|(other, relation)| {
            let keys = relation.table().map(|table| table.keys(other)).unwrap_or_default();
            placed(other).1 == one || keys.iter().any(|key| key.name == *one)
        })
    };
    match names.find(is_there) {
        None => Ok(()),
        Some(taken) => Err(Error::Standard {
            sqlstate: "42P07",
            message: format!("relation \"{taken}\" already exists in schema \"{schema}\""),
            hint: "Give one of the two another name: ALTER TABLE ... RENAME.".into(),
        }),
    }
}

/// Returns what becomes of a view that reads the relation which is kept under `name` when that is kept under `to`.
fn following(relation: &AnalyticsRelation, name: &str, to: &str) -> Result<AnalyticsRelation> {
    let mut relation = relation.clone();
    let query = match &mut relation.body {
        AnalyticsBody::View(view) => Some(&mut view.query),
        AnalyticsBody::Table(table) => table.definition.as_mut(),
        AnalyticsBody::Sequence(_) => None,
    };
    if let Some(query) = query {
        let mut statement = parse_one(query)?;
        postgres::follow(&mut statement, placed(name), placed(to));
        *query = statement.to_string();
    }
    Ok(relation)
}
