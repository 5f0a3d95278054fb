//! The rules of the shop project against the truth of its corpus: all sources in, scored as `truth/records.csv` says.
//!
//! The bars are those the project promises; what is reached is printed. They stand well above the bars, so that a
//! corpus drawn from another seed passes, too.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};

use super::*;

const CRM: u16 = 0;
const SHOP: u16 = 1;
const LOYALTY: u16 = 2;
const OTHERS: u16 = 3;

const KINDS: [&str; 6] =
    ["crm_id", "customer_id", "loyalty_card", "email", "phone", "anonymous_id"];

/// The rules of `examples/shop/identity/customer.sql`.
fn rules() -> Rules {
    let limited = |rule: IdentifierRule, limit| IdentifierRule { limit: Some(limit), ..rule };
    let graph = IdentityGraph {
        identifiers: vec![
            identifier("crm_id", None, 1),
            identifier("customer_id", None, 1),
            identifier("loyalty_card", None, 1),
            limited(identifier("email", Some("email"), 2), 8),
            limited(identifier("phone", Some("phone"), 3), 6),
            identifier("anonymous_id", None, 20),
        ],
        matches: vec![
            matching("name_birth", &["name", "birth_date"], 4),
            matching("name_address", &["name", "street", "postal_code"], 5),
            matching("name_postal", &["name", "postal_code"], 6),
            matching("name_street", &["name", "street", "city"], 7),
            matching("address", &["street", "postal_code"], 8),
            matching("birth_surname", &["birth_date", "last_name"], 9),
            matching("birth_given_name", &["birth_date", "first_name"], 10),
        ],
        merge_limit: 12,
        shared_limit: 5,
    };
    Rules::from_graph(&graph).unwrap()
}

/// Text columns by name.
struct Table {
    columns: HashMap<String, ArrayRef>,
    rows: usize,
}

