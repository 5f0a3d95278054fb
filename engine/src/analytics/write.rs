//! Planning and running statements that change what analysts made. What they change is staged in their session.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::Statement;

use super::chained::Chain;
use super::changed::Change;
use super::defaults::Declared;
use super::insert::Overriding;
use super::into::is_into;
use super::keys::refuse_changed;
use super::notice::Notice;
use super::places::Places;
use super::returning::{Returned, parameters_with, with_others};
use super::staged::{Staged, exists};
use super::statement::Write;
use super::{changes, insert, literals, materialized, merged, personal, with};
use crate::catalog::{AnalyticsRelation, AnalyticsTable, TEMPORARY, placed, qualified};
use crate::engine::Live;
use crate::error::{Error, Result};
use crate::query::kept::Context;
use crate::query::planned::Planned;
use crate::query::postgres::zone_of;
use crate::query::relations::{Relation, Relations, columns_of};
use crate::query::session::QuerySession;

/// A write that was planned.
#[derive(Debug, Clone)]
pub struct PlannedWrite {
    pub(super) statement: Statement,
    pub(super) types: Vec<Option<DataType>>,
    pub(super) write: Write,
    pub(super) query: Option<Planned>,
    /// Whether the query selects whose rows it gives, which the statement does not say.
    pub(super) adds_persons: bool,
    /// Its parameters, in order.
    pub parameters: Vec<FieldRef>,
    /// The columns of the rows that it gives back; none if it gives none.
    pub returns: SchemaRef,
}

/// What a write did.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The command tag, such as `INSERT 0 3`.
    pub tag: String,
    /// What the client should know besides.
    pub notices: Vec<Notice>,
    /// The rows that it gives back, and their columns.
    pub returned: Option<(SchemaRef, Vec<RecordBatch>)>,
}

impl Written {
    pub(super) fn tagged(tag: impl Into<String>) -> Self {
        Self { tag: tag.into(), notices: vec![], returned: None }
    }

    pub(super) fn noticed(mut self, notice: impl Into<Notice>) -> Self {
        self.notices.push(notice.into());
        self
    }
}

/// What one write sees.
pub(super) struct Seen {
    /// What is published.
    pub(super) base: Arc<Live>,
    /// The same with what the session has changed.
    pub(super) live: Arc<Live>,
    /// For a part of a statement, what those before it have given back.
    pub(super) returned: Option<Vec<Relation>>,
}

