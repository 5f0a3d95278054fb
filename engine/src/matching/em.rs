//! Expectation and maximisation over counted patterns of agreement (Dempster, Laird and Rubin, 1977; Winkler, 1988).
//!
//! A pair belongs to one of three classes: the *same* person, another person of the same *household*, or nobody in
//! particular, who agrees by *chance*. Within a block, chances are held and the other two are fitted; the comparisons that
//! the block agrees on anyway say nothing. Thousands of patterns stand for millions of pairs. Of a pair that people decided the
//! class is known: its share is not fitted.

use super::labels::Told;
use super::levels::{LEVELS_MAX, Levels};

/// Probabilities of levels, by comparison.
pub(super) type Table = Vec<[f64; LEVELS_MAX]>;

/// The classes, as they index [`Parameters::tables`] and shares.
pub(super) const SAME: usize = 0;
pub(super) const HOUSEHOLD: usize = 1;
pub(super) const CHANCE: usize = 2;

/// Rounds at most, should shares not come to rest: Splink has 25 of them, and the same change at which they end.
const ROUNDS_MAX: usize = 50;
/// The change of a share at which rounds end. With half of it there are a few rounds more, which move no weight by more than some
/// hundredths of a bit.
const CHANGE_MIN: f64 = 1e-4;

/// Pairs that the values before training count for (a Dirichlet prior): enough that no level becomes impossible. Beside the fifty
/// pairs that teach a level at least, half a pair or two make no difference.
const PRIOR_PAIRS: f64 = 1.0;

/// Comparisons that have to speak within a block: by one alone, any share of people explains it.
const COMPARISONS_MIN: usize = 2;

/// Least probability of a level, so that its logarithm is finite: forty bits, far beyond what any weight says.
const PROBABILITY_MIN: f64 = 1e-12;

/// What is known of a pair that people decided to be of one person.
const OF_ONE_PERSON: [f64; 3] = [1.0, 0.0, 0.0];

/// Shares of the three classes before anything is known: most pairs of a block are of one person, and neither of the others is ruled
/// out. It is where expectation and maximisation begin; where they end is what the pairs say.
const SHARES: [f64; 3] = [0.6, 0.2, 0.2];

/// A pattern of agreement, and how many pairs show it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pattern {
    pub(super) levels: Levels,
    /// What people said of these pairs.
    pub(super) told: Told,
    pub(super) pairs: f64,
}

/// Patterns, each once, in a stable order.
pub(super) type Patterns = Vec<Pattern>;

/// Probabilities of levels in each class.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameters {
    pub(super) tables: [Table; 3],
}

/// What is held while a block is fitted.
#[derive(Debug, Clone)]
pub(super) struct Constraints {
    /// Comparisons that say nothing within the block.
    pub(super) silent: Vec<usize>,
    /// For each comparison how the household hangs on chance; `None` where the household is fitted freely.
    pub(super) ties: Vec<Option<Tie>>,
    /// Whether there are households at all.
    pub(super) households: bool,
    /// Pairs of two people of one household at most for each pair of one person within the block; `None` where that is open.
    pub(super) households_max: Option<f64>,
}

/// Two people of one household agree by chance, and a little more often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tie {
    /// From this level on,
    pub(super) from: u8,
    /// they agree this many times as often as by chance,
    pub(super) factor: f64,
    /// and this often besides.
    pub(super) besides: f64,
}

impl Tie {
    /// Agreement by chance and no more.
    pub(super) const CHANCE: Self = Self { from: 0, factor: 1.0, besides: 0.0 };
}

/// What a block taught.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    pub(super) parameters: Parameters,
    pub(super) shares: [f64; 3],
    /// How many pairs there were.
    pub(super) pairs: f64,
    /// Whether probabilities were fitted, or only shares.
    pub(super) is_fitted: bool,
}

/// Fits a block.
///
/// It starts at `start`. `before` is what is believed without data, and counts for some pairs.
pub(super) fn fit(
    patterns: &[Pattern],
    start: &Parameters,
    before: &Parameters,
    constraints: &Constraints,
) -> Fit {
    let silenced = silenced(patterns, &constraints.silent);
    let mut fit = Fit {
        parameters: start.clone(),
        shares: shares_before(constraints.households),
        pairs: silenced.iter().map(|pattern| pattern.pairs).sum(),
        is_fitted: true,
    };
    let speaks = |&comparison: &usize| {
        silenced.iter().any(|pattern| pattern.levels.get(comparison).is_some())
    };
    if (0..before.tables[SAME].len()).filter(speaks).count() < COMPARISONS_MIN {
        return held(patterns, start, constraints);
    }
    for _ in 0..ROUNDS_MAX {
        let logs = logarithms(&fit.parameters);
        let mut counts = before.tables.clone().map(|table| scaled(table, PRIOR_PAIRS));
        let mut sums = [0.0; 3];
        for pattern in &silenced {
            let posterior =
                posterior(pattern, &logs, &fit.shares).map(|share| share * pattern.pairs);
            for class in [SAME, HOUSEHOLD] {
                for (comparison, counts) in counts[class].iter_mut().enumerate() {
                    if let Some(level) = pattern.levels.get(comparison) {
                        counts[level as usize] += posterior[class];
                    }
                }
            }
            (0..3).for_each(|class| sums[class] += posterior[class]);
        }
        for class in [SAME, HOUSEHOLD] {
            for (comparison, counts) in counts[class].iter().enumerate() {
                if !constraints.silent.contains(&comparison) {
                    fit.parameters.tables[class][comparison] = normalized(*counts);
                }
            }
        }
        tie(&mut fit.parameters, constraints);
        let shares = sums.map(|sum| sum / fit.pairs.max(1.0));
        let shares = bounded(shares, constraints.households_max);
        let change =
            (0..3).map(|class| (shares[class] - fit.shares[class]).abs()).fold(0.0, f64::max);
        fit.shares = shares;
        if change < CHANGE_MIN {
            break;
        }
    }
    fit
}

