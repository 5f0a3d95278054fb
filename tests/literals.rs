//! Statements that put in many rows of literals or parameters at once, as dbt seeds, `execute_values` and dumps do.

use tokio_postgres::types::ToSql;

use crate::harness::{Server, Session, small};

/// As many rows as a dbt seed sends in one statement.
const ROWS: i64 = 10_000;

async fn builder(server: &Server) -> Session {
    let engineer = server.session("engineer").await;
    engineer
        .rows("CREATE ROLE builder LOGIN PASSWORD 'demo' PURPOSES (analytics) MAY (write)")
        .await;
    server.session("builder").await
}

/// Writes rows of literals, one for each number.
fn literals(numbers: std::ops::Range<i64>) -> String {
    let row = |at: i64| {
        let price = format!("{}.{:02}", at % 100, at % 97);
        let day = 1 + at % 28;
        let note = if at % 10 == 0 { "NULL".to_owned() } else { format!("'it''s {at}, (ą)'") };
        let flag = at % 2 == 0;
        format!("({at},{note},{price},-{at}.5,'2024-02-{day:02}',{flag},DEFAULT,NULL)")
    };
    numbers.map(row).collect::<Vec<_>>().join(",")
}

const TABLE: &str = "CREATE TABLE analytics.seed (id bigint PRIMARY KEY, note text, price numeric(8, 2), \
                     weight float8, day date, flag boolean, state text DEFAULT 'new', gone timestamp)";

#[tokio::test]
async fn many_rows_of_literals_go_in_at_once() {
    let lake = small().copied();
    let server = lake.serve();
    let builder = builder(&server).await;
    builder.rows(TABLE).await;
    let columns = "\"id\", note, price, weight, day, flag, state, gone";
    let rows = literals(1..ROWS + 1);
    let insert =
        format!("/* {{\"app\": \"dbt\"}} */\nINSERT INTO analytics.seed ({columns}) VALUES {rows}");
    builder.rows(&insert).await;
    let sums = "SELECT count(*), sum(id), count(note), min(note), sum(weight), count(DISTINCT day), \
                count(*) FILTER (WHERE flag), min(state), count(gone) FROM analytics.seed";
    let expected =
        ["10000", "50005000", "9000", "it's 1, (ą)", "-50010000", "28", "5000", "new", "0"];
    let expected = || vec![expected.map(|text| Some(text.to_owned())).to_vec()];
    assert_eq!(builder.rows(sums).await, expected());
    let row = builder.rows("SELECT price, weight, day FROM analytics.seed WHERE id = 4321").await;
    assert_eq!(
        row,
        [["21.53", "-4321.5", "2024-02-10"].map(|text| Some(text.to_owned())).to_vec()]
    );

    // Rows whose keys are there stay as they are, and are refused without a word about them.
    let again = builder.failure(&insert).await;
    assert_eq!(again.sqlstate, "23505", "{again}");
    builder.rows(&format!("{insert} ON CONFLICT (id) DO NOTHING")).await;
    assert_eq!(builder.rows(sums).await, expected());

    // The extended protocol goes the same way.
    let more = format!(
        "INSERT INTO analytics.seed VALUES {} RETURNING id, upper(state)",
        literals(ROWS + 1..2 * ROWS + 1)
    );
    let returned = builder.client.query(&more, &[]).await.unwrap();
    let ids: Vec<i64> = returned.iter().map(|row| row.get(0)).collect();
    assert_eq!(ids, (ROWS + 1..2 * ROWS + 1).collect::<Vec<_>>());
    assert_eq!(returned[0].get::<_, String>(1), "NEW");
}

#[tokio::test]
async fn many_rows_are_numbered_and_come_back_in_their_order() {
    let lake = small().copied();
    let server = lake.serve();
    let builder = builder(&server).await;
    builder.rows("CREATE TABLE analytics.queue (id bigserial PRIMARY KEY, n int UNIQUE)").await;
    let written: Vec<i32> = (0..20_000).map(|at| at * 7_919 % 20_011).collect();
    let values = written.iter().map(|n| format!("({n})")).collect::<Vec<_>>().join(",");
    let looked_up = "(SELECT max(q.id) FROM analytics.queue q WHERE q.n = queue.n - 30000)";
    for (rows, returning, expected) in [
        (format!("VALUES {values}"), "id, n, n::text || '!'".to_owned(), written),
        (
            "SELECT -g FROM generate_series(1, 20000) g ORDER BY g DESC".into(),
            "*, upper(n::text)".into(),
            (-20_000..0).collect(),
        ),
        (
            "SELECT g FROM generate_series(30001, 50000) g".into(),
            format!("*, {looked_up}"),
            (30_001..=50_000).collect(),
        ),
        (
            "SELECT g AS n FROM generate_series(50001, 70000) g ORDER BY n DESC ON CONFLICT (n) DO NOTHING"
                .into(),
            "id, n".into(),
            (50_001..=70_000).rev().collect(),
        ),
    ] {
        let insert = format!("INSERT INTO analytics.queue (n) {rows} RETURNING {returning}");
        let returned = builder.client.query(&insert, &[]).await.unwrap();
        let numbers: Vec<i32> = returned.iter().map(|row| row.get(1)).collect();
        assert_eq!(numbers, expected, "{returning}");
        let ids: Vec<i64> = returned.iter().map(|row| row.get(0)).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{returning}");
    }
}

