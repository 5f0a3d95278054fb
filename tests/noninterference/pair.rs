//! Two lakes that differ only in rows of people whom the analyst must not see.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, filter_record_batch, take};
use arrow::datatypes::DataType;

use super::literals::Literals;
use super::relations::Relation;
use crate::corpus::{Corpus, Csv, member, texts};
use crate::harness::{BINARY, Built, Folder, Server, Session, copy, onefold_in, root};

/// One in so many persons of the shop.
const ONE_IN: u32 = 12;

/// Two lakes, and what to ask them about.
pub(super) struct Pair {
    _folder: Folder,
    project: PathBuf,
    lakes: [PathBuf; 2],
    /// What the analyst sees, in both the same.
    pub(super) relations: Vec<Relation>,
    /// Values of everybody in either lake.
    pub(super) literals: Literals,
}

/// Keys of the rows of people whom the analyst must not see.
struct Hidden {
    /// Of orders, with a customer or a guest who has an earlier one.
    orders: HashSet<String>,
    cards: HashSet<String>,
    customers: HashSet<String>,
    contacts: HashSet<String>,
    messages: HashSet<String>,
    mailboxes: HashSet<String>,
}

impl Pair {
    /// Builds both lakes. They are copies of one that was defined and empty, so that both make the same ids.
    pub(super) async fn build() -> Pair {
        let folder = Folder::new();
        let corpus = Corpus::read(&root().join("examples/shop/data"))
            .of_people(|number| number % ONE_IN == 1);
        let project = Built::project(folder.path(), &corpus);
        let lakes = [folder.join("first"), folder.join("second")];
        run(&project, "apply", &lakes[0]);
        copy(&lakes[0], &lakes[1]);
        filled(&project, &corpus, &lakes[0]);
        let hidden = {
            let server = Server::start(&project, &lakes[0]);
            Hidden::of(&server).await
        };
        filled(&project, &altered(&corpus, &hidden), &lakes[1]);
        newer_versions(&corpus, &hidden.contacts).write(&project.join("data/crm/newer.csv"));
        run(&project, "refresh", &lakes[1]);

        let mut pair = Pair {
            _folder: folder,
            project,
            lakes,
            relations: vec![],
            literals: Literals::default(),
        };
        let (first, second) = pair.serve().await;
        equal_after_identity(&first.session("engineer").await, &second.session("engineer").await)
            .await;
        pair.relations = Relation::all(&first.session("analyst").await).await;
        assert_eq!(
            pair.relations,
            Relation::all(&second.session("analyst").await).await,
            "the schemas differ"
        );
        for server in [&first, &second] {
            pair.literals.add(&server.session("engineer").await, &pair.relations).await;
        }
        pair
    }

    /// Serves both.
    pub(super) async fn serve(&self) -> (Server, Server) {
        let [first, second] = self.lakes.each_ref().map(|lake| Server::start(&self.project, lake));
        (first, second)
    }

    /// Serves each on one processor.
    pub(super) async fn serve_pinned(&self) -> (Server, Server) {
        let last = std::thread::available_parallelism().unwrap().get() - 1;
        let [first, second] =
            [(0, &self.lakes[0]), (last, &self.lakes[1])].map(|(processor, lake)| {
                let mut command = Command::new("taskset");
                command.args([
                    "--cpu-list",
                    &processor.to_string(),
                    BINARY,
                    "serve",
                    "--listen",
                    "127.0.0.1:0",
                    "--dir",
                ]);
                command.arg(lake).current_dir(&self.project);
                Server::from(command)
            });
        (first, second)
    }
}

/// Fills a lake in two refreshes, so that contacts lie in several files.
fn filled(project: &Path, corpus: &Corpus, lake: &Path) {
    let later_file = project.join("data/crm/later.csv");
    let _ = std::fs::remove_file(&later_file);
    let mut earlier = corpus.clone();
    let mut later = corpus.contacts.clone();
    later.rows = earlier.contacts.rows.split_off(earlier.contacts.rows.len() / 2);
    earlier.write(&project.join("data"));
    run(project, "refresh", lake);
    later.write(&later_file);
    run(project, "refresh", lake);
}

/// Newer versions of hidden contacts, which tell nothing new of their people. The files of the older ones are written
/// anew for them, and are then the last of their table.
fn newer_versions(corpus: &Corpus, hidden: &HashSet<String>) -> Csv {
    let contacts = &corpus.contacts;
    let (key, updated) = (contacts.column("crm_id"), contacts.column("updated_at"));
    let earlier = &contacts.rows[..contacts.rows.len() / 2];
    let earlier: HashSet<&String> = earlier.iter().map(|row| &row[key]).collect();
    let mut newest: BTreeMap<&str, &Vec<String>> = BTreeMap::new();
    let is_meant = |row: &&Vec<String>| hidden.contains(&row[key]) && earlier.contains(&row[key]);
    // The newest of all: it speaks for its record.
    for row in contacts.rows.iter().filter(is_meant) {
        let held = newest.entry(&row[key]).or_insert(row);
        if row[updated] > held[updated] {
            *held = row;
        }
    }
    assert!(newest.len() > 20, "only {} contacts are hidden", newest.len());
    let newer = newest.into_values().cloned().map(|mut row| {
        row[updated] = "2026-11-02 08:00:00".to_owned();
        row
    });
    Csv { header: contacts.header.clone(), rows: newer.collect() }
}

