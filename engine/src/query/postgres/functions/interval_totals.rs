//! `sum`, `avg`, `min` and `max` of intervals, which DataFusion does not have or finds by comparing their parts.
//!
//! [`with_intervals`] lets `sum` and `avg` take intervals while a statement is planned. Once its types are settled,
//! [`settled`] puts the aggregates of this file where they are over intervals, and the functions that were there before where
//! they are not: to everything else they are what they were.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::mem::{size_of, size_of_val};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Coercion, GroupsAccumulator, Signature,
    TypeSignature, TypeSignatureClass, Volatility,
};

use super::elapsed::{INTERVAL, length};
use super::failure;
use super::spans::scaled;
use crate::Error;

const NANOS_A_DAY: i128 = 86_400_000_000_000;

/// Functions that take intervals here and not in DataFusion.
const TOTALS: [&str; 2] = ["sum", "avg"];

static DEFAULTS: LazyLock<Vec<Arc<AggregateUDF>>> = LazyLock::new(|| {
    let all = SessionStateDefaults::default_aggregate_functions().into_iter();
    all.filter(|known| TOTALS.contains(&known.name())).collect()
});

static KINDS: LazyLock<[Arc<AggregateUDF>; 4]> = LazyLock::new(|| {
    [Kind::Sum, Kind::Average, Kind::Least, Kind::Greatest].map(|kind| {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(AggregateUDF::from(OfIntervals { kind, signature }))
    })
});

/// Lets `sum` and `avg` take intervals, too: those of `own`, and DataFusion's where it has none.
pub(super) fn with_intervals(own: Vec<AggregateUDF>) -> Vec<AggregateUDF> {
    let (mut totals, mut others): (Vec<_>, Vec<_>) =
        own.into_iter().partition(|function| TOTALS.contains(&function.name()));
    for known in DEFAULTS.iter() {
        if !totals.iter().any(|function| function.name() == known.name()) {
            totals.push(AggregateUDF::clone(known));
        }
    }
    others.extend(totals.into_iter().map(|inner| {
        let mut signature = inner.signature().clone();
        let interval = Coercion::new_exact(TypeSignatureClass::Interval);
        let interval = TypeSignature::Coercible(vec![interval]);
        signature.type_signature = match signature.type_signature {
            TypeSignature::OneOf(mut taken) => {
                taken.push(interval);
                TypeSignature::OneOf(taken)
            }
            other => TypeSignature::OneOf(vec![other, interval]),
        };
        AggregateUDF::from(Open { inner: Arc::new(inner), signature })
    }));
    others
}

/// Returns the function that stands in the place of another over values of a type; `None` where that stays.
pub(in crate::query::postgres) fn settled(
    function: &Arc<AggregateUDF>,
    values: &DataType,
) -> Option<Arc<AggregateUDF>> {
    let open = function.inner().downcast_ref::<Open>();
    if *values != INTERVAL {
        return open.map(|open| Arc::clone(&open.inner));
    }
    let kind = match function.name() {
        "sum" if open.is_some() => Kind::Sum,
        "avg" if open.is_some() => Kind::Average,
        "min" => Kind::Least,
        "max" => Kind::Greatest,
        _ => return None,
    };
    let is_known = function.inner().downcast_ref::<OfIntervals>().is_some();
    (!is_known).then(|| Arc::clone(&KINDS[kind as usize]))
}

/// A function that is one of intervals or not, as long as nobody looked.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Open {
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl AggregateUDFImpl for Open {
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
        match types {
            [values] if *values == INTERVAL => Ok(INTERVAL),
            _ => self.inner.inner().return_type(types),
        }
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        match fields {
            [values] if *values.data_type() == INTERVAL => {
                Ok(Arc::new(Field::new(self.name(), INTERVAL, true)))
            }
            _ => self.inner.inner().return_field(fields),
        }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(types)
    }

    fn is_nullable(&self) -> bool {
        self.inner.inner().is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.inner().accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.inner().state_fields(args)
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

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.inner().create_sliding_accumulator(args)
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.inner().default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.inner().supports_null_handling_clause()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Sum,
    Average,
    Least,
    Greatest,
}

