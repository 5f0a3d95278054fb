//! Whom an identifier identifies, as people decide it: in force with its statement, for good, and taken back without a trace.

use crate::harness::{Contents, Session, small};
use crate::overrides::killed;

/// A mailbox that alone holds the two records of somebody together.
async fn mailbox(engineer: &Session) -> String {
    let query = "SELECT min(e.value) \
         FROM identity_edges e \
         JOIN (SELECT profile_id FROM profile_records \
               WHERE source IN ('crm_contacts', 'shop_customers', 'loyalty_members') \
               GROUP BY profile_id HAVING count(*) = 2) r ON r.profile_id = e.profile_id \
         WHERE e.left_record_key IS NOT NULL AND e.right_record_key IS NOT NULL \
         GROUP BY e.profile_id \
         HAVING count(*) = 1 AND min(e.rule) = 'email' ORDER BY min(e.value) LIMIT 1";
    engineer.value(query).await
}

#[tokio::test]
async fn a_class_is_in_force_at_once_stays_through_rebuilds_and_leaves_no_trace_when_it_is_reset() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let before = Contents::of(&lake.lake);
    let email = mailbox(&engineer).await;
    let everybody = engineer.number("SELECT count(*) FROM profiles").await;
    let alter = |what: &str| format!("ALTER IDENTIFIER VALUE (email, '{email}') {what}");
    let made = engineer.rows(&alter("SET CLASS nobody REASON 'the mailbox of a desk'")).await;
    assert!(engineer.number("SELECT count(*) FROM profiles").await > everybody);
    let text = |text: &str| Some(text.to_owned());
    assert!(made.len() > 1 && made.iter().all(|row| row[0] == text("1")), "{made:?}");
    let status = format!("SELECT DISTINCT status FROM profile_identifiers WHERE value = '{email}'");
    assert_eq!(engineer.rows(&status).await, [[text("nobody")]]);
    let listed = format!(
        "SELECT class, records, decided, blocked FROM cdp.identifier_values WHERE value = '{email}'"
    );
    assert_eq!(engineer.rows(&listed).await, [["nobody", "2", "t", "f"].map(text)]);
    let marketer = server.session("marketer").await;
    assert_eq!(marketer.failure(&listed).await.sqlstate, "42P01", "it tells of others");
    let shown =
        "SELECT kind, value, class, reason, actor, status, revoked_by FROM identifier_overrides";
    let told = |status: &str, revoked_by: Option<String>| {
        let told = ["email", &email, "nobody", "the mailbox of a desk", "engineer", status];
        [told.map(text).to_vec(), vec![revoked_by]].concat()
    };
    assert_eq!(engineer.rows(shown).await, [told("in force", None)]);
    engineer.rows("REFRESH ALL").await;
    let classed = Contents::of(&lake.lake);
    engineer.rows("REFRESH ALL FULL").await;
    Contents::of(&lake.lake).assert_same(&classed, "a rebuild");
    drop((engineer, server));
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    engineer.rows(&alter("RESET CLASS REASON 'it is hers'")).await;
    assert_eq!(engineer.number("SELECT count(*) FROM profiles").await, everybody);
    assert_eq!(engineer.rows(shown).await, [told("revoked", text("engineer"))]);
    engineer.rows("REFRESH ALL").await;
    Contents::of(&lake.lake).assert_same(&before, "a class that was reset");
    let officer = server.session("privacy_officer").await;
    let logged = officer
        .rows("SELECT DISTINCT role, relations, status FROM cdp.audit_log WHERE class = 'define' AND relations LIKE '%identifier_overrides%'")
        .await;
    assert_eq!(logged.len(), 1, "{logged:?}");
}

/// The mailbox is nobody's and holds nobody together, and the decision is there; or none of it. Tells which.
async fn is_decided(engineer: &Session, email: &str, everybody: i64) -> bool {
    let nobody = format!(
        "SELECT count(*) FROM profile_identifiers WHERE value = '{email}' AND status = 'nobody'"
    );
    let in_force = "SELECT count(*) FROM identifier_overrides WHERE status = 'in force'";
    let seen = (
        engineer.number(&nobody).await > 0,
        engineer.number("SELECT count(*) FROM profiles").await > everybody,
        engineer.number(in_force).await,
    );
    assert!([(true, true, 1), (false, false, 0)].contains(&seen), "half of it: {seen:?}");
    seen.0
}

#[tokio::test]
async fn a_class_that_is_set_or_reset_while_the_server_is_killed_is_whole_or_not_there() {
    const MOMENTS: usize = 8;
    let lake = small().copied();
    let mut server = lake.serve();
    let engineer = server.session("engineer").await;
    let before = Contents::of(&lake.lake);
    let email = mailbox(&engineer).await;
    let everybody = engineer.number("SELECT count(*) FROM profiles").await;
    drop(engineer);
    for moment in 0..MOMENTS {
        let (is_set, what) = match moment % 2 {
            0 => (true, "SET CLASS nobody REASON 'the mailbox of a desk'"),
            _ => (false, "RESET CLASS"),
        };
        let alter = format!("ALTER IDENTIFIER VALUE (email, '{email}') {what}");
        killed(&lake, server, &alter, moment / 2 * 3).await;
        server = lake.serve();
        let engineer = server.session("engineer").await;
        if is_decided(&engineer, &email, everybody).await != is_set {
            engineer.rows(&alter).await;
            assert_eq!(is_decided(&engineer, &email, everybody).await, is_set, "{alter}");
        }
    }
    let engineer = server.session("engineer").await;
    engineer.rows("REFRESH ALL").await;
    Contents::of(&lake.lake).assert_same(&before, "after all");
}
