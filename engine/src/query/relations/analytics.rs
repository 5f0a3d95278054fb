//! Tables, views and sequences that analysts made, as one viewer may name them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use futures::FutureExt;
use parking_lot::Mutex;

use super::{Relation, RelationSource, VIEWS_MAX, Viewer};
use crate::analytics::{Counted, ROW, Sequences};
use crate::catalog::{
    AnalyticsBody, AnalyticsRelation, AnalyticsSequence, AnalyticsTable, Capability, LegalBasis,
    Published, placed,
};
use crate::error::Error;
use crate::lake::{self, TableSnapshot};
use crate::query::governed::{GovernedTable, PROFILE_ID, SUBJECT, ScanStore, Whose};
use crate::query::postgres;
use crate::query::system::Rows;

/// Tables whose columns are remembered; all are forgotten beyond that.
const SHOWN_MAX: usize = 16_384;

/// What stands behind the name of a table where its rows show their numbers. No text of a statement has such a name.
const NUMBERS: &str = "\u{1}numbers";

/// Returns what a table is called where its rows show their numbers.
pub(crate) fn with_numbers(table: &str) -> String {
    format!("{table}{NUMBERS}")
}

/// Returns the table that a name is of, which may be that of its rows with their numbers.
pub(in crate::query) fn without_numbers(name: &str) -> &str {
    name.strip_suffix(NUMBERS).unwrap_or(name)
}

/// The columns of tables as they were shown last, by path. They are most of what a catalog of many tables is made of, and
/// each publication makes that anew while one table in a thousand is another.
#[derive(Debug, Default)]
pub(in crate::query) struct ShownColumns(Mutex<HashMap<String, Shown>>);

/// The columns of a table, and what they follow from.
#[derive(Debug)]
struct Shown {
    stored: SchemaRef,
    table: AnalyticsTable,
    comments: BTreeMap<String, String>,
    columns: SchemaRef,
}

impl ShownColumns {
    /// Returns the columns of a table that is stored with these.
    fn of(
        &self,
        stored: &SchemaRef,
        table: &AnalyticsTable,
        made: &AnalyticsRelation,
    ) -> SchemaRef {
        let mut shown = self.0.lock();
        if let Some(known) = shown.get(&table.path)
            && Arc::ptr_eq(&known.stored, stored)
            && known.table == *table
            && known.comments == made.column_comments
        {
            return Arc::clone(&known.columns);
        }
        let columns = columns_of(stored, table).into_iter().map(|column| commented(column, made));
        let columns = Arc::new(Schema::new(columns.collect::<Vec<_>>()));
        if shown.len() >= SHOWN_MAX {
            shown.clear();
        }
        let known = Shown {
            stored: Arc::clone(stored),
            table: table.clone(),
            comments: made.column_comments.clone(),
            columns: Arc::clone(&columns),
        };
        shown.insert(table.path.clone(), known);
        columns
    }
}

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

/// What analysts made, and who looks at it.
pub(super) struct Made<'a> {
    pub(super) published: &'a Published,
    pub(super) viewer: &'a Viewer,
    /// Whether rows of persons exist for the viewer at all.
    pub(super) personal: bool,
    /// Who gives numbers of sequences. Without it there are none.
    pub(super) sequences: Option<&'a Arc<Sequences>>,
}

impl Made<'_> {
    /// Returns the relations that the viewer may name; those of another purpose are there and say so.
    pub(super) fn relations(&self, shown: &ShownColumns) -> Vec<Relation> {
        let made = self.published.state.analytics.iter();
        made.filter_map(|(name, made)| self.relation(shown, name, made)).collect()
    }

    fn relation(
        &self,
        shown: &ShownColumns,
        name: &str,
        made: &AnalyticsRelation,
    ) -> Option<Relation> {
        let (columns, source) = match &made.body {
            AnalyticsBody::View(view) => {
                let columns: Vec<Field> =
                    view.columns.iter().map(|column| commented(column.clone(), made)).collect();
                (Arc::new(Schema::new(columns)), RelationSource::MadeView(view.query.clone()))
            }
            AnalyticsBody::Table(table) => {
                let snapshot = self.published.table(&table.path)?;
                let columns = shown.of(&snapshot.schema, table, made);
                let source = match self.bound_otherwise(table) {
                    Some(purpose) => RelationSource::Reserved(purpose.clone()),
                    None => {
                        // Nobody's rows exist for a purpose that sees no persons.
                        if table.of_persons && !self.personal {
                            return None;
                        }
                        let (path, bound) = (table.path.clone(), table.purpose.is_some());
                        let whose = match (table.of_persons, bound) {
                            (true, _) => Whose::Persons,
                            (false, true) => Whose::Purpose,
                            (false, false) => Whose::Nobody,
                        };
                        let columns = Arc::clone(&columns);
                        RelationSource::Made(MadeTable { path, snapshot, columns, whose, bound })
                    }
                };
                (columns, source)
            }
            AnalyticsBody::Sequence(sequence) => return self.sequence(name, made, sequence),
        };
        let table = made.table();
        let takes_rows = |table: &AnalyticsTable| {
            table.definition.is_none() && self.bound_otherwise(table).is_none()
        };
        Some(Relation {
            owner: Some(made.owner.clone()),
            writable: table.is_some_and(takes_rows) && self.may_change(made),
            comment: made.comment.clone(),
            numbered: table.map(|table| table.numbered.clone()).unwrap_or_default(),
            defaults: table.map(|table| table.defaults.clone()).unwrap_or_default(),
            generated: table.map(|table| table.generated.clone()).unwrap_or_default(),
            materialized: table.and_then(|table| table.definition.clone()),
            primary_key: table.map(|table| table.primary_key.clone()).unwrap_or_default(),
            constraints: table.map(AnalyticsTable::constraints).unwrap_or_default(),
            ..Relation::new(placed(name).0, placed(name).1, columns, source)
        })
    }

    /// A sequence, which has one row. That of a column tells how many rows its table was given, and is seen for the purpose of
    /// that.
    fn sequence(
        &self,
        name: &str,
        made: &AnalyticsRelation,
        sequence: &AnalyticsSequence,
    ) -> Option<Relation> {
        let sequences = self.sequences?;
        let counted = Counted::of(name, sequence);
        let owner = sequence.owned_by.as_ref();
        let table = owner.and_then(|owner| self.published.state.analytics.get(&owner.table));
        let reserved =
            table.and_then(AnalyticsRelation::table).and_then(|table| self.bound_otherwise(table));
        let known = postgres::Sequence {
            counted: counted.clone(),
            owned_by: sequence.owned_by.clone(),
            readable: reserved.is_none(),
            usable: reserved.is_none() && self.may_change(made),
        };
        let columns = Arc::new(Schema::new(vec![
            Field::new("last_value", DataType::Int64, false),
            Field::new("log_cnt", DataType::Int64, false),
            Field::new("is_called", DataType::Boolean, false),
        ]));
        let source = match reserved {
            Some(purpose) => RelationSource::Reserved(purpose.clone()),
            None => {
                RelationSource::System(row_of(Arc::clone(&columns), Arc::clone(sequences), counted))
            }
        };
        Some(Relation {
            owner: Some(made.owner.clone()),
            comment: made.comment.clone(),
            sequence: Some(known),
            ..Relation::new(placed(name).0, placed(name).1, columns, source)
        })
    }

    /// Tells whether the viewer may change what a role made: who may define may change everything, who may write what is theirs.
    fn may_change(&self, made: &AnalyticsRelation) -> bool {
        let is_own = made.owner == self.viewer.role;
        self.viewer.may(Capability::Define) || (is_own && self.viewer.may(Capability::Write))
    }

    /// Returns the purpose that a table is bound to, if that is not the viewer's.
    fn bound_otherwise<'t>(&self, table: &'t AnalyticsTable) -> Option<&'t String> {
        table.purpose.as_ref().filter(|bound| !is_for(self.viewer, bound))
    }
}

