//! Records that are gone: people are made as if these had never been there.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::fuzzy::{person, resolve_with, trained};
use super::households::eager;
use super::properties::{CASES, GRAPHS, distinct, rows, state};
use super::*;

/// The source whose records may be gone.
pub(super) const DELETING: &str = "source 0";

/// Says which subjects stand, and resolves.
pub(super) fn stand(resolver: &mut Resolver, standing: &[bool]) -> Delta {
    resolver.set_deleting(|source| source == DELETING);
    resolver.set_standing(standing.to_vec());
    resolver.resolve()
}

fn jan(key: &str) -> Row {
    Row::record(key, "Jan Nowak")
}

#[test]
fn a_record_that_is_gone_joins_nobody_and_comes_back() {
    let rows = [
        jan("1").with(EMAIL, "a@x.example"),
        jan("2").with(EMAIL, "a@x.example").with(PHONE, "601123451"),
        jan("3").with(PHONE, "601123451"),
        Row::event().with(PHONE, "601123451"),
    ];
    let mut resolver = resolve(&rows);
    let together = vec![vec![0, 1, 2, 3]];
    assert_eq!(profiles(&resolver), together);
    assert!(stand(&mut resolver, &[true; 3]).changed.is_empty(), "all of them are there");
    let delta = stand(&mut resolver, &[true, false, true]);
    assert_eq!(profiles(&resolver), [vec![0], vec![2, 3]]);
    assert_eq!(resolver.anchor_of(1), None);
    let moved: Vec<u32> = delta.changed.iter().map(|change| change.subject).collect();
    assert_eq!((moved, delta.touched), (vec![1, 2, 3], vec![0, 2]));
    let held = |anchor: u32| -> Vec<String> {
        let held = resolver.identifiers(anchor).into_iter();
        held.map(|held| held.value.to_owned()).collect()
    };
    assert_eq!((held(0), held(2)), (vec!["a@x.example".into()], vec!["+48601123451".into()]));
    // The oldest one gives its profile no id any more.
    stand(&mut resolver, &[false, true, true]);
    assert_eq!(profiles(&resolver), [vec![1, 2, 3]]);
    stand(&mut resolver, &[true; 3]);
    assert_eq!(profiles(&resolver), together);
    // What only a record that is gone carried leads to nobody, and an event of it founds a profile as any visitor does.
    stand(&mut resolver, &[true, false, false]);
    assert_eq!(profiles(&resolver), [vec![0], vec![3]]);
    assert_eq!(resolver.profiles_by_value(PHONE, "+48601123451"), [3]);
}

#[test]
fn no_version_of_a_record_that_is_gone_is_anybodys() {
    let rows = [
        jan("1").with(EMAIL, "a@x.example"),
        jan("1").with(EMAIL, "b@x.example").at(1),
        jan("2").with(EMAIL, "b@x.example"),
    ];
    let mut resolver = resolve(&rows);
    assert_eq!(stand(&mut resolver, &[false, true, true]).touched, [0]);
    assert_eq!(profiles(&resolver), [[0, 1, 2]]);
    stand(&mut resolver, &[false, false, true]);
    assert_eq!(profiles(&resolver), [[2]]);
    assert_eq!((resolver.anchor_of(0), resolver.anchor_of(1)), (None, None));
}

#[test]
fn a_value_identifies_those_who_are_there() {
    let rows = [
        jan("1").with(EMAIL, "a@x.example"),
        Row::record("2", "Ewa Nowak").with(EMAIL, "a@x.example"),
    ];
    let mut resolver = resolve(&rows);
    assert_eq!(resolver.value_class(EMAIL, "a@x.example"), Some(ValueClass::Shared));
    stand(&mut resolver, &[true, false]);
    assert_eq!(resolver.value_class(EMAIL, "a@x.example"), Some(ValueClass::Personal));
    assert_eq!(profiles(&resolver), [[0]]);
}

