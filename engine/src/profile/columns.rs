//! Which columns profiles get from a definition, before anybody's are worked out.
//!
//! They follow from the definition and from the columns of the sources alone, whoever has a value: so a segment over them
//! can be planned before the refresh that makes them.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef};

use super::inputs::chosen_values;
use super::per_person::check;
use super::survivorship::Offer;
use super::traits;
use crate::catalog::{Attribute, Body, Definition, ProfileTrait, Published};
use crate::engine::Engine;
use crate::error::Result;
use crate::lake;
use crate::query::access::{People, Visible};
use crate::query::planner::{parse_one, plan};
use crate::tables;

/// Returns the columns that `definition` makes in profiles; an object that is neither an attribute nor a trait makes none.
///
/// # Errors
/// Those of the refresh that makes them: an expression or a query that does not fit the sources.
pub(crate) async fn columns_of(
    engine: &Engine,
    published: &Arc<Published>,
    people: &Arc<People>,
    definition: &Definition,
) -> Result<Vec<FieldRef>> {
    let fields = match &definition.body {
        Body::Attribute(attribute) => {
            let data_type = attribute_type(engine, published, attribute).await?;
            vec![Field::new(&definition.name, data_type, true)]
        }
        Body::Trait(computed) => {
            trait_fields(engine, published, people, &definition.name, computed).await?
        }
        _ => vec![],
    };
    // As they are once they were stored.
    let stored = |field: &Field| -> Result<FieldRef> {
        let physical = lake::physical_field(field)?;
        Ok(lake::logical_field(&physical))
    };
    fields.iter().map(stored).collect()
}

async fn attribute_type(
    engine: &Engine,
    published: &Published,
    attribute: &Attribute,
) -> Result<DataType> {
    let mut offers = Vec::new();
    for (rank, input) in (0..).zip(&attribute.inputs) {
        let Some(table) = published.table(&tables::source_path(&input.source)) else { continue };
        let nothing = RecordBatch::new_empty(lake::logical(&table.schema));
        let expression = std::slice::from_ref(&input.expression);
        for values in engine.planner().evaluate_as_is(&nothing, expression).await? {
            let texts = tables::texts(&values)?;
            let keys = Arc::new(StringArray::new_null(0));
            offers.push(Offer { source: input.source.as_str().into(), rank, values, texts, keys });
        }
    }
    Ok(chosen_values(&offers, &[])?.data_type().clone())
}

async fn trait_fields(
    engine: &Engine,
    published: &Arc<Published>,
    people: &Arc<People>,
    name: &str,
    computed: &ProfileTrait,
) -> Result<Vec<Field>> {
    let relations = traits::relations(engine, published, people, Visible::Everyone);
    let state = engine.planner().state(&relations.scope());
    let plan = plan(&state, relations.facts(), parse_one(&computed.query)?).await?;
    check(&plan, name)?;
    let columns = plan.schema().fields().iter().skip(1);
    let stored = columns.map(|field| {
        let data_type = traits::stored_type(field);
        Field::new(field.name(), data_type.clone(), true)
    });
    Ok(stored.collect())
}
