//! Columns of results know the columns of relations that they are.

use super::*;
use crate::query::postgres::{origin_of, with_origins};

/// The origins of a statement's columns, as `schema.relation.number`; `-` for none.
async fn origins(session: &Session, sql: &str) -> String {
    let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
    rewrite(&mut statement, &session.facts).unwrap();
    let state = session.context.state();
    let statement = DfStatement::Statement(Box::new(statement));
    let plan = state.statement_to_plan(statement).await.unwrap();
    let settled = settle(plan, &session.facts).unwrap();
    let plan = ObjectNames::new(&session.facts).present(settled).unwrap();
    let columns = Arc::new(plan.schema().as_arrow().clone());
    let snapshot = session.facts.snapshot();
    let named = |field: &Arc<Field>| {
        let Some((oid, number)) = origin_of(field) else { return "-".to_string() };
        match (snapshot.relation(oid), oid) {
            (Some(known), _) => {
                format!("{}.{}.{number}", known.relation.schema, known.relation.name)
            }
            (None, oid) => format!("{oid}.{number}"),
        }
    };
    let described = with_origins(&columns, &plan, &snapshot);
    described.fields().iter().map(named).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn columns_keep_the_relation_that_they_are_of() {
    let session = session();
    let check = async |sql: &str, expected: &str| {
        assert_eq!(origins(&session, sql).await, expected, "{sql}");
    };
    let jobs = "cdp.jobs.1 cdp.jobs.2 cdp.jobs.3 cdp.jobs.4 cdp.jobs.5";
    check("SELECT * FROM cdp.jobs", jobs).await;
    check("SELECT note AS said, id FROM cdp.jobs j ORDER BY id LIMIT 1", "cdp.jobs.5 cdp.jobs.1")
        .await;
    check("SELECT note || 'x', upper(note), 1, NULL, note::varchar FROM cdp.jobs", "- - - - -")
        .await;
    check("SELECT n FROM (SELECT note AS n, 1 FROM cdp.jobs WHERE id IS NULL) s", "cdp.jobs.5")
        .await;
    check("WITH w AS (SELECT note FROM cdp.jobs) SELECT DISTINCT note FROM w", "cdp.jobs.5").await;
    check("SELECT note, count(*) FROM cdp.jobs GROUP BY note", "cdp.jobs.5 -").await;
    check("SELECT note FROM cdp.jobs UNION ALL SELECT note FROM cdp.jobs", "-").await;
    check("SELECT v.email, j.note FROM v JOIN cdp.jobs j ON true", "public.v.2 cdp.jobs.5").await;
    check("SELECT v.* FROM v", "public.v.1 public.v.2").await;
    check("SELECT jobs.* FROM cdp.jobs", jobs).await;
    check("SELECT x FROM (VALUES (1)) jobs(x)", "-").await;
    check("SELECT note, row_number() OVER () FROM cdp.jobs", "cdp.jobs.5 -").await;
    // Relations of the catalog have the oids of PostgreSQL.
    check("SELECT relname, oid FROM pg_class", "1259.2 1259.1").await;
}
