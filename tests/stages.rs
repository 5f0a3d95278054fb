//! `cdp.identity_stages`: the stages of a refresh in their order, with figures that are those of the graph itself.

use crate::fuzzy::{FUZZY, project};
use crate::harness::{Session, connect};

/// The run that ended last of those that made profiles.
async fn newest(engineer: &Session) -> String {
    let run = "SELECT run FROM cdp.refreshes WHERE object = 'profiles' AND status = 'done' \
               ORDER BY at DESC LIMIT 1";
    engineer.value(run).await
}

/// The names of the stages of a run.
async fn stages(engineer: &Session, run: &str) -> String {
    let stages = format!(
        "SELECT string_agg(stage, ' ' ORDER BY number) FROM cdp.identity_stages \
         WHERE run = '{run}' AND rule IS NULL"
    );
    engineer.value(&stages).await
}

/// A figure of a stage of a run.
async fn figure(engineer: &Session, run: &str, stage: &str, column: &str) -> i64 {
    let figure = format!(
        "SELECT {column} FROM cdp.identity_stages WHERE run = '{run}' AND stage = '{stage}' AND rule IS NULL"
    );
    engineer.number(&figure).await
}

/// What a run that looked at everything says of pairs is what the graph holds.
async fn figures_are_those_of_the_graph(engineer: &Session, run: &str) {
    let of_rules = format!("FROM cdp.identity_stages WHERE run = '{run}' AND rule IS NOT NULL");
    let said = format!("SELECT rule, accepted {of_rules} AND accepted > 0 ORDER BY rule");
    let held = "SELECT rule, count(*) FROM identity_edges GROUP BY rule ORDER BY rule";
    assert_eq!(engineer.rows(&said).await, engineer.rows(held).await);
    let said = format!("SELECT rule, refused + cut {of_rules} AND refused + cut > 0 ORDER BY rule");
    let held = "SELECT rule, count(*) FROM identity_violations WHERE figure IS NULL GROUP BY rule ORDER BY rule";
    assert_eq!(engineer.rows(&said).await, engineer.rows(held).await);
    let cut = "SELECT count(*) FROM identity_violations WHERE reason IN ('torn', 'outweighed')";
    assert_eq!(figure(engineer, run, "join", "cut").await, engineer.number(cut).await);
    let profiles = engineer.number("SELECT count(*) FROM profiles").await;
    assert_eq!(figure(engineer, run, "lead", "profiles").await, profiles);
    // Whoever is gone was looked at, too.
    assert!(figure(engineer, run, "profiles", "profiles").await >= profiles);
    // Stages say the sums of what is said of the rules.
    for column in ["candidates", "scored", "accepted", "refused", "cut"] {
        let sums = format!(
            "SELECT coalesce(sum({column}) FILTER (WHERE rule IS NULL AND stage <> 'lead'), 0)
                  = coalesce(sum({column}) FILTER (WHERE rule IS NOT NULL), 0)
             FROM cdp.identity_stages WHERE run = '{run}'"
        );
        assert_eq!(engineer.value(&sums).await, "t", "{column}");
    }
    let untold = format!(
        "SELECT count(*) FROM cdp.identity_stages WHERE run = '{run}' \
         AND ((seconds IS NULL) <> (rule IS NOT NULL) OR seconds < 0)"
    );
    assert_eq!(engineer.number(&untold).await, 0, "every stage has its time");
}

#[tokio::test]
async fn a_refresh_tells_where_its_time_goes_and_what_becomes_of_pairs() {
    let project = project();
    let (server, engineer) = project.serve().await;
    assert_eq!(engineer.number("SELECT count(*) FROM cdp.identity_stages").await, 0);
    engineer.run("REFRESH ALL").await.unwrap();
    let exact = newest(&engineer).await;
    let by_exact_rules = "read classify propose join lead write profiles publish";
    assert_eq!(stages(&engineer, &exact).await, by_exact_rules);
    for column in ["subjects", "records"] {
        assert_eq!(figure(&engineer, &exact, "read", column).await, 1_611, "{column}");
    }
    assert_eq!(figure(&engineer, &exact, "propose", "subjects").await, 1_611);
    let components = figure(&engineer, &exact, "propose", "components").await;
    let largest = figure(&engineer, &exact, "propose", "largest_component").await;
    assert!(components > 1 && largest > 1 && components + largest - 1 <= 1_611);
    figures_are_those_of_the_graph(&engineer, &exact).await;
    let rules = format!(
        "SELECT string_agg(rule, ' ' ORDER BY number) FROM cdp.identity_stages \
         WHERE run = '{exact}' AND rule IS NOT NULL"
    );
    assert_eq!(engineer.value(&rules).await, "email phone name_birth");

    // A model is trained, and weighs all that was there.
    engineer
        .run(&FUZZY.replace("SCORE >= 0.9", "SCORE >= 0.9 HOUSEHOLD SCORE >= 0.9"))
        .await
        .unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    let trained = newest(&engineer).await;
    let weighing = "read classify weigh propose join lead households train write profiles publish";
    assert_eq!(stages(&engineer, &trained).await, weighing);
    assert_eq!(figure(&engineer, &trained, "train", "records").await, 1_611);
    assert!(figure(&engineer, &trained, "weigh", "scored").await > 1_000);
    figures_are_those_of_the_graph(&engineer, &trained).await;

    // One record more is looked at, and not all others.
    let header = "key,given,surname,born,street,code,email,phone\n";
    let pet = |key: &str| format!("{header}{key},Kubuś,Wójcikovski,1980-05-06,Polna 3,00-001,,\n");
    project.write("data/3-later.csv", &pet("pet-3"));
    engineer.run("REFRESH ALL").await.unwrap();
    let one_more = newest(&engineer).await;
    assert_eq!(stages(&engineer, &one_more).await, weighing.replace("train ", ""));
    assert_eq!(figure(&engineer, &one_more, "read", "records").await, 1);
    assert!((1..=3).contains(&figure(&engineer, &one_more, "propose", "components").await));
    assert!(figure(&engineer, &one_more, "propose", "subjects").await < 20);
    let weighed = figure(&engineer, &one_more, "weigh", "scored").await;
    assert!((1..1_000).contains(&weighed), "{weighed} pairs");

    // Where there is nothing to do nothing is noted; who starts anew reads anew.
    let rows = engineer.number("SELECT count(*) FROM cdp.identity_stages").await;
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(engineer.number("SELECT count(*) FROM cdp.identity_stages").await, rows);
    drop((server, engineer));
    let (server, engineer) = project.serve().await;
    project.write("data/4-later.csv", &pet("pet-4"));
    engineer.run("REFRESH ALL").await.unwrap();
    let anew = newest(&engineer).await;
    assert_eq!(
        stages(&engineer, &anew).await,
        format!("replay {}", weighing.replace("train ", ""))
    );
    assert_eq!(figure(&engineer, &anew, "replay", "records").await, 1_612);
    assert_eq!(figure(&engineer, &anew, "read", "records").await, 1);
    assert!(
        figure(&engineer, &anew, "weigh", "scored").await < 1_000,
        "what was there is not counted"
    );

    // It is for those who look after the lake.
    engineer.run("CREATE ROLE reader LOGIN PASSWORD 'demo' PURPOSES (service)").await.unwrap();
    let reader = connect(&server, "reader", "demo").await.unwrap();
    assert_eq!(reader.failure("SELECT * FROM cdp.identity_stages").await.sqlstate, "42P01");
}
