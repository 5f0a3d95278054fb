//! `LISTEN` and `NOTIFY`: who hears what, and when.

use super::*;

/// What a NotificationResponse says: the speaker, the channel and the payload.
fn heard(reply: &Reply) -> (i32, String, String) {
    assert_eq!(reply.0, 'A', "{reply:?}");
    let text = String::from_utf8(reply.1[4..].to_vec()).unwrap();
    let mut parts = text.split('\0').map(str::to_owned);
    ((&reply.1[..4]).get_i32(), parts.next().unwrap(), parts.next().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_is_heard_at_once_by_who_listens() {
    let harness = Harness::start().await;
    let (mut one, mut two) = (harness.wire().await, harness.wire().await);
    assert_eq!(tags(&one.query("LISTEN a; LISTEN \"B\"").await), ["LISTEN", "LISTEN"]);
    assert_eq!(tags(&two.query("NOTIFY A, 'x'; NOTIFY c; NOTIFY \"B\"").await).len(), 3);
    // Nobody asked for it: it comes to a session that waits.
    let said = one.receive().await.unwrap();
    assert_eq!(heard(&said), (two.key.0, "a".to_owned(), "x".to_owned()));
    let said = one.receive().await.unwrap();
    assert_eq!(heard(&said), (two.key.0, "B".to_owned(), String::new()));
    assert_eq!(kinds(&one.query("SELECT 1").await), "TDCZ", "nothing else was heard");
    assert_eq!(kinds(&two.query("SELECT 1").await), "TDCZ", "who does not listen hears nothing");
    // A session hears itself, and the same once.
    let replies = one.query("NOTIFY a, 'y'; NOTIFY a, 'y'").await;
    assert_eq!(kinds(&replies), "CCAZ");
    assert_eq!(heard(&replies[2]), (one.key.0, "a".to_owned(), "y".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_heard_when_it_commits_and_hears_when_it_ends() {
    let harness = Harness::start().await;
    let (mut one, mut two) = (harness.wire().await, harness.wire().await);
    one.query("LISTEN a").await;
    // Neither what is taken back is heard, nor what failed.
    two.query("BEGIN; NOTIFY a, 'never'; ROLLBACK").await;
    two.query("NOTIFY a, 'never'; SELECT nonsense").await;
    two.query("BEGIN; NOTIFY a, 'first'; SAVEPOINT s; NOTIFY a, 'never'; ROLLBACK TO s").await;
    assert_eq!(kinds(&one.query("BEGIN; SELECT 1").await), "CTDCZ", "nothing is committed");
    two.query("COMMIT").await;
    assert_eq!(kinds(&one.query("SELECT 1").await), "TDCZ", "inside of a block nothing is told");
    let replies = one.query("COMMIT").await;
    assert_eq!(kinds(&replies), "CAZ");
    assert_eq!(heard(&replies[1]).2, "first");
    // What a transaction listens to counts from its commit.
    two.query("BEGIN; LISTEN b; ROLLBACK").await;
    assert_eq!(kinds(&two.query("NOTIFY b").await), "CZ");
    assert_eq!(kinds(&two.query("BEGIN; LISTEN b; NOTIFY b; COMMIT").await), "CCCCAZ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_no_more_hears_no_more() {
    let harness = Harness::start().await;
    let (mut one, mut two) = (harness.wire().await, harness.wire().await);
    for end in ["UNLISTEN a", "UNLISTEN *", "DISCARD ALL"] {
        one.query("LISTEN a").await;
        one.query(end).await;
        two.query("NOTIFY a").await;
        assert_eq!(kinds(&one.query("SELECT 1").await), "TDCZ", "{end}");
    }
    one.query("LISTEN a").await;
    drop(one);
    assert_eq!(tags(&two.query("NOTIFY a").await), ["NOTIFY"]);
    // Bounds.
    for (sql, expected) in [
        (format!("LISTEN {}", "c".repeat(64)), "22023"),
        (format!("NOTIFY a, '{}'", "x".repeat(8000)), "22023"),
        (format!("NOTIFY a, '{}'", "x".repeat(7999)), ""),
    ] {
        assert_eq!(sqlstate(&two.query(&sql).await), expected);
    }
    two.query("BEGIN").await;
    let many: String = (0..1024).map(|n| format!("NOTIFY a, '{n}';")).collect();
    assert_eq!(sqlstate(&two.query(&many).await), "");
    assert_eq!(sqlstate(&two.query("NOTIFY a, 'one more'").await), "54000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_the_extended_protocol_listen_too() {
    let harness = Harness::start().await;
    let (mut one, mut two) = (harness.wire().await, harness.wire().await);
    let run = |sql: &str| {
        [
            message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"]),
            message(b'B', &[b"\0\0\0\0\0\0\0\0"]),
            message(b'E', &[b"\0\0\0\0\0"]),
        ]
        .concat()
    };
    one.send(&run("LISTEN a")).await;
    one.send(&message(b'S', &[])).await;
    assert_eq!(kinds(&one.until_ready().await), "12CZ");
    two.send(&run("NOTIFY a, 'x'")).await;
    two.send(&message(b'S', &[])).await;
    assert_eq!(kinds(&two.until_ready().await), "12CZ");
    assert_eq!(heard(&one.receive().await.unwrap()).2, "x");
}
