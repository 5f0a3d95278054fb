//! Households over the wire: who has one `household_id`, that nobody is another person for it, and that it tells nobody of
//! people whom a purpose does not show.

use crate::fuzzy::{FUZZY, people, project};
use crate::harness::{Session, connect};

/// The graph of the other tests of FUZZY rules, with households.
fn with_households() -> String {
    FUZZY.replace("FUZZY SCORE >= 0.9", "FUZZY SCORE >= 0.9 HOUSEHOLD SCORE >= 0.9")
}

const HEADER: &str = "key,given,surname,born,street,code,email,phone\n";

/// The households of the story: the keys of each, sorted.
async fn households(session: &Session) -> Vec<String> {
    let query = "SELECT string_agg(r.record_key, ' ' ORDER BY r.record_key)
                 FROM profile_records r JOIN profiles p ON p.profile_id = r.profile_id
                 WHERE r.record_key NOT LIKE 't%' OR r.record_key LIKE 'twin%' GROUP BY p.household_id";
    let rows = session.rows(query).await.into_iter();
    let mut found: Vec<String> = rows.map(|row| row[0].clone().unwrap()).collect();
    found.sort();
    found
}

/// Every profile with its household, and what every two say of it to those who see everyone.
async fn everything(engineer: &Session) -> [Vec<Vec<Option<String>>>; 2] {
    let mut pairs = engineer.rows("SELECT * FROM household_pairs").await;
    pairs.sort();
    [engineer.rows("SELECT profile_id, household_id FROM profiles ORDER BY 1").await, pairs]
}

#[tokio::test]
async fn who_lives_together_has_one_household_and_stays_who_they_are() {
    let project = project();
    let (server, engineer) = project.serve().await;
    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    let ids = "SELECT record_key, profile_id FROM profile_records ORDER BY record_key";
    let (before, who) = (engineer.rows(ids).await, people(&engineer).await);
    assert_eq!(engineer.failure("SELECT household_id FROM profiles").await.sqlstate, "42703");

    engineer.run(&with_households()).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(engineer.rows(ids).await, before, "nobody is another person");
    assert_eq!(people(&engineer).await, who);
    let columns = engineer.run("SELECT * FROM profiles LIMIT 0").await.unwrap().columns;
    assert_eq!(columns, ["profile_id", "household_id"]);
    let together = [
        "family-1 family-2 family-3",
        "junior senior",
        "maiden-1 maiden-2",
        "pet-1 pet-2",
        "twin-1 twin-2",
    ];
    assert_eq!(households(&engineer).await, together);
    // Each is counted once, everybody has one, and its id is no profile's.
    let count = "SELECT count(DISTINCT household_id) FROM profiles WHERE household_id IS NOT NULL";
    let of_profiles = engineer.number("SELECT count(*) FROM profiles").await;
    assert!(engineer.number(count).await < of_profiles, "a family is one household");
    let null = "SELECT count(*) FROM profiles WHERE household_id IS NULL";
    assert_eq!(engineer.number(null).await, 0);
    let same = "SELECT count(*) FROM profiles p JOIN profiles h ON h.profile_id = p.household_id";
    assert_eq!(engineer.number(same).await, 0);
    // Who lives with somebody, the long way and the short one.
    let father = "SELECT profile_id FROM profile_records WHERE record_key = 'family-1'";
    let father = engineer.number(father).await;
    let members = format!(
        "SELECT count(*) FROM profiles
         WHERE household_id = (SELECT household_id FROM profiles WHERE profile_id = {father})"
    );
    assert_eq!(engineer.number(&members).await, 3);
    let own = format!("SELECT household_id FROM profiles WHERE profile_id = {father}");
    let long = format!("SELECT max(household_id) FROM profiles WHERE profile_id + 0 = {father}");
    let long = engineer.value(&long).await;
    for _ in 0..3 {
        assert_eq!(engineer.value(&own).await, long);
    }
    // Why, for those who see everyone.
    let pair = format!(
        "SELECT bool_and(speaks > 0 AND probability >= 0.9), count(*)
         FROM household_pairs WHERE {father} IN (profile_id, other_profile_id)"
    );
    let told = ["t", "2"].map(|text| Some(text.to_owned()));
    assert_eq!(engineer.rows(&pair).await, [told]);

    // What a profile is made of says with how many others it lives, and by which pair.
    let explain = format!("EXPLAIN PROFILE {father}");
    let lines = engineer.rows(&explain).await.concat().into_iter().flatten();
    let lines: Vec<String> = lines.collect();
    let household = format!("  Household: {long}, with 2 others");
    let at = lines.iter().position(|line| *line == household);
    let pair = &lines[at.unwrap_or_else(|| panic!("{household}: {lines:?}")) + 1];
    assert!(pair.starts_with(&format!("    -> {father} and ")), "{pair}");
    assert!(pair.contains(" bits, probability "), "{pair}");

    // New records, a rebuild and another process come to the same.
    let later = "family-4,Wanda,Kostorek,2011-02-03,Szkolna 5,60-101,,22 123 45 67\n";
    project.write("data/3-later.csv", &format!("{HEADER}{later}"));
    engineer.run("REFRESH ALL").await.unwrap();
    let found = households(&engineer).await;
    assert_eq!(found[0], "family-1 family-2 family-3 family-4");
    let incremental = everything(&engineer).await;
    engineer.run("REFRESH ALL FULL").await.unwrap();
    assert_eq!(everything(&engineer).await, incremental, "REFRESH ALL FULL");
    drop((server, engineer));
    let (_server, engineer) = project.serve().await;
    assert_eq!(everything(&engineer).await, incremental, "another process");

    // The name is taken, who selects it keeps it, and without the clause nothing of it stays.
    let attribute =
        "CREATE ATTRIBUTE household_id ON customer FROM (contacts.surname) RESOLVE BY LATEST";
    let refused = engineer.failure(attribute).await;
    assert!(refused.to_string().contains("\"household_id\" of profiles"), "{refused}");
    let segment = "CREATE SEGMENT housed ON customer FOR PURPOSE service WHERE household_id > 0";
    engineer.run(segment).await.unwrap();
    let refused = engineer.failure(FUZZY).await;
    assert_eq!(refused.sqlstate, "2BP01", "{refused}");
    assert!(refused.message.contains("segment \"housed\""), "{refused}");
    engineer.run("DROP SEGMENT housed").await.unwrap();
    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    for gone in ["SELECT household_id FROM profiles", "SELECT 1 FROM household_pairs"] {
        engineer.failure(gone).await;
    }
    let lines = engineer.rows(&explain).await.concat();
    assert!(!lines.iter().flatten().any(|line| line.contains("Household")), "{lines:?}");
}

