//! `to_date(text, pattern)` and `to_timestamp(text, pattern)`: times from texts by the patterns of `to_char`, and
//! `to_timestamp(seconds)`.
//!
//! As in PostgreSQL a separator of the pattern stands for any one of the text or for none, spaces of the text before a
//! number or a word are passed over, and what stands behind the last field is not read. Without them a field ends with its
//! width. Weeks are those of ISO 8601 with `IYYY` and `IW`, which stand beside no other parts of dates. A pattern that is not
//! read is an error.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta, Weekday};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Date32Builder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Date32Type, Float64Type};
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::logical_expr::Volatility;

use super::to_char::{MONTHS, Part, ROMAN, parse};
use super::{Body, Call, Function, Kind, failure};
use crate::Error;
use crate::query::postgres::types::UTC;
use crate::query::postgres::zone::Zone;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("to_date", &[Kind::Text, Kind::Text], "date", Body::Column(to_date))
        .with(Volatility::Immutable),
    Function::new("to_timestamp", &[Kind::Any, Kind::Text], "timestamptz", Body::Column(to_time))
        .at_least(1),
];

const SECOND_US: i64 = 1_000_000;

fn to_date(call: &Call<'_>) -> Result<ArrayRef> {
    let mut dates = Date32Builder::with_capacity(call.rows);
    read_all(call, |time| {
        dates.append_option(time.map(|time| Date32Type::from_naive_date(time.date())));
    })?;
    Ok(Arc::new(dates.finish()))
}

fn to_time(call: &Call<'_>) -> Result<ArrayRef> {
    if call.arguments.len() == 1 {
        return from_seconds(&call.arguments[0]);
    }
    let zone = call.facts.setting("TimeZone").unwrap_or_else(|| "UTC".to_string());
    let zone = Zone::parse(&zone).unwrap_or_else(Zone::utc);
    let mut times = TimestampMicrosecondBuilder::with_capacity(call.rows);
    read_all(call, |time| {
        times.append_option(time.map(|local| {
            let (seconds, micros) =
                (local.and_utc().timestamp(), local.and_utc().timestamp_subsec_micros());
            zone.utc_of(seconds).saturating_mul(SECOND_US).saturating_add(i64::from(micros))
        }));
    })?;
    Ok(Arc::new(times.finish().with_timezone(UTC)))
}

/// Seconds since 1970 as times.
fn from_seconds(seconds: &ArrayRef) -> Result<ArrayRef> {
    if !seconds.data_type().is_numeric() && !seconds.data_type().is_string() {
        return plan_err!("to_timestamp() takes seconds, or a text and a pattern");
    }
    let seconds = cast(seconds, &DataType::Float64)?;
    let seconds = seconds.as_primitive::<Float64Type>();
    // Numbers out of range saturate, as casts of floats do.
    let micros: TimestampMicrosecondArray =
        seconds.iter().map(|s| s.map(|s| (s * 1e6).round() as i64)).collect();
    Ok(Arc::new(micros.with_timezone(UTC)))
}

