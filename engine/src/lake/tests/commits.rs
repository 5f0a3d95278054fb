//! Commits: many writers, stale writers, lost answers, rollbacks, wider schemas.

use std::collections::HashSet;

use super::*;
use crate::Error;

/// Opens the table once more, as another process would.
async fn other(store: &Arc<InMemory>) -> Table {
    Lake::with_store(store.clone(), clock()).open_table(PATH).await.unwrap()
}

async fn stored_lake() -> (Arc<InMemory>, Lake, Table) {
    let store = Arc::new(InMemory::new());
    let lake = Lake::with_store(store.clone(), clock());
    let table = lake.create_table(PATH, schema()).await.unwrap();
    (store, lake, table)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_lose_nothing() {
    let (store, lake, table) = stored_lake().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        // Half of them share the committer, the others race it through the log.
        let table = if writer % 2 == 0 { table.clone() } else { other(&store).await };
        writers.spawn(async move {
            for commit in 0..20 {
                let id = writer * 20 + commit;
                append(&table, id..id + 1).await;
            }
        });
    }
    while let Some(outcome) = writers.join_next().await {
        outcome.unwrap();
    }
    let snapshot = table.refresh().await.unwrap();
    assert_eq!((snapshot.version, snapshot.files.len()), (160, 160));
    assert_eq!(snapshot.files.iter().map(|file| &file.path).collect::<HashSet<_>>().len(), 160);
    assert_eq!(ask(&lake, &table, "SELECT count(DISTINCT id) FROM t").await, 160);
    assert_eq!(other(&store).await.snapshot().rows(), 160);
}

#[tokio::test]
async fn a_stale_rewrite_loses() {
    let (store, _, table) = stored_lake().await;
    append(&table, 0..5).await;
    let stale = other(&store).await;
    let base = stale.snapshot();
    let rewritten = write(&stale, 0..4).await;
    append(&table, 5..6).await;
    // The winner's rows would have been lost without a trace, or kept although they were to be replaced.
    let lost = stale.commit(Commit::replace(base.clone(), rewritten.clone())).await;
    assert!(matches!(lost, Err(Error::Conflict { .. })), "{lost:?}");
    // A compaction of the same files does not mind more rows.
    let merged = stale
        .commit(Commit::compaction(base.clone(), rewritten, base.files.to_vec()))
        .await
        .unwrap();
    assert_eq!(merged.rows(), 5);
    // But whoever still wants to remove the files that it swapped away has to read again.
    let gone = write(&table, 0..1).await;
    for late in [
        Commit::replace(base.clone(), gone.clone()),
        Commit::rewrite(base.clone(), Vec::new(), base.files.to_vec()),
        Commit::compaction(base.clone(), gone, base.files.to_vec()),
    ] {
        let lost = table.commit(late).await;
        assert!(matches!(lost, Err(Error::Conflict { .. })), "{lost:?}");
    }
    assert_eq!(table.snapshot().rows(), 5);
    // An append follows all of that.
    assert_eq!(append(&table, 10..12).await.rows(), 7);
}

