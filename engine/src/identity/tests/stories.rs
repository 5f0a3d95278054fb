//! One test for each thing that happens to customer data.

use super::*;

#[test]
fn one_person_in_several_sources() {
    let rows = [
        Row::record("a", "Łukasz Wójcik")
            .with(EMAIL, "L.Wojcik@gmail.com")
            .with(PHONE, "601 123 456"),
        Row::record("b", "Anna Wójcik").with(EMAIL, "anna@x.example"),
        Row::record("c", "WOJCIK, Lukasz").with(EMAIL, "lwojcik+shop@googlemail.com"),
        Row::record("d", "L. Wójcik").with(PHONE, "+48601123456"),
        Row::record("e", "Lukasz Wojcik").born("1980-05-06"),
        Row::record("f", "Wójcik Łukasz").born("06.05.1980").lives("ul. Polna 5", "00-001"),
        Row::record("g", "Łukasz Wójick").with(PHONE, "0048 601 123 456").lives("Polna 5", "00001"),
    ];
    let resolver = check(&rows, &[&[0, 2, 3, 6], &[1], &[4, 5]]);
    let path: Vec<_> =
        resolver.path(2, 3).unwrap().into_iter().map(|edge| resolver.explain(edge).rule).collect();
    assert_eq!(path, ["email", "phone"]);
    assert_eq!(resolver.path(2, 2), Some(vec![]));
    assert_eq!(resolver.path(2, 1), None);
    let evidence: Vec<_> = resolver.edges(4).map(|edge| resolver.explain(edge)).collect();
    assert_eq!(evidence.len(), 1);
    assert_eq!((evidence[0].rule.as_str(), evidence[0].joined), ("name_birth", true));
    assert!(
        ["lukasz wojcik, 1980-05-06", "wojcik lukasz, 1980-05-06"]
            .contains(&evidence[0].value.as_str())
    );
    assert_eq!(resolver.profiles_by_value(EMAIL, "lwojcik@gmail.com"), [0]);
    assert_eq!(resolver.subjects_by_value(PHONE, "+48601123456"), [0, 3, 6]);
}

#[test]
fn versions_of_a_record_are_one_person_whatever_they_say() {
    let rows = [
        Row::record("a", "Anna Nowak").with(EMAIL, "anna@x.example"),
        Row::record("a", "Jan Zielony").with(EMAIL, "jan@y.example"),
        Row { source: 1, ..Row::record("a", "Jan Kowalski") },
    ];
    let resolver = check(&rows, &[&[0, 1], &[2]]);
    let evidence = resolver.explain(resolver.edges(0).next().unwrap());
    assert_eq!(
        (evidence.rule.as_str(), evidence.value.as_str(), evidence.joined),
        (RECORD_RULE, "a", true)
    );
}

#[test]
fn a_family_shares_a_mailbox_and_stays_apart() {
    let rows = [
        Row::record("a", "Jan Nowak").with(EMAIL, "family@x.example"),
        Row::record("b", "Ewa Nowak").with(EMAIL, "family@x.example"),
        Row::record("c", "Janek Nowak").with(EMAIL, "family@x.example"),
        Row::record("d", "Jan Zielony").with(EMAIL, "family@x.example"),
        Row::event().with(EMAIL, "family@x.example"),
    ];
    let resolver = check(&rows, &[&[0, 2], &[1], &[3]]);
    assert_eq!(resolver.value_class(EMAIL, "family@x.example"), Some(ValueClass::Shared));
    assert_eq!(resolver.profiles_by_value(EMAIL, "family@x.example"), [0, 1, 3]);
    assert_eq!(resolver.anchor_of(4), None);
    let reasons: std::collections::BTreeSet<_> =
        resolver.violations().map(|violation| violation.reason.word()).collect();
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), ["given_name", "surname"]);
}

