//! Why records are one person and why others are not, over the wire: for those who may know, and for nobody else.

use std::collections::BTreeSet;

use crate::harness::{Project, Session, shared_server, small};

/// Two records of one profile that a joining edge ties, with that edge: profile, rule, value, and both records.
async fn joined(engineer: &Session, rule: &str) -> Vec<String> {
    let query = format!(
        "SELECT profile_id, rule, value, left_source, left_record_key, right_source, right_record_key \
         FROM identity_edges WHERE joined AND rule = '{rule}' AND left_record_key IS NOT NULL \
         AND right_record_key IS NOT NULL ORDER BY profile_id LIMIT 1"
    );
    engineer.rows(&query).await.remove(0).into_iter().map(Option::unwrap).collect()
}

fn texts(row: &[Option<String>]) -> Vec<&str> {
    row.iter().map(|value| value.as_deref().unwrap_or("-")).collect()
}

#[tokio::test]
async fn a_way_leads_from_one_record_to_the_other_and_a_cut_parts_them() {
    let server = shared_server();
    let engineer = server.session("engineer").await;
    let edge = joined(&engineer, "email").await;
    let [_, rule, value, source, key, other, other_key] = edge.as_slice() else {
        panic!("{edge:?}")
    };
    let why = engineer
        .rows(&format!(
            "SELECT part, step, rule, kind, value, class, weight > 0, left_source, left_record_key, \
                    right_source, right_record_key \
             FROM why_merged('{source}', '{key}', '{other}', '{other_key}')"
        ))
        .await;
    let path: Vec<_> = why.iter().map(|row| texts(row)).filter(|row| row[0] == "path").collect();
    let cut: Vec<_> = why.iter().map(|row| texts(row)).filter(|row| row[0] == "cut").collect();
    // It begins with one and ends with the other, and each step goes on from where the one before came to.
    assert_eq!(path[0][7..9], [source, key]);
    assert_eq!(path[path.len() - 1][9..11], [other, other_key]);
    assert!(path.windows(2).all(|steps| steps[0][9..11] == steps[1][7..9]), "{path:?}");
    assert_eq!(path.iter().map(|step| step[1]).collect::<Vec<_>>()[0], "1");
    // The edge between the two is in every cut.
    let direct = |row: &&Vec<&str>| row[2] == rule && row[4] == value;
    assert!(cut.iter().any(|row| direct(&row)), "{cut:?}");
    assert!(why.iter().all(|row| row[6].as_deref() == Some("t")), "{why:?}");
    // Turned round, it is the same way back.
    let back = engineer
        .number(&format!(
            "SELECT count(*) FROM why_merged('{other}', '{other_key}', '{source}', '{key}') WHERE part = 'path'"
        ))
        .await;
    assert_eq!(usize::try_from(back).unwrap(), path.len());
    // Text tells the same.
    let lines = engineer
        .rows(&format!("EXPLAIN MERGE ({source}, '{key}'), ({other}, '{other_key}')"))
        .await;
    let lines: Vec<&str> = lines.iter().map(|row| texts(row)[0]).collect();
    assert!(lines[0].starts_with("Merged: "), "{lines:?}");
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("    -> ")).count(),
        path.len() + cut.len()
    );
}

#[tokio::test]
async fn former_ids_are_explained_as_the_profiles_that_they_were() {
    let server = shared_server();
    let engineer = server.session("engineer").await;
    let merges = engineer
        .rows(
            "SELECT profile_id, merged_profile_id, rule FROM profile_merges WHERE rule <> 'record' \
             ORDER BY 1, 2 LIMIT 40",
        )
        .await;
    let mut explained = 0;
    for row in &merges {
        let [profile, former, _] = texts(row)[..] else { panic!("{row:?}") };
        let why =
            format!("SELECT count(*) FROM why_merged({profile}, {former}) WHERE part = 'path'");
        match engineer.run(&why).await {
            Ok(answer) => explained += usize::from(answer.rows[0][0].as_deref() != Some("0")),
            // Events alone were never a record's.
            Err(failure) => assert_eq!(failure.sqlstate, "0A000", "{failure}"),
        }
    }
    assert!(explained > 5, "{explained} of {} merges are explained", merges.len());
}

