//! The FUZZY rule: what it joins beside the others and what it keeps apart, and the laws that hold for it, too.

use std::sync::OnceLock;

use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};

use super::blocking::keys;
use super::properties::{CASES, distinct, rows, state};
use super::*;
use crate::catalog::{BlockPart, FuzzyRule};
use crate::matching::Model;
use crate::matching::tests::town::town;

/// Rows that may share a key: few, so that keys are closed in small examples.
const ROWS_PER_KEY: u8 = 3;

fn rules() -> Rules {
    rules_with(vec![])
}

/// The rules with these keys for candidates in the place of the usual ones.
fn rules_with(block_on: Vec<Vec<BlockPart>>) -> Rules {
    let rule = FuzzyRule {
        name: "same_person".to_owned(),
        score: 0.95,
        review_below: Some(0.99),
        household_score: None,
        priority: 1_000,
        block_on,
    };
    Rules::from_graph(&IdentityGraph { fuzzy: Some(rule), ..definition() }).unwrap()
}

/// The records of a town with who each is.
pub(super) fn town_rows(households: u64, seed: u64) -> Vec<(Row, u64)> {
    let (rows, truth) = town(households, seed);
    let rows = rows.into_iter().zip(truth).enumerate();
    rows.map(|(number, ((_, texts), person))| {
        let said = |at: usize| Some(texts[at].clone()).filter(|text| !text.is_empty());
        let fields = PersonFields {
            name: None,
            first_name: said(0),
            last_name: said(1),
            birth_date: said(2),
            street: said(3),
            postal_code: said(4),
            city: said(5),
            country: Some("PL".to_owned()),
        };
        let mut row = Row { person: Some(fields), ..Row::record(&number.to_string(), "") };
        for (kind, at) in [(EMAIL, 6), (PHONE, 7)] {
            if let Some(value) = said(at) {
                row = row.with(kind, &value);
            }
        }
        (row, person)
    })
    .collect()
}

/// What a town of eight hundred households teaches.
pub(super) fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let mut resolver = Resolver::new(rules());
        let (_, cards) = town(800, 7);
        for ((row, _), card) in town_rows(800, 7).into_iter().zip(cards) {
            row.with(CUSTOMER, &card.to_string()).add_to(&mut resolver);
        }
        resolver.resolve();
        assert!(resolver.lacks_model());
        resolver.train().unwrap()
    })
}

pub(super) fn trained() -> Resolver {
    trained_with(vec![])
}

pub(super) fn trained_with(block_on: Vec<Vec<BlockPart>>) -> Resolver {
    let mut resolver = Resolver::new(rules_with(block_on));
    resolver.set_model(model().clone());
    resolver
}

pub(super) fn resolve_with(mut resolver: Resolver, rows: &[Row]) -> Resolver {
    for row in rows {
        row.add_to(&mut resolver);
    }
    resolver.resolve();
    resolver
}

/// Checks who is one person with the FUZZY rule.
#[track_caller]
fn check(rows: &[Row], expected: &[&[u32]]) -> Resolver {
    let resolver = resolve_with(trained(), rows);
    let evidence: Vec<_> = resolver
        .all_edges()
        .map(|edge| format!("{:?}", resolver.explain(edge)))
        .chain(resolver.violations().map(|one| format!("{:?}", resolver.explain_violation(one))))
        .collect();
    assert_eq!(profiles(&resolver), expected, "{evidence:#?}");
    resolver
}

/// A record with the name in its parts.
pub(super) fn person(key: &str, first: &str, last: &str) -> Row {
    let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let fields = PersonFields {
        first_name: said(first),
        last_name: said(last),
        country: Some("PL".to_owned()),
        ..PersonFields::default()
    };
    Row { person: Some(fields), ..Row::record(key, "") }
}

