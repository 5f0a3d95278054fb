//! Who read what is on record, durably, before the first row leaves.

use futures::{StreamExt, pin_mut};
use tokio_postgres::SimpleQueryMessage;

use crate::harness::{PROMPT, small};

/// More rows than any buffer between the lake and the client holds.
const MANY: &str = "SELECT p.profile_id FROM profiles p, profiles q, profiles r";

#[tokio::test]
async fn a_read_is_on_record_before_its_rows_leave_and_after_a_crash() {
    let lake = small().copied();
    {
        let mut server = lake.serve();
        let analyst = server.session("analyst").await;
        let stream = analyst.client.simple_query_raw(MANY).await.unwrap();
        pin_mut!(stream);
        loop {
            match stream.next().await.expect("a row").unwrap() {
                SimpleQueryMessage::Row(_) => break,
                _ => continue,
            }
        }
        // The first row is here and the statement runs on: it has to be on the disk by now.
        assert!(server.process.signal("KILL"));
        server.process.wait(PROMPT);
    }
    let server = lake.serve();
    let officer = server.session("privacy_officer").await;
    let found = officer
        .rows("SELECT role, purpose, relations, rows FROM cdp.audit_log WHERE role = 'analyst' AND relations LIKE '%profiles%'")
        .await;
    assert!(!found.is_empty(), "the read of the killed server is not on record");
    assert_eq!(found[0][..2], [Some("analyst".to_owned()), Some("analytics".to_owned())]);
}

#[tokio::test]
async fn every_way_of_reading_is_on_record_without_literals() {
    let lake = small().copied();
    let server = lake.serve();
    let (analyst, officer) =
        (server.session("analyst").await, server.session("privacy_officer").await);
    let reads =
        async || officer.number("SELECT count(*) FROM cdp.audit_log WHERE role = 'analyst'").await;
    let before = reads().await;
    analyst.rows("SELECT count(*) FROM profiles WHERE email = 'canary@secret.example'").await;
    analyst
        .client
        .query("SELECT count(*) FROM profiles WHERE email = $1", &[&"canary@secret.example"])
        .await
        .unwrap();
    analyst
        .rows("BEGIN; DECLARE c CURSOR FOR SELECT email FROM profiles; FETCH 2 FROM c; COMMIT")
        .await;
    let copy =
        analyst.client.copy_out("COPY (SELECT email FROM profiles) TO STDOUT").await.unwrap();
    let copied = copy.collect::<Vec<_>>().await;
    assert!(copied.iter().all(Result::is_ok), "{copied:?}");
    assert!(reads().await >= before + 4, "{before} before, {} after four reads", reads().await);
    let log = officer.rows("SELECT * FROM cdp.audit_log").await;
    assert!(!format!("{log:?}").contains("canary"), "a literal of a statement is in the audit log");
    let counted =
        officer.number("SELECT max(rows) FROM cdp.audit_log WHERE role = 'analyst'").await;
    assert_eq!(counted, i64::try_from(copied.len()).unwrap().max(counted), "rows are counted");
}

#[tokio::test]
async fn logs_and_functions_that_tell_of_persons_are_on_record_too() {
    let lake = small().copied();
    let server = lake.serve();
    let officer = server.session("privacy_officer").await;
    let noted = async |role: &str, class: &str, relations: &str| {
        let count = format!(
            "SELECT count(*) FROM cdp.audit_log WHERE role = '{role}' AND purpose <> '' \
             AND class = '{class}' AND relations = '{relations}'"
        );
        officer.number(&count).await
    };
    for (role, statement, relations) in [
        (
            "privacy_officer",
            "SELECT identifier FROM consent_ledger LIMIT 3",
            "public.consent_ledger",
        ),
        ("privacy_officer", "SELECT * FROM consents LIMIT 3", "public.consents"),
        ("analyst", "SELECT * FROM consents LIMIT 3", "public.consents"),
        ("privacy_officer", "SELECT raw FROM cdp.quarantine LIMIT 3", "cdp.quarantine"),
        ("privacy_officer", "SELECT * FROM cdp.disclosures", "cdp.disclosures"),
        ("privacy_officer", "SELECT role FROM cdp.audit_log", "cdp.audit_log"),
        ("analyst", "SELECT * FROM attribute_sources LIMIT 3", "public.attribute_sources"),
        ("analyst", "SELECT count(*) FROM events_purchase", "public.events"),
        (
            "engineer",
            "SELECT * FROM cdp.identifier_values LIMIT 3",
            "cdp.identifier_values, public.identifier_overrides, public.identity_violations",
        ),
        (
            "analyst",
            "SELECT resolve_profile('email', 'canary@secret.example')",
            "public.profile_identifiers",
        ),
        ("analyst", "SELECT 1 WHERE consent_allows(1, 'analytics')", "public.consents"),
        (
            "marketer",
            "RUN SYNC lapsed_mail DRY RUN",
            "sync lapsed_mail, public.profiles, segments.lapsed_customers",
        ),
    ] {
        let before = noted(role, "read", relations).await;
        server.session(role).await.rows(statement).await;
        assert!(noted(role, "read", relations).await > before, "{role}: {statement}");
    }
    let before = noted("engineer", "read", "cdp.quarantine").await;
    let engineer = server.session("engineer").await;
    engineer.rows("SELECT reason FROM cdp.quarantine; SELECT * FROM cdp.sources").await;
    let after = noted("engineer", "read", "cdp.quarantine").await;
    assert_eq!(before, after, "without the raw rows it tells of nobody");
    let log = officer.rows("SELECT * FROM cdp.audit_log").await;
    assert!(!format!("{log:?}").contains("canary"), "a literal of a statement is in the audit log");
}

#[tokio::test]
async fn the_log_is_for_those_who_may_read_it() {
    let server = crate::harness::shared_server();
    for role in ["analyst", "marketer"] {
        let failure = server.session(role).await.failure("SELECT * FROM cdp.audit_log").await;
        assert!(["42501", "42P01"].contains(&failure.sqlstate.as_str()), "{role}: {failure}");
    }
}
