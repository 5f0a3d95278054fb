//! What each statement means.

use engine::catalog::Kind;
use engine::identity::ValueClass;
use engine::overrides::{Decision, Part};

use super::*;

/// Checks that each text means what its debug form says.
fn check(cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        let found = format!("{:?}", one(sql).statement);
        assert_eq!(&found, expected, "{sql}");
    }
}

#[test]
fn parameters_of_the_session() {
    check(&[
        (
            "SET cdp.purpose = 'analytics'",
            r#"Set { name: "cdp.purpose", value: Some(["analytics"]), local: false }"#,
        ),
        (
            "set local Statement_Timeout to 500",
            r#"Set { name: "statement_timeout", value: Some(["500"]), local: true }"#,
        ),
        (
            "SET SESSION extra_float_digits = -1;",
            r#"Set { name: "extra_float_digits", value: Some(["-1"]), local: false }"#,
        ),
        (
            "SET search_path TO public, \"Sources\", 'x'",
            r#"Set { name: "search_path", value: Some(["public", "Sources", "x"]), local: false }"#,
        ),
        ("SET search_path TO DEFAULT", r#"Set { name: "search_path", value: None, local: false }"#),
        (
            "SET standard_conforming_strings = on",
            r#"Set { name: "standard_conforming_strings", value: Some(["on"]), local: false }"#,
        ),
        ("SET TIME ZONE 'UTC'", r#"Set { name: "timezone", value: Some(["UTC"]), local: false }"#),
        (
            "SET TIME ZONE INTERVAL '-05:30' HOUR TO MINUTE",
            r#"Set { name: "timezone", value: Some(["-5.5"]), local: false }"#,
        ),
        ("SET ROLE NONE", r#"Set { name: "session_authorization", value: None, local: false }"#),
        (
            "SET SESSION AUTHORIZATION DEFAULT",
            r#"Set { name: "session_authorization", value: None, local: false }"#,
        ),
        ("SET TIME ZONE LOCAL", r#"Set { name: "timezone", value: None, local: false }"#),
        (
            "SET NAMES 'utf8'",
            r#"Set { name: "client_encoding", value: Some(["utf8"]), local: false }"#,
        ),
        (
            "SET datafusion.runtime.memory_limit = '1G'",
            r#"Set { name: "datafusion.runtime.memory_limit", value: Some(["1G"]), local: false }"#,
        ),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            r#"SetTransaction { modes: TransactionModes { isolation: None, read_only: Some(true), deferrable: None }, session: true }"#,
        ),
        (
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
            r#"SetTransaction { modes: TransactionModes { isolation: Some("serializable"), read_only: Some(false), deferrable: None }, session: false }"#,
        ),
        ("SET CONSTRAINTS ALL IMMEDIATE", "SetConstraints { names: None, deferred: false }"),
        (
            "SET CONSTRAINTS marts.\"A b\", Plain DEFERRED",
            r#"SetConstraints { names: Some([(Some("marts"), "A b"), (None, "plain")]), deferred: true }"#,
        ),
        ("SHOW cdp.purpose", r#"Show { name: "cdp.purpose" }"#),
        ("SHOW TIME ZONE", r#"Show { name: "timezone" }"#),
        ("show transaction isolation level", r#"Show { name: "transaction_isolation" }"#),
        ("SHOW ALL", "ShowAll"),
        ("RESET ALL", "Reset { name: None }"),
        ("RESET cdp.purpose", r#"Reset { name: Some("cdp.purpose") }"#),
        ("DISCARD ALL", "Discard { target: All }"),
        ("DISCARD TEMP", "Discard { target: Temporary }"),
    ]);
}

#[test]
fn transactions() {
    let none = "TransactionModes { isolation: None, read_only: None, deferrable: None }";
    check(&[
        ("BEGIN", &format!("Begin {{ start: false, modes: {none} }}")),
        ("begin work", &format!("Begin {{ start: false, modes: {none} }}")),
        (
            "START TRANSACTION READ ONLY, NOT DEFERRABLE",
            "Begin { start: true, modes: TransactionModes { isolation: None, read_only: Some(true), deferrable: Some(false) } }",
        ),
        (
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            r#"Begin { start: false, modes: TransactionModes { isolation: Some("read committed"), read_only: Some(false), deferrable: None } }"#,
        ),
        ("COMMIT", "Commit { chain: false }"),
        ("END TRANSACTION AND CHAIN", "Commit { chain: true }"),
        ("ROLLBACK", "Rollback { chain: false }"),
        ("ABORT AND NO CHAIN", "Rollback { chain: false }"),
        ("ROLLBACK TO SAVEPOINT a", r#"RollbackTo { name: "a" }"#),
        ("ROLLBACK WORK TO \"A\"", r#"RollbackTo { name: "A" }"#),
        ("SAVEPOINT a", r#"Savepoint { name: "a" }"#),
        ("RELEASE a", r#"Release { name: "a" }"#),
        ("LISTEN c", r#"Listen { channel: "c" }"#),
        ("UNLISTEN *", "Unlisten { channel: None }"),
        ("ANALYZE", r#"Tuning { tag: "ANALYZE", reads: [] }"#),
        (
            "analyze (verbose, skip_locked off) a (b), C.d",
            r#"Tuning { tag: "ANALYZE", reads: ["SELECT \"b\" FROM \"a\" LIMIT 0", "SELECT * FROM \"c\".\"d\" LIMIT 0"] }"#,
        ),
        (
            "create index i on A.t using btree (b desc, lower(c)) where b > 1",
            r#"Tuning { tag: "CREATE INDEX", reads: ["SELECT b, lower(c) FROM A.t WHERE b > 1 LIMIT 0"] }"#,
        ),
        (
            "VACUUM (FULL, ANALYZE, INDEX_CLEANUP auto, PARALLEL 2) a (b)",
            r#"Tuning { tag: "VACUUM", reads: ["SELECT \"b\" FROM \"a\" LIMIT 0"] }"#,
        ),
        ("vacuum full verbose analyze", r#"Tuning { tag: "VACUUM", reads: [] }"#),
        (
            "LOCK TABLE a, b.c IN ROW EXCLUSIVE MODE NOWAIT",
            r#"Tuning { tag: "LOCK TABLE", reads: ["SELECT * FROM \"a\" LIMIT 0", "SELECT * FROM \"b\".\"c\" LIMIT 0"] }"#,
        ),
        (
            "DROP INDEX CONCURRENTLY IF EXISTS i, s.j CASCADE",
            r#"Tuning { tag: "DROP INDEX", reads: [] }"#,
        ),
        ("NOTIFY c, 'x'", r#"Notify { channel: "c", payload: "x" }"#),
    ]);
}

#[test]
fn objects() {
    check(&[
        ("DROP SEGMENT IF EXISTS vips", r#"Drop { kind: Segment, name: "vips", if_exists: true }"#),
        (
            "drop identity graph customer restrict",
            r#"Drop { kind: IdentityGraph, name: "customer", if_exists: false }"#,
        ),
        (
            "COMMENT ON CONSENT FEED l IS 'it''s'",
            r#"Comment { kind: ConsentFeed, name: "l", comment: Some("it's") }"#,
        ),
        ("COMMENT ON ROLE r IS NULL", r#"Comment { kind: Role, name: "r", comment: None }"#),
        (
            "COMMENT ON SEGMENT s IS $tag$a;b$tag$",
            r#"Comment { kind: Segment, name: "s", comment: Some("a;b") }"#,
        ),
        ("REFRESH ALL", "Refresh { target: All, full: false }"),
        ("REFRESH ALL FULL", "Refresh { target: All, full: true }"),
        ("REFRESH SOURCES", "Refresh { target: Kind(Source), full: false }"),
        ("REFRESH TRAITS", "Refresh { target: Kind(Trait), full: false }"),
        (
            "REFRESH SOURCE crm_contacts FULL",
            r#"Refresh { target: Object(Source, "crm_contacts"), full: true }"#,
        ),
        (
            "REFRESH GRAPH customer",
            r#"Refresh { target: Object(IdentityGraph, "customer"), full: false }"#,
        ),
        ("REFRESH CONSENT FEED l", r#"Refresh { target: Object(ConsentFeed, "l"), full: false }"#),
        (
            "REFRESH IDENTITY OVERRIDES o",
            r#"Refresh { target: Object(IdentityOverrides, "o"), full: false }"#,
        ),
        ("RUN SYNC m", r#"RunSync { name: "m", dry_run: false }"#),
        ("RUN SYNC m DRY RUN", r#"RunSync { name: "m", dry_run: true }"#),
        ("SHOW SEGMENTS", "ShowObjects { kind: Segment, like: None }"),
        (
            "SHOW IDENTITY GRAPHS LIKE 'c%'",
            r#"ShowObjects { kind: IdentityGraph, like: Some("c%") }"#,
        ),
        (
            "SHOW CREATE IDENTITY GRAPH customer",
            r#"ShowCreate { kind: IdentityGraph, name: "customer" }"#,
        ),
    ]);
    for kind in Kind::ALL {
        let (word, words) = (kind.word(), kind.words());
        assert!(
            matches!(one(&format!("DROP {word} x")).statement, Statement::Drop { kind: k, .. } if k == kind)
        );
        assert!(
            matches!(one(&format!("SHOW {words}")).statement, Statement::ShowObjects { kind: k, .. } if k == kind)
        );
    }
}

#[test]
fn cursors() {
    check(&[
        ("FETCH c", r#"Fetch { direction: Forward(1), cursor: "c" }"#),
        ("FETCH NEXT FROM c", r#"Fetch { direction: Forward(1), cursor: "c" }"#),
        ("FETCH 100 IN c", r#"Fetch { direction: Forward(100), cursor: "c" }"#),
        ("FETCH -2 c", r#"Fetch { direction: Forward(-2), cursor: "c" }"#),
        ("FETCH ALL FROM \"C\"", r#"Fetch { direction: ForwardAll, cursor: "C" }"#),
        ("FETCH FORWARD 5 FROM c", r#"Fetch { direction: Forward(5), cursor: "c" }"#),
        ("FETCH BACKWARD ALL FROM c", r#"Fetch { direction: BackwardAll, cursor: "c" }"#),
        ("FETCH ABSOLUTE -1 FROM c", r#"Fetch { direction: Absolute(-1), cursor: "c" }"#),
        ("MOVE FORWARD FROM c", r#"Move { direction: Forward(1), cursor: "c" }"#),
        ("CLOSE ALL", "Close { cursor: None }"),
        ("CLOSE c", r#"Close { cursor: Some("c") }"#),
        ("EXECUTE p", r#"Execute { name: "p", arguments: [] }"#),
        (
            "EXECUTE p (1, 'a,b', f(2, 3))",
            r#"Execute { name: "p", arguments: ["1", "'a,b'", "f(2, 3)"] }"#,
        ),
        ("DEALLOCATE PREPARE p", r#"Deallocate { name: Some("p") }"#),
        ("DEALLOCATE ALL", "Deallocate { name: None }"),
    ]);
    let declared = one("DECLARE \"c 1\" BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT 1").statement;
    let Statement::Declare { name, binary, scroll, hold, query } = declared else {
        panic!("no cursor")
    };
    assert_eq!((name.as_str(), binary, scroll, hold), ("c 1", true, false, true));
    assert_eq!((query.text.as_str(), query.offset), ("SELECT 1", 52));
    let prepared =
        one("PREPARE p (int, text, timestamptz, regclass, jsonb) AS SELECT $1").statement;
    let Statement::Prepare { name, types, statement } = prepared else {
        panic!("nothing prepared")
    };
    assert_eq!((name.as_str(), statement.text.as_str()), ("p", "SELECT $1"));
    let types: Vec<bool> = types.iter().map(Option::is_some).collect();
    assert_eq!(types, [true, true, true, false, false]);
}

#[test]
fn explanations() {
    for (sql, analyze, verbose, format) in [
        ("EXPLAIN SELECT 1", false, false, ExplainFormat::Text),
        ("EXPLAIN ANALYZE VERBOSE SELECT 1", true, true, ExplainFormat::Text),
        (
            "EXPLAIN (ANALYZE, VERBOSE off, FORMAT JSON, COSTS false) SELECT 1",
            true,
            false,
            ExplainFormat::Json,
        ),
        ("EXPLAIN (FORMAT 'xml', VERBOSE 1) SELECT 1", false, true, ExplainFormat::Xml),
        ("EXPLAIN (SELECT 1)", false, false, ExplainFormat::Text),
    ] {
        let Statement::Explain { analyze: a, verbose: v, format: f, statement } =
            one(sql).statement
        else {
            panic!("{sql}")
        };
        assert_eq!((a.is_some(), v, f), (analyze, verbose, format), "{sql}");
        assert!(matches!(statement.statement, Statement::Query { .. }), "{sql}");
        assert_eq!(statement.text, sql[statement.offset..], "{sql}");
    }
}

#[test]
fn what_an_analysis_tells() {
    for (options, timing, summary) in [
        ("ANALYZE", true, true),
        ("(ANALYZE, BUFFERS, WAL)", true, true),
        ("(ANALYZE, TIMING off, SUMMARY off)", false, false),
        ("(TIMING, ANALYZE true, SUMMARY 1)", true, true),
    ] {
        let sql = format!("EXPLAIN {options} SELECT 1");
        let Statement::Explain { analyze, .. } = one(&sql).statement else { panic!("{sql}") };
        assert_eq!(analyze, Some(Analyze { timing, summary }), "{sql}");
    }
    let writes = one("EXPLAIN ANALYZE DELETE FROM a").statement;
    assert!(matches!(writes, Statement::Unsupported { what, .. } if what.contains("writes")));
}

#[test]
fn queries_keep_their_text_and_place() {
    let sql = " -- one\n SELECT 'ż' ; /* two */ (VALUES (1)) ;\n WITH a AS (SELECT 1) SELECT * FROM a FOR UPDATE";
    let all = parse(sql).unwrap();
    let texts: Vec<&str> = all.iter().map(|parsed| parsed.text.as_str()).collect();
    assert_eq!(
        texts,
        ["SELECT 'ż'", "(VALUES (1))", "WITH a AS (SELECT 1) SELECT * FROM a FOR UPDATE"]
    );
    for parsed in all {
        assert!(matches!(parsed.statement, Statement::Query { .. }), "{}", parsed.text);
        assert_eq!(&sql[parsed.offset..parsed.offset + parsed.text.len()], parsed.text);
    }
    for sql in [
        "select traits->>'email', properties->'a'->>0 from events where event ilike 'a%' and x !~* 'b'",
        "select count(*) filter (where a is distinct from b), sum(x) over (partition by y order by z) from t",
        "select '1 day'::interval + now() at time zone 'UTC', array[1,2], e'\\n', $1::int",
        "select * from a left join lateral (select 1) b on true where (a, b) in (values (1, 2)) limit 1 offset 2",
    ] {
        assert!(matches!(one(sql).statement, Statement::Query { .. }), "{sql}");
    }
}

#[test]
fn what_is_not_taken_says_what_to_do_instead() {
    for (sql, expected) in [
        ("ERASE PROFILE BY email 'a@b.example'", "ERASE"),
        ("CREATE TYPE a AS ENUM ()", "CREATE TYPE"),
        ("ALTER ROLE a PASSWORD 'x'", "ALTER ROLE"),
        ("DROP SEGMENT a CASCADE", "DROP ... CASCADE"),
        ("EXPLAIN SEGMENT s FOR 'ada@x.example'", "EXPLAIN SEGMENT"),
        ("PREPARE TRANSACTION 'x'", "two-phase commit"),
        ("SELECT 1 UNION SELECT 2 INTO a", "a query that writes"),
        ("WITH a AS (SELECT 1 INTO b) SELECT 1", "a query that writes"),
        (
            "WITH a AS (MERGE INTO b USING c ON b.d = c.d WHEN MATCHED THEN DELETE) SELECT 1",
            "a query that writes",
        ),
        ("SHOW TABLES", "SHOW TABLES"),
        ("SET ROLE a", "SET ROLE"),
        ("LOCK TABLE a", "LOCK TABLE in a mode that keeps others from writing"),
        ("CREATE UNIQUE INDEX a ON b (c)", "CREATE UNIQUE INDEX"),
        ("ALTER SEQUENCE a OWNER TO b", "ALTER SEQUENCE ... OWNER TO, and SET"),
        ("GRANT SELECT ON a TO b", "GRANT"),
    ] {
        let Statement::Unsupported { what, hint } = one(sql).statement else { panic!("{sql}") };
        assert_eq!(what, expected, "{sql}");
        assert!(hint.ends_with('.') || hint.ends_with("..."), "{sql}: {hint}");
    }
    for sql in [
        "COPY (SELECT 1) TO '/tmp/x'",
        "COPY profiles TO PROGRAM 'sh'",
        "COPY profiles FROM '/etc/passwd'",
        "CREATE EXTERNAL TABLE a STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE FOREIGN DATA WRAPPER a",
        "CREATE EXTENSION a",
        "CREATE FUNCTION a() RETURNS int LANGUAGE c AS 'x'",
        "LOAD 'x'",
        "ATTACH 'x'",
        "DO $$ begin end $$",
        "ALTER SYSTEM SET a = 1",
    ] {
        assert!(matches!(one(sql).statement, Statement::Refused { .. }), "{sql}");
    }
}

#[test]
fn decisions_about_who_is_who_name_profiles_and_records() {
    let decided = |sql: &str| match one(sql).statement {
        Statement::Decide { decision, reason } => (decision, reason),
        other => panic!("{sql}: {other:?}"),
    };
    let text = str::to_owned;
    let records = vec![(text("crm"), text("C-1")), (text("Odd name"), text("7"))];
    for (sql, expected, reason) in [
        ("MERGE PROFILES 12, '34', 56 REASON 'asked'", Decision::Merge(vec![12, 34, 56]), "asked"),
        (
            "split profile 12 records ((CRM, 'C-1'), ('Odd name', 7)) reason $$It's he$$",
            Decision::Split(12, Part::Records(records)),
            "It's he",
        ),
        (
            "SPLIT PROFILE '12' ON IDENTIFIER (email, 'a@x.example') REASON 'r'",
            Decision::Split(12, Part::Carriers(text("email"), text("a@x.example"))),
            "r",
        ),
        ("DROP IDENTITY OVERRIDE 3", Decision::Revoke(3), ""),
        ("DROP IDENTITY OVERRIDE 3 REASON 'wrong'", Decision::Revoke(3), "wrong"),
        (
            "ALTER IDENTIFIER VALUE (phone, '+48601') SET CLASS Nobody REASON 'the till'",
            Decision::Classify(text("phone"), text("+48601"), Some(ValueClass::Nobody)),
            "the till",
        ),
        (
            "alter identifier value ('phone', 48601) reset class",
            Decision::Classify(text("phone"), text("48601"), None),
            "",
        ),
    ] {
        assert_eq!(decided(sql), (expected, reason.to_owned()), "{sql}");
    }
    let sql = "apply identity overrides as WITH a AS (SELECT 1) SELECT * FROM a -- all";
    let Statement::ApplyOverrides { query } = one(sql).statement else { panic!("{sql}") };
    assert_eq!(query, "WITH a AS (SELECT 1) SELECT * FROM a");
    for (sql, wanted) in [
        ("MERGE PROFILES 12 REASON 'r'", "expected \",\" and another profile"),
        ("MERGE PROFILES 12, 34", "expected REASON and a text"),
        ("MERGE PROFILES 12, 34 REASON ' '", "the reason is empty"),
        ("MERGE PROFILES 12, 34 REASON why", "expected a text in quotes"),
        ("MERGE PROFILES 12, -34 REASON 'r'", "expected the id of a profile"),
        ("MERGE PROFILES 12, 99999999999999999999 REASON 'r'", "expected the id of a profile"),
        ("MERGE PROFILES 12, 34 REASON 'r' NOW", "expected the end of the statement"),
        ("SPLIT PROFILE 12 REASON 'r'", "expected records or on identifier"),
        ("SPLIT PROFILE 12 RECORDS () REASON 'r'", "expected \"(\""),
        (
            "SPLIT PROFILE 12 RECORDS ((crm, C-1)) REASON 'r'",
            "expected the key of a record in quotes",
        ),
        ("SPLIT PROFILE ada RECORDS ((crm, '1')) REASON 'r'", "expected the id of a profile"),
        ("DROP IDENTITY OVERRIDE all", "expected the number of an override"),
        ("APPLY IDENTITY OVERRIDES", "expected as"),
        ("APPLY IDENTITY OVERRIDES AS", "expected a statement"),
        ("APPLY IDENTITY OVERRIDES AS REFRESH ALL", "expected a query"),
        ("ALTER IDENTIFIER VALUE (a, 'b') SET CLASS ours", "expected personal, shared or nobody"),
        ("ALTER IDENTIFIER VALUE (a, 'b') SET CLASS shared", "expected REASON and a text"),
        ("ALTER IDENTIFIER VALUE (a, 'b') DROP CLASS", "expected set class or reset class"),
        ("ALTER IDENTIFIER VALUE a SET CLASS shared", "expected \"(\""),
    ] {
        let error = parse(sql).expect_err(sql);
        assert!(error.message.starts_with(wanted), "{sql}: {}", error.message);
    }
}

#[test]
fn explanations_of_identity_are_queries() {
    for (sql, expected) in [
        ("EXPLAIN MERGE 12, '34'", "explain_merge(12, 34)"),
        ("explain merge (crm, 'it''s'), (shop, 7)", "explain_merge('crm', 'it''s', 'shop', '7')"),
        ("EXPLAIN PROFILE 12", "explain_profile(12)"),
    ] {
        let Statement::ExplainIdentity { query } = one(sql).statement else { panic!("{sql}") };
        assert_eq!(query, format!("SELECT \"QUERY PLAN\" FROM {expected}"));
    }
    for (sql, wanted) in [
        ("EXPLAIN MERGE a, b", "expected the id of a profile"),
        ("EXPLAIN MERGE 12", "expected \",\""),
        ("EXPLAIN MERGE 12, (crm, 'a')", "a profile cannot be compared with a record"),
        ("EXPLAIN PROFILE ada", "expected the id of a profile"),
        ("EXPLAIN PROFILE 1, 2", "expected the end of the statement"),
    ] {
        let error = parse(sql).expect_err(sql);
        assert!(error.message.starts_with(wanted), "{sql}: {}", error.message);
    }
}
