//! What people decide about who is who: in force with its statement, for good, and taken back without a trace.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::cancel_writing::{cancelled, was_cancelled};
use crate::harness::{Built, Contents, Server, Session, WORK, files, small};
use crate::incremental::grown;

/// The sources whose records describe people.
const OF_PEOPLE: &str = "source IN ('crm_contacts', 'shop_customers', 'loyalty_members')";

/// Profiles of one record each, the smallest ids first.
async fn loners(engineer: &Session, count: usize) -> Vec<String> {
    let query = format!(
        "SELECT profile_id FROM profile_records WHERE {OF_PEOPLE} GROUP BY profile_id \
         HAVING count(*) = 1 ORDER BY profile_id LIMIT {count}"
    );
    let rows = engineer.rows(&query).await;
    assert_eq!(rows.len(), count);
    rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect()
}

/// Somebody with two records that share a mailbox, one of which was once a profile of its own.
#[derive(Debug)]
struct Pair {
    profile: String,
    absorbed: String,
    email: String,
    /// Source and key of each.
    records: [(String, String); 2],
}

impl Pair {
    async fn all(engineer: &Session) -> Vec<Pair> {
        let query = format!(
            "SELECT e.profile_id, m.merged_profile_id, e.value, e.left_source, e.left_record_key, \
                    e.right_source, e.right_record_key \
             FROM identity_edges e \
             JOIN (SELECT profile_id, min(merged_profile_id) AS merged_profile_id FROM profile_merges \
                   GROUP BY profile_id HAVING count(*) = 1) m ON m.profile_id = e.profile_id \
             JOIN (SELECT profile_id FROM profile_records WHERE {OF_PEOPLE} GROUP BY profile_id \
                   HAVING count(*) = 2) r ON r.profile_id = e.profile_id \
             WHERE e.rule = 'email' AND e.joined \
               AND e.left_record_key IS NOT NULL AND e.right_record_key IS NOT NULL \
             ORDER BY e.profile_id"
        );
        let rows = engineer.rows(&query).await;
        let pairs = rows.into_iter().map(|row| {
            let mut row = row.into_iter().map(Option::unwrap);
            let mut next = || row.next().unwrap();
            let (profile, absorbed, email) = (next(), next(), next());
            let records = [(next(), next()), (next(), next())];
            Pair { profile, absorbed, email, records }
        });
        let pairs: Vec<Pair> = pairs.collect();
        assert!(pairs.len() > 5, "{pairs:?}");
        pairs
    }

    /// Splits the second record off.
    fn split(&self) -> String {
        let (source, key) = &self.records[1];
        format!("SPLIT PROFILE {} RECORDS (({source}, '{key}')) REASON 'two sisters'", self.profile)
    }

    async fn profile_of(&self, session: &Session, record: usize) -> String {
        let (source, key) = &self.records[record];
        let query = format!(
            "SELECT profile_id FROM profile_records WHERE source = '{source}' AND record_key = '{key}'"
        );
        session.value(&query).await
    }
}

fn merge(profiles: &[String]) -> String {
    format!("MERGE PROFILES {} REASON 'they called and said so'", profiles.join(", "))
}

fn ids(rows: &[Vec<Option<String>>]) -> BTreeSet<String> {
    rows.iter().map(|row| row[1].clone().unwrap()).collect()
}

async fn drop_override(engineer: &Session, number: &str) {
    engineer.rows(&format!("DROP IDENTITY OVERRIDE {number}")).await;
}

