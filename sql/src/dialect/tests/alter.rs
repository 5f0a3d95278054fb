//! What becomes of the definition of a graph that is altered, in its own text, and what is refused.

use engine::catalog::Definition;

use super::errors::check;
use super::*;

/// A definition with comments between its words, which stay where they are.
const STORED: &str = "CREATE IDENTITY GRAPH customer
  -- Ids first
  IDENTIFIERS (
    crm_id PRIORITY 1, -- of the CRM
    email NORMALIZE email PRIORITY 2 LIMIT 8 BLOCK VALUES ('a@b.c', 'd@e.f') BLOCK MATCHING '^info@' BLOCK MATCHING '^x',
    phone NORMALIZE phone('PL') PRIORITY 3 LIMIT 2 PER '7 days' /* a week */ EXPIRE AFTER '700 days'
  )
  MATCH (name_birth EXACT ON (name, birth_date) PRIORITY 4, same_person FUZZY BLOCK ON ((surname, email)) SCORE >= 0.9 REVIEW BELOW 0.99)
  WITH (merge_limit = 12, shared_limit = 3)";

/// Returns the definition that a text makes.
fn define(sql: &str) -> Definition {
    let Statement::Create { definition, .. } = one(sql).statement else { panic!("{sql}") };
    *definition
}

/// Returns the alteration that a text is.
fn alteration(sql: &str) -> Alteration {
    let Statement::AlterGraph(alteration) = one(sql).statement else { panic!("{sql}") };
    *alteration
}

/// Returns the text that actions make of one, after checking that it is what somebody might have written.
fn altered(stored: &str, actions: &str) -> String {
    let alteration = alteration(&format!("ALTER IDENTITY GRAPH customer {actions}"));
    let altered = alteration.carried_out(&define(stored));
    let altered = altered.unwrap_or_else(|refusal| panic!("{actions}: {refusal:?}"));
    assert_eq!(altered, define(&altered.sql), "{actions}");
    altered.sql
}

#[test]
fn an_action_changes_what_it_names_and_leaves_the_rest_as_it_is_written() {
    let rules = "\n  MATCH (name_birth EXACT ON (name, birth_date) PRIORITY 4, same_person FUZZY \
                 BLOCK ON ((surname, email)) SCORE >= 0.9 REVIEW BELOW 0.99)";
    for (actions, from, to) in [
        (
            "ADD IDENTIFIER card PRIORITY 1 LIMIT 2",
            "'700 days'\n",
            "'700 days',\n    card PRIORITY 1 LIMIT 2\n",
        ),
        ("DROP IDENTIFIER crm_id", "crm_id PRIORITY 1, -- of the CRM\n    ", ""),
        (
            "DROP IDENTIFIER phone",
            ",\n    phone NORMALIZE phone('PL') PRIORITY 3 LIMIT 2 PER '7 days' /* a week */ EXPIRE AFTER '700 days'",
            "",
        ),
        ("ALTER IDENTIFIER phone SET LIMIT 5", "LIMIT 2 PER '7 days'", "LIMIT 5"),
        (
            "ALTER IDENTIFIER phone SET LIMIT 5 PER '30 days'",
            "LIMIT 2 PER '7 days'",
            "LIMIT 5 PER '30 days'",
        ),
        ("ALTER IDENTIFIER phone SET normalize phone", "NORMALIZE phone('PL')", "normalize phone"),
        ("ALTER IDENTIFIER phone DROP LIMIT", " LIMIT 2 PER '7 days'", ""),
        ("ALTER IDENTIFIER phone DROP EXPIRE AFTER", " /* a week */ EXPIRE AFTER '700 days'", ""),
        (
            "ALTER IDENTIFIER crm_id SET LIMIT 1 PRIORITY 7",
            "crm_id PRIORITY 1",
            "crm_id PRIORITY 7 LIMIT 1",
        ),
        (
            "ALTER IDENTIFIER email SET BLOCK MATCHING '^a' BLOCK MATCHING '^b'",
            "BLOCK MATCHING '^info@' BLOCK MATCHING '^x'",
            "BLOCK MATCHING '^a' BLOCK MATCHING '^b'",
        ),
        (
            "ALTER IDENTIFIER email DROP BLOCK MATCHING",
            " BLOCK MATCHING '^info@' BLOCK MATCHING '^x'",
            "",
        ),
        ("ALTER IDENTIFIER email SET BLOCK VALUES ('g@h.i')", "('a@b.c', 'd@e.f')", "('g@h.i')"),
        // Nothing is there to be dropped.
        ("ALTER IDENTIFIER email DROP EXPIRE AFTER", "", ""),
        (
            "ADD MATCH name_city EXACT ON (name, city) PRIORITY 5",
            "BELOW 0.99",
            "BELOW 0.99, name_city EXACT ON (name, city) PRIORITY 5",
        ),
        ("DROP MATCH name_birth", "name_birth EXACT ON (name, birth_date) PRIORITY 4, ", ""),
        ("DROP MATCH name_birth, DROP MATCH same_person", rules, ""),
        (
            "ALTER MATCH name_birth SET EXACT ON (name, phone)",
            "(name, birth_date)",
            "(name, phone)",
        ),
        ("ALTER MATCH name_birth SET PRIORITY 9", "PRIORITY 4", "PRIORITY 9"),
        (
            "ALTER MATCH same_person SET HOUSEHOLD SCORE >= 0.8 SCORE >= 0.95",
            "SCORE >= 0.9 REVIEW BELOW 0.99",
            "SCORE >= 0.95 REVIEW BELOW 0.99 HOUSEHOLD SCORE >= 0.8",
        ),
        ("ALTER MATCH same_person DROP REVIEW BELOW", " REVIEW BELOW 0.99", ""),
        ("SET (merge_limit = 20)", "merge_limit = 12", "merge_limit = 20"),
        ("RESET (shared_limit)", ", shared_limit = 3", ""),
        ("RESET (shared_limit, merge_limit)", "\n  WITH (merge_limit = 12, shared_limit = 3)", ""),
    ] {
        assert!(STORED.contains(from), "{from}");
        assert_eq!(altered(STORED, actions), STORED.replacen(from, to, 1), "{actions}");
    }
}

