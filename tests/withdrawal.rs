//! A withdrawal is in force for the next statement that begins after it was acknowledged.

use crate::harness::{Server, Session, small};

/// Somebody whom the marketer may see, with a mailbox: profile_id and email.
async fn somebody(marketer: &Session) -> (String, String) {
    let rows = marketer.rows("SELECT profile_id, email FROM profiles WHERE email IS NOT NULL ORDER BY profile_id LIMIT 1").await;
    let row = rows.first().expect("the marketer sees somebody");
    (row[0].clone().unwrap(), row[1].clone().unwrap())
}

/// Every relation that tells of persons, those of segments and events among them.
async fn relations(marketer: &Session) -> Vec<String> {
    let rows = marketer
        .rows(
            "SELECT table_schema || '.' || table_name FROM information_schema.columns \
             WHERE column_name = 'profile_id' ORDER BY 1",
        )
        .await;
    let found: Vec<String> = rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect();
    for relation in [
        "public.attribute_sources",
        "public.consents",
        "public.events",
        "public.events_purchase",
        "public.profile_identifiers",
        "public.profile_records",
        "public.profiles",
        "public.segment_members",
        "segments.lapsed_customers",
        "sources.crm_contacts",
        "sources.crm_contacts_history",
        "sources.email_engagement",
    ] {
        assert!(found.iter().any(|one| one == relation), "{relation} is not among {found:?}");
    }
    found
}

async fn withdraw(officer: &Session, email: &str) {
    let statement =
        format!("SELECT cdp.record_consent('email', '{email}', 'email_marketing', 'withdrawn')");
    officer.rows(&statement).await;
}

async fn both(server: &Server) -> (Session, Session) {
    (server.session("marketer").await, server.session("privacy_officer").await)
}

#[tokio::test]
async fn a_withdrawal_holds_for_the_next_statement_and_for_ever() {
    let lake = small().copied();
    let (person, everybody) = {
        let server = lake.serve();
        let (marketer, officer) = both(&server).await;
        let (person, email) = somebody(&marketer).await;
        let everybody = marketer.number("SELECT count(*) FROM profiles").await;
        withdraw(&officer, &email).await;
        let left = marketer.number("SELECT count(*) FROM profiles").await;
        assert!(left < everybody, "{everybody} before, {left} after");
        for relation in relations(&marketer).await {
            let shown = marketer
                .number(&format!("SELECT count(*) FROM {relation} WHERE profile_id = {person}"))
                .await;
            assert_eq!(shown, 0, "{relation} still shows {person}");
        }
        let led = marketer.value(&format!("SELECT resolve_profile('email', '{email}')")).await;
        assert_ne!(led, person, "resolve_profile leads to somebody hidden");
        let allows =
            marketer.value(&format!("SELECT consent_allows({person}, 'email_marketing')")).await;
        assert_eq!(allows, "", "consent_allows tells of somebody hidden");
        (person, left)
        // The server is killed here: the withdrawal was acknowledged.
    };
    let server = lake.serve();
    let marketer = server.session("marketer").await;
    assert_eq!(marketer.number("SELECT count(*) FROM profiles").await, everybody);
    assert_eq!(
        marketer
            .number(&format!("SELECT count(*) FROM profiles WHERE profile_id = {person}"))
            .await,
        0
    );
}

#[tokio::test]
async fn a_prepared_statement_sees_no_more_than_a_new_one() {
    let lake = small().copied();
    let server = lake.serve();
    let (marketer, officer) = both(&server).await;
    let (person, email) = somebody(&marketer).await;
    let id: i64 = person.parse().unwrap();
    let prepared = marketer
        .client
        .prepare("SELECT count(*) FROM profiles WHERE profile_id = $1")
        .await
        .unwrap();
    let count =
        async || marketer.client.query_one(&prepared, &[&id]).await.unwrap().get::<_, i64>(0);
    marketer.rows("PREPARE everybody AS SELECT count(*) FROM profiles").await;
    let before = marketer.number("EXECUTE everybody").await;
    assert_eq!(count().await, 1);
    withdraw(&officer, &email).await;
    assert_eq!(count().await, 0, "the prepared statement of the protocol");
    assert!(marketer.number("EXECUTE everybody").await < before, "the prepared statement of SQL");
}

#[tokio::test]
async fn an_open_cursor_stops_or_leaves_the_person_out() {
    let lake = small().copied();
    let server = lake.serve();
    let (marketer, officer) = both(&server).await;
    let rows = marketer.rows("SELECT profile_id, email FROM profiles ORDER BY profile_id").await;
    let last = rows.iter().rev().find(|row| row[1].is_some()).expect("somebody with a mailbox");
    let (person, email) = (last[0].clone().unwrap(), last[1].clone().unwrap());
    marketer.rows("BEGIN").await;
    marketer
        .rows("DECLARE people CURSOR FOR SELECT profile_id FROM profiles ORDER BY profile_id")
        .await;
    marketer.rows("FETCH 1 FROM people").await;
    withdraw(&officer, &email).await;
    match marketer.run("FETCH ALL FROM people").await {
        Ok(answer) => assert!(
            !answer.rows.iter().any(|row| row[0].as_ref() == Some(&person)),
            "the cursor still shows {person}"
        ),
        Err(failure) => assert_eq!(failure.sqlstate, "55000", "{failure}"),
    }
}

#[tokio::test]
async fn only_who_may_can_record_consent() {
    let lake = small().copied();
    let server = lake.serve();
    for role in ["marketer", "analyst", "engineer"] {
        let session = server.session(role).await;
        let failure = session
            .failure(
                "SELECT cdp.record_consent('email', 'a@b.example', 'email_marketing', 'granted')",
            )
            .await;
        assert_eq!(failure.sqlstate, "42501", "{role}: {failure}");
    }
    let officer = server.session("privacy_officer").await;
    for (arguments, sqlstate) in [
        ("'email', 'not a mailbox', 'email_marketing', 'granted'", "22023"),
        ("'email', 'a@b.example', 'email_marketing', 'perhaps'", "22023"),
        ("'email', 'a@b.example', 'astrology', 'granted'", "42704"),
        ("'horoscope', 'a@b.example', 'email_marketing', 'granted'", "42704"),
    ] {
        let failure = officer.failure(&format!("SELECT cdp.record_consent({arguments})")).await;
        assert_eq!(failure.sqlstate, sqlstate, "{arguments}: {failure}");
        assert!(!failure.to_string().contains("a@b.example"), "a value of a person in {failure}");
    }
}
