//! `EXPLAIN ANALYZE`: the plan is run, and told with how many rows each node gave and how long it took.
//!
//! Rows are counted and thrown away. What is counted is what a node hands on, and nothing of what it does within: the leaf of
//! a governed table hands on rows of people who may be seen, so that no figure tells how many others there are. Times are
//! those of PostgreSQL: what passes between the moment that a node is asked for rows and its answer, the nodes below
//! included. The partitions of a node run beside each other and count as one run of it, which takes as long as the longest.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{
    RecordBatchStream, SendableRecordBatchStream, SessionState, TaskContext,
};
use datafusion::logical_expr::Explain;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions, replace_children_if_necessary,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, execute_stream,
};
use datafusion::sql::sqlparser::ast::Statement;
use futures::{Stream, StreamExt, stream};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::document::{columns_of, line_of, written};
use super::{Document, PHYSICAL, is_on, is_verbose, said};
use crate::error::Result;
use crate::query::planner::physical;

/// How an `EXPLAIN ANALYZE` is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Analysis {
    /// The document that it is answered with, if it is one.
    pub(super) document: Option<Document>,
    /// Whether it tells the columns of each node, too.
    verbose: bool,
    /// Whether it tells how long each node took.
    timing: bool,
    /// Whether it tells how long the whole took.
    summary: bool,
}

impl Analysis {
    /// Returns what a statement asks for, if it is an `EXPLAIN ANALYZE`.
    pub(super) fn of(statement: &Statement) -> Option<Self> {
        let Statement::Explain { analyze, options, .. } = statement else { return None };
        let option = |name: &str| said(options.as_deref(), name);
        if !*analyze && !is_on(option("analyze"), false) {
            return None;
        }
        Some(Self {
            document: Document::of(statement),
            verbose: is_verbose(statement),
            timing: is_on(option("timing"), true),
            summary: is_on(option("summary"), true),
        })
    }
}

/// Returns a plan that runs what is explained, and whose one row tells what came of it.
pub(super) async fn explain(
    state: &SessionState,
    explain: &Explain,
    analysis: Analysis,
) -> Result<Arc<dyn ExecutionPlan>> {
    let begun = Instant::now();
    let plan = physical(state, &explain.plan).await?;
    let planning = begun.elapsed();
    let mut counts = Vec::new();
    let input = measured(&plan, &mut counts)?;
    let schema = Arc::clone(explain.schema.inner());
    let properties = Arc::new(PlanProperties::new(
        EquivalenceProperties::new(Arc::clone(&schema)),
        Partitioning::UnknownPartitioning(1),
        EmissionType::Final,
        Boundedness::Bounded,
    ));
    let told = Arc::new(Told { plan, counts, analysis, planning, schema });
    Ok(Arc::new(AnalysisExec { input, told, properties }))
}

/// Puts a counter above each node; `counts` are theirs in the order of the lines of the plan's text.
fn measured(
    plan: &Arc<dyn ExecutionPlan>,
    counts: &mut Vec<Arc<Counts>>,
) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let own = Arc::<Counts>::default();
    counts.push(Arc::clone(&own));
    let below = plan.children().into_iter().map(|child| measured(child, counts));
    let below = below.collect::<DataFusionResult<Vec<_>>>()?;
    let input = replace_children_if_necessary(Arc::clone(plan), below)?;
    Ok(Arc::new(MeasuredExec { input, counts: own }))
}

/// What the runs of a node came to, partition by partition.
#[derive(Debug, Default)]
struct Counts(Mutex<Vec<Part>>);

/// What the runs of one partition came to.
#[derive(Debug, Default, Clone)]
struct Part {
    runs: u64,
    rows: u64,
    /// How long it took to the first answer of each run.
    first: Duration,
    total: Duration,
}

impl Counts {
    fn add(&self, partition: usize, add: impl FnOnce(&mut Part)) {
        let mut parts = self.0.lock();
        if parts.len() <= partition {
            parts.resize(partition + 1, Part::default());
        }
        add(&mut parts[partition]);
    }

