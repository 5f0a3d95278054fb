//! Dates, times and points in time.
//!
//! A date is `2026-01-31`, `20260131`, `2026/1/31`, `2026.1.31`, `1/31/2026` or `1/31/26` in the order of the session,
//! `Jan 31, 2026` or `31-Jan-2026`, a time `23:59`,
//! `23:59:59.5`, `11:59 pm` or `235959`; between them stands a blank or a `T`, and behind them the zone, as an offset, by
//! its name or by its abbreviation, and `BC`. The name of a day of the week says nothing.

mod words;

use self::words::Words;
pub(in crate::query::postgres) use self::words::{ABBREVIATIONS, abbreviated};
use super::Refusal;
use crate::query::postgres::functions::{is_endless_day, is_endless_time};
use crate::query::postgres::zone::{DateOrder, Zone};

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3600 * SECOND_US;
const DAY_US: i64 = 24 * HOUR_US;

/// Offsets from UTC are below this.
const OFFSET_MAX: i32 = 16 * 3600;

/// Days of the first day of the era from 1970-01-01, and how many an era of 400 years has.
const ERA_BEGIN: i64 = -719_468;
const ERA_DAYS: i64 = 146_097;

/// Reads a date, which may have a time behind it; returns days since 1970, of which the greatest and the least are infinite.
pub(super) fn date(text: &str, order: DateOrder) -> Result<i32, Refusal> {
    if let Some(is_later) = end(text) {
        return Ok(if is_later { i32::MAX } else { i32::MIN });
    }
    let parts = Parts::of(text, order)?;
    let days = i32::try_from(parts.days).ok().filter(|days| !is_endless_day(*days));
    days.ok_or(Refusal::Moment)
}

/// Tells whether a text says of a day or a point in time that it lies behind all others, or before them.
fn end(text: &str) -> Option<bool> {
    let is_later = text.eq_ignore_ascii_case("infinity");
    (is_later || text.eq_ignore_ascii_case("-infinity")).then_some(is_later)
}

/// The infinite point in time that a text says.
fn endless(text: &str) -> Option<i64> {
    end(text).map(|is_later| if is_later { i64::MAX } else { i64::MIN })
}

/// Reads a time of a day; returns microseconds since midnight.
pub(super) fn time(text: &str) -> Result<i64, Refusal> {
    let (micros, rest) = clock(text)?;
    // The offset of a time that has none is passed over.
    if rest.is_empty() { Ok(micros) } else { offset(rest).map(|_| micros) }
}

/// Reads a point in time of no zone; returns microseconds since 1970. A zone that is written is passed over.
pub(super) fn timestamp(text: &str, order: DateOrder) -> Result<i64, Refusal> {
    endless(text).map_or_else(|| Parts::of(text, order)?.local(), Ok)
}

/// Reads a point in time, of the zone that is written or of the session's; returns microseconds since 1970.
pub(super) fn timestamptz(text: &str, zone: &Zone) -> Result<i64, Refusal> {
    if let Some(micros) = endless(text) {
        return Ok(micros);
    }
    let parts = Parts::of(text, zone.order())?;
    let local = parts.local()?;
    match parts.zone {
        Some(Written::Offset(seconds)) => {
            local.checked_sub(i64::from(seconds) * SECOND_US).ok_or(Refusal::Moment)
        }
        Some(Written::Name(named)) => in_zone(local, &named),
        None => in_zone(local, zone),
    }
}

fn in_zone(local: i64, zone: &Zone) -> Result<i64, Refusal> {
    let seconds = zone.utc_of(local.div_euclid(SECOND_US));
    seconds
        .checked_mul(SECOND_US)
        .and_then(|micros| micros.checked_add(local.rem_euclid(SECOND_US)))
        .ok_or(Refusal::Moment)
}

/// A zone behind a time.
enum Written {
    /// Seconds east of Greenwich.
    Offset(i32),
    Name(Zone),
}

struct Parts {
    days: i64,
    micros: i64,
    zone: Option<Written>,
}

