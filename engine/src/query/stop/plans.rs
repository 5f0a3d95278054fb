//! Plans that ask whether their statement is to stop, batch by batch.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, LikeExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{
    ReplaceChildrenOptions, replace_children_if_necessary,
};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::Stream;

use super::filter::with_stoppable_filter;
use super::{Stop, constants};

/// Bytes of texts that functions are given at a time, or one row. What they take for more may be seconds.
const PIECE_BYTES: usize = 64 << 10;

/// The same of functions that ask by themselves: what they find in as much is written out at once.
const ASKING_BYTES: usize = 16 << 20;

/// Functions that make long texts of short ones, or of numbers.
const GROWING: [&str; 3] = ["repeat", "lpad", "rpad"];

/// Rows that these are given at a time at most.
const GROWING_ROWS: usize = 1_024;

/// Functions that ask by themselves, by what they have worked through.
const ASKING: [&str; 4] = ["json_get", "json_get_text", "json_get_path", "json_get_path_text"];

/// Makes `plan` stop with `stop`.
pub(in crate::query) fn stoppable(
    plan: Arc<dyn ExecutionPlan>,
    stop: &Arc<Stop>,
) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let made = plan.transform_up(|node| asking(node, stop).map(Transformed::yes))?;
    Ok(StoppableExec::over(made.data, stop, None))
}

/// Makes a node ask, or those below it: what it asks of them ends it, too.
fn asking(
    node: Arc<dyn ExecutionPlan>,
    stop: &Arc<Stop>,
) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    constants::check(&node)?;
    let any: &dyn Any = node.as_ref();
    if let Some(join) = any.downcast_ref::<NestedLoopJoinExec>() {
        let join = with_stoppable_filter(join, stop)?;
        return Ok(StoppableExec::over(join, stop, None));
    }
    let joins = any.is::<CrossJoinExec>()
        || any.is::<HashJoinExec>()
        || any.is::<SortMergeJoinExec>()
        || any.is::<PiecewiseMergeJoinExec>();
    if joins || node.children().is_empty() {
        return Ok(StoppableExec::over(node, stop, None));
    }
    // What is below computes in tasks of its own.
    let exchanges = any.is::<RepartitionExec>()
        || any.is::<CoalescePartitionsExec>()
        || any.is::<SortPreservingMergeExec>();
    let evaluates =
        any.is::<FilterExec>() || any.is::<ProjectionExec>() || any.is::<AggregateExec>();
    let cuts = if evaluates { at_a_time(&node)? } else { None };
    if !exchanges && cuts.is_none() {
        return Ok(node);
    }
    let children = node.children().into_iter();
    let children =
        children.map(|child| StoppableExec::over(Arc::clone(child), stop, cuts)).collect();
    replace_children_if_necessary(node, children)
}

/// How much a node is given at a time at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Most {
    rows: usize,
    /// Bytes of texts; one row may have more.
    bytes: usize,
}

impl Most {
    const ANY: Self = Self { rows: usize::MAX, bytes: usize::MAX };

    fn or_less(self, rows: usize, bytes: usize) -> Self {
        Self { rows: self.rows.min(rows), bytes: self.bytes.min(bytes) }
    }
}

