//! Blocks of records that are compared with each other, and the pairs of them, each once.
//!
//! Every rule sorts the keys of all records into blocks. Blocks that would make more pairs than a rule is allowed are
//! refined by further parts of the key, the largest first; what is left after that is compared within a window when the
//! key is an identifier, and dropped otherwise. A [`BlockReport`] says so.
//!
//! There is no set of pairs: a pair belongs to the first rule under which its records share a block, which the numbers of
//! their blocks tell. Pairs are visited by several threads, some blocks at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::classes::Classes;
use super::records::{ROW_BIRTH, ROW_GIVEN, ROW_SURNAME, Records, both};
use super::rules::{Part, Rule, key};
use crate::identity::interner::NONE;
use crate::identity::memory::warm;
use crate::identity::threads::on_each;

/// The largest block: a key that more records share tells too little to compare them all. A block of it has twenty thousand pairs;
/// with half of it frequent names are refined sooner, with twice as much four times as many pairs are compared that teach nothing.
const BLOCK_RECORDS_MAX: usize = 200;

/// Records of a larger block of an identifier that are compared with each other, in the order of what they say. Who is called alike
/// lies within fewer of them; twice as many take twice the time.
const WINDOW: usize = 32;

/// Pairs that one rule may make at each stage of refinement, for each record. Splink's expert settings make 1.2 in all. It keeps
/// time in proportion to the table: half and twice as much are half and twice the time of training, and of what rules refine.
const PAIRS_PER_RECORD: f64 = 0.5;

/// Small tables may make this many pairs by each rule whatever their size: less than a second of work in all.
const PAIRS_FREE: u64 = 100_000;

/// Pairs in the share of work that a thread takes at a time.
const PAIRS_PER_TASK: u64 = 1 << 16;

/// Pairs that are visited together: what they need of memory is fetched at once instead of being waited for one by one.
const PAIRS_TOGETHER: usize = 64;

/// Keys from which they are sorted in parts, and the bits that tell of which part one is.
const KEYS_PARTED_MIN: usize = 1 << 16;
const PART_BITS: u32 = 10;

/// What a rule made of the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockReport {
    /// The rule.
    pub rule: String,
    /// Blocks of two records and more.
    pub blocks: usize,
    /// Pairs within them.
    pub pairs: u64,
    /// Records whose block was too large and was refined.
    pub refined_records: usize,
    /// Records of an identifier's block that was too large: they are compared within a window.
    pub windowed_records: usize,
    /// Records whose block stayed too large: this rule does not compare them.
    pub dropped_records: usize,
}

/// The blocks of one rule.
#[derive(Debug)]
struct RuleBlocks {
    /// Members of all blocks, one block after the other.
    members: Vec<u32>,
    /// Where blocks end.
    ends: Vec<u32>,
    /// The number of the key of each block; windows of one key share it.
    keys: Vec<u32>,
    /// Keys below this number are of the rule as it is, the others are refined.
    unrefined: u32,
    report: BlockReport,
}

/// The blocks of all rules.
#[derive(Debug)]
pub(super) struct Blocks {
    rules: Vec<RuleBlocks>,
    /// For each record the number of its key under each rule, or [`NONE`].
    keys: Vec<u32>,
}

/// Blocks of one rule that a thread visits at a time.
#[derive(Debug, Clone, Copy)]
struct Task {
    rule: usize,
    from: usize,
    to: usize,
}

impl Blocks {
    /// Makes the blocks of all rules.
    pub(super) fn build(
        records: &Records,
        classes: &Classes,
        rules: &[Rule],
        threads: usize,
    ) -> Self {
        let next = AtomicUsize::new(0);
        let work = |_| {
            let (mut done, mut keyed) = (Vec::new(), Keyed::default());
            while let Some(rule) = rules.get(next.fetch_add(1, Ordering::Relaxed)) {
                let blocks = RuleBlocks::build(records, classes, rule, &mut keyed);
                done.push((rule.name.as_str(), blocks));
            }
            done
        };
        let mut built: Vec<_> = on_each(threads, work).into_iter().flatten().collect();
        built.sort_by_key(|(name, _)| rules.iter().position(|rule| rule.name == *name));
        let rules: Vec<RuleBlocks> = built.into_iter().map(|(_, blocks)| blocks).collect();
        let keys = keys_of_rows(&rules, records.len(), threads);
        Self { rules, keys }
    }

    /// Returns what each rule made of the records.
    pub(super) fn reports(&self) -> Vec<BlockReport> {
        self.rules.iter().map(|rule| rule.report.clone()).collect()
    }

    /// Tells whether two records share an unrefined block under a rule.
    pub(super) fn share(&self, rule: usize, left: u32, right: u32) -> bool {
        let key = self.key(rule, left);
        key < self.rules[rule].unrefined && key == self.key(rule, right)
    }

    fn key(&self, rule: usize, row: u32) -> u32 {
        self.keys[row as usize * self.rules.len() + rule]
    }

