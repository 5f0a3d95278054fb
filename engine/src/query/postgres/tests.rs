//! The session as clients use it: what psql 15 prints for its backslash commands, and what drivers ask for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::{
    CatalogProvider, MemTable, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
};
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

mod drivers;
mod foreign_keys;
mod origins;
mod sequences;
mod settled;

use super::*;
use crate::catalog::Constraints;
use crate::query::postgres::types::{COMMENT_KEY, TYPE_KEY, arrow_type};

fn column(name: &str, data_type: DataType, logical: Option<&str>) -> Field {
    let metadata = logical.map(|logical| (TYPE_KEY.to_string(), logical.to_string()));
    Field::new(name, data_type, true).with_metadata(HashMap::from_iter(metadata))
}

fn relation(schema: &str, name: &str, kind: RelationKind, columns: Vec<Field>) -> Relation {
    let (schema, name) = (schema.to_string(), name.to_string());
    Relation {
        schema,
        name,
        owner: None,
        writable: false,
        kind,
        comment: None,
        columns: columns.into(),
        primary_key: vec![],
        constraints: Constraints::default(),
        numbered: BTreeMap::new(),
        sequence: None,
        definition: None,
    }
}

/// The relations that the fixtures were recorded over.
fn relations() -> Vec<Relation> {
    let email = HashMap::from([(COMMENT_KEY.to_string(), "Golden e-mail".to_string())]);
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut profiles = relation(
        "public",
        "profiles",
        RelationKind::Table,
        vec![
            column("profile_id", DataType::Int64, None),
            column("email", DataType::Utf8View, None).with_metadata(email),
            column("ltv", DataType::Decimal128(18, 2), None),
            column("created_at", zoned, None),
            column("active", DataType::Boolean, None),
            column("tags", arrow_type("_text"), None),
            column("code", DataType::Utf8, Some("varchar(20)")),
            column("born", DataType::Date32, None),
        ],
    );
    profiles.primary_key = vec!["profile_id".to_string()];
    profiles.comment = Some("One row a person".to_string());
    let mut v = relation(
        "public",
        "v",
        RelationKind::View,
        vec![column("profile_id", DataType::Int64, None), column("email", DataType::Utf8, None)],
    );
    v.definition =
        Some("SELECT profiles.profile_id,\n    profiles.email\n   FROM profiles".to_string());
    let jobs = relation(
        "cdp",
        "jobs",
        RelationKind::Table,
        vec![
            column("id", DataType::FixedSizeBinary(16), Some("uuid")),
            column("payload", DataType::Utf8, Some("jsonb")),
            column("at", DataType::Int64, Some("timestamp")),
            column("took", DataType::Utf8, Some("interval")),
            column("note", DataType::Utf8, None).with_nullable(false),
        ],
    );
    vec![v, jobs, profiles]
}

struct Session {
    context: SessionContext,
    facts: Arc<SessionFacts>,
}

fn session() -> Session {
    session_of(relations())
}

fn session_of(relations: Vec<Relation>) -> Session {
    let snapshot = Snapshot::new(relations.clone(), &[], &["analyst".to_string()]);
    let facts = SessionFacts::new("analyst".into(), "onefold".into(), 7, 0, snapshot);
    let catalog = MemoryCatalogProvider::new();
    for schema in ["public", "cdp"] {
        let provider = MemorySchemaProvider::new();
        for relation in relations.iter().filter(|r| r.schema == schema).cloned() {
            let arrow = Arc::new(Schema::new(relation.columns));
            let empty = vec![vec![RecordBatch::new_empty(arrow.clone())]];
            let table = MemTable::try_new(arrow, empty).unwrap();
            provider.register_table(relation.name, Arc::new(table)).unwrap();
        }
        catalog.register_schema(schema, Arc::new(provider)).unwrap();
    }
    catalog.register_schema("pg_catalog", pg_catalog(&facts)).ok();
    catalog.register_schema("information_schema", information_schema(&facts)).ok();
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema("onefold", "public")
        .with_create_default_catalog_and_schema(false);
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    // As every session has it.
    config.options_mut().execution.skip_physical_aggregate_schema_check = true;
    let builder = extend(SessionStateBuilder::new().with_config(config), &facts, vec![]);
    let context = SessionContext::new_with_state(builder.build());
    context.register_catalog("onefold", Arc::new(catalog));
    Session { context, facts }
}

