//! Sequences as objects: made, changed, and gone with what they belong to.
//!
//! What a statement changes of a sequence is in force with its transaction. `RESTART` begins to count anew under another key, so
//! that it is taken back with the transaction, too; the numbers that others are given meanwhile are those of before.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::{Ident, ObjectName};

use super::constraints::{NumberedBy, not_a_sequence};
use super::counted::Counted;
use super::dependents::others_depend;
use super::foreign_keys::told;
use super::insert::no_column;
use super::sequence_options::{SequenceChanges, check_within};
use super::statement::{existing, normal, unsupported};
use super::write::{Seen, Written, already_there, missing};
use crate::catalog::{
    AnalyticsBody, AnalyticsRelation, AnalyticsSequence, CatalogState, NumberedColumn,
    SequenceOwner, SequenceRange, WholeNumber, placed, sequence_of,
};
use crate::error::{Error, Result};
use crate::query::postgres::SessionFacts;
use crate::query::session::QuerySession;

/// The column that a sequence is to go with: what its table is kept under, and its name; none for a sequence of nobody's.
pub(crate) type Owner = Option<(String, String)>;

/// Reads `OWNED BY relation.column` or `NONE`.
pub(super) fn owner(names: &[Ident], facts: &SessionFacts) -> Result<Owner> {
    match names {
        [none] if none.quote_style.is_none() && normal(none) == "none" => Ok(None),
        [relation @ .., column] if !relation.is_empty() => {
            let relation = ObjectName::from(relation.to_vec());
            Ok(Some((existing(&relation, "OWNED BY", facts)?, normal(column))))
        }
        _ => Err(Error::Standard {
            sqlstate: "42601",
            message: "invalid OWNED BY option".into(),
            hint: "Specify OWNED BY table.column or OWNED BY NONE.".into(),
        }),
    }
}

impl QuerySession {
    /// `CREATE SEQUENCE`.
    pub(super) async fn create_sequence(
        &self,
        seen: &Seen,
        name: &str,
        if_not_exists: bool,
        changes: &SequenceChanges,
        owner: &Owner,
    ) -> Result<Written> {
        let tag = "CREATE SEQUENCE";
        if seen.find(name).is_some() {
            return already_there(name, if_not_exists, tag);
        }
        let range = changes.range(WholeNumber::Bigint, None)?;
        let owned_by = self.owned_by(seen, name, self.role(), owner)?;
        let relation = self.new_sequence(range, owned_by);
        self.note(seen, name).await?;
        self.staged().lock().put(&seen.base.published, name, Some(relation));
        Ok(Written::tagged(tag))
    }

    /// `ALTER SEQUENCE`; `owner` is the column that it is to go with, if that was said.
    pub(super) async fn alter_sequence(
        &self,
        seen: &Seen,
        name: &str,
        if_exists: bool,
        changes: &SequenceChanges,
        owner: Option<&Owner>,
    ) -> Result<Written> {
        let written = Written::tagged("ALTER SEQUENCE");
        let Some(relation) = seen.find(name) else {
            if !if_exists {
                return Err(missing(name));
            }
            let notice = format!("relation \"{}\" does not exist, skipping", placed(name).1);
            return Ok(written.noticed(notice));
        };
        let before = relation.sequence().ok_or_else(|| not_a_sequence(name))?;
        self.require_owner(name, relation)?;
        let mut after = before.clone();
        after.range = changes.range(before.range.data_type, Some(&before.range))?;
        match changes.restart {
            Some(first) => {
                after.restarts = self.engine().fresh_number();
                after.first = first.unwrap_or(after.range.start);
                check_within(&after.range, "RESTART", after.first)?;
            }
            None => {
                let sequences = &self.engine().analytics().sequences;
                let (place, _) = sequences.position(&Counted::of(name, before));
                check_within(&after.range, "RESTART", place.last)?;
            }
        }
        if let Some(owner) = owner {
            let owned_by = self.owned_by(seen, name, &relation.owner, owner)?;
            let owner_before = before.owned_by.as_ref();
            let table = owner_before.and_then(|owner| seen.find(&owner.table)?.table());
            if table.is_some_and(|table| table.purpose.is_some()) {
                let hint = "It tells how many rows the table was given.";
                let what = "another owner of a sequence whose table is read for one purpose";
                return Err(unsupported(what, hint));
            }
            if owner_before.is_some_and(|owner| owner.identity) {
                let hint = "It goes with its identity column.";
                return Err(unsupported(
                    "another owner of the sequence of an identity column",
                    hint,
                ));
            }
            after.owned_by = owned_by;
        }
        let after = AnalyticsRelation { body: AnalyticsBody::Sequence(after), ..relation.clone() };
        self.note(seen, name).await?;
        self.staged().lock().put(&seen.base.published, name, Some(after));
        Ok(written)
    }

