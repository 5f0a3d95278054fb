//! A FUZZY rule over the wire: whom it joins and whom it does not, what it shows of itself, and that new records make what a
//! rebuild makes.

use std::fmt::Write;

use crate::harness::{Project, Session};
use crate::impact::{figure, impact};

const DEFINITIONS: [(&str, &str); 4] = [
    ("purposes/service.sql", "CREATE PURPOSE service LEGAL BASIS contract"),
    (
        "roles/engineer.sql",
        "CREATE ROLE engineer LOGIN PASSWORD 'demo' PURPOSES (service) MAY (define, refresh)",
    ),
    (
        "sources/contacts.sql",
        "CREATE SOURCE contacts (key text, given text, surname text, born text, street text, code text, email text, phone text)
           FROM FILE ('data/*.csv') FORMAT csv AS RECORDS KEY (key) NULL VALUES ('')
           IDENTIFIERS (email => email, phone => phone)
           PERSON (first_name => given, last_name => surname, birth_date => born, street => street, postal_code => code)",
    ),
    ("identity/customer.sql", EXACT),
];

const EXACT: &str = "CREATE IDENTITY GRAPH customer
    IDENTIFIERS (email NORMALIZE email PRIORITY 1 LIMIT 5, phone NORMALIZE phone('PL') PRIORITY 2 LIMIT 5)
    MATCH (name_birth EXACT ON (name, birth_date) PRIORITY 3)";

pub(crate) const FUZZY: &str = "CREATE OR REPLACE IDENTITY GRAPH customer
    IDENTIFIERS (email NORMALIZE email PRIORITY 1 LIMIT 5, phone NORMALIZE phone('PL') PRIORITY 2 LIMIT 5)
    MATCH (name_birth EXACT ON (name, birth_date) PRIORITY 3,
           same_person FUZZY SCORE >= 0.9 REVIEW BELOW 0.9999999)";

/// People of whom the story tells. Each belongs to the one before it, or stands alone.
const STORY: &str = "\
pet-1,Jakub,Wójcikowski,1980-05-06,ul. Polna 3,00-001,,
pet-2,Kuba,Wojcikowski,1980-06-05,Polna 3/4,00-001,,
maiden-1,Małgorzata,Zarlipska,1971-02-03,Lipowa 8,33-100,,
maiden-2,Gosia,Zarlipski,1971-02-03,Lipowa 8,33-100,,
family-1,Jan,Kostorek,1980-05-06,Szkolna 5,60-101,,22 123 45 67
family-2,Anna,Kostorek,1982-07-08,Szkolna 5,60-101,,22 123 45 67
family-3,Piotr,Kostorek,2009-01-09,Szkolna 5,60-101,,22 123 45 67
twin-1,Hanna,Malwilak,2001-09-10,Krotka 7,80-299,,
twin-2,Julia,Malwilak,2001-09-10,Krotka 7,80-299,,
senior,Oskar,Torgraicz Sr,1951-03-02,Wiejska 9,90-404,,
junior,Oskar,Torgraicz Jr,1981-11-12,Wiejska 9,90-404,,
";

/// A later record of the first of them, under another spelling.
const LATER: &str = "pet-3,Kubuś,Wójcikovski,1980-05-06,Polna 3,00-001,kuba@poczta.example,\n";

const HEADER: &str = "key,given,surname,born,street,code,email,phone\n";

/// A later record of the same person, who shares name and birthday with the first one and nothing else with anybody.
const SHORT: &str = "pet-3,Kubuś,Wójcikowski,1980-05-06,,,,\n";

