//! Properties: batches and order do not matter.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const GIVEN: [&str; 8] = ["Jan", "Janek", "Ewa", "Anna", "Ania", "Piotr", "Pjotr", "J."];
const SURNAMES: [&str; 4] = ["Nowak", "Nowka", "Kowalska", "Lis"];
const BIRTHS: [&str; 5] = ["1980-05-06", "1980-06-05", "1951-02-03", "1980-01-01", "1999-12-24"];

/// Cases of each law.
pub(super) const CASES: u32 = 10_000;

/// One log in so many is long.
const LONG_ONE_IN: u32 = 50;

/// From how many values rows are made, and how many of these stand for something: otherwise the row has none.
struct Values {
    keys: usize,
    emails: [usize; 2],
    phones: [usize; 2],
    devices: [usize; 2],
}

const MANY: Values = Values { keys: 12, emails: [16, 10], phones: [12, 6], devices: [8, 4] };
const FEW: Values = Values { keys: 5, emails: [6, 4], phones: [5, 3], devices: [6, 3] };

/// Logs of so few values that families, namesakes, placeholders and shared devices come about by themselves. Most are short,
/// so that there can be many: what goes wrong shows in a handful of rows.
pub(super) fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop_oneof![
        LONG_ONE_IN - 1 => prop::collection::vec(row(&FEW), 1..12),
        1 => prop::collection::vec(row(&MANY), 1..60),
    ]
}

fn row(values: &'static Values) -> impl Strategy<Value = Row> {
    let person = (
        0..values.keys,
        0..GIVEN.len(),
        0..SURNAMES.len(),
        0..BIRTHS.len() * 2,
        0..4_usize,
        0..3_usize,
    );
    let identifiers = (0..values.emails[0], 0..values.phones[0], 0..values.devices[0]);
    (0..3_u16, person, identifiers, 0..3_usize, 0..40_i64).prop_map(
        move |(source, person, (email, phone, device), suffix, at)| {
            let (key, given, surname, birth, street, shape) = person;
            let mut row = if shape == 0 {
                Row { source: 9, ..Row::event() }
            } else {
                let name =
                    format!("{} {}{}", GIVEN[given], SURNAMES[surname], ["", "", " Jr"][suffix]);
                Row { source, trust: 100 + source, ..Row::record(&format!("{key}"), &name) }
            };
            if let Some(birth) = BIRTHS.get(birth).filter(|_| shape > 0) {
                row = row.born(birth);
            }
            if street < 2 && shape > 0 {
                row = row.lives(&format!("Polna {street}"), "00-001");
            }
            if email < values.emails[1] {
                row = row.with(EMAIL, &format!("{email}@x.example"));
            }
            if phone < values.phones[1] {
                row = row.with(PHONE, &format!("60112345{phone}"));
            }
            if device < values.devices[1] {
                row = row.with(DEVICE, &format!("device {device}"));
            }
            if device < 2 {
                row = row.with(CUSTOMER, &format!("{}", key % 5));
            }
            row.at(at)
        },
    )
}

/// Leaves out rows that say the same, since subjects are distinct, and of a record's versions of one time all but one, since
/// of those the last that comes speaks.
pub(super) fn distinct(rows: Vec<Row>) -> Vec<Row> {
    let (mut seen, mut times) = (BTreeSet::new(), BTreeSet::new());
    let says = |row: &Row| format!("{:?}", row.clone().at(0));
    let version = |row: &Row| Some((row.source, row.record.clone()?, row.at));
    let is_distinct = |row: &Row| {
        seen.insert(says(row)) && version(row).is_none_or(|version| times.insert(version))
    };
    rows.into_iter().filter(is_distinct).collect()
}

/// All that a resolver holds, in ordinals.
pub(super) type State = (Vec<u32>, Vec<Vec<u32>>, BTreeSet<Edge>, BTreeSet<Violation>, Counts);

