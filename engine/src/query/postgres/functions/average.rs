//! `avg(x)` of integers and numerics as PostgreSQL has it: a numeric with the digits of the quotient of sum and count.
//!
//! Sums are kept in 128 bits and divided once. Averages of other types are DataFusion's.

use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, PrimitiveArray,
};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef,
    Int16Type, Int32Type, Int64Type,
};
use datafusion::common::types::{logical_int16, logical_int32, logical_int64};
use datafusion::common::{HashMap, Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Coercion, EmitTo, GroupsAccumulator, ReversedUDAF,
    Signature, TypeSignature, TypeSignatureClass,
};

use super::numeric::{
    DIGITS_MAX, Number, column_scale, decimal, digits_of, out_of_range, quotient_within,
};
use super::sum::{count, passes};

/// Returns the aggregate function.
pub(super) fn average() -> AggregateUDF {
    let inner = avg_udaf();
    let mut signature = inner.signature().clone();
    // Integers are taken as they are, and not as floating-point numbers.
    if let TypeSignature::OneOf(taken) = &mut signature.type_signature {
        taken.extend([logical_int16(), logical_int32(), logical_int64()].map(|whole| {
            TypeSignature::Coercible(vec![Coercion::new_exact(TypeSignatureClass::Native(whole))])
        }));
    }
    AggregateUDF::from(Average { inner, signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Average {
    /// What makes the other averages.
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

/// How the average of exact numbers is made.
#[derive(Debug, Clone, Copy)]
struct Exact {
    /// Digits of a value before the point.
    whole: i32,
    /// Digits of values and of their sum behind the point.
    values_scale: i32,
    /// Digits of the average behind the point.
    scale: i32,
}

impl Exact {
    /// Returns how values of a type are averaged; `None` for those that DataFusion averages.
    fn of(values: &DataType) -> Option<Self> {
        if !matches!(
            values,
            DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Decimal128(..)
        ) {
            return None;
        }
        let (digits, values_scale) = digits_of(values)?;
        let whole = digits - values_scale;
        let scale = column_scale(whole, digits >= DIGITS_MAX, values_scale);
        Some(Exact { whole, values_scale, scale })
    }

    fn of_fields(fields: &[FieldRef]) -> Option<Self> {
        fields.first().and_then(|values| Self::of(values.data_type()))
    }

    fn data_type(self) -> DataType {
        decimal(self.whole, self.scale)
    }

    fn sum_type(self) -> DataType {
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, self.values_scale as i8)
    }

    fn average(self, sum: i128, count: i64) -> Result<Option<i128>> {
        if count == 0 {
            return Ok(None);
        }
        let sum = Number { value: sum, scale: self.values_scale };
        let count = Number { value: count.into(), scale: 0 };
        quotient_within(sum, count, self.scale).map(Some).ok_or_else(out_of_range)
    }

    fn scalar(self, sum: i128, count: i64) -> Result<ScalarValue> {
        let average = self.average(sum, count)?;
        Ok(match self.data_type() {
            DataType::Decimal128(digits, scale) => ScalarValue::Decimal128(average, digits, scale),
            other => return internal_err!("an average is a decimal and not {other}"),
        })
    }

    fn sums(self, sums: Vec<i128>) -> Result<ArrayRef> {
        let sums = Decimal128Array::new(sums.into(), None);
        let scale = self.values_scale as i8;
        Ok(Arc::new(sums.with_precision_and_scale(DECIMAL128_MAX_PRECISION, scale)?))
    }
}

impl AggregateUDFImpl for Average {
    fn name(&self) -> &str {
        "avg"
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first().and_then(Exact::of) {
            Some(exact) => Ok(exact.data_type()),
            None => self.inner.inner().return_type(types),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let Some(exact) = Exact::of_fields(args.input_fields) else {
            return self.inner.inner().state_fields(args);
        };
        if args.is_distinct {
            let value = Field::new_list_field(exact.sum_type(), true);
            let name = format_state_name(args.name, "avg distinct");
            return Ok(vec![Arc::new(Field::new_list(name, value, false))]);
        }
        Ok(vec![
            Arc::new(Field::new(format_state_name(args.name, "sum"), exact.sum_type(), true)),
            Arc::new(Field::new(format_state_name(args.name, "count"), DataType::Int64, true)),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match Exact::of_fields(args.expr_fields) {
            Some(exact) => Ok(accumulator(exact, args.is_distinct)),
            None => self.inner.inner().accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match Exact::of_fields(args.expr_fields) {
            Some(exact) => Ok(accumulator(exact, args.is_distinct)),
            None => self.inner.inner().create_sliding_accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.inner().groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        match Exact::of_fields(args.expr_fields) {
            Some(exact) => Ok(Box::new(Groups { sums: vec![], counts: vec![], exact })),
            None => self.inner.inner().create_groups_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

fn accumulator(exact: Exact, is_distinct: bool) -> Box<dyn Accumulator> {
    match is_distinct {
        true => Box::new(Distinct { counts: HashMap::default(), exact }),
        false => Box::new(One { sum: 0, count: 0, exact }),
    }
}

/// Does something with an array of exact numbers in the type that it has.
macro_rules! with_numbers {
    ($array:expr, $numbers:ident => $body:expr) => {
        match $array.data_type() {
            DataType::Int16 => {
                let $numbers = $array.as_primitive::<Int16Type>();
                $body
            }
            DataType::Int32 => {
                let $numbers = $array.as_primitive::<Int32Type>();
                $body
            }
            DataType::Int64 => {
                let $numbers = $array.as_primitive::<Int64Type>();
                $body
            }
            DataType::Decimal128(..) => {
                let $numbers = $array.as_primitive::<Decimal128Type>();
                $body
            }
            other => return internal_err!("exact numbers were expected, found {other}"),
        }
    };
}

/// Adds an array to a sum.
fn added<T: ArrowPrimitiveType>(sum: i128, values: &PrimitiveArray<T>) -> Result<i128>
where
    T::Native: Into<i128>,
{
    let mut values = values.iter().flatten().map(|value| -> i128 { value.into() });
    values.try_fold(sum, i128::checked_add).ok_or_else(out_of_range)
}

/// One average, from which values can be taken back.
#[derive(Debug)]
struct One {
    sum: i128,
    count: i64,
    exact: Exact,
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.sum = with_numbers!(values[0], numbers => added(self.sum, numbers)?);
        self.count += count(&values[0]);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.sum -= with_numbers!(values[0], numbers => added(0, numbers)?);
        self.count -= count(&values[0]);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.sum = added(self.sum, states[0].as_primitive::<Decimal128Type>())?;
        self.count += states[1].as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let scale = self.exact.values_scale as i8;
        let sum = ScalarValue::Decimal128(Some(self.sum), DECIMAL128_MAX_PRECISION, scale);
        Ok(vec![sum, ScalarValue::Int64(Some(self.count))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.exact.scalar(self.sum, self.count)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// One average of distinct values.
#[derive(Debug)]
struct Distinct {
    /// How often each value is there; a window takes values back.
    counts: HashMap<i128, u64>,
    exact: Exact,
}

impl Distinct {
    fn add<T: ArrowPrimitiveType>(&mut self, values: &PrimitiveArray<T>)
    where
        T::Native: Into<i128>,
    {
        for value in values.iter().flatten() {
            *self.counts.entry(value.into()).or_default() += 1;
        }
    }

    fn take<T: ArrowPrimitiveType>(&mut self, values: &PrimitiveArray<T>)
    where
        T::Native: Into<i128>,
    {
        for value in values.iter().flatten() {
            let value: i128 = value.into();
            match self.counts.get_mut(&value) {
                Some(count) if *count > 1 => *count -= 1,
                _ => {
                    self.counts.remove(&value);
                }
            }
        }
    }
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        with_numbers!(values[0], numbers => self.add(numbers));
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        with_numbers!(values[0], numbers => self.take(numbers));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for list in states[0].as_list::<i32>().iter().flatten() {
            self.add(list.as_primitive::<Decimal128Type>());
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let scale = self.exact.values_scale as i8;
        let values = self
            .counts
            .keys()
            .map(|value| ScalarValue::Decimal128(Some(*value), DECIMAL128_MAX_PRECISION, scale));
        let values = values.collect::<Vec<_>>();
        Ok(vec![ScalarValue::List(ScalarValue::new_list(&values, &self.exact.sum_type(), true))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = self.counts.keys().try_fold(0_i128, |sum, value| sum.checked_add(*value));
        self.exact.scalar(sum.ok_or_else(out_of_range)?, self.counts.len() as i64)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.capacity() * (size_of::<(i128, u64)>() + 1)
    }
}

/// The averages of groups.
#[derive(Debug)]
struct Groups {
    sums: Vec<i128>,
    counts: Vec<i64>,
    exact: Exact,
}

impl Groups {
    /// Adds values to their groups: those that are not null and that `filter` lets through.
    fn add<T: ArrowPrimitiveType>(
        &mut self,
        values: &PrimitiveArray<T>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
    ) -> Result<()>
    where
        T::Native: Into<i128>,
    {
        let is_whole = values.null_count() == 0 && filter.is_none();
        for (row, (group, value)) in groups.iter().zip(values.values()).enumerate() {
            if is_whole || values.is_valid(row) && passes(filter, row) {
                let sum = &mut self.sums[*group];
                *sum = sum.checked_add((*value).into()).ok_or_else(out_of_range)?;
                self.counts[*group] += 1;
            }
        }
        Ok(())
    }

    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, 0);
        self.counts.resize(groups, 0);
    }

    /// Takes sums and counts out.
    fn take(&mut self, emit_to: EmitTo) -> (Vec<i128>, Vec<i64>) {
        (emit_to.take_needed(&mut self.sums), emit_to.take_needed(&mut self.counts))
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.resize(total_num_groups);
        with_numbers!(values[0], numbers => self.add(numbers, group_indices, opt_filter))
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.resize(total_num_groups);
        let sums = values[0].as_primitive::<Decimal128Type>();
        let counts = values[1].as_primitive::<Int64Type>();
        for ((group, sum), count) in group_indices.iter().zip(sums.values()).zip(counts.values()) {
            let added = self.sums[*group].checked_add(*sum);
            self.sums[*group] = added.ok_or_else(out_of_range)?;
            self.counts[*group] += count;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let exact = self.exact;
        let DataType::Decimal128(digits, scale) = exact.data_type() else {
            return internal_err!("an average is a decimal");
        };
        let (sums, counts) = self.take(emit_to);
        let averages = sums.into_iter().zip(counts).map(|(sum, count)| exact.average(sum, count));
        let averages = averages.collect::<Result<Decimal128Array>>()?;
        Ok(Arc::new(averages.with_precision_and_scale(digits, scale)?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (sums, counts) = self.take(emit_to);
        Ok(vec![self.exact.sums(sums)?, Arc::new(Int64Array::from(counts))])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let (sums, counts) = with_numbers!(values[0], numbers => alone(numbers, opt_filter));
        Ok(vec![self.exact.sums(sums)?, Arc::new(counts)])
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.sums.capacity() * size_of::<i128>()
            + self.counts.capacity() * size_of::<i64>()
    }
}

/// Returns each value that `filter` lets through as the sum of itself, with how many values that is.
fn alone<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    filter: Option<&BooleanArray>,
) -> (Vec<i128>, Int64Array)
where
    T::Native: Into<i128>,
{
    let is_in = |row: usize| values.is_valid(row) && passes(filter, row);
    let numbers = values.values().iter().enumerate();
    let sums: Vec<i128> =
        numbers.map(|(row, value)| if is_in(row) { (*value).into() } else { 0 }).collect();
    let counts = (0..values.len()).map(|row| i64::from(is_in(row))).collect();
    (sums, counts)
}