#[tokio::test]
async fn a_merge_is_in_force_at_once_and_leaves_no_trace_when_it_is_taken_back() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let before = Contents::of(&lake.lake);
    let everybody = engineer.number("SELECT count(*) FROM profiles").await;
    let people = loners(&engineer, 3).await;
    let made = engineer.rows(&merge(&people)).await;
    let [row] = made.as_slice() else { panic!("{made:?}") };
    let (number, one) = (row[0].clone().unwrap(), row[1].clone().unwrap());
    assert!(people.contains(&one), "{one} is none of {people:?}");
    assert_eq!(engineer.number("SELECT count(*) FROM profiles").await, everybody - 2);
    let merged =
        format!("SELECT merged_profile_id, rule FROM profile_merges WHERE profile_id = {one}");
    let merged = engineer.rows(&merged).await;
    for gone in people.iter().filter(|id| **id != one) {
        assert!(
            merged.iter().any(|row| row[0].as_ref() == Some(gone)),
            "{gone} leads nowhere: {merged:?}"
        );
    }
    assert_eq!(merged.iter().filter(|row| row[1].as_deref() == Some("override")).count(), 2);
    let shown = engineer
        .rows("SELECT number, kind, reason, actor, status, revoked_at FROM identity_overrides")
        .await;
    let text = |text: &str| Some(text.to_owned());
    let expected = [
        Some(number.clone()),
        text("must_link"),
        text("they called and said so"),
        text("engineer"),
        text("in force"),
        None,
    ];
    assert_eq!(shown, [expected.clone(), expected].map(Vec::from));
    let edges = format!(
        "SELECT count(*) FROM identity_edges WHERE rule = 'override' AND value = '{number}' AND profile_id = {one}"
    );
    assert_eq!(engineer.number(&edges).await, 2);
    // Nothing of it hangs on who holds what in memory.
    engineer.rows("REFRESH ALL").await;
    let merged = Contents::of(&lake.lake);
    engineer.rows("REFRESH ALL FULL").await;
    Contents::of(&lake.lake).assert_same(&merged, "a rebuild");
    drop((engineer, server));
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    Contents::of(&lake.lake).assert_same(&merged, "a restart");
    drop_override(&engineer, &number).await;
    assert_eq!(engineer.number("SELECT count(*) FROM profiles").await, everybody);
    engineer.rows("REFRESH ALL").await;
    Contents::of(&lake.lake).assert_same(&before, "a merge that was taken back");
    let status = "SELECT DISTINCT status, revoked_by FROM identity_overrides";
    assert_eq!(engineer.rows(status).await, [[text("revoked"), text("engineer")]]);
}

#[tokio::test]
async fn a_split_gives_each_part_its_own_and_the_absorbed_one_its_old_id() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let before = Contents::of(&lake.lake);
    let pair = Pair::all(&engineer).await.remove(0);
    let rows = engineer.rows(&pair.split()).await;
    let both = BTreeSet::from([pair.profile.clone(), pair.absorbed.clone()]);
    assert_eq!(ids(&rows), both, "{pair:?}");
    let now = [pair.profile_of(&engineer, 0).await, pair.profile_of(&engineer, 1).await];
    assert_eq!(now.iter().cloned().collect::<BTreeSet<_>>(), both);
    let refused = format!(
        "SELECT count(*) FROM identity_violations WHERE reason = 'override' AND value = '{}'",
        pair.email
    );
    assert!(engineer.number(&refused).await > 0);
    let shared = format!(
        "SELECT count(*) FROM profile_identifiers WHERE value = '{}' AND status = 'shared'",
        pair.email
    );
    assert_eq!(engineer.number(&shared).await, 2, "the mailbox is two people's");
    engineer.rows("REFRESH ALL").await;
    let split = Contents::of(&lake.lake);
    engineer.rows("REFRESH ALL FULL").await;
    Contents::of(&lake.lake).assert_same(&split, "a rebuild");
    // What was told apart is not merged again before that is taken back.
    let again = engineer.failure(&merge(&[now[0].clone(), now[1].clone()])).await;
    assert_eq!(again.sqlstate, "23P01", "{again}");
    assert!(again.hint.unwrap().contains("DROP IDENTITY OVERRIDE"));
    let number = rows[0][0].clone().unwrap();
    drop_override(&engineer, &number).await;
    engineer.rows("REFRESH ALL").await;
    Contents::of(&lake.lake).assert_same(&before, "a split that was taken back");
}

#[tokio::test]
async fn new_records_meet_decisions_as_in_a_rebuild() {
    let lake = grown(small());
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let pairs = Pair::all(&engineer).await;
    // Their people wait for the next refresh while decisions are taken.
    engineer.rows("REFRESH SOURCE crm_contacts").await;
    engineer.rows(&pairs[0].split()).await;
    engineer.rows(&merge(&loners(&engineer, 2).await)).await;
    engineer.rows(&merge(&[pairs[1].profile.clone(), pairs[2].profile.clone()])).await;
    engineer.rows("REFRESH ALL").await;
    let incremental = Contents::of(&lake.lake);
    engineer.rows("REFRESH ALL FULL").await;
    Contents::of(&lake.lake).assert_same(&incremental, "a rebuild");
}

