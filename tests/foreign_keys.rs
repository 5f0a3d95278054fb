//! Foreign keys while several sessions write: no row refers to one that is gone, whoever commits first, and however the server
//! ends.

use std::time::Instant;

use futures::SinkExt;

use crate::harness::{PROMPT, Server, Session, WORK, files, small};

/// At so many moments a server is killed, evenly spread over the files that a statement writes.
const MOMENTS: usize = 6;

/// Two sessions of a role that may write, over tables of which some refer to `p` and one to `q`.
async fn writers(server: &Server) -> (Session, Session) {
    let engineer = server.session("engineer").await;
    engineer
        .rows("CREATE ROLE builder LOGIN PASSWORD 'demo' PURPOSES (analytics) MAY (write)")
        .await;
    let one = server.session("builder").await;
    for statement in [
        "CREATE TABLE p (id int PRIMARY KEY, note text)",
        "CREATE TABLE c (p int REFERENCES p)",
        "CREATE TABLE follows (p int REFERENCES p ON DELETE CASCADE)",
        "CREATE TABLE free (p int)",
        "CREATE TABLE q (id int PRIMARY KEY)",
        "INSERT INTO p SELECT n, 'x' FROM generate_series(1, 20) AS n",
    ] {
        one.rows(statement).await;
    }
    (one, server.session("builder").await)
}

/// How many rows refer to no row.
async fn dangling(session: &Session) -> i64 {
    let missing = |table: &str| {
        format!("SELECT p FROM {table} t WHERE NOT EXISTS (SELECT 1 FROM p WHERE p.id = t.p)")
    };
    let both = format!("{} UNION ALL {}", missing("c"), missing("follows"));
    session.number(&format!("SELECT count(*) FROM ({both}) AS missing")).await
}

#[tokio::test]
async fn of_a_row_that_goes_and_one_that_refers_to_it_the_first_is_kept() {
    let lake = small().copied();
    let server = lake.serve();
    let (one, other) = writers(&server).await;
    for (open, meanwhile) in [
        ("INSERT INTO c VALUES (1)", "DELETE FROM p WHERE id = 1"),
        ("DELETE FROM p WHERE id = 2", "INSERT INTO c VALUES (2)"),
        ("UPDATE p SET id = 103 WHERE id = 3", "INSERT INTO c VALUES (3)"),
        ("INSERT INTO c VALUES (4)", "UPDATE p SET id = 104 WHERE id = 4"),
        ("DELETE FROM p WHERE id = 5", "INSERT INTO follows VALUES (5)"),
        ("INSERT INTO follows VALUES (6)", "DELETE FROM p WHERE id = 6"),
        ("UPDATE c SET p = 7 WHERE p = 2", "DELETE FROM p WHERE id = 7"),
    ] {
        one.rows("BEGIN").await;
        one.rows(open).await;
        other.rows(meanwhile).await;
        let failure = one.failure("COMMIT").await;
        assert_eq!(failure.sqlstate, "40001", "{open}: {failure}");
        assert_eq!(dangling(&one).await, 0, "{open}; {meanwhile}");
    }
    // What is in nobody's way goes in.
    for (open, meanwhile) in [
        ("INSERT INTO c VALUES (8)", "INSERT INTO p VALUES (200, 'y')"),
        ("INSERT INTO c VALUES (8)", "INSERT INTO c VALUES (9)"),
        ("DELETE FROM c WHERE p = 9", "INSERT INTO p VALUES (201, 'y')"),
        // The row that is referred to came later, and lies in another file than the one that goes.
        ("INSERT INTO c VALUES (200)", "DELETE FROM p WHERE id = 10"),
    ] {
        one.rows("BEGIN").await;
        one.rows(open).await;
        other.rows(meanwhile).await;
        one.rows("COMMIT").await;
        assert_eq!(dangling(&one).await, 0, "{open}; {meanwhile}");
    }
    assert_eq!(one.number("SELECT count(*) FROM c WHERE p = 8").await, 2);
}

