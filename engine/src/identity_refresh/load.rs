//! Reading the graph's tables back into memory.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::common::ScalarValue;

use crate::catalog::Published;
use crate::consent::{ConsentBook, Holding};
use crate::error::{Error, Result};
use crate::identity::{NewSubject, PersonFields, is_ahead};
use crate::ingest::{PERSON_FIELDS, RECORD_KIND};
use crate::lake::{Lake, TableSnapshot};
use crate::query::access::{NO_SUBJECT, People};
use crate::tables;

use super::*;

/// Reads who is whose.
pub async fn load_people(lake: &Lake, published: &Published) -> Result<People> {
    let Some(table) = published.table(tables::PEOPLE.path) else { return Ok(People::default()) };
    let (mut profile_ids, mut anchors) = (vec![], vec![]);
    for batch in
        sorted_rows(lake, tables::PEOPLE.path, &table, &["_subject", "anchor", "profile_id"])
            .await?
    {
        let [subjects, of_anchor, of_profile] =
            [0, 1, 2].map(|at| batch.column(at).as_primitive::<Int64Type>().clone());
        for row in 0..batch.num_rows() {
            if subjects.value(row) != anchors.len() as i64 {
                return Err(gap(anchors.len()));
            }
            anchors.push(if of_anchor.is_null(row) {
                NO_SUBJECT
            } else {
                of_anchor.value(row) as u32
            });
            profile_ids.push(if of_profile.is_null(row) { 0 } else { of_profile.value(row) });
        }
    }
    let people = People::new(published.state.sequence, profile_ids, anchors);
    Ok(match households::load(lake, published).await? {
        Some(found) => {
            let ids = ProfileIds::of_households(published.state.profile_key()?);
            people.with_households(Arc::new(found), ids)
        }
        None => people,
    })
}

/// A subject that comes to memory.
struct Arriving<'a> {
    source: u16,
    trust: u16,
    record: Option<&'a str>,
    identifiers: Vec<(u16, &'a str)>,
    person: Option<PersonFields>,
    at: i64,
    observed_at: i64,
}

