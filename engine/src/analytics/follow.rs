//! What foreign keys make of a statement when its rows are staged: rows that refer to others follow them, and what refers to
//! nothing fails.
//!
//! The keys of a statement are held against the other table as a set, in one pass over the columns of its key. What two
//! sessions do at the same time is settled when they commit: whoever found a key fails if the file is gone in which it was,
//! and whoever took one away fails if the table that refers to it has changed since.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::Int64Type;
use datafusion::error::DataFusionError;
use futures::FutureExt;

use super::changed::Changed;
use super::defaults::repeated;
use super::keys::{Key, boxed, bytes};
use super::links::{Doubts, Keys, Link};
use super::numbers::Brought;
use super::rows::{ROW, stored};
use super::statement::unsupported;
use super::write::{Seen, missing};
use crate::catalog::{AnalyticsRelation, AnalyticsTable, ForeignKey, ReferenceAction, qualified};
use crate::error::{Error, Result};
use crate::lake::{self, FileEntry, Table, TableSnapshot};
use crate::query::session::QuerySession;
use crate::table_read;

/// How often rows follow others in one statement: each time the files of a table are written anew.
const STEPS_MAX: usize = 1_000;

/// Keys that are to be held against the other table of a foreign key.
#[derive(Debug, Clone)]
pub(crate) struct Owed {
    /// What the table is kept under that refers to the other one.
    pub(super) child: String,
    pub(super) constraint: String,
    pub(super) keys: Arc<Keys>,
    /// Whether they have gone from the table that is referred to; otherwise they came to the one that refers to it.
    pub(super) gone: bool,
    /// Whether the end of the transaction is soon enough.
    pub(super) at_commit: bool,
}

/// Puts together what is owed of one foreign key: however many pieces or statements brought it, it takes one pass over a table.
fn together(all: Vec<Owed>) -> Vec<Owed> {
    let mut together: Vec<Owed> = vec![];
    for owed in all {
        let is_same = |one: &&mut Owed| {
            (&one.child, &one.constraint, one.gone) == (&owed.child, &owed.constraint, owed.gone)
        };
        match together.iter_mut().find(is_same) {
            Some(one) => Arc::make_mut(&mut one.keys).add_all(&owed.keys),
            None => together.push(owed),
        }
    }
    together
}

/// Where the rows of both tables of a foreign key lie.
struct Paths<'a> {
    child: &'a str,
    referred: &'a str,
}

/// Those of some keys that rows have, and the files in which they were found.
#[derive(Default)]
struct Met {
    keys: HashSet<Box<[u8]>>,
    files: HashSet<Arc<str>>,
}

/// Returns a foreign key, and its table.
fn find<'a>(
    seen: &'a Seen,
    child: &str,
    constraint: &str,
) -> Option<(&'a AnalyticsTable, &'a ForeignKey)> {
    let table = seen.find(child)?.table()?;
    let key = table.foreign_keys.iter().find(|key| key.name == constraint)?;
    Some((table, key))
}

/// Returns the rows of the table that is kept under `name`, and where they lie.
fn rows_of(seen: &Seen, name: &str) -> Result<(String, Arc<TableSnapshot>)> {
    let table = seen.find(name).and_then(AnalyticsRelation::table);
    let table = table.ok_or_else(|| missing(name))?;
    let snapshot = seen.live.published.table(&table.path).ok_or_else(|| missing(name))?;
    Ok((table.path.clone(), snapshot))
}

impl QuerySession {
    /// Returns what a statement sees with what it has staged.
    pub(super) fn now(&self, seen: &Seen) -> Seen {
        let live = self.with_changes(&seen.base);
        Seen { base: Arc::clone(&seen.base), live, returned: None }
    }

