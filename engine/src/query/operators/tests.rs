//! The operators in whole statements: what they give whatever the batches, what they refuse, and what a plan shows of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, collect};
use proptest::prelude::*;

use crate::clock::ManualClock;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::query::planner::{Planner, Scope, parse_one, physical, plan};
use crate::query::stop::{Stop, during};

/// Memory of the statements, in bytes.
const MEMORY: usize = 1 << 24;

/// Rows of `t (a bigint, b bigint, name text, bits bigint)`.
#[derive(Debug, Clone)]
struct Row(Option<i64>, Option<i64>, Option<&'static str>, i64);

/// A table of these rows in batches of so many, in two partitions.
fn table(rows: &[Row], portion: usize) -> Arc<MemTable> {
    let fields = [
        ("a", DataType::Int64),
        ("b", DataType::Int64),
        ("name", DataType::Utf8),
        ("bits", DataType::Int64),
    ];
    let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let batch = |rows: &[Row]| {
        RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
                Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
                Arc::new(rows.iter().map(|row| row.2).collect::<StringArray>()),
                Arc::new(rows.iter().map(|row| Some(row.3)).collect::<Int64Array>()),
            ],
        )
        .unwrap()
    };
    let mut partitions = vec![vec![], vec![]];
    for (at, rows) in rows.chunks(portion).enumerate() {
        partitions[at % 2].push(batch(rows));
    }
    Arc::new(MemTable::try_new(Arc::clone(&schema), partitions).unwrap())
}

/// A plan, and what it runs in.
async fn plan_of(
    table: Arc<MemTable>,
    memory: usize,
    sql: &str,
) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
    let scope = Scope::of_table("t", table)?;
    let store = Arc::new(object_store::memory::InMemory::new());
    let lake = Lake::with_store(store, Arc::new(ManualClock::new(0)));
    let state = Planner::new(&lake, 2, memory)?.state(&scope);
    let plan = plan(&state, &scope.facts, parse_one(sql)?).await?;
    Ok((physical(&state, &plan).await?, state.task_ctx()))
}

async fn planned(table: Arc<MemTable>, memory: usize, sql: &str) -> Result<Planned> {
    let (physical, context) = plan_of(table, memory, sql).await?;
    let batches = collect(Arc::clone(&physical), context).await?;
    Ok(Planned { physical, batches })
}

/// A plan that has run.
struct Planned {
    physical: Arc<dyn ExecutionPlan>,
    batches: Vec<RecordBatch>,
}

impl Planned {
    /// The rows as texts, sorted.
    fn rows(&self) -> Vec<String> {
        let options = FormatOptions::default();
        let mut rows = Vec::new();
        for batch in &self.batches {
            let columns: Vec<ArrayFormatter<'_>> = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
                .collect();
            rows.extend((0..batch.num_rows()).map(|row| {
                let values: Vec<String> =
                    columns.iter().map(|column| column.value(row).to_string()).collect();
                values.join(" ")
            }));
        }
        rows.sort();
        rows
    }

    /// The sum of a metric of the operator with a name.
    fn metric(&self, operator: &str, metric: &str) -> Option<usize> {
        fn find(plan: &Arc<dyn ExecutionPlan>, name: &str) -> Option<Arc<dyn ExecutionPlan>> {
            match plan.name() == name {
                true => Some(Arc::clone(plan)),
                false => plan.children().into_iter().find_map(|child| find(child, name)),
            }
        }
        let metrics = find(&self.physical, operator)?.metrics()?;
        match metric {
            "output_rows" => metrics.output_rows(),
            "elapsed_compute" => metrics.elapsed_compute(),
            counted => metrics.sum_by_name(counted).map(|value| value.as_usize()),
        }
    }
}

async fn rows(rows: &[Row], portion: usize, sql: &str) -> Vec<String> {
    planned(table(rows, portion), MEMORY, sql).await.unwrap().rows()
}

fn edges(pairs: &[(i64, i64)]) -> Vec<Row> {
    pairs.iter().map(|(left, right)| Row(Some(*left), Some(*right), None, 1)).collect()
}

