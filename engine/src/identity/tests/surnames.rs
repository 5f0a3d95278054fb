//! Surnames beside one given name: when they are one person's, and whom they make of a value that they share.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::properties::{CASES, distinct, state};
use super::*;

const NUMBER: &str = "+48601123456";

fn anna(key: &str, surname: &str) -> Row {
    Row::record(key, &format!("Anna {surname}")).with(PHONE, NUMBER)
}

fn class(resolver: &Resolver) -> ValueClass {
    resolver.value_class(PHONE, NUMBER).unwrap()
}

#[test]
fn women_of_one_given_name_are_not_one_customer() {
    let surnames =
        ["Nowak", "Lis", "Kot", "Wrona", "Zając", "Mazur", "Sowa", "Dudek", "Kruk", "Bocian"];
    let rows: Vec<Row> = surnames
        .iter()
        .map(|surname| anna(surname, surname).with(EMAIL, &format!("{surname}@x.example")))
        .collect();
    let resolver = resolve(&rows);
    assert_eq!((profiles(&resolver).len(), class(&resolver)), (10, ValueClass::Nobody));
    // Three are as many as share a value here.
    let resolver = resolve(&rows[..3]);
    assert_eq!((profiles(&resolver).len(), class(&resolver)), (3, ValueClass::Shared));
    assert!(resolver.violations().all(|refused| refused.reason == Refusal::Surname));
}

#[test]
fn colleagues_share_more_than_a_telephone() {
    let surnames = ["Nowak", "Lis", "Kot", "Wrona"];
    let desk = |surname: &&str| anna(surname, surname).with(EMAIL, "biuro@x.example");
    let rows: Vec<Row> = surnames.iter().map(desk).collect();
    let resolver = resolve(&rows);
    assert_eq!((profiles(&resolver).len(), class(&resolver)), (4, ValueClass::Nobody));
    assert_eq!(resolver.value_class(EMAIL, "biuro@x.example"), Some(ValueClass::Nobody));
    let at_work = rows.iter().map(|row| row.clone().lives("Polna 3", "00-001"));
    let at_work: Vec<Row> = at_work.collect();
    assert_eq!(class(&resolve(&at_work)), ValueClass::Nobody);
    // Where so many may share a value, the firm's address makes no one woman of them, either.
    let resolver = resolve_by(IdentityGraph { shared_limit: 5, ..definition() }, &at_work);
    assert_eq!((profiles(&resolver).len(), class(&resolver)), (4, ValueClass::Shared));
    // As many may be one woman's, if she was born on one day.
    let born = rows.iter().map(|row| row.clone().born("1980-05-06"));
    assert_eq!(profiles(&resolve(&born.collect::<Vec<_>>())), [[0, 1, 2, 3]]);
}

#[test]
fn two_surnames_alone_are_a_question() {
    let mut resolver = check(&[anna("a", "Nowak"), anna("b", "Lis")], &[&[0], &[1]]);
    assert_eq!(class(&resolver), ValueClass::Shared);
    let asked = resolver.review(&[0, 1]);
    let [asked] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((asked.question, asked.reason), (Question::Vetoed, Some("surname")));
    assert_eq!((asked.rule.as_str(), asked.records), ("phone", 1));
    // Somebody may know that the telephone is one woman's.
    let (kind, value) = ("phone".to_owned(), NUMBER.to_owned());
    resolver.set_classes(&[Classed { kind, value, class: ValueClass::Personal }]);
    resolver.resolve();
    assert_eq!(profiles(&resolver), [[0, 1]]);
    resolver.set_classes(&[]);
    resolver.resolve();
    assert_eq!(profiles(&resolver), [[0], [1]]);
}

