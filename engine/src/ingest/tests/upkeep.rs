//! The upkeep of a lake that no server looks after: processes come, refresh and end.

use std::time::Duration;

use super::*;

const ENOUGH: Duration = Duration::from_secs(600);
const DAY_US: i64 = 24 * 3600 * 1_000_000;

impl Shop {
    /// Names of the files in a folder of the lake that end like this.
    fn files(&self, folder: &str, ending: &str) -> usize {
        let folder = self.folder.path().join("lake").join(folder);
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(ending)).count()
    }

    fn table_files(&self, path: &str) -> usize {
        self.engine.catalog().current().table(path).unwrap().files.len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_end_keep_a_lake_small() {
    let mut shop = Shop::new(events(Format::Ndjson, "in.ndjson", &[])).await;
    // Stores date their files by the wall clock.
    shop.clock = crate::lake::tests::clock();
    shop.restart().await;
    let (rows, log) = (tables::source_path("s"), "cdp/refreshes/_delta_log");
    for number in 0..70 {
        shop.write("in.ndjson", &"{\"n\":0}\n".repeat(number + 1));
        shop.refresh().await;
    }
    assert!(shop.table_files(&rows) > 64 && shop.table_files(tables::REFRESHES.path) > 128);
    let before = shop.rows().await;
    shop.restart().await;
    shop.engine.upkeep_in_passing(ENOUGH).await;
    assert!(shop.table_files(&rows) <= 64 && shop.table_files(tables::REFRESHES.path) <= 64);
    assert_eq!(shop.files(log, ".checkpoint.parquet"), 1);
    assert_eq!(shop.rows().await, before);
    let on_disk = shop.files(&rows, ".parquet");
    assert!(on_disk > 64, "what was merged is history for a day");

    // Another process, two days later: the history goes, and no process looks for it again within the hour.
    shop.clock.advance_us(2 * DAY_US);
    shop.restart().await;
    shop.engine.upkeep_in_passing(ENOUGH).await;
    assert_eq!(shop.files(&rows, ".parquet"), shop.table_files(&rows));
    let orphan = shop.folder.path().join("lake").join(&rows).join("part-0.zstd.parquet");
    std::fs::write(&orphan, "").unwrap();
    shop.clock.advance_us(2 * DAY_US / 96);
    shop.restart().await;
    shop.engine.upkeep_in_passing(ENOUGH).await;
    assert!(orphan.try_exists().unwrap(), "it was looked for half an hour ago");
    shop.clock.advance_us(2 * DAY_US);
    shop.restart().await;
    shop.engine.upkeep_in_passing(ENOUGH).await;
    assert!(!orphan.try_exists().unwrap());
    shop.restart().await;
    assert_eq!(shop.rows().await, before);
    assert_eq!(shop.refresh().await, (0, 0));
}

/// Who has no time begins with nothing.
#[tokio::test]
async fn upkeep_is_bounded_in_time() {
    let shop = Shop::new(events(Format::Ndjson, "in.ndjson", &[])).await;
    for number in 0..66 {
        shop.write("in.ndjson", &"{\"n\":0}\n".repeat(number + 1));
        shop.refresh().await;
    }
    let files = shop.table_files(&tables::source_path("s"));
    shop.engine.upkeep_in_passing(Duration::ZERO).await;
    assert_eq!(shop.table_files(&tables::source_path("s")), files);
}
