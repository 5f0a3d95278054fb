//! What is said about a statement that cannot be read, and where.

use super::*;

/// Checks message, hint and SQLSTATE of each text; `^` marks the place of the error and is no part of the text.
pub(super) fn check(cases: &[(&str, &str, &str, &str)]) {
    for (marked, message, hint, sqlstate) in cases {
        let place =
            marked.chars().position(|c| c == '¦').unwrap_or_else(|| panic!("no mark: {marked}"));
        let sql = marked.replace('¦', "");
        let error = match parse(&sql) {
            Err(error) => error,
            Ok(parsed) => panic!("{sql}: {parsed:?}"),
        };
        assert_eq!(error.message, *message, "{sql}");
        assert_eq!(error.hint.as_deref().unwrap_or(""), *hint, "{sql}");
        assert_eq!(error.sqlstate, *sqlstate, "{sql}");
        assert_eq!(error.position, place + 1, "{sql}: {}", error.message);
    }
}

#[test]
fn statements() {
    check(&[
        ("¦SELCT 1", "unknown statement \"selct\"", "Did you mean select?", "42601"),
        (
            "SELECT 1; ¦REFERSH ALL",
            "unknown statement \"refersh\"",
            "Did you mean refresh?",
            "42601",
        ),
        (
            "SELECT 'żółć'; SELECT¦ ",
            "syntax error at end of input",
            "The statement ends too early: something is missing behind its last word.",
            "42601",
        ),
        ("¦1", "expected a statement, found \"1\"", "", "42601"),
        (
            "REFRESH ¦SORUCE x",
            "expected all, source, identity graph, identity overrides, consent feed, attribute, trait or segment, found \"SORUCE\"",
            "Did you mean source?",
            "42601",
        ),
        ("REFRESH ¦SYNC x", "a sync cannot be refreshed", "Use RUN SYNC name.", "42601"),
        (
            "CREATE ¦SEGMNET x",
            "\"segmnet\" is not a kind of object",
            "Did you mean segment?",
            "42601",
        ),
        (
            "CREATE ¦IDENTIY GRAPH x",
            "\"identiy\" is not a kind of object",
            "Did you mean identity graph?",
            "42601",
        ),
        ("DROP ¦SOURCES x", "\"sources\" is not a kind of object", "Did you mean source?", "42601"),
        (
            "SHOW ¦SEGMENT x",
            "\"segment\" is neither a parameter nor a kind of object",
            "Did you mean segments?",
            "42601",
        ),
        ("SET a ¦1", "expected TO or \"=\", found \"1\"", "", "42601"),
        (
            "DISCARD ¦ALLL",
            "expected all, plans, sequences, temporary or temp, found \"ALLL\"",
            "Did you mean all?",
            "42601",
        ),
        ("COMMIT ¦NOW", "expected the end of the statement, found \"NOW\"", "", "42601"),
        (
            "COPY (SELECT 1) TO STDOUT (¦FORMAT cvs)",
            "COPY format \"cvs\" not recognized",
            "Did you mean csv?",
            "22023",
        ),
        (
            "COPY (SELECT 1) TO STDOUT ¦(FORMAT binary, HEADER)",
            "cannot specify HEADER in BINARY mode",
            "",
            "0A000",
        ),
        ("EXPLAIN ¦EXPLAIN SELECT 1", "EXPLAIN cannot stand inside another statement", "", "42601"),
        ("EXPLAIN ¦REFRESH ALL", "only a query can be explained", "", "42601"),
        (
            "DECLARE c CURSOR FOR ¦SHOW ALL",
            "a cursor needs a query: SELECT, WITH or VALUES",
            "",
            "42601",
        ),
        (
            "SELECT 1 ¦)",
            "syntax error at or near \")\"",
            "There is no bracket that it could close.",
            "42601",
        ),
        (
            "SELECT 'żółć', ¦\"a",
            "unterminated quoted identifier",
            "Close the name with a double quote.",
            "42601",
        ),
        ("SELECT ¦/* a", "unterminated /* comment", "Close the comment with */.", "42601"),
        (
            "SELECT E'a¦\\u12'",
            "invalid Unicode escape",
            "A Unicode escape is \\u with four hexadecimal digits, or \\U with eight.",
            "22025",
        ),
    ]);
}