/// Records of a town from which something can be learnt: households of two, each of whom has two records that do not agree in
/// everything.
fn town() -> String {
    let syllables =
        ["bar", "cho", "dob", "gra", "jas", "kos", "lip", "mal", "nor", "ost", "pie", "ran"];
    let given = [
        ["Tomasz", "Tomek"],
        ["Ewa", "Ewka"],
        ["Marek", "Mareczek"],
        ["Zofia", "Zosia"],
        ["Adam", "Adaś"],
        ["Maria", "Marysia"],
        ["Robert", "Robert"],
        ["Barbara", "Basia"],
    ];
    let streets = ["Polna", "Lesna", "Lipowa", "Szkolna", "Ogrodowa", "Krotka"];
    let mut text = HEADER.to_owned();
    for household in 0..400_usize {
        let [first, second, third] = [7, 5, 11].map(|step| syllables[household * step % 12]);
        let surname = format!("{first}{second}{third}{}", ["ek", "ak", "icz"][household / 12 % 3]);
        let street = format!("{} {}", streets[household % 6], household / 6 + 1);
        let code = format!("{:02}-{:03}", household % 90 + 10, household * 37 % 1_000);
        for member in 0..2 {
            let person = household * 2 + member;
            let names = given[(household + member * 3) % 8];
            let born = format!(
                "{}-{:02}-{:02}",
                1940 + person * 13 % 65,
                person % 12 + 1,
                person * 7 % 28 + 1
            );
            let email = format!("{}.{person}@poczta.example", names[0].to_lowercase());
            let phone = format!("601{:06}", person * 7_919 % 1_000_000);
            let short = names[usize::from(person % 3 == 0)];
            writeln!(
                text,
                "t{person}a,{},{surname},{born},{street},{code},{email},{phone}",
                names[0]
            )
            .unwrap();
            let (mail, number) =
                if person % 2 == 0 { (email.as_str(), "") } else { ("", phone.as_str()) };
            let born = if person % 5 == 0 { "" } else { born.as_str() };
            writeln!(text, "t{person}b,{short},{surname},{born},{street},{code},{mail},{number}")
                .unwrap();
        }
    }
    text
}

/// A project that has the town and the story to read.
pub(crate) fn project() -> Project {
    let story = format!("{HEADER}{STORY}");
    let data = [("data/1-town.csv", town()), ("data/2-story.csv", story)];
    let data = data.iter().map(|(path, text)| (*path, text.as_str()));
    let files: Vec<(&str, &str)> = DEFINITIONS.into_iter().chain(data).collect();
    Project::of(&files)
}

/// The people of the story: the keys of each, sorted.
pub(crate) async fn people(engineer: &Session) -> Vec<String> {
    let query = "SELECT string_agg(record_key, ' ' ORDER BY record_key) FROM profile_records
                 WHERE record_key NOT LIKE 't%' OR record_key LIKE 'twin%' GROUP BY profile_id";
    let mut people: Vec<String> =
        engineer.rows(query).await.into_iter().map(|row| row[0].clone().unwrap()).collect();
    people.sort();
    people
}

/// Everything that the graph says, sorted.
async fn graph(engineer: &Session) -> Vec<Vec<Vec<Option<String>>>> {
    let mut found = Vec::new();
    for relation in ["profile_records", "identity_edges", "identity_violations", "profile_merges"] {
        let mut rows = engineer.rows(&format!("SELECT * FROM {relation}")).await;
        rows.sort();
        found.push(rows);
    }
    for relation in ["cdp.match_models", "cdp.match_weights"] {
        found.push(engineer.rows(&format!("SELECT * FROM {relation}")).await);
    }
    found
}

const APART: [&str; 11] = [
    "family-1", "family-2", "family-3", "junior", "maiden-1", "maiden-2", "pet-1", "pet-2",
    "senior", "twin-1", "twin-2",
];

