//! `WITH` whose queries change rows: parts of one statement, each of which sees the state before it. What a part gives back is
//! a relation for those behind it, as personal as all that the part reads.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Query, Statement, With, visit_expressions, visit_relations,
};
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};

use super::immutable::is_changing_call;
use super::into::is_into;
use super::returning::{RETURNED_BYTES_MAX, parameters_with, too_much};
use super::statement::{Write, normal, parts, unsupported};
use super::with;
use super::write::{PlannedWrite, Seen, Written, not_planned};
use crate::catalog::{TEMPORARY, UniqueConstraint, qualified};
use crate::error::{Error, Result};
use crate::query::governed::Whose;
use crate::query::planned::Planned;
use crate::query::planner::parse_one;
use crate::query::relations::{Origin, Relation};
use crate::query::session::QuerySession;

/// What a statement is called whose rows are too many to wait in memory.
const STATEMENT: &str = "a statement that changes rows in WITH";

/// Queries of one `WITH` that change rows at most: each is planned with the others that it reads.
const PARTS_MAX: usize = 32;

/// A statement whose `WITH` changes rows.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    /// The queries of `WITH` that change rows, in order.
    parts: Vec<Part>,
    /// The others, and in the places of those that give rows back the relations of these rows.
    list: With,
    /// What stands behind them.
    main: Statement,
}

#[derive(Debug, Clone)]
struct Part {
    query: Box<Query>,
    /// How many of the others stand before it.
    before: usize,
    /// The relation that its rows are read as, if it gives some back.
    relation: Option<String>,
}

impl Chain {
    /// Reads a statement; `None` if no query of its `WITH` changes rows.
    ///
    /// # Errors
    /// [`Error::Standard`] for what PostgreSQL does not take either, [`Error::Unsupported`] for `SELECT INTO`, and
    /// [`Error::Limit`] for too many queries that change rows.
    pub(super) fn of(statement: &Statement) -> Result<Option<Self>> {
        let Statement::Query(query) = statement else { return Ok(None) };
        let Some(given) = query.with.as_ref().filter(|_| with::changes_rows(query)) else {
            return Ok(None);
        };
        if is_into(query) {
            let hint = "Make the table first, and INSERT the rows into it.";
            return Err(unsupported("SELECT INTO behind a query that changes rows", hint));
        }
        refuse_changing(statement, given)?;
        let (mut parts, mut silent): (Vec<Part>, Vec<String>) = (vec![], vec![]);
        let mut list = listed(given, vec![]);
        for table in &given.cte_tables {
            refuse_silent(&silent, &table.query)?;
            let Some(changes) = with::behind(&table.query) else {
                list.cte_tables.push(table.clone());
                continue;
            };
            check_part(&table.query, parts.len())?;
            let (query, before) = (table.query.clone(), list.cte_tables.len());
            let relation = gives_back(changes)?.then(|| format!("returned.{}", parts.len()));
            match &relation {
                Some(name) => {
                    let (query, materialized) = (rows_of(name)?, None);
                    list.cte_tables.push(Cte { query, materialized, ..table.clone() });
                }
                None => silent.push(normal(&table.alias.name)),
            }
            parts.push(Part { query, before, relation });
        }
        let mut main = query.clone();
        main.with = Some(list.clone()).filter(|list| !list.cte_tables.is_empty());
        refuse_silent(&silent, &main)?;
        Ok(Some(Self { parts, list, main: Statement::Query(main) }))
    }

    /// Returns a part with those of the others before it that it reads.
    fn statement(&self, part: &Part) -> Statement {
        let mut tables = read_by(&part.query, &self.list.cte_tables[..part.before]);
        let own = part.query.with.as_ref();
        tables.extend(own.iter().flat_map(|own| own.cte_tables.iter().cloned()));
        match with::behind(&part.query) {
            Some(changes) if tables.is_empty() => changes.clone(),
            _ => {
                let mut with = listed(&self.list, tables);
                with.recursive |= own.is_some_and(|own| own.recursive);
                let with = Some(with);
                Statement::Query(Box::new(Query { with, ..part.query.as_ref().clone() }))
            }
        }
    }
}

/// Fails if a query of `WITH` cannot be a part of a statement that has so many.
fn check_part(query: &Query, parts: usize) -> Result<()> {
    if with::changes_rows(query) {
        return Err(refused(
            "WITH clause containing a data-modifying statement must be at the top level",
            "Put all queries that change rows into the first WITH.",
        ));
    }
    if parts >= PARTS_MAX {
        return Err(Error::Limit {
            sqlstate: "54001",
            message: format!("more than {PARTS_MAX} queries of WITH change rows"),
            hint: "Write several statements in one transaction.".into(),
        });
    }
    Ok(())
}