pub(super) fn state(resolver: &Resolver) -> State {
    let (edges, violations) = (resolver.all_edges().collect(), resolver.violations().collect());
    (resolver.anchors().to_vec(), profiles(resolver), edges, violations, resolver.counts())
}

/// Rules with limits for ever, with limits for a time, and with a block of all who live at one address, whatever their names.
pub(super) const GRAPHS: [fn() -> IdentityGraph; 3] = [definition, timed, homes];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn any_batching_gives_what_one_run_gives(
        rows in rows(),
        batches in prop::collection::vec(1_usize..9, 1..12),
        graph in 0..GRAPHS.len(),
    ) {
        let rows = distinct(rows);
        let whole = resolve_by(GRAPHS[graph](), &rows);
        let mut resolver = Resolver::new(Rules::from_graph(&GRAPHS[graph]()).unwrap());
        let mut anchors: Vec<Option<u32>> = Vec::new();
        let mut rest = rows.as_slice();
        for size in batches.iter().cycle() {
            let (batch, others) = rest.split_at((*size).min(rest.len()));
            for row in batch {
                row.add_to(&mut resolver);
                anchors.push(None);
            }
            for change in resolver.resolve().changed {
                prop_assert_eq!(anchors[change.subject as usize], change.before);
                anchors[change.subject as usize] = change.after;
            }
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(state(&resolver), state(&whole));
        let followed: Vec<Option<u32>> = (0..rows.len() as u32).map(|subject| whole.anchor_of(subject)).collect();
        prop_assert_eq!(anchors, followed, "changes add up");
    }

    #[test]
    fn whichever_versions_stand_meanwhile_what_stands_in_the_end_decides(
        rows in rows(),
        steps in prop::collection::vec((1_usize..9, prop::collection::vec(any::<bool>(), 12)), 1..8),
        graph in 0..GRAPHS.len(),
    ) {
        let rows = distinct(rows);
        let standing = |flags: &[bool], count: usize| flags.iter().cycle().take(count).copied().collect::<Vec<bool>>();
        let last = &steps[steps.len() - 1].1;
        let make = || Resolver::new(Rules::from_graph(&GRAPHS[graph]()).unwrap());
        let mut whole = make();
        rows.iter().for_each(|row| { row.add_to(&mut whole); });
        whole.set_standing(standing(last, rows.len()));
        whole.resolve();
        let mut resolver = make();
        let mut anchors: Vec<Option<u32>> = Vec::new();
        let mut rest = rows.as_slice();
        for (size, flags) in steps.iter().cycle() {
            let (batch, others) = rest.split_at((*size).min(rest.len()));
            for row in batch {
                row.add_to(&mut resolver);
                anchors.push(None);
            }
            let flags = if others.is_empty() { last } else { flags };
            resolver.set_standing(standing(flags, anchors.len()));
            for change in resolver.resolve().changed {
                prop_assert_eq!(anchors[change.subject as usize], change.before);
                anchors[change.subject as usize] = change.after;
            }
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(state(&resolver), state(&whole));
        let followed: Vec<Option<u32>> = (0..rows.len() as u32).map(|subject| whole.anchor_of(subject)).collect();
        prop_assert_eq!(anchors, followed, "changes add up");
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(
        (rows, shuffled) in rows()
            .prop_map(distinct)
            .prop_flat_map(|rows| (Just(rows.clone()), Just((0..rows.len()).collect::<Vec<_>>()).prop_shuffle())),
        graph in 0..GRAPHS.len(),
    ) {
        let straight = resolve_by(GRAPHS[graph](), &rows);
        let shuffled_rows: Vec<Row> = shuffled.iter().map(|&at| rows[at].clone()).collect();
        let turned = resolve_by(GRAPHS[graph](), &shuffled_rows);
        let renamed = |members: &Vec<u32>| members.iter().map(|&member| shuffled[member as usize] as u32).collect::<BTreeSet<_>>();
        let expected: BTreeSet<BTreeSet<u32>> = profiles(&straight).into_iter().map(|members| members.into_iter().collect()).collect();
        prop_assert_eq!(profiles(&turned).iter().map(renamed).collect::<BTreeSet<_>>(), expected);
        let name = |subject: u32| shuffled[subject as usize] as u32;
        let edges: BTreeSet<_> = turned
            .all_edges()
            .map(|edge| (name(edge.left), name(edge.right), edge.rule, edge.joined))
            .collect();
        prop_assert_eq!(edges, straight.all_edges().map(|edge| (edge.left, edge.right, edge.rule, edge.joined)).collect());
        let refused: BTreeSet<_> = turned
            .violations()
            .map(|violation| (name(violation.left), name(violation.right), name(violation.against), violation.rule, violation.reason))
            .collect();
        let expected = straight
            .violations()
            .map(|violation| (violation.left, violation.right, violation.against, violation.rule, violation.reason))
            .collect();
        prop_assert_eq!(refused, expected);
    }

    #[test]
    fn no_profile_contradicts_itself(rows in rows()) {
        let rows = distinct(rows);
        let resolver = resolve(&rows);
        for edge in resolver.all_edges() {
            prop_assert_eq!(resolver.anchor_of(edge.left), resolver.anchor_of(edge.right));
        }
        for violation in resolver.violations() {
            let (left, right) = (&rows[violation.left as usize], &rows[violation.right as usize]);
            let same = resolver.anchor_of(violation.left) == resolver.anchor_of(violation.right);
            let beyond_limit = left.record.is_none() && matches!(violation.reason, Refusal::Limit(_));
            prop_assert!(!same || beyond_limit || left.record.is_some() && right.record.is_some(), "{:?}", violation);
        }
        let members: usize = profiles(&resolver).iter().map(Vec::len).sum();
        prop_assert_eq!(members + resolver.counts().unresolved, rows.len());
        for anchor in resolver.profiles() {
            let tree: Vec<Edge> = resolver.edges(anchor).filter(|edge| edge.joined).collect();
            prop_assert_eq!(tree.len() + 1, resolver.members(anchor).count(), "joining edges make a tree");
            let held = resolver.identifiers(anchor).into_iter().filter(|held| held.kind == EMAIL && held.class != ValueClass::Nobody);
            let own = resolver.members(anchor).map(|member| &rows[member as usize]);
            let versions: Vec<_> = own.filter(|row| row.record.is_some()).map(|row| (row.source, &row.record)).collect();
            let records: BTreeSet<_> = versions.iter().collect();
            let most = 3 + versions.len() - records.len();
            prop_assert!(held.count() <= most, "LIMIT 3 on e-mail, but for older versions of records");
        }
    }

    #[test]
    fn no_profile_takes_more_values_than_its_limit_for_a_time(
        rows in rows(),
    ) {
        // Versions of one record are joined past limits.
        let own_key = |(at, row): (usize, Row)| Row { record: row.record.map(|_| at.to_string()), ..row };
        let rows: Vec<Row> = distinct(rows).into_iter().enumerate().map(own_key).collect();
        let resolver = resolve_by(timed(), &rows);
        for anchor in resolver.profiles() {
            for (kind, values) in [(EMAIL, 2), (PHONE, 1), (DEVICE, 2)] {
                let held = resolver.identifiers(anchor).into_iter();
                let held = held.filter(|held| held.kind == kind && held.class != ValueClass::Nobody);
                let carriers = held.map(|held| resolver.subjects_by_value(kind, held.value));
                let first = carriers.map(|carriers| carriers.iter().map(|&at| rows[at as usize].at).min().unwrap());
                let mut times: Vec<i64> = first.collect();
                times.sort_unstable();
                let too_many = times.windows(values + 1).any(|window| window[values] - window[0] < 10);
                prop_assert!(!too_many, "{} values at {:?}", kind, times);
            }
        }
    }
}