#[tokio::test]
async fn who_is_one_person_by_weight_is_joined_and_families_are_not() {
    let project = project();
    let (_server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    // A maiden name is no other name to the exact rule, a pet name is.
    let exact = people(&engineer).await;
    assert!(
        exact.contains(&"pet-1".to_owned()) && exact.contains(&"pet-2".to_owned()),
        "{exact:?}"
    );
    assert_eq!(engineer.number("SELECT count(*) FROM cdp.match_models").await, 0);

    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    let mut expected: Vec<String> = APART
        .iter()
        .filter(|key| !key.starts_with("pet") && !key.starts_with("maiden"))
        .map(|key| (*key).to_owned())
        .collect();
    expected.extend(["maiden-1 maiden-2".to_owned(), "pet-1 pet-2".to_owned()]);
    expected.sort();
    assert_eq!(people(&engineer).await, expected);

    // Why: the rule, in what they agree, and how sure that is.
    let edge = "SELECT rule, value, bits > 3.1, probability > 0.9 AND probability <= 1.0, joined FROM identity_edges
                WHERE left_record_key LIKE 'pet-%' AND right_record_key LIKE 'pet-%'";
    let words = "given name: forms of one name; surname: equal; \
                 birth date: one slip, or day and month swapped; address: equal";
    let told = ["same_person", words, "t", "t", "t"].map(|text| Some(text.to_owned()));
    assert_eq!(engineer.rows(edge).await, [told]);
    // It comes last, so that it ties less than any other rule.
    let way = "SELECT rule, weight < 100 FROM why_merged('contacts', 'pet-1', 'contacts', 'pet-2')
               WHERE part = 'path'";
    let told = ["same_person", "t"].map(|text| Some(text.to_owned()));
    assert_eq!(engineer.rows(way).await, [told]);
    weights_are_told_step_by_step(&engineer).await;
    let exact =
        "SELECT count(*) FROM identity_edges WHERE rule <> 'same_person' AND bits IS NOT NULL";
    assert_eq!(engineer.number(exact).await, 0);

    // The model, whole.
    let model = "SELECT count(*), min(rule), min(records) FROM cdp.match_models";
    let told = ["1", "same_person", "1611"].map(|text| Some(text.to_owned()));
    assert_eq!(engineer.rows(model).await, [told]);
    let weights =
        "SELECT string_agg(DISTINCT comparison, ', ' ORDER BY comparison) FROM cdp.match_weights";
    let compared = "address, birth date, email, given name, phone, surname";
    assert_eq!(engineer.value(weights).await, compared);
    let domains = "SELECT string_agg(DISTINCT comparison, ', ') FROM cdp.match_weights WHERE label = 'equal name, another domain'";
    assert_eq!(engineer.value(domains).await, "email", "a number has no domain");
    let sums =
        "SELECT count(*) FROM (SELECT comparison, sum(m) AS m, sum(household) AS h, sum(u) AS u
                FROM cdp.match_weights GROUP BY comparison) s
                WHERE abs(m - 1) > 0.001 OR abs(h - 1) > 0.001 OR abs(u - 1) > 0.001";
    assert_eq!(engineer.number(sums).await, 0, "probabilities of a comparison add up to one");
    let worth =
        "SELECT count(*) FROM cdp.match_weights WHERE abs(match_weight(m, u) - bits) > 0.000001";
    assert_eq!(engineer.number(worth).await, 0);

    // What joined and is less sure than the definition asks for.
    let sure = "SELECT count(*) FROM cdp.identity_review
                WHERE kind = 'unsure' AND (probability >= 0.9999999 OR probability < 0.899)";
    assert_eq!(engineer.number(sure).await, 0);
    let listed = "SELECT count(*) FROM cdp.identity_review
                  WHERE rule = 'same_person' AND other_profile_id IS NULL AND probability < 0.9999999";
    let listed = engineer.number(listed).await;
    assert!(listed > 0);
    let edges = "SELECT count(*) FROM identity_edges WHERE rule = 'same_person' AND joined AND probability < 0.9999999";
    assert_eq!(engineer.number(edges).await, listed);

    // The definition is what was written, and without the rule nothing of it stays.
    let shown = engineer.rows("SHOW CREATE IDENTITY GRAPH customer").await.concat();
    let shown = shown[1].clone().unwrap();
    assert!(shown.contains("same_person FUZZY SCORE >= 0.9 REVIEW BELOW 0.9999999"), "{shown}");
    engineer.run(&EXACT.replace("CREATE", "CREATE OR REPLACE")).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    assert_eq!(engineer.number("SELECT count(*) FROM cdp.match_models").await, 0);
    assert!(people(&engineer).await.contains(&"pet-1".to_owned()));
}