#[test]
fn actions_are_carried_out_in_their_order() {
    let short = |clauses: &str| format!("CREATE IDENTITY GRAPH customer {clauses}");
    for (stored, actions, expected) in [
        (
            "IDENTIFIERS (a PRIORITY 1)",
            "ADD MATCH m EXACT ON (a, name) PRIORITY 2, SET (shared_limit = 7), DROP IDENTIFIER a,
             ADD IDENTIFIER b PRIORITY 3, DROP MATCH m",
            "IDENTIFIERS (b PRIORITY 3) WITH (shared_limit = 7)",
        ),
        (
            "IDENTIFIERS (a PRIORITY 1) WITH (merge_limit = 9)",
            "ADD MATCH m EXACT ON (name) PRIORITY 2, add identifier b priority 3, SET (shared_limit = 7, merge_limit = 8)",
            "IDENTIFIERS (a PRIORITY 1, b priority 3) MATCH (m EXACT ON (name) PRIORITY 2) WITH (merge_limit = 8, shared_limit = 7)",
        ),
        (
            "IDENTIFIERS (a PRIORITY 1, b PRIORITY 2, c PRIORITY 3)",
            "DROP IDENTIFIER b, ADD IDENTIFIER b PRIORITY 9, ALTER IDENTIFIER b SET LIMIT 3, ALTER IDENTIFIER b SET PRIORITY 4",
            "IDENTIFIERS (a PRIORITY 1, c PRIORITY 3, b PRIORITY 4 LIMIT 3)",
        ),
        // The only one is laid out by its place, and words that touch each other do not grow together.
        (
            "IDENTIFIERS (\n  limit NORMALIZE phone('PL')LIMIT 5 PRIORITY 1)",
            "ALTER IDENTIFIER limit DROP NORMALIZE, ADD IDENTIFIER \"Odd one\" PRIORITY 2",
            "IDENTIFIERS (\n  limit LIMIT 5 PRIORITY 1,\n  \"Odd one\" PRIORITY 2)",
        ),
    ] {
        assert_eq!(altered(&short(stored), actions), short(expected), "{actions}");
    }
}

#[test]
fn a_comment_on_the_graph_stays() {
    let stored = Definition { comment: Some("who is who".into()), ..define(STORED) };
    let alteration = alteration("alter graph customer drop match name_birth");
    assert_eq!(alteration.carried_out(&stored).unwrap().comment, stored.comment);
}