    fn measure(&self, timing: bool) -> Measure {
        let parts = self.0.lock();
        let runs = parts.iter().map(|part| part.runs).max().unwrap_or(0);
        let rows: u64 = parts.iter().map(|part| part.rows).sum();
        let of_a_run = |part: &Part, time: Duration| time.as_secs_f64() * 1e3 / part.runs as f64;
        let run = parts.iter().filter(|part| part.runs > 0);
        let first = run.clone().map(|part| of_a_run(part, part.first)).reduce(f64::min);
        let total = run.map(|part| of_a_run(part, part.total)).reduce(f64::max);
        Measure {
            runs,
            // Of one run, as PostgreSQL tells them.
            rows: (rows as f64 / runs.max(1) as f64).round(),
            time: timing.then(|| (first.unwrap_or(0.0), total.unwrap_or(0.0))),
        }
    }
}

/// What running a node came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measure {
    runs: u64,
    rows: f64,
    /// The milliseconds to the first answer and to the last one.
    time: Option<(f64, f64)>,
}

impl Measure {
    /// What a document tells of it.
    pub(super) fn facts(&self) -> Vec<(&'static str, Value)> {
        let mut facts = Vec::new();
        if let Some((first, total)) = self.time {
            facts.push(("Actual Startup Time", thousandths(first)));
            facts.push(("Actual Total Time", thousandths(total)));
        }
        facts.push(("Actual Rows", json!(self.rows as u64)));
        facts.push(("Actual Loops", json!(self.runs)));
        facts
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.runs == 0 {
            return f.write_str("(never executed)");
        }
        f.write_str("(actual ")?;
        if let Some((first, total)) = self.time {
            write!(f, "time={first:.3}..{total:.3} ")?;
        }
        write!(f, "rows={} loops={})", self.rows, self.runs)
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn thousandths(number: f64) -> Value {
    json!((number * 1e3).round() / 1e3)
}

/// What there is to tell once the plan has run.
#[derive(Debug)]
struct Told {
    plan: Arc<dyn ExecutionPlan>,
    counts: Vec<Arc<Counts>>,
    analysis: Analysis,
    planning: Duration,
    schema: SchemaRef,
}

impl Told {
    fn answer(&self, running: Duration) -> DataFusionResult<RecordBatch> {
        let Analysis { document, verbose, timing, summary } = self.analysis;
        let mut measures = self.counts.iter().map(|counts| counts.measure(timing));
        let (planning, running) = (milliseconds(self.planning), milliseconds(running));
        let text = match document {
            Some(document) => {
                let mut totals = Vec::new();
                if summary {
                    totals.push(("Planning Time", thousandths(planning)));
                }
                totals.push(("Triggers", json!([])));
                if summary {
                    totals.push(("Execution Time", thousandths(running)));
                }
                written(document, &self.plan, &mut measures, totals)
            }
            None => {
                let mut lines = Vec::new();
                write_lines(&self.plan, verbose, 0, &mut measures, &mut lines);
                if summary {
                    lines.push(format!("Planning Time: {planning:.3} ms"));
                    lines.push(format!("Execution Time: {running:.3} ms"));
                }
                lines.join("\n")
            }
        };
        let kind: ArrayRef = Arc::new(StringArray::from(vec![PHYSICAL]));
        let text: ArrayRef = Arc::new(StringArray::from(vec![text]));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), vec![kind, text])?)
    }
}

fn write_lines(
    plan: &Arc<dyn ExecutionPlan>,
    verbose: bool,
    depth: usize,
    measures: &mut dyn Iterator<Item = Measure>,
    lines: &mut Vec<String>,
) {
    let margin = "  ".repeat(depth);
    let measure = measures.next().map(|measure| format!(" {measure}")).unwrap_or_default();
    lines.push(format!("{margin}{}{measure}", line_of(plan)));
    let columns = columns_of(plan);
    if verbose && !columns.is_empty() {
        lines.push(format!("{margin}  Output: {}", columns.join(", ")));
    }
    for child in plan.children() {
        write_lines(child, verbose, depth + 1, measures, lines);
    }
}

/// Runs its input for what can be told of it.
#[derive(Debug)]
struct AnalysisExec {
    input: Arc<dyn ExecutionPlan>,
    told: Arc<Told>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for AnalysisExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnalysisExec")
    }
}

