//! `LIMIT n PER time`: values count when they were first observed.

use super::*;

/// The devices of the profile that a customer number leads to.
fn devices(resolver: &Resolver) -> Vec<&str> {
    let anchors = resolver.profiles_by_value(CUSTOMER, "7");
    let [anchor] = anchors.as_slice() else { panic!("{anchors:?}") };
    let identifiers = resolver.identifiers(*anchor).into_iter();
    identifiers.filter(|held| held.kind == DEVICE).map(|held| held.value).collect()
}

#[test]
fn records_join_while_no_time_has_more_values_than_its_limit() {
    let phones = |times: [i64; 3]| {
        let phone = |at: usize| format!("60112345{at}");
        let record = |at: usize| Row::record(&at.to_string(), "Anna Nowak").with(CUSTOMER, "7");
        let rows = [0, 1, 2].map(|at| record(at).with(PHONE, &phone(at)).at(times[at]));
        resolve_by(timed(), &rows)
    };
    assert_eq!(profiles(&phones([0, 10, 20])), [[0, 1, 2]], "one telephone in each time of ten");
    let resolver = phones([0, 9, 20]);
    let [one, other, third] = [0, 1, 2].map(|subject| resolver.anchor_of(subject));
    assert!(one != other && [one, other].contains(&third), "{:?}", profiles(&resolver));
    let refused: Vec<_> =
        resolver.violations().map(|found| resolver.explain_violation(found)).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!((refused[0].reason, refused[0].limited_kind.as_deref()), ("limit", Some("phone")));
    let lone = resolve_by(
        definition(),
        &[0, 9, 20].map(|at| {
            Row::record(&at.to_string(), "Anna Nowak")
                .with(CUSTOMER, "7")
                .with(EMAIL, "a@x.example")
                .at(at)
        }),
    );
    assert_eq!(profiles(&lone), [[0, 1, 2]], "one value is one, however often it is observed");
}

#[test]
fn a_profile_takes_the_devices_that_were_observed_first_and_others_when_the_time_is_over() {
    let login =
        |device: &str, at: i64| Row::event().with(CUSTOMER, "7").with(DEVICE, device).at(at);
    let mut rows = vec![
        Row::record("1", "Anna Nowak").with(CUSTOMER, "7").at(0),
        login("d1", 1),
        login("d2", 2),
        login("d3", 3),
        login("d4", 11),
        login("d5", 11),
    ];
    let resolver = resolve_by(timed(), &rows);
    assert_eq!(profiles(&resolver), [[0, 1, 2, 3, 4, 5]], "every log-in is the customer's");
    let taken = devices(&resolver);
    assert!(taken == ["d1", "d2", "d4"] || taken == ["d1", "d2", "d5"], "{taken:?}");
    assert_eq!(resolver.profiles_by_value(DEVICE, "d3"), [] as [u32; 0]);
    rows[1..].reverse();
    assert_eq!(devices(&resolve_by(timed(), &rows)), taken, "whichever arrived first");
    // A device that was observed long before counts then, also if that is learnt later.
    rows.push(Row::event().with(DEVICE, "d3").at(-100));
    let mut resolver = Resolver::new(Rules::from_graph(&timed()).unwrap());
    for row in &rows {
        row.add_to(&mut resolver);
        resolver.resolve();
    }
    assert!(devices(&resolver).contains(&"d3"), "{:?}", devices(&resolver));
    assert_eq!(resolver.anchor_of(6), resolver.anchor_of(0), "and leads to the customer");
}

#[test]
fn a_weak_identifier_leads_nobody_to_a_profile_that_has_no_room_for_a_stronger_one() {
    let mut graph = definition();
    graph.identifiers[usize::from(CUSTOMER)].limit = Some(1);
    let rows = [
        Row::record("1", "Anna Nowak").with(CUSTOMER, "7").with(EMAIL, "a@x.example"),
        Row::event().with(CUSTOMER, "7").with(DEVICE, "tablet"),
        Row::event().with(CUSTOMER, "8").with(EMAIL, "a@x.example"),
        Row::event().with(CUSTOMER, "8").with(DEVICE, "phone"),
        Row::event().with(EMAIL, "b@x.example").with(DEVICE, "tablet"),
        Row::event().with(DEVICE, "phone"),
    ];
    let resolver = resolve_by(graph.clone(), &rows);
    assert_eq!(profiles(&resolver), [vec![0, 1, 4], vec![2, 3, 5]]);
    let refused: Vec<_> =
        resolver.violations().map(|found| resolver.explain_violation(found)).collect();
    let [refused] = refused.as_slice() else { panic!("{refused:?}") };
    assert_eq!((refused.rule.as_str(), refused.value.as_str()), ("email", "a@x.example"));
    assert_eq!((refused.left, refused.right), (2, 0));
    assert!([0, 1].contains(&refused.against), "who has the customer number");
    assert_eq!(refused.limited_kind.as_deref(), Some("customer_id"));
    // What both were seen with is of both.
    assert_eq!(resolver.profiles_by_value(EMAIL, "a@x.example"), [0, 2]);
    graph.identifiers[usize::from(CUSTOMER)].limit = Some(2);
    assert_eq!(profiles(&resolve_by(graph, &rows)), [[0, 1, 2, 3, 4, 5]], "room for two accounts");
}
