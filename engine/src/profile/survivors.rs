//! The survivorship rules of attributes as aggregate functions: `resolve_latest`, `resolve_first`, `resolve_most_frequent`
//! and `resolve_source_priority`.
//!
//! Each chooses one value of a group as [`CREATE ATTRIBUTE ... RESOLVE BY`](super::survivorship) chooses one of a person, and
//! gives it with its lineage: a record of value, source, record key, time and rule, as `attribute_sources` has it. What is
//! chosen hangs neither on the order of rows nor on how they are spread over partitions. Of each group the best value is kept,
//! or, where records vote, the best of each value.

mod groups;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, GroupsAccumulator, ReversedUDAF,
    Signature, Volatility,
};

use crate::catalog::SurvivorshipRule;
use crate::error::{Error, failure};
use groups::{Groups, One};

/// The time zone of times.
const UTC: &str = "UTC";

/// Returns the functions.
pub(crate) fn survivors() -> Vec<AggregateUDF> {
    let kinds = [Kind::Latest, Kind::First, Kind::MostFrequent, Kind::SourcePriority];
    let function = |kind| {
        let signature = Signature::user_defined(Volatility::Immutable);
        AggregateUDF::from(Survivor { kind, signature })
    };
    kinds.map(function).into()
}

/// Which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Latest,
    First,
    MostFrequent,
    SourcePriority,
}

/// A function that chooses by a rule.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Survivor {
    kind: Kind,
    signature: Signature,
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

/// The list of sources that `resolve_source_priority` takes.
fn texts() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

/// The columns of a result whose values are of this field.
fn result_fields(value: &Field) -> Fields {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let value = value.clone().with_name("value").with_nullable(true);
    let observed_at = Field::new("observed_at", time(), true);
    Fields::from(vec![value, text("source"), text("record_key"), observed_at, text("rule")])
}

/// What is kept of a value between two phases.
fn kept_field(value: &DataType) -> FieldRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let value = Field::new("value", value.clone(), true);
    let fields = vec![value, text("source"), text("record_key"), number("at"), number("votes")];
    Arc::new(Field::new_list_field(DataType::Struct(Fields::from(fields)), true))
}

/// The type of the values in a result.
fn value_type(result: &DataType) -> Result<DataType> {
    match result {
        DataType::Struct(fields) if !fields.is_empty() => Ok(fields[0].data_type().clone()),
        other => internal_err!("expected a record, found {other}"),
    }
}

impl Survivor {
    /// Reads the rule; the sources of a priority are a constant.
    fn rule(&self, args: &AccumulatorArgs<'_>) -> Result<SurvivorshipRule> {
        if args.is_distinct {
            return Err(failure(Error::Unsupported {
                what: format!("DISTINCT in {}", self.name()),
                hint: "Leave it out: each record counts once anyway.".into(),
            }));
        }
        let sources = match self.kind {
            Kind::Latest => return Ok(SurvivorshipRule::Latest),
            Kind::First => return Ok(SurvivorshipRule::First),
            Kind::MostFrequent => return Ok(SurvivorshipRule::MostFrequent),
            Kind::SourcePriority => args.exprs.get(4),
        };
        let nothing = RecordBatch::new_empty(Arc::new(args.schema.clone()));
        let sources = sources.map(|sources| sources.evaluate(&nothing)).transpose()?;
        let named: Option<Vec<String>> = match sources {
            Some(ColumnarValue::Scalar(ScalarValue::List(list))) if list.is_valid(0) => {
                let names = cast(&list.value(0), &DataType::Utf8)?;
                names.as_string::<i32>().iter().map(|name| Some(name?.to_owned())).collect()
            }
            _ => None,
        };
        let sources = named.ok_or_else(|| {
            failure(Error::Invalid {
                message: format!("the sources of {} are no constant list of names", self.name()),
                hint: "Write them out, the best first: ARRAY['crm', 'shop'].".into(),
            })
        })?;
        Ok(SurvivorshipRule::SourcePriority(sources))
    }

    fn groups(&self, args: &AccumulatorArgs<'_>) -> Result<Groups> {
        match args.return_field.data_type() {
            DataType::Struct(result) if !result.is_empty() => {
                Ok(Groups::new(self.rule(args)?, result.clone()))
            }
            other => internal_err!("expected a record, found {other}"),
        }
    }
}

impl AggregateUDFImpl for Survivor {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Latest => "resolve_latest",
            Kind::First => "resolve_first",
            Kind::MostFrequent => "resolve_most_frequent",
            Kind::SourcePriority => "resolve_source_priority",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(value) => {
                Ok(DataType::Struct(result_fields(&Field::new("value", value.clone(), true))))
            }
            None => plan_err!("function \"{}\" does not take 0 arguments", self.name()),
        }
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        match fields.first() {
            Some(value) => {
                let record = DataType::Struct(result_fields(value));
                Ok(Arc::new(Field::new(self.name(), record, true)))
            }
            None => plan_err!("function \"{}\" does not take 0 arguments", self.name()),
        }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        let (least, most) = if self.kind == Kind::SourcePriority { (5, 5) } else { (2, 4) };
        if !(least..=most).contains(&types.len()) {
            return plan_err!("function \"{name}\" does not take {} arguments", types.len());
        }
        let coerced = types.iter().enumerate().map(|(at, given)| {
            Ok(match (at, given) {
                (0, DataType::Null) => DataType::Utf8,
                (0, DataType::Dictionary(_, values)) => values.as_ref().clone(),
                (0, plain) if !plain.is_nested() => plain.clone(),
                (1, DataType::Null | DataType::Date32 | DataType::Date64) => time(),
                (1, DataType::Timestamp(..)) => time(),
                (1, text) if text.is_string() => time(),
                (2 | 3, plain) if !plain.is_nested() => DataType::Utf8,
                (4, DataType::List(_) | DataType::Null) => texts(),
                (_, other) => {
                    let place = at + 1;
                    return plan_err!(
                        "function \"{name}\" does not take {other} as argument {place}"
                    );
                }
            })
        });
        coerced.collect()
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = DataType::List(kept_field(&value_type(args.return_type())?));
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "kept"), list, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One::new(self.groups(&args)?)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups(&args)?))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