impl Seen {
    /// Returns the relations of a statement, with what was given back.
    pub(super) fn shaped(&self, all: Relations) -> Relations {
        match &self.returned {
            Some(returned) => all.with(returned.clone()),
            None => all,
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&AnalyticsRelation> {
        self.live.published.state.analytics.get(name)
    }

    /// Returns the table `name`, whose rows or columns a statement changes.
    pub(super) fn table(
        &self,
        name: &str,
        verb: &str,
    ) -> Result<(&AnalyticsRelation, &AnalyticsTable)> {
        let found = self.stored(name, verb)?;
        if found.1.definition.is_none() {
            return Ok(found);
        }
        Err(Error::Standard {
            sqlstate: "42809",
            message: format!("cannot change materialized view \"{}\"", placed(name).1),
            hint: "REFRESH MATERIALIZED VIEW fills it anew.".into(),
        })
    }

    /// Returns the table or the materialized view `name`.
    pub(super) fn stored(
        &self,
        name: &str,
        verb: &str,
    ) -> Result<(&AnalyticsRelation, &AnalyticsTable)> {
        let relation = self.find(name).ok_or_else(|| missing(name))?;
        let table = relation.table().ok_or_else(|| match relation.sequence() {
            Some(_) => Error::Standard {
                sqlstate: "42809",
                message: format!("cannot change sequence \"{}\"", placed(name).1),
                hint: "ALTER SEQUENCE and setval change it, and nextval takes a number.".into(),
            },
            None => Error::Standard {
                sqlstate: "42809",
                message: format!("{verb}: \"{name}\" is a view"),
                hint: "Name the table that it reads.".into(),
            },
        })?;
        Ok((relation, table))
    }

    pub(super) fn columns(&self, table: &AnalyticsTable) -> Vec<Field> {
        let snapshot = self.live.published.table(&table.path);
        snapshot.map_or_else(Vec::new, |snapshot| columns_of(&snapshot.schema, table))
    }
}

impl QuerySession {
    /// Plans a statement that changes tables and views of analysts; `None` if it is none.
    pub async fn plan_write(
        &self,
        statement: &Statement,
        types: &[Option<DataType>],
    ) -> Result<Option<PlannedWrite>> {
        self.plan_write_in(&self.seen(), statement, types).await
    }

    /// Runs a planned write. Nobody but this session sees what it changed until [`QuerySession::commit`].
    pub async fn write(&self, planned: &PlannedWrite, values: Vec<ScalarValue>) -> Result<Written> {
        self.engine().catalog().require_writable()?;
        self.require_write()?;
        let seen = self.seen();
        self.admit_reading(&seen.live)?;
        if let Write::Chain(chain) = &planned.write {
            return self.run_chain(&seen, chain, &planned.types, values).await;
        }
        let anew;
        let mut planned = planned;
        if planned.query.as_ref().is_some_and(|query| !self.is_current(query, &seen.live)) {
            let again = self.plan_write_in(&seen, &planned.statement, &planned.types).await?;
            anew = again.ok_or_else(not_planned)?;
            planned = &anew;
        }
        self.write_in(&seen, planned, values).await
    }

    /// Runs a write that was planned for what it sees.
    pub(super) async fn write_in(
        &self,
        seen: &Seen,
        planned: &PlannedWrite,
        values: Vec<ScalarValue>,
    ) -> Result<Written> {
        let plan = match &planned.query {
            Some(query) => Some(Self::with_values(query, values.clone())?),
            None => None,
        };
        let returning = planned.write.returning();
        let items = returning.map(|returning| returning.items.as_slice());
        let mut written = match (&planned.write, plan) {
            (
                Write::CreateTable { name, if_not_exists, rules, of_columns, ending, .. },
                Some(plan),
            ) => {
                if seen.find(name).is_some() {
                    let tag = if *of_columns { "CREATE TABLE" } else { "CREATE TABLE AS" };
                    return already_there(name, *if_not_exists, tag);
                }
                let columns = planned.query.as_ref().map(|query| Arc::clone(&query.schema));
                let columns = columns.ok_or_else(not_planned)?;
                let plan = (!of_columns).then_some(plan);
                let made = self.create_table(seen, name, &columns, rules, plan).await;
                if let (Ok(_), Some(ending)) = (&made, ending) {
                    self.staged().lock().end_with(name, *ending);
                }
                made
            }
            (Write::CreateMaterialized { name, if_not_exists, query }, Some(plan)) => {
                if seen.find(name).is_some() {
                    return already_there(name, *if_not_exists, "CREATE MATERIALIZED VIEW");
                }
                let columns = planned.query.as_ref().map(|query| Arc::clone(&query.schema));
                let columns = columns.ok_or_else(not_planned)?;
                self.create_materialized(seen, name, (query.as_ref(), columns.as_ref()), plan).await
            }
            (Write::Refresh { name }, Some(plan)) => self.refresh_view(seen, name, plan).await,
            (Write::Insert { name, columns, .. }, Some(plan)) => {
                self.insert(seen, name, columns.as_deref(), items, plan).await
            }
            (Write::Upsert { name, upsert, .. }, Some(plan)) => {
                self.upsert_rows(seen, name, upsert, items, plan).await
            }
            (Write::Change { name, verb, assigned, numbered, .. }, Some(plan)) => {
                let others = returning.map_or(0, |returning| returning.others.len());
                let what = Change { name, verb, assigned, numbered, returning: items, others };
                self.change_rows(seen, &what, plan).await
            }
            (Write::Merge { name, steps, .. }, Some(plan)) => {
                self.merge_rows(seen, name, steps, plan).await
            }
            (Write::CreateView { name, replace, if_not_exists, .. }, Some(_)) => {
                let query = planned.query.as_ref().ok_or_else(not_planned)?;
                self.create_view(
                    seen,
                    &planned.write,
                    name,
                    (*replace, *if_not_exists),
                    &query.schema,
                )
                .await
            }
            (write @ Write::Columns { .. }, _) => {
                let query = planned.query.as_ref();
                let added =
                    query.map_or_else(|| Arc::new(Schema::empty()), |q| Arc::clone(&q.schema));
                self.alter_columns(seen, write, &added).await
            }
            (write, _) => self.change_objects(seen, write).await,
        }?;
        if planned.adds_persons {
            written = written.noticed(personal::NOTICE);
        }
        if let (Some(returning), Some(rows)) = (returning, written.returned.take()) {
            let with = (planned.types.as_slice(), values);
            written.returned = Some(self.computed(seen, returning, rows, with).await?);
        }
        Ok(written)
    }

    /// Makes what this session has changed visible to all, whole or not at all.
    pub async fn commit(&self) -> Result<()> {
        if let Err(error) = self.settle_owed(true).await {
            self.rollback();
            return Err(error);
        }
        let staged = self.save_and_replace(Staged::default());
        let (changes, temporary) = (staged.part(false), staged.part(true));
        if !changes.is_empty()
            && let Err(error) = self.engine().commit_staged(changes, self.serialized_at()).await
        {
            self.rollback();
            return Err(error);
        }
        let temporary = temporary.ended();
        *self.temporary().lock() = temporary.clone();
        drop(self.save_and_replace(temporary));
        Ok(())
    }

    /// Forgets what this session has changed and not committed.
    pub fn rollback(&self) {
        let temporary = self.temporary().lock().clone();
        drop(self.save_and_replace(temporary));
    }

    /// Drops the temporary tables of this session.
    pub fn discard_temporary(&self) {
        *self.temporary().lock() = Staged::default();
        self.rollback();
    }

    /// Tells whether there is something to commit.
    pub fn has_changes(&self) -> bool {
        self.staged().lock().version != self.temporary().lock().version
    }

    /// Returns what was changed so far, to go back to.
    pub fn changes(&self) -> Staged {
        self.staged().lock().clone()
    }

    /// Goes back to what was changed when `changes` was taken.
    pub fn back_to(&self, changes: &Staged) {
        drop(self.save_and_replace(changes.clone()));
    }

    fn save_and_replace(&self, staged: Staged) -> Staged {
        std::mem::replace(&mut *self.staged().lock(), staged)
    }

    pub(super) fn seen(&self) -> Seen {
        let base = self.engine().live();
        let live = self.with_changes(&base);
        Seen { base, live, returned: None }
    }

    /// Returns what a statement is planned with.
    pub(super) fn context_of(&self, seen: &Seen) -> Result<Arc<Context>> {
        match seen.returned {
            Some(_) => self.shaped_context(&seen.live, |all| seen.shaped(all)),
            None => self.context(&seen.live),
        }
    }

    pub(super) async fn plan_write_in(
        &self,
        seen: &Seen,
        statement: &Statement,
        types: &[Option<DataType>],
    ) -> Result<Option<PlannedWrite>> {
        let reads = match statement {
            Statement::Query(query) => {
                with::behind(query).is_none() && !is_into(query) && !with::changes_rows(query)
            }
            other => matches!(other, Statement::Explain { .. }),
        };
        if reads {
            return Ok(None);
        }
        if let Some(chain) = Chain::of(statement)? {
            return self.plan_chain(seen, statement, chain, types).await.map(Some);
        }
        // Names are found by what the catalog functions know.
        let with_rows;
        let mut seen = seen;
        let mut context = self.context_of(seen)?;
        let Some(mut write) = Write::of(statement, self.facts())? else { return Ok(None) };
        let mut returns = Arc::new(Schema::empty());
        if let Write::Insert { name, columns, query, overriding, .. } = &mut write {
            let (_, table) = seen.table(name, "INSERT")?;
            let shown = seen.columns(table);
            if *overriding == Some(Overriding::User) {
                insert::override_given(table, &shown, columns.as_deref(), query)?;
            }
            if !table.defaults.is_empty() {
                Declared::made(table, &shown)?.write_into(columns.as_deref(), query);
            }
            insert::leave_out_numbers(table, &shown, columns, query, *overriding)?;
            let places = Places::of_insert(statement);
            let targets = insert::targets(name, &shown, columns.as_deref())
                .map_err(|error| places.at_second(error))?;
            let (all_named, zone) = (columns.is_some(), zone_of(self.facts()));
            if let Some(rows) = literals::gathered(query, &targets, all_named, (&zone, places))? {
                let mut parts = seen.of_parts();
                parts.give_back(rows);
                with_rows = parts;
                seen = &with_rows;
                context = self.context_of(seen)?;
            }
        }
        let mut write = self.arbitrated(seen, &context, (statement, write), types).await?;
        self.name_returned(seen, &mut write, types).await?;
        let mut adds_persons = false;
        let query = match &write {
            Write::CreateTable { name, query, of_columns: false, .. }
                if placed(name).0 == TEMPORARY =>
            {
                let (planned, adds) = self.plan_temporary(seen, &context, query, types).await?;
                adds_persons = adds;
                Some(planned)
            }
            Write::CreateTable { query, .. } | Write::Columns { added: Some(query), .. } => {
                Some(self.plan_with(&seen.live, &context, query, types).await?)
            }
            Write::Refresh { name } => {
                let own = self.shaped_context(&seen.live, |all| all.without_made(name))?;
                let query = materialized::query(seen, name)?;
                let planned = self.plan_with(&seen.live, &own, &query, &[]).await?;
                materialized::check(seen, name, &planned.schema)?;
                Some(planned)
            }
            Write::CreateView { name, query, .. }
            | Write::CreateMaterialized { name, query, .. } => {
                let own = self.shaped_context(&seen.live, |all| all.without_made(name))?;
                Some(self.plan_with(&seen.live, &own, query, types).await?)
            }
            Write::Insert { name, columns, query, overriding, returning, .. } => {
                let (_, table) = seen.table(name, "INSERT")?;
                let shown = seen.columns(table);
                if let Some(returning) = returning {
                    returns = Returned::new(&returning.items, &shown)?.schema;
                }
                let targets = insert::targets(name, &shown, columns.as_deref())?;
                let source = insert::source(query, &targets);
                let planned = self.plan_with(&seen.live, &context, &source, types).await?;
                let places = Places::of_insert(statement).giving(query);
                insert::check(planned.schema.fields(), &targets, columns.is_some(), &places)?;
                let count = planned.schema.fields().len();
                insert::refuse_given(table, &targets, count, *overriding)?;
                Some(planned)
            }
            Write::Change { name, alias, verb, assigned, numbered, returning, query } => {
                let (_, table) = seen.table(name, verb)?;
                let shown = seen.columns(table);
                let targets = insert::targets(name, &shown, Some(assigned))?;
                refuse_changed(table, &targets, numbered)?;
                let returning = returning.as_ref();
                let returned = returning.map(|list| Returned::new(&list.items, &shown));
                let others = returning.map_or(&[][..], |list| &list.others);
                let mut wanted = vec![];
                if let Some(returned) = returned.transpose()? {
                    wanted = returned.kept(assigned);
                    returns = returned.schema;
                }
                let places = Places::of_change(query);
                let mut query = changes::with_columns(query, alias, wanted.into_iter(), others);
                changes::type_values(&mut query, &targets);
                let numbered = self.context_of_change(seen, name)?;
                let planned = self.plan_with(&seen.live, &numbered, &query, types).await?;
                let fields = planned.schema.fields();
                insert::check(&fields[1..][..targets.len()], &targets, true, &places)?;
                if !others.is_empty() {
                    returns = with_others(&returns, &fields[fields.len() - others.len()..]);
                }
                Some(planned)
            }
            Write::Upsert { name, upsert, returning, query } => {
                let shown = seen.columns(seen.table(name, "INSERT")?.1);
                if let Some(returning) = returning {
                    returns = Returned::new(&returning.items, &shown)?.schema;
                }
                let numbered = self.context_of_change(seen, name)?;
                let planned = self.plan_with(&seen.live, &numbered, query, types).await?;
                upsert.check(name, &shown, &planned.schema)?;
                Some(planned)
            }
            Write::Merge { name, steps, query } => {
                let shown = seen.columns(seen.table(name, "MERGE")?.1);
                let query = merged::with_types(name, &shown, query, steps)?;
                let numbered = self.context_of_change(seen, name)?;
                let planned = self.plan_with(&seen.live, &numbered, &query, types).await?;
                merged::check(name, &shown, &planned.schema, steps)?;
                Some(planned)
            }
            _ => None,
        };
        let own = query.as_ref().map(|query| query.parameters.clone());
        let mut parameters = own.unwrap_or_default();
        if let Some(returning) = write.returning() {
            let columns = Arc::clone(&returns);
            let computed = self.plan_returning(seen, returning, columns, vec![], types).await?;
            if let Some(computed) = computed {
                returns = computed.schema;
                parameters = parameters_with(parameters, computed.parameters);
            }
        }
        let (statement, types) = (statement.clone(), types.to_vec());
        Ok(Some(PlannedWrite { statement, types, write, query, adds_persons, parameters, returns }))
    }
}

/// The answer to a statement that makes what is there: an error, or a notice if that was asked for.
pub(super) fn already_there(name: &str, if_not_exists: bool, tag: &str) -> Result<Written> {
    match if_not_exists {
        true => Ok(Written::tagged(tag)
            .noticed(Notice::of_skipped("42P07", &format!("relation \"{}\"", placed(name).1)))),
        false => Err(exists(name)),
    }
}

/// The answer to a relation that is not there.
pub(super) fn missing(name: &str) -> Error {
    Error::Missing {
        kind: "relation",
        name: qualified(name),
        hint: "Check its spelling: \\d analytics.* lists tables and views.".into(),
    }
}

pub(super) fn not_planned() -> Error {
    Error::Invalid { message: "the statement has no plan".into(), hint: "Prepare it again.".into() }
}
