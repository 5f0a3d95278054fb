//! Files through a source into a lake: what stands in its tables after each refresh.

mod deleted;
mod growing;
mod upkeep;

use std::io::Write;
use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use connectors::{Column, ConnectorSpec};
use tempfile::TempDir;

use super::*;
use crate::catalog::{Body, Definition, Freshness, IdentifierMapping};
use crate::clock::{Clock, ManualClock};
use crate::engine::{Engine, Put};
use crate::jobs::{Target, Trigger};
use crate::lake::LakeLocation;
use crate::options::{EngineOptions, Mode};

/// A lake, the folder that its sources read from, and one source, `s`.
struct Shop {
    folder: TempDir,
    clock: Arc<ManualClock>,
    engine: Engine,
    source: Source,
}

/// A source of keyed rows from CSV files.
fn records(key: &str, version_by: Option<&str>) -> Source {
    Source {
        connector: ConnectorSpec::File { paths: vec!["in*.csv".into()] },
        format: Format::Csv,
        columns: vec![],
        logical_types: BTreeMap::new(),
        shape: Shape::Records { key: vec![key.into()], version_by: version_by.map(str::to_owned) },
        null_values: vec![],
        identifiers: vec![],
        person: BTreeMap::new(),
        deleted_when: None,
        public_columns: vec![],
        on_error: OnError::Quarantine,
        freshness: Freshness::OnDemand,
        trust: 100,
    }
}

/// A source of events, with message ids in the columns `key`.
fn events(format: Format, path: &str, key: &[&str]) -> Source {
    let key = key.iter().map(|column| (*column).to_owned()).collect();
    Source {
        connector: ConnectorSpec::File { paths: vec![path.into()] },
        format,
        shape: Shape::Events { key, event_time: None },
        ..records("", None)
    }
}

fn identified_by(kind: &str, expression: &str) -> IdentifierMapping {
    IdentifierMapping { kind: kind.into(), expression: expression.into() }
}

fn column(name: &str, data_type: DataType) -> Column {
    Column { name: name.into(), data_type }
}

async fn open(folder: &TempDir, clock: &Arc<ManualClock>) -> Engine {
    let options = EngineOptions {
        location: LakeLocation::Directory(folder.path().join("lake")),
        mode: Mode::Write,
        owner: "a test".into(),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        file_root: Some(folder.path().join("files")),
        target_partitions: 1,
        memory_bytes_max: 64 << 20,
    };
    Engine::open(options).await.unwrap()
}

impl Shop {
    async fn new(source: Source) -> Shop {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let clock = Arc::new(ManualClock::new(1_000_000));
        let engine = open(&folder, &clock).await;
        let shop = Shop { folder, clock, engine, source };
        shop.define().await;
        shop
    }

    /// Puts the source as it is now into the catalog.
    async fn define(&self) {
        let definition = Definition {
            name: "s".into(),
            sql: "CREATE SOURCE s".into(),
            comment: None,
            body: Body::Source(self.source.clone()),
        };
        self.engine.define(vec![(definition, Put::Replace)]).await.unwrap();
    }

