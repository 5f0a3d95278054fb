//! What two records say of each other by themselves, whatever others say.

use super::edges::Refusal;
use super::resolver::Resolver;

/// What speaks for and against one person in what two records say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Why they cannot be of one person, if so: see [`Refusal::word`].
    pub contradiction: Option<&'static str>,
    /// The MATCH rules on which they agree, each with what they agree on.
    pub matches: Vec<(String, String)>,
}

impl Resolver {
    /// Finds out which versions speak of the records that were added, without making profiles of them.
    pub fn settle(&mut self) {
        self.graph.settle_versions(0);
    }

    /// Tells whether a subject is a version of its record that was about somebody else.
    pub fn is_corrected(&self, subject: u32) -> bool {
        self.graph.is_corrected(subject)
    }

    /// Compares two records that are [settled](Self::settle), each named by all of its versions: what the one says of who its
    /// person is contradicts the other or not, and any two versions may agree that are about the person.
    pub fn compared(&self, left: &[u32], right: &[u32]) -> Compared {
        let graph = &self.graph;
        let said = |record: &[u32]| record.first().map(|&version| graph.said(version));
        let contradiction = said(left)
            .zip(said(right))
            .and_then(|(left, right)| graph.people.contradiction(left, right));
        let is_spoken = |version: &&u32| !graph.is_corrected(**version);
        let mut matches: Vec<(String, String)> = Vec::new();
        for &one in left.iter().filter(is_spoken) {
            for value in graph.values.of(one) {
                let rule = graph.values.rule(value);
                if graph.rules.is_kind(rule) || rule == graph.rules.record_rule() {
                    continue;
                }
                let holds = |other: u32| graph.values.of(other).any(|held| held == value);
                if let Some(&other) = right.iter().filter(is_spoken).find(|&&other| holds(other)) {
                    let name = graph.rules.rule_name(rule).to_owned();
                    matches.push((name, self.evidence(rule, value, one, other)));
                }
            }
        }
        matches.sort_unstable();
        matches.dedup();
        let contradiction = contradiction.map(|found| Refusal::from(found).word());
        Compared { contradiction, matches }
    }
}

#[cfg(test)]
mod tests {
    use crate::identity::tests::{EMAIL, Row, resolver};

    #[test]
    fn two_records_agree_on_rules_and_contradict_each_other() {
        let mut resolver = resolver();
        let lars = |key: &str, name: &str| Row::record(key, name).lives("5 Elm St", "92660");
        let rows = [
            lars("a", "David Lars Sr").with(EMAIL, "d@x.example"),
            lars("b", "David Lars"),
            lars("b", "David Lars Jr").with(EMAIL, "d@x.example"),
            Row::record("c", "Ewa Kot"),
            lars("d", "David Lars"),
            Row::record("d", "Anna Lars").at(1),
        ];
        for row in &rows {
            row.add_to(&mut resolver);
        }
        resolver.settle();
        let compared = resolver.compared(&[0], &[1, 2]);
        assert_eq!(compared.contradiction, Some("suffix"));
        let rules: Vec<&str> = compared.matches.iter().map(|(rule, _)| rule.as_str()).collect();
        assert_eq!(rules, ["name_address"]);
        let silent = resolver.compared(&[0], &[1]);
        assert_eq!(silent.contradiction, Some("suffix"), "what the record says, not a version");
        let corrected = resolver.compared(&[0], &[4, 5]);
        assert_eq!((corrected.contradiction, corrected.matches.len()), (Some("given_name"), 0));
        let strangers = resolver.compared(&[0], &[3]);
        assert_eq!((strangers.contradiction, strangers.matches.len()), (Some("given_name"), 0));
        assert_eq!(resolver.compared(&[], &[3]), super::Compared::default());
    }
}
