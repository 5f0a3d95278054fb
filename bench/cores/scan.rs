//! One statement over tables of a lake by DataFusion as it is: what a governed scan is compared with.
//!
//! Each table goes by the last part of its path, and shows its columns as they are stored.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use datafusion::prelude::{SessionConfig, SessionContext};
use engine::clock::Clock;
use engine::lake::{Lake, LakeLocation, LakeTable};

use crate::{Arguments, Outcome, Report};

const REPEAT: u32 = 5;

struct Standstill;

impl Clock for Standstill {
    fn now_us(&self) -> i64 {
        0
    }
}

/// Measures a statement, after one run that is not measured.
pub(crate) async fn run(arguments: &Arguments) -> Outcome<()> {
    let folder = PathBuf::from(arguments.required("lake")?);
    let sql = arguments.required("sql")?;
    let lake = Lake::open(&LakeLocation::Directory(folder), Arc::new(Standstill)).await?;
    let partitions = std::thread::available_parallelism().map_or(1, usize::from);
    let session =
        SessionContext::new_with_config(SessionConfig::new().with_target_partitions(partitions));
    lake.register(&session.runtime_env());
    for path in arguments.words() {
        let table = lake.open_table(path).await?;
        let name = path.rsplit('/').next().unwrap_or(path);
        session.register_table(name, Arc::new(LakeTable::new(&table, table.snapshot())))?;
    }
    let mut report = Report::new("scan");
    for repetition in 0..=arguments.number("repeat", REPEAT)? {
        let begun = Instant::now();
        let batches = session.sql(sql).await?.collect().await?;
        if repetition > 0 {
            report.add(begun.elapsed());
        }
        report.fact("rows", batches.iter().map(|batch| batch.num_rows()).sum::<usize>());
    }
    report.print();
    Ok(())
}