/// Pairwise precision and recall, and the most records of one profile.
pub(super) fn score(resolver: &Resolver, truth: &[u64]) -> (f64, f64, usize) {
    let count = |sizes: HashMap<(u64, u64), u64>| -> f64 {
        sizes.into_values().map(|size| (size * (size - 1) / 2) as f64).sum()
    };
    let by = |key: &dyn Fn(u64, u64) -> (u64, u64)| {
        let mut sizes: HashMap<(u64, u64), u64> = HashMap::new();
        for (subject, person) in truth.iter().enumerate() {
            let profile = u64::from(resolver.anchor_of(subject as u32).unwrap());
            *sizes.entry(key(profile, *person)).or_default() += 1;
        }
        sizes
    };
    let right = count(by(&|profile, person| (profile, person)));
    let largest = profiles(resolver).iter().map(Vec::len).max().unwrap();
    let (of_profiles, of_people) =
        (count(by(&|profile, _| (profile, 0))), count(by(&|_, person| (person, 0))));
    (right / of_profiles, right / of_people, largest)
}

#[test]
fn a_town_is_found_better_than_by_exact_rules() {
    let (rows, truth): (Vec<Row>, Vec<u64>) = town_rows(300, 3).into_iter().unzip();
    let (exact_precision, exact_recall, _) = score(&resolve(&rows), &truth);
    let (precision, recall, largest) = score(&resolve_with(trained(), &rows), &truth);
    println!("exact: {exact_precision:.4} {exact_recall:.4}, fuzzy: {precision:.4} {recall:.4}");
    assert!(precision > 0.98 && precision > exact_precision - 0.01, "precision {precision}");
    assert!(recall > exact_recall + 0.02, "recall {recall}, {exact_recall} without");
    assert!(largest <= 12, "a profile of {largest} records");
}

#[test]
fn a_pet_name_a_slip_and_an_address_are_one_person() {
    let rows = [
        person("a", "Kuba", "Wójcik").born("1980-05-06").lives("ul. Polna 3", "00-001"),
        person("b", "Jakub", "Wojcik").born("1980-06-05").lives("Polna 3/4", "00-001"),
        person("c", "Piotr", "Zarlipek").born("1961-01-09").lives("Lipowa 8", "33-100"),
    ];
    let resolver = check(&rows, &[&[0, 1], &[2]]);
    let edge = resolver.all_edges().next().unwrap();
    let evidence = resolver.explain(edge);
    assert_eq!((evidence.rule.as_str(), evidence.joined), ("same_person", true));
    assert!(evidence.bits.unwrap() > 4.25, "{evidence:?}");
    assert_eq!(
        evidence.value,
        "given name: forms of one name; surname: equal; \
         birth date: one slip, or day and month swapped; address: equal"
    );
    assert_eq!(profiles(&resolve(&rows)).len(), 3, "no exact rule joins them");
}

#[test]
fn a_family_with_one_phone_and_twins_stay_apart() {
    let at_home = |key: &str, first: &str, born: &str| {
        let one = person(key, first, "Kostorek").lives("Polna 3", "00-001");
        if born.is_empty() { one } else { one.born(born) }.with(PHONE, "22 123 45 67")
    };
    check(
        &[
            at_home("a", "Jan", "1980-05-06"),
            at_home("b", "Janek", ""),
            at_home("c", "Anna", "1982-07-08"),
            at_home("d", "Szymon", "2010-03-02"),
            at_home("e", "Wanda", "2010-03-02"),
        ],
        &[&[0, 1], &[2], &[3], &[4]],
    );
}

#[test]
fn junior_and_senior_stay_apart_and_who_may_be_either_is_neither() {
    let david = |key: &str, last: &str| person(key, "Oskar", last).lives("Polna 3", "00-001");
    let rows = [
        david("a", "Kostorek Sr"),
        david("b", "Kostorek Jr"),
        // Nothing tells whose this is.
        david("c", "Kostorek"),
    ];
    let resolver = check(&rows, &[&[0], &[1], &[2]]);
    let mut reasons: Vec<_> = resolver.violations().map(|one| one.reason.word()).collect();
    reasons.sort_unstable();
    assert!(reasons.contains(&"suffix"), "{reasons:?}");
}

