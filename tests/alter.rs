//! `ALTER IDENTITY GRAPH` does what the whole definition would do: to people, to the text that is kept, and to nothing else.

use crate::harness::{Project, Server, Session, sql};

/// The graph that is altered; `-- of people` is the user's own word.
const GRAPH: &str = "CREATE IDENTITY GRAPH customer
  IDENTIFIERS (
    email NORMALIZE email PRIORITY 2 -- of people
  )
  WITH (merge_limit = 12)";

const FILES: [(&str, &str); 6] = [
    ("purposes/service.sql", "CREATE PURPOSE service LEGAL BASIS contract;"),
    (
        "roles/engineer.sql",
        "CREATE ROLE engineer LOGIN PASSWORD 'demo' PURPOSES (service) MAY (define, refresh);",
    ),
    (
        "roles/reader.sql",
        "CREATE ROLE reader LOGIN PASSWORD 'demo' PURPOSES (service) MAY (refresh, write);",
    ),
    (
        "sources/contacts.sql",
        "CREATE SOURCE contacts (key text, name text, email text, card text)
           FROM FILE ('contacts/*.csv') FORMAT csv AS RECORDS KEY (key) NULL VALUES ('')
           IDENTIFIERS (email => email, card => card) PERSON (name => name);",
    ),
    // A project's graph knows what its sources give.
    (
        "identity/customer.sql",
        "CREATE IDENTITY GRAPH customer IDENTIFIERS (email NORMALIZE email PRIORITY 2, card PRIORITY 1);",
    ),
    (
        "contacts/1.csv",
        "key,name,email,card\n\
         a,Anna Nowak,a@x.example,7\n\
         b,Anna Nowak,b@x.example,7\n\
         c,Piotr Kot,c@x.example,8\n\
         d,Piotr Kot,d@x.example,\n",
    ),
];

/// Serves a lake of four contacts, whom nothing joins by [`GRAPH`].
async fn contacts() -> (Project, Server, Session) {
    let project = Project::of(&FILES);
    let (server, engineer) = project.serve().await;
    engineer.rows(&whole(GRAPH)).await;
    (project, server, engineer)
}

/// Who is who among the contacts.
async fn people(engineer: &Session) -> String {
    let people = "SELECT string_agg(keys, '; ' ORDER BY keys) FROM ( \
            SELECT string_agg(record_key, ' ' ORDER BY record_key) AS keys FROM profile_records \
            WHERE source = 'contacts' GROUP BY profile_id) people";
    engineer.value(people).await
}

/// The definition of the graph as it is kept.
async fn definition(engineer: &Session) -> String {
    engineer.rows("SHOW CREATE IDENTITY GRAPH customer").await.remove(0).remove(1).unwrap()
}

/// A definition in the words that put it in the place of another.
fn whole(definition: &str) -> String {
    definition.replacen("CREATE", "CREATE OR REPLACE", 1)
}

