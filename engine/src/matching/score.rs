//! The weight of a pair: how much more its agreement speaks for one person than for anything else.
//!
//! For each class the logarithms of the prior and of the level's probability are added up. The frequency of a name counts
//! in the classes in which agreement on it is chance. The weight is `S_same − log2(2^S_household + 2^S_chance)`, the
//! logarithm of the odds. Nothing here needs a batch: any two records of a table can be weighed, and the comparison of
//! each two names is remembered.

use std::borrow::Cow;

use super::classes::Classes;
use super::compare::{Comparer, Memories, are_turned};
use super::em::{CHANCE, HOUSEHOLD, SAME};
use super::levels::{COMPARISONS_MAX, GIVEN, LEVELS_MAX, Levels, SURNAME, given, surname};
use super::model::Model;
use super::records::{ROW_GIVEN, ROW_SUFFIX, ROW_SURNAME, Records};
use crate::identity::interner::NONE;

/// Least probability of a level, so that every weight is finite: forty bits.
const PROBABILITY_MIN: f64 = 1e-12;

/// What agreement of two records is worth, in bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// The logarithm of the odds that they are of one person.
    pub same: f32,
    /// The logarithm of the odds that they are of two people of one household.
    pub household: f32,
    /// The logarithm of the odds of one person against two people of one household; infinite where there are no
    /// households.
    pub against_household: f32,
    /// What was compared speaks for one person by this much, priors left out, against the better of the two other
    /// explanations: below zero it speaks against.
    pub evidence: f32,
}

/// What agreement of two records says of one household, whoever of it they are of, in bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Together {
    /// The logarithm of the odds that they are of one household, of one person or of two, against strangers.
    pub(crate) weight: f32,
    /// What was compared speaks for it by this much, priors left out: below zero it speaks against.
    pub(crate) evidence: f32,
    /// The logarithm of the odds of one person against two people of one household.
    pub(crate) one_person: f32,
}

/// Weighs pairs of one table by one model.
#[derive(Debug)]
pub struct Scorer<'a> {
    records: &'a Records,
    model: &'a Model,
    comparer: Comparer<'a>,
    lookup: Cow<'a, Lookup>,
}

/// What a model says of each level, and of each name of a table, in bits.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    /// Bits by comparison, level and class.
    bits: [[[f32; 3]; LEVELS_MAX]; COMPARISONS_MAX],
    /// Bits of the priors, by class.
    priors: [f32; 3],
    given_bits: Vec<f32>,
    surname_bits: Vec<f32>,
}

impl Lookup {
    pub(crate) fn new(model: &Model) -> Self {
        let mut bits = [[[0.0; 3]; LEVELS_MAX]; COMPARISONS_MAX];
        for (comparison, bits) in model.comparisons.iter().zip(&mut bits) {
            for (level, bits) in comparison.levels.iter().zip(bits) {
                *bits = [level.same, level.household, level.chance].map(log2);
            }
        }
        let chance = 1.0 - model.prior - model.prior_household;
        Self {
            bits,
            priors: [model.prior, model.prior_household, chance].map(log2),
            given_bits: Vec::new(),
            surname_bits: Vec::new(),
        }
    }

    /// Looks up the names that came to a table since the last time.
    pub(crate) fn extend(&mut self, records: &Records, model: &Model) {
        let names = &records.names;
        for part in self.given_bits.len() as u32..names.len() as u32 {
            let (given, surname) = (names.given_hash(part), names.surname_hash(part));
            self.given_bits.push(model.frequencies.given.bits(given) as f32);
            self.surname_bits.push(model.frequencies.surname.bits(surname) as f32);
        }
    }
}

impl<'a> Scorer<'a> {
    /// Makes ready to weigh pairs.
    pub(super) fn new(records: &'a Records, classes: &'a Classes, model: &'a Model) -> Self {
        let mut lookup = Lookup::new(model);
        lookup.extend(records, model);
        let comparer = Comparer::new(records, classes);
        Self { records, model, comparer, lookup: Cow::Owned(lookup) }
    }