impl Memory {
    /// Feeds the resolver the subjects before `end` that it has not seen.
    pub(super) async fn load(
        &mut self,
        lake: &Lake,
        published: &Published,
        end: usize,
    ) -> Result<()> {
        let from = self.seen.len() as i64;
        let subjects = rows_from(lake, published, &tables::SUBJECTS, from).await?;
        let identifiers = rows_from(lake, published, &tables::SUBJECT_IDENTIFIERS, from).await?;
        let identifiers: Vec<IdentifierRows> =
            identifiers.iter().map(IdentifierRows::new).collect::<Result<_>>()?;
        let mut identifiers = identifiers.iter();
        let mut rows = identifiers.next();
        let mut at = 0;
        for batch in &subjects {
            let texts: Vec<_> =
                (1..11).map(|column| tables::texts(batch.column(column))).collect::<Result<_>>()?;
            let numbers = batch.column(0).as_primitive::<Int64Type>();
            let [seen, observed] = [11, 12]
                .map(|column| batch.column(column).as_primitive::<TimestampMicrosecondType>());
            let mut arriving = Vec::with_capacity(batch.num_rows());
            for row in 0..batch.num_rows() {
                if numbers.value(row) < from {
                    continue;
                }
                let next = self.seen.len() + arriving.len();
                if next == end {
                    return self.take(&arriving);
                }
                if numbers.value(row) != next as i64 {
                    return Err(gap(next));
                }
                let mut values: Vec<(u16, &str)> = Vec::new();
                while let Some(current) = rows {
                    if at >= current.subjects.len() {
                        rows = identifiers.next();
                        at = 0;
                        continue;
                    }
                    if current.subjects.value(at) > numbers.value(row) {
                        break;
                    }
                    if current.subjects.value(at) == numbers.value(row)
                        && current.kinds.value(at) != RECORD_KIND
                        && let Some(kind) = self.resolver.rules().kind(current.kinds.value(at))
                    {
                        values.push((kind, current.values.value(at)));
                    }
                    at += 1;
                }
                let text =
                    |column: usize| texts[column].is_valid(row).then(|| texts[column].value(row));
                let seen_at = seen.value(row);
                let observed_at = observed.is_valid(row).then(|| observed.value(row));
                let times = (seen_at, observed_at.unwrap_or(seen_at));
                let source = text(0).unwrap_or_default();
                let field = |field: usize| text(2 + field).map(str::to_owned);
                arriving.push(self.arriving(source, text(1), values, &field, times)?);
            }
            self.take(&arriving)?;
            // A batch is work enough before it is looked whether anybody still waits.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn arriving<'a>(
        &mut self,
        source: &str,
        record: Option<&'a str>,
        identifiers: Vec<(u16, &'a str)>,
        field: &dyn Fn(usize) -> Option<String>,
        (at, observed_at): (i64, i64),
    ) -> Result<Arriving<'a>> {
        let Some((_, trust)) = self.trusts.iter().find(|(name, _)| name == source) else {
            // A source that was dropped says nothing of anybody.
            if !self.left_out.contains(source) {
                self.left_out.insert(source.to_owned());
            }
            let (record, identifiers, person) = (None, Vec::new(), None);
            return Ok(Arriving {
                source: 0,
                trust: 0,
                record,
                identifiers,
                person,
                at,
                observed_at,
            });
        };
        let (trust, person) = (*trust, record.map(|_| person_of(field, at)));
        let source = self.resolver.source(source)?;
        Ok(Arriving { source, trust, record, identifiers, person, at, observed_at })
    }

    /// Takes these subjects in.
    fn take(&mut self, arriving: &[Arriving<'_>]) -> Result<()> {
        let subjects = arriving.iter().map(|row| NewSubject {
            source: row.source,
            trust: row.trust,
            record: row.record,
            identifiers: &row.identifiers,
            person: row.person.as_ref(),
            observed_at: row.observed_at,
        });
        self.resolver.add(&subjects.collect::<Vec<_>>())?;
        for Arriving { source, record, at, observed_at, .. } in arriving {
            if let Some(sightings) = &mut self.sightings {
                sightings.add(*observed_at.min(at));
            }
            let (source, at) = (*source, *at);
            self.seen.push(Seen { source, record_key: record.map(Into::into), at });
        }
        Ok(())
    }
}

/// Reads a bucketed table in the order of subjects.
async fn sorted_rows(
    lake: &Lake,
    path: &str,
    table: &TableSnapshot,
    columns: &[&str],
) -> Result<Vec<RecordBatch>> {
    let schema = crate::table_read::project(&table.schema, columns)?;
    let mut batches = Vec::new();
    for file in &table.files_in_order() {
        batches.extend(crate::table_read::read_file(lake, path, file, &schema).await?);
    }
    Ok(batches)
}

/// Reads whose the identifiers are into `book`.
pub async fn load_identifiers(
    lake: &Lake,
    published: &Published,
    book: &mut ConsentBook,
) -> Result<()> {
    let holding = |status: &str| match [ValueClass::Nobody.word(), EXPIRED].contains(&status) {
        true => Holding::Nobodys,
        false => Holding::Identifies,
    };
    hold_rows(lake, published, &tables::PROFILE_IDENTIFIERS, book, holding).await?;
    hold_rows(lake, published, &tables::FORMER_IDENTIFIERS, book, |_| Holding::Former).await
}

/// Notes in `book` the identifiers that are in a table; `holding` says by the status of each what it is to the profile.
async fn hold_rows(
    lake: &Lake,
    published: &Published,
    layout: &SystemLayout,
    book: &mut ConsentBook,
    holding: impl Fn(&str) -> Holding,
) -> Result<()> {
    let Some(table) = published.table(layout.path) else { return Ok(()) };
    let columns = ["_subject", "kind", "value", "status"];
    for batch in crate::table_read::read_table(lake, layout.path, &table, &columns).await? {
        let anchors = batch.column(0).as_primitive::<Int64Type>();
        let [kinds, values, statuses] = [
            tables::texts(batch.column(1))?,
            tables::texts(batch.column(2))?,
            tables::texts(batch.column(3))?,
        ];
        for row in 0..batch.num_rows() {
            book.hold(
                anchors.value(row) as u32,
                kinds.value(row),
                values.value(row),
                holding(statuses.value(row)),
            );
        }
    }
    Ok(())
}

pub(super) fn gap(subject: usize) -> Error {
    Error::Corrupt {
        message: format!("subject {subject} is missing in table \"{}\"", tables::SUBJECTS.path),
        source: None,
    }
}

/// The rows of subjects' identifiers.
pub(super) struct IdentifierRows {
    pub(super) subjects: arrow::array::Int64Array,
    pub(super) kinds: arrow::array::StringArray,
    pub(super) values: arrow::array::StringArray,
}

impl IdentifierRows {
    pub(super) fn new(batch: &RecordBatch) -> Result<Self> {
        Ok(Self {
            subjects: batch.column(0).as_primitive::<Int64Type>().clone(),
            kinds: tables::texts(batch.column(1))?,
            values: tables::texts(batch.column(2))?,
        })
    }
}

/// Returns what a row says about its person that was taken at `at`, by the places of [`PERSON_FIELDS`].
fn person_of(field: &dyn Fn(usize) -> Option<String>, at: i64) -> PersonFields {
    debug_assert_eq!(PERSON_FIELDS.len(), 8);
    let (birth_date, country) = (field(3), field(7));
    let is_ahead = is_ahead(birth_date.as_deref(), country.as_deref(), at);
    PersonFields {
        name: field(0),
        first_name: field(1),
        last_name: field(2),
        birth_date: birth_date.filter(|_| !is_ahead),
        street: field(4),
        postal_code: field(5),
        city: field(6),
        country,
    }
}

/// Reads the rows of a subjects' table, in their order, from the files that hold subjects from `from` on.
pub(super) async fn rows_from(
    lake: &Lake,
    published: &Published,
    layout: &SystemLayout,
    from: i64,
) -> Result<Vec<RecordBatch>> {
    let Some(table) = published.table(layout.path) else { return Ok(vec![]) };
    let schema = layout.schema();
    let mut batches = Vec::new();
    for file in &table.files_in_order() {
        let newest = file.bounds.first().and_then(|bounds| bounds.max.clone());
        if matches!(newest, Some(ScalarValue::Int64(Some(newest))) if newest < from) {
            continue;
        }
        batches.extend(crate::table_read::read_file(lake, layout.path, file, &schema).await?);
    }
    Ok(batches)
}
