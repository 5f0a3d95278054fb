//! Training: a model from records, without a guess about recall and, unless people decided about some pairs, without labels.
//!
//! 1. Chances are sampled, those of identifiers are counted: [`chance`](super::chance).
//! 2. Pairs of each training rule are compared, and patterns of agreement counted.
//! 3. Each rule's patterns are fitted by [`em`](super::em); what several rules say about a comparison is averaged.
//! 4. Identifiers are calibrated by their own block: [`calibration`](super::calibration). That gives the prior, which
//!    corrects the chances, and steps 3 and 4 are done again.

use std::sync::Arc;

use super::blocks::Blocks;
use super::calibration::{Calibration, calibrate};
use super::chance::{Collisions, Counts, full_name_rate, sample};
use super::classes::Classes;
use super::compare::Comparer;
use super::em::{
    CHANCE, Constraints, Fit, HOUSEHOLD, Parameters, Pattern, Patterns, SAME, Tie, added_up, fit,
    held, normalized, tie,
};
use super::frequency::Frequencies;
use super::labels::{Labels, LabelsOfRows, Told};
use super::levels::{
    ADDRESS, BIRTH, GIVEN, LEVELS_MAX, Levels, PERSON_COMPARISONS, PERSON_NAMES, SURNAME, birth,
    given, identifier, labels, surname,
};
use super::model::{ComparisonModel, Health, LevelModel, Model};
use super::records::{Form, Records, both};
use super::rules::{Rule, Teaches, place};
use crate::identity::interner::{KeyTable, NONE};
use crate::identity::threads::dealt;

/// Random pairs that show how often records agree by chance. What happens to one pair in ten thousand is seen a hundred times, which
/// is right to a tenth, or a seventh of a bit; half as many make that a fifth of a bit. What is rarer, such as a mailbox, is counted
/// and not sampled.
const SAMPLE_PAIRS: u64 = 1_000_000;

/// Times that fitting and calibration take turns. After the first it is known how many households there may be, and the prior
/// moves by little after two more.
const ROUNDS: usize = 4;

/// Pairs that a rule needs to teach anything: a share of them is right to a seventh. With half of it small tables learn from what
/// may be chance; with twice as much they keep what is usual.
const PAIRS_MIN: f64 = 50.0;

/// Within a household given names are a little likelier to agree than by chance: father and son (found in no data, but
/// above one and small). One and three change the weight of an equal given name within a household by half a bit and by one.
const FAMILY_NAME_FACTOR: f64 = 1.5;

/// Of pairs within households the share that has one birthday: three births in two hundred are of twins, and a third of
/// those who share a household are brothers and sisters. Half and twice as much are one bit of what twins are worth.
const TWINS: f64 = 0.005;

/// Of pairs that carry one value, the share that does so by chance, before it is known; and what stays of a sampled chance of which
/// the rest is people. It is where the first round begins; calibration puts what it found in its place.
const CHANCE_SHARE: f64 = 0.01;

/// Of pairs that a block takes for one person's, the share whose given names may differ: with more, it has found families. Most
/// of one person's records agree on the given name, and nearly none of a family's do, so that anything well between does.
const GIVEN_DIFFERENT_MAX: f64 = 0.5;

/// Bits by which given names and surnames may hang together at most: what a file of sixteen nations of one size would show. With half
/// of it Jean Dupont and Hans Müller count as rarer than they are among French and German customers.
const NAME_DEPENDENCE_MAX: f64 = 4.0;

/// What training needs to know.
pub(super) struct Evidence<'a> {
    pub(super) records: &'a Records,
    pub(super) rules: &'a [Rule],
    /// Patterns by rule; empty for rules that don't train.
    pub(super) patterns: Vec<Patterns>,
    /// By kind of identifier.
    pub(super) collisions: Vec<Collisions>,
    /// By rule how many pairs there are of records that say all of its key.
    pub(super) comparable: Vec<f64>,
    pub(super) households: bool,
}

