//! Relations over stored logs, and over what each person answers.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;

use crate::catalog::{Kind, Published};
use crate::consent::Answer;
use crate::engine::{Engine, Live};
use crate::error::Result;
use crate::query::access::Access;
use crate::query::governed::{PROFILE_ID, SUBJECT};
use crate::query::relations::Relation;
use crate::query::system::Rows;
use crate::table_read::read_system_table;
use crate::tables::{self, SystemLayout};

use super::*;

/// A relation over a table of the lake; columns of `hidden` are shown without values.
pub(super) fn stored(
    engine: &Engine,
    published: &Arc<Published>,
    (schema_name, name): (&str, &str),
    comment: &str,
    layout: &'static SystemLayout,
    hidden: &[&str],
) -> Relation {
    let schema = layout.schema();
    let hidden: Vec<String> = hidden.iter().map(|column| (*column).to_owned()).collect();
    let (engine, published, columns) = (engine.clone(), Arc::clone(published), Arc::clone(&schema));
    let rows: Rows = Arc::new(move || {
        let (engine, published, columns, hidden) =
            (engine.clone(), Arc::clone(&published), Arc::clone(&columns), hidden.clone());
        Box::pin(async move {
            let batches = read_system_table(engine.catalog().lake(), &published, layout).await?;
            batches.iter().map(|batch| without(batch, &columns, &hidden)).collect()
        })
    });
    Relation::system(schema_name, name, comment, schema, rows)
}

fn without(batch: &RecordBatch, schema: &SchemaRef, hidden: &[String]) -> Result<RecordBatch> {
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        if hidden.contains(field.name()) {
            new_null_array(field.data_type(), batch.num_rows())
        } else {
            Arc::clone(column)
        }
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect())
        .map_err(DataFusionError::from)?)
}

pub(super) fn audit_log(engine: &Engine) -> Relation {
    let engine = engine.clone();
    let rows: Rows = Arc::new(move || {
        let engine = engine.clone();
        Box::pin(async move { Ok(vec![engine.audit().read().await?]) })
    });
    Relation::system(
        "cdp",
        "audit_log",
        "who read what, for which purpose",
        tables::AUDIT_LOG.schema(),
        rows,
    )
}

/// Who was sent where, with the profile in place of the subject.
pub(super) fn disclosures(engine: &Engine, live: &Live) -> Relation {
    let stored = tables::DISCLOSURES.schema();
    let mut fields = vec![Field::new(PROFILE_ID, DataType::Int64, true)];
    fields.extend(
        stored
            .fields()
            .iter()
            .filter(|field| field.name() != SUBJECT)
            .map(|field| field.as_ref().clone()),
    );
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let (engine, published, people, columns) = (
        engine.clone(),
        Arc::clone(&live.published),
        Arc::clone(&live.people),
        Arc::clone(&schema),
    );
    let rows: Rows = Arc::new(move || {
        let (engine, published, people, columns) =
            (engine.clone(), Arc::clone(&published), Arc::clone(&people), Arc::clone(&columns));
        Box::pin(async move {
            let mut shown = Vec::new();
            let lake = engine.catalog().lake();
            for batch in read_system_table(lake, &published, &tables::DISCLOSURES).await? {
                use arrow::array::AsArray;
                let subjects = batch.column(0).as_primitive::<arrow::datatypes::Int64Type>();
                let ids: Int64Array =
                    subjects.iter().map(|subject| people.profile_id(subject? as u32)).collect();
                let mut arrays: Vec<ArrayRef> = vec![Arc::new(ids)];
                arrays.extend(batch.columns()[1..].iter().cloned());
                shown.push(
                    RecordBatch::try_new(Arc::clone(&columns), arrays)
                        .map_err(DataFusionError::from)?,
                );
            }
            Ok(shown)
        })
    });
    Relation::system("cdp", "disclosures", "who was sent where, for which purpose", schema, rows)
}

pub(super) fn ledger(engine: &Engine, published: &Arc<Published>) -> Relation {
    let name = (crate::query::PUBLIC, "consent_ledger");
    stored(
        engine,
        published,
        name,
        "every answer about consent, as it was learnt",
        &tables::CONSENT_LEDGER,
        &[],
    )
}

/// What each person answers for each purpose now: of everybody, or of those whom an access sees.
pub(super) fn consents(engine: &Engine, live: &Live, access: Option<&Arc<Access>>) -> Relation {
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new(PROFILE_ID, DataType::Int64, true),
        Field::new("purpose", DataType::Utf8, true),
        Field::new("status", DataType::Utf8, true),
        timestamptz("decided_at"),
    ]));
    let purposes: Vec<String> =
        live.published.state.of_kind(Kind::Purpose).map(|purpose| purpose.name.clone()).collect();
    let (engine, people, access, columns) =
        (engine.clone(), Arc::clone(&live.people), access.cloned(), Arc::clone(&schema));
    let rows: Rows = Arc::new(move || {
        let batch = consent_rows(&engine, &people, access.as_deref(), &purposes, &columns);
        Box::pin(async move { Ok(vec![batch?]) })
    });
    Relation::system(
        crate::query::PUBLIC,
        "consents",
        "what each person allows and refuses now",
        schema,
        rows,
    )
}

fn consent_rows(
    engine: &Engine,
    people: &crate::query::access::People,
    access: Option<&Access>,
    purposes: &[String],
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let book = engine.book().read();
    let (mut ids, mut names, mut statuses, mut decided) = (vec![], vec![], vec![], vec![]);
    for (anchor, id) in people
        .profiles()
        .filter(|(anchor, _)| access.is_none_or(|access| access.visible.contains(*anchor)))
    {
        for purpose in purposes {
            let status = match book.answer(anchor, purpose) {
                Answer::Granted => "granted",
                Answer::Refused => "refused",
                Answer::Unknown => continue,
            };
            ids.push(id);
            names.push(purpose.as_str());
            statuses.push(status);
            decided.push(book.decided_at(anchor, purpose));
        }
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids)),
        Arc::new(StringArray::from(names)),
        Arc::new(StringArray::from(statuses)),
        Arc::new(TimestampMicrosecondArray::from(decided).with_timezone("UTC")),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns).map_err(DataFusionError::from)?)
}