#[tokio::test]
async fn an_identifier_that_is_added_joins_people_and_one_that_is_dropped_lets_them_go() {
    let (_project, _server, engineer) = contacts().await;
    engineer.rows("COMMENT ON IDENTITY GRAPH customer IS 'who is who'").await;
    engineer.rows("REFRESH ALL").await;
    assert_eq!(people(&engineer).await, "a; b; c; d");

    let added = GRAPH.replacen("PRIORITY 2", "PRIORITY 2,\n    card PRIORITY 1 LIMIT 1", 1);
    let named = added.replacen(
        "\n  WITH",
        "\n  MATCH (name_email EXACT ON (name, email) PRIORITY 3, same_name EXACT ON (name) PRIORITY 4)\n  WITH",
        1,
    );
    let steps = [
        ("ADD IDENTIFIER card PRIORITY 1 LIMIT 1", added.clone(), "a b; c; d"),
        (
            "ADD MATCH name_email EXACT ON (name, email) PRIORITY 3,
             ADD MATCH same_name EXACT ON (name) PRIORITY 4",
            named.clone(),
            "a b; c d",
        ),
        ("ALTER IDENTIFIER card DROP LIMIT", named.replacen(" LIMIT 1", "", 1), "a b; c d"),
        (
            "DROP MATCH same_name, DROP MATCH name_email",
            added.replacen(" LIMIT 1", "", 1),
            "a b; c; d",
        ),
        ("DROP IDENTIFIER card", GRAPH.to_owned(), "a; b; c; d"),
    ];
    for (actions, expected, joined) in steps {
        let (before, now) = (definition(&engineer).await, people(&engineer).await);
        let alter = format!("ALTER IDENTITY GRAPH customer {actions}");
        let told = engineer.run(&format!("EXPLAIN IMPACT {alter}")).await.unwrap();
        let of_whole = engineer.run(&format!("EXPLAIN IMPACT {}", whole(&expected))).await.unwrap();
        assert_eq!(told, of_whole, "{actions}");
        assert!(!told.rows.is_empty(), "{actions}");
        assert_eq!(definition(&engineer).await, before, "{actions}: telling changes nothing");

        engineer.rows(&alter).await;
        assert_eq!(definition(&engineer).await, expected, "{actions}");
        assert_eq!(people(&engineer).await, now, "{actions}: it is in force with the next refresh");
        engineer.rows("REFRESH ALL").await;
        assert_eq!(people(&engineer).await, joined, "{actions}");
    }
    let comment = engineer.rows("SHOW IDENTITY GRAPHS").await.remove(0).remove(1);
    assert_eq!(comment.as_deref(), Some("who is who"));
}

#[tokio::test]
async fn what_cannot_be_altered_so_is_told_where_it_stands_and_changes_nothing() {
    let (_project, server, engineer) = contacts().await;
    let alter = "ALTER IDENTITY GRAPH customer ";
    for (marked, told) in [
        (
            "ALTER IDENTITY GRAPH ¦custmer DROP IDENTIFIER custmer",
            "42704: identity graph \"custmer\" does not exist [hint: Did you mean \"customer\"?]",
        ),
        (
            "ALTER IDENTITY GRAPH ¦others DROP IDENTIFIER email",
            "42704: identity graph \"others\" does not exist [hint: SHOW IDENTITY GRAPHS lists what there is.]",
        ),
        (
            "ALTER IDENTITY GRAPH customer ADD IDENTIFIER ¦email NORMALIZE email PRIORITY 1",
            "42710: identifier \"email\" of identity graph \"customer\" already exists \
             [hint: ALTER IDENTIFIER email SET ... changes it.]",
        ),
        (
            "ALTER IDENTITY GRAPH customer ALTER IDENTIFIER email SET LIMIT 3,\n DROP IDENTIFIER ¦emial",
            "42704: identifier \"emial\" of identity graph \"customer\" does not exist \
             [hint: Did you mean \"email\"?]",
        ),
        (
            "ALTER IDENTITY GRAPH customer DROP IDENTIFIER ¦email",
            "22023: identity graph \"customer\" would have no identifier \
             [hint: Add another one in the same statement: ADD IDENTIFIER name PRIORITY 1.]",
        ),
        (
            "ALTER IDENTITY GRAPH customer ADD IDENTIFIER card PRIORITY 1, ADD MATCH m EXACT ON (name, card) PRIORITY 2, DROP IDENTIFIER ¦card",
            "2BP01: cannot drop identifier \"card\": it is used by rule \"m\" \
             [hint: Change what uses it in the same statement: DROP MATCH name, or ALTER MATCH name with other fields.]",
        ),
        (
            "ALTER IDENTITY GRAPH customer ADD IDENTIFIER card PRIORITY ¦0",
            "22023: the priority must be from 1 to 1000, not 0",
        ),
    ] {
        let place = marked.chars().position(|c| c == '¦').unwrap() + 1;
        let statement = marked.replace('¦', "");
        let failure = engineer.failure(&statement).await;
        assert_eq!(failure.to_string(), format!("{told} [position: {place}]"));
        let mut explained = engineer.failure(&format!("EXPLAIN IMPACT {statement}")).await;
        explained.position =
            explained.position.map(|position| position - "EXPLAIN IMPACT ".len() as u32);
        assert_eq!(explained, failure);
    }
    // What the words allow and the graph does not is refused as it is in the whole definition.
    for (actions, expected) in [
        ("ADD IDENTIFIER record PRIORITY 1", "email NORMALIZE email PRIORITY 2, record PRIORITY 1"),
        ("ADD IDENTIFIER crad PRIORITY 1", "email NORMALIZE email PRIORITY 2, crad PRIORITY 1"),
        (
            "ALTER IDENTIFIER email SET BLOCK MATCHING '('",
            "email NORMALIZE email PRIORITY 2 BLOCK MATCHING '('",
        ),
    ] {
        let failure = engineer.failure(&format!("{alter}{actions}")).await;
        let whole = format!("CREATE OR REPLACE IDENTITY GRAPH customer IDENTIFIERS ({expected})");
        assert_eq!(failure, engineer.failure(&whole).await, "{actions}");
    }
    let rename = engineer.failure(&format!("{alter}RENAME TO person")).await;
    assert_eq!(rename.sqlstate, "0A000", "{rename}");
    assert!(rename.hint.is_some(), "{rename}");

    // Rights and transactions are those of a definition.
    let reader = server.session("reader").await;
    let drop = format!("{alter}DROP IDENTIFIER email");
    for statement in [drop.clone(), format!("EXPLAIN IMPACT {drop}")] {
        let failure = reader.failure(&statement).await;
        assert_eq!(failure, reader.failure(&whole(GRAPH)).await, "{statement}");
        assert_eq!(failure.sqlstate, "42501", "{failure}");
    }
    let set = format!("{alter}SET (merge_limit = 20)");
    engineer.rows("BEGIN").await;
    let failure = engineer.failure(&set).await;
    assert_eq!(failure.sqlstate, "25001", "{failure}");
    assert_eq!(failure.message, "ALTER IDENTITY GRAPH cannot run inside a transaction block");
    engineer.rows("ROLLBACK").await;
    let failure = engineer.failure(&format!("{set}; SELECT 1")).await;
    assert_eq!(failure.sqlstate, "25001", "{failure}");
    engineer.rows("BEGIN READ ONLY").await;
    assert_eq!(engineer.failure(&set).await.sqlstate, "25006");
    engineer.rows("ROLLBACK").await;
    assert_eq!(definition(&engineer).await, GRAPH);
}