    /// Makes the sequences of a table that is emptied begin anew.
    pub(super) fn restart_sequences(&self, seen: &Seen, table: &str) {
        let state = &seen.live.published.state;
        for name in state.sequences_of(table) {
            let Some(relation) = state.analytics.get(name) else { continue };
            let Some(sequence) = relation.sequence() else { continue };
            let sequence = AnalyticsSequence {
                restarts: self.engine().fresh_number(),
                first: sequence.range.start,
                ..sequence.clone()
            };
            let body = AnalyticsBody::Sequence(sequence);
            let after = AnalyticsRelation { body, ..relation.clone() };
            self.staged().lock().put(&seen.base.published, name, Some(after));
        }
    }

    /// Returns what numbers the columns of a table that is made under `name`, and the sequences that are to be made for it.
    pub(super) fn numbered_columns(
        &self,
        seen: &Seen,
        name: &str,
        numbered: BTreeMap<String, NumberedBy>,
    ) -> (BTreeMap<String, NumberedColumn>, Vec<(String, AnalyticsRelation)>) {
        let mut made: Vec<(String, AnalyticsRelation)> = vec![];
        let mut columns = BTreeMap::new();
        for (column, by) in numbered {
            let by = match by {
                NumberedBy::Other(sequence) => NumberedColumn { sequence, identity: None },
                NumberedBy::Own(range, identity) => {
                    let sequence = sequence_of(name, &column, |taken| {
                        let is_made = made.iter().any(|(made, _)| made == taken);
                        is_made || taken == name || seen.find(taken).is_some()
                    });
                    let owner = SequenceOwner {
                        table: name.to_owned(),
                        column: column.clone(),
                        identity: identity.is_some(),
                    };
                    made.push((sequence.clone(), self.new_sequence(range, Some(owner))));
                    NumberedColumn { sequence, identity }
                }
            };
            columns.insert(column, by);
        }
        (columns, made)
    }

    fn new_sequence(
        &self,
        range: SequenceRange,
        owned_by: Option<SequenceOwner>,
    ) -> AnalyticsRelation {
        let sequence = AnalyticsSequence {
            number: self.engine().fresh_number(),
            restarts: 0,
            first: range.start,
            range,
            owned_by,
        };
        AnalyticsRelation {
            owner: self.role().to_owned(),
            comment: None,
            column_comments: BTreeMap::new(),
            body: AnalyticsBody::Sequence(sequence),
        }
    }

    /// Fails unless the sequence that is kept under `name` may go with a column, as a sequence of `role`.
    fn owned_by(
        &self,
        seen: &Seen,
        name: &str,
        role: &str,
        owner: &Owner,
    ) -> Result<Option<SequenceOwner>> {
        let Some((table, column)) = owner else { return Ok(None) };
        let (relation, made) = seen.table(table, "OWNED BY")?;
        self.require_owner(table, relation)?;
        let refused = |message: &str| Error::Standard {
            sqlstate: "55000",
            message: message.into(),
            hint: "OWNED BY NONE leaves it to itself.".into(),
        };
        if relation.owner != role {
            return Err(refused("sequence must have same owner as table it is linked to"));
        }
        if placed(table).0 != placed(name).0 {
            return Err(refused("sequence must be in same schema as table it is linked to"));
        }
        if !seen.columns(made).iter().any(|known| known.name() == column) {
            return Err(no_column(table, column));
        }
        let (table, column) = (table.clone(), column.clone());
        Ok(Some(SequenceOwner { table, column, identity: false }))
    }
}

