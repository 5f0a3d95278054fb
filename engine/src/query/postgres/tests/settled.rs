//! Types that are settled when a plan is made: what is described is what is answered.

use datafusion::logical_expr::LogicalPlan;

use super::*;

async fn plan_of(session: &Session, sql: &str) -> LogicalPlan {
    let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
    rewrite(&mut statement, &session.facts).unwrap();
    let state = session.context.state();
    let statement = DfStatement::Statement(Box::new(statement));
    let plan = state.statement_to_plan(statement).await.unwrap();
    ObjectNames::new(&session.facts).present(settle(plan, &session.facts).unwrap()).unwrap()
}

/// The types that the columns of a query are described with and answered with.
async fn types_of(session: &Session, sql: &str) -> (Vec<String>, Vec<String>) {
    let plan = plan_of(session, sql).await;
    let named = |field: &Arc<Field>| types::pg_type_of(field).0.name.clone();
    let described = plan.schema().fields().iter().map(named).collect();
    let answered = session.context.execute_logical_plan(plan).await.unwrap();
    let batches = answered.collect().await.unwrap();
    (described, batches[0].schema().fields().iter().map(named).collect())
}

#[tokio::test]
async fn expressions_are_described_with_the_types_that_they_are_answered_with() {
    let session = session();
    for (sql, expected) in [
        (
            "SELECT 1, 2147483648, -1, -2147483648, 9223372036854775808",
            "int4 int8 int4 int4 numeric",
        ),
        ("SELECT 1 + 1, 1 + 2147483648, 1::smallint + 1", "int4 int8 int4"),
        ("SELECT CASE WHEN true THEN 0 ELSE 5::bigint END", "int8"),
        ("SELECT CASE WHEN true THEN NULL WHEN false THEN 1 ELSE 2::numeric(3,1) END", "numeric"),
        ("SELECT CASE WHEN true THEN 1 END, CASE 1 WHEN 1::bigint THEN 'a' END", "int4 text"),
        (
            "SELECT coalesce(1, 2::bigint), nullif(1, 2::bigint), greatest(1, 2::numeric(3,1))",
            "int8 int4 numeric",
        ),
        (
            "SELECT coalesce(1::float8, 0.5), CASE WHEN true THEN 0.5 ELSE 1::float8 END, least(1::real, 0.5)",
            "float8 float8 float4",
        ),
        (
            "SELECT coalesce(NULL::date, '2026-01-01'), CASE WHEN true THEN '5' ELSE 1 END, nullif('t', true)",
            "date int4 bool",
        ),
        ("SELECT 0.5 AS n UNION ALL SELECT 2::float8 UNION ALL SELECT '1'", "float8"),
        ("SELECT '5' AS n UNION ALL SELECT 2", "int4"),
        ("SELECT 1 AS n UNION ALL SELECT 2::bigint", "int8"),
        (
            "SELECT n + 1 FROM (SELECT NULL AS n UNION ALL SELECT 1 UNION ALL SELECT 2::numeric(3,1)) t",
            "numeric",
        ),
        ("SELECT * FROM (VALUES (1, 1), (2, 3000000000)) v(a, b)", "int4 int8"),
        ("VALUES (CASE WHEN true THEN 1 ELSE 2::bigint END)", "int8"),
        ("SELECT ARRAY[1, 2], (ARRAY[1, 2])[1], ARRAY[1, 2::bigint]", "_int4 int4 _int8"),
        ("SELECT sum(n), max(n), count(n) FROM (VALUES (1)) v(n)", "int8 int4 int8"),
        (
            "SELECT sum(n::smallint), sum(n::bigint), sum(DISTINCT n), sum(n::bigint) FILTER (WHERE n > 1) FROM (VALUES (1)) v(n)",
            "int8 numeric int8 numeric",
        ),
        ("SELECT sum(DISTINCT n), sum(m) FROM (VALUES (1, 2), (1, 3)) v(n, m)", "int8 int8"),
        (
            "SELECT sum(sum(n)) OVER (), sum(n) OVER (), coalesce(sum(n), 0) FROM (VALUES (1::bigint)) v(n) GROUP BY n",
            "numeric numeric numeric",
        ),
        (
            "SELECT n, count(*) FROM (SELECT CASE WHEN true THEN 1 ELSE 2::bigint END AS n) t GROUP BY n",
            "int8 int8",
        ),
        (
            "SELECT (SELECT max(u.m) FROM (SELECT 1 AS m) u WHERE u.m = t.n) FROM (SELECT 1 AS n UNION ALL SELECT 2::bigint) t",
            "int4",
        ),
        (
            "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r",
            "int4",
        ),
        (
            "SELECT date '2026-10-31' - date '2026-10-01', date '2026-10-31' + interval '1 hour'",
            "int4 timestamp",
        ),
        (
            "SELECT now() AT TIME ZONE 'UTC', timestamp '2026-10-31' AT TIME ZONE 'UTC'",
            "timestamp timestamptz",
        ),
        ("SELECT '1.50'::numeric, '2026-10-31'::date, 'a'::text", "numeric date text"),
    ] {
        let (described, answered) = types_of(&session, sql).await;
        assert_eq!(described.join(" "), expected, "{sql}");
        assert_eq!(described, answered, "{sql}");
    }
}

#[tokio::test]
async fn what_a_column_is_compared_with_is_a_literal_of_its_type() {
    let session = session();
    for (condition, expected) in [
        ("profile_id = 7", "profiles.profile_id = Int64(7)"),
        ("7 < profile_id", "profiles.profile_id > Int64(7)"),
        ("profile_id <> -7", "profiles.profile_id != Int64(-7)"),
        (
            "profile_id IN (1, 2, 3, 4)",
            "profiles.profile_id IN ([Int64(1), Int64(2), Int64(3), Int64(4)])",
        ),
        (
            "profile_id NOT BETWEEN 1 AND 9",
            "profiles.profile_id < Int64(1) OR profiles.profile_id > Int64(9)",
        ),
        ("profile_id = ANY (ARRAY[5])", "profiles.profile_id = Int64(5)"),
        ("ltv > 5", "profiles.ltv > Decimal128(5.00,18,2)"),
        ("ltv >= 5.5", "profiles.ltv >= Decimal128(5.50,18,2)"),
        ("born > '2026-01-31'", "profiles.born > Date32(\"2026-01-31\")"),
        (
            "created_at >= '1970-01-01 01:00+01'",
            "profiles.created_at >= TimestampMicrosecond(0, Some(\"UTC\"))",
        ),
    ] {
        let plan =
            plan_of(&session, &format!("SELECT email FROM profiles WHERE {condition}")).await;
        let plan = session.context.state().optimize(&plan).unwrap().display_indent().to_string();
        assert!(plan.contains(&format!("Filter: {expected}")), "{condition}: {plan}");
    }
}
