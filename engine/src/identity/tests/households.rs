//! Households: who lives together and who does not, that nobody is another person for it, and the laws.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::fuzzy::{model, person, resolve_with, town_rows, trained};
use super::properties::{distinct, rows, state};
use super::*;
use crate::catalog::FuzzyRule;

/// Cases of each law.
const CASES: u32 = 2_000;

/// Rows that may share a key: few, so that keys are closed in small examples.
const ROWS_PER_KEY: u8 = 3;

/// A resolver that looks for households of this probability.
fn looking(household_score: f64) -> Resolver {
    let rule = FuzzyRule {
        name: "same_person".to_owned(),
        score: 0.95,
        review_below: Some(0.99),
        household_score: Some(household_score),
        priority: 1_000,
        block_on: vec![],
    };
    let graph = IdentityGraph { fuzzy: Some(rule), ..definition() };
    let mut resolver = Resolver::new(Rules::from_graph(&graph).unwrap());
    resolver.set_model(model().clone());
    resolver
}

/// The same, that takes nearly everybody for housemates and whose keys may be closed soon.
pub(super) fn eager(is_crowded: bool) -> Resolver {
    let mut resolver = looking(0.5);
    if is_crowded {
        resolver.fuzzy.as_mut().unwrap().close_keys_above(ROWS_PER_KEY);
    }
    resolver
}

/// The households of those who exist, as sets of subjects.
fn households(resolver: &Resolver, exist: &dyn Fn(u32) -> bool) -> BTreeSet<BTreeSet<u32>> {
    let anchors: Vec<u32> = resolver.profiles().filter(|anchor| exist(*anchor)).collect();
    let found = resolver.households().unwrap();
    let eldest = found.eldest(anchors.iter().copied().map(Some), exist);
    let mut sets: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for (anchor, eldest) in anchors.into_iter().zip(eldest) {
        sets.entry(eldest.unwrap()).or_default().extend(resolver.members(anchor));
    }
    sets.into_values().collect()
}

/// Checks who lives together, everybody being there, and that everybody is who they are without households.
#[track_caller]
fn check(rows: &[Row], expected: &[&[u32]]) -> Resolver {
    let resolver = resolve_with(looking(0.9), rows);
    let expected: BTreeSet<BTreeSet<u32>> =
        expected.iter().map(|household| household.iter().copied().collect()).collect();
    assert_eq!(households(&resolver, &|_| true), expected);
    assert_eq!(state(&resolver), state(&resolve_with(trained(), rows)));
    resolver
}

fn at_home(key: &str, first: &str, last: &str, born: &str) -> Row {
    person(key, first, last).born(born).lives("Polna 3", "00-001")
}

#[test]
fn a_family_is_one_household_of_several_people() {
    let rows = [
        at_home("a", "Jan", "Kostorek", "1980-05-06"),
        at_home("b", "Anna", "Kostorek", "1982-07-08"),
        at_home("c", "Szymon", "Kostorek", "2010-03-02"),
        person("d", "Piotr", "Zarlipek").born("1961-01-09").lives("Lipowa 8", "33-100"),
    ];
    check(&rows, &[&[0, 1, 2], &[3]]);
}

#[test]
fn an_address_alone_makes_no_household() {
    let rows = [
        at_home("a", "Jan", "Kostorek", "1980-05-06"),
        at_home("b", "Anna", "Malwilak", "1982-07-08"),
        at_home("c", "Piotr", "Zarlipek", "1961-01-09"),
    ];
    check(&rows, &[&[0], &[1], &[2]]);
}

#[test]
fn who_moved_in_with_somebody_is_of_one_household_and_makes_no_larger_one() {
    let anna = |key: &str, last: &str| {
        person(key, "Anna", last).born("1982-07-08").with(EMAIL, "anna.k@x.example")
    };
    let rows = [
        at_home("a", "Jan", "Kostorek", "1980-05-06"),
        anna("b", "Kostorek").lives("Polna 3", "00-001"),
        anna("c", "Malwilak").lives("Lipowa 8", "33-100"),
        person("d", "Piotr", "Malwilak").born("1961-01-09").lives("Lipowa 8", "33-100"),
    ];
    let resolver = resolve_with(looking(0.9), &rows);
    assert_eq!(profiles(&resolver), [vec![0], vec![1, 2], vec![3]]);
    let found = households(&resolver, &|_| true);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|household| !(household.contains(&0) && household.contains(&3))));
    // When she is hidden, nothing ties one to the other.
    let without = BTreeSet::from([BTreeSet::from([0]), BTreeSet::from([3])]);
    assert_eq!(households(&resolver, &|anchor| anchor != 1), without);
}

#[test]
fn more_people_than_may_share_a_value_are_no_household() {
    let names = ["Jan", "Anna", "Szymon", "Wanda"];
    let all: Vec<Row> = (0..)
        .zip(names)
        .map(|(at, name)| {
            at_home(&format!("{at}"), name, "Kostorek", &format!("19{}0-05-06", 4 + at))
        })
        .collect();
    // shared_limit = 3
    check(&all[..3], &[&[0, 1, 2]]);
    check(&all, &[&[0], &[1], &[2], &[3]]);
    let resolver = resolve_with(looking(0.9), &all);
    let without = households(&resolver, &|anchor| anchor != 2);
    assert_eq!(without, BTreeSet::from([BTreeSet::from([0, 1, 3])]), "of those who are seen");
}

