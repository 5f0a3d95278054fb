//! `var_samp`, `var_pop` and their roots of integers and numerics as PostgreSQL has them: numerics, worked out of exact sums.
//!
//! Those of floating-point numbers are DataFusion's.

use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal256Array, Int64Array,
};
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type,
    Field, FieldRef, Int64Type, i256,
};
use datafusion::common::{HashSet, Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::stddev::{stddev_pop_udaf, stddev_udaf};
use datafusion::functions_aggregate::variance::{var_pop_udaf, var_samp_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Coercion, EmitTo, GroupsAccumulator, Signature,
    TypeSignature, TypeSignatureClass, Volatility,
};

use super::numeric::{
    DIGITS_MAX, Number, column_scale, decimal, decimals, digits_of, narrow, out_of_range,
    whole_root, wide_power,
};
use super::sum::passes;

/// The digits of a value, whatever its scale.
const VALUE: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);

/// Returns the aggregate functions.
pub(super) fn functions() -> Vec<AggregateUDF> {
    let functions = [
        (stddev_udaf(), Kind { is_root: true, is_sample: true }),
        (stddev_pop_udaf(), Kind { is_root: true, is_sample: false }),
        (var_samp_udaf(), Kind { is_root: false, is_sample: true }),
        (var_pop_udaf(), Kind { is_root: false, is_sample: false }),
    ];
    let exact = [DataType::Int16, DataType::Int32, DataType::Int64, DataType::Float64];
    let mut taken: Vec<_> = exact.map(|found| TypeSignature::Exact(vec![found])).into();
    let numeric = Coercion::new_exact(TypeSignatureClass::Decimal);
    taken.push(TypeSignature::Coercible(vec![numeric]));
    let functions = functions.map(|(inner, kind)| {
        let signature = Signature::one_of(taken.clone(), Volatility::Immutable);
        AggregateUDF::from(Variance { inner, signature, kind })
    });
    functions.into()
}

/// Which of the four functions it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    /// Whether it is the root of the variance.
    is_root: bool,
    /// Whether the values are a sample of all that there are.
    is_sample: bool,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Variance {
    /// What works out the variance of other values.
    inner: Arc<AggregateUDF>,
    signature: Signature,
    kind: Kind,
}

/// How the result is made of the sums.
#[derive(Debug, Clone, Copy)]
struct Exact {
    kind: Kind,
    /// Digits of the result before the point.
    whole: i32,
    /// Digits of a value behind the point.
    values_scale: i32,
    /// Digits of the result behind the point.
    scale: i32,
}

impl Exact {
    fn of(values: &DataType, kind: Kind) -> Option<Self> {
        if !matches!(
            values,
            DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Decimal128(..)
        ) {
            return None;
        }
        let (digits, values_scale) = digits_of(values)?;
        let power = if kind.is_root { 1 } else { 2 };
        let whole = (digits - values_scale) * power + 1;
        let is_open = digits >= DIGITS_MAX || whole >= DIGITS_MAX;
        Some(Exact { kind, whole, values_scale, scale: column_scale(whole, is_open, values_scale) })
    }

    fn of_fields(fields: &[FieldRef], kind: Kind) -> Option<Self> {
        fields.first().and_then(|values| Self::of(values.data_type(), kind))
    }

    fn data_type(self) -> DataType {
        decimal(self.whole, self.scale)
    }

    /// Returns the result; `None` of too few values.
    fn result(self, sums: &Sums) -> Result<Option<i128>> {
        let least = if self.kind.is_sample { 2 } else { 1 };
        if sums.count < least {
            return Ok(None);
        }
        let result = || {
            let count = i128::from(sums.count);
            let sum = i256::from_i128(sums.sum);
            let spread = sums.squares.checked_mul(i256::from_i128(count))?;
            let spread = narrow(spread.checked_sub(sum.checked_mul(sum)?)?, self.values_scale * 2)?;
            if spread.value <= 0 {
                return Some(0);
            }
            let others = if self.kind.is_sample { count - 1 } else { count };
            let by = Number { value: count * others, scale: 0 };
            let scale = spread.quotient_scale(by).min(self.scale);
            let variance = Number { value: spread.divided(by, scale)?, scale };
            match self.kind.is_root {
                true => Number { value: root(variance)?, scale }.rounded(self.scale),
                false => variance.rounded(self.scale),
            }
        };
        result().map(Some).ok_or_else(out_of_range)
    }

    fn scalar(self, sums: &Sums) -> Result<ScalarValue> {
        let DataType::Decimal128(digits, scale) = self.data_type() else {
            return internal_err!("a variance is a decimal");
        };
        Ok(ScalarValue::Decimal128(self.result(sums)?, digits, scale))
    }
}