/// The waterfall of a pair comes to what the graph weighed it, in the same words, and tells of pairs that are apart, too.
async fn weights_are_told_step_by_step(engineer: &Session) {
    let edges = "SELECT left_record_key, right_record_key, bits, value FROM identity_edges
                 WHERE rule = 'same_person' ORDER BY left_record_key, right_record_key LIMIT 12";
    let edges = engineer.rows(edges).await;
    assert!(!edges.is_empty());
    let edges = edges.into_iter().map(|row| row.into_iter().map(Option::unwrap));
    for edge in edges.map(Iterator::collect::<Vec<String>>) {
        let [left, right, bits, words] = edge.as_slice() else { panic!("{edge:?}") };
        let told = engineer
            .rows(&format!(
                "SELECT abs(sum(bits) - {bits}) < 0.01 AND abs(sum(bits) - max(total) FILTER (WHERE step = 7)) < 0.01,
                        string_agg(comparison || ': ' || agreement, '; ' ORDER BY step),
                        string_agg(comparison, ', ' ORDER BY step)
                 FROM match_waterfall('contacts', '{left}', 'contacts', '{right}')"
            ))
            .await;
        let steps = "prior, given name, surname, birth date, address, email, phone";
        let wanted = ["t", words.as_str(), steps].map(|text| Some(text.to_owned()));
        assert_eq!(told, [wanted], "{left} {right}");
    }
    many_are_weighed_as_one_is(engineer).await;
    let twins = "SELECT max(agreement) FILTER (WHERE comparison = 'given name'),
                        max(bits) FILTER (WHERE comparison = 'given name') < 0,
                        max(bits) FILTER (WHERE comparison = 'birth date') > 0,
                        min(probability) FILTER (WHERE step = 7) < 0.9
                 FROM match_waterfall('contacts', 'twin-1', 'contacts', 'twin-2')";
    let wanted = ["different", "t", "t", "t"].map(|text| Some(text.to_owned()));
    assert_eq!(engineer.rows(twins).await, [wanted]);
    for (left, right) in [("pet-1", "pet-2"), ("twin-1", "twin-2")] {
        let merge = format!("EXPLAIN MERGE (contacts, '{left}'), (contacts, '{right}')");
        let lines = engineer.rows(&merge).await.concat().into_iter().flatten();
        let weighed: Vec<String> = lines.filter(|line| line.contains("Weighed: prior -")).collect();
        let [line] = weighed.as_slice() else { panic!("{left} {right}: {weighed:?}") };
        assert!(line.contains("birth date: ") && line.contains(" bits, probability "), "{line}");
    }
}

/// The operator weighs what the graph weighed alike, and what the graph did not join; a record that is not there has no weight.
async fn many_are_weighed_as_one_is(engineer: &Session) {
    let wrong = "SELECT count(*), count(*) FILTER (WHERE abs(s.bits - e.bits) < 0.01 AND abs(s.probability - e.probability) < 0.001)
        FROM scored_pairs((SELECT left_source, left_record_key, right_source, right_record_key
                           FROM identity_edges WHERE rule = 'same_person')) s
        JOIN identity_edges e USING (left_source, left_record_key, right_source, right_record_key)
        WHERE e.rule = 'same_person'";
    let [all, alike]: [Option<String>; 2] = engineer.rows(wrong).await.concat().try_into().unwrap();
    assert!(all == alike && all.as_deref() != Some("0"), "{all:?} {alike:?}");
    let story = "SELECT left_record_key, probability < 0.9 FROM scored_pairs((SELECT * FROM (VALUES
            ('contacts', 'twin-1', 'contacts', 'twin-2'), ('contacts', 'pet-1', 'contacts', 'pet-2'),
            ('contacts', 'nobody', 'contacts', 'pet-2')) p(a, b, c, d))) s ORDER BY 1";
    let told = [("nobody", None), ("pet-1", Some("f")), ("twin-1", Some("t"))];
    let told = told.map(|(key, less)| vec![Some(key.to_owned()), less.map(str::to_owned)]);
    assert_eq!(engineer.rows(story).await, told);
    // From keys to people, with operators alone: whom blocking finds, the model weighs and refinement joins, or not.
    let people = "WITH r AS (SELECT key, surname || born AS name_and_day, street || code AS address FROM sources.contacts
                             WHERE key LIKE 'maiden-%' OR key LIKE 'twin-%'),
             s AS (SELECT * FROM scored_pairs((SELECT 'contacts', left_id, 'contacts', right_id
                                               FROM candidate_pairs((SELECT key, name_and_day, address FROM r)) c)) w)
        SELECT id, cluster FROM refine_clusters((SELECT left_record_key, right_record_key, bits - 3.17 FROM s)) c ORDER BY id";
    let clusters = [
        ("maiden-1", "maiden-1"),
        ("maiden-2", "maiden-1"),
        ("twin-1", "twin-1"),
        ("twin-2", "twin-2"),
    ];
    let clusters = clusters.map(|row| <[&str; 2]>::from(row).map(|id| Some(id.to_owned())));
    assert_eq!(engineer.rows(people).await, clusters);
    let plan = engineer.rows(&format!("EXPLAIN {people}")).await.concat();
    let plan = plan.into_iter().flatten().collect::<Vec<_>>().join("\n");
    for name in ["RefinementExec", "PairScoringExec", "BlockingJoinExec"] {
        assert!(plan.contains(name), "{name} is not in {plan}");
    }
}