#[tokio::test]
async fn what_was_refused_is_told_with_what_stands_against_it() {
    let server = shared_server();
    let engineer = server.session("engineer").await;
    let refused = engineer
        .rows(
            "SELECT v.rule, v.value, v.reason, v.left_source, v.left_record_key, v.right_source, v.right_record_key \
             FROM identity_violations v \
             JOIN profile_records l ON l.source = v.left_source AND l.record_key = v.left_record_key \
             JOIN profile_records r ON r.source = v.right_source AND r.record_key = v.right_record_key \
             WHERE l.profile_id <> r.profile_id AND v.reason = 'given_name' ORDER BY 1, 2, 5, 7 LIMIT 1",
        )
        .await
        .remove(0);
    let refused = texts(&refused);
    let [rule, value, reason, source, key, other, other_key] = refused[..] else {
        panic!("{refused:?}")
    };
    let why = engineer
        .rows(&format!(
            "SELECT status, rule, value, reason, against_source IS NOT NULL \
             FROM why_not_merged('{source}', '{key}', '{other}', '{other_key}')"
        ))
        .await;
    let wanted = ["refused", rule, value, reason, "t"];
    assert!(why.iter().any(|row| texts(row) == wanted), "{why:?}");
    let lines = engineer
        .rows(&format!("EXPLAIN MERGE ({source}, '{key}'), ({other}, '{other_key}')"))
        .await;
    let lines: Vec<&str> = lines.iter().map(|row| texts(row)[0]).collect();
    assert!(lines[0].starts_with("Not merged: "), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("was refused by given_name")), "{lines:?}");
    // They are not merged, so nothing says why they are; and a profile is not told apart from itself.
    let merged =
        format!("SELECT count(*) FROM why_merged('{source}', '{key}', '{other}', '{other_key}')");
    assert_eq!(engineer.number(&merged).await, 0);
    let edge = joined(&engineer, "email").await;
    let status = format!(
        "SELECT status FROM why_not_merged('{}', '{}', '{}', '{}')",
        edge[3], edge[4], edge[5], edge[6]
    );
    assert_eq!(engineer.value(&status).await, "merged");
}

#[tokio::test]
async fn strangers_have_nothing_that_connects_them() {
    let server = shared_server();
    let engineer = server.session("engineer").await;
    let people = engineer
        .rows("SELECT profile_id FROM profile_records WHERE source = 'crm_contacts' GROUP BY 1 ORDER BY 1 LIMIT 12")
        .await;
    let first = people[0][0].clone().unwrap();
    let mut statuses = BTreeSet::new();
    for other in &people[1..] {
        let other = other[0].as_deref().unwrap();
        let rows =
            engineer.rows(&format!("SELECT status FROM why_not_merged({first}, {other})")).await;
        statuses.extend(rows.into_iter().map(|mut row| row.remove(0).unwrap()));
    }
    assert!(statuses.contains("nothing"), "{statuses:?}");
    assert!(!statuses.contains("merged"), "{statuses:?}");
}

#[tokio::test]
async fn a_profile_is_explained_whole_to_those_who_see_everyone_and_no_further_to_others() {
    let server = shared_server();
    let (engineer, marketer) = (server.session("engineer").await, server.session("marketer").await);
    let profile = marketer
        .value("SELECT min(profile_id) FROM profile_records WHERE source = 'crm_contacts'")
        .await;
    let explain = format!("EXPLAIN PROFILE {profile}");
    let lines = async |session: &Session| {
        let rows = session.rows(&explain).await;
        rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect::<Vec<String>>()
    };
    let (whole, part) = (lines(&engineer).await, lines(&marketer).await);
    let headings = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| !line.starts_with("    ")).cloned().collect()
    };
    let title = format!("Profile {profile}");
    let all = [
        title.as_str(),
        "  Records:",
        "  Identifiers:",
        "  Edges:",
        "  Refused:",
        "  Golden values:",
    ];
    assert_eq!(headings(&whole), all);
    assert_eq!(
        headings(&part),
        [title.as_str(), "  Records:", "  Identifiers:", "  Golden values:"]
    );
    assert!(part.len() > 6 && whole.len() > part.len(), "{part:?}");
    for (relation, heading) in
        [("profile_records", "Records"), ("attribute_sources", "Golden values")]
    {
        let count = format!("SELECT count(*) FROM {relation} WHERE profile_id = {profile}");
        let count = usize::try_from(marketer.number(&count).await).unwrap();
        let from = part.iter().position(|line| line.trim() == format!("{heading}:")).unwrap() + 1;
        let shown = part[from..].iter().take_while(|line| line.starts_with("    ")).count();
        assert_eq!(shown, count, "{heading}: {part:?}");
    }
}

