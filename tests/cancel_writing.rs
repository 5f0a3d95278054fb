//! A statement that writes and is cancelled has done all or nothing, whenever that comes; the next one completes.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

use crate::corpus::Csv;
use crate::harness::{Answer, Contents, Failure, Server, Session, WORK, files, small};
use crate::incremental::grown;

/// Answers of PostgreSQL to a cancelled statement.
const CANCELED: &str = "57014";
/// What identity and unification make, visible in one publication.
const UNIFIED: [&str; 4] =
    ["profiles", "profile_identifiers", "attribute_sources", "identity_edges"];
/// A short statement is cancelled so many times, each time a little later.
const ATTEMPTS: usize = 12;

/// Runs a statement and cancels it as soon as `folder` has so many files more. Tells how it ended.
pub(crate) async fn cancelled(
    server: &Server,
    session: &Session,
    statement: &str,
    folder: &Path,
    written: usize,
) -> Result<Answer, Failure> {
    let goal = files(folder).len() + written;
    let token = session.client.cancel_token();
    let running = session.run(statement);
    tokio::pin!(running);
    let started = Instant::now();
    loop {
        tokio::select! {
            biased;
            ended = &mut running => return ended,
            () = tokio::task::yield_now() => {}
        }
        if files(folder).len() >= goal {
            break;
        }
        assert!(started.elapsed() < WORK, "{statement}: it wrote no {written} files");
    }
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    token.cancel_query_raw(&mut stream, NoTls).await.unwrap();
    let ended = running.await;
    // The server hangs up when it has passed the cancel on: what the session does next is not stopped by it.
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    ended
}

/// Tells whether a statement was cancelled; fails the test if it failed otherwise.
#[track_caller]
pub(crate) fn was_cancelled(ended: &Result<Answer, Failure>) -> bool {
    match ended {
        Ok(_) => false,
        Err(failure) => {
            assert_eq!(failure.sqlstate, CANCELED, "{failure}");
            true
        }
    }
}

#[tokio::test]
async fn a_cancelled_refresh_leaves_whole_versions_and_the_next_one_completes() {
    const MOMENTS: usize = 4;
    let waiting = grown(small());
    let before = Contents::of(&waiting.lake).without_intake();
    let undisturbed = waiting.copied();
    let files_before = files(&undisturbed.lake).len();
    undisturbed.refresh();
    let files_written = files(&undisturbed.lake).len() - files_before;
    let after = Contents::of(&undisturbed.lake).without_intake();

    for moment in 0..MOMENTS {
        let lake = waiting.copied();
        let server = lake.serve();
        let engineer = server.session("engineer").await;
        let written = files_written * (2 * moment + 1) / (2 * MOMENTS + 1);
        let ended = cancelled(&server, &engineer, "REFRESH ALL", &lake.lake, written).await;
        assert!(was_cancelled(&ended), "moment {moment}: the refresh ended before the cancel");
        let found = Contents::of(&lake.lake).without_intake();
        let versions = [&before, &after]
            .map(|contents| UNIFIED.map(|name| contents.relation(name) == found.relation(name)));
        assert!(
            versions.contains(&[true; UNIFIED.len()]),
            "moment {moment}: {UNIFIED:?} are of two versions: {versions:?}"
        );
        // In the same session and process.
        engineer.rows("REFRESH ALL").await;
        let completed = Contents::of(&lake.lake).without_intake();
        completed.assert_same(&after, &format!("moment {moment}: the next refresh"));
    }
}

#[tokio::test]
async fn a_cancelled_segment_is_there_whole_or_not_at_all() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let expected = engineer.number("SELECT count(*) FROM profiles WHERE country = 'PL'").await;
    let mut times = 0;
    for written in 0..ATTEMPTS {
        let name = format!("poles_{written}");
        let create = format!("SEGMENT {name} ON customer FOR PURPOSE service WHERE country = 'PL'");
        let members = format!("SELECT count(*) FROM segments.{name}");
        let ended =
            cancelled(&server, &engineer, &format!("CREATE {create}"), &lake.lake, written).await;
        times += usize::from(was_cancelled(&ended));
        match engineer.run(&members).await {
            Ok(answer) => assert_eq!(answer.rows, [[Some(expected.to_string())]], "{written}"),
            Err(failure) => {
                assert_eq!(failure.sqlstate, "42P01", "{failure}");
                assert!(ended.is_err(), "what was acknowledged is gone: {name}");
            }
        }
        engineer.rows(&format!("CREATE OR REPLACE {create}")).await;
        assert_eq!(engineer.number(&members).await, expected);
        let everybody = "SELECT count(*) FROM segment_members WHERE exited_at IS NOT NULL";
        assert_eq!(engineer.number(everybody).await, 0, "somebody left {name}");
    }
    assert!(times > 0, "no cancel came in time");
}

