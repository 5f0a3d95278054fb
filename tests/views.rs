//! Views while two sessions change them and what they read: none that is committed names what is gone.

use crate::harness::{Server, Session, small};

async fn sessions(server: &Server) -> (Session, Session) {
    (server.session("engineer").await, server.session("engineer").await)
}

/// A change of `t`, a view that is made meanwhile, and what `t` is called afterwards.
const CHANGES: [(&str, &str, &str); 5] = [
    ("ALTER TABLE t RENAME TO u", "CREATE VIEW v AS SELECT n FROM t", "u"),
    ("ALTER TABLE t SET SCHEMA other", "CREATE VIEW v AS SELECT n FROM t", "other.t"),
    ("ALTER TABLE t RENAME COLUMN n TO number", "CREATE VIEW v AS SELECT n FROM t", "t"),
    ("ALTER TABLE t DROP COLUMN n", "CREATE MATERIALIZED VIEW v AS SELECT n FROM t", "t"),
    ("ALTER VIEW o RENAME COLUMN n TO number", "CREATE VIEW v AS SELECT n FROM o", "t"),
];

#[tokio::test]
async fn a_view_that_is_made_while_its_table_changes_is_not_committed() {
    let lake = small().copied();
    let server = lake.serve();
    let (first, second) = sessions(&server).await;
    first.rows("CREATE SCHEMA other").await;
    for (change, view, called) in CHANGES {
        first.rows("CREATE TABLE t (n int, m int)").await;
        first.rows("CREATE VIEW o AS SELECT m AS n FROM t").await;
        second.rows("BEGIN").await;
        second.rows(view).await;
        first.rows(change).await;
        let failure = second.failure("COMMIT").await;
        assert_eq!(failure.sqlstate, "40001", "{change}: {failure}");
        let found = first.number("SELECT count(*) FROM pg_class WHERE relname = 'v'").await;
        assert_eq!(found, 0, "{change}");
        first.rows(&format!("DROP TABLE {called} CASCADE")).await;
    }
}

#[tokio::test]
async fn a_change_is_not_committed_under_a_view_that_was_made_meanwhile() {
    let lake = small().copied();
    let server = lake.serve();
    let (first, second) = sessions(&server).await;
    first.rows("CREATE SCHEMA other").await;
    for (change, view, _) in CHANGES {
        first.rows("CREATE TABLE t (n int, m int)").await;
        first.rows("CREATE VIEW o AS SELECT m AS n FROM t").await;
        second.rows("BEGIN").await;
        second.rows(change).await;
        first.rows(view).await;
        let failure = second.failure("COMMIT").await;
        assert_eq!(failure.sqlstate, "40001", "{change}: {failure}");
        assert_eq!(first.number("SELECT count(n) FROM v").await, 0, "{change}");
        // Once it is known, the view follows, or holds its column.
        match change.contains("DROP COLUMN") {
            true => assert_eq!(second.failure(change).await.sqlstate, "2BP01"),
            false => drop(second.rows(change).await),
        }
        assert_eq!(first.number("SELECT count(n) FROM v").await, 0, "{change}");
        first.rows("DROP SCHEMA other CASCADE").await;
        first.rows("DROP TABLE IF EXISTS t, u CASCADE").await;
        first.rows("CREATE SCHEMA other").await;
    }
}

/// What a transaction does first, what somebody else does then, and what it does after that, which goes well by itself.
const TURNS: [(&str, &str, &str); 3] = [
    (
        "ALTER TABLE t DROP COLUMN n",
        "CREATE VIEW v AS SELECT n FROM t",
        "ALTER TABLE t ADD COLUMN o int",
    ),
    (
        "CREATE VIEW v AS SELECT n FROM t",
        "ALTER TABLE t RENAME COLUMN n TO k",
        "CREATE VIEW w AS SELECT k FROM t",
    ),
    (
        "CREATE OR REPLACE VIEW o AS SELECT m, n FROM t",
        "CREATE VIEW v AS SELECT * FROM o",
        "CREATE OR REPLACE VIEW o AS SELECT m, n, 1 AS one FROM t",
    ),
];

#[tokio::test]
async fn what_a_transaction_does_later_does_not_hide_what_others_did_before() {
    let lake = small().copied();
    let server = lake.serve();
    let (first, second) = sessions(&server).await;
    for (before, meanwhile, later) in TURNS {
        first.rows("CREATE TABLE t (n int, m int)").await;
        first.rows("CREATE VIEW o AS SELECT m FROM t").await;
        second.rows("BEGIN").await;
        second.rows(before).await;
        first.rows(meanwhile).await;
        second.rows(later).await;
        let failure = second.failure("COMMIT").await;
        assert_eq!(failure.sqlstate, "40001", "{before}: {failure}");
        first.rows("DROP TABLE t CASCADE").await;
    }
}

#[tokio::test]
async fn what_does_not_touch_a_view_is_in_nobodys_way() {
    let lake = small().copied();
    let server = lake.serve();
    let (first, second) = sessions(&server).await;
    first.rows("CREATE TABLE t (n int)").await;
    second.rows("BEGIN").await;
    second.rows("CREATE VIEW v AS SELECT n FROM t").await;
    first.rows("INSERT INTO t VALUES (1)").await;
    first.rows("ALTER TABLE t ALTER COLUMN n SET NOT NULL").await;
    first.rows("COMMENT ON TABLE t IS 'numbers'").await;
    second.rows("COMMIT").await;
    assert_eq!(first.number("SELECT n FROM v").await, 1);
}
