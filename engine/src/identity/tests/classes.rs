//! What people decide about values: whom one identifies, whoever uses it; taken back; and that the moment does not matter.

use proptest::prelude::*;

use super::properties::{distinct, rows, state};
use super::*;

fn classed(kind: &str, value: &str, class: ValueClass) -> Classed {
    Classed { kind: kind.to_owned(), value: value.to_owned(), class }
}

fn mail(key: &str, name: &str, mail: &str) -> Row {
    Row::record(key, name).with(EMAIL, mail)
}

fn resolve_with(rows: &[Row], classes: &[Classed]) -> Resolver {
    let mut resolver = resolver();
    resolver.set_classes(classes);
    for row in rows {
        row.add_to(&mut resolver);
    }
    resolver.resolve();
    resolver
}

#[test]
fn namesakes_who_fill_more_profiles_than_may_share_a_value_make_it_nobodys() {
    const NUMBER: &str = "+48601123456";
    let jan = |at: usize| Row::record(&at.to_string(), "Jan Nowak").with(PHONE, NUMBER);
    let class = |count: usize| {
        resolve(&(0..count).map(jan).collect::<Vec<_>>()).value_class(PHONE, NUMBER).unwrap()
    };
    // A profile takes twelve records, and three people may share a value here.
    let classes = [12, 13, 36, 37].map(class);
    let [personal, shared, nobody] = [ValueClass::Personal, ValueClass::Shared, ValueClass::Nobody];
    assert_eq!(classes, [personal, shared, shared, nobody]);
    let rows: Vec<Row> = (0..40).map(jan).collect();
    let mut resolver = resolver();
    for row in &rows {
        row.add_to(&mut resolver);
        resolver.resolve();
    }
    assert_eq!(state(&resolver), state(&resolve(&rows)));
    assert_eq!(profiles(&resolver).len(), 40);
    let told = resolver.violations().map(|row| resolver.explain_violation(row));
    let told: Vec<_> = told.map(|told| (told.value, told.reason, told.figure)).collect();
    assert_eq!(told, [(NUMBER.to_owned(), "nobody", Some(40))]);
    // Versions of one record are one, and somebody may know that it is one man's all the same.
    let versions = (0..40).map(|at| jan(7).lives(&format!("Polna {at}"), "00-001"));
    let versions: Vec<Row> = versions.collect();
    assert_eq!(resolve(&versions).value_class(PHONE, NUMBER), Some(personal));
    resolver.set_classes(&[classed("phone", NUMBER, personal)]);
    resolver.resolve();
    assert_eq!(profiles(&resolver).len(), 4);
}