/// Two strangers, and somebody who lived with either of them.
const VISIBLE: &str = "\
home-1,Jan,Kwiatorek,1980-05-06,Szkolna 7,60-101,jan.k@poczta.example,22 700 10 10
home-2,Ewa,Brzozanka,1961-01-09,Lipowa 11,33-100,ewa.b@poczta.example,22 700 20 20
";
const HIDDEN: &str = "\
home-3,Anna,Kwiatorek,1982-07-08,Szkolna 7,60-101,anna.k@poczta.example,22 700 10 10
home-4,Anna,Brzozanka,1982-07-08,Lipowa 11,33-100,anna.k@poczta.example,22 700 20 20
";

#[tokio::test]
async fn whom_a_purpose_does_not_show_is_not_told_by_a_household() {
    let project = project();
    project.write("data/3-home.csv", &format!("{HEADER}{VISIBLE}"));
    let (server, engineer) = project.serve().await;
    for statement in [
        with_households().as_str(),
        "CREATE PURPOSE letters LEGAL BASIS legitimate_interest",
        "CREATE PURPOSE privacy LEGAL BASIS legal_obligation",
        "CREATE ROLE writer LOGIN PASSWORD 'demo' PURPOSES (letters)",
        "CREATE ROLE officer LOGIN PASSWORD 'demo' PURPOSES (privacy) MAY (consent)",
        "REFRESH ALL",
    ] {
        engineer.rows(statement).await;
    }
    let [writer, officer] = [
        connect(&server, "writer", "demo").await.unwrap(),
        connect(&server, "officer", "demo").await.unwrap(),
    ];
    let say = async |status: &str| {
        let email = "anna.k@poczta.example";
        let said = format!("SELECT cdp.record_consent('email', '{email}', 'letters', '{status}')");
        officer.rows(&said).await;
    };
    let ask = async |session: &Session| {
        let mut answers = Vec::new();
        for question in [
            "SELECT profile_id, household_id FROM profiles ORDER BY profile_id",
            "SELECT household_id, count(*) FROM profiles GROUP BY household_id ORDER BY 1",
            "SELECT count(*) FROM profiles WHERE household_id > 4503599627370496",
        ] {
            answers.push(session.run(question).await.unwrap());
        }
        let home = "SELECT profile_id FROM profile_records WHERE record_key = 'home-1'";
        let home = format!("EXPLAIN PROFILE {}", session.number(home).await);
        answers.push(session.run(&home).await.unwrap());
        answers
    };
    say("objected").await;
    let alone = ask(&writer).await;
    assert!(alone[0].rows.len() > 100);
    let told = alone[3].rows.concat().into_iter().flatten().find(|line| line.contains("Household"));
    assert!(told.is_some_and(|line| line.ends_with(", with nobody else")), "{:?}", alone[3]);
    assert_eq!(writer.failure("SELECT * FROM household_pairs").await.sqlstate, "42P01");

    project.write("data/4-home.csv", &format!("{HEADER}{HIDDEN}"));
    engineer.run("REFRESH ALL").await.unwrap();
    let of =
        |key: &str| format!("(SELECT profile_id FROM profile_records WHERE record_key = '{key}')");
    let anna = engineer.number(&format!("SELECT {}", of("home-3"))).await;
    assert_eq!(engineer.number(&format!("SELECT {}", of("home-4"))).await, anna);
    let members = format!(
        "SELECT count(*) FROM profiles
         WHERE household_id = (SELECT household_id FROM profiles WHERE profile_id = {anna})"
    );
    assert_eq!(engineer.number(&members).await, 2, "she lives with one of the two");
    assert_eq!(ask(&writer).await, alone, "she is hidden");

    // Once she is seen, she is of that household, and the others are where they were.
    say("granted").await;
    let mut seen = ask(&writer).await.swap_remove(0);
    assert_eq!(writer.number(&members).await, 2);
    let text = anna.to_string();
    seen.rows.retain(|row| row[0].as_deref() != Some(text.as_str()));
    assert_eq!(seen.rows, alone[0].rows);
    say("withdrawn").await;
    assert_eq!(ask(&writer).await, alone, "she is hidden again");
}
