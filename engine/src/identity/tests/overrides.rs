//! What people decide about records: joined, kept apart, taken back, contradicted; and the laws that hold for any of it.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::properties::{CASES, distinct, rows};
use super::*;

fn decided(number: u32, decided: Decided, (left, right): (&str, &str)) -> Override {
    let record = |name: &str| {
        let (source, key) = name.split_once('/').unwrap_or(("0", name));
        RecordName { source: format!("source {source}"), key: key.to_owned() }
    };
    let origin = Origin::Decision(number);
    Override { origin, decided, left: record(left), right: record(right) }
}

pub(super) fn must(number: u32, records: (&str, &str)) -> Override {
    decided(number, Decided::MustLink, records)
}

pub(super) fn cannot(number: u32, records: (&str, &str)) -> Override {
    decided(number, Decided::CannotLink, records)
}

#[track_caller]
fn check_with(rows: &[Row], overrides: &[Override], expected: &[&[u32]]) -> Resolver {
    let mut resolver = resolver();
    for row in rows {
        row.add_to(&mut resolver);
    }
    resolver.set_overrides(overrides).unwrap();
    resolver.resolve();
    assert_eq!(profiles(&resolver), expected, "{:#?}", told(&resolver).1);
    resolver
}

/// Everything a resolver says of edges and refusals, in words: numbers of values hang on when they came.
pub(super) type Told = (BTreeSet<String>, BTreeSet<String>);

pub(super) fn told(resolver: &Resolver) -> Told {
    let edges = resolver.all_edges().map(|edge| format!("{:?}", resolver.explain(edge)));
    let refused = resolver.violations();
    let refused = refused.map(|found| format!("{:?}", resolver.explain_violation(found)));
    (edges.collect(), refused.collect())
}

/// What refuses edges, with the rule that proposed each.
fn refused(resolver: &Resolver) -> BTreeSet<(String, &'static str)> {
    let refused = resolver.violations().map(|found| resolver.explain_violation(found));
    refused.map(|found| (found.rule, found.reason)).collect()
}

#[test]
fn rows_that_are_followed_count_beside_decisions() {
    let followed = |pair: Override| Override { origin: Origin::Followed("desk".into()), ..pair };
    let named = [("1", "Anna Nowak"), ("2", "Piotr Lis"), ("3", "Ewa Kos")];
    let rows = named.map(|(key, name)| Row::record(key, name));
    let both = [must(7, ("1", "2")), followed(must(0, ("1", "2")))];
    let resolver = check_with(&rows, &both, &[&[0, 1], &[2]]);
    let edges = resolver.all_edges().map(|edge| resolver.explain(edge));
    let edges: BTreeSet<(String, bool)> = edges.map(|edge| (edge.value, edge.joined)).collect();
    assert_eq!(edges, [("7".into(), true), ("desk".into(), false)].into());
    check_with(&rows, &both[1..], &[&[0, 1], &[2]]);
    // What contradicts what does not hang on who says so.
    for pair in [
        [must(7, ("1", "2")), followed(cannot(0, ("2", "1")))],
        [followed(must(0, ("1", "2"))), cannot(7, ("2", "1"))],
    ] {
        let resolver = check_with(&rows, &pair, &[&[0], &[1], &[2]]);
        assert_eq!(refused(&resolver), [(OVERRIDE_NAME.into(), "contradicted")].into());
    }
}

#[test]
fn a_must_link_joins_whole_profiles_past_vetoes_and_limits() {
    let mail = |key: &str, name: &str, mail: &str| Row::record(key, name).with(EMAIL, mail);
    let rows = [
        mail("1", "Anna Nowak", "a@x.example"),
        mail("2", "Anna Nowak", "a@x.example").with(EMAIL, "b@x.example"),
        mail("3", "Piotr Lis", "c@x.example"),
        mail("4", "Piotr Lis", "c@x.example").with(EMAIL, "d@x.example"),
    ];
    check_with(&rows, &[], &[&[0, 1], &[2, 3]]);
    // Four mailboxes are beyond the LIMIT, and the names are two people's.
    let resolver = check_with(&rows, &[must(7, ("1", "3"))], &[&[0, 1, 2, 3]]);
    let edge = resolver.all_edges().map(|edge| resolver.explain(edge));
    let edge = edge.filter(|edge| edge.rule == OVERRIDE_NAME).collect::<Vec<_>>();
    assert_eq!(edge.len(), 1);
    assert_eq!((edge[0].value.as_str(), edge[0].joined), ("7", true));
    // Who joins one of the two later need not agree with the other.
    let more = mail("5", "Anna Nowak", "a@x.example");
    let all: Vec<Row> = rows.iter().cloned().chain([more]).collect();
    check_with(&all, &[must(7, ("1", "3"))], &[&[0, 1, 2, 3, 4]]);
}

