//! Tables that analysts make: rows follow their persons, transactions are whole, and nothing half-made stays.

use futures::SinkExt;

use crate::harness::{Server, Session, files, small, sql, sql_csv};

/// Makes roles that may write, and returns a session for e-mail and one of the privacy officer.
async fn writers(server: &Server) -> (Session, Session) {
    let engineer = server.session("engineer").await;
    for (role, purpose) in [("mailer", "email_marketing"), ("builder", "analytics")] {
        engineer
            .rows(&format!(
                "CREATE ROLE {role} LOGIN PASSWORD 'demo' PURPOSES ({purpose}) MAY (write)"
            ))
            .await;
    }
    (server.session("mailer").await, server.session("privacy_officer").await)
}

async fn withdraw(officer: &Session, email: &str) {
    let statement =
        format!("SELECT cdp.record_consent('email', '{email}', 'email_marketing', 'withdrawn')");
    officer.rows(&statement).await;
}

#[tokio::test]
async fn who_withdraws_is_gone_from_every_copy() {
    let lake = small().copied();
    let server = lake.serve();
    let (mailer, officer) = writers(&server).await;
    mailer.rows("CREATE TABLE analytics.one AS SELECT profile_id, email FROM profiles").await;
    mailer.rows("CREATE TABLE analytics.two AS SELECT * FROM analytics.one").await;
    mailer.rows("CREATE TABLE analytics.three (profile_id bigint, email text)").await;
    mailer.rows("INSERT INTO analytics.three SELECT profile_id, email FROM analytics.two").await;
    mailer.rows("CREATE VIEW analytics.four AS SELECT * FROM analytics.three").await;
    mailer.rows("CREATE SCHEMA marts").await;
    mailer.rows("CREATE TABLE marts.five AS SELECT * FROM analytics.one").await;
    mailer.rows("ALTER TABLE marts.five ADD COLUMN note text").await;
    mailer.rows("CREATE TABLE marts.six AS SELECT * FROM analytics.one WHERE false").await;
    mailer
        .rows(
            "MERGE INTO marts.six t USING analytics.one s ON t.profile_id = s.profile_id \
             WHEN NOT MATCHED THEN INSERT (profile_id, email) VALUES (s.profile_id, s.email)",
        )
        .await;
    mailer
        .rows("CREATE MATERIALIZED VIEW marts.seven AS SELECT profile_id, email FROM analytics.two")
        .await;
    let rows = mailer
        .rows("SELECT profile_id, email FROM profiles WHERE email IS NOT NULL ORDER BY 1 LIMIT 1")
        .await;
    let (person, email) = (rows[0][0].clone().unwrap(), rows[0][1].clone().unwrap());
    let tables = [
        "analytics.one",
        "analytics.two",
        "analytics.three",
        "analytics.four",
        "marts.five",
        "marts.six",
        "marts.seven",
    ];
    let count = async |table: &str| {
        let of_person = format!("FROM {table} WHERE profile_id = {person}");
        mailer.number(&format!("SELECT count(*) {of_person}")).await
    };
    for table in tables {
        assert_eq!(count(table).await, 1, "{table} does not hold the person at first");
    }
    withdraw(&officer, &email).await;
    for table in tables {
        assert_eq!(count(table).await, 0, "{table} still shows who withdrew");
        let mailbox = format!("SELECT count(*) FROM {table} WHERE email = '{email}'");
        assert_eq!(mailer.number(&mailbox).await, 0, "{table} still shows the mailbox");
    }
    // A view that is filled anew holds who allows it now.
    let seven = "SELECT count(*) FROM marts.seven";
    let before = mailer.number(seven).await;
    mailer.rows("REFRESH MATERIALIZED VIEW marts.seven").await;
    assert_eq!(mailer.number(seven).await, before);
    // Neither deleting nor inserting tells that the row is there.
    let deleted = mailer.run("DELETE FROM analytics.one WHERE true").await.unwrap().count;
    assert_eq!(deleted as i64, mailer.number("SELECT count(*) FROM profiles").await);
    let hidden = mailer
        .failure(&format!("INSERT INTO analytics.one VALUES ({person}, 'x@y.example')"))
        .await;
    let absent = mailer.failure("INSERT INTO analytics.one VALUES (12345, 'x@y.example')").await;
    assert_eq!(hidden, absent, "a hidden person is told from an absent one");
}