#[test]
fn beside_a_junior_a_name_and_an_address_are_nobodys() {
    let rows = [
        person("a", "Oskar", "Kostorek Jr").lives("Polna 3", "00-001"),
        // His father is called senior by nobody. No exact rule takes one house for the other.
        person("b", "Oskar", "Kostorek").lives("Polna 3/4", "00-001"),
    ];
    let resolver = check(&rows, &[&[0], &[1]]);
    assert!(resolver.violations().all(|one| one.reason.word() == "torn"));
}

#[test]
fn without_a_model_the_rule_joins_nobody_and_with_one_all_that_were_there() {
    let rows = [
        person("a", "Kuba", "Wójcik").born("1980-05-06").lives("ul. Polna 3", "00-001"),
        person("b", "Jakub", "Wojcik").born("1980-06-05").lives("Polna 3/4", "00-001"),
    ];
    let mut resolver = resolve_with(Resolver::new(rules()), &rows);
    assert!(resolver.lacks_model());
    assert_eq!((profiles(&resolver).len(), resolver.record_count()), (2, 2));
    resolver.set_model(model().clone());
    let delta = resolver.resolve();
    assert_eq!((profiles(&resolver), delta.changed.len()), (vec![vec![0, 1]], 1));
    assert_eq!(resolver.resolve(), Delta::default());
}

#[test]
fn a_new_record_touches_whom_it_may_be_and_nobody_else() {
    let (rows, _): (Vec<Row>, Vec<u64>) = town_rows(300, 5).into_iter().unzip();
    let mut resolver = resolve_with(trained(), &rows);
    Row { record: Some("new".to_owned()), ..rows[0].clone() }.add_to(&mut resolver);
    let delta = resolver.resolve();
    assert!(delta.subjects_resolved < 40, "{} of {}", delta.subjects_resolved, rows.len());
}

#[test]
fn a_run_that_is_to_end_solves_nothing_more() {
    let (mut resolver, halt) = (trained(), Halt::default());
    resolver.halt_with(halt.clone());
    for (row, _) in town_rows(300, 5) {
        row.add_to(&mut resolver);
    }
    halt.halt();
    let delta = resolver.resolve();
    assert_eq!((delta.components_resolved, delta.changed.len()), (0, 0));
    assert_eq!((resolver.counts().profiles, resolver.counts().edges), (0, 0));
}

#[test]
fn training_does_not_hang_on_arrival() {
    let (rows, _): (Vec<Row>, Vec<u64>) = town_rows(150, 11).into_iter().unzip();
    let straight = resolve_with(Resolver::new(rules()), &rows).train();
    let turned: Vec<Row> = rows.into_iter().rev().collect();
    assert_eq!(straight, resolve_with(Resolver::new(rules()), &turned).train());
}

#[test]
fn limits_hold_for_weighed_pairs() {
    let record = |i: u32| {
        person(&format!("{i}"), "Oskar", "Kostorek")
            .born("1980-05-06")
            .lives("Polna 3", "00-001")
            .with(EMAIL, &format!("oskar{i}@x.example"))
    };
    let resolver = resolve_with(trained(), &(0..6).map(record).collect::<Vec<_>>());
    assert_eq!(profiles(&resolver).iter().map(Vec::len).max(), Some(3), "LIMIT 3 on e-mail");
    let record = |i: u32| record(0).with(DEVICE, &format!("{i}"));
    let named = |i: u32| Row { record: Some(format!("{i}")), ..record(i) };
    let resolver = resolve_with(trained(), &(0..30).map(named).collect::<Vec<_>>());
    assert_eq!(profiles(&resolver).iter().map(Vec::len).max(), Some(12), "merge_limit = 12");
}