/// An aggregate of intervals.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfIntervals {
    kind: Kind,
    signature: Signature,
}

impl AggregateUDFImpl for OfIntervals {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Sum => "sum",
            Kind::Average => "avg",
            Kind::Least => "min",
            Kind::Greatest => "max",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |part: &str, data_type: DataType| {
            Arc::new(Field::new(format_state_name(args.name, part), data_type, true))
        };
        Ok(match self.kind {
            Kind::Sum | Kind::Average => vec![
                field("months", DataType::Int64),
                field("days", DataType::Int64),
                field("micros", DataType::Int64),
                field("values", DataType::Int64),
            ],
            Kind::Least | Kind::Greatest => vec![field("value", INTERVAL)],
        })
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct && matches!(self.kind, Kind::Sum | Kind::Average) {
            return Err(failure(Error::Unsupported {
                what: format!("{}(DISTINCT ...) of intervals", self.name()),
                hint: "Take the distinct intervals in a query within FROM.".to_string(),
            }));
        }
        Ok(match self.kind {
            Kind::Sum => Box::new(Total::new(false)),
            Kind::Average => Box::new(Total::new(true)),
            Kind::Least => Box::new(Extreme { preferred: Ordering::Less, best: None }),
            Kind::Greatest => Box::new(Extreme { preferred: Ordering::Greater, best: None }),
        })
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let moving = |preferred| Box::new(Moving { preferred, candidates: VecDeque::new() });
        Ok(match self.kind {
            Kind::Sum | Kind::Average => self.accumulator(args)?,
            Kind::Least => moving(Ordering::Less),
            Kind::Greatest => moving(Ordering::Greater),
        })
    }
}

/// A sum of intervals, part by part, from which values can be taken back.
#[derive(Debug, Default)]
struct Total {
    is_average: bool,
    months: i64,
    days: i64,
    micros: i64,
    /// How many values went in; of none the sum is null.
    values: i64,
}

impl Total {
    fn new(is_average: bool) -> Self {
        Self { is_average, ..Self::default() }
    }

    fn add(&mut self, values: &ArrayRef, sign: i64) {
        for value in values.as_primitive::<IntervalMonthDayNanoType>().iter().flatten() {
            self.months += sign * i64::from(value.months);
            self.days += sign * i64::from(value.days);
            self.micros = self.micros.saturating_add(sign * (value.nanoseconds / 1000));
            self.values += sign;
        }
    }

