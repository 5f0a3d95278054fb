//! Versions of records: which one speaks, and what a correction does.

use super::fuzzy::{person, resolve_with, trained};
use super::properties::state;
use super::*;

/// Resolves rows at once and one by one, and checks both.
#[track_caller]
fn check_versions(graph: IdentityGraph, rows: &[Row], expected: &[&[u32]]) -> Resolver {
    let mut resolver = Resolver::new(Rules::from_graph(&graph).unwrap());
    for row in rows {
        row.add_to(&mut resolver);
        resolver.resolve();
    }
    assert_eq!(profiles(&resolver), expected, "one by one");
    assert_eq!(profiles(&resolve_by(graph, rows)), expected, "at once");
    resolver
}

fn mail(key: &str, name: &str, email: &str) -> Row {
    Row::record(key, name).with(EMAIL, email)
}

#[test]
fn a_correction_separates_two_people() {
    let [anna, jan] = ["Anna Nowak", "Jan Nowak"].map(|name| mail("1", name, "a@x.example"));
    let same = |row: &Row| Row { record: Some("2".to_owned()), ..row.clone() };
    let corrected = [
        (anna.clone(), mail("2", "Ewa Kot", "a@x.example")),
        (anna.clone(), mail("2", "Ewa Kot", "b@x.example")),
        (jan.clone().born("1955-11-22"), mail("2", "Jan Nowak", "a@x.example").born("1990-01-02")),
        (jan.clone().born("1955-11-22"), mail("2", "Jan Nowak", "b@x.example").born("1990-01-02")),
    ];
    for (first, correction) in corrected {
        let mut second = same(&first);
        second.person.as_mut().unwrap().birth_date = None;
        check_versions(definition(), &[first.clone(), second.clone()], &[&[0, 1]]);
        check_versions(definition(), &[first, second, correction], &[&[0], &[1, 2]]);
    }
    let rows = [
        mail("1", "Jan Nowak Sr", "a@x.example"),
        mail("2", "Jan Nowak", "a@x.example"),
        mail("2", "Jan Nowak Jr", "b@x.example"),
    ];
    check_versions(definition(), &rows, &[&[0], &[1, 2]]);
}

#[test]
fn what_was_about_somebody_else_leads_nobody_to_the_record() {
    let rows = [
        mail("1", "Anna Nowak", "a@x.example"),
        mail("2", "Anna Nowak", "a@x.example"),
        mail("2", "Ewa Kot", "b@x.example"),
        Row::event().with(EMAIL, "a@x.example"),
        Row::event().with(EMAIL, "b@x.example"),
        mail("3", "Ewa Kot", "b@x.example"),
    ];
    let resolver = check_versions(definition(), &rows, &[&[0, 3], &[1, 2, 4, 5]]);
    assert_eq!(resolver.value_class(EMAIL, "a@x.example"), Some(ValueClass::Personal));
    assert_eq!(resolver.profiles_by_value(EMAIL, "a@x.example"), [0]);
    let held = resolver.identifiers(1).into_iter().map(|held| held.value);
    assert_eq!(held.collect::<Vec<_>>(), ["b@x.example"]);
    let former = [0, 1].map(|anchor| resolver.former_identifiers(anchor).into_iter());
    let former = former.map(|of| of.map(|had| (had.value, had.first_subject)).collect::<Vec<_>>());
    assert_eq!(former, [vec![], vec![("a@x.example", 1)]]);
}

#[test]
fn a_block_of_names_lets_go_of_who_was_corrected() {
    let anna = |key: &str| Row::record(key, "Anna Nowak").born("1980-05-06");
    let rows = [anna("1"), anna("2"), anna("3"), Row::record("2", "Ewa Kot").born("1951-02-03")];
    check_versions(definition(), &rows[..3], &[&[0, 1, 2]]);
    check_versions(definition(), &rows, &[&[0, 2], &[1, 3]]);
}

#[test]
fn a_block_in_which_not_all_are_compared_lets_go_of_anyone() {
    // They are judged by their postal codes, too, so that each stands for itself.
    let anna = |at: usize| {
        let born = Row::record(&at.to_string(), "Anna Nowak").born("1980-05-06");
        born.lives(&format!("Polna {at}"), &format!("00-{at:03}"))
    };
    let annas: Vec<Row> = (0..67).map(anna).collect();
    for at in 0..annas.len() {
        let correction = Row::record(&at.to_string(), "Ewa Kot").born("1951-02-03");
        let mut resolver = resolve(&annas);
        correction.add_to(&mut resolver);
        resolver.resolve();
        let rows: Vec<Row> = annas.iter().chain([&correction]).cloned().collect();
        assert_eq!(state(&resolver), state(&resolve(&rows)), "of record {at}");
    }
}

