//! How long a commit takes on local disk, with its fsync, once the table has a number of files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use engine::clock::Clock;
use engine::lake::{
    Commit, FileEntry, Lake, LakeLocation, Table, TableSchema, WriteOptions, write_files,
};

use crate::{Arguments, Outcome, Report};

const FILES: usize = 10;
const COMMITS: usize = 25;

struct WallClock;

impl Clock for WallClock {
    fn now_us(&self) -> i64 {
        chrono::Utc::now().timestamp_micros()
    }
}

/// Measures commits of one file of one row each, in a new lake; the file is written before.
pub(crate) async fn run(arguments: &Arguments) -> Outcome<()> {
    let files = arguments.number("files", FILES)?;
    let folder = PathBuf::from(arguments.required("folder")?);
    let lake = Lake::open(&LakeLocation::Directory(folder), Arc::new(WallClock)).await?;
    let fields = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    let table = lake.create_table("sources/measured", TableSchema::new(fields)).await?;
    let mut entries = Vec::with_capacity(files);
    for id in 0..files {
        entries.append(&mut file(&table, id).await?);
    }
    table.commit(Commit::append(entries)).await?;
    let mut report = Report::new("commit");
    report.fact("files", files);
    for id in 0..arguments.number("commits", COMMITS)? {
        let entries = file(&table, files + id).await?;
        let begun = Instant::now();
        table.commit(Commit::append(entries)).await?;
        report.add(begun.elapsed());
    }
    report.print();
    Ok(())
}

async fn file(table: &Table, id: usize) -> Outcome<Vec<FileEntry>> {
    let column = Arc::new(Int64Array::from(vec![id as i64]));
    let row = RecordBatch::try_new(table.snapshot().table_schema.fields.clone(), vec![column])?;
    Ok(write_files(table, vec![row], &WriteOptions::default()).await?)
}
