//! Literals of unknown type, which take the type that an operator wants beside what stands on its other side.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Cast, Placeholder};
use datafusion::logical_expr::{Expr, ExprSchemable, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::input;
use super::rewrite::array_elements;
use super::types::{TYPE_KEY, arrow_type, is_blank_padded, is_text_of_uuid, pg_type_of};
use super::zone::Zone;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// What an operator does, as far as it says of what type an operand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Compares,
    Adds,
    Subtracts,
    Multiplies,
    Contains,
    Joins,
}

impl Meaning {
    /// Returns what an operator does; `None` for those that take literals as texts.
    pub(super) fn of(op: &BinaryOperator) -> Option<Meaning> {
        use BinaryOperator as Op;
        Some(match op {
            Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => Meaning::Compares,
            Op::Plus => Meaning::Adds,
            Op::Minus => Meaning::Subtracts,
            Op::Multiply | Op::Divide => Meaning::Multiplies,
            Op::AtArrow | Op::ArrowAt | Op::PGOverlap => Meaning::Contains,
            Op::StringConcat => Meaning::Joins,
            _ => return None,
        })
    }

    /// A literal of unknown type takes the type of the other side, as PostgreSQL has it: `oid = '16384'`, `flag = 't'`,
    /// `roles = '{0}'`, `id = '7c0e...'` over a uuid, `n * '2'`; or the only one that the operator takes beside it, as in
    /// `at + '1 day'`. `None` where DataFusion does the same.
    pub(super) fn take_type(
        self,
        literal: &Expr,
        other: &Expr,
        schema: &DFSchema,
    ) -> Result<Option<Expr>> {
        if let Expr::Placeholder(parameter) = literal {
            return Ok(self.take_parameter(parameter, other, schema));
        }
        if matches!(self, Meaning::Joins | Meaning::Contains) {
            return Ok(array(literal, other, schema));
        }
        let Expr::Literal(ScalarValue::Utf8(Some(text)), None) = uncast(literal) else {
            return Ok(None);
        };
        let Ok((_, field)) = other.to_field(schema) else { return Ok(None) };
        let data_type = field.data_type();
        let same = std::ptr::eq(uncast(literal), literal);
        Ok(match data_type {
            DataType::Boolean if same => boolean(text).map(lit),
            integer if integer.is_integer() && same => Some(cast(lit(text.trim()), integer)),
            DataType::List(_) if same => {
                let logical = field.metadata().get(TYPE_KEY).map(String::as_str);
                list(&as_array(text, logical), data_type)
            }
            number if (number.is_floating() || number.is_decimal()) && same => {
                Some(self::number(text, number))
            }
            moment if moment.is_temporal() && same => {
                self.moment(moment).map(|to| cast(lit(text.as_str()), &to))
            }
            bytes if is_bytes(bytes) && same && pg_type_of(&field).0.name == "bytea" => {
                Some(cast(lit(text.as_str()), bytes))
            }
            // The texts of uuids are compared, of which each has one form.
            _ if is_text_of_uuid(&field) && same => uuid_text(text).map(lit),
            // Blanks at its end count for nothing.
            _ if is_blank_padded(&field) && same => Some(lit(text.trim_end_matches(' '))),
            DataType::FixedSizeBinary(16) => {
                let parsed = input::uuid(text).ok();
                parsed.map(|id| {
                    let value = ScalarValue::FixedSizeBinary(16, Some(id.to_vec()));
                    let metadata = HashMap::from([(TYPE_KEY.to_string(), "uuid".to_string())]);
                    Expr::Literal(value, Some(FieldMetadata::from(metadata)))
                })
            }
            _ => None,
        })
    }

    /// As [`Meaning::take_type`], of a parameter, where DataFusion would not find the type, or find another.
    fn take_parameter(
        self,
        parameter: &Placeholder,
        other: &Expr,
        schema: &DFSchema,
    ) -> Option<Expr> {
        let wanted = match (self, other.get_type(schema).ok()?) {
            (Meaning::Compares, _) => None,
            (Meaning::Contains | Meaning::Joins, list) => {
                matches!(list, DataType::List(_)).then_some(list)
            }
            (_, beside) => self.moment(&beside),
        };
        let field = Arc::new(Field::new("", wanted.filter(|_| parameter.field.is_none())?, true));
        let id = parameter.id.clone();
        Some(Expr::Placeholder(Placeholder::new_with_field(id, Some(field))))
    }

