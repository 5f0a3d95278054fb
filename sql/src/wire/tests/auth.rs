//! Who gets in, and that nobody else gets anything done.

use std::sync::atomic::Ordering;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_logs_in_and_reads() {
    let mut harness = Harness::start().await;
    let client = harness.driver().await;
    let row = client.query_one("SELECT name FROM t WHERE id = $1", &[&3i64]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "name 3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_and_unknown_users_look_the_same() {
    let harness = Harness::start().await;
    let mut seen = Vec::new();
    for (user, password) in [("ada", "wrong"), ("nobody", "secret"), ("mute", "secret")] {
        let mut wire = harness.socket().await;
        wire.send(&startup(&[("user", user), ("database", "onefold")])).await;
        wire.answer_scram(password).await;
        let replies = wire.until_ready().await;
        assert_eq!(kinds(&replies), "E");
        let message = replies[0].field(b'M').unwrap().replace(user, "?");
        seen.push((replies[0].field(b'S'), replies[0].field(b'C'), message));
    }
    assert_eq!(seen[0].1.as_deref(), Some("28P01"));
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    assert_eq!(harness.facts.planned.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_up_that_is_refused_is_fatal() {
    let harness = Harness::start().await;
    let refusals: [(&[u8], &str); 6] = [
        (&packet(2 << 16, &[("user", "ada")]), "0A000"),
        (&packet(3 << 16, &[("database", "onefold")]), "28000"),
        (&packet(3 << 16, &[("user", "ada"), ("replication", "true")]), "0A000"),
        (b"\0\0\0\x03", "08P01"),
        (b"\x7f\xff\xff\xff", "08P01"),
        (b"\0\0\0\x0b\0\x03\0\0use", "08P01"),
    ];
    for (bytes, expected) in refusals {
        let mut wire = harness.socket().await;
        wire.send(bytes).await;
        let replies = wire.until_ready().await;
        assert_eq!(
            (kinds(&replies).as_str(), sqlstate(&replies).as_str()),
            ("E", expected),
            "{bytes:?}"
        );
        assert_eq!(replies[0].field(b'S').as_deref(), Some("FATAL"));
    }
    let refused: [(&str, &str, &str); 5] = [
        ("options", "-c datafusion.execution.batch_size=1", "42501"),
        ("options", "-c cdp.purpose=forbidden", "42501"),
        ("options", "-c nonsense=1", "42704"),
        ("client_encoding", "LATIN1", "0A000"),
        ("session_authorization", "engineer", "55P02"),
    ];
    for (name, value, expected) in refused {
        let mut wire = harness.socket().await;
        let replies = wire.log_in("secret", &[(name, value)]).await;
        assert_eq!(sqlstate(&replies), expected, "{name}={value}");
        assert_eq!(status(&replies), '?', "the connection must end");
    }
    let mut wire = harness.socket().await;
    wire.send(&startup(&[("user", "ada")])).await;
    wire.answer_scram("secret").await;
    assert_eq!(
        sqlstate(&wire.until_ready().await),
        "3D000",
        "the database is named after the user"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newer_protocols_are_talked_down_and_gss_is_declined() {
    let harness = Harness::start().await;
    let mut wire = harness.socket().await;
    wire.send(&packet(80_877_104, &[])).await;
    assert_eq!(wire.stream.read_u8().await.unwrap(), b'N');
    wire.send(&packet(80_877_103, &[])).await;
    assert_eq!(wire.stream.read_u8().await.unwrap(), b'N', "there is no certificate");
    wire.send(&packet((3 << 16) + 2, &[("user", "ada"), ("database", "onefold"), ("_pq_.x", "1")]))
        .await;
    let negotiated = wire.receive().await.unwrap();
    assert_eq!(negotiated, Reply('v', b"\0\x03\0\0\0\0\0\x01_pq_.x\0".to_vec()));
    wire.answer_scram("secret").await;
    assert_eq!(status(&wire.until_ready().await), 'I');
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_greeting_tells_what_drivers_read() {
    let harness = Harness::start().await;
    let mut wire = harness.socket().await;
    let settings = [
        ("application_name", "psql"),
        ("TimeZone", "Europe/Warsaw"),
        ("options", "-c statement_timeout=5s"),
    ];
    let replies = wire.log_in("secret", &settings).await;
    let reported: Vec<String> = replies
        .iter()
        .filter(|reply| reply.0 == 'S')
        .map(|reply| reply.text().replace('\0', "="))
        .collect();
    for expected in [
        concat!("server_version=15.18 (onefold ", env!("CARGO_PKG_VERSION"), ")"),
        "client_encoding=UTF8",
        "DateStyle=ISO, MDY",
        "TimeZone=Europe/Warsaw",
        "integer_datetimes=on",
        "standard_conforming_strings=on",
        "is_superuser=off",
        "session_authorization=ada",
        "application_name=psql",
    ] {
        assert!(reported.iter().any(|one| one == expected), "{expected} in {reported:?}");
    }
    let shown = wire.query("SHOW statement_timeout").await;
    assert_eq!(shown[1].1[6..], *b"5s");
    // A zone that nobody knows keeps nobody out.
    let replies = harness.socket().await.log_in("secret", &[("TimeZone", "Mars/Olympus")]).await;
    assert_eq!(replies.iter().filter(|reply| reply.0 == 'N').count(), 1);
    assert_eq!(status(&replies), 'I');
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_and_surplus_clients_are_turned_away() {
    let limits = Limits {
        connections_max: 2,
        unauthenticated_max: 1,
        authentication_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let harness = Harness::start_with(None, limits).await;
    let mut silent = harness.socket().await;
    let mut surplus = harness.socket().await;
    surplus.send(&startup(&[("user", "ada"), ("database", "onefold")])).await;
    assert_eq!(sqlstate(&surplus.until_ready().await), "53300");
    assert_eq!(silent.receive().await, None, "the time to say something is over");
    harness.wire().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_place_is_told_so() {
    let harness =
        Harness::start_with(None, Limits { connections_max: 1, ..Limits::default() }).await;
    let mut seated = harness.wire().await;
    let mut surplus = harness.socket().await;
    surplus.send(&startup(&[("user", "ada"), ("database", "onefold")])).await;
    let replies = surplus.until_ready().await;
    assert_eq!((kinds(&replies).as_str(), sqlstate(&replies).as_str()), ("E", "53300"));
    assert_eq!(tags(&seated.query("SELECT 1").await), ["SELECT 1"]);
}
