//! The schema of a table: its columns, which of them may carry statistics, and how its rows are sorted.
//!
//! In the Delta log the columns are the schema, `stats_columns` the standard property
//! `delta.dataSkippingStatsColumns`, and the rest properties of onefold's own. The columns only ever grow: they are
//! added at the end, always nullable, and never change their type, so that old files stay readable. What is indexed, and
//! how rows are sorted, may change with the definition, for files that are written from then on.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake_core::kernel::StructType;
use deltalake_core::kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};

use super::types::{logical_field, physical, same_type};
use crate::{Error, Result};

const STATS_COLUMNS: &str = "delta.dataSkippingStatsColumns";
const STATS_COLUMN_COUNT: &str = "delta.dataSkippingNumIndexedCols";
const BLOOM_COLUMNS: &str = "onefold.bloomColumns";
const SORT_COLUMNS: &str = "onefold.sortColumns";

/// What a table holds. Names of columns are as [`column_name`] makes them, or as [`is_column_name`] takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    /// The columns, logical or stored; [`super::physical`] stores them.
    pub fields: SchemaRef,
    /// System columns and columns declared `PUBLIC`: the only ones whose least and greatest values are ever written.
    pub stats_columns: Vec<String>,
    /// Columns that get a bloom filter in each file: identifiers.
    pub bloom_columns: Vec<String>,
    /// The order of the rows in each file.
    pub sort: Vec<String>,
}

impl TableSchema {
    /// Makes a schema without statistics, bloom filters or an order.
    pub fn new(fields: SchemaRef) -> Self {
        Self { fields, stats_columns: Vec::new(), bloom_columns: Vec::new(), sort: Vec::new() }
    }

    /// Returns the schema as it is stored, or says what is wrong with it.
    pub(super) fn stored(&self) -> Result<Self> {
        let fields = physical(&self.fields)?;
        let mut seen = HashSet::new();
        for field in fields.fields() {
            if !is_column_name(field.name()) || !seen.insert(field.name().to_lowercase()) {
                return Err(invalid(format!(
                    "column name \"{}\" is not printable or not unique",
                    field.name()
                )));
            }
        }
        for name in [&self.stats_columns, &self.bloom_columns, &self.sort].into_iter().flatten() {
            let Ok(field) = fields.field_with_name(name) else {
                return Err(invalid(format!("column \"{name}\" is not in the table")));
            };
            // The properties of the table list them with commas between.
            if *name != column_name(name) {
                return Err(invalid(format!("the name of column \"{name}\" is not plain")));
            }
            if field.data_type().is_nested() {
                return Err(invalid(format!(
                    "column \"{name}\" is nested and cannot be indexed or sorted by"
                )));
            }
        }
        Ok(Self { fields, ..self.clone() })
    }

    /// Returns this stored schema with the columns of `wider` that it lacks, and whether there were any.
    pub(super) fn widened(&self, wider: &TableSchema) -> Result<Option<Self>> {
        let wider = wider.stored()?;
        let mut fields = self.fields.fields().to_vec();
        for field in wider.fields.fields() {
            match self.fields.field_with_name(field.name()) {
                Ok(known) if same_type(known, field) => {}
                Ok(known) => {
                    return Err(Error::Unsupported {
                        what: format!(
                            "changing column \"{}\" from {} to {}",
                            field.name(),
                            logical_field(known).data_type(),
                            logical_field(field).data_type()
                        ),
                        hint: "Add a column with another name.".into(),
                    });
                }
                Err(_) => fields.push(Arc::new(field.as_ref().clone().with_nullable(true))),
            }
        }
        if fields.len() == self.fields.fields().len() {
            return Ok(None);
        }
        let is_new = |name: &&String| self.fields.field_with_name(name).is_err();
        let mut widened = Self { fields: Arc::new(Schema::new(fields)), ..self.clone() };
        widened.stats_columns.extend(wider.stats_columns.iter().filter(is_new).cloned());
        widened.bloom_columns.extend(wider.bloom_columns.iter().filter(is_new).cloned());
        Ok(Some(widened))
    }

    /// Returns this stored schema laid out as `layout` says: with the columns that it lacks, and with that one's statistics,
    /// bloom filters and order. `None` if it is laid out so already.
    pub(crate) fn relaid(&self, layout: &TableSchema) -> Result<Option<Self>> {
        let layout = layout.stored()?;
        let fields =
            self.widened(&layout)?.map_or_else(|| self.fields.clone(), |wider| wider.fields);
        let relaid = Self { fields, ..layout };
        Ok((relaid != *self).then_some(relaid))
    }

    /// Returns the schema text of the Delta log.
    pub(super) fn to_delta(&self) -> Result<StructType> {
        self.fields.as_ref().try_into_kernel().map_err(|source| Error::Query(source.into()))
    }