/// Returns how much a node is to be given at a time if it calls functions, looks for patterns or writes long constants out:
/// what that takes depends on the values.
fn at_a_time(node: &Arc<dyn ExecutionPlan>) -> DataFusionResult<Option<Most>> {
    let mut most = Most::ANY;
    if let Some(rows) = constants::rows_at_a_time(node)? {
        most.rows = rows;
    }
    node.apply_expressions(&mut |root| {
        root.apply(|part| {
            let part: &dyn Any = part.as_ref();
            if let Some(function) = part.downcast_ref::<ScalarFunctionExpr>() {
                let rows =
                    if GROWING.contains(&function.name()) { GROWING_ROWS } else { usize::MAX };
                let asks = ASKING.contains(&function.name());
                most = most.or_less(rows, if asks { ASKING_BYTES } else { PIECE_BYTES });
            } else if part.is::<LikeExpr>()
                || part.downcast_ref::<BinaryExpr>().is_some_and(|binary| is_pattern(binary.op()))
            {
                most = most.or_less(usize::MAX, PIECE_BYTES);
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok((most != Most::ANY).then_some(most))
}

fn is_pattern(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::RegexMatch
            | Operator::RegexIMatch
            | Operator::RegexNotMatch
            | Operator::RegexNotIMatch
    )
}

/// Hands on what its input gives, yields in between, and fails once the statement is to stop.
#[derive(Debug)]
struct StoppableExec {
    input: Arc<dyn ExecutionPlan>,
    stop: Arc<Stop>,
    /// Whether batches with long texts are cut into pieces, and how large each is at most.
    cuts: Option<Most>,
}

impl StoppableExec {
    fn over(
        input: Arc<dyn ExecutionPlan>,
        stop: &Arc<Stop>,
        cuts: Option<Most>,
    ) -> Arc<dyn ExecutionPlan> {
        let any: &dyn Any = input.as_ref();
        let input = match any.downcast_ref::<StoppableExec>() {
            Some(_) if cuts.is_none() => return Arc::clone(&input),
            Some(asks) => Arc::clone(&asks.input),
            None => Arc::clone(&input),
        };
        Arc::new(StoppableExec { input, stop: Arc::clone(stop), cuts })
    }

    fn with_input(
        &self,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.pop()) {
            (Some(input), None) => {
                let (stop, cuts) = (Arc::clone(&self.stop), self.cuts);
                Ok(Arc::new(Self { input, stop, cuts }))
            }
            _ => Err(DataFusionError::Internal("StoppableExec has one child".into())),
        }
    }
}

impl DisplayAs for StoppableExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoppableExec")
    }
}

impl ExecutionPlan for StoppableExec {
    fn name(&self) -> &str {
        "StoppableExec"
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
        self.with_input(children)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.with_input(children)
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
        let input = self.input.execute(partition, context)?;
        let pieces = self.cuts.map(|most| Pieces { most, rest: None });
        let stop = Arc::clone(&self.stop);
        Ok(make_cooperative(Box::pin(StoppableStream { input, stop, pieces })))
    }
}

/// The batches of one partition.
struct StoppableStream {
    input: SendableRecordBatchStream,
    stop: Arc<Stop>,
    pieces: Option<Pieces>,
}

impl Stream for StoppableStream {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<DataFusionResult<RecordBatch>>> {
        let this = self.get_mut();
        if let Err(stopped) = this.stop.check() {
            return Poll::Ready(Some(Err(stopped)));
        }
        if let Some(piece) = this.pieces.as_mut().and_then(Pieces::following) {
            return Poll::Ready(Some(Ok(piece)));
        }
        let polled = {
            let _computing = this.stop.compute();
            this.input.as_mut().poll_next(context)
        };
        match (polled, &mut this.pieces) {
            (Poll::Ready(Some(Ok(batch))), Some(pieces)) => {
                Poll::Ready(Some(Ok(pieces.first(batch))))
            }
            (polled, _) => polled,
        }
    }
}

impl RecordBatchStream for StoppableStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

/// Batches in pieces. How large they are follows from their rows and from nothing else: sums of floating point numbers
/// depend on it in their last digits.
struct Pieces {
    most: Most,
    /// What is left of a batch, and how many rows of it are a piece.
    rest: Option<(RecordBatch, usize)>,
}

impl Pieces {
    /// Returns the next piece of the batch that was begun.
    fn following(&mut self) -> Option<RecordBatch> {
        let (rest, rows) = self.rest.take()?;
        Some(self.cut(rest, rows))
    }

    /// Returns the first piece of a batch.
    fn first(&mut self, batch: RecordBatch) -> RecordBatch {
        let bytes: usize = batch.columns().iter().map(|column| text_bytes(column)).sum();
        let fitting = batch.num_rows() as u128 * self.most.bytes as u128 / bytes.max(1) as u128;
        let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
        self.cut(batch, fitting.min(self.most.rows))
    }

    fn cut(&mut self, batch: RecordBatch, rows: usize) -> RecordBatch {
        let rows = rows.clamp(1, batch.num_rows().max(1));
        if rows >= batch.num_rows() {
            return batch;
        }
        let piece = batch.slice(0, rows);
        self.rest = Some((batch.slice(rows, batch.num_rows() - rows), rows));
        piece
    }
}

/// Returns how many bytes the texts of a column have.
pub(super) fn text_bytes(column: &dyn Array) -> usize {
    let between = |first: Option<&i32>, last: Option<&i32>| match (first, last) {
        (Some(first), Some(last)) => usize::try_from(last - first).unwrap_or(0),
        _ => 0,
    };
    let in_views = |views: &[u128]| views.iter().map(|view| *view as u32 as usize).sum();
    match column.data_type() {
        DataType::Utf8 => {
            let offsets = column.as_string::<i32>().value_offsets();
            between(offsets.first(), offsets.last())
        }
        DataType::Binary => {
            let offsets = column.as_binary::<i32>().value_offsets();
            between(offsets.first(), offsets.last())
        }
        DataType::Utf8View => in_views(column.as_string_view().views()),
        DataType::BinaryView => in_views(column.as_binary_view().views()),
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let offsets = lists.value_offsets();
            let first = offsets.first().map_or(0, |first| *first as usize);
            let elements = lists.values().slice(first, between(offsets.first(), offsets.last()));
            text_bytes(&elements)
        }
        DataType::Struct(_) => {
            column.as_struct().columns().iter().map(|column| text_bytes(column)).sum()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, ListArray, StringViewArray, StructArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Fields};
    use datafusion::physical_plan::{collect, execute_stream};
    use datafusion::prelude::{SessionConfig, SessionContext};
    use futures::StreamExt;

    use super::*;

    fn batch(rows: i64) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        RecordBatch::try_from_iter([("a", column)]).unwrap()
    }

    #[test]
    fn pieces_are_the_batch_and_have_few_bytes() {
        let pieces_of = |text: &str, rows: usize, most: Most| {
            let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(
                (0..rows).map(|row| format!("{text}{row:04}")),
            ));
            let batch = RecordBatch::try_from_iter([("t", texts)]).unwrap();
            let mut pieces = Pieces { most, rest: None };
            let mut cut = vec![pieces.first(batch.clone())];
            while let Some(piece) = pieces.following() {
                cut.push(piece);
            }
            assert_eq!(arrow::compute::concat_batches(&batch.schema(), &cut).unwrap(), batch);
            cut.iter().map(RecordBatch::num_rows).collect::<Vec<_>>()
        };
        let few_bytes = Most::ANY.or_less(usize::MAX, PIECE_BYTES);
        assert_eq!(pieces_of("", 8_192, few_bytes), [8_192]);
        assert_eq!(pieces_of(&"x".repeat(1_020), 150, few_bytes), [64, 64, 22]);
        assert_eq!(pieces_of(&"x".repeat(PIECE_BYTES), 3, few_bytes), [1, 1, 1]);
        assert_eq!(pieces_of(&"x".repeat(PIECE_BYTES), 3, Most::ANY), [3]);
        let few_rows = few_bytes.or_less(GROWING_ROWS, usize::MAX);
        assert_eq!(pieces_of("", 2_500, few_rows), [1_024, 1_024, 452]);
        assert_eq!(pieces_of("", 0, few_bytes), [0]);
    }

    #[test]
    fn texts_in_lists_and_records_count() {
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(["a", "bc", "def", "g"]));
        let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let offsets = OffsetBuffer::from_lengths([1, 0, 2, 1]);
        let lists = ListArray::new(item, offsets, Arc::clone(&texts), None);
        assert_eq!((text_bytes(&lists), text_bytes(&lists.slice(1, 2))), (7, 5));
        let fields = Fields::from(vec![Field::new("t", DataType::Utf8View, true)]);
        assert_eq!(text_bytes(&StructArray::new(fields, vec![texts], None)), 7);
    }

    /// Statements of which each part asks in a way of its own.
    const STATEMENTS: [&str; 6] = [
        "SELECT count(*), sum(length(repeat('x', a % 7))) FROM t",
        "SELECT s.a FROM t s JOIN t u ON s.a = u.a WHERE s.a > 5 ORDER BY s.a DESC",
        "SELECT a % 10 AS g, count(*) FROM t GROUP BY 1 ORDER BY 1",
        "SELECT count(*) FROM t s JOIN t u ON s.a + u.a < 10",
        "SELECT a, sum(a) OVER (ORDER BY a) FROM t ORDER BY a LIMIT 5",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT sum(i) FROM n",
    ];

    async fn plan(context: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
        context.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
    }

    fn context() -> SessionContext {
        let config = SessionConfig::new().with_target_partitions(3);
        let context = SessionContext::new_with_config(config);
        context.register_batch("t", batch(3_000)).unwrap();
        context
    }

    #[tokio::test]
    async fn a_plan_that_asks_answers_as_it_did() {
        let context = context();
        for sql in STATEMENTS {
            let rows = |batches: Vec<RecordBatch>| {
                arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
            };
            let expected = collect(plan(&context, sql).await, context.task_ctx()).await.unwrap();
            let asking = stoppable(plan(&context, sql).await, &Arc::default()).unwrap();
            let found = collect(asking, context.task_ctx()).await.unwrap();
            assert_eq!(rows(found), rows(expected), "{sql}");
        }
    }

    #[tokio::test]
    async fn a_plan_that_is_to_stop_gives_no_row_any_more() {
        let context = context();
        for sql in STATEMENTS {
            let stop = Arc::new(Stop::default());
            let asking = stoppable(plan(&context, sql).await, &stop).unwrap();
            let mut rows = execute_stream(asking, context.task_ctx()).unwrap();
            stop.stop();
            let failed = rows.next().await.unwrap().unwrap_err();
            assert!(failed.to_string().contains("cancelled"), "{sql}: {failed}");
        }
    }
}