#[test]
fn placeholders_are_found_by_counting() {
    let names = ["Jan Nowak", "Ewa Zielona", "Piotr Kot", "Maria Lis"];
    let mut rows: Vec<Row> =
        names.iter().map(|name| Row::record(name, name).with(EMAIL, "none@none.example")).collect();
    rows.push(Row::record("again", "Jan Nowak").with(EMAIL, "none@none.example"));
    rows.push(Row::event().with(EMAIL, "none@none.example"));
    let resolver = check(&rows, &[&[0], &[1], &[2], &[3], &[4]]);
    assert_eq!(resolver.value_class(EMAIL, "none@none.example"), Some(ValueClass::Nobody));
    assert_eq!(resolver.profiles_by_value(EMAIL, "none@none.example"), [] as [u32; 0]);
    let nobody: Vec<_> = resolver
        .nobody_identifiers()
        .map(|identifier| (identifier.value, identifier.first_subject))
        .collect();
    assert_eq!(nobody, [("none@none.example", 0)]);
    let told = resolver.violations().map(|row| resolver.explain_violation(row));
    let told: Vec<_> = told.map(|told| (told.rule, told.value, told.reason, told.figure)).collect();
    let email = ("email".to_owned(), "none@none.example".to_owned(), "nobody", Some(5));
    assert_eq!(told, [email], "one row for all who carry it");
}

#[test]
fn a_value_that_turns_out_to_be_a_placeholder_lets_go_of_those_it_joined() {
    let mut resolver = resolver();
    for name in ["Jan Nowak", "Janek Nowak"] {
        Row::record(name, name).with(EMAIL, "none@none.example").add_to(&mut resolver);
    }
    resolver.resolve();
    assert_eq!(profiles(&resolver), [[0, 1]]);
    for name in ["Ewa Zielona", "Piotr Kot", "Maria Lis"] {
        Row::record(name, name).with(EMAIL, "none@none.example").add_to(&mut resolver);
    }
    let delta = resolver.resolve();
    assert_eq!(profiles(&resolver), [[0], [1], [2], [3], [4]]);
    assert_eq!(delta.changed[0], Change { subject: 1, before: Some(0), after: Some(1) });
    assert_eq!(
        (delta.changed.len(), resolver.counts().edges, resolver.counts().profiles),
        (4, 0, 5)
    );
}

#[test]
fn a_text_that_went_astray_identifies_nobody() {
    let mail = |key: &str, letters: usize| {
        Row::record(key, "Jan Nowak").with(EMAIL, &format!("{}@x.example", "a".repeat(letters)))
    };
    check(&[mail("a", 1_014), mail("b", 1_014)], &[&[0, 1]]);
    let resolver = check(&[mail("a", 1_000_000), mail("b", 1_000_000)], &[&[0], &[1]]);
    let told = resolver.violations().map(|row| resolver.explain_violation(row));
    let told: Vec<_> = told.map(|told| (told.reason, told.figure)).collect();
    assert_eq!(told, [("blocked", Some(2))]);
}

#[test]
fn blocked_values_identify_nobody() {
    let mut graph = definition();
    graph.identifiers[1].block_values = vec!["Me@X.example".to_owned()];
    graph.identifiers[1].block_matching = vec!["^test@".to_owned()];
    let mut resolver = Resolver::new(Rules::from_graph(&graph).unwrap());
    for (key, email) in [
        ("a", "me@x.example"),
        ("b", "me@x.example"),
        ("c", "test@x.example"),
        ("d", "test@x.example"),
    ] {
        Row::record(key, "Jan Nowak").with(EMAIL, email).add_to(&mut resolver);
    }
    resolver.resolve();
    assert_eq!(
        resolver.counts(),
        Counts { subjects: 4, profiles: 4, nobody: 2, violations: 2, ..Counts::default() }
    );
}

#[test]
fn father_and_son_of_one_name_stay_apart() {
    let rows = [
        Row::record("a", "David Lars Sr").born("1950-03-04").lives("5 Elm St", "92660"),
        Row::record("b", "David Lars").born("1985-11-12").lives("5 Elm Street", "92660"),
        Row::record("c", "David Lars Jr").lives("5 Elm Street", "92660"),
        // Nothing tells whose this is.
        Row::record("d", "David Lars").lives("5 Elm Street", "92660"),
        Row::record("e", "David Lars Jr.").lives("5 Elm Street", "92660"),
    ];
    check(&rows, &[&[0], &[1], &[2, 4], &[3]]);
}

