//! What is due when: across restarts, and however often its time has come.

use std::collections::BTreeMap;
use std::sync::Arc;

use connectors::{ConnectorSpec, Format};
use tempfile::TempDir;

use super::*;
use crate::catalog::{
    Change, Coverage, Destination, IdentifierRule, IdentityGraph, LegalBasis, OnError,
    ProfileTrait, Purpose, Shape, Source, Sync, SyncInput,
};
use crate::clock::{Clock, ManualClock};
use crate::engine::{Put, Shown};
use crate::lake::LakeLocation;
use crate::options::{EngineOptions, Mode};

/// What happens at one time has times that are some microseconds apart.
const SOON: i64 = 1_000_000;
const MINUTE: i64 = 60 * SOON;
const HOUR: i64 = 60 * MINUTE;

/// A lake, the clock, and the process that runs what is due.
struct Running {
    folder: TempDir,
    clock: Arc<ManualClock>,
    engine: Engine,
    tried: Tried,
}

impl Running {
    async fn new(bodies: Vec<(&str, Body)>) -> Running {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        std::fs::write(folder.path().join("files/in.csv"), "id\n1\n").unwrap();
        let clock = Arc::new(ManualClock::new(HOUR));
        let engine = open(&folder, &clock).await;
        let definitions = bodies.into_iter().map(|(name, body)| {
            let definition =
                Definition { name: name.into(), sql: String::new(), comment: None, body };
            (definition, Put::Create)
        });
        engine.define(definitions.collect()).await.unwrap();
        Running { folder, clock, engine, tried: Tried::new() }
    }

    /// Ends the process and starts another one after `pause_us`.
    async fn restart(&mut self, pause_us: i64) {
        self.engine.close().await.unwrap();
        self.clock.advance_us(pause_us);
        self.engine = open(&self.folder, &self.clock).await;
        self.tried = Tried::new();
    }

    /// What is due once `later_us` have passed.
    fn due(&mut self, later_us: i64) -> Vec<Due> {
        self.clock.advance_us(later_us);
        self.engine.due(&mut self.tried)
    }
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

fn every(hours: u64) -> Freshness {
    Freshness::Every(Duration::from_secs(hours * 3_600))
}

/// A source that is read each hour.
fn source() -> Body {
    Body::Source(Source {
        connector: ConnectorSpec::File { paths: vec!["in.csv".into()] },
        format: Format::Csv,
        columns: vec![],
        logical_types: BTreeMap::new(),
        shape: Shape::Records { key: vec!["id".into()], version_by: None },
        null_values: vec![],
        identifiers: vec![],
        person: BTreeMap::new(),
        deleted_when: None,
        public_columns: vec![],
        on_error: OnError::Quarantine,
        freshness: every(1),
        trust: 100,
    })
}

/// A sync that is run each day, with what it needs.
fn sync() -> Vec<(&'static str, Body)> {
    let destination = Destination {
        connector: ConnectorSpec::File { paths: vec!["out/{run}.csv".into()] },
        format: Format::Csv,
    };
    let sync = Sync {
        input: SyncInput::Query("SELECT profile_id FROM profiles".into()),
        destination: "d".into(),
        purpose: "p".into(),
        freshness: every(24),
    };
    vec![
        ("p", Body::Purpose(Purpose { basis: LegalBasis::Contract })),
        ("d", Body::Destination(destination)),
        ("y", Body::Sync(sync)),
    ]
}

fn source_is_due() -> Vec<Due> {
    vec![Due::Refresh(Target::Source("s".into()))]
}

#[tokio::test]
async fn what_was_missed_is_due_once() {
    let mut running = Running::new(vec![("s", source())]).await;
    assert_eq!(running.due(59 * MINUTE), []);
    assert_eq!(running.due(MINUTE + SOON), source_is_due());
    assert_eq!(running.due(MINUTE), [], "it was tried");
    assert_eq!(running.due(5 * HOUR), source_is_due(), "five are one");
    assert_eq!(running.due(0), []);
}

#[tokio::test]
async fn a_restart_does_not_begin_to_count_anew() {
    let mut running = Running::new(vec![("s", source())]).await;
    // Never run, and not running when its time came.
    running.restart(2 * HOUR).await;
    assert_eq!(running.due(0), source_is_due());
    running.engine.run_due(&source_is_due()[0]).await.unwrap();
    // Restarted more often than it is due.
    for _ in 0..3 {
        assert_eq!(running.due(0), [], "it has just run");
        running.restart(19 * MINUTE).await;
    }
    assert_eq!(running.due(0), [], "57 minutes since it ran");
    assert_eq!(running.due(3 * MINUTE + SOON), source_is_due());
}

#[tokio::test]
async fn a_sync_counts_from_its_last_run_and_not_from_one_that_failed() {
    let mut running = Running::new(sync()).await;
    let sync_is_due = [Due::Sync("y".into())];
    running.restart(25 * HOUR).await;
    assert_eq!(running.due(0), sync_is_due);
    // There are no profiles yet.
    running.engine.run_due(&sync_is_due[0]).await.unwrap_err();
    assert_eq!(running.due(HOUR), [], "it was tried");
    running.restart(0).await;
    assert_eq!(running.due(0), sync_is_due, "it still waits for its first run");

    let at = running.engine.now();
    let mut change = Change::default();
    change.edit(move |state| {
        let covered = Coverage { at, ..Coverage::default() };
        state.coverage.insert(activation::coverage_name("y"), covered);
        Ok(())
    });
    running.engine.publish(change, Shown::AsBefore).await.unwrap();
    running.restart(23 * HOUR).await;
    assert_eq!(running.due(0), []);
    assert_eq!(running.due(HOUR + SOON), sync_is_due);
    // Somebody ran it by hand meanwhile: it fails if it is run, since there are no profiles.
    running.engine.run_due(&Due::Sync("y".into())).await.unwrap_err();
    let skipped = activation::run_sync_if_due(&running.engine, "y", SCHEDULER, |_| false).await;
    assert_eq!(skipped.unwrap(), None);
    // Of one that is gone nothing is known any more.
    running.engine.remove(Kind::Sync, "y", false).await.unwrap();
    assert!(running.engine.live().published.state.coverage.is_empty());
}

#[tokio::test]
async fn traits_that_are_due_together_are_one_refresh() {
    let computed = ProfileTrait {
        graph: "g".into(),
        freshness: every(1),
        query: "SELECT profile_id FROM profile_records".into(),
    };
    let email = IdentifierRule {
        kind: "email".to_owned(),
        normalize: None,
        priority: 1,
        limit: None,
        limit_per: None,
        expire_after: None,
        block_values: vec![],
        block_matching: vec![],
    };
    let graph = IdentityGraph {
        identifiers: vec![email],
        matches: vec![],
        fuzzy: None,
        merge_limit: 10,
        shared_limit: 5,
    };
    let bodies = vec![
        ("g", Body::IdentityGraph(graph)),
        ("t", Body::Trait(computed.clone())),
        ("u", Body::Trait(computed)),
    ];
    let mut running = Running::new(bodies).await;
    assert_eq!(running.due(HOUR + SOON), [Due::Refresh(Target::Profiles)]);
}
