//! Cancel and `statement_timeout` stop the work, not only the wait for it.

use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use crate::harness::{Answer, Failure, PROMPT, Server, shared_server};

/// Works through ten thousand million rows and gives its first one at the very end.
pub(crate) const ENDLESS: &str = "SELECT count(*) FROM profiles p, profiles q, profile_identifiers i \
                       WHERE p.profile_id + q.profile_id + i.profile_id = 1";
/// Answers of PostgreSQL to a cancelled or timed-out statement.
const CANCELED: &str = "57014";
/// How soon a statement has to end once it should.
const SOON: Duration = Duration::from_secs(10);
/// How much processor time the work may use until it has stopped, in clock ticks.
const TICKS_MAX: u64 = 1000;

/// The processor time that a process has used, in clock ticks of a hundredth of a second.
pub(crate) fn ticks(server: &Server) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.process.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Waits until the server rests: a window of half a second in which it uses less than a tenth of one. What it may use
/// until then is processor time, so that a busy machine makes no difference.
pub(crate) async fn rests(server: &Server) {
    let started = ticks(server);
    let mut windows = tokio::time::interval(Duration::from_millis(500));
    windows.tick().await;
    loop {
        let before = ticks(server);
        windows.tick().await;
        let now = ticks(server);
        if now - before < 10 {
            return;
        }
        assert!(now - started < TICKS_MAX, "the server still works: {} ticks", now - started);
    }
}

