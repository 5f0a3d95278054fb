//! Foreign keys while rows change: which values come that are to be keys, and which keys go that others may refer to.
//!
//! Both are taken in batches as rows are written, and held against the other table when all rows of the statement are
//! staged: see [`follow`](super::follow).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{Field, FieldRef, Schema};
use arrow::row::{Row, RowConverter, SortField};
use datafusion::error::DataFusionError;

use super::changed::Changed;
use super::foreign_keys::compared;
use super::keys::{Values, boxed, bytes, shown};
use super::write::{Seen, missing};
use crate::catalog::{AnalyticsRelation, AnalyticsTable, ForeignKey, placed};
use crate::error::{Error, Result};
use crate::tables;
use crate::violation::{Violated, Violation};

/// Keys in the order in which they came, each with what it becomes if that is known. They are kept as rows of a [`Link`].
#[derive(Debug, Clone, Default)]
pub(super) struct Keys(HashMap<Box<[u8]>, Meant>);

/// The place of a key, and what it becomes.
type Meant = (usize, Option<Box<[u8]>>);

impl Keys {
    fn add(&mut self, key: &Row<'_>, becomes: Option<&Row<'_>>) {
        let place = self.0.len();
        if !self.0.contains_key(bytes(key)) {
            self.0.insert(boxed(key), (place, becomes.map(boxed)));
        }
    }

    /// Adds others, which came behind these.
    pub(super) fn add_all(&mut self, others: &Keys) {
        let mut others: Vec<_> = others.0.iter().collect();
        others.sort_unstable_by_key(|(_, (place, _))| *place);
        for (key, (_, becomes)) in others {
            let place = self.0.len();
            self.0.entry(key.clone()).or_insert_with(|| (place, becomes.clone()));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns all keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.keys().map(|key| &**key)
    }

    /// Returns what a key becomes; `None` if it is none of these.
    pub(super) fn becomes(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.0.get(key).map(|(_, becomes)| becomes.as_deref())
    }

    /// Returns which key of these came first.
    pub(super) fn first<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
        keys.min_by_key(|key| self.0.get(*key).map_or(usize::MAX, |(place, _)| *place))
    }
}

/// A foreign key, and how values that refer to a key are held against those that are one.
#[derive(Debug)]
pub(super) struct Link {
    /// What the table is kept under that refers to another one.
    pub(super) child: String,
    pub(super) key: ForeignKey,
    /// The columns that it refers to, as they are stored.
    fields: Vec<FieldRef>,
    converter: RowConverter,
}

impl Link {
    /// Returns a foreign key of the table `child` to one that is `stored` so.
    pub(super) fn new(child: &str, key: &ForeignKey, stored: &Schema) -> Result<Self> {
        let field = |name: &String| -> Result<FieldRef> {
            let field = stored.field_with_name(name).map_err(DataFusionError::from)?;
            Ok(Arc::new(field.clone()))
        };
        let fields = key.referred.iter().map(field).collect::<Result<Vec<_>>>()?;
        let types = fields.iter().map(|field| SortField::new(compared(field))).collect();
        let converter = RowConverter::new(types).map_err(DataFusionError::from)?;
        Ok(Self { child: child.to_owned(), key: key.clone(), fields, converter })
    }

    /// Returns columns of stored rows in the types in which they are compared.
    fn columns(&self, stored: &RecordBatch, names: &[String]) -> Result<Vec<ArrayRef>> {
        let column = |(name, field): (&String, &FieldRef)| -> Result<ArrayRef> {
            let column = tables::column(stored, name)?;
            Ok(cast(column, &compared(field)).map_err(DataFusionError::from)?)
        };
        names.iter().zip(&self.fields).map(column).collect()
    }

    /// Returns the values of these columns of stored rows.
    pub(super) fn values(&self, stored: &RecordBatch, names: &[String]) -> Result<Values> {
        Values::of(&self.converter, &self.columns(stored, names)?)
    }

    /// Adds what stored rows refer to.
    pub(super) fn take(&self, stored: &RecordBatch, keys: &mut Keys) -> Result<()> {
        let columns = self.columns(stored, &self.key.columns)?;
        if self.key.match_full {
            self.refuse_mixed(&columns)?;
        }
        for (_, key) in Values::of(&self.converter, &columns)?.iter() {
            keys.add(&key, None);
        }
        Ok(())
    }

    /// Fails if a row refers to a part of a key.
    fn refuse_mixed(&self, columns: &[ArrayRef]) -> Result<()> {
        let nulls: Vec<Option<NullBuffer>> =
            columns.iter().map(|column| column.logical_nulls()).collect();
        let rows = columns.first().map_or(0, |column| column.len());
        let is_mixed = |row: usize| {
            let is_null = |nulls: &&Option<NullBuffer>| {
                nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
            };
            let count = nulls.iter().filter(is_null).count();
            count > 0 && count < columns.len()
        };
        match (0..rows).any(is_mixed) {
            false => Ok(()),
            true => Err(self.dangling(
                "MATCH FULL does not allow mixing of null and nonnull key values.".into(),
                "Give all columns of the key a value, or none.",
            )),
        }
    }