#[test]
fn a_town_is_made_of_households() {
    let (rows, truth): (Vec<Row>, Vec<u64>) = town_rows(300, 3).into_iter().unzip();
    let resolver = resolve_with(looking(0.9), &rows);
    assert_eq!(state(&resolver), state(&resolve_with(trained(), &rows)));
    let found = households(&resolver, &|_| true);
    // Pairs of records, by truth: people of a household have numbers of one ten.
    let (mut right, mut all) = (0_u64, 0_u64);
    for household in &found {
        let of: Vec<u64> = household.iter().map(|subject| truth[*subject as usize] / 10).collect();
        for (at, one) in of.iter().enumerate() {
            all += (of.len() - at - 1) as u64;
            right += of[at + 1..].iter().filter(|other| *other == one).count() as u64;
        }
    }
    let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
    truth.iter().for_each(|person| *sizes.entry(person / 10).or_default() += 1);
    let there: u64 = sizes.into_values().map(|size| size * (size - 1) / 2).sum();
    let (precision, recall) = (right as f64 / all as f64, right as f64 / there as f64);
    println!("households: precision {precision:.4}, recall {recall:.4}");
    assert!(precision > 0.95, "precision {precision}");
    assert!(recall > 0.4, "recall {recall}");
}

#[test]
fn who_is_to_halt_settles_no_household() {
    let (rows, _): (Vec<Row>, Vec<u64>) = town_rows(300, 5).into_iter().unzip();
    let (mut resolver, halt) = (looking(0.9), Halt::default());
    resolver.halt_with(halt.clone());
    let mut resolver = resolve_with(resolver, &rows);
    let anchors: Vec<u32> = resolver.profiles().collect();
    let alone = |resolver: &Resolver| households(resolver, &|_| true).len() == anchors.len();
    assert!(!alone(&resolver));
    assert_eq!(resolver.settle_households(&anchors), anchors, "all are looked at");
    resolver.households = Default::default();
    assert!(alone(&resolver));
    halt.halt();
    assert!(resolver.settle_households(&anchors).is_empty());
    assert!(alone(&resolver), "nobody was weighed");
}

#[test]
fn a_graph_that_does_not_ask_for_households_has_none() {
    let rows =
        [at_home("a", "Jan", "Kostorek", "1980-05-06"), at_home("b", "Anna", "Kostorek", "")];
    let mut resolver = trained();
    for row in &rows {
        row.add_to(&mut resolver);
    }
    let delta = resolver.resolve();
    assert!(resolver.households().is_none() && delta.households.is_empty());
}

#[test]
fn a_new_record_looks_at_the_households_that_it_touches_and_at_no_other() {
    let (rows, _): (Vec<Row>, Vec<u64>) = town_rows(300, 5).into_iter().unzip();
    let mut resolver = resolve_with(looking(0.9), &rows);
    Row { record: Some("new".to_owned()), ..rows[0].clone() }.add_to(&mut resolver);
    let delta = resolver.resolve();
    let of_new = resolver.anchor_of(rows.len() as u32).unwrap();
    assert!(delta.households.contains(&of_new));
    assert!(delta.households.len() < 40, "{} of {}", delta.households.len(), rows.len());
    assert_eq!(resolver.resolve(), Delta::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn any_batching_gives_what_one_run_gives(
        rows in rows(),
        batches in prop::collection::vec(1_usize..9, 1..12),
        is_crowded in any::<bool>(),
    ) {
        let rows = distinct(rows);
        let whole = resolve_with(eager(is_crowded), &rows);
        let mut resolver = eager(is_crowded);
        let mut rest = rows.as_slice();
        for size in batches.iter().cycle() {
            let (batch, others) = rest.split_at((*size).min(rest.len()));
            for row in batch {
                row.add_to(&mut resolver);
            }
            let before = Households::clone(resolver.households().unwrap());
            let delta = resolver.resolve();
            let now = resolver.households().unwrap();
            for subject in 0..rows.len() as u32 {
                // What is written anew is all that is not as it was.
                let is_other = before.circle(subject) != now.circle(subject);
                prop_assert!(!is_other || delta.households.binary_search(&subject).is_ok());
            }
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(resolver.households(), whole.households());
        prop_assert_eq!(state(&resolver), state(&whole));
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(
        (rows, shuffled) in rows()
            .prop_map(distinct)
            .prop_flat_map(|rows| (Just(rows.clone()), Just((0..rows.len()).collect::<Vec<_>>()).prop_shuffle())),
        hidden in prop::collection::btree_set(0_u32..60, 0..4),
        is_crowded in any::<bool>(),
    ) {
        let straight = resolve_with(eager(is_crowded), &rows);
        let turned = resolve_with(eager(is_crowded), &shuffled.iter().map(|&at| rows[at].clone()).collect::<Vec<_>>());
        let name = |subject: u32| shuffled[subject as usize] as u32;
        let sets = |resolver: &Resolver, name: &dyn Fn(u32) -> u32| -> BTreeSet<BTreeSet<u32>> {
            // Hidden is who has one of these records.
            let exist = |anchor: u32| !resolver.members(anchor).any(|subject| hidden.contains(&name(subject)));
            let found = households(resolver, &exist);
            found.into_iter().map(|household| household.into_iter().map(name).collect()).collect()
        };
        prop_assert_eq!(sets(&turned, &name), sets(&straight, &|subject| subject));
    }

    #[test]
    fn nobody_is_another_person_for_it_and_everybody_is_in_one_household(rows in rows()) {
        let rows = distinct(rows);
        let resolver = resolve_with(eager(false), &rows);
        prop_assert_eq!(state(&resolver), state(&resolve_with(trained(), &rows)));
        let found = households(&resolver, &|_| true);
        let all: usize = found.iter().map(BTreeSet::len).sum();
        let of_somebody = (0..rows.len() as u32).filter(|subject| resolver.anchor_of(*subject).is_some());
        prop_assert_eq!(all, of_somebody.count());
    }
}
