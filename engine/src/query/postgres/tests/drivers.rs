//! What drivers ask for: types of columns, keys, words, JSON, locks.

use super::*;

#[tokio::test]
async fn values_become_json_as_in_postgres() {
    let session = session();
    let check = async |sql: &str, expected: &str| {
        assert_eq!(session.value(&format!("SELECT {sql}")).await, expected, "{sql}")
    };
    check(
        "json_build_object('always', true, 'start', 1, 'n', NULL, 'x', 1.5, 't', 'a\"b', 'l', ARRAY[1, 2])",
        r#"{"always" : true, "start" : 1, "n" : null, "x" : 1.5, "t" : "a\"b", "l" : [1,2]}"#,
    )
    .await;
    check(
        "json_build_object('ts', TIMESTAMPTZ '2026-01-02 03:04:05.10Z', 'd', DATE '2026-01-02', 'j', '{\"a\": 1}'::json)",
        r#"{"ts" : "2026-01-02T03:04:05.1+00:00", "d" : "2026-01-02", "j" : {"a": 1}}"#,
    )
    .await;
    check(
        "jsonb_build_object('bb', true, 'a', 1, 'a', 2), jsonb_build_array(1, 'a', NULL)",
        r#"{"a": 2, "bb": true}|[1, "a", null]"#,
    )
    .await;
    check("json_build_object(), json_build_array(), json_build_array(1, 'a')", r#"{}|[]|[1, "a"]"#)
        .await;
    check("to_json('a'::text), to_json(ARRAY[1, 2]), to_jsonb(1.5)", r#""a"|[1,2]|1.5"#).await;
}

/// The types of the columns of a query, as `pg_type` names them.
async fn types_of(session: &Session, sql: &str) -> Vec<String> {
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
    let mut statement = statements.remove(0);
    rewrite(&mut statement, &session.facts).unwrap();
    let state = session.context.state();
    let statement = DfStatement::Statement(Box::new(statement));
    let plan = state.statement_to_plan(statement).await.unwrap();
    let plan =
        ObjectNames::new(&session.facts).present(settle(plan, &session.facts).unwrap()).unwrap();
    let named = |field: &Arc<Field>| match field.metadata().get(TYPE_KEY) {
        Some(reg) if reg.starts_with("reg") => reg.clone(),
        _ => types::pg_type_of(field).0.name.clone(),
    };
    plan.schema().fields().iter().map(named).collect()
}

#[tokio::test]
async fn columns_have_the_types_of_postgres() {
    let session = session();
    let check = async |sql: &str, expected: &[&str]| {
        assert_eq!(types_of(&session, sql).await, expected, "{sql}");
    };
    check(
        "SELECT nullif(relkind, 'r'), coalesce(relname, 'x'), CASE WHEN true THEN relname ELSE 'x' END, relname::text, max(relname) OVER (), lag(relname) OVER () FROM pg_class",
        &["char", "name", "name", "text", "text", "name"],
    )
    .await;
    check(
        "SELECT array_agg(relname), array_agg(oid), min(oid), min(relkind), (array_agg(relname))[1] FROM pg_class",
        &["_name", "_oid", "oid", "text", "name"],
    )
    .await;
    check(
        "SELECT row_number() OVER (), ntile(2) OVER (), array_length(ARRAY[1], 1), cardinality(ARRAY[1])",
        &["int8", "int4", "int4", "int4"],
    )
    .await;
    check(
        "SELECT ARRAY(SELECT rolname FROM pg_roles), (SELECT nspname FROM pg_namespace LIMIT 1), ARRAY[relname, 'x'], relacl FROM pg_class",
        &["_name", "name", "_name", "_aclitem"],
    )
    .await;
    check("SELECT * FROM unnest(current_schemas(true))", &["name"]).await;
    check(
        "SELECT CASE typtype WHEN 'd' THEN typbasetype ELSE 0 END, oid::regtype, typreceive, typreceive::text FROM pg_type",
        &["oid", "regtype", "regproc", "text"],
    )
    .await;
    check(
        "SELECT x.relname, x.n FROM (SELECT max(c.relname) AS relname, array_agg(c.relname) AS n FROM pg_class c GROUP BY relkind) x ORDER BY 1 LIMIT 1",
        &["text", "_name"],
    )
    .await;
    check("SELECT relname FROM pg_class UNION ALL SELECT nspname FROM pg_namespace", &["name"])
        .await;
    check("SELECT pg_advisory_lock(1), to_json(1), 'x'", &["void", "json", "text"]).await;
}

#[tokio::test]
async fn drivers_read_keys_words_and_types() {
    let session = session();
    let check =
        async |sql: &str, expected: &str| assert_eq!(session.value(sql).await, expected, "{sql}");
    // pgjdbc reads primary keys so.
    check("SELECT result.column_name, result.key_seq FROM (SELECT a.attname AS column_name, (information_schema._pg_expandarray(i.indkey)).n AS key_seq, information_schema._pg_expandarray(i.indkey) AS keys, a.attnum AS a_attnum FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid) WHERE ct.relname = 'profiles' AND i.indisprimary) result WHERE result.a_attnum = (result.keys).x ORDER BY result.key_seq", "profile_id|1").await;
    check("SELECT a.attname FROM pg_catalog.pg_attribute a JOIN (SELECT i.indrelid, information_schema._pg_expandarray(i.indkey) AS keys FROM pg_catalog.pg_index i) i ON (a.attnum = (i.keys).x AND a.attrelid = i.indrelid)", "profile_id").await;
    check("SELECT count(*), min(word) FILTER (WHERE catcode = 'R') FROM pg_catalog.pg_get_keywords() WHERE word <> ALL ('{select,from}'::text[])", "458|all").await;
    check("SELECT regexp_split_to_table('a1b22c', '\\d+') AS part", "a;b;c").await;
    check("SELECT p FROM regexp_split_to_table('a,b', ',') p", "a;b").await;
    check("SELECT regexp_split_to_array('aBc', 'b', 'i')", "{a,c}").await;
    check("SELECT 'pg_catalog.now'::regproc::oid, 1299::regproc", "1299|now").await;
    // No relation has identity columns, and no type is a domain.
    check("SELECT a.attname, (SELECT json_build_object('start', s.seqstart) FROM pg_catalog.pg_sequence s WHERE s.seqrelid = CAST(CAST(pg_catalog.pg_get_serial_sequence(CAST(CAST(a.attrelid AS regclass) AS text), a.attname) AS regclass) AS oid)) AS identity FROM pg_catalog.pg_attribute a WHERE a.attname = 'ltv'", "ltv|~").await;
    check("SELECT typname, (WITH RECURSIVE typebases(oid, depth) AS (SELECT t2.typbasetype AS oid, 0 AS depth FROM pg_type t2 WHERE t2.oid = t.oid UNION ALL SELECT t2.typbasetype AS oid, tb.depth + 1 AS depth FROM pg_type t2, typebases tb WHERE tb.oid = t2.oid AND t2.typbasetype != 0) SELECT oid FROM typebases ORDER BY depth DESC LIMIT 1) AS base FROM pg_type t WHERE typname = 'int4'", "int4|0").await;
    check("SELECT unnest((SELECT array_agg(attname ORDER BY i) FROM (SELECT unnest(confkey) AS attnum, generate_subscripts(confkey, 1) AS i) x JOIN pg_catalog.pg_attribute c USING (attnum) WHERE c.attrelid = fk.confrelid)) AS parent FROM pg_catalog.pg_constraint fk WHERE fk.contype = 'f'", "").await;
}

#[tokio::test]
async fn tools_take_names_and_times_apart() {
    let session = session();
    let check = async |sql: &str, expected: &str| {
        assert_eq!(session.value(&format!("SELECT {sql}")).await, expected, "{sql}")
    };
    check("parse_ident('A.\"b c\"'), (parse_ident('x.y'))[2]", "{a,b c}|y").await;
    check("array_length(parse_ident('public.profiles'), 1), parse_ident(NULL)", "2|~").await;
    check("to_date('13 Feb 2026', 'DD Mon YYYY')", "2026-02-13").await;
    check(
        "to_timestamp('2026-02-13 13:05:09.5', 'YYYY-MM-DD HH24:MI:SS.US') = TIMESTAMPTZ '2026-02-13 13:05:09.5Z'",
        "t",
    )
    .await;
    check("to_timestamp(1.5) = TIMESTAMPTZ '1970-01-01 00:00:01.5Z'", "t").await;
    // Nothing here was made by a statement.
    check(
        "pg_column_is_updatable('profiles'::regclass, 1, false), pg_relation_is_updatable('profiles'::regclass, true)",
        "f|0",
    )
    .await;
    check("make_time(13, 5, 9.5), INTERVAL '1 day' * 3 = INTERVAL '3 days'", "13:05:09.500|t")
        .await;
    check("DATE '2026-02-27' + 2 * INTERVAL '1 DAY' = TIMESTAMP '2026-03-01'", "t").await;
    check("INTERVAL '1 hour' / 4 = INTERVAL '15 minutes'", "t").await;
    let sorted = "SELECT x FROM (VALUES (1), (2), (3)) v(x) ORDER BY CASE WHEN x IN (SELECT 2) THEN 0 ELSE 1 END, x DESC";
    assert_eq!(session.value(sorted).await, "2;3;1");
    let within = "x IN (SELECT 2), x NOT IN (VALUES (1), (NULL)), NULL IN (SELECT 1)";
    let of_three = format!("{within} FROM (VALUES (1), (2), (3)) v(x) ORDER BY x");
    check(&of_three, "f|f|~;t|~|~;f|~|~").await;
    check("pg_cancel_backend(0), pg_terminate_backend(NULL)", "f|~").await;
}

#[tokio::test]
async fn advisory_locks_are_taken_and_given_back() {
    let session = session();
    let check = async |sql: &str, expected: &str| {
        assert_eq!(session.value(&format!("SELECT {sql}")).await, expected, "{sql}")
    };
    check(
        "pg_try_advisory_lock(1), pg_try_advisory_lock(2, 3), pg_try_advisory_lock(NULL)",
        "t|t|~",
    )
    .await;
    check("pg_advisory_lock(4)", "").await;
    check("pg_advisory_unlock(1)", "t").await;
    check("pg_advisory_unlock(1)", "f").await;
    check("pg_advisory_unlock_all()", "").await;
    check("pg_advisory_unlock(4)", "f").await;
}