    /// Returns rows of keys as columns.
    pub(super) fn arrays<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        let keys: Vec<&[u8]> = keys.collect();
        let rows = keys.iter().map(|key| parser.parse(key));
        Ok(self.converter.convert_rows(rows).map_err(DataFusionError::from)?)
    }

    /// Returns a key as messages show it, of columns with these names.
    fn shown(&self, names: &[String], key: &[u8]) -> Result<String> {
        let columns = self.arrays(std::iter::once(key))?;
        let fields = columns.iter().zip(&self.fields).map(|(column, field)| {
            match column.data_type() == field.data_type() {
                true => field.as_ref().clone().with_nullable(true),
                false => Field::new(field.name(), column.data_type().clone(), true),
            }
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let stored = RecordBatch::try_new(schema, columns).map_err(DataFusionError::from)?;
        let values = self.fields.iter().map(|field| shown(&stored, field.name(), 0));
        let values = values.collect::<Result<Vec<_>>>()?;
        Ok(format!("Key ({})=({})", names.join(", "), values.join(", ")))
    }

    fn dangling(&self, detail: String, hint: &str) -> Error {
        Violation {
            sqlstate: "23503",
            message: format!(
                "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
                placed(&self.child).1,
                self.key.name
            ),
            detail: Some(detail),
            hint: hint.into(),
            object: Violated::constraint(&self.child, &self.key.name),
        }
        .into()
    }

    /// The answer to a row that refers to a key which no row has.
    pub(super) fn absent(&self, key: &[u8]) -> Result<Error> {
        let shown = self.shown(&self.key.columns, key)?;
        let detail = format!("{shown} is not present in table \"{}\".", placed(&self.key.table).1);
        Ok(self.dangling(detail, "Put the row in first that it refers to."))
    }

    /// The answer to a key that goes while rows refer to it.
    pub(super) fn still_referenced(&self, key: &[u8]) -> Result<Error> {
        let child = placed(&self.child).1;
        let shown = self.shown(&self.key.referred, key)?;
        Ok(Violation {
            sqlstate: "23503",
            message: format!(
                "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{child}\"",
                placed(&self.key.table).1,
                self.key.name
            ),
            detail: Some(format!("{shown} is still referenced from table \"{child}\".")),
            hint: "Change the rows first that refer to it, or make the constraint ON DELETE CASCADE or SET NULL.".into(),
            object: Violated::constraint(&self.child, &self.key.name),
        }
        .into())
    }
}

/// The foreign keys of a table, and those that refer to it.
#[derive(Debug, Default)]
pub(crate) struct Links {
    own: Vec<Link>,
    others: Vec<Link>,
}

impl Links {
    /// Returns those of the table that is kept under `name`, whose rows are `stored` so.
    pub(super) fn of(
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        stored: &Schema,
    ) -> Result<Self> {
        let published = &seen.live.published;
        let mut own = Vec::with_capacity(table.foreign_keys.len());
        for key in &table.foreign_keys {
            if key.table == name {
                own.push(Link::new(name, key, stored)?);
                continue;
            }
            let referred = seen.find(&key.table).and_then(AnalyticsRelation::table);
            let snapshot = referred.and_then(|referred| published.table(&referred.path));
            let snapshot = snapshot.ok_or_else(|| missing(&key.table))?;
            own.push(Link::new(name, key, &snapshot.schema)?);
        }
        let others = published.state.referring_to(name);
        let others = others.map(|(child, _, key)| Link::new(child, key, stored));
        Ok(Self { own, others: others.collect::<Result<_>>()? })
    }

    /// Tells whether a change of rows lets them refer to others.
    pub(super) fn gain(&self, changed: &Changed) -> bool {
        self.own.iter().any(|link| changed.assigns_some(&link.key.columns))
    }

    /// Tells whether a change of rows takes keys away that others may refer to.
    pub(super) fn lose(&self, changed: &Changed) -> bool {
        let mut others = self.others.iter();
        others.any(|link| changed.removes() || changed.assigns_some(&link.key.referred))
    }

    /// Takes what stored rows refer to that come, or have changed.
    pub(super) fn take_came(
        &self,
        stored: &RecordBatch,
        changed: Option<&Changed>,
        doubts: &mut Doubts,
    ) -> Result<()> {
        for link in &self.own {
            if changed.is_none_or(|changed| changed.assigns_some(&link.key.columns)) {
                link.take(stored, doubts.came.entry(link.key.name.clone()).or_default())?;
            }
        }
        Ok(())
    }

    /// Takes the keys of rows that go, or become others: `before` are those rows, and `after` is what they become.
    pub(super) fn take_gone(
        &self,
        changed: &Changed,
        before: &RecordBatch,
        after: &RecordBatch,
        doubts: &mut Doubts,
    ) -> Result<()> {
        for link in &self.others {
            let referred = &link.key.referred;
            let place = || (link.child.clone(), link.key.name.clone());
            if changed.removes() {
                let keys = doubts.gone.entry(place()).or_default();
                for (_, key) in link.values(before, referred)?.iter() {
                    keys.add(&key, None);
                }
            } else if changed.assigns_some(referred) {
                let keys = doubts.changed.entry(place()).or_default();
                let now = link.columns(after, referred)?;
                let now = link.converter.convert_columns(&now).map_err(DataFusionError::from)?;
                for (at, key) in link.values(before, referred)?.iter() {
                    let becomes = now.row(at);
                    if bytes(&becomes) != bytes(&key) {
                        keys.add(&key, Some(&becomes));
                    }
                }
            }
        }
        Ok(())
    }
}

/// What a statement leaves to be asked about foreign keys.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// What rows refer to that came, by constraint.
    pub(super) came: BTreeMap<String, Keys>,
    /// The keys of rows that went, by the table that refers to them and its constraint.
    pub(super) gone: BTreeMap<(String, String), Keys>,
    /// The keys of rows that have others now, likewise.
    pub(super) changed: BTreeMap<(String, String), Keys>,
}