#[tokio::test]
async fn a_transaction_is_seen_whole_or_not_at_all() {
    let lake = small().copied();
    let server = lake.serve();
    let (mailer, _) = writers(&server).await;
    let other = server.session("mailer").await;
    mailer.rows("CREATE TABLE analytics.model AS SELECT 1 AS version").await;
    // What dbt does for each model.
    mailer.rows("BEGIN").await;
    mailer.rows("CREATE TABLE analytics.model__dbt_tmp AS SELECT 2 AS version").await;
    mailer.rows("ALTER TABLE analytics.model RENAME TO model__dbt_backup").await;
    mailer.rows("ALTER TABLE analytics.model__dbt_tmp RENAME TO model").await;
    let version = "SELECT version FROM analytics.model";
    assert_eq!(mailer.number(version).await, 2, "a transaction sees its own changes");
    assert_eq!(other.number(version).await, 1, "somebody else sees what is not committed");
    let backup = other.failure("SELECT * FROM analytics.model__dbt_backup").await;
    assert_eq!(backup.sqlstate, "42P01");
    mailer.rows("COMMIT").await;
    mailer.rows("DROP TABLE IF EXISTS analytics.model__dbt_backup CASCADE").await;
    assert_eq!(other.number(version).await, 2);

    mailer.rows("BEGIN").await;
    mailer.rows("INSERT INTO analytics.model VALUES (3)").await;
    mailer.rows("SAVEPOINT before").await;
    mailer.rows("DELETE FROM analytics.model WHERE version = 2").await;
    assert_eq!(mailer.number("SELECT sum(version) FROM analytics.model").await, 3);
    let failure = mailer.failure("INSERT INTO analytics.model VALUES ('no number')").await;
    assert_eq!(failure.sqlstate, "22P02", "{failure}");
    mailer.rows("ROLLBACK TO before").await;
    assert_eq!(mailer.number("SELECT sum(version) FROM analytics.model").await, 5);
    mailer.rows("ROLLBACK").await;
    assert_eq!(mailer.number("SELECT sum(version) FROM analytics.model").await, 2);

    // A text of several statements is one transaction, too.
    let failure = mailer
        .failure("INSERT INTO analytics.model VALUES (4); INSERT INTO analytics.absent VALUES (1)")
        .await;
    assert_eq!(failure.sqlstate, "42P01");
    assert_eq!(mailer.number("SELECT count(*) FROM analytics.model").await, 1);
    mailer
        .rows(
            "INSERT INTO analytics.model VALUES (4); DELETE FROM analytics.model WHERE version = 2",
        )
        .await;
    assert_eq!(other.number("SELECT sum(version) FROM analytics.model").await, 4);

    // What commits by itself stands in no transaction.
    let refused = mailer.failure("INSERT INTO analytics.model VALUES (5); REFRESH ALL").await;
    assert_eq!(refused.sqlstate, "25001", "{refused}");
    assert_eq!(mailer.number("SELECT count(*) FROM analytics.model").await, 1);
}

#[tokio::test]
async fn of_two_who_change_the_same_rows_the_second_is_told() {
    let lake = small().copied();
    let server = lake.serve();
    let (first, _) = writers(&server).await;
    let second = server.session("mailer").await;
    first.rows("CREATE TABLE analytics.counter AS SELECT 0 AS n").await;
    for session in [&first, &second] {
        session.rows("BEGIN").await;
        session.rows("UPDATE analytics.counter SET n = n + 1").await;
    }
    first.rows("COMMIT").await;
    let failure = second.failure("COMMIT").await;
    assert_eq!(failure.sqlstate, "40001", "{failure}");
    assert_eq!(second.number("SELECT n FROM analytics.counter").await, 1);
    // Rows that are only added stand beside each other.
    for session in [&first, &second] {
        session.rows("BEGIN").await;
        session.rows("INSERT INTO analytics.counter VALUES (10)").await;
    }
    first.rows("COMMIT").await;
    second.rows("COMMIT").await;
    assert_eq!(first.number("SELECT sum(n) FROM analytics.counter").await, 21);
}

