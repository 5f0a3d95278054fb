//! What a source's table looks like, and what tells its rows apart.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use datafusion::error::DataFusionError;

use crate::catalog::{Format, Shape, Source};
use crate::error::{Error, Result};
use crate::lake::{self, Commit, Table, TableSchema};
use hash::RowHasher;

use super::*;

/// Lays `table` out as its definition says now: adds the columns that it has not, and what is written from here on has
/// the statistics of this layout and no others.
pub(crate) async fn widen(table: &Table, layout: &TableSchema) -> Result<()> {
    if table.snapshot().table_schema.relaid(layout)?.is_some() {
        table.commit(Commit::append(vec![]).with_layout(layout.clone())).await?;
    }
    Ok(())
}

/// The layout of a source's table: system columns first, then its own under their names in the lake.
pub(super) fn table_schema(source: &Source, schema: &SchemaRef) -> Result<TableSchema> {
    let mut fields = vec![
        Field::new(crate::query::governed::SUBJECT, DataType::Int64, true),
        Field::new(
            INGESTED_AT,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
    ];
    let mut stats = vec![crate::query::governed::SUBJECT.to_owned(), INGESTED_AT.to_owned()];
    if matches!(source.shape, Shape::Events { .. }) && message_key(source).is_empty() {
        fields.push(Field::new(ORIGIN, DataType::Int64, true));
        stats.push(ORIGIN.to_owned());
    }
    let names = chunk::lake_names(schema);
    for (field, name) in schema.fields().iter().zip(&names) {
        let mut metadata = field.metadata().clone();
        if field.name() != name {
            metadata.insert(lake::COMMENT.to_owned(), field.name().clone());
        }
        fields.push(Field::new(name, field.data_type().clone(), true).with_metadata(metadata));
    }
    for public in &source.public_columns {
        if !names.contains(public) {
            return Err(Error::Invalid {
                message: format!("public column \"{public}\" is not a column of the source"),
                hint: format!("Its columns are {}.", names.join(", ")),
            });
        }
    }
    stats.extend(source.public_columns.iter().cloned());
    let mut blooms: Vec<String> = match &source.shape {
        Shape::Records { key, .. } => key.clone(),
        Shape::Events { .. } => message_key(source),
    };
    blooms.extend(
        source.identifiers.iter().map(|identifier| identifier.expression.trim().to_owned()),
    );
    blooms.retain(|column| names.contains(column));
    blooms.sort();
    blooms.dedup();
    Ok(TableSchema {
        fields: Arc::new(Schema::new(fields)),
        stats_columns: stats,
        bloom_columns: blooms,
        sort: sort_columns(source),
    })
}

/// The columns that a source's files are sorted by.
pub(super) fn sort_columns(source: &Source) -> Vec<String> {
    let time = time_column(source).map(str::to_owned);
    std::iter::once(crate::query::governed::SUBJECT.to_owned()).chain(time).collect()
}

/// The column that says when a row was so.
pub(crate) fn time_column(source: &Source) -> Option<&str> {
    match &source.shape {
        Shape::Records { version_by, .. } => version_by.as_deref(),
        Shape::Events { event_time: Some(column), .. } => Some(column.as_str()),
        Shape::Events { .. } => (source.format == Format::Segment).then_some("occurred_at"),
    }
}

/// Returns when each row was so: its version if that is a time, or the time of its event; `None` if no column says it.
pub(crate) fn times(
    rows: &RecordBatch,
    source: &Source,
) -> Result<Option<TimestampMicrosecondArray>> {
    let is_time = |column: &&ArrayRef| {
        matches!(column.data_type(), DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
    };
    let own = time_column(source).and_then(|name| rows.column_by_name(name)).filter(is_time);
    own.map(micros).transpose()
}

/// Returns times in microseconds.
pub(crate) fn micros(column: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    let utc = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))
        .map_err(DataFusionError::from)?;
    Ok(utc.as_primitive::<TimestampMicrosecondType>().clone())
}

/// The columns that identify a message of a source of events; empty for logs without message ids.
pub(super) fn message_key(source: &Source) -> Vec<String> {
    match &source.shape {
        Shape::Events { key, .. } if key.is_empty() && source.format == Format::Segment => {
            vec!["message_id".to_owned()]
        }
        Shape::Events { key, .. } => key.clone(),
        Shape::Records { .. } => vec![],
    }
}

/// The columns of a table under the names and with the types that they have in the source: the lake reads texts and
/// bytes as views, which no source yields.
pub(super) fn original_schema(schema: &Schema) -> SchemaRef {
    let fields =
        schema.fields().iter().filter(|field| !field.name().starts_with('_')).map(|field| {
            let logical = lake::logical_field(field);
            let name = field
                .metadata()
                .get(lake::COMMENT)
                .cloned()
                .unwrap_or_else(|| field.name().clone());
            let data_type = match logical.data_type() {
                DataType::Utf8View => DataType::Utf8,
                DataType::BinaryView => DataType::Binary,
                other => other.clone(),
            };
            logical.as_ref().clone().with_name(name).with_data_type(data_type)
        });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

pub(super) fn hash_key(
    hasher: &RowHasher,
    batch: &RecordBatch,
    key: &[String],
) -> Result<Vec<u128>> {
    let columns: Vec<(&str, &ArrayRef)> =
        key.iter().filter_map(|name| Some((name.as_str(), batch.column_by_name(name)?))).collect();
    hasher.hash(&columns, batch.num_rows())
}

/// Hashes a row's own columns: not when it was taken, nor whom it belongs to.
pub(super) fn hash_content(hasher: &RowHasher, batch: &RecordBatch) -> Result<Vec<u128>> {
    let schema = batch.schema();
    let columns: Vec<(&str, &ArrayRef)> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter(|(field, _)| !field.name().starts_with('_'))
        .map(|(field, column)| (field.name().as_str(), column))
        .collect();
    hasher.hash(&columns, batch.num_rows())
}
