//! `sum(x)` of integers as PostgreSQL has it: a sum of `bigint` is a `numeric`, one of `integer` or `smallint` a `bigint`.
//!
//! DataFusion's own is a bigint that wraps around. Here integers are added up in 128 bits, where no sum of bigints wraps, and
//! a sum that has to be a bigint is looked at once, when it is asked for: what does not fit on the way matters as little as
//! the order of values. Sums of other types are DataFusion's.

use std::mem::size_of_val;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, PrimitiveArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef,
    Int16Type, Int32Type, Int64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::types::{logical_int16, logical_int32};
use datafusion::common::{DFSchema, HashMap, Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Coercion, EmitTo, ExprSchemable,
    GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature, TypeSignature, TypeSignatureClass,
};

/// What integers are added up in: as many digits as there are, and none behind the point.
const NUMERIC: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);

/// The sum of sums, which stay of their type.
static OF_SUMS: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Arc::new(function(true)));

/// Returns the aggregate function.
pub(super) fn sum() -> AggregateUDF {
    function(false)
}

fn function(of_sums: bool) -> AggregateUDF {
    let inner = sum_udaf();
    let mut signature = inner.signature().clone();
    // Integers that are narrower than a bigint are taken as they are.
    if let TypeSignature::OneOf(taken) = &mut signature.type_signature {
        taken.extend([logical_int16(), logical_int32()].map(|narrow| {
            TypeSignature::Coercible(vec![Coercion::new_exact(TypeSignatureClass::Native(narrow))])
        }));
    }
    AggregateUDF::from(Sum { inner, signature, of_sums })
}

/// Returns the function that keeps the type of a sum which is a bigint when it is added up again; `None` for other calls.
///
/// Beside `DISTINCT` the optimizer makes two sums of one, the second of the first, and calls the same function for both.
pub(crate) fn added_again(
    call: &AggregateFunction,
    schema: &DFSchema,
) -> Option<Arc<AggregateUDF>> {
    let sum = call.func.inner().downcast_ref::<Sum>().filter(|sum| !sum.of_sums)?;
    let values = call.params.args.first()?.get_type(schema).ok()?;
    (sum.whole(&values) == Some(Whole::Bigint)).then(|| Arc::clone(&OF_SUMS))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    /// What makes the other sums.
    inner: Arc<AggregateUDF>,
    signature: Signature,
    /// Whether bigints are sums that were made before.
    of_sums: bool,
}

/// The type of a sum of integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Bigint,
    Numeric,
}

impl Sum {
    /// Returns what a sum of values of a type is; `None` if it is not made here.
    fn whole(&self, values: &DataType) -> Option<Whole> {
        match values {
            DataType::Int16 | DataType::Int32 => Some(Whole::Bigint),
            DataType::Int64 if self.of_sums => Some(Whole::Bigint),
            DataType::Int64 => Some(Whole::Numeric),
            _ => None,
        }
    }

    fn of_fields(&self, fields: &[FieldRef]) -> Option<Whole> {
        fields.first().and_then(|values| self.whole(values.data_type()))
    }
}

impl Whole {
    fn scalar(self, sum: Option<i128>) -> Result<ScalarValue> {
        Ok(match self {
            Whole::Bigint => ScalarValue::Int64(sum.map(fitting).transpose()?),
            Whole::Numeric => numeric(sum),
        })
    }

    fn array(self, sums: Vec<i128>, some: Vec<bool>) -> Result<ArrayRef> {
        Ok(match self {
            Whole::Bigint => {
                let sums = sums.into_iter().zip(some);
                let bigints = sums.map(|(sum, some)| some.then(|| fitting(sum)).transpose());
                Arc::new(bigints.collect::<Result<Int64Array>>()?)
            }
            Whole::Numeric => Arc::new(numerics(sums, some)?),
        })
    }
}

fn fitting(sum: i128) -> Result<i64> {
    i64::try_from(sum)
        .map_err(|_| ArrowError::ArithmeticOverflow("bigint out of range".into()).into())
}

fn numeric(sum: Option<i128>) -> ScalarValue {
    ScalarValue::Decimal128(sum, DECIMAL128_MAX_PRECISION, 0)
}

/// Returns sums as an array, null where there is none.
fn numerics(sums: Vec<i128>, some: Vec<bool>) -> Result<Decimal128Array> {
    let nulls = Some(NullBuffer::from(some)).filter(|nulls| nulls.null_count() > 0);
    let sums = Decimal128Array::new(sums.into(), nulls);
    Ok(sums.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 0)?)
}