#[tokio::test]
async fn who_is_hidden_is_explained_to_nobody() {
    let server = shared_server();
    let (engineer, marketer) = (server.session("engineer").await, server.session("marketer").await);
    let all = engineer.rows("SELECT profile_id FROM profiles ORDER BY 1 LIMIT 200").await;
    let mut hidden = None;
    for row in &all {
        let id = row[0].as_deref().unwrap();
        let seen = format!("SELECT count(*) FROM profiles WHERE profile_id = {id}");
        if marketer.number(&seen).await == 0 {
            hidden = Some(id);
            break;
        }
    }
    let hidden = hidden.expect("somebody is hidden");
    for id in [hidden, "1234567"] {
        let failure = marketer.failure(&format!("EXPLAIN PROFILE {id}")).await;
        assert_eq!(failure.sqlstate, "42704", "{failure}");
        assert_eq!(failure.message, format!("profile \"{id}\" does not exist"));
        // Whether it is there makes no difference to who may not ask at all.
        for question in [
            format!("SELECT * FROM why_merged({id}, 5)"),
            format!("SELECT * FROM why_not_merged({id}, 5)"),
            format!("SELECT * FROM match_waterfall({id}, 5)"),
            format!("EXPLAIN MERGE {id}, 5"),
        ] {
            let failure = marketer.failure(&question).await;
            assert_eq!(failure.sqlstate, "42501", "{question}: {failure}");
            assert!(!failure.message.contains(id), "{failure}");
        }
    }
    // Nor to a role whose purpose shows nobody.
    let officer = server.session("privacy_officer").await;
    for question in ["SELECT * FROM why_merged(4, 5)", "EXPLAIN PROFILE 5", "EXPLAIN MERGE 4, 5"] {
        let failure = officer.failure(question).await;
        assert!(
            ["42883", "42501", "42704"].contains(&failure.sqlstate.as_str()),
            "{question}: {failure}"
        );
    }
}

#[tokio::test]
async fn questions_that_make_no_sense_say_so() {
    let server = shared_server();
    let engineer = server.session("engineer").await;
    let of_record = "FROM profile_records WHERE source = 'crm_contacts'";
    let one = engineer.value(&format!("SELECT min(profile_id) {of_record}")).await;
    let other = engineer.value(&format!("SELECT max(profile_id) {of_record}")).await;
    for (question, sqlstate) in [
        ("SELECT * FROM why_merged(1234567, 7654321)".to_owned(), "42704"),
        (format!("SELECT * FROM why_merged({one}, {one})"), "22023"),
        (format!("SELECT * FROM why_merged({one})"), "42883"),
        (format!("SELECT * FROM why_merged({one}, 'ada')"), "22P02"),
        (
            "SELECT * FROM why_merged('crm_contacts', 'no', 'crm_contacts', 'nor this')".to_owned(),
            "42704",
        ),
        (format!("SELECT * FROM why_not_merged({one}, {one})"), "22023"),
        (format!("SELECT * FROM match_waterfall({one})"), "42883"),
        (format!("SELECT * FROM match_waterfall({one}, {other})"), "55000"),
        ("EXPLAIN MERGE 1234567, 7654321".to_owned(), "42704"),
        ("EXPLAIN PROFILE 1234567".to_owned(), "42704"),
    ] {
        let failure = engineer.failure(&question).await;
        assert_eq!(failure.sqlstate, sqlstate, "{question}: {failure}");
    }
    assert_eq!(engineer.number(&format!("SELECT count(*) FROM why_merged({one}, NULL)")).await, 0);
    // A parameter is known when it is asked.
    let found = "SELECT count(*) FROM why_not_merged(resolve_profile('email', 'a'), NULL::bigint)";
    assert_eq!(engineer.number(found).await, 0);
}

#[tokio::test]
async fn decisions_are_part_of_explanations_which_are_on_record() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let people = engineer
        .rows(
            "SELECT profile_id FROM profile_records WHERE source IN ('crm_contacts', 'shop_customers', 'loyalty_members') \
             GROUP BY profile_id HAVING count(*) = 1 ORDER BY profile_id LIMIT 2",
        )
        .await;
    let [a, b] = [0, 1].map(|at| people[at][0].clone().unwrap());
    let before = engineer.rows(&format!("SELECT status FROM why_not_merged({a}, {b})")).await;
    assert!(!before.is_empty());
    engineer.rows(&format!("MERGE PROFILES {a}, {b} REASON 'asked'")).await;
    let why = format!("SELECT rule, kind, value FROM why_merged({a}, {b}) WHERE part = 'path'");
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(engineer.rows(&why).await, [[text("override"), text("override"), text("1")]]);
    let lines = engineer.rows(&format!("EXPLAIN MERGE {a}, {b}")).await;
    assert!(lines.iter().any(|row| texts(row)[0].contains("override 1")), "{lines:?}");
    engineer.rows("DROP IDENTITY OVERRIDE 1").await;
    assert_eq!(engineer.rows(&why).await.len(), 0);
    let officer = server.session("privacy_officer").await;
    let logged = officer
        .value("SELECT count(*) FROM cdp.audit_log WHERE class = 'read' AND relations LIKE '%identity_edges%' AND role = 'engineer'")
        .await;
    assert!(logged.parse::<i64>().unwrap() > 0, "{logged}");
}

