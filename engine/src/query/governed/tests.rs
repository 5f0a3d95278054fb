//! What the log says of files may save reading them, and shows in nothing else.

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use datafusion::physical_plan::execute_stream_partitioned;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;

use super::*;
use crate::lake::{Commit, Lake, Table, TableSchema, WriteOptions, write_files};
use crate::query::access::{People, SubjectSet, Visible};

const TABLE: &str = "sources/s";

/// Subjects below this are visible.
const VISIBLE: i64 = 100;

/// A table whose column `kind` is public: each file has rows of one kind, and perhaps one of somebody hidden.
struct Scanned {
    lake: Lake,
    table: Table,
    store: ScanStore,
    session: SessionContext,
}

async fn scanned(files: &[(&str, Option<&str>)]) -> Scanned {
    let lake = Lake::with_store(Arc::new(InMemory::new()), crate::lake::tests::clock());
    let fields = Schema::new(vec![
        Field::new(SUBJECT, DataType::Int64, true),
        Field::new("kind", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
    ]);
    let layout = TableSchema {
        stats_columns: vec![SUBJECT.into(), "kind".into()],
        sort: vec![SUBJECT.into()],
        ..TableSchema::new(Arc::new(fields))
    };
    let table = lake.create_table(TABLE, layout.clone()).await.unwrap();
    for (number, (kind, hidden)) in (0..).zip(files) {
        let visible =
            (0..10_000i64).map(|row| (row * VISIBLE / 10_000, *kind, number * 10_000 + row));
        let rows: Vec<(i64, &str, i64)> =
            visible.chain(hidden.map(|kind| (VISIBLE, kind, -1))).collect();
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))),
        ];
        let rows = RecordBatch::try_new(Arc::clone(&layout.fields), columns).unwrap();
        let written = write_files(&table, vec![rows], &WriteOptions::default()).await.unwrap();
        table.commit(Commit::append(written)).await.unwrap();
    }
    let people = People::new(1, (1..=VISIBLE + 1).collect(), (0..=VISIBLE as u32).collect());
    let access = Access {
        role: "analyst".into(),
        purpose: "analytics".into(),
        visible: Visible::Subjects(Arc::new((0..VISIBLE as u32).collect::<SubjectSet>())),
        people: Arc::new(people),
    };
    let config = SessionConfig::new().with_target_partitions(2).with_extension(Arc::new(access));
    let session = SessionContext::new_with_config(config);
    lake.register(&session.runtime_env());
    let store = ScanStore::new(lake.store(), lake.object_store_url(), 256 << 20);
    let snapshots = [(TABLE.to_owned(), table.snapshot())];
    let governed = GovernedTable::new("t", &snapshots, &layout.fields, store.clone());
    session.register_table("t", Arc::new(governed)).unwrap();
    Scanned { lake, table, store, session }
}

impl Scanned {
    /// Returns the batches of each partition, as far as the values of `n` tell them.
    async fn batches(&self, sql: &str) -> DataFusionResult<Vec<Vec<Vec<i64>>>> {
        let frame = self.session.sql(sql).await?;
        let plan = frame.create_physical_plan().await?;
        let mut partitions = Vec::new();
        for partition in execute_stream_partitioned(plan, self.session.task_ctx())? {
            let batches: Vec<RecordBatch> = partition.try_collect().await?;
            let values =
                |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
            partitions.push(batches.iter().map(values).collect());
        }
        Ok(partitions)
    }
}

/// That a file is not read can be seen only by taking it away.
#[tokio::test]
async fn files_that_cannot_hold_what_is_asked_for_are_not_read() {
    let scanned = scanned(&[("a", None), ("b", None)]).await;
    let everything = scanned.batches("SELECT n FROM t").await.unwrap();
    assert_eq!(everything.iter().flatten().flatten().count(), 20_000);
    let snapshot = scanned.table.snapshot();
    let holds_a = |file: &&FileEntry| {
        let bounds = file.bounds_of("kind").and_then(|bounds| bounds.max.clone());
        bounds.is_some_and(|max| max.to_string() == "a")
    };
    let a = snapshot.files.iter().find(holds_a).unwrap();
    let path = object_store::path::Path::from(format!("{TABLE}/{}", a.path));
    scanned.lake.store().delete(&path).await.unwrap();
    let found = scanned.batches("SELECT n FROM t WHERE kind = 'b'").await.unwrap();
    assert_eq!(found.iter().flatten().flatten().count(), 10_000);
    assert!(scanned.batches("SELECT n FROM t WHERE kind <> 'b'").await.is_err());
    assert!(scanned.batches("SELECT n FROM t WHERE n > 15000").await.is_err(), "`n` is personal");
}

/// A hidden row makes the bounds of its file wider, and the file is read. No batch and no partition tells.
#[tokio::test]
async fn what_is_not_read_moves_no_row() {
    let without = scanned(&[("a", None), ("b", None), ("a", None), ("b", None)]).await;
    let with =
        scanned(&[("a", Some("b")), ("b", Some("a")), ("a", Some("z")), ("b", Some("b"))]).await;
    for sql in [
        "SELECT n FROM t",
        "SELECT n FROM t WHERE kind = 'b'",
        "SELECT n FROM t WHERE kind = 'a' AND n > 3000",
        "SELECT n FROM t WHERE kind IN ('z', 'y')",
        "SELECT n FROM t WHERE kind < 'b' OR n = 15000",
        "SELECT 100 / (n + 1) FROM t WHERE kind = 'a'",
    ] {
        let (one, other) = (without.batches(sql).await.unwrap(), with.batches(sql).await.unwrap());
        assert_eq!(one, other, "{sql}");
    }
}

/// What is scanned again and again is kept as it was decoded, and gives the very batches that the files gave.
#[tokio::test]
async fn what_is_scanned_again_and_again_needs_no_file() {
    let scanned = scanned(&[("a", None), ("b", Some("b")), ("a", Some("z")), ("b", None)]).await;
    let statements = [
        "SELECT n FROM t",
        "SELECT n, kind FROM t",
        "SELECT n FROM t WHERE kind = 'b' AND n > 15000",
        "SELECT n FROM t WHERE kind = 'a'",
        "SELECT n, profile_id FROM t WHERE profile_id % 3 = 0",
        "SELECT n FROM t WHERE profile_id IN (7, 50, 51)",
    ];
    let mut of_files = Vec::new();
    for sql in statements {
        of_files.push(scanned.batches(sql).await.unwrap());
        for _ in 0..2 * super::super::decoded::DECODED_TIMES {
            scanned.batches(sql).await.unwrap();
        }
    }
    let snapshot = scanned.table.snapshot();
    let paths: Vec<String> =
        snapshot.files.iter().map(|file| format!("{TABLE}/{}", file.path)).collect();
    let all = [0, 1, 2];
    for _ in 0..6_000 {
        if paths.iter().all(|path| scanned.store.decoded.holds(path, 0..2, &all)) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    for path in &paths {
        let path = object_store::path::Path::from(path.as_str());
        scanned.lake.store().delete(&path).await.unwrap();
    }
    for (sql, expected) in statements.iter().zip(of_files) {
        assert_eq!(scanned.batches(sql).await.unwrap(), expected, "{sql}");
    }
}