/// A resolver with the usual keys or with some that are named, which are closed late or soon.
fn resolver_of((is_named, is_crowded): (bool, bool)) -> Resolver {
    let named = ["surname", "given_name, birth_date", "email"];
    let mut resolver = trained_with(if is_named { keys(&named) } else { vec![] });
    if is_crowded {
        resolver.fuzzy.as_mut().unwrap().close_keys_above(ROWS_PER_KEY);
    }
    resolver
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn any_batching_gives_what_one_run_gives(
        rows in rows(),
        batches in prop::collection::vec(1_usize..9, 1..12),
        of in any::<(bool, bool)>(),
    ) {
        let rows = distinct(rows);
        let make = || resolver_of(of);
        let whole = resolve_with(make(), &rows);
        let mut resolver = make();
        let mut anchors: Vec<Option<u32>> = Vec::new();
        let mut rest = rows.as_slice();
        for size in batches.iter().cycle() {
            let (batch, others) = rest.split_at((*size).min(rest.len()));
            for row in batch {
                row.add_to(&mut resolver);
                anchors.push(None);
            }
            for change in resolver.resolve().changed {
                prop_assert_eq!(anchors[change.subject as usize], change.before);
                anchors[change.subject as usize] = change.after;
            }
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(state(&resolver), state(&whole));
        let followed: Vec<Option<u32>> = (0..rows.len() as u32).map(|subject| whole.anchor_of(subject)).collect();
        prop_assert_eq!(anchors, followed, "changes add up");
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(
        (rows, shuffled) in rows()
            .prop_map(distinct)
            .prop_flat_map(|rows| (Just(rows.clone()), Just((0..rows.len()).collect::<Vec<_>>()).prop_shuffle())),
        of in any::<(bool, bool)>(),
    ) {
        let make = || resolver_of(of);
        let straight = resolve_with(make(), &rows);
        let turned = resolve_with(make(), &shuffled.iter().map(|&at| rows[at].clone()).collect::<Vec<_>>());
        let name = |subject: u32| shuffled[subject as usize] as u32;
        let sets = |resolver: &Resolver, name: &dyn Fn(u32) -> u32| -> BTreeSet<BTreeSet<u32>> {
            profiles(resolver).into_iter().map(|members| members.into_iter().map(name).collect()).collect()
        };
        prop_assert_eq!(sets(&turned, &name), sets(&straight, &|subject| subject));
        let edges = |resolver: &Resolver, name: &dyn Fn(u32) -> u32| -> BTreeSet<_> {
            let edges = resolver.all_edges();
            edges.map(|edge| (name(edge.left), name(edge.right), edge.rule, edge.joined)).collect()
        };
        prop_assert_eq!(edges(&turned, &name), edges(&straight, &|subject| subject));
        let refused = |resolver: &Resolver, name: &dyn Fn(u32) -> u32| -> BTreeSet<_> {
            let refused = resolver.violations();
            refused.map(|one| (name(one.left), name(one.right), name(one.against), one.rule, one.reason)).collect()
        };
        prop_assert_eq!(refused(&turned, &name), refused(&straight, &|subject| subject));
    }

    #[test]
    fn joining_edges_make_a_tree_and_refused_pairs_are_apart(rows in rows()) {
        let rows = distinct(rows);
        let resolver = resolve_with(trained(), &rows);
        let fuzzy = resolver.rules().fuzzy_rule().unwrap();
        for anchor in resolver.profiles() {
            let tree = resolver.edges(anchor).filter(|edge| edge.joined).count();
            prop_assert_eq!(tree + 1, resolver.members(anchor).count());
        }
        for refused in resolver.violations().filter(|one| one.rule == fuzzy) {
            prop_assert_ne!(resolver.anchor_of(refused.left), resolver.anchor_of(refused.right), "{:?}", refused);
        }
    }
}
