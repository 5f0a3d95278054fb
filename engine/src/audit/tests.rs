//! Folding the log: nothing is lost and nothing counts twice, whenever the process that folds dies.

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use object_store::memory::InMemory;
use tempfile::TempDir;

use super::*;
use crate::clock::ManualClock;
use crate::engine::Engine;
use crate::lake::LakeLocation;
use crate::options::{EngineOptions, Mode};

/// As many processes as leave enough segments to be folded.
const PROCESSES: usize = 20;

async fn local(folder: &TempDir) -> Lake {
    let location = LakeLocation::Directory(folder.path().to_owned());
    Lake::open(&location, Arc::new(ManualClock::new(1))).await.unwrap()
}

fn log(lake: &Lake) -> Arc<AuditLog> {
    AuditLog::new(lake.clone(), Arc::new(ManualClock::new(1_000_000)))
}

async fn note(log: &Arc<AuditLog>, role: &str, rows: u64) {
    let entry = Entry {
        role: role.into(),
        purpose: "service".into(),
        class: Class::Read,
        relations: vec!["public.profiles".into()],
    };
    log.begin(entry).await.unwrap().rows(rows);
    log.flush().await.unwrap();
}

/// Notes one statement in each of many processes, all of which end.
async fn processes(lake: &Lake) {
    for number in 0..PROCESSES {
        note(&log(lake), &format!("role_{number}"), number as u64).await;
    }
}

/// Returns for each role how many statements it ran, and how many rows they gave.
fn by_role(rows: &RecordBatch) -> BTreeMap<String, (usize, i64)> {
    let roles = rows.column_by_name("role").unwrap().as_string::<i32>();
    let counts = rows.column_by_name("rows").unwrap().as_primitive::<Int64Type>();
    let mut found = BTreeMap::new();
    for (role, count) in roles.iter().zip(counts) {
        let (statements, rows) = found.entry(role.unwrap().to_owned()).or_insert((0, 0));
        *statements += 1;
        // A statement that has not ended has given none.
        *rows += count.unwrap_or(0);
    }
    found
}

fn expected() -> BTreeMap<String, (usize, i64)> {
    (0..PROCESSES).map(|number| (format!("role_{number}"), (1, number as i64))).collect()
}

#[tokio::test]
async fn segments_of_ended_processes_become_one() {
    let folder = TempDir::new().unwrap();
    for lake in [
        local(&folder).await,
        Lake::with_store(Arc::new(InMemory::new()), Arc::new(ManualClock::new(1))),
    ] {
        processes(&lake).await;
        let log = log(&lake);
        let segments = log.list().await.unwrap().len();
        assert!(segments >= PROCESSES, "{segments} segments of {PROCESSES} processes");
        assert_eq!(log.fold().await.unwrap(), segments);
        assert_eq!(log.list().await.unwrap().len(), 1);
        assert_eq!(by_role(&log.read().await.unwrap()), expected());
        assert_eq!(log.fold().await.unwrap(), 0, "a few segments are left alone");
        processes(&lake).await;
        assert_eq!(log.fold().await.unwrap(), segments + 1, "a fold is folded, too");
        let twice = expected().into_iter().map(|(role, (_, rows))| (role, (2, 2 * rows)));
        assert_eq!(by_role(&log.read().await.unwrap()), twice.collect());
    }
}

#[tokio::test]
async fn a_statement_that_is_cancelled_takes_nobody_elses_line_along() {
    let folder = TempDir::new().unwrap();
    let lake = local(&folder).await;
    let log = log(&lake);
    let entry = |role: &str| Entry {
        role: role.into(),
        purpose: "service".into(),
        class: Class::Read,
        relations: vec![],
    };
    let mut second = std::pin::pin!(log.begin(entry("second")));
    {
        let mut first = std::pin::pin!(log.begin(entry("first")));
        assert!(futures::poll!(&mut first).is_pending());
        assert!(futures::poll!(&mut second).is_pending());
        // The first writes for both, and is dropped while it does.
        tokio::task::yield_now().await;
    }
    let _second = second.await.unwrap();
    let durable = self::log(&lake).read().await.unwrap();
    assert_eq!(by_role(&durable).len(), 2, "{:?}", by_role(&durable));
}