/// The components of edges, by going on from each id to its neighbours.
fn searched(pairs: &[(i64, i64)]) -> Vec<String> {
    let mut next: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for (left, right) in pairs {
        next.entry(*left).or_default().insert(*right);
        next.entry(*right).or_default().insert(*left);
    }
    let mut found = Vec::new();
    for start in next.keys() {
        let (mut seen, mut open) = (BTreeSet::from([*start]), vec![*start]);
        while let Some(id) = open.pop() {
            open.extend(next[&id].iter().copied().filter(|id| seen.insert(*id)));
        }
        found.push(format!("{start} {}", seen.first().unwrap()));
    }
    found.sort();
    found
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

const COMPONENTS: &str = "SELECT * FROM connected_components((SELECT a, b FROM t))";
const OF_TEXTS: &str = "SELECT * FROM connected_components((SELECT a::text, b::text FROM t))";
const CLUSTERS: &str = "SELECT * FROM refine_clusters((SELECT a, b, bits FROM t))";
const PAIRS: &str = "SELECT * FROM candidate_pairs((SELECT a, b, bits FROM t))";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn components_are_those_of_a_search(
        pairs in prop::collection::vec((-9_i64..30, -9_i64..30), 0..50),
        portion in 1_usize..20,
    ) {
        let expected = searched(&pairs);
        prop_assert_eq!(run(rows(&edges(&pairs), portion, COMPONENTS)), expected.clone());
        // Texts have another order, in which another one is the least; who hangs together is the same.
        let of_texts = run(rows(&edges(&pairs), portion, OF_TEXTS));
        let groups = |rows: &[String]| {
            let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for row in rows {
                let (id, component) = row.split_once(' ').unwrap();
                groups.entry(component.to_owned()).or_default().insert(id.to_owned());
            }
            groups.into_values().collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(groups(&of_texts), groups(&expected));
    }

    #[test]
    fn batches_and_order_make_no_difference(
        weighed in prop::collection::vec((0_i64..12, 0_i64..12, -6_i64..8), 0..40),
        portion in 1_usize..20,
    ) {
        let mut all: Vec<Row> =
            weighed.iter().map(|(a, b, bits)| Row(Some(*a), Some(*b), None, *bits)).collect();
        let expected: Vec<_> =
            [COMPONENTS, CLUSTERS, PAIRS].map(|sql| run(rows(&all, 1_000, sql))).to_vec();
        all.reverse();
        for (sql, expected) in [COMPONENTS, CLUSTERS, PAIRS].into_iter().zip(expected) {
            prop_assert_eq!(run(rows(&all, portion, sql)), expected, "{}", sql);
        }
    }

    #[test]
    fn pairs_are_those_of_a_join(
        keyed in prop::collection::vec((0_i64..12, 0_i64..6, 0_i64..6), 0..40),
        portion in 1_usize..20,
    ) {
        let all: Vec<Row> =
            keyed.iter().map(|(a, b, bits)| Row(Some(*a), Some(*b), None, *bits)).collect();
        let mut expected = BTreeMap::new();
        for (column, key) in
            (0..2).flat_map(|column| (0..6).map(move |key| (column, key)))
        {
            let of_key = |row: &&(i64, i64, i64)| [row.1, row.2][column] == key;
            let ids: BTreeSet<i64> = keyed.iter().filter(of_key).map(|row| row.0).collect();
            for left in &ids {
                for right in ids.iter().filter(|right| *right > left) {
                    expected.entry((*left, *right)).or_insert((["b", "bits"][column], key));
                }
            }
        }
        let mut expected: Vec<String> = expected
            .into_iter()
            .map(|((left, right), (column, key))| format!("{left} {right} {column} {key}"))
            .collect();
        expected.sort();
        prop_assert_eq!(run(rows(&all, portion, PAIRS)), expected);
    }
}

#[tokio::test]
async fn a_key_of_too_many_rows_is_passed_over_and_counted() {
    let most = i64::from(super::blocking::BLOCK_ROWS_MAX);
    let mut all: Vec<Row> = (0..=most).map(|id| Row(Some(id), None, Some("all"), id)).collect();
    all.extend([Row(Some(1), None, Some("two"), 0), Row(Some(2), None, Some("two"), 0)]);
    let sql = "SELECT * FROM candidate_pairs((SELECT a, name FROM t))";
    let found = planned(table(&all, 7), MEMORY, sql).await.unwrap();
    assert_eq!(found.rows(), ["1 2 name two"]);
    assert_eq!(found.metric("BlockingJoinExec", "blocks_passed_over"), Some(1));
    assert_eq!(found.metric("BlockingJoinExec", "candidates"), Some(1));
    assert_eq!(found.metric("BlockingJoinExec", "output_rows"), Some(1));
    assert!(found.metric("BlockingJoinExec", "elapsed_compute").is_some_and(|time| time > 0));
    // One row fewer, and all are compared; those who share the other key, too, come once.
    all.remove(0);
    let found = planned(table(&all, 7), MEMORY, sql).await.unwrap();
    let pairs = usize::try_from(most * (most - 1) / 2).unwrap();
    assert_eq!(found.rows().len(), pairs);
    assert_eq!(found.metric("BlockingJoinExec", "candidates"), Some(pairs + 1));
}

#[tokio::test]
async fn what_speaks_against_parts_a_cluster_and_an_edge_given_twice_counts_once() {
    let weighed = |edges: &[(i64, i64, i64)]| -> Vec<Row> {
        edges.iter().map(|(a, b, bits)| Row(Some(*a), Some(*b), None, *bits)).collect()
    };
    let chain = weighed(&[(1, 2, 3), (2, 3, 3)]);
    assert_eq!(rows(&chain, 1, CLUSTERS).await, ["1 1", "2 1", "3 1"]);
    let against = weighed(&[(1, 2, 4), (3, 2, 3), (3, 1, -9), (7, 7, 0)]);
    assert_eq!(rows(&against, 1, CLUSTERS).await, ["1 1", "2 1", "3 3", "7 7"]);
    // Silence about (1, 3) outweighs one bit for it, said twice or not, in either direction.
    let weak = weighed(&[(1, 2, 5), (2, 3, 1), (3, 2, 1), (3, 2, 0)]);
    assert_eq!(rows(&weak, 1, CLUSTERS).await, ["1 1", "2 1", "3 3"]);
}

#[tokio::test]
async fn operators_are_relations_like_others() {
    let all = edges(&[(1, 2), (2, 3), (5, 6)]);
    for (sql, expected) in [
        (
            "SELECT c.component, count(*) FROM connected_components((SELECT a, b FROM t)) c GROUP BY 1",
            "1 3,5 2",
        ),
        ("SELECT y FROM connected_components((SELECT a, b FROM t)) c(x, y) WHERE x = 6", "5"),
        (
            "SELECT connected_components.id FROM connected_components((SELECT a, b FROM t WHERE a > 4))",
            "5,6",
        ),
        (
            "WITH e AS (SELECT a AS l, b AS r FROM t) SELECT max(id) FROM connected_components((SELECT l, r FROM e))",
            "6",
        ),
        (
            "SELECT t.a FROM t JOIN connected_components((SELECT a, b FROM t)) c ON c.id = t.a WHERE c.component = 5",
            "5",
        ),
        (
            "SELECT l.a FROM t l WHERE l.b IN (SELECT id FROM connected_components((SELECT a, b FROM t)) c WHERE component = 5)",
            "5",
        ),
        (
            "SELECT cluster FROM refine_clusters((SELECT left_id, right_id, 4 FROM candidate_pairs((SELECT a, bits FROM t)) p)) c WHERE id = 5",
            "1",
        ),
        (
            "SELECT id FROM connected_components((SELECT l.a, r.a FROM t l JOIN t r ON r.a = l.b)) c",
            "1,2",
        ),
        ("SELECT id FROM connected_components((SELECT a, b, bits FROM t LIMIT 0)) c", ""),
    ] {
        assert_eq!(rows(&all, 1, sql).await.join(","), expected, "{sql}");
    }
    let found = planned(table(&all, 1), MEMORY, COMPONENTS).await.unwrap();
    let ids = found.batches.iter().flat_map(|batch| {
        assert_eq!(batch.schema().field(1).name(), "component");
        batch.column(0).as_primitive::<Int64Type>().iter().flatten().collect::<Vec<_>>()
    });
    assert_eq!(ids.count(), 5);
}

#[tokio::test]
async fn a_plan_shows_the_operators_by_name() {
    let sql = "EXPLAIN SELECT * FROM refine_clusters((SELECT id, component, bits
               FROM connected_components((SELECT a, b FROM t)) c JOIN t ON t.a = c.id)) r";
    let shown = planned(table(&edges(&[(1, 2)]), 1), MEMORY, sql).await.unwrap().rows().join("\n");
    for name in ["Components", "Refinement", "ComponentsExec", "RefinementExec"] {
        assert!(shown.contains(name), "{name}: {shown}");
    }
    let sql = format!("EXPLAIN {PAIRS}");
    let shown = planned(table(&[], 1), MEMORY, &sql).await.unwrap().rows().join("\n");
    assert!(shown.contains("BlockingJoinExec: key_rows_max=100"), "{shown}");
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_by_name() {
    let all = [Row(Some(1), None, Some("x"), 1)];
    for (sql, sqlstate, words) in [
        (
            COMPONENTS,
            "22004",
            "column \"b\" of the query of connected_components() is null in a row",
        ),
        (
            "SELECT * FROM candidate_pairs((SELECT b, name FROM t))",
            "22004",
            "column \"b\" of the query of candidate_pairs() is null in a row",
        ),
        (
            "SELECT * FROM refine_clusters((SELECT a, bits, 'NaN'::float8 FROM t)) c",
            "22023",
            "the bits of an edge of refine_clusters() are not a number",
        ),
        (
            "SELECT * FROM connected_components((SELECT a, name FROM t)) c",
            "42804",
            "connected_components() takes ids of one type, and columns \"a\" and \"name\" are of type bigint and text",
        ),
        (
            "SELECT * FROM connected_components((SELECT a, 1.5 AS x FROM t)) c",
            "42804",
            "connected_components() takes ids that are whole numbers or texts, and column \"x\" is of type numeric",
        ),
        (
            "SELECT * FROM refine_clusters((SELECT a, a + 1 AS b, name FROM t)) c",
            "42804",
            "refine_clusters() takes bits that are a number, and column \"name\" is of type text",
        ),
        (
            "SELECT * FROM candidate_pairs((SELECT a FROM t)) c",
            "42804",
            "candidate_pairs() takes a query of 2 columns, and this one has 1",
        ),
        (
            "SELECT * FROM candidate_pairs('t')",
            "42883",
            "function \"candidate_pairs\" does not exist",
        ),
    ] {
        let error = planned(table(&all, 1), MEMORY, sql).await.err().unwrap();
        let error = root(&error);
        assert_eq!((error.sqlstate(), error.to_string().as_str()), (sqlstate, words), "{sql}");
        assert!(error.hint().is_some(), "{sql}");
    }
}

