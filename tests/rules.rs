//! What identity rules say about time, over the wire: limits for a time go by when events happened, not by when they came.

use std::path::PathBuf;

use crate::harness::{Folder, Server, Session, onefold_in};

const DEFINITIONS: [(&str, &str); 4] = [
    ("purposes/service.sql", "CREATE PURPOSE service LEGAL BASIS contract"),
    (
        "roles/engineer.sql",
        "CREATE ROLE engineer LOGIN PASSWORD 'demo' PURPOSES (service) MAY (define, refresh)",
    ),
    (
        "sources/visits.sql",
        "CREATE SOURCE visits (id text, at timestamp with time zone, customer text, device text)
           FROM FILE ('data/*.csv') FORMAT csv AS EVENTS KEY (id) EVENT TIME at NULL VALUES ('')
           IDENTIFIERS (customer_id => customer, anonymous_id => device)",
    ),
    (
        "identity/customer.sql",
        "CREATE IDENTITY GRAPH customer
           IDENTIFIERS (customer_id PRIORITY 1 LIMIT 1, anonymous_id PRIORITY 2 LIMIT 2 PER '7 days')",
    ),
];

const HEADER: &str = "id,at,customer,device\n";

/// A project with a lake, both in a folder of their own.
struct Project {
    folder: Folder,
}

impl Project {
    fn new(data: &str) -> Project {
        let project = Project { folder: Folder::new() };
        for (path, text) in DEFINITIONS {
            project.write(path, &format!("{text};\n"));
        }
        project.write("onefold.toml", "[log]\nlevel = \"info\"\n");
        project.write("data/1.csv", &format!("{HEADER}{data}"));
        onefold_in(&project.root(), &["apply", ".", "--dir", project.lake().to_str().unwrap()]);
        project
    }

    fn root(&self) -> PathBuf {
        self.folder.join("project")
    }

