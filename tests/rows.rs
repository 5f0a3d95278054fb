//! Statements about single rows as drivers send them, with parameters: `WITH` in front, rows that meet a key, expressions
//! that come back.

use tokio_postgres::types::Type;

use crate::harness::{Server, Session, small};

/// Makes a role that may write, and returns a session of it.
async fn builder(server: &Server) -> Session {
    let role = "CREATE ROLE builder LOGIN PASSWORD 'demo' PURPOSES (analytics) MAY (write)";
    server.session("engineer").await.rows(role).await;
    server.session("builder").await
}

#[tokio::test]
async fn parameters_have_the_types_of_what_they_are_put_into() {
    let lake = small().copied();
    let server = lake.serve();
    let session = builder(&server).await;
    session
        .rows("CREATE TABLE stock (id int PRIMARY KEY, name text, price numeric(8,2), seen date)")
        .await;
    session.rows("INSERT INTO stock VALUES (1, 'pen', 1.5, NULL), (2, 'ink', 2, NULL)").await;
    let types = async |sql: &str| {
        let statement = session.client.prepare(sql).await.unwrap();
        statement.params().to_vec()
    };
    let update = "WITH more AS (SELECT $1::int AS id) UPDATE stock SET name = $2, price = $3, \
                  seen = $4 FROM more WHERE stock.id = more.id";
    assert_eq!(types(update).await, [Type::INT4, Type::TEXT, Type::NUMERIC, Type::DATE]);
    let delete = "WITH gone AS (SELECT id FROM stock WHERE name = $1) DELETE FROM stock \
                  WHERE id IN (SELECT id FROM gone) AND id > $2";
    assert_eq!(types(delete).await, [Type::TEXT, Type::INT4]);
    let insert = "WITH named AS (SELECT $1::text AS name) INSERT INTO stock (id, name) \
                  SELECT $2, name FROM named";
    assert_eq!(types(insert).await, [Type::TEXT, Type::INT4]);

    let named = "WITH more AS (SELECT $1::int AS id) UPDATE stock SET name = $2 FROM more \
                 WHERE stock.id = more.id";
    assert_eq!(session.client.execute(named, &[&1_i32, &"quill"]).await.unwrap(), 1);
    assert_eq!(session.client.execute(insert, &[&"pad", &3_i32]).await.unwrap(), 1);
    assert_eq!(session.client.execute(delete, &[&"ink", &0_i32]).await.unwrap(), 1);
    let stored = "SELECT string_agg(id || name, ',' ORDER BY id) FROM stock";
    assert_eq!(session.value(stored).await, "1quill,3pad");
    let gone = "WITH gone AS (DELETE FROM stock WHERE id = $1 RETURNING name) \
                SELECT name, $2 AS mark FROM gone";
    assert_eq!(types(gone).await, [Type::INT4, Type::TEXT]);
    let row = session.client.query_one(gone, &[&1_i32, &"x"]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("quill", "x"));
    assert_eq!(session.value(stored).await, "3pad");
    // What is not built says so also with parameters.
    let refused = session
        .client
        .execute(
            "WITH gone AS (DELETE FROM stock WHERE id = $1 RETURNING id) \
             INSERT INTO stock (id) SELECT id + 10 FROM gone",
            &[&3_i32],
        )
        .await
        .unwrap_err();
    assert_eq!(refused.code().map(|code| code.code()), Some("0A000"));
}