#[tokio::test]
async fn a_foreign_key_that_comes_meanwhile_is_kept() {
    let lake = small().copied();
    let server = lake.serve();
    let (one, other) = writers(&server).await;
    other.rows("INSERT INTO free VALUES (10)").await;
    let add = "ALTER TABLE free ADD CONSTRAINT linked FOREIGN KEY (p) REFERENCES p";
    for (open, meanwhile) in [
        // The rows of an open transaction were not held against what is there since.
        ("DELETE FROM p WHERE id = 10", add),
        ("INSERT INTO free VALUES (77)", add),
        // Neither were those that came while all were looked at.
        (add, "INSERT INTO free VALUES (78)"),
        (add, "DELETE FROM p WHERE id = 10"),
        ("CREATE TABLE late (q int REFERENCES q)", "DROP TABLE q"),
    ] {
        one.rows("BEGIN").await;
        one.rows(open).await;
        other.rows(meanwhile).await;
        let failure = one.failure("COMMIT").await;
        assert_eq!(failure.sqlstate, "40001", "{open}: {failure}");
        if meanwhile == add {
            other.rows("ALTER TABLE free DROP CONSTRAINT linked").await;
        }
        other.rows("DELETE FROM free WHERE p = 78").await;
    }
    let known = "SELECT count(*) FROM pg_constraint WHERE contype = 'f'";
    assert_eq!(one.number(known).await, 2, "only those of the beginning are left");
}

#[tokio::test]
async fn rows_that_come_while_a_table_is_emptied_are_not_left_behind() {
    let lake = small().copied();
    let server = lake.serve();
    let (one, other) = writers(&server).await;
    one.rows("BEGIN").await;
    one.rows("TRUNCATE p CASCADE").await;
    other.rows("INSERT INTO c VALUES (1)").await;
    let failure = one.failure("COMMIT").await;
    assert_eq!(failure.sqlstate, "40001", "{failure}");
    assert_eq!((dangling(&one).await, one.number("SELECT count(*) FROM p").await), (0, 20));
    one.rows("TRUNCATE p CASCADE").await;
    let left = "SELECT (SELECT count(*) FROM p) + (SELECT count(*) FROM c)";
    assert_eq!(one.number(left).await, 0);
}

#[tokio::test]
async fn copied_rows_refer_to_rows_and_are_computed_as_others() {
    let lake = small().copied();
    let server = lake.serve();
    let (one, other) = writers(&server).await;
    let copy = async |statement: &str, rows: String| {
        let sink = one.client.copy_in(statement).await?;
        let mut sink = std::pin::pin!(sink);
        sink.send(bytes::Bytes::from(rows)).await?;
        sink.finish().await
    };
    let code = |refused: Result<u64, tokio_postgres::Error>| {
        refused.unwrap_err().code().map(|code| code.code().to_owned()).unwrap_or_default()
    };
    assert_eq!(code(copy("COPY c FROM STDIN", "1\n99\n".into()).await), "23503");
    assert_eq!(copy("COPY c FROM STDIN", "1\n\\N\n".into()).await.unwrap(), 2);

    // Rows that refer to rows which come far behind them.
    one.rows("CREATE TABLE line (id int PRIMARY KEY, succ int REFERENCES line)").await;
    let count = 100_000;
    let rows = |end: &str| {
        let all = (1..count).map(|id| format!("{id}\t{}\n", id + 1));
        format!("{}{count}\t{end}\n", all.collect::<String>())
    };
    assert_eq!(code(copy("COPY line FROM STDIN", rows("0")).await), "23503");
    assert_eq!(one.number("SELECT count(*) FROM line").await, 0);
    assert_eq!(copy("COPY line FROM STDIN", rows("\\N")).await.unwrap(), 100_000);

    let areas = "CREATE TABLE areas (w int, area int GENERATED ALWAYS AS (w * h) STORED, h int)";
    one.rows(areas).await;
    // A client whose COPY is refused before it sends rows sends one Sync too many, and is of no use behind it.
    let refused = other.client.copy_in::<_, bytes::Bytes>("COPY areas (w, area) FROM STDIN").await;
    let refused = refused.err().and_then(|error| error.code().map(|code| code.code().to_owned()));
    assert_eq!(refused.as_deref(), Some("42P10"));
    assert_eq!(copy("COPY areas FROM STDIN", "2\t3\n4\t5\n".into()).await.unwrap(), 2);
    assert_eq!(one.number("SELECT sum(area) FROM areas").await, 26);
}