/// Returns what becomes of other relations when those that are kept under these names go: columns that sequences among them
/// have numbered are numbered by nothing any more, if `cascade`.
///
/// # Errors
/// SQLSTATE 2BP01 if a column needs a sequence that goes.
pub(super) fn without_sequences(
    state: &CatalogState,
    gone: &[String],
    cascade: bool,
) -> Result<Vec<(String, AnalyticsRelation)>> {
    let mut left: BTreeMap<String, AnalyticsRelation> = BTreeMap::new();
    for name in gone {
        let Some(sequence) = state.sequence(name) else { continue };
        let what = format!("sequence {}", told(name));
        for (table, column) in state.numbered_by(name).filter(|(table, _)| !gone.contains(table)) {
            let of = format!("column {column} of table {}", told(table));
            if sequence.owned_by.as_ref().is_some_and(|owner| owner.identity) {
                return Err(Error::Standard {
                    sqlstate: "2BP01",
                    message: format!("cannot drop {what} because {of} requires it"),
                    hint: format!("You can drop {of} instead."),
                });
            }
            if !cascade {
                let line = format!("default value for {of} depends on {what}");
                return Err(others_depend(&what, vec![line]));
            }
            let Some(relation) = state.analytics.get(table) else { continue };
            let relation = left.entry(table.clone()).or_insert_with(|| relation.clone());
            if let AnalyticsBody::Table(table) = &mut relation.body {
                table.numbered.remove(column);
            }
        }
    }
    Ok(left.into_iter().collect())
}

/// Returns what becomes of the relations that name the one which is kept under `name` when it is kept under `to`.
pub(super) fn renamed(
    state: &CatalogState,
    name: &str,
    to: &str,
) -> Vec<(String, AnalyticsRelation)> {
    let mut changed = vec![];
    for sequence in state.sequences_of(name) {
        let Some(relation) = state.analytics.get(sequence) else { continue };
        let mut relation = relation.clone();
        if let AnalyticsBody::Sequence(AnalyticsSequence { owned_by: Some(owner), .. }) =
            &mut relation.body
        {
            owner.table = to.to_owned();
        }
        changed.push((sequence.clone(), relation));
    }
    if state.sequence(name).is_none() {
        return changed;
    }
    for (table, relation) in &state.analytics {
        let names = |column: &NumberedColumn| column.sequence == name;
        if !relation.table().is_some_and(|table| table.numbered.values().any(names)) {
            continue;
        }
        let mut relation = relation.clone();
        if let AnalyticsBody::Table(table) = &mut relation.body {
            for column in table.numbered.values_mut().filter(|column| column.sequence == name) {
                column.sequence = to.to_owned();
            }
        }
        changed.push((table.clone(), relation));
    }
    changed
}

/// The sequences that go with columns of a table, while these change.
pub(super) struct OwnedSequences(BTreeMap<String, Option<AnalyticsRelation>>);

impl OwnedSequences {
    pub(super) fn of(state: &CatalogState, table: &str) -> Self {
        let owned = state.sequences_of(table).filter_map(|name| {
            let relation = state.analytics.get(name)?;
            Some((name.clone(), Some(relation.clone())))
        });
        Self(owned.collect())
    }

    /// A column has another name.
    pub(super) fn rename(&mut self, column: &str, to: &str) {
        for owner in self.0.values_mut().filter_map(owner_of) {
            if owner.column == column {
                owner.column = to.to_owned();
            }
        }
    }

    /// A column goes, and its sequences with it.
    pub(super) fn drop_with(&mut self, column: &str) {
        for sequence in self.0.values_mut() {
            if owner_of(sequence).is_some_and(|owner| owner.column == column) {
                *sequence = None;
            }
        }
    }

    /// The numbers of an identity column are of another type.
    pub(super) fn retype(&mut self, column: &str, to: WholeNumber) -> Result<()> {
        let mut changes = SequenceChanges::read(&[])?;
        changes.data_type = Some(to);
        for relation in self.0.values_mut().flatten() {
            if let AnalyticsBody::Sequence(sequence) = &mut relation.body
                && let Some(owner) = &sequence.owned_by
                && owner.identity
                && owner.column == column
            {
                sequence.range = changes.range(to, Some(&sequence.range))?;
            }
        }
        Ok(())
    }

    /// Returns the names of those that go.
    pub(super) fn gone(&self) -> Vec<String> {
        let gone = self.0.iter().filter(|(_, relation)| relation.is_none());
        gone.map(|(name, _)| name.clone()).collect()
    }

    /// Returns what becomes of each.
    pub(super) fn into_relations(
        self,
    ) -> impl Iterator<Item = (String, Option<AnalyticsRelation>)> {
        self.0.into_iter()
    }
}

fn owner_of(relation: &mut Option<AnalyticsRelation>) -> Option<&mut SequenceOwner> {
    match &mut relation.as_mut()?.body {
        AnalyticsBody::Sequence(sequence) => sequence.owned_by.as_mut(),
        AnalyticsBody::Table(_) | AnalyticsBody::View(_) => None,
    }
}