#[tokio::test]
async fn a_table_whose_columns_change_loses_nobodys_rows() {
    let lake = small().copied();
    let server = lake.serve();
    let (first, _) = writers(&server).await;
    let second = server.session("mailer").await;
    first.rows("CREATE TABLE analytics.log AS SELECT 1 AS n").await;
    first.rows("BEGIN").await;
    first.rows("ALTER TABLE analytics.log ADD COLUMN note text").await;
    second.rows("INSERT INTO analytics.log VALUES (2)").await;
    let failure = first.failure("COMMIT").await;
    assert_eq!(failure.sqlstate, "40001", "{failure}");
    second.rows("BEGIN").await;
    second.rows("INSERT INTO analytics.log VALUES (3)").await;
    first.rows("ALTER TABLE analytics.log RENAME COLUMN n TO number").await;
    let failure = second.failure("COMMIT").await;
    assert_eq!(failure.sqlstate, "40001", "{failure}");
    assert_eq!(second.number("SELECT sum(number) FROM analytics.log").await, 3);
}

#[tokio::test]
async fn rows_of_an_open_transaction_are_not_those_that_a_table_asks_for_since() {
    let lake = small().copied();
    let server = lake.serve();
    let (first, _) = writers(&server).await;
    let second = server.session("mailer").await;
    for (asks, row) in [
        ("ADD PRIMARY KEY (n)", "(1, 'b')"),
        ("ADD UNIQUE (n)", "(1, 'b')"),
        ("ALTER COLUMN note SET NOT NULL", "(2, NULL)"),
    ] {
        first.rows("CREATE TABLE analytics.marks (n int, note text)").await;
        first.rows("INSERT INTO analytics.marks VALUES (1, 'a')").await;
        second.rows("BEGIN").await;
        second.rows(&format!("INSERT INTO analytics.marks VALUES {row}")).await;
        first.rows(&format!("ALTER TABLE analytics.marks {asks}")).await;
        let failure = second.failure("COMMIT").await;
        assert_eq!(failure.sqlstate, "40001", "{asks}: {failure}");
        assert_eq!(first.number("SELECT count(*) FROM analytics.marks").await, 1);
        first.rows("DROP TABLE analytics.marks").await;
    }
    // What asks for less is in nobody's way.
    first.rows("CREATE TABLE analytics.marks (n int NOT NULL, note text)").await;
    second.rows("BEGIN").await;
    second.rows("INSERT INTO analytics.marks VALUES (1, 'a')").await;
    first.rows("ALTER TABLE analytics.marks ALTER COLUMN n DROP NOT NULL").await;
    second.rows("COMMIT").await;
    assert_eq!(first.number("SELECT count(*) FROM analytics.marks").await, 1);
}

#[tokio::test]
async fn a_table_is_in_a_schema_that_is_there() {
    let lake = small().copied();
    {
        let server = lake.serve();
        let (first, _) = writers(&server).await;
        let second = server.session("mailer").await;
        first.rows("CREATE SCHEMA marts").await;
        second.rows("BEGIN").await;
        second.rows("CREATE TABLE marts.late AS SELECT 1 AS n").await;
        first.rows("DROP SCHEMA marts").await;
        let failure = second.failure("COMMIT").await;
        assert_eq!(failure.sqlstate, "40001", "{failure}");
        first.rows("CREATE SCHEMA marts").await;
        first.rows("CREATE TABLE marts.kept AS SELECT 1 AS n").await;
    }
    let server = lake.serve();
    let mailer = server.session("mailer").await;
    assert_eq!(mailer.number("SELECT n FROM marts.kept").await, 1);
    mailer.rows("DROP SCHEMA marts CASCADE").await;
    assert_eq!(mailer.failure("SELECT n FROM marts.kept").await.sqlstate, "42P01");
}

