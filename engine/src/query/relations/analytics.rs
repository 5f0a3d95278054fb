//! Tables and views that analysts made, as one viewer may name them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{Relation, RelationSource, Viewer};
use crate::analytics::ROW;
use crate::catalog::{
    AnalyticsBody, AnalyticsRelation, AnalyticsTable, LegalBasis, Published, placed,
};
use crate::error::Error;
use crate::lake::{self, TableSnapshot};
use crate::query::governed::{GovernedTable, PROFILE_ID, SUBJECT, ScanStore, Whose};

/// A table that analysts made, for whom it may be read.
#[derive(Debug, Clone)]
pub(super) struct MadeTable {
    path: String,
    snapshot: Arc<TableSnapshot>,
    columns: SchemaRef,
    whose: Whose,
    bound: bool,
}

impl MadeTable {
    pub(super) fn provider(&self, name: String, store: ScanStore) -> GovernedTable {
        let snapshots = [(self.path.clone(), Arc::clone(&self.snapshot))];
        let table = GovernedTable::new(name, &snapshots, &self.columns, store);
        table.showing(&self.columns, self.whose, self.bound)
    }

    pub(super) fn show_row_numbers(&mut self) {
        let mut fields = self.columns.fields().to_vec();
        fields.push(Arc::new(Field::new(ROW, DataType::Int64, true)));
        self.columns = Arc::new(Schema::new(fields));
    }
}

/// Returns the relations that `viewer` may name; those of another purpose are there and say so. `personal` tells whether
/// rows of persons exist for it at all.
pub(super) fn analytics(published: &Published, viewer: &Viewer, personal: bool) -> Vec<Relation> {
    let made = published.state.analytics.iter();
    made.filter_map(|(name, made)| relation(published, viewer, personal, name, made)).collect()
}

fn relation(
    published: &Published,
    viewer: &Viewer,
    personal: bool,
    name: &str,
    made: &AnalyticsRelation,
) -> Option<Relation> {
    let (columns, source) = match &made.body {
        AnalyticsBody::View(view) => {
            let columns: Vec<Field> =
                view.columns.iter().map(|column| commented(column.clone(), made)).collect();
            (columns, RelationSource::MadeView(view.query.clone()))
        }
        AnalyticsBody::Table(table) => {
            let snapshot = published.table(&table.path)?;
            let columns = columns_of(&snapshot.schema, table);
            let columns: Vec<Field> =
                columns.into_iter().map(|column| commented(column, made)).collect();
            let source = match table.purpose.as_ref().filter(|bound| !is_for(viewer, bound)) {
                Some(purpose) => RelationSource::Reserved(purpose.clone()),
                None => {
                    // Nobody's rows exist for a purpose that sees no persons.
                    if table.of_persons && !personal {
                        return None;
                    }
                    let (path, bound) = (table.path.clone(), table.purpose.is_some());
                    let whose = match (table.of_persons, bound) {
                        (true, _) => Whose::Persons,
                        (false, true) => Whose::Purpose,
                        (false, false) => Whose::Nobody,
                    };
                    let columns = Arc::new(Schema::new(columns.clone()));
                    RelationSource::Made(MadeTable { path, snapshot, columns, whose, bound })
                }
            };
            (columns, source)
        }
    };
    Some(Relation {
        schema: placed(name).0.into(),
        name: placed(name).1.into(),
        owner: Some(made.owner.clone()),
        comment: made.comment.clone(),
        primary_key: made.table().and_then(|table| table.primary_key.clone()).into_iter().collect(),
        columns: Arc::new(Schema::new(columns)),
        source,
        unlisted: false,
    })
}

fn is_for(viewer: &Viewer, purpose: &str) -> bool {
    viewer.purpose.as_ref().is_some_and(|(own, _): &(String, LegalBasis)| own == purpose)
}

/// Returns the columns of a table in the order in which it was made with them.
pub(crate) fn columns_of(stored: &Schema, table: &AnalyticsTable) -> Vec<Field> {
    let shown = stored.fields().iter().filter_map(|field| match field.name().as_str() {
        SUBJECT if table.of_persons => Some(Field::new(PROFILE_ID, DataType::Int64, true)),
        name if name.starts_with('_') => None,
        _ => Some(lake::logical_field(field).as_ref().clone()),
    });
    let nullable = |field: Field| {
        let not_null = table.not_null.contains(field.name());
        field.with_nullable(!not_null)
    };
    shown.map(nullable).collect()
}

fn commented(field: Field, made: &AnalyticsRelation) -> Field {
    let Some(comment) = made.column_comments.get(field.name()) else { return field };
    let mut metadata = field.metadata().clone();
    metadata.insert(lake::COMMENT.to_owned(), comment.clone());
    field.with_metadata(metadata)
}

/// The answer to whoever reads for another purpose than a table was made for.
pub(super) fn reserved(name: &str, purpose: &str) -> Error {
    Error::Denied {
        message: format!("\"{name}\" was made for another purpose"),
        hint: format!(
            "It holds what purpose \"{purpose}\" allows to see: SET cdp.purpose = '{purpose}', if that is granted to your role."
        ),
    }
}
