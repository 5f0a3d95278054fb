//! The rows of the graph's tables, as they follow from the resolver.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{
    BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::compute::concat_batches;
use datafusion::error::DataFusionError;
use std::sync::Arc;

use crate::buckets::BUCKET_SUBJECTS;
use crate::error::Result;
use crate::identity::{Edge, ProfileIdentifier, probability_of};
use crate::tables;

use super::*;

/// The id of the profile that an anchor has or had.
pub(super) type Ids<'a> = dyn Fn(u32) -> i64 + Sync + 'a;

impl Memory {
    pub(super) fn people_rows(
        &self,
        people: &People,
        buckets: &BTreeSet<u32>,
    ) -> Result<RecordBatch> {
        let (mut subjects, mut anchors, mut profiles) =
            (Int64Builder::new(), Int64Builder::new(), Int64Builder::new());
        for bucket in buckets {
            let end = (bucket + 1).saturating_mul(BUCKET_SUBJECTS).min(self.seen.len() as u32);
            for subject in bucket * BUCKET_SUBJECTS..end {
                subjects.append_value(i64::from(subject));
                anchors.append_option(people.anchor(subject).map(i64::from));
                profiles.append_option(people.profile_id(subject));
            }
        }
        tables::PEOPLE.batch(vec![
            Arc::new(subjects.finish()),
            Arc::new(anchors.finish()),
            Arc::new(profiles.finish()),
        ])
    }