#[test]
fn ten_thousand_namesakes_on_one_telephone_take_no_time() {
    let jan = |at: usize| Row::record(&at.to_string(), "Jan Nowak").with(PHONE, "601123456");
    let begun = std::time::Instant::now();
    let mut resolver = resolve(&(0..10_000).map(jan).collect::<Vec<_>>());
    assert_eq!(profiles(&resolver).len(), 10_000);
    jan(10_000).add_to(&mut resolver);
    assert!(resolver.resolve().subjects_resolved <= 3, "one more looks at few");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn a_value_that_is_said_to_be_nobodys_lets_go_of_those_it_joined_until_that_is_taken_back() {
    let rows = [
        mail("1", "Anna Nowak", "desk@x.example"),
        mail("2", "Ania Nowak", "desk@x.example"),
        Row::event().with(EMAIL, "desk@x.example"),
    ];
    let mut resolver = resolve_with(&rows, &[]);
    assert_eq!(profiles(&resolver), [[0, 1, 2]]);
    resolver.set_classes(&[classed("email", "desk@x.example", ValueClass::Nobody)]);
    let delta = resolver.resolve();
    assert_eq!((profiles(&resolver), delta.touched), (vec![vec![0], vec![1]], vec![0, 1]));
    assert_eq!(resolver.value_class(EMAIL, "desk@x.example"), Some(ValueClass::Nobody));
    assert_eq!(resolver.anchor_of(2), None);
    resolver.set_classes(&[]);
    resolver.resolve();
    assert_eq!(profiles(&resolver), [[0, 1, 2]]);
    assert_eq!(resolver.value_class(EMAIL, "desk@x.example"), Some(ValueClass::Personal));
    assert_eq!(resolver.resolve(), Delta::default(), "nothing is looked at twice");
}

#[test]
fn a_decision_stands_for_counts_and_blocks_and_not_for_what_names_refuse() {
    // Four names are more than shared_limit = 3.
    let names = ["Anna Nowak", "Piotr Lis", "Ewa Kot", "Jan Zielony", "Ania Nowak"];
    let rows: Vec<Row> = names.iter().map(|name| mail(name, name, "till@x.example")).collect();
    assert_eq!(profiles(&resolve_with(&rows, &[])).len(), 5);
    for class in [ValueClass::Personal, ValueClass::Shared] {
        let resolver = resolve_with(&rows, &[classed("email", "Till@X.example ", class)]);
        assert_eq!(resolver.value_class(EMAIL, "till@x.example"), Some(class), "in normal form");
        assert_eq!(profiles(&resolver), [vec![0, 4], vec![1], vec![2], vec![3]]);
    }
    let mut graph = definition();
    graph.identifiers[usize::from(EMAIL)].block_matching = vec!["^till@".to_owned()];
    let mut resolver = resolve_by(graph, &rows[..1]);
    resolver.set_classes(&[classed("email", "till@x.example", ValueClass::Personal)]);
    rows[4].add_to(&mut resolver);
    resolver.resolve();
    assert_eq!(profiles(&resolver), [[0, 1]], "a person knows better than the graph");
    // Without a name a shared value is no reason to join.
    let unnamed = Row { person: Some(PersonFields::default()), ..mail("u", "", "till@x.example") };
    let rows = [rows[0].clone(), unnamed];
    assert_eq!(profiles(&resolve_with(&rows, &[])), [[0, 1]]);
    let shared = [classed("email", "till@x.example", ValueClass::Shared)];
    assert_eq!(profiles(&resolve_with(&rows, &shared)), [[0], [1]]);
}

#[test]
fn an_account_that_is_nobodys_makes_no_device_shared() {
    let rows = [
        Row::event().with(CUSTOMER, "7").with(DEVICE, "d"),
        Row::event().with(CUSTOMER, "test").with(DEVICE, "d"),
    ];
    let device = |classes: &[Classed]| resolve_with(&rows, classes).value_class(DEVICE, "d");
    assert_eq!(device(&[]), Some(ValueClass::Shared));
    let nobodys = [classed("customer_id", "test", ValueClass::Nobody)];
    assert_eq!(device(&nobodys), Some(ValueClass::Personal));
    let of_no_kind = [classed("fax", "test", ValueClass::Nobody)];
    assert_eq!(device(&of_no_kind), Some(ValueClass::Shared));
}

/// Decisions about values of [`row`], some of which nobody carries.
fn classes() -> impl Strategy<Value = Vec<Classed>> {
    let class =
        prop::sample::select(vec![ValueClass::Personal, ValueClass::Shared, ValueClass::Nobody]);
    let value = prop_oneof![
        (0..10_usize).prop_map(|at| ("email", format!("{at}@x.example"))),
        (0..6_usize).prop_map(|at| ("phone", format!("+4860112345{at}"))),
        (0..4_usize).prop_map(|at| ("anonymous_id", format!("device {at}"))),
        (0..5_usize).prop_map(|at| ("customer_id", at.to_string())),
    ];
    prop::collection::vec((value, class), 0..6).prop_map(|decided| {
        // One decision stands for each value.
        let mut made: Vec<Classed> = Vec::new();
        for ((kind, value), class) in decided {
            if made.iter().all(|known| (known.kind.as_str(), &known.value) != (kind, &value)) {
                made.push(classed(kind, &value, class));
            }
        }
        made
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn batches_and_the_moment_of_a_decision_do_not_matter(
        rows in rows(),
        sizes in prop::collection::vec(1_usize..9, 1..60),
        steps in prop::collection::vec(classes(), 1..6),
    ) {
        let rows = distinct(rows);
        let last = &steps[steps.len() - 1];
        let whole = resolve_with(&rows, last);
        let mut resolver = resolver();
        let mut rest = rows.as_slice();
        for (at, size) in sizes.iter().cycle().enumerate() {
            let (batch, others) = rest.split_at((*size).min(rest.len()));
            for row in batch {
                row.add_to(&mut resolver);
            }
            resolver.set_classes(&steps[at % steps.len()]);
            resolver.resolve();
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        resolver.set_classes(last);
        resolver.resolve();
        prop_assert_eq!(state(&resolver), state(&whole));
        for Classed { kind, value, class } in last {
            let kind = resolver.rules().kind(kind).unwrap();
            prop_assert!(resolver.value_class(kind, value).is_none_or(|found| found == *class));
        }
    }
}