/// Returns the digits of the root of a number that is not negative, with as many behind the point as it has.
fn root(number: Number) -> Option<i128> {
    whole_root(i256::from_i128(number.value).checked_mul(wide_power(number.scale)?)?)
}

/// What is added up of the values of a group.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: i64,
    sum: i128,
    squares: i256,
}

impl Sums {
    fn add(&mut self, value: i128) -> Result<()> {
        self.count += 1;
        self.merge(0, value, square(value)?)
    }

    fn take(&mut self, value: i128) -> Result<()> {
        self.count -= 1;
        self.merge(0, -value, i256::ZERO.checked_sub(square(value)?).ok_or_else(out_of_range)?)
    }

    fn merge(&mut self, count: i64, sum: i128, squares: i256) -> Result<()> {
        self.count += count;
        self.sum = self.sum.checked_add(sum).ok_or_else(out_of_range)?;
        self.squares = self.squares.checked_add(squares).ok_or_else(out_of_range)?;
        Ok(())
    }
}

fn square(value: i128) -> Result<i256> {
    // Nearly all squares have 128 bits, and wider ones take longer.
    if let Some(square) = value.checked_mul(value) {
        return Ok(i256::from_i128(square));
    }
    let value = i256::from_i128(value);
    value.checked_mul(value).ok_or_else(out_of_range)
}

