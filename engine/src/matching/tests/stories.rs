//! What becomes of people, families and placeholders in a town that the model has learnt from.

use std::collections::HashMap;

use super::town::town;
use super::{Row, kinds, records, resolve};
use crate::matching::{Batch, Form, Kind, Matcher, Model, Options, Overrides, Records, explain};

const HOUSEHOLDS: u64 = 800;

/// A town, and some more records with the keys 1, 2, 3 ...
fn with(rows: &[Row]) -> Records {
    let (mut town, _) = town(HOUSEHOLDS, 7);
    town.extend(rows.iter().zip(1..).map(|(row, key)| (key, row.map(str::to_owned))));
    records(&town, 1000)
}

/// Checks into which groups added records fall, by the numbers of their groups.
#[track_caller]
fn check(rows: &[Row], groups: &[usize]) {
    let records = with(rows);
    let (model, clusters, _) = resolve(&records, 2);
    let matcher = Matcher::new(&records, Options::default());
    let row_of: HashMap<u64, u32> =
        (0..records.len() as u32).map(|row| (records.key(row), row)).collect();
    let row = |at: usize| row_of[&(at as u64 + 1)];
    for left in 0..rows.len() {
        for right in 0..left {
            let (one, other) = (row(left), row(right));
            let together = clusters.roots[one as usize] == clusters.roots[other as usize];
            if together != (groups[left] == groups[right]) {
                let why = explain(&mut matcher.scorer(&model), one, other);
                panic!("together: {together} {:?} {:?} {why:#?}", rows[left], rows[right]);
            }
        }
    }
}

fn pairs(counts: impl Iterator<Item = u64>) -> f64 {
    counts.map(|count| (count * (count - 1) / 2) as f64).sum()
}

#[test]
fn people_are_found_and_families_stay_apart() {
    let (rows, truth) = town(HOUSEHOLDS, 3);
    let people: HashMap<u64, u64> = rows.iter().map(|(key, _)| *key).zip(truth).collect();
    let (model, _, keys) = resolve(&records(&rows, 500), 2);
    let mut cells: HashMap<(u64, u64), u64> = HashMap::new();
    let (mut by_root, mut by_person) = (HashMap::new(), HashMap::new());
    for (key, root) in keys {
        *cells.entry((root, people[&key])).or_default() += 1;
        *by_root.entry(root).or_insert(0) += 1;
        *by_person.entry(people[&key]).or_insert(0) += 1;
    }
    let right = pairs(cells.into_values());
    let (precision, recall) =
        (right / pairs(by_root.into_values()), right / pairs(by_person.into_values()));
    assert!(precision > 0.98, "precision {precision}");
    assert!(recall > 0.85, "recall {recall}");
    assert!(model.health.prior_spread < 2.0, "{:?}", model.health);
}

#[test]
fn one_person_is_put_together() {
    check(
        &[
            ["Kuba", "Wójcik", "1980-05-06", "ul. Polna 3", "00-001", "", "", "", "", ""],
            ["Jakub", "Wojcik", "1980-06-05", "Polna 3/4", "00-001", "", "", "", "", ""],
            ["WOJCIK", "JAKUB", "1980-05-06", "", "", "", "", "", "", ""],
        ],
        &[0, 0, 0],
    );
    check(
        &[
            ["Luis Alberto", "Martín Gómez", "1980-05-06", "Polna 3", "00-001", "", "", "", "", ""],
            ["Luis Martín Gómez", "", "1980-05-06", "Polna 3", "00-001", "", "", "", "", ""],
        ],
        &[0, 0],
    );
    check(
        &[
            ["Maria", "Gralipowska", "1970-03-04", "", "", "", "maria@example.org", "", "", ""],
            ["Maria", "Gralipowski", "", "", "", "", "Maria@Example.org", "", "", ""],
            ["", "", "", "", "", "", "maria@example.org", "", "", ""],
        ],
        &[0, 0, 0],
    );
}

#[test]
fn second_given_names_tell_brothers_apart_and_one_written_as_two_is_one() {
    let home = |first: &'static str, born: &'static str| {
        [first, "Kostorek", born, "Polna 3", "00-001", "", "", "", "", ""]
    };
    let born = "1980-05-06";
    check(&[home("Mary Ann", born), home("Maryann", born), home("Mary-Ann", born)], &[0, 0, 0]);
    check(&[home("Jean-Luc", born), home("Jean-Pierre", born), home("Jean Luc", born)], &[0, 1, 0]);
}

