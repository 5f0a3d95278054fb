//! Statements that compute for long keep nobody waiting: what answers at once does so while every core is busy.

use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::cancel::{ENDLESS, rests, ticks};
use crate::harness::{PROMPT, Server, small};

/// Statements that keep every core busy.
const HEAVY_STATEMENTS: usize = 4;
/// Small statements that are timed, of each kind.
const PROBES: usize = 100;
/// What a client asks for that completes names.
const CATALOG: &str = "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'v') AND pg_catalog.pg_table_is_visible(c.oid)";
/// What half of them take at most, on a machine that other tests keep busy as well. In a queue behind the heavy ones each
/// would take several times as long: the time of several batches.
const MEDIAN_MAX: Duration = Duration::from_millis(100);
/// Processor time, in clock ticks, of which it is found out who used it.
const TICKS: u64 = 200;

/// The processor time that the threads of a process have used, in clock ticks: those of normal priority, and those that
/// stepped back.
fn ticks_by_priority(server: &Server) -> (u64, u64) {
    let tasks = format!("/proc/{}/task", server.process.pid());
    let (mut normal, mut low) = (0, 0);
    for task in std::fs::read_dir(tasks).unwrap().flatten() {
        // A thread may end meanwhile.
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let used = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        match fields[16].parse::<i32>().unwrap() {
            nice if nice > 0 => low += used,
            _ => normal += used,
        }
    }
    (normal, low)
}

#[tokio::test]
async fn small_statements_answer_while_heavy_ones_keep_every_core_busy() {
    let lake = small().copied();
    let server = lake.serve();
    let probe = server.session("engineer").await;
    let id = probe.value("SELECT max(profile_id) FROM profiles").await;
    let mut heavy = Vec::new();
    for _ in 0..HEAVY_STATEMENTS {
        heavy.push(server.session("engineer").await);
    }
    {
        let all = join_all(heavy.iter().map(|session| session.run(ENDLESS)));
        tokio::pin!(all);
        let (started, idle) = (Instant::now(), ticks(&server));
        let mut windows = tokio::time::interval(Duration::from_millis(100));
        // They have been planned by the time that they have worked for a while.
        let mut used = Vec::new();
        for until in [idle + TICKS / 4, idle + TICKS / 4 + TICKS] {
            while ticks(&server) < until {
                assert!(started.elapsed() < PROMPT, "the statements do not work");
                tokio::select! {
                    biased;
                    answers = &mut all => panic!("the statements ended: {answers:?}"),
                    _ = windows.tick() => {}
                }
            }
            used.push(ticks_by_priority(&server));
        }
        // A thread that has ended took its ticks with it.
        let (normal, low) = (used[1].0.saturating_sub(used[0].0), used[1].1 - used[0].1);
        assert!(low > normal * 9, "{low} ticks at low priority, {normal} at normal");

        let by_id = format!("SELECT email FROM profiles WHERE profile_id = {id}");
        // The catalog is asked by a plan, which a build without optimisation takes its time for.
        let statements =
            [("SELECT 1", MEDIAN_MAX), (by_id.as_str(), MEDIAN_MAX), (CATALOG, MEDIAN_MAX * 3)];
        for (statement, most) in statements {
            let mut taken = Vec::new();
            for _ in 0..PROBES {
                let begun = Instant::now();
                tokio::select! {
                    rows = probe.rows(statement) => assert_eq!(rows.len(), 1),
                    answers = &mut all => panic!("the statements ended: {answers:?}"),
                }
                taken.push(begun.elapsed());
            }
            taken.sort_unstable();
            let (median, p99) = (taken[PROBES / 2], taken[PROBES * 99 / 100]);
            println!("{statement}: median {median:?}, p99 {p99:?} beside heavy statements");
            assert!(median < most, "{statement}: {median:?}");
        }
    }
    drop(heavy);
    rests(&server).await;
}

#[tokio::test]
async fn a_portal_of_a_heavy_statement_goes_on_where_it_began() {
    let lake = small().copied();
    let server = lake.serve();
    let mut session = server.session("engineer").await;
    let transaction = session.client.transaction().await.unwrap();
    let large = "SELECT p.profile_id FROM profiles p, profiles q, generate_series(1, 10) g";
    let portal = transaction.bind(large, &[]).await.unwrap();
    let mut rows = 0;
    for _ in 0..3 {
        let some = transaction.query_portal(&portal, 5_000).await.unwrap();
        assert_eq!(some.len(), 5_000);
        rows += some.len();
    }
    assert_eq!(rows, 15_000);
    transaction.commit().await.unwrap();
    assert_eq!(session.value("SELECT 1").await, "1");
}
