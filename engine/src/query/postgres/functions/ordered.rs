//! Aggregates of what `WITHIN GROUP` orders: `percentile_disc(share)`, `percentile_cont(share)` and `mode()`.
//!
//! They hold all values of a group and sort them once. What `percentile_cont` holds are numbers, of which there may be many;
//! the others hold no more than an array may. DataFusion's `percentile_cont` knows six digits of where it is between two values.
//! Intervals are ordered by how long they are, and `percentile_cont` lies between them, too.

mod numbers;
mod spans;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_empty_array};
use datafusion::arrow::compute::{
    SortOptions, concat, filter, is_not_null, partition, sort_to_indices, take,
};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, IntervalMonthDayNanoType, Schema,
};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, GroupsAccumulator, Signature,
    Volatility,
};

use super::elapsed::INTERVAL;
use super::failure;
use super::held::HELD_BYTES_MAX;
use super::held::measure::{bytes, compacted};
use crate::Error;
use crate::query::stop::check_current;

/// Bytes of numbers that `percentile_cont` holds for one value at most.
const NUMBERS_BYTES_MAX: usize = 1 << 30;

/// Returns the functions.
pub(super) fn functions() -> [AggregateUDF; 3] {
    let of = |of| {
        let signature = Signature::user_defined(Volatility::Immutable);
        AggregateUDF::from(Ordered { of, signature })
    };
    [of(Of::Share), of(Of::Between), of(Of::Mode)]
}

/// Which of the values is the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    /// The first one that a share of all does not lie behind.
    Share,
    /// What lies at a share of the way from the first one to the last.
    Between,
    /// The most frequent one.
    Mode,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Ordered {
    of: Of,
    signature: Signature,
}

