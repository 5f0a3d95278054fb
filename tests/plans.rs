//! A plan that is kept for the next time answers as one that is made anew, and never for another purpose, role or consent.

use tokio_postgres::types::ToSql;

use crate::harness::{Server, Session, connect, shared_server, small};

/// Runs a statement so often that its plan is kept, and returns what it answered last.
const RUNS: usize = 4;

const COUNT_OF_ONE: &str = "SELECT count(*) FROM profiles WHERE profile_id = $1";

async fn engineer_defines(server: &Server, sql: &str) {
    server.session("engineer").await.run(sql).await.unwrap();
}

/// Sends a text again and again, and returns what it counted last.
async fn repeated(session: &Session, sql: &str) -> i64 {
    let mut last = 0;
    for _ in 0..RUNS {
        last = session.number(sql).await;
    }
    last
}

#[tokio::test]
async fn values_are_put_into_a_kept_plan_as_into_a_new_one() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let rows = engineer
        .rows("SELECT profile_id, email FROM profiles WHERE email IS NOT NULL ORDER BY profile_id LIMIT 5")
        .await;
    let ids: Vec<i64> = rows.iter().map(|row| row[0].as_ref().unwrap().parse().unwrap()).collect();
    let emails: Vec<&str> = rows.iter().map(|row| row[1].as_deref().unwrap()).collect();

    let by_id =
        engineer.client.prepare("SELECT email FROM profiles WHERE profile_id = $1").await.unwrap();
    for (id, email) in ids.iter().zip(&emails) {
        let found = engineer.client.query(&by_id, &[id]).await.unwrap();
        assert_eq!(found.len(), 1, "one profile has the id {id}");
        assert_eq!(found[0].get::<_, &str>(0), *email);
    }
    for nobody in [None, Some(-1_i64)] {
        assert!(engineer.client.query(&by_id, &[&nobody]).await.unwrap().is_empty(), "{nobody:?}");
    }

    let by_email = engineer
        .client
        .prepare("SELECT profile_id FROM profiles WHERE email = $1 AND profile_id >= $2 ORDER BY 1")
        .await
        .unwrap();
    for email in &emails {
        let parameters: [&(dyn ToSql + Sync); 2] = [email, &0_i64];
        let kept: Vec<i64> = engineer
            .client
            .query(&by_email, &parameters)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        let anew = engineer
            .rows(&format!("SELECT profile_id FROM profiles WHERE email = '{email}' AND profile_id >= 0 ORDER BY 1"))
            .await;
        let anew: Vec<i64> =
            anew.iter().map(|row| row[0].as_ref().unwrap().parse().unwrap()).collect();
        assert_eq!(kept, anew, "{email}");
    }

    let several = engineer
        .client
        .prepare("SELECT count(*), min(email) FROM profiles WHERE profile_id IN ($1, $2, $3) AND email <> $4")
        .await
        .unwrap();
    for _ in 0..RUNS {
        let row = engineer
            .client
            .query_one(&several, &[&ids[0], &ids[1], &ids[1], &emails[0]])
            .await
            .unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (1, emails[1]));
    }
}

#[tokio::test]
async fn a_kept_plan_shows_nobody_who_withdrew() {
    let lake = small().copied();
    let server = lake.serve();
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    let rows = marketer
        .rows("SELECT profile_id, email FROM profiles WHERE email IS NOT NULL ORDER BY profile_id LIMIT 1")
        .await;
    let (id, email) = (rows[0][0].as_ref().unwrap(), rows[0][1].as_ref().unwrap());
    let text = format!("SELECT count(*) FROM profiles WHERE profile_id = {id}");
    let prepared = marketer.client.prepare(COUNT_OF_ONE).await.unwrap();
    let number: i64 = id.parse().unwrap();
    let count =
        async || marketer.client.query_one(&prepared, &[&number]).await.unwrap().get::<_, i64>(0);
    for _ in 0..RUNS {
        assert_eq!(count().await, 1);
    }
    assert_eq!(repeated(&marketer, &text).await, 1);
    officer
        .rows(&format!(
            "SELECT cdp.record_consent('email', '{email}', 'email_marketing', 'withdrawn')"
        ))
        .await;
    assert_eq!(count().await, 0, "the prepared statement");
    assert_eq!(marketer.number(&text).await, 0, "the text");
}

#[tokio::test]
async fn a_kept_plan_is_for_the_purpose_and_the_role_that_it_was_made_for() {
    const TEXT: &str = "SELECT count(*) FROM profiles";
    let lake = small().copied();
    let server = lake.serve();
    let create = "CREATE OR REPLACE ROLE both LOGIN PASSWORD 'demo' PURPOSES";
    engineer_defines(&server, &format!("{create} (analytics, email_marketing)")).await;
    let both = connect(&server, "both", "demo").await.unwrap();
    let mut counted = Vec::new();
    for purpose in ["analytics", "email_marketing"] {
        both.run(&format!("SET cdp.purpose = '{purpose}'")).await.unwrap();
        let prepared = both.client.prepare(TEXT).await.unwrap();
        let kept = repeated(&both, TEXT).await;
        let fresh = connect(&server, "both", "demo").await.unwrap();
        fresh.run(&format!("SET cdp.purpose = '{purpose}'")).await.unwrap();
        assert_eq!(kept, fresh.number(TEXT).await, "{purpose}");
        assert_eq!(both.client.query_one(&prepared, &[]).await.unwrap().get::<_, i64>(0), kept);
        counted.push(kept);
    }
    assert_ne!(counted[0], counted[1], "the purposes see different people");

    both.run("RESET cdp.purpose").await.unwrap();
    assert_eq!(both.run(TEXT).await.unwrap_err().sqlstate, "42501", "without a purpose");
    both.run("SET cdp.purpose = 'analytics'").await.unwrap();
    assert_eq!(repeated(&both, TEXT).await, counted[0]);
    engineer_defines(&server, &format!("{create} (email_marketing)")).await;
    assert_eq!(
        both.run(TEXT).await.unwrap_err().sqlstate,
        "42501",
        "the purpose was taken from the role"
    );
}