impl AggregateUDFImpl for Variance {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first().and_then(|values| Exact::of(values, self.kind)) {
            Some(exact) => Ok(exact.data_type()),
            None => self.inner.inner().return_type(types),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if Exact::of_fields(args.input_fields, self.kind).is_none() {
            return self.inner.inner().state_fields(args);
        }
        if args.is_distinct {
            let value = Field::new_list_field(VALUE, true);
            let name = format_state_name(args.name, "distinct");
            return Ok(vec![Arc::new(Field::new_list(name, value, false))]);
        }
        let field = |name: &str, data_type: DataType| {
            Arc::new(Field::new(format_state_name(args.name, name), data_type, true))
        };
        Ok(vec![
            field("count", DataType::Int64),
            field("sum", DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)),
            field("squares", DataType::Decimal256(DECIMAL256_MAX_PRECISION, 0)),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match Exact::of_fields(args.expr_fields, self.kind) {
            Some(exact) if args.is_distinct => {
                Ok(Box::new(OfDistinct { values: HashSet::default(), exact }))
            }
            Some(exact) => Ok(Box::new(One { sums: Sums::default(), exact })),
            None => self.inner.inner().accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match Exact::of_fields(args.expr_fields, self.kind) {
            Some(_) => self.accumulator(args),
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
        match Exact::of_fields(args.expr_fields, self.kind) {
            Some(exact) => Ok(Box::new(Groups { groups: vec![], exact })),
            None => self.inner.inner().create_groups_accumulator(args),
        }
    }
}

/// One result, from which values can be taken back.
#[derive(Debug)]
struct One {
    sums: Sums,
    exact: Exact,
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (values, _) = decimals(&values[0])?;
        values.iter().flatten().try_for_each(|value| self.sums.add(value))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (values, _) = decimals(&values[0])?;
        values.iter().flatten().try_for_each(|value| self.sums.take(value))
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let states = States::of(states);
        (0..states.counts.len()).try_for_each(|row| states.merge(row, &mut self.sums))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let Sums { count, sum, squares } = self.sums;
        Ok(vec![
            ScalarValue::Int64(Some(count)),
            ScalarValue::Decimal128(Some(sum), DECIMAL128_MAX_PRECISION, 0),
            ScalarValue::Decimal256(Some(squares), DECIMAL256_MAX_PRECISION, 0),
        ])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.exact.scalar(&self.sums)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The result of the distinct values.
#[derive(Debug)]
struct OfDistinct {
    values: HashSet<i128>,
    exact: Exact,
}

impl Accumulator for OfDistinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (values, _) = decimals(&values[0])?;
        self.values.extend(values.iter().flatten());
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for list in states[0].as_list::<i32>().iter().flatten() {
            self.values.extend(list.as_primitive::<Decimal128Type>().iter().flatten());
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = self.values.iter();
        let values = values
            .map(|value| ScalarValue::Decimal128(Some(*value), DECIMAL128_MAX_PRECISION, 0))
            .collect::<Vec<_>>();
        Ok(vec![ScalarValue::List(ScalarValue::new_list(&values, &VALUE, true))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut sums = Sums::default();
        self.values.iter().try_for_each(|value| sums.add(*value))?;
        self.exact.scalar(&sums)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * (size_of::<i128>() + 1)
    }
}

/// Sums of other accumulators.
struct States<'a> {
    counts: &'a Int64Array,
    sums: &'a Decimal128Array,
    squares: &'a Decimal256Array,
}

impl<'a> States<'a> {
    fn of(states: &'a [ArrayRef]) -> Self {
        States {
            counts: states[0].as_primitive::<Int64Type>(),
            sums: states[1].as_primitive::<Decimal128Type>(),
            squares: states[2].as_primitive::<Decimal256Type>(),
        }
    }

    fn merge(&self, row: usize, into: &mut Sums) -> Result<()> {
        into.merge(self.counts.value(row), self.sums.value(row), self.squares.value(row))
    }
}

/// The results of groups.
#[derive(Debug)]
struct Groups {
    groups: Vec<Sums>,
    exact: Exact,
}

/// Returns the state of groups as columns.
fn columns(groups: &[Sums]) -> Result<Vec<ArrayRef>> {
    let counts: Int64Array = groups.iter().map(|group| group.count).collect();
    let sums: Decimal128Array = groups.iter().map(|group| Some(group.sum)).collect();
    let squares: Decimal256Array = groups.iter().map(|group| Some(group.squares)).collect();
    Ok(vec![
        Arc::new(counts),
        Arc::new(sums.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 0)?),
        Arc::new(squares.with_precision_and_scale(DECIMAL256_MAX_PRECISION, 0)?),
    ])
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize(total_num_groups, Sums::default());
        let (values, _) = decimals(&values[0])?;
        for (row, group) in group_indices.iter().enumerate() {
            if values.is_valid(row) && passes(opt_filter, row) {
                self.groups[*group].add(values.value(row))?;
            }
        }
        Ok(())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize(total_num_groups, Sums::default());
        let states = States::of(values);
        for (row, group) in group_indices.iter().enumerate() {
            states.merge(row, &mut self.groups[*group])?;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let exact = self.exact;
        let DataType::Decimal128(digits, scale) = exact.data_type() else {
            return internal_err!("a variance is a decimal");
        };
        let groups = emit_to.take_needed(&mut self.groups);
        let results = groups.iter().map(|group| exact.result(group));
        let results = results.collect::<Result<Decimal128Array>>()?;
        Ok(Arc::new(results.with_precision_and_scale(digits, scale)?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        columns(&emit_to.take_needed(&mut self.groups))
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let (values, _) = decimals(&values[0])?;
        let mut rows = vec![Sums::default(); values.len()];
        for (row, sums) in rows.iter_mut().enumerate() {
            if values.is_valid(row) && passes(opt_filter, row) {
                sums.add(values.value(row))?;
            }
        }
        columns(&rows)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.groups.capacity() * size_of::<Sums>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, values: &[i128], scale: i32, expected: &str) {
        let exact = Exact { kind, whole: 10, values_scale: scale, scale: 20 };
        let mut sums = Sums::default();
        for value in values {
            sums.add(*value).unwrap();
        }
        let found = exact.result(&sums).unwrap().unwrap();
        let (whole, fraction) = expected.split_once('.').unwrap();
        let expected = format!("{whole}{fraction:0<20}").parse::<i128>().unwrap();
        assert_eq!(found, expected, "{kind:?} of {values:?}");
    }

    #[test]
    fn results_have_the_digits_of_postgresql() {
        let sample = Kind { is_root: false, is_sample: true };
        let all = Kind { is_root: false, is_sample: false };
        check(sample, &[1, 2, 4], 0, "2.3333333333333333");
        check(all, &[1, 2, 4], 0, "1.5555555555555556");
        check(sample, &[150, 250], 2, "0.50000000000000000000");
        check(Kind { is_root: true, ..sample }, &[1, 2, 4], 0, "1.5275252316519467");
        check(Kind { is_root: true, ..all }, &[2, 4, 4, 4, 5, 5, 7, 9], 0, "2.0000000000000000");
        check(all, &[7, 7], 0, "0.0");
    }

    #[test]
    fn too_few_values_have_none() {
        let kind = Kind { is_root: false, is_sample: true };
        let exact = Exact { kind, whole: 10, values_scale: 0, scale: 16 };
        let mut sums = Sums::default();
        sums.add(5).unwrap();
        assert_eq!(exact.result(&sums).unwrap(), None);
        sums.add(9).unwrap();
        sums.take(5).unwrap();
        assert_eq!(exact.result(&sums).unwrap(), None);
    }
}
