//! What is worth a look: what is asked about, how much an answer would tell, and that neither batches nor order matter.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::fuzzy::{person, resolve_with, town_rows, trained};
use super::overrides::{cannot, must, overrides};
use super::properties::{distinct, rows};
use super::*;

/// The entropy of one half and of one quarter.
const CERTAINLY_UNKNOWN: f64 = 1.0;
const A_QUARTER: f64 = 0.811_278_124_459_132_8;

fn asked(resolver: &Resolver) -> Vec<ReviewPair> {
    resolver.review(&resolver.profiles().collect::<Vec<_>>())
}

/// What is asked about which two subjects by which rule, and how many records hang on it.
fn in_short(resolver: &Resolver) -> Vec<(&'static str, [u32; 2], String, u32)> {
    let short = |found: ReviewPair| {
        let pair = [found.left.min(found.right), found.left.max(found.right)];
        (found.question.word(), pair, found.rule, found.records)
    };
    asked(resolver).into_iter().map(short).collect()
}

#[track_caller]
fn nothing_is_asked(resolver: &Resolver) {
    let found = asked(resolver);
    assert!(found.is_empty(), "{found:#?}");
}

fn anna(key: &str, values: &[(u16, &str)]) -> Row {
    let row = Row::record(key, "Anna Nowak");
    values.iter().fold(row, |row, (kind, value)| row.with(*kind, value))
}

const MAIL: (u16, &str) = (EMAIL, "a@x.example");
const OTHER_MAIL: (u16, &str) = (EMAIL, "b@x.example");
const NUMBER: (u16, &str) = (PHONE, "601123456");

#[test]
fn what_holds_two_pairs_of_records_together_is_a_bridge() {
    let rows = [
        anna("1", &[MAIL]),
        anna("2", &[MAIL, NUMBER]),
        anna("3", &[OTHER_MAIL, NUMBER]),
        anna("4", &[OTHER_MAIL]),
    ];
    let mut resolver = check(&rows, &[&[0, 1, 2, 3]]);
    assert_eq!(in_short(&resolver), [("bridge", [1, 2], "phone".to_owned(), 2)]);
    let found = asked(&resolver).remove(0);
    assert_eq!((found.reason, found.other, found.bits), (None, None, None));
    assert!((found.usefulness - 2.0 * A_QUARTER).abs() < 1e-9, "{found:?}");
    assert_eq!(found.agreement, "+48601123456");
    // What was decided is not asked, nor what follows from it.
    for records in [("2", "3"), ("1", "4")] {
        resolver.set_overrides(&[must(1, records)]).unwrap();
        resolver.resolve();
        nothing_is_asked(&resolver);
    }
    resolver.set_overrides(&[cannot(1, ("2", "3"))]).unwrap();
    resolver.resolve();
    assert_eq!(profiles(&resolver), [[0, 1], [2, 3]]);
    nothing_is_asked(&resolver);
    // A second tie beside it, and neither of the two is a bridge.
    let both: Vec<Row> = rows
        .iter()
        .map(|row| match row.record.as_deref() {
            Some("1" | "4") => row.clone().with(CUSTOMER, "8"),
            _ => row.clone(),
        })
        .collect();
    nothing_is_asked(&resolve(&both));
}

#[test]
fn a_value_of_many_records_is_one_bridge_and_a_lone_record_hangs_by_none() {
    let all = [
        anna("1", &[MAIL, NUMBER]),
        anna("2", &[MAIL, NUMBER]),
        anna("3", &[OTHER_MAIL, NUMBER]),
        anna("4", &[OTHER_MAIL, NUMBER]),
        anna("5", &[NUMBER]),
    ];
    let resolver = check(&all, &[&[0, 1, 2, 3, 4]]);
    let found = in_short(&resolver);
    let [("bridge", [left, right], rule, 2)] = found.as_slice() else { panic!("{found:?}") };
    assert!(rule == "phone" && *left < 2 && (2..4).contains(right), "{found:?}");
}