#[test]
fn a_cannot_link_wins_over_every_edge_and_says_so() {
    let rows = [
        Row::record("1", "Anna Nowak").with(CUSTOMER, "77").with(EMAIL, "a@x.example"),
        Row::record("2", "Anna Nowak").with(CUSTOMER, "77").with(EMAIL, "a@x.example"),
        Row::record("3", "Anna Nowak").with(EMAIL, "a@x.example").born("1980-05-06"),
    ];
    check_with(&rows, &[], &[&[0, 1, 2]]);
    let apart = [cannot(1, ("1", "2"))];
    let resolver = resolve_with(&rows, &apart);
    let [one, other, third] = [0, 1, 2].map(|subject| resolver.anchor_of(subject));
    assert!(one != other && [one, other].contains(&third), "{one:?} {other:?} {third:?}");
    let reasons = refused(&resolver);
    assert!(reasons.contains(&("customer_id".into(), "override")), "{reasons:?}");
    assert!(reasons.contains(&("email".into(), "override")), "{reasons:?}");
    // The mailbox is known to be two people's.
    assert_eq!(resolver.value_class(EMAIL, "a@x.example"), Some(ValueClass::Shared));
    assert_eq!(resolver.profiles_by_value(EMAIL, "a@x.example"), [0, 1]);
    // No third record leads from one to the other, and the others need none of those who are split off.
    let split = [cannot(1, ("1", "2")), cannot(1, ("1", "3"))];
    check_with(&rows, &split, &[&[0], &[1, 2]]);
}

#[test]
fn versions_of_one_record_stay_together_and_are_joined_or_kept_apart_together() {
    let rows = [
        Row::record("1", "Anna Nowak").with(EMAIL, "a@x.example"),
        Row::record("1", "Anna Lis").with(EMAIL, "other@x.example"),
        Row::record("2", "Anna Nowak").with(EMAIL, "a@x.example"),
        Row::record("2", "Anna Lis").with(EMAIL, "other@x.example"),
    ];
    check_with(&rows, &[], &[&[0, 1, 2, 3]]);
    check_with(&rows, &[cannot(1, ("1", "2"))], &[&[0, 1], &[2, 3]]);
    check_with(&rows, &[cannot(1, ("1", "1"))], &[&[0, 1, 2, 3]]);
}

#[test]
fn a_must_link_waits_for_its_record() {
    let row = |key: &str, mail: &str| Row::record(key, "Anna Nowak").with(EMAIL, mail);
    let mut resolver = resolver();
    resolver.set_overrides(&[must(1, ("1", "9")), cannot(2, ("1", "2"))]).unwrap();
    for row in [row("1", "a@x.example"), row("2", "a@x.example")] {
        row.add_to(&mut resolver);
    }
    resolver.resolve();
    assert_eq!(profiles(&resolver), [[0], [1]]);
    row("9", "z@x.example").add_to(&mut resolver);
    let delta = resolver.resolve();
    assert_eq!(profiles(&resolver), [vec![0, 2], vec![1]]);
    assert_eq!(delta.changed, [Change { subject: 2, before: None, after: Some(0) }]);
}