/// What there is of rows that go with others: how many of each table, and how many refer to nothing any more.
async fn family(session: &Session) -> Vec<i64> {
    let mut counts = vec![];
    for rows in ["heads", "limbs", "nails", "hats WHERE head IS NULL", "hats"] {
        counts.push(session.number(&format!("SELECT count(*) FROM {rows}")).await);
    }
    let missing = "SELECT (SELECT count(*) FROM limbs WHERE head NOT IN (SELECT id FROM heads)) \
        + (SELECT count(*) FROM nails WHERE limb NOT IN (SELECT id FROM limbs)) \
        + (SELECT count(*) FROM hats WHERE head NOT IN (SELECT id FROM heads))";
    assert_eq!(session.number(missing).await, 0, "of {counts:?} some refer to rows that are gone");
    counts
}

#[tokio::test]
async fn rows_that_go_with_others_are_gone_together_or_not_at_all_when_the_server_is_killed() {
    const DELETE: &str = "DELETE FROM heads WHERE id <= 10";
    const BEFORE: [i64; 5] = [20, 60, 120, 0, 20];
    const AFTER: [i64; 5] = [10, 30, 60, 10, 20];
    let lake = small().copied();
    let mut server = lake.serve();
    let session = server.session("engineer").await;
    for statement in [
        "CREATE TABLE heads (id int PRIMARY KEY)",
        "CREATE TABLE limbs (id int PRIMARY KEY, head int REFERENCES heads ON DELETE CASCADE)",
        "CREATE TABLE nails (limb int REFERENCES limbs ON DELETE CASCADE)",
        "CREATE TABLE hats (head int REFERENCES heads ON DELETE SET NULL)",
        "INSERT INTO heads SELECT n FROM generate_series(1, 20) AS n",
        "INSERT INTO limbs SELECT n, (n + 2) / 3 FROM generate_series(1, 60) AS n",
        "INSERT INTO nails SELECT (n + 1) / 2 FROM generate_series(1, 120) AS n",
        "INSERT INTO hats SELECT n FROM generate_series(1, 20) AS n",
    ] {
        session.rows(statement).await;
    }
    assert_eq!(family(&session).await, BEFORE);
    assert!(server.process.signal("TERM"));
    server.process.wait(PROMPT);

    let undisturbed = lake.copied();
    let server = undisturbed.serve();
    let session = server.session("engineer").await;
    let files_before = files(&undisturbed.lake).len();
    session.rows(DELETE).await;
    let files_written = files(&undisturbed.lake).len() - files_before;
    assert_eq!(family(&session).await, AFTER);
    drop(server);

    let mut unanswered = 0;
    for moment in 0..=MOMENTS {
        let copy = lake.copied();
        let mut server = copy.serve();
        let session = server.session("engineer").await;
        let count = (1 + files_written * moment / MOMENTS).min(files_written);
        let goal = files(&copy.lake).len() + count;
        let running = session.client.batch_execute(DELETE);
        tokio::pin!(running);
        let started = Instant::now();
        let answered = loop {
            tokio::select! {
                biased;
                ended = &mut running => break Some(ended),
                () = tokio::task::yield_now() => {}
            }
            if files(&copy.lake).len() >= goal {
                break None;
            }
            assert!(started.elapsed() < WORK, "moment {moment}: it wrote no {count} files");
        };
        assert!(server.process.signal("KILL"), "moment {moment}: the server ended by itself");
        server.process.wait(PROMPT);
        let answered = match answered {
            Some(ended) => ended,
            None => running.await,
        };
        unanswered += usize::from(answered.is_err());

        let server = copy.serve();
        let session = server.session("engineer").await;
        let found = family(&session).await;
        let expected = if answered.is_ok() { vec![AFTER] } else { vec![BEFORE, AFTER] };
        assert!(
            expected.iter().any(|one| found == one),
            "moment {moment}: {answered:?} and {found:?}"
        );
        session.rows(DELETE).await;
        assert_eq!(family(&session).await, AFTER, "moment {moment}: the next one completes");
    }
    assert!(unanswered > 0, "no server was killed before it had answered");
}