#[tokio::test]
async fn what_was_committed_survives_a_crash_and_nothing_else_does() {
    let lake = small().copied();
    {
        let mut server = lake.serve();
        let (mailer, _) = writers(&server).await;
        mailer.rows("CREATE TABLE analytics.kept AS SELECT profile_id, email FROM profiles").await;
        mailer.rows("CREATE TABLE analytics.rows AS SELECT 1 AS n").await;
        mailer.rows("BEGIN").await;
        mailer.rows("CREATE TABLE analytics.lost AS SELECT profile_id, email FROM profiles").await;
        mailer.rows("INSERT INTO analytics.rows VALUES (2)").await;
        assert!(server.process.signal("KILL"));
        server.process.wait(crate::harness::PROMPT);
    }
    let tables = |lake: &crate::harness::Built| -> std::collections::BTreeSet<String> {
        let found = files(&lake.lake.join("analytics")).into_iter();
        found.filter_map(|file| Some(file.iter().next()?.to_string_lossy().into_owned())).collect()
    };
    assert_eq!(tables(&lake).len(), 3, "the table that was not committed has files");
    let server = lake.serve();
    assert_eq!(tables(&lake).len(), 2, "files of nobody's table are still there");
    let mailer = server.session("mailer").await;
    let same = "SELECT (SELECT count(*) FROM analytics.kept) = (SELECT count(*) FROM profiles)";
    assert_eq!(mailer.value(same).await, "t");
    assert_eq!(mailer.number("SELECT count(*) FROM analytics.rows").await, 1);
    assert_eq!(mailer.failure("SELECT * FROM analytics.lost").await.sqlstate, "42P01");
}

#[tokio::test]
async fn parameters_go_into_rows() {
    let lake = small().copied();
    let server = lake.serve();
    let (mailer, officer) = writers(&server).await;
    let client = &mailer.client;
    mailer
        .rows("CREATE TABLE analytics.notes (id bigint, note text, weight double precision)")
        .await;
    let insert = client
        .prepare("INSERT INTO analytics.notes (id, note, weight) VALUES ($1, $2, $3)")
        .await
        .unwrap();
    for id in 1..=3i64 {
        let inserted = client.execute(&insert, &[&id, &Some("a note"), &0.5f64]).await.unwrap();
        assert_eq!(inserted, 1);
    }
    let changed = "UPDATE analytics.notes SET note = $1 WHERE id >= $2";
    assert_eq!(client.execute(changed, &[&None::<&str>, &2i64]).await.unwrap(), 2);
    let deleted = "DELETE FROM analytics.notes WHERE id = $1";
    assert_eq!(client.execute(deleted, &[&3i64]).await.unwrap(), 1);
    let made = "CREATE TABLE analytics.heavy AS SELECT id FROM analytics.notes WHERE weight < $1";
    assert_eq!(client.execute(made, &[&1.0f64]).await.unwrap(), 2);
    let rows = client.query("SELECT id, note FROM analytics.notes ORDER BY id", &[]).await.unwrap();
    let rows: Vec<(i64, Option<String>)> =
        rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [(1, Some("a note".to_owned())), (2, None)]);

    // Each of them is on record, with what it read and wrote.
    let record = |like: &str| {
        format!(
            "SELECT count(*) FROM cdp.audit_log WHERE class = 'write' AND role = 'mailer' AND relations LIKE '{like}'"
        )
    };
    assert_eq!(officer.number(&record("analytics.notes")).await, 6);
    assert_eq!(officer.number(&record("analytics.notes, analytics.heavy")).await, 1);
}

