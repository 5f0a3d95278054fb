//! Whether these statements would notice: the same questions over a plain filter in place of the governed leaf.
//!
//! Profiles of both lakes, hidden people included, are put behind an ordinary view with a `WHERE` over their consents,
//! which the optimizer may move things through. What the analyst then learns from errors and plans must tell the lakes
//! apart, or the test tests nothing.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;

use super::Statement;
use super::pair::Pair;
use super::random::Random;
use super::relations::{Kind, Relation};
use crate::harness::Server;

/// Statements that are asked.
const STATEMENTS: usize = 1_200;

/// Statements that have to find the leak, at least.
const LEAKS_MIN: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_filter_would_be_noticed() {
    let pair = Pair::build().await;
    let (first, second) = pair.serve().await;
    let (first, second) = (filtered(&first, &pair).await, filtered(&second, &pair).await);
    let mut statements = super::statements::of(&pair, &mut Random::new(super::SEED), STATEMENTS);
    statements
        .retain(|statement| only_profiles(statement) && super::statements::is_settled(statement));
    let mut leaks = Vec::new();
    for Statement { sql, .. } in &statements {
        if outcome(&first, sql).await != outcome(&second, sql).await {
            println!("{sql}");
            leaks.push(sql);
        }
    }
    println!(
        "{} of {} statements tell the lakes apart through a plain filter",
        leaks.len(),
        statements.len()
    );
    assert!(
        leaks.len() >= LEAKS_MIN,
        "{} statements find nothing where there is a leak; those that do: {leaks:?}",
        statements.len()
    );
}

fn only_profiles(statement: &Statement) -> bool {
    let others = [
        "sources.",
        "public.",
        "segments.",
        "cdp.",
        "pg_catalog.",
        "profile_identifiers",
        "attribute_sources",
        "identity_edges",
        "events",
    ];
    let sql = statement.sql.replace("public.profiles", "profiles");
    // The plan of another build has nothing to tell, and its times differ.
    sql.contains("profiles")
        && !sql.starts_with("EXPLAIN")
        && !others.iter().any(|other| sql.contains(other))
}

/// What comes back, rows sorted, as one text.
async fn outcome(context: &SessionContext, sql: &str) -> String {
    let batches = match context.sql(sql).await {
        Ok(frame) => frame.collect().await,
        Err(error) => Err(error),
    };
    match batches {
        Ok(batches) => {
            let table = pretty_format_batches(&batches).unwrap().to_string();
            let mut lines: Vec<&str> = table.lines().collect();
            lines.sort_unstable();
            lines.join("\n")
        }
        Err(error) => error.to_string(),
    }
}

/// All profiles of a lake behind a plain filter.
async fn filtered(server: &Server, pair: &Pair) -> SessionContext {
    let (engineer, analyst) = (server.session("engineer").await, server.session("analyst").await);
    let visible = analyst.rows("SELECT profile_id FROM profiles").await;
    let visible: std::collections::HashSet<String> =
        visible.into_iter().map(|mut row| row.remove(0).unwrap()).collect();
    let profiles =
        pair.relations.iter().find(|relation| relation.name == "public.profiles").unwrap();
    let names: Vec<&str> = profiles.columns.iter().map(|column| column.name.as_str()).collect();
    let rows = engineer
        .rows(&format!("SELECT {} FROM profiles ORDER BY profile_id", names.join(", ")))
        .await;
    let consents =
        rows.iter().map(|row| match row[0].as_ref().is_some_and(|id| visible.contains(id)) {
            true => Some("service, analytics"),
            false => Some("service"),
        });
    let batch = typed(profiles, &rows, StringArray::from_iter(consents));
    let context = SessionContext::new();
    context.register_batch("everybody", batch).unwrap();
    context
        .sql(&format!(
            "CREATE VIEW profiles AS SELECT {} FROM everybody WHERE consents LIKE '%analytics%'",
            names.join(", ")
        ))
        .await
        .unwrap();
    context
}

fn typed(relation: &Relation, rows: &[Vec<Option<String>>], consents: StringArray) -> RecordBatch {
    let (mut fields, mut columns): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (index, column) in relation.columns.iter().enumerate() {
        let texts: ArrayRef =
            Arc::new(StringArray::from_iter(rows.iter().map(|row| row[index].as_deref())));
        let kind = match (column.kind, column.data_type.as_str()) {
            (Kind::Whole, _) => DataType::Int64,
            (Kind::Number, "numeric") => DataType::Decimal128(38, 2),
            (Kind::Number, _) => DataType::Float64,
            (Kind::Time, "date") => DataType::Date32,
            (Kind::Time, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            _ => DataType::Utf8,
        };
        fields.push(Field::new(&column.name, kind.clone(), true));
        columns.push(cast(&texts, &kind).unwrap());
    }
    fields.push(Field::new("consents", DataType::Utf8, true));
    columns.push(Arc::new(consents));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}