#[test]
fn sources() {
    check(&[
        (
            "CREATE SOURCE s FROM FILE ('a.csv') ¦FROMAT csv",
            "expected the end of the statement or a clause: format, as records, as events, key, version by, event time, \
             deleted when, null values, identifiers, person, public, trust, on error, every, target lag, on demand or with, \
             found \"FROMAT\"",
            "Did you mean format?",
            "42601",
        ),
        (
            "CREATE SOURCE s FROM FILE ('a') FORMAT ¦cvs",
            "expected a format: csv, ndjson, parquet or segment, found \"cvs\"",
            "Did you mean csv?",
            "42601",
        ),
        (
            "CREATE SOURCE s FROM FILE ('a') FORMAT csv ¦FORMAT csv",
            "FORMAT is given twice",
            "",
            "42601",
        ),
        (
            "CREATE SOURCE s FROM FILE ('a') FORMAT csv AS RECORDS¦",
            "a source needs KEY for its records",
            "Add KEY (id), for example.",
            "42601",
        ),
        (
            "CREATE SOURCE s FROM FILE ('a') FORMAT csv¦",
            "a source needs AS RECORDS or AS EVENTS",
            "Add AS RECORDS KEY (id), for example.",
            "42601",
        ),
        (
            "CREATE SOURCE s FROM ¦SEGMENT HTTP AS EVENTS",
            "FROM SEGMENT HTTP is not supported",
            "Use FROM FILE ('path').",
            "0A000",
        ),
        (
            "CREATE SOURCE s FROM ¦FIEL ('a')",
            "expected FILE, found \"FIEL\"",
            "Did you mean file?",
            "42601",
        ),
        (
            "CREATE SOURCE s (a int, b ¦txet) FROM FILE 'x'",
            "expected a type, found \"txet\"",
            "Did you mean text?",
            "42601",
        ),
        (
            "CREATE SOURCE s (a numeric¦) FROM FILE 'x'",
            "expected precision and scale, found \")\"",
            "Write numeric(12, 2), for example.",
            "42601",
        ),
        (
            "CREATE SOURCE s (a int, ¦A text) FROM FILE 'x'",
            "column \"a\" is declared twice",
            "",
            "42710",
        ),
        (
            "CREATE SOURCE s (crm_id text) FROM FILE 'x' FORMAT csv AS RECORDS KEY (cmr_id)¦",
            "column \"cmr_id\" is not declared",
            "Did you mean crm_id?",
            "42703",
        ),
        (
            "CREATE SOURCE s FROM FILE 'x' FORMAT csv AS EVENTS IDENTIFIERS (email ¦= email)",
            "expected \"=>\", found \"=\"",
            "Write email => expression.",
            "42601",
        ),
        (
            "CREATE SOURCE s FROM FILE 'x' FORMAT csv AS EVENTS IDENTIFIERS (email => (¦select 1))",
            "a subquery cannot stand here",
            "Use an expression over the columns of one row.",
            "0A000",
        ),
        (
            "CREATE SOURCE s FROM FILE 'x' FORMAT csv AS EVENTS PERSON (¦frist_name => a)",
            "\"frist_name\" is not a field of a person",
            "Did you mean first_name?",
            "22023",
        ),
        (
            "CREATE SOURCE s FROM FILE 'x' FORMAT csv AS EVENTS EVERY ¦'1 fortnight'",
            "\"1 fortnight\" is not a time",
            "Write a number and a unit: '30 seconds', '15 minutes', '1 hour', '1 day' or '1 week'.",
            "22023",
        ),
        (
            "CREATE SOURCE s FROM FILE 'x' FORMAT csv AS EVENTS TRUST ¦1001",
            "trust must be from 0 to 1000, not 1001",
            "",
            "22023",
        ),
    ]);
}