/// Reads the time of each row.
fn read_all(call: &Call<'_>, mut put: impl FnMut(Option<NaiveDateTime>)) -> Result<()> {
    if !call.arguments[0].data_type().is_string() {
        return plan_err!("a time is read from a text, not from {}", call.arguments[0].data_type());
    }
    let texts = cast(&call.arguments[0], &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let mut parsed: Option<(String, Vec<Part>)> = None;
    for row in 0..call.rows {
        let Some(pattern) = call.text(1, row).filter(|_| texts.is_valid(row)) else {
            put(None);
            continue;
        };
        if parsed.as_ref().is_none_or(|(known, _)| known != pattern) {
            parsed = Some((pattern.to_string(), parse(pattern)));
        }
        let parts = parsed.as_ref().map_or(&[][..], |(_, parts)| parts);
        put(Some(read(texts.value(row), parts)?));
    }
    Ok(())
}

/// What a text says of a time.
#[derive(Debug, Default)]
struct Found {
    /// Whether the parts are those of weeks of ISO 8601.
    is_iso: Option<bool>,
    year: Option<i64>,
    /// Whether the year is one of a century, with two digits at most.
    is_short: bool,
    century: Option<i64>,
    is_before_christ: bool,
    /// A week of the year, or of the month, and a day of it from Monday on.
    week: Option<i64>,
    week_of_month: Option<i64>,
    weekday: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    second_of_day: Option<i64>,
    afternoon: Option<bool>,
}

fn read(text: &str, parts: &[Part]) -> Result<NaiveDateTime> {
    let mut found = Found::default();
    let mut rest = text;
    for (at, part) in parts.iter().enumerate() {
        if rest.is_empty() {
            break;
        }
        match part {
            Part::Text(literal) => rest = pass(rest, literal),
            Part::Field { name, ordinal, .. } => {
                rest = rest.trim_start();
                let next_is_field = matches!(parts.get(at + 1), Some(Part::Field { .. }));
                rest = found.take(name, rest, next_is_field)?;
                if ordinal.is_some() {
                    rest = rest.get(2..).unwrap_or_default();
                }
            }
        }
    }
    if found.afternoon.is_some() && !(1..=12).contains(&found.hour) {
        let message = format!("hour \"{}\" is invalid for the 12-hour clock", found.hour);
        return Err(refused(
            "22007",
            message,
            "Use the 24-hour clock, or give an hour between 1 and 12.",
        ));
    }
    found.time().ok_or_else(|| {
        let message = format!("date/time field value out of range: \"{text}\"");
        refused("22008", message, "Write a time that there is.")
    })
}

/// Passes over what a literal of the pattern stands for.
fn pass<'a>(rest: &'a str, literal: &str) -> &'a str {
    let separator = !literal.chars().any(char::is_alphanumeric) && literal.chars().count() == 1;
    let mut letters = rest.chars();
    match separator {
        true if rest.starts_with(|next: char| !next.is_alphanumeric()) => drop(letters.next()),
        true => {}
        false => drop(letters.by_ref().take(literal.chars().count()).count()),
    }
    letters.as_str()
}