    /// Stages rows of the table that is kept under `name`, and lets others follow them. If that fails, nothing is staged.
    pub(super) async fn stage_and_follow(
        &self,
        seen: &Seen,
        (name, made): (&str, &Table),
        adds: Vec<FileEntry>,
        removes: &[FileEntry],
        doubts: Doubts,
    ) -> Result<()> {
        if doubts.is_empty() {
            self.stage_rows(seen, made, adds, removes);
            return Ok(());
        }
        let before = self.changes();
        self.stage_rows(seen, made, adds, removes);
        let done = self.follow(seen, name, doubts).boxed().await;
        if done.is_err() {
            self.back_to(&before);
        }
        done
    }

    /// Lets rows follow those that a statement has changed in the table that is kept under `name`, and fails if one refers
    /// to nothing then.
    ///
    /// # Errors
    /// SQLSTATE 23503.
    async fn follow(&self, seen: &Seen, name: &str, doubts: Doubts) -> Result<()> {
        let (mut checks, mut steps) = (vec![], 0);
        let mut waiting = VecDeque::from([(name.to_owned(), doubts)]);
        while let Some((name, Doubts { came, gone, changed })) = waiting.pop_front() {
            for (constraint, keys) in came {
                let (child, keys) = (name.clone(), Arc::new(keys));
                checks.push(Owed { child, constraint, keys, gone: false, at_commit: false });
            }
            let lost = gone.into_iter().map(|(place, keys)| (place, keys, true));
            let lost = lost.chain(changed.into_iter().map(|(place, keys)| (place, keys, false)));
            for ((child, constraint), keys, went) in lost.filter(|(_, keys, _)| !keys.is_empty()) {
                let now = self.now(seen);
                let Some((_, key)) = find(&now, &child, &constraint) else { continue };
                let action = if went { key.on_delete } else { key.on_update };
                let keys = Arc::new(keys);
                if !matches!(action, ReferenceAction::NoAction | ReferenceAction::Restrict) {
                    steps += 1;
                    refuse_endless(steps)?;
                    let is_part = seen.returned.is_some();
                    let of_child = (child.as_str(), key);
                    let more = self.act(&now, of_child, &keys, action, is_part).boxed().await?;
                    waiting.push_back((child.clone(), more));
                }
                let owed = Owed { child, constraint, keys, gone: true, at_commit: false };
                match action {
                    ReferenceAction::Restrict => self.settle(&now, &owed, false).await?,
                    // A default may be the very key that goes.
                    ReferenceAction::NoAction | ReferenceAction::SetDefault => checks.push(owed),
                    ReferenceAction::Cascade | ReferenceAction::SetNull => {}
                }
            }
        }
        let now = self.now(seen);
        for owed in together(checks) {
            let key = find(&now, &owed.child, &owed.constraint).map(|(_, key)| key);
            let waits = |key| self.staged().lock().is_deferred(&owed.child, key);
            let at_commit = key.is_some_and(waits);
            // The parts of a statement see each other's rows when all have run.
            match at_commit || seen.returned.is_some() {
                true => self.staged().lock().owe(Owed { at_commit, ..owed }),
                false => self.settle(&now, &owed, true).await?,
            }
        }
        Ok(())
    }

    /// Lets foreign keys of a table to itself wait for the end of the statement, as its rows come in pieces that refer to each
    /// other. Returns what else is to be asked.
    pub(super) fn owe_own(&self, seen: &Seen, name: &str, mut doubts: Doubts) -> Doubts {
        let table = seen.find(name).and_then(AnalyticsRelation::table);
        let keys = table.into_iter().flat_map(|table| &table.foreign_keys);
        for key in keys.filter(|key| key.table == name) {
            let Some(keys) = doubts.came.remove(&key.name) else { continue };
            let (child, constraint) = (name.to_owned(), key.name.clone());
            let (keys, gone) = (Arc::new(keys), false);
            let mut staged = self.staged().lock();
            let at_commit = staged.is_deferred(name, key);
            staged.owe(Owed { child, constraint, keys, gone, at_commit });
        }
        doubts
    }

