//! What an explanation is asked about: profiles by their ids, former ones included, or records by source and key.

use std::collections::HashSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use super::Ground;
use super::evidence::Node;
use crate::consent::normalizer;
use crate::error::{Error, Result};
use crate::identity::ProfileIds;
use crate::query::quoted::literal;
use crate::tables::{self, SystemLayout};

/// The arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Arguments {
    /// One of them is null: nothing is known.
    Nothing,
    /// A profile.
    One(i64),
    /// Two ends.
    Two(End, End),
}

/// One end of what is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// A profile that is or was.
    Profile(i64),
    /// A record.
    Record(String, String),
}

/// An end that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The profile that it belongs to now.
    pub(super) profile: i64,
    /// The record that stands for it.
    pub(super) record: Node,
}

impl Arguments {
    pub(super) fn one(name: &str, exprs: &[Expr]) -> Result<Self> {
        match values(name, exprs)?.as_slice() {
            [profile] => Ok(number(profile)?.map_or(Self::Nothing, Self::One)),
            _ => Err(wrong(name)),
        }
    }

    pub(super) fn two(name: &str, exprs: &[Expr]) -> Result<Self> {
        let values = values(name, exprs)?;
        let ends = match values.as_slice() {
            [left, right] => number(left)?
                .zip(number(right)?)
                .map(|(left, right)| (End::Profile(left), End::Profile(right))),
            [source, key, other, other_key] => {
                let texts = [source, key, other, other_key].map(text);
                match texts {
                    [Some(source), Some(key), Some(other), Some(other_key)] => {
                        Some((End::Record(source, key), End::Record(other, other_key)))
                    }
                    _ => None,
                }
            }
            _ => return Err(wrong(name)),
        };
        match ends {
            None => Ok(Self::Nothing),
            Some((left, right)) if left == right => Err(Error::Invalid {
                message: format!("{name} is asked about one and the same"),
                hint: "Name two profiles or two records.".into(),
            }),
            Some((left, right)) => Ok(Self::Two(left, right)),
        }
    }
}

fn values(name: &str, exprs: &[Expr]) -> Result<Vec<ScalarValue>> {
    fn value(expr: &Expr) -> Option<ScalarValue> {
        match expr {
            Expr::Literal(value, _) => Some(value.clone()),
            Expr::Alias(alias) => value(&alias.expr),
            _ => None,
        }
    }
    let values: Option<Vec<ScalarValue>> = exprs.iter().map(value).collect();
    values.ok_or_else(|| Error::Invalid {
        message: format!("the arguments of {name} are no constants"),
        hint: "Write ids or records themselves: it is asked once, before rows are read.".into(),
    })
}

fn number(value: &ScalarValue) -> Result<Option<i64>> {
    let number = value.cast_to(&arrow::datatypes::DataType::Int64);
    match number {
        Ok(ScalarValue::Int64(number)) => Ok(number),
        _ => Err(Error::Standard {
            sqlstate: "22P02",
            message: "a profile id is a whole number".into(),
            hint: "Records are named by four texts: source, key, source, key.".into(),
        }),
    }
}

fn text(value: &ScalarValue) -> Option<String> {
    value
        .try_as_str()
        .flatten()
        .map(str::to_owned)
        .or_else(|| (!value.is_null()).then(|| value.to_string()))
}

fn wrong(name: &str) -> Error {
    let forms = match name {
        "explain_profile" => "one profile id",
        _ => "two profile ids, or source and key of two records",
    };
    Error::Missing { kind: "function", name: name.into(), hint: format!("{name} takes {forms}.") }
}

impl Ground {
    /// Finds an end. Somebody hidden is answered for as somebody who is not there.
    pub(super) async fn find(&self, end: &End) -> Result<Found> {
        match end {
            End::Record(source, key) => self.find_record(source, key).await,
            End::Profile(id) => self.find_profile(*id).await,
        }
    }

    async fn find_record(&self, source: &str, key: &str) -> Result<Found> {
        let profiles = self
            .query(&format!(
                "SELECT profile_id FROM profile_records WHERE source = {} AND record_key = {} LIMIT 1",
                literal(source),
                literal(key)
            ))
            .await?;
        let profile = profiles
            .iter()
            .flat_map(|rows| rows.column(0).as_primitive::<Int64Type>().iter())
            .next()
            .flatten();
        let record = Node { source: source.to_owned(), key: Some(key.to_owned()) };
        profile.map(|profile| Found { profile, record }).ok_or_else(|| Error::Standard {
            sqlstate: "42704",
            message: format!("there is no such record of source \"{source}\" in a profile"),
            hint: "SELECT source, record_key FROM profile_records shows those there are.".into(),
        })
    }