#[test]
fn whoever_comes_to_live_with_a_namesake_changes_what_a_name_and_an_address_say() {
    let rows = [
        Row::record("a", "David Lars").born("1985-11-12").lives("5 Elm Street", "92660"),
        Row::record("b", "David Lars").lives("5 Elm Street", "92660"),
        Row::record("c", "Jan Nowak Sr").lives("5 Elm Street", "92660"),
        Row::record("d", "Jan Nowak Jr").lives("5 Elm Street", "92660"),
        // His name is spelt so that no rule but the address sees him.
        Row::record("e", "David Larz Sr").born("1950-03-04").lives("5 Elm Street", "92660"),
    ];
    let apart: [&[u32]; 5] = [&[0], &[1], &[2], &[3], &[4]];
    // Others who are namesakes there say nothing of these two.
    assert_eq!(profiles(&resolve_by(homes(), &rows[..4])), [&[0, 1][..], &[2], &[3]]);
    assert_eq!(profiles(&resolve_by(homes(), &rows)), apart);
    let mut resolver = resolve_by(homes(), &rows[..4]);
    rows[4].add_to(&mut resolver);
    resolver.resolve();
    assert_eq!(profiles(&resolver), apart, "when he came later");
}

#[test]
fn twins_stay_apart_at_one_address_with_one_phone() {
    let rows = [
        Row::record("a", "Anna Kot")
            .born("1996-01-04")
            .lives("Polna 1", "00-001")
            .with(PHONE, "226123456"),
        Row::record("b", "Ewa Kot")
            .born("1996-01-04")
            .lives("Polna 1", "00-001")
            .with(PHONE, "226123456"),
        Row::record("c", "Ania Kot").with(PHONE, "+48 22 612 34 56"),
        Row::record("d", "Ewka Kot").born("1996-01-04"),
    ];
    check(&rows, &[&[0, 2], &[1, 3]]);
}

#[test]
fn a_marriage_changes_the_surname_and_a_recycled_number_the_person() {
    let rows = [
        Row::record("a", "Anna Kot").with(EMAIL, "anna@x.example").born("1980-05-06"),
        Row::record("b", "Anna Lis").with(EMAIL, "anna@x.example").born("1980-05-06"),
        Row::record("c", "Piotr Sowa").with(PHONE, "601123456"),
        Row::record("d", "Ewa Bocian").with(PHONE, "601123456"),
        Row::event().with(PHONE, "601123456"),
    ];
    check(&rows, &[&[0, 1], &[2], &[3]]);
}

#[test]
fn one_wrong_edge_does_not_join_two_people() {
    // The initial fits both, the stronger edge comes first and then refuses the weaker one.
    let rows = [
        Row::record("a", "Jan Nowak").with(EMAIL, "j@x.example"),
        Row::record("b", "J. Nowak").with(EMAIL, "j@x.example").with(PHONE, "601123456"),
        Row::record("c", "Julia Nowak").with(PHONE, "601123456"),
    ];
    let resolver = check(&rows, &[&[0, 1], &[2]]);
    let violations: Vec<_> =
        resolver.violations().map(|violation| resolver.explain_violation(violation)).collect();
    assert_eq!(violations.len(), 1);
    let violation = &violations[0];
    assert_eq!(
        (violation.rule.as_str(), violation.value.as_str(), violation.against),
        ("phone", "+48601123456", 0)
    );
    assert_eq!(
        (
            violation.reason,
            violation.left.min(violation.right),
            violation.left.max(violation.right)
        ),
        ("given_name", 1, 2)
    );
    assert_eq!(resolver.violations_of(0).count() + resolver.violations_of(2).count(), 1);
}

