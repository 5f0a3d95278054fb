//! Texts of a statement that become values of a type.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::tokenizer::Span as TextSpan;
use udfs::Shape;

use super::{About, Fault};
use crate::error::Result;
use crate::query::postgres::input::{self, JSON_HINT, NO_JSON};
use crate::query::postgres::{Zone, types};

/// Units of time, of which `date_trunc` and `extract` take the plural, too.
const UNITS: [&str; 13] = [
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "quarter",
    "year",
    "decade",
    "millisecond",
    "microsecond",
    "century",
    "millennium",
];
/// Plurals that are not the unit with an `s`.
const PLURALS: [&str; 2] = ["centuries", "millennia"];
/// What else can be extracted of a time.
const FIELDS: [&str; 9] = [
    "dow",
    "doy",
    "epoch",
    "isodow",
    "isoyear",
    "julian",
    "timezone",
    "timezone_hour",
    "timezone_minute",
];
/// The longest unit that a message repeats: a longer text is none.
const UNIT_CHARS_MAX: usize = 24;

/// Checks a unit of `date_trunc`, or a field of `extract`. Short forms are left to the function.
pub(super) fn check_unit(unit: &str, extract: bool) -> Result<()> {
    let unit = unit.trim().to_lowercase();
    let singular = unit.strip_suffix('s').unwrap_or(&unit);
    let known = UNITS.contains(&singular)
        || PLURALS.contains(&unit.as_str())
        || (extract && FIELDS.contains(&unit.as_str()));
    let word = unit.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_');
    // Short forms, such as `mon` and `hr`, and those that are no words at all.
    if known || !word || unit.len() <= 5 || unit.len() > UNIT_CHARS_MAX {
        return Ok(());
    }
    let hint = match crate::nearest(&unit, UNITS) {
        Some(near) => format!("Did you mean \"{near}\"?"),
        None => "Units are second, minute, hour, day, week, month, quarter and year.".to_owned(),
    };
    Err(Fault::new("22023", format!("unit \"{unit}\" not recognized"), hint).at(TextSpan::empty()))
}

/// Says what is wrong with a text as a value of a type; `None` if nothing is, or if only running it can tell.
pub(super) fn fault_of(text: &str, to: &DataType, logical: Option<&str>) -> Option<Fault> {
    let name = types::by_name(logical.unwrap_or_else(|| types::of_values(to)))
        .map_or("this type", |found| found.display.as_str());
    let about = |fault: Fault| Some(fault.about(About::Text(text.to_owned())));
    let invalid = |sqlstate, hint: &str| {
        about(Fault::new(sqlstate, format!("invalid input syntax for type {name}"), hint))
    };
    match logical {
        Some("uuid") => {
            return match input::uuid(text) {
                Ok(_) => None,
                Err(_) => invalid("22P02", "A uuid is 32 hexadecimal digits."),
            };
        }
        Some("json" | "jsonb") => {
            return match Shape::of(text) {
                Some(_) => None,
                None => about(Fault::new("22P02", NO_JSON, JSON_HINT)),
            };
        }
        _ => {}
    }
    let fits = ScalarValue::Utf8(Some(text.to_owned())).cast_to(to).is_ok();
    if fits || text.len() != text.trim().len() {
        return None;
    }
    match to {
        integer if integer.is_integer() => match text.parse::<i128>() {
            Ok(_) => {
                let message = format!("value is out of range for type {name}");
                about(Fault::new("22003", message, "Use bigint or numeric for larger numbers."))
            }
            Err(_) => invalid("22P02", "Write a whole number: digits, and a sign before them."),
        },
        DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => match text.parse::<f64>() {
            Ok(_) => None,
            Err(_) => invalid("22P02", "Write a number, with a point before its fraction."),
        },
        DataType::Boolean => match text.to_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" | "f" | "false" | "n" | "no" | "off" | "0" => {
                None
            }
            _ => invalid("22P02", "Write true or false."),
        },
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) | DataType::Time64(_) => {
            // What Arrow does not read may be a time all the same.
            let said = ["now", "today", "tomorrow", "yesterday"];
            let word = text.to_lowercase();
            if said.contains(&word.as_str())
                || matches!(input::read(text, types::of_values(to), &Zone::utc()), Some(Ok(_)))
            {
                return None;
            }
            if word == "allballs" {
                let message = "this name of a time is not supported";
                let hint = "Write '00:00' for midnight.";
                return about(Fault::new("0A000", message, hint));
            }
            let numbers = text.starts_with(|c: char| c.is_ascii_digit())
                && text.chars().all(|c| c.is_ascii_digit() || "-:./+ TZ".contains(c));
            if numbers {
                let message = "date/time field value out of range";
                about(Fault::new(
                    "22008",
                    message,
                    "Write it as 2024-12-31 or 2024-12-31 23:59:59.",
                ))
            } else {
                invalid("22007", "Write it as 2024-12-31 or 2024-12-31 23:59:59.")
            }
        }
        DataType::Interval(_) => {
            invalid("22007", "Write a number and a unit, such as '7 days' or '1 hour 30 minutes'.")
        }
        _ => None,
    }
}
