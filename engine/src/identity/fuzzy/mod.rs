//! The FUZZY rule of a graph: who may be one person with whom, by a model of agreement.
//!
//! Every subject that describes a person is a row of the matcher's table and of an index of keys, the usual ones or those of
//! `BLOCK ON`. When it is new, or the class of a value that it carries becomes another, it is weighed against its neighbours
//! in the index, and the pairs above the threshold are kept. The resolver walks along them as along values.
//!
//! The weight of a pair hangs on what its two subjects say, on the classes of the values that they carry, and on the model,
//! which stays as it was trained. Whether the two are neighbours hangs on which keys are shared by too many. So what is kept
//! is a function of the subjects and the model, whatever came first.
//!
//! Of pairs below the threshold those are kept, too, that are of one household, if the rule looks for households.

mod check;
mod index;

use std::sync::atomic::{AtomicUsize, Ordering};

use super::graph::{Graph, NewSubject};
use super::halt::Halt;
use super::hash;
use super::interner::NONE;
use super::memory::warm;
use super::pool::Pool;
use super::threads::{dealt, threads};
use super::values::ValueClass;
use crate::catalog::FuzzyRule;
use crate::matching::{
    Batch, BlockKeys, Classes, Labels, Lookup, Matcher, Memories, Model, Options, Records, Scorer,
    parts,
};
pub(super) use check::check_fuzzy;
pub(crate) use index::BLOCK_ROWS_MAX;
use index::Index;

/// Rows that are normalised together at most: what waits is text.
const ROWS_PENDING_MAX: usize = 1 << 16;

/// Rows from which weighing is work for all cores: below, to begin a thread takes longer than to weigh. Results do not depend on it.
const ROWS_SHARED_MIN: usize = 64;

/// Rows that a core takes at a time: few enough that all cores end together. Results do not depend on it.
const ROWS_PER_TASK: usize = 32;

/// Rows whose keys are looked up together, so that what is waited for is waited for once: some hundred keys.
const ROWS_WARMED: usize = 16;

/// Memories of what was compared that are kept from one refresh to the next, each of one and a half megabytes.
const MEMORIES_KEPT_MAX: usize = 8;

/// Everything that the rule knows.
#[derive(Debug)]
pub(super) struct Fuzzy {
    /// The number of the rule.
    pub(super) rule: u16,
    pub(super) threshold_bits: f32,
    /// The threshold of households, if they are looked for.
    pub(super) household_bits: Option<f32>,
    records: Records,
    classes: Classes,
    keys: BlockKeys,
    index: Index,
    /// The row of each subject, or [`NONE`] for one that describes nobody.
    rows: Vec<u32>,
    /// The subject of each row.
    subjects: Vec<u32>,
    waiting: Vec<Waiting>,
    model: Option<Ready>,
    /// The pairs of each subject, both ways.
    pairs: Pool<Partner>,
    /// With whom else each subject is of one household, both ways.
    housemates: Pool<u32>,
    /// Subjects that lost a housemate since they were [taken](Self::take_loosened).
    loosened: Vec<u32>,
    /// Subjects to weigh (again).
    stale: Vec<u32>,
    /// Rows of keys that were closed since anything was weighed.
    closed: Vec<u32>,
    /// One for each thread that weighs, as far as they are kept.
    memories: Vec<Memories>,
    /// The turn in which each row was last weighed.
    turns: Vec<u32>,
    turn: u32,
}

/// A subject whose texts are not normalised yet.
#[derive(Debug)]
struct Waiting {
    key: u64,
    subject: u32,
    /// In the order of [`PersonField`](crate::matching::PersonField).
    person: [Option<String>; 8],
}

/// A model and what was looked up in it.
#[derive(Debug)]
struct Ready {
    model: Model,
    lookup: Lookup,
}

/// Pairs that are kept.
#[derive(Debug, Default)]
struct Found {
    /// Those of one person, with their weights.
    pairs: Vec<(u32, u32, i32)>,
    /// Others that are of one household.
    housemates: Vec<(u32, u32)>,
    /// How many were weighed for it.
    weighed: u64,
}

/// The other one of a pair above the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Partner {
    pub(super) subject: u32,
    /// In [`parts`] of a bit.
    pub(super) weight: i32,
}

