//! Sources that tell of deletions: a record that is gone leaves identity, profiles and traits with the next refresh, and keeps
//! its history.

use crate::harness::{Project, Session};

const DEFINITIONS: [(&str, &str); 9] = [
    ("purposes/service.sql", "CREATE PURPOSE service LEGAL BASIS contract"),
    (
        "roles/engineer.sql",
        "CREATE ROLE engineer LOGIN PASSWORD 'demo' PURPOSES (service) MAY (define, refresh)",
    ),
    ("sources/contacts.sql", CONTACTS),
    (
        "sources/orders.sql",
        "CREATE SOURCE orders (order_no text, email text, total integer, gone boolean)
           FROM FILE ('data/orders/*.csv') FORMAT csv AS RECORDS KEY (order_no)
           DELETED WHEN (gone) NULL VALUES ('') IDENTIFIERS (email => email)",
    ),
    (
        "identity/customer.sql",
        "CREATE IDENTITY GRAPH customer
           IDENTIFIERS (email NORMALIZE email PRIORITY 1, phone NORMALIZE phone('PL') PRIORITY 2)",
    ),
    (
        "attributes/surname.sql",
        "CREATE ATTRIBUTE surname ON customer FROM (contacts.surname) RESOLVE BY LATEST",
    ),
    (
        "traits/orders.sql",
        "CREATE TRAIT orders ON customer AS
           SELECT profile_id, sum(total) AS spent FROM sources.orders
           WHERE profile_id IS NOT NULL GROUP BY profile_id",
    ),
    (
        "data/contacts/1.csv",
        "key,given,surname,email,phone,version,operation
a-1,Jan,Nowak,jan@x.example,,1,I
a-2,Jan,Nowak,jan@x.example,601 123 451,1,I
a-3,Jan,Nowak,,601 123 451,1,I
b-1,Ewa,Lis,ewa@x.example,,1,I
",
    ),
    (
        "data/orders/1.csv",
        "order_no,email,total,gone
1,jan@x.example,100,
2,jan@x.example,20,
3,ewa@x.example,5,
",
    ),
];

const CONTACTS: &str = "CREATE SOURCE contacts
       (key text, given text, surname text, email text, phone text, version integer, operation text)
       FROM FILE ('data/contacts/*.csv') FORMAT csv AS RECORDS KEY (key) VERSION BY version
       DELETED WHEN (operation = 'D') NULL VALUES ('') IDENTIFIERS (email => email, phone => phone)
       PERSON (first_name => given, last_name => surname)";

/// Each person: the keys of their records, their surname, and what they spent.
async fn people(engineer: &Session) -> Vec<String> {
    let query = "SELECT concat_ws(' ', string_agg(r.record_key, ' ' ORDER BY r.record_key), p.surname, p.spent)
         FROM profiles p JOIN profile_records r ON r.profile_id = p.profile_id AND r.source = 'contacts'
         GROUP BY p.profile_id, p.surname, p.spent";
    let rows = engineer.rows(query).await.into_iter();
    let mut people: Vec<String> = rows.map(|row| row[0].clone().unwrap()).collect();
    people.sort();
    people
}

/// Everything that is made of who is who, sorted.
async fn made(engineer: &Session) -> Vec<Vec<Vec<Option<String>>>> {
    let mut found = Vec::new();
    for relation in [
        "profiles",
        "profile_records",
        "profile_identifiers",
        "former_identifiers",
        "profile_merges",
        "identity_edges",
        "identity_violations",
        "attribute_sources",
    ] {
        let mut rows = engineer.rows(&format!("SELECT * FROM {relation}")).await;
        rows.sort();
        found.push(rows);
    }
    found
}

