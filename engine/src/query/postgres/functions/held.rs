//! DataFusion's aggregate functions that make one value of all that they are given, with a bound on what they hold for it.
//!
//! The memory pool counts what they hold, but it is as large as a share of the machine's memory, and it is asked once for a
//! batch: an array of gigabytes would be made before anybody says no, and once more when it is asked for. So one value has
//! a bound of its own. They ask for each batch whether their statement is to stop, too, since a window calls them for each
//! of its rows without a break.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature,
};

use super::failure;
use crate::Error;
use crate::query::stop::check_current;

/// Bytes that are held for one value at most: by each partition of its rows, and once more for all of them.
const HELD_BYTES_MAX: usize = 64 << 20;

const HOLDING: [&str; 2] = ["array_agg", "string_agg"];

/// Returns the functions.
pub(super) fn functions() -> Vec<AggregateUDF> {
    static FUNCTIONS: LazyLock<Vec<AggregateUDF>> = LazyLock::new(|| {
        let all = SessionStateDefaults::default_aggregate_functions().into_iter();
        let holding = all.filter_map(|inner| {
            let name = HOLDING.into_iter().find(|name| *name == inner.name())?;
            Some(AggregateUDF::from(Holding { name, inner }))
        });
        holding.collect()
    });
    FUNCTIONS.clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Holding {
    name: &'static str,
    inner: Arc<AggregateUDF>,
}

impl Holding {
    fn bounded(&self, inner: Box<dyn Accumulator>, is_distinct: bool) -> Box<dyn Accumulator> {
        Box::new(Bounded { function: self.name, inner, is_distinct, held: 0 })
    }
}

impl AggregateUDFImpl for Holding {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.inner().return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        self.inner.inner().return_field(fields)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.inner().state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let is_distinct = args.is_distinct;
        self.inner.inner().accumulator(args).map(|inner| self.bounded(inner, is_distinct))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let is_distinct = args.is_distinct;
        let inner = self.inner.inner().create_sliding_accumulator(args)?;
        Ok(self.bounded(inner, is_distinct))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.inner().groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.inner().create_groups_accumulator(args)
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        beneficial_ordering: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = AggregateUDF::clone(&self.inner);
        let ordered = inner.with_beneficial_ordering(beneficial_ordering)?;
        Ok(ordered.map(|inner| {
            let ordered = Holding { name: self.name, inner: Arc::new(inner) };
            Arc::new(ordered) as Arc<dyn AggregateUDFImpl>
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.inner().order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.inner().reverse_expr() {
            ReversedUDAF::Reversed(inner) => {
                let reversed = Holding { name: self.name, inner };
                ReversedUDAF::Reversed(Arc::new(AggregateUDF::from(reversed)))
            }
            other => other,
        }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(types)
    }

    fn is_nullable(&self) -> bool {
        self.inner.inner().is_nullable()
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.inner().default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.inner().supports_null_handling_clause()
    }
}

/// What holds the values that one value is made of.
#[derive(Debug)]
struct Bounded {
    function: &'static str,
    inner: Box<dyn Accumulator>,
    /// Whether it holds only some of what it is given.
    is_distinct: bool,
    /// Bytes that it was given and that were not taken back.
    held: usize,
}

impl Bounded {
    /// Fails once it holds too much, now that it has taken these values, too.
    fn check(&mut self, values: &[ArrayRef]) -> Result<()> {
        check_current()?;
        self.held += first_bytes(values);
        if self.held > HELD_BYTES_MAX && self.is_distinct {
            self.held = self.inner.size();
        }
        if self.held <= HELD_BYTES_MAX {
            return Ok(());
        }
        Err(failure(Error::Limit {
            sqlstate: "53200",
            message: format!(
                "{}() would hold more than {HELD_BYTES_MAX} bytes for one value",
                self.function
            ),
            hint: "Aggregate fewer rows into one value, or ask for the rows themselves.".to_owned(),
        }))
    }
}

/// The bytes of the column that is aggregated.
fn first_bytes(values: &[ArrayRef]) -> usize {
    values.first().map_or(0, |values| bytes(values.as_ref()))
}

/// The bytes of the values of an array, wherever they lie.
fn bytes(array: &dyn Array) -> usize {
    const VIEW_BYTES: usize = 16;
    let rows = array.len();
    let text_bytes = |lengths: &mut dyn Iterator<Item = u32>| {
        rows * VIEW_BYTES + lengths.map(|length| length as usize).sum::<usize>()
    };
    match array.data_type() {
        DataType::Utf8View => text_bytes(&mut array.as_string_view().lengths()),
        DataType::BinaryView => text_bytes(&mut array.as_binary_view().lengths()),
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let offsets = lists.value_offsets();
            let (first, end) = (offsets[0] as usize, offsets[rows] as usize);
            size_of_val(offsets) + bytes(lists.values().slice(first, end - first).as_ref())
        }
        _ => array.to_data().get_slice_memory_size().unwrap_or_default(),
    }
}

impl Accumulator for Bounded {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)?;
        self.check(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)?;
        self.check(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        check_current()?;
        self.held = self.held.saturating_sub(first_bytes(values));
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        check_current()?;
        self.inner.evaluate()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        check_current()?;
        self.inner.state()
    }

    fn size(&self) -> usize {
        self.inner.size().max(self.held) + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    fn context() -> SessionContext {
        let config = SessionConfig::new().with_target_partitions(2);
        let context = SessionContext::new_with_config(config);
        functions().into_iter().for_each(|function| context.register_udaf(function));
        context
    }

    async fn outcome(sql: &str) -> Result<String> {
        let batches = context().sql(sql).await?.collect().await?;
        let value = ScalarValue::try_from_array(batches[0].column(0), 0)?;
        Ok(value.to_string())
    }

    #[tokio::test]
    async fn they_answer_as_those_that_they_bound() {
        let values = "FROM (VALUES (1, 'b', 1), (2, 'a', 1), (3, 'c', 2)) t(n, s, g)";
        for (sql, expected) in [
            (format!("SELECT array_agg(n ORDER BY n DESC) {values}"), "[3, 2, 1]"),
            (format!("SELECT string_agg(s, ',' ORDER BY s) {values}"), "a,b,c"),
            (format!("SELECT array_agg(DISTINCT g ORDER BY g) {values}"), "[1, 2]"),
            (format!("SELECT string_agg(s, '' ORDER BY n) {values} GROUP BY g HAVING g = 1"), "ba"),
            (
                format!(
                    "SELECT a FROM (SELECT n, array_agg(n) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS a {values}) u ORDER BY n DESC LIMIT 1"
                ),
                "[2, 3]",
            ),
        ] {
            assert_eq!(outcome(&sql).await.unwrap(), expected, "{sql}");
        }
    }

    #[tokio::test]
    async fn what_is_held_for_one_value_has_a_bound() {
        let all = "FROM generate_series(1, 1000000)";
        for sql in [
            format!("SELECT array_agg(repeat('x', 1000) || value) {all}"),
            format!("SELECT string_agg(repeat('x', 1000) || value, ',') {all}"),
        ] {
            let failed = outcome(&sql).await.unwrap_err().to_string();
            assert!(failed.contains("would hold more than"), "{sql}: {failed}");
        }
    }
}