impl Fuzzy {
    pub(super) fn new(rule: &FuzzyRule, graph: &Graph) -> Self {
        let kinds = graph.rules.compared();
        Self {
            rule: graph.rules.match_rule(graph.rules.matches.len()),
            threshold_bits: bits_of(rule.score),
            household_bits: rule.household_score.map(bits_of),
            classes: Classes::of_kinds(kinds.len()),
            keys: BlockKeys::new(&rule.block_on, &kinds)
                .expect("rules have been checked for what keys name"),
            records: Records::new(kinds).expect("rules have been checked for too many kinds"),
            index: Index::new(BLOCK_ROWS_MAX),
            rows: Vec::new(),
            subjects: Vec::new(),
            waiting: Vec::new(),
            model: None,
            pairs: Pool::new(),
            housemates: Pool::new(),
            loosened: Vec::new(),
            stale: Vec::new(),
            closed: Vec::new(),
            memories: Vec::new(),
            turns: Vec::new(),
            turn: 0,
        }
    }

    /// Closes keys that fewer rows share, before there are any.
    #[cfg(test)]
    pub(super) fn close_keys_above(&mut self, rows_max: u8) {
        self.index = Index::new(rows_max);
    }

    /// Takes in the next subject, which the graph has.
    pub(super) fn add(&mut self, graph: &Graph, subject: u32, new: &NewSubject<'_>) {
        self.rows.resize(subject as usize + 1, NONE);
        let (Some(person), Some(record)) = (new.person, new.record) else { return };
        let person = [
            &person.name,
            &person.first_name,
            &person.last_name,
            &person.birth_date,
            &person.street,
            &person.postal_code,
            &person.city,
            &person.country,
        ];
        let key = record_key(&graph.sources[usize::from(new.source)], record);
        self.waiting.push(Waiting { key, subject, person: person.map(Clone::clone) });
        if self.waiting.len() >= ROWS_PENDING_MAX {
            self.normalize(graph);
        }
    }

    /// Makes rows of all subjects that wait for it.
    pub(super) fn normalize(&mut self, graph: &Graph) {
        if self.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let kinds = self.records.kinds().len();
        let mut values: Vec<Vec<u32>> = vec![Vec::with_capacity(waiting.len()); kinds];
        for row in &waiting {
            for (kind, values) in values.iter_mut().enumerate() {
                // Of several values of a kind the first one stands for all, in an order that texts decide.
                let first = graph
                    .values
                    .of(row.subject)
                    .find(|&value| usize::from(graph.values.rule(value)) == kind);
                values.push(first.unwrap_or(NONE));
            }
        }
        let text = |&value: &u32| (value != NONE).then(|| graph.values.text(value)).flatten();
        let batch = Batch {
            keys: waiting.iter().map(|row| row.key).collect(),
            person: std::array::from_fn(|field| {
                waiting.iter().map(|row| row.person[field].as_deref()).collect()
            }),
            identifiers: values.iter().map(|values| values.iter().map(text).collect()).collect(),
            is_normalized: true,
        };
        let first = self.records.len() as u32;
        self.records.add(&batch, threads());
        let rows: Vec<u32> = (first..self.records.len() as u32).collect();
        let threads = if rows.len() < ROWS_SHARED_MIN { 1 } else { threads() };
        let keys = dealt(threads, rows.chunks(ROWS_PER_TASK), |rows| -> Vec<Vec<u64>> {
            rows.iter().map(|&row| self.keys.of(&self.records, row)).collect()
        });
        for keys in keys.iter().flat_map(|keys| keys.chunks(ROWS_WARMED)) {
            self.index.warm(keys);
            keys.iter().for_each(|keys| self.index.add(keys, &mut self.closed));
        }
        for (row, waited) in rows.into_iter().zip(&waiting) {
            self.rows[waited.subject as usize] = row;
            self.subjects.push(waited.subject);
            for (kind, values) in values.iter().enumerate() {
                let (value, number) =
                    (values[(row - first) as usize], self.records.value(row, kind));
                if number != NONE {
                    self.classes.set(kind, number, graph.values.class(value));
                }
            }
        }
        self.turns.resize(self.subjects.len(), 0);
    }

    /// Takes note of whom a value identifies from now on.
    pub(super) fn set_class(&mut self, kind: u16, text: &str, class: ValueClass) {
        let kind = usize::from(kind);
        if let Some(number) = self.records.find_value(kind, text) {
            self.classes.set(kind, number, class);
        }
    }

    pub(super) fn has_model(&self) -> bool {
        self.model.is_some()
    }

    /// Weighs by a model from now on, all subjects included that were there before.
    pub(super) fn set_model(&mut self, model: Model) {
        let silent = model.kinds().enumerate().filter(|(_, kind)| kind.levels.is_empty());
        self.classes.silence(silent.map(|(kind, _)| kind));
        self.model = Some(Ready { lookup: Lookup::new(&model), model });
        self.stale.extend(&self.subjects);
    }