#[test]
fn limits_hold() {
    let record = |i: u32| {
        Row::record(&format!("{i}"), "Jan Nowak")
            .with(PHONE, "601123456")
            .with(EMAIL, &format!("{i}@x.example"))
    };
    let resolver = resolve(&(0..5).map(record).collect::<Vec<_>>());
    let sizes: Vec<usize> = profiles(&resolver).iter().map(Vec::len).collect();
    assert_eq!(
        (sizes.iter().max(), sizes.iter().sum::<usize>()),
        (Some(&3), 5),
        "LIMIT 3 on e-mail"
    );
    let limited =
        resolver.violations().map(|violation| resolver.explain_violation(violation).limited_kind);
    assert!(limited.flatten().all(|kind| kind == "email"));
    let record = |i: u32| Row::record(&format!("{i}"), "Jan Nowak").with(PHONE, "601123456");
    let resolver = resolve(&(0..30).map(record).collect::<Vec<_>>());
    assert_eq!(profiles(&resolver).iter().map(Vec::len).max(), Some(12), "merge_limit = 12");
    assert!(resolver.violations().all(|violation| violation.reason == Refusal::MergeLimit));
}

#[test]
fn a_login_ties_the_device_to_the_customer() {
    let rows = [
        Row::event().with(DEVICE, "phone-1"),
        Row::event().with(DEVICE, "phone-1").with(CUSTOMER, "c1"),
        Row::record("c1", "Jan Nowak").with(CUSTOMER, "c1"),
        Row::event().with(DEVICE, "tablet-1"),
        // The device leads to the customer, and the mailbox with it.
        Row::event().with(DEVICE, "phone-1").with(EMAIL, "jan@x.example"),
        Row::event().with(EMAIL, "jan@x.example"),
        Row::event().with(EMAIL, "stranger@x.example"),
        Row::event(),
    ];
    let resolver = check(&rows, &[&[0, 1, 2, 4, 5], &[3], &[6]]);
    assert_eq!(resolver.anchor_of(7), None);
    let identifiers = resolver.identifiers(0);
    let found: Vec<_> = identifiers
        .iter()
        .map(|identifier| (identifier.kind, identifier.value, identifier.first_subject))
        .collect();
    assert_eq!(found, [(CUSTOMER, "c1", 1), (EMAIL, "jan@x.example", 4), (DEVICE, "phone-1", 0)]);
}

#[test]
fn a_shared_device_joins_nobody() {
    let rows = [
        Row::record("c1", "Jan Nowak").with(CUSTOMER, "c1"),
        Row::record("c2", "Ewa Nowak").with(CUSTOMER, "c2"),
        Row::event().with(DEVICE, "tablet").with(CUSTOMER, "c1"),
        Row::event().with(DEVICE, "tablet").with(CUSTOMER, "c2"),
        Row::event().with(DEVICE, "tablet"),
    ];
    let resolver = check(&rows, &[&[0, 2], &[1, 3]]);
    assert_eq!(resolver.anchor_of(4), None);
    assert_eq!(resolver.value_class(DEVICE, "tablet"), Some(ValueClass::Shared));
}

#[test]
fn a_kiosk_is_nobodys_device() {
    let mut rows = vec![Row::event().with(DEVICE, "kiosk")];
    for i in 0..6 {
        rows.push(Row::record(&format!("c{i}"), "Jan Nowak").with(CUSTOMER, &format!("c{i}")));
        rows.push(Row::event().with(DEVICE, "kiosk").with(CUSTOMER, &format!("c{i}")));
    }
    let resolver = resolve(&rows);
    assert_eq!(resolver.value_class(DEVICE, "kiosk"), Some(ValueClass::Nobody));
    assert_eq!((resolver.anchor_of(0), profiles(&resolver).len()), (None, 6));
}

#[test]
fn a_weaker_identifier_decides_among_those_of_a_shared_one() {
    let rows = [
        Row::record("c1", "Jan Nowak").with(CUSTOMER, "c1").with(EMAIL, "family@x.example"),
        Row::record("c2", "Ewa Nowak").with(CUSTOMER, "c2").with(EMAIL, "family@x.example"),
        Row::record("c3", "Ola Kot").with(CUSTOMER, "c3"),
        Row::event().with(DEVICE, "ewas").with(CUSTOMER, "c2"),
        Row::event().with(DEVICE, "olas").with(CUSTOMER, "c3"),
        Row::event().with(DEVICE, "ewas").with(EMAIL, "family@x.example"),
        Row::event().with(DEVICE, "olas").with(EMAIL, "family@x.example"),
    ];
    let resolver = check(&rows, &[&[0], &[1, 3, 5], &[2, 4]]);
    assert_eq!(resolver.anchor_of(6), None);
}