fn run(project: &Path, command: &str, lake: &Path) {
    let lake = lake.to_str().unwrap();
    match command {
        "apply" => onefold_in(project, &["apply", ".", "--dir", lake]),
        command => onefold_in(project, &[command, "--dir", lake]),
    };
}

/// Identity must not have been touched: the same records, identifiers and edges are of the same profiles.
async fn equal_after_identity(first: &Session, second: &Session) {
    for question in [
        "SELECT source, record_key, profile_id FROM profile_records WHERE source <> 'shop_orders' ORDER BY 1, 2",
        "SELECT profile_id, kind, value, status FROM profile_identifiers ORDER BY 1, 2, 3",
        "SELECT profile_id, rule, value, left_source, left_record_key, right_source, right_record_key FROM identity_edges ORDER BY 1, 2, 3, 4, 5, 6, 7",
        "SELECT profile_id FROM profiles ORDER BY 1",
    ] {
        let (left, right) = (first.rows(question).await, second.rows(question).await);
        let differs = left.iter().zip(&right).find(|(left, right)| left != right);
        assert!(
            left == right,
            "identity differs: {question}\n{} and {} rows, {differs:?}",
            left.len(),
            right.len()
        );
    }
}

impl Hidden {
    /// Reads from the lake who is not there for the analyst.
    async fn of(server: &Server) -> Hidden {
        let (engineer, analyst) =
            (server.session("engineer").await, server.session("analyst").await);
        let visible: BTreeSet<String> = analyst
            .rows("SELECT profile_id FROM profiles")
            .await
            .into_iter()
            .map(|mut row| row.remove(0).unwrap())
            .collect();
        assert!(visible.len() > 50, "only {} people are visible", visible.len());
        let keys = async |question: &str| {
            let rows = engineer
                .rows(question)
                .await
                .into_iter()
                .map(|row| (row[0].clone(), row[1].clone()));
            let hidden =
                rows.filter_map(|(profile, key)| (!visible.contains(&profile?)).then_some(key?));
            hidden.collect::<HashSet<String>>()
        };
        let hidden = Hidden {
            orders: keys("SELECT profile_id, order_id FROM sources.shop_orders").await,
            cards: keys("SELECT profile_id, card_number FROM sources.loyalty_members").await,
            customers: keys("SELECT profile_id, customer_id FROM sources.shop_customers").await,
            contacts: keys("SELECT profile_id, crm_id FROM sources.crm_contacts").await,
            messages: keys("SELECT profile_id, message_id FROM events").await,
            mailboxes: keys("SELECT profile_id, email FROM sources.email_engagement").await,
        };
        for (name, keys) in [
            ("orders", &hidden.orders),
            ("cards", &hidden.cards),
            ("messages", &hidden.messages),
            ("mailboxes", &hidden.mailboxes),
        ] {
            assert!(keys.len() > 50, "only {} {name} are hidden", keys.len());
        }
        hidden
    }
}

/// Changes what hidden people did, and adds to it and takes from it, where identity does not look.
fn altered(corpus: &Corpus, hidden: &Hidden) -> Corpus {
    let mut corpus = corpus.clone();
    corpus.orders = orders(&corpus.orders, &hidden.orders);
    let is_hidden = |batch: &RecordBatch, key: &str, keys: &HashSet<String>| {
        texts(batch, key)
            .iter()
            .map(|key| key.is_some_and(|key| keys.contains(key)))
            .collect::<Vec<_>>()
    };
    let mask = is_hidden(&corpus.members, "card_number", &hidden.cards);
    corpus.members =
        with(&corpus.members, "points", |points| numbers(points, &mask, |points| points * 3 + 17));
    let mask = is_hidden(&corpus.customers, "customer_id", &hidden.customers);
    corpus.customers = with(&corpus.customers, "created_at", |times| moved_on(times, &mask));
    let (key, created) = (corpus.contacts.column("crm_id"), corpus.contacts.column("created_at"));
    for row in corpus.contacts.rows.iter_mut().filter(|row| hidden.contacts.contains(&row[key])) {
        row[created] = "2019-02-03 04:05:06".to_owned();
    }
    engagement(&mut corpus, &hidden.mailboxes);
    events(&mut corpus, &hidden.messages);
    corpus
}

