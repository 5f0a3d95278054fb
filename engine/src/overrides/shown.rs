//! Relations over what was decided: made from the published logs when a plan reads them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::catalog::Published;
use crate::engine::Engine;
use crate::error::Result;
use crate::query::relations::Relation;
use crate::query::system::Rows;

/// Returns a relation of this name and with this comment, whose rows `read` makes.
pub(super) fn over<R>(
    engine: &Engine,
    published: &Arc<Published>,
    (name, comment): (&'static str, &'static str),
    columns: &SchemaRef,
    read: impl Fn(Engine, Arc<Published>, SchemaRef) -> R + Send + Sync + 'static,
) -> Relation
where
    R: Future<Output = Result<RecordBatch>> + Send + 'static,
{
    let (engine, published, schema) = (engine.clone(), Arc::clone(published), Arc::clone(columns));
    let rows: Rows = Arc::new(move || {
        let made = read(engine.clone(), Arc::clone(&published), Arc::clone(&schema));
        Box::pin(async move { Ok(vec![made.await?]) })
    });
    Relation::system(crate::query::PUBLIC, name, comment, Arc::clone(columns), rows)
}

/// Returns columns of these names: numbers, times that end in `_at`, and texts.
pub(super) fn columns(names: &[&str]) -> SchemaRef {
    let field = |name: &&str| {
        let data_type = match *name {
            "number" => DataType::Int64,
            time if time.ends_with("_at") => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            _ => DataType::Utf8,
        };
        Field::new(*name, data_type, true)
    };
    Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()))
}