#[test]
fn an_older_subject_becomes_the_anchor_when_it_joins() {
    let mut resolver = resolver();
    Row::event().with(DEVICE, "d").add_to(&mut resolver);
    Row::record("a", "Jan Nowak").with(CUSTOMER, "c").add_to(&mut resolver);
    assert_eq!(resolver.resolve().changed.len(), 2);
    Row::event().with(DEVICE, "d").with(CUSTOMER, "c").add_to(&mut resolver);
    let delta = resolver.resolve();
    let moved = [
        Change { subject: 1, before: Some(1), after: Some(0) },
        Change { subject: 2, before: None, after: Some(0) },
    ];
    assert_eq!(
        delta,
        Delta {
            changed: moved.to_vec(),
            touched: vec![0, 1],
            households: vec![],
            subjects_resolved: 3,
            components_resolved: 1
        }
    );
    assert_eq!(resolver.resolve(), Delta::default());
}

#[test]
fn only_what_new_subjects_touch_is_resolved_again() {
    let mut resolver = resolver();
    for i in 0..1_000 {
        Row::record(&format!("{i}"), "Jan Nowak")
            .with(EMAIL, &format!("{i}@x.example"))
            .add_to(&mut resolver);
    }
    assert_eq!(resolver.resolve().components_resolved, 1_000);
    Row::record("new", "Jan Nowak").with(EMAIL, "7@x.example").add_to(&mut resolver);
    let delta = resolver.resolve();
    assert_eq!(
        (delta.subjects_resolved, delta.components_resolved, delta.changed.len()),
        (2, 1, 1)
    );
}

#[test]
fn a_value_without_names_is_counted_by_birthdays_accounts_and_records() {
    let unnamed = |key: &str| {
        Row { person: Some(PersonFields::default()), ..Row::record(key, "") }
            .with(PHONE, "600000000")
    };
    let class = |rows: &[Row]| resolve(rows).value_class(PHONE, "+48600000000");
    let rows = |count: usize| (0..count).map(|i| unnamed(&format!("{i}"))).collect::<Vec<_>>();
    assert_eq!(class(&rows(12)), Some(ValueClass::Personal));
    assert_eq!(class(&rows(13)), Some(ValueClass::Nobody), "more than merge_limit = 12");
    let births = ["1950-01-02", "1961-03-04", "1972-05-06", "1983-07-08"];
    let born: Vec<Row> = births.iter().map(|birth| unnamed(birth).born(birth)).collect();
    assert_eq!(class(&born[..3]), Some(ValueClass::Shared));
    assert_eq!(class(&born), Some(ValueClass::Nobody));
    let accounts: Vec<Row> =
        (0..4).map(|i| unnamed(&format!("{i}")).with(CUSTOMER, &format!("c{i}"))).collect();
    assert_eq!(class(&accounts[..3]), Some(ValueClass::Shared));
    assert_eq!(class(&accounts), Some(ValueClass::Nobody));
}