    fn lake(&self) -> PathBuf {
        self.folder.join("lake")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    async fn serve(&self) -> (Server, Session) {
        let server = Server::start(&self.root(), &self.lake());
        let engineer = server.session("engineer").await;
        (server, engineer)
    }
}

/// The devices of the only customer, and those that a limit kept from leading to one.
async fn devices(engineer: &Session) -> [String; 2] {
    let held = "SELECT string_agg(value, ' ' ORDER BY value) FROM profile_identifiers \
                WHERE kind = 'anonymous_id' AND profile_id = resolve_profile('customer_id', '7')";
    let refused = "SELECT string_agg(value, ' ' ORDER BY value) FROM identity_violations \
                   WHERE reason = 'limit' AND limited_kind = 'anonymous_id'";
    [engineer.value(held).await, engineer.value(refused).await]
}

#[tokio::test]
async fn a_limit_for_a_time_goes_by_when_events_happened_and_a_rebuild_comes_to_the_same() {
    let project = Project::new(
        "1,2026-01-01T10:00:00Z,7,d1\n\
         2,2026-01-02T10:00:00Z,7,d2\n\
         3,2026-01-03T10:00:00Z,7,d3\n\
         4,2026-01-09T10:00:00Z,7,d4\n",
    );
    let (server, engineer) = project.serve().await;
    engineer.rows("REFRESH ALL").await;
    assert_eq!(devices(&engineer).await, ["d1 d2 d4", "d3"], "all came at once");
    let all = "SELECT count(*) FROM profile_identifiers WHERE kind = 'customer_id'";
    assert_eq!(engineer.number(all).await, 1);
    // A visit of December comes late: the device was known before the week in which there was no room.
    project.write("data/2.csv", &format!("{HEADER}5,2025-12-01T10:00:00Z,,d3\n"));
    engineer.rows("REFRESH ALL").await;
    assert_eq!(devices(&engineer).await, ["d1 d2 d3 d4", ""]);
    drop((engineer, server));
    let (_server, engineer) = project.serve().await;
    project.write("data/3.csv", &format!("{HEADER}6,2026-01-03T12:00:00Z,7,d5\n"));
    engineer.rows("REFRESH ALL").await;
    assert_eq!(devices(&engineer).await, ["d1 d2 d3 d4", "d5"], "after a restart");
    engineer.rows("REFRESH ALL FULL").await;
    assert_eq!(devices(&engineer).await, ["d1 d2 d3 d4", "d5"], "a rebuild");
    let shown = engineer.rows("SHOW CREATE IDENTITY GRAPH customer").await;
    assert!(shown[0][1].as_ref().unwrap().contains("LIMIT 2 PER '7 days'"), "{shown:?}");
}

const CONTACTS: [(&str, &str); 2] = [
    (
        "sources/contacts.sql",
        "CREATE SOURCE contacts (key text, name text, phone text, at timestamp with time zone)
           FROM FILE ('contacts/*.csv') FORMAT csv AS RECORDS KEY (key) VERSION BY at NULL VALUES ('')
           IDENTIFIERS (phone => phone) PERSON (name => name)",
    ),
    (
        "identity/customer.sql",
        "CREATE IDENTITY GRAPH customer
           IDENTIFIERS (customer_id PRIORITY 1, phone NORMALIZE phone('PL') PRIORITY 2 EXPIRE AFTER '365 days',
                        anonymous_id PRIORITY 3 EXPIRE AFTER '365 days')",
    ),
];

/// Who is who among the contacts, and the status of the telephone.
async fn contacts(engineer: &Session) -> (String, String) {
    let people = "SELECT string_agg(keys, '; ' ORDER BY keys) FROM ( \
            SELECT string_agg(record_key, ' ' ORDER BY record_key) AS keys FROM profile_records \
            WHERE source = 'contacts' GROUP BY profile_id) people";
    let status = "SELECT DISTINCT status FROM profile_identifiers WHERE value = '+48601123456'";
    (engineer.value(people).await, engineer.value(status).await)
}

#[tokio::test]
async fn an_identifier_that_is_not_seen_for_long_joins_nobody_until_it_is_seen_again() {
    let project = Project::new("1,2024-06-01T10:00:00Z,7,d1\n");
    for (path, text) in CONTACTS {
        project.write(path, &format!("{text};\n"));
    }
    let header = "key,name,phone,at\n";
    let old = "a,Anna Nowak,601 123 456,2024-01-01T10:00:00Z\nb,Anna Nowak,601 123 456,2024-02-01T10:00:00Z\n";
    project.write("contacts/1.csv", &format!("{header}{old}"));
    onefold_in(&project.root(), &["apply", ".", "--dir", project.lake().to_str().unwrap()]);
    let (server, engineer) = project.serve().await;
    engineer.rows("REFRESH ALL").await;
    let [joined, apart] = [("a b", "personal"), ("a; b", "expired")];
    let told = |(people, status): (&str, &str)| (people.to_owned(), status.to_owned());
    assert_eq!(contacts(&engineer).await, told(joined), "no clock but the log's");
    // A visit of the same customer on the same device a year later is no new subject, and moves the time all the same.
    project.write("data/2.csv", &format!("{HEADER}2,2025-03-01T10:00:00Z,7,d1\n"));
    engineer.rows("REFRESH ALL").await;
    assert_eq!(contacts(&engineer).await, told(apart));
    let device = "SELECT status FROM profile_identifiers WHERE value = 'd1'";
    assert_eq!(engineer.value(device).await, "personal", "it was seen then");
    engineer.rows("REFRESH ALL FULL").await;
    assert_eq!(contacts(&engineer).await, told(apart), "a rebuild");
    let impact = CONTACTS[1].1.replace("CREATE", "EXPLAIN IMPACT CREATE OR REPLACE");
    let foretold = engineer.rows(&impact).await;
    assert!(!foretold.is_empty(), "what has expired is nobody's, and is foretold as such");
    drop((engineer, server));
    let (_server, engineer) = project.serve().await;
    let new = "c,Anna Nowak,601 123 456,2025-04-01T10:00:00Z\n";
    project.write("contacts/2.csv", &format!("{header}{new}"));
    engineer.rows("REFRESH ALL").await;
    let again = told(("a b c", "personal"));
    assert_eq!(contacts(&engineer).await, again, "after a restart");
    engineer.rows("REFRESH ALL FULL").await;
    assert_eq!(contacts(&engineer).await, again, "a rebuild");
}