impl Parts {
    fn of(text: &str, order: DateOrder) -> Result<Parts, Refusal> {
        if let Some(parts) = Parts::plain(text) {
            return parts;
        }
        let lower = text.to_ascii_lowercase();
        if lower == "epoch" {
            return Ok(Parts { days: 0, micros: 0, zone: Some(Written::Offset(0)) });
        }
        // The name of a zone may end in these letters, too.
        let without = |era: &str| {
            let rest = lower.strip_suffix(era)?;
            (!rest.ends_with(|last: char| last.is_ascii_alphabetic())).then_some(rest.len())
        };
        let (end, is_before_christ) = match without("bc") {
            Some(end) => (end, true),
            None => (without("ad").unwrap_or(text.len()), false),
        };
        let text = text[..end].trim_end();
        if let Some(words) = Words::of(text) {
            return Parts::in_words(&words?, is_before_christ);
        }
        let separates = |letter: char| matches!(letter, 'T' | 't') || letter.is_ascii_whitespace();
        let (day, rest) = match text.find(separates) {
            Some(at) => (&text[..at], text[at + 1..].trim_start()),
            None => (text, ""),
        };
        let days = day_of(day, order, is_before_christ)?;
        if rest.is_empty() {
            return Ok(Parts { days, micros: 0, zone: None });
        }
        let (micros, rest) = clock(rest)?;
        let zone = if rest.is_empty() { None } else { Some(offset(rest)?) };
        Ok(Parts { days, micros, zone })
    }

    /// Reads what is written most: `2026-01-31`, with a time behind it and an offset or nothing behind that; `None` for
    /// other forms.
    fn plain(text: &str) -> Option<Result<Parts, Refusal>> {
        let bytes = text.as_bytes();
        let number = |from: usize, to: usize| {
            let digits = bytes.get(from..to)?;
            digits.iter().try_fold(0, |number, digit| {
                digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
            })
        };
        let is_dash = |at: usize| bytes.get(at) == Some(&b'-');
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        if !is_dash(4) || !is_dash(7) {
            return None;
        }
        let days = match day_number(year, month, day, false) {
            Ok(days) => days,
            Err(refusal) => return Some(Err(refusal)),
        };
        match bytes.get(10) {
            None => return Some(Ok(Parts { days, micros: 0, zone: None })),
            Some(b'+') => return Some(Parts::midnight(days, &text[10..])),
            Some(b' ' | b'T' | b't') => {}
            Some(_) => return None,
        }
        let is_clock =
            |byte: &u8| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'+' | b'-');
        if !bytes[11..].iter().all(is_clock) || bytes.len() == 11 {
            return None;
        }
        if matches!(bytes[11], b'+' | b'-') {
            return Some(Parts::midnight(days, &text[11..]));
        }
        let read = || -> Result<Parts, Refusal> {
            let (micros, rest) = clock(&text[11..])?;
            let zone = if rest.is_empty() { None } else { Some(offset(rest)?) };
            Ok(Parts { days, micros, zone })
        };
        Some(read())
    }

    /// A date with nothing but an offset behind it.
    fn midnight(days: i64, behind: &str) -> Result<Parts, Refusal> {
        Ok(Parts { days, micros: 0, zone: Some(offset(behind)?) })
    }

    /// A date whose month is written in letters, and what stands around it.
    fn in_words(words: &Words<'_>, is_before_christ: bool) -> Result<Parts, Refusal> {
        let days = day_number(words.year, words.month, words.day, is_before_christ)?;
        if words.rest.is_empty() {
            return Ok(Parts { days, micros: 0, zone: None });
        }
        let (micros, rest) = clock(words.rest)?;
        let zone = if rest.is_empty() { None } else { Some(offset(rest)?) };
        Ok(Parts { days, micros, zone })
    }

    fn local(&self) -> Result<i64, Refusal> {
        let days = self.days.checked_mul(DAY_US).ok_or(Refusal::Moment)?;
        let micros = days.checked_add(self.micros);
        micros.filter(|micros| !is_endless_time(*micros)).ok_or(Refusal::Moment)
    }
}

/// Reads a day; returns days since 1970. A year of two digits is one from 1970 to 2069.
fn day_of(text: &str, order: DateOrder, is_before_christ: bool) -> Result<i64, Refusal> {
    let (year, month, day) = if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        (&text[..4], &text[4..6], &text[6..])
    } else {
        let mark = ['/', '.'].into_iter().find(|mark| text.contains(*mark)).unwrap_or('-');
        let mut parts = text.splitn(3, mark);
        let (Some(first), Some(second), Some(third)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::MomentForm);
        };
        match order {
            _ if first.len() > 2 => (first, second, third),
            DateOrder::Year => (first, second, third),
            DateOrder::DayMonth => (third, second, first),
            DateOrder::MonthDay => (third, first, second),
        }
    };
    let number = |text: &str| -> Result<i64, Refusal> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::MomentForm);
        }
        text.parse().map_err(|_| Refusal::Moment)
    };
    let is_short = year.len() <= 2 && !is_before_christ;
    let since = match number(year)? {
        year if !is_short => year,
        year if year < 70 => year + 2000,
        year => year + 1900,
    };
    day_number(since, number(month)?, number(day)?, is_before_christ)
}

