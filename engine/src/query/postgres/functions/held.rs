//! DataFusion's aggregate functions that make one value of all that they are given, with a bound on what they hold for it.
//!
//! The memory pool counts what they hold, but it is as large as a share of the machine's memory, and it is asked once for a
//! batch: an array of gigabytes would be made before anybody says no, and once more when it is asked for. So one value has
//! a bound of its own, that of all rows and that of each group. They ask for each batch whether their statement is to stop,
//! too, since a window calls them for each of its rows without a break.

mod groups;
pub(super) mod measure;

use std::any::Any;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature,
};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::{PhysicalSortExpr, ScalarFunctionExpr};

use self::groups::BoundedGroups;
use self::measure::{bytes, compacted, elements};
use super::arrays::check_parts;
use super::{array_keys, failure};
use crate::Error;
use crate::query::postgres::types::{TYPE_KEY, array_of_documents};
use crate::query::stop::check_current;

/// Bytes that are held for one value at most: by each partition of its rows, and once more for all of them.
pub(super) const HELD_BYTES_MAX: usize = 64 << 20;
/// What a value that is held once takes beside its content: its row, how often it was given, and two hashes of it.
const DISTINCT_BYTES: usize = 64;

const HOLDING: [&str; 2] = ["array_agg", "string_agg"];
/// What documents, intervals and arrays are compared by.
const KEYS: [&str; 3] = ["jsonb_order", "interval_span", array_keys::NAME];