#[test]
fn what_does_not_fit_the_definition_is_refused_where_it_stands() {
    for (marked, sqlstate, message, hint) in [
        (
            "ADD IDENTIFIER ¦email PRIORITY 1",
            "42710",
            "identifier \"email\" of identity graph \"customer\" already exists",
            "ALTER IDENTIFIER email SET ... changes it.",
        ),
        (
            "ADD IDENTIFIER x PRIORITY 1, ADD IDENTIFIER ¦x PRIORITY 2",
            "42710",
            "identifier \"x\" of identity graph \"customer\" already exists",
            "ALTER IDENTIFIER x SET ... changes it.",
        ),
        (
            "ADD MATCH ¦name_birth EXACT ON (name) PRIORITY 1",
            "42710",
            "rule \"name_birth\" of identity graph \"customer\" already exists",
            "ALTER MATCH name_birth SET ... changes it.",
        ),
        (
            "ADD MATCH ¦other FUZZY",
            "42710",
            "an identity graph has one FUZZY rule at most",
            "One rule weighs everything that two records say.",
        ),
        (
            "DROP IDENTIFIER ¦emial",
            "42704",
            "identifier \"emial\" of identity graph \"customer\" does not exist",
            "Did you mean \"email\"?",
        ),
        (
            "DROP MATCH same_person, ALTER MATCH ¦same_person SET SCORE >= 0.9",
            "42704",
            "rule \"same_person\" of identity graph \"customer\" does not exist",
            "SHOW CREATE IDENTITY GRAPH customer shows what there is.",
        ),
        (
            "DROP IDENTIFIER ¦email",
            "2BP01",
            "cannot drop identifier \"email\": it is used by rule \"same_person\"",
            "Change what uses it in the same statement: DROP MATCH name, or ALTER MATCH name with other fields.",
        ),
        (
            "ALTER MATCH name_birth SET EXACT ON (name, phone), DROP IDENTIFIER ¦phone",
            "2BP01",
            "cannot drop identifier \"phone\": it is used by rule \"name_birth\"",
            "Change what uses it in the same statement: DROP MATCH name, or ALTER MATCH name with other fields.",
        ),
        (
            "DROP IDENTIFIER crm_id, DROP IDENTIFIER phone, DROP MATCH same_person, DROP IDENTIFIER ¦email",
            "22023",
            "identity graph \"customer\" would have no identifier",
            "Add another one in the same statement: ADD IDENTIFIER name PRIORITY 1.",
        ),
        (
            "ALTER MATCH ¦name_birth SET SCORE >= 0.9",
            "42809",
            "rule \"name_birth\" is not FUZZY",
            "An EXACT rule has EXACT ON and PRIORITY, and needs both.",
        ),
        (
            "ALTER MATCH ¦name_birth DROP PRIORITY",
            "42809",
            "rule \"name_birth\" is not FUZZY",
            "An EXACT rule has EXACT ON and PRIORITY, and needs both.",
        ),
        (
            "ALTER MATCH ¦same_person SET EXACT ON (name)",
            "42809",
            "rule \"same_person\" is not EXACT",
            "A FUZZY rule has BLOCK ON, SCORE, REVIEW BELOW, HOUSEHOLD SCORE and PRIORITY.",
        ),
        (
            "ALTER MATCH ¦same_person SET SCORE >= 0.99",
            "22023",
            "REVIEW BELOW must be a higher probability than SCORE",
            "What joins and is less probable than this is listed in cdp.identity_review.",
        ),
    ] {
        let place = marked.chars().position(|c| c == '¦').unwrap();
        let actions = marked.replace('¦', "");
        let alteration = alteration(&format!("ALTER IDENTITY GRAPH customer\n  {actions}"));
        let refusal = alteration.carried_out(&define(STORED)).unwrap_err();
        assert_eq!((refusal.sqlstate, refusal.message.as_str()), (sqlstate, message), "{actions}");
        assert_eq!(refusal.hint, hint, "{actions}");
        assert_eq!(refusal.at, Some(Point { line: 2, column: place as u64 + 3 }), "{actions}");
    }
}

#[test]
fn a_field_of_the_person_is_no_identifier_of_its_name() {
    let stored = "CREATE IDENTITY GRAPH customer IDENTIFIERS (a PRIORITY 1, city PRIORITY 2)
                  MATCH (m EXACT ON (name, city) PRIORITY 3)";
    assert!(!altered(stored, "DROP IDENTIFIER city").contains("city PRIORITY"));
}