/// Amounts and items change; every third later order of a customer goes, and some come twice more.
fn orders(orders: &RecordBatch, hidden: &HashSet<String>) -> RecordBatch {
    let (ids, customers, guests) =
        (texts(orders, "order_id"), texts(orders, "customer_id"), texts(orders, "email"));
    let mut known = HashSet::new();
    let (mut keep, mut later, mut mask) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..orders.num_rows() {
        let id = ids.value(index);
        let first = known
            .insert((customers.iter().nth(index).flatten(), guests.iter().nth(index).flatten()));
        let is_hidden = hidden.contains(id);
        mask.push(is_hidden);
        // The first order of a customer names an identifier for the first time: it stays, and where it is.
        keep.push(!(is_hidden && !first && index % 3 == 0));
        if is_hidden && index % 5 == 0 {
            later.push(u32::try_from(index).unwrap());
        }
    }
    let changed = with(orders, "items", |items| numbers(items, &mask, |items| items + 40));
    let changed = with(&changed, "ordered_at", |times| moved_on(times, &mask));
    let changed = with(&changed, "amount", |amounts| {
        let cents = cast(&cast(amounts, &DataType::Decimal128(14, 2)).unwrap(), &DataType::Float64)
            .unwrap();
        let cents = arrow::array::AsArray::as_primitive::<arrow::datatypes::Float64Type>(&cents);
        let values = cents.iter().zip(&mask).map(|(amount, hidden)| {
            amount.map(|amount| if *hidden { amount * 2.0 + 1.11 } else { amount })
        });
        cast(
            &(Arc::new(arrow::array::Float64Array::from_iter(values)) as ArrayRef),
            amounts.data_type(),
        )
        .unwrap()
    });
    let added = UInt32Array::from(later);
    let columns =
        changed.columns().iter().map(|column| take(column, &added, None).unwrap()).collect();
    let added = RecordBatch::try_new(changed.schema(), columns).unwrap();
    let added = with(&added, "order_id", |ids| {
        let names =
            arrow::array::AsArray::as_string_opt::<i32>(&cast(ids, &DataType::Utf8).unwrap())
                .unwrap()
                .iter()
                .map(|id| id.map(|id| format!("X{id}")))
                .collect::<Vec<_>>();
        cast(&(Arc::new(arrow::array::StringArray::from(names)) as ArrayRef), ids.data_type())
            .unwrap()
    });
    let kept = filter_record_batch(&changed, &BooleanArray::from(keep)).unwrap();
    concat_batches(&kept.schema(), [&kept, &added]).unwrap()
}

fn with(
    batch: &RecordBatch,
    column: &str,
    change: impl FnOnce(&ArrayRef) -> ArrayRef,
) -> RecordBatch {
    let index = batch.schema().index_of(column).unwrap();
    let mut columns = batch.columns().to_vec();
    columns[index] = change(&columns[index]);
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

fn numbers(column: &ArrayRef, mask: &[bool], change: impl Fn(i32) -> i32) -> ArrayRef {
    let values = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int32Type>(column);
    let changed = values
        .iter()
        .zip(mask)
        .map(|(value, hidden)| value.map(|value| if *hidden { change(value) } else { value }));
    Arc::new(Int32Array::from_iter(changed))
}

/// Moves times by an hour and a bit.
fn moved_on(column: &ArrayRef, mask: &[bool]) -> ArrayRef {
    let plain = cast(column, &DataType::Int64).unwrap();
    let values = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&plain);
    let moved = values.iter().zip(mask).map(|(value, hidden)| {
        value.map(|value| if *hidden { value + 3_723_000_000 } else { value })
    });
    cast(&(Arc::new(arrow::array::Int64Array::from_iter(moved)) as ArrayRef), column.data_type())
        .unwrap()
}

/// Campaigns change, and there are more openings.
fn engagement(corpus: &mut Corpus, hidden: &HashSet<String>) {
    let (email, campaign, event) = (
        corpus.engagement.column("email"),
        corpus.engagement.column("campaign_id"),
        corpus.engagement.column("event"),
    );
    let mut added = Vec::new();
    for (index, row) in corpus
        .engagement
        .rows
        .iter_mut()
        .enumerate()
        .filter(|(_, row)| hidden.contains(&row[email]))
    {
        row[campaign] = format!("{}-secret", row[campaign]);
        if index % 4 == 0 {
            let mut opened = row.clone();
            opened[event] = "opened".to_owned();
            opened[campaign] = "another-campaign".to_owned();
            added.push(opened);
        }
    }
    corpus.engagement.rows.extend(added);
}

/// Sessions change, and there are more calls. Names of events and properties stay: they make the schema.
fn events(corpus: &mut Corpus, hidden: &HashSet<String>) {
    let mut added = Vec::new();
    for (index, line) in corpus.events.iter_mut().enumerate() {
        let Some(id) = member(line, "messageId").filter(|id| hidden.contains(id)) else { continue };
        *line = line.replace("\"session\":\"", "\"session\":\"secret_");
        if index % 4 == 0 && line.contains("\"type\":\"track\"") {
            added.push(line.replace(&id, &format!("again-{id}")));
        }
    }
    corpus.events.extend(added);
}