    /// Returns the table properties that keep everything but the columns.
    pub(super) fn to_properties(&self) -> BTreeMap<String, String> {
        let mut properties = BTreeMap::from([
            (BLOOM_COLUMNS.to_owned(), self.bloom_columns.join(",")),
            (SORT_COLUMNS.to_owned(), self.sort.join(",")),
        ]);
        match self.stats_columns.is_empty() {
            true => properties.insert(STATS_COLUMN_COUNT.into(), "0".into()),
            false => properties.insert(STATS_COLUMNS.into(), self.stats_columns.join(",")),
        };
        properties
    }

    /// Reads a schema from the Delta log.
    pub(super) fn from_delta(
        schema: &StructType,
        properties: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let fields: Schema =
            schema.try_into_arrow().map_err(|source| Error::Query(source.into()))?;
        let fields = match fields
            .fields()
            .iter()
            .any(|field| matches!(field.data_type(), DataType::Timestamp(_, None)))
        {
            true => {
                return Err(Error::Unsupported {
                    what: "a table with zone-less timestamps".into(),
                    hint: "It was not written by onefold.".into(),
                });
            }
            false => physical(&fields)?,
        };
        let list = |key: &str| -> Vec<String> {
            let names = properties.get(key).map_or("", String::as_str);
            names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        Ok(Self {
            fields,
            stats_columns: list(STATS_COLUMNS),
            bloom_columns: list(BLOOM_COLUMNS),
            sort: list(SORT_COLUMNS),
        })
    }

    /// Returns the columns with statistics, with their types.
    pub(super) fn stats_fields(&self) -> impl Iterator<Item = &Field> {
        self.stats_columns.iter().filter_map(|name| self.fields.field_with_name(name).ok())
    }
}

/// Makes a column name of any text: `[a-z0-9_]+`, never starting with a digit. What another character stands for is
/// lost, so keep the original under [`super::COMMENT`].
pub fn column_name(original: &str) -> String {
    let mut name = String::with_capacity(original.len());
    for character in original.chars() {
        match character.to_ascii_lowercase() {
            plain @ ('a'..='z' | '0'..='9' | '_') => name.push(plain),
            _ if name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    if original.ends_with(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        && name.len() > 1
        && name.ends_with('_')
    {
        name.pop();
    }
    match name.bytes().next() {
        None => "column".into(),
        Some(b'0'..=b'9') => format!("c_{name}"),
        Some(_) => name,
    }
}

/// Tells whether a column can be called so: by any text that can be printed. Names of a table differ by more than their case.
pub fn is_column_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_control)
}

/// Makes column names of the columns of one source, in order: as [`column_name`], with `_2`, `_3` ... where they clash.
pub fn column_names<'a>(originals: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut names = Vec::new();
    for original in originals {
        let base = column_name(original);
        let mut name = base.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{base}_{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

fn invalid(message: String) -> Error {
    Error::Invalid { message, hint: "Check the definition of the table.".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_unique() {
        for (original, name) in [
            ("E-Mail Address", "e_mail_address"),
            ("2nd", "c_2nd"),
            ("", "column"),
            ("Größe (cm)", "gr_e_cm"),
            ("_x", "_x"),
        ] {
            assert_eq!(column_name(original), name);
            assert_eq!(column_name(name), name, "a name stays as it is");
        }
        assert_eq!(column_names(["a b", "A_B", "a_b_2"]), ["a_b", "a_b_2", "a_b_2_2"]);
    }

    #[test]
    fn a_schema_survives_the_log() {
        let metadata = [
            (COMMENT_KEY.to_owned(), "E-Mail".to_owned()),
            ("onefold.type".into(), "varchar(20)".into()),
        ];
        let fields = Arc::new(Schema::new(vec![
            Field::new(
                "at",
                DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None),
                false,
            ),
            Field::new("e_mail", DataType::Utf8, true).with_metadata(metadata.into()),
        ]));
        let schema = TableSchema {
            stats_columns: vec!["at".into()],
            sort: vec!["at".into()],
            ..TableSchema::new(fields)
        };
        let stored = schema.stored().unwrap();
        let text = serde_json::to_string(&stored.to_delta().unwrap()).unwrap();
        let parsed: StructType = serde_json::from_str(&text).unwrap();
        assert_eq!(TableSchema::from_delta(&parsed, &stored.to_properties()).unwrap(), stored);
        assert!(text.contains("\"long\"") && !text.contains("timestamp_ntz"), "{text}");
    }

    #[test]
    fn what_is_stored_alike_is_not_of_one_type() {
        let table = |data_type: DataType| {
            let field = Field::new("t", data_type, true);
            TableSchema::new(Arc::new(Schema::new(vec![field]))).stored().unwrap()
        };
        let (number, zone_less) = (
            table(DataType::Int64),
            table(DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None)),
        );
        assert_eq!(number.fields.field(0).data_type(), zone_less.fields.field(0).data_type());
        assert!(matches!(zone_less.widened(&number), Err(Error::Unsupported { .. })));
        assert!(matches!(number.widened(&zone_less), Err(Error::Unsupported { .. })));
        assert!(zone_less.widened(&zone_less).unwrap().is_none());
    }

    const COMMENT_KEY: &str = super::super::COMMENT;
}