    /// The identifiers of profiles, former ones, edges, merges and refused edges, worked out on all cores.
    pub(super) fn rows_of(&self, ids: &Ids<'_>, anchors: &[u32]) -> Result<[RecordBatch; 5]> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let part = anchors.len().div_ceil(cores).max(1);
        let work = |anchors: &[u32]| -> Result<[RecordBatch; 5]> {
            let (edges, merges) = self.edge_rows(ids, anchors)?;
            let held = |anchor: u32| self.resolver.identifiers(anchor);
            let had = |anchor: u32| self.resolver.former_identifiers(anchor);
            let identifiers =
                self.identifier_rows(&tables::PROFILE_IDENTIFIERS, ids, anchors, held)?;
            let former = self.identifier_rows(&tables::FORMER_IDENTIFIERS, ids, anchors, had)?;
            Ok([identifiers, former, edges, merges, self.violation_rows(ids, anchors)?])
        };
        let parts = std::thread::scope(|scope| {
            let running: Vec<_> =
                anchors.chunks(part).map(|anchors| scope.spawn(move || work(anchors))).collect();
            let ended = running.into_iter().map(|running| match running.join() {
                Ok(rows) => rows,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            ended.collect::<Result<Vec<_>>>()
        })?;
        if parts.is_empty() {
            return work(&[]);
        }
        let joined = |table: usize| -> Result<RecordBatch> {
            let schema = parts[0][table].schema();
            let rows = parts.iter().map(|part| &part[table]);
            Ok(concat_batches(&schema, rows).map_err(DataFusionError::from)?)
        };
        Ok([joined(0)?, joined(1)?, joined(2)?, joined(3)?, joined(4)?])
    }

    pub(super) fn is_record(&self, subject: u32) -> bool {
        self.seen[subject as usize].record_key.is_some()
    }

    fn identifier_rows<'a>(
        &'a self,
        layout: &SystemLayout,
        ids: &Ids<'_>,
        anchors: &[u32],
        identifiers_of: impl Fn(u32) -> Vec<ProfileIdentifier<'a>>,
    ) -> Result<RecordBatch> {
        let (mut subject, mut profile) = (Int64Builder::new(), Int64Builder::new());
        let (mut kind, mut value, mut status) =
            (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
        let mut at = TimestampMicrosecondBuilder::new().with_timezone("UTC");
        let (mut records, mut blocked) = (Int64Builder::new(), BooleanBuilder::new());
        let kinds: Vec<&str> = self.resolver.rules().kinds().collect();
        for anchor in anchors {
            for identifier in identifiers_of(*anchor) {
                subject.append_value(i64::from(*anchor));
                profile.append_value(ids(*anchor));
                kind.append_value(kinds[usize::from(identifier.kind)]);
                value.append_value(identifier.value);
                status.append_value(match identifier.is_expired {
                    true => EXPIRED,
                    false => identifier.class.word(),
                });
                at.append_value(self.seen[identifier.first_subject as usize].at);
                records.append_value(identifier.records as i64);
                blocked.append_value(identifier.is_blocked);
            }
        }
        layout.batch(vec![
            Arc::new(subject.finish()),
            Arc::new(profile.finish()),
            Arc::new(kind.finish()),
            Arc::new(value.finish()),
            Arc::new(status.finish()),
            Arc::new(at.finish()),
            Arc::new(records.finish()),
            Arc::new(blocked.finish()),
        ])
    }

    fn edge_rows(&self, ids: &Ids<'_>, anchors: &[u32]) -> Result<(RecordBatch, RecordBatch)> {
        let (mut subject, mut profile) = (Int64Builder::new(), Int64Builder::new());
        let (mut rule, mut value, mut joined) =
            (StringBuilder::new(), StringBuilder::new(), BooleanBuilder::new());
        let mut records = Records::new(2);
        let mut at = TimestampMicrosecondBuilder::new().with_timezone("UTC");
        let (mut bits, mut probability) = (Float64Builder::new(), Float64Builder::new());
        let (mut m_subject, mut m_merged, mut m_profile) =
            (Int64Builder::new(), Int64Builder::new(), Int64Builder::new());
        let (mut m_rule, mut m_at) =
            (StringBuilder::new(), TimestampMicrosecondBuilder::new().with_timezone("UTC"));
        for anchor in anchors {
            let id = ids(*anchor);
            let mut parts = Parts::default();
            let mut joining: Vec<Edge> = self.resolver.edges(*anchor).collect();
            joining.sort_unstable_by_key(|edge| edge.turn);
            let is_decided = joining.iter().any(Edge::is_decided);
            for edge in joining {
                let evidence = self.resolver.explain(edge);
                let observed =
                    self.seen[edge.left as usize].at.max(self.seen[edge.right as usize].at);
                subject.append_value(i64::from(*anchor));
                profile.append_value(id);
                rule.append_value(&evidence.rule);
                value.append_value(&evidence.value);
                records.append(self, &[edge.left, edge.right]);
                joined.append_value(edge.joined);
                at.append_value(observed);
                bits.append_option(evidence.bits);
                probability.append_option(evidence.bits.map(probability_of));
                // What came without a person to a profile that was there never was a profile. Where people decided who is
                // who, a value that profiles shared draws its edges within one, and says no longer which of them had it.
                let merged = parts.join(edge.left, edge.right).filter(|&merged| {
                    is_decided || self.is_record(merged) || edge.left.min(edge.right) >= merged
                });
                if let Some(merged) = merged {
                    m_subject.append_value(i64::from(*anchor));
                    m_merged.append_value(ids(merged));
                    m_profile.append_value(id);
                    m_rule.append_value(&evidence.rule);
                    m_at.append_value(observed);
                }
            }
        }
        let [left_source, left_key, right_source, right_key] = records.finish::<4>();
        let edges = tables::IDENTITY_EDGES.batch(vec![
            Arc::new(subject.finish()),
            Arc::new(profile.finish()),
            Arc::new(rule.finish()),
            Arc::new(value.finish()),
            left_source,
            left_key,
            right_source,
            right_key,
            Arc::new(joined.finish()),
            Arc::new(at.finish()),
            Arc::new(bits.finish()),
            Arc::new(probability.finish()),
        ])?;
        let merges = tables::PROFILE_MERGES.batch(vec![
            Arc::new(m_subject.finish()),
            Arc::new(m_merged.finish()),
            Arc::new(m_profile.finish()),
            Arc::new(m_rule.finish()),
            Arc::new(m_at.finish()),
        ])?;
        Ok((edges, merges))
    }

    fn violation_rows(&self, ids: &Ids<'_>, anchors: &[u32]) -> Result<RecordBatch> {
        let (mut subject, mut profile) = (Int64Builder::new(), Int64Builder::new());
        let mut texts: [StringBuilder; 4] = std::array::from_fn(|_| StringBuilder::new());
        let mut records = Records::new(3);
        let mut at = TimestampMicrosecondBuilder::new().with_timezone("UTC");
        let mut figures = Int64Builder::new();
        for anchor in anchors {
            for violation in self.resolver.violations_of(*anchor) {
                let evidence = self.resolver.explain_violation(violation);
                subject.append_value(i64::from(*anchor));
                profile.append_value(ids(*anchor));
                texts[0].append_value(&evidence.rule);
                texts[1].append_value(&evidence.value);
                texts[2].append_value(evidence.reason);
                texts[3].append_option(evidence.limited_kind.as_deref());
                records.append(self, &[evidence.left, evidence.right, evidence.against]);
                at.append_value(
                    self.seen[evidence.left as usize].at.max(self.seen[evidence.right as usize].at),
                );
                figures.append_option(evidence.figure.map(i64::from));
            }
        }
        let [rule, value, reason, limited] =
            texts.map(|mut column| Arc::new(column.finish()) as arrow::array::ArrayRef);
        let mut columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(subject.finish()),
            Arc::new(profile.finish()),
            rule,
            value,
            reason,
            limited,
        ];
        columns.extend(records.finish::<6>());
        columns.push(Arc::new(at.finish()));
        columns.push(Arc::new(figures.finish()));
        tables::IDENTITY_VIOLATIONS.batch(columns)
    }
}

/// The parts of one profile as its edges join them, in the order of the edges.
#[derive(Default)]
struct Parts {
    parents: HashMap<u32, u32>,
}

impl Parts {
    fn root(&self, mut subject: u32) -> u32 {
        while let Some(parent) = self.parents.get(&subject) {
            subject = *parent;
        }
        subject
    }

    /// Joins two subjects and returns the anchor of the part that lost its own, if they were apart.
    fn join(&mut self, left: u32, right: u32) -> Option<u32> {
        let (left, right) = (self.root(left), self.root(right));
        if left == right {
            return None;
        }
        let (older, younger) = (left.min(right), left.max(right));
        self.parents.insert(younger, older);
        Some(younger)
    }
}

/// Columns that name records: a source and a key each.
struct Records {
    columns: Vec<StringBuilder>,
}

impl Records {
    fn new(records: usize) -> Self {
        Self { columns: (0..records * 2).map(|_| StringBuilder::new()).collect() }
    }

    fn append(&mut self, memory: &Memory, subjects: &[u32]) {
        for (place, subject) in subjects.iter().enumerate() {
            let seen = &memory.seen[*subject as usize];
            self.columns[place * 2].append_value(memory.resolver.source_name(seen.source));
            self.columns[place * 2 + 1].append_option(seen.record_key.as_deref());
        }
    }

    fn finish<const N: usize>(mut self) -> [arrow::array::ArrayRef; N] {
        std::array::from_fn(|at| Arc::new(self.columns[at].finish()) as arrow::array::ArrayRef)
    }
}
