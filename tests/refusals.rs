//! A refusal outlives the record that brought it: deleting a customer at the CRM makes nobody contactable by another record.

use crate::harness::{Project, Server, Session};

const CONTACTS: &str = "CREATE SOURCE contacts
       (key text, name text, email text, phone text, mail text, asked_at text, version integer, operation text)
       FROM FILE ('data/contacts/*.csv') FORMAT csv AS RECORDS KEY (key) VERSION BY version
       DELETED WHEN (operation = 'D') NULL VALUES ('') IDENTIFIERS (email => email, phone => phone)
       PERSON (name => name)";

/// A feed that goes through the rows, and one that puts some of them together.
const FEEDS: [&str; 2] = [
    "CREATE CONSENT FEED crm AS
       SELECT 'email' AS identifier_kind, email AS identifier, 'mail' AS purpose,
         CASE mail WHEN 'yes' THEN 'granted' ELSE 'denied' END AS status,
         asked_at::timestamptz AS captured_at
       FROM sources.contacts",
    "CREATE CONSENT FEED crm AS
       SELECT 'email' AS identifier_kind, email AS identifier, 'mail' AS purpose,
         CASE WHEN bool_and(mail = 'yes') THEN 'granted' ELSE 'denied' END AS status,
         max(asked_at)::timestamptz AS captured_at
       FROM sources.contacts GROUP BY email",
];

const HEADER: &str = "key,name,email,phone,mail,asked_at,version,operation\n";

fn project(feed: &str, rows: &str) -> Project {
    let rows = format!("{HEADER}{rows}");
    Project::of(&[
        ("purposes/service.sql", "CREATE PURPOSE service LEGAL BASIS contract"),
        ("purposes/privacy.sql", "CREATE PURPOSE privacy LEGAL BASIS legal_obligation"),
        ("purposes/mail.sql", "CREATE PURPOSE mail LEGAL BASIS consent"),
        (
            "roles/engineer.sql",
            "CREATE ROLE engineer LOGIN PASSWORD 'demo' PURPOSES (service) MAY (define, refresh)",
        ),
        ("roles/marketer.sql", "CREATE ROLE marketer LOGIN PASSWORD 'demo' PURPOSES (mail)"),
        (
            "roles/officer.sql",
            "CREATE ROLE officer LOGIN PASSWORD 'demo' PURPOSES (privacy) MAY (consent, audit)",
        ),
        ("sources/contacts.sql", CONTACTS),
        ("consent/crm.sql", feed),
        (
            "identity/customer.sql",
            "CREATE IDENTITY GRAPH customer
               IDENTIFIERS (email NORMALIZE email PRIORITY 1, phone NORMALIZE phone('PL') PRIORITY 2)",
        ),
        (
            "attributes/name.sql",
            "CREATE ATTRIBUTE name ON customer FROM (contacts.name) RESOLVE BY LATEST",
        ),
        ("data/contacts/1.csv", &rows),
    ])
}

fn add(project: &Project, file: u32, rows: &str) {
    project.write(&format!("data/contacts/{file}.csv"), &format!("{HEADER}{rows}"));
}

async fn values(session: &Session, query: &str) -> Vec<String> {
    let rows = session.rows(query).await.into_iter();
    rows.map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")).collect()
}

/// The mailboxes of those who may be written to.
async fn contactable(server: &Server) -> Vec<String> {
    let query = "SELECT value FROM profile_identifiers WHERE kind = 'email' ORDER BY value";
    values(&server.session("marketer").await, query).await
}

async fn ledger(server: &Server) -> Vec<String> {
    let query =
        "SELECT identifier, status, details FROM consent_ledger ORDER BY identifier, status";
    values(&server.session("officer").await, query).await
}

async fn withdraw(server: &Server, email: &str) {
    let statement = format!("SELECT cdp.record_consent('email', '{email}', 'mail', 'withdrawn')");
    server.session("officer").await.rows(&statement).await;
}

