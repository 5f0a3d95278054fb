//! `identity_overrides`: what was decided about pairs of records, by whom and why, and what became of it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::error::DataFusionError;

use super::store::{self, Entry, Kind};
use crate::catalog::Published;
use crate::engine::Engine;
use crate::error::Result;
use crate::identity::contradicted;
use crate::query::relations::Relation;
use crate::query::system::Rows;

/// Returns the relation. It tells of two records at a time, whoever they are of.
pub(crate) fn relation(engine: &Engine, published: &Arc<Published>) -> Relation {
    let columns = columns();
    let (engine, published, schema) = (engine.clone(), Arc::clone(published), Arc::clone(&columns));
    let rows: Rows = Arc::new(move || {
        let (engine, published, schema) =
            (engine.clone(), Arc::clone(&published), Arc::clone(&schema));
        Box::pin(async move {
            let entries = store::read(engine.catalog().lake(), &published).await?;
            Ok(vec![rows_of(&entries, schema)?])
        })
    });
    Relation::system(
        crate::query::PUBLIC,
        "identity_overrides",
        "what people decided about who is who, past all rules",
        columns,
        rows,
    )
}

fn columns() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let time = |name: &str| {
        Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true)
    };
    Arc::new(Schema::new(vec![
        Field::new("number", DataType::Int64, true),
        text("kind"),
        text("left_source"),
        text("left_record_key"),
        text("right_source"),
        text("right_record_key"),
        text("reason"),
        text("actor"),
        time("created_at"),
        time("revoked_at"),
        text("revoked_by"),
        text("status"),
    ]))
}

fn rows_of(entries: &[Entry], schema: SchemaRef) -> Result<RecordBatch> {
    let standing = store::overrides(entries);
    let found = contradicted(&standing);
    let is_contradicted = |entry: &Entry| {
        standing.iter().zip(&found).any(|(pair, by)| {
            by.is_some()
                && i64::from(pair.number) == entry.number
                && (&pair.left, &pair.right) == (&entry.left, &entry.right)
        })
    };
    let made: Vec<&Entry> = entries.iter().filter(|entry| entry.kind != Kind::Revocation).collect();
    let back = |made: &Entry| {
        entries.iter().find(|entry| {
            entry.kind == Kind::Revocation
                && (entry.number, &entry.left, &entry.right)
                    == (made.number, &made.left, &made.right)
        })
    };
    let backs: Vec<Option<&Entry>> = made.iter().map(|entry| back(entry)).collect();
    let status = |(entry, back): (&&Entry, &Option<&Entry>)| {
        Some(match back {
            Some(_) => "revoked",
            None if is_contradicted(entry) => "contradicted",
            None => "in force",
        })
    };
    let texts = |of: fn(&Entry) -> &str| -> ArrayRef {
        Arc::new(made.iter().map(|entry| Some(of(entry))).collect::<StringArray>())
    };
    let times = |times: Vec<Option<i64>>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
    };
    // A reason may be left out where one word says all.
    let reasons = made.iter().map(|entry| Some(&entry.reason).filter(|why| !why.is_empty()));
    let revoked_by = backs.iter().map(|back| back.map(|back| back.actor.as_str()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(made.iter().map(|entry| Some(entry.number)).collect::<Int64Array>()),
        texts(|entry| entry.kind.word()),
        texts(|entry| &entry.left.source),
        texts(|entry| &entry.left.key),
        texts(|entry| &entry.right.source),
        texts(|entry| &entry.right.key),
        Arc::new(reasons.collect::<StringArray>()),
        texts(|entry| &entry.actor),
        times(made.iter().map(|entry| Some(entry.at)).collect()),
        times(backs.iter().map(|back| back.map(|back| back.at)).collect()),
        Arc::new(revoked_by.collect::<StringArray>()),
        Arc::new(made.iter().zip(&backs).map(status).collect::<StringArray>()),
    ];
    Ok(RecordBatch::try_new(schema, columns).map_err(DataFusionError::from)?)
}