impl Found {
    /// Takes a field from the beginning of `rest`, and returns what stands behind it.
    fn take<'a>(&mut self, name: &str, rest: &'a str, next_is_field: bool) -> Result<&'a str> {
        if let Some(is_iso) = convention(name)
            && self.is_iso.replace(is_iso).is_some_and(|known| known != is_iso)
        {
            let hint =
                "Do not mix Gregorian and ISO week date conventions in a formatting template.";
            let message = "invalid combination of date conventions".to_owned();
            return Err(refused("22007", message, hint));
        }
        let width = |least: usize| if next_is_field { least } else { usize::MAX };
        let number = |least: usize| number(name, rest, width(least));
        let (value, behind) = match name {
            "MONTH" | "MON" => {
                let (month, behind) = month(name, rest)?;
                self.month = Some(month);
                return Ok(behind);
            }
            // Which day of the week it is follows from the date.
            "DAY" | "DY" => return Ok(rest.trim_start_matches(|next: char| next.is_alphabetic())),
            "AM" | "PM" | "A.M." | "P.M." => {
                let word = rest.get(..name.len()).unwrap_or_default();
                self.afternoon = match word.to_uppercase().replace('.', "").as_str() {
                    "AM" => Some(false),
                    "PM" => Some(true),
                    _ => return Err(invalid(word, name)),
                };
                return Ok(&rest[word.len()..]);
            }
            "BC" | "AD" | "B.C." | "A.D." => {
                let word = rest.get(..name.len()).unwrap_or_default();
                self.is_before_christ = match word.to_uppercase().replace('.', "").as_str() {
                    "BC" => true,
                    "AD" => false,
                    _ => return Err(invalid(word, name)),
                };
                return Ok(&rest[word.len()..]);
            }
            "RM" => {
                let (month, behind) = roman_month(rest)?;
                self.month = Some(month);
                return Ok(behind);
            }
            "MM" | "DD" | "HH" | "HH12" | "HH24" | "MI" | "SS" | "CC" | "IW" | "WW" => number(2)?,
            "SSSS" | "SSSSS" => number(5)?,
            "DDD" | "IDDD" | "MS" => number(3)?,
            "US" => number(6)?,
            "J" => number(7)?,
            "Q" | "D" | "ID" | "W" => number(1)?,
            "YYYY" | "YYY" | "YY" | "Y" | "IYYY" | "IYY" | "IY" | "I" => number(name.len())?,
            "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                number(usize::from(name.as_bytes()[2] - b'0'))?
            }
            _ => {
                let what = format!("the pattern \"{name}\" of to_date() and to_timestamp()");
                let hint = "Patterns that are read are those of dates and clocks, without Y,YYY and the offsets of zones.";
                return Err(failure(Error::Unsupported { what, hint: hint.into() }));
            }
        };
        let digits = rest.len() - behind.len();
        // A fraction has as many digits as are written.
        let scaled = |places: usize| value * 10_i64.pow(places.saturating_sub(digits) as u32);
        match name {
            "MM" => self.month = Some(value),
            "DD" => self.day = Some(value),
            "DDD" | "IDDD" => self.day_of_year = Some(value),
            "CC" => self.century = Some(value),
            "IW" | "WW" => self.week = Some(value),
            "W" => self.week_of_month = Some(value),
            "ID" => self.weekday = Some(value),
            // It says no day of the quarter, and which day of the week it is follows from the date.
            "Q" | "D" => {}
            "J" => self.julian = Some(value),
            "HH" | "HH12" | "HH24" => self.hour = value,
            "MI" => self.minute = value,
            "SS" => self.second = value,
            "SSSS" | "SSSSS" => self.second_of_day = Some(value),
            "MS" => self.micros += scaled(3).saturating_mul(1000),
            "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => self.micros += scaled(6),
            "YYYY" | "IYYY" => self.year = Some(value),
            _ => {
                self.is_short = name.len() <= 2;
                self.year = Some(near_2020(value));
            }
        }
        Ok(behind)
    }

    fn time(&self) -> Option<NaiveDateTime> {
        let date = self.date()?;
        let hour = match self.afternoon {
            None => self.hour,
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
        };
        let fits = (0..24).contains(&hour) && self.minute < 60 && self.second < 60;
        let seconds = self.second_of_day.unwrap_or(hour * 3600 + self.minute * 60 + self.second);
        if !fits || seconds >= 86_400 || self.micros > SECOND_US {
            return None;
        }
        let offset = TimeDelta::microseconds(seconds * SECOND_US + self.micros);
        date.and_hms_opt(0, 0, 0)?.checked_add_signed(offset)
    }
}

impl Found {
    fn date(&self) -> Option<NaiveDate> {
        if let Some(day) = self.julian {
            return NaiveDate::from_num_days_from_ce_opt(i32::try_from(day - 1_721_425).ok()?);
        }
        let year = i32::try_from(self.era_year()).ok()?;
        if self.is_iso == Some(true) {
            let first = NaiveDate::from_isoywd_opt(year, 1, Weekday::Mon)?;
            let days = match (self.week, self.day_of_year) {
                (Some(week), _) => (week - 1) * 7 + self.weekday.unwrap_or(1) - 1,
                (None, Some(day)) => day - 1,
                // Only a year: the first day of that of the calendar.
                (None, None) => return NaiveDate::from_ymd_opt(year, 1, 1),
            };
            return first.checked_add_signed(TimeDelta::days(days));
        }
        let first_of_week = |week: i64| (week - 1) * 7 + 1;
        if let Some(day) = self.week.map(first_of_week).or(self.day_of_year) {
            return NaiveDate::from_yo_opt(year, u32::try_from(day).ok()?);
        }
        let part = |value: Option<i64>| u32::try_from(value.unwrap_or(1)).ok();
        let day = self.week_of_month.map(first_of_week).or(self.day);
        NaiveDate::from_ymd_opt(year, part(self.month)?, part(day)?)
    }