    /// Makes ready to weigh pairs of a table that grows, with what was looked up and remembered before.
    pub(crate) fn prepared(
        records: &'a Records,
        classes: &'a Classes,
        model: &'a Model,
        lookup: &'a Lookup,
        memories: Memories,
    ) -> Self {
        let comparer = Comparer::remembering(records, classes, memories);
        Self { records, model, comparer, lookup: Cow::Borrowed(lookup) }
    }

    pub(crate) fn into_memories(self) -> Memories {
        self.comparer.into_memories()
    }

    /// Brings what records are weighed by into the cache, before many of them are weighed.
    pub(crate) fn warm(&self, rows: impl Iterator<Item = u32> + Clone) {
        self.comparer.warm(rows);
    }

    /// Returns in what two records agree, in words: each comparison about which both say something.
    pub(crate) fn agreement(&mut self, left: u32, right: u32) -> String {
        let levels = self.comparer.levels(left, right);
        let compared = self.model.comparisons.iter().enumerate();
        let words = compared.filter_map(|(at, comparison)| {
            let level = comparison.levels.get(usize::from(levels.get(at)?))?;
            Some(format!("{}: {}", comparison.name, level.label))
        });
        words.collect::<Vec<_>>().join("; ")
    }

    /// Weighs two records.
    pub fn weigh(&mut self, left: u32, right: u32) -> Weight {
        let sums = self.sums(left, right);
        self.weight(sums)
    }

    /// Weighs two records, unless they are of one person with less than these bits.
    pub(crate) fn weigh_from(&mut self, left: u32, right: u32, least: f32) -> Option<Weight> {
        let sums = self.sums(left, right);
        self.weight_from(sums, least)
    }

    /// Returns the bits of all comparisons of two records, without priors, by class.
    pub(crate) fn sums(&mut self, left: u32, right: u32) -> [f32; 3] {
        let levels = self.comparer.levels(left, right);
        self.sums_of(levels, left, right)
    }

    fn sums_of(&self, levels: Levels, left: u32, right: u32) -> [f32; 3] {
        let mut sums = [0.0; 3];
        for comparison in 0..self.model.comparisons.len() {
            let bits = self.bits_of(comparison, levels, left, right);
            (0..3).for_each(|class| sums[class] += bits[class]);
        }
        sums
    }

    /// Weighs one record against others, such as a new one against those that share a block with it.
    pub fn weigh_all(&mut self, record: u32, candidates: &[u32]) -> Vec<Weight> {
        candidates.iter().map(|&candidate| self.weigh(record, candidate)).collect()
    }

    /// Returns what two records agree on.
    pub(super) fn levels(&mut self, left: u32, right: u32) -> Levels {
        self.comparer.levels(left, right)
    }

    pub(super) fn model(&self) -> &Model {
        self.model
    }

    /// Returns the bits of a comparison in each class: none where one of the records says nothing.
    pub(super) fn bits_of(
        &self,
        comparison: usize,
        levels: Levels,
        left: u32,
        right: u32,
    ) -> [f32; 3] {
        let Some(level) = levels.get(comparison) else { return [0.0; 3] };
        let mut bits = self.lookup.bits[comparison][level as usize];
        let frequency = match comparison {
            GIVEN if level >= given::SAME => {
                self.frequency(&self.lookup.given_bits, ROW_GIVEN, left, right)
            }
            SURNAME if level == surname::SAME => {
                self.frequency(&self.lookup.surname_bits, ROW_SURNAME, left, right)
            }
            _ => return bits,
        };
        let is_full_name =
            comparison == SURNAME && levels.get(GIVEN).is_some_and(|level| level >= given::SAME);
        bits[CHANCE] -= frequency;
        if is_full_name {
            bits[CHANCE] += self.model.name_dependence as f32;
        }
        if comparison == GIVEN {
            bits[HOUSEHOLD] -= frequency;
        }
        bits
    }

