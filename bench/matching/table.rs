//! The table of records that is matched, read from Parquet or CSV.

use std::borrow::Cow;
use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::Seek;
use std::sync::{Arc, mpsc};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use engine::matching::{Batch, Form, Kind, PersonField, Records};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{Arguments, Outcome};

const ROWS_PER_BATCH: usize = 1 << 16;

/// Batches that are read while an earlier one is normalised.
const BATCHES_AHEAD: usize = 1;

/// The batches of a file, all columns as text.
type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// Which columns mean what.
struct Columns {
    person: Vec<(PersonField, String)>,
    kinds: Vec<Kind>,
    key: Option<String>,
    record: Option<String>,
    truth: Option<String>,
}

/// What is kept of the rows beside their records.
pub(crate) struct Table {
    /// The key of each row, if the table has one.
    names: Option<StringArray>,
    /// Who each row is.
    pub(crate) truth: Option<StringArray>,
    /// Of which record each row is a version.
    pub(crate) versions: Option<StringArray>,
}

impl Table {
    /// Reads the table that the command line names, and makes records of it.
    pub(crate) fn read(arguments: &Arguments, threads: usize) -> Outcome<(Self, Records)> {
        let columns = Columns::of(arguments)?;
        let mut records = Records::new(columns.kinds.clone())?;
        let batches = batches(arguments.required("records")?, &columns.names())?;
        let mut kept: [Vec<ArrayRef>; 3] = Default::default();
        std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::sync_channel(BATCHES_AHEAD);
            scope.spawn(move || {
                for batch in batches {
                    // Whoever reads no more has failed, and says so.
                    if sender.send(batch).is_err() {
                        break;
                    }
                }
            });
            for rows in receiver {
                let rows = rows?;
                columns.add(&rows, &mut records, threads)?;
                for (kept, column) in kept.iter_mut().zip(columns.kept()) {
                    if let Some(column) = column {
                        kept.push(Arc::new(column_of(&rows, column)?.clone()));
                    }
                }
            }
            Outcome::Ok(())
        })?;
        let mut kept = kept.into_iter().map(|parts| joined(&parts));
        let mut next = || kept.next().transpose().map(Option::flatten);
        Ok((Self { names: next()?, truth: next()?, versions: next()? }, records))
    }

    /// Returns the key of a row, or its number.
    pub(crate) fn name(&self, row: usize) -> Cow<'_, str> {
        match &self.names {
            Some(names) => text_at(names, row).into(),
            None => row.to_string().into(),
        }
    }
}

impl Columns {
    fn of(arguments: &Arguments) -> Outcome<Self> {
        let option = |name: &str| arguments.required(name).ok().map(str::to_owned);
        let person = option("person").unwrap_or_default();
        let person = list(&person).map(|text| {
            let (name, column) = text.split_once('=').ok_or("--person takes field=column")?;
            let known = PersonField::ALL.iter().find(|(_, known)| *known == name);
            let (field, _) = known.ok_or_else(|| format!("there is no field \"{name}\""))?;
            Ok((*field, column.to_owned()))
        });
        let identifiers = option("identifiers").unwrap_or_default();
        let kinds = list(&identifiers).map(|text| {
            let (form, column) = text.split_once(':').ok_or("--identifiers takes form:column")?;
            let form = match form {
                "email" => Form::Email,
                "phone" => Form::Phone,
                "code" => Form::Code,
                "opaque" => Form::Opaque,
                _ => return Err(format!("there is no form \"{form}\"").into()),
            };
            Ok(Kind { name: column.to_owned(), form })
        });
        Ok(Self {
            person: person.collect::<Outcome<_>>()?,
            kinds: kinds.collect::<Outcome<_>>()?,
            key: option("key"),
            record: option("record"),
            truth: option("truth"),
        })
    }

    fn names(&self) -> Vec<&str> {
        let person = self.person.iter().map(|(_, column)| column.as_str());
        let kinds = self.kinds.iter().map(|kind| kind.name.as_str());
        person.chain(kinds).chain(self.kept().into_iter().flatten()).collect()
    }

    /// Returns the columns that [`Table`] keeps, in the order of its fields.
    fn kept(&self) -> [Option<&str>; 3] {
        [&self.key, &self.truth, &self.record].map(Option::as_deref)
    }

    /// Adds rows to the records.
    fn add(&self, rows: &RecordBatch, records: &mut Records, threads: usize) -> Outcome<()> {
        let known = records.len();
        let keys = match &self.key {
            Some(key) => column_of(rows, key)?.iter().map(|key| hash(key.unwrap_or(""))).collect(),
            None => (known..known + rows.num_rows()).map(|row| hash(&row.to_string())).collect(),
        };
        let mut batch = Batch { keys, ..Batch::default() };
        for (field, column) in &self.person {
            batch.person[*field as usize] = column_of(rows, column)?.iter().collect();
        }
        for kind in &self.kinds {
            batch.identifiers.push(column_of(rows, &kind.name)?.iter().collect());
        }
        records.add(&batch, threads);
        Ok(())
    }
}

/// Returns the text of a row; what it does not say is the empty text.
pub(crate) fn text_at(texts: &StringArray, row: usize) -> &str {
    if texts.is_null(row) { "" } else { texts.value(row) }
}

fn joined(parts: &[ArrayRef]) -> Outcome<Option<StringArray>> {
    if parts.is_empty() {
        return Ok(None);
    }
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    Ok(Some(concat(&parts)?.as_string().clone()))
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|part| !part.is_empty())
}

fn hash(text: &str) -> u64 {
    // The same in every run: it has fixed keys.
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn column_of<'a>(rows: &'a RecordBatch, name: &str) -> Outcome<&'a StringArray> {
    Ok(rows
        .column_by_name(name)
        .ok_or_else(|| format!("there is no column \"{name}\""))?
        .as_string())
}

fn batches(path: &str, columns: &[&str]) -> Outcome<Batches> {
    let mut file = File::open(path)?;
    if path.ends_with(".csv") {
        let (inferred, _) = Format::default().with_header(true).infer_schema(&mut file, Some(1))?;
        file.rewind()?;
        let text =
            inferred.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
        let schema = Arc::new(Schema::new(text.collect::<Vec<_>>()));
        let reader = ReaderBuilder::new(schema)
            .with_header(true)
            .with_batch_size(ROWS_PER_BATCH)
            .build(file)?;
        return Ok(Box::new(reader));
    }
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(ROWS_PER_BATCH);
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader = builder.with_projection(mask).build()?;
    Ok(Box::new(reader.map(|rows| as_text(&rows?))))
}

fn as_text(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let fields = schema.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
    let columns = batch.columns().iter().map(|column| cast(column, &DataType::Utf8));
    RecordBatch::try_new(
        Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        columns.collect::<Result<_, _>>()?,
    )
}
