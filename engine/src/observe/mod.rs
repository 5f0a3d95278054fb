//! Relations about onefold itself: sources, refreshes, purposes, consent, disclosures, the audit log.
//!
//! Each is shown to the roles that it concerns and made when it is read. None holds a value of a person, except those of the
//! privacy officer and the rows set aside, which are shown whole to auditors only; reads of those are noted in the audit log.

mod logs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::error::DataFusionError;

use crate::catalog::{
    Body, Capability, Definition, Kind, LegalBasis, Published, Shape, SourceState,
};
use crate::consent::{self, FeedCounts};
use crate::engine::{Engine, Live};
use crate::lake;
use crate::query::access::Access;
use crate::query::relations::{Relation, Viewer};
use crate::query::system::Rows;
use crate::tables;

use logs::{audit_log, consents, disclosures, ledger, stored};

/// Returns the relations about onefold itself that `viewer` may read.
pub fn relations(
    engine: &Engine,
    live: &Live,
    viewer: &Viewer,
    access: Option<&Arc<Access>>,
) -> Vec<Relation> {
    let published = &live.published;
    let mut found =
        vec![purposes(published, viewer), my_access(viewer), segments(published, viewer)];
    if viewer.operates() {
        found.push(sources(published));
        found.push(stored(
            engine,
            published,
            ("cdp", "refreshes"),
            "every step of every refresh: when it began and how it ended",
            &tables::REFRESHES,
            &[],
        ));
        for (name, comment, layout) in [
            (
                "identity_stages",
                "what each refresh of the identity graph did, stage by stage, and how long it took",
                &tables::IDENTITY_STAGES,
            ),
            (
                "match_models",
                "what the FUZZY rule learnt, and from how much",
                &tables::MATCH_MODELS,
            ),
            (
                "match_weights",
                "what each agreement of two records is worth",
                &tables::MATCH_WEIGHTS,
            ),
        ] {
            found.push(stored(engine, published, ("cdp", name), comment, layout, &[]));
        }
        let whole = viewer.may(Capability::Audit);
        let quarantine = stored(
            engine,
            published,
            ("cdp", "quarantine"),
            "rows that could not be taken",
            &tables::QUARANTINE,
            if whole { &[] } else { &["raw"] },
        );
        found.push(if whole { quarantine.put_on_record() } else { quarantine });
        found.push(objects(published));
        found.push(syncs(published));
    }
    if viewer.operates() || viewer.may(Capability::Consent) {
        found.push(consent_feeds(engine, published));
    }
    if viewer.may(Capability::Audit) {
        found.push(audit_log(engine).put_on_record());
        found.push(disclosures(engine, live).put_on_record());
    }
    // Whoever sees everyone sees the rows of the feeds' sources anyway.
    let everyone = matches!(viewer.purpose, Some((_, LegalBasis::Contract)));
    if viewer.may(Capability::Consent) || everyone {
        found.push(ledger(engine, published).put_on_record());
        found.push(consents(engine, live, None).put_on_record());
        if everyone {
            found.push(crate::overrides::relation(engine, published).put_on_record());
            found.push(crate::overrides::identifier_relation(engine, published).put_on_record());
        }
    } else if let Some(access) = access {
        found.push(consents(engine, live, Some(access)).put_on_record());
    }
    found
}

/// A relation whose rows are ready.
fn ready(schema: &str, name: &str, comment: &str, columns: Vec<(Field, ArrayRef)>) -> Relation {
    let fields: SchemaRef =
        Arc::new(Schema::new(columns.iter().map(|(field, _)| field.clone()).collect::<Vec<_>>()));
    let arrays: Vec<ArrayRef> = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&fields), arrays);
    let rows: Rows = Arc::new(move || {
        let batch = batch
            .as_ref()
            .map(Clone::clone)
            .map_err(|error| DataFusionError::Execution(error.to_string()));
        Box::pin(async move { Ok(vec![batch?]) })
    });
    Relation::system(schema, name, comment, fields, rows)
}

fn texts<T: AsRef<str>>(
    name: &str,
    values: impl IntoIterator<Item = Option<T>>,
) -> (Field, ArrayRef) {
    (Field::new(name, DataType::Utf8, true), Arc::new(values.into_iter().collect::<StringArray>()))
}

fn counts(name: &str, values: impl IntoIterator<Item = Option<i64>>) -> (Field, ArrayRef) {
    (Field::new(name, DataType::Int64, true), Arc::new(values.into_iter().collect::<Int64Array>()))
}

fn times(name: &str, values: impl IntoIterator<Item = Option<i64>>) -> (Field, ArrayRef) {
    let values: TimestampMicrosecondArray = values.into_iter().collect();
    (timestamptz(name), Arc::new(values.with_timezone("UTC")))
}