/// Tells whether the marketer sees a profile.
async fn sees(marketer: &Session, profile: &str) -> bool {
    let count = format!("SELECT count(*) FROM profiles WHERE profile_id = {profile}");
    marketer.number(&count).await == 1
}

fn answer(email: &str, status: &str) -> String {
    format!("SELECT cdp.record_consent('email', '{email}', 'email_marketing', '{status}')")
}

#[tokio::test]
async fn an_answer_on_a_shared_identifier_stands_for_both_parts_of_a_split() {
    let lake = small().copied();
    let server = lake.serve();
    let (engineer, marketer, officer) = (
        server.session("engineer").await,
        server.session("marketer").await,
        server.session("privacy_officer").await,
    );
    let mut seen = None;
    for pair in Pair::all(&engineer).await {
        if sees(&marketer, &pair.profile).await {
            seen = Some(pair);
            break;
        }
    }
    let pair = seen.expect("the marketer sees somebody with two records");
    officer.rows(&answer(&pair.email, "withdrawn")).await;
    assert!(!sees(&marketer, &pair.profile).await);
    engineer.rows(&pair.split()).await;
    for part in [&pair.profile, &pair.absorbed] {
        assert!(!sees(&marketer, part).await, "a split shows {part}, who refused");
    }
    officer.rows(&answer(&pair.email, "granted")).await;
    let parts = [sees(&marketer, &pair.profile).await, sees(&marketer, &pair.absorbed).await];
    assert!(parts.contains(&true), "nobody is back");
    // Nothing that was recorded before is forgotten by a rebuild.
    officer.rows(&answer(&pair.email, "withdrawn")).await;
    engineer.rows("REFRESH ALL FULL").await;
    for part in [&pair.profile, &pair.absorbed] {
        assert!(!sees(&marketer, part).await, "a rebuild shows {part}, who refused");
    }
}

#[tokio::test]
async fn a_merge_with_somebody_who_refused_hides_both_until_it_is_taken_back() {
    let lake = small().copied();
    let server = lake.serve();
    let (engineer, marketer, officer) = (
        server.session("engineer").await,
        server.session("marketer").await,
        server.session("privacy_officer").await,
    );
    let people = marketer
        .rows("SELECT profile_id, email FROM profiles WHERE email IS NOT NULL ORDER BY profile_id")
        .await;
    let (first, email) = (people[0][0].clone().unwrap(), people[0][1].clone().unwrap());
    officer.rows(&answer(&email, "withdrawn")).await;
    assert!(!sees(&marketer, &first).await);
    let mut second = None;
    for row in &people[1..] {
        let id = row[0].clone().unwrap();
        if sees(&marketer, &id).await {
            second = Some(id);
            break;
        }
    }
    let second = second.expect("somebody is left");
    let everybody = marketer.number("SELECT count(*) FROM profiles").await;
    let made = engineer.rows(&merge(&[first.clone(), second.clone()])).await;
    for id in [&first, &second] {
        assert!(!sees(&marketer, id).await, "{id} is seen");
    }
    assert_eq!(marketer.number("SELECT count(*) FROM profiles").await, everybody - 1);
    drop_override(&engineer, made[0][0].as_deref().unwrap()).await;
    assert!(sees(&marketer, &second).await && !sees(&marketer, &first).await);
}

#[tokio::test]
async fn who_is_hidden_from_the_purpose_is_answered_for_as_nobody() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let create = "CREATE ROLE steward LOGIN PASSWORD 'demo' PURPOSES (analytics) MAY (define)";
    engineer.rows(create).await;
    let steward = server.session("steward").await;
    let shown = steward.rows("SELECT profile_id FROM profiles").await;
    let shown: BTreeSet<String> = shown.into_iter().map(|mut row| row.remove(0).unwrap()).collect();
    let people = loners(&engineer, 60).await;
    let (seen, hidden): (Vec<String>, Vec<String>) =
        people.into_iter().partition(|id| shown.contains(id));
    let hidden = hidden[0].clone();
    let nobody = "1234567".to_owned();
    for (named, shown) in [(&hidden, &hidden), (&nobody, &nobody)] {
        for statement in [
            merge(&[seen[0].clone(), named.clone()]),
            format!("SPLIT PROFILE {named} RECORDS ((crm_contacts, 'C')) REASON 'r'"),
            format!("SPLIT PROFILE {named} ON IDENTIFIER (email, 'a@x.example') REASON 'r'"),
        ] {
            let failure = steward.failure(&statement).await;
            assert_eq!(failure.sqlstate, "42704", "{statement}: {failure}");
            assert_eq!(failure.message, format!("profile \"{shown}\" does not exist"));
        }
    }
    // Somebody whom it sees can be merged, and what it cannot see is not there to be taken back either.
    let made = engineer.rows(&merge(&[seen[0].clone(), hidden.clone()])).await;
    let number = made[0][0].clone().unwrap();
    if !sees(&steward, &made[0][1].clone().unwrap()).await {
        let failure = steward.failure(&format!("DROP IDENTITY OVERRIDE {number}")).await;
        assert_eq!(failure.sqlstate, "42704", "{failure}");
    }
    assert_eq!(steward.failure("SELECT * FROM identity_overrides").await.sqlstate, "42P01");
    let officer = server.session("privacy_officer").await;
    let logged = officer
        .rows("SELECT role, purpose, status FROM cdp.audit_log WHERE class = 'define'")
        .await;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(logged, [[text("engineer"), text("service"), text("ended")]]);
}