impl Table {
    fn csv(path: &Path) -> Self {
        let header = std::fs::read_to_string(path).unwrap();
        let names = header.lines().next().unwrap().trim_start_matches('\u{feff}').trim().split(',');
        let fields: Vec<Field> = names.map(|name| Field::new(name, DataType::Utf8, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let reader = arrow::csv::ReaderBuilder::new(Arc::clone(&schema))
            .with_header(true)
            .build(File::open(path).unwrap());
        let batches: Vec<_> = reader.unwrap().map(Result::unwrap).collect();
        Self::new(&arrow::compute::concat_batches(&schema, &batches).unwrap())
    }

    fn parquet(path: &Path) -> Self {
        let builder = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(
            File::open(path).unwrap(),
        )
        .unwrap();
        let schema = Arc::clone(builder.schema());
        let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
        Self::new(&arrow::compute::concat_batches(&schema, &batches).unwrap())
    }

    fn new(batch: &arrow::array::RecordBatch) -> Self {
        let text = |column: &ArrayRef| cast(column, &DataType::Utf8).ok();
        let schema = batch.schema();
        let columns = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .filter_map(|(field, column)| Some((field.name().clone(), text(column)?)));
        Self { columns: columns.collect(), rows: batch.num_rows() }
    }

    fn get(&self, row: usize, column: &str) -> Option<&str> {
        let column = self.columns[column].as_string::<i32>();
        let absent = |text: &&str| !["", "NULL", "n/a", "-"].contains(text);
        column.is_valid(row).then(|| column.value(row)).filter(absent)
    }
}

/// The subjects of the project, and which (source, key) each one stands for.
#[derive(Default)]
struct Log {
    rows: Vec<Row>,
    seen: HashSet<String>,
    records: Vec<((&'static str, String), usize)>,
}

impl Log {
    fn add(&mut self, truth: Option<(&'static str, &str)>, row: Row) {
        if self.seen.insert(format!("{row:?}")) {
            if let Some((source, key)) = truth {
                self.records.push(((source, key.to_owned()), self.rows.len()));
            }
            self.rows.push(row);
        }
    }
}

fn kind(name: &str) -> u16 {
    KINDS.iter().position(|kind| *kind == name).unwrap() as u16
}

fn row(source: u16, record: Option<&str>, identifiers: &[(&str, Option<&str>)]) -> Row {
    let identifiers =
        identifiers.iter().filter_map(|(name, value)| Some((kind(name), (*value)?.to_owned())));
    Row {
        source,
        trust: 100,
        record: record.map(str::to_owned),
        identifiers: identifiers.collect(),
        person: None,
    }
}

fn records(log: &mut Log, data: &Path) {
    let table = Table::csv(&data.join("crm/contacts.csv"));
    for at in 0..table.rows {
        let text = |column: &str| table.get(at, column);
        let owned = |column: &str| text(column).map(str::to_owned);
        let key = text("crm_id").unwrap();
        let person = PersonFields {
            name: None,
            first_name: owned("first_name"),
            last_name: owned("last_name"),
            birth_date: owned("birth_date"),
            street: owned("street"),
            postal_code: owned("postal_code"),
            city: owned("city"),
            country: Some(text("country").unwrap_or("PL").to_owned()),
        };
        let identifiers =
            [("crm_id", Some(key)), ("email", text("email")), ("phone", text("phone"))];
        log.add(
            Some(("crm", key)),
            Row { person: Some(person), ..row(CRM, Some(key), &identifiers) },
        );
    }
    let table = Table::parquet(&data.join("shop/customers.parquet"));
    for at in 0..table.rows {
        let text = |column: &str| table.get(at, column);
        let owned = |column: &str| text(column).map(str::to_owned);
        let key = text("customer_id").unwrap();
        let person = PersonFields {
            name: owned("full_name"),
            street: owned("street"),
            postal_code: owned("postal_code"),
            city: owned("city"),
            country: owned("country"),
            ..PersonFields::default()
        };
        let identifiers =
            [("customer_id", Some(key)), ("email", text("email")), ("phone", text("phone"))];
        log.add(
            Some(("shop", key)),
            Row { person: Some(person), ..row(SHOP, Some(key), &identifiers) },
        );
    }
    let table = Table::parquet(&data.join("loyalty/members.parquet"));
    for at in 0..table.rows {
        let text = |column: &str| table.get(at, column);
        let key = text("card_number").unwrap();
        let (name, birth_date) =
            (text("name").map(str::to_owned), text("birth_date").map(str::to_owned));
        let person = PersonFields { name, birth_date, ..PersonFields::default() };
        let identifiers =
            [("loyalty_card", Some(key)), ("email", text("email")), ("phone", text("phone"))];
        log.add(
            Some(("loyalty", key)),
            Row { person: Some(person), ..row(LOYALTY, Some(key), &identifiers) },
        );
    }
}

/// Adds orders, deliveries and web events. Returns the subject of each message.
fn events(log: &mut Log, data: &Path) -> Vec<(String, String)> {
    let table = Table::parquet(&data.join("shop/orders.parquet"));
    for at in 0..table.rows {
        let text = |column: &str| table.get(at, column);
        let order =
            row(OTHERS, None, &[("customer_id", text("customer_id")), ("email", text("email"))]);
        log.add(text("customer_id").is_none().then(|| ("order", text("order_id").unwrap())), order);
    }
    let table = Table::csv(&data.join("email/engagement.csv"));
    for at in 0..table.rows {
        let email = table.get(at, "email");
        log.add(email.map(|email| ("email", email)), row(OTHERS, None, &[("email", email)]));
    }
    let mut messages = Vec::new();
    for line in std::fs::read_to_string(data.join("web/events.ndjson")).unwrap().lines() {
        let Ok(event) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let (device, user, email) =
            (text(&event["anonymousId"]), text(&event["userId"]), text(&event["traits"]["email"]));
        let identifiers = [
            ("anonymous_id", device.as_deref()),
            ("customer_id", user.as_deref()),
            ("email", email.as_deref()),
        ];
        let subject = row(OTHERS, None, &identifiers);
        if let Some(message) = event["messageId"].as_str() {
            messages.push((message.to_owned(), format!("{subject:?}")));
        }
        let alone = user.is_none() && email.is_none();
        let device = device.filter(|_| alone);
        log.add(device.as_deref().map(|device| ("web", device)), subject);
    }
    messages
}

/// Pairs of one profile that are one person, all pairs of one profile, all pairs of one person.
fn pairs(predicted: &[(u32, &str)]) -> (u64, u64, u64) {
    fn count<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> u64 {
        let mut sizes: HashMap<K, u64> = HashMap::new();
        keys.for_each(|key| *sizes.entry(key).or_default() += 1);
        sizes.values().map(|size| size * (size - 1) / 2).sum()
    }
    (
        count(predicted.iter().copied()),
        count(predicted.iter().map(|(profile, _)| *profile)),
        count(predicted.iter().map(|(_, person)| *person)),
    )
}

#[test]
fn the_shop_is_resolved_as_promised() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/shop/data");
    if !data.join("truth/records.csv").try_exists().unwrap() {
        eprintln!("SKIPPED: no corpus in {}, so that nothing was scored", data.display());
        return;
    }
    let mut log = Log::default();
    records(&mut log, &data);
    let record_count = log.rows.len();
    let messages = events(&mut log, &data);
    let mut resolver = Resolver::new(rules());
    for row in &log.rows {
        row.add_to(&mut resolver);
    }
    resolver.resolve();
    println!("{:?}", resolver.counts());
    for (what, count) in count_by(
        resolver.all_edges().filter(|edge| edge.joined).map(|edge| resolver.explain(edge).rule),
    ) {
        println!("joined by {what}: {count}");
    }
    for (what, count) in
        count_by(resolver.violations().map(|violation| violation.reason.word().to_owned()))
    {
        println!("refused by {what}: {count}");
    }

    let truth = Table::csv(&data.join("truth/records.csv"));
    let mut persons: HashMap<(&str, &str), &str> = HashMap::new();
    for at in 0..truth.rows {
        if truth.get(at, "scored") == Some("1") {
            let key = (truth.get(at, "source").unwrap(), truth.get(at, "record_key").unwrap());
            persons.insert(key, truth.get(at, "person_id").unwrap());
        }
    }
    let mut profile_of: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for ((source, key), subject) in &log.records {
        let profile = resolver.anchor_of(*subject as u32).unwrap_or(u32::MAX - *subject as u32);
        profile_of.entry((source, key)).or_insert(profile);
    }
    let mut sizes: HashMap<u32, usize> = HashMap::new();
    let mut predicted = Vec::new();
    for (key, person) in
        persons.iter().filter(|((source, _), _)| ["crm", "shop", "loyalty"].contains(source))
    {
        let profile = profile_of[key];
        *sizes.entry(profile).or_default() += 1;
        predicted.push((profile, *person));
    }
    let (right, of_profiles, of_persons) = pairs(&predicted);
    let (precision, recall) = (right as f64 / of_profiles as f64, right as f64 / of_persons as f64);
    let f1 = 2.0 * precision * recall / (precision + recall);
    let largest = sizes.values().max().copied().unwrap_or_default();
    println!("{record_count} of {} subjects are records", log.rows.len());
    println!(
        "pairwise precision {precision:.4}, recall {recall:.4}, F1 {f1:.4}, largest profile {largest} records"
    );
    assert!(f1 >= 0.88 && precision >= 0.98, "precision {precision:.4}, F1 {f1:.4}");
    assert!(largest <= 12, "a profile of {largest} records");

    // A profile stands for the person with most of its records.
    let mut votes: HashMap<u32, HashMap<&str, usize>> = HashMap::new();
    for (profile, person) in predicted {
        *votes.entry(profile).or_default().entry(person).or_default() += 1;
    }
    let who: HashMap<u32, &str> = votes
        .iter()
        .map(|(profile, persons)| {
            (*profile, *persons.iter().max_by_key(|(person, votes)| (**votes, **person)).unwrap().0)
        })
        .collect();
    let mut linked: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for ((source, key), person) in &persons {
        let profile = profile_of.get(&(*source, *key)).and_then(|profile| who.get(profile));
        *linked.entry((source, verdict(profile.copied(), person))).or_default() += 1;
    }
    println!("scored records of other sources: {linked:?}");

    let subjects: HashMap<String, u32> =
        log.rows.iter().enumerate().map(|(at, row)| (format!("{row:?}"), at as u32)).collect();
    let subject_of: HashMap<&str, u32> =
        messages.iter().map(|(message, row)| (message.as_str(), subjects[row])).collect();
    let truth = Table::csv(&data.join("truth/web_events.csv"));
    let mut by_device: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for at in 0..truth.rows {
        let subject = subject_of[truth.get(at, "message_id").unwrap()];
        let profile = resolver.anchor_of(subject).and_then(|profile| who.get(&profile));
        let verdict = verdict(profile.copied(), truth.get(at, "person_id").unwrap_or(""));
        let identified =
            if truth.get(at, "identified") == Some("1") { "identified" } else { "anonymous" };
        *by_device.entry((truth.get(at, "device").unwrap(), identified, verdict)).or_default() += 1;
    }
    println!("web events: {by_device:#?}");
    let wrong: usize = by_device
        .iter()
        .filter(|((.., verdict), _)| *verdict == "wrong")
        .map(|(_, count)| count)
        .sum();
    assert!(
        wrong * 100 <= truth.rows,
        "{wrong} of {} web events went to somebody else",
        truth.rows
    );
    for device in ["shared", "kiosk"] {
        assert_eq!(
            by_device.get(&(device, "anonymous", "right")),
            None,
            "nobody can know who used a {device} device"
        );
        assert_eq!(
            by_device.get(&(device, "anonymous", "wrong")),
            None,
            "nobody can know who used a {device} device"
        );
    }
}

fn verdict(found: Option<&str>, person: &str) -> &'static str {
    match found {
        Some(found) if found == person => "right",
        Some(_) => "wrong",
        None => "to nobody known",
    }
}

fn count_by(words: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    words.for_each(|word| *counts.entry(word).or_default() += 1);
    counts
}