/// When a value was first observed is told by those who are there.
#[test]
fn a_limit_for_a_time_counts_who_is_there() {
    let rows = [
        jan("1").with(PHONE, "601123451").at(0),
        Row { source: 1, ..jan("2") }.with(PHONE, "601123451").with(EMAIL, "a@x.example").at(20),
        Row { source: 1, ..jan("3") }.with(PHONE, "601123452").with(EMAIL, "a@x.example").at(25),
    ];
    let mut resolver = resolve_by(timed(), &rows);
    assert_eq!(profiles(&resolver), [[0, 1, 2]], "two numbers, of two times");
    stand(&mut resolver, &[false, true, true]);
    assert_eq!(profiles(&resolver), [[1], [2]], "of one time, as far as those know who are there");
    stand(&mut resolver, &[true; 3]);
    assert_eq!(profiles(&resolver), [[0, 1, 2]]);
}

#[test]
fn only_sources_that_tell_of_deletions_have_records_that_are_gone() {
    let rows = [jan("1"), Row { source: 1, ..jan("1") }];
    let mut resolver = resolve(&rows);
    stand(&mut resolver, &[false, false]);
    assert_eq!(profiles(&resolver), [[1]]);
    resolver.set_deleting(|_| false);
    resolver.resolve();
    assert_eq!(profiles(&resolver), [[0], [1]]);
}

#[test]
fn what_was_decided_about_a_record_that_is_gone_waits_for_it() {
    let rows =
        [jan("1").born("1980-05-06"), Row::record("2", "Ewa Kot"), Row::record("3", "Iga Lis")];
    let mut resolver = resolve(&rows);
    let record = |key: &str| RecordName { source: DELETING.to_owned(), key: key.to_owned() };
    let link = |number: u32, left: &str, right: &str| Override {
        origin: Origin::Decision(number),
        decided: Decided::MustLink,
        left: record(left),
        right: record(right),
    };
    resolver.set_overrides(&[link(1, "1", "2"), link(2, "2", "3")]).unwrap();
    stand(&mut resolver, &[true; 3]);
    assert_eq!(profiles(&resolver), [[0, 1, 2]]);
    stand(&mut resolver, &[true, false, true]);
    assert_eq!(profiles(&resolver), [[0], [2]]);
    stand(&mut resolver, &[true; 3]);
    assert_eq!(profiles(&resolver), [[0, 1, 2]]);
}

#[test]
fn a_record_that_is_gone_is_weighed_with_nobody() {
    let oskar =
        |key: &str| person(key, "Oskar", "Kostorek").born("1980-05-06").lives("Polna 3", "00-001");
    let rows = [oskar("1"), oskar("2"), oskar("3")];
    let mut resolver = resolve_with(trained(), &rows);
    assert_eq!(profiles(&resolver), [[0, 1, 2]]);
    stand(&mut resolver, &[false, true, true]);
    assert_eq!(profiles(&resolver), [[1, 2]]);
    stand(&mut resolver, &[false, true, false]);
    assert_eq!(profiles(&resolver), [[1]]);
    stand(&mut resolver, &[true; 3]);
    assert_eq!(profiles(&resolver), [[0, 1, 2]]);
}

/// The identifiers of old of a profile.
fn former(resolver: &Resolver, anchor: u32) -> Vec<String> {
    let former = resolver.former_identifiers(anchor).into_iter();
    former.map(|former| former.value.to_owned()).collect()
}