#[tokio::test]
async fn new_records_make_what_a_rebuild_makes_and_the_model_stays() {
    let project = project();
    let (server, engineer) = project.serve().await;
    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    let model = engineer.value("SELECT trained_at FROM cdp.match_models").await;
    project.write("data/3-later.csv", &format!("{HEADER}{LATER}"));
    engineer.run("REFRESH ALL").await.unwrap();
    assert!(people(&engineer).await.contains(&"pet-1 pet-2 pet-3".to_owned()));
    let touched = "SELECT rows_out FROM cdp.refreshes WHERE object = 'profiles' AND status = 'done' ORDER BY at DESC LIMIT 1";
    assert!(engineer.number(touched).await <= 3, "only whom the new record touches");
    let incremental = graph(&engineer).await;
    engineer.run("REFRESH ALL FULL").await.unwrap();
    assert_eq!(graph(&engineer).await, incremental, "REFRESH ALL FULL");
    assert_eq!(engineer.value("SELECT trained_at FROM cdp.match_models").await, model);

    // A process that has not worked with the lake before goes on with the model that is kept there.
    drop((server, engineer));
    let (_server, engineer) = project.serve().await;
    project.write(
        "data/4-later.csv",
        &format!("{HEADER}{}", LATER.replace("pet-3", "pet-4").replace("Polna 3", "Polna 3/4")),
    );
    engineer.run("REFRESH ALL").await.unwrap();
    assert!(people(&engineer).await.contains(&"pet-1 pet-2 pet-3 pet-4".to_owned()));
    assert!(engineer.number(touched).await <= 3, "only whom the new record touches");

    // Defining the graph anew trains another one.
    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    assert_ne!(engineer.value("SELECT trained_at FROM cdp.match_models").await, model);
    assert_eq!(engineer.number("SELECT count(*) FROM cdp.match_models").await, 1);
}

#[tokio::test]
async fn what_the_rule_will_join_is_foretold_by_the_model_that_it_will_train() {
    let project = project();
    let (_server, engineer) = project.serve().await;
    engineer.run("REFRESH ALL").await.unwrap();
    let told = impact(&engineer, FUZZY).await;
    assert_eq!(figure(&told, "model_trained"), 1_611);
    assert_eq!(engineer.number("SELECT count(*) FROM cdp.match_models").await, 0);
    let mut merges = told.iter().filter(|line| line.kind == "merge" && line.rule == "same_person");
    assert!(merges.any(|line| line.detail.contains("probability 0.9")), "{told:#?}");

    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    let profiles = engineer.number("SELECT count(*) FROM profiles").await;
    assert_eq!(i64::try_from(figure(&told, "profiles_then")).unwrap(), profiles);
    let merged = figure(&told, "profiles_now") - figure(&told, "profiles_then");
    assert_eq!(figure(&told, "profiles_merged"), merged);

    // A definition that stays keeps its model, and one that is written again learns the same from the same records.
    let stays = FUZZY.replace("OR REPLACE IDENTITY GRAPH", "IDENTITY GRAPH IF NOT EXISTS");
    for (definition, kind) in [(stays.as_str(), "model_kept"), (FUZZY, "model_trained")] {
        let told = impact(&engineer, definition).await;
        assert_eq!(figure(&told, kind), 1_611);
        assert_eq!(figure(&told, "records_moved"), 0);
        assert_eq!(i64::try_from(figure(&told, "profiles_unchanged")).unwrap(), profiles);
    }
}

