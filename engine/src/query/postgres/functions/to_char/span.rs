//! Intervals and times of a day by the patterns of times. They have no day of a calendar.

use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::Result;

use super::super::failure;
use super::{Part, Shape};
use crate::Error;

const SECOND_US: i64 = 1_000_000;
const MONTH_DAYS: i64 = 30;

/// Writes an interval by the parts of a pattern.
pub(super) fn write(span: &IntervalMonthDayNano, parts: &[Part], out: &mut String) -> Result<()> {
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Field { name, fill, ordinal, shape } => {
                if let Some((value, width)) = numeric(name, span) {
                    // A sign has a place of its own.
                    let width = if *fill { width + usize::from(value < 0) } else { 0 };
                    out.push_str(&format!("{value:0width$}"));
                    if let Some(upper) = ordinal {
                        out.push_str(super::ending(value, *upper));
                    }
                    continue;
                }
                let word = word(name, span).ok_or_else(|| {
                    failure(Error::Standard {
                        sqlstate: "22007",
                        message: "invalid format specification for an interval value".to_string(),
                        hint: "Intervals are not tied to specific calendar dates.".to_string(),
                    })
                })?;
                match shape {
                    Shape::Lower => out.push_str(&word.to_lowercase()),
                    Shape::Upper | Shape::Title => out.push_str(word),
                }
            }
        }
    }
    Ok(())
}

fn hours(span: &IntervalMonthDayNano) -> i64 {
    span.nanoseconds / 1000 / (3600 * SECOND_US)
}

fn numeric(name: &str, span: &IntervalMonthDayNano) -> Option<(i64, usize)> {
    let (years, months) = (i64::from(span.months / 12), i64::from(span.months % 12));
    let (days, micros) = (i64::from(span.days), span.nanoseconds / 1000);
    let hours = hours(span);
    let (seconds, fraction) = (micros / SECOND_US, micros % SECOND_US);
    Some(match name {
        "YYYY" => (years, 4),
        "YYY" => (years % 1000, 3),
        "YY" => (years % 100, 2),
        "Y" => (years % 10, 1),
        "MM" => (months, 2),
        "DD" => (days, 2),
        "DDD" => ((years * 12 + months) * MONTH_DAYS + days, 3),
        "HH24" => (hours, 2),
        "HH12" | "HH" => (if hours % 12 == 0 { 12 } else { hours % 12 }, 2),
        "MI" => (seconds / 60 % 60, 2),
        "SS" => (seconds % 60, 2),
        "SSSS" | "SSSSS" => (seconds, 1),
        _ => return super::fraction(name, fraction),
    })
}

fn word(name: &str, span: &IntervalMonthDayNano) -> Option<&'static str> {
    let is_afternoon = hours(span).rem_euclid(24) >= 12;
    match name {
        "AM" | "PM" => Some(if is_afternoon { "PM" } else { "AM" }),
        "A.M." | "P.M." => Some(if is_afternoon { "P.M." } else { "A.M." }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn intervals_are_written_without_a_calendar() {
        let span = IntervalMonthDayNano::new(14, 3, 97_445_678_000_000);
        let check = |pattern: &str, expected: &str| {
            let mut out = String::new();
            write(&span, &parse(pattern).unwrap(), &mut out).unwrap();
            assert_eq!(out, expected, "{pattern}");
        };
        check("HH24:MI:SS.MS", "27:04:05.678");
        check("YYYY MM DD", "0001 02 03");
        check("FMHH12:MI am", "3:04 am");
        check("SS.FF2", "05.67");
        let mut out = String::new();
        assert!(write(&span, &parse("Month").unwrap(), &mut out).is_err());
    }
}