#[tokio::test]
async fn a_kept_plan_follows_what_is_published_and_what_the_session_changes() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    engineer
        .run("CREATE TABLE analytics.marks AS SELECT profile_id FROM profiles LIMIT 3")
        .await
        .unwrap();
    let text = "SELECT count(*) FROM analytics.marks";
    assert_eq!(repeated(&engineer, text).await, 3);
    engineer.run("BEGIN").await.unwrap();
    engineer.run("DELETE FROM analytics.marks").await.unwrap();
    assert_eq!(engineer.number(text).await, 0, "what the transaction did");
    engineer.run("ROLLBACK").await.unwrap();
    assert_eq!(engineer.number(text).await, 3, "what it took back");
    let other = server.session("engineer").await;
    other.run("TRUNCATE analytics.marks").await.unwrap();
    assert_eq!(engineer.number(text).await, 0, "what somebody else committed");
    other.run("DROP TABLE analytics.marks").await.unwrap();
    assert_eq!(engineer.run(text).await.unwrap_err().sqlstate, "42P01");

    // The zone is a part of what a text means.
    let day = "SELECT min(occurred_at)::date::text || count(*) FROM events WHERE occurred_at::time < '12:00'";
    let mut days = Vec::new();
    for zone in ["UTC", "Asia/Tokyo", "UTC"] {
        engineer.run(&format!("SET TIME ZONE '{zone}'")).await.unwrap();
        for _ in 0..RUNS {
            days.push(engineer.value(day).await);
        }
    }
    assert_eq!(days[0], days[RUNS * 3 - 1]);
    assert_ne!(days[0], days[RUNS]);
    assert!(days[RUNS..RUNS * 2].iter().all(|one| *one == days[RUNS]), "{days:?}");
}

#[tokio::test]
async fn more_sessions_than_keep_something_answer_alike() {
    const SESSIONS: usize = 70;
    let lake = small().copied();
    let server = lake.serve();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(server.session("marketer").await);
    }
    let text = "SELECT count(*) FROM profiles";
    let expected = sessions[0].number(text).await;
    for _ in 0..2 {
        for session in &sessions {
            assert_eq!(session.number(text).await, expected);
        }
    }
}

#[tokio::test]
async fn a_kept_plan_of_the_catalog_tells_what_is_there_now() {
    const MADE: &str = "SELECT count(*) FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'analytics' AND pg_catalog.pg_table_is_visible(c.oid)";
    const NAMED: &str =
        "SELECT count(*) FROM pg_settings WHERE name = 'application_name' AND setting = $1";
    let lake = small().copied();
    let server = lake.serve();
    let mut engineer = server.session("engineer").await;
    let before = repeated(&engineer, MADE).await;
    engineer.rows("CREATE TABLE analytics.kept_one (id integer)").await;
    assert_eq!(repeated(&engineer, MADE).await, before + 1);
    // What a transaction makes is there within it alone.
    let transaction = engineer.client.transaction().await.unwrap();
    transaction.batch_execute("CREATE TABLE analytics.kept_two (id integer)").await.unwrap();
    for _ in 0..RUNS {
        let row = transaction.query_one(MADE, &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), before + 2);
    }
    transaction.rollback().await.unwrap();
    assert_eq!(repeated(&engineer, MADE).await, before + 1);
    engineer.rows("SET search_path = cdp").await;
    assert_eq!(repeated(&engineer, MADE).await, 0, "nothing of it is found without its schema");
    engineer.rows("RESET search_path").await;
    assert_eq!(repeated(&engineer, MADE).await, before + 1);

    let named = engineer.client.prepare(NAMED).await.unwrap();
    let count = async |name: &str| {
        engineer.client.query_one(&named, &[&name]).await.unwrap().get::<_, i64>(0)
    };
    for name in ["one", "two", "three", "four"] {
        engineer.rows(&format!("SET application_name = '{name}'")).await;
        assert_eq!(count(name).await, 1, "a session sees its settings of now");
    }
    assert_eq!(count("one").await, 0);
}

#[tokio::test]
async fn a_portal_that_is_half_way_is_shown_as_a_cursor() {
    const OPEN: &str = "SELECT count(*) FROM pg_cursors \
         WHERE statement LIKE 'SELECT g FROM%' AND NOT is_holdable AND NOT is_scrollable";
    let server = shared_server();
    let mut engineer = server.session("engineer").await;
    let transaction = engineer.client.transaction().await.unwrap();
    let series = transaction.prepare("SELECT g FROM generate_series(1, 3) g").await.unwrap();
    let portal = transaction.bind(&series, &[]).await.unwrap();
    assert_eq!(transaction.query_portal(&portal, 1).await.unwrap().len(), 1);
    let open = transaction.query_one(OPEN, &[]).await.unwrap();
    assert_eq!(open.get::<_, i64>(0), 1);
    assert_eq!(transaction.query_portal(&portal, 0).await.unwrap().len(), 2);
    drop(portal);
    transaction.commit().await.unwrap();
    assert_eq!(engineer.number(OPEN).await, 0);
}