/// Who refuses by the mailbox of a record that is gone is heard by those who were one person with it, and by nobody else.
#[test]
fn what_a_record_carried_that_is_gone_is_left_to_its_person() {
    let rows = [
        jan("1").with(EMAIL, "a@x.example").with(PHONE, "601123451"),
        jan("2").with(PHONE, "601123451").with(EMAIL, "b@x.example"),
        Row::record("3", "Ewa Nowak").with(PHONE, "601123451"),
        jan("4").born("1980-05-06").with(EMAIL, "c@x.example"),
        jan("5").born("1980-05-06").with(EMAIL, "d@x.example"),
        Row::event().with(EMAIL, "c@x.example").with(DEVICE, "d1"),
        jan("6").with(EMAIL, "e@x.example"),
    ];
    let mut resolver = resolve(&rows);
    stand(&mut resolver, &[true; 7]);
    let nothing = Vec::<String>::new();
    assert_eq!(profiles(&resolver), [vec![0, 1], vec![2], vec![3, 4, 5], vec![6]]);
    assert!([0, 2, 3, 6].iter().all(|anchor| former(&resolver, *anchor).is_empty()));
    // By a value, by a MATCH rule, and to events.
    stand(&mut resolver, &[false, true, true, false, true, true, true]);
    assert_eq!(profiles(&resolver), [vec![1], vec![2], vec![4], vec![5], vec![6]]);
    assert_eq!(former(&resolver, 1), ["a@x.example"]);
    assert_eq!(former(&resolver, 2), nothing, "another given name");
    assert_eq!(former(&resolver, 4), ["c@x.example"]);
    assert_eq!(former(&resolver, 5), nothing, "it has the mailbox itself");
    assert_eq!(former(&resolver, 6), nothing);
    // Through others that are gone.
    let rows = [
        jan("1").with(EMAIL, "a@x.example").with(PHONE, "601123451"),
        jan("2").with(PHONE, "601123451").with(EMAIL, "b@x.example"),
        jan("3").with(EMAIL, "b@x.example"),
    ];
    let mut resolver = resolve(&rows);
    for standing in [[true; 3], [false, true, true], [false, false, true]] {
        stand(&mut resolver, &standing);
    }
    assert_eq!(former(&resolver, 2), ["a@x.example", "+48601123451"]);
    stand(&mut resolver, &[true; 3]);
    assert_eq!(former(&resolver, 0), nothing, "they are back");
}

/// Flags for as many subjects, again and again the same ones.
fn flags(of: &[bool], count: usize) -> Vec<bool> {
    of.iter().cycle().take(count).copied().collect()
}

/// What is written of each profile: its identifiers, those of old, its edges and its refusals.
type Told = BTreeMap<u32, (Vec<String>, BTreeSet<Edge>, BTreeSet<Violation>)>;

fn told(resolver: &Resolver) -> Told {
    let of = |anchor: u32| {
        let held = resolver.identifiers(anchor).into_iter();
        let held = held.chain(resolver.former_identifiers(anchor));
        let held: Vec<String> = held.map(|held| format!("{held:?}")).collect();
        let edges: BTreeSet<Edge> = resolver.edges(anchor).collect();
        let refused: BTreeSet<Violation> = resolver.violations_of(anchor).collect();
        (anchor, (held, edges, refused))
    };
    resolver.profiles().map(of).collect()
}

/// Returns the anchors of the profiles that are not as they were, though nothing says that they were touched.
fn passed_over(before: &Told, now: &Told, delta: &Delta) -> Vec<u32> {
    let moved = delta.changed.iter().flat_map(|moved| [moved.before, moved.after]).flatten();
    let touched: BTreeSet<u32> = moved.chain(delta.touched.iter().copied()).collect();
    let anchors: BTreeSet<u32> = before.keys().chain(now.keys()).copied().collect();
    let is_other = |anchor: &u32| before.get(anchor) != now.get(anchor);
    anchors.into_iter().filter(is_other).filter(|anchor| !touched.contains(anchor)).collect()
}

/// Sizes of batches, each with who stands behind it.
fn steps() -> impl Strategy<Value = Vec<(usize, Vec<bool>)>> {
    prop::collection::vec((1_usize..9, prop::collection::vec(any::<bool>(), 12)), 1..8)
}