#[test]
fn an_absorbed_part_has_its_anchor_back_when_it_is_split_or_the_merge_is_taken_back() {
    let rows = [
        Row::record("1", "Anna Nowak").with(EMAIL, "a@x.example"),
        Row::record("2", "Anna Nowak").with(EMAIL, "b@x.example"),
        Row::event().with(EMAIL, "b@x.example"),
    ];
    let mut resolver = check_with(&rows, &[], &[&[0], &[1, 2]]);
    resolver.set_overrides(&[must(1, ("1", "2"))]).unwrap();
    let delta = resolver.resolve();
    assert_eq!(profiles(&resolver), [[0, 1, 2]]);
    assert_eq!(delta.touched, [0, 1]);
    resolver.set_overrides(&[]).unwrap();
    let delta = resolver.resolve();
    assert_eq!(profiles(&resolver), [vec![0], vec![1, 2]]);
    assert_eq!(delta.touched, [0, 1]);
    assert_eq!(resolver.resolve(), Delta::default(), "nothing is looked at twice");
}

#[test]
fn contradictions_are_reported_and_not_guessed() {
    let rows = ["1", "2", "3", "4"].map(|key| Row::record(key, &format!("Name of {key}")));
    let circle = [must(1, ("1", "2")), must(2, ("2", "3")), cannot(3, ("1", "3"))];
    let resolver = check_with(&rows, &circle, &[&[0], &[1], &[2], &[3]]);
    assert_eq!(resolver.violations().count(), 2);
    assert_eq!(refused(&resolver), [(OVERRIDE_NAME.into(), "contradicted")].into());
    // What hangs on is no part of it, and the record that stands against is told.
    let more: Vec<Override> = circle.iter().cloned().chain([must(4, ("3", "4"))]).collect();
    let resolver = check_with(&rows, &more, &[&[0], &[1], &[2, 3]]);
    let found = resolver.violations().map(|found| resolver.explain_violation(found));
    for found in found {
        assert!([0, 2].contains(&found.against), "{found:?}");
        assert_ne!(found.against, found.right, "{found:?}");
    }
    // Taking the cannot-link back puts both in force.
    let mut resolver = check_with(&rows, &circle, &[&[0], &[1], &[2], &[3]]);
    resolver.set_overrides(&circle[..2]).unwrap();
    resolver.resolve();
    assert_eq!(profiles(&resolver), [vec![0, 1, 2], vec![3]]);
    assert_eq!(resolver.violations().count(), 0);
}

/// Decisions about records of [`rows`], some of which may not be there, with repetitions and contradictions.
pub(super) fn overrides() -> impl Strategy<Value = Vec<Override>> {
    let record = || (0..3_u16, 0..12_usize).prop_map(|(source, key)| format!("{source}/{key}"));
    let pair = (any::<bool>(), record(), record(), 1..6_u32);
    prop::collection::vec(pair, 0..12).prop_map(|pairs| {
        let made = |(is_must, left, right, number): (bool, String, String, u32)| {
            let kind = if is_must { Decided::MustLink } else { Decided::CannotLink };
            decided(number, kind, (&left, &right))
        };
        pairs.into_iter().map(made).collect()
    })
}

/// The subjects of a record among the rows of one log.
fn subjects(rows: &[Row], record: &RecordName) -> Vec<u32> {
    let is_of = |row: &Row| {
        row.record.as_ref() == Some(&record.key)
            && format!("source {}", row.source) == record.source
    };
    (0..rows.len()).filter(|at| is_of(&rows[*at])).map(|at| at as u32).collect()
}

