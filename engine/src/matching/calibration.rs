//! The prior, and what identifiers are worth, from the identifiers' own blocks.
//!
//! Records that carry one value agree on it by a rate `c` that is counted. Names and birthdays tell which share `π` of them
//! is one person. If `m` is the share of one person's records that agree, then `λ = c·π / m` is the probability that any
//! two records are of one person, without a guess about recall. Each identifier gives a `λ` of its own, and the median
//! stands. The Bayes factor of an identifier is then `odds(π) / odds(λ)`: two records that have nothing else to compare
//! are one person with probability `π`.
//!
//! Without identifiers, blocks of names and birthdays do the same.

use super::em::{CHANCE, Constraints, Fit, HOUSEHOLD, Parameters, Patterns, SAME, shares};
use super::levels::{
    ADDRESS, BIRTH, GIVEN, LEVELS_MAX, PERSON_COMPARISONS, SURNAME, address, birth, given,
    identifier, surname,
};
use super::model::{Health, IdentifierHealth};
use super::rules::{Part, Rule};
use super::training::{Evidence, constraints};

/// With fewer pairs of one household than this, beside pairs of one person, a table has no families, and the class is left
/// out: one in a hundred is what wrong names alone may look like. It matters for tables that have between half and twice as many; the
/// class decides little where it is so rare.
const HOUSEHOLDS_MIN: f64 = 0.01;

/// The same where records of one person often differ in given name and birthday: those that differ in both look like two people
/// of one household. Errors come together, so that there are more of them than chance makes. With one, registers with many errors
/// show families that there are none of; with four, a town whose customers mistype loses its families.
const ERRORS_TOGETHER: f64 = 2.0;

/// Pairs of one household for each of one person at most. More are not believed: people with one record each, in families of six,
/// would show fifteen. Half and twice as much are one bit of the prior of a household, where anything comes near.
const HOUSEHOLDS_MAX: f64 = 16.0;

/// How often, beside two records of one person, two people of a household have one address at least, or else they are none. Who
/// shares a home has its address in common nearly as often as somebody with himself; what shares a value and hardly ever an address
/// are colleagues on one telephone, or strangers with one mistyped mailbox. A tenth lies between nearly always and nearly never, and
/// is measured on no data: it matters for tables between one in twenty and one in five, of which the first would have families of
/// colleagues by half of it, and the last would lose those of people who have just moved by twice as much.
const HOMES_MIN: f64 = 0.1;

/// Probabilities of an identifier's levels at most: some records of one person carry another value. Without a bound, another mailbox
/// would prove another person where the table shows none; one in fifty takes off five and a half bits at most. Half and twice as
/// many such records are a bit more and a bit less.
const SAME_MAX: f64 = 0.98;
/// The same of two people of one household, of whom one in ten has a value of their own: three bits.
const HOUSEHOLD_MAX: f64 = 0.9;

/// The prior where nothing at all can be learnt: one pair in a million, as among a million records of half a million people. Half
/// and twice as much are one bit of every weight.
const PRIOR_UNKNOWN: f64 = 1e-6;

/// Least probability of a calibrated level, thirty bits: what nobody shares by chance is not impossible.
const LEVEL_MIN: f64 = 1e-9;

/// The levels that are calibrated.
const CALIBRATED: [u8; 2] = [identifier::SHARED, identifier::PERSONAL];

/// What calibration found.
#[derive(Debug, Clone, Default)]
pub(super) struct Calibration {
    pub(super) prior: f64,
    pub(super) prior_household: f64,
    pub(super) health: Health,
    /// For each kind and calibrated level how often records agree, and the shares of the classes among them.
    identifiers: Vec<[(f64, [f64; 3]); 2]>,
}

