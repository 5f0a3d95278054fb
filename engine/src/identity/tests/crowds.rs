//! Blocks with more people than are compared each with each: whoever comes to one is compared alone, and all comes to the same.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::deleted::{DELETING, stand};
use super::overrides::{overrides, told};
use super::properties::{CASES, distinct, rows, state};
use super::*;

/// Somebody at the one address, of a name that no slip makes another's.
fn neighbour(at: usize) -> Row {
    const SYLLABLES: [&str; 12] =
        ["ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se"];
    let (first, second) = (at / 4 / 12, at / 4 % 12);
    let surname = [first, second, first + second, first + 2 * second];
    let surname = surname.map(|syllable| SYLLABLES[syllable % 12]).concat();
    let name = format!("{} {surname}", ["Jan", "Ewa", "Piotr", "Maria"][at % 4]);
    Row::record(&at.to_string(), &name).lives("Polna 1", "00-001")
}

#[test]
fn one_more_in_a_large_house_looks_at_few() {
    let rows: Vec<Row> = (0..520).map(neighbour).collect();
    let mut resolver = resolve_by(homes(), &rows[..500]);
    let looked_at = rows[500..].iter().map(|row| {
        row.add_to(&mut resolver);
        resolver.resolve().subjects_resolved
    });
    let looked_at: Vec<usize> = looked_at.collect();
    // Who is among the first by a hash makes all of them be looked at.
    let few = looked_at.iter().filter(|count| **count <= 5).count();
    assert!(few >= 10, "{looked_at:?}");
    assert_eq!(state(&resolver), state(&resolve_by(homes(), &rows)));
}

#[test]
fn a_namesake_in_a_large_house_is_found() {
    let mut rows: Vec<Row> = (0..200).map(neighbour).collect();
    let lars = |key: &str| Row::record(key, "Dawid Lars").lives("Polna 1", "00-001");
    rows.push(lars("father").born("1950-03-04"));
    rows.push(lars("nobody"));
    let mut resolver = resolve_by(homes(), &rows);
    assert_eq!(resolver.anchor_of(201), Some(200));
    rows.push(lars("son").born("1985-11-12"));
    rows[202].add_to(&mut resolver);
    resolver.resolve();
    assert_eq!(resolver.anchor_of(201), Some(201), "nothing tells whose it is");
    assert_eq!(state(&resolver), state(&resolve_by(homes(), &rows)));
}

#[test]
fn whoever_moves_into_or_out_of_a_large_house_is_compared_there() {
    let mut rows: Vec<Row> = (0..200).map(neighbour).collect();
    rows.push(Row::record("7", "Ola Kot").at(1));
    rows.push(neighbour(7).at(2).born("1980-05-06"));
    let mut resolver = resolve_by(homes(), &rows[..200]);
    for row in &rows[200..] {
        row.add_to(&mut resolver);
        resolver.resolve();
    }
    assert_eq!(state(&resolver), state(&resolve_by(homes(), &rows)));
}

#[test]
fn whoever_leaves_a_large_house_and_comes_back_leaves_no_trace() {
    let mut rows: Vec<Row> = (0..200).map(neighbour).collect();
    for (key, name) in
        [("father", "Dawid Lars Sr"), ("nobody", "Dawid Lars"), ("son", "Dawid Lars Jr")]
    {
        rows.push(Row::record(key, name).lives("Polna 1", "00-001"));
    }
    let there =
        |gone: &[usize]| -> Vec<bool> { (0..rows.len()).map(|at| !gone.contains(&at)).collect() };
    let mut resolver = resolve_by(homes(), &rows);
    let most: Vec<usize> = (10..200).collect();
    let steps: [&[usize]; 6] = [&[202], &[7, 200, 202], &most, &[], &[200], &[]];
    for gone in steps {
        stand(&mut resolver, &there(gone));
        let mut whole = Resolver::new(Rules::from_graph(&homes()).unwrap());
        rows.iter().for_each(|row| {
            row.add_to(&mut whole);
        });
        stand(&mut whole, &there(gone));
        assert_eq!(state(&resolver), state(&whole), "{gone:?}");
    }
}

