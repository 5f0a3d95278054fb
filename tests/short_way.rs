//! A small statement that is run again and again goes a short way, and that shows in nothing but its time.

use crate::harness::{PROMPT, Server, Session, connect, small};

/// Runs after which a statement that has a short way goes it.
const RUNS: usize = 4;

/// Statements that have a short way, with the type of their parameter.
const STATEMENTS: [(&str, &str); 15] = [
    ("bigint", "SELECT * FROM profiles WHERE profile_id = $1"),
    ("bigint", "SELECT profile_id FROM profiles WHERE profile_id = $1"),
    (
        "bigint",
        "SELECT upper(email), length(last_name) + 1, 'x' AS x FROM profiles WHERE profile_id = $1 AND city IS NOT NULL",
    ),
    ("bigint", "SELECT email, profile_id FROM profiles p WHERE p.profile_id IN ($1, 7) LIMIT 1"),
    (
        "bigint",
        "SELECT kind, value FROM profile_identifiers WHERE profile_id = $1 AND kind <> 'phone'",
    ),
    ("bigint", "SELECT * FROM attribute_sources WHERE profile_id = $1"),
    ("bigint", "SELECT * FROM sources.crm_contacts WHERE profile_id = $1"),
    (
        "bigint",
        "SELECT message_id, event, occurred_at, properties FROM events WHERE profile_id = $1",
    ),
    ("integer", "SELECT email FROM profiles WHERE profile_id = $1"),
    ("text", "SELECT * FROM profiles WHERE email = $1"),
    ("text", "SELECT profile_id, city FROM profiles WHERE email = $1::varchar"),
    (
        "text",
        "SELECT profile_id, kind FROM profile_identifiers WHERE value = $1 AND kind = 'email'",
    ),
    ("text", "SELECT order_id, profile_id FROM sources.shop_orders WHERE email = $1"),
    ("text", "SELECT 'found' WHERE $1 = 'nobody@nowhere.example'"),
    ("bigint", "SELECT $1 AS asked, 1"),
];

/// Returns ids and addresses to ask for, as they are written in a statement: some that the role sees, some that it does not.
async fn keys(server: &Server) -> [Vec<String>; 2] {
    let engineer = server.session("engineer").await;
    let rows = engineer
        .rows("SELECT profile_id, email FROM profiles WHERE email IS NOT NULL ORDER BY profile_id LIMIT 12")
        .await;
    let ids = rows.iter().map(|row| row[0].clone().unwrap());
    let emails = rows.iter().map(|row| format!("'{}'", row[1].as_ref().unwrap()));
    [
        ids.chain(["-1".to_owned(), "NULL".to_owned()]).collect(),
        emails.chain(["'nobody@nowhere.example'".to_owned(), "NULL".to_owned()]).collect(),
    ]
}

/// The answer to a statement, or how it fails.
async fn told(session: &Session, sql: &str) -> String {
    match session.run(sql).await {
        Ok(answer) => format!("{:?} {:?}", answer.columns, answer.rows),
        Err(failure) => failure.to_string(),
    }
}

