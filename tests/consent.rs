//! Answers stand: a new definition, a rebuild or another way of asking neither undoes a refusal nor tells of anybody hidden.

use std::collections::BTreeSet;

use crate::harness::{Built, Server, Session, shared_server, small};

/// The people whom a session sees, by their identifiers.
async fn people(session: &Session) -> BTreeSet<String> {
    let rows = session.rows("SELECT DISTINCT profile_id FROM profile_identifiers").await;
    rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect()
}

/// Somebody whom the marketer sees, with a mailbox that nobody else has: profile_id and email.
async fn somebody(server: &Server) -> (String, String) {
    let rows = server
        .session("engineer")
        .await
        .rows(
            "SELECT min(profile_id), value FROM profile_identifiers WHERE kind = 'email' \
             GROUP BY value HAVING count(*) = 1 ORDER BY value",
        )
        .await;
    let seen = people(&server.session("marketer").await).await;
    let mut found = rows.into_iter().map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap()));
    found.find(|(person, _)| seen.contains(person)).expect("the marketer sees somebody")
}

async fn withdraw(server: &Server, email: &str) {
    let statement =
        format!("SELECT cdp.record_consent('email', '{email}', 'email_marketing', 'withdrawn')");
    server.session("privacy_officer").await.rows(&statement).await;
}