/// Returns what a block tells of shares alone, the probabilities of levels held.
pub(super) fn held(patterns: &[Pattern], start: &Parameters, constraints: &Constraints) -> Fit {
    Fit {
        parameters: start.clone(),
        shares: shares(patterns, start, constraints),
        pairs: patterns.iter().map(|pattern| pattern.pairs).sum(),
        is_fitted: false,
    }
}

/// Returns the shares of the classes among pairs, the probabilities of levels held.
pub(super) fn shares(
    patterns: &[Pattern],
    parameters: &Parameters,
    constraints: &Constraints,
) -> [f64; 3] {
    let patterns = silenced(patterns, &constraints.silent);
    let logs = logarithms(parameters);
    let mut shares = shares_before(constraints.households);
    for _ in 0..ROUNDS_MAX {
        let mut sums = shares_before(constraints.households);
        for pattern in &patterns {
            let posterior = posterior(pattern, &logs, &shares);
            (0..3).for_each(|class| sums[class] += posterior[class] * pattern.pairs);
        }
        let sum: f64 = sums.iter().sum();
        let next = sums.map(|share| share / sum);
        let change = (0..3).map(|class| (next[class] - shares[class]).abs()).fold(0.0, f64::max);
        shares = next;
        if change < CHANGE_MIN {
            break;
        }
    }
    shares
}

/// Holds the household's probabilities where being of one household says nothing about a value.
pub(super) fn tie(parameters: &mut Parameters, constraints: &Constraints) {
    let [_, households, chances] = &mut parameters.tables;
    for (comparison, household) in households.iter_mut().enumerate() {
        let chance = chances[comparison];
        let tie = match constraints.ties[comparison] {
            Some(tie) => tie,
            None if constraints.households => continue,
            None => Tie::CHANCE,
        };
        let mut tied = chance;
        let from = usize::from(tie.from);
        tied[from..].iter_mut().for_each(|probability| *probability *= tie.factor);
        tied[from] += tie.besides;
        *household = normalized(tied);
    }
}

/// Drops what the block agrees on anyway, and adds up patterns that are then equal.
fn silenced(patterns: &[Pattern], silent: &[usize]) -> Patterns {
    let drop = |levels: Levels| {
        silent.iter().fold(levels, |levels, comparison| levels.without(*comparison))
    };
    let dropped = patterns.iter().map(|one| Pattern { levels: drop(one.levels), ..*one });
    added_up(dropped.collect())
}

/// Puts patterns in order, and adds up those that are equal.
pub(super) fn added_up(mut patterns: Patterns) -> Patterns {
    patterns.sort_unstable_by_key(|pattern| (pattern.levels, pattern.told));
    patterns.dedup_by(|next, kept| {
        let same = (next.levels, next.told) == (kept.levels, kept.told);
        if same {
            kept.pairs += next.pairs;
        }
        same
    });
    patterns
}

/// Takes from households what they have above their bound, and gives it to the two others in proportion.
fn bounded(shares: [f64; 3], households_max: Option<f64>) -> [f64; 3] {
    let most = households_max.map_or(1.0, |most| most * shares[SAME]);
    if shares[HOUSEHOLD] > most && shares[HOUSEHOLD] < 1.0 {
        let sum = shares[SAME] + most + shares[CHANCE];
        return [shares[SAME], most, shares[CHANCE]].map(|share| share / sum);
    }
    shares
}

fn shares_before(households: bool) -> [f64; 3] {
    if households { SHARES } else { [SHARES[SAME], 0.0, 1.0 - SHARES[SAME]] }
}

fn logarithms(parameters: &Parameters) -> [Table; 3] {
    parameters.tables.clone().map(|mut table| {
        for probability in table.iter_mut().flatten() {
            *probability = probability.max(PROBABILITY_MIN).ln();
        }
        table
    })
}

/// Returns the probability of each class for pairs of a pattern; of pairs that people decided, what is left open.
fn posterior(pattern: &Pattern, logs: &[Table; 3], shares: &[f64; 3]) -> [f64; 3] {
    if pattern.told == Told::Same {
        return OF_ONE_PERSON;
    }
    let mut sums = shares.map(|share| share.max(f64::MIN_POSITIVE).ln());
    for comparison in 0..logs[SAME].len() {
        if let Some(level) = pattern.levels.get(comparison) {
            for (sum, table) in sums.iter_mut().zip(logs) {
                *sum += table[comparison][level as usize];
            }
        }
    }
    if pattern.told == Told::Different {
        sums[SAME] = f64::NEG_INFINITY;
    }
    let largest = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let odds = sums.map(|sum| (sum - largest).exp());
    let sum: f64 = odds.iter().sum();
    odds.map(|odds| odds / sum)
}

fn scaled(mut table: Table, factor: f64) -> Table {
    table.iter_mut().flatten().for_each(|probability| *probability *= factor);
    table
}

pub(super) fn normalized(counts: [f64; LEVELS_MAX]) -> [f64; LEVELS_MAX] {
    let sum: f64 = counts.iter().sum();
    if sum > 0.0 { counts.map(|count| count / sum) } else { counts }
}