    /// The year, of which the one before the first of our era is 0. A text without one is of that year.
    fn era_year(&self) -> i64 {
        let signed = |year: i64| if self.is_before_christ { -year } else { year };
        let counted = |year: i64| if year < 0 { year + 1 } else { year };
        match (self.year, self.century.map(signed)) {
            (Some(year), Some(century)) if self.is_short => match (year % 100, century >= 0) {
                (0, true) => century * 100,
                (0, false) => century * 100 + 1,
                (of_century, true) => (century - 1) * 100 + of_century,
                (of_century, false) => (century + 1) * 100 - of_century + 1,
            },
            (Some(year), _) => counted(signed(year)),
            (None, Some(century)) if century >= 0 => (century - 1) * 100 + 1,
            (None, Some(century)) => century * 100 + 1,
            (None, None) => 0,
        }
    }
}

/// Whether a field is one of weeks of ISO 8601 or one of the calendar's; `None` of those that stand beside both.
fn convention(name: &str) -> Option<bool> {
    match name {
        "IYYY" | "IYY" | "IY" | "I" | "IDDD" | "ID" | "IW" => Some(true),
        "YYYY" | "YYY" | "YY" | "Y" | "MONTH" | "MON" | "MM" | "RM" | "DDD" | "DD" | "D" | "WW"
        | "W" => Some(false),
        _ => None,
    }
}

/// Reads a month in Roman numbers.
fn roman_month(rest: &str) -> Result<(i64, &str)> {
    let is_read = |roman: &str| {
        rest.get(..roman.len()).is_some_and(|start| start.eq_ignore_ascii_case(roman))
    };
    let found = ROMAN.iter().enumerate().filter(|(_, roman)| is_read(roman));
    match found.max_by_key(|(_, roman)| roman.len()) {
        Some((at, roman)) => Ok((at as i64 + 1, &rest[roman.len()..])),
        None => {
            let word: String = rest.chars().take_while(|next| next.is_alphabetic()).collect();
            Err(invalid(&word, "RM"))
        }
    }
}

/// Reads a number of `most` digits at most.
fn number<'a>(name: &str, rest: &'a str, most: usize) -> Result<(i64, &'a str)> {
    let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (written, behind) = rest.split_at(digits);
    match written.parse::<i64>() {
        Ok(value) if value <= i64::from(i32::MAX) => Ok((value, behind)),
        Ok(_) => Err(refused(
            "22008",
            format!("value for \"{name}\" in source string is out of range"),
            "Write a smaller number.",
        )),
        Err(_) => {
            let word: String = rest.chars().take(name.len()).collect();
            Err(invalid(&word, name))
        }
    }
}

/// Reads the name of a month.
fn month<'a>(name: &str, rest: &'a str) -> Result<(i64, &'a str)> {
    let length = |month: &str| if name == "MON" { 3 } else { month.len() };
    let found = MONTHS.iter().position(|month| {
        let word = rest.get(..length(month));
        word.is_some_and(|word| word.eq_ignore_ascii_case(&month[..length(month)]))
    });
    match found {
        Some(at) => Ok((at as i64 + 1, &rest[length(MONTHS[at])..])),
        None => {
            let word: String = rest.chars().take_while(|next| next.is_alphabetic()).collect();
            Err(invalid(&word, name))
        }
    }
}

