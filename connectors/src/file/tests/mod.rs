//! Whole reads and deliveries over temporary files, through the public contract.

mod csv;
mod cursor;
mod delivery;
mod ndjson;
mod parquet;
mod paths;
mod rotation;
mod segment;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tempfile::TempDir;

use crate::contract::{Column, ConnectorSpec, Cursor, Format, Rejection, SourceBatch, SourceSpec};
use crate::error::Result;
use crate::open_source;

/// A folder with files, and a source over them that remembers what it has read.
struct Shop {
    folder: TempDir,
    spec: SourceSpec,
    cursor: Cursor,
}

/// Everything that one run of a source yields.
struct Read {
    schema: SchemaRef,
    batches: Vec<SourceBatch>,
    records: RecordBatch,
}

impl Shop {
    fn new(format: Format, path: &str) -> Shop {
        let folder = TempDir::new().unwrap();
        let spec = SourceSpec {
            name: "shop".into(),
            connector: ConnectorSpec::File { paths: vec![path.into()] },
            format,
            columns: Vec::new(),
            known_schema: None,
            null_values: Vec::new(),
            root: folder.path().to_owned(),
            batch_rows_max: SourceSpec::BATCH_ROWS_MAX,
        };
        Shop { folder, spec, cursor: Cursor::default() }
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Shop {
        self.write(name, content);
        self
    }

    fn column(mut self, name: &str, data_type: DataType) -> Shop {
        self.spec.columns.push(Column { name: name.into(), data_type });
        self
    }

    fn nulls(mut self, texts: &[&str]) -> Shop {
        self.spec.null_values = texts.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    fn batch_rows(mut self, rows: usize) -> Shop {
        self.spec.batch_rows_max = rows;
        self
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, compressed(name, content.as_ref())).unwrap();
    }

    fn append(&self, name: &str, content: impl AsRef<[u8]>) {
        let mut file = fs::OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(content.as_ref()).unwrap();
    }

    /// Reads everything that is new, and remembers it.
    fn read(&mut self) -> Read {
        let read = self.try_read().unwrap();
        if let Some(batch) = read.batches.last() {
            self.cursor = batch.cursor.clone();
        }
        self.spec.known_schema = Some(read.schema.clone());
        read
    }

    fn try_read(&self) -> Result<Read> {
        // As the engine does it: the cursor goes through JSON text.
        let text = serde_json::to_string(&self.cursor).unwrap();
        let mut source = open_source(self.spec.clone(), &serde_json::from_str(&text).unwrap())?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let schema = source.schema();
        let mut batches = Vec::new();
        while let Some(batch) = runtime.block_on(source.read())? {
            assert_eq!(batch.records.schema(), schema);
            assert_eq!(batch.positions.len(), batch.records.num_rows());
            assert!(batch.records.num_rows() + batch.rejected.len() <= self.spec.batch_rows_max);
            runtime.block_on(source.acknowledge(&batch.cursor))?;
            batches.push(batch);
        }
        assert!(runtime.block_on(source.read())?.is_none());
        let records = concat_batches(&schema, batches.iter().map(|batch| &batch.records)).unwrap();
        Ok(Read { schema, batches, records })
    }

    /// Returns the hint of the error that reading ends with.
    fn refusal(&self) -> String {
        let error = self.try_read().err().expect("reading should fail");
        format!("{error}: {}", error.hint())
    }
}

impl Read {
    /// Returns the rows as text, values separated by `|` and nulls as `~`.
    fn rows(&self) -> Vec<String> {
        rows(&self.records)
    }

    fn types(&self) -> Vec<String> {
        let fields = self.schema.fields().iter();
        fields.map(|field| format!("{}:{}", field.name(), field.data_type())).collect()
    }

    fn positions(&self) -> Vec<u64> {
        self.batches.iter().flat_map(|batch| batch.positions.values().to_vec()).collect()
    }

    fn rejected(&self) -> Vec<&Rejection> {
        self.batches.iter().flat_map(|batch| &batch.rejected).collect()
    }

    /// Returns position and reason of each rejected row.
    fn reasons(&self) -> Vec<(u64, &'static str)> {
        self.rejected().iter().map(|row| (row.position, row.reason)).collect()
    }

    fn nulled(&self) -> BTreeMap<String, u64> {
        sum(self.batches.iter().map(|batch| &batch.nulled))
    }

    fn ignored(&self) -> BTreeMap<String, u64> {
        sum(self.batches.iter().map(|batch| &batch.ignored))
    }
}

fn sum<'a>(maps: impl Iterator<Item = &'a BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut total = BTreeMap::new();
    for (name, count) in maps.flatten() {
        *total.entry(name.clone()).or_default() += count;
    }
    total
}

fn counts<const N: usize>(pairs: [(&str, u64); N]) -> BTreeMap<String, u64> {
    pairs.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

fn rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("~");
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect();
    let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>();
    (0..batch.num_rows()).map(|index| row(index).join("|")).collect()
}

fn compressed(name: &str, content: &[u8]) -> Vec<u8> {
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            coder.write_all(content).unwrap();
            coder.finish().unwrap()
        }
        Some("zst") => zstd::encode_all(content, 1).unwrap(),
        _ => content.to_vec(),
    }
}