    /// Ends the process and starts another one.
    async fn restart(&mut self) {
        self.engine.close().await.unwrap();
        self.engine = open(&self.folder, &self.clock).await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("files").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Refreshes the source; answers how many rows were read and how many were taken.
    async fn try_refresh(&self) -> Result<(u64, u64)> {
        self.clock.advance_us(1_000_000);
        let target = Target::Source("s".into());
        let refreshed = Box::pin(self.engine.refresh(&target, false, Trigger::Demand, &|_, _| {}));
        let refreshed = refreshed.await?;
        let steps = refreshed.into_result()?;
        Ok((steps[0].rows_in, steps[0].rows_out))
    }

    async fn refresh(&self) -> (u64, u64) {
        self.try_refresh().await.unwrap()
    }

    /// Returns the refusal of a refresh, with its hint.
    async fn refusal(&self) -> String {
        let error = self.try_refresh().await.expect_err("the refresh should fail");
        format!("{error}: {}", error.hint().unwrap_or_default())
    }

    /// Returns the rows of a table in order, without its system columns; `~` stands for null.
    async fn rows_of(&self, path: &str, columns: &[&str]) -> Vec<String> {
        let published = self.engine.catalog().current();
        let Some(snapshot) = published.table(path) else { return vec![] };
        let all: Vec<&str> = snapshot.schema.fields().iter().map(|f| f.name().as_str()).collect();
        let own = || all.iter().copied().filter(|name| !name.starts_with('_')).collect();
        let names: Vec<&str> = if columns.is_empty() { own() } else { columns.to_vec() };
        let batches =
            crate::table_read::read_table(self.engine.catalog().lake(), path, &snapshot, &names);
        let options = FormatOptions::new().with_null("~");
        let mut rows = vec![];
        for batch in batches.await.unwrap() {
            let batch = lake::logical_batch(&batch, &lake::logical(&batch.schema())).unwrap();
            let columns: Vec<_> = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
                .collect();
            rows.extend((0..batch.num_rows()).map(|row| {
                columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|")
            }));
        }
        rows.sort();
        rows
    }

    async fn rows(&self) -> Vec<String> {
        self.rows_of(&tables::source_path("s"), &[]).await
    }

    async fn history(&self) -> Vec<String> {
        self.rows_of(&tables::superseded_path("s"), &[]).await
    }

    async fn quarantine(&self) -> Vec<String> {
        self.rows_of(tables::QUARANTINE.path, &["file", "position", "reason", "raw"]).await
    }

    async fn identifiers(&self) -> Vec<String> {
        self.rows_of(tables::SUBJECT_IDENTIFIERS.path, &["_subject", "kind", "value"]).await
    }

    fn state(&self) -> SourceState {
        self.engine.catalog().current().state.sources["s"].clone()
    }
}

#[tokio::test]
async fn inferred_columns_of_every_type_are_read_refresh_after_refresh() {
    let mut shop = Shop::new(records("id", Some("at"))).await;
    shop.source.null_values = vec!["n/a".into()];
    shop.define().await;
    shop.write("in.csv", "id,name,amount,at,day\n1,Ada,1.50,2026-01-01 10:00:00,2026-01-01\n");
    assert_eq!(shop.refresh().await, (1, 1));
    assert_eq!(shop.refresh().await, (0, 0), "nothing is new");
    shop.append("in.csv", "2,n/a,2.25,2026-01-02 10:00:00,\n");
    assert_eq!(shop.refresh().await, (1, 1));
    shop.restart().await;
    shop.append("in.csv", "1,Ada L.,1.50,2026-01-03 10:00:00,2026-01-01\n");
    assert_eq!(shop.refresh().await, (1, 1));
    let ada = "1|Ada L.|1.50|2026-01-03T10:00:00|2026-01-01";
    assert_eq!(shop.rows().await, [ada, "2|~|2.25|2026-01-02T10:00:00|~"]);

    let shop = Shop::new(events(Format::Ndjson, "in.ndjson", &["id"])).await;
    shop.write("in.ndjson", "{\"id\":\"a\",\"props\":{\"x\":1}}\n");
    shop.refresh().await;
    shop.append("in.ndjson", "{\"id\":\"b\",\"props\":[ 2 ]}\n");
    assert_eq!(shop.refresh().await, (1, 1));
    assert_eq!(shop.rows().await, ["a|{\"x\":1}", "b|[ 2 ]"]);
}

/// What is set aside says nothing about anybody: rows without a key do not share a record.
#[tokio::test]
async fn rejected_rows_have_no_subject() {
    let mut source = records("id", None);
    source.identifiers = vec![identified_by("email", "email")];
    source.person = [("name".to_owned(), "name".to_owned())].into();
    let shop = Shop::new(source).await;
    shop.write("in.csv", "id,name,email\n,Ada,ada@x\n7,Bo,bo@x\n,Cy,cy@x\n");
    assert_eq!(shop.refresh().await, (3, 1));
    assert_eq!(shop.rows().await, ["7|Bo|bo@x"]);
    assert_eq!(shop.identifiers().await, ["0|email|bo@x", "0|record|s\u{1f}7"]);
    assert_eq!(
        shop.quarantine().await,
        ["in.csv|2|missing_key|name=Ada, email=ada@x", "in.csv|4|missing_key|name=Cy, email=cy@x"]
    );
}

/// A message that was taken is not believed a second time, when it names somebody else.
#[tokio::test]
async fn duplicates_have_no_subject() {
    let mut source = events(Format::Ndjson, "in.ndjson", &["id"]);
    source.identifiers = vec![identified_by("user", "usr"), identified_by("browser", "browser")];
    source.columns =
        ["id", "usr", "browser"].iter().map(|name| column(name, DataType::Utf8)).collect();
    let shop = Shop::new(source).await;
    let line =
        |id: &str, usr: &str| format!("{{\"id\":\"{id}\",\"usr\":\"{usr}\",\"browser\":\"b\"}}\n");
    shop.write("in.ndjson", &(line("m1", "u1") + &line("m1", "u9") + "{\"usr\":\"u7\"}\n"));
    assert_eq!(shop.refresh().await, (3, 1));
    shop.append("in.ndjson", &(line("m1", "u8") + &line("m2", "u1")));
    assert_eq!(shop.refresh().await, (2, 1), "a message id is remembered");
    assert_eq!(shop.rows().await, ["m1|u1|b", "m2|u1|b"]);
    assert_eq!(shop.identifiers().await, ["0|browser|b", "0|user|u1"]);
    assert_eq!(shop.quarantine().await, ["in.ndjson|3|missing_message_id|usr=u7"]);
    assert_eq!(shop.state().duplicates, 2);
}

#[tokio::test]
async fn what_comes_back_is_current_again() {
    for version_by in [None, Some("v")] {
        let mut shop = Shop::new(records("id", version_by)).await;
        let header = "id,v,name\n";
        shop.write("in.csv", &format!("{header}1,1,A\n2,1,X\n"));
        shop.refresh().await;
        for (row, taken) in [("1,1,B", 1), ("1,1,A", 1), ("1,1,A", 0), ("1,1,B", 1)] {
            shop.append("in.csv", &format!("{row}\n"));
            assert_eq!(shop.refresh().await, (1, taken), "{row}");
            let current = row.replace(',', "|");
            assert_eq!(shop.rows().await, [current.as_str(), "2|1|X"], "{version_by:?}");
        }
        let history = ["1|1|A", "1|1|A", "1|1|B"];
        assert_eq!(shop.history().await, history);
        shop.restart().await;

        // Read again from the beginning, with all that it went through, the log says the same.
        let log = std::fs::read_to_string(shop.path("in.csv")).unwrap();
        shop.write("in.csv", &format!("{header}0,1,first\n{}", &log[header.len()..]));
        assert_eq!(shop.refresh().await, (7, 1));
        assert_eq!(shop.rows().await, ["0|1|first", "1|1|B", "2|1|X"]);
        assert_eq!(shop.history().await, history);

        // Back and forth within one refresh: the last one counts, whether it was there before or not.
        shop.append("in.csv", "1,1,C\n1,1,A\n1,1,B\n1,1,A\n3,1,D\n3,1,E\n3,1,D\n");
        assert_eq!(shop.refresh().await.0, 7);
        assert_eq!(shop.rows().await, ["0|1|first", "1|1|A", "2|1|X", "3|1|D"]);
    }
}

#[tokio::test]
async fn an_older_version_does_not_come_back() {
    let shop = Shop::new(records("id", Some("v"))).await;
    shop.write("in.csv", "id,v\n1,1.5\n1,1.25\n");
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["1|1.50"], "1.50 is newer than 1.25");
    shop.append("in.csv", "1,1.25\n");
    assert_eq!(shop.refresh().await, (1, 0));
    assert_eq!(shop.rows().await, ["1|1.50"]);
}