#[tokio::test]
async fn a_refusal_stays_when_its_record_is_gone_and_a_grant_goes() {
    for feed in FEEDS {
        let project = project(
            feed,
            "a-1,Jan Nowak,jan@x.example,601 123 451,no,2026-01-02T00:00:00Z,1,I
a-2,Jan Nowak,jan@y.example,601 123 451,yes,2026-01-01T00:00:00Z,1,I
b-1,Ewa Lis,ewa@x.example,,yes,2026-01-01T00:00:00Z,1,I
c-1,Iga Kot,iga@x.example,,yes,2026-01-01T00:00:00Z,1,I
",
        );
        let (server, engineer) = project.serve().await;
        engineer.run("REFRESH ALL").await.unwrap();
        assert_eq!(contactable(&server).await, ["ewa@x.example", "iga@x.example"]);
        add(&project, 2, "a-1,,,,,,2,D\nb-1,,,,,,2,D\n");
        let gone = "jan@x.example denied {\"record_deleted\":true}";
        let left = ["iga@x.example granted", gone, "jan@y.example granted"];
        for refresh in ["REFRESH ALL", "REFRESH ALL", "REFRESH ALL FULL"] {
            engineer.run(refresh).await.unwrap();
            assert_eq!(contactable(&server).await, ["iga@x.example"], "{refresh}");
            assert_eq!(ledger(&server).await, left, "{refresh}");
            let former = values(&engineer, "SELECT value FROM former_identifiers").await;
            assert_eq!(former, ["jan@x.example"], "{refresh}");
        }
        drop((engineer, server));
        let (server, engineer) = project.serve().await;
        assert_eq!(contactable(&server).await, ["iga@x.example"]);
        // What says that a record is gone may refuse, too, and what comes late and was older.
        let (asked, phone) = ("2026-01-03T00:00:00Z", "602 123 452");
        add(
            &project,
            3,
            &format!(
                "c-1,Iga Kot,iga@x.example,,no,{asked},2,D
d-1,Ola Lis,ola@x.example,{phone},no,{asked},1,I
d-2,Ola Lis,ola@y.example,{phone},yes,{asked},1,I
d-1,,,,,,2,D
"
            ),
        );
        engineer.run("REFRESH ALL").await.unwrap();
        assert!(contactable(&server).await.is_empty());
        let refusals = ledger(&server).await;
        let refused = ["iga@x.example", "jan@x.example", "ola@x.example"];
        let refused = refused.map(|email| format!("{email} denied {{\"record_deleted\":true}}"));
        assert!(refused.iter().all(|refusal| refusals.contains(refusal)), "{refusals:?}");
        engineer.run("REFRESH ALL FULL").await.unwrap();
        assert_eq!(ledger(&server).await, refusals, "a rebuild");
        // A record that is back says what it says now.
        add(&project, 4, "a-1,Jan Nowak,jan@x.example,601 123 451,yes,2026-02-01T00:00:00Z,3,I\n");
        for refresh in ["REFRESH ALL", "REFRESH ALL FULL"] {
            engineer.run(refresh).await.unwrap();
            let there = ["jan@x.example", "jan@y.example"];
            assert_eq!(contactable(&server).await, there, "{refresh}");
            assert!(!ledger(&server).await.iter().any(|row| row == gone), "{refresh}");
        }
    }
}

/// The same of an answer that a statement records, before the deletion or after it.
#[tokio::test]
async fn an_answer_on_what_a_record_carried_that_is_gone_counts_for_its_person() {
    let project = project(
        FEEDS[0],
        "a-1,Jan Nowak,jan@x.example,601 123 451,yes,2026-01-01T00:00:00Z,1,I
a-2,Jan Nowak,jan@y.example,601 123 451,yes,2026-01-01T00:00:00Z,1,I
b-1,Ola Lis,ola@x.example,602 123 452,yes,2026-01-01T00:00:00Z,1,I
b-2,Ola Lis,ola@y.example,602 123 452,yes,2026-01-01T00:00:00Z,1,I
",
    );
    let (server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(contactable(&server).await.len(), 4);
    withdraw(&server, "jan@x.example").await;
    add(&project, 2, "a-1,,,,,,2,D\nb-1,,,,,,2,D\n");
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(contactable(&server).await, ["ola@y.example"]);
    withdraw(&server, "OLA@x.example").await;
    assert!(contactable(&server).await.is_empty(), "in force with the statement");
    engineer.run("REFRESH ALL FULL").await.unwrap();
    assert!(contactable(&server).await.is_empty(), "a rebuild");
    drop((engineer, server));
    let (server, _engineer) = project.serve().await;
    assert!(contactable(&server).await.is_empty(), "another process");
}

/// Whoever replaces a source empties it, its history included. Until it is read, nobody knows which of its records are gone.
#[tokio::test]
async fn who_was_deleted_stays_out_while_a_source_is_replaced() {
    let project = project(
        FEEDS[0],
        "a-1,Jan Nowak,jan@x.example,601 123 451,no,2026-01-02T00:00:00Z,1,I
a-2,Jan Nowak,jan@y.example,601 123 451,yes,2026-01-01T00:00:00Z,1,I
b-1,Ewa Lis,ewa@x.example,,yes,2026-01-01T00:00:00Z,1,I
",
    );
    let (server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    add(&project, 2, "a-1,,,,,,2,D\n");
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(contactable(&server).await, ["ewa@x.example"]);
    let replaced = |condition: &str| {
        let source = CONTACTS.replace("(operation = 'D')", condition);
        source.replace("CREATE SOURCE", "CREATE OR REPLACE SOURCE")
    };
    engineer.run(&replaced("(name)")).await.unwrap();
    for refresh in ["REFRESH ALL", "REFRESH ALL FULL"] {
        let failure = engineer.failure(refresh).await.to_string();
        assert!(failure.contains("contacts"), "{failure}");
        let deleted = "SELECT count(*) FROM profile_identifiers WHERE value = 'jan@x.example'";
        assert_eq!(engineer.number(deleted).await, 0, "{refresh}");
        assert!(contactable(&server).await.iter().all(|email| email == "ewa@x.example"));
    }
    // What told of the deletion is not read again: the ledger knows what it said.
    for file in ["1.csv", "2.csv"] {
        std::fs::remove_file(project.root().join("data/contacts").join(file)).unwrap();
    }
    let there = "a-2,Jan Nowak,jan@y.example,601 123 451,yes,2026-01-01T00:00:00Z,1,I
b-1,Ewa Lis,ewa@x.example,,yes,2026-01-01T00:00:00Z,1,I
";
    add(&project, 3, there);
    engineer.run(&replaced("(operation = 'D' OR operation = 'X')")).await.unwrap();
    for refresh in ["REFRESH ALL", "REFRESH ALL FULL"] {
        engineer.run(refresh).await.unwrap();
        let refused = "jan@x.example denied {\"record_deleted\":true}";
        assert!(ledger(&server).await.iter().any(|row| row == refused), "{refresh}");
    }
}