#[tokio::test]
async fn copied_rows_go_into_a_table_or_none_of_them_do() {
    let lake = small().copied();
    let server = lake.serve();
    let (mailer, _) = writers(&server).await;
    mailer.rows("CREATE TABLE analytics.notes (id bigint, day date, note text)").await;
    let copy = async |statement: &str, rows: &str| {
        let sink = mailer.client.copy_in(statement).await?;
        let mut sink = std::pin::pin!(sink);
        // In small pieces, as a network may send them.
        for piece in rows.as_bytes().chunks(5) {
            sink.send(bytes::Bytes::copy_from_slice(piece)).await?;
        }
        sink.finish().await
    };
    let text = copy("COPY analytics.notes FROM STDIN", "1\t2026-01-02\ta\\tb\n2\t\\N\t\n").await;
    assert_eq!(text.unwrap(), 2);
    let csv = "COPY analytics.notes (note, id) FROM STDIN WITH (FORMAT csv, HEADER)";
    assert_eq!(copy(csv, "note,id\n\"x, y\",3\n,4\n").await.unwrap(), 2);
    let stored = mailer.rows("SELECT id, day, note FROM analytics.notes ORDER BY id").await;
    let row = |id: &str, day: Option<&str>, note: Option<&str>| {
        vec![Some(id.to_owned()), day.map(str::to_owned), note.map(str::to_owned)]
    };
    let expected = [
        row("1", Some("2026-01-02"), Some("a\tb")),
        row("2", None, Some("")),
        row("3", None, Some("x, y")),
        row("4", None, None),
    ];
    assert_eq!(stored, expected);
    let failed =
        copy("COPY analytics.notes FROM STDIN", "5\t\\N\t\nsix\t\\N\t\n").await.unwrap_err();
    assert_eq!(failed.code().map(|code| code.code()), Some("22P02"));
    let short = copy("COPY analytics.notes FROM STDIN", "5\t\\N\n").await.unwrap_err();
    assert_eq!(short.code().map(|code| code.code()), Some("22P04"));
    assert_eq!(mailer.number("SELECT count(*) FROM analytics.notes").await, 4);
    let refused = copy("COPY public.profiles FROM STDIN", "").await.unwrap_err();
    assert_eq!(refused.code().map(|code| code.code()), Some("0A000"));
}

#[tokio::test]
async fn rows_have_numbers_of_their_own_also_after_a_restart() {
    let lake = small().copied();
    let insert = "INSERT INTO tickets (note) VALUES ($1) RETURNING id, note";
    {
        let server = lake.serve();
        let (mailer, _) = writers(&server).await;
        let other = server.session("mailer").await;
        mailer.rows("CREATE TABLE tickets (id serial PRIMARY KEY, note text)").await;
        let row = mailer.client.query_one(insert, &[&"one"]).await.unwrap();
        assert_eq!((row.get::<_, i32>(0), row.get::<_, &str>(1)), (1, "one"));
        // Who inserts at the same time gets other numbers, and what is taken back gives none back.
        for session in [&mailer, &other] {
            session.rows("BEGIN").await;
        }
        let numbers = [
            mailer.number("INSERT INTO tickets (note) VALUES ('two') RETURNING id").await,
            other.number("INSERT INTO tickets (note) VALUES ('three') RETURNING id").await,
        ];
        assert_eq!(numbers, [2, 3]);
        mailer.rows("ROLLBACK").await;
        other.rows("COMMIT").await;
        let sink = mailer.client.copy_in("COPY tickets (note) FROM STDIN").await.unwrap();
        let mut sink = std::pin::pin!(sink);
        sink.send(bytes::Bytes::from_static(b"four\nfive\n")).await.unwrap();
        assert_eq!(sink.finish().await.unwrap(), 2);
        // Rows may bring numbers, if nobody has them: not even somebody who has not committed yet.
        mailer.rows("BEGIN").await;
        assert_eq!(
            mailer.number("INSERT INTO tickets (note) VALUES ('six') RETURNING id").await,
            6
        );
        let sink = other.client.copy_in("COPY tickets FROM STDIN").await.unwrap();
        let mut sink = std::pin::pin!(sink);
        sink.send(bytes::Bytes::from_static(b"6\tbrought\n8\tbrought\n")).await.unwrap();
        assert_eq!(sink.finish().await.unwrap(), 2);
        let refused = mailer.client.batch_execute("COMMIT").await.unwrap_err();
        assert_eq!(refused.code().map(|code| code.code()), Some("40001"));
        for session in [&mailer, &other] {
            session.rows("BEGIN").await;
            session.rows("INSERT INTO tickets VALUES (7, 'both')").await;
        }
        mailer.rows("COMMIT").await;
        let refused = other.client.batch_execute("COMMIT").await.unwrap_err();
        assert_eq!(refused.code().map(|code| code.code()), Some("40001"));
    }
    let server = lake.serve();
    let mailer = server.session("mailer").await;
    assert_eq!(mailer.number("INSERT INTO tickets (note) VALUES ('nine') RETURNING id").await, 9);
    let stored = mailer.rows("SELECT id, note FROM tickets ORDER BY id").await;
    let stored: Vec<String> = stored
        .into_iter()
        .map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" "))
        .collect();
    let known =
        ["1 one", "3 three", "4 four", "5 five", "6 brought", "7 both", "8 brought", "9 nine"];
    assert_eq!(stored, known);
}

