//! What profiles are made of: whose rows changed, and the values that attributes choose from.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, StringBuilder, new_null_array,
};
use arrow::compute::{cast, concat_batches, filter_record_batch, interleave};
use arrow::datatypes::{
    DataType, FieldRef, Int64Type, Schema, SchemaRef, TimestampMicrosecondType,
};
use datafusion::error::DataFusionError;

use super::survivorship::{Candidate, Candidates, Offer};
use crate::catalog::{Body, Catalog, Coverage, Format, Kind, Published, Shape, Source};
use crate::engine::Engine;
use crate::error::Result;
use crate::ingest::{self, INGESTED_AT};
use crate::lake::{self, FileEntry};
use crate::query::access::{People, SubjectSet};
use crate::query::governed::SUBJECT;
use crate::table_read::read_file;
use crate::tables;

/// Returns the anchors of the people whose rows are other than at `covered`; `None` if that cannot be told.
pub(super) async fn touched(
    catalog: &Catalog,
    published: &Published,
    covered: &Coverage,
    people: &People,
) -> Result<Option<BTreeSet<u32>>> {
    let mut subjects: BTreeSet<u32> = BTreeSet::new();
    for (path, state) in
        published.state.tables.iter().filter(|(path, _)| path.starts_with("sources/"))
    {
        let version = covered.inputs.get(path).copied();
        if version == Some(state.version) {
            continue;
        }
        let (Some(table), Some(now)) =
            (published.tables().find(|table| table.path() == path), published.table(path))
        else {
            return Ok(None);
        };
        let before = match version {
            Some(version) => match table.snapshot_at(version).await {
                Ok(before) => Some(before),
                Err(_) => return Ok(None),
            },
            None => None,
        };
        let known: HashSet<&str> =
            before.iter().flat_map(|before| before.files.iter()).map(|file| &*file.path).collect();
        let new = now.files.iter().filter(|file| !known.contains(&*file.path));
        if path.ends_with("_superseded") {
            let left: HashSet<&str> = now.files.iter().map(|file| &*file.path).collect();
            let gone = before.iter().flat_map(|before| before.files.iter());
            let gone = gone.filter(|file| !left.contains(&*file.path));
            let Some(moved) = counted_otherwise(catalog, path, &now.schema, new, gone).await?
            else {
                return Ok(None);
            };
            subjects.extend(moved);
            continue;
        }
        // A file that was rewritten holds old rows, too; what was taken since tells the new ones.
        let schema = crate::table_read::project(&now.schema, &[SUBJECT, INGESTED_AT])?;
        for file in new {
            for batch in read_file(catalog.lake(), path, file, &schema).await? {
                let of = batch.column(0).as_primitive::<Int64Type>();
                let at = batch.column(1).as_primitive::<TimestampMicrosecondType>();
                let new = (0..batch.num_rows())
                    .filter(|row| of.is_valid(*row) && at.value(*row) >= covered.at);
                subjects.extend(new.map(|row| of.value(row) as u32));
            }
        }
    }
    Ok(Some(subjects.into_iter().filter_map(|subject| people.anchor(subject)).collect()))
}

/// Returns the subjects that have more rows in the files that are `new` than in those that are `gone`, or fewer; `None` if
/// one of those cannot be read any more.
///
/// A version that was superseded keeps the time at which it was taken, and files are merged: counting tells who has one
/// more.
async fn counted_otherwise(
    catalog: &Catalog,
    path: &str,
    schema: &SchemaRef,
    new: impl Iterator<Item = &FileEntry>,
    gone: impl Iterator<Item = &FileEntry>,
) -> Result<Option<Vec<u32>>> {
    let schema = crate::table_read::project(schema, &[SUBJECT])?;
    let mut rows: HashMap<i64, i64> = HashMap::new();
    let files = new.map(|file| (file, 1)).chain(gone.map(|file| (file, -1)));
    for (file, by) in files {
        let batches = match read_file(catalog.lake(), path, file, &schema).await {
            Err(_) if by < 0 => return Ok(None),
            batches => batches?,
        };
        for batch in batches {
            let subjects = batch.column(0).as_primitive::<Int64Type>();
            subjects.iter().flatten().for_each(|subject| *rows.entry(subject).or_default() += by);
        }
    }
    Ok(Some(rows.into_iter().filter(|(_, by)| *by != 0).map(|(of, _)| of as u32).collect()))
}

