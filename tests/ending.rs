//! Whoever is told to end does so soon, cleanly, and with the code that says how.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{BINARY, Folder, PROMPT, Process, WORK, onefold, small};

/// Works through more than anybody waits for, and yields again and again.
const FOR_EVER: &str =
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)";
/// How soon a command ends that need not finish anything: sooner than the bound at which it would be broken off.
const SOON: Duration = Duration::from_secs(9);

fn sql(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("sql").args(arguments);
    command
}

#[tokio::test]
async fn sigterm_stops_a_scheduled_refresh_and_ends_cleanly() {
    let lake = small().copied();
    std::fs::remove_dir_all(&lake.lake).unwrap();
    lake.apply();
    let mut server = lake.serve();
    let engineer = server.session("engineer").await;
    // Nothing is computed as it is made, since there are no profiles yet. The schedule makes them, and then never ends.
    let segment = format!(
        "CREATE SEGMENT endless ON customer FOR PURPOSE service TARGET LAG '1 second' AS \
         {FOR_EVER} SELECT profile_id FROM profiles WHERE profile_id < (SELECT -count(*) FROM n)"
    );
    engineer.run(&segment).await.unwrap();
    let begun = "SELECT count(*) FROM cdp.refreshes WHERE object = 'segment endless' AND status = 'running'";
    let started = Instant::now();
    while engineer.number(begun).await == 0 {
        assert!(started.elapsed() < WORK, "the schedule does not come to the segment");
    }

    let asked = Instant::now();
    assert!(server.process.signal("TERM"));
    let status = server.process.wait(PROMPT);
    let log = server.process.stderr();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(asked.elapsed() < SOON, "{:?} to end", asked.elapsed());
    assert!(!log.contains("panicked"), "{log}");

    // The lake was given back, and what was broken off is in nobody's way.
    onefold(&["sql", "--dir", lake.dir(), "--role", "engineer", "-c", "DROP SEGMENT endless"])
        .success();
    lake.refresh();
}

#[test]
fn an_interrupt_stops_the_statement_of_the_command_line() {
    let lake = small().lake.to_str().unwrap();
    for statement in [
        format!("{FOR_EVER} SELECT count(*) FROM n"),
        // Finds nothing, so that it never has a batch to hand on.
        "SELECT count(*) FROM profiles p, profiles q, profile_identifiers i \
         WHERE p.profile_id + q.profile_id + i.profile_id = 1"
            .to_owned(),
    ] {
        let text = format!("SELECT 'begun'; {statement}");
        let mut process = Process::spawn(sql(&["--dir", lake, "--role", "engineer", "-c", &text]));
        while !process.line(WORK).expect("the first statement answers").contains("begun") {}
        let asked = Instant::now();
        assert!(process.signal("INT"));
        let status = process.wait(PROMPT);
        assert_eq!(status.code(), Some(130), "{}", process.stderr());
        assert!(asked.elapsed() < SOON, "{:?} to end: {statement}", asked.elapsed());
    }
}

#[test]
fn a_timeout_stops_the_statement_of_the_command_line() {
    let lake = small().lake.to_str().unwrap();
    let text = format!("SET statement_timeout = '200ms'; {FOR_EVER} SELECT count(*) FROM n");
    let finished =
        Process::spawn(sql(&["--dir", lake, "--role", "engineer", "-c", &text])).finish(PROMPT);
    assert!(finished.stderr.contains("[57014]"), "{finished}");
    finished.exits_with(1);
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let folder = Folder::new();
    let new = folder.join("lake");
    let (project, lake) = (small().project.to_str().unwrap(), small().lake.to_str().unwrap());
    let rows = "SELECT * FROM generate_series(1, 100000)";
    for (arguments, code) in [
        (&["plan", project, "--dir", new.to_str().unwrap()][..], 3),
        (&["check", project], 0),
        (&["sql", "--dir", lake, "--role", "engineer", "-c", rows], 0),
    ] {
        let mut command = Command::new(BINARY);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let log = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {log}");
        assert!(!log.contains("panicked"), "{arguments:?}: {log}");
    }
}

/// The command line reads beside a server that goes on writing.
#[tokio::test]
async fn who_withdraws_is_gone_for_the_next_statement_of_the_command_line() {
    let lake = small().copied();
    let server = lake.serve();
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    let count = "SELECT count(*) FROM profiles";
    let before = marketer.number(count).await;
    let somebody = "SELECT email FROM profiles WHERE email IS NOT NULL ORDER BY profile_id LIMIT 1";
    let email = marketer.value(somebody).await;

    // The first statement gives more than a pipe holds, so that the second begins only once that is read.
    let text = format!("SELECT * FROM generate_series(1, 100000); {count}");
    let mut command =
        sql(&["--dir", lake.dir(), "--role", "marketer", "--format", "csv", "-c", &text]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut answer = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    answer.read_line(&mut text).unwrap();
    let withdraw =
        format!("SELECT cdp.record_consent('email', '{email}', 'email_marketing', 'withdrawn')");
    officer.rows(&withdraw).await;
    answer.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    let counted: i64 = text.lines().last().unwrap().parse().unwrap();
    let after = marketer.number(count).await;
    assert!(after < before, "{before} before, {after} after");
    assert_eq!(counted, after, "{before} before");
}