#[tokio::test]
async fn a_changed_definition_reads_its_source_anew() {
    let mut source = records("id", None);
    source.columns = vec![column("id", DataType::Int64), column("n", DataType::Int32)];
    let mut shop = Shop::new(source).await;
    shop.write("in.csv", "id,n,t,at\n1,5,x,2026-01-01 00:00:00\n2,5.25,-,2026-01-02 00:00:00\n");
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["1|5", "2|~"]);
    assert_eq!(shop.state().nulled, BTreeMap::from([("n".to_owned(), 1)]));

    shop.source.columns[1].data_type = DataType::Decimal128(10, 2);
    shop.source.columns.push(column("t", DataType::Utf8));
    shop.define().await;
    assert!(shop.rows().await.is_empty(), "old rows do not stand beside another definition");
    assert_eq!(shop.refresh().await, (2, 2));
    assert_eq!(shop.rows().await, ["1|5.00|x", "2|5.25|-"]);
    assert!(shop.state().nulled.is_empty(), "it is counted anew");

    shop.source.null_values = vec!["-".into()];
    shop.source.shape = Shape::Records { key: vec!["t".into()], version_by: None };
    shop.define().await;
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["1|5.00|x"]);
    assert_eq!(shop.quarantine().await, ["in.csv|3|missing_key|id=2, n=5.25"]);

    // A time is no number, even if it is stored like one.
    shop.source.shape = Shape::Records { key: vec!["id".into()], version_by: None };
    let zone_less = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
    for (data_type, expected) in
        [(zone_less, "1|2026-01-01T00:00:00"), (DataType::Utf8, "1|2026-01-01 00:00:00")]
    {
        shop.source.columns = vec![column("id", DataType::Int64), column("at", data_type)];
        shop.define().await;
        shop.refresh().await;
        assert_eq!(shop.rows().await[0], expected);
    }

    // What does not change how rows are read leaves them alone.
    shop.source.trust = 7;
    shop.source.on_error = OnError::Skip;
    shop.define().await;
    assert_eq!(shop.rows().await.len(), 2);
    assert_eq!(shop.refresh().await, (0, 0));
}