/// Returns the functions.
pub(super) fn functions() -> Vec<AggregateUDF> {
    static FUNCTIONS: LazyLock<Vec<AggregateUDF>> = LazyLock::new(|| {
        let all = SessionStateDefaults::default_aggregate_functions().into_iter();
        let holding = all.filter_map(|inner| {
            let name = HOLDING.into_iter().find(|name| *name == inner.name())?;
            Some(AggregateUDF::from(Holding { name, inner, is_reversed: false }))
        });
        holding.collect()
    });
    FUNCTIONS.clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Holding {
    name: &'static str,
    inner: Arc<AggregateUDF>,
    /// Whether it stands for one with the order turned round.
    is_reversed: bool,
}

/// What bounds one value.
#[derive(Debug, Clone, Copy)]
struct Bound {
    function: &'static str,
    /// Bytes that come between two of the values that it is made of.
    between: usize,
    /// Whether it is held as the arrays that were given.
    of_arrays: bool,
    /// Whether arrays are the parts of one, which must have the same dimensions.
    of_parts: bool,
    /// Whether only some of what is given is held, so that how much it is has to be asked for.
    is_distinct: bool,
}

impl Bound {
    fn of(function: &'static str, args: &AccumulatorArgs<'_>) -> Self {
        let delimiter = args.exprs.get(1).and_then(|delimiter| {
            let delimiter: &dyn Any = delimiter.as_ref();
            delimiter.downcast_ref::<Literal>()?.value().try_as_str()?
        });
        let of_arrays = function == "array_agg" && !args.is_distinct && args.order_bys.is_empty();
        let between = delimiter.map_or(0, str::len);
        let of_parts = function == "array_agg" && args.expr_fields.first().is_some_and(is_array);
        Self { function, between, of_arrays, of_parts, is_distinct: args.is_distinct }
    }

    /// Fails if so many bytes are too much for one value.
    fn check(self, held: usize) -> Result<()> {
        if held <= HELD_BYTES_MAX {
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

    /// The values as they are to be held.
    fn to_hold(self, values: &[ArrayRef]) -> Vec<ArrayRef> {
        if !self.of_arrays {
            return values.to_vec();
        }
        values.iter().map(compacted).collect()
    }

    /// Fails if the parts that were held cannot be those of the values.
    fn check_made(self, values: &ArrayRef) -> Result<()> {
        if self.of_parts { check_parts(values) } else { Ok(()) }
    }
}

/// Tells whether values are arrays; vectors of the catalog are none.
fn is_array(field: &FieldRef) -> bool {
    let is_vector =
        field.metadata().get(TYPE_KEY).is_some_and(|logical| logical.ends_with("vector"));
    matches!(field.data_type(), DataType::List(_)) && !is_vector
}

/// The order of distinct values where it is that of their keys: documents and intervals are sorted by what they say, and the
/// inner function takes values that are sorted by themselves alone.
fn order_of_values(args: &AccumulatorArgs<'_>) -> Option<Vec<PhysicalSortExpr>> {
    let ([by], Some(value)) = (args.order_bys, args.exprs.first()) else { return None };
    let key: &dyn Any = by.expr.as_ref();
    let key = key.downcast_ref::<ScalarFunctionExpr>().filter(|_| args.is_distinct)?;
    let is_key = KEYS.contains(&key.fun().name()) && key.args().iter().any(|arg| arg.eq(value));
    is_key.then(|| vec![PhysicalSortExpr { expr: Arc::clone(value), options: by.options }])
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
        let field = self.inner.inner().return_field(fields)?;
        let logical = fields.first().and_then(|element| array_of_documents(element));
        Ok(match logical.filter(|_| self.name == "array_agg") {
            Some(logical) => {
                let metadata = [(TYPE_KEY.to_owned(), logical.to_owned())].into();
                Arc::new(Arc::unwrap_or_clone(field).with_metadata(metadata))
            }
            None => field,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.inner().state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let bound = Bound::of(self.name, &args);
        let mut order = order_of_values(&args);
        if self.is_reversed && args.is_distinct {
            // They are sorted when all are there: as was asked, whatever order their rows have.
            let order = order.get_or_insert_with(|| args.order_bys.to_vec());
            order.iter_mut().for_each(|by| by.options = !by.options);
        }
        let order_bys = order.as_deref().unwrap_or(args.order_bys);
        let inner = self.inner.inner().accumulator(AccumulatorArgs { order_bys, ..args })?;
        Ok(Box::new(Bounded { bound, inner, held: 0 }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let bound = Bound::of(self.name, &args);
        let inner = self.inner.inner().create_sliding_accumulator(args)?;
        Ok(Box::new(Bounded { bound, inner, held: 0 }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.inner().groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let bound = Bound::of(self.name, &args);
        let inner = self.inner.inner().create_groups_accumulator(args)?;
        Ok(Box::new(BoundedGroups::new(bound, inner)))
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        beneficial_ordering: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = AggregateUDF::clone(&self.inner);
        let inner = match inner.with_beneficial_ordering(beneficial_ordering)? {
            Some(ordered) => Arc::new(ordered),
            // It sorts what it is given, in whatever order that comes.
            None => Arc::clone(&self.inner),
        };
        let ordered = Holding { name: self.name, inner, is_reversed: self.is_reversed };
        Ok(Some(Arc::new(ordered) as Arc<dyn AggregateUDFImpl>))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        match self.inner.inner().order_sensitivity() {
            // A string is put together of an array, and that is sorted where its rows are not: so two of them may have an
            // order each.
            AggregateOrderSensitivity::HardRequirement => {
                AggregateOrderSensitivity::SoftRequirement
            }
            other => other,
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.inner().reverse_expr() {
            ReversedUDAF::Reversed(inner) => {
                let reversed = Holding { name: self.name, inner, is_reversed: !self.is_reversed };
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
    bound: Bound,
    inner: Box<dyn Accumulator>,
    /// Bytes that it was given and that were not taken back.
    held: usize,
}

impl Bounded {
    /// Counts what comes, and fails if that is too much.
    fn take(&mut self, bytes: usize) -> Result<()> {
        check_current()?;
        self.held = self.held.saturating_add(bytes);
        if self.bound.is_distinct { Ok(()) } else { self.bound.check(self.held) }
    }

    /// Fails if it holds too much of values that it was given more than once, now that it has them.
    fn settle(&mut self) -> Result<()> {
        if self.bound.is_distinct && self.held > HELD_BYTES_MAX {
            let size = self.inner.size();
            // Nobody tells how many values there are, but how many there are at most.
            let between = (size / DISTINCT_BYTES).saturating_mul(self.bound.between);
            self.held = self.held.min(size.saturating_add(between));
        }
        self.bound.check(self.held)
    }

    /// The bytes of the values that are put into one. Nothing comes between nulls.
    fn given(&self, values: &[ArrayRef]) -> usize {
        let of = |values: &ArrayRef| {
            bytes(values.as_ref()) + (values.len() - values.null_count()) * self.bound.between
        };
        values.first().map_or(0, of)
    }
}

impl Accumulator for Bounded {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.take(self.given(values))?;
        self.inner.update_batch(&self.bound.to_hold(values))?;
        self.settle()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let between = self.bound.between;
        let of = |state: &ArrayRef| bytes(state.as_ref()) + elements(state) * between;
        self.take(states.first().map_or(0, of))?;
        self.inner.merge_batch(states)?;
        self.settle()
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        check_current()?;
        // What is held once may have been given before, and stays.
        if !self.bound.is_distinct {
            self.held = self.held.saturating_sub(self.given(values));
        }
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        check_current()?;
        let value = self.inner.evaluate()?;
        if let ScalarValue::List(list) = &value {
            self.bound.check_made(&(Arc::clone(list) as ArrayRef))?;
        }
        Ok(value)
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
        let some = "FROM generate_series(1, 30000)";
        for sql in [
            format!("SELECT array_agg(repeat('x', 1000) || value) {all}"),
            format!("SELECT string_agg(repeat('x', 1000) || value, ',') {all}"),
            format!("SELECT string_agg('x', repeat('y', 5000)) {some}"),
            format!("SELECT string_agg('x', repeat('y', 5000) ORDER BY value) {some}"),
            format!("SELECT string_agg(DISTINCT 'x' || value, repeat('y', 5000)) {some}"),
        ] {
            let failed = outcome(&sql).await.unwrap_err().to_string();
            assert!(failed.contains("would hold more than"), "{sql}: {failed}");
        }
        for (sql, expected) in [
            // Each counts once, and nulls have nothing between them.
            (
                format!(
                    "SELECT length(string_agg(DISTINCT 'x' || (value % 2), repeat('y', 3000))) {some}"
                ),
                "3004",
            ),
            (
                format!(
                    "SELECT length(string_agg(CASE WHEN value < 3 THEN 'x' END, repeat('y', 5000))) {some}"
                ),
                "5002",
            ),
        ] {
            assert_eq!(outcome(&sql).await.unwrap(), expected, "{sql}");
        }
    }
}
