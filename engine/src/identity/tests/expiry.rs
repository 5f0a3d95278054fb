//! `EXPIRE AFTER`: values that were not seen for long let go of those they joined, by the log's own time.

use std::time::Duration;

use proptest::prelude::*;

use super::properties::{distinct, rows, state};
use super::*;

/// Mailboxes, telephones and devices expire after more than ten.
fn expiring() -> Resolver {
    let mut graph = definition();
    for kind in [EMAIL, PHONE, DEVICE] {
        let rule = &mut graph.identifiers[usize::from(kind)];
        rule.expire_after = Some(Duration::from_micros(10));
    }
    Resolver::new(Rules::from_graph(&graph).unwrap())
}

/// Resolves rows of which each was seen for the last time at its time.
fn resolve_seen(rows: &[Row]) -> Resolver {
    let mut resolver = expiring();
    for row in rows {
        row.add_to(&mut resolver);
    }
    resolver.set_last_seen(&rows.iter().map(|row| row.at).collect::<Vec<_>>());
    resolver.resolve();
    resolver
}

#[test]
fn a_value_joins_while_it_is_seen_and_again_once_it_is() {
    let mail =
        |key: &str, at: i64| Row::record(key, "Anna Nowak").with(EMAIL, "a@x.example").at(at);
    let other = |at: i64| Row::record("other", "Piotr Lis").at(at);
    let mut rows = vec![mail("1", 0), mail("2", 5), other(15)];
    assert!(!resolver().asks_for_sightings() && expiring().asks_for_sightings());
    assert_eq!(profiles(&resolve_seen(&rows)), [vec![0, 1], vec![2]], "seen ten before the newest");
    rows[2].at = 16;
    let resolver = resolve_seen(&rows);
    assert_eq!(profiles(&resolver), [[0], [1], [2]]);
    let held = &resolver.identifiers(0)[0];
    assert_eq!((held.class, held.is_expired), (ValueClass::Nobody, true));
    rows.push(mail("3", 16));
    let resolver = resolve_seen(&rows);
    assert_eq!(profiles(&resolver), [vec![0, 1, 3], vec![2]]);
    assert!(!resolver.identifiers(0)[0].is_expired);
    // Customer numbers never expire here, and somebody may know better.
    let number = |key: &str| Row::record(key, "Anna Nowak").with(CUSTOMER, "7");
    let rows = [number("1"), number("2"), other(99)];
    assert_eq!(profiles(&resolve_seen(&rows)), [vec![0, 1], vec![2]]);
    let rows = [mail("1", 0), mail("2", 0), other(99)];
    let mut resolver = resolve_seen(&rows);
    let (kind, value) = ("email".to_owned(), "a@x.example".to_owned());
    resolver.set_classes(&[Classed { kind, value, class: ValueClass::Personal }]);
    resolver.resolve();
    assert_eq!(profiles(&resolver), [vec![0, 1], vec![2]]);
}

#[test]
fn a_log_that_goes_on_lets_values_expire_without_a_new_record_of_theirs() {
    let device = |at: i64| Row::event().with(CUSTOMER, "7").with(DEVICE, "d").at(at);
    let rows = [device(0), Row::event().with(DEVICE, "d").at(1), Row::event().with(DEVICE, "e")];
    let mut resolver = expiring();
    for row in &rows {
        row.add_to(&mut resolver);
    }
    resolver.set_last_seen(&[0, 1, 1]);
    resolver.resolve();
    assert_eq!(profiles(&resolver), [vec![0, 1], vec![2]]);
    // The first tuple is seen again, and the device with it; the other device is not.
    resolver.set_last_seen(&[12, 1, 1]);
    let delta = resolver.resolve();
    assert_eq!(profiles(&resolver), [[0, 1]]);
    assert_eq!(delta.changed, [Change { subject: 2, before: Some(2), after: None }]);
    resolver.set_last_seen(&[12, 1, 1]);
    assert_eq!(resolver.resolve(), Delta::default(), "nothing is looked at twice");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn batches_and_what_was_known_of_times_in_between_do_not_matter(
        rows in rows(),
        batches in prop::collection::vec(1_usize..9, 1..60),
    ) {
        let rows = distinct(rows);
        let whole = resolve_seen(&rows);
        let mut resolver = expiring();
        let (mut times, mut rest) = (Vec::new(), rows.as_slice());
        for size in batches.iter().cycle() {
            let (batch, others) = rest.split_at((*size).min(rest.len()));
            for row in batch {
                row.add_to(&mut resolver);
                times.push(row.at);
            }
            resolver.set_last_seen(&times);
            resolver.resolve();
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(state(&resolver), state(&whole));
        let newest = rows.iter().map(|row| row.at).max().unwrap();
        for edge in resolver.all_edges().filter(|edge| [EMAIL, PHONE, DEVICE].contains(&edge.rule)) {
            let value = resolver.explain(edge).value;
            let carriers = resolver.subjects_by_value(edge.rule, &value);
            let last = carriers.into_iter().map(|subject| rows[subject as usize].at).max().unwrap();
            prop_assert!(newest - last <= 10, "{} expired and joins", value);
        }
    }
}