#[tokio::test]
async fn a_dropped_source_leaves_no_rows_to_one_of_its_name() {
    let mut shop = Shop::new(records("id", None)).await;
    shop.write("in.csv", "id,n\n1,5\n1,6\n");
    shop.refresh().await;
    shop.engine.remove(Kind::Source, "s", false).await.unwrap();
    shop.write("in.csv", "id,n\nx,1.5\n");
    shop.define().await;
    assert!(shop.rows().await.is_empty());
    assert_eq!(shop.refresh().await, (1, 1));
    assert_eq!(shop.rows().await, ["x|1.5"]);
    assert!(shop.history().await.is_empty());
    shop.restart().await;
    assert_eq!(shop.rows().await, ["x|1.5"]);
}

/// A bad row is set aside once, and each one of equal ones is.
#[tokio::test]
async fn the_quarantine_holds_each_bad_row_once() {
    let mut shop = Shop::new(events(Format::Ndjson, "in.ndjson", &[])).await;
    shop.write("in.ndjson", "{\"a\":1}\n[1]\n");
    shop.refresh().await;
    assert_eq!(shop.quarantine().await, ["in.ndjson|2|not_an_object|[1]"]);
    shop.append("in.ndjson", "[1]\n[2]\n");
    shop.refresh().await;
    let bad = [
        "in.ndjson|2|not_an_object|[1]",
        "in.ndjson|3|not_an_object|[1]",
        "in.ndjson|4|not_an_object|[2]",
    ];
    assert_eq!(shop.quarantine().await, bad);
    assert_eq!(shop.state().rejected, 3);
    for _ in 0..2 {
        // Changed at its beginning, the file is read again as a whole.
        let text = std::fs::read_to_string(shop.path("in.ndjson")).unwrap();
        shop.write("in.ndjson", &format!("{{\"a\":0}}\n{text}"));
        shop.refresh().await;
        assert_eq!(shop.quarantine().await, bad);
        shop.restart().await;
    }
    shop.append("in.ndjson", "[1]\n");
    shop.refresh().await;
    assert_eq!(shop.quarantine().await.len(), 4);
    assert_eq!(shop.rows().await, ["0", "0", "1"]);
}

#[tokio::test]
async fn rows_that_cannot_be_taken_are_skipped_or_fail_as_the_source_says() {
    let text = "id,n\n1,5\n2\n,6\n";
    let mut shop = Shop::new(records("id", None)).await;
    shop.write("in.csv", text);
    shop.source.on_error = OnError::Skip;
    shop.define().await;
    assert_eq!(shop.refresh().await, (3, 1));
    assert_eq!((shop.rows().await, shop.quarantine().await), (vec!["1|5".to_owned()], vec![]));
    assert_eq!(shop.state().rejected, 2);

    for (text, reason) in [(text, "csv_field_count"), ("id,n\n1,5\n,6\n", "missing_key")] {
        let mut shop = Shop::new(records("id", None)).await;
        shop.write("in.csv", text);
        shop.source.on_error = OnError::Fail;
        shop.define().await;
        let refusal = shop.refusal().await;
        assert!(
            refusal.contains("in.csv 3: row cannot be taken") && refusal.contains(reason),
            "{refusal}"
        );
        assert!(shop.rows().await.is_empty(), "nothing was published");
        shop.write("in.csv", "id,n\n1,5\n");
        assert_eq!(shop.refresh().await, (1, 1), "and it can be mended");
    }
}

#[tokio::test]
async fn what_is_left_out_or_not_complete_can_be_seen() {
    let shop = Shop::new(events(Format::Ndjson, "in.ndjson", &[])).await;
    let rows = "{\"a\":1}\n".repeat(10_000);
    shop.write("in.ndjson", &format!("{rows}{{\"a\":2,\"late\":1}}\n{{\"a\":3,"));
    assert_eq!(shop.refresh().await, (10_001, 10_001));
    assert_eq!(shop.state().ignored, BTreeMap::from([("late".to_owned(), 1)]));
    assert_eq!(shop.state().incomplete.into_iter().collect::<Vec<_>>(), ["in.ndjson"]);
    shop.append("in.ndjson", "\"late\":2}\n");
    assert_eq!(shop.refresh().await, (1, 1));
    assert!(shop.state().incomplete.is_empty());
}