#[test]
fn a_marriage_is_seen_by_what_stays() {
    let before = || anna("a", "Nowak");
    let after = || anna("b", "Lis");
    for (before, after) in [
        (before().born("1980-05-06"), after().born("1980-05-06")),
        (before().born("1980-05-06"), after().born("1980-06-05")),
        (before().lives("Polna 3", "00-001"), after().lives("Polna 3", "00-001")),
        (before().with(EMAIL, "anna@x.example"), after().with(EMAIL, "anna@x.example")),
    ] {
        let resolver = check(&[before, after], &[&[0, 1]]);
        assert_eq!(class(&resolver), ValueClass::Personal);
    }
    let elsewhere = [before().lives("Polna 3", "00-001"), after().lives("Lipowa 8", "33-100")];
    check(&elsewhere, &[&[0], &[1]]);
    // Her husband shares the telephone, and not the mailbox.
    let rows = [
        before().with(EMAIL, "anna@x.example"),
        after().with(EMAIL, "anna@x.example"),
        Row::record("c", "Jan Lis").with(PHONE, NUMBER),
    ];
    check(&rows, &[&[0, 1], &[2]]);
    // An identifier that is nobody's ties nobody.
    let mut graph = definition();
    graph.identifiers[usize::from(EMAIL)].block_values = vec!["anna@x.example".to_owned()];
    assert_eq!(profiles(&resolve_by(graph, &rows[..2])), [[0], [1]]);
}

#[test]
fn forms_and_halves_of_a_surname_and_slips_are_one() {
    for (left, right) in [
        ("Kowalska", "Kowalski"),
        ("Nowak-Lis", "Lis"),
        ("Nowak Lis", "Nowak"),
        ("Wójcik", "Wojick"),
        ("N.", "Nowak"),
    ] {
        let resolver = check(&[anna("a", left), anna("b", right)], &[&[0, 1]]);
        assert_eq!(class(&resolver), ValueClass::Personal, "{left} {right}");
    }
    // Both halves of a name tell of the marriage.
    let rows = [anna("a", "Nowak"), anna("b", "Lis"), anna("c", "Nowak-Lis")];
    assert_eq!(class(&check(&rows, &[&[0, 1, 2]])), ValueClass::Personal);
}

#[test]
fn a_given_name_alone_does_not_join_two_women() {
    let lone = Row::record("c", "Anna").with(PHONE, NUMBER);
    let rows = [anna("a", "Nowak"), anna("b", "Lis"), lone.clone()];
    let resolver = check(&rows, &[&[0], &[1], &[2]]);
    assert_eq!(class(&resolver), ValueClass::Shared);
    check(&[anna("a", "Nowak"), lone], &[&[0, 1]]);
}

#[test]
fn a_given_name_alone_is_that_of_the_only_one_in_a_family_who_has_it() {
    let jan = || Row::record("j", "Jan Nowak").with(PHONE, NUMBER);
    for short in ["Anna", "Anna N."] {
        let short = Row::record("c", short).with(PHONE, NUMBER);
        let family = [jan(), anna("a", "Nowak"), short.clone()];
        let mut resolver = check(&family, &[&[0], &[1, 2]]);
        assert_eq!(class(&resolver), ValueClass::Shared);
        // Her mother-in-law has the same one.
        anna("b", "Lis").add_to(&mut resolver);
        resolver.resolve();
        assert_eq!((profiles(&resolver).len(), class(&resolver)), (4, ValueClass::Shared));
        let rows = [jan(), anna("a", "Nowak"), short, anna("b", "Lis")];
        assert_eq!(state(&resolver), state(&resolve(&rows)));
    }
}

/// Records of one name that share a device.
fn at_a_kiosk(count: usize, more: impl Fn(usize, Row) -> Row) -> Resolver {
    let row = |at: usize| {
        let row = Row::record(&at.to_string(), "Anna Nowak").with(DEVICE, "kiosk");
        more(at, row.lives(&format!("Polna {at}"), &format!("00-{at:03}")))
    };
    resolve(&(0..count).map(row).collect::<Vec<_>>())
}

