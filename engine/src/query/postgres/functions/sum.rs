//! `sum(x)` of integers that fails where the sum does not fit, as their arithmetic does.
//!
//! DataFusion's own wraps around. Here integers are added up in 128 bits and looked at once, when the sum is asked for: what
//! does not fit on the way matters as little as the order of values. Sums of other types are DataFusion's.

use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, PrimitiveArray,
};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef,
    Int64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{HashMap, Result, ScalarValue};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature,
};

/// Returns the aggregate function.
pub(super) fn sum() -> AggregateUDF {
    AggregateUDF::from(Sum { inner: sum_udaf() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    /// What makes the other sums.
    inner: Arc<AggregateUDF>,
}

/// Tells whether a sum is one of integers, which is made here.
fn is_checked(result: &DataType) -> bool {
    result == &DataType::Int64
}

fn accumulator(is_distinct: bool) -> Box<dyn Accumulator> {
    if is_distinct { Box::new(Distinct::default()) } else { Box::new(One::default()) }
}

/// The sum of any number of integers: their count is below 2^64.
const STATE: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);

fn fitting(sum: i128) -> Result<i64> {
    i64::try_from(sum)
        .map_err(|_| ArrowError::ArithmeticOverflow("bigint out of range".into()).into())
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.inner().return_type(types)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match is_checked(args.return_type()) && !args.is_distinct {
            true => {
                Ok(vec![Arc::new(Field::new(format_state_name(args.name, "sum"), STATE, true))])
            }
            // Of distinct values it is a list of them, here as there.
            false => self.inner.inner().state_fields(args),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match is_checked(args.return_field.data_type()) {
            true => Ok(accumulator(args.is_distinct)),
            false => self.inner.inner().accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match is_checked(args.return_field.data_type()) {
            true => Ok(accumulator(args.is_distinct)),
            false => self.inner.inner().create_sliding_accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.inner().groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        match is_checked(args.return_field.data_type()) && !args.is_distinct {
            true => Ok(Box::new(Groups::default())),
            false => self.inner.inner().create_groups_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }
}

/// One sum, from which values can be taken back.
#[derive(Debug, Default)]
struct One {
    sum: i128,
    /// How many values went in; of none the sum is null.
    values: i64,
}

impl One {
    fn change(&mut self, values: impl Iterator<Item = i128>, by: i64) {
        for value in values {
            self.sum += value * i128::from(by);
            self.values += by;
        }
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let integers = values[0].as_primitive::<Int64Type>();
        self.change(integers.iter().flatten().map(i128::from), 1);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let integers = values[0].as_primitive::<Int64Type>();
        self.change(integers.iter().flatten().map(i128::from), -1);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.change(states[0].as_primitive::<Decimal128Type>().iter().flatten(), 1);
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sum = (self.values > 0).then_some(self.sum);
        Ok(vec![ScalarValue::Decimal128(sum, DECIMAL128_MAX_PRECISION, 0)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = (self.values > 0).then_some(self.sum);
        Ok(ScalarValue::Int64(sum.map(fitting).transpose()?))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// One sum of distinct values.
#[derive(Debug, Default)]
struct Distinct {
    /// How often each value is there; a window takes values back.
    counts: HashMap<i64, u64>,
}

impl Distinct {
    fn add(&mut self, integers: &Int64Array) {
        for value in integers.iter().flatten() {
            *self.counts.entry(value).or_default() += 1;
        }
    }
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values[0].as_primitive::<Int64Type>());
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<Int64Type>().iter().flatten() {
            match self.counts.get_mut(&value) {
                Some(count) if *count > 1 => *count -= 1,
                _ => {
                    self.counts.remove(&value);
                }
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for list in states[0].as_list::<i32>().iter().flatten() {
            self.add(list.as_primitive::<Int64Type>());
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = self.counts.keys().map(|value| ScalarValue::Int64(Some(*value)));
        let values = values.collect::<Vec<_>>();
        Ok(vec![ScalarValue::List(ScalarValue::new_list(&values, &DataType::Int64, true))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let some = !self.counts.is_empty();
        let sum = some.then(|| self.counts.keys().map(|value| i128::from(*value)).sum());
        Ok(ScalarValue::Int64(sum.map(fitting).transpose()?))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.capacity() * (size_of::<(i64, u64)>() + 1)
    }
}

/// The sums of groups.
#[derive(Debug, Default)]
struct Groups {
    sums: Vec<i128>,
    /// Whether a group has a value; of none the sum is null.
    some: Vec<bool>,
}

impl Groups {
    /// Adds values to their groups: those that are not null and that `filter` lets through.
    fn add<T: ArrowPrimitiveType>(
        &mut self,
        values: &PrimitiveArray<T>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        group_count: usize,
    ) where
        T::Native: Into<i128>,
    {
        self.sums.resize(group_count, 0);
        self.some.resize(group_count, false);
        let pairs = groups.iter().zip(values.values());
        if values.null_count() == 0 && filter.is_none() {
            for (group, value) in pairs {
                let value: i128 = (*value).into();
                self.sums[*group] += value;
                self.some[*group] = true;
            }
            return;
        }
        for (row, (group, value)) in pairs.enumerate() {
            if values.is_valid(row) && passes(filter, row) {
                let value: i128 = (*value).into();
                self.sums[*group] += value;
                self.some[*group] = true;
            }
        }
    }

    /// Takes sums out, null for groups without a value.
    fn take(&mut self, emit_to: EmitTo) -> impl Iterator<Item = Option<i128>> {
        let (sums, some) =
            (emit_to.take_needed(&mut self.sums), emit_to.take_needed(&mut self.some));
        sums.into_iter().zip(some).map(|(sum, some)| some.then_some(sum))
    }
}

fn passes(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

fn state_of(sums: impl Iterator<Item = Option<i128>>) -> Result<Vec<ArrayRef>> {
    let sums = sums.collect::<Decimal128Array>();
    Ok(vec![Arc::new(sums.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 0)?)])
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let integers = values[0].as_primitive::<Int64Type>();
        self.add(integers, group_indices, opt_filter, total_num_groups);
        Ok(())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        let sums = values[0].as_primitive::<Decimal128Type>();
        self.add(sums, group_indices, None, total_num_groups);
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let fitting = self.take(emit_to).map(|sum| sum.map(fitting).transpose());
        Ok(Arc::new(fitting.collect::<Result<Int64Array>>()?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        state_of(self.take(emit_to))
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let integers = values[0].as_primitive::<Int64Type>().iter().enumerate();
        let passing = integers.map(|(row, value)| value.filter(|_| passes(opt_filter, row)));
        state_of(passing.map(|value| value.map(i128::from)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.sums.capacity() * size_of::<i128>()
            + self.some.capacity() * size_of::<bool>()
    }
}
