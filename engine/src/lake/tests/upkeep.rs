//! Upkeep: orphans, held files, checkpoints, the log, merging.

use std::time::Duration;

use super::*;
use crate::Error;

const HOUR: Duration = Duration::from_secs(3600);

async fn reopened(lake: &Lake) -> Table {
    Lake::with_store(lake.store(), lake.clock()).open_table(PATH).await.unwrap()
}

async fn count(lake: &Lake, folder: &str, ending: &str) -> usize {
    let objects: Vec<ObjectMeta> =
        lake.store().list(Some(&Path::from(folder))).try_collect().await.unwrap();
    objects.iter().filter(|object| object.location.as_ref().ends_with(ending)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leftovers_of_a_crash_are_ignored_and_deleted() {
    let lake = memory_lake();
    let table = lake.create_table(PATH, schema()).await.unwrap();
    append(&table, 0..5).await;
    let uncommitted = write(&table, 5..9).await;
    assert_eq!(reopened(&lake).await.snapshot().rows(), 5);
    // It is not an orphan as long as its writer lives, however old it is.
    assert_eq!(table.vacuum(Duration::ZERO).await.unwrap(), 0);
    drop(uncommitted);
    assert_eq!(table.vacuum(HOUR).await.unwrap(), 0, "it is too young");
    assert_eq!(table.vacuum(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(ask(&lake, &table, "SELECT count(*) FROM t").await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_in_use_are_kept() {
    let lake = memory_lake();
    let table = lake.create_table(PATH, schema()).await.unwrap();
    let old = append(&table, 0..5).await;
    let session = SessionContext::new();
    lake.register(&session.runtime_env());
    session.register_table("t", Arc::new(LakeTable::new(&table, old.clone()))).unwrap();
    let plan = session.sql("SELECT * FROM t").await.unwrap().create_physical_plan().await.unwrap();
    let _ = session.deregister_table("t").unwrap();
    table.commit(Commit::replace(old.clone(), write(&table, 0..4).await)).await.unwrap();
    drop(old);
    assert_eq!(table.vacuum(Duration::ZERO).await.unwrap(), 0, "a plan still reads it");
    let rows = datafusion::physical_plan::collect(plan.clone(), session.task_ctx()).await.unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 5);
    drop((plan, rows, session));
    // A process that was started just now knows from the log that the removal is recent.
    assert_eq!(reopened(&lake).await.vacuum(HOUR).await.unwrap(), 0);
    assert_eq!(table.vacuum(Duration::ZERO).await.unwrap(), 1);
    assert!(matches!(table.rollback_to(1).await, Err(Error::Missing { .. })));
    assert_eq!(table.snapshot().rows(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_replaces_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let lake = local_lake(directory.path()).await;
    let table = lake.create_table(PATH, schema()).await.unwrap();
    for id in 0..10 {
        let files = write(&table, id..id + 1).await;
        table.commit(Commit::append(files)).await.unwrap();
    }
    let base = table.snapshot();
    table
        .commit(Commit::rewrite(base.clone(), Vec::new(), base.files[..2].to_vec()))
        .await
        .unwrap();
    let log = format!("{PATH}/_delta_log");
    assert_eq!(table.checkpoint().await.unwrap(), 11);
    assert_eq!(count(&lake, &log, ".json").await, 12);
    assert_eq!(table.clean_log(Duration::ZERO).await.unwrap(), 11);
    assert_eq!(count(&lake, &log, ".json").await, 1);
    append(&table, 100..101).await;
    let again = local_lake(directory.path()).await.open_table(PATH).await.unwrap();
    let (mine, theirs) = (table.snapshot(), again.snapshot());
    assert_eq!((theirs.version, theirs.rows()), (12, 9));
    assert_eq!(theirs.table_schema, mine.table_schema);
    assert_eq!(theirs.properties, mine.properties);
    let facts = |snapshot: &TableSnapshot| {
        let mut files: Vec<_> = snapshot
            .files
            .iter()
            .map(|file| {
                (file.path.clone(), file.size, file.rows, file.written_ms, file.bounds.clone())
            })
            .collect();
        files.sort_by(|a, b| a.0.cmp(&b.0));
        files
    };
    assert_eq!(facts(&theirs), facts(&mine));
    assert!(matches!(again.snapshot_at(3).await, Err(Error::Missing { .. })));
    assert_eq!(ask(&lake, &again, "SELECT sum(id) FROM t").await, 100 + 44);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_fell_behind_the_clean_up_loads_anew() {
    let lake = memory_lake();
    let table = lake.create_table(PATH, schema()).await.unwrap();
    let behind = reopened(&lake).await;
    for id in 0..5 {
        append(&table, id..id + 1).await;
    }
    table.checkpoint().await.unwrap();
    table.clean_log(Duration::ZERO).await.unwrap();
    append(&table, 5..6).await;
    assert_eq!(behind.refresh().await.unwrap().rows(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_files_are_merged_in_order() {
    let store = Arc::new(InMemory::new());
    let moved = clock();
    let lake = Lake::with_store(store, moved.clone());
    let table = lake.create_table(PATH, schema()).await.unwrap();
    assert_eq!(table.upkeep().await.unwrap(), Report::default());
    for id in 0..70 {
        let batch = arrow::compute::concat_batches(
            &schema().fields,
            [&rows(id..id + 1), &rows(id + 1000..id + 1001)],
        );
        let files =
            write_files(&table, vec![batch.unwrap()], &WriteOptions::default()).await.unwrap();
        table.commit(Commit::append(files)).await.unwrap();
    }
    let merged = table.compact().await.unwrap();
    assert_eq!((merged.version, merged.files.len()), (71, 1));
    let report = table.upkeep().await.unwrap();
    assert_eq!(report.checkpoint, Some(71));
    assert_eq!((report.log_entries_deleted, report.files_deleted), (0, 0), "all of it is history");
    let snapshot = table.snapshot();
    assert_eq!((snapshot.files.len(), snapshot.rows()), (1, 140));
    let session = SessionContext::new();
    lake.register(&session.runtime_env());
    session.register_table("t", Arc::new(LakeTable::new(&table, snapshot))).unwrap();
    let batches = session.sql("SELECT id FROM t").await.unwrap().collect().await.unwrap();
    let ids: Vec<i64> = batches
        .iter()
        .flat_map(|batch| {
            batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec()
        })
        .collect();
    assert!(ids.is_sorted() && ids.len() == 140, "{ids:?}");
    assert_eq!(ask(&lake, &table, "SELECT sum(id) FROM t").await, 2 * 69 * 35 + 70_000);
    assert_eq!(table.compact().await.unwrap().version, 71, "nothing is left to do");
    assert_eq!(table.upkeep().await.unwrap(), Report::default(), "nothing is left to do");
    drop(merged);
    // A day and an hour later the history goes.
    moved.advance_us(25 * 3600 * 1_000_000);
    assert_eq!(table.upkeep().await.unwrap().files_deleted, 70);
    assert_eq!(ask(&lake, &reopened(&lake).await, "SELECT count(*) FROM t").await, 140);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tiny_file_does_not_keep_others_from_being_merged() {
    let lake = memory_lake();
    let table = lake.create_table(PATH, schema()).await.unwrap();
    append(&table, 0..1).await;
    for file in 0..70 {
        append(&table, 1_000 * file..1_000 * file + 900).await;
    }
    let sizes: Vec<u64> = table.snapshot().files.iter().map(|file| file.size).collect();
    assert!(sizes[1..].iter().all(|size| *size > 2 * sizes[0]), "{sizes:?}");
    let merged = table.compact().await.unwrap();
    assert_eq!((merged.files.len(), merged.rows()), (2, 1 + 70 * 900));
}