#[test]
fn of_what_keeps_two_profiles_apart_one_pair_is_asked() {
    let family = |key: &str, name: &str, mail: &str| {
        Row::record(key, name).with(EMAIL, mail).with(PHONE, NUMBER.1)
    };
    let rows = [
        family("1", "Anna Nowak", MAIL.1),
        family("2", "Anna Nowak", MAIL.1),
        family("3", "Piotr Nowak", OTHER_MAIL.1),
        family("4", "Piotr Nowak", OTHER_MAIL.1),
    ];
    let mut resolver = check(&rows, &[&[0, 1], &[2, 3]]);
    let found = asked(&resolver);
    let [found] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((found.question, found.reason), (Question::Vetoed, Some("given_name")));
    assert_eq!((found.records, found.rule.as_str()), (2, "phone"));
    assert_ne!(found.other, None);
    assert!((found.usefulness - 2.0 * A_QUARTER).abs() < 1e-9, "{found:?}");
    // Whichever pair of the two was decided, they are apart by decision.
    resolver.set_overrides(&[cannot(1, ("2", "4"))]).unwrap();
    resolver.resolve();
    nothing_is_asked(&resolver);
    resolver.set_overrides(&[must(1, ("2", "4"))]).unwrap();
    resolver.resolve();
    assert_eq!(profiles(&resolver), [[0, 1, 2, 3]]);
    nothing_is_asked(&resolver);
    resolver.set_overrides(&[]).unwrap();
    resolver.resolve();
    assert_eq!(asked(&resolver), std::slice::from_ref(found), "taken back, it is asked again");
}

#[test]
fn where_model_and_graph_agree_nobody_is_asked_and_where_they_do_not_it_is_useful() {
    let at_home = |key: &str, first: &str, born: &str| {
        person(key, first, "Kostorek").lives("Polna 3", "00-001").born(born).with(PHONE, NUMBER.1)
    };
    let family = [at_home("a", "Szymon", "1980-05-06"), at_home("b", "Wanda", "2010-03-02")];
    let resolver = resolve_with(trained(), &family);
    assert!(resolver.violations().count() > 0);
    nothing_is_asked(&resolver);

    let oskar = |key: &str, last: &str| person(key, "Oskar", last).lives("Polna 3", "00-001");
    let rows = [oskar("a", "Kostorek Sr"), oskar("b", "Kostorek Jr"), oskar("c", "Kostorek")];
    let resolver = resolve_with(trained(), &rows);
    let found = asked(&resolver);
    let reasons: BTreeSet<_> = found.iter().filter_map(|found| found.reason).collect();
    assert!(reasons.contains("suffix"), "{found:#?}");
    for found in &found {
        let range = 0.9 * CERTAINLY_UNKNOWN..=CERTAINLY_UNKNOWN;
        assert!(range.contains(&found.usefulness), "{found:?}");
        assert!(found.bits.unwrap() > 1.0 && found.agreement.contains("address: equal"));
    }
}

#[test]
fn of_a_town_little_is_asked_and_that_little_is_in_doubt() {
    let (rows, _): (Vec<Row>, Vec<u64>) = town_rows(300, 3).into_iter().unzip();
    let resolver = resolve_with(trained(), &rows);
    let found = asked(&resolver);
    assert!(!found.is_empty() && found.len() < rows.len() / 4, "{} asked", found.len());
    let mut about = BTreeSet::new();
    for found in &found {
        let [left, right] = [found.left, found.right].map(|subject| resolver.anchor_of(subject));
        assert_eq!(left, Some(found.anchor));
        match found.question {
            Question::Bridge | Question::Unsure => assert_eq!(left, right),
            _ => assert!(right == found.other && left != right, "{found:?}"),
        }
        if found.question == Question::Unsure {
            assert!(probability_of(found.bits.unwrap()) < 0.99, "{found:?}");
        }
        assert!(found.usefulness <= f64::from(found.records) && found.records > 0, "{found:?}");
        assert!(found.other.is_none() || about.insert((left.min(right), left.max(right))));
    }
}