#[test]
fn a_family_stays_apart() {
    check(
        &[
            [
                "Jan",
                "Kostorek",
                "1980-05-06",
                "Polna 3",
                "00-001",
                "",
                "family@wp.pl",
                "221234567",
                "",
                "",
            ],
            ["Jan", "Kostorek", "1980-05-06", "Polna 3", "00-001", "", "family@wp.pl", "", "", ""],
            [
                "Anna",
                "Kostorek",
                "1982-07-08",
                "Polna 3",
                "00-001",
                "",
                "family@wp.pl",
                "221234567",
                "",
                "",
            ],
            ["Anna", "Kostorek", "1982-07-08", "Polna 3", "00-001", "", "", "221234567", "", ""],
        ],
        &[0, 0, 1, 1],
    );
}

#[test]
fn families_are_known_by_their_homes_where_nobody_shares_a_mailbox() {
    let (mut rows, _) = town(HOUSEHOLDS, 7);
    rows.iter_mut().for_each(|(_, row)| [6, 7].iter().for_each(|&at| row[at].clear()));
    let (model, ..) = resolve(&records(&rows, 1000), 2);
    let ratio = model.prior_household / model.prior;
    assert!((0.2..4.0).contains(&ratio), "households to people: {ratio}");
}

#[test]
fn twins_and_namesakes_stay_apart() {
    check(
        &[
            ["Jan", "Kostorek", "2001-05-06", "Polna 3", "00-001", "", "", "", "", ""],
            ["Szymon", "Kostorek", "2001-05-06", "Polna 3", "00-001", "", "", "", "", ""],
        ],
        &[0, 1],
    );
    check(
        &[
            ["Jan", "Kostorek Sr", "1951-03-02", "Polna 3", "00-001", "", "", "", "", ""],
            ["Jan", "Kostorek Jr", "1981-11-12", "Polna 3", "00-001", "", "", "", "", ""],
        ],
        &[0, 1],
    );
}

#[test]
fn a_son_is_not_his_father_for_their_name_and_address() {
    let senior = ["Jan", "Kostorek Sr", "1951-03-02"];
    let row = |[given, surname, birth]: [&'static str; 3], mailbox, phone| -> Row {
        [given, surname, birth, "Polna 3", "00-001", "", mailbox, phone, "", ""]
    };
    let father = row(senior, "jan@example.org", "601222333");
    let unknown = ["Jan", "Kostorek", ""];
    check(&[father, row(unknown, "kostorek@example.org", "602333444")], &[0, 1]);
    check(&[father, row(unknown, "jan@example.org", "")], &[0, 0]);
}

#[test]
fn surnames_that_come_first_make_nobody_one() {
    let row = |name| ["Kostorek", name, "", "Polna 3", "00-001", "", "", "221234567", "", ""];
    check(&[row("Jan"), row("Szymon")], &[0, 1]);
    check(&[row("Jakub"), row("Kuba")], &[0, 0]);
}

#[test]
fn a_surname_that_comes_first_weighs_as_one_that_comes_last() {
    let row = |given, surname| -> Row { [given, surname, "", "", "", "", "", "", "", ""] };
    let records = with(&[
        row("Jakub", "Kostorek"),
        row("Kuba", "Kostorek"),
        row("Kostorek", "Jakub"),
        row("Kostorek", "Kuba"),
    ]);
    let row = |key: u64| (0..records.len() as u32).find(|&row| records.key(row) == key).unwrap();
    let matcher = Matcher::new(&records, Options::default());
    let model = matcher.train();
    let mut scorer = matcher.scorer(&model);
    assert_eq!(scorer.weigh(row(3), row(4)), scorer.weigh(row(1), row(2)));
}

