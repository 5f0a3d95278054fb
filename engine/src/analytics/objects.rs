//! Views, and what is done to tables, views and sequences as a whole: dropped, renamed, emptied, commented on.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::Schema;
use datafusion::sql::sqlparser::ast::{CommentObject, ObjectName, Statement};

use super::acting;
use super::dependents::Dependents;
use super::insert::no_column;
use super::notice;
use super::referring::without_referring;
use super::sequence_objects::without_sequences;
use super::statement::{Write, existing, normal, unsupported};
use super::view_columns::refuse_replaced;
use super::write::{Seen, Written, already_there, missing};
use crate::audit::{Class, Entry};
use crate::catalog::{
    AnalyticsBody, AnalyticsRelation, AnalyticsView, Body, CatalogState, Definition, SyncInput,
    TEMPORARY, placed, qualified, reads_analytics, relations_read,
};
use crate::error::{Error, Result};
use crate::query::postgres::{self, SessionFacts};
use crate::query::session::QuerySession;

/// Reads a `COMMENT`.
pub(super) fn comment(
    object: &CommentObject,
    name: &ObjectName,
    comment: Option<String>,
    facts: &SessionFacts,
) -> Result<Write> {
    let word = match object {
        CommentObject::Table => "table",
        CommentObject::View => "view",
        CommentObject::MaterializedView => "materialized view",
        CommentObject::Sequence => "sequence",
        CommentObject::Column => "column",
        other => {
            let hint = "Comments stand on objects of onefold, and on tables, views, sequences and columns of the schema analytics.";
            return Err(unsupported(format!("COMMENT ON {other}"), hint));
        }
    };
    if word != "column" {
        let name = existing(name, "COMMENT", facts)?;
        return Ok(Write::Comment { name, word, column: None, comment });
    }
    let mut relation = name.clone();
    let column = relation.0.pop().and_then(|part| part.as_ident().map(normal));
    let name = existing(&relation, "COMMENT", facts)?;
    Ok(Write::Comment { name, word, column, comment })
}

