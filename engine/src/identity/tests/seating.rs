//! Those for whom a limit left no room in a profile find each other.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::overrides::cannot;
use super::*;

/// Cases of the law.
const CASES: u32 = 100;

/// Records of a case at most: more than are compared at a time.
const COUNT_MAX: usize = 100;

/// How many records profiles have, the largest first.
fn sizes(resolver: &Resolver) -> Vec<usize> {
    let mut sizes: Vec<usize> = profiles(resolver).iter().map(Vec::len).collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    sizes
}

fn ula(key: usize) -> Row {
    Row::record(&key.to_string(), "Ula Bąk").with(EMAIL, "ula@x.example")
}

#[test]
fn who_is_refused_by_a_limit_forms_the_next_star() {
    let mut graph = definition();
    graph.identifiers[usize::from(CUSTOMER)].limit = Some(2);
    let rows: Vec<Row> = (0..6).map(|at| ula(at).with(CUSTOMER, &format!("c{at}"))).collect();
    let resolver = resolve_by(graph.clone(), &rows);
    assert_eq!(sizes(&resolver), [2, 2, 2]);
    assert!(resolver.violations().all(|found| found.reason == Refusal::Limit(CUSTOMER)));
    // A limit of one leaves everybody alone, however often they are compared.
    graph.identifiers[usize::from(CUSTOMER)].limit = Some(1);
    assert_eq!(sizes(&resolve_by(graph.clone(), &rows)), [1; 6]);
    // Where some say more than others do, these are compared with each other, too.
    graph.identifiers[usize::from(CUSTOMER)].limit = Some(2);
    let rows: Vec<Row> = rows
        .into_iter()
        .enumerate()
        .map(|(at, row)| if at < 3 { row.lives("Polna 3", "00-001") } else { row })
        .collect();
    assert_eq!(sizes(&resolve_by(graph, &rows)), [2, 2, 2]);
}

#[test]
fn the_same_holds_of_records_beyond_the_limit_of_a_profile() {
    let mut graph = definition();
    graph.merge_limit = 5;
    let rows: Vec<Row> = (0..12).map(ula).collect();
    assert_eq!(sizes(&resolve_by(graph.clone(), &rows)), [5, 5, 2]);
    let born = |at: usize| Row::record(&at.to_string(), "Ula Bąk").born("1980-05-06");
    let born: Vec<Row> = (0..12).map(born).collect();
    assert_eq!(sizes(&resolve_by(graph, &born)), [5, 5, 2], "in a block of a MATCH rule, too");
}

#[test]
fn who_is_split_off_stays_together_among_many() {
    let mut graph = definition();
    graph.merge_limit = 1_000;
    let rows: Vec<Row> = (0..150).map(ula).collect();
    let off = ["3", "70", "140"];
    let mut resolver = resolve_by(graph, &rows);
    let others = (0..rows.len()).map(|at| at.to_string()).filter(|at| !off.contains(&at.as_str()));
    let others: Vec<String> = others.collect();
    let apart = off.iter().flat_map(|one| others.iter().map(move |other| (*one, other)));
    let apart: Vec<Override> = apart.map(|(one, other)| cannot(1, (one, other.as_str()))).collect();
    resolver.set_overrides(&apart).unwrap();
    resolver.resolve();
    assert_eq!(sizes(&resolver), [147, 3]);
    assert_eq!(resolver.anchor_of(70), Some(3));
    assert_eq!(resolver.anchor_of(140), Some(3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn profiles_are_filled_one_after_the_other(
        (count, merge_limit) in (2_usize..COUNT_MAX, 1_usize..20),
        order in prop::collection::vec(any::<prop::sample::Index>(), COUNT_MAX),
        batch in 8_usize..50,
    ) {
        // As many may share the mailbox, or else it would be nobody's.
        let mut graph = IdentityGraph { shared_limit: COUNT_MAX as u32, ..definition() };
        graph.merge_limit = merge_limit as u32;
        let mut rows: Vec<Row> = (0..count).map(ula).collect();
        for (at, to) in order.iter().take(count).enumerate() {
            rows.swap(at, to.index(count));
        }
        let mut resolver = Resolver::new(Rules::from_graph(&graph).unwrap());
        for rows in rows.chunks(batch) {
            for row in rows {
                row.add_to(&mut resolver);
            }
            resolver.resolve();
        }
        let mut expected = vec![merge_limit; count / merge_limit];
        expected.extend(Some(count % merge_limit).filter(|rest| *rest > 0));
        prop_assert_eq!(sizes(&resolver), expected);
        let records = |resolver: &Resolver, rows: &[Row]| -> BTreeSet<Vec<String>> {
            let named = |members: &Vec<u32>| {
                let mut keys: Vec<String> =
                    members.iter().map(|&at| rows[at as usize].record.clone().unwrap()).collect();
                keys.sort_unstable();
                keys
            };
            profiles(resolver).iter().map(named).collect()
        };
        let straight: Vec<Row> = (0..count).map(ula).collect();
        let whole = resolve_by(graph, &straight);
        prop_assert_eq!(records(&resolver, &rows), records(&whole, &straight));
    }
}