/// Adds lines to a file of the project.
fn add(lake: &Built, file: &str, lines: &[String]) {
    let path = lake.project.join("data").join(file);
    let mut text = std::fs::read_to_string(&path).unwrap_or_default();
    lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn a_new_graph_shows_nobody_before_it_is_in_force() {
    let lake = small().copied();
    let (person, before) = {
        let server = lake.serve();
        let engineer = server.session("engineer").await;
        let before = people(&server.session("marketer").await).await;
        let (person, email) = somebody(&server).await;
        let graph = engineer.rows("SHOW CREATE IDENTITY GRAPH customer").await[0][1].clone();
        let graph = graph.unwrap();
        let other = graph
            .replace("CREATE IDENTITY", "CREATE OR REPLACE IDENTITY")
            .replace("email NORMALIZE email", "email")
            .replace("phone('PL')", "phone('DE')");
        assert_ne!(graph.len(), other.len(), "{graph}");
        engineer.rows(&other).await;
        assert_eq!(people(&server.session("marketer").await).await, before);
        // Written as people do, and not as the graph that is defined now has it.
        withdraw(&server, &email.to_uppercase()).await;
        (person, before)
    };
    let left: BTreeSet<String> = before.iter().filter(|seen| **seen != person).cloned().collect();
    assert_eq!(left.len() + 1, before.len());
    // A process that opens the lake knows no more than the lake says.
    let server = lake.serve();
    assert_eq!(people(&server.session("marketer").await).await, left);
    // Once the graph is in force, so are its forms.
    server.session("engineer").await.rows("REFRESH ALL").await;
    let refreshed = people(&server.session("marketer").await).await;
    drop(server);
    assert_eq!(people(&lake.serve().session("marketer").await).await, refreshed);
}

#[tokio::test]
async fn reading_a_feed_again_does_not_undo_a_withdrawal() {
    let lake = small().copied();
    let (person, email) = {
        let server = lake.serve();
        somebody(&server).await
    };
    add(
        &lake,
        "consent/later.csv",
        &[
            "identifier_kind,identifier,purpose,status,channel,captured_at,source,notice_version,jurisdiction".into(),
            format!("email,{email},email_marketing,granted,web,2099-01-01T00:00:00Z,clock,pl-v1,PL"),
        ],
    );
    lake.refresh();
    let server = lake.serve();
    let (engineer, marketer) = (server.session("engineer").await, server.session("marketer").await);
    assert!(people(&marketer).await.contains(&person));
    withdraw(&server, &email).await;
    for refresh in ["REFRESH ALL", "REFRESH ALL FULL"] {
        engineer.rows(refresh).await;
        assert!(!people(&marketer).await.contains(&person), "visible after {refresh}");
    }
    // Asked and said again, it holds.
    let again =
        format!("SELECT cdp.record_consent('email', '{email}', 'email_marketing', 'granted')");
    server.session("privacy_officer").await.rows(&again).await;
    assert!(people(&marketer).await.contains(&person));
}

#[tokio::test]
async fn a_feed_over_events_goes_on_and_says_what_it_could_not_read() {
    let lake = small().copied();
    let event = |number: u32, event: &str| {
        format!(
            "{{\"type\":\"track\",\"event\":\"{event}\",\"messageId\":\"asked-{number}\",\"anonymousId\":\"browser-{number}\",\
             \"timestamp\":\"2026-05-07T11:45:3{number}.914Z\",\"properties\":{{\"session\":\"s\"}}}}"
        )
    };
    add(&lake, "web/asked.ndjson", &[event(1, "asked"), event(2, "search")]);
    lake.refresh();
    let server = lake.serve();
    let (engineer, officer) =
        (server.session("engineer").await, server.session("privacy_officer").await);
    for (name, kind, from) in [
        ("of_events", "anonymous_id", "events WHERE event = 'asked'"),
        ("of_one_event", "horoscope", "events_asked"),
        ("of_versions", "crm_id", "sources.crm_contacts_history LIMIT 0"),
    ] {
        let identifier = if kind == "crm_id" { "crm_id" } else { "anonymous_id" };
        let at = if kind == "crm_id" { "updated_at" } else { "occurred_at" };
        engineer
            .rows(&format!(
                "CREATE CONSENT FEED {name} AS SELECT '{kind}' AS identifier_kind, {identifier} AS identifier, \
                 'email_marketing' AS purpose, 'denied' AS status, {at} AS captured_at FROM {from}"
            ))
            .await;
    }
    let ledger = async || {
        officer
            .rows(
                "SELECT feed, identifier, recorded_at FROM consent_ledger \
                 WHERE feed IN ('of_events', 'of_one_event', 'of_versions') ORDER BY 1, 2",
            )
            .await
    };
    engineer.rows("REFRESH ALL").await;
    let first = ledger().await;
    assert_eq!(first.len(), 2, "{first:?}");
    add(&lake, "web/more.ndjson", &[event(3, "asked"), event(4, "search")]);
    engineer.rows("REFRESH ALL").await;
    let second = ledger().await;
    assert_eq!(second.len(), 4, "{second:?}");
    assert!(first.iter().all(|row| second.contains(row)), "learnt anew: {first:?} {second:?}");
    engineer.rows("REFRESH ALL FULL").await;
    assert_eq!(ledger().await, second, "a full refresh learns nothing anew");
    let feeds = engineer
        .rows(
            "SELECT name, answers, not_understood, refreshed_at IS NOT NULL FROM cdp.consent_feeds \
             WHERE name LIKE 'of_%' ORDER BY name",
        )
        .await;
    let shown = |row: &Vec<Option<String>>| {
        row.iter().map(|value| value.clone().unwrap()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        feeds.iter().map(shown).collect::<Vec<_>>(),
        ["of_events 2 0 t", "of_one_event 0 2 t", "of_versions 0 0 t"]
    );
}

#[tokio::test]
async fn a_number_without_its_country_is_no_answer_of_anybody() {
    let lake = small().copied();
    let server = lake.serve();
    let officer = server.session("privacy_officer").await;
    let say = |number: &str| {
        format!("SELECT cdp.record_consent('phone', '{number}', 'email_marketing', 'withdrawn')")
    };
    for number in ["0173 1142980", "530625020", "not a number"] {
        let failure = officer.failure(&say(number)).await;
        assert_eq!(failure.sqlstate, "22023", "{number}: {failure}");
        assert!(failure.hint.unwrap().contains("country code"), "{number}");
    }
    for number in ["+49 173 1142980", "0049 173 1142980"] {
        officer.rows(&say(number)).await;
    }
}

#[tokio::test]
async fn an_identifier_leads_to_the_one_visible_person_that_has_it() {
    let server = shared_server();
    for role in ["analyst", "marketer"] {
        let session = server.session(role).await;
        let led_astray = "SELECT count(*) FROM \
             (SELECT kind, value, min(profile_id) AS person, count(*) AS holders FROM profile_identifiers GROUP BY 1, 2) held \
             WHERE resolve_profile(kind, value) IS DISTINCT FROM CASE WHEN holders = 1 THEN person END";
        assert_eq!(session.number(led_astray).await, 0, "{role}");
    }
}

#[tokio::test]
async fn a_legitimate_interest_ends_with_an_objection() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    for definition in [
        "CREATE PURPOSE fraud_watch LEGAL BASIS legitimate_interest",
        "CREATE ROLE watcher LOGIN PASSWORD 'demo' PURPOSES (fraud_watch)",
    ] {
        engineer.rows(definition).await;
    }
    let (watcher, officer) =
        (server.session("watcher").await, server.session("privacy_officer").await);
    let (person, email) = somebody(&server).await;
    let everybody = people(&engineer).await;
    assert_eq!(people(&watcher).await, everybody, "nobody was asked");
    let say = async |status: &str| {
        officer
            .rows(&format!(
                "SELECT cdp.record_consent('email', '{email}', 'fraud_watch', '{status}')"
            ))
            .await
    };
    say("objected").await;
    let left: BTreeSet<String> = everybody.iter().filter(|one| **one != person).cloned().collect();
    assert_eq!(people(&watcher).await, left);
    say("granted").await;
    assert_eq!(people(&watcher).await, everybody);
}

#[tokio::test]
async fn a_role_of_two_purposes_sees_nobody_before_it_says_which() {
    let lake = small().copied();
    let server = lake.serve();
    server
        .session("engineer")
        .await
        .rows("CREATE ROLE both LOGIN PASSWORD 'demo' PURPOSES (analytics, email_marketing)")
        .await;
    let both = server.session("both").await;
    for question in
        ["SELECT count(*) FROM profiles", "SELECT resolve_profile('email', 'a@b.example')"]
    {
        both.failure(question).await;
    }
    assert_eq!(both.failure("SELECT count(*) FROM profiles").await.sqlstate, "42501");
    for (purpose, role) in [("analytics", "analyst"), ("email_marketing", "marketer")] {
        both.rows(&format!("SET cdp.purpose = '{purpose}'")).await;
        assert_eq!(people(&both).await, people(&server.session(role).await).await, "{purpose}");
    }
    assert_eq!(both.failure("SET cdp.purpose = 'service'").await.sqlstate, "42501");
    both.rows("RESET cdp.purpose").await;
    assert_eq!(both.failure("SELECT count(*) FROM profiles").await.sqlstate, "42501");
}

/// Two versions of a contact, the later of which corrects who it is, and somebody else with the mailbox of the earlier one.
const CORRECTED: [&str; 3] = [
    "CRM-990001,Anna,Zarlipek,anna.zarlipek@old.example,,1951-02-03,,,,PL,2020-03-01 06:10:46,2020-03-01 06:10:46",
    "CRM-990001,Ewa,Zarlipek,ewa.zarlipek@new.example,,1988-11-25,,,,PL,2020-03-01 06:10:46,2021-03-01 06:10:46",
    "CRM-990002,Oskar,Kostorek,anna.zarlipek@old.example,,1979-06-07,,,,PL,2022-03-01 06:10:46,2022-03-01 06:10:46",
];
const CONTACT: &str = "crm_id,first_name,last_name,email,phone,birth_date,street,postal_code,city,country,created_at,updated_at";

#[tokio::test]
async fn who_writes_from_a_mailbox_that_was_corrected_is_heard() {
    let lake = small().copied();
    add(&lake, "crm/later.csv", &[CONTACT, CORRECTED[0], CORRECTED[1]].map(str::to_owned));
    lake.refresh();
    let server = lake.serve();
    let [engineer, marketer] = [server.session("engineer").await, server.session("marketer").await];
    let resolved = async |session: &Session, email: &str| {
        let found = session.rows(&format!("SELECT resolve_profile('email', '{email}')")).await;
        found[0][0].clone()
    };
    let [old, new] = ["anna.zarlipek@old.example", "ewa.zarlipek@new.example"];
    let ewa = resolved(&engineer, new).await.expect("the newest version has it");
    assert_eq!(resolved(&engineer, old).await, Some(ewa.clone()), "nobody else has it");
    let former = format!("SELECT kind, value FROM former_identifiers WHERE profile_id = {ewa}");
    let had = vec![vec![Some("email".to_owned()), Some(old.to_owned())]];
    assert_eq!(engineer.rows(&former).await, had);
    let held = former.replace("former_identifiers", "profile_identifiers");
    assert!(!engineer.rows(&held).await.contains(&had[0]), "nobody is written to there");
    let answer = async |email: &str, status: &str| {
        let statement =
            format!("SELECT cdp.record_consent('email', '{email}', 'email_marketing', '{status}')");
        server.session("privacy_officer").await.rows(&statement).await;
    };
    answer(old, "granted").await;
    assert!(!people(&marketer).await.contains(&ewa), "who that was is not known");
    answer(new, "granted").await;
    assert!(people(&marketer).await.contains(&ewa));
    assert_eq!(resolved(&marketer, old).await, None, "somebody hidden may have it");
    let denied = marketer.failure("SELECT * FROM former_identifiers").await;
    assert_eq!(denied.sqlstate, "42P01", "it tells of others");
    answer(old, "withdrawn").await;
    assert!(!people(&marketer).await.contains(&ewa), "a refusal counts");
    assert_eq!(resolved(&marketer, old).await, None);
    engineer.rows("REFRESH ALL FULL").await;
    assert!(!people(&marketer).await.contains(&ewa), "a rebuild");
    // What somebody has now is theirs.
    add(&lake, "crm/later.csv", &[CORRECTED[2].to_owned()]);
    engineer.rows("REFRESH ALL").await;
    let oskar = resolved(&engineer, old).await.expect("somebody has it");
    assert_ne!(oskar, ewa);
    assert_eq!(engineer.rows(&former).await, had, "whoever has it now");
    drop((engineer, marketer, server));
    let server = lake.serve();
    let marketer = server.session("marketer").await;
    let seen = people(&marketer).await;
    assert!(!seen.contains(&ewa) && !seen.contains(&oskar), "a process that opens the lake");
}

/// Whoever reads on behind a text that failed must not read for the purpose that it has set.
#[tokio::test]
async fn a_purpose_goes_with_the_transaction_that_set_it() {
    let lake = small().copied();
    let server = lake.serve();
    let role = "CREATE ROLE twofold LOGIN PASSWORD 'demo' PURPOSES (email_marketing, service)";
    server.session("engineer").await.rows(role).await;
    let session = server.session("twofold").await;
    let count = "SELECT count(*) FROM profiles";
    session.rows("SET cdp.purpose = 'email_marketing'").await;
    let allowed = session.number(count).await;
    let all = session.number(&format!("SET LOCAL cdp.purpose = 'service'; {count}")).await;
    assert!(allowed < all, "{allowed} of {all}");
    for text in [
        "SELECT 1",
        "SET cdp.purpose = 'service'; SELECT nonsense",
        "SET cdp.purpose = 'service'; ROLLBACK",
        "BEGIN; SET cdp.purpose = 'service'; ROLLBACK",
        "SET LOCAL cdp.purpose = 'service'",
        "RESET cdp.purpose; SELECT nonsense",
    ] {
        // Some of them fail, as they are to.
        let _ = session.run(text).await;
        assert_eq!(session.value("SHOW cdp.purpose").await, "email_marketing", "{text}");
        assert_eq!(session.number(count).await, allowed, "{text}");
    }
    session.rows("SET cdp.purpose = 'service'; SELECT 1").await;
    assert_eq!(session.number(count).await, all);
}
