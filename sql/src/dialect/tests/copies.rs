//! What each COPY means.

use super::*;

#[test]
fn copies() {
    let copy = |sql: &str| match one(sql).statement {
        Statement::Copy { input, options } => (input, options),
        other => panic!("{sql}: {other:?}"),
    };
    let text = CopyOptions {
        format: CopyFormat::Text,
        header: CopyHeader::None,
        delimiter: b'\t',
        null: "\\N".to_string(),
        quote: b'"',
        escape: b'"',
        force_quote: Forced::None,
        force_not_null: Forced::None,
        force_null: Forced::None,
    };
    let csv = CopyOptions {
        format: CopyFormat::Csv,
        delimiter: b',',
        null: String::new(),
        ..text.clone()
    };
    let binary = CopyOptions { format: CopyFormat::Binary, ..text.clone() };
    for (options, expected) in [
        ("", text.clone()),
        ("WITH (FORMAT csv, HEADER)", CopyOptions { header: CopyHeader::Skipped, ..csv.clone() }),
        (
            "(FORMAT 'csv', HEADER off, DELIMITER ';', NULL 'x')",
            CopyOptions { delimiter: b';', null: "x".into(), ..csv.clone() },
        ),
        ("WITH CSV HEADER", CopyOptions { header: CopyHeader::Skipped, ..csv.clone() }),
        (
            "CSV QUOTE AS '''' FORCE QUOTE a, b",
            CopyOptions {
                quote: b'\'',
                escape: b'\'',
                force_quote: Forced::Columns(vec!["a".into(), "b".into()]),
                ..csv.clone()
            },
        ),
        ("(FORMAT csv, FORCE_QUOTE *)", CopyOptions { force_quote: Forced::All, ..csv.clone() }),
        ("WITH BINARY", binary.clone()),
        ("(FORMAT binary)", binary.clone()),
        ("WITH (ENCODING 'UTF8')", text.clone()),
    ] {
        let (input, found) = copy(&format!("COPY (SELECT 1) TO STDOUT {options}"));
        assert_eq!(found, expected, "{options}");
        assert!(
            matches!(input, CopyInput::Query(query) if query.text == "SELECT 1" && query.offset == 6)
        );
    }
    let (input, _) = copy("COPY sources.\"Odd\" (a, B) TO STDOUT");
    assert!(matches!(input, CopyInput::Relation { select, offset: 5 }
        if select == "SELECT \"a\", \"b\" FROM \"sources\".\"Odd\""));
    let (_, options) = copy("COPY BINARY profiles TO STDOUT");
    assert_eq!(options, binary);
    let (_, options) = copy("COPY profiles TO STDOUT USING DELIMITERS '|' WITH NULL AS 'x'");
    assert_eq!(options, CopyOptions { delimiter: b'|', null: "x".into(), ..text.clone() });
    let from = |options: &str| match one(&format!("COPY a.t (b, c) FROM STDIN {options}")).statement
    {
        Statement::CopyFrom { relation, columns, options } => {
            assert_eq!((relation.as_str(), columns.join(" ").as_str()), ("\"a\".\"t\"", "b c"));
            options
        }
        other => panic!("{other:?}"),
    };
    let columns =
        |names: &[&str]| Forced::Columns(names.iter().map(|name| (*name).to_owned()).collect());
    let matched = CopyOptions { header: CopyHeader::Matched, ..csv.clone() };
    for (options, expected) in [
        ("(FORMAT csv, HEADER match)", matched.clone()),
        ("(FORMAT csv, HEADER 'MATCH')", matched),
        (
            "(FORMAT csv, FORCE_NOT_NULL (b), FORCE_NULL (b, c), ENCODING 'utf-8')",
            CopyOptions {
                force_not_null: columns(&["b"]),
                force_null: columns(&["b", "c"]),
                ..csv.clone()
            },
        ),
        (
            "WITH CSV HEADER QUOTE '\"' FORCE NOT NULL b, c FORCE NULL c FREEZE",
            CopyOptions {
                header: CopyHeader::Skipped,
                force_not_null: columns(&["b", "c"]),
                force_null: columns(&["c"]),
                ..csv
            },
        ),
    ] {
        assert_eq!(from(options), expected, "{options}");
    }
}

#[test]
fn options_that_contradict_themselves_are_refused_in_the_words_of_postgresql() {
    for (statement, sqlstate, message) in [
        ("TO STDOUT (FORMAT csv, FORMAT csv)", "42601", "conflicting or redundant options"),
        (
            "TO STDOUT (FORMAT csv, HEADER match)",
            "0A000",
            "cannot use \"match\" with HEADER in COPY TO",
        ),
        ("TO STDOUT (DELIMITER 'x')", "22023", "COPY delimiter cannot be \"x\""),
        (
            "TO STDOUT (DELIMITER 'ab')",
            "0A000",
            "COPY delimiter must be a single one-byte character",
        ),
        ("TO STDOUT (QUOTE 'x')", "0A000", "COPY quote available only in CSV mode"),
        (
            "TO STDOUT (FORMAT csv, FORCE_NULL (a))",
            "0A000",
            "COPY force null only available using COPY FROM",
        ),
        ("FROM STDIN (FORMAT binary, NULL 'x')", "42601", "cannot specify NULL in BINARY mode"),
        (
            "FROM STDIN (FORMAT csv, DELIMITER '\"')",
            "22023",
            "COPY delimiter and quote must be different",
        ),
        (
            "FROM STDIN (FORMAT csv, NULL '\"')",
            "0A000",
            "CSV quote character must not appear in the NULL specification",
        ),
        (
            "FROM STDIN (NULL E'a\\tb')",
            "0A000",
            "COPY delimiter must not appear in the NULL specification",
        ),
        (
            "FROM STDIN (NULL E'a\\nb')",
            "22023",
            "COPY null representation cannot use newline or carriage return",
        ),
        (
            "FROM STDIN (FORMAT csv, FORCE_QUOTE (a))",
            "0A000",
            "COPY force quote only available using COPY TO",
        ),
        (
            "FROM STDIN (FORCE_NOT_NULL (a))",
            "0A000",
            "COPY force not null available only in CSV mode",
        ),
        (
            "FROM STDIN (FORMAT csv, FORCE_NOT_NULL *)",
            "22023",
            "argument to option \"force_not_null\" must be a list of column names",
        ),
        ("FROM STDIN (HEADER maybe)", "42601", "header requires a Boolean value or \"match\""),
        ("FROM STDIN (DEFAULT 'x')", "42601", "option \"default\" not recognized"),
        ("FROM STDIN (ENCODING 'LATIN1')", "0A000", "COPY in encoding \"LATIN1\" is not supported"),
        (
            "FROM STDIN (ENCODING 'x')",
            "22023",
            "argument to option \"encoding\" must be a valid encoding name",
        ),
        ("FROM STDIN (FORMAT csv) WHERE a > 1", "0A000", "COPY FROM with WHERE is not supported"),
    ] {
        let error = parse(&format!("COPY t {statement}")).unwrap_err();
        assert_eq!((error.sqlstate, error.message.as_str()), (sqlstate, message), "{statement}");
    }
}
