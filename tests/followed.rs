//! Identity overrides that are followed: rows of a table say who is who for as long as they are there.

use crate::harness::{Project, Session, onefold};

const DEFINITIONS: [(&str, &str); 8] = [
    ("purposes/service.sql", "CREATE PURPOSE service LEGAL BASIS contract"),
    ("purposes/marketing.sql", "CREATE PURPOSE marketing LEGAL BASIS consent"),
    (
        "roles/engineer.sql",
        "CREATE ROLE engineer LOGIN PASSWORD 'demo' PURPOSES (service) MAY (define, refresh)",
    ),
    (
        "roles/steward.sql",
        "CREATE ROLE steward LOGIN PASSWORD 'demo' PURPOSES (marketing) MAY (define)",
    ),
    ("roles/viewer.sql", "CREATE ROLE viewer LOGIN PASSWORD 'demo' PURPOSES (service)"),
    (
        "sources/contacts.sql",
        "CREATE SOURCE contacts (key text, given text, surname text, email text)
           FROM FILE ('data/contacts/*.csv') FORMAT csv AS RECORDS KEY (key) NULL VALUES ('')
           IDENTIFIERS (email => email) PERSON (first_name => given, last_name => surname)",
    ),
    (
        "identity/customer.sql",
        "CREATE IDENTITY GRAPH customer IDENTIFIERS (email NORMALIZE email PRIORITY 1)",
    ),
    ("data/contacts/1.csv", CONTACTS),
];

/// Two records of Ewa share a mailbox; nothing joins any others.
const CONTACTS: &str = "key,given,surname,email
a-1,Jan,Nowak,jan@x.example
a-2,Jan,Nowak,jn@y.example
b-1,Ewa,Lis,ewa@x.example
b-2,Ewa,Lis,ewa@x.example
c-1,Piotr,Kos,piotr@x.example
";

const TABLE: &str = "CREATE TABLE analytics.answers (left_source text, left_record_key text,
    right_source text, right_record_key text, decision text, reason text, actor text)";

const FOLLOW: &str = "CREATE IDENTITY OVERRIDES desk AS SELECT * FROM analytics.answers";

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Adds an answer about two contacts to the table.
async fn answer(engineer: &Session, left: &str, right: &str, decision: &str) {
    let row = format!("'contacts', '{left}', 'contacts', '{right}', '{decision}', 'asked', 'ada'");
    engineer.run(&format!("INSERT INTO analytics.answers VALUES ({row})")).await.unwrap();
}

/// The keys of each person, sorted.
async fn people(engineer: &Session) -> Vec<String> {
    let query = "SELECT string_agg(record_key, ' ' ORDER BY record_key) FROM profile_records
                 GROUP BY profile_id";
    let mut people: Vec<String> =
        engineer.rows(query).await.into_iter().map(|row| row[0].clone().unwrap()).collect();
    people.sort();
    people
}

/// Everything that the graph says, sorted.
async fn graph(engineer: &Session) -> Vec<Vec<Vec<Option<String>>>> {
    let mut found = Vec::new();
    for relation in [
        "profile_records",
        "profile_identifiers",
        "identity_edges",
        "identity_violations",
        "profile_merges",
        "identity_overrides",
    ] {
        let mut rows = engineer.rows(&format!("SELECT * FROM {relation}")).await;
        rows.sort();
        found.push(rows);
    }
    found
}

/// What became of each row: the two keys and its status, sorted.
async fn statuses(engineer: &Session) -> Vec<String> {
    let query =
        "SELECT concat_ws(' ', left_record_key, right_record_key, status) FROM identity_overrides
                 WHERE origin = 'identity overrides desk' AND number IS NULL";
    let mut found: Vec<String> =
        engineer.rows(query).await.into_iter().map(|row| row[0].clone().unwrap()).collect();
    found.sort();
    found
}