/// Collects the values of every attribute for the people with these anchors; `None` means for everybody.
pub(super) async fn candidates(
    engine: &Engine,
    published: &Published,
    people: &People,
    touched: Option<&SubjectSet>,
) -> Result<BTreeMap<String, Candidates>> {
    let mut found: BTreeMap<String, Candidates> = BTreeMap::new();
    let mut wanted: BTreeMap<&str, Vec<(&str, u16, &str)>> = BTreeMap::new();
    for definition in published.state.of_kind(Kind::Attribute) {
        let Body::Attribute(attribute) = &definition.body else { continue };
        found.insert(definition.name.clone(), Candidates::default());
        for (rank, input) in (0..).zip(&attribute.inputs) {
            let expression = input.expression.as_str();
            wanted.entry(&input.source).or_default().push((&definition.name, rank, expression));
        }
    }
    for (source, expressions) in wanted {
        let texts: Vec<String> =
            expressions.iter().map(|(_, _, expression)| (*expression).to_owned()).collect();
        let read = Rows::read(engine, published, people, touched, source, &texts);
        let Some(rows) = read.await? else { continue };
        let values = engine.planner().evaluate_as_is(&rows.logical, &texts).await?;
        let source: Arc<str> = source.into();
        for ((attribute, rank, _), values) in expressions.into_iter().zip(values) {
            if let Some(candidates) = found.get_mut(attribute) {
                let texts = tables::texts(&values)?;
                rows.offer(candidates.offers.len() as u32, &texts, &mut candidates.rows);
                candidates.offers.push(Offer {
                    source: Arc::clone(&source),
                    rank,
                    values,
                    texts,
                    keys: Arc::clone(&rows.keys),
                });
            }
        }
    }
    Ok(found)
}

/// Brings the values of chosen candidates into one column: in their type if all inputs share one, as texts otherwise.
///
/// The type is that of the inputs' expressions, whoever has a value: it is the same for a few people and for everybody.
pub(super) fn chosen_values(offers: &[Offer], chosen: &[Option<Candidate>]) -> Result<ArrayRef> {
    let typed = offers.iter().map(|offer| offer.values.data_type());
    let mut types: Vec<DataType> = typed
        .filter(|data_type| **data_type != DataType::Null)
        .map(|data_type| match data_type {
            DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
            other => other.clone(),
        })
        .collect();
    types.dedup();
    let target = match types.as_slice() {
        [one] => one.clone(),
        _ => DataType::Utf8,
    };
    let mut arrays = offers
        .iter()
        .map(|offer| Ok(cast(&offer.values, &target).map_err(DataFusionError::from)?))
        .collect::<Result<Vec<_>>>()?;
    // Who has no value has the one null of the last array.
    arrays.push(new_null_array(&target, 1));
    let nothing = (arrays.len() - 1, 0);
    let places: Vec<(usize, usize)> = chosen
        .iter()
        .map(|choice| choice.map_or(nothing, |row| (row.offer as usize, row.row as usize)))
        .collect();
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&arrays, &places).map_err(DataFusionError::from)?)
}

/// The rows of one source that belong to the touched people, with the columns that its attributes are made of.
struct Rows {
    logical: RecordBatch,
    anchors: Vec<u32>,
    times: Vec<i64>,
    keys: Arc<StringArray>,
}

impl Rows {
    async fn read(
        engine: &Engine,
        published: &Published,
        people: &People,
        touched: Option<&SubjectSet>,
        source: &str,
        expressions: &[String],
    ) -> Result<Option<Self>> {
        let Body::Source(definition) = &published.state.expect(Kind::Source, source)?.body else {
            return Ok(None);
        };
        let path = tables::source_path(source);
        let Some(table) = published.table(&path) else { return Ok(None) };
        let columns =
            engine.planner().columns_read(&lake::logical(&table.schema), expressions).await?;
        let own = [SUBJECT, INGESTED_AT].into_iter().chain(ingest::time_column(definition));
        let own: Vec<&str> = own.chain(key_columns(definition)).collect();
        let read = |field: &&FieldRef| {
            columns.contains(field.name()) || own.contains(&field.name().as_str())
        };
        let schema: SchemaRef = Arc::new(Schema::new(
            table.schema.fields().iter().filter(read).cloned().collect::<Vec<_>>(),
        ));
        let mut batches = Vec::new();
        for file in table.files.iter() {
            for batch in read_file(engine.catalog().lake(), &path, file, &schema).await? {
                let subjects = subject_column(&batch);
                let keep: BooleanArray = (0..batch.num_rows())
                    .map(|row| {
                        let anchor = subjects
                            .is_valid(row)
                            .then(|| people.anchor(subjects.value(row) as u32))
                            .flatten();
                        Some(anchor.is_some_and(|anchor| {
                            touched.is_none_or(|touched| touched.contains(anchor))
                        }))
                    })
                    .collect();
                batches.push(filter_record_batch(&batch, &keep).map_err(DataFusionError::from)?);
            }
        }
        let rows = concat_batches(&schema, &batches).map_err(DataFusionError::from)?;
        let subjects = subject_column(&rows);
        let anchors =
            subjects.values().iter().filter_map(|subject| people.anchor(*subject as u32)).collect();
        let logical = lake::logical_batch(&rows, &lake::logical(&rows.schema()))?;
        let times = times(&logical, definition)?;
        let keys = Arc::new(keys(&rows, definition)?);
        Ok(Some(Self { logical, anchors, times, keys }))
    }