#[tokio::test]
async fn what_decides_nothing_or_contradicts_is_refused_and_changes_nothing() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let people = loners(&engineer, 2).await;
    let [a, b] = people.as_slice() else { panic!("{people:?}") };
    let before = Contents::of(&lake.lake);
    let pair = Pair::all(&engineer).await.remove(0);
    let [(source, key), (other, other_key)] = &pair.records;
    let profile = &pair.profile;
    for (statement, sqlstate, wanted) in [
        (merge(&[a.clone(), a.clone()]), "22023", "is named twice"),
        (merge(&[a.clone(), pair.absorbed.clone()]), "42704", "does not exist"),
        (
            format!(
                "SPLIT PROFILE {profile} RECORDS (({source}, '{key}'), ({other}, '{other_key}')) REASON 'r'"
            ),
            "22023",
            "nothing would be left",
        ),
        (
            format!(
                "SPLIT PROFILE {profile} RECORDS (({source}, '{key}'), ({source}, '{key}')) REASON 'r'"
            ),
            "22023",
            "is named twice",
        ),
        (
            format!("SPLIT PROFILE {a} RECORDS (({source}, '{key}')) REASON 'r'"),
            "42704",
            "record 1 of the list is none of source",
        ),
        (
            format!("SPLIT PROFILE {profile} ON IDENTIFIER (email, 'nobody@x.example') REASON 'r'"),
            "42704",
            "has this identifier",
        ),
        (
            format!("SPLIT PROFILE {profile} ON IDENTIFIER (shoe_size, '44') REASON 'r'"),
            "42704",
            "identifier kind \"shoe_size\" does not exist",
        ),
        (
            format!("SPLIT PROFILE {profile} ON IDENTIFIER (email, '{}') REASON 'r'", pair.email),
            "22023",
            "nothing would be left",
        ),
        ("DROP IDENTITY OVERRIDE 1".to_owned(), "42704", "does not exist"),
    ] {
        let failure = engineer.failure(&statement).await;
        assert_eq!(failure.sqlstate, sqlstate, "{statement}: {failure}");
        assert!(failure.message.contains(wanted), "{statement}: {failure}");
        assert!(failure.hint.is_some(), "{statement}: {failure}");
    }
    Contents::of(&lake.lake).assert_same(&before, "what was refused");
    // A merge and then a split across it: the merge is named.
    let made = engineer.rows(&merge(&[a.clone(), b.clone()])).await;
    let one = made[0][1].clone().unwrap();
    let records = format!(
        "SELECT source, record_key FROM profile_records WHERE profile_id = {one} AND {OF_PEOPLE} LIMIT 1"
    );
    let record = engineer.rows(&records).await.remove(0);
    let (source, key) = (record[0].clone().unwrap(), record[1].clone().unwrap());
    let split = format!("SPLIT PROFILE {one} RECORDS (({source}, '{key}')) REASON 'r'");
    let failure = engineer.failure(&split).await;
    assert_eq!(failure.sqlstate, "23P01", "{failure}");
    assert!(failure.message.starts_with("identity override 1 says"), "{failure}");
    assert_eq!(engineer.number("SELECT count(*) FROM identity_overrides").await, 1);
}

