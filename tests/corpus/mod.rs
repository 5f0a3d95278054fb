//! The shop's files, read into memory, so that a test can take a part of them, add to them and write them elsewhere.

mod csv;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::Path;

use arrow::array::{AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::DataType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

pub(crate) use csv::Csv;

/// Every file of the shop.
#[derive(Clone)]
pub(crate) struct Corpus {
    /// `crm/contacts.csv`.
    pub(crate) contacts: Csv,
    /// `shop/customers.parquet`.
    pub(crate) customers: RecordBatch,
    /// `shop/orders.parquet`.
    pub(crate) orders: RecordBatch,
    /// `loyalty/members.parquet`.
    pub(crate) members: RecordBatch,
    /// `web/events.ndjson`, line by line.
    pub(crate) events: Vec<String>,
    /// `email/engagement.csv`.
    pub(crate) engagement: Csv,
    /// `consent/ledger.csv`.
    pub(crate) ledger: Csv,
    /// `truth/records.csv`: whose each record is.
    pub(crate) truth: Csv,
}

impl Corpus {
    /// Reads the files below `data`.
    pub(crate) fn read(data: &Path) -> Corpus {
        let events = std::fs::read_to_string(data.join("web/events.ndjson")).unwrap();
        Corpus {
            contacts: Csv::read(&data.join("crm/contacts.csv")),
            customers: read_parquet(&data.join("shop/customers.parquet")),
            orders: read_parquet(&data.join("shop/orders.parquet")),
            members: read_parquet(&data.join("loyalty/members.parquet")),
            events: events.lines().map(str::to_owned).collect(),
            engagement: Csv::read(&data.join("email/engagement.csv")),
            ledger: Csv::read(&data.join("consent/ledger.csv")),
            truth: Csv::read(&data.join("truth/records.csv")),
        }
    }

    /// Writes the files below `data`, in place of what is there.
    pub(crate) fn write(&self, data: &Path) {
        for folder in ["crm", "shop", "loyalty", "web", "email", "consent", "truth"] {
            std::fs::create_dir_all(data.join(folder)).unwrap();
        }
        self.contacts.write(&data.join("crm/contacts.csv"));
        write_parquet(&data.join("shop/customers.parquet"), &self.customers);
        write_parquet(&data.join("shop/orders.parquet"), &self.orders);
        write_parquet(&data.join("loyalty/members.parquet"), &self.members);
        let events: String = self.events.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(data.join("web/events.ndjson"), events).unwrap();
        self.engagement.write(&data.join("email/engagement.csv"));
        self.ledger.write(&data.join("consent/ledger.csv"));
        self.truth.write(&data.join("truth/records.csv"));
    }

    /// Returns the part that belongs to the persons whose number `keep` likes: their records in every source, and what the
    /// ledger says about their identifiers. Lines of events that are nobody's stay.
    pub(crate) fn of_people(&self, keep: impl Fn(u32) -> bool) -> Corpus {
        let mine = self.records_of(keep);
        let is_mine = |source: &'static str, key: &str| mine.contains(&(source, key.to_owned()));
        let contacts = self.contacts.filter(|row| is_mine("crm", &row[0]));
        let customers = filter(&self.customers, &texts(&self.customers, "customer_id"), |id| {
            is_mine("shop", id)
        });
        let members = filter(&self.members, &texts(&self.members, "card_number"), |card| {
            is_mine("loyalty", card)
        });
        let (buyers, ids) = (texts(&self.orders, "customer_id"), texts(&self.orders, "order_id"));
        let orders = buyers.iter().zip(ids.iter()).map(|(buyer, id)| match buyer {
            Some(buyer) => is_mine("shop", buyer),
            None => id.is_some_and(|id| is_mine("order", id)),
        });
        let orders =
            filter_record_batch(&self.orders, &BooleanArray::from_iter(orders.map(Some))).unwrap();
        let device = |line: &str| member(line, "anonymousId");
        let events =
            self.events.iter().filter(|line| device(line).is_none_or(|id| is_mine("web", &id)));
        let engagement = self.engagement.filter(|row| is_mine("email", &row[0]));
        let mut part = Corpus {
            contacts,
            customers,
            orders,
            members,
            events: events.cloned().collect(),
            engagement,
            ledger: self.ledger.clone(),
            truth: self.truth.clone(),
        };
        let identifiers = part.identifiers();
        part.ledger = self.ledger.filter(|row| identifiers.contains(&identifier(&row[0], &row[1])));
        part
    }

    /// Adds the rows of another corpus behind these.
    pub(crate) fn append(&mut self, other: &Corpus) {
        self.contacts.rows.extend(other.contacts.rows.iter().cloned());
        self.engagement.rows.extend(other.engagement.rows.iter().cloned());
        self.ledger.rows.extend(other.ledger.rows.iter().cloned());
        self.events.extend(other.events.iter().cloned());
        self.customers = together(&self.customers, &other.customers);
        self.orders = together(&self.orders, &other.orders);
        self.members = together(&self.members, &other.members);
    }

    fn records_of(&self, keep: impl Fn(u32) -> bool) -> HashSet<(&'static str, String)> {
        const SOURCES: [&str; 6] = ["crm", "shop", "loyalty", "order", "email", "web"];
        let person = |id: &str| id.strip_prefix('P').and_then(|number| number.parse().ok());
        let rows = self.truth.rows.iter().filter(|row| person(&row[2]).is_some_and(&keep));
        let records = rows.filter_map(|row| {
            let source = SOURCES.into_iter().find(|source| *source == row[0])?;
            Some((source, row[1].clone()))
        });
        records.collect()
    }

    /// Everything that the records of this corpus can be found by, in the form of [`identifier`].
    fn identifiers(&self) -> HashSet<(String, String)> {
        let mut found = HashSet::new();
        let mut add = |kind: &str, value: Option<&str>| {
            if let Some(value) = value {
                found.insert(identifier(kind, value));
            }
        };
        for row in &self.contacts.rows {
            add("email", Some(&row[3]));
            add("phone", Some(&row[4]));
        }
        for (batch, columns) in [
            (
                &self.customers,
                [("customer_id", "customer_id"), ("email", "email"), ("phone", "phone")],
            ),
            (
                &self.members,
                [("loyalty_card", "card_number"), ("email", "email"), ("phone", "phone")],
            ),
        ] {
            for (kind, column) in columns {
                texts(batch, column).iter().for_each(|value| add(kind, value));
            }
        }
        texts(&self.orders, "email").iter().for_each(|value| add("email", value));
        self.engagement.rows.iter().for_each(|row| add("email", Some(&row[0])));
        self.events
            .iter()
            .for_each(|line| add("anonymous_id", member(line, "anonymousId").as_deref()));
        found
    }
}

/// Writes an identifier in a way that is the same for most ways of writing it; good enough to choose rows by.
fn identifier(kind: &str, value: &str) -> (String, String) {
    let value = value.trim().to_lowercase();
    let key = match kind {
        "email" => match value.split_once('@') {
            Some((local, "gmail.com")) => {
                local.split('+').next().unwrap_or_default().replace('.', "") + "@gmail.com"
            }
            _ => value,
        },
        "phone" => {
            let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
            digits[digits.len().saturating_sub(9)..].iter().collect()
        }
        _ => value,
    };
    (kind.to_owned(), key)
}

/// Returns a text at the top of a JSON object.
pub(crate) fn member(line: &str, name: &str) -> Option<String> {
    let object: HashMap<String, serde_json::Value> = serde_json::from_str(line).ok()?;
    object.get(name)?.as_str().map(str::to_owned)
}

/// Returns a column as texts.
pub(crate) fn texts(batch: &RecordBatch, column: &str) -> StringArray {
    let found = batch.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
    cast(found, &DataType::Utf8).unwrap().as_string::<i32>().clone()
}

fn filter(batch: &RecordBatch, keys: &StringArray, keep: impl Fn(&str) -> bool) -> RecordBatch {
    let mask = BooleanArray::from_iter(keys.iter().map(|key| Some(key.is_some_and(&keep))));
    filter_record_batch(batch, &mask).unwrap()
}

fn together(first: &RecordBatch, second: &RecordBatch) -> RecordBatch {
    concat_batches(&first.schema(), [first, second]).unwrap()
}

fn read_parquet(path: &Path) -> RecordBatch {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn write_parquet(path: &Path, batch: &RecordBatch) {
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}