#[test]
fn a_placeholder_joins_nobody() {
    let names = [
        ("Jan", "Kostorek"),
        ("Anna", "Malwilak"),
        ("Piotr", "Stadobik"),
        ("Ewa", "Torgraicz"),
        ("Marek", "Zarlipek"),
        ("Hanna", "Jasnoryk"),
        ("Adam", "Ranchoak"),
        ("Wanda", "Pieostek"),
        ("Oskar", "Bardobak"),
    ];
    let rows: Vec<Row> = names
        .iter()
        .map(|(given, surname)| [given, surname, "", "", "", "", "none@none.com", "", "", ""])
        .collect();
    check(&rows, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_profile_may_be_large() {
    let one: Row = ["Jan", "Kostorek", "1980-05-06", "", "", "", "jan@example.org", "", "", ""];
    let other: Row = ["Jan", "Kostorek", "", "", "", "", "jan@example.org", "", "", ""];
    let unnamed: Row = ["", "", "", "", "", "", "jan@example.org", "", "", ""];
    let rows: Vec<Row> = [one, other, unnamed].into_iter().cycle().take(900).collect();
    check(&rows, &[0; 900]);
}

#[test]
fn decisions_stand_and_contradictions_are_told() {
    let rows = [
        ["Jan", "Kostorek", "1980-05-06", "", "", "", "jan@example.org", "", "", ""],
        ["Jan", "Kostorek", "1980-05-06", "", "", "", "jan@example.org", "", "", ""],
        ["Ewa", "Malwilak", "1990-01-02", "", "", "", "", "", "", ""],
    ];
    let records = with(&rows);
    let row = |key: u64| (0..records.len() as u32).find(|&row| records.key(row) == key).unwrap();
    let matcher = Matcher::new(&records, Options::default());
    let model = matcher.train();
    let roots = |always: &[(u64, u64)], never: &[(u64, u64)]| {
        let rows = |pairs: &[(u64, u64)]| {
            pairs.iter().map(|&(left, right)| (row(left), row(right))).collect()
        };
        let overrides = Overrides { always: rows(always), never: rows(never) };
        let clusters = matcher.cluster(&model, matcher.edges(&model), &overrides);
        ([1, 2, 3].map(|key| clusters.roots[row(key) as usize]), clusters)
    };
    let ([one, two, three], _) = roots(&[], &[]);
    assert!(one == two && two != three);
    let ([one, two, three], clusters) = roots(&[(2, 3)], &[(1, 2)]);
    assert!(one != two && two == three, "{clusters:?}");
    let cut = clusters.cut.iter().find(|cut| cut.edge.left == row(1).min(row(2))).unwrap();
    assert!(cut.edge.bits() > 10.0, "{cut:?}");
    let ([one, two, _], clusters) = roots(&[(1, 2)], &[(1, 2)]);
    assert!(one != two);
    assert_eq!(clusters.contradictory, [(row(1), row(2))]);
}

#[test]
fn an_explanation_adds_up() {
    let records = with(&[
        ["Kuba", "Kostorek", "1980-05-06", "", "", "", "jan@example.org", "", "", ""],
        ["Jakub", "Kostorek", "1980-06-05", "", "", "", "", "", "", ""],
    ]);
    let row = |key: u64| (0..records.len() as u32).find(|&row| records.key(row) == key).unwrap();
    let matcher = Matcher::new(&records, Options::default());
    let model: Model = matcher.train();
    let mut scorer = matcher.scorer(&model);
    let (steps, weight) = explain(&mut scorer, row(1), row(2));
    assert!((steps.iter().map(|step| step.bits).sum::<f32>() - weight.same).abs() < 0.01);
    let labels: Vec<(&str, &str)> =
        steps.iter().map(|step| (step.name.as_str(), step.label)).collect();
    assert_eq!(
        labels[..4],
        [
            ("prior", ""),
            ("given name", "forms of one name"),
            ("surname", "equal"),
            ("birth date", "one slip, or day and month swapped"),
        ]
    );
    assert_eq!(scorer.weigh_all(row(1), &[row(2)])[0], weight);
}

#[test]
fn an_empty_table_and_a_lone_record_are_no_trouble() {
    for rows in [vec![], vec![(1, [""; 10])]] {
        let (_, clusters, _) = resolve(&records(&rows, 1), 2);
        assert_eq!(clusters.roots.len(), rows.len());
    }
    let mut records = Records::new(kinds()).unwrap();
    records.add(&Batch::default(), 4);
    assert!(records.is_empty());
    let kind = Kind { name: "id".to_owned(), form: Form::Code };
    assert!(Records::new(vec![kind.clone(); 12]).is_ok());
    assert!(Records::new(vec![kind; 13]).is_err());
}