    /// Checks what waits for the end of a statement, or all that waits if the transaction ends.
    pub(super) async fn settle_owed(&self, at_commit: bool) -> Result<()> {
        let owed = self.staged().lock().take_owed(at_commit);
        if owed.is_empty() {
            return Ok(());
        }
        let now = self.seen();
        for owed in together(owed) {
            self.settle(&now, &owed, true).boxed().await?;
        }
        Ok(())
    }

    /// Fails if a row refers to one of these keys and no row has it. Without `or_again`, a row that has a key again which went
    /// does not count.
    async fn settle(&self, now: &Seen, owed: &Owed, or_again: bool) -> Result<()> {
        let Some((table, key)) = find(now, &owed.child, &owed.constraint) else { return Ok(()) };
        let (referred, snapshot) = rows_of(now, &key.table)?;
        let link = Link::new(&owed.child, key, &snapshot.schema)?;
        let paths = Paths { child: &table.path, referred: &referred };
        self.hold(now, &link, &paths, owed, or_again).await
    }

    /// Holds keys against both tables of a foreign key. See [`QuerySession::settle`].
    async fn hold(
        &self,
        now: &Seen,
        link: &Link,
        paths: &Paths<'_>,
        owed: &Owed,
        or_again: bool,
    ) -> Result<()> {
        let columns = link.key.columns.as_slice();
        let referred = link.key.referred.as_slice();
        let mut left: HashSet<&[u8]> = owed.keys.iter().collect();
        if owed.gone {
            let met = self.met(now, paths.child, (link, columns), &left).await?;
            left.retain(|key| met.keys.contains(*key));
            self.staged().lock().copied(&now.base.published, paths.child);
        }
        if (!owed.gone || or_again) && !left.is_empty() {
            let met = self.met(now, paths.referred, (link, referred), &left).await?;
            left.retain(|key| !met.keys.contains(*key));
            self.staged().lock().leans_on(&now.base.published, paths.referred, &met.files);
        }
        if !owed.gone && !left.is_empty() {
            // A row that came may have gone again.
            let met = self.met(now, paths.child, (link, columns), &left).await?;
            left.retain(|key| met.keys.contains(*key));
        }
        match owed.keys.first(left.into_iter()) {
            None => Ok(()),
            Some(key) if owed.gone => Err(link.still_referenced(key)?),
            Some(key) => Err(link.absent(key)?),
        }
    }

    /// Returns those of the keys that rows of the table at `path` have in these columns, and where.
    async fn met(
        &self,
        now: &Seen,
        path: &str,
        (link, columns): (&Link, &[String]),
        keys: &HashSet<&[u8]>,
    ) -> Result<Met> {
        let mut met = Met::default();
        let snapshot = now.live.published.table(path).ok_or_else(|| missing(path))?;
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let schema = table_read::project(&snapshot.schema, &names)?;
        let lake = self.engine().catalog().lake();
        for file in snapshot.files.iter() {
            let before = met.keys.len();
            if before == keys.len() {
                break;
            }
            for batch in table_read::read_file(lake, path, file, &schema).await? {
                for (_, key) in link.values(&batch, columns)?.iter() {
                    if keys.contains(bytes(&key)) && !met.keys.contains(bytes(&key)) {
                        met.keys.insert(boxed(&key));
                    }
                }
            }
            if met.keys.len() > before {
                met.files.insert(Arc::clone(&file.path));
            }
        }
        Ok(met)
    }

