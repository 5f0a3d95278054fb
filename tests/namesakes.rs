//! People of one name: when they are one customer, and what is told of those who are not.

use std::fmt::Write as _;

use crate::harness::{Project, Session};

const FILES: [(&str, &str); 5] = [
    ("data/0.csv", HEADER),
    ("purposes/service.sql", "CREATE PURPOSE service LEGAL BASIS contract;"),
    (
        "roles/engineer.sql",
        "CREATE ROLE engineer LOGIN PASSWORD 'demo' PURPOSES (service) MAY (define, refresh);",
    ),
    (
        "sources/contacts.sql",
        "CREATE SOURCE contacts (key text, given text, surname text, born text, code text, email text, phone text)
           FROM FILE ('data/*.csv') FORMAT csv AS RECORDS KEY (key) NULL VALUES ('')
           IDENTIFIERS (email => email, phone => phone)
           PERSON (first_name => given, last_name => surname, birth_date => born, postal_code => code);",
    ),
    (
        "identity/customer.sql",
        "CREATE IDENTITY GRAPH customer
           IDENTIFIERS (email NORMALIZE email PRIORITY 1 BLOCK VALUES ('brak@brak.example'),
                        phone NORMALIZE phone('PL') PRIORITY 2)
           MATCH (name_postal EXACT ON (name, postal_code) PRIORITY 3);",
    ),
];

const HEADER: &str = "key,given,surname,born,code,email,phone\n";

/// Ten colleagues on one telephone; two on another; a marriage on a third; and two without a mailbox of their own.
fn contacts() -> String {
    let mut text = HEADER.to_owned();
    let surnames =
        ["Nowak", "Lis", "Kot", "Wrona", "Zając", "Mazur", "Sowa", "Dudek", "Kruk", "Bocian"];
    for (at, surname) in surnames.iter().enumerate() {
        writeln!(text, "desk-{at},Anna,{surname},,,a{at}@praca.example,22 700 10 10").unwrap();
    }
    text += "two-1,Ewa,Nowak,,,e1@praca.example,601 123 451\n\
             two-2,Ewa,Lis,,,e2@praca.example,601 123 451\n\
             wed-1,Iga,Nowak,1980-05-06,,i1@poczta.example,601 123 452\n\
             wed-2,Iga,Lis,1980-05-06,,i2@poczta.example,601 123 452\n\
             till-1,Jan,Sowa,,,brak@brak.example,\n\
             till-2,Piotr,Kruk,,,brak@brak.example,\n";
    text
}

/// Namesakes in one town, each with a birthday of its own.
fn namesakes(count: usize) -> String {
    let mut text = HEADER.to_owned();
    for at in 0..count {
        let (year, month, day) = (1931 + at * 3, 1 + at % 12, 1 + at % 28);
        writeln!(text, "jan-{at},Jan,Kowalski,{year}-{month:02}-{day:02},00-002,,").unwrap();
    }
    text
}

async fn people(engineer: &Session, like: &str) -> i64 {
    let people = format!(
        "SELECT count(DISTINCT profile_id) FROM profile_records WHERE record_key LIKE '{like}'"
    );
    engineer.number(&people).await
}

/// The rows of refused edges that stand for many, by rule, value, reason and figure.
async fn summaries(engineer: &Session) -> Vec<String> {
    let rows = "SELECT concat_ws(' ', rule, value, reason, figure::text) FROM identity_violations \
                WHERE figure IS NOT NULL ORDER BY 1";
    engineer.rows(rows).await.concat().into_iter().map(Option::unwrap).collect()
}

#[tokio::test]
async fn women_of_one_given_name_are_one_customer_only_if_something_else_agrees() {
    let project = Project::of(&FILES);
    project.write("data/1.csv", &contacts());
    let (_server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    for (like, expected) in [("desk-%", 10), ("two-%", 2), ("wed-%", 1), ("till-%", 2)] {
        assert_eq!(people(&engineer, like).await, expected, "{like}");
    }
    let status = "SELECT string_agg(told, ', ' ORDER BY told) FROM ( \
            SELECT DISTINCT value || ' ' || status AS told FROM profile_identifiers WHERE kind = 'phone') held";
    assert_eq!(
        engineer.value(status).await,
        "+48227001010 nobody, +48601123451 shared, +48601123452 personal"
    );
    // The two are asked about, and an answer is in force at once.
    let asked = "SELECT pair FROM cdp.identity_review WHERE reason = 'surname' AND rule = 'phone'";
    let pair = engineer.value(asked).await;
    assert!(pair.contains("two-1") && pair.contains("two-2"), "{pair}");
    engineer.run(&format!("SELECT cdp.decide('{pair}', 'same', 'married')")).await.unwrap();
    assert_eq!(people(&engineer, "two-%").await, 1);
    // What joins nobody is told, with how many carry it.
    assert_eq!(
        summaries(&engineer).await,
        ["email brak@brak.example blocked 2", "phone +48227001010 nobody 10"]
    );
    let why = "SELECT status, reason FROM why_not_merged('contacts', 'till-1', 'contacts', 'till-2') ORDER BY 1";
    let why = engineer.rows(why).await.concat();
    assert!(!why.contains(&Some("refused".to_owned())), "{why:?}");
}

#[tokio::test]
async fn of_many_refused_edges_the_strongest_are_rows_and_the_others_are_counted() {
    let project = Project::of(&FILES);
    project.write("data/1.csv", &namesakes(29));
    let (_server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(people(&engineer, "jan-%").await, 29);
    let pairs = 29 * 28 / 2;
    let more = |pairs: i64| vec![format!("name_postal jan kowalski, 00002 more {}", pairs - 64)];
    assert_eq!(summaries(&engineer).await, more(pairs));
    let kept = "SELECT count(*) FROM identity_violations WHERE figure IS NULL";
    assert_eq!(engineer.number(kept).await, 64);
    let asked = engineer.number("SELECT count(*) FROM cdp.identity_review").await;
    assert!((1..=64).contains(&asked), "{asked} questions");
    // The stages count all of them, and one more comes to the same as a rebuild.
    project.write("data/1.csv", &namesakes(30));
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(summaries(&engineer).await, more(30 * 29 / 2));
    engineer.run("REFRESH ALL FULL").await.unwrap();
    assert_eq!(summaries(&engineer).await, more(30 * 29 / 2));
    let refused = "SELECT refused FROM cdp.identity_stages WHERE rule = 'name_postal' ORDER BY at DESC LIMIT 1";
    assert_eq!(engineer.number(refused).await, 30 * 29 / 2);
}
