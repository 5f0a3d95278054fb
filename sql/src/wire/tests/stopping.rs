//! Work that is no longer wanted ends: cancelled, out of time, without a client, at shutdown. And slow readers.

use std::sync::atomic::Ordering;

use super::*;

const FOR_EVER: &str = "SELECT sum(n) FROM endless";

/// A CancelRequest.
pub(super) fn cancel((pid, secret): (i32, i32)) -> Vec<u8> {
    [16, 80_877_102, pid, secret].iter().flat_map(|word: &i32| word.to_be_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_request_stops_the_work() {
    let harness = Harness::start().await;
    for sql in [FOR_EVER, "SELECT n FROM stuck"] {
        let mut wire = harness.wire().await;
        wire.send(&message(b'Q', &[sql.as_bytes(), b"\0"])).await;
        harness.facts.wait_for_a_stream().await;
        let (pid, secret) = wire.key;
        harness.socket().await.send(&cancel((pid, secret.wrapping_add(1)))).await;
        let mut canceller = harness.socket().await;
        canceller.send(&cancel(wire.key)).await;
        assert_eq!(canceller.receive().await, None, "a CancelRequest has no answer");
        let replies = wire.until_ready().await;
        assert_eq!(sqlstate(&replies), "57014", "{sql}");
        harness.facts.wait_for_no_stream().await;
        assert_eq!(tags(&wire.query("SELECT 1").await), ["SELECT 1"], "the session goes on");
    }
}

/// Who is held up by too many others must be able to stop one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_request_needs_no_place_of_a_session() {
    let limits = Limits { connections_max: 1, unauthenticated_max: 1, ..Limits::default() };
    let harness = Harness::start_with(None, limits).await;
    let mut wire = harness.wire().await;
    // Connections are accepted in their order, so that the silent one has taken the only entrance before the others come.
    for silent in [0, 1] {
        let mut silents = Vec::new();
        for _ in 0..silent {
            silents.push(harness.socket().await);
        }
        wire.send(&message(b'Q', &[FOR_EVER.as_bytes(), b"\0"])).await;
        harness.facts.wait_for_a_stream().await;
        let mut canceller = harness.socket().await;
        canceller.send(&cancel(wire.key)).await;
        assert_eq!(canceller.receive().await, None, "a CancelRequest has no answer");
        assert_eq!(sqlstate(&wire.until_ready().await), "57014", "with {silent} in the entrance");
        harness.facts.wait_for_no_stream().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_does_not_wait_for_the_next_statement() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    wire.send(&message(b'Q', &[b"SELECT 1; REFRESH SOURCE stuck\0"])).await;
    for kind in ['T', 'D', 'C'] {
        assert_eq!(wire.receive().await.unwrap().0, kind);
    }
    harness.socket().await.send(&cancel(wire.key)).await;
    let replies = wire.until_ready().await;
    assert_eq!((kinds(&replies).as_str(), sqlstate(&replies).as_str()), ("EZ", "57014"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_statement_timeout_covers_the_stream() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    wire.query("SET statement_timeout = '100ms'").await;
    for sql in [FOR_EVER, "SELECT n FROM stuck", "COPY (SELECT n FROM stuck) TO STDOUT"] {
        assert_eq!(sqlstate(&wire.query(sql).await), "57014", "{sql}");
        harness.facts.wait_for_no_stream().await;
    }
    wire.query("SET statement_timeout = 0").await;
    assert_eq!(tags(&wire.query("SELECT 1").await), ["SELECT 1"]);
    let limits =
        Limits { statement_timeout_max: Some(Duration::from_millis(100)), ..Limits::default() };
    let bounded = Harness::start_with(None, limits).await;
    let mut wire = bounded.wire().await;
    wire.query("SET statement_timeout = '1h'").await;
    assert_eq!(sqlstate(&wire.query(FOR_EVER).await), "57014", "the server's bound stands");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_takes_its_query_with_it() {
    let harness = Harness::start().await;
    for goodbye in [true, false] {
        let mut wire = harness.wire().await;
        wire.send(&message(b'Q', &[FOR_EVER.as_bytes(), b"\0"])).await;
        harness.facts.wait_for_a_stream().await;
        if goodbye {
            wire.send(&message(b'X', &[])).await;
            harness.facts.wait_for_no_stream().await;
        } else {
            drop(wire);
            harness.facts.wait_for_no_stream().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_comes_before_the_end() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    wire.send(&message(b'Q', &[b"SELECT n FROM stuck\0"])).await;
    assert_eq!(wire.receive().await.unwrap().0, 'T');
    for _ in 0..1000 {
        assert_eq!(wire.receive().await.unwrap().0, 'D');
    }
    assert_eq!(harness.facts.streams.load(Ordering::SeqCst), 1, "the stream has not ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_slows_the_query_and_loses_nothing() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    wire.send(&message(b'Q', &[b"SELECT n FROM wide\0"])).await;
    assert_eq!(wire.receive().await.unwrap().0, 'T');
    tokio::time::sleep(Duration::from_millis(200)).await;
    let replies = wire.until_ready().await;
    assert_eq!(
        replies.iter().filter(|reply| reply.0 == 'D' && reply.1.len() == 106).count(),
        100_000
    );
    assert_eq!(tags(&replies), ["SELECT 100000"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_stops_between_chunks_leaves_the_client_in_step() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    wire.query("SET statement_timeout = '150ms'").await;
    wire.send(&message(b'Q', &[b"SELECT n FROM endless\0"])).await;
    // Nothing is read until the time is over: a chunk is written half.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let replies = wire.until_ready().await;
    assert!(replies.iter().all(|reply| "TDEZ".contains(reply.0)), "every message is whole");
    assert_eq!(sqlstate(&replies), "57014");
    harness.facts.wait_for_no_stream().await;
    assert_eq!(tags(&wire.query("SELECT 1").await), ["SELECT 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_says_goodbye_to_everybody() {
    let mut harness = Harness::start().await;
    let mut idle = harness.wire().await;
    let mut busy = harness.wire().await;
    busy.send(&message(b'Q', &[FOR_EVER.as_bytes(), b"\0"])).await;
    harness.facts.wait_for_a_stream().await;
    harness.shutdown.cancel();
    for wire in [&mut idle, &mut busy] {
        let replies = wire.until_ready().await;
        assert_eq!(sqlstate(&replies), "57P01");
        assert_eq!(status(&replies), '?');
    }
    let ended = tokio::time::timeout(PATIENCE, harness.server.join_next()).await.unwrap();
    assert!(ended.unwrap().is_ok());
    harness.facts.wait_for_no_stream().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_transaction_ends() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    wire.query("SET idle_in_transaction_session_timeout = '50ms'; BEGIN").await;
    assert_eq!(sqlstate(&wire.until_ready().await), "25P03");
}