    fn with_prior(&self, sums: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|class| sums[class] + self.lookup.priors[class])
    }

    /// Returns what sums of bits, without priors, by class, say of one household.
    pub(crate) fn together(&self, sums: [f32; 3]) -> Together {
        let [same, household, chance] = self.with_prior(sums);
        Together {
            weight: add(same, household) - chance,
            evidence: sums[SAME].max(sums[HOUSEHOLD]) - sums[CHANCE],
            one_person: same - household,
        }
    }

    /// Tells whether more than one thing speaks for one household, by the better of its two explanations. One alone does not
    /// make it: strangers live in one house, or had one telephone after another.
    pub(crate) fn is_corroborated(&mut self, left: u32, right: u32) -> bool {
        let levels = self.comparer.levels(left, right);
        let (mut sums, mut most) = ([0.0_f32; 2], [0.0_f32; 2]);
        for comparison in 0..self.model.comparisons.len() {
            let bits = self.bits_of(comparison, levels, left, right);
            for class in [SAME, HOUSEHOLD] {
                let speaks = bits[class] - bits[CHANCE];
                sums[class] += speaks;
                most[class] = most[class].max(speaks);
            }
        }
        let odds = |class: usize| sums[class] + self.lookup.priors[class];
        let class = if odds(SAME) > odds(HOUSEHOLD) { SAME } else { HOUSEHOLD };
        sums[class] > most[class]
    }

    /// Tells whether a record calls its person junior, senior or the like.
    pub(super) fn has_suffix(&self, row: u32) -> bool {
        self.records.row(row)[ROW_SUFFIX] != NONE
    }

    /// Returns the logarithm of the odds of one person against two people of one household and one name: names say nothing.
    /// Infinite where there are no households.
    pub(super) fn against_namesake(&mut self, left: u32, right: u32) -> f32 {
        if self.model.prior_household <= 0.0 {
            return f32::INFINITY;
        }
        let levels = self.comparer.levels(left, right).without(GIVEN).without(SURNAME);
        let [same, household, _] = self.with_prior(self.sums_of(levels, left, right));
        same - household
    }

    /// Returns the weight of sums of bits, without priors, by class.
    pub(crate) fn weight(&self, sums: [f32; 3]) -> Weight {
        let [same, household, chance] = self.with_prior(sums);
        let has_households = self.model.prior_household > 0.0;
        Weight {
            same: same - add(household, chance),
            household: household - add(same, chance),
            against_household: if has_households { same - household } else { f32::INFINITY },
            evidence: if has_households {
                sums[SAME] - sums[CHANCE].max(sums[HOUSEHOLD])
            } else {
                sums[SAME] - sums[CHANCE]
            },
        }
    }

    /// Returns the same, unless it is less than these bits for one person. Most pairs of a block are far from it, and are told
    /// by the better of the two other explanations alone: both together are no less probable.
    pub(crate) fn weight_from(&self, sums: [f32; 3], least: f32) -> Option<Weight> {
        let [same, household, chance] = self.with_prior(sums);
        if same - household.max(chance) < least {
            return None;
        }
        Some(self.weight(sums)).filter(|weight| weight.same >= least)
    }

    /// Returns what the more frequent of two forms of a name adds. Where both records have the surname first, each name stands
    /// in the place of the other.
    fn frequency(&self, bits: &[f32], place: usize, left: u32, right: u32) -> f32 {
        let (left, right) = (self.records.row(left), self.records.row(right));
        let place = match place {
            ROW_GIVEN if are_turned(self.records, left, right) => ROW_SURNAME,
            ROW_SURNAME if are_turned(self.records, left, right) => ROW_GIVEN,
            _ => place,
        };
        let bits = |row: &[u32]| bits[row[place] as usize];
        bits(left).min(bits(right))
    }
}

fn log2(probability: f64) -> f32 {
    probability.max(PROBABILITY_MIN).log2() as f32
}

/// Adds two numbers of which the logarithms are known.
fn add(left: f32, right: f32) -> f32 {
    let (smaller, larger) = (left.min(right), left.max(right));
    larger + (smaller - larger).exp2().ln_1p() * std::f32::consts::LOG2_E
}