#[tokio::test]
async fn what_is_wrong_in_many_rows_is_told_as_in_few() {
    let lake = small().copied();
    let server = lake.serve();
    let builder = builder(&server).await;
    builder
        .rows("CREATE TABLE analytics.strict (id int NOT NULL, day date, code varchar(3))")
        .await;
    let with = |last: &str| {
        let rows = vec!["(1,'2024-01-01','abc')"; 9_999].join(",");
        format!("INSERT INTO analytics.strict VALUES {rows},{last}")
    };
    for (last, sqlstate) in [
        ("('x','2024-01-01','abc')", "22P02"),
        ("(3000000000,'2024-01-01','abc')", "22003"),
        ("(1,'2024-02-30','abc')", "22008"),
        ("(NULL,'2024-01-01','abc')", "23502"),
        ("(1,'2024-01-01','abcd')", "22001"),
        ("(1,'2024-01-01')", "42601"),
        ("(1,'2024-01-01','abc',4)", "42601"),
    ] {
        let failure = builder.failure(&with(last)).await;
        assert_eq!(failure.sqlstate, sqlstate, "{last}: {failure}");
    }
    let wide = vec!["(1,'2024-01-01','abc',4)"; 10_000].join(",");
    let failure = builder.failure(&format!("INSERT INTO analytics.strict VALUES {wide}")).await;
    assert_eq!(failure.sqlstate, "42601", "{failure}");
    // Expressions are planned, and so few that this takes no time.
    let failure = builder.failure(&with("(1 + 1,'2024-01-01','abc')")).await;
    assert_eq!(failure.sqlstate, "54001", "{failure}");
    assert_eq!(builder.number("SELECT count(*) FROM analytics.strict").await, 0);
}

#[tokio::test]
async fn many_parameters_go_in_at_once() {
    let lake = small().copied();
    let server = lake.serve();
    let builder = builder(&server).await;
    let columns: Vec<String> = (1..=12).map(|at| format!("c{at} int")).collect();
    builder.rows(&format!("CREATE TABLE analytics.wide ({})", columns.join(", "))).await;
    // As many rows as SQLAlchemy sends in one statement.
    let row = |row: usize| {
        let cells: Vec<String> = (1..=12).map(|at| format!("${}", row * 12 + at)).collect();
        format!("({})", cells.join(", "))
    };
    let rows: Vec<String> = (0..1_000).map(row).collect();
    let insert = format!("INSERT INTO analytics.wide VALUES {}", rows.join(", "));
    let values: Vec<i32> = (0..12_000).collect();
    let values: Vec<&(dyn ToSql + Sync)> =
        values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    assert_eq!(builder.client.execute(&insert, &values).await.unwrap(), 1_000);
    assert_eq!(builder.number("SELECT sum(c1 + c12) FROM analytics.wide").await, 11_999_000);
}

#[tokio::test]
async fn long_statements_are_prepared_up_to_a_bound() {
    let lake = small().copied();
    let server = lake.serve();
    let builder = builder(&server).await;
    builder.rows("CREATE TABLE analytics.long (note text)").await;
    let text = format!("INSERT INTO analytics.long VALUES ('{}')", "x".repeat(3 << 20));
    let one = builder.client.prepare(&text).await.unwrap();
    let other = builder.client.prepare(&text).await.unwrap();
    let refused = builder.client.prepare(&text).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "54000", "{refused}");
    drop(one);
    let again = builder.client.prepare(&text).await.unwrap();
    assert_eq!(builder.client.execute(&again, &[]).await.unwrap(), 1);
    assert_eq!(builder.client.execute(&other, &[]).await.unwrap(), 1);
    assert_eq!(builder.number("SELECT sum(length(note)) FROM analytics.long").await, 6 << 20);
}
