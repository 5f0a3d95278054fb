//! A sync: consent is checked as rows leave, and who was disclosed is on record before anything can be seen outside.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::corpus::Csv;
use crate::harness::{Built, Server, Session, small};

/// Runs the sync and returns what it wrote.
async fn run(marketer: &Session, officer: &Session, lake: &Built) -> (PathBuf, Csv) {
    marketer.rows("RUN SYNC lapsed_mail").await;
    let newest = "SELECT run FROM cdp.disclosures WHERE sync = 'lapsed_mail' ORDER BY disclosed_at DESC LIMIT 1";
    let rows = officer.rows(newest).await;
    let run = rows.first().and_then(|row| row[0].clone()).expect("a disclosure is on record");
    let places = officer
        .rows(&format!("SELECT DISTINCT location FROM cdp.disclosures WHERE run = '{run}'"))
        .await;
    let place = format!("out/lapsed_customers/{run}.csv");
    assert_eq!(places, [[Some(place.clone())]], "where it went is on record");
    let path = lake.project.join(place);
    let file = Csv::read(&path);
    (path, file)
}

async fn start() -> (Built, Server) {
    let lake = small().copied();
    let server = lake.serve();
    (lake, server)
}

#[tokio::test]
async fn a_sync_writes_a_file_and_its_disclosures() {
    let (lake, server) = start().await;
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    let members = marketer
        .rows("SELECT p.email FROM segments.lapsed_customers s JOIN profiles p USING (profile_id)")
        .await;
    let members: BTreeSet<String> =
        members.into_iter().map(|mut row| row.remove(0).unwrap()).collect();
    assert!(members.len() > 1, "too few members to tell anything: {members:?}");
    let (_, file) = run(&marketer, &officer, &lake).await;
    let email = file.column("email");
    let sent: BTreeSet<String> = file.rows.iter().map(|row| row[email].clone()).collect();
    assert_eq!(sent, members);
    let disclosed = officer.number("SELECT count(*) FROM cdp.disclosures WHERE sync = 'lapsed_mail' AND purpose = 'email_marketing'").await;
    assert_eq!(disclosed, i64::try_from(file.rows.len()).unwrap());
    let permissions = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(run(&marketer, &officer, &lake).await.0).unwrap().permissions(),
    );
    assert_eq!(permissions & 0o077, 0, "others can read the file: {permissions:o}");
}

#[tokio::test]
async fn who_withdrew_is_not_sent_though_still_a_member() {
    let (lake, server) = start().await;
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    let (_, before) = run(&marketer, &officer, &lake).await;
    let email = before.column("email");
    let gone = before.rows[0][email].clone();
    officer
        .rows(&format!(
            "SELECT cdp.record_consent('email', '{gone}', 'email_marketing', 'withdrawn')"
        ))
        .await;
    let (_, after) = run(&marketer, &officer, &lake).await;
    assert!(
        after.rows.len() < before.rows.len(),
        "{} rows before, {} after",
        before.rows.len(),
        after.rows.len()
    );
    assert!(
        !after.rows.iter().any(|row| row[email] == gone),
        "{gone} was sent after the withdrawal"
    );
}

#[tokio::test]
async fn only_for_its_own_purpose() {
    let (_lake, server) = start().await;
    for role in ["analyst", "engineer", "privacy_officer"] {
        let failure = server.session(role).await.failure("RUN SYNC lapsed_mail").await;
        assert_eq!(failure.sqlstate, "42501", "{role}: {failure}");
        assert!(failure.hint.is_some(), "{role}: {failure}");
    }
}

#[tokio::test]
async fn a_dry_run_sends_nothing() {
    let (lake, server) = start().await;
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    marketer.rows("RUN SYNC lapsed_mail DRY RUN").await;
    assert_eq!(officer.number("SELECT count(*) FROM cdp.disclosures").await, 0);
    assert!(!lake.project.join("out").is_dir(), "a dry run wrote a file");
}