#[tokio::test]
async fn a_removal_says_what_it_has_read() {
    let (_, _, table) = stored_lake().await;
    let snapshot = append(&table, 0..5).await;
    let careless = Commit { removes: snapshot.files.to_vec(), ..Commit::append(Vec::new()) };
    assert!(matches!(table.commit(careless).await, Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn a_rollback_takes_back_rows() {
    let (store, lake, table) = stored_lake().await;
    let files = write(&table, 0..5).await;
    let before = table.commit(Commit::append(files)).await.unwrap();
    let files = write(&table, 5..9).await;
    table.commit(Commit::append(files).with_message("batch 2")).await.unwrap();
    let files = write(&table, 9..10).await;
    table.commit(Commit::append(files)).await.unwrap();
    let base = table.snapshot();
    table.commit(Commit::replace(base, write(&table, 20..22).await)).await.unwrap();
    let table = other(&store).await;
    let after = table.rollback_to(before.version).await.unwrap();
    let paths = |snapshot: &TableSnapshot| {
        snapshot.files.iter().map(|file| file.path.clone()).collect::<HashSet<_>>()
    };
    assert_eq!(paths(&after), paths(&before));
    assert_eq!(ask(&lake, &table, "SELECT sum(id) FROM t").await, 10);
    for table in [&table, &other(&store).await] {
        assert_eq!(table.snapshot().rows(), 5);
    }
    let files = write(&table, 5..9).await;
    table.commit(Commit::append(files)).await.unwrap();
    assert_eq!(table.snapshot_at(2).await.unwrap().rows(), 9);
    assert!(matches!(table.snapshot_at(99).await, Err(Error::Missing { .. })));
}

#[tokio::test]
async fn a_lost_answer_is_not_a_second_commit() {
    let store = Arc::new(WatchedStore::default());
    let lake = Lake::with_store(store.clone(), clock());
    let table = lake.create_table(PATH, schema()).await.unwrap();
    let files = write(&table, 0..5).await;
    store.deny_next_create.store(true, Ordering::SeqCst);
    store.says_precondition.store(true, Ordering::SeqCst);
    let snapshot = table.commit(Commit::append(files)).await.unwrap();
    assert_eq!((snapshot.version, snapshot.rows()), (1, 5));
    assert_eq!(table.refresh().await.unwrap().version, 1);
}

#[tokio::test]
async fn a_failure_of_the_answer_alone_is_no_failure() {
    let store = Arc::new(WatchedStore::default());
    let lake = Lake::with_store(store.clone(), clock());
    let lose = |part| *store.fault.lock() = Some((part, Fault::AnswerLost));
    lose("_delta_log");
    let table = lake.create_table(PATH, schema()).await.unwrap();
    lose("_delta_log");
    assert_eq!(append(&table, 0..5).await.version, 1);
    lose("_catalog");
    let created = lake.create_document("_catalog", 1, "{}".into()).await.unwrap();
    assert_eq!(created, Created::Yes);
    lose("_lease");
    lake.acquire_lease("alpha").await.unwrap();
}

#[tokio::test]
async fn a_commit_of_which_nobody_knows_is_taken_back() {
    let store = Arc::new(WatchedStore::default());
    let lake = Lake::with_store(store.clone(), clock());
    let table = lake.create_table(PATH, schema()).await.unwrap();
    append(&table, 0..5).await;
    let files = write(&table, 5..9).await;
    *store.fault.lock() = Some(("_delta_log", Fault::AnswerLost));
    *store.unreadable.lock() = Some("_delta_log");
    let failed = table.commit(Commit::append(files)).await;
    assert!(matches!(failed, Err(Error::Unavailable { .. })), "{failed:?}");
    *store.unreadable.lock() = None;
    assert_eq!(table.take_back(1).await.unwrap().rows(), 5);
    assert_eq!(append(&table, 9..10).await.rows(), 6);
    assert_eq!(ask(&lake, &table, "SELECT count(*) FROM t").await, 6);
}

#[tokio::test]
async fn a_commit_goes_on_when_its_caller_is_gone_and_the_next_one_waits() {
    let (_, _, table) = stored_lake().await;
    let files = write(&table, 0..5).await;
    {
        let mut commit = std::pin::pin!(table.commit(Commit::append(files)));
        assert!(futures::poll!(&mut commit).is_pending());
    }
    assert_eq!(table.take_back(0).await.unwrap().rows(), 0, "it was made, and is taken back");
    assert_eq!(table.snapshot().version, 2);
}

#[tokio::test]
async fn a_commit_costs_the_same_at_any_size() {
    let store = Arc::new(WatchedStore::default());
    let lake = Lake::with_store(store.clone(), clock());
    let table = lake.create_table(PATH, schema()).await.unwrap();
    let one = write(&table, 0..1).await.remove(0);
    let mut costs = Vec::new();
    for round in 0..300 {
        let copy = FileEntry { path: format!("part-{round}.zstd.parquet").into(), ..one.clone() };
        let before = store.calls.load(Ordering::SeqCst);
        table.commit(Commit::append(vec![copy])).await.unwrap();
        costs.push(store.calls.load(Ordering::SeqCst) - before);
    }
    assert!(costs.iter().all(|calls| *calls == 1), "{costs:?}");
}

#[tokio::test]
async fn files_come_in_the_order_of_their_values() {
    let (store, _, table) = stored_lake().await;
    append(&table, 4..9).await;
    let mut files = write(&table, 20..30).await;
    files.extend(write(&table, 9..20).await);
    files.extend(write(&table, 0..4).await);
    table.commit(Commit::append(files)).await.unwrap();
    for table in [table, other(&store).await] {
        let rows: Vec<u64> =
            table.snapshot().files_in_order().iter().map(|file| file.rows).collect();
        assert_eq!(rows, [4, 5, 11, 10]);
    }
}

#[tokio::test]
async fn columns_are_added_and_never_changed() {
    let (store, lake, table) = stored_lake().await;
    append(&table, 0..5).await;
    let stale = other(&store).await;
    let with = |name: &str, data_type| {
        let field = Field::new(name, data_type, false);
        TableSchema {
            stats_columns: vec![name.into()],
            ..TableSchema::new(Arc::new(Schema::new(vec![field])))
        }
    };
    let city = with("city", DataType::Utf8);
    let rows = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(vec![9])) as ArrayRef),
        ("city", Arc::new(StringArray::from(vec!["Łódź"]))),
    ])
    .unwrap();
    let options = WriteOptions { schema: Some(city.clone()), ..WriteOptions::default() };
    let files = write_files(&table, vec![rows], &options).await.unwrap();
    table.commit(Commit::append(files).with_schema(city)).await.unwrap();
    // A stale writer adds another one, and both are there.
    let score = with("score", DataType::UInt32);
    stale.commit(Commit::append(Vec::new()).with_schema(score)).await.unwrap();
    for table in [&stale, &table.clone(), &other(&store).await] {
        let snapshot = table.refresh().await.unwrap();
        let names: Vec<_> =
            snapshot.schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["id", "at", "email", "amount", "city", "score"]);
        assert_eq!(snapshot.table_schema.stats_columns, ["id", "at", "city", "score"]);
        assert_eq!(snapshot.table_schema.bloom_columns, ["email"]);
        assert_eq!(ask(&lake, table, "SELECT count(*) FROM t WHERE city IS NULL").await, 5);
        assert_eq!(ask(&lake, table, "SELECT id FROM t WHERE city = 'Łódź'").await, 9);
        assert_eq!(ask(&lake, table, "SELECT count(score) FROM t").await, 0);
    }
    let changed =
        table.commit(Commit::append(Vec::new()).with_schema(with("city", DataType::Int64))).await;
    assert!(matches!(changed, Err(Error::Unsupported { .. })), "{changed:?}");
}

