//! What is told of pairs that a FUZZY rule weighed: those that it joined, wherever their edges stand, and those that it left alone.

use crate::fuzzy::{FUZZY, people, project};
use crate::harness::Session;

/// A later record of the person of two others, under another spelling.
const LATER: &str = "key,given,surname,born,street,code,email,phone\n\
                     pet-3,Kubuś,Wójcikovski,1980-05-06,Polna 3,00-001,kuba@poczta.example,\n";

#[tokio::test]
async fn edges_that_were_weighed_have_their_bits_and_those_of_exact_rules_have_none() {
    let project = project();
    let (_server, engineer) = project.serve().await;
    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    every_weighed_edge_is_told(&engineer, "pet-1", "pet-2").await;
    // The way leads by a telephone; the rule's edge is one of those that would have to go, too.
    every_weighed_edge_is_told(&engineer, "t1a", "t1b").await;
    let exact = "SELECT count(*) > 0, count(bits), count(probability)
                 FROM why_merged('contacts', 't1a', 'contacts', 't1b') WHERE rule <> 'same_person'";
    let none = ["t", "0", "0"].map(|text| Some(text.to_owned()));
    assert_eq!(engineer.rows(exact).await, [none]);
    let merge = "EXPLAIN MERGE (contacts, 't1a'), (contacts, 't1b')";
    let lines: Vec<String> = engineer.rows(merge).await.concat().into_iter().flatten().collect();
    let mut exact = lines.iter().filter(|line| line.contains("name_birth "));
    assert!(exact.all(|line| line.contains("(exact, priority 3, ")), "{lines:#?}");

    // Three of one person hang together by more than the way from one to another, and of two versions of a record each has an
    // edge of its own.
    let moved = "SELECT concat_ws(',', key, given, surname, born, 'Nowa 1', '99-999', email, phone)
                 FROM sources.contacts WHERE key = 't1a'";
    let moved = engineer.value(moved).await;
    project.write("data/3-later.csv", &format!("{LATER}{moved}\n"));
    engineer.run("REFRESH ALL").await.unwrap();
    let versions = "SELECT count(DISTINCT round(bits::numeric, 2)) FROM why_merged('contacts', 't1a', 'contacts', 't1b')
                    WHERE rule = 'same_person'";
    assert_eq!(engineer.number(versions).await, 2);
    every_weighed_edge_is_told(&engineer, "t1a", "t1b").await;
    assert!(people(&engineer).await.contains(&"pet-1 pet-2 pet-3".to_owned()));
    for (left, right) in [("pet-1", "pet-2"), ("pet-1", "pet-3"), ("pet-2", "pet-3")] {
        every_weighed_edge_is_told(&engineer, left, right).await;
    }
}

/// Edges of the rule have the bits of the graph, and a waterfall each, on the way and in the cut.
async fn every_weighed_edge_is_told(engineer: &Session, left: &str, right: &str) {
    let weighed = format!(
        "SELECT count(*), count(e.rule), count(DISTINCT least(w.left_record_key, w.right_record_key) || ' '
                                                     || greatest(w.left_record_key, w.right_record_key) || w.value || w.bits::text)
         FROM why_merged('contacts', '{left}', 'contacts', '{right}') w
         LEFT JOIN identity_edges e ON e.rule = w.rule AND e.value = w.value AND e.bits = w.bits AND e.probability = w.probability
              AND e.left_record_key IN (w.left_record_key, w.right_record_key)
              AND e.right_record_key IN (w.left_record_key, w.right_record_key)
         WHERE w.rule = 'same_person'"
    );
    let [all, alike, edges]: [Option<String>; 3] =
        engineer.rows(&weighed).await.concat().try_into().unwrap();
    assert!(all == alike && all.as_deref() != Some("0"), "{left} {right}: {all:?} {alike:?}");
    let merge = format!("EXPLAIN MERGE (contacts, '{left}'), (contacts, '{right}')");
    let lines: Vec<String> = engineer.rows(&merge).await.concat().into_iter().flatten().collect();
    let told = lines.iter().filter(|line| line.contains("Weighed: prior -")).count();
    assert_eq!(Some(told.to_string()), edges, "{lines:#?}");
    let mut edges = lines.iter().filter(|line| line.contains("same_person "));
    assert!(edges.all(|line| line.contains(" bits, probability ")), "{lines:#?}");
    // What is told of an edge is how these very versions were weighed: the same words, and the same sum.
    let told = lines.windows(2).filter(|two| two[1].contains("Weighed: "));
    for [edge, weighed] in told.map(|two| [&two[0], &two[1]]) {
        let bits = |line: &str, before: &str| -> f64 {
            let (bits, _) = line.rsplit_once(" bits, probability ").unwrap();
            bits.rsplit_once(before).unwrap().1.parse().unwrap()
        };
        let (of_edge, sum) = (bits(edge, "("), bits(weighed, "together "));
        assert!((of_edge - sum).abs() < 0.02, "{edge}\n{weighed}");
    }
}

#[tokio::test]
async fn what_keeps_a_pair_below_the_score_is_every_step_that_lowers_its_weight() {
    let project = project();
    let (_server, engineer) = project.serve().await;
    engineer.run(FUZZY).await.unwrap();
    engineer.run("REFRESH ALL").await.unwrap();
    for (left, right, named) in
        [("twin-1", "twin-2", "given name: different"), ("senior", "junior", "birth date: ")]
    {
        let pair = format!("'contacts', '{left}', 'contacts', '{right}'");
        let why = format!(
            "SELECT status, value, reason FROM why_not_merged({pair}) WHERE rule = 'same_person'"
        );
        let why = engineer.rows(&why).await.into_iter();
        let why: Vec<[String; 3]> = why
            .map(|row| <[Option<String>; 3]>::try_from(row).unwrap().map(Option::unwrap))
            .collect();
        let [below, against @ ..] = why.as_slice() else { panic!("{left}: nothing is told") };
        assert_eq!((below[0].as_str(), below[2].as_str()), ("below", "SCORE 0.9"), "{why:?}");
        assert!(against.iter().all(|row| row[0] == "against"), "{why:?}");
        assert!(against.iter().any(|row| row[1].starts_with(named)), "{why:?}");
        let steps = format!(
            "SELECT comparison || ': ' || agreement, bits FROM match_waterfall({pair}) \
             WHERE agreement IS NOT NULL AND bits < 0 ORDER BY bits"
        );
        let steps = engineer.rows(&steps).await.into_iter().map(|row| {
            let bits: f64 = row[1].as_ref().unwrap().parse().unwrap();
            [row[0].clone().unwrap(), format!("{:.2} bits", -bits)]
        });
        let told = against.iter().map(|[_, value, reason]| [value.clone(), reason.clone()]);
        assert_eq!(told.collect::<Vec<_>>(), steps.collect::<Vec<_>>());
        let merge = format!("EXPLAIN MERGE (contacts, '{left}'), (contacts, '{right}')");
        let lines: Vec<String> =
            engineer.rows(&merge).await.concat().into_iter().flatten().collect();
        let [_, value, reason] = &against[0];
        let line = format!("  -> same_person counts {value} against it, by {reason}");
        assert!(lines.contains(&line), "{line} in {lines:#?}");
    }
}
