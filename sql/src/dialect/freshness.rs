//! When something is brought up to date: `EVERY '1 hour'`, `TARGET LAG '5 minutes'`, `ON DEMAND`.

use std::ops::RangeInclusive;
use std::time::Duration;

use engine::catalog::Freshness;

use super::cursor::Cursor;
use super::error::{FEATURE_NOT_SUPPORTED, INVALID_PARAMETER_VALUE, ParseError};

/// The shortest and the longest time between two runs, in seconds.
const SECONDS_ALLOWED: RangeInclusive<u64> = 1..=366 * 86_400;

/// The words that a freshness clause begins with.
pub(crate) const CLAUSES: [&str; 3] = ["every", "target lag", "on demand"];

/// Reads a freshness clause if one comes next.
pub(crate) fn freshness(cursor: &mut Cursor<'_>) -> Result<Option<Freshness>, ParseError> {
    if cursor.accept("every") {
        let every = Freshness::Every(duration(cursor)?);
        if cursor.is("offset") {
            return Err(cursor.error("OFFSET is not supported").sqlstate(FEATURE_NOT_SUPPORTED));
        }
        return Ok(Some(every));
    }
    if cursor.accept("target lag") {
        if cursor.is("downstream") {
            return Err(cursor
                .error("TARGET LAG DOWNSTREAM is not supported")
                .sqlstate(FEATURE_NOT_SUPPORTED)
                .hint("Give the lag as a text, such as '5 minutes'."));
        }
        return Ok(Some(Freshness::TargetLag(duration(cursor)?)));
    }
    if cursor.accept("on demand") {
        return Ok(Some(Freshness::OnDemand));
    }
    if cursor.is("schedule") {
        return Err(cursor
            .error("SCHEDULE is not supported")
            .sqlstate(FEATURE_NOT_SUPPORTED)
            .hint("Use EVERY '1 hour', for example."));
    }
    Ok(None)
}

/// Reads `[INTERVAL] '1 hour 30 minutes'`, a time between two runs.
fn duration(cursor: &mut Cursor<'_>) -> Result<Duration, ParseError> {
    duration_within(cursor, SECONDS_ALLOWED, "one second and a year")
}

/// Reads `[INTERVAL] '30 days'`, a number of seconds that lies `between` two times.
pub(crate) fn duration_within(
    cursor: &mut Cursor<'_>,
    allowed: RangeInclusive<u64>,
    between: &str,
) -> Result<Duration, ParseError> {
    cursor.accept("interval");
    let byte = cursor.start();
    let text = cursor.text("a time such as '15 minutes'")?;
    let seconds = seconds(&text).ok_or_else(|| {
        cursor
            .error_at(byte, format!("\"{text}\" is not a time"))
            .sqlstate(INVALID_PARAMETER_VALUE)
            .hint("Write a number and a unit: '30 seconds', '15 minutes', '1 hour', '1 day' or '1 week'.")
    })?;
    if !allowed.contains(&seconds) {
        return Err(cursor
            .error_at(byte, format!("\"{text}\" is not between {between}"))
            .sqlstate(INVALID_PARAMETER_VALUE));
    }
    Ok(Duration::from_secs(seconds))
}

/// Returns the seconds of `1 hour 30 minutes`.
fn seconds(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    let mut total = 0u64;
    while let Some(number) = words.next() {
        let unit = match words.next()?.to_lowercase().as_str() {
            "second" | "seconds" | "sec" | "secs" | "s" => 1,
            "minute" | "minutes" | "min" | "mins" => 60,
            "hour" | "hours" | "h" => 3_600,
            "day" | "days" | "d" => 86_400,
            "week" | "weeks" => 7 * 86_400,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
    }
    (total > 0 || text.trim_start().starts_with('0')).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_units() {
        for (text, expected) in [
            ("1 hour", Some(3_600)),
            ("90 seconds", Some(90)),
            ("1 hour 30 minutes", Some(5_400)),
            ("2 weeks", Some(1_209_600)),
            ("0 seconds", Some(0)),
            ("", None),
            ("hour", None),
            ("1", None),
            ("1 month", None),
            ("-1 day", None),
            ("99999999999999999999 days", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
