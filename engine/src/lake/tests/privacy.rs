//! No value of a personal column outside the data pages: not in the log, not in footers, not in names.

use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::PageIndexPolicy;

use super::*;

async fn objects(lake: &Lake, folder: &str) -> Vec<(Path, Bytes)> {
    let store = lake.store();
    let metas: Vec<ObjectMeta> = store.list(Some(&Path::from(folder))).try_collect().await.unwrap();
    let mut objects = Vec::new();
    for meta in metas {
        let bytes = store.get(&meta.location).await.unwrap().bytes().await.unwrap();
        objects.push((meta.location, bytes));
    }
    objects
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_holds_bounds_of_system_columns_only() {
    let lake = memory_lake();
    let table = lake.create_table(PATH, schema()).await.unwrap();
    append(&table, 3..8).await;
    let base = table.snapshot();
    table
        .commit(Commit::replace(base, write(&table, 3..6).await).with_message("job 17"))
        .await
        .unwrap();
    table.checkpoint().await.unwrap();
    for (location, bytes) in objects(&lake, &format!("{PATH}/_delta_log")).await {
        assert!(!contains(&bytes, "person"), "{location}");
        if location.as_ref().ends_with(".json") {
            for line in std::str::from_utf8(&bytes).unwrap().lines() {
                let action: serde_json::Value = serde_json::from_str(line).unwrap();
                let Some(stats) = action["add"]["stats"].as_str() else { continue };
                let stats: serde_json::Value = serde_json::from_str(stats).unwrap();
                assert_eq!(stats["minValues"], serde_json::json!({"id": 3, "at": 3_000_000}));
                assert_eq!(stats["nullCount"], serde_json::json!({"id": 0, "at": 0}));
                assert!(stats["numRecords"].as_u64().unwrap() >= 3);
            }
        }
    }
}

#[tokio::test]
async fn footers_hold_bounds_of_system_columns_only() {
    let lake = memory_lake();
    let table = lake.create_table(PATH, schema()).await.unwrap();
    let file = write(&table, 0..20_000).await.remove(0);
    assert!(!file.path.contains("person"));
    let bytes =
        lake.store().get(&table.file_path(&file.path)).await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes.len() as u64, file.size);
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let options = match ArrowReaderMetadata::load(&bytes, options) {
        Ok(found) => found,
        // Columns without statistics have no column index, so that it cannot be required.
        Err(_) => ArrowReaderMetadata::load(
            &bytes,
            ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional),
        )
        .unwrap(),
    };
    let metadata = options.metadata();
    assert!(metadata.file_metadata().key_value_metadata().is_none_or(Vec::is_empty));
    let group = metadata.row_group(0);
    for (index, column) in group.columns().iter().enumerate() {
        let name = column.column_path().string();
        let is_system = name == "id" || name == "at";
        assert_eq!(column.statistics().is_some(), is_system, "{name}");
        assert_eq!(column.column_index_offset().is_some(), is_system, "{name}");
        assert_eq!(column.bloom_filter_offset().is_some(), name == "email", "{name}");
        assert!(column.offset_index_offset().is_some(), "{name}");
        let pages = metadata.offset_index().unwrap()[0][index].page_locations();
        assert!(pages.len() >= 3, "{name} has {} pages", pages.len());
    }
    // Whatever follows the last data page is index, filter and footer.
    let end_of_pages = group
        .columns()
        .iter()
        .map(|column| column.byte_range())
        .map(|(at, size)| at + size)
        .max()
        .unwrap();
    assert!(!contains(&bytes[usize::try_from(end_of_pages).unwrap()..], "person"));
}

#[tokio::test]
async fn a_column_that_is_public_no_more_loses_its_bounds() {
    let lake = memory_lake();
    let open = TableSchema { stats_columns: vec!["id".into(), "email".into()], ..schema() };
    let table = lake.create_table(PATH, open).await.unwrap();
    assert!(append(&table, 0..3).await.files[0].bounds_of("email").is_some());
    table.commit(Commit::append(vec![]).with_layout(schema())).await.unwrap();
    let version = table.snapshot().version;
    table.commit(Commit::append(vec![]).with_layout(schema())).await.unwrap();
    let reopened = Lake::with_store(lake.store(), lake.clock()).open_table(PATH).await.unwrap();
    for table in [&table, &reopened] {
        let file = write(table, 3..6).await.remove(0);
        assert_eq!(file.bounds_of("email"), None);
        assert!(file.bounds_of("id").is_some());
    }
    assert_eq!(reopened.snapshot().table_schema.stats_columns, ["id", "at"]);
    assert!(table.snapshot().version <= version + 1);
}