impl AggregateUDFImpl for Ordered {
    fn name(&self) -> &str {
        match self.of {
            Of::Share => "percentile_disc",
            Of::Between => "percentile_cont",
            Of::Mode => "mode",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [one, ..] if self.of == Of::Between && *one != INTERVAL => Ok(DataType::Float64),
            [one, ..] => Ok(one.clone()),
            [] => internal_err!("{} takes what it is ordered by", self.name()),
        }
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        match fields {
            [one, ..] if self.of == Of::Between && *one.data_type() != INTERVAL => {
                Ok(Arc::new(Field::new(self.name(), DataType::Float64, true)))
            }
            [one, ..] => {
                Ok(Arc::new(one.as_ref().clone().with_name(self.name()).with_nullable(true)))
            }
            [] => internal_err!("{} takes what it is ordered by", self.name()),
        }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.of, types) {
            (Of::Share, [one, _]) => Ok(vec![one.clone(), DataType::Float64]),
            (Of::Between, [one, _]) if one.is_numeric() || one.is_null() => {
                Ok(vec![DataType::Float64; 2])
            }
            (Of::Between, [DataType::Interval(_) | DataType::Duration(_), _]) => {
                Ok(vec![INTERVAL, DataType::Float64])
            }
            (Of::Between, [one, _]) => plan_err!("Function 'percentile_cont' does not take {one}"),
            (Of::Mode, [one]) => Ok(vec![one.clone()]),
            _ => plan_err!("{} needs WITHIN GROUP (ORDER BY ...)", self.name()),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let Some(input) = args.input_fields.first() else {
            return internal_err!("{} takes what it is ordered by", self.name());
        };
        let item = Field::new_list_field(input.data_type().clone(), true);
        let name = format!("{}[values]", args.name);
        Ok(vec![Arc::new(Field::new(name, DataType::List(Arc::new(item)), true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let wanted = match self.of {
            Of::Mode => Wanted::Mode,
            Of::Share => share(&args)?,
            Of::Between => match share(&args)? {
                Wanted::Share(share) => Wanted::Between(share),
                other => other,
            },
        };
        let bytes_max = match self.of {
            Of::Between => NUMBERS_BYTES_MAX,
            Of::Share | Of::Mode => HELD_BYTES_MAX,
        };
        let options = args.order_bys.first().map(|by| by.options).unwrap_or_default();
        let data_type = args.return_field.data_type().clone();
        let function = self.name().to_owned();
        let (held, bytes) = (Vec::new(), 0);
        Ok(Box::new(Values { function, wanted, options, data_type, bytes_max, held, bytes }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        let is_number = |field: &FieldRef| *field.data_type() == DataType::Float64;
        self.of == Of::Between
            && !args.is_distinct
            && args.expr_fields.first().is_some_and(is_number)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let share = match share(&args)? {
            Wanted::Share(share) => Some(share),
            _ => None,
        };
        let descending = args.order_bys.first().is_some_and(|by| by.options.descending);
        Ok(Box::new(numbers::Groups::new(self.name().to_owned(), share, descending)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        // They sort what they hold themselves.
        AggregateOrderSensitivity::Insensitive
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }
}

fn too_large(function: &str, bytes_max: usize) -> DataFusionError {
    failure(Error::Limit {
        sqlstate: "53200",
        message: format!("{function}() would hold more than {bytes_max} bytes for one value"),
        hint: "Aggregate fewer rows into one value.".to_owned(),
    })
}

/// The share of a call, which is a constant.
fn share(args: &AccumulatorArgs<'_>) -> Result<Wanted> {
    let Some(share) = args.exprs.get(1) else {
        return internal_err!("a percentile takes a share");
    };
    let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
    match share.evaluate(&nothing) {
        Ok(ColumnarValue::Scalar(ScalarValue::Float64(Some(share)))) => {
            if (0.0..=1.0).contains(&share) {
                return Ok(Wanted::Share(share));
            }
            Err(failure(Error::Standard {
                sqlstate: "22003",
                message: format!("percentile value {share} is not between 0 and 1"),
                hint: "The share of the median is 0.5.".to_owned(),
            }))
        }
        Ok(ColumnarValue::Scalar(value)) if value.is_null() => Ok(Wanted::Nothing),
        _ => Err(failure(Error::Standard {
            sqlstate: "0A000",
            message: "the percentile of a column is not supported".to_owned(),
            hint: "Write the share as a constant, such as 0.9.".to_owned(),
        })),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Wanted {
    Share(f64),
    Between(f64),
    Mode,
    /// The share is null.
    Nothing,
}

/// The values of a group, without nulls.
#[derive(Debug)]
struct Values {
    function: String,
    wanted: Wanted,
    options: SortOptions,
    data_type: DataType,
    bytes_max: usize,
    held: Vec<ArrayRef>,
    bytes: usize,
}

impl Values {
    fn hold(&mut self, values: &ArrayRef) -> Result<()> {
        check_current()?;
        let values = match values.null_count() {
            0 => Arc::clone(values),
            _ => filter(values, &is_not_null(values)?)?,
        };
        if values.is_empty() {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(bytes(values.as_ref()));
        if self.bytes > self.bytes_max {
            return Err(too_large(&self.function, self.bytes_max));
        }
        self.held.push(compacted(&values));
        Ok(())
    }

    /// All values in one array; `None` if there are none.
    fn all(&self) -> Result<Option<ArrayRef>> {
        let parts: Vec<&dyn Array> = self.held.iter().map(AsRef::as_ref).collect();
        if parts.is_empty() { Ok(None) } else { Ok(Some(concat(&parts)?)) }
    }
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values.first() {
            Some(values) => self.hold(values),
            None => Ok(()),
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first().and_then(|state| state.as_list_opt::<i32>()) else {
            return internal_err!("{} keeps lists", self.function);
        };
        lists.iter().flatten().try_for_each(|values| self.hold(&values))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let all = self.all()?.unwrap_or_else(|| new_empty_array(&self.data_type));
        Ok(vec![SingleRowListArrayBuilder::new(all).build_list_scalar()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        check_current()?;
        let none = || ScalarValue::try_from(&self.data_type);
        let Some(all) = self.all()? else { return none() };
        let lengths = spans::lengths(&all);
        let keys = lengths.as_ref().unwrap_or(&all);
        let order = || sort_to_indices(keys, Some(self.options), None);
        let at = match self.wanted {
            Wanted::Nothing => return none(),
            Wanted::Between(share) => {
                if let Some(intervals) = all.as_primitive_opt::<IntervalMonthDayNanoType>() {
                    let found = spans::between(intervals, &order()?, share)?;
                    return Ok(ScalarValue::IntervalMonthDayNano(Some(found)));
                }
                let Some(numbers) = all.as_primitive_opt::<Float64Type>() else {
                    return internal_err!("{} holds numbers", self.function);
                };
                let mut numbers = numbers.values().to_vec();
                let found = numbers::between(&mut numbers, share, self.options.descending);
                return Ok(ScalarValue::Float64(found));
            }
            Wanted::Share(share) => {
                // The number of values is far below what a float holds exactly.
                let rank = (share * all.len() as f64).ceil() as usize;
                order()?.value(rank.saturating_sub(1).min(all.len() - 1))
            }
            Wanted::Mode => {
                let order = order()?;
                let sorted = take(keys, &order, None)?;
                let runs = partition(&[sorted])?.ranges();
                // Of several that are as frequent, the first one.
                let longest = runs.into_iter().rev().max_by_key(|run| run.len());
                order.value(longest.map_or(0, |run| run.start))
            }
        };
        ScalarValue::try_from_array(&all, at as usize)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }
}