#[tokio::test]
async fn what_is_held_is_within_the_memory_of_statements() {
    let all = edges(&(0..20_000).map(|id| (id, id + 1)).collect::<Vec<_>>());
    for sql in [COMPONENTS, OF_TEXTS, CLUSTERS, PAIRS] {
        let sql = sql.replace("SELECT *", "SELECT count(*)");
        assert!(planned(table(&all, 512), MEMORY, &sql).await.is_ok(), "{sql}");
        let error = planned(table(&all, 512), 1 << 16, &sql).await.err().unwrap();
        assert!(error.to_string().contains("Resources exhausted"), "{sql}: {error}");
    }
}

/// Here nothing asks that they read from, so that they get all of their input: what they do with it is theirs to end.
#[tokio::test]
async fn who_is_to_stop_sorts_and_clusters_nothing() {
    let stop = Arc::new(Stop::default());
    stop.stop();
    for sql in [COMPONENTS, OF_TEXTS, CLUSTERS, PAIRS] {
        let all = table(&edges(&[(1, 2), (2, 3), (5, 6)]), 1);
        let (physical, context) = plan_of(all, MEMORY, sql).await.unwrap();
        let ended = during(Arc::clone(&stop), collect(physical, context)).await;
        let error = ended.map(drop).unwrap_err().to_string();
        assert!(error.contains("the statement was cancelled"), "{sql}: {error}");
    }
}

/// The error of the engine below what the query engine wrapped it in.
fn root(error: &Error) -> &Error {
    let Error::Query(error) = error else { return error };
    match error.find_root() {
        datafusion::error::DataFusionError::External(external) => {
            external.downcast_ref::<Error>().map_or_else(|| panic!("{external}"), root)
        }
        other => panic!("{other}"),
    }
}
