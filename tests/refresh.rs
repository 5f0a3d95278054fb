//! What fails fails alone: a refresh does everything else, says what it could not do, and ends as a failure.

use crate::harness::{Built, Server, Session, onefold, small};

/// A person's city that makes the query of a segment fail.
const NOWHERE: &str = "Nowhere";

/// Adds a source whose file is not there.
async fn add_lost_source(engineer: &Session) {
    let lost = "CREATE SOURCE lost FROM FILE ('data/lost.csv') FORMAT csv AS EVENTS";
    engineer.run(lost).await.unwrap();
}

/// A segment that can be computed until somebody lives in [`NOWHERE`].
async fn add_brittle_segment(engineer: &Session) {
    let query = format!(
        "WHERE country = 'PL' AND 1 / (CASE WHEN city = '{NOWHERE}' THEN 0 ELSE 1 END) = 1"
    );
    let create = format!("CREATE SEGMENT brittle ON customer FOR PURPOSE service {query}");
    engineer.run(&create).await.unwrap();
    let sound =
        format!("CREATE SEGMENT sound ON customer FOR PURPOSE service WHERE city = '{NOWHERE}'");
    engineer.run(&sound).await.unwrap();
}

/// A contact moves to [`NOWHERE`].
fn somebody_moves(lake: &Built) {
    let mut corpus = lake.corpus();
    let column = |name: &str| corpus.contacts.column(name);
    let (country, city, updated) = (column("country"), column("city"), column("updated_at"));
    let mut moved = corpus.contacts.rows.iter().find(|row| row[country] == "PL").unwrap().clone();
    moved[city] = NOWHERE.to_owned();
    moved[updated] = "2030-01-01 08:00:00".to_owned();
    corpus.contacts.rows.push(moved);
    corpus.write(&lake.project.join("data"));
}

/// How the newest step of each object ended, among those that did not end well.
async fn troubles(engineer: &Session) -> Vec<[String; 3]> {
    let newest = "SELECT object, status, error FROM cdp.refreshes r \
                  WHERE at = (SELECT max(at) FROM cdp.refreshes n WHERE n.object = r.object) \
                  AND status <> 'done' ORDER BY object";
    let rows = engineer.rows(newest).await;
    rows.into_iter().map(|row| [0, 1, 2].map(|at| row[at].clone().unwrap_or_default())).collect()
}

async fn start() -> (Built, Server, Session) {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    (lake, server, engineer)
}

#[tokio::test]
async fn what_fails_fails_alone_and_is_named() {
    let (lake, server, engineer) = start().await;
    add_lost_source(&engineer).await;
    add_brittle_segment(&engineer).await;
    let members = engineer.number("SELECT count(*) FROM segments.brittle").await;
    assert!(members > 1, "too few members to tell anything: {members}");
    assert_eq!(engineer.number("SELECT count(*) FROM segments.sound").await, 0);
    somebody_moves(&lake);

    let failure = engineer.failure("REFRESH ALL").await;
    let detail = failure.detail.clone().unwrap_or_default();
    assert_eq!(failure.message, "could not refresh source \"lost\", segment \"brittle\"");
    assert_eq!(failure.sqlstate, "58030", "that of the first: {failure}");
    assert!(detail.contains("source lost: 58030") && detail.contains("22012"), "{failure}");
    assert!(failure.hint.clone().unwrap_or_default().contains("cdp.refreshes"), "{failure}");

    // Everything else was done and can be seen.
    let moved = format!("SELECT count(*) FROM profiles WHERE city = '{NOWHERE}'");
    assert_eq!(engineer.number(&moved).await, 1);
    assert_eq!(engineer.number("SELECT count(*) FROM segments.sound").await, 1);
    assert_eq!(engineer.number("SELECT count(*) FROM segments.brittle").await, members);
    let [brittle, lost] = troubles(&engineer).await.try_into().unwrap();
    assert_eq!(&brittle[..2], ["segment brittle", "failed"]);
    assert_eq!(&lost[..2], ["source lost", "failed"]);
    assert!(!brittle[2].contains(NOWHERE), "a value of a person is in the log: {brittle:?}");

    // One object alone fails with its own words.
    let alone = engineer.failure("REFRESH SOURCE lost").await;
    assert!(alone.message.contains("lost.csv"), "{alone}");
    assert!(alone.hint.is_some(), "{alone}");

    drop((engineer, server));
    let lake = lake.dir();
    let finished = onefold(&["refresh", "--dir", lake]).exits_with(1);
    for said in ["source lost: failed", "segment brittle: failed", "segment sound: "] {
        assert!(finished.stdout.contains(said), "no {said:?} in {finished}");
    }
    for said in ["source \"lost\", segment \"brittle\"", "lost.csv", "cdp.refreshes"] {
        assert!(finished.stderr.contains(said), "no {said:?} in {finished}");
    }
}