/// Calibrates identifiers and finds the priors.
pub(super) fn calibrate(
    evidence: &Evidence<'_>,
    parameters: &Parameters,
    fits: &[Option<Fit>],
) -> Calibration {
    let kinds = evidence.records.kinds();
    let identifiers: Vec<[(f64, [f64; 3]); 2]> = (0..kinds.len())
        .map(|kind| CALIBRATED.map(|level| identifier_shares(evidence, parameters, kind, level)))
        .collect();
    let mut health = Health::default();
    let (mut priors, mut households) = (Vec::new(), Vec::new());
    for (kind, levels) in identifiers.iter().enumerate() {
        let rate =
            |class: usize| levels.iter().map(|(rate, shares)| rate * shares[class]).sum::<f64>();
        let likely = |class: usize| {
            let table = &parameters.tables[class][PERSON_COMPARISONS + kind];
            CALIBRATED.iter().map(|&level| table[level as usize]).sum::<f64>()
        };
        let prior = rate(SAME) / likely(SAME);
        let is_fitted = rule_of(evidence, kind).is_some_and(|rule| fits[rule].is_some());
        if rate(SAME) > 0.0 && is_fitted {
            priors.push(prior);
            health.identifiers.push(IdentifierHealth {
                name: kinds[kind].name.clone(),
                shared: levels[0].1[SAME],
                personal: levels[1].1[SAME],
                prior,
            });
            let tied = constraints(evidence, Vec::new()).ties[PERSON_COMPARISONS + kind].is_some();
            if !tied && rate(HOUSEHOLD) > 0.0 {
                households.push(rate(HOUSEHOLD) / likely(HOUSEHOLD));
            }
        }
    }
    if priors.is_empty() {
        health.rules = rule_priors(evidence, parameters, fits);
        priors = health.rules.iter().map(|(_, prior)| *prior).collect();
    }
    health.prior_spread = spread(&priors);
    let prior = median(priors).unwrap_or(PRIOR_UNKNOWN);
    households.extend(house_prior(evidence, parameters, fits));
    let prior_household = median(households).unwrap_or_default().min(prior * HOUSEHOLDS_MAX);
    let at_home = |class: usize| parameters.tables[class][ADDRESS][address::SAME as usize];
    let same = &parameters.tables[SAME];
    let wrong = same[GIVEN][given::DIFFERENT as usize] * same[BIRTH][birth::DIFFERENT as usize];
    // They are at home more often than a family is, which is reckoned from those who are.
    let more_at_home = home_rule(evidence).map_or(1.0, |(_, from)| {
        let of = |class: usize| agreement_at_home(&parameters.tables[class], from);
        (of(SAME) / of(HOUSEHOLD)).max(1.0)
    });
    let wrong = wrong * more_at_home;
    let households = evidence.households
        && prior_household > prior * HOUSEHOLDS_MIN.max(wrong * ERRORS_TOGETHER)
        && at_home(HOUSEHOLD) >= at_home(SAME) * HOMES_MIN;
    Calibration {
        prior,
        prior_household: if households { prior_household } else { 0.0 },
        health,
        identifiers,
    }
}

/// Returns how often records agree on an identifier at a level, and the shares of the classes among pairs that do.
fn identifier_shares(
    evidence: &Evidence<'_>,
    parameters: &Parameters,
    kind: usize,
    level: u8,
) -> (f64, [f64; 3]) {
    let comparison = PERSON_COMPARISONS + kind;
    let Some(rule) = rule_of(evidence, kind) else { return (0.0, [0.0; 3]) };
    // Only a name or a birthday can tell one person from another of the household.
    let tells = evidence.patterns[rule].iter().filter(|pattern| {
        let levels = pattern.levels;
        levels.get(comparison) == Some(level)
            && (levels.get(GIVEN).is_some() || levels.get(BIRTH).is_some())
    });
    let tells: Patterns = tells.copied().collect();
    let shares = shares(&tells, parameters, &constraints(evidence, vec![comparison]));
    (evidence.collisions[kind].rate(level), shares)
}

/// Returns the rule whose key is an identifier of a kind.
fn rule_of(evidence: &Evidence<'_>, kind: usize) -> Option<usize> {
    evidence.rules.iter().position(|rule| rule.parts[..] == [Part::Identifier(kind)])
}

/// Returns the prior of households that records of one surname at one address lead to, or with one postal code where no record
/// has a street.
fn house_prior(
    evidence: &Evidence<'_>,
    parameters: &Parameters,
    fits: &[Option<Fit>],
) -> Option<f64> {
    let (rule, from) = home_rule(evidence)?;
    let fit = fits[rule].as_ref()?;
    let agreement = agreement_at_home(&parameters.tables[HOUSEHOLD], from);
    Some(fit.pairs * fit.shares[HOUSEHOLD] / agreement / evidence.comparable[rule])
}

/// Returns the rule whose key is a surname and a home, and the least level at which addresses are one home.
fn home_rule(evidence: &Evidence<'_>) -> Option<(usize, u8)> {
    let homes = [(Part::House, address::SAME), (Part::PostalCode, address::POSTAL_CODE)];
    homes.into_iter().find_map(|(home, from)| {
        let is_of = |rule: &Rule| rule.parts[..] == [Part::Surname, home];
        Some((evidence.rules.iter().position(is_of)?, from))
    })
}

/// Returns how often pairs of a class agree on surname and home.
fn agreement_at_home(table: &[[f64; LEVELS_MAX]], from: u8) -> f64 {
    let at_home: f64 = table[ADDRESS][usize::from(from)..].iter().sum();
    table[SURNAME][surname::SAME as usize] * at_home
}

