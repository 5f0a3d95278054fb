//! Figures: what became of the pairs of each rule adds up to what a resolver holds.

use proptest::prelude::*;

use super::fuzzy::{model, person, resolve_with, trained};
use super::properties::{distinct, rows};
use super::*;

/// Cases of the law.
const CASES: u32 = 1_000;

/// The rules that did anything: candidates, scored, accepted, refused, cut.
fn rules(figures: &Figures) -> Vec<(&str, [u64; 5])> {
    let of =
        |rule: &RuleFigures| [rule.candidates, rule.scored, rule.accepted, rule.refused, rule.cut];
    let rules = figures.rules.iter().map(|rule| (rule.rule.as_str(), of(rule)));
    rules.filter(|(_, counts)| *counts != [0; 5]).collect()
}

#[test]
fn pairs_are_counted_by_rule_and_components_by_size() {
    let rows = [
        Row::record("a", "Jan Kostorek").with(EMAIL, "k@x.example").with(DEVICE, "d"),
        Row::record("b", "Jan Kostorek").with(EMAIL, "k@x.example"),
        Row::record("c", "Anna Malwilak").with(EMAIL, "k@x.example"),
        Row::record("d", "Piotr Zarlipek").with(EMAIL, "z@x.example"),
        Row::event().with(DEVICE, "d"),
    ];
    let mut resolver = check(&rows, &[&[0, 1, 4], &[2], &[3]]);
    let figures = resolver.take_figures();
    // Of the two records that say the same one stands for both.
    assert_eq!(rules(&figures), [("email", [2, 0, 1, 1, 0])]);
    assert_eq!((figures.components, figures.largest_component), (2, 4));
    assert_eq!((figures.subjects, figures.profiles), (5, 3));
    assert_eq!((figures.led, figures.not_led), (1, 0));

    // Taken is taken: what comes next is counted from nothing.
    Row::record("e", "Piotr Zarlipek").with(EMAIL, "z@x.example").add_to(&mut resolver);
    resolver.resolve();
    let figures = resolver.take_figures();
    assert_eq!(rules(&figures), [("email", [1, 0, 1, 0, 0])]);
    assert_eq!((figures.components, figures.subjects, figures.profiles), (1, 2, 3));
    resolver.resolve();
    assert!(rules(&resolver.take_figures()).is_empty());
}

#[test]
fn weighed_pairs_are_counted_when_they_are_found_and_when_they_are_joined() {
    let rows = [
        person("a", "Kuba", "Wójcik").born("1980-05-06").lives("ul. Polna 3", "00-001"),
        person("b", "Jakub", "Wojcik").born("1980-06-05").lives("Polna 3/4", "00-001"),
        person("c", "Piotr", "Zarlipek").born("1961-01-09").lives("Lipowa 8", "33-100"),
    ];
    let mut resolver = resolve_with(trained(), &rows);
    let figures = resolver.take_figures();
    assert_eq!(rules(&figures), [("same_person", [1, 2, 1, 0, 0])]);
    assert_eq!((figures.weighed, figures.components, figures.largest_component), (1, 2, 2));
    // A model weighs all again.
    resolver.set_model(model().clone());
    resolver.resolve();
    assert_eq!(rules(&resolver.take_figures()), [("same_person", [1, 2, 1, 0, 0])]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn figures_add_up_to_what_there_is(rows in rows()) {
        let rows = distinct(rows);
        let mut resolver = resolve_with(trained(), &rows);
        let (figures, counts) = (resolver.take_figures(), resolver.counts());
        let pairs: u32 = resolver.violations().map(|found| match found.reason {
            Refusal::More(count) => count,
            reason => u32::from(reason.figure().is_none()),
        }).sum();
        let refused = figures.sum(|rule| rule.refused + rule.cut);
        prop_assert_eq!(figures.sum(|rule| rule.accepted) + figures.led, counts.edges as u64);
        prop_assert_eq!(refused + figures.not_led, u64::from(pairs));
        prop_assert_eq!(figures.subjects, rows.len() as u64);
        prop_assert_eq!(figures.profiles, counts.profiles as u64);
        prop_assert!(figures.largest_component <= figures.subjects);
        // Nothing is accepted or refused that was not looked at.
        for rule in &figures.rules {
            let became = rule.accepted + rule.refused + rule.cut;
            prop_assert!(became <= rule.candidates.max(rule.scored), "{:?}", rule);
            prop_assert!(rule.rule == "same_person" || rule.scored + rule.cut == 0, "{:?}", rule);
        }
    }
}