#[tokio::test]
async fn tables_are_created_once_and_deleted_whole() {
    let lake = memory_lake();
    assert!(matches!(lake.open_table(PATH).await, Err(Error::Missing { .. })));
    let table = lake.create_table(PATH, schema()).await.unwrap();
    assert!(matches!(lake.create_table(PATH, schema()).await, Err(Error::Exists { .. })));
    append(&table, 0..5).await;
    lake.delete_table(PATH).await.unwrap();
    lake.delete_table(PATH).await.unwrap();
    assert!(matches!(
        table.commit(Commit::append(write(&table, 0..1).await)).await,
        Err(Error::Missing { .. })
    ));
    assert!(matches!(lake.open_table(PATH).await, Err(Error::Missing { .. })));
    for path in ["", "_catalog", "a//b", "../x", "A", "a b"] {
        assert!(
            matches!(lake.create_table(path, schema()).await, Err(Error::Invalid { .. })),
            "{path}"
        );
    }
    for bad in [
        TableSchema { sort: vec!["nobody".into()], ..schema() },
        TableSchema::new(Arc::new(Schema::new(vec![Field::new("e\nmail", DataType::Utf8, true)]))),
    ] {
        assert!(matches!(lake.create_table("x", bad).await, Err(Error::Invalid { .. })));
    }
}