impl QuerySession {
    pub(super) async fn create_view(
        &self,
        seen: &Seen,
        write: &Write,
        name: &str,
        (replace, if_not_exists): (bool, bool),
        columns: &Schema,
    ) -> Result<Written> {
        let Write::CreateView { query, .. } = write else { return Err(missing(name)) };
        let before = seen.find(name);
        let mut following = None;
        match before {
            Some(_) if !replace => return already_there(name, if_not_exists, "CREATE VIEW"),
            Some(relation) => {
                let view = relation.view();
                let view = view.ok_or_else(|| other_kind(name, "view", relation.word()))?;
                self.require_owner(name, relation)?;
                refuse_replaced(&view.columns, columns)?;
                following = self.views_of_replaced(seen, name, (&view.columns, columns))?;
            }
            None => {}
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = columns.fields().iter().find(|column| !names.insert(column.name())) {
            return Err(Error::Standard {
                sqlstate: "42701",
                message: format!("column \"{}\" specified more than once", twice.name()),
                hint: "Give each column a name of its own: AS another_name.".into(),
            });
        }
        let text = self.definition_of(name, query)?;
        let view = AnalyticsView {
            query: text,
            columns: columns.fields().iter().map(|column| column.as_ref().clone()).collect(),
        };
        let relation = AnalyticsRelation {
            owner: before.map_or_else(|| self.role().to_owned(), |before| before.owner.clone()),
            comment: before.and_then(|before| before.comment.clone()),
            column_comments: before
                .map(|before| before.column_comments.clone())
                .unwrap_or_default(),
            body: AnalyticsBody::View(view),
        };
        self.note(seen, name).await?;
        if let Some(query) = relation.query().filter(|_| placed(name).0 != TEMPORARY) {
            self.staged().lock().found.reads(&seen.base.published.state, query);
        }
        let mut relations = vec![(name.to_owned(), Some(relation))];
        if let Some(following) = following {
            self.staged().lock().found.takes(&seen.base.published.state, name);
            for (view, after) in following {
                self.note(seen, &view).await?;
                relations.push((view, Some(after)));
            }
        }
        self.put_checked(seen, relations)?;
        Ok(Written::tagged("CREATE VIEW"))
    }

    /// Returns the text of the query of the view `name`, in which names have their schema.
    pub(super) fn definition_of(&self, name: &str, query: &Statement) -> Result<String> {
        acting::refuse(query)?;
        let mut named = query.clone();
        postgres::qualify(&mut named, self.facts());
        let text = named.to_string();
        let is_temporary = |schema: &str| schema == TEMPORARY;
        let reads_temporary = || {
            let read = relations_read(&text);
            read.iter().any(|(schema, _)| schema.as_deref().is_some_and(is_temporary))
        };
        if !is_temporary(placed(name).0) && reads_temporary() {
            return Err(Error::Unsupported {
                what: "a view that outlives a temporary relation which it reads".into(),
                hint: "Use CREATE TEMP VIEW, or make a table of the schema analytics for it."
                    .into(),
            });
        }
        Ok(text)
    }

    /// Runs a statement that needs no query.
    pub(super) async fn change_objects(&self, seen: &Seen, write: &Write) -> Result<Written> {
        match write {
            Write::Truncate { names, restart, cascade } => {
                let (names, written) = self.emptied_with(seen, names, *cascade)?;
                self.truncate(seen, &names, *restart).await?;
                Ok(written)
            }
            Write::CreateSequence { name, if_not_exists, changes, owner } => {
                self.create_sequence(seen, name, *if_not_exists, changes, owner).await
            }
            Write::AlterSequence { name, if_exists, changes, owner } => {
                self.alter_sequence(seen, name, *if_exists, changes, owner.as_ref()).await
            }
            Write::Drop { names, absent, word, if_exists, cascade } => {
                let mut written = self.drop_made(seen, names, word, *if_exists, *cascade).await?;
                for name in absent {
                    written =
                        written.noticed(format!("{word} \"{name}\" does not exist, skipping"));
                }
                Ok(written)
            }
            Write::Rename { name, to, moves, if_exists } => {
                self.rename(seen, (name, to), *moves, *if_exists).await
            }
            Write::Comment { name, word, column, comment } => {
                self.comment_on(seen, name, word, column.as_deref(), comment.clone()).await
            }
            Write::CreateSchema { name, if_not_exists } => {
                self.make_schema(seen, name, *if_not_exists)
            }
            Write::DropSchema { names, if_exists, cascade } => {
                self.drop_schemas(names, *if_exists, *cascade).await
            }
            other => Err(Error::Unsupported {
                what: other.verb().to_owned(),
                hint: "Send it as a statement of its own.".into(),
            }),
        }
    }

    async fn truncate(&self, seen: &Seen, names: &[String], restart: bool) -> Result<()> {
        for name in names {
            let (_, table) = seen.table(name, "TRUNCATE")?;
            self.note(seen, name).await?;
            let snapshot = seen.live.published.table(&table.path).ok_or_else(|| missing(name))?;
            if !snapshot.files.is_empty() {
                let made = self.opened(&table.path).await?;
                self.stage_rows(seen, &made, vec![], &snapshot.files);
            }
            if restart {
                self.restart_sequences(seen, name);
            }
        }
        Ok(())
    }

    async fn drop_made(
        &self,
        seen: &Seen,
        names: &[String],
        word: &'static str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<Written> {
        let mut written = Written::tagged(format!("DROP {}", word.to_uppercase()));
        let mut gone: Vec<String> = Vec::new();
        for name in names {
            match seen.find(name) {
                None if if_exists => {
                    let name = placed(name).1;
                    written =
                        written.noticed(format!("{word} \"{name}\" does not exist, skipping"));
                }
                None => {
                    return Err(Error::Missing {
                        kind: word,
                        name: placed(name).1.to_owned(),
                        hint: format!("DROP {} IF EXISTS passes over it.", word.to_uppercase()),
                    });
                }
                Some(relation) if relation.word() != word => {
                    return Err(other_kind(name, word, relation.word()));
                }
                Some(_) => gone.push(name.clone()),
            }
        }
        written.notices.extend(notice::cascade(self.drop_all(seen, gone, cascade).await?));
        Ok(written)
    }

    /// Drops relations that are there with the sequences that go with them, and what depends on them if `cascade`. Returns a
    /// line for each that goes with others.
    pub(super) async fn drop_all(
        &self,
        seen: &Seen,
        mut gone: Vec<String>,
        cascade: bool,
    ) -> Result<Vec<String>> {
        for name in &gone {
            let relation = seen.find(name).ok_or_else(|| missing(name))?;
            self.require_owner(name, relation)?;
        }
        let state = &seen.live.published.state;
        let count = gone.len();
        for name in gone.clone() {
            let sequences = state.sequences_of(&name).filter(|sequence| !gone.contains(sequence));
            let sequences: Vec<String> = sequences.cloned().collect();
            gone.extend(sequences);
        }
        let dependents = Dependents::of(state, &gone);
        if !cascade {
            dependents.refuse(count)?;
        }
        let lines = dependents.going();
        let gone = dependents.into_gone();
        if let Some((name, user)) =
            gone.iter().find_map(|name| Some((name, definition_over(state, name)?)))
        {
            return Err(used(name, user));
        }
        let left = without_sequences(state, &gone, cascade)?;
        let mut left: BTreeMap<String, AnalyticsRelation> = left.into_iter().collect();
        without_referring(state, &gone, &mut left);
        for name in &gone {
            self.note(seen, name).await?;
        }
        let mut staged = self.staged().lock();
        for name in &gone {
            staged.found.takes(&seen.base.published.state, name);
            staged.put(&seen.base.published, name, None);
        }
        for (name, relation) in left {
            staged.put(&seen.base.published, &name, Some(relation));
        }
        Ok(lines)
    }

    async fn comment_on(
        &self,
        seen: &Seen,
        name: &str,
        word: &'static str,
        column: Option<&str>,
        comment: Option<String>,
    ) -> Result<Written> {
        let relation = seen.find(name).ok_or_else(|| missing(name))?;
        self.require_owner(name, relation)?;
        let mut relation = relation.clone();
        match column {
            None if relation.word() != word => return Err(other_kind(name, word, relation.word())),
            None => relation.comment = comment,
            Some(column) => {
                let known = match &relation.body {
                    AnalyticsBody::View(view) => {
                        view.columns.iter().any(|one| one.name() == column)
                    }
                    AnalyticsBody::Sequence(_) => false,
                    AnalyticsBody::Table(table) => {
                        let snapshot = seen.live.published.table(&table.path);
                        let snapshot = snapshot.ok_or_else(|| missing(name))?;
                        let columns = crate::query::relations::columns_of(&snapshot.schema, table);
                        columns.iter().any(|one| one.name() == column)
                    }
                };
                if !known {
                    return Err(no_column(name, column));
                }
                match comment {
                    Some(text) => drop(relation.column_comments.insert(column.to_owned(), text)),
                    None => drop(relation.column_comments.remove(column)),
                }
            }
        }
        self.note(seen, name).await?;
        self.staged().lock().put(&seen.base.published, name, Some(relation));
        Ok(Written::tagged("COMMENT"))
    }

    /// Stages relations, unless a view would read itself then.
    pub(super) fn put_checked(
        &self,
        seen: &Seen,
        relations: Vec<(String, Option<AnalyticsRelation>)>,
    ) -> Result<()> {
        let mut staged = self.changes();
        for (name, relation) in relations {
            staged.put(&seen.base.published, &name, relation);
        }
        staged.over(&seen.base.published).state.check_views()?;
        self.back_to(&staged);
        Ok(())
    }

    /// Notes in the audit log that a relation is changed, before it is.
    pub(super) async fn note(&self, _: &Seen, name: &str) -> Result<()> {
        let entry = Entry {
            role: self.role().to_owned(),
            purpose: self.purpose().unwrap_or_default(),
            class: Class::Write,
            relations: vec![qualified(name)],
        };
        self.engine().audit().begin(entry).await.map(drop)
    }
}

/// Returns a definition whose query reads a relation that analysts made.
pub(super) fn definition_over<'a>(state: &'a CatalogState, name: &str) -> Option<&'a Definition> {
    state.all().find(|definition| {
        let query = match &definition.body {
            Body::Segment(segment) => &segment.query,
            Body::Trait(computed) => &computed.query,
            Body::ConsentFeed(feed) => &feed.query,
            Body::IdentityOverrides(overrides) => &overrides.query,
            Body::Sync(sync) => match &sync.input {
                SyncInput::Query(query) => query,
                SyncInput::Segment { .. } => return false,
            },
            _ => return false,
        };
        reads_analytics(query).any(|read| read == name)
    })
}

/// The answer to a change that takes away what a definition reads.
pub(super) fn used(name: &str, user: &Definition) -> Error {
    let user = format!("{} \"{}\"", user.body.kind().word(), user.name);
    depended_on(&qualified(name), &user, "Replace or drop that first.")
}

fn depended_on(what: &str, user: &str, hint: &str) -> Error {
    Error::Standard {
        sqlstate: "2BP01",
        message: format!("cannot drop {what}: {user} depends on it"),
        hint: hint.into(),
    }
}

fn other_kind(name: &str, wanted: &str, is: &str) -> Error {
    Error::Standard {
        sqlstate: "42809",
        message: format!("\"{}\" is not a {wanted}", placed(name).1),
        hint: format!("It is a {is}."),
    }
}