#[tokio::test]
async fn rows_with_keys_that_are_there_are_met_with_parameters_and_in_transactions() {
    let lake = small().copied();
    let server = lake.serve();
    let session = builder(&server).await;
    let other = server.session("builder").await;
    session.rows("CREATE TABLE visits (page text PRIMARY KEY, n bigint, seen text)").await;
    let upsert = "INSERT INTO visits AS v (page, n) VALUES ($1, $2) ON CONFLICT (page) \
                  DO UPDATE SET n = v.n + EXCLUDED.n, seen = $3 WHERE v.n < $4 RETURNING n * 2, page";
    let statement = session.client.prepare(upsert).await.unwrap();
    assert_eq!(statement.params(), [Type::TEXT, Type::INT8, Type::TEXT, Type::INT8]);
    let types: Vec<&Type> = statement.columns().iter().map(|column| column.type_()).collect();
    assert_eq!(types, [&Type::INT8, &Type::TEXT]);
    for expected in [Some(4), Some(8), None] {
        let row = session.client.query_opt(upsert, &[&"/home", &2_i64, &"now", &3_i64]).await;
        let row = row.unwrap();
        assert_eq!(row.map(|row| row.get::<_, i64>(0)), expected);
    }

    // Of two who put in the same key the second is told, and nothing of it stays.
    for session in [&session, &other] {
        session.rows("BEGIN").await;
        session
            .rows("INSERT INTO visits VALUES ('/new', 1) ON CONFLICT (page) DO UPDATE SET n = visits.n + 1")
            .await;
    }
    session.rows("COMMIT").await;
    assert_eq!(other.failure("COMMIT").await.sqlstate, "40001");
    let stored = "SELECT string_agg(page || n, ',' ORDER BY page) FROM visits";
    assert_eq!(session.value(stored).await, "/home4,/new1");

    // What one transaction has put in it meets itself, and what it takes back is not there.
    session.rows("BEGIN").await;
    for _ in 0..3 {
        session
            .rows("INSERT INTO visits VALUES ('/three', 1) ON CONFLICT (page) DO UPDATE SET n = visits.n + 1")
            .await;
    }
    assert_eq!(session.number("SELECT n FROM visits WHERE page = '/three'").await, 3);
    session.rows("ROLLBACK").await;
    assert_eq!(session.value(stored).await, "/home4,/new1");
    let failed = session.failure("INSERT INTO visits VALUES ('/home', 1)").await;
    assert_eq!(failed.sqlstate, "23505", "{failed}");
    assert!(failed.hint.unwrap_or_default().contains("ON CONFLICT"));
}

#[tokio::test]
async fn what_rows_violate_is_named_in_fields_of_the_error() {
    let lake = small().copied();
    let server = lake.serve();
    let session = builder(&server).await;
    let tables = [
        "CREATE TABLE shelves (id int PRIMARY KEY, size int)",
        "CREATE TABLE parts (id int PRIMARY KEY, code text UNIQUE, size int NOT NULL, \
         price int CONSTRAINT fair CHECK (price > 0), shelf int REFERENCES shelves)",
        "INSERT INTO shelves VALUES (1)",
        "INSERT INTO parts VALUES (1, 'a', 1, 1, 1)",
    ];
    for statement in tables {
        session.rows(statement).await;
    }
    let of = |names: [&str; 2]| (Some(names[0].to_owned()), Some(names[1].to_owned()));
    let cases = [
        ("INSERT INTO parts VALUES (1, 'b', 1, 1, 1)", ["parts", "parts_pkey"]),
        ("INSERT INTO parts VALUES (2, 'a', 1, 1, 1)", ["parts", "parts_code_key"]),
        ("UPDATE parts SET price = 0", ["parts", "fair"]),
        ("INSERT INTO parts VALUES (2, 'b', 1, 1, 2)", ["parts", "parts_shelf_fkey"]),
        // PostgreSQL names the table that refers, not the one that loses the row.
        ("DELETE FROM shelves", ["parts", "parts_shelf_fkey"]),
        ("ALTER TABLE parts ADD CONSTRAINT dear CHECK (price > 9)", ["parts", "dear"]),
    ];
    for (statement, names) in cases {
        let error = session.client.execute(statement, &[]).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        let told = (error.table().map(str::to_owned), error.constraint().map(str::to_owned));
        assert_eq!(told, of(names), "{statement}: {error}");
        assert_eq!((error.schema(), error.column()), (Some("analytics"), None), "{statement}");
    }
    let columns =
        ["INSERT INTO parts (id) VALUES (2)", "ALTER TABLE shelves ALTER COLUMN size SET NOT NULL"];
    for (statement, table) in columns.into_iter().zip(["parts", "shelves"]) {
        let error = session.client.execute(statement, &[]).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!((error.table(), error.column()), (Some(table), Some("size")), "{statement}");
        assert_eq!((error.schema(), error.constraint()), (Some("analytics"), None), "{statement}");
    }
    // What is no constraint has no such names.
    let error = session.client.execute("SELECT 1 FROM nowhere", &[]).await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.schema(), error.table(), error.constraint()), (None, None, None));
}