#[test]
fn answers_are_what_a_model_is_trained_with() {
    let (rows, _): (Vec<Row>, Vec<u64>) = town_rows(150, 11).into_iter().unzip();
    let mut resolver = resolve_with(trained(), &rows);
    let guessed = resolver.train();
    let keys: Vec<String> = rows.iter().map(|row| row.record.clone().unwrap()).collect();
    let pairs: Vec<(u32, u32)> = asked(&resolver).iter().map(|one| (one.left, one.right)).collect();
    let answers: Vec<Override> = (1..)
        .zip(&pairs)
        .map(|(number, (left, right))| {
            cannot(number, (&keys[*left as usize], &keys[*right as usize]))
        })
        .collect();
    resolver.set_overrides(&answers).unwrap();
    assert_eq!(resolver.labels().len(), answers.len());
    assert_ne!(resolver.train(), guessed);
    // A must-link that others contradict is not in force, and teaches nothing.
    let [first, ..] = answers.as_slice() else { panic!("nothing was asked") };
    let origin = Origin::Decision(9_999);
    let contrary = Override { origin, decided: Decided::MustLink, ..first.clone() };
    resolver.set_overrides(&[first.clone(), contrary]).unwrap();
    assert_eq!(resolver.labels().len(), 1);
    resolver.set_overrides(&[]).unwrap();
    assert_eq!(resolver.train(), guessed);
}

/// A resolver with or without a model.
fn made(with_model: bool) -> Resolver {
    if with_model { trained() } else { resolver() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_touched_is_all_that_has_to_be_asked_anew(
        rows in rows(),
        sizes in prop::collection::vec(1_usize..9, 1..60),
        steps in prop::collection::vec(overrides(), 1..4),
        with_model in any::<bool>(),
    ) {
        let rows = distinct(rows);
        let mut whole = made(with_model);
        rows.iter().for_each(|row| { row.add_to(&mut whole); });
        whole.set_overrides(&steps[steps.len() - 1]).unwrap();
        whole.resolve();
        let mut resolver = made(with_model);
        let mut kept: BTreeMap<u32, Vec<ReviewPair>> = BTreeMap::new();
        let mut rest = rows.as_slice();
        for (at, size) in sizes.iter().cycle().enumerate() {
            let (batch, others) = rest.split_at((*size).min(rest.len()));
            for row in batch {
                row.add_to(&mut resolver);
            }
            let is_last = others.is_empty();
            let step = if is_last { steps.len() - 1 } else { at % steps.len() };
            resolver.set_overrides(&steps[step]).unwrap();
            let delta = resolver.resolve();
            let moved = delta.changed.iter().flat_map(|moved| [moved.before, moved.after]).flatten();
            let touched: BTreeSet<u32> = moved.chain(delta.touched.iter().copied()).collect();
            touched.iter().for_each(|anchor| { kept.remove(anchor); });
            let there: Vec<u32> =
                touched.into_iter().filter(|anchor| resolver.anchor_of(*anchor) == Some(*anchor)).collect();
            for found in resolver.review(&there) {
                kept.entry(found.anchor).or_default().push(found);
            }
            rest = others;
            if is_last {
                break;
            }
        }
        let kept: Vec<ReviewPair> = kept.into_values().flatten().collect();
        prop_assert_eq!(kept, asked(&whole));
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(
        (rows, shuffled, overrides, with_model) in (rows().prop_map(distinct), overrides(), any::<bool>())
            .prop_flat_map(|(rows, overrides, with_model)| {
                let order = Just((0..rows.len()).collect::<Vec<_>>()).prop_shuffle();
                (Just(rows), order, Just(overrides), Just(with_model))
            })
    ) {
        let solved = |rows: Vec<Row>| {
            let mut resolver = made(with_model);
            rows.iter().for_each(|row| { row.add_to(&mut resolver); });
            resolver.set_overrides(&overrides).unwrap();
            resolver.resolve();
            resolver
        };
        let straight = solved(rows.clone());
        let turned = solved(shuffled.iter().map(|&at| rows[at].clone()).collect());
        let told = |resolver: &Resolver, name: &dyn Fn(u32) -> u32| -> BTreeSet<String> {
            let found = asked(resolver).into_iter();
            let words = found.map(|one| {
                let (left, right) = (name(one.left), name(one.right));
                let ReviewPair { question, reason, rule, bits, records, usefulness, .. } = one;
                format!("{left} {right} {question:?} {reason:?} {rule} {bits:?} {records} {usefulness}")
            });
            words.collect()
        };
        let name = |subject: u32| shuffled[subject as usize] as u32;
        prop_assert_eq!(told(&turned, &name), told(&straight, &|subject| subject));
    }
}