/// Trains a model.
pub(super) fn train(
    records: &Records,
    classes: &Classes,
    rules: &[Rule],
    blocks: &Blocks,
    labels: &Labels,
    seed: u64,
    threads: usize,
) -> Model {
    let sampled = sample(records, classes, SAMPLE_PAIRS, seed, threads);
    let kinds = 0..records.kinds().len();
    let evidence = Evidence {
        records,
        rules,
        patterns: patterns(&labels.of(records), classes, rules, blocks, threads),
        collisions: kinds.map(|kind| Collisions::count(records, classes, kind)).collect(),
        comparable: comparable(records, rules),
        households: sampled[ADDRESS].iter().sum::<f64>() > 0.0 || !records.kinds().is_empty(),
    };
    let before = beginning(&evidence, &sampled);
    let mut parameters = before.clone();
    let mut calibration = Calibration::default();
    for _ in 0..ROUNDS {
        let fits = fits(&evidence, &parameters, &before, &calibration, threads);
        parameters = averaged(&evidence, &before, &parameters, &fits);
        calibration = calibrate(&evidence, &parameters, &fits);
        correct(&mut parameters, &sampled, &calibration);
        calibration.apply(&mut parameters);
        let constraints = constraints(&evidence, Vec::new());
        tie(&mut parameters, &constraints);
        calibration.apply_households(&mut parameters, &constraints);
    }
    let name_dependence = name_dependence(full_name_rate(records), &parameters, &calibration);
    model(records, &parameters, calibration, name_dependence, Frequencies::count(records, classes))
}

/// Returns for each rule how many pairs there are of records that say all of its key.
fn comparable(records: &Records, rules: &[Rule]) -> Vec<f64> {
    let pairs = |rule: &Rule| {
        let places: Vec<usize> = rule.parts.iter().map(|part| place(*part)).collect();
        let says = |row: &u32| places.iter().all(|&place| records.row(*row)[place] != NONE);
        let count = (0..records.len() as u32).filter(says).count() as f64;
        (count * (count - 1.0) / 2.0).max(1.0)
    };
    rules.iter().map(pairs).collect()
}

/// Compares all pairs and counts their patterns, under each training rule that they share.
fn patterns(
    labels: &LabelsOfRows<'_>,
    classes: &Classes,
    rules: &[Rule],
    blocks: &Blocks,
    threads: usize,
) -> Vec<Patterns> {
    let training: Vec<usize> =
        (0..rules.len()).filter(|&rule| rules[rule].teaches != Teaches::Nothing).collect();
    let state = || {
        let tables: Vec<(KeyTable, Vec<u32>)> =
            training.iter().map(|_| (KeyTable::new(), Vec::new())).collect();
        (Comparer::new(labels.records(), classes), tables, Vec::new())
    };
    let counted = blocks.visit(threads, state, |(comparer, tables, decided), pairs| {
        labels.records().warm(both(pairs));
        for &(left, right) in pairs {
            let mut levels = None;
            let told = labels.told(left, right);
            for (rule, (keys, counts)) in training.iter().zip(&mut *tables) {
                if blocks.share(*rule, left, right) {
                    let levels = *levels.get_or_insert_with(|| comparer.levels(left, right));
                    if told != Told::Nothing {
                        decided.push((*rule, Pattern { levels, told, pairs: 1.0 }));
                        continue;
                    }
                    let at = keys.insert(levels.0) as usize;
                    if at == counts.len() {
                        counts.push(0);
                    }
                    counts[at] += 1;
                }
            }
        }
    });
    let mut patterns = vec![Patterns::new(); rules.len()];
    for (_, tables, decided) in counted {
        for (rule, (keys, counts)) in training.iter().zip(tables) {
            let keyed = counts.iter().zip(0..).map(|(count, at)| Pattern {
                levels: Levels(keys.key(at)),
                told: Told::Nothing,
                pairs: f64::from(*count),
            });
            patterns[*rule].extend(keyed);
        }
        decided.into_iter().for_each(|(rule, pattern)| patterns[rule].push(pattern));
    }
    patterns.into_iter().map(added_up).collect()
}