#[test]
fn words_that_are_no_alteration() {
    const ANY: &str = "add identifier, alter identifier, drop identifier, add match, alter match, drop match, set or reset";
    let any = |found: &str| format!("expected {ANY}, found {found}");
    let (unknown, nothing) = (any("\"ADDD\""), any("the end of the statement"));
    check(&[
        (
            "ALTER IDENTITY GRAPH g ¦ADDD IDENTIFIER a PRIORITY 1",
            unknown.as_str(),
            "Did you mean add identifier?",
            "42601",
        ),
        ("ALTER IDENTITY GRAPH g¦", nothing.as_str(), "", "42601"),
        (
            "ALTER IDENTITY GRAPH g ADD IDENTIFIER a¦",
            "identifier \"a\" needs PRIORITY",
            "The smaller the number, the stronger the identifier: PRIORITY 1.",
            "42601",
        ),
        (
            "ALTER IDENTITY GRAPH g ADD IDENTIFIER a NORMALIZE ¦emial PRIORITY 1",
            "normaliser \"emial\" does not exist",
            "Did you mean email?",
            "22023",
        ),
        (
            "ALTER IDENTITY GRAPH g DROP MATCH m, ADD IDENTIFIER a PRIORITY ¦0",
            "the priority must be from 1 to 1000, not 0",
            "",
            "22023",
        ),
        (
            "ALTER IDENTITY GRAPH g ALTER IDENTIFIER a ¦LIMIT 5",
            "expected set or drop, found \"LIMIT\"",
            "",
            "42601",
        ),
        (
            "ALTER IDENTITY GRAPH g ALTER IDENTIFIER a DROP ¦PRIORITY",
            "expected a clause that may be left out: normalize, limit, expire after, block values or block matching, found \"PRIORITY\"",
            "",
            "42601",
        ),
        (
            "ALTER IDENTITY GRAPH g ALTER IDENTIFIER a SET LIMIT 1 ¦LIMIT 2",
            "LIMIT is given twice",
            "",
            "42601",
        ),
        (
            "ALTER IDENTITY GRAPH g ALTER MATCH m SET¦",
            "expected a clause: exact on, block on, score, review below, household score or priority, found the end of the statement",
            "",
            "42601",
        ),
        (
            "ALTER IDENTITY GRAPH g SET (¦merge_limt = 3)",
            "option \"merge_limt\" is not known",
            "Did you mean merge_limit?",
            "22023",
        ),
        (
            "ALTER IDENTITY GRAPH g RESET (¦size)",
            "expected an option: merge_limit or shared_limit, found \"size\"",
            "",
            "42601",
        ),
        (
            "ALTER IDENTITY GRAPH g DROP MATCH m ¦CASCADE",
            "expected the end of the statement, found \"CASCADE\"",
            "",
            "42601",
        ),
    ]);
    let rename = one("ALTER IDENTITY GRAPH g RENAME TO h").statement;
    assert!(matches!(rename, Statement::Unsupported { .. }), "{rename:?}");
}

#[test]
fn an_impact_may_be_that_of_an_alteration() {
    let sql = "SELECT 1; EXPLAIN IMPACT\nALTER IDENTITY GRAPH customer DROP MATCH nobody";
    let statement = parse(sql).unwrap().remove(1).statement;
    let Statement::ExplainAlteration(alteration) = statement else { panic!("{statement:?}") };
    assert_eq!(alteration.named_at, Point { line: 2, column: 22 });
    let refusal = alteration.carried_out(&define(STORED)).unwrap_err();
    assert_eq!(refusal.at, Some(Point { line: 2, column: 42 }));
    let error = parse("EXPLAIN IMPACT ALTER SEGMENT s").unwrap_err();
    assert!(error.message.starts_with("only the definition of an identity graph"), "{error:?}");
}

#[test]
fn an_impact_is_that_of_the_definition_of_a_graph() {
    let graph = "IDENTITY GRAPH g IDENTIFIERS (email PRIORITY 1)";
    for (words, wanted) in
        [("CREATE", CreateMode::Create), ("CREATE OR REPLACE", CreateMode::OrReplace)]
    {
        let sql = format!("EXPLAIN IMPACT {words} {graph}");
        let Statement::ExplainImpact { definition, mode } = one(&sql).statement else {
            panic!("{sql}")
        };
        assert_eq!((definition.name.as_str(), mode), ("g", wanted));
    }
    for sql in ["EXPLAIN IMPACT CREATE PURPOSE p LEGAL BASIS consent", "EXPLAIN IMPACT SELECT 1"] {
        let error = parse(sql).expect_err(sql);
        assert!(error.message.starts_with("only the definition of an identity graph"), "{sql}");
    }
}
