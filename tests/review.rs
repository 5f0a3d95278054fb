//! What is worth a look, and answers about it: in force with their statement, not asked again, and what the next model learns.

use std::collections::BTreeSet;

use crate::fuzzy::{FUZZY, people, project};
use crate::harness::{Session, small};

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The name of the pair of two contacts.
fn pair(left: &str, right: &str) -> String {
    format!(r#"["contacts","{left}","contacts","{right}"]"#)
}

fn decide(pair: &str, decision: &str) -> String {
    format!("SELECT cdp.decide('{pair}', '{decision}', 'they were asked')")
}

/// Everything that is asked, the most useful first.
async fn asked(engineer: &Session) -> Vec<Vec<Option<String>>> {
    engineer.rows("SELECT * FROM cdp.identity_review ORDER BY usefulness DESC, pair").await
}

async fn is_asked(engineer: &Session, pair: &str) -> bool {
    let count = format!("SELECT count(*) FROM cdp.identity_review WHERE pair = '{pair}'");
    engineer.number(&count).await == 1
}

#[tokio::test]
async fn an_answer_is_in_force_at_once_and_is_asked_for_again_when_it_is_taken_back() {
    let project = project();
    let (_server, engineer) = project.serve().await;
    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    let before = asked(&engineer).await;
    let pets = pair("pet-1", "pet-2");
    assert!(is_asked(&engineer, &pets).await, "{before:#?}");
    let told = format!("SELECT kind, rule, records FROM cdp.identity_review WHERE pair = '{pets}'");
    assert_eq!(engineer.rows(&told).await, [[text("unsure"), text("same_person"), text("1")]]);

    // With the statement, and with parameters as without.
    let sql = "SELECT cdp.decide($1, $2, $3)";
    let row = engineer.client.query_one(sql, &[&pets, &"different", &"they were asked"]).await;
    let number: i64 = row.unwrap().get(0);
    let together = |people: &[String]| people.contains(&"pet-1 pet-2".to_owned());
    assert!(!together(&people(&engineer).await));
    assert!(!is_asked(&engineer, &pets).await);
    let shown = "SELECT number, kind, left_record_key, right_record_key, reason, actor, status FROM identity_overrides";
    let expected = [
        Some(number.to_string()),
        text("cannot_link"),
        text("pet-1"),
        text("pet-2"),
        text("they were asked"),
        text("engineer"),
        text("in force"),
    ];
    assert_eq!(engineer.rows(shown).await, std::slice::from_ref(&expected));
    // Said twice it is one decision, and the contrary is refused.
    assert_eq!(engineer.number(&decide(&pets, "different")).await, number);
    assert_eq!(engineer.rows(shown).await, [expected]);
    let failure = engineer.failure(&decide(&pets, "same")).await;
    assert_eq!(failure.sqlstate, "23P01", "{failure}");
    assert!(failure.message.starts_with(&format!("identity override {number} says")), "{failure}");

    // It is what a rebuild makes, too.
    let decided = asked(&engineer).await;
    engineer.run("REFRESH ALL FULL").await.unwrap();
    assert_eq!(asked(&engineer).await, decided);
    assert!(!together(&people(&engineer).await));
    engineer.run(&format!("DROP IDENTITY OVERRIDE {number}")).await.unwrap();
    assert!(together(&people(&engineer).await));
    assert_eq!(asked(&engineer).await, before, "the same pairs have the same names");
}

#[tokio::test]
async fn what_was_refused_is_asked_about_and_an_answer_goes_past_every_veto() {
    let project = project();
    let (_server, engineer) = project.serve().await;
    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    let family = pair("senior", "junior");
    let apart = people(&engineer).await;
    assert!(apart.contains(&"senior".to_owned()), "{apart:?}");
    // Whichever record is named first, and however the list is written.
    let number = engineer.number(&decide(&family.replace(',', ", "), "SAME")).await;
    let one = "junior senior".to_owned();
    assert!(people(&engineer).await.contains(&one));
    assert_eq!(engineer.number(&decide(&pair("junior", "senior"), "same")).await, number);
    // What follows from answers cannot be denied, however many steps it takes.
    engineer.number(&decide(&pair("junior", "twin-1"), "same")).await;
    let failure = engineer.failure(&decide(&pair("twin-1", "senior"), "different")).await;
    assert_eq!(failure.sqlstate, "23P01", "{failure}");
    let failure = engineer.failure(&decide(&pair("twin-1", "twin-1"), "same")).await;
    assert_eq!(failure.sqlstate, "22023", "{failure}");
    for (pair, decision, sqlstate) in [
        (pair("twin-1", "nobody"), "same", "42704"),
        (pair("twin-1", "twin-2"), "perhaps", "22023"),
        ("twin-1, twin-2".to_owned(), "same", "22P02"),
    ] {
        let failure = engineer.failure(&decide(&pair, decision)).await;
        assert_eq!(failure.sqlstate, sqlstate, "{pair}: {failure}");
        assert!(failure.hint.is_some(), "{failure}");
    }
    // Without a reason there is none.
    engineer.rows(&format!("SELECT cdp.decide('{}', 'different')", pair("twin-1", "twin-2"))).await;
    let silent = "SELECT count(*) FROM identity_overrides WHERE reason IS NULL";
    assert_eq!(engineer.number(silent).await, 1);
}

/// Applies that each contact of the town whose two records have two given names is two people.
const TWO_NAMES: &str = "APPLY IDENTITY OVERRIDES AS
    SELECT 'contacts' AS left_source, a.key AS left_record_key, 'contacts' AS right_source, b.key AS right_record_key,
           'different' AS decision, 'two names' AS reason
    FROM sources.contacts a JOIN sources.contacts b ON b.key = replace(a.key, 'a', 'b')
    WHERE a.key LIKE 't%a' AND a.key NOT LIKE 'twin%' AND a.given <> b.given";

#[tokio::test]
async fn a_list_is_applied_whole_or_not_at_all_and_teaches_the_next_model() {
    let project = project();
    let (_server, engineer) = project.serve().await;
    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    let of_forms = "SELECT m FROM cdp.match_weights WHERE comparison = 'given name' AND label = 'forms of one name'";
    let guessed: f64 = engineer.value(of_forms).await.parse().unwrap();
    assert_eq!(engineer.number("SELECT decided_pairs FROM cdp.match_models").await, 0);

    // One row that is wrong, and nothing is in force.
    let rows = |decisions: &str| {
        format!(
            "APPLY IDENTITY OVERRIDES AS
             SELECT 'contacts' AS left_source, l AS left_record_key, 'contacts' AS right_source, r AS right_record_key,
                    d AS decision FROM (VALUES {decisions}) v(l, r, d)"
        )
    };
    for (decisions, sqlstate) in [
        ("('senior', 'junior', 'different'), ('senior', 'nobody', 'same')", "42704"),
        ("('senior', 'junior', 'different'), ('junior', 'senior', 'same')", "23P01"),
        (
            "('senior', 'twin-1', 'same'), ('twin-1', 'junior', 'same'), ('senior', 'junior', 'different')",
            "23P01",
        ),
        ("('senior', 'junior', 'different'), ('twin-1', 'twin-2', 'maybe')", "22023"),
        ("('senior', 'junior', NULL)", "22004"),
    ] {
        let failure = engineer.failure(&rows(decisions)).await;
        assert_eq!(failure.sqlstate, sqlstate, "{decisions}: {failure}");
    }
    let twice = rows("('senior', 'junior', 'different'), ('junior', 'senior', 'same')");
    let pair = r#"["contacts","junior","contacts","senior"]"#;
    let expected =
        format!("the pairs contradict each other: {pair} is of one person, {pair} of two people");
    assert_eq!(engineer.failure(&twice).await.message, expected);
    let failure = engineer.failure("APPLY IDENTITY OVERRIDES AS SELECT 1 AS decision").await;
    assert_eq!(failure.message, "the query has no column \"left_source\"");
    assert_eq!(engineer.number("SELECT count(*) FROM identity_overrides").await, 0);

    let applied = engineer.run(TWO_NAMES).await.unwrap().count;
    assert!(applied > 100, "{applied} pairs");
    let numbers = "SELECT count(DISTINCT number) FROM identity_overrides WHERE status = 'in force' AND kind = 'cannot_link'";
    assert_eq!(engineer.number(numbers).await, i64::try_from(applied).unwrap());
    let together = "SELECT count(*) FROM profile_records a JOIN profile_records b ON b.profile_id = a.profile_id
        JOIN identity_overrides o ON o.left_record_key = a.record_key AND o.right_record_key = b.record_key";
    assert_eq!(engineer.number(together).await, 0);
    // What is in force already is no news.
    assert_eq!(engineer.run(TWO_NAMES).await.unwrap().count, 0);

    // A model stays; the next one has learnt that pet forms are no other names of one person.
    let kept: f64 = engineer.value(of_forms).await.parse().unwrap();
    assert!((kept - guessed).abs() < f64::EPSILON);
    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    let pairs = engineer.number("SELECT decided_pairs FROM cdp.match_models").await;
    assert_eq!(pairs, i64::try_from(applied).unwrap());
    let taught: f64 = engineer.value(of_forms).await.parse().unwrap();
    assert!(taught < guessed / 2.0, "{taught} after {guessed}");
}

#[tokio::test]
async fn who_is_hidden_is_in_no_list_and_nobody_decides_about_them() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let create = "CREATE ROLE steward LOGIN PASSWORD 'demo' PURPOSES (analytics) MAY (define)";
    engineer.rows(create).await;
    let steward = server.session("steward").await;
    assert_eq!(steward.failure("SELECT * FROM cdp.identity_review").await.sqlstate, "42P01");
    let query = "SELECT record_key, profile_id FROM profile_records WHERE source = 'crm_contacts' ORDER BY record_key";
    let shown: BTreeSet<String> =
        steward.rows(query).await.into_iter().map(|mut row| row.remove(0).unwrap()).collect();
    let all = engineer.rows(query).await;
    let keys = all.into_iter().map(|mut row| row.remove(0).unwrap());
    let (seen, hidden): (Vec<String>, Vec<String>) = keys.partition(|key| shown.contains(key));
    let named = |left: &str, right: &str| {
        decide(&format!(r#"["crm_contacts","{left}","crm_contacts","{right}"]"#), "different")
    };
    let unknown = steward.failure(&named(&seen[0], "no such key")).await;
    assert_eq!(unknown.sqlstate, "42704", "{unknown}");
    assert_eq!(steward.failure(&named(&seen[0], &hidden[0])).await, unknown);
    steward.rows(&named(&seen[0], &seen[1])).await;
    // Whoever has no right to define decides nothing, and the log knows who decided, but not about whom.
    let marketer = server.session("marketer").await;
    let failure = marketer.failure(&named(&seen[0], &seen[1])).await;
    assert_eq!(failure.sqlstate, "42501", "{failure}");
    let officer = server.session("privacy_officer").await;
    let logged = "SELECT role, purpose, relations FROM cdp.audit_log WHERE class = 'define'";
    let expected = [text("steward"), text("analytics"), text("public.identity_overrides")];
    assert_eq!(officer.rows(logged).await, [expected]);
}