#[tokio::test]
async fn a_record_that_is_gone_is_nobodys_and_comes_back_as_who_it_was() {
    let project = Project::of(&DEFINITIONS);
    let (server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    let before = people(&engineer).await;
    assert_eq!(before, ["a-1 a-2 a-3 Nowak 120", "b-1 Lis 5"]);
    let id = "SELECT resolve_profile('email', 'jan@x.example')";
    let other = "SELECT resolve_profile('email', 'ewa@x.example')";
    let (jan, ewa) = (engineer.value(id).await, engineer.value(other).await);
    let records = "SELECT count(*) FROM sources.contacts";

    // The record that held two others together, an order, and somebody whole.
    let header = "key,given,surname,email,phone,version,operation\n";
    project.write("data/contacts/2.csv", &format!("{header}a-2,,,,,2,D\nb-1,,,,,2,D\n"));
    project.write("data/orders/2.csv", "order_no,email,total,gone\n2,jan@x.example,20,true\n");
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(people(&engineer).await, ["a-1 Nowak 100", "a-3 Nowak"]);
    assert_eq!(engineer.number(records).await, 2);
    let history = "SELECT count(*) FROM sources.contacts_history WHERE key IN ('a-2', 'b-1')";
    assert_eq!(engineer.number(history).await, 4, "what was there, and that it is gone");
    let held = "SELECT count(*) FROM sources.contacts_history WHERE profile_id IS NOT NULL";
    assert_eq!(engineer.number(held).await, 2, "of those who are there");
    assert_eq!(engineer.value(id).await, jan);
    assert_ne!(engineer.value(other).await, ewa, "whoever ordered is a visitor");
    let gone = made(&engineer).await;
    engineer.run("REFRESH ALL FULL").await.unwrap();
    assert_eq!(made(&engineer).await, gone, "a rebuild");

    // Another process knows it, too; an older version that comes late changes nothing, and a newer one brings it back.
    drop((engineer, server));
    let (_server, engineer) = project.serve().await;
    let late = "a-2,Jan,Nowak,jan@x.example,601 123 451,1,U\n";
    project.write("data/contacts/3.csv", &format!("{header}{late}"));
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(people(&engineer).await, ["a-1 Nowak 100", "a-3 Nowak"]);
    let back = "a-2,Jan,Nowak,jan@x.example,601 123 451,3,I\nb-1,Ewa,Lis,ewa@x.example,,3,I\n";
    project.write("data/contacts/4.csv", &format!("{header}{back}"));
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(people(&engineer).await, ["a-1 a-2 a-3 Nowak 100", "b-1 Lis 5"]);
    assert_eq!((engineer.value(id).await, engineer.value(other).await), (jan, ewa));
    let there = made(&engineer).await;
    engineer.run("REFRESH ALL FULL").await.unwrap();
    assert_eq!(made(&engineer).await, there, "a rebuild");
}

/// No person becomes another one for it: what is computed of rows is computed anew all the same.
#[tokio::test]
async fn an_order_that_is_gone_is_in_no_trait() {
    let project = Project::of(&DEFINITIONS);
    let (_server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    let header = "order_no,email,total,gone\n";
    let gone = "1,jan@x.example,100,true\n3,ewa@x.example,5,true\n";
    project.write("data/orders/2.csv", &format!("{header}{gone}"));
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(people(&engineer).await, ["a-1 a-2 a-3 Nowak 20", "b-1 Lis"]);
    assert_eq!(engineer.number("SELECT count(*) FROM sources.orders").await, 1);
    let there = made(&engineer).await;
    engineer.run("REFRESH ALL FULL").await.unwrap();
    assert_eq!(made(&engineer).await, there, "a rebuild");
    project.write("data/orders/3.csv", &format!("{header}3,ewa@x.example,7,\n"));
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(people(&engineer).await, ["a-1 a-2 a-3 Nowak 20", "b-1 Lis 7"]);
}

#[tokio::test]
async fn what_tells_of_deletions_is_a_condition_over_one_row_of_a_record() {
    let project = Project::of(&DEFINITIONS);
    let (_server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    let replaced = |condition: &str| {
        let source = CONTACTS.replace("(operation = 'D')", condition);
        source.replace("CREATE SOURCE", "CREATE OR REPLACE SOURCE")
    };
    for (condition, code, message) in [
        ("operation = 'D'", "42601", "expected \"(\""),
        ("(key IN (SELECT 'a-1'))", "0A000", "a subquery cannot stand here"),
    ] {
        let failure = engineer.failure(&replaced(condition)).await.to_string();
        assert!(failure.contains(code) && failure.contains(message), "{failure}");
    }
    let events = "CREATE SOURCE e FROM FILE ('e.csv') FORMAT csv AS EVENTS DELETED WHEN (gone)";
    let failure = engineer.failure(events).await.to_string();
    assert!(failure.contains("DELETED WHEN is for records"), "{failure}");

    // Another condition reads the source anew, and people are made by it.
    engineer.run(&replaced("(email IS NULL)")).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(people(&engineer).await, ["a-1 a-2 Nowak 120", "b-1 Lis 5"]);
}