/// The definition with these keys for candidates.
fn named(keys: &str) -> String {
    FUZZY.replace("FUZZY SCORE", &format!("FUZZY BLOCK ON ({keys}) SCORE"))
}

#[tokio::test]
async fn keys_that_are_named_decide_who_is_weighed() {
    let project = project();
    let (_server, engineer) = project.serve().await;
    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    let usual = people(&engineer).await;
    assert!(usual.contains(&"pet-1 pet-2".to_owned()), "{usual:?}");
    for (keys, sqlstate, says, hint) in [
        (
            "(surname, shoe_size)",
            "42703",
            "\"shoe_size\"",
            "birth_date, street, postal_code, city, email",
        ),
        ("(surnam)", "42703", "\"surnam\"", "Did you mean surname?"),
        ("(soundex(surname))", "42883", "soundex(surname)", "initial(surname)"),
        ("(local(phone))", "42883", "local(phone)", "NORMALIZE email"),
        ("(surname, street), (street, surname)", "22023", "(street, surname) twice", "order"),
        ("(surname, surname)", "22023", "names surname twice", "once"),
        ("()", "42601", "expected a field", ""),
        ("surname, street", "42601", "expected a key in parentheses", "Put each key"),
    ] {
        for statement in [named(keys), format!("EXPLAIN IMPACT {}", named(keys))] {
            let failure = engineer.failure(&statement).await;
            assert_eq!(failure.sqlstate, sqlstate, "{statement}: {failure}");
            assert!(failure.message.contains(says), "{statement}: {failure}");
            assert!(
                failure.hint.clone().unwrap_or_default().contains(hint),
                "{statement}: {failure}"
            );
        }
    }
    assert_eq!(people(&engineer).await, usual);

    // The birthday of one of the two is mistyped, so that nobody looks at them together.
    let narrow = named("(surname, birth_date), (email), (initial(given_name), local(email))");
    let told = impact(&engineer, &narrow).await;
    engineer.run(&narrow).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    let profiles = engineer.number("SELECT count(*) FROM profiles").await;
    assert_eq!(i64::try_from(figure(&told, "profiles_then")).unwrap(), profiles);
    let mut expected: Vec<String> =
        usual.iter().filter(|keys| *keys != "pet-1 pet-2").cloned().collect();
    expected.extend(["pet-1".to_owned(), "pet-2".to_owned()]);
    expected.sort();
    assert_eq!(people(&engineer).await, expected);
    let shown = engineer.rows("SHOW CREATE IDENTITY GRAPH customer").await.concat();
    let keys =
        "FUZZY BLOCK ON ((surname, birth_date), (email), (initial(given_name), local(email)))";
    assert!(shown[1].clone().unwrap().contains(keys), "{shown:?}");

    // What comes later meets the same keys as in a rebuild.
    project.write("data/3-later.csv", &format!("{HEADER}{SHORT}"));
    engineer.run("REFRESH ALL").await.unwrap();
    assert!(people(&engineer).await.contains(&"pet-1 pet-3".to_owned()));
    let incremental = graph(&engineer).await;
    engineer.run("REFRESH ALL FULL").await.unwrap();
    assert_eq!(graph(&engineer).await, incremental, "REFRESH ALL FULL");

    // Without them the usual keys are back.
    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    assert!(people(&engineer).await.contains(&"pet-1 pet-2 pet-3".to_owned()));
}
