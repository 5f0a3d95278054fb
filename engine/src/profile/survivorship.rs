//! Which of several values becomes the golden one: pure, and the same whatever the order of the candidates.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::catalog::SurvivorshipRule;

/// One value of one record of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The person.
    pub anchor: u32,
    /// When it was so, in microseconds since 1970.
    pub at: i64,
    /// The source.
    pub source: Arc<str>,
    /// The record's key.
    pub key: Box<str>,
    /// The value as text: what counts as equal, and the last resort of the order.
    pub text: Box<str>,
    /// The row of the value.
    pub row: u32,
}

/// The candidate that was chosen for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The person.
    pub anchor: u32,
    /// The place of the candidate.
    pub candidate: u32,
    /// The row of its value.
    pub row: u32,
}

/// Chooses one candidate for each person, sorted by anchor. `ranks` orders sources that are otherwise equal.
pub fn choose(
    candidates: &[Candidate],
    rule: &SurvivorshipRule,
    ranks: &BTreeMap<&str, u16>,
) -> Vec<Choice> {
    let mut order: Vec<u32> = (0..candidates.len() as u32).collect();
    order.sort_unstable_by_key(|place| candidates[*place as usize].anchor);
    let mut choices = Vec::new();
    for person in
        order.chunk_by(|a, b| candidates[*a as usize].anchor == candidates[*b as usize].anchor)
    {
        let best = best_of(candidates, person, rule, ranks);
        choices.extend(best.map(|place| {
            let candidate = &candidates[place as usize];
            Choice { anchor: candidate.anchor, candidate: place, row: candidate.row }
        }));
    }
    choices
}

fn best_of(
    candidates: &[Candidate],
    person: &[u32],
    rule: &SurvivorshipRule,
    ranks: &BTreeMap<&str, u16>,
) -> Option<u32> {
    let of = |place: &u32| &candidates[*place as usize];
    let rank = |candidate: &Candidate| ranks.get(&*candidate.source).copied().unwrap_or(u16::MAX);
    // The last parts of each order make it total, so that equal times do not leave it to chance.
    let tie =
        |candidate: &Candidate| (rank(candidate), candidate.key.clone(), candidate.text.clone());
    match rule {
        SurvivorshipRule::Latest => {
            person.iter().copied().min_by_key(|place| (Reverse(of(place).at), tie(of(place))))
        }
        SurvivorshipRule::First => {
            person.iter().copied().min_by_key(|place| (of(place).at, tie(of(place))))
        }
        SurvivorshipRule::SourcePriority(sources) => {
            let priority = |candidate: &Candidate| {
                sources
                    .iter()
                    .position(|source| **source == *candidate.source)
                    .unwrap_or(usize::MAX)
            };
            person
                .iter()
                .copied()
                .min_by_key(|place| (priority(of(place)), Reverse(of(place).at), tie(of(place))))
        }
        SurvivorshipRule::MostFrequent => {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            person.iter().for_each(|place| *counts.entry(&of(place).text).or_default() += 1);
            person.iter().copied().min_by_key(|place| {
                (Reverse(counts[&*of(place).text]), Reverse(of(place).at), tie(of(place)))
            })
        }
    }
}

/// Returns the word that `attribute_sources` shows for a rule.
pub fn rule_word(rule: &SurvivorshipRule) -> &'static str {
    match rule {
        SurvivorshipRule::Latest => "latest",
        SurvivorshipRule::First => "first",
        SurvivorshipRule::MostFrequent => "most_frequent",
        SurvivorshipRule::SourcePriority(_) => "source_priority",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(anchor: u32, at: i64, source: &str, text: &str, row: u32) -> Candidate {
        Candidate {
            anchor,
            at,
            source: source.into(),
            key: row.to_string().into(),
            text: text.into(),
            row,
        }
    }

    fn chosen(rule: SurvivorshipRule) -> u32 {
        let values = [
            candidate(1, 10, "crm", "Anna", 0),
            candidate(1, 30, "shop", "Ania", 1),
            candidate(1, 20, "crm", "Anna", 2),
            candidate(1, 5, "loyalty", "A.", 3),
        ];
        choose(&values, &rule, &BTreeMap::from([("crm", 0), ("shop", 1), ("loyalty", 2)]))[0].row
    }

    #[test]
    fn each_rule_chooses_its_value() {
        assert_eq!(chosen(SurvivorshipRule::Latest), 1);
        assert_eq!(chosen(SurvivorshipRule::First), 3);
        assert_eq!(chosen(SurvivorshipRule::MostFrequent), 2);
        assert_eq!(
            chosen(SurvivorshipRule::SourcePriority(vec!["loyalty".into(), "crm".into()])),
            3
        );
        assert_eq!(chosen(SurvivorshipRule::SourcePriority(vec!["crm".into()])), 2);
    }

    proptest! {
        /// Neither the order of the candidates nor anybody else's change who is chosen.
        #[test]
        fn order_and_other_people_do_not_matter(
            rows in proptest::collection::vec((0u32..4, 0i64..3, 0usize..2, 0usize..3), 1..30), turn in 0usize..30
        ) {
            let values: Vec<Candidate> = rows.iter().enumerate()
                .map(|(row, (anchor, at, source, text))| candidate(*anchor, *at, ["a", "b"][*source], ["x", "y", "z"][*text], row as u32))
                .collect();
            let mut turned = values.clone();
            turned.rotate_left(turn % values.len());
            for rule in [SurvivorshipRule::Latest, SurvivorshipRule::First, SurvivorshipRule::MostFrequent] {
                let ranks = BTreeMap::from([("a", 0), ("b", 1)]);
                let rows = |choices: Vec<Choice>| choices.into_iter().map(|choice| (choice.anchor, choice.row)).collect::<Vec<_>>();
                let all = rows(choose(&values, &rule, &ranks));
                prop_assert_eq!(&all, &rows(choose(&turned, &rule, &ranks)));
                let alone: Vec<Candidate> = values.iter().filter(|value| value.anchor == 2).cloned().collect();
                let alone = rows(choose(&alone, &rule, &ranks));
                prop_assert_eq!(alone, all.into_iter().filter(|(anchor, _)| *anchor == 2).collect::<Vec<_>>());
            }
        }
    }
}