fn timestamptz(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true)
}

fn purposes(published: &Published, viewer: &Viewer) -> Relation {
    let granted = match published.state.get(Kind::Role, &viewer.role).map(|role| &role.body) {
        Some(Body::Role(role)) => role.purposes.clone(),
        _ => vec![],
    };
    let definitions: Vec<&Definition> = published.state.of_kind(Kind::Purpose).collect();
    let basis = |definition: &&Definition| match definition.body {
        Body::Purpose(purpose) => Some(basis_word(purpose.basis)),
        _ => None,
    };
    let columns = vec![
        texts("name", definitions.iter().map(|definition| Some(&definition.name))),
        texts("legal_basis", definitions.iter().map(basis)),
        (
            Field::new("granted", DataType::Boolean, true),
            Arc::new(BooleanArray::from_iter(
                definitions.iter().map(|definition| Some(granted.contains(&definition.name))),
            )) as ArrayRef,
        ),
        texts("comment", definitions.iter().map(|definition| definition.comment.as_ref())),
    ];
    ready("cdp", "purposes", "why data is used, and which purposes your role may declare", columns)
}

fn basis_word(basis: LegalBasis) -> &'static str {
    match basis {
        LegalBasis::Consent => "consent",
        LegalBasis::Contract => "contract",
        LegalBasis::LegalObligation => "legal_obligation",
        LegalBasis::LegitimateInterest => "legitimate_interest",
    }
}

fn my_access(viewer: &Viewer) -> Relation {
    let purpose = viewer.purpose.as_ref();
    let may: Vec<String> = viewer
        .capabilities
        .iter()
        .map(|capability| format!("{capability:?}").to_lowercase())
        .collect();
    let columns = vec![
        texts("role", [Some(&viewer.role)]),
        texts("purpose", [purpose.map(|(name, _)| name)]),
        texts("legal_basis", [purpose.map(|(_, basis)| basis_word(*basis))]),
        texts("may", [Some(may.join(", "))]),
    ];
    ready("cdp", "my_access", "who you are here, what for, and what you may do", columns)
}

/// What was made of the rows of each consent feed, and of the answers that were recorded by statements.
fn consent_feeds(engine: &Engine, published: &Published) -> Relation {
    let book = engine.book().read();
    let known: BTreeMap<&str, FeedCounts> = book.feeds().collect();
    let defined = published.state.of_kind(Kind::ConsentFeed).map(|feed| feed.name.as_str());
    // A feed that was dropped leaves its answers, and statements record some.
    let names: BTreeSet<&str> = defined.chain(known.keys().copied()).collect();
    let count = |of: fn(&FeedCounts) -> u64| {
        names
            .iter()
            .map(|name| Some(known.get(name).map_or(0, of) as i64))
            .collect::<Vec<Option<i64>>>()
    };
    let refreshed = |name: &&str| {
        let covered = published.state.coverage.get(&consent::feed_coverage(name));
        covered.map(|covered| covered.at)
    };
    let columns = vec![
        texts("name", names.iter().map(|name| Some(*name))),
        counts("answers", count(|counts| counts.answers)),
        counts("not_understood", count(|counts| counts.not_understood)),
        times("refreshed_at", names.iter().map(refreshed)),
    ];
    let comment = "how many rows of each consent feed are answers, and how many say nothing: \
                   a column is null, or the identifier is none of its kind";
    ready("cdp", "consent_feeds", comment, columns)
}

fn segments(published: &Published, viewer: &Viewer) -> Relation {
    let own = |definition: &&Definition| match (&definition.body, &viewer.purpose) {
        (Body::Segment(segment), Some((purpose, basis))) => {
            segment.purpose == *purpose || *basis == LegalBasis::Contract
        }
        (Body::Segment(_), None) => viewer.may(Capability::Define),
        _ => false,
    };
    let definitions: Vec<&Definition> =
        published.state.of_kind(Kind::Segment).filter(own).collect();
    fn of(definition: &Definition) -> Option<&crate::catalog::Segment> {
        match &definition.body {
            Body::Segment(segment) => Some(segment),
            _ => None,
        }
    }
    let refreshed = |definition: &&Definition| {
        published
            .state
            .coverage
            .get(&crate::segment::coverage_name(&definition.name))
            .map(|covered| covered.at)
    };
    let columns = vec![
        texts("name", definitions.iter().map(|definition| Some(&definition.name))),
        texts(
            "purpose",
            definitions.iter().map(|definition| of(definition).map(|segment| &segment.purpose)),
        ),
        texts(
            "freshness",
            definitions
                .iter()
                .map(|definition| of(definition).map(|segment| segment.freshness.to_string())),
        ),
        texts(
            "query",
            definitions.iter().map(|definition| of(definition).map(|segment| &segment.query)),
        ),
        times("refreshed_at", definitions.iter().map(refreshed)),
        texts("comment", definitions.iter().map(|definition| definition.comment.as_ref())),
    ];
    ready("cdp", "segments", "the segments of your purpose", columns)
}