impl Session {
    /// Runs a statement and gives its columns and rows as psql's unaligned output has them.
    async fn run(&self, sql: &str) -> Result<(Vec<String>, Vec<String>)> {
        let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql)?;
        let mut statement = statements.remove(0);
        rewrite(&mut statement, &self.facts).unwrap();
        let state = self.context.state();
        let plan = state.statement_to_plan(DfStatement::Statement(Box::new(statement))).await?;
        let plan = ObjectNames::new(&self.facts).present(settle(plan, &self.facts)?)?;
        let columns = plan
            .schema()
            .fields()
            .iter()
            .map(|field| column_name(field.name()).to_string())
            .collect();
        let batches = DataFrame::new(state, plan).collect().await?;
        let mut rows = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let cells: Vec<String> =
                    batch.columns().iter().map(|array| shown(array, row)).collect();
                rows.push(cells.join("|").replace('\n', "\\n"));
            }
        }
        Ok((columns, rows))
    }

    /// Runs a statement that gives one value.
    async fn value(&self, sql: &str) -> String {
        match self.run(sql).await {
            Ok((_, rows)) => rows.join(";"),
            Err(error) => format!("error: {}", error.strip_backtrace()),
        }
    }

    /// The oid of a relation or of the index of its primary key.
    fn oid(&self, name: &str) -> Option<u32> {
        let (schema, name) = name.split_once('.')?;
        let snapshot = self.facts.snapshot();
        let relation = snapshot.named(schema, name).map(|r| r.oid);
        relation.or_else(|| snapshot.index(schema, name).map(|(_, key)| key.index))
    }
}

fn shown(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) || array.data_type().is_null() {
        return "~".to_string();
    }
    match array.data_type() {
        DataType::Boolean => (if array.as_boolean().value(row) { "t" } else { "f" }).to_string(),
        // Objects of the catalog, by name.
        DataType::Struct(fields) if fields.len() == 2 && fields[0].name() == "oid" => {
            shown(array.as_struct().column(1), row)
        }
        DataType::List(_) => {
            let values = array.as_list::<i32>().value(row);
            let cells: Vec<String> = (0..values.len()).map(|at| shown(&values, at)).collect();
            format!("{{{}}}", cells.join(","))
        }
        _ => ArrayFormatter::try_new(array, &FormatOptions::default())
            .unwrap()
            .value(row)
            .to_string(),
    }
}

struct Fixture {
    command: &'static str,
    sql: String,
    rows: Option<Vec<&'static str>>,
}

/// `-- command` begins a statement, `;` ends it, `-->` is a row of PostgreSQL's answer; `-- command | runs` has none.
fn fixtures(text: &'static str) -> Vec<Fixture> {
    let mut fixtures: Vec<Fixture> = Vec::new();
    for line in text.lines() {
        if let Some(row) = line.strip_prefix("--> ") {
            let rows = fixtures.last_mut().and_then(|fixture| fixture.rows.as_mut());
            rows.unwrap().push(row);
        } else if let Some(command) = line.strip_prefix("-- ") {
            let runs = command.strip_suffix(" | runs");
            let rows = if runs.is_some() { None } else { Some(Vec::new()) };
            fixtures.push(Fixture { command: runs.unwrap_or(command), sql: String::new(), rows });
        } else if line != ";" {
            let fixture = fixtures.last_mut().unwrap();
            fixture.sql.push_str(line);
            fixture.sql.push('\n');
        }
    }
    fixtures
}

