//! What is dropped is gone from profiles with the next refresh, and nothing else is.

use crate::harness::Project;

const MEMBERS: &str = "CREATE SOURCE members (key text, given text, surname text, email text)
    FROM FILE ('data/members.csv') FORMAT csv AS RECORDS KEY (key)
    IDENTIFIERS (email => email) PERSON (first_name => given, last_name => surname)";

/// Somebody whom two sources know, and somebody whom `members` alone knows.
fn two_sources() -> Project {
    Project::of(&[
        ("purposes/service.sql", "CREATE PURPOSE service LEGAL BASIS contract;"),
        (
            "roles/engineer.sql",
            "CREATE ROLE engineer LOGIN PASSWORD 'demo' PURPOSES (service) MAY (define, refresh);",
        ),
        ("sources/contacts.sql", &MEMBERS.replace("members", "contacts")),
        ("sources/members.sql", MEMBERS),
        (
            "identity/customer.sql",
            "CREATE IDENTITY GRAPH customer IDENTIFIERS (email NORMALIZE email PRIORITY 1 LIMIT 5);",
        ),
        ("data/contacts.csv", "key,given,surname,email\nc-1,Ola,Nowak,ola@post.example\n"),
        (
            "data/members.csv",
            "key,given,surname,email\nm-1,Ola,Nowak,ola@post.example\nm-2,Jan,Kos,jan@post.example\n",
        ),
    ])
}

#[tokio::test]
async fn people_go_with_their_source_and_come_back_with_their_ids() {
    let project = two_sources();
    let records = "SELECT record_key, profile_id FROM profile_records ORDER BY record_key";
    let identifiers = "SELECT value, profile_id FROM profile_identifiers ORDER BY value";
    for restarts in [false, true] {
        let (mut server, mut engineer) = project.serve().await;
        engineer.run("REFRESH ALL").await.unwrap();
        let before = (engineer.rows(records).await, engineer.rows(identifiers).await);
        assert_eq!((before.0.len(), before.1.len()), (3, 2), "{before:?}");
        engineer.run("DROP SOURCE members").await.unwrap();
        if restarts {
            drop((server, engineer));
            (server, engineer) = project.serve().await;
        }
        engineer.run("REFRESH ALL").await.unwrap();
        assert_eq!(engineer.rows(records).await, before.0[..1]);
        assert_eq!(engineer.rows(identifiers).await, before.1[1..]);
        assert_eq!(engineer.number("SELECT count(*) FROM profiles").await, 1);
        engineer.run(MEMBERS).await.unwrap();
        if restarts {
            drop((server, engineer));
            (server, engineer) = project.serve().await;
        }
        engineer.run("REFRESH ALL").await.unwrap();
        let back = (engineer.rows(records).await, engineer.rows(identifiers).await);
        assert_eq!(back, before, "restarts: {restarts}");
        drop((server, engineer));
    }
}