impl ExecutionPlan for AnalysisExec {
    fn name(&self) -> &str {
        "AnalysisExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let (told, properties) = (Arc::clone(&self.told), Arc::clone(&self.properties));
        Ok(Arc::new(Self { input: only(children)?, told, properties }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let (told, properties) = (Arc::clone(&self.told), Arc::clone(&self.properties));
        Ok(Arc::new(Self { input: only(children)?, told, properties }))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(
        &self,
        _: usize,
        context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let begun = Instant::now();
        let mut rows = execute_stream(Arc::clone(&self.input), context)?;
        let (told, schema) = (Arc::clone(&self.told), Arc::clone(&self.told.schema));
        let answer = async move {
            while let Some(batch) = rows.next().await {
                batch?;
            }
            told.answer(begun.elapsed())
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream::once(answer))))
    }
}

/// Counts what its input gives.
#[derive(Debug)]
struct MeasuredExec {
    input: Arc<dyn ExecutionPlan>,
    counts: Arc<Counts>,
}

impl DisplayAs for MeasuredExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeasuredExec")
    }
}

impl ExecutionPlan for MeasuredExec {
    fn name(&self) -> &str {
        "MeasuredExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { input: only(children)?, counts: Arc::clone(&self.counts) }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { input: only(children)?, counts: Arc::clone(&self.counts) }))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let begun = Instant::now();
        let input = self.input.execute(partition, context)?;
        let spent = begun.elapsed();
        self.counts.add(partition, |part| {
            part.runs += 1;
            part.first += spent;
            part.total += spent;
        });
        let counts = Arc::clone(&self.counts);
        let stream = MeasuredStream { input, counts, partition, asked: None, answered: false };
        Ok(Box::pin(stream))
    }
}

/// Returns the one child of a node.
fn only(mut children: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    match (children.pop(), children.pop()) {
        (Some(child), None) => Ok(child),
        _ => Err(DataFusionError::Internal("a counter has one child".into())),
    }
}

/// The batches of one run of a partition.
struct MeasuredStream {
    input: SendableRecordBatchStream,
    counts: Arc<Counts>,
    partition: usize,
    /// Since when an answer is waited for.
    asked: Option<Instant>,
    /// Whether there was one.
    answered: bool,
}

impl Stream for MeasuredStream {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<DataFusionResult<RecordBatch>>> {
        let this = self.get_mut();
        let asked = *this.asked.get_or_insert_with(Instant::now);
        let polled = this.input.as_mut().poll_next(context);
        if let Poll::Ready(answer) = &polled {
            this.asked = None;
            let (spent, is_first) = (asked.elapsed(), !this.answered);
            this.answered = true;
            let rows = answer.iter().flatten().map(RecordBatch::num_rows).sum::<usize>();
            this.counts.add(this.partition, |part| {
                part.rows += rows as u64;
                part.total += spent;
                if is_first {
                    part.first += spent;
                }
            });
        }
        polled
    }
}

impl RecordBatchStream for MeasuredStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(runs: u64, rows: u64, first: u64, total: u64) -> Part {
        let (first, total) = (Duration::from_micros(first), Duration::from_micros(total));
        Part { runs, rows, first, total }
    }

    #[test]
    fn partitions_are_one_run_and_runs_are_told_as_one_of_them() {
        for (parts, timing, told) in [
            (vec![], true, "(never executed)"),
            (vec![ran(1, 3, 12, 20)], true, "(actual time=0.012..0.020 rows=3 loops=1)"),
            (
                vec![ran(1, 3, 500, 9_000), ran(1, 4, 250, 1_500)],
                true,
                "(actual time=0.250..9.000 rows=7 loops=1)",
            ),
            (
                vec![Part::default(), ran(4, 10, 4_000, 8_000)],
                true,
                "(actual time=1.000..2.000 rows=3 loops=4)",
            ),
            (vec![ran(1, 3, 12, 20)], false, "(actual rows=3 loops=1)"),
        ] {
            assert_eq!(Counts(Mutex::new(parts)).measure(timing).to_string(), told);
        }
    }

    #[test]
    fn a_document_tells_what_the_text_does() {
        let counts = Counts::default();
        counts.add(1, |part| *part = ran(2, 6, 3_000, 5_000));
        let told = [
            ("Actual Startup Time", json!(1.5)),
            ("Actual Total Time", json!(2.5)),
            ("Actual Rows", json!(3)),
            ("Actual Loops", json!(2)),
        ];
        assert_eq!(counts.measure(true).facts(), told);
        assert_eq!(counts.measure(false).facts(), told[2..]);
    }
}