    /// The sum as an interval. A clock that is too long for one goes into its days.
    fn sum(&self) -> Option<IntervalMonthDayNano> {
        let nanos = i128::from(self.micros) * 1000;
        let (days, nanos) = match i64::try_from(nanos) {
            Ok(nanos) => (0, nanos),
            Err(_) => (nanos / NANOS_A_DAY, i64::try_from(nanos % NANOS_A_DAY).ok()?),
        };
        let days = i32::try_from(i128::from(self.days) + days).ok()?;
        Some(IntervalMonthDayNano::new(i32::try_from(self.months).ok()?, days, nanos))
    }
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], 1);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], -1);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [months, days, micros, values] = states else {
            return internal_err!("a sum of intervals has four parts");
        };
        let total = |part: &ArrayRef| -> i64 {
            let part: &Int64Array = part.as_primitive::<Int64Type>();
            part.iter().flatten().fold(0, i64::saturating_add)
        };
        self.months += total(months);
        self.days += total(days);
        self.micros = self.micros.saturating_add(total(micros));
        self.values += total(values);
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let parts = [self.months, self.days, self.micros, self.values];
        Ok(parts.into_iter().map(|part| ScalarValue::Int64(Some(part))).collect())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.values == 0 {
            return Ok(ScalarValue::IntervalMonthDayNano(None));
        }
        let sum = self.sum().ok_or_else(|| {
            failure(Error::Standard {
                sqlstate: "22008",
                message: "interval out of range".to_string(),
                hint: "Add up fewer intervals.".to_string(),
            })
        })?;
        let found = match self.is_average {
            true => scaled(sum, self.values as f64, true)?,
            false => sum,
        };
        Ok(ScalarValue::IntervalMonthDayNano(Some(found)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// An interval with what it is compared by.
type Measured = (i128, IntervalMonthDayNano);

fn measured(values: &ArrayRef) -> impl Iterator<Item = Measured> + '_ {
    let values = values.as_primitive::<IntervalMonthDayNanoType>();
    values.iter().flatten().map(|value| (length(&value), value))
}

/// The shortest or the longest interval.
#[derive(Debug)]
struct Extreme {
    preferred: Ordering,
    best: Option<Measured>,
}

impl Accumulator for Extreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in measured(&values[0]) {
            if self.best.is_none_or(|best| value.0.cmp(&best.0) == self.preferred) {
                self.best = Some(value);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::IntervalMonthDayNano(self.best.map(|(_, value)| value)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The shortest or the longest interval of a window's frame.
#[derive(Debug)]
struct Moving {
    preferred: Ordering,
    /// Those that are the extreme once all before them have left, the first of them now.
    candidates: VecDeque<Measured>,
}

impl Accumulator for Moving {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in measured(&values[0]) {
            while self.candidates.back().is_some_and(|last| value.0.cmp(&last.0) == self.preferred)
            {
                self.candidates.pop_back();
            }
            self.candidates.push_back(value);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in measured(&values[0]) {
            if self.candidates.front().is_some_and(|first| first.0 == value.0) {
                self.candidates.pop_front();
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let first = self.candidates.front();
        Ok(ScalarValue::IntervalMonthDayNano(first.map(|(_, value)| *value)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.candidates.capacity() * size_of::<Measured>()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::IntervalMonthDayNanoArray;

    use super::*;

    fn column(values: &[(i32, i64)]) -> Vec<ArrayRef> {
        let value = |(days, hours): &(i32, i64)| {
            Some(IntervalMonthDayNano::new(0, *days, hours * 3_600_000_000_000))
        };
        vec![Arc::new(values.iter().map(value).collect::<IntervalMonthDayNanoArray>())]
    }

    fn days_and_hours(value: ScalarValue) -> Option<(i32, i64)> {
        let ScalarValue::IntervalMonthDayNano(value) = value else { return None };
        value.map(|value| (value.days, value.nanoseconds / 3_600_000_000_000))
    }

    #[test]
    fn parts_are_added_up_one_by_one() {
        let mut sum = Total::new(false);
        assert_eq!(days_and_hours(sum.evaluate().unwrap()), None);
        sum.update_batch(&column(&[(1, 20), (1, 20)])).unwrap();
        assert_eq!(days_and_hours(sum.evaluate().unwrap()), Some((2, 40)));
        let mut average = Total::new(true);
        average.update_batch(&column(&[(1, 0), (2, 12)])).unwrap();
        assert_eq!(days_and_hours(average.evaluate().unwrap()), Some((1, 18)));
        average.retract_batch(&column(&[(1, 0)])).unwrap();
        assert_eq!(days_and_hours(average.evaluate().unwrap()), Some((2, 12)));
    }

    #[test]
    fn extremes_are_found_by_length() {
        let values = column(&[(1, 0), (0, 30), (0, 3)]);
        let mut least = Extreme { preferred: Ordering::Less, best: None };
        let mut greatest = Extreme { preferred: Ordering::Greater, best: None };
        least.update_batch(&values).unwrap();
        greatest.update_batch(&values).unwrap();
        assert_eq!(days_and_hours(least.evaluate().unwrap()), Some((0, 3)));
        assert_eq!(days_and_hours(greatest.evaluate().unwrap()), Some((0, 30)));
        let mut moving = Moving { preferred: Ordering::Greater, candidates: VecDeque::new() };
        moving.update_batch(&values).unwrap();
        moving.retract_batch(&column(&[(1, 0)])).unwrap();
        moving.retract_batch(&column(&[(0, 30)])).unwrap();
        assert_eq!(days_and_hours(moving.evaluate().unwrap()), Some((0, 3)));
    }
}