/// The year that fewer than four digits mean: the one that is nearest to 2020.
fn near_2020(year: i64) -> i64 {
    match year {
        ..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

fn invalid(word: &str, name: &str) -> DataFusionError {
    let message = format!("invalid value \"{word}\" for \"{name}\"");
    refused("22007", message, "Write the text as the pattern says.")
}

fn refused(sqlstate: &'static str, message: String, hint: &str) -> DataFusionError {
    failure(Error::Standard { sqlstate, message, hint: hint.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, pattern: &str) -> String {
        match read(text, &parse(pattern)) {
            Ok(time) => time.to_string(),
            Err(DataFusionError::External(error)) => match error.downcast_ref::<Error>() {
                Some(Error::Standard { sqlstate, .. }) => (*sqlstate).to_string(),
                other => format!("{other:?}"),
            },
            Err(error) => error.to_string(),
        }
    }

    /// The expected values are those of PostgreSQL 15.
    #[test]
    fn reads_texts_as_postgresql_does() {
        let cases = [
            (
                "2026-02-13 13:05:09.012345",
                "YYYY-MM-DD HH24:MI:SS.US",
                "2026-02-13 13:05:09.012345",
            ),
            ("2026-02-13", "YYYY-MM-DD", "2026-02-13 00:00:00"),
            ("20260213", "YYYYMMDD", "2026-02-13 00:00:00"),
            ("13/2/2026", "DD.MM.YYYY", "2026-02-13 00:00:00"),
            ("2026   Feb  3", "YYYY MON DD", "2026-02-03 00:00:00"),
            ("Friday, 13th FEBRUARY 2026", "FMDay, DDth FMMonth YYYY", "2026-02-13 00:00:00"),
            ("2026-02-13T01:05 pm", "YYYY-MM-DD\"T\"HH12:MI am", "2026-02-13 13:05:00"),
            ("12.3", "SS.MS", "0000-01-01 00:00:12.300"),
            ("69-3", "YY-MM", "2069-03-01 00:00:00"),
            ("70-3", "YY-MM", "1970-03-01 00:00:00"),
            ("2026 044", "YYYY DDD", "2026-02-13 00:00:00"),
            ("2461085", "J", "2026-02-13 00:00:00"),
            ("2026-02-13 and more", "YYYY-MM-DD", "2026-02-13 00:00:00"),
            ("2026", "YYYY-MM-DD", "2026-01-01 00:00:00"),
            ("2026-02-30", "YYYY-MM-DD", "22008"),
            ("2026-13-01", "YYYY-MM-DD", "22008"),
            ("2026-02-13 24:00", "YYYY-MM-DD HH24:MI", "22008"),
            ("13 pm", "HH12 am", "22007"),
            ("2026-xx-01", "YYYY-MM-DD", "22007"),
            ("Feburary", "MONTH", "22007"),
            ("99999999999", "YYYY", "22008"),
        ];
        for (text, pattern, expected) in cases {
            assert_eq!(shown(text, pattern), expected, "{text} as {pattern}");
        }
        let cases = [
            ("2024-W09-4", "IYYY-\"W\"IW-ID", "2024-02-29 00:00:00"),
            ("2024-53-1", "IYYY-IW-ID", "2024-12-30 00:00:00"),
            ("2024-W09", "IYYY-\"W\"IW", "2024-02-26 00:00:00"),
            ("2024-060", "IYYY-IDDD", "2024-02-29 00:00:00"),
            ("2024 week 5", "YYYY \"week\" WW", "2024-01-29 00:00:00"),
            ("2024 02 3", "YYYY MM W", "2024-02-15 00:00:00"),
            ("2024Q1", "YYYY\"Q\"Q", "2024-01-01 00:00:00"),
            ("1 XII 2024", "DD RM YYYY", "2024-12-01 00:00:00"),
            ("1 viii 2024", "DD rm YYYY", "2024-08-01 00:00:00"),
            ("20 24", "CC YY", "1924-01-01 00:00:00"),
            ("21", "CC", "2001-01-01 00:00:00"),
            ("0044-03-15 BC", "YYYY-MM-DD AD", "-0043-03-15 00:00:00"),
            ("0044-03-15 AD", "YYYY-MM-DD BC", "0044-03-15 00:00:00"),
            ("30.123", "SS.FF3", "0000-01-01 00:00:30.123"),
            ("2024-02-03", "IYYY-MM-DD", "22007"),
            ("2024-02-03 XX", "YYYY-MM-DD BC", "22007"),
        ];
        for (text, pattern, expected) in cases {
            assert_eq!(shown(text, pattern), expected, "{text} as {pattern}");
        }
        assert!(shown("+02", "TZH").contains("TZH"));
    }
}