/// Makes the row of a sequence: where it stands when that is asked.
fn row_of(columns: SchemaRef, sequences: Arc<Sequences>, counted: Counted) -> Rows {
    Arc::new(move || {
        let (place, ahead) = sequences.position(&counted);
        let ahead = i64::try_from(ahead).unwrap_or(i64::MAX);
        let row: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![place.last])),
            Arc::new(Int64Array::from(vec![ahead])),
            Arc::new(BooleanArray::from(vec![place.called])),
        ];
        let row = RecordBatch::try_new(Arc::clone(&columns), row);
        let rows =
            row.map(|row| vec![row]).map_err(|error| Error::from(DataFusionError::from(error)));
        futures::future::ready(rows).boxed()
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

impl Relation {
    /// Leaves it out of the lists of relations.
    pub(super) fn unlisted(mut self) -> Self {
        self.unlisted = true;
        self
    }

    /// Returns its columns with what the catalog shows of their defaults, and of what they are computed of.
    pub(super) fn columns_with_defaults(&self) -> Fields {
        if self.defaults.is_empty() && self.generated.is_empty() {
            return self.columns.fields().clone();
        }
        let columns = self.columns.fields().iter().map(|column| {
            let default = self.defaults.get(column.name()).map(|sql| (postgres::DEFAULT, sql));
            let computed =
                || self.generated.get(column.name()).map(|sql| (postgres::GENERATED, sql));
            let Some((key, sql)) = default.or_else(computed) else { return Arc::clone(column) };
            let mut metadata = column.metadata().clone();
            metadata.insert(key.to_owned(), sql.clone());
            Arc::new(column.as_ref().clone().with_metadata(metadata))
        });
        columns.collect()
    }
}

/// The answer to a statement that reads too many views.
pub(super) fn too_many_views() -> Error {
    Error::Limit {
        sqlstate: "54001",
        message: format!(
            "the statement reads more than {VIEWS_MAX} views, those within others counted"
        ),
        hint: "Make a table of one of the views.".into(),
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn columns_are_those_of_before_until_something_that_they_follow_from_changes() {
        let stored = || Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let mut table = AnalyticsTable {
            path: "analytics/1".into(),
            purpose: None,
            of_persons: false,
            not_null: BTreeSet::new(),
            numbered: BTreeMap::new(),
            defaults: BTreeMap::new(),
            generated: BTreeMap::new(),
            primary_key: vec![],
            primary_key_name: None,
            unique: vec![],
            checks: vec![],
            foreign_keys: vec![],
            definition: None,
        };
        let mut made = AnalyticsRelation {
            owner: "ada".into(),
            comment: None,
            column_comments: BTreeMap::new(),
            body: AnalyticsBody::Table(table.clone()),
        };
        let (shown, first) = (ShownColumns::default(), stored());
        let columns = shown.of(&first, &table, &made);
        assert!(Arc::ptr_eq(&columns, &shown.of(&first, &table, &made)));
        assert!(!Arc::ptr_eq(&columns, &shown.of(&stored(), &table, &made)), "it was rewritten");

        table.not_null.insert("id".into());
        assert!(!shown.of(&first, &table, &made).field(0).is_nullable());
        made.column_comments.insert("id".into(), "its number".into());
        let columns = shown.of(&first, &table, &made);
        assert_eq!(columns.field(0).metadata()[lake::COMMENT], "its number");
    }
}