    /// Changes the rows that refer to keys which have gone or become others. Returns what is to be asked of those rows.
    async fn act(
        &self,
        now: &Seen,
        (child, key): (&str, &ForeignKey),
        keys: &Keys,
        action: ReferenceAction,
        is_part: bool,
    ) -> Result<Doubts> {
        let (_, table) = now.table(child, action.words())?;
        let (path, snapshot) = rows_of(now, child)?;
        let (_, referred) = rows_of(now, &key.table)?;
        let link = Link::new(child, key, &referred.schema)?;
        self.staged().lock().copied(&now.base.published, &path);
        let names = std::iter::once(ROW).chain(key.columns.iter().map(String::as_str));
        let schema = table_read::project(&snapshot.schema, &names.collect::<Vec<_>>())?;
        let lake = self.engine().catalog().lake();
        let (mut rows, mut become_others): (Vec<i64>, Vec<&[u8]>) = (vec![], vec![]);
        for file in snapshot.files.iter() {
            for batch in table_read::read_file(lake, &path, file, &schema).await? {
                let numbers = batch.column(0).as_primitive::<Int64Type>();
                for (at, value) in link.values(&batch, &key.columns)?.iter() {
                    if let Some(becomes) = keys.becomes(bytes(&value)) {
                        rows.push(numbers.value(at));
                        become_others.extend(becomes);
                    }
                }
            }
        }
        if rows.is_empty() {
            return Ok(Doubts::default());
        }
        if is_part {
            let what = format!("{} beside queries of WITH that change rows", action.words());
            return Err(unsupported(what, "Write two statements in one transaction."));
        }
        self.may_fill(now, child, false, false)?;
        self.note(now, child).await?;
        let mut values = match action {
            ReferenceAction::Cascade if become_others.is_empty() => None,
            ReferenceAction::Cascade => {
                let arrays = link.arrays(become_others.into_iter())?;
                Some(as_stored(&key.columns, arrays, &snapshot)?)
            }
            _ => Some(self.unlinked(now, (key, table), &snapshot, action, rows.len()).await?),
        };
        if let Some(values) = &mut values {
            let of_rows = (path.as_str(), snapshot.as_ref(), rows.as_slice());
            self.recompute(now, (child, table), of_rows, values).boxed().await?;
        }
        let changes = [Changed::new(&Int64Array::from(rows), values)];
        let made = self.opened(&path).await?;
        let (own, mut brought) = (Key::all(child, table, &snapshot.schema)?, Brought::default());
        let of_table = (child, &made, snapshot.as_ref(), table);
        let anew = self.written_anew(now, of_table, &changes, &own, &mut brought);
        let (adds, removes) = anew.await?;
        let numbers = self.numbers(now, table)?;
        let of_table = (child, table);
        let doubts = self.settle_rows(now, of_table, &numbers, brought, &changes).await?;
        self.stage_rows(now, &made, adds, &removes);
        Ok(doubts)
    }

    /// Returns what the columns of a foreign key become in rows that refer to what has gone: nulls, or their defaults.
    async fn unlinked(
        &self,
        now: &Seen,
        (key, table): (&ForeignKey, &AnalyticsTable),
        snapshot: &TableSnapshot,
        action: ReferenceAction,
        rows: usize,
    ) -> Result<Vec<(String, ArrayRef)>> {
        let mut values = Vec::with_capacity(key.columns.len());
        for column in &key.columns {
            let (_, field) =
                snapshot.schema.fields().find(column).ok_or_else(|| missing(column))?;
            let default = match action {
                ReferenceAction::SetDefault if table.numbered.contains_key(column) => {
                    let what = format!("SET DEFAULT of the numbered column \"{column}\"");
                    return Err(unsupported(what, "Use ON DELETE SET NULL or CASCADE."));
                }
                ReferenceAction::SetDefault => table.defaults.get(column),
                _ => None,
            };
            let array = match default {
                None => new_null_array(field.data_type(), rows),
                Some(default) => {
                    let shown = lake::logical_field(field);
                    let (value, differs) = self.default_of(now, default, &shown).await?;
                    if differs {
                        let what = "SET DEFAULT with a default that differs from row to row";
                        return Err(unsupported(what, "Use ON DELETE SET NULL or CASCADE."));
                    }
                    repeated(&stored(&value, &shown, field)?, rows)?
                }
            };
            values.push((column.clone(), array));
        }
        Ok(values)
    }

