//! What a session may take of the server: memory and planning have bounds, and a statement that meets one ends in an error.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_postgres::{Config, NoTls};

use crate::cancel::{rests, ticks};
use crate::harness::{PROMPT, Server, Session, WORK, small};

/// What may be said of a statement that asks for too much: too complex, out of memory, out of time, more than a function
/// gives, or a pattern that is too large.
const REFUSED: [&str; 6] = ["54000", "54001", "53200", "57014", "22023", "2201B"];
/// How much a client may hold that does not read.
const SLOW_READER_MB_MAX: u64 = 32;
/// Rows of a result that fits no buffer: a hundred megabytes.
const LARGE: &str = "SELECT g, repeat('x', 100) FROM generate_series(1, 1000000) g";

/// A number of `/proc/PID/status`, in megabytes.
fn memory_mb(server: &Server, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_start_matches(':').trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1024
}

fn joined(count: usize, between: &str, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(between)
}

/// Statements that are short and ask for more than there is, by what they ask for.
fn bombs() -> Vec<(&'static str, String)> {
    let all = "FROM generate_series(1, 10000000) g";
    let everything =
        "FROM generate_series(1, 1000000000000) a, generate_series(1, 1000000000000) b";
    vec![
        ("a long text", "SELECT repeat('x', 2147483647)".into()),
        ("a long text in each row", format!("SELECT max(repeat('x', 1000000 + g::int)) {all}")),
        ("a wide text", "SELECT lpad('x', 2147483647, 'y') || rpad('x', 2147483647)".into()),
        ("an EXPLAIN of it", "EXPLAIN SELECT repeat(repeat('x', 100000), 100000)".into()),
        ("rows of rows", format!("SELECT count(*) {everything}")),
        ("all in one array", format!("SELECT cardinality(array_agg(repeat('x', 1000))) {all}")),
        ("all in one text", format!("SELECT length(string_agg(repeat('x', 1000), ',')) {all}")),
        ("an array of arrays", "SELECT array_repeat(array_repeat('x', 1000000), 1000000)".into()),
        ("a range", "SELECT range(1, 2147483647)".into()),
        ("words of words", "SELECT replace(repeat('x', 1000000), 'x', repeat('y', 1000000))".into()),
        ("a sort of everything", format!("SELECT md5(g::text) AS m, repeat('x', 1000) {all} ORDER BY m OFFSET 9999999")),
        ("groups of everything", format!("SELECT count(*) FROM (SELECT md5(g::text), repeat('x', 1000) {all} GROUP BY 1, 2) t")),
        ("a join of everything", format!("SELECT count(*) {all}, generate_series(1, 10000000) h WHERE g + h = 1")),
        ("all in the arrays of groups", format!("SELECT max(cardinality(a)) FROM (SELECT array_agg(repeat('x', 1000)) AS a {all} GROUP BY g % 2) t")),
        ("arrays of many groups", format!("SELECT max(cardinality(a)) FROM (SELECT array_agg(repeat('x', 1000)) AS a {all} GROUP BY g % 1000000) t")),
        ("texts of many groups", format!("SELECT max(length(s)) FROM (SELECT string_agg(repeat('x', 1000), ',') AS s {all} GROUP BY g % 1000000) t")),
        ("JSON of groups", format!("SELECT max(jsonb_array_length(j)) FROM (SELECT jsonb_agg(repeat('x', 1000)) AS j {all} GROUP BY g % 2) t")),
        ("a long text between", format!("SELECT length(string_agg('x', repeat('y', 1000000))) {all}")),
        ("a long text between in a window", format!("SELECT max(length(s)) FROM (SELECT string_agg('x', repeat('y', 1000000)) OVER (ORDER BY g) AS s {all}) t")),
        ("beginnings of long texts", format!("SELECT cardinality(array_agg(left(repeat('x', 1000000) || g, 20))) {all}")),
        ("a long constant in each row", format!("SELECT max(t) FROM (SELECT repeat('x', 200000) || (g % 7) AS t {all}) s")),
        ("many long constants", format!("SELECT {}", joined(1_000, ", ", |n| format!("length(repeat('x', {}))", 16_000_000 - n)))),
        ("one text many times in JSON", format!(
            "SELECT jsonb_array_length(jsonb_build_array({})) FROM (SELECT repeat('x', 10000000 + g::int) AS c FROM generate_series(1, 1) g) t",
            joined(1_000, ", ", |_| "c".into())
        )),
        ("JSON in lines", format!("SELECT length(jsonb_pretty('{}{}1{}'))", "[".repeat(500), "1,".repeat(100_000), "]".repeat(500))),
        ("a recursion", "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n".into()),
        ("a pattern", "SELECT 'x' ~ '((((a{1,500}){1,500}){1,500}){1,500})'".into()),
        ("many alternatives", format!("SELECT count(*) FROM profiles WHERE {}", joined(10_000, " OR ", |n| format!("profile_id = {n} + 1")))),
        ("many conditions", format!("SELECT count(*) FROM profiles WHERE {}", joined(10_000, " AND ", |n| format!("profile_id <> {n} + 1")))),
        ("a long list", format!("SELECT count(*) FROM profiles WHERE profile_id IN ({})", joined(60_000, ", ", |n| n.to_string()))),
        ("a long sum", format!("SELECT {}", joined(20_000, " + ", |n| n.to_string()))),
        ("brackets", format!("SELECT {}1{}", "(".repeat(1_000), ")".repeat(1_000))),
        ("negations", format!("SELECT {}true", "NOT ".repeat(10_000))),
        ("signs", format!("SELECT {}1", "- ".repeat(10_000))),
        ("queries in queries", format!("SELECT * FROM {}(SELECT 1){}", "(SELECT * FROM ".repeat(1_000), " t)".repeat(1_000))),
        ("scalars in scalars", format!("SELECT {}1{}", "(SELECT ".repeat(500), ")".repeat(500))),
        ("calls in calls", format!("SELECT {}1{}", "abs(".repeat(5_000), ")".repeat(5_000))),
        ("a few calls in calls", format!("SELECT {}1{}", "abs(".repeat(40), ")".repeat(40))),
        ("arrays in arrays", format!("SELECT {}1{}", "ARRAY[".repeat(1_000), "]".repeat(1_000))),
        ("casts of casts", format!("SELECT 1{}", "::text::int".repeat(5_000))),
        ("a long UNION", joined(5_000, " UNION ALL ", |n| format!("SELECT {n} AS a"))),
        ("a deep UNION", format!("{}SELECT 1{}", "(".repeat(500), " UNION SELECT 2)".repeat(500))),
        ("many joins", format!("SELECT count(*) FROM {}", joined(600, ", ", |n| format!("profiles p{n}")))),
        ("doubled queries", format!(
            "WITH c0 AS (SELECT profile_id FROM profiles), {} SELECT count(*) FROM c39",
            joined(39, ", ", |n| format!("c{} AS (SELECT a.profile_id FROM c{n} a, c{n} b)", n + 1))
        )),
        ("many columns", format!("SELECT {}", joined(20_000, ", ", |n| format!("{n} AS c{n}")))),
        ("many groupings", format!("SELECT count(*) FROM profiles GROUP BY CUBE ({})", joined(30, ", ", |n| format!("profile_id + {n}")))),
        ("rows of VALUES", format!("SELECT count(*) FROM (VALUES {}) v", joined(50_000, ", ", |n| format!("({n})")))),
    ]
}