#[tokio::test]
async fn no_number_of_a_sequence_comes_twice_however_the_server_ends() {
    let lake = small().copied();
    let mut given: Vec<i64> = Vec::new();
    for (round, signal) in ["KILL", "TERM", "KILL"].into_iter().enumerate() {
        let mut server = lake.serve();
        if round == 0 {
            let (mailer, _) = writers(&server).await;
            mailer.rows("CREATE SEQUENCE numbers").await;
            mailer
                .rows("CREATE TABLE slips (id bigint DEFAULT nextval('numbers'), note text)")
                .await;
        }
        let (one, other) = (server.session("mailer").await, server.session("mailer").await);
        one.rows("BEGIN").await;
        let numbers = async |session: &Session, statement: &str| {
            let mut numbers = Vec::new();
            for _ in 0..20 {
                numbers.push(session.number(statement).await);
            }
            numbers
        };
        let (asked, put_in) = tokio::join!(
            numbers(&one, "SELECT nextval('numbers')"),
            numbers(&other, "INSERT INTO slips (note) VALUES ('x') RETURNING id"),
        );
        let now = [asked, put_in].concat();
        if round == 2 {
            let last = given.iter().max().copied().unwrap();
            assert_eq!(
                now.iter().min().copied(),
                Some(last + 1),
                "a server that ends leaves no gap"
            );
        }
        given.extend(now);
        assert!(server.process.signal(signal));
        server.process.wait(crate::harness::PROMPT);
    }
    given.sort_unstable();
    let count = given.len();
    given.dedup();
    assert_eq!(given.len(), count, "{given:?}");
    // What was set aside when the first one was killed is skipped, and no more.
    assert!(given[count - 1] < count as i64 + 64, "{given:?}");
}

#[tokio::test]
async fn a_sequence_that_begins_anew_gives_no_key_of_an_open_transaction() {
    let lake = small().copied();
    let server = lake.serve();
    let (mailer, _) = writers(&server).await;
    let other = server.session("mailer").await;
    let insert = "INSERT INTO slips (note) VALUES ('x') RETURNING id";
    for anew in ["ALTER SEQUENCE slips_id_seq RESTART", "SELECT setval('slips_id_seq', 1, false)"] {
        mailer.rows("CREATE TABLE slips (id serial PRIMARY KEY, note text)").await;
        mailer.rows("BEGIN").await;
        assert_eq!(mailer.number(insert).await, 1);
        other.rows(anew).await;
        assert_eq!(other.number(insert).await, 1);
        let refused = mailer.client.batch_execute("COMMIT").await.unwrap_err();
        assert_eq!(refused.code().map(|code| code.code()), Some("40001"), "{anew}");
        mailer.rows("DROP TABLE slips").await;
    }
}

#[tokio::test]
async fn a_lake_that_is_served_is_written_by_its_server_alone() {
    let lake = small().copied();
    let create = "CREATE TABLE analytics.t AS SELECT 1 AS n";
    {
        let _server = lake.serve();
        let refused = sql(&lake.lake, "engineer", create).exits_with(1);
        assert!(refused.stderr.contains("55006"), "{}", refused.stderr);
    }
    sql_csv(&lake.lake, "engineer", create);
    assert_eq!(sql_csv(&lake.lake, "engineer", "SELECT n FROM analytics.t"), "n\n1\n");
}
