//! `identity_overrides`: what was decided about pairs of records, by whom and why, and what became of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;

use super::followed::{self, Followed};
use super::shown::{columns, over};
use super::store::{self, Entry, Kind};
use crate::catalog::{CatalogState, Published};
use crate::engine::Engine;
use crate::error::Result;
use crate::identity::{Override, contradicted};
use crate::query::relations::Relation;

/// The columns.
const NAMES: [&str; 13] = [
    "number",
    "kind",
    "left_source",
    "left_record_key",
    "right_source",
    "right_record_key",
    "reason",
    "actor",
    "created_at",
    "revoked_at",
    "revoked_by",
    "status",
    "origin",
];

/// Returns the relation. It tells of two records at a time, whoever they are of.
pub(crate) fn relation(engine: &Engine, published: &Arc<Published>) -> Relation {
    let about = ("identity_overrides", "what was decided about who is who, past all rules");
    over(engine, published, about, &columns(&NAMES), |engine, published, schema| async move {
        let lake = engine.catalog().lake();
        let entries = store::read(lake, &published).await?;
        let followed = followed::read(lake, &published).await?;
        rows_of(&entries, &followed, &published.state, schema)
    })
}

/// A row of the relation.
struct Shown<'a> {
    number: Option<i64>,
    kind: Option<&'static str>,
    /// Source, key, source and key, the reason, and who said so.
    texts: [Option<&'a str>; 6],
    at: i64,
    /// What took it back.
    back: Option<&'a Entry>,
    status: &'static str,
    origin: String,
}

fn rows_of(
    entries: &[Entry],
    followed: &[Followed],
    state: &CatalogState,
    schema: SchemaRef,
) -> Result<RecordBatch> {
    let mut given = store::overrides(entries);
    given.extend(followed::overrides(followed, state));
    given.sort_unstable();
    given.dedup();
    let found = contradicted(&given);
    let found = given.iter().zip(found).filter(|(_, by)| by.is_some());
    let contradicted: HashSet<&Override> = found.map(|(pair, _)| pair).collect();
    let in_force = |pair: &Override| match contradicted.contains(pair) {
        true => "contradicted",
        false => "in force",
    };
    let mut backs = HashMap::new();
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Revocation) {
        backs.entry(entry.pair()).or_insert(entry);
    }
    let mut shown: Vec<Shown<'_>> = Vec::new();
    for made in entries.iter().filter(|entry| entry.kind != Kind::Revocation) {
        let back = backs.get(&made.pair()).copied();
        // A reason may be left out where one word says all.
        let reason = Some(made.reason.as_str()).filter(|why| !why.is_empty());
        let [left, right] = [&made.left, &made.right];
        shown.push(Shown {
            number: Some(made.number),
            kind: Some(made.kind.word()),
            texts: [
                Some(&left.source),
                Some(&left.key),
                Some(&right.source),
                Some(&right.key),
                reason,
                Some(&made.actor),
            ],
            at: made.at,
            back,
            status: match (back, made.decided()) {
                (Some(_), _) => "revoked",
                (None, Some(pair)) => in_force(&pair),
                (None, None) => "in force",
            },
            origin: "decision".to_owned(),
        });
    }
    for row in followed {
        let [source, key, other_source, other_key, _, reason, actor] =
            row.said.each_ref().map(Option::as_deref);
        let said = row.says();
        shown.push(Shown {
            number: None,
            kind: said.as_ref().map(|pair| Kind::of(pair.decided).word()),
            texts: [source, key, other_source, other_key, reason, actor],
            at: row.at,
            back: None,
            status: match said {
                None => "not understood",
                Some(pair) if !followed::knows_sources(&pair, state) => "no such source",
                Some(pair) => in_force(&pair),
            },
            origin: format!("identity overrides {}", row.definition),
        });
    }
    batch(&shown, schema)
}

fn batch(shown: &[Shown<'_>], schema: SchemaRef) -> Result<RecordBatch> {
    let texts = |of: &dyn Fn(&Shown<'_>) -> Option<String>| -> ArrayRef {
        Arc::new(shown.iter().map(of).collect::<StringArray>())
    };
    let times = |of: &dyn Fn(&Shown<'_>) -> Option<i64>| -> ArrayRef {
        let times: TimestampMicrosecondArray = shown.iter().map(of).collect();
        Arc::new(times.with_timezone("UTC"))
    };
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(shown.iter().map(|row| row.number).collect::<Int64Array>()),
        texts(&|row| row.kind.map(str::to_owned)),
    ];
    columns.extend((0..6).map(|at| texts(&|row| row.texts[at].map(str::to_owned))));
    columns.extend([
        times(&|row| Some(row.at)),
        times(&|row| row.back.map(|back| back.at)),
        texts(&|row| row.back.map(|back| back.actor.clone())),
        texts(&|row| Some(row.status.to_owned())),
        texts(&|row| Some(row.origin.clone())),
    ]);
    Ok(RecordBatch::try_new(schema, columns).map_err(DataFusionError::from)?)
}