#[tokio::test]
async fn an_identifier_names_the_records_that_are_split_off() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let own = format!(
        "SELECT i.profile_id, i.kind, i.value FROM profile_identifiers i \
         JOIN (SELECT profile_id FROM profile_records WHERE {OF_PEOPLE} GROUP BY profile_id \
               HAVING count(*) = 2 AND count(DISTINCT source) = 2) r ON r.profile_id = i.profile_id \
         WHERE i.kind = 'customer_id' ORDER BY i.profile_id LIMIT 1"
    );
    let row = engineer.rows(&own).await.remove(0);
    let [profile, kind, value] = [0, 1, 2].map(|at| row[at].clone().unwrap());
    let split = format!("SPLIT PROFILE {profile} ON IDENTIFIER ({kind}, '{value}') REASON 'r'");
    let rows = engineer.rows(&split).await;
    assert_eq!(ids(&rows).len(), 2, "{rows:?}");
    let apart = "SELECT count(*) FROM identity_overrides WHERE kind = 'cannot_link' \
                 AND left_source = 'shop_customers' AND right_source <> 'shop_customers'";
    assert_eq!(engineer.number(apart).await, 1);
}

/// The two profiles are one and the override is there, or neither.
async fn is_whole(engineer: &Session, people: &[String]) -> bool {
    let count =
        format!("SELECT count(*) FROM profiles WHERE profile_id IN ({})", people.join(", "));
    let in_force = "SELECT count(*) FROM identity_overrides WHERE status = 'in force'";
    let (profiles, decided) = (engineer.number(&count).await, engineer.number(in_force).await);
    assert!(
        [(2, 0), (1, 1)].contains(&(profiles, decided)),
        "{profiles} profiles, {decided} decided"
    );
    decided == 1
}

#[tokio::test]
async fn a_cancelled_decision_is_in_force_whole_or_not_at_all() {
    const ATTEMPTS: usize = 10;
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let people = loners(&engineer, 2).await;
    let before = Contents::of(&lake.lake);
    let mut times = 0;
    for written in 0..ATTEMPTS {
        let ended = cancelled(&server, &engineer, &merge(&people), &lake.lake, written).await;
        times += usize::from(was_cancelled(&ended));
        // The next statement that writes waits for what goes on.
        let failure = engineer.failure("DROP IDENTITY OVERRIDE 9999").await;
        assert_eq!(failure.sqlstate, "42704", "{failure}");
        let is_there = is_whole(&engineer, &people).await;
        assert!(is_there || ended.is_err(), "what was acknowledged is gone");
        if !is_there {
            engineer.rows(&merge(&people)).await;
            assert!(is_whole(&engineer, &people).await);
        }
        let number = "SELECT max(number) FROM identity_overrides WHERE status = 'in force'";
        let number = engineer.value(number).await;
        drop_override(&engineer, &number).await;
        assert!(!is_whole(&engineer, &people).await);
    }
    assert!(times > 0, "no cancel came in time");
    engineer.rows("REFRESH ALL").await;
    Contents::of(&lake.lake).assert_same(&before, "after all");
}

/// Sends a statement, and kills the server as soon as the lake has so many files more.
pub(crate) async fn killed(lake: &Built, server: Server, statement: &str, written: usize) {
    let session = server.session("engineer").await;
    let goal = files(&lake.lake).len() + written;
    let running = session.run(statement);
    tokio::pin!(running);
    let started = Instant::now();
    while files(&lake.lake).len() < goal {
        assert!(started.elapsed() < WORK, "it wrote no {written} files");
        tokio::select! {
            biased;
            _ = &mut running => break,
            () = tokio::task::yield_now() => {}
        }
    }
    // Dropping it sends SIGKILL.
    drop(server);
}

#[tokio::test]
async fn a_killed_decision_is_in_force_whole_or_not_at_all() {
    const MOMENTS: usize = 6;
    let lake = small().copied();
    let mut server = lake.serve();
    let people = loners(&server.session("engineer").await, 2).await;
    for written in (0..MOMENTS).map(|moment| 2 * moment) {
        killed(&lake, server, &merge(&people), written).await;
        server = lake.serve();
        let engineer = server.session("engineer").await;
        if !is_whole(&engineer, &people).await {
            engineer.rows(&merge(&people)).await;
        }
        let number = "SELECT max(number) FROM identity_overrides WHERE status = 'in force'";
        let number = engineer.value(number).await;
        drop_override(&engineer, &number).await;
        assert!(!is_whole(&engineer, &people).await);
    }
}
