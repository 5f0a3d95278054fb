//! What happens while a sync delivers: withdrawals, destinations that fail, and a process that is killed in the middle.

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::FutureExt;

use crate::cancel::works;
use crate::corpus::Csv;
use crate::harness::{Answer, Built, Failure, PROMPT, Server, Session, files, small};

/// A query that finds everybody with a mailbox, and compares each of their identifiers with each other one first.
const SLOW: &str = "SELECT profile_id, email FROM profiles WHERE email IS NOT NULL AND \
                    (SELECT count(*) FROM profile_identifiers a, profile_identifiers b, \
                     generate_series(1, 20) AS n (i) WHERE a.value || n.i < b.value) > 0";

/// A query of so many rows that it takes a while to write them.
const LARGE: &str = "SELECT profile_id, email, i FROM profiles, generate_series(1, 5000) AS n (i) \
                     WHERE email IS NOT NULL";

async fn start(query: &str) -> (Built, Server) {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let destination = "CREATE DESTINATION shelf TO FILE ('out/{sync}/{run}.csv') FORMAT csv";
    engineer.rows(destination).await;
    let sync = format!("CREATE SYNC mail FROM ({query}) TO shelf FOR PURPOSE email_marketing");
    engineer.rows(&sync).await;
    (lake, server)
}

async fn withdraw(officer: &Session, email: &str) {
    let statement =
        format!("SELECT cdp.record_consent('email', '{email}', 'email_marketing', 'withdrawn')");
    officer.rows(&statement).await;
}

/// The address of somebody whom the marketer may send to.
async fn somebody(marketer: &Session) -> String {
    let one = "SELECT email FROM profiles WHERE email IS NOT NULL ORDER BY profile_id LIMIT 1";
    marketer.value(one).await
}

fn out(lake: &Built) -> PathBuf {
    lake.project.join("out/mail")
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().starts_with('.')
}