#[tokio::test]
async fn whoever_asks_for_too_much_gets_an_error_and_nobody_dies() {
    let lake = small().copied();
    let mut server = lake.serve();
    let mut wrong = Vec::new();
    for (what, statement) in bombs() {
        let session = server.session("analyst").await;
        session.rows("SET statement_timeout = '1s'").await;
        match tokio::time::timeout(PROMPT, session.run(&statement)).await {
            // What is planned and answered in time is fine, too.
            Ok(Ok(_)) => {}
            Ok(Err(failure)) if REFUSED.contains(&failure.sqlstate.as_str()) => {}
            Ok(Err(failure)) => wrong.push(format!("{what}: {failure}")),
            Err(_) => wrong.push(format!("{what}: no answer")),
        }
        assert!(server.process.is_running(), "{what} ended the server");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.session("analyst").await.value("SELECT 1").await, "1");
}

/// Conditions that are as deep as the text of a statement may be, by what they are made of.
fn deep_conditions() -> Vec<(&'static str, String)> {
    let union = |count: usize| joined(count, " UNION ALL ", |n| format!("SELECT {n} AS x"));
    let after =
        |first: &str, more: &str, count: usize| format!("(({first}){})", more.repeat(count));
    let sum = |count: usize| after("a", " + 1", count);
    vec![
        ("a UNION of 900", format!("a IN (SELECT x FROM ({}) q)", union(900))),
        (
            "a UNION that begins with another",
            format!("a IN (SELECT x FROM ({}) q)", after(&union(900), " UNION ALL SELECT 1", 900)),
        ),
        (
            "UNIONs in UNIONs",
            format!(
                "a IN (SELECT x FROM ({}) q)",
                (0..40).fold(union(1), |inner, _| after(&inner, " UNION SELECT 1", 150))
            ),
        ),
        ("a sum that begins with another", format!("{} > 0", after(&sum(900), " + 1", 900))),
        (
            "sums in sums",
            format!("{} > 0", (0..40).fold("a".to_owned(), |inner, _| after(&inner, " + 1", 200))),
        ),
        ("conditions in conditions", after(&after("a > 0", " AND a > 1", 900), " OR a > 2", 900)),
    ]
}

