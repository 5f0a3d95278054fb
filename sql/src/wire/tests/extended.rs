//! The extended protocol, with a driver and by hand.

use super::*;

fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"])
}

/// Binds no values; results as text.
fn bind(portal: &str, statement: &str) -> Vec<u8> {
    message(b'B', &[portal.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0\0\0\0\0"])
}

fn execute(portal: &str, rows_max: u32) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0", &rows_max.to_be_bytes()])
}

fn describe(target: u8, name: &str) -> Vec<u8> {
    message(b'D', &[&[target], name.as_bytes(), b"\0"])
}

fn sync() -> Vec<u8> {
    message(b'S', &[])
}

impl Wire {
    async fn exchange(&mut self, messages: &[Vec<u8>]) -> Vec<Reply> {
        self.send(&messages.concat()).await;
        self.until_ready().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_is_answered_in_order() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    let replies = wire
        .exchange(&[
            parse("s", "SELECT id, name FROM t ORDER BY id"),
            describe(b'S', "s"),
            bind("", "s"),
            describe(b'P', ""),
            execute("", 0),
            parse("", ""),
            bind("", ""),
            describe(b'P', ""),
            execute("", 0),
            sync(),
        ])
        .await;
    assert_eq!(kinds(&replies), "1tT2TDDDDDDDDDDC12nIZ");
    assert_eq!(tags(&replies), ["SELECT 10"]);
    // Two names, bigint of eight bytes and text of any length.
    assert_eq!(
        replies[2].1,
        b"\0\x02id\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0name\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
    );
}

/// Preparing EXECUTE by the protocol must not let it execute itself for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_does_not_execute_itself() {
    let harness = Harness::start().await;
    for last in [describe(b'P', ""), execute("", 0)] {
        let mut wire = harness.wire().await;
        let replies = wire.exchange(&[parse("a", "EXECUTE a"), bind("", "a"), last, sync()]).await;
        assert_eq!(kinds(&replies), "12EZ");
        assert_eq!(sqlstate(&replies), "0A000");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_skips_to_the_next_sync() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    let replies = wire
        .exchange(&[
            parse("", "SELECT nonsense"),
            bind("", ""),
            execute("", 0),
            sync(),
            parse("", "SELECT 1"),
            sync(),
        ])
        .await;
    assert_eq!(kinds(&replies), "EZ");
    assert_eq!(kinds(&wire.until_ready().await), "1Z");
    for (messages, expected) in [
        (vec![parse("", "SELECT 1; SELECT 2")], "42601"),
        (vec![bind("", "nowhere")], "26000"),
        (vec![execute("nowhere", 0)], "34000"),
        (vec![message(b'E', &[b"no end"])], "08P01"),
        (vec![message(b'D', &[b"Z\0"])], "08P01"),
        (vec![describe(b'P', "nowhere")], "34000"),
        (vec![parse("", "SELECT id FROM t WHERE id = $1"), bind("", "")], "08P01"),
        (vec![parse("twice", "SELECT 1"), parse("twice", "SELECT 1")], "42P05"),
        (vec![message(b'F', &[b"\0\0\0\0"])], "0A000"),
    ] {
        let replies = wire.exchange(&[messages.concat(), sync()]).await;
        assert_eq!(sqlstate(&replies), expected);
        if expected == "0A000" {
            wire.until_ready().await;
        }
    }
    assert_eq!(kinds(&wire.exchange(&[message(b'C', &[b"Snowhere\0"]), sync()]).await), "3Z");
}

/// Whoever pipelines must not find statements done that were sent behind one that failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simple_query_is_skipped_with_the_rest() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    let query = message(b'Q', &[b"SELECT 1\0"]);
    let replies =
        wire.exchange(&[parse("", "SELECT nonsense"), query.clone(), query, sync()]).await;
    assert_eq!(kinds(&replies), "EZ");
    assert_eq!(tags(&wire.query("SELECT 1").await), ["SELECT 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_are_no_utf8_fail_up_to_the_next_sync() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    let query = message(b'P', &[b"\0SELECT '\xff'\0\0\0"]);
    let named = message(b'B', &[b"\xff\0\0\0\0\0\0\0\0"]);
    // One value, as text, of one byte.
    let value = message(b'B', &[b"\0\0\0\0\0\x01\0\0\0\x01\xff\0\0"]);
    for broken in [query, named, value] {
        let replies = wire
            .exchange(&[
                parse("", "SELECT name FROM t WHERE name = $1"),
                broken,
                execute("", 0),
                sync(),
            ])
            .await;
        assert_eq!((kinds(&replies).as_str(), sqlstate(&replies).as_str()), ("1EZ", "22021"));
        assert_eq!(replies[1].field(b'S').as_deref(), Some("ERROR"));
    }
    assert_eq!(tags(&wire.query("SELECT 1").await), ["SELECT 1"], "the session goes on");
}

/// The simple protocol fetches from a binary cursor in binary. In the extended protocol the Bind decides, and what is
/// sent is what was described.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bind_says_how_a_cursor_is_read() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    let declare = "BEGIN; DECLARE c BINARY CURSOR FOR SELECT id FROM t ORDER BY id";
    wire.query(declare).await;
    let described = |reply: &Reply| *reply.1.last().unwrap();
    let replies = wire.query("FETCH 1 FROM c").await;
    assert_eq!((kinds(&replies).as_str(), described(&replies[0])), ("TDCZ", 1));
    assert_eq!(replies[1].1, b"\0\x01\0\0\0\x08\0\0\0\0\0\0\0\x01");
    let binary = message(b'B', &[b"\0\0\0\0\0\0\0\x01\0\x01"]);
    for (bind, format, row) in [
        (bind("", ""), 0, &b"\0\x01\0\0\0\x012"[..]),
        (binary, 1, b"\0\x01\0\0\0\x08\0\0\0\0\0\0\0\x03"),
    ] {
        let replies = wire
            .exchange(&[
                parse("", "FETCH 1 FROM c"),
                bind,
                describe(b'P', ""),
                execute("", 0),
                sync(),
            ])
            .await;
        assert_eq!((kinds(&replies).as_str(), described(&replies[2])), ("12TDCZ", format));
        assert_eq!(replies[3].1, row);
    }
    let replies = wire.exchange(&[describe(b'P', "c"), sync()]).await;
    assert_eq!((kinds(&replies).as_str(), described(&replies[0])), ("TZ", 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn portals_are_suspended_and_continued() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    wire.query("BEGIN").await;
    let replies = wire
        .exchange(&[parse("", "SELECT id FROM t"), bind("p", ""), execute("p", 4), sync()])
        .await;
    assert_eq!(kinds(&replies), "12DDDDsZ");
    assert_eq!(kinds(&wire.exchange(&[execute("p", 4), sync()]).await), "DDDDsZ");
    let replies = wire.exchange(&[execute("p", 4), sync()]).await;
    assert_eq!((kinds(&replies).as_str(), tags(&replies)), ("DDCZ", vec!["SELECT 2".to_owned()]));
    assert_eq!(tags(&wire.exchange(&[execute("p", 0), sync()]).await), ["SELECT 0"]);
    wire.query("COMMIT").await;
    assert_eq!(sqlstate(&wire.exchange(&[execute("p", 0), sync()]).await), "34000");
    let replies = wire
        .exchange(&[parse("", "SELECT id FROM t"), bind("q", ""), sync(), execute("q", 0), sync()])
        .await;
    assert_eq!(kinds(&replies), "12Z");
    assert_eq!(
        sqlstate(&wire.until_ready().await),
        "34000",
        "outside of a block a portal ends at Sync"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn show_all_gives_as_many_rows_as_are_wanted() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    let all = wire.query("SHOW ALL").await.iter().filter(|reply| reply.0 == 'D').count();
    wire.query("BEGIN").await;
    let replies = wire
        .exchange(&[
            parse("", "SHOW ALL"),
            bind("p", ""),
            describe(b'P', "p"),
            execute("p", 2),
            sync(),
        ])
        .await;
    assert_eq!(kinds(&replies), "12TDDsZ");
    let replies = wire.exchange(&[execute("p", 0), sync()]).await;
    assert_eq!(kinds(&replies), format!("{}CZ", "D".repeat(all - 2)));
    assert_eq!(tags(&replies), ["SHOW"]);
    assert_eq!(kinds(&wire.exchange(&[execute("p", 0), sync()]).await), "CZ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_without_a_plan_work_too() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    for (sql, expected) in [
        ("SHOW search_path", "12TDCZ"),
        ("SET application_name = 'x'", "12nCSZ"),
        ("BEGIN", "12nCZ"),
        ("DECLARE c CURSOR FOR SELECT id FROM t", "12nCZ"),
        ("FETCH 3 FROM c", "12TDDDCZ"),
        ("MOVE 1 FROM c", "12nCZ"),
        ("COMMIT", "12nCZ"),
        ("SHOW SEGMENTS", "12TDDCZ"),
        ("REFRESH ALL", "12nNCZ"),
        ("COPY (SELECT 1) TO STDOUT", "12nHdcCZ"),
    ] {
        let replies = wire
            .exchange(&[parse("", sql), bind("", ""), describe(b'P', ""), execute("", 0), sync()])
            .await;
        assert_eq!(kinds(&replies), expected, "{sql}");
    }
    wire.query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM t").await;
    assert_eq!(kinds(&wire.exchange(&[describe(b'P', "c"), sync()]).await), "TZ");
    let replies = wire
        .exchange(&[
            parse("", "FETCH 5 FROM c"),
            bind("f", ""),
            execute("f", 2),
            execute("f", 9),
            sync(),
        ])
        .await;
    assert_eq!(kinds(&replies), "12DDsDDDCZ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_sends_and_reads_binary_values() {
    let mut harness = Harness::start().await;
    let client = harness.driver().await;
    let statement = client
        .prepare("SELECT id, name FROM t WHERE id > $1 AND name <> $2 ORDER BY id")
        .await
        .unwrap();
    assert_eq!(
        statement.params(),
        [tokio_postgres::types::Type::INT8, tokio_postgres::types::Type::TEXT]
    );
    for floor in [7i64, 8] {
        let rows = client.query(&statement, &[&floor, &"name 10"]).await.unwrap();
        let found: Vec<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let expected: Vec<_> = (floor + 1..=9).map(|id| (id, format!("name {id}"))).collect();
        assert_eq!(found, expected);
    }
    let row = client
        .query_one(
            "SELECT true, 1.5::double, ARRAY[1, 2]::int[], X'dead', 7::smallint, NULL::text",
            &[],
        )
        .await
        .unwrap();
    assert!(row.get::<_, bool>(0));
    assert_eq!(row.get::<_, f64>(1), 1.5);
    assert_eq!(row.get::<_, Vec<i32>>(2), [1, 2]);
    assert_eq!(row.get::<_, Vec<u8>>(3), [0xde, 0xad]);
    assert_eq!(row.get::<_, i16>(4), 7);
    assert_eq!(row.get::<_, Option<String>>(5), None);

    let mut client = client;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT id FROM t WHERE id <> $1", &[&5i64]).await.unwrap();
    assert_eq!(transaction.query_portal(&portal, 6).await.unwrap().len(), 6);
    assert_eq!(transaction.query_portal(&portal, 6).await.unwrap().len(), 3);
    transaction.commit().await.unwrap();
    let error = client.query("SELECT nme FROM t", &[]).await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.hint()), ("42703", Some("Did you mean \"name\"?")));
}