/// Waits until the file of a delivery is being written, under its hidden name; returns that.
async fn is_written(
    lake: &Built,
    sync: &mut (impl Future<Output = Result<Answer, Failure>> + Unpin),
) -> PathBuf {
    let started = Instant::now();
    loop {
        if let Some(path) = files(&out(lake)).into_iter().find(|path| is_hidden(path)) {
            return path;
        }
        assert!(started.elapsed() < PROMPT, "nothing is written");
        tokio::select! {
            biased;
            answer = &mut *sync => panic!("the sync ended: {answer:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
}

#[tokio::test]
async fn who_withdraws_while_rows_are_collected_is_held_back() {
    let (lake, server) = start(SLOW).await;
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    let email = somebody(&marketer).await;
    let sync = marketer.run("RUN SYNC mail");
    tokio::pin!(sync);
    works(&server, &mut sync).await;
    withdraw(&officer, &email).await;
    assert!(sync.as_mut().now_or_never().is_none(), "the sync ended before the withdrawal");
    let report = sync.await.unwrap().rows;
    let held_back: u64 = report[0][2].as_ref().unwrap().parse().unwrap();
    assert!(held_back > 0, "{report:?}");
    let path = lake.project.join(report[0][3].as_ref().unwrap());
    let file = Csv::read(&path);
    let column = file.column("email");
    assert!(file.rows.len() > 1 && file.rows.iter().all(|row| row[column] != email));
    // Nor is it on record that this person was sent.
    let disclosed = officer.number("SELECT count(DISTINCT profile_id) FROM cdp.disclosures").await;
    assert_eq!(usize::try_from(disclosed).unwrap(), file.rows.len());
}

#[tokio::test]
async fn no_withdrawal_is_acknowledged_between_the_decision_and_the_file() {
    let (lake, server) = start(LARGE).await;
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    let email = somebody(&marketer).await;
    let sync = marketer.run("RUN SYNC mail");
    tokio::pin!(sync);
    is_written(&lake, &mut sync).await;
    withdraw(&officer, &email).await;
    let found = files(&out(&lake));
    assert!(found.len() == 1 && !is_hidden(&found[0]), "acknowledged before the file: {found:?}");
    sync.await.unwrap();
    // The next run knows it.
    let report = marketer.rows("RUN SYNC mail").await;
    let file = Csv::read(&lake.project.join(report[0][3].as_ref().unwrap()));
    let column = file.column("email");
    assert!(file.rows.len() > 1 && file.rows.iter().all(|row| row[column] != email));
}

#[tokio::test]
async fn a_sync_that_nobody_waits_for_any_more_keeps_its_order() {
    let (lake, server) = start(LARGE).await;
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    let email = somebody(&marketer).await;
    let token = marketer.client.cancel_token();
    let sync = marketer.run("RUN SYNC mail");
    tokio::pin!(sync);
    is_written(&lake, &mut sync).await;
    token.cancel_query(tokio_postgres::NoTls).await.unwrap();
    let failure = sync.await.unwrap_err();
    assert_eq!(failure.sqlstate, "57014", "{failure}");
    withdraw(&officer, &email).await;
    let found = files(&out(&lake));
    assert!(found.len() == 1 && !is_hidden(&found[0]), "acknowledged before the file: {found:?}");
    let runs = officer.rows("SELECT DISTINCT run FROM cdp.disclosures").await;
    assert_eq!(runs, [[Some(found[0].file_stem().unwrap().to_str().unwrap().to_owned())]]);
}

#[tokio::test]
async fn a_destination_that_fails_leaves_the_disclosure_on_record() {
    let lake = small().copied();
    let server = lake.serve();
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    // A file where the folder is going to be.
    std::fs::write(lake.project.join("out"), "in the way").unwrap();
    let failure = marketer.failure("RUN SYNC lapsed_mail").await;
    assert_eq!(failure.sqlstate, "58030", "{failure}");
    assert!(failure.message.contains("out"), "{failure}");
    let disclosed = "SELECT count(*), count(DISTINCT run) FROM cdp.disclosures";
    let [people, runs] = numbers(&officer, disclosed).await;
    assert!(people > 1 && runs == 1, "{people} people in {runs} runs");
    std::fs::remove_file(lake.project.join("out")).unwrap();
    marketer.rows("RUN SYNC lapsed_mail").await;
    assert_eq!(numbers(&officer, disclosed).await, [2 * people, 2]);
    assert_eq!(files(&lake.project.join("out")).len(), 1);
    let engineer = server.session("engineer").await;
    let noted = "SELECT string_agg(status, ' ' ORDER BY at) FROM cdp.refreshes WHERE object = 'sync lapsed_mail'";
    assert_eq!(engineer.value(noted).await, "running failed running done");
}

async fn numbers(session: &Session, query: &str) -> [i64; 2] {
    let rows = session.rows(query).await;
    [0, 1].map(|at| rows[0][at].as_ref().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_kill_before_the_file_is_there_leaves_the_disclosure_and_no_file() {
    let (lake, mut server) = start(LARGE).await;
    let marketer = server.session("marketer").await;
    let hidden = {
        let sync = marketer.run("RUN SYNC mail");
        tokio::pin!(sync);
        let hidden = is_written(&lake, &mut sync).await;
        assert!(server.process.signal("KILL"));
        hidden
    };
    server.process.wait(PROMPT);
    assert_eq!(
        files(&out(&lake)),
        std::slice::from_ref(&hidden),
        "the file was there before the kill"
    );
    drop(server);

    let server = lake.serve();
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    let disclosed = "SELECT count(*), count(DISTINCT run) FROM cdp.disclosures";
    let [people, runs] = numbers(&officer, disclosed).await;
    assert!(people > 1 && runs == 1, "{people} people in {runs} runs");
    let place = officer.value("SELECT DISTINCT location FROM cdp.disclosures").await;
    assert!(!lake.project.join(place).try_exists().unwrap());
    // The next run delivers, and clears away what that one left.
    let report = marketer.rows("RUN SYNC mail").await;
    let name = format!("{}.csv", report[0][0].as_ref().unwrap());
    assert_eq!(files(&out(&lake)), [PathBuf::from(name)]);
    assert_eq!(numbers(&officer, disclosed).await, [2 * people, 2]);
}

#[tokio::test]
async fn the_lake_is_not_overwritten() {
    let lake = small().copied();
    // A lake that lies in the project, as that of the demonstration does.
    let inside = lake.project.join("store");
    std::fs::rename(&lake.lake, &inside).unwrap();
    std::os::unix::fs::symlink(&inside, lake.project.join("link")).unwrap();
    let server = Server::start(&lake.project, &inside);
    let engineer = server.session("engineer").await;
    for path in ["store/_catalog/{run}.json", "link/{run}.csv", "./store/cdp/x.csv"] {
        let create = format!("CREATE DESTINATION bad TO FILE ('{path}') FORMAT csv");
        let failure = engineer.failure(&create).await;
        assert_eq!(failure.sqlstate, "22023", "{failure}");
        let hint = failure.hint.clone().unwrap_or_default();
        assert!(hint.starts_with("It is part of the lake"), "{failure}");
    }
    // A link that comes later is seen when rows are to leave; then nothing is disclosed.
    let create = "CREATE DESTINATION later TO FILE ('later/{run}.csv') FORMAT csv";
    engineer.rows(create).await;
    let sync =
        "CREATE SYNC mail FROM SEGMENT lapsed_customers TO later FOR PURPOSE email_marketing";
    engineer.rows(sync).await;
    std::os::unix::fs::symlink(&inside, lake.project.join("later")).unwrap();
    let failure = server.session("marketer").await.failure("RUN SYNC mail").await;
    assert_eq!(failure.sqlstate, "22023", "{failure}");
    let officer = server.session("privacy_officer").await;
    assert_eq!(officer.number("SELECT count(*) FROM cdp.disclosures").await, 0);
}