    /// Returns the profile that an id leads to, and the subject that gave the id.
    pub(super) fn profile_of(&self, id: i64) -> Result<(i64, u32)> {
        let ids = ProfileIds::new(self.published.state.profile_key()?);
        let subject = ids.anchor_of(id).and_then(|anchor| u32::try_from(anchor).ok());
        let found = subject.and_then(|subject| Some((self.access.profile_id(subject)?, subject)));
        found.ok_or_else(|| Error::Missing {
            kind: "profile",
            name: id.to_string(),
            hint: "SELECT profile_id FROM profiles shows whom your purpose lets you see.".into(),
        })
    }

    async fn find_profile(&self, id: i64) -> Result<Found> {
        let (profile, subject) = self.profile_of(id)?;
        let mut record = self.first_record(&[subject]).await?;
        if record.is_none() {
            record = self.record_of_events(profile, subject).await?;
        }
        if record.is_none() && profile == id {
            record = self.first_record(&self.access.people.subjects(&[profile])).await?;
        }
        record
            .map(|record| Found { profile, record })
            .ok_or_else(|| of_events_alone(&format!("id {id}")))
    }

    /// Returns the record of the first of these subjects that has one.
    async fn first_record(&self, subjects: &[u32]) -> Result<Option<Node>> {
        for rows in self.rows_of(&tables::SUBJECTS, subjects).await? {
            let numbers = rows.column(0).as_primitive::<Int64Type>();
            let (sources, keys) = (tables::texts(rows.column(1))?, tables::texts(rows.column(2))?);
            let is_named =
                |row: &usize| keys.is_valid(*row) && is_of(subjects, numbers.value(*row));
            if let Some(row) = (0..rows.num_rows()).find(is_named) {
                let source = sources.value(row).to_owned();
                return Ok(Some(Node { source, key: Some(keys.value(row).to_owned()) }));
            }
        }
        Ok(None)
    }

    /// Returns a record of a profile that an edge ties to the events of a subject: where a visitor's events were there
    /// first, it stands for them.
    async fn record_of_events(&self, profile: i64, subject: u32) -> Result<Option<Node>> {
        let Some(normalizer) = normalizer(&self.published)? else { return Ok(None) };
        let mut values = HashSet::new();
        for rows in self.rows_of(&tables::SUBJECT_IDENTIFIERS, &[subject]).await? {
            let numbers = rows.column(0).as_primitive::<Int64Type>();
            let (kinds, raw) = (tables::texts(rows.column(1))?, tables::texts(rows.column(2))?);
            let own = (0..rows.num_rows()).filter(|row| numbers.value(*row) == i64::from(subject));
            values.extend(own.filter_map(|row| {
                let kind = kinds.value(row);
                Some((kind.to_owned(), normalizer.normalized(kind, raw.value(row))?))
            }));
        }
        let edges = self.edges(profile).await?;
        let mut ends = edges
            .into_iter()
            .filter(|edge| values.contains(&(edge.rule.clone(), edge.value.clone())))
            .flat_map(|edge| [edge.left, edge.right]);
        Ok(ends.find(|end| end.key.is_some()))
    }

    /// Reads the files of a table of subjects that can have some of these, which are sorted.
    pub(super) async fn rows_of(
        &self,
        layout: &SystemLayout,
        subjects: &[u32],
    ) -> Result<Vec<RecordBatch>> {
        let Some(table) = self.published.table(layout.path) else { return Ok(vec![]) };
        let (lake, schema) = (self.engine.catalog().lake(), layout.schema());
        let mut batches = Vec::new();
        for file in &table.files_in_order() {
            if may_have(file, subjects) {
                batches
                    .extend(crate::table_read::read_file(lake, layout.path, file, &schema).await?);
            }
        }
        Ok(batches)
    }
}

/// Tells whether a number is that of one of these subjects, which are sorted.
pub(super) fn is_of(subjects: &[u32], number: i64) -> bool {
    u32::try_from(number).is_ok_and(|subject| subjects.binary_search(&subject).is_ok())
}

/// What is asked about a profile that never had a record.
pub(super) fn of_events_alone(what: &str) -> Error {
    Error::Unsupported {
        what: format!("explaining {what}, which was never a record's,"),
        hint: "SELECT * FROM profile_merges says by which rule these events came to their profile."
            .into(),
    }
}

/// Tells whether a file of subjects can have one of these.
pub(crate) fn may_have(file: &crate::lake::FileEntry, subjects: &[u32]) -> bool {
    let Some(bounds) = file.bounds.first() else { return true };
    let bound = |value: &Option<ScalarValue>| match value {
        Some(ScalarValue::Int64(bound)) => *bound,
        _ => None,
    };
    let (least, most) = (bound(&bounds.min), bound(&bounds.max));
    subjects.iter().any(|subject| {
        let subject = i64::from(*subject);
        least.is_none_or(|least| least <= subject) && most.is_none_or(|most| subject <= most)
    })
}
