//! Intervals, in PostgreSQL's own style, in words, or by ISO 8601.

use std::borrow::Cow;

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3600 * SECOND_US;
const DAY_US: i64 = 24 * HOUR_US;

/// A span of time as Postgres keeps it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Months, twelve a year.
    pub months: i32,
    /// Days, which may have 23 or 25 hours.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

impl Span {
    /// Reads an interval in PostgreSQL's own style, in words, or by ISO 8601 (`P1Y2M3DT4H5M6S`).
    pub fn parse(text: &str) -> Option<Span> {
        let text = text.trim();
        match text.strip_prefix('P') {
            Some(rest) => parse_iso(rest),
            None => parse_words(text),
        }
    }

    /// Adds `count` of a unit, of which parts go into the next smaller one.
    fn add(&mut self, count: f64, unit: &str) -> Option<()> {
        let unit = unit.to_ascii_lowercase();
        let (months, days, micros) =
            match unit.strip_suffix('s').filter(|rest| rest.len() > 1).unwrap_or(&unit) {
                "millennium" | "millennia" | "mil" => (12_000.0, 0.0, 0),
                "century" | "centurie" | "cent" | "c" => (1_200.0, 0.0, 0),
                "decade" | "dec" => (120.0, 0.0, 0),
                "y" | "yr" | "year" => (12.0, 0.0, 0),
                "mon" | "month" => (1.0, 0.0, 0),
                "w" | "week" => (0.0, 7.0, 0),
                "d" | "day" => (0.0, 1.0, 0),
                "h" | "hr" | "hour" => (0.0, 0.0, HOUR_US),
                "m" | "min" | "minute" => (0.0, 0.0, 60 * SECOND_US),
                "s" | "sec" | "second" => (0.0, 0.0, SECOND_US),
                "ms" | "msec" | "millisecond" => (0.0, 0.0, 1000),
                "us" | "usec" | "microsecond" => (0.0, 0.0, 1),
                _ => return None,
            };
        // Years have whole months.
        let is_of_years = months > 1.0;
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and a span is far smaller")]
        {
            if is_of_years {
                let whole = (count * months).round_ties_even() as i32;
                self.months = self.months.checked_add(whole)?;
                return Some(());
            }
            let whole_months = (count * months).trunc();
            let whole_days = (count * days).trunc() + ((count * months).fract() * 30.0).trunc();
            self.months = self.months.checked_add(whole_months as i32)?;
            self.days = self.days.checked_add(whole_days as i32)?;
            #[expect(clippy::cast_precision_loss, reason = "the constants are below 2^53")]
            let fraction = (count * days).fract() * DAY_US as f64 + count * micros as f64;
            self.micros = self.micros.checked_add(fraction.round() as i64)?;
        }
        Some(())
    }
}

fn parse_iso(text: &str) -> Option<Span> {
    let mut span = Span::default();
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    for (part, units) in [
        (date, [('Y', "year"), ('M', "month"), ('W', "week"), ('D', "day")].as_slice()),
        (time, [('H', "hour"), ('M', "minute"), ('S', "second")].as_slice()),
    ] {
        let mut rest = part;
        while !rest.is_empty() {
            let at = rest.find(|letter: char| letter.is_ascii_alphabetic())?;
            let letter = rest[at..].chars().next()?;
            let (_, unit) = units.iter().find(|(of, _)| *of == letter)?;
            span.add(rest[..at].parse().ok()?, unit)?;
            rest = &rest[at + 1..];
        }
    }
    (!text.is_empty()).then_some(span)
}

fn parse_words(text: &str) -> Option<Span> {
    let (text, ago) = match text.strip_suffix(" ago") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let text = with_signs(text);
    let mut span = Span::default();
    let mut words = text.split_ascii_whitespace().filter(|word| *word != "@").peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        if word.contains(':') {
            span.micros = span.micros.checked_add(parse_clock(word)?)?;
            continue;
        }
        if let Some(months) = years_and_months(word) {
            span.months = span.months.checked_add(months?)?;
            continue;
        }
        let split = word.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(word.len());
        let count = word[..split].parse::<f64>().ok()?;
        let unit = match words.peek() {
            _ if split < word.len() => &word[split..],
            // Before a clock stand days.
            Some(next) if next.contains(':') => "day",
            Some(_) => words.next()?,
            None => "second",
        };
        span.add(count, unit)?;
    }
    if ago {
        span = Span { months: -span.months, days: -span.days, micros: -span.micros };
    }
    Some(span)
}

/// Puts signs that stand alone before the numbers behind them, as in `1 month - 1 day`.
fn with_signs(text: &str) -> Cow<'_, str> {
    let is_sign = |word: &str| matches!(word, "-" | "+");
    if !text.split_ascii_whitespace().any(is_sign) {
        return Cow::Borrowed(text);
    }
    let mut joined = String::with_capacity(text.len());
    for word in text.split_ascii_whitespace() {
        joined.push_str(word);
        if !is_sign(word) {
            joined.push(' ');
        }
    }
    Cow::Owned(joined)
}

/// Reads `[-]years-months`; `None` for other words.
fn years_and_months(word: &str) -> Option<Option<i32>> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    let (years, months) = digits.split_once('-')?;
    let number = |text: &str| text.parse::<i32>().ok().filter(|number| *number >= 0);
    let whole = number(years).zip(number(months).filter(|months| *months < 12));
    Some(whole.and_then(|(years, months)| Some(sign * years.checked_mul(12)?.checked_add(months)?)))
}

/// Reads `[-]hours:minutes[:seconds[.fraction]]`.
fn parse_clock(word: &str) -> Option<i64> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let mut parts = digits.splitn(3, ':');
    let hours = parts.next()?.parse::<i64>().ok()?;
    let minutes = parts.next()?.parse::<i64>().ok()?;
    let seconds = parts.next().unwrap_or("0").parse::<f64>().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "below a minute")]
    let fraction = (seconds * 1e6).round() as i64;
    let micros = hours
        .checked_mul(HOUR_US)?
        .checked_add(minutes.checked_mul(60 * SECOND_US)?)?
        .checked_add(fraction)?;
    Some(if negative { -micros } else { micros })
}