#[tokio::test]
async fn it_answers_as_the_long_way_does_for_every_role() {
    let lake = small().copied();
    let server = lake.serve();
    let [ids, emails] = keys(&server).await;
    let mut seen = 0;
    for role in ["engineer", "analyst", "marketer", "privacy_officer"] {
        let again = server.session(role).await;
        let mut wrong = Vec::new();
        for (number, (kind, statement)) in STATEMENTS.into_iter().enumerate() {
            let name = format!("s{number}");
            if again.run(&format!("PREPARE {name}({kind}) AS {statement}")).await.is_err() {
                // What it may not name it may not prepare.
                continue;
            }
            let keys = if kind == "text" { &emails } else { &ids };
            // An id may be larger than an integer, which is refused, and alike both times.
            for key in keys.iter().take(3).cycle().take(RUNS).chain(keys) {
                let prepared = told(&again, &format!("EXECUTE {name}({key})")).await;
                // A text that is sent once is planned.
                let once = server.session(role).await;
                let written = statement.replace("$1", &format!("CAST({key} AS {kind})"));
                let planned = told(&once, &written).await;
                let columns = |told: &str| told.split_once("] [").map(|(_, rows)| rows.to_owned());
                if columns(&prepared) != columns(&planned) || prepared.contains("XX000") {
                    wrong.push(format!("{statement}, {key}:\n  {prepared}\n  {planned}"));
                }
                seen += usize::from(columns(&prepared).is_some_and(|rows| rows.len() > 2));
            }
        }
        assert!(wrong.is_empty(), "{role}:\n{}", wrong.join("\n"));
    }
    assert!(seen > 100, "only {seen} answers have rows");
}

#[tokio::test]
async fn who_withdraws_is_gone_from_it_at_once() {
    let lake = small().copied();
    let server = lake.serve();
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    // A mailbox of one person alone: what many give, such as none@example.com, is granted for all of them.
    let engineer = server.session("engineer").await;
    let of_one = "SELECT value FROM profile_identifiers WHERE kind = 'email' GROUP BY value HAVING count(*) = 1";
    let of_one = engineer.rows(of_one).await;
    let mut rows = marketer
        .rows("SELECT profile_id, email FROM profiles WHERE email IS NOT NULL ORDER BY profile_id")
        .await;
    rows.retain(|row| of_one.iter().any(|only| only[0] == row[1]));
    let (id, email) = (rows[0][0].clone().unwrap(), rows[0][1].clone().unwrap());
    let by_text = format!("SELECT email FROM profiles WHERE profile_id = {id}");
    marketer
        .rows("PREPARE by_id(bigint) AS SELECT email FROM profiles WHERE profile_id = $1")
        .await;
    marketer
        .rows("PREPARE by_email(text) AS SELECT profile_id FROM profiles WHERE email = $1")
        .await;
    let statements =
        [by_text, format!("EXECUTE by_id({id})"), format!("EXECUTE by_email('{email}')")];
    for statement in &statements {
        for _ in 0..RUNS {
            assert_eq!(marketer.rows(statement).await.len(), 1, "{statement}");
        }
    }
    let record = |status: &str| {
        format!("SELECT cdp.record_consent('email', '{email}', 'email_marketing', '{status}')")
    };
    officer.rows(&record("withdrawn")).await;
    for statement in &statements {
        for _ in 0..RUNS {
            assert_eq!(
                marketer.rows(statement).await.len(),
                0,
                "{statement}: after the withdrawal"
            );
        }
    }
    officer.rows(&record("granted")).await;
    for statement in &statements {
        assert_eq!(marketer.rows(statement).await.len(), 1, "{statement}: after the grant");
    }
}

#[tokio::test]
async fn it_is_for_the_purpose_and_the_role_of_the_moment() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let create = "CREATE OR REPLACE ROLE both LOGIN PASSWORD 'demo' PURPOSES";
    engineer.rows(&format!("{create} (analytics, email_marketing)")).await;
    // Somebody who exists for one of the purposes only.
    let (analyst, marketer) = (server.session("analyst").await, server.session("marketer").await);
    let ids =
        async |session: &Session| session.rows("SELECT profile_id FROM profiles ORDER BY 1").await;
    let (one, other) = (ids(&analyst).await, ids(&marketer).await);
    let only =
        one.iter().find(|id| !other.contains(id)).expect("the purposes see different people");
    let statement = format!("EXECUTE by_id({})", only[0].as_ref().unwrap());

    let both = connect(&server, "both", "demo").await.unwrap();
    both.rows("SET cdp.purpose = 'analytics'").await;
    both.rows("PREPARE by_id(bigint) AS SELECT profile_id FROM profiles WHERE profile_id = $1")
        .await;
    for (purpose, count) in [("analytics", 1), ("email_marketing", 0), ("analytics", 1)] {
        both.rows(&format!("SET cdp.purpose = '{purpose}'")).await;
        for _ in 0..RUNS {
            assert_eq!(both.rows(&statement).await.len(), count, "{purpose}");
        }
    }
    both.rows("RESET cdp.purpose").await;
    for _ in 0..RUNS {
        assert_eq!(both.failure(&statement).await.sqlstate, "42501", "without a purpose");
    }
    both.rows("SET cdp.purpose = 'analytics'").await;
    for _ in 0..RUNS {
        assert_eq!(both.rows(&statement).await.len(), 1);
    }
    engineer.rows(&format!("{create} (email_marketing)")).await;
    for _ in 0..RUNS {
        assert_eq!(both.failure(&statement).await.sqlstate, "42501", "it was taken from the role");
    }
}

