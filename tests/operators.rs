//! Operators of identity resolution over the wire: they are in the plan by name, they see whom the session sees, and what they
//! read is on record.

use std::collections::BTreeSet;

use crate::harness::{Session, shared_server, small};

/// Every pair of profiles of one town that are not too many, and what hangs together by them.
const BY_TOWN: &str = "SELECT id FROM connected_components((SELECT left_id, right_id
                       FROM candidate_pairs((SELECT profile_id, city || postal_code FROM profiles)) p)) c";

async fn ids(session: &Session, sql: &str) -> BTreeSet<String> {
    session.rows(sql).await.into_iter().map(|mut row| row.remove(0).unwrap()).collect()
}

#[tokio::test]
async fn a_plan_names_the_operators_above_the_governed_leaf() {
    let server = shared_server();
    for role in ["engineer", "marketer"] {
        let session = server.session(role).await;
        let plan = session.rows(&format!("EXPLAIN {BY_TOWN}")).await.concat();
        let plan = plan.into_iter().flatten().collect::<Vec<_>>().join("\n");
        let at = |name: &str| plan.find(name).unwrap_or_else(|| panic!("{name} is not in {plan}"));
        assert!(at("ComponentsExec") < at("BlockingJoinExec"), "{plan}");
        assert!(at("BlockingJoinExec") < at("GovernedScanExec"), "{plan}");
    }
}

#[tokio::test]
async fn whom_a_session_cannot_see_is_in_no_component() {
    let server = shared_server();
    let (engineer, marketer) = (server.session("engineer").await, server.session("marketer").await);
    let visible = ids(&marketer, "SELECT profile_id FROM profiles").await;
    let (of_engineer, of_marketer) = (ids(&engineer, BY_TOWN).await, ids(&marketer, BY_TOWN).await);
    assert!(!of_marketer.is_empty());
    assert!(of_marketer.is_subset(&visible), "somebody hidden is in a component");
    assert!(!of_engineer.is_subset(&visible), "nobody is hidden from the marketer");
}

#[tokio::test]
async fn what_an_operator_reads_is_on_record() {
    let lake = small().copied();
    let server = lake.serve();
    let (marketer, officer) =
        (server.session("marketer").await, server.session("privacy_officer").await);
    let reads = "SELECT count(*) FROM cdp.audit_log WHERE role = 'marketer' AND relations LIKE '%public.profiles%'";
    let before = officer.number(reads).await;
    marketer.rows(BY_TOWN).await;
    assert!(officer.number(reads).await > before, "the read is not on record");
}

#[tokio::test]
async fn rows_of_persons_are_not_kept_under_the_names_of_an_operator() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    engineer
        .run("CREATE ROLE builder LOGIN PASSWORD 'demo' PURPOSES (service) MAY (write)")
        .await
        .unwrap();
    let builder = server.session("builder").await;
    let kept = format!("CREATE TABLE analytics.towns AS {BY_TOWN}");
    let failure = builder.failure(&kept).await;
    assert_eq!(failure.sqlstate, "42501", "{failure}");
    assert!(failure.message.contains("under another name"), "{failure}");
    let summed =
        format!("CREATE TABLE analytics.sizes AS SELECT count(*) AS people FROM ({BY_TOWN}) c");
    builder.run(&summed).await.unwrap();
}