#[test]
fn a_placeholder_without_names_costs_no_time() {
    let rows: Vec<Row> = (0..20_000)
        .map(|i| {
            Row { person: Some(PersonFields::default()), ..Row::record(&format!("{i}"), "") }
                .born(&format!("{}-{:02}-{:02}", 1930 + i % 80, 1 + i % 12, 1 + i % 28))
                .lives(&format!("Polna {i}"), &format!("{:05}", i))
                .with(PHONE, "600000000")
        })
        .collect();
    let begun = std::time::Instant::now();
    assert_eq!(profiles(&resolve(&rows)).len(), rows.len());
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn many_addresses_of_one_person_make_its_phone_nobodys_no_more() {
    let rows: Vec<Row> = (0..70)
        .map(|i| {
            Row::record("a", "Jan Nowak")
                .lives(&format!("Polna {i}"), &format!("00-{i:03}"))
                .with(PHONE, "601123456")
        })
        .collect();
    let resolver = resolve(&rows);
    assert_eq!(resolver.value_class(PHONE, "+48601123456"), Some(ValueClass::Personal));
    assert_eq!(profiles(&resolver).len(), 1);
}

#[test]
fn what_a_later_version_corrects_stands_against_nobody() {
    let rows = [
        Row::record("a", "Ewa Nowak").with(EMAIL, "ewa@x.example"),
        Row::record("a", "Ola Nowak").with(EMAIL, "ewa@x.example"),
        Row::record("b", "Aleksandra Nowak").with(EMAIL, "ewa@x.example"),
        Row::record("c", "Piotr Nowak").with(EMAIL, "ewa@x.example"),
    ];
    check(&rows, &[&[0, 1, 2], &[3]]);
}

#[test]
fn a_limit_leaves_an_event_with_its_customer_and_takes_no_more_values() {
    let mut rows =
        vec![Row::record("c", "Jan Nowak").with(CUSTOMER, "c").with(EMAIL, "0@x.example")];
    for i in 1..6 {
        rows.push(Row::event().with(CUSTOMER, "c").with(EMAIL, &format!("{i}@x.example")));
        rows.push(Row::event().with(EMAIL, &format!("{i}@x.example")));
    }
    let resolver = resolve(&rows);
    let customer: Vec<u32> = resolver.members(0).collect();
    assert_eq!(
        customer.iter().filter(|subject| **subject % 2 == 1).count(),
        5,
        "the customer's own"
    );
    assert_eq!(customer.len(), 1 + 5 + 2, "of the mailboxes two found room");
    let emails = resolver.identifiers(0).into_iter().filter(|found| found.kind == EMAIL);
    assert_eq!(emails.count(), 3, "LIMIT 3");
    let refused: Vec<_> =
        resolver.violations_of(0).map(|violation| resolver.explain_violation(violation)).collect();
    assert_eq!(refused.len(), 3);
    for violation in refused {
        assert_eq!((violation.reason, violation.limited_kind.as_deref()), ("limit", Some("email")));
        assert_ne!(resolver.profiles_by_value(EMAIL, &violation.value), [0]);
    }
}

#[test]
fn an_agreement_without_an_edge_has_a_row_that_says_why() {
    let reason = |rows: &[Row]| -> Vec<&'static str> {
        resolve(rows).violations().map(|violation| violation.reason.word()).collect()
    };
    let mail = |key: &str, name: &str| Row::record(key, name).with(EMAIL, "n@x.example");
    assert_eq!(reason(&[mail("a", "J Nowak"), mail("b", "Jan Nowaq")]), ["name"]);
    let unnamed = Row { person: Some(PersonFields::default()), ..mail("c", "") };
    let words = reason(&[mail("a", "Jan Nowak"), mail("b", "Ewa Nowak"), unnamed]);
    assert_eq!(words.iter().filter(|word| **word == "unnamed").count(), 2, "{words:?}");
    let at_home = |key: &str, birth: &str| {
        Row::record(key, "David Lars").born(birth).lives("5 Elm St", "92660")
    };
    assert_eq!(reason(&[at_home("a", "1950-03-04"), at_home("b", "1985-11-12")]), ["birth_date"]);
    let at_home = |key: &str, name: &str| Row::record(key, name).lives("5 Elm St", "92660");
    assert_eq!(reason(&[at_home("a", "David Lars Jr"), at_home("b", "David Lars")]), ["namesake"]);
    let second = [at_home("a", "Jean-Luc Kot"), at_home("b", "Jean-Pierre Kot")];
    assert_eq!(reason(&second), ["given_name"]);
}

#[test]
fn a_block_of_many_is_walked_once() {
    let rows: Vec<Row> =
        (0..20_000).map(|i| Row::record(&format!("{i}"), "Jan Nowak").born("1980-05-06")).collect();
    let begun = std::time::Instant::now();
    let resolver = resolve(&rows);
    assert_eq!(profiles(&resolver).iter().map(Vec::len).max(), Some(12), "merge_limit = 12");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