impl Doubts {
    /// Tells whether nothing is to be asked.
    pub(super) fn is_empty(&self) -> bool {
        let mut lost = self.gone.values().chain(self.changed.values());
        self.came.values().all(Keys::is_empty) && lost.all(Keys::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, Int64Array, StringArray};
    use arrow::datatypes::DataType;

    use super::*;
    use crate::catalog::{Deferral, ReferenceAction};

    fn link(match_full: bool) -> Link {
        let stored = Schema::new(vec![
            Field::new("id", DataType::Int32, true),
            Field::new("code", DataType::Utf8, true),
        ]);
        let key = ForeignKey {
            name: "f".into(),
            columns: vec!["a".into(), "b".into()],
            table: "p".into(),
            referred: vec!["id".into(), "code".into()],
            on_delete: ReferenceAction::NoAction,
            on_update: ReferenceAction::NoAction,
            match_full,
            deferral: Deferral::None,
            not_valid: false,
        };
        Link::new("marts.c", &key, &stored).unwrap()
    }

    fn rows(numbers: ArrayRef, names: [&str; 2], texts: Vec<Option<&str>>) -> RecordBatch {
        let texts: ArrayRef = Arc::new(StringArray::from(texts));
        let of = |name: &str, array: &ArrayRef| Field::new(name, array.data_type().clone(), true);
        let fields = vec![of(names[0], &numbers), of(names[1], &texts)];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![numbers, texts]).unwrap()
    }

    #[test]
    fn values_of_several_types_are_the_same_key() {
        let link = link(false);
        let wide: ArrayRef =
            Arc::new(Int64Array::from(vec![Some(1), Some(1 << 40), None, Some(1)]));
        let texts = vec![Some("x"), Some("y"), Some("z"), Some("x")];
        let child = rows(wide, ["a", "b"], texts);
        let narrow: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        let parent = rows(narrow, ["id", "code"], vec![Some("x")]);
        let mut keys = Keys::default();
        link.take(&child, &mut keys).unwrap();
        assert_eq!(keys.iter().count(), 2, "a key with a null is none");
        let mut twice = Keys::default();
        twice.add_all(&keys);
        twice.add_all(&keys);
        assert_eq!((twice.iter().count(), twice.first(twice.iter())), (2, keys.first(keys.iter())));
        let values = link.values(&parent, &link.key.referred).unwrap();
        let there: Vec<Box<[u8]>> = values.iter().map(|(_, key)| boxed(&key)).collect();
        let left: Vec<&[u8]> =
            keys.iter().filter(|key| !there.iter().any(|one| **one == **key)).collect();
        let first = keys.first(left.into_iter()).unwrap();
        let error = link.absent(first).unwrap();
        assert_eq!(error.sqlstate(), "23503");
        assert_eq!(error.violated(), Some(&Violated::constraint("marts.c", "f")));
        let detail = "Key (a, b)=(1099511627776, y) is not present in table \"p\".";
        assert_eq!(error.detail(), Some(detail));
        let error = link.still_referenced(&there[0]).unwrap();
        let message =
            "update or delete on table \"p\" violates foreign key constraint \"f\" on table \"c\"";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn a_part_of_a_key_is_refused_where_all_of_it_is_asked_for() {
        let mixed = || {
            let numbers: ArrayRef = Arc::new(Int32Array::from(vec![None, Some(1)]));
            rows(numbers, ["a", "b"], vec![None, None])
        };
        link(false).take(&mixed(), &mut Keys::default()).unwrap();
        let error = link(true).take(&mixed(), &mut Keys::default()).unwrap_err();
        assert!(error.detail().is_some_and(|detail| detail.starts_with("MATCH FULL")));
    }
}
