//! Rows that stand for many refused edges: of a value that identifies nobody, and of one that refuses more than anybody reads.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::deleted::DELETING;
use super::properties::{CASES, distinct, rows, state};
use super::*;

/// What a row says: rule, value, reason and figure.
type Told = (String, String, &'static str, Option<u32>);

fn told(resolver: &Resolver) -> Vec<Told> {
    let rows = resolver.violations().map(|row| resolver.explain_violation(row));
    let mut told: Vec<Told> =
        rows.map(|told| (told.rule, told.value, told.reason, told.figure)).collect();
    told.sort_unstable();
    told
}

fn row(rule: &str, value: &str, reason: &'static str, figure: u32) -> Told {
    (rule.to_owned(), value.to_owned(), reason, Some(figure))
}

/// Records of one name and postal code, each with a birthday of its own.
fn namesakes(count: usize) -> Vec<Row> {
    let jan = |at: usize| {
        let born = format!("{}-{:02}-{:02}", 1931 + at * 3, 1 + at % 12, 1 + at % 28);
        let row = Row::record(&at.to_string(), "Jan Kowalski").born(&born);
        row.lives(&format!("Polna {at}"), "00-001")
    };
    (0..count).map(jan).collect()
}

fn by_postal_code() -> IdentityGraph {
    let mut graph = definition();
    graph.matches.push(matching("name_postal", &["name", "postal_code"], 6));
    graph
}

#[test]
fn the_strongest_of_many_refused_edges_are_kept_and_one_row_counts_the_others() {
    let rows = namesakes(30);
    let mut resolver = resolve_by(by_postal_code(), &rows);
    assert_eq!(profiles(&resolver).len(), 30);
    // Thirty are 435 pairs.
    assert_eq!(resolver.violations().count(), 65);
    let more: Vec<Told> = told(&resolver).into_iter().filter(|row| row.3.is_some()).collect();
    assert_eq!(more, [row("name_postal", "jan kowalski, 00001", "more", 435 - 64)]);
    assert!(resolver.review(resolver.anchors()).len() <= 64);
    let figures = resolver.take_figures();
    assert_eq!(figures.sum(|rule| rule.refused), 435, "figures count all of them");
    // One by one they come to the same.
    let mut resolver = Resolver::new(Rules::from_graph(&by_postal_code()).unwrap());
    for row in &rows {
        row.add_to(&mut resolver);
        resolver.resolve();
    }
    assert_eq!(state(&resolver), state(&resolve_by(by_postal_code(), &rows)));
}

#[test]
fn what_is_kept_says_most() {
    let mut rows = namesakes(30);
    // A slip in a name agrees less, and comes first by nothing else.
    for row in &mut rows[..20] {
        row.person.as_mut().unwrap().name = Some("Jan Kowalsi".to_owned());
    }
    let mut graph = definition();
    graph.matches.push(matching("postal", &["postal_code"], 6));
    let resolver = resolve_by(graph, &rows);
    let kept = resolver.violations().filter(|found| found.reason.figure().is_none());
    let kept: Vec<Violation> = kept.collect();
    let is_same = |found: &&Violation| (found.left < 20) == (found.right < 20);
    assert_eq!((kept.len(), kept.iter().filter(is_same).count()), (64, 64));
}

#[test]
fn a_value_of_nobody_has_a_row_that_says_how_many_records_carry_it() {
    let mail = |key: &str, email: &str| Row::record(key, "Jan Nowak").with(EMAIL, email);
    let rows = [
        mail("a", "me@x.example"),
        mail("b", "me@x.example"),
        mail("b", "me@x.example").at(1).born("1980-05-06"),
        mail("c", "test@x.example"),
        Row::event().with(EMAIL, "me@x.example"),
    ];
    let mut graph = definition();
    graph.identifiers[usize::from(EMAIL)].block_matching = vec!["^(me|test)@".to_owned()];
    let mut resolver = resolve_by(graph, &rows);
    assert_eq!(told(&resolver), [row("email", "me@x.example", "blocked", 2)], "one is no pair");
    let of_profiles: Vec<u32> = resolver.profiles().collect();
    let row_of = of_profiles.iter().map(|anchor| resolver.violations_of(*anchor).count());
    assert_eq!(row_of.sum::<usize>(), 1, "it is one profile's");
    assert!(resolver.review(&of_profiles).is_empty(), "it asks nothing");
    mail("d", "me@x.example").add_to(&mut resolver);
    resolver.resolve();
    assert_eq!(told(&resolver), [row("email", "me@x.example", "blocked", 3)]);
    let decided = |class: ValueClass| {
        let (kind, value) = ("email".to_owned(), "me@x.example".to_owned());
        vec![Classed { kind, value, class }]
    };
    resolver.set_classes(&decided(ValueClass::Nobody));
    resolver.resolve();
    assert_eq!(told(&resolver), [row("email", "me@x.example", "nobody", 3)]);
    resolver.set_classes(&decided(ValueClass::Personal));
    resolver.resolve();
    assert!(told(&resolver).is_empty(), "it joins them now");
    resolver.set_classes(&[]);
    resolver.resolve();
    assert_eq!(told(&resolver), [row("email", "me@x.example", "blocked", 3)]);
}

#[test]
fn a_record_more_of_a_placeholder_of_many_looks_at_few() {
    let clerk = |at: usize| {
        let name = ["Jan Nowak", "Ewa Zielona", "Piotr Kot", "Maria Lis"][at % 4];
        Row::record(&at.to_string(), name).with(EMAIL, "none@none.example")
    };
    let mut resolver = resolve(&(0..1_234).map(clerk).collect::<Vec<_>>());
    assert_eq!(told(&resolver), [row("email", "none@none.example", "nobody", 1_200)]);
    clerk(1_234).add_to(&mut resolver);
    assert!(resolver.resolve().subjects_resolved <= 3);
    assert_eq!(told(&resolver), [row("email", "none@none.example", "nobody", 1_200)]);
}

const GRAPHS: [fn() -> IdentityGraph; 3] = [definition, timed, homes];

/// A resolver that keeps few refused edges of a value, so that short logs have more.
fn keeping(graph: usize, violations_max: usize) -> Resolver {
    let rules = Rules::from_graph(&GRAPHS[graph]()).unwrap();
    Resolver::new(Rules { violations_max, ..rules })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn which_refused_edges_are_kept_depends_on_no_batch_and_on_no_version_that_stood_meanwhile(
        rows in rows(),
        steps in prop::collection::vec((1_usize..9, prop::collection::vec(any::<bool>(), 12)), 1..8),
        deletes in any::<bool>(),
        (graph, violations_max) in (0..GRAPHS.len(), 0_usize..4),
    ) {
        let rows = distinct(rows);
        let standing = |flags: &[bool], count: usize| flags.iter().cycle().take(count).copied().collect::<Vec<bool>>();
        let last = &steps[steps.len() - 1].1;
        let mut whole = keeping(graph, violations_max);
        rows.iter().for_each(|row| { row.add_to(&mut whole); });
        whole.set_deleting(|source| deletes && source == DELETING);
        whole.set_standing(standing(last, rows.len()));
        whole.resolve();
        let mut resolver = keeping(graph, violations_max);
        let (mut rest, mut count) = (rows.as_slice(), 0);
        for (size, flags) in steps.iter().cycle() {
            let (batch, others) = rest.split_at((*size).min(rest.len()));
            batch.iter().for_each(|row| { row.add_to(&mut resolver); });
            count += batch.len();
            let flags = if others.is_empty() { last } else { flags };
            resolver.set_deleting(|source| deletes && source == DELETING);
            resolver.set_standing(standing(flags, count));
            resolver.resolve();
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(state(&resolver), state(&whole));
    }

    #[test]
    fn which_refused_edges_are_kept_does_not_depend_on_arrival(
        (rows, shuffled) in rows()
            .prop_map(distinct)
            .prop_flat_map(|rows| (Just(rows.clone()), Just((0..rows.len()).collect::<Vec<_>>()).prop_shuffle())),
        (graph, violations_max) in (0..GRAPHS.len(), 0_usize..4),
    ) {
        let mut straight = keeping(graph, violations_max);
        let mut turned = keeping(graph, violations_max);
        rows.iter().for_each(|row| { row.add_to(&mut straight); });
        shuffled.iter().for_each(|&at| { rows[at].add_to(&mut turned); });
        straight.resolve();
        turned.resolve();
        let refused = |resolver: &Resolver, name: &dyn Fn(u32) -> u32| -> BTreeSet<_> {
            let found = resolver.violations();
            found.map(|found| (name(found.left), name(found.right), found.rule, found.reason)).collect()
        };
        let by_arrival = |subject: u32| shuffled[subject as usize] as u32;
        prop_assert_eq!(refused(&turned, &by_arrival), refused(&straight, &|subject| subject));
    }
}