#[test]
fn what_was_about_somebody_else_is_weighed_for_nobody() {
    let oskar =
        |key: &str| person(key, "Oskar", "Kostorek").born("1980-05-06").lives("Polna 3", "00-001");
    let wanda = person("2", "Wanda", "Zarlipek").born("1951-02-03").lives("Lipowa 8", "33-100");
    let rows = [oskar("1"), oskar("2"), wanda];
    assert_eq!(profiles(&resolve_with(trained(), &rows[..2])), [[0, 1]]);
    assert_eq!(profiles(&resolve_with(trained(), &rows)), [vec![0], vec![1, 2]]);
    let mut resolver = resolve_with(trained(), &rows[..2]);
    rows[2].add_to(&mut resolver);
    resolver.resolve();
    assert_eq!(profiles(&resolver), [vec![0], vec![1, 2]]);
}

#[test]
fn where_the_newest_version_is_silent_older_ones_speak() {
    let rows = [
        mail("1", "Jan Nowak", "a@x.example").born("1955-11-22"),
        mail("2", "Jan Nowak", "a@x.example").born("1990-01-02"),
        mail("2", "Jan Nowak", "a@x.example"),
        mail("2", "", "a@x.example"),
    ];
    check_versions(definition(), &rows, &[&[0], &[1, 2, 3]]);
    // An initial says less than the name that it begins.
    let rows = [
        mail("1", "Adam Nowak", "a@x.example"),
        mail("2", "Anna Nowak", "a@x.example"),
        mail("2", "A. Nowak", "a@x.example"),
    ];
    check_versions(definition(), &rows, &[&[0], &[1, 2]]);
}

#[test]
fn what_was_the_records_own_still_leads_to_it() {
    let rows = [
        mail("1", "Iga Lis", "old@x.example"),
        mail("1", "Iga Kot", "new@x.example"),
        mail("2", "Iga Lis", "old@x.example"),
        Row::event().with(EMAIL, "old@x.example"),
    ];
    check_versions(definition(), &rows, &[&[0, 1, 2, 3]]);
}

#[test]
fn a_corrected_identifier_takes_no_room() {
    let mut graph = definition();
    graph.identifiers[usize::from(CUSTOMER)].limit = Some(1);
    let account =
        |key: &str, number: &str| mail(key, "Jan Zub", "z@x.example").with(CUSTOMER, number);
    let rows = [account("1", "11"), account("2", "12"), account("2", "11")];
    check_versions(graph.clone(), &rows[..2], &[&[0], &[1]]);
    check_versions(graph, &rows, &[&[0, 1, 2]]);
    let moved = |at: i32| mail("1", "Jan Zub", &format!("{at}@x.example")).with(CUSTOMER, "11");
    let mut rows: Vec<Row> = (0..5).map(moved).collect();
    rows.push(Row::event().with(CUSTOMER, "11").with(EMAIL, "other@x.example"));
    rows.push(Row::event().with(EMAIL, "other@x.example"));
    check_versions(definition(), &rows, &[&[0, 1, 2, 3, 4, 5, 6]]);
}

#[test]
fn the_time_of_a_version_decides_and_not_its_arrival() {
    let anna = |key: &str| mail(key, "Anna Nowak", "a@x.example");
    let ewa = mail("2", "Ewa Kot", "b@x.example");
    let late = [anna("1"), anna("2").at(5), ewa.clone().at(3)];
    check_versions(definition(), &late, &[&[0, 1, 2]]);
    let newer = [anna("1"), ewa.at(7), anna("2").at(5)];
    check_versions(definition(), &newer, &[&[0], &[1, 2]]);
}

#[test]
fn a_version_that_stands_again_speaks_again() {
    let rows = [
        mail("1", "Anna Nowak", "a@x.example"),
        mail("2", "Anna Nowak", "a@x.example"),
        mail("2", "Ewa Kot", "b@x.example").at(1),
    ];
    let mut resolver = resolve(&rows);
    let (together, apart) = (vec![vec![0, 1, 2]], vec![vec![0], vec![1, 2]]);
    assert_eq!(profiles(&resolver), apart);
    resolver.set_standing(vec![true, false, true]);
    resolver.resolve();
    assert_eq!(profiles(&resolver), apart);
    resolver.set_standing(vec![true, true]);
    let delta = resolver.resolve();
    assert_eq!(profiles(&resolver), together);
    let moved: Vec<u32> = delta.changed.iter().map(|change| change.subject).collect();
    assert_eq!(moved, [1, 2]);
    assert_eq!(resolver.resolve(), Delta::default());
    resolver.set_standing(vec![true, false, true]);
    resolver.resolve();
    assert_eq!(profiles(&resolver), apart);
}

#[test]
fn a_large_profile_costs_no_more_than_its_records() {
    let graph = IdentityGraph { merge_limit: 100_000, ..definition() };
    let record = |at: i32| {
        mail(&at.to_string(), "Jan Nowak", "a@x.example").lives(&format!("Polna {at}"), "00-001")
    };
    let rows: Vec<Row> = (0..10_000).map(record).collect();
    let begun = std::time::Instant::now();
    assert_eq!(profiles(&resolve_by(graph, &rows)).len(), 1);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