    /// Fails if a row that is there refers to a key which no row has.
    pub(super) async fn refuse_dangling(
        &self,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        before: &TableSnapshot,
        key: &ForeignKey,
    ) -> Result<()> {
        let referred = match key.table == name {
            true => None,
            false => Some(rows_of(seen, &key.table)?),
        };
        let (path, schema) = match &referred {
            None => (table.path.as_str(), &before.schema),
            Some((path, snapshot)) => (path.as_str(), &snapshot.schema),
        };
        let link = Link::new(name, key, schema)?;
        let names: Vec<&str> = key.columns.iter().map(String::as_str).collect();
        let columns = table_read::project(&before.schema, &names)?;
        let lake = self.engine().catalog().lake();
        let mut keys = Keys::default();
        for file in before.files.iter() {
            for batch in table_read::read_file(lake, &table.path, file, &columns).await? {
                link.take(&batch, &mut keys)?;
            }
        }
        let (child, constraint) = (name.to_owned(), key.name.clone());
        let (keys, gone, at_commit) = (Arc::new(keys), false, false);
        let owed = Owed { child, constraint, keys, gone, at_commit };
        let paths = Paths { child: &table.path, referred: path };
        self.hold(seen, &link, &paths, &owed, true).await?;
        self.staged().lock().copied(&seen.base.published, &table.path);
        Ok(())
    }
}

/// Returns keys as the columns that refer to them are stored.
fn as_stored(
    columns: &[String],
    keys: Vec<ArrayRef>,
    snapshot: &TableSnapshot,
) -> Result<Vec<(String, ArrayRef)>> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let value = |(column, array): (&String, ArrayRef)| -> Result<(String, ArrayRef)> {
        let (_, field) = snapshot.schema.fields().find(column).ok_or_else(|| missing(column))?;
        let array = cast_with_options(&array, field.data_type(), &options);
        Ok((column.clone(), array.map_err(DataFusionError::from)?))
    };
    columns.iter().zip(keys).map(value).collect()
}

/// Fails if rows have followed others too often.
fn refuse_endless(steps: usize) -> Result<()> {
    if steps <= STEPS_MAX {
        return Ok(());
    }
    Err(Error::Limit {
        sqlstate: "54001",
        message: format!("rows follow others in more than {STEPS_MAX} steps"),
        hint: "Change the rows that refer to others first.".into(),
    })
}

/// The answer to a change of a table whose foreign keys are still to be checked.
pub(super) fn pending(verb: &str, name: &str) -> Error {
    Error::Standard {
        sqlstate: "55006",
        message: format!(
            "cannot {verb} \"{}\" because it has pending trigger events",
            super::foreign_keys::told(name)
        ),
        hint: format!("COMMIT first: a foreign key of {} waits for that.", qualified(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_of_one_foreign_key_is_asked_about_once() {
        let owed = |constraint: &str, gone: bool| Owed {
            child: "c".into(),
            constraint: constraint.into(),
            keys: Arc::default(),
            gone,
            at_commit: true,
        };
        let all = vec![owed("f", false), owed("g", false), owed("f", true), owed("f", false)];
        let together = together(all);
        let left = together.iter().map(|one| (one.constraint.as_str(), one.gone));
        assert_eq!(left.collect::<Vec<_>>(), [("f", false), ("g", false), ("f", true)]);
    }

    #[test]
    fn steps_are_bounded() {
        refuse_endless(STEPS_MAX).unwrap();
        assert_eq!(refuse_endless(STEPS_MAX + 1).unwrap_err().sqlstate(), "54001");
        let error = pending("ALTER TABLE", "orders");
        let message = "cannot ALTER TABLE \"orders\" because it has pending trigger events";
        assert_eq!((error.sqlstate(), error.to_string().as_str()), ("55006", message));
    }
}
