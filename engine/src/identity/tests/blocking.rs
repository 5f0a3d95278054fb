//! `BLOCK ON`: which pairs are weighed is what the graph names, and how they are weighed is the same.

use std::collections::BTreeSet;

use super::fuzzy::{person, resolve_with, score, town_rows, trained, trained_with};
use super::*;
use crate::catalog::BlockPart;

/// Reads keys such as `surname, year birth_date`.
pub(super) fn keys(texts: &[&str]) -> Vec<Vec<BlockPart>> {
    let part = |text: &str| match text.split_once(' ') {
        Some((function, of)) => {
            BlockPart { function: Some(function.to_owned()), of: of.to_owned() }
        }
        None => BlockPart { function: None, of: text.to_owned() },
    };
    texts.iter().map(|key| key.split(", ").map(part).collect()).collect()
}

/// The pairs above the threshold, with their weights.
fn weighed(resolver: &Resolver, rows: usize) -> BTreeSet<(u32, u32, i32)> {
    let fuzzy = resolver.fuzzy.as_ref().unwrap();
    let pairs = (0..rows as u32).flat_map(|subject| {
        fuzzy.partners(subject).map(move |other| (subject, other.subject, other.weight))
    });
    pairs.collect()
}

#[test]
fn fewer_keys_find_fewer_pairs_and_none_that_the_usual_ones_do_not_find() {
    let (rows, truth): (Vec<Row>, Vec<u64>) = town_rows(300, 3).into_iter().unzip();
    let usual = resolve_with(trained(), &rows);
    let narrow = resolve_with(trained_with(keys(&["surname, birth_date", "email"])), &rows);
    let narrower = resolve_with(trained_with(keys(&["email"])), &rows);
    let [all, some, few] = [&usual, &narrow, &narrower].map(|found| weighed(found, rows.len()));
    assert!(some.is_subset(&all) && few.is_subset(&some), "a pair that shares none of the keys");
    assert!(few.len() < some.len() && some.len() < all.len(), "{} {}", some.len(), all.len());
    let wrong = |pairs: &BTreeSet<(u32, u32, i32)>| {
        let of = |subject: u32| truth[subject as usize];
        pairs.iter().filter(|(left, right, _)| of(*left) != of(*right)).count()
    };
    assert!(wrong(&some) <= wrong(&all) && wrong(&few) <= wrong(&some));
    let ((exact, ..), (precision, _, largest)) =
        (score(&resolve(&rows), &truth), score(&narrow, &truth));
    assert!(precision > exact - 0.01 && largest <= 12, "precision {precision}, {largest} records");
}

#[test]
fn who_shares_no_key_is_not_weighed_and_who_shares_one_is() {
    let rows = [
        person("a", "Kuba", "Wójcik").born("1980-05-06").lives("ul. Polna 3", "00-001"),
        person("b", "Jakub", "Wojcik").born("1980-06-05").lives("Polna 3/4", "00-001"),
    ];
    let joined = |texts: &[&str]| {
        let resolver = resolve_with(trained_with(keys(texts)), &rows);
        profiles(&resolver).len() == 1
    };
    // The birthday of one of them is mistyped.
    assert!(!joined(&["surname, birth_date"]));
    for key in [
        "surname",
        "given_name, surname",
        "initial given_name, initial surname, year birth_date",
        "street",
        "postal_code, street",
    ] {
        assert!(joined(&["surname, birth_date", key]), "{key}");
    }
    // What nobody says is no key.
    assert!(!joined(&["city", "email", "local email", "phone"]));
}

#[test]
fn the_part_of_a_mailbox_before_the_at_is_a_key() {
    let rows = [
        person("a", "Kuba", "Zarlipek").born("1980-05-06").with(EMAIL, "kubaz80@x.example"),
        person("b", "Jakub", "Zarlipek").born("1980-05-06").with(EMAIL, "kubaz80@y.example"),
    ];
    let pairs =
        |texts: &[&str]| weighed(&resolve_with(trained_with(keys(texts)), &rows), rows.len()).len();
    assert_eq!([pairs(&["local email"]), pairs(&["surname, local email"])], [2, 2]);
    assert_eq!([pairs(&["email"]), pairs(&["phone, surname"])], [0, 0]);
}

#[test]
fn which_keys_are_named_does_not_change_what_is_learnt() {
    let (rows, _): (Vec<Row>, Vec<u64>) = town_rows(150, 11).into_iter().unzip();
    let untrained = |resolver: Resolver| Resolver::new(resolver.rules().clone());
    let usual = resolve_with(untrained(trained()), &rows).train();
    let named = resolve_with(untrained(trained_with(keys(&["email"]))), &rows).train();
    assert_eq!(usual, named);
}