#[tokio::test]
async fn whoever_writes_as_deep_as_a_text_may_be_gets_an_answer_and_nobody_dies() {
    let lake = small().copied();
    let mut server = lake.serve();
    let session = server.session("engineer").await;
    session.rows("CREATE TABLE deep AS SELECT 1 AS a, 2 AS b").await;
    let mut wrong = Vec::new();
    for (what, condition) in deep_conditions() {
        for statement in [
            format!("SELECT a FROM deep WHERE {condition}"),
            format!("PREPARE deeper AS SELECT a FROM deep WHERE {condition}"),
            format!("INSERT INTO deep SELECT a, b FROM deep WHERE {condition}"),
            format!("UPDATE deep SET b = 3 WHERE {condition}"),
            format!("DELETE FROM deep WHERE {condition}"),
            format!(
                "MERGE INTO deep USING (SELECT a AS other FROM deep WHERE {condition}) s ON a = other WHEN MATCHED THEN UPDATE SET b = 3"
            ),
            format!("CREATE TEMP TABLE deeper AS SELECT a FROM deep WHERE {condition}"),
            format!("CREATE VIEW deeper AS SELECT a FROM deep WHERE {condition}"),
            format!("CREATE MATERIALIZED VIEW deepest AS SELECT a FROM deep WHERE {condition}"),
        ] {
            let session = server.session("engineer").await;
            session.rows("SET statement_timeout = '1s'").await;
            // What is not done in time is stopped.
            match tokio::time::timeout(WORK, session.run(&statement)).await {
                Ok(Ok(_)) => {}
                Ok(Err(failure)) if REFUSED.contains(&failure.sqlstate.as_str()) => {}
                // It is there from the one before.
                Ok(Err(failure)) if failure.sqlstate == "42P07" => {}
                Ok(Err(failure)) => wrong.push(format!("{what}: {statement:.40}: {failure}")),
                Err(_) => wrong.push(format!("{what}: {statement:.40}: no answer")),
            }
            assert!(server.process.is_running(), "{what} ended the server: {statement:.40}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.session("engineer").await.value("SELECT 1").await, "1");
}

/// What a server holds at its peak besides the values that its statements make.
const SERVER_MB: u64 = 300;
/// What is held for a value on each core when it meets its bound, with what it is made from.
const VALUE_MB: u64 = 3 * 64;

#[tokio::test]
async fn a_value_of_everything_is_refused_before_it_takes_the_memory() {
    let lake = small().copied();
    let mut command = Server::command(&lake.project, &lake.lake);
    // What is let go goes back at once, so that the peak is of what is held.
    command.env("MIMALLOC_PURGE_DELAY", "0");
    let server = Server::from(command);
    let session = server.session("analyst").await;
    let all = "FROM generate_series(1, 10000000) g";
    // Nearly all rows are of one group.
    let group = "GROUP BY g / 10000000";
    for (function, sql) in [
        ("array_agg", format!("SELECT cardinality(array_agg(repeat('x', 1000))) {all}")),
        ("string_agg", format!("SELECT length(string_agg(repeat('x', 1000), ',')) {all}")),
        (
            "array_agg",
            format!(
                "SELECT max(cardinality(a)) FROM (SELECT array_agg(repeat('x', 1000)) AS a {all} {group}) t"
            ),
        ),
        (
            "string_agg",
            format!(
                "SELECT max(length(s)) FROM (SELECT string_agg(repeat('x', 1000), ',') AS s {all} {group}) t"
            ),
        ),
        (
            "array_agg",
            format!(
                "SELECT max(jsonb_array_length(j)) FROM (SELECT jsonb_agg(repeat('x', 1000)) AS j {all} {group}) t"
            ),
        ),
        (
            "array_agg",
            format!(
                "SELECT max(length(j::text)) FROM (SELECT json_object_agg(g, repeat('x', 1000)) AS j {all} {group}) t"
            ),
        ),
        ("string_agg", format!("SELECT length(string_agg('x', repeat('y', 1000000))) {all}")),
    ] {
        let failure = session.failure(&sql).await;
        assert_eq!(failure.sqlstate, "53200", "{failure}");
        assert!(failure.message.contains(function), "{failure}");
        assert!(failure.hint.is_some(), "{failure}");
    }
    let peak = memory_mb(&server, "VmHWM");
    println!("at its peak the server holds {peak} MB");
    let cores = std::thread::available_parallelism().unwrap().get() as u64;
    assert!(peak < SERVER_MB + VALUE_MB * cores, "{peak} MB");
    assert_eq!(
        session.value("SELECT cardinality(array_agg(g)) FROM generate_series(1, 100000) g").await,
        "100000"
    );
}

/// A socket that can be kept from reading.
struct Valve {
    stream: TcpStream,
    shut: Arc<AtomicBool>,
}

impl AsyncRead for Valve {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let valve = self.get_mut();
        // Nobody wakes it up again: it is never opened.
        if valve.shut.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        Pin::new(&mut valve.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Valve {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_little_and_nothing_when_it_goes() {
    let lake = small().copied();
    let server = lake.serve();
    // Whatever is loaded for the first query of a process is no part of it.
    let first = server.session("analyst").await;
    first
        .rows("SELECT count(*), max(length(repeat('x', 100))) FROM generate_series(1, 1000) g")
        .await;
    rests(&server).await;
    let before = memory_mb(&server, "VmRSS");

    let shut = Arc::new(AtomicBool::new(false));
    let stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let mut config = Config::new();
    config.user("analyst").password("demo").dbname("onefold");
    let valve = Valve { stream, shut: Arc::clone(&shut) };
    let (client, connection) = config.connect_raw(valve, NoTls).await.unwrap();
    let mut running = JoinSet::new();
    running.spawn(async move {
        let _ = connection.await;
    });
    let session = Session::of(client, running);
    session.rows("SELECT 1").await;
    shut.store(true, Ordering::SeqCst);
    let idle = ticks(&server);
    {
        let statement = session.run(LARGE);
        tokio::pin!(statement);
        // It fills what lies between it and its client, and then waits.
        let waits = async {
            while ticks(&server) < idle + 1 {
                tokio::task::yield_now().await;
            }
            rests(&server).await;
        };
        tokio::select! {
            answer = &mut statement => panic!("the statement ended: {answer:?}"),
            waited = tokio::time::timeout(WORK, waits) => waited.expect("the server must rest"),
        }
    }
    let held = memory_mb(&server, "VmRSS").saturating_sub(before);
    println!("a slow reader holds {held} MB");
    assert!(held < SLOW_READER_MB_MAX, "{held} MB more than the {before} MB before");

    // Its query goes with it: a million rows would be more work than the server may do until it rests.
    drop(session);
    rests(&server).await;
    assert_eq!(first.value("SELECT 1").await, "1");
}