/// What a sync has sent, by run: the number of rows on record, and in the file.
async fn sent(officer: &Session, out: &Path) -> [BTreeSet<(String, usize)>; 2] {
    let counts = "SELECT run, count(*) FROM cdp.disclosures GROUP BY run";
    let rows = officer.rows(counts).await;
    let on_record = rows.into_iter().map(|mut row| {
        let count = row[1].take().unwrap().parse().unwrap();
        (row[0].take().unwrap(), count)
    });
    let in_files = files(out).into_iter().map(|path| {
        let run = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (run, Csv::read(&out.join(path)).rows.len())
    });
    [on_record.collect(), in_files.collect()]
}

#[tokio::test]
async fn a_cancelled_sync_has_sent_everything_or_nothing() {
    let lake = small().copied();
    let server = lake.serve();
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    let out = lake.project.join("out");
    marketer.rows("RUN SYNC lapsed_mail").await;
    let [_, first] = sent(&officer, &out).await;
    let [(_, everybody)] = first.into_iter().collect::<Vec<_>>().try_into().unwrap();
    let mut times = 0;
    for written in 0..ATTEMPTS {
        let ended =
            cancelled(&server, &marketer, "RUN SYNC lapsed_mail", &lake.lake, written).await;
        times += usize::from(was_cancelled(&ended));
        // The next run begins when the one before has come to its end.
        let runs_before = files(&out).len();
        marketer.rows("RUN SYNC lapsed_mail").await;
        let [on_record, in_files] = sent(&officer, &out).await;
        assert!(in_files.len() > runs_before, "the next run sent nothing");
        assert_eq!(on_record, in_files, "after {written} files: on record, and outside");
        assert!(in_files.iter().all(|(_, rows)| *rows == everybody), "{in_files:?}");
    }
    assert!(times > 0, "no cancel came in time");
    // Each run that was begun was noted, and none that sent something without its end.
    let engineer = server.session("engineer").await;
    let ended =
        "SELECT count(*) FROM cdp.refreshes WHERE object = 'sync lapsed_mail' AND status = 'done'";
    let ended = usize::try_from(engineer.number(ended).await).unwrap();
    assert_eq!(ended, files(&out).len());
}

#[tokio::test]
async fn a_cancelled_consent_is_recorded_and_in_force_or_neither() {
    let lake = small().copied();
    let server = lake.serve();
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    let people = "SELECT email FROM profiles WHERE email IS NOT NULL ORDER BY profile_id";
    let people = marketer.rows(people).await;
    let mut times = 0;
    for (written, row) in people.iter().take(ATTEMPTS).enumerate() {
        let email = row[0].clone().unwrap();
        if !is_seen(&marketer, &email).await {
            // Somebody before shares something with this person.
            continue;
        }
        let record = |status: &str, email: &str| {
            format!("SELECT cdp.record_consent('email', '{email}', 'email_marketing', '{status}')")
        };
        let withdraw = record("withdrawn", &email);
        let ended = cancelled(&server, &officer, &withdraw, &lake.lake, written / 2).await;
        times += usize::from(was_cancelled(&ended));
        // Another answer is recorded once the one before has come to its end.
        officer.rows(&record("granted", "nobody@example.com")).await;
        let recorded = recorded(&officer, &email).await;
        assert!(recorded <= 1, "{recorded} times");
        assert_eq!(is_seen(&marketer, &email).await, recorded == 0, "recorded {recorded} times");
        assert!(ended.is_err() || recorded == 1, "what was acknowledged is not recorded");
        officer.rows(&withdraw).await;
        assert!(!is_seen(&marketer, &email).await, "the withdrawal is not in force");
        assert_eq!(self::recorded(&officer, &email).await, recorded + 1);
    }
    assert!(times > 0, "no cancel came in time");
    drop((marketer, officer));
    is_as_before(server, &lake).await;
}

/// Tells whether the marketer sees the person with this address.
async fn is_seen(marketer: &Session, email: &str) -> bool {
    marketer.number(&format!("SELECT count(*) FROM profiles WHERE email = '{email}'")).await > 0
}

/// How often an answer of this address was recorded by hand.
async fn recorded(officer: &Session, email: &str) -> i64 {
    let count = format!(
        "SELECT count(*) FROM consent_ledger WHERE identifier = '{email}' AND recorded_by = 'privacy_officer'"
    );
    officer.number(&count).await
}

/// After a restart the same people are seen.
async fn is_as_before(server: Server, lake: &crate::harness::Built) {
    let count = "SELECT count(*) FROM profiles";
    let before = server.session("marketer").await.number(count).await;
    drop(server);
    assert_eq!(lake.serve().session("marketer").await.number(count).await, before);
}
