//! Scans: pruning by the log, filters inside Parquet, large files.

use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{col, lit};

use super::*;

#[tokio::test]
async fn files_are_pruned_by_the_log() {
    let lake = memory_lake();
    let table = lake.create_table(PATH, schema()).await.unwrap();
    for hundred in 0..10 {
        append(&table, hundred * 100..hundred * 100 + 100).await;
    }
    // As it was committed, and as it is read back.
    let reopened = Lake::with_store(lake.store(), lake.clock()).open_table(PATH).await.unwrap();
    for table in [&table, &reopened] {
        let session = SessionContext::new();
        let provider = LakeTable::new(table, table.snapshot());
        let kept = |filter| provider.prune(&session.state(), &[filter]).unwrap().len();
        assert_eq!(kept(col("id").eq(lit(250_i64))), 1);
        assert_eq!(kept(col("id").gt_eq(lit(250_i64))), 8);
        assert_eq!(kept(col("at").lt(lit(100_000_000_i64))), 1);
        assert_eq!(kept(col("id").is_null()), 0);
        assert_eq!(
            kept(col("email").eq(lit("person7@example.org"))),
            10,
            "nothing is known of personal columns"
        );
        assert_eq!(
            ask(&lake, table, "SELECT count(*) FROM t WHERE id BETWEEN 150 AND 349").await,
            200
        );
        assert_eq!(
            ask(&lake, table, "SELECT id FROM t WHERE email = 'person577@example.org'").await,
            577
        );
        assert_eq!(ask(&lake, table, "SELECT count(*) FROM t").await, 1000);
        assert_eq!(ask(&lake, table, "SELECT max(id) FROM t").await, 999);
        assert_eq!(
            ask(&lake, table, "SELECT sum(amount) * 100 FROM t WHERE at < 5000000").await,
            10
        );
    }
}

#[tokio::test]
async fn filters_reach_parquet() {
    let lake = memory_lake();
    let table = lake.create_table(PATH, schema()).await.unwrap();
    append(&table, 0..20_000).await;
    let session = SessionContext::new();
    lake.register(&session.runtime_env());
    session.register_table("t", Arc::new(LakeTable::new(&table, table.snapshot()))).unwrap();
    let frame = session.sql("SELECT email FROM t WHERE id = 5").await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let text = datafusion::physical_plan::displayable(plan.as_ref()).indent(true).to_string();
    assert!(!text.contains("FilterExec"), "{text}");
    let rows = collect(plan.clone(), session.task_ctx()).await.unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    let metrics = |plan: &Arc<dyn ExecutionPlan>, name: &str| {
        plan.metrics().and_then(|metrics| metrics.sum_by_name(name)).map(|value| value.to_string())
    };
    assert!(metrics(&plan, "page_index_rows_pruned").is_some(), "{:?}", plan.metrics());
}

#[tokio::test]
async fn large_inputs_are_cut_into_files() {
    let lake = memory_lake();
    let table = lake.create_table(PATH, schema()).await.unwrap();
    let options = WriteOptions { file_rows_max: Some(1_000), ..WriteOptions::default() };
    let files =
        write_files(&table, vec![rows(0..1_500), rows(1_500..3_200)], &options).await.unwrap();
    assert_eq!(files.iter().map(|file| file.rows).collect::<Vec<_>>(), [1000, 1000, 1000, 200]);
    table.commit(Commit::append(files)).await.unwrap();
    assert_eq!(ask(&lake, &table, "SELECT count(DISTINCT id) FROM t").await, 3_200);
    assert!(write_files(&table, vec![rows(0..0)], &options).await.unwrap().is_empty());
}