#[tokio::test]
async fn answers_psql_as_postgres_does() {
    let session = session();
    let mut failures = Vec::new();
    let names = ["public.profiles", "public.v", "cdp.jobs", "public.profiles_pkey"];
    for fixture in fixtures(include_str!("fixtures/psql.sql")) {
        let (mut sql, mut rows) = (fixture.sql.clone(), Vec::new());
        for name in names {
            sql = sql.replace(&format!("{{{name}}}"), &session.oid(name).unwrap().to_string());
        }
        match session.run(&sql).await {
            Err(error) => {
                failures.push(format!("{}: {}\n{sql}", fixture.command, error.strip_backtrace()))
            }
            Ok((_, found)) => {
                for mut row in found {
                    for name in names {
                        row = row.replace(
                            &session.oid(name).unwrap().to_string(),
                            &format!("{{{name}}}"),
                        );
                    }
                    rows.push(row);
                }
                if fixture.rows.as_ref().is_some_and(|expected| *expected != rows) {
                    let expected = fixture.rows.unwrap_or_default().join("\n  ");
                    failures.push(format!(
                        "{}:\n{sql}expected\n  {expected}\nfound\n  {}",
                        fixture.command,
                        rows.join("\n  ")
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n\n"));
}

#[tokio::test]
async fn answers_what_drivers_ask() {
    let session = session();
    let check =
        async |sql: &str, expected: &str| assert_eq!(session.value(sql).await, expected, "{sql}");
    // psycopg 3 looks types up so.
    check("SELECT typname AS name, oid, typarray AS array_oid, oid::regtype::text AS regtype, typdelim AS delimiter FROM pg_type t WHERE t.oid = to_regtype('uuid') ORDER BY t.oid", "uuid|2950|2951|uuid|,").await;
    check("SELECT typname FROM pg_type t WHERE t.oid = to_regtype('hstore')", "").await;
    check("SELECT oid, typbasetype FROM pg_type WHERE typname = 'lo'", "").await;
    check("SELECT count(*) FROM pg_catalog.pg_type WHERE (typreceive != 0 OR typsend != 0) AND typtype != 'r' AND typreceive::TEXT != 'array_recv' AND typrelid = 0", "81").await;
    check("SELECT typreceive::text FROM pg_type WHERE typname = 'int4'", "int4recv").await;
    check("select relname, nspname, relkind from pg_catalog.pg_class c, pg_catalog.pg_namespace n where relkind in ('r', 'v', 'm', 'f', 'p') and nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pg_temp_1') and n.oid = relnamespace order by nspname, relname", "jobs|cdp|r;profiles|public|r;v|public|v").await;
    check("SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2", "cdp|jobs|BASE TABLE;public|profiles|BASE TABLE;public|v|VIEW").await;
    check("SELECT column_name, data_type, udt_name, is_nullable, character_maximum_length, numeric_precision, numeric_scale FROM \"onefold\".information_schema.columns WHERE table_name = 'profiles' ORDER BY ordinal_position LIMIT 4", "profile_id|bigint|int8|NO|~|64|0;email|text|text|YES|~|~|~;ltv|numeric|numeric|YES|~|18|2;created_at|timestamp with time zone|timestamptz|YES|~|~|~").await;
    check("SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r'::VARCHAR, 'p'::VARCHAR]) AND pg_catalog.pg_class.relpersistence != 't'::VARCHAR AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid) AND pg_catalog.pg_namespace.nspname != 'pg_catalog'::VARCHAR", "profiles").await;
    check("SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg/_'::VARCHAR || '%' ESCAPE '/' ORDER BY 1", "analytics;cdp;information_schema;public").await;
    check("SELECT * FROM unnest(current_schemas(true))", "pg_catalog;public;analytics").await;
    check("SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indisprimary = 't'", "profile_id").await;
    check("SELECT con.conname, unnest(con.conkey) AS attnum, generate_subscripts(con.conkey, 1) AS ord FROM pg_constraint con", "profiles_pkey|1|1").await;
    check("SELECT att.atttypid::regtype::text, pg_catalog.pg_get_expr(def.adbin, def.adrelid, true) FROM pg_attribute att JOIN pg_class cls ON att.attrelid = cls.oid LEFT JOIN pg_attrdef def ON def.adrelid = att.attrelid AND def.adnum = att.attnum WHERE cls.relname = 'jobs' AND att.attnum > 0 ORDER BY att.attnum", "uuid|~;jsonb|~;timestamp without time zone|~;interval|~;text|~").await;
}

#[tokio::test]
async fn functions_answer_as_postgres_does() {
    let session = session();
    let check = async |sql: &str, expected: &str| {
        assert_eq!(session.value(&format!("SELECT {sql}")).await, expected, "{sql}")
    };
    check(
        "current_user, session_user, current_catalog, current_database(), current_schema",
        "analyst|analyst|onefold|onefold|public",
    )
    .await;
    check("version() LIKE 'PostgreSQL 15.%'", "t").await;
    check("current_setting('server_version_num')::int / 100", "1500").await;
    check("current_setting('nothing.here', true)", "~").await;
    check("'profiles'::regclass::oid = c.oid FROM pg_class c WHERE relname = 'profiles'", "t")
        .await;
    check(
        "'cdp.jobs'::regclass, 'public.profiles'::regclass::text, 1700::regtype",
        "cdp.jobs|profiles|numeric",
    )
    .await;
    check("to_regclass('nowhere'), to_regtype('int4[]')::oid", "~|1007").await;
    check("has_table_privilege('profiles', 'SELECT'), has_table_privilege('profiles', 'INSERT'), has_schema_privilege('cdp', 'USAGE')", "t|f|t").await;
    check("format('%I.%I = %L', 'Public', 'a', 'it''s')", "\"Public\".a = 'it''s'").await;
    check("to_char(TIMESTAMP '2026-02-13 13:05:09', 'YYYY-MM')", "2026-02").await;
    check("to_char(1234.5, 'FM999,990.00')", "1,234.50").await;
    check("to_char(TIME '13:05:09.5', 'HH12:MI:SS.MS pm')", "01:05:09.500 pm").await;
    check("to_date('13/02/2026', 'DD/MM/YYYY'), to_date(NULL, 'YYYY')", "2026-02-13|~").await;
    check("ARRAY(SELECT nspname FROM pg_namespace WHERE nspname LIKE 'c%' ORDER BY 1)", "{cdp}")
        .await;
    check("ARRAY(SELECT 'a.' || x FROM unnest(ARRAY['b', 'c']) x)", "{a.b,a.c}").await;
    check("EXISTS (SELECT 1 FROM profiles), EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = i.indrelid) FROM pg_index i", "f|t").await;
    check(
        "'{\"a\": 1}'::jsonb::text, '7c0e3f9a-0000-4000-8000-000000000001'::uuid::text = 'x'",
        "{\"a\": 1}|f",
    )
    .await;
    check("3 = ANY('{1,2,3}'), 'b' = ANY(ARRAY['a']), '{a,b}'::text[]", "t|f|{a,b}").await;
    check(
        "'abcdef'::varchar(3), 1::int::text, '2026-01-01'::date, '5'::int + 1",
        "abc|1|2026-01-01|6",
    )
    .await;
    check("generate_series(1, 3)", "1;2;3").await;
    check("g FROM generate_series(1, 2) g", "1;2").await;
    check("(SELECT relname FROM pg_class c WHERE c.oid = i.indrelid) FROM pg_index i", "profiles")
        .await;
    check("id FROM cdp.jobs WHERE id = '7c0e3f9a-0000-4000-8000-000000000001'", "").await;
    check("now() - now() < INTERVAL '1 second', pg_typeof_is_absent FROM (SELECT 1 AS pg_typeof_is_absent) t", "t|1").await;
}

#[tokio::test]
async fn refuses_what_it_must() {
    let session = session();
    let check = async |sql: &str, part: &str| {
        let answer = session.value(&format!("SELECT {sql}")).await;
        assert!(answer.starts_with("error") && answer.contains(part), "{sql}: {answer}");
    };
    check("'nowhere'::regclass", "relation \"nowhere\" does not exist").await;
    check("'x'::hstore", "type \"hstore\" does not exist").await;
    check("current_setting('nothing.here')", "parameter \"nothing.here\"").await;
    check("set_config('server_version', '16', false)", "cannot be changed").await;
    check("'nowhere.now'::regproc", "function \"nowhere.now\" does not exist").await;
    check("json_build_object('a')", "even number of elements").await;
    check("json_build_object(NULL, 1)", "argument 1 cannot be null").await;
    check("regexp_split_to_array('a', '(')", "invalid regular expression").await;
    check(
        "(SELECT attname FROM pg_attribute a WHERE a.attrelid = c.oid) FROM pg_class c",
        "more than one row",
    )
    .await;
    check("length(repeat('x', 1000000000))", "repeat() would make more").await;
    check("cardinality(range(1, 200000000))", "range() would make more").await;
    check(
        "max(length(repeat('x', 200000 + g))) FROM generate_series(1, 8192) g",
        "repeat() would make more",
    )
    .await;
    check("input_file_name()", "").await;
    check("arrow_metadata('x')", "").await;
}

#[tokio::test]
async fn names_columns_as_postgres_does() {
    let session = session();
    let check = async |sql: &str, expected: &[&str]| {
        let (columns, _) = session.run(sql).await.unwrap();
        assert_eq!(columns, expected, "{sql}");
    };
    check(
        "SELECT version(), count(*), 1, 'x', count(*)",
        &["version", "count", "?column?", "?column?", "count"],
    )
    .await;
    check(
        "SELECT 1::bigint, now()::date, CASE WHEN true THEN 1 END, true, ARRAY[1]",
        &["int8", "now", "case", "?column?", "array"],
    )
    .await;
    check(
        "SELECT 'profiles'::regclass::oid, CASE WHEN true THEN 1 ELSE relnatts::int END, CASE WHEN true THEN 'x' ELSE 'y'::text END FROM pg_class",
        &["oid", "relnatts", "case"],
    )
    .await;
    check("SELECT relname, c.oid, c.oid FROM pg_class c LIMIT 0", &["relname", "oid", "oid"]).await;
    check("SELECT NULL, NULL UNION SELECT NULL, NULL", &["?column?", "?column?"]).await;
    check(
        "SELECT (SELECT count(*) FROM profiles), lower(email) FROM profiles ORDER BY lower(email)",
        &["count", "lower"],
    )
    .await;
}

#[test]
fn stored_catalog_is_whole() {
    let facts = session().facts;
    for schema in [pg_catalog(&facts), information_schema(&facts)] {
        for name in schema.table_names() {
            assert!(schema.table_exist(&name));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            assert!(runtime.block_on(schema.table(&name)).unwrap().is_some(), "{name}");
        }
    }
}
