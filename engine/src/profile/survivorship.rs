//! Which of several values becomes the golden one: pure, and the same whatever the order of the candidates.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};

use crate::catalog::SurvivorshipRule;

/// The values that one input offers for an attribute.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The source.
    pub source: Arc<str>,
    /// Its place among the inputs of the attribute: it decides between values that are otherwise equal.
    pub rank: u16,
    /// The values, by row.
    pub values: ArrayRef,
    /// The values as texts: what counts as equal, and the last resort of the order.
    pub texts: StringArray,
    /// The key of each row's record.
    pub keys: Arc<StringArray>,
}

/// One value of one record of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The person.
    pub anchor: u32,
    /// When it was so, in microseconds since 1970.
    pub at: i64,
    /// Which of the offers has it.
    pub offer: u32,
    /// Its row in the offer.
    pub row: u32,
}

/// The offers for one attribute, and which of their rows are values of a person.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// One for each input of the attribute.
    pub offers: Vec<Offer>,
    /// The values, in any order.
    pub rows: Vec<Candidate>,
}

impl Candidates {
    /// Returns the source and the key of the record that a candidate is from.
    pub fn record(&self, candidate: &Candidate) -> (&str, &str) {
        let offer = &self.offers[candidate.offer as usize];
        (&offer.source, offer.keys.value(candidate.row as usize))
    }

    /// Chooses one candidate for each person, sorted by anchor.
    pub fn choose(mut self, rule: &SurvivorshipRule) -> (Self, Vec<Candidate>) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by_key(|candidate| candidate.anchor);
        let places = self.places(rule);
        let chosen = rows
            .chunk_by(|a, b| a.anchor == b.anchor)
            .filter_map(|person| self.best_of(person, rule, &places))
            .collect();
        (self, chosen)
    }

    /// Each offer's place in the order that the rule gives its sources.
    fn places(&self, rule: &SurvivorshipRule) -> Vec<usize> {
        self.offers.iter().map(|offer| place_of(rule, &offer.source)).collect()
    }

    fn best_of(
        &self,
        person: &[Candidate],
        rule: &SurvivorshipRule,
        places: &[usize],
    ) -> Option<Candidate> {
        if let [only] = person {
            return Some(*only);
        }
        let mut votes: HashMap<&str, usize> = HashMap::new();
        if *rule == SurvivorshipRule::MostFrequent {
            person.iter().for_each(|row| *votes.entry(self.text(row)).or_default() += 1);
        }
        let standing = |row: &Candidate| {
            let offer = &self.offers[row.offer as usize];
            let (source, key) = self.record(row);
            let text = self.text(row);
            let said = Said { at: row.at, rank: offer.rank, source, key, text };
            let votes = votes.get(text).copied().unwrap_or(1);
            Standing::of(rule, places[row.offer as usize], votes, said)
        };
        person.iter().copied().min_by_key(standing)
    }

    fn text(&self, candidate: &Candidate) -> &str {
        self.offers[candidate.offer as usize].texts.value(candidate.row as usize)
    }
}

/// A value of a record, as rules look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    /// When it was so, in microseconds since 1970.
    pub(crate) at: i64,
    /// The place of its input among those of the attribute.
    pub(crate) rank: u16,
    /// The source.
    pub(crate) source: &'a str,
    /// The key of the record.
    pub(crate) key: &'a str,
    /// The value as text.
    pub(crate) text: &'a str,
}

/// How a value stands by a rule, the best first. The order is total, so that equal times do not leave it to chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing<'a> {
    /// The place of its source, or how many fewer records than possible say the same.
    first: usize,
    /// Its time, turned round where later is better.
    time: i64,
    rank: u16,
    source: &'a str,
    key: &'a str,
    text: &'a str,
}

impl<'a> Standing<'a> {
    /// Returns how a value stands that `votes` records say and whose source has this [place](place_of).
    pub(crate) fn of(rule: &SurvivorshipRule, place: usize, votes: usize, said: Said<'a>) -> Self {
        let Said { at, rank, source, key, text } = said;
        let (first, time) = match rule {
            SurvivorshipRule::Latest => (0, !at),
            SurvivorshipRule::First => (0, at),
            SurvivorshipRule::MostFrequent => (usize::MAX - votes, !at),
            SurvivorshipRule::SourcePriority(_) => (place, !at),
        };
        Self { first, time, rank, source, key, text }
    }
}

