//! The simple protocol, transactions, settings, cursors and COPY.

use std::sync::atomic::Ordering;

use super::*;

/// Runs texts in one session and compares tags, or the SQLSTATE, and where the session stands then.
async fn check(wire: &mut Wire, sql: &str, expected: &str, stands: char) {
    let replies = wire.query(sql).await;
    let mut found = tags(&replies).join(", ");
    let failed = sqlstate(&replies);
    if !failed.is_empty() {
        found = if found.is_empty() { failed } else { format!("{found}, {failed}") };
    }
    assert_eq!((found.as_str(), status(&replies)), (expected, stands), "{sql}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_answer_with_rows_and_tags() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    let replies = wire.query("SELECT id, name FROM t WHERE id < 3; SHOW search_path").await;
    assert_eq!(kinds(&replies), "TDDCTDCZ");
    assert_eq!(replies[1].1, b"\0\x02\0\0\0\x011\0\0\0\x06name 1");
    assert_eq!(tags(&replies), ["SELECT 2", "SHOW"]);
    assert_eq!(kinds(&wire.query("").await), "IZ");
    assert_eq!(kinds(&wire.query(" -- nothing\n").await), "IZ");
    let replies = wire.query("REFRESH ALL").await;
    assert_eq!(kinds(&replies), "NCZ");
    check(&mut wire, "SHOW SEGMENTS", "SHOW", 'I').await;
    check(&mut wire, "EXPLAIN SELECT 1", "EXPLAIN", 'I').await;
    check(&mut wire, "SELECT $1::int", "42P02", 'I').await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failed_block_has_set_is_not_told() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    for (sql, expected) in [
        ("BEGIN; SET TimeZone = 'Europe/Warsaw'; SELECT nme FROM t", "CCEZ"),
        ("ROLLBACK", "CZ"),
        ("BEGIN; SAVEPOINT a; SET TimeZone = 'Europe/Warsaw'; SELECT nme FROM t", "CCCEZ"),
        ("ROLLBACK TO a", "CZ"),
        ("COMMIT", "CZ"),
        // What the client was told before the block failed is taken back.
        ("BEGIN; SET TimeZone = 'Europe/Warsaw'", "CCSZ"),
        ("SELECT nme FROM t", "EZ"),
        ("ROLLBACK", "CSZ"),
    ] {
        assert_eq!(kinds(&wire.query(sql).await), expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_have_a_position_and_end_their_text() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    for (sql, expected, position) in [
        ("SELECT 1; SELECT nme FROM t; SELECT 2", "42703", Some("18")),
        ("SELECT * FROM nowhere", "42P01", Some("15")),
        ("SELECT lenght(name) FROM t", "42883", Some("8")),
        ("SELECT 1 +", "42601", None),
        ("SELECT 1/(id-id) FROM t", "22012", None),
        ("SELECT cast(name AS bigint) FROM t", "22P02", None),
    ] {
        let replies = wire.query(sql).await;
        let error = replies.iter().find(|reply| reply.0 == 'E').unwrap();
        assert_eq!(error.field(b'C').as_deref(), Some(expected), "{sql}: {}", error.text());
        if position.is_some() {
            assert_eq!(error.field(b'P').as_deref(), position, "{sql}");
        }
        assert!(!error.text().contains("name 1"), "no value of a row: {}", error.text());
        assert_eq!(status(&replies), 'I');
    }
    let replies = wire.query("SELECT 'panic'").await;
    assert_eq!(sqlstate(&replies), "XX000");
    check(&mut wire, "SELECT 1", "SELECT 1", 'I').await;
    let long = format!("SELECT '{}'", "x".repeat(300 * 1024));
    check(&mut wire, &long, "54000", 'I').await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_honest() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    for (sql, expected, stands) in [
        ("BEGIN", "BEGIN", 'T'),
        ("SELECT 1", "SELECT 1", 'T'),
        ("REFRESH ALL", "25001", 'E'),
        ("SELECT 1", "25P02", 'E'),
        ("COMMIT", "ROLLBACK", 'I'),
        ("BEGIN", "BEGIN", 'T'),
        ("SELECT 'record_consent'", "25001", 'E'),
        ("ROLLBACK", "ROLLBACK", 'I'),
        ("SELECT 'record_consent'", "SELECT 1", 'I'),
        ("REFRESH ALL; SELECT 1", "25001", 'I'),
        ("SELECT 'record_consent'; SELECT 1/0", "25001", 'I'),
        ("COPY (SELECT 'record_consent') TO STDOUT; SELECT 1", "25001", 'I'),
        ("DECLARE w CURSOR WITH HOLD FOR SELECT 'record_consent'; SELECT 1", "25001", 'I'),
        ("PREPARE w AS SELECT 'record_consent'; EXECUTE w; SELECT 1", "PREPARE, 25001", 'I'),
        ("SELECT 1; EXECUTE w", "SELECT 1, SELECT 1", 'I'),
        ("SELECT 1; REFRESH ALL", "SELECT 1, REFRESH", 'I'),
        ("BEGIN; SAVEPOINT a", "BEGIN, SAVEPOINT", 'T'),
        ("SELECT nonsense", "42703", 'E'),
        ("ROLLBACK TO a", "ROLLBACK", 'T'),
        ("ROLLBACK TO b", "3B001", 'E'),
        ("ROLLBACK TO SAVEPOINT a; RELEASE a; COMMIT", "ROLLBACK, RELEASE, COMMIT", 'I'),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN", 'T'),
        ("COMMIT", "COMMIT", 'I'),
        ("START TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION", 'T'),
        ("COMMIT", "COMMIT", 'I'),
        ("BEGIN READ ONLY", "BEGIN", 'T'),
        ("REFRESH ALL", "25006", 'E'),
        ("ROLLBACK AND CHAIN", "ROLLBACK", 'T'),
        ("COMMIT", "COMMIT", 'I'),
        ("SAVEPOINT a", "25P01", 'I'),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET", 'I'),
        ("REFRESH ALL", "25006", 'I'),
    ] {
        check(&mut wire, sql, expected, stands).await;
    }
    let replies = wire.query("COMMIT").await;
    assert_eq!(replies[0].field(b'S').as_deref(), Some("WARNING"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_of_the_session() {
    let harness = Harness::start().await;
    let (mut one, mut two) = (harness.wire().await, harness.wire().await);
    let replies = one.query("SET TimeZone = 'Europe/Warsaw'").await;
    assert_eq!(
        replies.iter().find(|reply| reply.0 == 'S').unwrap().1,
        b"TimeZone\0Europe/Warsaw\0"
    );
    let shown = |replies: Vec<Reply>| replies.iter().find(|reply| reply.0 == 'D').unwrap().text();
    assert!(shown(one.query("SHOW TimeZone").await).ends_with("Europe/Warsaw"));
    assert!(shown(two.query("SHOW TIME ZONE").await).ends_with("UTC"));
    let noon = "SELECT arrow_cast('2024-07-01T00:00:00Z', 'Timestamp(Microsecond, Some(\"UTC\"))')";
    assert!(shown(one.query(noon).await).ends_with("2024-07-01 02:00:00+02"));
    for (sql, expected) in [
        ("SET datafusion.execution.batch_size = 1", "42501"),
        ("SHOW datafusion.execution.batch_size", "42501"),
        ("SET nonsense = 1", "42704"),
        ("SET cdp.purpose = 'forbidden'", "42501"),
        ("SET server_version = '16'", "55P02"),
        ("RESET ALL", "RESET"),
        ("DISCARD ALL", "DISCARD ALL"),
        ("SHOW ALL", "SHOW"),
        ("LISTEN a", "LISTEN"),
        ("NOTIFY a, 'b'", "NOTIFY"),
        ("UNLISTEN *", "UNLISTEN"),
        ("COPY t TO '/tmp/x'", "42501"),
        ("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", "42501"),
    ] {
        check(&mut one, sql, expected, 'I').await;
    }
    assert!(shown(one.query("SHOW TimeZone").await).ends_with("UTC"));
    assert_eq!(
        tags(
            &one.query(
                "BEGIN; SET LOCAL statement_timeout = '1s'; SET application_name = 'x'; ROLLBACK"
            )
            .await
        )
        .len(),
        4
    );
    assert!(shown(one.query("SHOW statement_timeout").await).ends_with('0'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scroll_cursors_go_both_ways() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    for (sql, expected, stands) in [
        (
            "BEGIN; DECLARE s SCROLL CURSOR FOR SELECT id FROM t ORDER BY id",
            "BEGIN, DECLARE CURSOR",
            'T',
        ),
        ("FETCH PRIOR FROM s", "FETCH 0", 'T'),
        ("FETCH 3 FROM s", "FETCH 3", 'T'),
        ("FETCH BACKWARD ALL FROM s", "FETCH 2", 'T'),
        ("MOVE LAST FROM s", "MOVE 1", 'T'),
        ("FETCH RELATIVE -4 FROM s", "FETCH 1", 'T'),
        ("MOVE FORWARD ALL IN s", "MOVE 4", 'T'),
        ("FETCH FIRST FROM s", "FETCH 1", 'T'),
        ("FETCH ABSOLUTE -11 FROM s", "FETCH 0", 'T'),
        ("MOVE ABSOLUTE 0 FROM s", "MOVE 0", 'T'),
        ("FETCH ALL FROM s", "FETCH 10", 'T'),
        // One that goes forward gets to a row that lies ahead, and to no other.
        ("DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id", "DECLARE CURSOR", 'T'),
        ("FETCH 0 FROM c", "FETCH 0", 'T'),
        ("FETCH ABSOLUTE 4 FROM c", "FETCH 1", 'T'),
        ("MOVE RELATIVE 2 FROM c", "MOVE 1", 'T'),
        ("MOVE 0 FROM c", "MOVE 1", 'T'),
        ("FETCH ABSOLUTE 6 FROM c", "55000", 'E'),
        ("ROLLBACK", "ROLLBACK", 'I'),
    ] {
        check(&mut wire, sql, expected, stands).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_go_forward() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    for (sql, expected, stands) in [
        ("DECLARE c CURSOR FOR SELECT id FROM t", "25P01", 'I'),
        (
            "BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT id FROM t ORDER BY id",
            "BEGIN, DECLARE CURSOR",
            'T',
        ),
        ("FETCH 3 FROM c", "FETCH 3", 'T'),
        ("MOVE 2 FROM c", "MOVE 2", 'T'),
        ("FETCH NEXT FROM c", "FETCH 1", 'T'),
        ("FETCH ALL FROM c", "FETCH 4", 'T'),
        ("FETCH ALL FROM c", "FETCH 0", 'T'),
        ("CLOSE c", "CLOSE CURSOR", 'T'),
        ("FETCH c", "34000", 'E'),
        ("ROLLBACK", "ROLLBACK", 'I'),
        (
            "BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT id FROM t; COMMIT",
            "BEGIN, DECLARE CURSOR, COMMIT",
            'I',
        ),
        ("FETCH 1 FROM h", "FETCH 1", 'I'),
        ("FETCH BACKWARD 1 FROM h", "55000", 'I'),
        ("FETCH 1 FROM h", "FETCH 1", 'I'),
        // What a transaction has left behind is not undone by the next one.
        ("BEGIN; FETCH 1 FROM h; ROLLBACK", "BEGIN, FETCH 1, ROLLBACK", 'I'),
        ("BEGIN; SELECT nonsense", "BEGIN, 42703", 'E'),
        ("COMMIT", "ROLLBACK", 'I'),
        ("FETCH 1 FROM h", "FETCH 1", 'I'),
        // And what was made by one that failed is gone.
        (
            "BEGIN; DECLARE i CURSOR WITH HOLD FOR SELECT 1; ROLLBACK",
            "BEGIN, DECLARE CURSOR, ROLLBACK",
            'I',
        ),
        ("FETCH 1 FROM i", "34000", 'I'),
        ("DECLARE i CURSOR WITH HOLD FOR SELECT 1; SELECT nonsense", "DECLARE CURSOR, 42703", 'I'),
        ("FETCH 1 FROM i", "34000", 'I'),
        ("FETCH 1 FROM h", "FETCH 1", 'I'),
    ] {
        check(&mut wire, sql, expected, stands).await;
    }
    harness.facts.epoch.fetch_add(1, Ordering::SeqCst);
    check(&mut wire, "FETCH 1 FROM h", "55000", 'I').await;
    check(
        &mut wire,
        "DECLARE h CURSOR WITH HOLD FOR SELECT 1; SET cdp.purpose = 'other'",
        "DECLARE CURSOR, SET",
        'I',
    )
    .await;
    check(&mut wire, "FETCH 1 FROM h", "34000", 'I').await;
}

async fn shown_purpose(wire: &mut Wire) -> Vec<u8> {
    let replies = wire.query("SHOW cdp.purpose").await;
    replies.iter().find(|reply| reply.0 == 'D').unwrap().1[6..].to_vec()
}

/// A text or a series of messages is a transaction: who reads on behind one that failed reads for the purpose from before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purpose_is_not_kept_by_a_text_that_fails() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    let told = || {
        let told = harness.facts.told.lock().unwrap();
        let last = told.iter().rev().find(|(setting, _)| setting == "cdp.purpose");
        last.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    check(&mut wire, "SET cdp.purpose = 'first'", "SET", 'I').await;
    for (sql, expected, purpose) in [
        ("SET cdp.purpose = 'second'; SELECT nonsense", "SET, 42703", "first"),
        ("SET LOCAL cdp.purpose = 'second'; SELECT 1", "SET, SELECT 1", "first"),
        ("SET LOCAL cdp.purpose = 'second'", "SET", "first"),
        ("RESET cdp.purpose; SELECT nonsense", "RESET, 42703", "first"),
        ("RESET ALL; SELECT nonsense", "RESET, 42703", "first"),
        ("SET cdp.purpose = 'second'; ROLLBACK; SELECT 1", "SET, ROLLBACK, SELECT 1", "first"),
        ("SET cdp.purpose = 'second'; COMMIT; SELECT nonsense", "SET, COMMIT, 42703", "second"),
        ("SET cdp.purpose = 'first'; SELECT 1", "SET, SELECT 1", "first"),
    ] {
        check(&mut wire, sql, expected, 'I').await;
        assert_eq!(
            (shown_purpose(&mut wire).await.as_slice(), told().as_str()),
            (purpose.as_bytes(), purpose)
        );
    }
    let series = |sql: &str| {
        let parse = message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"]);
        let bind = message(b'B', &[b"\0\0\0\0\0\0\0\0"]);
        [parse, bind, message(b'E', &[b"\0\0\0\0\0"])].concat()
    };
    let set = series("SET cdp.purpose = 'second'");
    wire.send(&[set.clone(), series("SELECT nonsense"), message(b'S', &[])].concat()).await;
    assert_eq!(sqlstate(&wire.until_ready().await), "42703");
    assert_eq!(
        (shown_purpose(&mut wire).await.as_slice(), told().as_str()),
        (&b"first"[..], "first")
    );
    wire.send(&[set, message(b'S', &[])].concat()).await;
    wire.until_ready().await;
    assert_eq!(
        (shown_purpose(&mut wire).await.as_slice(), told().as_str()),
        (&b"second"[..], "second")
    );
    // Nor does it go back to one that was taken from the role meanwhile: it stands without one, and says so.
    wire.send(&message(b'Q', &[b"SET LOCAL cdp.purpose = 'third'; SELECT n FROM stuck\0"])).await;
    harness.facts.wait_for_a_stream().await;
    harness.facts.has_no_purpose.store(true, Ordering::SeqCst);
    harness.socket().await.send(&super::stopping::cancel(wire.key)).await;
    let replies = wire.until_ready().await;
    assert_eq!(sqlstate(&replies), "57014");
    let warned = replies.iter().find(|reply| reply.0 == 'N').unwrap();
    assert_eq!(warned.field(b'C').as_deref(), Some("42501"));
    assert_eq!((shown_purpose(&mut wire).await.as_slice(), told().as_str()), (&b""[..], ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_goes_back_to_a_purpose_that_was_taken_back() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    check(&mut wire, "SET cdp.purpose = 'first'", "SET", 'I').await;
    for sql in ["BEGIN", "SET cdp.purpose = 'second'", "SET TimeZone = 'Europe/Warsaw'"] {
        wire.query(sql).await;
    }
    harness.facts.has_no_purpose.store(true, Ordering::SeqCst);
    check(&mut wire, "ROLLBACK", "42501", 'I').await;
    let last_told = |name: &str| {
        let told = harness.facts.told.lock().unwrap();
        let last = told.iter().rev().find(|(setting, _)| setting == name);
        last.map(|(_, value)| value.clone()).unwrap()
    };
    // Neither the one nor the other; and what else was to go back went back.
    assert_eq!(last_told("cdp.purpose"), "");
    assert_eq!(last_told("TimeZone"), "UTC");
    let shown = wire.query("SHOW cdp.purpose").await;
    assert!(!shown.iter().find(|reply| reply.0 == 'D').unwrap().text().contains("first"));
    check(&mut wire, "SET cdp.purpose = 'first'", "42501", 'I').await;
    harness.facts.has_no_purpose.store(false, Ordering::SeqCst);
    check(&mut wire, "SET cdp.purpose = 'first'", "SET", 'I').await;
    assert_eq!(last_told("cdp.purpose"), "first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_is_no_utf8_fails_alone() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    wire.query("BEGIN").await;
    wire.send(&message(b'Q', &[b"SELECT '\xff'\0"])).await;
    let replies = wire.until_ready().await;
    assert_eq!((kinds(&replies).as_str(), sqlstate(&replies).as_str()), ("EZ", "22021"));
    assert_eq!(replies[0].field(b'S').as_deref(), Some("ERROR"));
    assert_eq!(status(&replies), 'E', "as any other failure it ends the block");
    check(&mut wire, "ROLLBACK", "ROLLBACK", 'I').await;
    check(&mut wire, "SELECT 1", "SELECT 1", 'I').await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_prepared_by_sql() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    for (sql, expected) in [
        ("PREPARE p AS SELECT name FROM t WHERE id = $1", "PREPARE"),
        ("PREPARE p AS SELECT 1", "42P05"),
        ("EXECUTE p(1 + 2)", "SELECT 1"),
        ("EXECUTE p", "42601"),
        ("EXECUTE p('x')", "22P02"),
        ("DEALLOCATE p", "DEALLOCATE"),
        ("EXECUTE p(1)", "26000"),
        ("DEALLOCATE ALL", "DEALLOCATE ALL"),
    ] {
        check(&mut wire, sql, expected, 'I').await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_sends_every_format() {
    let harness = Harness::start().await;
    let mut wire = harness.wire().await;
    let query = "SELECT 1::int AS a, 'x' || chr(9) || chr(92) || ',\"' AS \"B\", NULL::text AS c";
    let data = |replies: &[Reply]| -> Vec<u8> {
        replies.iter().filter(|reply| reply.0 == 'd').flat_map(|reply| reply.1.clone()).collect()
    };
    let replies = wire.query(&format!("COPY ({query}) TO STDOUT")).await;
    assert_eq!(kinds(&replies), "HdcCZ");
    assert_eq!(tags(&replies), ["COPY 1"]);
    assert_eq!(data(&replies), b"1\tx\\t\\\\,\"\t\\N\n");
    let replies = wire.query(&format!("COPY ({query}) TO STDOUT WITH (FORMAT csv, HEADER)")).await;
    assert_eq!(data(&replies), b"a,B,c\n1,\"x\t\\,\"\"\",\n");
    let replies =
        wire.query("COPY (SELECT 1::int, 'x', NULL::text) TO STDOUT (FORMAT binary)").await;
    let expected = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\x04\0\0\0\x01\0\0\0\x01x\xff\xff\xff\xff\xff\xff";
    assert_eq!(data(&replies), expected);
    check(&mut wire, "COPY t (id) TO STDOUT", "COPY 10", 'I').await;
}