/// Waits until a statement is at work: half a second of processor time says so.
pub(crate) async fn works(
    server: &Server,
    statement: &mut (impl Future<Output = Result<Answer, Failure>> + Unpin),
) {
    let (started, idle) = (Instant::now(), ticks(server));
    while ticks(server) < idle + 50 {
        assert!(started.elapsed() < PROMPT, "the statement does not work");
        tokio::select! {
            biased;
            answer = &mut *statement => panic!("the statement ended: {answer:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
}

/// How soon work is to end on each core once its statement is cancelled.
const CORE_TIME_MAX: Duration = Duration::from_millis(100);
/// How many times as long a build without optimisation computes between two questions whether it is to stop.
const DEBUG_FACTOR: u32 = if cfg!(debug_assertions) { 10 } else { 1 };
/// What a server uses that rests, while it is watched.
const RESTING: Duration = Duration::from_millis(100);

/// The processor time that the threads of a process have used, to the nanosecond: the kernel's clock ticks are as long as a
/// tenth of what is measured.
fn used(server: &Server) -> Duration {
    let tasks = format!("/proc/{}/task", server.process.pid());
    let mut nanoseconds = 0;
    for task in std::fs::read_dir(tasks).unwrap().flatten() {
        // A thread may end meanwhile.
        let Ok(stat) = std::fs::read_to_string(task.path().join("schedstat")) else { continue };
        nanoseconds += stat.split_whitespace().next().unwrap().parse::<u64>().unwrap();
    }
    Duration::from_nanos(nanoseconds)
}

#[tokio::test]
async fn nothing_is_computed_any_more_for_a_statement_that_was_cancelled() {
    let cores = u32::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    let most = CORE_TIME_MAX * DEBUG_FACTOR * cores + RESTING;
    let rows = "FROM generate_series(1, 10000000) g";
    let planned = doubled();
    let (_lake, server) = own_server();
    for (what, statement) in [
        ("a sort", format!("SELECT md5(g::text) AS m {rows} ORDER BY m OFFSET 9999999")),
        ("a cross join with a filter", ENDLESS.to_owned()),
        ("many groups", format!("SELECT count(*) FROM (SELECT md5(g::text) {rows} GROUP BY 1) t")),
        (
            "a window",
            format!("SELECT max(s) FROM (SELECT sum(g) OVER (ORDER BY g ROWS BETWEEN 100 PRECEDING AND CURRENT ROW) AS s {rows}) t"),
        ),
        ("a sum over series", format!("SELECT sum(g % 7 + h) {rows}, generate_series(1, 10000000) h")),
        (
            "a join",
            format!("SELECT count(*) {rows} JOIN generate_series(1, 10000000) h ON g % 1000 = h % 1000"),
        ),
        (
            "a recursion",
            "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT count(*) FROM n".to_owned(),
        ),
        ("functions over long texts", format!("SELECT max(md5(repeat('ab', 10000 + (g % 7)::int))) {rows}")),
        ("patterns over long texts", format!("SELECT count(*) {rows} WHERE repeat('ab', 5000 + (g % 7)::int) ~ 'a[bc]+d$'")),
        (
            "pairs that share a key",
            format!("SELECT count(*) FROM candidate_pairs((SELECT g, md5(g::text) AS m, md5((g / 90)::text) AS n {rows})) c"),
        ),
        (
            "components",
            format!("SELECT count(*) FROM connected_components((SELECT md5(g::text), md5((g * 7 % 10000000)::text) AS m {rows})) c"),
        ),
        (
            "clusters",
            format!("SELECT count(*) FROM refine_clusters((SELECT g, g * 7 % 10000000 AS h, g % 5 AS bits {rows})) c"),
        ),
        (
            "JSON of a megabyte",
            format!("SELECT count(*) {rows} WHERE jsonb_set(jsonb_build_object('a', repeat('x', 1000000), 'b', g), '{{b}}', '1') ->> 'b' = '2'"),
        ),
        (
            "one JSON of a megabyte",
            format!("SELECT count(*) {rows} WHERE (jsonb_build_object('a', repeat('x', 1000000)) ->> (g::text)) = 'x'"),
        ),
        (
            "paths into one JSON",
            format!("SELECT count(*) {rows} WHERE jsonb_build_object('a', repeat('x', 1000000)) #>> ARRAY['b', g::text] = 'x'"),
        ),
        ("planning", planned),
        ("a chain of operators", format!("SELECT email{} FROM profiles", " || email".repeat(400))),
    ] {
        let session = server.session("engineer").await;
        let statement = session.run(&statement);
        tokio::pin!(statement);
        works(&server, &mut statement).await;
        session.client.cancel_token().cancel_query(NoTls).await.unwrap();
        let failure = statement.await.expect_err(what);
        assert_eq!(failure.sqlstate, CANCELED, "{what}: {failure}");
        let answered = used(&server);
        rests(&server).await;
        let more = used(&server).saturating_sub(answered);
        println!("{what}: {more:?} of processor time after the answer");
        assert!(more < most, "{what}: {more:?} of processor time after the answer");
    }
}

fn own_server() -> (crate::harness::Built, Server) {
    let lake = crate::harness::small().copied();
    let server = lake.serve();
    (lake, server)
}

#[tokio::test]
async fn a_cancel_request_stops_the_work() {
    let (_lake, server) = own_server();
    let session = server.session("engineer").await;
    let statement = session.run(ENDLESS);
    tokio::pin!(statement);
    works(&server, &mut statement).await;
    session.client.cancel_token().cancel_query(NoTls).await.unwrap();
    let cancelled = Instant::now();
    let failure = statement.await.expect_err("the statement was cancelled");
    assert_eq!(failure.sqlstate, CANCELED, "{failure}");
    assert!(cancelled.elapsed() < SOON, "{:?} from cancel to answer", cancelled.elapsed());
    rests(&server).await;
    assert_eq!(session.value("SELECT 1").await, "1", "the session lives on");
}

#[tokio::test]
async fn a_cancel_leaves_a_cursor_that_waits() {
    let (_lake, server) = own_server();
    let session = server.session("engineer").await;
    session.rows("BEGIN").await;
    session
        .rows("DECLARE c CURSOR WITH HOLD FOR SELECT profile_id FROM profiles, generate_series(1, 1000) g")
        .await;
    session.rows("COMMIT").await;
    assert_eq!(session.rows("FETCH 10 FROM c").await.len(), 10);
    let statement = session.run(ENDLESS);
    tokio::pin!(statement);
    works(&server, &mut statement).await;
    session.client.cancel_token().cancel_query(NoTls).await.unwrap();
    let failure = statement.await.expect_err("the statement was cancelled");
    assert_eq!(failure.sqlstate, CANCELED, "{failure}");
    assert_eq!(session.rows("FETCH 10 FROM c").await.len(), 10);
}

#[tokio::test]
async fn a_session_stops_and_ends_others_of_its_role_alone() {
    let (_lake, server) = own_server();
    let session = server.session("engineer").await;
    let pid = session.value("SELECT pg_backend_pid()").await;
    let (other, stranger) = (server.session("engineer").await, server.session("analyst").await);
    let state = format!("SELECT string_agg(state, '') FROM pg_stat_activity WHERE pid = {pid}");
    let (cancel, end) =
        (format!("SELECT pg_cancel_backend({pid})"), format!("SELECT pg_terminate_backend({pid})"));
    let statement = session.run(ENDLESS);
    tokio::pin!(statement);
    works(&server, &mut statement).await;
    assert_eq!(stranger.value(&state).await, "", "others are not seen");
    assert_eq!([stranger.value(&cancel).await, stranger.value(&end).await], ["f", "f"]);
    assert_eq!(other.value(&state).await, "active");
    let text = format!("SELECT string_agg(query, '') FROM pg_stat_activity WHERE pid = {pid}");
    assert_eq!(other.value(&text).await, ENDLESS);
    other.rows("SET cdp.purpose = ''").await;
    assert_eq!(other.value(&text).await, "<insufficient privilege>", "its purpose is another");
    assert_eq!(other.value(&cancel).await, "t");
    let failure = statement.await.expect_err("the statement was cancelled");
    assert_eq!(failure.sqlstate, CANCELED, "{failure}");
    rests(&server).await;
    assert_eq!(session.value("SELECT 1").await, "1", "the session lives on");
    assert_eq!([other.value(&state).await, other.value(&end).await], ["idle", "t"]);
    assert!(session.run("SELECT 1").await.is_err(), "the session has ended");
}

#[tokio::test]
async fn a_timeout_stops_every_kind_of_work() {
    for statement in [
        // A nested loop that finds nothing, so that it never has a batch to hand on.
        ENDLESS,
        "SELECT sum(p.profile_id % 7 + q.profile_id % 5 + i.profile_id % 3) FROM profiles p, profiles q, profile_identifiers i",
        "SELECT count(*) FROM profiles p JOIN profiles q ON q.country = p.country JOIN profiles r ON r.country = p.country JOIN profiles s ON s.country = p.country",
        "SELECT p.profile_id, q.profile_id FROM profiles p, profiles q, profiles r ORDER BY 1, 2 LIMIT 1",
        "SELECT count(*) FROM profile_identifiers p, profile_identifiers q WHERE p.value ~ ('x' || q.value)",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT count(*) FROM n",
        "SELECT count(*) FROM connected_components((SELECT p.profile_id, q.profile_id AS other FROM profiles p, profiles q, profiles r)) c",
    ] {
        // A server each: work that goes on would starve the next statement.
        let (_lake, server) = own_server();
        let session = server.session("engineer").await;
        session.rows("SET statement_timeout = '500ms'").await;
        let started = Instant::now();
        let failure = session.failure(statement).await;
        assert_eq!(failure.sqlstate, CANCELED, "{statement}: {failure}");
        assert!(
            started.elapsed() < SOON,
            "{statement}: {:?} for a timeout of 500 ms",
            started.elapsed()
        );
        println!("{statement}");
        rests(&server).await;
        session.rows("SET statement_timeout = 0").await;
        assert_eq!(session.value("SELECT 1").await, "1", "the session lives on");
    }
}

/// The largest statement that is planned at all: five hundred relations out of ten lines.
fn doubled() -> String {
    let levels: Vec<String> = (1..10)
        .map(|level| format!("c{level} AS (SELECT a.x FROM c{0} a, c{0} b)", level - 1))
        .collect();
    format!(
        "WITH c0 AS (SELECT profile_id AS x FROM profiles), {} SELECT count(*) FROM c9",
        levels.join(", ")
    )
}

#[tokio::test]
async fn planning_keeps_nobody_else_waiting() {
    let (_lake, server) = own_server();
    let other = server.session("marketer").await;
    let mut planned = Vec::new();
    for _ in 0..4 {
        planned.push(server.session("analyst").await);
    }
    let statement = doubled();
    let all = futures::future::join_all(planned.iter().map(|session| session.run(&statement)));
    tokio::pin!(all);
    let (started, idle) = (Instant::now(), ticks(&server));
    while ticks(&server) < idle + 50 {
        assert!(started.elapsed() < PROMPT, "nothing is planned");
        tokio::select! {
            biased;
            answers = &mut all => panic!("the statements ended: {answers:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    let asked = Instant::now();
    let answer = tokio::select! {
        answer = other.value("SELECT 1") => answer,
        answers = &mut all => panic!("the statements ended first: {answers:?}"),
    };
    assert_eq!(answer, "1");
    assert!(asked.elapsed() < SOON, "{:?} for SELECT 1", asked.elapsed());
}

#[tokio::test]
async fn a_client_that_goes_takes_its_work_with_it() {
    let (_lake, server) = own_server();
    let session = server.session("engineer").await;
    {
        let statement = session.run(ENDLESS);
        tokio::pin!(statement);
        works(&server, &mut statement).await;
    }
    drop(session);
    rests(&server).await;
}

#[tokio::test]
async fn a_stranger_cannot_cancel() {
    let server = shared_server();
    let session = server.session("analyst").await;
    // A cancel request with a wrong key is answered with nothing, as PostgreSQL does, and cancels nothing.
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let mut request = Vec::new();
    for word in [16_u32, 80_877_102, 1, 2] {
        request.extend(word.to_be_bytes());
    }
    tokio::io::AsyncWriteExt::write_all(&mut stream, &request).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PROMPT, tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.is_empty(), "{answer:?}");
    assert_eq!(session.value("SELECT 1").await, "1");
}