#[test]
fn other_definitions() {
    check(&[
        (
            "CREATE SEGMENT ¦ON customer",
            "expected the name of the segment, found \"ON\"",
            "",
            "42601",
        ),
        (
            "CREATE SEGMENT ¦\"Big One\" ON customer",
            "segment name \"Big One\" is not valid",
            "Use lower-case letters, digits and underscores, at most 63, beginning with a letter.",
            "42602",
        ),
        (
            "CREATE SEGMENT s ON customer WHERE a > 1¦",
            "a segment needs FOR PURPOSE",
            "Add FOR PURPOSE analytics, for example.",
            "42601",
        ),
        (
            "CREATE SEGMENT s ON c FOR PURPOSE p WHERE a >¦ ",
            "syntax error at end of input",
            "The statement ends too early: something is missing behind its last word.",
            "42601",
        ),
        (
            "CREATE SEGMENT s ON c FOR PURPOSE p WHERE a = ¦$1",
            "a definition cannot hold parameters",
            "Write the value itself.",
            "42601",
        ),
        (
            "CREATE SEGMENT s ON c FOR PURPOSE p AS ¦SELECT email FROM profiles",
            "the query of segment \"s\" has no column \"profile_id\"",
            "Select the columns profile_id.",
            "42611",
        ),
        (
            "CREATE CONSENT FEED l AS ¦SELECT identifier, purpose FROM sources.l",
            "the query of consent feed \"l\" has no column \"identifier_kind\"",
            "Select the columns identifier_kind, identifier, purpose, status, captured_at.",
            "42611",
        ),
        (
            "CREATE TRAIT t ON c AS ¦DELETE FROM a",
            "expected a query: SELECT, WITH or VALUES",
            "",
            "42601",
        ),
        (
            "CREATE PURPOSE p LEGAL BASIS ¦consnet",
            "expected a legal basis: consent, contract, legal_obligation or legitimate_interest, found \"consnet\"",
            "Did you mean consent?",
            "42601",
        ),
        (
            "CREATE PURPOSE p¦",
            "a purpose needs LEGAL BASIS",
            "Add LEGAL BASIS consent, for example.",
            "42601",
        ),
        (
            "CREATE SECRET s ¦AS 'x'",
            "a secret cannot be given as text",
            "Use FROM ENV 'VARIABLE' or FROM FILE 'path'.",
            "0A000",
        ),
        (
            "CREATE ROLE r PASSWORD ¦hunter2 PURPOSES (a)",
            "PASSWORD needs a text in quotes, SECRET name or NULL",
            "",
            "42601",
        ),
        (
            "CREATE ROLE r PASSWORD ¦'' PURPOSES (a)",
            "an empty password is not allowed",
            "Use 1 to 1,024 printable characters of ASCII, or give a verifier.",
            "22023",
        ),
        (
            "CREATE ROLE r PASSWORD ¦'SCRAM-SHA-256$1:x$y:z' PURPOSES (a)",
            "the verifier of the password is not valid",
            "It has the form SCRAM-SHA-256$iterations:salt$stored key:server key.",
            "22023",
        ),
        (
            "CREATE ROLE r PURPOSES (a) MAY (¦defien)",
            "expected a capability: define, segment, refresh, sync, consent, audit or write, found \"defien\"",
            "Did you mean define?",
            "42601",
        ),
        (
            "CREATE IDENTITY GRAPH g IDENTIFIERS (email NORMALIZE ¦emial PRIORITY 1)",
            "normaliser \"emial\" does not exist",
            "Did you mean email?",
            "22023",
        ),
        (
            "CREATE IDENTITY GRAPH g IDENTIFIERS (email¦)",
            "identifier \"email\" needs PRIORITY",
            "The smaller the number, the stronger the identifier: PRIORITY 1.",
            "42601",
        ),
        (
            "CREATE IDENTITY GRAPH g IDENTIFIERS (email PRIORITY 1) MATCH (m FUZZY BLOCK ON (¦surname))",
            "expected a key in parentheses, found \"surname\"",
            "Put each key into parentheses: BLOCK ON ((surname, birth_date), (email)).",
            "42601",
        ),
        (
            "CREATE IDENTITY GRAPH g IDENTIFIERS (email PRIORITY 1) MATCH (m FUZZY BLOCK ON ((¦)))",
            "expected a field or a kind of identifier, found \")\"",
            "",
            "42601",
        ),
        (
            "CREATE IDENTITY GRAPH g IDENTIFIERS (email PRIORITY 1) MATCH (m FUZZY, n ¦FUZZY)",
            "an identity graph has one FUZZY rule at most",
            "One rule weighs everything that two records say.",
            "42710",
        ),
        (
            "CREATE IDENTITY GRAPH g IDENTIFIERS (email PRIORITY 1) MATCH (m FUZZY SCORE >= 0.99 REVIEW BELOW ¦0.95)",
            "REVIEW BELOW must be a higher probability than SCORE",
            "What joins and is less probable than this is listed in cdp.identity_review.",
            "22023",
        ),
        (
            "CREATE IDENTITY GRAPH g IDENTIFIERS (email PRIORITY 1 LIMIT 5 PER ¦'200 years')",
            "\"200 years\" is not a time",
            "Write a number and a unit: '30 seconds', '15 minutes', '1 hour', '1 day' or '1 week'.",
            "22023",
        ),
        (
            "CREATE IDENTITY GRAPH g IDENTIFIERS (email PRIORITY 1) WITH (¦merge_limt = 3)",
            "option \"merge_limt\" is not known",
            "Did you mean merge_limit?",
            "22023",
        ),
        (
            "CREATE ATTRIBUTE a ON c FROM (¦email) RESOLVE BY LATEST",
            "column \"email\" is named without its source",
            "Name each column with its source, such as crm.email.",
            "42601",
        ),
        (
            "CREATE ATTRIBUTE a ON c FROM (¦crm.a || shop.b) RESOLVE BY LATEST",
            "one value cannot come from \"crm\" and from \"shop\"",
            "Name each column with its source, such as crm.email.",
            "42601",
        ),
        (
            "CREATE ATTRIBUTE a ON c FROM (crm.a) RESOLVE BY ¦LASTEST",
            "expected a rule: latest, first, most frequent or source priority, found \"LASTEST\"",
            "Did you mean latest?",
            "42601",
        ),
        (
            "CREATE ATTRIBUTE a ON c FROM (crm.a) RESOLVE BY SOURCE PRIORITY (cmr)¦",
            "source \"cmr\" has a priority and gives no value",
            "Did you mean crm?",
            "42601",
        ),
        (
            "CREATE DESTINATION d TO ¦FILE ('out/{segmnet}.csv') FORMAT csv",
            "\"{segmnet}\" is not known in a path",
            "Use {segment}, {sync} and {run}.",
            "22023",
        ),
        (
            "CREATE SYNC s FROM ¦vips TO mailer",
            "expected SEGMENT name or a query in brackets, found \"vips\"",
            "",
            "42601",
        ),
        (
            "CREATE OR REPLACE SEGMENT IF NOT EXISTS ¦s ON c",
            "OR REPLACE and IF NOT EXISTS exclude each other",
            "",
            "42601",
        ),
    ]);
}