/// Resolves rows in these steps, the last of which stands in the end.
fn in_steps(
    resolver: &mut Resolver,
    rows: &[Row],
    steps: &[(usize, Vec<bool>)],
) -> Result<(), TestCaseError> {
    let last = &steps[steps.len() - 1].1;
    let mut anchors: Vec<Option<u32>> = Vec::new();
    let mut rest = rows;
    for (size, of) in steps.iter().cycle() {
        let (batch, others) = rest.split_at((*size).min(rest.len()));
        for row in batch {
            row.add_to(resolver);
            anchors.push(None);
        }
        let before = told(resolver);
        let of = if others.is_empty() { last } else { of };
        let delta = stand(resolver, &flags(of, anchors.len()));
        prop_assert_eq!(passed_over(&before, &told(resolver), &delta), Vec::<u32>::new());
        for change in delta.changed {
            prop_assert_eq!(anchors[change.subject as usize], change.before);
            anchors[change.subject as usize] = change.after;
        }
        rest = others;
        if rest.is_empty() {
            break;
        }
    }
    let followed: Vec<Option<u32>> =
        (0..rows.len() as u32).map(|subject| resolver.anchor_of(subject)).collect();
    prop_assert_eq!(anchors, followed, "changes add up");
    Ok(())
}

/// Resolves rows at once.
fn at_once(resolver: &mut Resolver, rows: &[Row], standing: &[bool]) {
    for row in rows {
        row.add_to(resolver);
    }
    stand(resolver, standing);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn which_records_were_there_meanwhile_does_not_matter(
        rows in rows(),
        steps in steps(),
        graph in 0..GRAPHS.len(),
    ) {
        let rows = distinct(rows);
        let make = || Resolver::new(Rules::from_graph(&GRAPHS[graph]()).unwrap());
        let (mut resolver, mut whole) = (make(), make());
        in_steps(&mut resolver, &rows, &steps)?;
        at_once(&mut whole, &rows, &flags(&steps[steps.len() - 1].1, rows.len()));
        prop_assert_eq!(state(&resolver), state(&whole));
        prop_assert_eq!(told(&resolver), told(&whole));
    }

    #[test]
    fn who_is_gone_leaves_no_trace(
        rows in rows(),
        of in prop::collection::vec(any::<bool>(), 12),
        graph in 0..GRAPHS.len(),
    ) {
        let rows = distinct(rows);
        let standing = flags(&of, rows.len());
        let is_there = |row: &Row| {
            let mut versions = rows.iter().zip(&standing);
            let is_version = |other: &Row| other.record == row.record && other.source == 0;
            row.source != 0 || row.record.is_none() || versions.any(|(other, stands)| is_version(other) && *stands)
        };
        let there: Vec<usize> = (0..rows.len()).filter(|&at| is_there(&rows[at])).collect();
        let make = || Resolver::new(Rules::from_graph(&GRAPHS[graph]()).unwrap());
        let (mut with, mut without) = (make(), make());
        at_once(&mut with, &rows, &standing);
        let left: Vec<Row> = there.iter().map(|&at| rows[at].clone()).collect();
        at_once(&mut without, &left, &there.iter().map(|&at| standing[at]).collect::<Vec<bool>>());
        let renamed = |members: &Vec<u32>| members.iter().map(|&member| there[member as usize] as u32).collect::<Vec<_>>();
        let expected: Vec<Vec<u32>> = profiles(&without).iter().map(renamed).collect();
        prop_assert_eq!(profiles(&with), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// The same with a FUZZY rule and households.
    #[test]
    fn who_was_weighed_meanwhile_does_not_matter(
        rows in rows(),
        steps in steps(),
        is_crowded in any::<bool>(),
    ) {
        let rows = distinct(rows);
        let (mut resolver, mut whole) = (eager(is_crowded), eager(is_crowded));
        in_steps(&mut resolver, &rows, &steps)?;
        at_once(&mut whole, &rows, &flags(&steps[steps.len() - 1].1, rows.len()));
        prop_assert_eq!(state(&resolver), state(&whole));
        prop_assert_eq!(resolver.households(), whole.households());
    }
}
