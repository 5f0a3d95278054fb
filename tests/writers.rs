//! One process writes to a lake: a second one is told who does, and takes over when that one is gone.

use std::os::unix::process::ExitStatusExt;

use crate::harness::{PROMPT, onefold, small, sql_csv};

#[tokio::test]
async fn a_second_writer_is_refused_and_takes_over_after_a_crash() {
    let lake = small().copied();
    let mut server = lake.serve();
    let refused = onefold(&["refresh", "--dir", lake.dir()]).exits_with(1);
    let owner = server.process.pid().to_string();
    assert!(
        refused.stderr.contains(&owner),
        "the message does not name process {owner}: {}",
        refused.stderr
    );

    // Readers need no lease.
    let read = sql_csv(&lake.lake, "engineer", "SELECT count(*) FROM profiles");
    assert!(read.lines().last().is_some_and(|count| count.parse::<u64>().is_ok()));

    assert!(server.process.signal("KILL"));
    assert_eq!(server.process.wait(PROMPT).signal(), Some(9));
    lake.refresh();
}

#[tokio::test]
async fn a_lease_is_given_back_at_the_end() {
    let lake = small().copied();
    let mut server = lake.serve();
    let session = server.session("engineer").await;
    assert!(server.process.signal("TERM"));
    let status = server.process.wait(PROMPT);
    assert_eq!(status.code(), Some(0), "SIGTERM shuts down cleanly: {}", server.process.stderr());
    let failure = session.failure("SELECT 1").await;
    assert!(["57P01", "(none)"].contains(&failure.sqlstate.as_str()), "{failure}");
    lake.refresh();
}