    /// Trains a model on all rows, and on what people said of pairs of records. The order of their arrival does not matter.
    pub(super) fn train(&self, labels: &Labels) -> Model {
        let mut records = self.records.clone();
        records.sort(threads());
        // A number that each record has for itself, such as its own key, says of no two that they are one.
        let kinds = 0..records.kinds().len();
        let silent: Vec<usize> = kinds.filter(|&kind| !records.shares_values(kind)).collect();
        let mut classes = self.classes.clone();
        classes.silence(silent.iter().copied());
        let options = Options { threads: threads(), ..Options::default() };
        let mut model = Matcher::with_classes(&records, options, classes).train_with(labels);
        silent.into_iter().for_each(|kind| model.silence(kind));
        model
    }

    /// Weighs these subjects, unless it is to halt, and drops pairs that a key found which is closed. Adds all whose pairs may be
    /// others than before, and returns how many pairs were weighed.
    pub(super) fn weigh(&mut self, graph: &Graph, seeds: &mut Vec<u32>, halt: &Halt) -> u64 {
        let Some(ready) = &mut self.model else {
            self.stale.clear();
            self.closed.clear();
            return 0;
        };
        seeds.append(&mut self.stale);
        seeds.sort_unstable();
        seeds.dedup();
        ready.lookup.extend(&self.records, &ready.model);
        self.turn = self.turn.wrapping_add(1);
        if self.turn == 0 {
            self.turns.fill(0);
            self.turn = 1;
        }
        let rows = seeds.iter().map(|&subject| self.rows[subject as usize]);
        let rows: Vec<u32> = rows.filter(|&row| row != NONE).collect();
        rows.iter().for_each(|&row| self.turns[row as usize] = self.turn);
        self.forget(&rows, seeds);
        self.part(seeds);
        let found = self.compared(graph, &rows, halt);
        for (left, right, weight) in found.pairs {
            self.pairs.push(left, Partner { subject: right, weight });
            self.pairs.push(right, Partner { subject: left, weight });
        }
        for (left, right) in found.housemates {
            self.housemates.push(left, right);
            self.housemates.push(right, left);
        }
        found.weighed
    }

    /// Drops the pairs of rows, and adds those who lose them to `seeds`. Who loses a housemate is no other person for that.
    fn forget(&mut self, rows: &[u32], seeds: &mut Vec<u32>) {
        for &row in rows {
            let subject = self.subjects[row as usize];
            let housemates: Vec<u32> = self.housemates.of(subject).collect();
            self.housemates.clear(subject);
            for housemate in housemates {
                self.housemates.retain(housemate, |one| *one != subject);
                self.loosened.push(housemate);
            }
            let partners: Vec<Partner> = self.pairs.of(subject).collect();
            self.pairs.clear(subject);
            for partner in partners {
                self.pairs.retain(partner.subject, |one| one.subject != subject);
                seeds.push(partner.subject);
            }
        }
    }

    /// Drops pairs whose rows were neighbours by a key that is closed now, and by no other. What they weigh is as before, so
    /// nothing else has to be looked at.
    fn part(&mut self, seeds: &mut Vec<u32>) {
        let mut closed = std::mem::take(&mut self.closed);
        closed.sort_unstable();
        closed.dedup();
        for row in closed {
            let subject = self.subjects[row as usize];
            let (index, rows) = (&self.index, &self.rows);
            let is_parted = |other: &u32| !index.are_neighbours(row, rows[*other as usize]);
            let partners = self.pairs.of(subject).map(|partner| partner.subject);
            let partners: Vec<u32> = partners.filter(is_parted).collect();
            let housemates: Vec<u32> = self.housemates.of(subject).filter(is_parted).collect();
            for other in partners {
                self.pairs.retain(subject, |one| one.subject != other);
                self.pairs.retain(other, |one| one.subject != subject);
                seeds.extend([subject, other]);
            }
            for other in housemates {
                self.housemates.retain(subject, |one| *one != other);
                self.housemates.retain(other, |one| *one != subject);
                self.loosened.extend([subject, other]);
            }
        }
    }

    /// Compares rows with their neighbours, each pair once, and returns those above the thresholds, as subjects.
    fn compared(&mut self, graph: &Graph, rows: &[u32], halt: &Halt) -> Found {
        let is_small = rows.len() < ROWS_SHARED_MIN;
        let tasks = rows.len().div_ceil(ROWS_PER_TASK);
        let count = if is_small { 1 } else { threads().min(tasks) };
        let mut memories = std::mem::take(&mut self.memories);
        if memories.len() < count {
            memories.resize_with(count, Memories::new);
        }
        let found = if is_small {
            self.compare(graph, &mut memories[0], std::iter::once(rows))
        } else {
            self.compare_on_threads(graph, &mut memories[..count], rows, halt)
        };
        memories.truncate(MEMORIES_KEPT_MAX);
        self.memories = memories;
        found
    }