#[test]
fn nothing_that_can_be_typed_panics_or_misplaces_an_error() {
    let words = [
        "CREATE",
        "SOURCE",
        "SEGMENT",
        "ROLE",
        "PASSWORD",
        "'x'",
        "(",
        ")",
        ",",
        "=>",
        "a",
        "1",
        "AS",
        "SELECT",
        "FROM",
        "FILE",
        "COPY",
        "TO",
        "STDOUT",
        "EXPLAIN",
        "ż",
        ";",
        "\n",
        "-- c\n",
        "$$b$$",
        "WITH",
        "=",
        ".",
        "-",
        "FETCH",
        "IDENTITY",
        "GRAPH",
        "IDENTIFIERS",
        "ON",
        "WHERE",
        "\"Q\"",
        "SET",
        "SHOW",
        "REFRESH",
        "*",
    ];
    // A linear congruential generator: the same texts in each run.
    let mut state = 7u64;
    for _ in 0..20_000 {
        let mut sql = String::new();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        for shift in 0..(state >> 60) + 1 {
            let pick = state
                .rotate_left(7 * u32::try_from(shift).unwrap())
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                >> 32;
            sql.push_str(words[usize::try_from(pick).unwrap() % words.len()]);
            sql.push(' ');
        }
        match parse(&sql) {
            Ok(all) => {
                for parsed in all {
                    assert!(parsed.offset <= sql.len(), "{sql}");
                }
            }
            Err(error) => {
                assert!(
                    (1..=sql.chars().count() + 1).contains(&error.position),
                    "{sql}: {error:?}"
                );
                assert!(
                    !error.message.is_empty() && !error.message.ends_with('.'),
                    "{sql}: {error:?}"
                );
            }
        }
    }
}

#[test]
fn nesting_is_bounded() {
    for sql in [
        format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
        "EXPLAIN ".repeat(9_000),
        format!("SELECT {} 1", "NOT ".repeat(999)),
        format!("SELECT {} 1", "- ".repeat(999)),
        format!(
            "CREATE SEGMENT s ON c FOR PURPOSE p WHERE {}1{}",
            "(".repeat(5_000),
            ")".repeat(5_000)
        ),
    ] {
        assert!(parse(&sql).is_err(), "{}", &sql[..40]);
    }
}