    /// Tells whether a pair of a rule's block belongs to an earlier rule.
    fn is_earlier(&self, rule: usize, left: u32, right: u32) -> bool {
        let keys = |row: u32| &self.keys[row as usize * self.rules.len()..][..rule];
        keys(left).iter().zip(keys(right)).any(|(left, right)| left == right && *left != NONE)
    }

    /// Visits every pair once, some of them together, on several threads that each keep a state of their own. Which thread
    /// visits which pair is left open.
    pub(super) fn visit<S: Send>(
        &self,
        threads: usize,
        state: impl Fn() -> S + Sync,
        visit: impl Fn(&mut S, &[(u32, u32)]) + Sync,
    ) -> Vec<S> {
        let tasks = self.tasks();
        let next = AtomicUsize::new(0);
        let work = |_| {
            let mut state = state();
            while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.visit_task(*task, |pairs| visit(&mut state, pairs));
            }
            state
        };
        on_each(threads, work)
    }

    fn visit_task(&self, task: Task, mut visit: impl FnMut(&[(u32, u32)])) {
        let rule = &self.rules[task.rule];
        let mut pairs = Vec::with_capacity(PAIRS_TOGETHER);
        for block in task.from..task.to {
            let members = rule.members(block);
            for (at, &left) in members.iter().enumerate() {
                for &right in &members[at + 1..] {
                    if left == right {
                        continue;
                    }
                    pairs.push((left.min(right), left.max(right)));
                    if pairs.len() == PAIRS_TOGETHER {
                        self.retain_own(task.rule, &mut pairs);
                        visit(&pairs);
                        pairs.clear();
                    }
                }
            }
        }
        self.retain_own(task.rule, &mut pairs);
        visit(&pairs);
    }

    /// Leaves out pairs that belong to an earlier rule.
    fn retain_own(&self, rule: usize, pairs: &mut Vec<(u32, u32)>) {
        if rule > 0 {
            warm(both(pairs).map(|row| self.keys[row as usize * self.rules.len()]));
            pairs.retain(|&(left, right)| !self.is_earlier(rule, left, right));
        }
    }

    fn tasks(&self) -> Vec<Task> {
        let mut tasks = Vec::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let (mut from, mut pairs) = (0, 0);
            for block in 0..rule.ends.len() {
                pairs += pairs_of(rule.members(block).len());
                if pairs >= PAIRS_PER_TASK || block + 1 == rule.ends.len() {
                    tasks.push(Task { rule: at, from, to: block + 1 });
                    (from, pairs) = (block + 1, 0);
                }
            }
        }
        tasks
    }
}

impl RuleBlocks {
    fn build(records: &Records, classes: &Classes, rule: &Rule, keyed: &mut Keyed) -> Self {
        let mut blocks = Self {
            members: Vec::new(),
            ends: Vec::new(),
            keys: Vec::new(),
            unrefined: 0,
            report: BlockReport {
                rule: rule.name.clone(),
                blocks: 0,
                pairs: 0,
                refined_records: 0,
                windowed_records: 0,
                dropped_records: 0,
            },
        };
        let is_identifier = matches!(rule.parts[..], [Part::Identifier(_)]);
        let budget = ((records.len() as f64 * PAIRS_PER_RECORD) as u64).max(PAIRS_FREE);
        let budget = if is_identifier { u64::MAX } else { budget };
        let rows = 0..records.len() as u32;
        let keys = rows.filter_map(|row| Some((key(records, classes, &rule.parts, row)?, row)));
        let mut too_large = blocks.take(keyed.sorted(keys), budget);
        blocks.unrefined = blocks.keys.len() as u32;
        for depth in 1..=rule.refine.len() {
            blocks.report.refined_records += too_large.len();
            let parts: Vec<Part> =
                rule.parts.iter().chain(&rule.refine[..depth]).copied().collect();
            let keys = too_large
                .iter()
                .filter_map(|&(_, row)| Some((key(records, classes, &parts, row)?, row)));
            too_large = blocks.take(keyed.sorted(keys), budget);
        }
        if is_identifier {
            blocks.window(records, &too_large);
        } else {
            blocks.report.dropped_records = too_large.len();
        }
        blocks.members.shrink_to_fit();
        blocks
    }

    /// Takes in blocks of sorted keys, from the smallest block on until the budget is spent, and returns the members of the
    /// others.
    fn take(&mut self, keyed: &[(u64, u32)], budget: u64) -> Vec<(u64, u32)> {
        let size_max = size_max(keyed, budget);
        let mut too_large = Vec::new();
        for block in keyed.chunk_by(|left, right| left.0 == right.0) {
            if block.len() > size_max {
                too_large.extend_from_slice(block);
            } else if block.len() > 1 {
                let key = self.keys.len() as u32;
                self.push(block.iter().map(|(_, row)| *row), key);
            }
        }
        too_large
    }