/// A log of one process, its clock, and a read that it notes.
async fn reading(folder: &TempDir) -> (Lake, Arc<AuditLog>, Arc<ManualClock>, Arc<Entry>) {
    let (lake, clock) = (local(folder).await, Arc::new(ManualClock::new(1_000_000)));
    let log = AuditLog::new(lake.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
    let relations = vec!["public.profiles".into()];
    let (role, purpose) = ("reader".into(), "service".into());
    (lake, log, clock, Arc::new(Entry { role, purpose, class: Class::Read, relations }))
}

/// How many statements of each role another process finds on the disk.
async fn found(lake: &Lake) -> BTreeMap<String, (usize, i64)> {
    by_role(&log(lake).read().await.unwrap())
}

#[tokio::test]
async fn a_read_that_repeats_a_durable_one_is_written_and_waits_for_no_sync() {
    let folder = TempDir::new().unwrap();
    let (lake, log, clock, entry) = reading(&folder).await;
    assert!(log.begin_covered(&entry).is_none(), "nothing tells of it yet");
    log.begin(entry.as_ref().clone()).await.unwrap().rows(1);
    for number in 0..10 {
        log.begin_covered(&entry).expect("it is told of").rows(number);
    }
    assert_eq!(found(&lake).await["reader"].0, 11, "each has a line that outlives the process");
    for other in [
        Entry { purpose: "analytics".into(), ..entry.as_ref().clone() },
        Entry { role: "other".into(), ..entry.as_ref().clone() },
        Entry { relations: vec!["public.events".into()], ..entry.as_ref().clone() },
        Entry { class: Class::Disclosure, ..entry.as_ref().clone() },
    ] {
        assert!(log.begin_covered(&Arc::new(other.clone())).is_none(), "{other:?}");
    }
    clock.advance_us(COVER_US);
    assert!(log.begin_covered(&entry).is_none(), "it is too long ago");
}

#[tokio::test]
async fn a_cover_is_renewed_before_it_ends_and_nobody_waits_for_that() {
    let folder = TempDir::new().unwrap();
    let (lake, log, clock, entry) = reading(&folder).await;
    log.begin(entry.as_ref().clone()).await.unwrap();
    for _ in 0..10 {
        clock.advance_us(COVER_US / 2 + 1);
        assert!(log.begin_covered(&entry).is_some());
        // The sync that this has started.
        lake.settled().await;
    }
    assert_eq!(found(&lake).await["reader"].0, 11);
}

#[tokio::test]
async fn lines_of_a_segment_that_is_given_up_are_written_again_and_count_once() {
    let folder = TempDir::new().unwrap();
    let (lake, log, _, entry) = reading(&folder).await;
    log.begin(entry.as_ref().clone()).await.unwrap();
    log.begin_covered(&entry).unwrap().rows(2);
    log.give_up(&mut log.local.as_ref().unwrap().open.lock());
    assert!(log.begin_covered(&entry).is_none(), "there is no segment to write to at once");
    log.begin(entry.as_ref().clone()).await.unwrap().rows(3);
    log.flush().await.unwrap();
    assert_eq!(log.list().await.unwrap().len(), 2, "it goes on in another segment");
    assert_eq!(found(&lake).await["reader"], (3, 5));
}

#[tokio::test]
async fn the_upkeep_of_a_lake_folds_its_log() {
    let folder = TempDir::new().unwrap();
    let options = EngineOptions {
        location: LakeLocation::Directory(folder.path().to_owned()),
        mode: Mode::Write,
        owner: "a test".into(),
        clock: Arc::new(ManualClock::new(1_000_000)),
        file_root: None,
        target_partitions: 1,
        memory_bytes_max: 1 << 20,
    };
    let engine = Engine::open(options).await.unwrap();
    processes(&local(&folder).await).await;
    engine.upkeep().await;
    assert_eq!(engine.audit().list().await.unwrap().len(), 1);
    assert_eq!(by_role(&engine.audit().read().await.unwrap()), expected());
}

#[tokio::test]
async fn a_process_that_goes_on_keeps_its_segment() {
    let folder = TempDir::new().unwrap();
    let lake = local(&folder).await;
    let running = log(&lake);
    note(&running, "running", 1).await;
    processes(&lake).await;
    assert_eq!(running.fold().await.unwrap(), PROCESSES);
    note(&running, "running", 2).await;
    let mut all = expected();
    all.insert("running".into(), (2, 3));
    assert_eq!(by_role(&log(&lake).read().await.unwrap()), all);
}

#[tokio::test]
async fn a_crash_at_any_step_loses_nothing_and_doubles_nothing() {
    let folder = TempDir::new().unwrap();
    let lake = local(&folder).await;
    processes(&lake).await;
    let log = log(&lake);

    // Killed once the fold is durable, before anything is removed.
    log.write_fold(&log.closed().await.unwrap()).await.unwrap();
    assert_eq!(log.list().await.unwrap().len(), PROCESSES + 1);
    assert_eq!(by_role(&log.read().await.unwrap()), expected());

    // Killed while segments are removed.
    let mut closed = log.closed().await.unwrap();
    closed.segments.retain(|location| !fold::is_folded(location));
    closed.segments.truncate(PROCESSES / 4);
    log.remove(&closed).await.unwrap();
    drop(closed);
    assert_eq!(by_role(&log.read().await.unwrap()), expected());

    // A process that died within a line.
    let torn = folder.path().join(FOLDER).join("00000000000000000000-torn.ndjson");
    std::fs::write(torn, "{\"line\":\"begin\",\"stat").unwrap();
    log.fold().await.unwrap();
    let left = log.list().await.unwrap();
    assert_eq!(left.len(), 1);
    let content = log.content(&left[0].location).await.unwrap().unwrap();
    assert_eq!(read::lines(&content).count(), 2 * PROCESSES, "each line is there once");
    assert_eq!(by_role(&log.read().await.unwrap()), expected());
}

#[tokio::test]
async fn what_a_fold_removes_under_a_reader_is_noticed() {
    let folder = TempDir::new().unwrap();
    let lake = local(&folder).await;
    processes(&lake).await;
    let log = log(&lake);
    let listed = log.list().await.unwrap();
    log.fold().await.unwrap();
    assert!(log.contents(&listed).await.unwrap().is_none(), "a reader has to begin again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_every_statement_once_while_it_is_folded() {
    let folder = TempDir::new().unwrap();
    let lake = local(&folder).await;
    processes(&lake).await;
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let log = log(&lake);
        readers.spawn(async move {
            for _ in 0..20 {
                let rows = log.read().await.unwrap();
                assert!(rows.num_rows() >= PROCESSES, "{} rows", rows.num_rows());
                let seen = by_role(&rows);
                assert!(seen.iter().all(|(role, found)| expected().get(role) == Some(found)));
            }
        });
    }
    let folding = log(&lake);
    folding.fold().await.unwrap();
    while let Some(read) = readers.join_next().await {
        read.unwrap();
    }
    assert_eq!(folding.list().await.unwrap().len(), 1);
}

#[test]
fn a_segment_that_was_folded_before_it_was_locked_is_not_written_to() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("segment.ndjson");
    let file = std::fs::File::create(&path).unwrap();
    let other = std::fs::File::open(&path).unwrap();
    assert!(segment::lock(&file).unwrap());
    assert!(!segment::lock(&other).unwrap(), "somebody else holds it");
    drop(file);
    std::fs::remove_file(&path).unwrap();
    assert!(!segment::lock(&other).unwrap(), "it has no name any more");
}