/// The days from 1970 to a day that there is.
fn day_number(year: i64, month: i64, day: i64, is_before_christ: bool) -> Result<i64, Refusal> {
    // The year before 1 is 1 before Christ.
    let counted = if is_before_christ { 1 - year } else { year };
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_of(counted, month) {
        return Err(Refusal::Moment);
    }
    // Years are counted from March, so that the day that not all have is the last one.
    let from_march = if month > 2 { counted } else { counted - 1 };
    let (era, of_era) = (from_march.div_euclid(400), from_march.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era.checked_mul(ERA_DAYS).ok_or(Refusal::Moment)?;
    Ok(days + of_era * 365 + of_era / 4 - of_era / 100 + of_year + ERA_BEGIN)
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap =
        year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Reads a time of a day, and returns what is behind it.
fn clock(text: &str) -> Result<(i64, &str), Refusal> {
    let is_part = |letter: char| letter.is_ascii_digit() || matches!(letter, ':' | '.');
    let end = text.find(|letter| !is_part(letter)).unwrap_or(text.len());
    let (digits, mut rest) = (&text[..end], text[end..].trim_start());
    let whole = digits.split('.').next().unwrap_or(digits);
    let (hour, minute, second) = if whole.contains(':') {
        let mut parts = digits.splitn(3, ':');
        (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or("0"))
    } else if matches!(whole.len(), 4 | 6) {
        let second = if whole.len() == 6 { &digits[4..] } else { "0" };
        (&digits[..2], &digits[2..4], second)
    } else {
        return Err(Refusal::MomentForm);
    };
    let number = |text: &str| text.parse::<i64>().map_err(|_| Refusal::MomentForm);
    let (mut hour, minute) = (number(hour)?, number(minute)?);
    if minute > 59 {
        return Err(Refusal::Moment);
    }
    let micros = seconds(second)?;
    let half = |name: &str| rest.get(..2).is_some_and(|half| half.eq_ignore_ascii_case(name));
    let (is_morning, is_afternoon) = (half("am"), half("pm"));
    if is_morning || is_afternoon {
        if !(1..=12).contains(&hour) {
            return Err(Refusal::Moment);
        }
        hour = hour % 12 + if is_afternoon { 12 } else { 0 };
        rest = rest[2..].trim_start();
    }
    let hours = hour.checked_mul(HOUR_US).ok_or(Refusal::Moment)?;
    let time = hours.saturating_add(minute * 60 * SECOND_US + micros);
    if micros > 60 * SECOND_US || time > DAY_US {
        return Err(Refusal::Moment);
    }
    Ok((time, rest))
}

/// Reads `59.123456` as microseconds, rounded.
fn seconds(text: &str) -> Result<i64, Refusal> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() > 2 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::MomentForm);
    }
    let whole = whole.parse::<i64>().map_err(|_| Refusal::MomentForm)?;
    let digit = |at: usize| fraction.as_bytes().get(at).map_or(0, |byte| i64::from(byte - b'0'));
    let micros = (0..6).fold(0, |micros, at| micros * 10 + digit(at));
    Ok(whole * SECOND_US + micros + i64::from(digit(6) >= 5))
}

/// Reads `Z`, `+02`, `-05:30`, `+0530`, or the name or the abbreviation of a zone.
fn offset(text: &str) -> Result<Written, Refusal> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'+') => (1, &text[1..]),
        Some(b'-') => (-1, &text[1..]),
        _ => {
            if let Some(seconds) = abbreviated(text) {
                return Ok(Written::Offset(seconds));
            }
            let zone =
                Zone::parse(text).filter(|_| text.starts_with(|first: char| first.is_alphabetic()));
            return zone.map(Written::Name).ok_or(Refusal::MomentForm);
        }
    };
    let parts: Vec<&str> = match digits.len() {
        4 if digits.bytes().all(|byte| byte.is_ascii_digit()) => vec![&digits[..2], &digits[2..]],
        _ => digits.split(':').collect(),
    };
    let mut seconds = 0;
    for (at, part) in parts.iter().enumerate() {
        let number = part.parse::<i32>().ok().filter(|_| part.len() <= 2 && at < 3);
        let number = number.ok_or(Refusal::MomentForm)?;
        if at > 0 && number > 59 {
            return Err(Refusal::Displacement);
        }
        seconds += number * [3600, 60, 1][at];
    }
    if seconds >= OFFSET_MAX {
        Err(Refusal::Displacement)
    } else {
        Ok(Written::Offset(sign * seconds))
    }
}