    /// The type of a literal beside a point or a span of time; `None` where there are several, or where one that is compared
    /// is read later.
    fn moment(self, other: &DataType) -> Option<DataType> {
        match (self, other) {
            (Meaning::Multiplies, DataType::Interval(_)) => Some(DataType::Float64),
            (Meaning::Compares | Meaning::Adds | Meaning::Subtracts, DataType::Interval(_))
            | (Meaning::Adds, DataType::Timestamp(..)) => Some(INTERVAL),
            (
                Meaning::Subtracts,
                DataType::Timestamp(..) | DataType::Date32 | DataType::Time64(_),
            ) => Some(other.clone()),
            _ => None,
        }
    }
}

fn cast(expr: Expr, to: &DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), to.clone()))
}

/// A number with the digits that are written. What is none is refused where casts are read.
fn number(text: &str, beside: &DataType) -> Expr {
    let (name, to) = match beside {
        DataType::Float64 => ("float8", DataType::Float64),
        DataType::Float16 | DataType::Float32 => ("float4", DataType::Float32),
        _ => ("numeric", arrow_type("numeric")),
    };
    match input::read(text, name, &Zone::utc()) {
        Some(Ok(value)) => lit(value),
        Some(Err(_)) | None => cast(lit(text), &to),
    }
}

/// The form in which a uuid is shown and compared. What is none is refused where values are checked.
pub(super) fn uuid_text(text: &str) -> Option<String> {
    input::uuid(text).ok().map(|bytes| uuid::Uuid::from_bytes(bytes).to_string())
}

/// The text of a vector of numbers, `25 25 16`, as that of an array, `{"25","25","16"}`; those of other types are so. Within quotes
/// nothing but a number is one.
pub(super) fn as_array<'t>(text: &'t str, logical: Option<&str>) -> Cow<'t, str> {
    match logical {
        Some("int2vector" | "oidvector") => {
            let numbers = text.split_whitespace().map(|number| format!("\"{number}\""));
            Cow::Owned(format!("{{{}}}", numbers.collect::<Vec<_>>().join(",")))
        }
        _ => Cow::Borrowed(text),
    }
}

/// An array of its elements.
fn list(text: &str, data_type: &DataType) -> Option<Expr> {
    let DataType::List(item) = data_type else { return None };
    let value = |element: Option<String>| {
        cast(element.map_or(lit(ScalarValue::Null), lit), item.data_type())
    };
    let elements: Vec<Expr> = array_elements(text)?.into_iter().map(value).collect();
    let array = datafusion::functions_nested::expr_fn::make_array(elements);
    Some(cast(array, data_type))
}

/// A text or a null beside an array that it is joined to or held against: it is one, too, and no element.
fn array(literal: &Expr, other: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::Literal(value, None) = literal else { return None };
    if !value.is_null() && !matches!(value, ScalarValue::Utf8(_)) {
        return None;
    }
    let to = other.get_type(schema).ok()?;
    matches!(to, DataType::List(_)).then(|| cast(literal.clone(), &to))
}

/// Tells whether values are bytes.
pub(super) fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// The texts among the elements of an array that hold days, times or bytes are such, too.
pub(super) fn with_moments(elements: Vec<Expr>, schema: &DFSchema) -> Vec<Expr> {
    let is_open = |element: &Expr| matches!(element, Expr::Literal(ScalarValue::Utf8(_), None));
    if !elements.iter().any(is_open) {
        return elements;
    }
    let known = elements.iter().filter(|element| !is_open(element));
    let mut known = known.filter_map(|element| element.get_type(schema).ok());
    let Some(to) = known.find(|found| found.is_temporal() || is_bytes(found)) else {
        return elements;
    };
    let read = |element: Expr| if is_open(&element) { cast(element, &to) } else { element };
    elements.into_iter().map(read).collect()
}

/// A literal behind a cast to text or uuid.
fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(Cast { expr: inner, field })
            if field.metadata().get(TYPE_KEY).is_some_and(|name| name == "uuid") =>
        {
            inner
        }
        other => other,
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "on" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}
