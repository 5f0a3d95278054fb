//! The table of records that is matched, read from Parquet or CSV.

use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::Seek;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema};
use engine::matching::{Batch, Form, Kind, PersonField, Records};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{Arguments, Outcome};

const ROWS_PER_BATCH: usize = 1 << 16;

/// Columns of text, batch by batch, and what they mean.
pub(crate) struct Table {
    batches: Vec<RecordBatch>,
    person: Vec<(PersonField, String)>,
    identifiers: Vec<String>,
    key: Option<String>,
    /// The kinds of identifiers.
    pub(crate) kinds: Vec<Kind>,
    /// The key of each row as text, or its number.
    pub(crate) names: Vec<String>,
    /// Who each row is.
    pub(crate) truth: Option<Vec<String>>,
    /// Of which record each row is a version.
    pub(crate) versions: Option<Vec<String>>,
}

impl Table {
    /// Reads the table that the command line names.
    pub(crate) fn read(arguments: &Arguments) -> Outcome<Self> {
        let option = |name: &str| arguments.required(name).ok().map(str::to_owned);
        let person = option("person").unwrap_or_default();
        let person = list(&person).map(|text| {
            let (name, column) = text.split_once('=').ok_or("--person takes field=column")?;
            let known = PersonField::ALL.iter().find(|(_, known)| *known == name);
            let (field, _) = known.ok_or_else(|| format!("there is no field \"{name}\""))?;
            Ok((*field, column.to_owned()))
        });
        let person = person.collect::<Outcome<Vec<_>>>()?;
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
        let kinds = kinds.collect::<Outcome<Vec<_>>>()?;
        let identifiers: Vec<String> = kinds.iter().map(|kind| kind.name.clone()).collect();
        let (key, record, truth) = (option("key"), option("record"), option("truth"));
        let mut columns: Vec<&str> = person.iter().map(|(_, column)| column.as_str()).collect();
        columns.extend(
            identifiers.iter().chain(&key).chain(&record).chain(&truth).map(String::as_str),
        );
        let batches = read(arguments.required("records")?, &columns)?;
        let mut table = Self {
            batches,
            person,
            identifiers,
            key,
            kinds,
            names: Vec::new(),
            truth: None,
            versions: None,
        };
        table.names = match &table.key {
            Some(key) => table.texts(key)?,
            None => (0..table.len()).map(|row| row.to_string()).collect(),
        };
        table.truth = truth.map(|truth| table.texts(&truth)).transpose()?;
        table.versions = record.map(|record| table.texts(&record)).transpose()?;
        Ok(table)
    }

    fn len(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Adds all rows to the records.
    pub(crate) fn add_to(&self, records: &mut Records, threads: usize) -> Outcome<()> {
        let mut names = self.names.iter();
        for rows in &self.batches {
            let mut batch = Batch {
                keys: names.by_ref().take(rows.num_rows()).map(|name| hash(name)).collect(),
                ..Batch::default()
            };
            for (field, column) in &self.person {
                batch.person[*field as usize] = column_of(rows, column)?.iter().collect();
            }
            for column in &self.identifiers {
                batch.identifiers.push(column_of(rows, column)?.iter().collect());
            }
            records.add(&batch, threads);
        }
        Ok(())
    }

    fn texts(&self, column: &str) -> Outcome<Vec<String>> {
        let mut texts = Vec::with_capacity(self.len());
        for rows in &self.batches {
            let column = column_of(rows, column)?;
            texts.extend(column.iter().map(|text| text.unwrap_or_default().to_owned()));
        }
        Ok(texts)
    }
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

fn read(path: &str, columns: &[&str]) -> Outcome<Vec<RecordBatch>> {
    let mut file = File::open(path)?;
    let batches: Vec<RecordBatch> = if path.ends_with(".csv") {
        let (inferred, _) = Format::default().with_header(true).infer_schema(&mut file, Some(1))?;
        file.rewind()?;
        let text =
            inferred.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
        let schema = Arc::new(Schema::new(text.collect::<Vec<_>>()));
        let reader = ReaderBuilder::new(schema)
            .with_header(true)
            .with_batch_size(ROWS_PER_BATCH)
            .build(file)?;
        reader.collect::<Result<_, _>>()?
    } else {
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(ROWS_PER_BATCH);
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        builder.with_projection(mask).build()?.collect::<Result<_, _>>()?
    };
    batches.iter().map(as_text).collect()
}

fn as_text(batch: &RecordBatch) -> Outcome<RecordBatch> {
    let schema = batch.schema();
    let fields = schema.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
    let columns = batch.columns().iter().map(|column| cast(column, &DataType::Utf8));
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        columns.collect::<Result<_, _>>()?,
    )?)
}