/// Probabilities before training: sampled chances, and for people and households what is usual. Training moves the usual
/// as far as the data say; it decides where there are no data at all.
fn beginning(evidence: &Evidence<'_>, sampled: &Counts) -> Parameters {
    let kinds = evidence.records.kinds().len();
    let identifiers = |levels: [f64; LEVELS_MAX]| std::iter::repeat_n(levels, kinds);
    // Of given name, surname, birthday and address, the lowest level first: three of four records of one person agree, and the
    // others err as people do when they type. A table that teaches a level outweighs them, since they count for one pair.
    let mut same = vec![
        [0.03, 0.008, 0.012, 0.03, 0.05, 0.12, 0.75, 0.0],
        [0.06, 0.008, 0.02, 0.04, 0.872, 0.0, 0.0, 0.0],
        [0.02, 0.01, 0.01, 0.02, 0.02, 0.04, 0.88, 0.0],
        [0.15, 0.03, 0.03, 0.02, 0.07, 0.7, 0.0, 0.0],
    ];
    same.extend(identifiers([0.3, 0.02, 0.02, 0.06, 0.6, 0.0, 0.0, 0.0]));
    let mut household = same.clone();
    // Seven of ten have one surname and one address; of their identifiers one in six is of both.
    household[SURNAME] = [0.25, 0.001, 0.02, 0.03, 0.699, 0.0, 0.0, 0.0];
    household[ADDRESS] = [0.2, 0.02, 0.03, 0.02, 0.05, 0.68, 0.0, 0.0];
    household.truncate(PERSON_COMPARISONS);
    household.extend(identifiers([0.8, 0.01, 0.02, 0.15, 0.02, 0.0, 0.0, 0.0]));
    let mut parameters = Parameters { tables: [same, household, chances(sampled)] };
    for (kind, collisions) in evidence.collisions.iter().enumerate() {
        let chance = &mut parameters.tables[CHANCE][PERSON_COMPARISONS + kind];
        for level in [identifier::SHARED, identifier::PERSONAL] {
            chance[level as usize] = collisions.rate(level) * CHANCE_SHARE;
        }
        *chance = normalized(*chance);
    }
    tie(&mut parameters, &constraints(evidence, Vec::new()));
    parameters
}

/// Shares of levels among random pairs; half a pair is added to each, since what was not drawn is not impossible.
fn chances(sampled: &Counts) -> Vec<[f64; LEVELS_MAX]> {
    let smoothed = sampled.iter().enumerate().map(|(comparison, counts)| {
        let mut counts = *counts;
        counts.iter_mut().take(labels(comparison).len()).for_each(|count| *count += 0.5);
        normalized(counts)
    });
    smoothed.collect()
}

/// Returns what is held while a block is fitted that agrees on some comparisons.
pub(super) fn constraints(evidence: &Evidence<'_>, silent: Vec<usize>) -> Constraints {
    let kinds = evidence.records.kinds();
    let mut ties = vec![None; PERSON_COMPARISONS + kinds.len()];
    ties[GIVEN] = Some(Tie { from: given::SAME, factor: FAMILY_NAME_FACTOR, besides: 0.0 });
    ties[BIRTH] = Some(Tie { from: birth::SAME, factor: 1.0, besides: TWINS });
    for (kind, named) in kinds.iter().enumerate() {
        // Cards and numbers of offices are of one person; mailboxes, phones and devices go round in a family.
        if named.form == Form::Code {
            ties[PERSON_COMPARISONS + kind] = Some(Tie::CHANCE);
        }
    }
    Constraints { silent, ties, households: evidence.households, households_max: None }
}

/// Fits every rule that has enough pairs.
fn fits(
    evidence: &Evidence<'_>,
    start: &Parameters,
    before: &Parameters,
    calibration: &Calibration,
    threads: usize,
) -> Vec<Option<Fit>> {
    let one = |rule: usize| {
        let patterns = &evidence.patterns[rule];
        let pairs: f64 = patterns.iter().map(|pattern| pattern.pairs).sum();
        let key = &evidence.rules[rule];
        let silent = key.parts.iter().map(|part| part.comparison()).collect();
        let households_max = calibration.households_max(key, start);
        let constraints = Constraints { households_max, ..constraints(evidence, silent) };
        (pairs >= PAIRS_MIN).then(|| {
            let fitted = fit(patterns, start, before, &constraints);
            // By one surname and one postal code alone, a family looks more alike than one person in two places.
            let differ = fitted.parameters.tables[SAME][GIVEN][given::DIFFERENT as usize];
            let found_families = fitted.is_fitted && differ > GIVEN_DIFFERENT_MAX;
            if found_families { held(patterns, start, &constraints) } else { fitted }
        })
    };
    dealt(threads, 0..evidence.rules.len(), one)
}