/// Returns the priors that blocks of names and birthdays lead to.
///
/// Pairs are counted against those that a rule can compare: many a record leaves a field empty. Records that a block does not
/// hold are reckoned from how often fields agree. Where errors exclude each other, as when a file was made with one error for
/// each record, that reckons far too many: what all blocks hold together bounds it.
fn rule_priors(
    evidence: &Evidence<'_>,
    parameters: &Parameters,
    fits: &[Option<Fit>],
) -> Vec<(String, f64)> {
    let found = |(fit, comparable): (&Option<Fit>, &f64)| {
        fit.as_ref().map(|fit| fit.pairs * fit.shares[SAME] / comparable)
    };
    let found: Vec<Option<f64>> = fits.iter().zip(&evidence.comparable).map(found).collect();
    let bound: f64 = found.iter().flatten().sum();
    let mut priors = Vec::new();
    for (rule, found) in evidence.rules.iter().zip(found) {
        let Some(found) = found else { continue };
        let agreement = |part: &Part| agreement(*part, &parameters.tables[SAME]);
        if let Some(agreement) = rule.parts.iter().map(agreement).product::<Option<f64>>() {
            priors.push((rule.name.clone(), (found / agreement).min(bound)));
        }
    }
    priors
}

/// Returns how often pairs of a class agree on a name or a birthday; `None` of other parts of a key.
fn agreement(part: Part, table: &[[f64; LEVELS_MAX]]) -> Option<f64> {
    let (comparison, from) = match part {
        Part::Given => (GIVEN, given::SAME),
        Part::Surname => (SURNAME, surname::SAME),
        Part::Birth => (BIRTH, birth::SAME),
        _ => return None,
    };
    Some(table[comparison][from as usize..].iter().sum())
}

impl Calibration {
    /// Returns how many pairs of two people of one household a rule with a birthday in its key finds at most for each pair of
    /// one person. Only twins share a birthday and a home, and they are few; without a bound, whoever is called by another
    /// name in such a block would be taken for a twin. `None` of other rules, and as long as priors are unknown.
    pub(super) fn households_max(&self, rule: &Rule, parameters: &Parameters) -> Option<f64> {
        let is_known = self.prior > 0.0 && self.prior_household < self.prior * HOUSEHOLDS_MAX;
        if !is_known || !rule.parts.contains(&Part::Birth) {
            return None;
        }
        // Of what else is in the key they have as much in common as one person.
        let agree = |part: &Part| {
            let of = |class: usize| agreement(*part, &parameters.tables[class]);
            of(HOUSEHOLD).zip(of(SAME)).map_or(1.0, |(household, same)| household / same)
        };
        Some(self.prior_household / self.prior * rule.parts.iter().map(agree).product::<f64>())
    }

    /// Puts what identifiers are worth into the probabilities of people and of chance.
    pub(super) fn apply(&self, parameters: &mut Parameters) {
        let chance = 1.0 - self.prior - self.prior_household;
        for kind in 0..self.identifiers.len() {
            let of = |class, prior, most| self.levels(kind, class, prior, most);
            let same = of(SAME, self.prior, SAME_MAX);
            let other = of(CHANCE, chance, 1.0);
            set(&mut parameters.tables[SAME][PERSON_COMPARISONS + kind], same);
            set(&mut parameters.tables[CHANCE][PERSON_COMPARISONS + kind], other);
        }
    }

    /// The same for households, but for identifiers that are held to chance.
    pub(super) fn apply_households(&self, parameters: &mut Parameters, constraints: &Constraints) {
        if self.prior_household > 0.0 {
            let is_free = |kind: &usize| constraints.ties[PERSON_COMPARISONS + kind].is_none();
            for kind in (0..self.identifiers.len()).filter(is_free) {
                let household = self.levels(kind, HOUSEHOLD, self.prior_household, HOUSEHOLD_MAX);
                set(&mut parameters.tables[HOUSEHOLD][PERSON_COMPARISONS + kind], household);
            }
        }
    }

    fn levels(&self, kind: usize, class: usize, prior: f64, most: f64) -> [f64; 2] {
        self.identifiers[kind]
            .map(|(rate, shares)| (rate * shares[class] / prior).clamp(LEVEL_MIN, most))
    }
}

/// Sets the calibrated levels of an identifier; the others keep their proportions.
fn set(table: &mut [f64; LEVELS_MAX], calibrated: [f64; 2]) {
    let sum: f64 = calibrated.iter().sum();
    let calibrated =
        if sum > SAME_MAX { calibrated.map(|level| level * SAME_MAX / sum) } else { calibrated };
    let rest = (1.0 - calibrated.iter().sum::<f64>())
        / table[..identifier::SHARED as usize].iter().sum::<f64>();
    table[..identifier::SHARED as usize].iter_mut().for_each(|level| *level *= rest);
    for (level, probability) in CALIBRATED.iter().zip(calibrated) {
        table[*level as usize] = probability;
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some(values[middle - 1].midpoint(values[middle])),
    }
}

fn spread(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(0.0, f64::max);
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    if smallest > 0.0 && smallest.is_finite() { largest / smallest } else { 1.0 }
}