/// Returns those tables that a query reads, also by way of others among them, in their order.
fn read_by(query: &Query, tables: &[Cte]) -> Vec<Cte> {
    let mut wanted = BTreeSet::new();
    let note = |query: &Query, wanted: &mut BTreeSet<String>| {
        // The visitor never breaks off.
        let _: ControlFlow<()> = visit_relations(query, |relation| {
            if let [only] = parts(relation).as_slice() {
                wanted.insert(only.clone());
            }
            ControlFlow::Continue(())
        });
    };
    note(query, &mut wanted);
    let mut read = vec![];
    for table in tables.iter().rev() {
        if wanted.contains(&normal(&table.alias.name)) {
            note(&table.query, &mut wanted);
            read.push(table.clone());
        }
    }
    read.reverse();
    read
}

/// Returns a `WITH` as `list` is, of other tables.
fn listed(list: &With, cte_tables: Vec<Cte>) -> With {
    With { with_token: list.with_token.clone(), recursive: list.recursive, cte_tables }
}

/// Tells whether a part has `RETURNING`.
fn gives_back(changes: &Statement) -> Result<bool> {
    match changes {
        Statement::Insert(insert) => Ok(insert.returning.is_some()),
        Statement::Update(update) => Ok(update.returning.is_some()),
        Statement::Delete(delete) => Ok(delete.returning.is_some()),
        _ => Err(refused(
            "MERGE not supported in WITH query",
            "Let it stand behind WITH, or by itself.",
        )),
    }
}

/// Returns the query for the rows that a part gives back.
fn rows_of(relation: &str) -> Result<Box<Query>> {
    match parse_one(&format!("SELECT * FROM {TEMPORARY}.\"{relation}\""))? {
        Statement::Query(query) => Ok(query),
        _ => Err(not_planned()),
    }
}