fn accumulator(whole: Whole, is_distinct: bool) -> Box<dyn Accumulator> {
    match is_distinct {
        true => Box::new(Distinct { counts: HashMap::default(), whole }),
        false => Box::new(One { sum: 0, values: 0, whole }),
    }
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first().and_then(|values| self.whole(values)) {
            Some(Whole::Bigint) => Ok(DataType::Int64),
            Some(Whole::Numeric) => Ok(NUMERIC),
            None => self.inner.inner().return_type(types),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if self.of_fields(args.input_fields).is_none() {
            return self.inner.inner().state_fields(args);
        }
        let field = match args.is_distinct {
            true => {
                let value = Field::new_list_field(DataType::Int64, true);
                Field::new_list(format_state_name(args.name, "sum distinct"), value, false)
            }
            false => Field::new(format_state_name(args.name, "sum"), NUMERIC, true),
        };
        Ok(vec![Arc::new(field)])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match self.of_fields(args.expr_fields) {
            Some(whole) => Ok(accumulator(whole, args.is_distinct)),
            None => self.inner.inner().accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match self.of_fields(args.expr_fields) {
            Some(whole) => Ok(accumulator(whole, args.is_distinct)),
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
        match self.of_fields(args.expr_fields).filter(|_| !args.is_distinct) {
            Some(whole) => Ok(Box::new(Groups { sums: vec![], some: vec![], whole })),
            None => self.inner.inner().create_groups_accumulator(args),
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

/// Does something with an array of integers in the type that it has.
macro_rules! with_integers {
    ($array:expr, $integers:ident => $body:expr) => {
        match $array.data_type() {
            DataType::Int16 => {
                let $integers = $array.as_primitive::<Int16Type>();
                $body
            }
            DataType::Int32 => {
                let $integers = $array.as_primitive::<Int32Type>();
                $body
            }
            DataType::Int64 => {
                let $integers = $array.as_primitive::<Int64Type>();
                $body
            }
            other => return internal_err!("integers were expected, found {other}"),
        }
    };
}

/// Adds up an array.
fn total<T: ArrowPrimitiveType>(values: &PrimitiveArray<T>) -> i128
where
    T::Native: Into<i128>,
{
    match values.null_count() {
        0 => values.values().iter().map(|value| -> i128 { (*value).into() }).sum(),
        _ => values.iter().flatten().map(|value| -> i128 { value.into() }).sum(),
    }
}

/// How many values of an array are not null.
pub(super) fn count(values: &dyn Array) -> i64 {
    (values.len() - values.null_count()) as i64
}

/// One sum, from which values can be taken back.
#[derive(Debug)]
struct One {
    sum: i128,
    /// How many values went in; of none the sum is null.
    values: i64,
    whole: Whole,
}

impl One {
    fn sum(&self) -> Option<i128> {
        (self.values > 0).then_some(self.sum)
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.sum += with_integers!(values[0], integers => total(integers));
        self.values += count(&values[0]);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.sum -= with_integers!(values[0], integers => total(integers));
        self.values -= count(&values[0]);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.sum += total(states[0].as_primitive::<Decimal128Type>());
        self.values += count(&states[0]);
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![numeric(self.sum())])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.whole.scalar(self.sum())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// One sum of distinct values.
#[derive(Debug)]
struct Distinct {
    /// How often each value is there; a window takes values back.
    counts: HashMap<i64, u64>,
    whole: Whole,
}

impl Distinct {
    fn add(&mut self, bigints: &Int64Array) {
        for value in bigints.iter().flatten() {
            *self.counts.entry(value).or_default() += 1;
        }
    }
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(cast(&values[0], &DataType::Int64)?.as_primitive());
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let bigints = cast(&values[0], &DataType::Int64)?;
        for value in bigints.as_primitive::<Int64Type>().iter().flatten() {
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
            self.add(list.as_primitive());
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
        self.whole.scalar(sum)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.capacity() * (size_of::<(i64, u64)>() + 1)
    }
}

/// The sums of groups.
#[derive(Debug)]
struct Groups {
    sums: Vec<i128>,
    /// Whether a group has a value; of none the sum is null.
    some: Vec<bool>,
    whole: Whole,
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

    /// Takes sums out, with whether there is one.
    fn take(&mut self, emit_to: EmitTo) -> (Vec<i128>, Vec<bool>) {
        (emit_to.take_needed(&mut self.sums), emit_to.take_needed(&mut self.some))
    }
}

/// Tells whether a filter lets a row through.
pub(super) fn passes(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

/// Returns each value that `filter` lets through as the sum of itself.
fn alone<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    filter: Option<&BooleanArray>,
) -> Result<Decimal128Array>
where
    T::Native: Into<i128>,
{
    let sums = values.values().iter().map(|value| -> i128 { (*value).into() }).collect();
    let rows = 0..values.len();
    let some = rows.map(|row| values.is_valid(row) && passes(filter, row)).collect();
    numerics(sums, some)
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        with_integers!(values[0], integers => {
            self.add(integers, group_indices, opt_filter, total_num_groups);
        });
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
        let (sums, some) = self.take(emit_to);
        self.whole.array(sums, some)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (sums, some) = self.take(emit_to);
        Ok(vec![Arc::new(numerics(sums, some)?)])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let sums = with_integers!(values[0], integers => alone(integers, opt_filter)?);
        Ok(vec![Arc::new(sums)])
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.sums.capacity() * size_of::<i128>()
            + self.some.capacity() * size_of::<bool>()
    }
}
