//! What the shop's truth says of what onefold makes of it: who is one person, and who may be seen.

use std::collections::{HashMap, HashSet};

use crate::corpus::Csv;
use crate::harness::{Session, root, shared_server};

/// The sources whose records are people, by their names in the truth.
const SOURCES: [(&str, &str); 3] =
    [("crm_contacts", "crm"), ("shop_customers", "shop"), ("loyalty_members", "loyalty")];
/// Records of one person, at most: ten in the truth.
const PROFILE_RECORDS_MAX: usize = 12;

/// A record: the truth's name of its source, and its key.
type Record = (String, String);

fn truth(file: &str) -> Csv {
    Csv::read(&root().join("examples/shop/data/truth").join(file))
}

/// Whose each record is, of those that have a right answer.
fn persons() -> HashMap<Record, String> {
    let records = truth("records.csv");
    let [source, key, person, scored] =
        ["source", "record_key", "person_id", "scored"].map(|name| records.column(name));
    let known = records
        .rows
        .iter()
        .filter(|row| row[scored] == "1" && SOURCES.iter().any(|(_, name)| *name == row[source]));
    known.map(|row| ((row[source].clone(), row[key].clone()), row[person].clone())).collect()
}

/// The profile of each record that the session sees.
async fn profiles(session: &Session) -> HashMap<Record, String> {
    let sources = SOURCES.map(|(source, _)| format!("'{source}'")).join(", ");
    let statement = format!(
        "SELECT source, record_key, profile_id FROM profile_records WHERE source IN ({sources})"
    );
    let records = session.rows(&statement).await;
    let record = |row: Vec<Option<String>>| {
        let [source, key, profile]: [String; 3] =
            row.into_iter().map(Option::unwrap).collect::<Vec<_>>().try_into().unwrap();
        let (_, name) = SOURCES.iter().find(|(name, _)| *name == source).unwrap();
        (((*name).to_owned(), key), profile)
    };
    records.into_iter().map(record).collect()
}

/// How many pairs there are in groups of these sizes.
fn pairs(sizes: impl Iterator<Item = usize>) -> f64 {
    sizes.map(|size| size * (size - 1) / 2).sum::<usize>() as f64
}

fn sizes<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> HashMap<K, usize> {
    let mut sizes = HashMap::new();
    keys.for_each(|key| *sizes.entry(key).or_default() += 1);
    sizes
}

#[tokio::test]
async fn records_of_one_person_are_one_profile() {
    let server = shared_server();
    let profiles = profiles(&server.session("engineer").await).await;
    let persons = persons();
    let missing = persons.keys().filter(|record| !profiles.contains_key(*record)).count();
    assert_eq!(missing, 0, "scored records without a profile");

    let scored = || persons.iter().map(|(record, person)| (person, &profiles[record]));
    let right = pairs(sizes(scored()).into_values());
    let found = pairs(sizes(scored().map(|(_, profile)| profile)).into_values());
    let true_pairs = pairs(sizes(scored().map(|(person, _)| person)).into_values());
    let (precision, recall) = (right / found, right / true_pairs);
    let f1 = 2.0 * precision * recall / (precision + recall);
    assert!(precision >= 0.98, "pairwise precision {precision:.3}");
    assert!(f1 >= 0.80, "pairwise F1 {f1:.3}, recall {recall:.3}");

    let largest = sizes(profiles.values()).into_values().max().unwrap();
    assert!(largest <= PROFILE_RECORDS_MAX, "a profile of {largest} records");
}

#[tokio::test]
async fn a_purpose_shows_whom_it_may() {
    let server = shared_server();
    let people = truth("persons.csv");
    let [person, allowed] =
        ["person_id", "email_marketing_allowed"].map(|name| people.column(name));
    let allowed: HashSet<&str> = people
        .rows
        .iter()
        .filter(|row| row[allowed] == "1")
        .map(|row| row[person].as_str())
        .collect();
    let visible = profiles(&server.session("marketer").await).await;
    let persons = persons();
    let share = |part: usize, whole: usize| part as f64 / whole as f64;

    let seen = || persons.iter().filter(|(record, _)| visible.contains_key(*record));
    let wrongly_seen = seen().filter(|(_, person)| !allowed.contains(person.as_str())).count();
    let wrongly_seen = share(wrongly_seen, seen().count());
    assert!(wrongly_seen <= 0.02, "{wrongly_seen:.4} of the visible records are not allowed");

    let may = || persons.iter().filter(|(_, person)| allowed.contains(person.as_str()));
    let wrongly_hidden = may().filter(|(record, _)| !visible.contains_key(*record)).count();
    let wrongly_hidden = share(wrongly_hidden, may().count());
    assert!(wrongly_hidden <= 0.18, "{wrongly_hidden:.4} of the allowed records are hidden");
}