    /// Adds the rows that have a value to the candidates of the offer with this number.
    fn offer(&self, offer: u32, texts: &StringArray, candidates: &mut Vec<Candidate>) {
        let found = (0..self.anchors.len())
            .filter(|row| texts.is_valid(*row) && !texts.value(*row).is_empty());
        candidates.extend(found.map(|row| Candidate {
            anchor: self.anchors[row],
            at: self.times[row],
            offer,
            row: row as u32,
        }));
    }
}

fn subject_column(batch: &RecordBatch) -> arrow::array::Int64Array {
    let column = batch
        .column_by_name(SUBJECT)
        .and_then(|column| column.as_primitive_opt::<Int64Type>().cloned());
    column.unwrap_or_else(|| arrow::array::Int64Array::new_null(batch.num_rows()))
}

/// The columns of a record's key or an event's message id.
fn key_columns(source: &Source) -> Vec<&str> {
    match &source.shape {
        Shape::Events { key, .. } if key.is_empty() && source.format == Format::Segment => {
            vec!["message_id"]
        }
        Shape::Records { key, .. } | Shape::Events { key, .. } => {
            key.iter().map(String::as_str).collect()
        }
    }
}

/// When each row was so: its version if that is a time, the time of its event, or when it was taken.
fn times(rows: &RecordBatch, source: &Source) -> Result<Vec<i64>> {
    let own = ingest::times(rows, source)?;
    let taken = rows.column_by_name(INGESTED_AT).map(ingest::micros).transpose()?;
    let time = |row: usize| {
        let own = own.as_ref().filter(|times| times.is_valid(row)).map(|times| times.value(row));
        own.or_else(|| {
            taken.as_ref().filter(|times| times.is_valid(row)).map(|times| times.value(row))
        })
        .unwrap_or(0)
    };
    Ok((0..rows.num_rows()).map(time).collect())
}

/// The key of each row as text: a record's key or an event's message id.
fn keys(rows: &RecordBatch, source: &Source) -> Result<StringArray> {
    let columns = key_columns(source)
        .into_iter()
        .filter_map(|name| rows.column_by_name(name))
        .map(tables::texts)
        .collect::<Result<Vec<_>>>()?;
    if let [one] = columns.as_slice()
        && one.null_count() == 0
    {
        return Ok(one.clone());
    }
    let mut keys = StringBuilder::new();
    let mut key = String::new();
    for row in 0..rows.num_rows() {
        key.clear();
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                key.push('\u{1f}');
            }
            if column.is_valid(row) {
                key.push_str(column.value(row));
            }
        }
        keys.append_value(&key);
    }
    Ok(keys.finish())
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    fn offer(values: ArrayRef) -> Offer {
        let texts = tables::texts(&values).unwrap();
        let keys = Arc::new(StringArray::from(vec!["k"; values.len()]));
        Offer { source: "s".into(), rank: 0, values, texts, keys }
    }

    #[test]
    fn who_has_values_does_not_decide_their_type() {
        let numbers = |numbers: Vec<Option<i64>>| offer(Arc::new(Int64Array::from(numbers)));
        let nothing = || offer(new_null_array(&DataType::Null, 1));
        let data_type =
            |offers: &[Offer]| chosen_values(offers, &[None]).unwrap().data_type().clone();
        for values in [vec![Some(1)], vec![None], vec![]] {
            assert_eq!(data_type(&[numbers(values.clone())]), DataType::Int64);
            assert_eq!(data_type(&[numbers(values.clone()), nothing()]), DataType::Int64);
            let texts = offer(Arc::new(StringArray::from(vec![None::<&str>; values.len()])));
            assert_eq!(data_type(&[numbers(values), texts]), DataType::Utf8);
        }
        assert_eq!(data_type(&[]), DataType::Utf8);
    }
}