fn sources(published: &Published) -> Relation {
    let definitions: Vec<(&Definition, &crate::catalog::Source)> = published
        .state
        .of_kind(Kind::Source)
        .filter_map(|definition| match &definition.body {
            Body::Source(source) => Some((definition, source)),
            _ => None,
        })
        .collect();
    let state = |name: &str| published.state.sources.get(name);
    let rows = |path: String| published.table(&path).map(|table| table.rows() as i64);
    let by_name = |column: &str, of: &dyn Fn(&SourceState) -> &BTreeMap<String, u64>| {
        let counts = definitions.iter().map(|(definition, _)| {
            let counts = of(state(&definition.name)?);
            // A map from texts to numbers has a form in JSON.
            (!counts.is_empty()).then(|| serde_json::to_string(counts).unwrap_or_default())
        });
        let (field, values) = texts(column, counts);
        let json = [(lake::LOGICAL_TYPE.to_owned(), "jsonb".to_owned())].into();
        (field.with_metadata(json), values)
    };
    let columns = vec![
        texts("name", definitions.iter().map(|(definition, _)| Some(&definition.name))),
        texts(
            "shape",
            definitions.iter().map(|(_, source)| {
                Some(match source.shape {
                    Shape::Records { .. } => "records",
                    Shape::Events { .. } => "events",
                })
            }),
        ),
        texts(
            "freshness",
            definitions.iter().map(|(_, source)| Some(source.freshness.to_string())),
        ),
        counts(
            "rows",
            definitions.iter().map(|(definition, _)| rows(tables::source_path(&definition.name))),
        ),
        counts(
            "superseded",
            definitions
                .iter()
                .map(|(definition, _)| rows(tables::superseded_path(&definition.name))),
        ),
        counts(
            "rejected",
            definitions
                .iter()
                .map(|(definition, _)| state(&definition.name).map(|state| state.rejected as i64)),
        ),
        counts(
            "duplicates",
            definitions.iter().map(|(definition, _)| {
                state(&definition.name).map(|state| state.duplicates as i64)
            }),
        ),
        by_name("nulled", &|state| &state.nulled),
        by_name("ignored", &|state| &state.ignored),
        counts(
            "incomplete",
            definitions.iter().map(|(definition, _)| {
                state(&definition.name).map(|state| state.incomplete.len() as i64)
            }),
        ),
        times(
            "refreshed_at",
            definitions.iter().map(|(definition, _)| {
                state(&definition.name).and_then(|state| state.refreshed_at)
            }),
        ),
        texts("comment", definitions.iter().map(|(definition, _)| definition.comment.as_ref())),
    ];
    ready(
        "cdp",
        "sources",
        "the sources: rows taken, set aside, and values that could not be read",
        columns,
    )
}

fn objects(published: &Published) -> Relation {
    let definitions: Vec<&Definition> = published.state.all().collect();
    // A role's statement holds the verifier of its password.
    let shown = |definition: &&Definition| {
        (definition.body.kind() != Kind::Role).then(|| definition.sql.clone())
    };
    let columns = vec![
        texts("kind", definitions.iter().map(|definition| Some(definition.body.kind().word()))),
        texts("name", definitions.iter().map(|definition| Some(&definition.name))),
        texts("definition", definitions.iter().map(shown)),
        times(
            "defined_at",
            definitions.iter().map(|definition| {
                published.state.created_at(definition.body.kind(), &definition.name)
            }),
        ),
        texts("comment", definitions.iter().map(|definition| definition.comment.as_ref())),
    ];
    ready("cdp", "objects", "everything that is defined, as it was written", columns)
}

fn syncs(published: &Published) -> Relation {
    let definitions: Vec<(&Definition, &crate::catalog::Sync)> = published
        .state
        .of_kind(Kind::Sync)
        .filter_map(|definition| match &definition.body {
            Body::Sync(sync) => Some((definition, sync)),
            _ => None,
        })
        .collect();
    let columns = vec![
        texts("name", definitions.iter().map(|(definition, _)| Some(&definition.name))),
        texts("destination", definitions.iter().map(|(_, sync)| Some(&sync.destination))),
        texts("purpose", definitions.iter().map(|(_, sync)| Some(&sync.purpose))),
        texts("freshness", definitions.iter().map(|(_, sync)| Some(sync.freshness.to_string()))),
        texts("comment", definitions.iter().map(|(definition, _)| definition.comment.as_ref())),
    ];
    ready("cdp", "syncs", "what is sent where, for which purpose", columns)
}
