//! The constrained resolution of people, from the first record to profiles, and what the constraints cost.
//!
//! Beside it runs what it replaces: the plain components of the same records and raw identifiers. A last hundredth of the
//! records is added to the resolved rest, as a refresh does.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use engine::catalog::{IdentifierRule, IdentityGraph, MatchRule, Normalizer};
use engine::identity::components::components_from_u64_edges;
use engine::identity::{NewSubject, PersonFields, Resolver, Rules};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{Arguments, Outcome, Report};

const REPEAT: u32 = 3;
/// The last one in this many records is added to the others once they are resolved.
const LATE_SHARE: usize = 100;
pub(crate) const SOURCE: &str = "records";
const TRUST: u16 = 100;

/// Columns of identifiers, in the order of the kinds of [`definition`].
const IDENTIFIERS: [&str; 4] = ["loyalty_id", "email", "phone", "device_id"];
const PERSON: [&str; 7] =
    ["first_name", "last_name", "dob", "street", "postcode", "city", "country"];

/// Measures the resolution.
pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let records = Records::read(arguments.required("records")?)?;
    let late = records.count - records.count / LATE_SHARE;
    let [mut added, mut resolved, mut followed, mut plain] =
        ["resolve_add", "resolve", "resolve_late", "resolve_plain"].map(Report::new);
    for _ in 0..arguments.number("repeat", REPEAT)? {
        let mut resolver = Resolver::new(Rules::from_graph(&definition())?);
        let source = resolver.source(SOURCE)?;
        let begun = Instant::now();
        records.add(0..late, source, &mut resolver)?;
        added.add(begun.elapsed());
        resolved.measure(|| resolver.resolve());
        let counts = resolver.counts();
        resolved
            .fact("records", late)
            .fact("profiles", counts.profiles)
            .fact("edges", counts.edges);
        let begun = Instant::now();
        records.add(late..records.count, source, &mut resolver)?;
        let delta = resolver.resolve();
        followed.add(begun.elapsed());
        followed.fact("records", records.count - late).fact("resolved", delta.subjects_resolved);
        drop(resolver);
        let edges = records.edges();
        let found = plain.measure(|| components_from_u64_edges(&edges));
        plain.fact("edges", edges.len()).fact("components", found.count());
    }
    added.fact("records", late);
    for report in [added, resolved, followed, plain] {
        report.print();
    }
    Ok(())
}

/// The rules of `bench/project/identity/customer.sql`.
pub(crate) fn definition() -> IdentityGraph {
    let kind = |kind: &str, function: Option<&str>, priority, limit| IdentifierRule {
        kind: kind.to_owned(),
        normalize: function.map(|function| Normalizer {
            function: function.to_owned(),
            arguments: if function == "phone" { vec!["US".to_owned()] } else { Vec::new() },
        }),
        priority,
        limit,
        limit_per: None,
        expire_after: None,
        block_values: Vec::new(),
        block_matching: Vec::new(),
    };
    let matching = |name: &str, exact_on: &[&str], priority| MatchRule {
        name: name.to_owned(),
        exact_on: exact_on.iter().map(|field| (*field).to_owned()).collect(),
        priority,
    };
    IdentityGraph {
        identifiers: vec![
            kind("loyalty_id", None, 1, None),
            kind("email", Some("email"), 2, Some(8)),
            kind("phone", Some("phone"), 3, Some(6)),
            kind("device_id", None, 20, None),
        ],
        matches: vec![
            matching("name_birth", &["name", "birth_date"], 4),
            matching("name_address", &["name", "street", "postal_code"], 5),
        ],
        fuzzy: None,
        merge_limit: 12,
        shared_limit: 5,
    }
}

/// The records, as columns of text.
pub(crate) struct Records {
    batches: Vec<[StringArray; IDENTIFIERS.len() + PERSON.len()]>,
    pub(crate) count: usize,
}

impl Records {
    pub(crate) fn read(path: &str) -> Outcome<Self> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()?;
        let (mut batches, mut count) = (Vec::new(), 0);
        for batch in reader {
            let batch = batch?;
            count += batch.num_rows();
            let columns: Vec<StringArray> = IDENTIFIERS
                .iter()
                .chain(&PERSON)
                .map(|name| text(&batch, name))
                .collect::<Outcome<_>>()?;
            batches.push(columns.try_into().map_err(|_| "columns are missing")?);
        }
        Ok(Self { batches, count })
    }

    /// Reads one more column of the same file.
    pub(crate) fn column(path: &str, name: &str) -> Outcome<Vec<String>> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()?;
        let mut values = Vec::new();
        for batch in reader {
            let column = text(&batch?, name)?;
            values.extend(column.iter().map(|value| value.unwrap_or_default().to_owned()));
        }
        Ok(values)
    }

    /// Adds a range of the records, as subjects in log order.
    pub(crate) fn add(
        &self,
        range: std::ops::Range<usize>,
        source: u16,
        resolver: &mut Resolver,
    ) -> Outcome<()> {
        let mut first = 0;
        for columns in &self.batches {
            let rows = columns[0].len();
            let from = range.start.clamp(first, first + rows) - first;
            let to = range.end.clamp(first, first + rows) - first;
            let read: Vec<_> = (from..to).map(|row| Row::read(columns, row, first + row)).collect();
            let subjects: Vec<_> = read.iter().map(|row| row.subject(source)).collect();
            resolver.add(&subjects)?;
            first += rows;
        }
        Ok(())
    }

    /// Returns an edge for each raw identifier of each record.
    fn edges(&self) -> Vec<(u64, u64)> {
        let hasher = RandomState::new();
        let mut edges = Vec::new();
        let mut first = 0;
        for columns in &self.batches {
            let rows = columns[0].len();
            for (kind, column) in columns[..IDENTIFIERS.len()].iter().enumerate() {
                let values = (0..rows).filter(|&row| column.is_valid(row));
                edges.extend(values.map(|row| {
                    (hasher.hash_one(first + row), hasher.hash_one((kind, column.value(row))))
                }));
            }
            first += rows;
        }
        edges
    }
}

/// A record, as a source has it.
struct Row<'a> {
    key: String,
    identifiers: Vec<(u16, &'a str)>,
    person: PersonFields,
}

impl<'a> Row<'a> {
    fn read(columns: &'a [StringArray], row: usize, key: usize) -> Self {
        let value = |at: usize| columns[at].is_valid(row).then(|| columns[at].value(row));
        let identifiers = (0..IDENTIFIERS.len()).zip(0..);
        let identifiers = identifiers.filter_map(|(at, kind)| Some((kind, value(at)?))).collect();
        let mut person = (IDENTIFIERS.len()..columns.len()).map(|at| value(at).map(str::to_owned));
        let mut next = || person.next().flatten();
        let person = PersonFields {
            name: None,
            first_name: next(),
            last_name: next(),
            birth_date: next(),
            street: next(),
            postal_code: next(),
            city: next(),
            country: next(),
        };
        Self { key: key.to_string(), identifiers, person }
    }

    fn subject(&self, source: u16) -> NewSubject<'_> {
        NewSubject {
            source,
            trust: TRUST,
            record: Some(&self.key),
            identifiers: &self.identifiers,
            person: Some(&self.person),
            observed_at: 0,
        }
    }
}

fn text(batch: &RecordBatch, name: &str) -> Outcome<StringArray> {
    let column =
        batch.column_by_name(name).ok_or_else(|| format!("column \"{name}\" is missing"))?;
    Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}