fn resolve_with(rows: &[Row], overrides: &[Override]) -> Resolver {
    let mut resolver = resolver();
    for row in rows {
        row.add_to(&mut resolver);
    }
    resolver.set_overrides(overrides).unwrap();
    resolver.resolve();
    resolver
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn who_is_kept_apart_is_apart_and_who_must_be_together_is(
        rows in rows(), overrides in overrides(),
    ) {
        let rows = distinct(rows);
        let resolver = resolve_with(&rows, &overrides);
        let kept: Vec<Override> = overrides.iter().filter(|pair| pair.left != pair.right).cloned().collect();
        for (pair, contradicted) in kept.iter().zip(contradicted(&kept)) {
            for left in subjects(&rows, &pair.left) {
                for right in subjects(&rows, &pair.right) {
                    let same = resolver.anchor_of(left) == resolver.anchor_of(right);
                    match pair.decided {
                        Decided::CannotLink => prop_assert!(!same, "{:?}", pair),
                        Decided::MustLink if contradicted.is_none() => prop_assert!(same, "{:?}", pair),
                        Decided::MustLink => {
                            let is_told = |found: &ViolationEvidence| found.reason == "contradicted";
                            let all = resolver.violations().map(|found| resolver.explain_violation(found));
                            prop_assert!(all.into_iter().any(|found| is_told(&found)));
                        }
                    }
                }
            }
        }
        for anchor in resolver.profiles() {
            let tree = resolver.edges(anchor).filter(|edge| edge.joined).count();
            prop_assert_eq!(tree + 1, resolver.members(anchor).count(), "joining edges make a tree");
        }
    }

    #[test]
    fn batches_and_the_moment_of_a_decision_do_not_matter(
        rows in rows(),
        sizes in prop::collection::vec(1_usize..9, 1..12),
        steps in prop::collection::vec(overrides(), 1..6),
    ) {
        let rows = distinct(rows);
        let whole = resolve_with(&rows, &steps[steps.len() - 1]);
        let mut resolver = resolver();
        let mut anchors: Vec<Option<u32>> = vec![None; rows.len()];
        let mut rest = rows.as_slice();
        let mut deltas = Vec::new();
        for (at, size) in sizes.iter().cycle().enumerate() {
            let (batch, others) = rest.split_at((*size).min(rest.len()));
            for row in batch {
                row.add_to(&mut resolver);
            }
            resolver.set_overrides(&steps[at % steps.len()]).unwrap();
            deltas.push(resolver.resolve());
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        resolver.set_overrides(&steps[steps.len() - 1]).unwrap();
        deltas.push(resolver.resolve());
        for change in deltas.into_iter().flat_map(|delta| delta.changed) {
            prop_assert_eq!(anchors[change.subject as usize], change.before);
            anchors[change.subject as usize] = change.after;
        }
        prop_assert_eq!(profiles(&resolver), profiles(&whole));
        prop_assert_eq!(told(&resolver), told(&whole));
        prop_assert_eq!(resolver.counts(), whole.counts());
        let followed: Vec<Option<u32>> = (0..rows.len() as u32).map(|subject| whole.anchor_of(subject)).collect();
        prop_assert_eq!(anchors, followed, "changes add up");
    }

    #[test]
    fn the_order_of_arrival_and_of_decisions_does_not_matter(
        (rows, shuffled, overrides, turned) in (rows().prop_map(distinct), overrides())
            .prop_flat_map(|(rows, overrides)| {
                let order = Just((0..rows.len()).collect::<Vec<_>>()).prop_shuffle();
                (Just(rows), order, Just(overrides.clone()), Just(overrides).prop_shuffle())
            })
    ) {
        let straight = resolve_with(&rows, &overrides);
        let other = resolve_with(&shuffled.iter().map(|&at| rows[at].clone()).collect::<Vec<_>>(), &turned);
        let name = |subject: u32| shuffled[subject as usize] as u32;
        let renamed = |members: Vec<u32>| members.into_iter().map(name).collect::<BTreeSet<_>>();
        let expected: BTreeSet<BTreeSet<u32>> = profiles(&straight).into_iter().map(|members| members.into_iter().collect()).collect();
        prop_assert_eq!(profiles(&other).into_iter().map(renamed).collect::<BTreeSet<_>>(), expected);
        let edges = |resolver: &Resolver, name: &dyn Fn(u32) -> u32| -> BTreeSet<_> {
            resolver.all_edges().map(|edge| (name(edge.left), name(edge.right), edge.rule, edge.joined)).collect()
        };
        prop_assert_eq!(edges(&other, &name), edges(&straight, &|subject| subject));
        let refused = |resolver: &Resolver, name: &dyn Fn(u32) -> u32| -> BTreeSet<_> {
            let found = resolver.violations();
            found.map(|found| (name(found.left), name(found.right), name(found.against), found.rule, found.reason)).collect()
        };
        prop_assert_eq!(refused(&other, &name), refused(&straight, &|subject| subject));
    }
}