    fn compare_on_threads(
        &self,
        graph: &Graph,
        memories: &mut [Memories],
        rows: &[u32],
        halt: &Halt,
    ) -> Found {
        let next = &AtomicUsize::new(0);
        let tasks = || {
            std::iter::from_fn(move || {
                let from = next.fetch_add(ROWS_PER_TASK, Ordering::Relaxed);
                let to = rows.len().min(from.saturating_add(ROWS_PER_TASK));
                rows.get(from..to).filter(|rows| !rows.is_empty() && !halt.is_halted())
            })
        };
        let workers = memories.iter_mut();
        let found =
            dealt(workers.len(), workers, |memories| self.compare(graph, memories, tasks()));
        found.into_iter().fold(Found::default(), Found::with)
    }

    fn compare<'b>(
        &self,
        graph: &Graph,
        memories: &mut Memories,
        tasks: impl Iterator<Item = &'b [u32]>,
    ) -> Found {
        let (mut found, mut neighbours) = (Found::default(), Vec::new());
        let Some(mut scorer) = self.scorer(std::mem::take(memories)) else { return found };
        let record = |row: u32| graph.record_of(self.subjects[row as usize]);
        for &row in tasks.flatten() {
            self.index.neighbours(row, &mut neighbours);
            warm(
                neighbours
                    .iter()
                    .map(|&other| self.turns[other as usize] ^ self.subjects[other as usize]),
            );
            let comes_by_itself =
                |other: u32| self.turns[other as usize] == self.turn && other < row;
            let own = record(row);
            neighbours.retain(|&other| !comes_by_itself(other) && record(other) != own);
            found.weighed += neighbours.len() as u64;
            scorer.warm(neighbours.iter().copied());
            for &other in &neighbours {
                let sums = scorer.sums(row, other);
                let [left, right] = [row, other].map(|row| self.subjects[row as usize]);
                if let Some(weight) = scorer.weight_from(sums, self.threshold_bits) {
                    found.pairs.push((left, right, parts(weight.same)));
                } else if let Some(threshold) = self.household_bits
                    && scorer.together(sums).weight >= threshold
                    && scorer.is_corroborated(row, other)
                {
                    found.housemates.push((left, right));
                }
            }
        }
        *memories = scorer.into_memories();
        found
    }

    /// Returns what weighs rows, unless there is no model.
    pub(super) fn scorer(&self, memories: Memories) -> Option<Scorer<'_>> {
        let Ready { model, lookup } = self.model.as_ref()?;
        Some(Scorer::prepared(&self.records, &self.classes, model, lookup, memories))
    }

    /// Returns the row of a subject that describes a person.
    pub(super) fn row(&self, subject: u32) -> Option<u32> {
        self.rows.get(subject as usize).copied().filter(|&row| row != NONE)
    }

    /// Returns the pairs of a subject, in no order.
    pub(super) fn partners(&self, subject: u32) -> impl Iterator<Item = Partner> {
        self.pairs.of(subject)
    }

    /// Returns with whom a subject may be of one household, in no order: its pairs, and its housemates.
    pub(super) fn near(&self, subject: u32) -> impl Iterator<Item = u32> {
        let partners = self.partners(subject).map(|partner| partner.subject);
        partners.chain(self.housemates.of(subject))
    }

    /// Returns the subjects that lost a housemate since this was asked last.
    pub(super) fn take_loosened(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.loosened)
    }

    /// Returns in what two subjects agree, in words.
    pub(super) fn agreement(&self, left: u32, right: u32) -> String {
        match (self.row(left), self.row(right), self.scorer(Memories::default())) {
            (Some(left), Some(right), Some(mut scorer)) => scorer.agreement(left, right),
            _ => String::new(),
        }
    }
}

impl Found {
    fn with(mut self, mut other: Self) -> Self {
        self.pairs.append(&mut other.pairs);
        self.housemates.append(&mut other.housemates);
        self.weighed += other.weighed;
        self
    }
}

/// Returns the logarithm of the odds of a probability.
fn bits_of(probability: f64) -> f32 {
    (probability / (1.0 - probability)).log2() as f32
}

/// Returns the key under which the matcher knows a record.
pub(super) fn record_key(source: &str, record: &str) -> u64 {
    hash::mix(hash::text(source), hash::text(record))
}