/// Fails if a query of `WITH` that only reads gives other rows each time and is named more than once: PostgreSQL runs it once.
fn refuse_changing(statement: &Statement, list: &With) -> Result<()> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    // The visitor never breaks off.
    let _: ControlFlow<()> = visit_relations(statement, |relation| {
        if let [only] = parts(relation).as_slice() {
            *times.entry(only.clone()).or_default() += 1;
        }
        ControlFlow::Continue(())
    });
    let mut changing: BTreeSet<String> = BTreeSet::new();
    for table in list.cte_tables.iter().filter(|table| with::behind(&table.query).is_none()) {
        let calls = visit_expressions(&*table.query, |expr| match expr {
            Expr::Function(call) if is_changing_call(call) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        let reads = visit_relations(&*table.query, |relation| match parts(relation).as_slice() {
            [only] if changing.contains(only) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        if calls.is_continue() && reads.is_continue() {
            continue;
        }
        let name = normal(&table.alias.name);
        if times.get(&name).is_some_and(|times| *times > 1) {
            let what = format!("WITH query \"{name}\", which differs each time it is run, twice");
            return Err(unsupported(what, "Put its rows into a temporary table first."));
        }
        changing.insert(name);
    }
    Ok(())
}

/// Fails if a query names a part that gives nothing back.
fn refuse_silent(silent: &[String], query: &Query) -> Result<()> {
    if silent.is_empty() {
        return Ok(());
    }
    let named = visit_relations(query, |name| match parts(name).as_slice() {
        [only] if silent.contains(only) => ControlFlow::Break(only.clone()),
        _ => ControlFlow::Continue(()),
    });
    match named {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(name) => Err(refused(
            format!("WITH query \"{name}\" does not have a RETURNING clause"),
            "Add RETURNING *, or what is needed of its rows.",
        )),
    }
}

fn refused(message: impl Into<String>, hint: &str) -> Error {
    Error::Standard { sqlstate: "0A000", message: message.into(), hint: hint.into() }
}

/// Returns the table that a write puts rows into or changes.
fn target(write: &Write) -> Option<&str> {
    match write {
        Write::Insert { name, .. }
        | Write::Upsert { name, .. }
        | Write::Change { name, .. }
        | Write::Merge { name, .. } => Some(name),
        _ => None,
    }
}

/// Fails if parts change one table so that one would have to see what another one does: each is held against the state
/// before the statement.
fn refuse_twice(seen: &Seen, writes: &[Write]) -> Result<()> {
    for write in writes {
        let Some(name) = target(write) else { continue };
        let same: Vec<&Write> = writes.iter().filter(|other| target(other) == Some(name)).collect();
        if same.len() < 2 {
            continue;
        }
        let (_, table) = seen.table(name, write.verb())?;
        let keys = table.keys(name);
        let adds = |write: &&Write| matches!(write, Write::Insert { .. });
        let mut rewrites = same.iter().copied().filter(|write| !adds(write));
        let is_run = match (rewrites.next(), rewrites.next()) {
            (None, _) => keys.is_empty(),
            (Some(one), None) => keys.is_empty() || same.len() == 2 && keeps_keys(one, &keys),
            (Some(_), Some(_)) => false,
        };
        if !is_run {
            let what = format!("a statement that changes \"{}\" twice", qualified(name));
            return Err(unsupported(what, "Write two statements in one transaction."));
        }
    }
    Ok(())
}

/// Tells whether a write leaves the keys of the rows that it changes as they are.
fn keeps_keys(write: &Write, keys: &[UniqueConstraint]) -> bool {
    match write {
        Write::Change { verb: "UPDATE", assigned, .. } => {
            !keys.iter().flat_map(|key| &key.columns).any(|column| assigned.contains(column))
        }
        _ => false,
    }
}

impl Seen {
    /// Returns what the parts of a statement see, none of which was run.
    pub(super) fn of_parts(&self) -> Seen {
        let returned = Some(self.returned.clone().unwrap_or_default());
        Seen { base: Arc::clone(&self.base), live: Arc::clone(&self.live), returned }
    }

    /// Adds a relation for what is planned from now on.
    pub(super) fn give_back(&mut self, relation: Relation) {
        self.returned.get_or_insert_default().push(relation);
    }
}

impl QuerySession {
    /// Plans the parts of a statement, each with the columns of what those before it give back.
    pub(super) fn plan_chain<'a>(
        &'a self,
        seen: &'a Seen,
        statement: &'a Statement,
        chain: Chain,
        types: &'a [Option<DataType>],
    ) -> BoxFuture<'a, Result<PlannedWrite>> {
        async move {
            let mut seen = seen.of_parts();
            let (mut parameters, mut writes) = (vec![], vec![]);
            for part in &chain.parts {
                let changes = chain.statement(part);
                let planned = self.plan_write_in(&seen, &changes, types).await?;
                let planned = planned.ok_or_else(not_planned)?;
                parameters = parameters_with(parameters, planned.parameters);
                if let Some(name) = &part.relation {
                    // What is only planned reads no rows.
                    let (of, whose) = (String::new(), Whose::Nobody);
                    let origin = Origin { of, whose, ids: vec![], log: None };
                    seen.give_back(Relation::returned(name, &planned.returns, &[], origin)?);
                }
                writes.push(planned.write);
            }
            let returns = match self.plan_write_in(&seen, &chain.main, types).await? {
                Some(planned) => {
                    parameters = parameters_with(parameters, planned.parameters);
                    writes.push(planned.write);
                    planned.returns
                }
                None => {
                    let planned = self.plan_main(&seen, &chain, types).await?;
                    parameters = parameters_with(parameters, planned.parameters);
                    planned.schema
                }
            };
            refuse_twice(&seen, &writes)?;
            let (statement, types) = (statement.clone(), types.to_vec());
            let write = Write::Chain(Box::new(chain));
            let (query, adds_persons) = (None, false);
            Ok(PlannedWrite { statement, types, write, query, adds_persons, parameters, returns })
        }
        .boxed()
    }

    /// Plans what stands behind the parts, if it reads.
    async fn plan_main(
        &self,
        seen: &Seen,
        chain: &Chain,
        types: &[Option<DataType>],
    ) -> Result<Planned> {
        let context = self.context_of(seen)?;
        self.plan_with(&seen.live, &context, &chain.main, types).await
    }

    /// Runs a statement whose `WITH` changes rows: all of it, or nothing.
    pub(super) async fn run_chain(
        &self,
        seen: &Seen,
        chain: &Chain,
        types: &[Option<DataType>],
        values: Vec<ScalarValue>,
    ) -> Result<Written> {
        let before = self.changes();
        let done = self.run_parts(seen.of_parts(), chain, types, values).await;
        if done.is_err() {
            self.back_to(&before);
        }
        done
    }

    async fn run_parts(
        &self,
        mut seen: Seen,
        chain: &Chain,
        types: &[Option<DataType>],
        values: Vec<ScalarValue>,
    ) -> Result<Written> {
        let (mut notices, mut writes) = (vec![], vec![]);
        let mut kept = RecordBatchMemoryCounter::new();
        for part in &chain.parts {
            let changes = chain.statement(part);
            let planned = self.plan_write_in(&seen, &changes, types).await?;
            let planned = planned.ok_or_else(not_planned)?;
            // Tables may have got keys since the statement was planned.
            writes.push(planned.write.clone());
            refuse_twice(&seen, &writes)?;
            let origin = self.origin(&seen, &planned).await?;
            let written = self.write_in(&seen, &planned, values.clone()).await?;
            notices.extend(written.notices);
            if let (Some(name), Some((columns, rows))) = (&part.relation, written.returned) {
                for batch in &rows {
                    kept.count_batch(batch);
                }
                if kept.memory_usage() > RETURNED_BYTES_MAX {
                    return Err(too_much(STATEMENT));
                }
                seen.give_back(Relation::returned(name, &columns, &rows, origin)?);
            }
        }
        let mut written = match self.plan_write_in(&seen, &chain.main, types).await? {
            Some(planned) => {
                writes.push(planned.write.clone());
                refuse_twice(&seen, &writes)?;
                self.write_in(&seen, &planned, values).await?
            }
            None => self.read_main(&seen, chain, types, values).await?,
        };
        self.settle_owed(false).await?;
        notices.append(&mut written.notices);
        Ok(Written { notices, ..written })
    }

    /// Returns where the rows come from that a part gives back: they are as personal as all that the part reads.
    async fn origin(&self, seen: &Seen, planned: &PlannedWrite) -> Result<Origin> {
        let Some(name) = target(&planned.write) else { return Err(not_planned()) };
        let (_, table) = seen.table(name, planned.write.verb())?;
        let reads = planned.query.as_ref().map(Planned::reads).transpose()?.unwrap_or_default();
        let bound = table.purpose.is_some() || reads.personal || !reads.relations.is_empty();
        let whose = match (table.of_persons, bound) {
            (true, _) => Whose::Persons,
            (false, true) => Whose::Purpose,
            (false, false) => Whose::Nobody,
        };
        let own = Origin { of: qualified(name), whose, ids: vec![], log: None };
        let Some(returning) = planned.write.returning() else { return Ok(own) };
        let shown = seen.columns(table);
        self.origin_of(seen, returning, &shown, own, &planned.types).await
    }

    /// Reads what stands behind the parts.
    async fn read_main(
        &self,
        seen: &Seen,
        chain: &Chain,
        types: &[Option<DataType>],
        values: Vec<ScalarValue>,
    ) -> Result<Written> {
        let planned = self.plan_main(seen, chain, types).await?;
        let plan = Self::with_values(&planned, values)?;
        let mut stream = self.run(&seen.live, plan, None).await?;
        let (mut count, mut batches) = (0, vec![]);
        let mut kept = RecordBatchMemoryCounter::new();
        while let Some(batch) = stream.try_next().await? {
            count += batch.num_rows();
            kept.count_batch(&batch);
            if kept.memory_usage() > RETURNED_BYTES_MAX {
                return Err(too_much(STATEMENT));
            }
            batches.push(batch);
        }
        let returned = Some((Arc::clone(&planned.schema), batches));
        Ok(Written { returned, ..Written::tagged(format!("SELECT {count}")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_those_of_the_others_that_it_reads() {
        let sql = "WITH a AS (SELECT 1 AS n), b AS (SELECT n FROM a), c AS (SELECT 2 AS n), \
                   d AS (DELETE FROM t USING b WHERE t.n = b.n RETURNING t.n), \
                   e AS (DELETE FROM u) SELECT d.n FROM d, c";
        let chain = Chain::of(&parse_one(sql).unwrap()).unwrap().unwrap();
        let names = |statement: &Statement| -> Vec<String> {
            let Statement::Query(query) = statement else { return vec![] };
            let tables = query.with.iter().flat_map(|with| &with.cte_tables);
            tables.map(|table| normal(&table.alias.name)).collect()
        };
        let parts = chain.parts.iter().map(|part| names(&chain.statement(part)));
        assert_eq!(parts.collect::<Vec<_>>(), [vec!["a", "b"], vec![]]);
        assert_eq!(names(&chain.main), ["a", "b", "c", "d"]);
    }

    #[test]
    fn parts_are_bounded() {
        let parts = (0..=PARTS_MAX).map(|at| format!("p{at} AS (DELETE FROM t)"));
        let sql = format!("WITH {} SELECT 1", parts.collect::<Vec<_>>().join(", "));
        let refused = Chain::of(&parse_one(&sql).unwrap()).unwrap_err();
        assert_eq!(refused.sqlstate(), "54001");
    }
}