#[tokio::test]
async fn a_row_is_in_force_from_one_refresh_to_the_next_and_goes_with_its_row() {
    let project = Project::of(&DEFINITIONS);
    let (server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    let before = graph(&engineer).await;
    let apart = ["a-1", "a-2", "b-1 b-2", "c-1"];
    assert_eq!(people(&engineer).await, apart);
    engineer.run(TABLE).await.unwrap();
    engineer.run(FOLLOW).await.unwrap();
    answer(&engineer, "a-1", "a-2", "same").await;
    answer(&engineer, "b-2", "b-1", "different").await;
    assert_eq!(people(&engineer).await, apart, "it waits for the refresh");
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(people(&engineer).await, ["a-1 a-2", "b-1", "b-2", "c-1"]);

    // Who said so, and why.
    let shown =
        "SELECT number, kind, left_record_key, right_record_key, reason, actor, status, origin
                 FROM identity_overrides ORDER BY left_record_key";
    let row = |kind: &str, left: &str, right: &str| {
        let texts = [kind, left, right, "asked", "ada", "in force", "identity overrides desk"];
        [vec![None], texts.map(text).to_vec()].concat()
    };
    let expected = [row("must_link", "a-1", "a-2"), row("cannot_link", "b-2", "b-1")];
    assert_eq!(engineer.rows(shown).await, expected);
    let edge = "SELECT value FROM identity_edges WHERE rule = 'override'";
    assert_eq!(engineer.rows(edge).await, [[text("desk")]]);

    // Nothing new does no work, and a rebuild comes to the same.
    let followed = graph(&engineer).await;
    engineer.run("REFRESH ALL").await.unwrap();
    engineer.run("REFRESH ALL FULL").await.unwrap();
    assert_eq!(graph(&engineer).await, followed, "REFRESH ALL FULL");
    drop((engineer, server));

    // A process that has not worked with the lake before makes anew only those whom a row is about.
    let (_server, engineer) = project.serve().await;
    answer(&engineer, "a-2", "c-1", "same").await;
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(people(&engineer).await, ["a-1 a-2 c-1", "b-1", "b-2"]);
    let touched = "SELECT rows_out FROM cdp.refreshes WHERE object = 'profiles' AND status = 'done'
                   ORDER BY at DESC LIMIT 1";
    assert!(engineer.number(touched).await <= 2, "only whom the row is about");
    let incremental = graph(&engineer).await;
    engineer.run("REFRESH ALL FULL").await.unwrap();
    assert_eq!(graph(&engineer).await, incremental, "REFRESH ALL FULL");

    // A row that changes, and one that goes.
    let update =
        "UPDATE analytics.answers SET decision = 'different' WHERE left_record_key = 'a-1'";
    engineer.run(update).await.unwrap();
    engineer.run("DELETE FROM analytics.answers WHERE left_record_key = 'b-2'").await.unwrap();
    engineer.run("REFRESH IDENTITY OVERRIDES desk").await.unwrap();
    assert_eq!(people(&engineer).await, ["a-1", "a-2 c-1", "b-1 b-2"]);

    // What is read stays, and when it is followed no more nothing of it does.
    let failure = engineer.failure("DROP TABLE analytics.answers").await;
    assert_eq!(failure.sqlstate, "2BP01", "{failure}");
    assert!(failure.message.contains("identity overrides \"desk\" depends on it"), "{failure}");
    engineer.run("DROP IDENTITY OVERRIDES desk").await.unwrap();
    engineer.run("DROP TABLE analytics.answers").await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(graph(&engineer).await, before, "after it was dropped");
    engineer.run("REFRESH ALL FULL").await.unwrap();
    assert_eq!(graph(&engineer).await, before, "REFRESH ALL FULL");
}

#[tokio::test]
async fn what_contradicts_or_says_nothing_is_told_and_the_rest_is_in_force() {
    let project = Project::of(&DEFINITIONS);
    let (_server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    engineer.run(TABLE).await.unwrap();
    engineer.run(FOLLOW).await.unwrap();
    answer(&engineer, "a-1", "a-2", "same").await;
    answer(&engineer, "a-2", "c-1", "same").await;
    answer(&engineer, "c-1", "a-1", "different").await;
    answer(&engineer, "b-1", "b-2", "different").await;
    answer(&engineer, "b-1", "d-1", "same").await;
    answer(&engineer, "a-1", "b-1", "perhaps").await;
    answer(&engineer, "b-2", "b-2", "same").await;
    let odd = "INSERT INTO analytics.answers VALUES ('nowhere', 'x', 'contacts', 'a-1', 'same', NULL, NULL),
               ('contacts', 'a-1', 'contacts', NULL, 'same', NULL, NULL)";
    engineer.run(odd).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    // Which of the three is wrong is not guessed: who is told apart is apart, and the others are left to the rules.
    assert_eq!(people(&engineer).await, ["a-1", "a-2", "b-1", "b-2", "c-1"]);
    let told = [
        "a-1 a-2 contradicted",
        "a-1 b-1 not understood",
        "a-1 not understood",
        "a-2 c-1 contradicted",
        "b-1 b-2 in force",
        "b-1 d-1 in force",
        "b-2 b-2 not understood",
        "c-1 a-1 in force",
        "x a-1 no such source",
    ];
    assert_eq!(statuses(&engineer).await, told);
    let refused = "SELECT rule, value, count(*) FROM identity_violations WHERE reason = 'contradicted' GROUP BY 1, 2";
    assert_eq!(engineer.rows(refused).await, [["override", "desk", "2"].map(text)]);

    // What people decide must not contradict a row, as it must not contradict another decision.
    for statement in
        [r#"SELECT cdp.decide('["contacts","b-1","contacts","b-2"]', 'same')"#.to_owned(), {
            let ids =
                "SELECT profile_id FROM profile_records WHERE record_key LIKE 'b-%' ORDER BY 1";
            let ids: Vec<String> =
                engineer.rows(ids).await.into_iter().map(|row| row[0].clone().unwrap()).collect();
            format!("MERGE PROFILES {} REASON 'one voice'", ids.join(", "))
        }]
    {
        let failure = engineer.failure(&statement).await;
        assert_eq!(failure.sqlstate, "23P01", "{statement}: {failure}");
        let says =
            "a row of identity overrides \"desk\" says that records of these are of two people";
        assert_eq!(failure.message, says, "{statement}");
    }
    // A row that contradicts a decision is told, too, and the decision to keep apart holds.
    let decide = r#"SELECT cdp.decide('["contacts","b-2","contacts","c-1"]', 'different')"#;
    engineer.run(decide).await.unwrap();
    answer(&engineer, "b-2", "c-1", "same").await;
    engineer.run("REFRESH ALL").await.unwrap();
    assert!(statuses(&engineer).await.contains(&"b-2 c-1 contradicted".to_owned()));

    // A record that a row waits for.
    project.write("data/contacts/2.csv", "key,given,surname,email\nd-1,Ewelina,Lis,e@z.example\n");
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(people(&engineer).await, ["a-1", "a-2", "b-1 d-1", "b-2", "c-1"]);
    let incremental = graph(&engineer).await;
    engineer.run("REFRESH ALL FULL").await.unwrap();
    assert_eq!(graph(&engineer).await, incremental, "REFRESH ALL FULL");
}

#[tokio::test]
async fn they_are_for_who_may_define_and_sees_everyone_and_read_nothing_that_hangs_on_them() {
    let project = Project::of(&DEFINITIONS);
    let (server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    engineer.run(TABLE).await.unwrap();
    let (steward, viewer) = (server.session("steward").await, server.session("viewer").await);
    for (session, message) in [
        (&viewer, "role \"viewer\" may not define identity overrides"),
        (&steward, "purpose \"marketing\" does not define identity overrides"),
    ] {
        let failure = session.failure(FOLLOW).await;
        assert_eq!(failure.sqlstate, "42501", "{failure}");
        assert!(failure.message.starts_with(message), "{failure}");
    }
    let columns = "'contacts' AS left_source, 'a' AS left_record_key, 'contacts' AS right_source,
                   'b' AS right_record_key, 'same' AS decision";
    for (query, sqlstate, says) in [
        (
            format!("SELECT {columns} FROM public.profiles"),
            "0A000",
            "reading public.profiles in identity",
        ),
        (
            format!("SELECT {columns} FROM cdp.identity_review"),
            "0A000",
            "reading cdp.identity_review",
        ),
        (format!("SELECT {columns} FROM analytics.nothing"), "42P01", "nothing"),
        ("SELECT * FROM sources.contacts".to_owned(), "22023", "has no column \"left_source\""),
    ] {
        let failure = engineer.failure(&format!("CREATE IDENTITY OVERRIDES desk AS {query}")).await;
        assert_eq!(failure.sqlstate, sqlstate, "{query}: {failure}");
        assert!(failure.message.contains(says), "{query}: {failure}");
    }
    engineer.run(FOLLOW).await.unwrap();
    let named = engineer.rows("SHOW IDENTITY OVERRIDES").await;
    assert_eq!(named, [[text("desk"), None]]);
    assert_eq!(viewer.rows("SHOW IDENTITY OVERRIDES").await.len(), 0);
    let shown = engineer.rows("SHOW CREATE IDENTITY OVERRIDES desk").await;
    assert_eq!(shown, [[text("desk"), text(FOLLOW)]]);
    let objects = "SELECT name FROM cdp.objects WHERE kind = 'identity overrides'";
    assert_eq!(engineer.value(objects).await, "desk");
    let failure = engineer.failure("DROP IDENTITY OVERRIDES table").await;
    assert_eq!(failure.sqlstate, "42704", "{failure}");
    assert!(failure.hint.clone().unwrap().contains("SHOW IDENTITY OVERRIDES lists"), "{failure}");
    // Who does not see everyone sees nothing of two persons at a time.
    assert_eq!(steward.failure("SELECT * FROM identity_overrides").await.sqlstate, "42P01");
}

#[tokio::test]
async fn a_project_may_follow_a_source_from_its_first_refresh_on() {
    let follow = "CREATE IDENTITY OVERRIDES desk AS
        SELECT 'contacts' AS left_source, left_key AS left_record_key, 'contacts' AS right_source,
               right_key AS right_record_key, decision FROM sources.answers";
    let answers = [
        (
            "sources/answers.sql",
            "CREATE SOURCE answers (id text, left_key text, right_key text, decision text)
               FROM FILE ('data/answers/*.csv') FORMAT csv AS RECORDS KEY (id)",
        ),
        ("data/answers/1.csv", "id,left_key,right_key,decision\n1,a-1,a-2,same\n"),
        ("identity/desk.sql", follow),
    ];
    let files: Vec<(&str, &str)> = DEFINITIONS.into_iter().chain(answers).collect();
    let project = Project::of(&files);
    let lake = project.lake();
    let root = project.root();
    let plan = || onefold(&["plan", root.to_str().unwrap(), "--dir", lake.to_str().unwrap()]);
    plan().success();
    let (server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    // The answer is a record, too, of whom it says nothing.
    assert_eq!(people(&engineer).await, ["1", "a-1 a-2", "b-1 b-2", "c-1"]);
    let failure = engineer.failure("DROP SOURCE answers").await;
    assert_eq!(failure.sqlstate, "2BP01", "{failure}");
    assert!(failure.message.contains("identity overrides \"desk\""), "{failure}");
    // The same key in a later file is another answer.
    project.write("data/answers/2.csv", "id,left_key,right_key,decision\n1,a-1,c-1,same\n");
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(people(&engineer).await, ["1", "a-1 c-1", "a-2", "b-1 b-2"]);
    drop((engineer, server));
    plan().success();
    project.write(
        "identity/desk.sql",
        &follow.replace("decision FROM", "'different' AS decision FROM"),
    );
    let planned = plan().exits_with(3);
    assert!(planned.stdout.contains("~ identity overrides \"desk\""), "{planned}");
}