    fn push(&mut self, rows: impl Iterator<Item = u32>, key: u32) {
        let before = self.members.len();
        self.members.extend(rows);
        self.ends.push(self.members.len() as u32);
        self.keys.push(key);
        self.report.blocks += 1;
        self.report.pairs += pairs_of(self.members.len() - before);
    }

    /// Cuts blocks into windows over records in the order of what they say; neighbours overlap in one record.
    fn window(&mut self, records: &Records, too_large: &[(u64, u32)]) {
        self.report.windowed_records = too_large.len();
        for block in too_large.chunk_by(|left, right| left.0 == right.0) {
            let mut rows: Vec<u32> = block.iter().map(|(_, row)| *row).collect();
            rows.sort_unstable_by_key(|&row| {
                let said = records.row(row);
                let name = |place: usize| match said[place] {
                    NONE => 0,
                    part => records.names.given_hash(part),
                };
                (name(ROW_GIVEN), name(ROW_SURNAME), said[ROW_BIRTH], row)
            });
            let key = self.keys.len() as u32;
            for from in (0..rows.len() - 1).step_by(WINDOW - 1) {
                self.push(rows[from..rows.len().min(from + WINDOW)].iter().copied(), key);
            }
        }
    }

    fn members(&self, block: usize) -> &[u32] {
        let start = if block == 0 { 0 } else { self.ends[block - 1] };
        &self.members[start as usize..self.ends[block] as usize]
    }
}

/// Returns for each row the number of its key under each rule, or [`NONE`].
fn keys_of_rows(rules: &[RuleBlocks], rows: usize, threads: usize) -> Vec<u32> {
    let count = rules.len();
    let mut keys = vec![NONE; rows * count];
    let share = rows.div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        let parts = keys.chunks_mut((share * count).max(1));
        for (part, first) in parts.zip((0_usize..).step_by(share)) {
            scope.spawn(move || {
                for (at, rule) in rules.iter().enumerate() {
                    for block in 0..rule.ends.len() {
                        for &row in rule.members(block) {
                            let place = (row as usize).checked_sub(first);
                            if let Some(place) = place.filter(|place| *place < share) {
                                part[place * count + at] = rule.keys[block];
                            }
                        }
                    }
                }
            });
        }
    });
    keys
}

/// Rows with their keys, in memory that is used again for each rule.
#[derive(Default)]
struct Keyed {
    rows: Vec<(u64, u32)>,
    parted: Vec<(u64, u32)>,
}

impl Keyed {
    /// Sorts rows by key. Keys are hashes: their first bits part them evenly, and each part is sorted within the cache.
    fn sorted(&mut self, keyed: impl Iterator<Item = (u64, u32)>) -> &[(u64, u32)] {
        let Self { rows, parted } = self;
        rows.clear();
        rows.extend(keyed);
        if rows.len() < KEYS_PARTED_MIN {
            rows.sort_unstable();
            return rows;
        }
        let part_of = |key: u64| (key >> (u64::BITS - PART_BITS)) as usize;
        let mut ends = vec![0_usize; (1 << PART_BITS) + 1];
        rows.iter().for_each(|(key, _)| ends[part_of(*key) + 1] += 1);
        for part in 1..ends.len() {
            ends[part] += ends[part - 1];
        }
        let mut next = ends.clone();
        parted.resize(rows.len(), (0, 0));
        for entry in &*rows {
            let at = &mut next[part_of(entry.0)];
            parted[*at] = *entry;
            *at += 1;
        }
        ends.windows(2).for_each(|part| parted[part[0]..part[1]].sort_unstable());
        parted
    }
}

fn pairs_of(count: usize) -> u64 {
    (count as u64 * (count as u64).saturating_sub(1)) / 2
}

/// Returns the size of the largest blocks whose pairs, with those of all smaller blocks, are within the budget.
fn size_max(keyed: &[(u64, u32)], budget: u64) -> usize {
    let mut pairs = [0_u64; BLOCK_RECORDS_MAX + 1];
    for block in keyed.chunk_by(|left, right| left.0 == right.0) {
        if let Some(of_size) = pairs.get_mut(block.len()) {
            *of_size += pairs_of(block.len());
        }
    }
    let mut sum = 0;
    let within = pairs.iter().take_while(|of_size| {
        sum += **of_size;
        sum <= budget
    });
    within.count().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::hash;

    #[test]
    fn keys_that_are_sorted_in_parts_are_sorted() {
        let mut sorted = Keyed::default();
        for count in [0, 1_000, KEYS_PARTED_MIN as u32 + 1_000, KEYS_PARTED_MIN as u32, 7] {
            let keyed = (0..count).map(|row| (hash::mix(0, u64::from(row / 3)), count - row));
            let keyed: Vec<(u64, u32)> = keyed.collect();
            let mut expected = keyed.clone();
            expected.sort_unstable();
            assert_eq!(sorted.sorted(keyed.into_iter()), expected);
        }
    }
}