#[tokio::test]
async fn an_analysis_runs_the_query_and_counts_what_each_node_gave() {
    let server = shared_server();
    let marketer = server.session("marketer").await;
    let lines = async |sql: &str| {
        let rows = marketer.rows(sql).await;
        rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect::<Vec<String>>()
    };
    let only_rows = "EXPLAIN (ANALYZE, TIMING off, SUMMARY off)";
    assert_eq!(
        lines(&format!("{only_rows} SELECT 1")).await,
        [
            "ProjectionExec: expr=[1 as ?column?] (actual rows=1 loops=1)",
            "  PlaceholderRowExec (actual rows=1 loops=1)"
        ]
    );
    let count = marketer.number("SELECT count(*) FROM profiles").await;
    let told = lines(&format!("{only_rows} SELECT count(*) FROM profiles")).await;
    let scan = told.iter().find(|line| line.contains("GovernedScanExec")).unwrap();
    assert!(scan.ends_with(&format!("(actual rows={count} loops=1)")), "{told:?}");
    // The term of a recursive query runs again and again.
    let counted = "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT n FROM t";
    let told = lines(&format!("{only_rows} {counted}")).await;
    assert!(told[0].ends_with("(actual rows=5 loops=1)"), "{told:?}");
    let again = told.iter().find(|line| line.contains("WorkTableExec")).unwrap();
    assert!(again.ends_with("(actual rows=1 loops=5)"), "{told:?}");
    let told = lines("EXPLAIN ANALYZE SELECT 1").await;
    assert!(told[0].contains("(actual time="), "{told:?}");
    assert!(told[2].starts_with("Planning Time: ") && told[3].ends_with(" ms"), "{told:?}");
}

/// A visitor, and somebody else.
const VISITOR_FIRST: [(&str, &str); 7] = [
    ("purposes/service.sql", "CREATE PURPOSE service LEGAL BASIS contract;"),
    (
        "roles/engineer.sql",
        "CREATE ROLE engineer LOGIN PASSWORD 'demo' PURPOSES (service) MAY (define, refresh);",
    ),
    (
        "sources/1-visits.sql",
        "CREATE SOURCE visits FROM FILE ('data/visits.ndjson') FORMAT segment AS EVENTS
           IDENTIFIERS (visitor => anonymous_id);",
    ),
    (
        "sources/2-contacts.sql",
        "CREATE SOURCE contacts (key text, given text, surname text, email text, visitor text)
           FROM FILE ('data/contacts-*.csv') FORMAT csv AS RECORDS KEY (key) NULL VALUES ('')
           IDENTIFIERS (email => email, visitor => visitor) PERSON (first_name => given, last_name => surname);",
    ),
    (
        "identity/customer.sql",
        "CREATE IDENTITY GRAPH customer IDENTIFIERS
           (email NORMALIZE email PRIORITY 1 LIMIT 5, visitor PRIORITY 2 LIMIT 5);",
    ),
    (
        "data/visits.ndjson",
        "{\"type\":\"page\",\"messageId\":\"m1\",\"anonymousId\":\"v-1\",\"timestamp\":\"2026-01-01T10:00:00Z\"}\n",
    ),
    ("data/contacts-1.csv", "key,given,surname,email,visitor\nfirst,Jan,Kos,jan@post.example,\n"),
];

