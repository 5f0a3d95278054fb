//! Applying a project: one publication, checked before, so that it is done whole or refused.

use std::path::Path;

use crate::harness::{Built, Contents, Finished, files, onefold, small, sql_csv};

fn plan(lake: &Built) -> Finished {
    onefold(&["plan", lake.project.to_str().unwrap(), "--dir", lake.dir()])
}

fn apply(lake: &Built) -> Finished {
    onefold(&["apply", lake.project.to_str().unwrap(), "--dir", lake.dir()])
}

fn write(lake: &Built, path: &str, text: &str) {
    let path = lake.project.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Rewrites every definition of the project.
fn rewrite(lake: &Built, with: impl Fn(&str) -> String) {
    for path in files(&lake.project) {
        if path.extension().is_some_and(|extension| extension == "sql") {
            let path = lake.project.join(path);
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, with(&text)).unwrap();
        }
    }
}

/// What is defined in a lake.
fn objects(lake: &Built) -> String {
    sql_csv(&lake.lake, "engineer", "SELECT kind, name, definition FROM cdp.objects ORDER BY 1, 2")
}

/// The number of the newest catalog document.
fn publication(lake: &Path) -> u64 {
    let documents = files(&lake.join("_catalog"));
    let numbers = documents.iter().filter_map(|path| path.file_stem()?.to_str()?.parse().ok());
    numbers.max().expect("a lake has a catalog")
}

#[test]
fn the_graph_can_be_renamed() {
    let lake = small().copied();
    let before = Contents::of(&lake.lake).without_intake();
    rewrite(&lake, |text| {
        text.replace("ON customer", "ON person").replace("GRAPH customer", "GRAPH person")
    });
    let planned = plan(&lake).exits_with(3);
    assert!(planned.stdout.contains("- identity graph \"customer\""), "{planned}");
    let published = publication(&lake.lake);
    apply(&lake).success();
    assert_eq!(publication(&lake.lake), published + 1, "not one publication");
    lake.refresh();
    Contents::of(&lake.lake).without_intake().assert_same(&before, "another name of the graph");
    plan(&lake).success();
}

#[test]
fn keys_of_a_fuzzy_rule_are_planned_and_applied_as_they_are_written() {
    let lake = small().copied();
    let rule = "(same_person FUZZY BLOCK ON ((surname, year(birth_date)), (email)),";
    rewrite(&lake, |text| text.replace("MATCH (", &format!("MATCH {rule}")));
    let planned = plan(&lake).exits_with(3);
    assert!(
        planned.stdout.contains("BLOCK ON ((surname, year(birth_date)), (email))"),
        "{planned}"
    );
    apply(&lake).success();
    plan(&lake).success();
    let none = |text: &str| text.replace("(surname, year(birth_date))", "(surname, shoe_size)");
    rewrite(&lake, none);
    let refused = apply(&lake).exits_with(1);
    assert!(refused.stderr.contains("BLOCK ON names \"shoe_size\""), "{refused}");
}

#[test]
fn what_cannot_work_is_refused_and_leaves_nothing() {
    let (before, cases) = (small(), cases());
    let objects_before = objects(before);
    for (files, removed, message, hint) in cases {
        let lake = small().copied();
        let published = publication(&lake.lake);
        write(&lake, "traits/fine.sql", FINE);
        files.iter().for_each(|(path, text)| write(&lake, path, text));
        removed.iter().for_each(|path| std::fs::remove_file(lake.project.join(path)).unwrap());
        let planned = plan(&lake).exits_with(1);
        assert!(planned.stdout.contains("trait \"fine\""), "the plan is shown: {planned}");
        for refused in [planned, apply(&lake).exits_with(1)] {
            assert!(refused.stderr.contains(message), "no {message:?} in {refused}");
            assert!(refused.stderr.contains(hint), "no {hint:?} in {refused}");
        }
        assert_eq!(publication(&lake.lake), published, "something was published");
        assert_eq!(objects(&lake), objects_before);
    }
}

/// A trait that nothing is wrong with.
const FINE: &str = "CREATE TRAIT fine ON customer AS
SELECT profile_id, count(*) AS contacts FROM sources.crm_contacts GROUP BY profile_id";

/// Files, files that are removed, the message and the hint.
type Case = (Vec<(&'static str, &'static str)>, Vec<&'static str>, &'static str, &'static str);

fn cases() -> Vec<Case> {
    let segment = "CREATE SEGMENT bad ON customer FOR PURPOSE service ";
    let bad = |query: &str| -> &'static str { Box::leak(format!("{segment}{query}").into()) };
    vec![
        (
            vec![("segments/bad.sql", bad("WHERE contcats > 1"))],
            vec![],
            "segment \"bad\" cannot work: column \"contcats\" does not exist",
            "Did you mean \"contacts\"?",
        ),
        (
            vec![(
                "traits/bad.sql",
                "CREATE TRAIT bad ON customer AS SELECT profile_id, count(*) OVER () AS n FROM sources.crm_contacts",
            )],
            vec![],
            "trait \"bad\" cannot work: ",
            "",
        ),
        (
            vec![(
                "traits/bad.sql",
                "CREATE TRAIT bad ON customer AS SELECT profile_id, count(*) AS email FROM sources.crm_contacts GROUP BY profile_id",
            )],
            vec![],
            "trait \"bad\" cannot work: column \"email\" of profiles is defined twice",
            "rename one",
        ),
        // What the change itself takes away is not there.
        (
            vec![(
                "segments/big_spenders.sql",
                "CREATE SEGMENT big_spenders ON customer FOR PURPOSE analytics WHERE total_spent >= 300",
            )],
            vec!["traits/orders.sql"],
            "segment \"big_spenders\" cannot work: column \"total_spent\" does not exist",
            "",
        ),
    ]
}

#[test]
fn what_belongs_together_is_applied_together() {
    let lake = small().copied();
    write(&lake, "data/visits/day.csv", "id,email,minutes\n1,nobody@example.com,5\n");
    write(
        &lake,
        "sources/visits.sql",
        "CREATE SOURCE visits FROM FILE ('data/visits/*.csv') FORMAT csv AS EVENTS KEY (id) IDENTIFIERS (email => email)",
    );
    // Over a source that nobody has read yet, and over one that is known.
    write(
        &lake,
        "traits/visits.sql",
        "CREATE TRAIT visits ON customer AS SELECT profile_id, sum(minutes) AS minutes FROM sources.visits GROUP BY profile_id",
    );
    write(&lake, "traits/fine.sql", FINE);
    write(
        &lake,
        "purposes/visiting.sql",
        "CREATE PURPOSE visiting LEGAL BASIS legitimate_interest",
    );
    write(
        &lake,
        "segments/visitors.sql",
        "CREATE SEGMENT visitors ON customer FOR PURPOSE visiting WHERE minutes >= 5 AND contacts > 1",
    );
    std::fs::remove_file(lake.project.join("segments/loyal_readers.sql")).unwrap();
    let published = publication(&lake.lake);
    plan(&lake).exits_with(3);
    apply(&lake).success();
    assert_eq!(publication(&lake.lake), published + 1, "not one publication");
    // Once more before the refresh: what is to be made counts, not what is there.
    write(
        &lake,
        "segments/contacted.sql",
        "CREATE SEGMENT contacted ON customer FOR PURPOSE service WHERE contacts >= 1",
    );
    apply(&lake).success();
    lake.refresh();
    let count = "SELECT count(*) > 0 FROM segments.contacted";
    assert_eq!(sql_csv(&lake.lake, "engineer", count).lines().last(), Some("true"));
    plan(&lake).success();
}
