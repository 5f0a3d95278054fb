//! What runs by itself: as often as it is due and no more, one run of an object at a time.

use std::time::Instant;

use crate::harness::{Server, Session, WORK, small};

/// Waits until so many runs of an object that were due have ended, and returns all notes on it: run, trigger, status.
async fn noted(engineer: &Session, object: &str, due: usize) -> Vec<[String; 3]> {
    let query = format!(
        "SELECT run, \"trigger\", status FROM cdp.refreshes WHERE object = '{object}' ORDER BY at"
    );
    let started = Instant::now();
    loop {
        let rows = engineer.rows(&query).await;
        let notes: Vec<[String; 3]> =
            rows.into_iter().map(|row| [0, 1, 2].map(|at| row[at].clone().unwrap())).collect();
        let done = |note: &&[String; 3]| note[1] == "schedule" && note[2] == "done";
        if notes.iter().filter(done).count() >= due {
            return notes;
        }
        assert!(started.elapsed() < WORK, "{object}: only {notes:?}");
    }
}

async fn start() -> (crate::harness::Built, Server, Session) {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    (lake, server, engineer)
}

#[tokio::test]
async fn a_sync_has_one_run_at_a_time() {
    let (lake, server, engineer) = start().await;
    let started = Instant::now();
    let sync = "CREATE SYNC often FROM SEGMENT lapsed_customers TO mailer FOR PURPOSE email_marketing \
                COLUMNS (email) EVERY '1 second'";
    engineer.rows(sync).await;
    // By hand as well, by two at the same time, before the first one that is due and after.
    let (one, other) = (server.session("marketer").await, server.session("marketer").await);
    let mut by_hand = 0;
    for _ in 0..4 {
        let (first, second) = tokio::join!(one.run("RUN SYNC often"), other.run("RUN SYNC often"));
        first.unwrap();
        second.unwrap();
        by_hand += 2;
        noted(&engineer, "sync often", by_hand / 4).await;
    }
    let notes = noted(&engineer, "sync often", 3).await;
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap();
    for pair in notes.chunks(2) {
        let [begun, rest @ ..] = pair else { continue };
        assert_eq!(begun[2], "running", "two runs at a time: {notes:?}");
        // The last one may go on.
        if let [ended] = rest {
            assert_eq!((&ended[0], ended[2].as_str()), (&begun[0], "done"), "{notes:?}");
        }
    }
    let due = notes.iter().filter(|note| note[1] == "schedule" && note[2] == "running").count();
    assert!(due <= seconds + 1, "{due} runs that were due in {seconds} seconds");
    let hand = notes.iter().filter(|note| note[1] == "demand" && note[2] == "done").count();
    assert_eq!(hand, by_hand);
    drop(lake);
}

#[tokio::test]
async fn a_segment_is_refreshed_by_itself() {
    let (_lake, server, engineer) = start().await;
    // Members that are others at another time: each refresh has something to do.
    let segment = "CREATE SEGMENT recent ON customer FOR PURPOSE service EVERY '1 second' WHERE last_order_at < now()";
    engineer.rows(segment).await;
    let notes = noted(&engineer, "segment recent", 2).await;
    assert_eq!((notes[0][1].as_str(), notes[0][2].as_str()), ("demand", "running"));
    assert!(notes[2..].iter().all(|note| note[1] == "schedule"), "{notes:?}");
    // No other segment was due.
    let others = "SELECT count(*) FROM cdp.refreshes WHERE \"trigger\" = 'schedule' \
                  AND object LIKE 'segment %' AND object <> 'segment recent'";
    assert_eq!(engineer.number(others).await, 0);
    drop(server);
}