#[tokio::test]
async fn a_profile_whose_visitor_came_first_is_explained_by_its_own_record() {
    let project = Project::of(&VISITOR_FIRST);
    let (_server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    // The other one's record is older than the record that the visitor turns out to be.
    project.write(
        "data/contacts-2.csv",
        "key,given,surname,email,visitor\nother,Ola,Nowak,ola@post.example,\nown,Ewa,Lis,ewa@post.example,v-1\n",
    );
    engineer.run("REFRESH ALL").await.unwrap();
    let profile = async |key: &str| {
        let query = format!("SELECT profile_id FROM profile_records WHERE record_key = '{key}'");
        engineer.value(&query).await
    };
    let (own, other) = (profile("own").await, profile("other").await);
    engineer.rows(&format!("MERGE PROFILES {own}, {other} REASON 'asked'")).await;
    for (left, right) in [(&own, &other), (&other, &own)] {
        let why = format!(
            "SELECT kind, left_record_key, right_record_key FROM why_merged({left}, {right}) WHERE part = 'path'"
        );
        let why = engineer.rows(&why).await;
        let mut ends = texts(&why[0])[1..].to_vec();
        ends.sort_unstable();
        assert_eq!((why.len(), texts(&why[0])[0], ends), (1, "override", vec!["other", "own"]));
    }
}

/// Three who share a mailbox and have an account each, and somebody else.
const ACCOUNTS: [(&str, &str); 5] = [
    ("purposes/service.sql", "CREATE PURPOSE service LEGAL BASIS contract;"),
    (
        "roles/engineer.sql",
        "CREATE ROLE engineer LOGIN PASSWORD 'demo' PURPOSES (service) MAY (define, refresh);",
    ),
    (
        "sources/contacts.sql",
        "CREATE SOURCE contacts (key text, given text, surname text, email text, account text)
           FROM FILE ('data/contacts.csv') FORMAT csv AS RECORDS KEY (key) NULL VALUES ('')
           IDENTIFIERS (email => email, account => account) PERSON (first_name => given, last_name => surname);",
    ),
    (
        "identity/customer.sql",
        "CREATE IDENTITY GRAPH customer IDENTIFIERS
           (account PRIORITY 1 LIMIT 1, email NORMALIZE email PRIORITY 2)
           MATCH (namesakes EXACT ON (name) PRIORITY 3);",
    ),
    (
        "data/contacts.csv",
        "key,given,surname,email,account\na,Ula,Kos,ula@post.example,1\nb,Ula,Kos,ula@post.example,2\n\
         c,Ula,Kos,ula@post.example,3\nd,Piotr,Lis,lis@post.example,4\n",
    ),
];

#[tokio::test]
async fn two_records_that_were_never_looked_at_together_are_compared_when_asked() {
    let project = Project::of(&ACCOUNTS);
    let (_server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    for (left, right) in [("a", "b"), ("a", "c"), ("b", "c")] {
        let why = format!(
            "SELECT status, rule, reason FROM why_not_merged('contacts', '{left}', 'contacts', '{right}')"
        );
        let why = engineer.rows(&why).await;
        let why: Vec<_> = why.iter().map(|row| texts(row)).collect();
        assert!(why.contains(&vec!["refused", "email", "limit"]), "{left} {right}: {why:?}");
        assert!(why.iter().all(|row| !["nothing", "contradicted"].contains(&row[0])), "{why:?}");
        let lines = engineer
            .rows(&format!("EXPLAIN MERGE (contacts, '{left}'), (contacts, '{right}')"))
            .await;
        let lines: Vec<&str> = lines.iter().map(|row| texts(row)[0]).collect();
        assert!(lines.iter().any(|line| line.contains("was refused by limit")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("joined nobody here")), "{lines:?}");
    }
    let why = "SELECT status, reason FROM why_not_merged('contacts', 'a', 'contacts', 'd')";
    let why = engineer.rows(why).await;
    let why: Vec<_> = why.iter().map(|row| texts(row)).collect();
    assert_eq!(why, [["nothing", "-"], ["contradicted", "given_name"]]);
}

#[tokio::test]
async fn a_graph_whose_identifier_is_a_misspelt_one_of_a_source_is_refused() {
    let project = Project::of(&ACCOUNTS);
    let (_server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    let graph = |email: &str| {
        format!(
            "CREATE OR REPLACE IDENTITY GRAPH customer \
             IDENTIFIERS (account PRIORITY 1, {email} NORMALIZE email PRIORITY 2)"
        )
    };
    for statement in [graph("emial"), format!("EXPLAIN IMPACT {}", graph("emial"))] {
        let failure = engineer.failure(&statement).await;
        assert_eq!(failure.sqlstate, "42704", "{failure}");
        assert_eq!(
            failure.message,
            "identifier \"emial\" of identity graph \"customer\" is given by no source"
        );
        let hint = failure.hint.unwrap();
        assert_eq!(hint, "Did you mean \"email\"? Source \"contacts\" gives it.");
    }
    // One that no source has anything like may be that of a source to come.
    engineer.run(&graph("email")).await.unwrap();
    engineer.run(&graph("newsletter_address")).await.unwrap();
}