const GRAPHS: [fn() -> IdentityGraph; 3] = [definition, timed, homes];

/// A resolver that compares few of a block with all others, so that short logs have crowds.
fn comparing(graph: usize, compared_max: usize) -> Resolver {
    let rules = Rules::from_graph(&GRAPHS[graph]()).unwrap();
    Resolver::new(Rules { compared_max, ..rules })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn batches_and_versions_that_stood_meanwhile_do_not_matter_for_crowds(
        rows in rows(),
        steps in prop::collection::vec((1_usize..9, prop::collection::vec(any::<bool>(), 12)), 1..8),
        deletes in any::<bool>(),
        (graph, compared_max) in (0..GRAPHS.len(), 1_usize..5),
    ) {
        let rows = distinct(rows);
        let standing = |flags: &[bool], count: usize| flags.iter().cycle().take(count).copied().collect::<Vec<bool>>();
        let last = &steps[steps.len() - 1].1;
        let mut whole = comparing(graph, compared_max);
        rows.iter().for_each(|row| { row.add_to(&mut whole); });
        whole.set_deleting(|source| deletes && source == DELETING);
        whole.set_standing(standing(last, rows.len()));
        whole.resolve();
        let mut resolver = comparing(graph, compared_max);
        let mut anchors: Vec<Option<u32>> = Vec::new();
        let mut rest = rows.as_slice();
        for (size, flags) in steps.iter().cycle() {
            let (batch, others) = rest.split_at((*size).min(rest.len()));
            for row in batch {
                row.add_to(&mut resolver);
                anchors.push(None);
            }
            let flags = if others.is_empty() { last } else { flags };
            resolver.set_deleting(|source| deletes && source == DELETING);
            resolver.set_standing(standing(flags, anchors.len()));
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
    fn batches_and_the_moment_of_a_decision_do_not_matter_for_crowds(
        rows in rows(),
        sizes in prop::collection::vec(1_usize..9, 1..12),
        steps in prop::collection::vec(overrides(), 1..6),
        compared_max in 1_usize..5,
    ) {
        let rows = distinct(rows);
        let last = &steps[steps.len() - 1];
        let mut whole = comparing(0, compared_max);
        rows.iter().for_each(|row| { row.add_to(&mut whole); });
        whole.set_overrides(last).unwrap();
        whole.resolve();
        let mut resolver = comparing(0, compared_max);
        let mut rest = rows.as_slice();
        for (at, size) in sizes.iter().cycle().enumerate() {
            let (batch, others) = rest.split_at((*size).min(rest.len()));
            batch.iter().for_each(|row| { row.add_to(&mut resolver); });
            resolver.set_overrides(&steps[at % steps.len()]).unwrap();
            resolver.resolve();
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        resolver.set_overrides(last).unwrap();
        resolver.resolve();
        prop_assert_eq!(profiles(&resolver), profiles(&whole));
        prop_assert_eq!(told(&resolver), told(&whole));
    }

    #[test]
    fn the_order_of_arrival_does_not_matter_for_crowds(
        (rows, shuffled) in rows()
            .prop_map(distinct)
            .prop_flat_map(|rows| (Just(rows.clone()), Just((0..rows.len()).collect::<Vec<_>>()).prop_shuffle())),
        (graph, compared_max) in (0..GRAPHS.len(), 1_usize..5),
    ) {
        let mut straight = comparing(graph, compared_max);
        let mut turned = comparing(graph, compared_max);
        rows.iter().for_each(|row| { row.add_to(&mut straight); });
        shuffled.iter().for_each(|&at| { rows[at].add_to(&mut turned); });
        straight.resolve();
        turned.resolve();
        let people = |resolver: &Resolver, name: &dyn Fn(u32) -> u32| -> BTreeSet<BTreeSet<u32>> {
            let named = |members: &Vec<u32>| {
                members.iter().map(|&member| name(member)).collect::<BTreeSet<u32>>()
            };
            profiles(resolver).iter().map(named).collect()
        };
        let by_arrival = |subject: u32| shuffled[subject as usize] as u32;
        prop_assert_eq!(people(&turned, &by_arrival), people(&straight, &|subject| subject));
    }
}