#[tokio::test]
async fn segments_wait_for_those_that_they_read() {
    let (lake, _server, engineer) = start().await;
    add_brittle_segment(&engineer).await;
    for (name, read) in [("a_reader", "brittle"), ("a_far_reader", "a_reader")] {
        let query = format!("SELECT profile_id FROM segments.{read}");
        let create = format!("CREATE SEGMENT {name} ON customer FOR PURPOSE service AS {query}");
        engineer.run(&create).await.unwrap();
    }
    let members = engineer.number("SELECT count(*) FROM segments.a_far_reader").await;
    somebody_moves(&lake);

    let failure = engineer.failure("REFRESH ALL").await;
    assert_eq!(failure.message, "could not refresh segment \"brittle\"", "{failure}");
    let because = "not run, since segment \"brittle\" failed";
    let [far, near, brittle] = troubles(&engineer).await.try_into().unwrap();
    assert_eq!(far, ["segment a_far_reader", "not run", because]);
    assert_eq!(near, ["segment a_reader", "not run", because]);
    assert_eq!(&brittle[..2], ["segment brittle", "failed"]);
    assert_eq!(engineer.number("SELECT count(*) FROM segments.a_far_reader").await, members);
    assert_eq!(engineer.number("SELECT count(*) FROM segments.sound").await, 1);
}

#[tokio::test]
async fn segments_wait_for_profiles_that_failed() {
    let (lake, _server, engineer) = start().await;
    let before = engineer.number("SELECT count(*) FROM segments.big_spenders").await;
    let broken = "CREATE TRAIT broken ON customer AS SELECT profile_id, 1 / (count(*) - count(*)) AS broken \
                  FROM sources.shop_orders GROUP BY profile_id";
    engineer.run(broken).await.unwrap();
    somebody_moves(&lake);

    let failure = engineer.failure("REFRESH ALL").await;
    assert_eq!(failure.message, "could not refresh profiles", "{failure}");
    assert_eq!(failure.sqlstate, "22012", "{failure}");
    let troubles = troubles(&engineer).await;
    let [profiles, segments @ ..] = troubles.as_slice() else { panic!("nothing failed") };
    assert_eq!(&profiles[..2], ["profiles", "failed"]);
    assert_eq!(segments.len(), 4, "{troubles:?}");
    for [object, status, error] in segments {
        assert!(object.starts_with("segment "), "{troubles:?}");
        assert_eq!(
            (status.as_str(), error.as_str()),
            ("not run", "not run, since profiles failed")
        );
    }
    assert_eq!(engineer.number("SELECT count(*) FROM segments.big_spenders").await, before);
    // What was taken from the sources stays taken.
    let taken = format!("SELECT count(*) FROM sources.crm_contacts WHERE city = '{NOWHERE}'");
    assert_eq!(engineer.number(&taken).await, 1);

    engineer.run("DROP TRAIT broken").await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
}

#[tokio::test]
async fn a_segment_is_there_before_its_first_refresh() {
    let lake = small().copied();
    std::fs::remove_dir_all(&lake.lake).unwrap();
    lake.apply();
    let server = lake.serve();
    let (marketer, engineer) = (server.session("marketer").await, server.session("engineer").await);
    let create =
        "CREATE SEGMENT poles ON customer FOR PURPOSE email_marketing WHERE country = 'PL'";
    marketer.run(create).await.unwrap();
    for relation in ["segments.poles", "segments.lapsed_customers", "segment_members"] {
        let count = format!("SELECT count(profile_id) + count(entered_at) FROM {relation}");
        assert_eq!(marketer.number(&count).await, 0, "{relation}");
    }
    let columns = "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) \
                   FROM information_schema.columns WHERE table_name = 'poles'";
    let before = marketer.value(columns).await;
    let refreshed = "SELECT count(refreshed_at) FROM cdp.segments";
    assert_eq!(marketer.number(refreshed).await, 0);

    engineer.run("REFRESH ALL").await.unwrap();
    let members = "SELECT count(*) FROM segments.poles";
    assert!(marketer.number(members).await > 0);
    assert_eq!(marketer.value(columns).await, before, "its columns are the same");
    assert_eq!(marketer.number(refreshed).await, 3);
}