/// Averages what the rules say about each comparison.
fn averaged(
    evidence: &Evidence<'_>,
    before: &Parameters,
    held: &Parameters,
    fits: &[Option<Fit>],
) -> Parameters {
    let mut averaged = held.clone();
    for class in [SAME, HOUSEHOLD] {
        for comparison in 0..averaged.tables[class].len() {
            let by = |teaches: Teaches| -> Vec<[f64; LEVELS_MAX]> {
                let rules = evidence.rules.iter().zip(fits).filter(|(rule, _)| {
                    rule.teaches == teaches
                        && (class == SAME || (teaches == Teaches::All && rule.finds_households()))
                        && rule.parts.iter().all(|part| part.comparison() != comparison)
                });
                rules
                    .filter_map(|(_, fit)| fit.as_ref())
                    .filter(|fit| fit.is_fitted && fit.shares[class] * fit.pairs >= PAIRS_MIN)
                    .map(|fit| fit.parameters.tables[class][comparison])
                    .collect()
            };
            let mut taught = by(Teaches::All);
            if taught.is_empty() {
                taught = by(Teaches::Rest);
            }
            averaged.tables[class][comparison] = match taught.len() {
                0 if class == HOUSEHOLD && comparison == SURNAME => {
                    written_alike(before, &averaged)
                }
                0 => before.tables[class][comparison],
                count => {
                    let mut sum = [0.0; LEVELS_MAX];
                    for table in &taught {
                        sum.iter_mut()
                            .zip(table)
                            .for_each(|(sum, level)| *sum += level / count as f64);
                    }
                    sum
                }
            };
        }
    }
    averaged
}

/// Returns how two people of one household agree on the surname where nobody shows it: as is usual, but that nobody writes it
/// worse beside another one than beside oneself.
fn written_alike(before: &Parameters, learnt: &Parameters) -> [f64; LEVELS_MAX] {
    let mut table = before.tables[HOUSEHOLD][SURNAME];
    let same = &learnt.tables[SAME][SURNAME];
    let alike = 1.0 - table[surname::DIFFERENT as usize];
    for level in surname::DIFFERENT as usize + 1..surname::SAME as usize {
        let less = (table[level] - same[level] * alike).max(0.0);
        table[level] -= less;
        table[surname::SAME as usize] += less;
    }
    table
}

/// Takes people and households out of the sampled chances: a few of the random pairs were some.
fn correct(parameters: &mut Parameters, sampled: &Counts, calibration: &Calibration) {
    let sampled = chances(sampled);
    let [same, household, chance] = &mut parameters.tables;
    let (prior, prior_household) = (calibration.prior, calibration.prior_household);
    for (comparison, chance) in chance.iter_mut().enumerate() {
        let mut corrected = sampled[comparison];
        for (level, rate) in corrected.iter_mut().enumerate() {
            let known =
                prior * same[comparison][level] + prior_household * household[comparison][level];
            // Where nearly all agreement is of one person, the difference is noise: a hundredth of it stays.
            *rate = (*rate - known).max(*rate * CHANCE_SHARE);
        }
        *chance = normalized(corrected);
    }
}

/// Returns by how many bits full names agree by chance more often than their parts would, from how often they agree.
fn name_dependence(rate: f64, parameters: &Parameters, calibration: &Calibration) -> f64 {
    let agree = |class: usize| {
        let table = &parameters.tables[class];
        let given: f64 = table[GIVEN][given::SAME as usize..].iter().sum();
        given * table[SURNAME][surname::SAME as usize]
    };
    let people = calibration.prior * agree(SAME) + calibration.prior_household * agree(HOUSEHOLD);
    let dependence = ((rate - people) / agree(CHANCE)).max(1.0).log2();
    dependence.min(NAME_DEPENDENCE_MAX)
}

fn model(
    records: &Records,
    parameters: &Parameters,
    calibration: Calibration,
    name_dependence: f64,
    frequencies: Frequencies,
) -> Model {
    let names = PERSON_NAMES.into_iter().map(str::to_owned);
    let kinds = records.kinds().iter().map(|kind| kind.name.clone());
    let comparisons = names.chain(kinds).enumerate().map(|(comparison, name)| {
        let at = |class: usize, level: usize| parameters.tables[class][comparison][level];
        let levels = labels(comparison).iter().enumerate().map(|(level, label)| LevelModel {
            label,
            same: at(SAME, level),
            household: at(HOUSEHOLD, level),
            chance: at(CHANCE, level),
        });
        ComparisonModel { name, levels: levels.collect() }
    });
    let health: Health = calibration.health;
    Model {
        comparisons: comparisons.collect(),
        prior: calibration.prior,
        prior_household: calibration.prior_household,
        name_dependence,
        frequencies: Arc::new(frequencies),
        health,
    }
}