#[test]
fn namesakes_with_homes_and_mailboxes_of_their_own_are_not_one() {
    let own_mail = |at: usize, row: Row| row.with(EMAIL, &format!("{at}@x.example"));
    let device = |resolver: &Resolver| resolver.value_class(DEVICE, "kiosk").unwrap();
    let resolver = at_a_kiosk(8, own_mail);
    assert_eq!((profiles(&resolver).len(), device(&resolver)), (8, ValueClass::Nobody));
    // Somebody who moves now and then has as many homes.
    assert_eq!(device(&at_a_kiosk(5, own_mail)), ValueClass::Personal);
    let with_phone = |at: usize, row: Row| own_mail(at, row).with(PHONE, NUMBER);
    assert_eq!(device(&at_a_kiosk(8, with_phone)), ValueClass::Personal, "one telephone");
    let with_key = |at: usize, row: Row| row.with(CUSTOMER, &at.to_string());
    assert_eq!(device(&at_a_kiosk(8, with_key)), ValueClass::Personal, "keys tell nothing");
    assert_eq!(device(&at_a_kiosk(8, |_, row| row)), ValueClass::Personal, "addresses alone");
}

/// Women of few names who share mailboxes and telephones, with and without what tells them apart.
fn annas() -> impl Strategy<Value = Vec<Row>> {
    const SURNAMES: [&str; 6] = ["Nowak", "Lis", "Nowak-Lis", "Kowalska", "Kowalski", ""];
    const BIRTHS: [&str; 3] = ["1980-05-06", "1980-06-05", "1999-12-24"];
    let says = (0..10_usize, 0..SURNAMES.len(), 0..8_usize, 0..10_usize);
    let carries = (0..3_usize, 0..10_usize, 0..3_usize);
    let row = (says, carries, 0..40_i64).prop_map(|(says, (phone, email, device), at)| {
        let (key, surname, birth, home) = says;
        let mut row = Row::record(&key.to_string(), &format!("Anna {}", SURNAMES[surname]));
        if let Some(birth) = BIRTHS.get(birth) {
            row = row.born(birth);
        }
        if home < 8 {
            row = row.lives("Polna 1", &format!("00-{home:03}"));
        }
        if phone < 2 {
            row = row.with(PHONE, &format!("60112345{phone}"));
        }
        if email < 8 {
            row = row.with(EMAIL, &format!("{email}@x.example"));
        }
        if device < 2 {
            row = row.with(DEVICE, &format!("device {device}"));
        }
        row.at(at)
    });
    prop::collection::vec(row, 1..20).prop_map(distinct)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn batches_do_not_matter_for_surnames(
        rows in annas(),
        batches in prop::collection::vec(1_usize..9, 1..12),
    ) {
        let whole = resolve(&rows);
        let mut resolver = resolver();
        let mut rest = rows.as_slice();
        for size in batches.iter().cycle() {
            let (batch, others) = rest.split_at((*size).min(rest.len()));
            for row in batch {
                row.add_to(&mut resolver);
            }
            resolver.resolve();
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(state(&resolver), state(&whole));
    }

    #[test]
    fn the_order_of_arrival_does_not_matter_for_surnames(
        (rows, shuffled) in annas()
            .prop_flat_map(|rows| (Just(rows.clone()), Just((0..rows.len()).collect::<Vec<_>>()).prop_shuffle())),
    ) {
        let straight = resolve(&rows);
        let turned = resolve(&shuffled.iter().map(|&at| rows[at].clone()).collect::<Vec<_>>());
        let people = |resolver: &Resolver, name: &dyn Fn(u32) -> u32| -> BTreeSet<BTreeSet<u32>> {
            let named = |members: &Vec<u32>| {
                members.iter().map(|&member| name(member)).collect::<BTreeSet<u32>>()
            };
            profiles(resolver).iter().map(named).collect()
        };
        let by_arrival = |subject: u32| shuffled[subject as usize] as u32;
        prop_assert_eq!(people(&turned, &by_arrival), people(&straight, &|subject| subject));
        for (kind, value) in rows.iter().flat_map(|row| &row.identifiers) {
            let value = straight.rules().normalize(*kind, value, None).unwrap();
            prop_assert_eq!(straight.value_class(*kind, &value), turned.value_class(*kind, &value));
        }
    }
}
