//! Intervals and times of a day by the patterns of times. They have no day of a calendar.

use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::{DataFusionError, Result};

use super::super::failure;
use super::{Part, Shape};
use crate::Error;

const SECOND_US: i64 = 1_000_000;
const MONTH_DAYS: i64 = 30;
/// How many letters the longest Roman number of a month has.
const ROMAN_WIDTH: usize = 4;

/// Writes an interval by the parts of a pattern.
pub(super) fn write(span: &IntervalMonthDayNano, parts: &[Part], out: &mut String) -> Result<()> {
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Field { name, fill, ordinal, shape } => {
                if let Some((value, width)) = numeric(name, span) {
                    let filled = *fill || super::is_fraction(name);
                    let width = if filled { width } else { 0 };
                    out.push_str(&format!("{value:0width$}"));
                    if let Some(upper) = ordinal {
                        out.push_str(super::ending(value, *upper));
                    }
                    continue;
                }
                let word = word(name, span).ok_or_else(not_of_intervals)?;
                match shape {
                    Shape::Lower => out.push_str(&word.to_lowercase()),
                    Shape::Upper | Shape::Title => out.push_str(&word),
                }
                if *fill && *name == "RM" && !word.is_empty() {
                    (word.len()..ROMAN_WIDTH).for_each(|_| out.push(' '));
                }
            }
        }
    }
    Ok(())
}

fn not_of_intervals() -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "22007",
        message: "invalid format specification for an interval value".to_string(),
        hint: "Intervals are not tied to specific calendar dates.".to_string(),
    })
}

fn hours(span: &IntervalMonthDayNano) -> i64 {
    span.nanoseconds / 1000 / (3600 * SECOND_US)
}

/// The number that a pattern stands for, and its width. Of what a clock and a calendar show, a sign has a place of its own.
fn numeric(name: &str, span: &IntervalMonthDayNano) -> Option<(i64, usize)> {
    let (years, months) = (i64::from(span.months / 12), i64::from(span.months % 12));
    let (days, micros) = (i64::from(span.days), span.nanoseconds / 1000);
    let hours = hours(span);
    let (seconds, fraction) = (micros / SECOND_US, micros % SECOND_US);
    let signed = |value: i64, width: usize| (value, width + usize::from(value < 0));
    // All days, of months that have thirty.
    let counted = (years * 12 + months) * MONTH_DAYS + days;
    Some(match name {
        "YYYY" => signed(years, 4),
        "YYY" => (years % 1000, 3 + usize::from(years < 0)),
        "YY" => (years % 100, 2 + usize::from(years < 0)),
        "Y" => (years % 10, 1),
        "CC" => signed(years / 100, 2),
        "MM" => signed(months, 2),
        "DD" => (days, 2),
        "DDD" => (counted, 3),
        "WW" => ((counted - 1) / 7 + 1, 2),
        "W" => ((days - 1) / 7 + 1, 1),
        "Q" if months != 0 => ((months - 1) / 3 + 1, 1),
        "HH24" => signed(hours, 2),
        "HH12" | "HH" => {
            let hour = if hours % 12 == 0 { 12 } else { hours % 12 };
            (hour, 2 + usize::from(hours < 0))
        }
        "MI" => signed(seconds / 60 % 60, 2),
        "SS" => signed(seconds % 60, 2),
        "SSSS" | "SSSSS" => (seconds, 1),
        _ => return super::fraction(name, fraction),
    })
}

fn word(name: &str, span: &IntervalMonthDayNano) -> Option<String> {
    let is_afternoon = hours(span) % 24 >= 12;
    let (years, months) = (span.months / 12, span.months % 12);
    Some(match name {
        "AM" | "PM" => (if is_afternoon { "PM" } else { "AM" }).to_owned(),
        "A.M." | "P.M." => (if is_afternoon { "P.M." } else { "A.M." }).to_owned(),
        "Y,YYY" => format!("{},{:03}", years / 1000, years % 1000),
        // There is no quarter and no month of none.
        "Q" => String::new(),
        "RM" if span.months == 0 => String::new(),
        "RM" => {
            // Months that are taken away are counted from the end of a year.
            let at = match months {
                0 if years > 0 => 11,
                0 => 0,
                1.. => months - 1,
                _ => 12 + months,
            };
            let roman = *super::ROMAN.get(usize::try_from(at).ok()?)?;
            roman.to_owned()
        }
        _ => return None,
    })
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
            write(&span, &parse(pattern), &mut out).unwrap();
            assert_eq!(out, expected, "{pattern}");
        };
        check("HH24:MI:SS.MS", "27:04:05.678");
        check("YYYY MM DD", "0001 02 03");
        check("FMHH12:MI am", "3:04 am");
        check("SS.FF2", "05.67");
        check("Q CC WW W RM|FMRM Y,YYY", "1 00 61 1 II  |II 0,001");
        let back = IntervalMonthDayNano::new(-1, -3, -18_000_050_000_000);
        let mut out = String::new();
        write(&back, &parse("HH24:MI MS am DD MM FMRM"), &mut out).unwrap();
        assert_eq!(out, "-05:00 -50 am -3 -01 XII");
        let mut out = String::new();
        assert!(write(&span, &parse("Month"), &mut out).is_err());
    }
}