/// A statement that outlives publications is planned once for each, and sees what they brought.
#[tokio::test]
async fn it_follows_what_is_published_and_what_the_session_changes() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let id = engineer.value("SELECT min(profile_id) FROM profiles").await;
    let make = |value: i64| {
        format!(
            "CREATE TABLE analytics.marks AS SELECT profile_id, {value} AS mark FROM profiles WHERE profile_id = {id}"
        )
    };
    engineer.rows(&make(1)).await;
    engineer
        .rows("PREPARE mark(bigint) AS SELECT mark FROM analytics.marks WHERE profile_id = $1")
        .await;
    let statement = format!("EXECUTE mark({id})");
    let marks = async || {
        let mut last = vec![];
        for _ in 0..RUNS {
            last = engineer.rows(&statement).await.into_iter().flatten().flatten().collect();
        }
        last
    };
    assert_eq!(marks().await, ["1"]);
    engineer.rows("BEGIN").await;
    engineer.rows("UPDATE analytics.marks SET mark = 2").await;
    assert_eq!(marks().await, ["2"], "what the transaction did");
    engineer.rows("ROLLBACK").await;
    assert_eq!(marks().await, ["1"], "what it took back");
    let other = server.session("engineer").await;
    other.rows("UPDATE analytics.marks SET mark = 3").await;
    assert_eq!(marks().await, ["3"], "what somebody else committed");
    other.rows("DELETE FROM analytics.marks").await;
    assert_eq!(marks().await, [""; 0]);
    other.rows("DROP TABLE analytics.marks").await;
    for _ in 0..RUNS {
        assert_eq!(engineer.failure(&statement).await.sqlstate, "42P01");
    }
}

#[tokio::test]
async fn each_run_is_on_record_before_its_rows_leave_and_after_a_crash() {
    const READS: usize = 200;
    let lake = small().copied();
    {
        let mut server = lake.serve();
        let analyst = server.session("analyst").await;
        let id = analyst.value("SELECT min(profile_id) FROM profiles").await;
        analyst
            .rows("PREPARE by_id(bigint) AS SELECT email FROM profiles WHERE profile_id = $1")
            .await;
        for _ in 0..READS {
            assert_eq!(analyst.rows(&format!("EXECUTE by_id({id})")).await.len(), 1);
        }
        assert!(server.process.signal("KILL"));
        server.process.wait(PROMPT);
    }
    let server = lake.serve();
    let officer = server.session("privacy_officer").await;
    let noted = officer
        .number("SELECT count(*) FROM cdp.audit_log WHERE role = 'analyst' AND purpose = 'analytics' AND relations = 'public.profiles'")
        .await;
    assert!(noted >= READS as i64, "{noted} of {READS} reads are on record");
    let counted = "SELECT count(*) FROM cdp.audit_log WHERE role = 'analyst' AND status = 'ended' AND rows = 1";
    assert!(
        officer.number(counted).await >= READS as i64 / 2,
        "how many rows each gave is there, too"
    );
}