/// Returns the place of a source in the order that a rule gives its sources; those that it does not name come last.
pub(crate) fn place_of(rule: &SurvivorshipRule, source: &str) -> usize {
    let SurvivorshipRule::SourcePriority(sources) = rule else { return 0 };
    sources.iter().position(|named| named == source).unwrap_or(usize::MAX)
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

    /// A person, a time, a source and a value.
    type Row<'a> = (u32, i64, &'a str, &'a str);

    fn candidates(rows: &[Row<'_>]) -> Candidates {
        let mut candidates = Candidates::default();
        let mut sources: Vec<&str> = rows.iter().map(|row| row.2).collect();
        sources.sort_unstable();
        sources.dedup();
        for (offer, source) in sources.into_iter().enumerate() {
            // Keys tell rows apart whatever their place.
            let of: Vec<&Row<'_>> = rows.iter().filter(|row| row.2 == source).collect();
            let texts: StringArray = of.iter().map(|row| Some(row.3)).collect();
            let keys: StringArray = of
                .iter()
                .map(|(anchor, at, _, text)| Some(format!("{anchor} {at} {text}")))
                .collect();
            candidates.rows.extend(of.iter().enumerate().map(|(place, row)| Candidate {
                anchor: row.0,
                at: row.1,
                offer: offer as u32,
                row: place as u32,
            }));
            candidates.offers.push(Offer {
                source: source.into(),
                rank: offer as u16,
                values: Arc::new(texts.clone()),
                texts,
                keys: Arc::new(keys),
            });
        }
        candidates
    }

    fn choices(rows: &[Row<'_>], rule: &SurvivorshipRule) -> Vec<(u32, String, String)> {
        let (candidates, chosen) = candidates(rows).choose(rule);
        let choice = |row: &Candidate| {
            let (source, key) = candidates.record(row);
            (row.anchor, source.to_owned(), key.to_owned())
        };
        chosen.iter().map(choice).collect()
    }

    fn chosen(rule: &SurvivorshipRule) -> (String, String) {
        let values = [
            (1, 10, "crm", "Anna"),
            (1, 30, "shop", "Ania"),
            (1, 20, "crm", "Anna"),
            (1, 5, "loyalty", "A."),
        ];
        let (_, source, key) = choices(&values, rule).remove(0);
        (source, key)
    }

    #[test]
    fn each_rule_chooses_its_value() {
        let is = |rule: SurvivorshipRule, source: &str, key: &str| {
            assert_eq!(chosen(&rule), (source.to_owned(), key.to_owned()), "{rule:?}");
        };
        is(SurvivorshipRule::Latest, "shop", "1 30 Ania");
        is(SurvivorshipRule::First, "loyalty", "1 5 A.");
        is(SurvivorshipRule::MostFrequent, "crm", "1 20 Anna");
        let priority = |sources: &[&str]| {
            SurvivorshipRule::SourcePriority(
                sources.iter().map(|source| (*source).into()).collect(),
            )
        };
        is(priority(&["loyalty", "crm"]), "loyalty", "1 5 A.");
        is(priority(&["crm"]), "crm", "1 20 Anna");
    }

    proptest! {
        /// Neither the order of the candidates nor anybody else's change who is chosen.
        #[test]
        fn order_and_other_people_do_not_matter(
            rows in proptest::collection::vec((0u32..4, 0i64..3, 0usize..2, 0usize..3), 1..30), turn in 0usize..30
        ) {
            let values: Vec<Row<'_>> = rows.iter()
                .map(|(anchor, at, source, text)| (*anchor, *at, ["a", "b"][*source], ["x", "y", "z"][*text]))
                .collect();
            let mut turned = values.clone();
            turned.rotate_left(turn % values.len());
            for rule in [SurvivorshipRule::Latest, SurvivorshipRule::First, SurvivorshipRule::MostFrequent] {
                let all = choices(&values, &rule);
                prop_assert_eq!(&all, &choices(&turned, &rule));
                let alone: Vec<Row<'_>> = values.iter().filter(|value| value.0 == 2).copied().collect();
                let expected: Vec<_> = all.into_iter().filter(|choice| choice.0 == 2).collect();
                prop_assert_eq!(choices(&alone, &rule), expected);
            }
        }
    }
}
