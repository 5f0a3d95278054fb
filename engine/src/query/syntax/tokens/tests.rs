//! What clauses are written as, and that everything else stays as it is.

use super::super::statements;

/// Checks what texts are read as.
fn reads(cases: &[(&str, &str)]) {
    for (sql, as_written) in cases {
        let read = statements(sql).map(|read| read[0].to_string());
        let wanted = statements(as_written).unwrap()[0].to_string();
        assert_eq!(read.as_ref(), Ok(&wanted), "{sql}");
    }
}

#[test]
fn clauses_are_read_as_others_that_mean_the_same() {
    reads(&[
        ("TABLE emp", "SELECT * FROM emp"),
        ("TABLE hr.emp ORDER BY id LIMIT 1", "SELECT * FROM hr.emp ORDER BY id LIMIT 1"),
        ("SELECT 1 UNION ALL TABLE emp", "SELECT 1 UNION ALL SELECT * FROM emp"),
        ("CREATE TABLE t AS TABLE emp", "CREATE TABLE t AS SELECT * FROM emp"),
        ("CREATE VIEW t AS SELECT a AS table FROM u", "CREATE VIEW t AS SELECT a AS table FROM u"),
        ("SELECT a FROM t ORDER BY a USING >, b USING <", "SELECT a FROM t ORDER BY a DESC, b ASC"),
        ("SELECT a FROM t JOIN u USING (a)", "SELECT a FROM t JOIN u USING (a)"),
        ("SELECT trim(LEADING FROM a) FROM t", "SELECT trim(LEADING a) FROM t"),
        ("SELECT trim(FROM a) FROM t", "SELECT trim(a) FROM t"),
        ("SELECT trim(a) AS both FROM t", "SELECT trim(a) AS both FROM t"),
        (
            "SELECT sum(a) OVER (ORDER BY b ROWS 1 PRECEDING EXCLUDE NO OTHERS) FROM t",
            "SELECT sum(a) OVER (ORDER BY b ROWS 1 PRECEDING) FROM t",
        ),
        ("SELECT following exclude FROM t", "SELECT following exclude FROM t"),
        ("SELECT a FROM t FETCH FIRST (1) ROWS ONLY", "SELECT a FROM t LIMIT (1)"),
        (
            "SELECT a FROM t OFFSET ($1) ROWS FETCH NEXT ($2::INTEGER) ROW ONLY",
            "SELECT a FROM t OFFSET ($1) ROWS LIMIT ($2::INTEGER)",
        ),
        (
            "SELECT a FROM t ORDER BY a FETCH FIRST ($1::INTEGER) ROWS WITH TIES",
            "SELECT a FROM t ORDER BY a FETCH FIRST $1 ROWS WITH TIES",
        ),
    ]);
}

#[test]
fn tables_are_read_without_those_that_inherit() {
    reads(&[
        ("UPDATE ONLY t SET a = 1", "UPDATE t SET a = 1"),
        ("DELETE FROM ONLY hr.t x WHERE a = 1", "DELETE FROM hr.t x WHERE a = 1"),
        (
            "SELECT a FROM t, ONLY (hr.u) AS v JOIN ONLY w ON true FETCH FIRST 1 ROWS ONLY",
            "SELECT a FROM t, hr.u AS v JOIN w ON true FETCH FIRST 1 ROWS ONLY",
        ),
        ("SELECT \"only\" FROM \"only\"", "SELECT \"only\" FROM \"only\""),
    ]);
}

#[test]
fn a_clause_of_a_merge_may_do_nothing() {
    reads(&[
        (
            "MERGE INTO t USING s ON a = b WHEN MATCHED AND c THEN DO NOTHING \
             WHEN NOT MATCHED THEN DO NOTHING",
            "MERGE INTO t USING s ON a = b WHEN MATCHED AND c THEN UPDATE SET \"\u{1}nothing\" = NULL \
             WHEN NOT MATCHED THEN INSERT (\"\u{1}nothing\") VALUES (NULL)",
        ),
        (
            "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
            "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
        ),
    ]);
}

#[test]
fn an_altered_constraint_is_read_as_a_foreign_key_to_no_table() {
    let key = "FOREIGN KEY (\"\u{1}altered\") REFERENCES \"\u{1}altered\"";
    let added = format!("ALTER TABLE t ADD CONSTRAINT c {key} DEFERRABLE INITIALLY DEFERRED");
    reads(&[
        ("ALTER TABLE t ALTER CONSTRAINT c DEFERRABLE INITIALLY DEFERRED", added.as_str()),
        ("ALTER TABLE t ALTER c TYPE text", "ALTER TABLE t ALTER c TYPE text"),
        ("ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)", "ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)"),
    ]);
}

#[test]
fn operators_are_read_that_sqlparser_does_not_know() {
    reads(&[
        ("SELECT a ISNULL, b NOTNULL FROM t", "SELECT a IS NULL, b IS NOT NULL FROM t"),
        ("SELECT a FROM t WHERE a isnull AND b", "SELECT a FROM t WHERE a IS NULL AND b"),
        (
            "SELECT a BETWEEN SYMMETRIC 2 AND 1 AND b",
            "SELECT ((a BETWEEN 2 AND 1) OR (a BETWEEN 1 AND 2)) AND b",
        ),
        ("SELECT a LIKE ANY (ARRAY['b'])", "SELECT a ~~ ANY (ARRAY['b'])"),
        ("SELECT a NOT ILIKE ALL ('{b}')", "SELECT a !~~* ALL ('{b}')"),
        ("SELECT 'a'\n'b'", "SELECT 'ab'"),
        ("SELECT a OPERATOR(pg_catalog.=) ANY (b) FROM t", "SELECT a = ANY (b) FROM t"),
        ("SELECT a OPERATOR(<>) ALL (b) FROM t", "SELECT a <> ALL (b) FROM t"),
        ("SELECT pg_catalog.Substring(a, 'b')", "SELECT pg_catalog.\"substring\"(a, 'b')"),
        ("SELECT pg_catalog . floor (a), t.ceil", "SELECT pg_catalog.\"floor\"(a), t.ceil"),
        ("SELECT substring(a FROM 2), floor(b)", "SELECT substring(a FROM 2), floor(b)"),
        ("CREATE TABLE t (a text ARRAY, b int)", "CREATE TABLE t (a text[], b int)"),
        ("SELECT ARRAY[1], '{}'::varchar(3) array", "SELECT ARRAY[1], '{}'::varchar(3)[]"),
    ]);
    assert_eq!(
        statements("SELECT (VALUES (1)), 2 = ANY (VALUES (1), (2))").unwrap()[0].to_string(),
        "SELECT ((VALUES (1))), 2 = ANY(VALUES (1), (2))"
    );
}
