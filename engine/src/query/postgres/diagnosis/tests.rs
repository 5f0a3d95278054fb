//! What is refused before a statement is planned, and where.

use datafusion::sql::sqlparser::ast::{SelectItem, SetExpr};

use super::*;
use crate::query::planner::parse_one;

/// Checks the SQLSTATE and the place of each text: `¦` marks it and is no part of the text; without it there is none.
fn check_all(cases: &[(&str, &str)]) {
    for (marked, sqlstate) in cases {
        let sql = marked.replace('¦', "");
        let place = marked.chars().position(|letter| letter == '¦').map(|at| at as u64 + 1);
        let error = check(&parse_one(&sql).unwrap()).unwrap_err();
        let (found, inner) = match &error {
            Error::Query(error) => {
                let DataFusionError::External(inner) = error.find_root() else {
                    panic!("{sql}: {error}")
                };
                let found = error.diagnostic().and_then(|diagnostic| diagnostic.span);
                (found, inner.downcast_ref().unwrap())
            }
            other => (None, other),
        };
        // What stands behind something begins at the space before it.
        let found = found.map(|span| match sql.as_bytes()[span.start.column as usize - 1] {
            b' ' => span.start.column + 1,
            _ => span.start.column,
        });
        assert_eq!(found, place, "{sql}");
        assert_eq!(inner.sqlstate(), *sqlstate, "{sql}");
        assert!(inner.hint().is_some_and(|hint| hint.len() > 10), "{sql}");
    }
}

#[test]
fn functions_stand_where_they_may() {
    check_all(&[
        ("SELECT a FROM t WHERE ¦count(*) > 1", "42803"),
        ("SELECT a FROM t JOIN u ON ¦max(a) = b", "42803"),
        ("SELECT 1 FROM t GROUP BY ¦count(*)", "42803"),
        ("SELECT sum(¦count(*)) FROM t", "42803"),
        ("SELECT max(¦row_number() OVER ()) FROM t", "42803"),
        ("SELECT a FROM t WHERE ¦row_number() OVER () = 1", "42P20"),
        ("SELECT a FROM t GROUP BY a HAVING ¦rank() OVER () = 1", "42P20"),
        ("SELECT a FROM t WHERE ¦generate_series(1, 2) = 1", "0A000"),
        ("SELECT ¦row_number() FROM t", "42809"),
        ("SELECT ¦lower(a) OVER () FROM t", "42809"),
        ("SELECT ¦a FROM t HAVING b > 5", "42803"),
        ("SELECT ¦* FROM t HAVING count(*) > 5", "42803"),
    ]);
}

#[test]
fn numbers_of_columns_and_names_fit() {
    check_all(&[
        ("SELECT a, b FROM t ORDER BY ¦3", "42P10"),
        ("SELECT a FROM t GROUP BY ¦0", "42P10"),
        ("SELECT a FROM t UNION SELECT ¦a, b FROM t", "42601"),
        ("SELECT ¦(SELECT a, b FROM t)", "42601"),
        ("SELECT 1 FROM t WHERE a ¦IN (SELECT a, b FROM t)", "42601"),
        ("SELECT 1 FROM t WHERE (a, b) ¦IN (SELECT a FROM t)", "42601"),
        ("SELECT (a, b) ¦NOT IN (SELECT a, b, c FROM t) FROM t", "42601"),
        ("VALUES (1, 2), (¦3)", "42601"),
        ("SELECT ¦*", "42601"),
        ("WITH a AS (SELECT 1), ¦a AS (SELECT 2) SELECT * FROM a", "42712"),
        ("SELECT 1 FROM t x, u x", "42712"),
        ("SELECT 1 FROM t, t", "42712"),
        ("SELECT 1 FROM (t JOIN u ON true) x, v x", "42712"),
        ("SELECT 1 FROM t x CROSS JOIN unnest(ARRAY[1]) x", "42712"),
        ("SELECT 1 FROM generate_series(1, 2), generate_series(1, 2)", "42712"),
        ("SELECT 1 FROM t x LEFT JOIN LATERAL generate_series(1, x.a) x ON true", "42712"),
        ("SELECT 1 FROM ¦other.public.t", "0A000"),
    ]);
}

#[test]
fn values_that_are_written_out_can_be_taken() {
    check_all(&[
        ("SELECT a FROM t LIMIT -1", "2201W"),
        ("SELECT a FROM t OFFSET -1", "2201X"),
        ("SELECT sum(a) OVER (ORDER BY a ROWS -1 PRECEDING) FROM t", "22013"),
        ("SELECT sum(a) OVER (ORDER BY a ROWS ¦$1 PRECEDING) FROM t", "0A000"),
        ("SELECT a FROM t LIMIT ¦'ten'", "22P02"),
        ("SELECT a FROM t LIMIT ¦a", "42P10"),
        ("SELECT a LIKE 'b' ESCAPE 'cd' FROM t", "22025"),
        ("SELECT a LIKE 'b\\' FROM t", "22025"),
        ("SELECT date_trunc('fortnight', a) FROM t", "22023"),
    ]);
}

#[test]
fn what_postgresql_takes_is_taken() {
    for sql in [
        "SELECT a, count(*) FROM t WHERE b IN (SELECT max(b) FROM t) GROUP BY 1 HAVING count(*) > 1 ORDER BY 2",
        "SELECT sum(count(*)) OVER (ORDER BY a) FROM t GROUP BY a",
        "SELECT count(*) FROM t HAVING count(*) > 1 AND max(a) < current_date",
        "SELECT t.a FROM public.t, sources.t WHERE a LIKE '\\\\' AND b LIKE 'c!' ESCAPE ''",
        "SELECT 1 FROM t x JOIN t y ON x.a = y.a LIMIT 5 OFFSET 5",
        "SELECT * FROM t UNION SELECT a, b FROM t ORDER BY 2",
        "SELECT date_trunc('week', a), extract(isodow FROM a), date_trunc('mon', a) FROM onefold.public.t",
        "SELECT (SELECT a FROM t LIMIT 1), first_value(a) OVER w FROM t WINDOW w AS (ORDER BY a)",
        "VALUES (1, 2), (3, 4)",
    ] {
        check(&parse_one(sql).unwrap()).unwrap();
    }
}

#[test]
fn what_comes_back_and_what_is_assigned_is_of_one_row() {
    let item = |sql: &str| {
        let Statement::Query(query) = parse_one(&format!("SELECT {sql}")).unwrap() else {
            panic!("{sql}")
        };
        let SetExpr::Select(select) = *query.body else { panic!("{sql}") };
        select.projection.into_iter().next().unwrap()
    };
    let check = |sql: &str| {
        let item = item(sql);
        let SelectItem::UnnamedExpr(value) = &item else { panic!("{sql}") };
        let (returned, assigned) = (check_returned(&item), check_assigned(value));
        let sqlstates = [returned, assigned].map(|found| found.err().map(|found| found.sqlstate()));
        assert_eq!(sqlstates[0], sqlstates[1], "{sql}");
        sqlstates[0]
    };
    for (sql, sqlstate) in [
        ("count(*)", "42803"),
        ("a + percentile_cont(0.5) WITHIN GROUP (ORDER BY a)", "42803"),
        ("1 + sum(a) OVER ()", "42P20"),
        ("coalesce(unnest(b), 1)", "0A000"),
    ] {
        assert_eq!(check(sql), Some(sqlstate), "{sql}");
    }
    for sql in ["a + 1", "(SELECT count(*) FROM u)", "EXISTS (SELECT generate_series(1, 2))"] {
        assert_eq!(check(sql), None, "{sql}");
    }
}