#[tokio::test]
async fn what_others_alter_at_the_same_time_is_not_lost_and_survives_a_restart() {
    const EACH: usize = 12;
    let (project, server, engineer) = contacts().await;
    let add = async |name: &str| {
        let session = server.session("engineer").await;
        for number in 0..EACH {
            let alter = format!(
                "ALTER IDENTITY GRAPH customer ADD IDENTIFIER {name}{number} PRIORITY 5, SET (shared_limit = 7)"
            );
            session.rows(&alter).await;
        }
    };
    let refresh = async {
        let session = server.session("engineer").await;
        session.rows("REFRESH ALL").await;
    };
    tokio::join!(add("here_"), add("there_"), add("elsewhere_"), refresh);
    let kept = definition(&engineer).await;
    for name in ["here_", "there_", "elsewhere_"] {
        for number in 0..EACH {
            let identifier = format!(" {name}{number} PRIORITY 5");
            assert!(kept.contains(&identifier), "{identifier} in {kept}");
        }
    }
    assert!(kept.ends_with("WITH (merge_limit = 12, shared_limit = 7)"), "{kept}");
    drop((engineer, server));

    // The command line alters the lake as well.
    let alter = "ALTER IDENTITY GRAPH customer DROP IDENTIFIER here_0, RESET (shared_limit)";
    sql(&project.lake(), "engineer", alter).success();
    let (_server, engineer) = project.serve().await;
    let then = definition(&engineer).await;
    assert!(!then.contains(" here_0 ") && then.contains(" here_1 PRIORITY 5"), "{then}");
    assert!(then.ends_with("WITH (merge_limit = 12)"), "{then}");
}
