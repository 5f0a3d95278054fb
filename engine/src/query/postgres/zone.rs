//! The time zone of a session: a fixed offset or a zone of the IANA database.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use chrono::{DateTime, Offset, TimeZone};

use super::functions::is_endless_time;

/// A time zone under the name that the session shows, and the order of the numbers of a date there.
#[derive(Debug, Clone)]
pub struct Zone {
    name: Arc<str>,
    rule: Rule,
    order: DateOrder,
}

/// In which order the numbers of a date are written whose year does not come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum DateOrder {
    /// `12/31/2026`
    #[default]
    MonthDay,
    /// `31/12/2026`
    DayMonth,
    /// `26/12/31`
    Year,
}

impl DateOrder {
    /// Returns the order that a value of the setting `DateStyle` names, such as `ISO, DMY`.
    pub fn named(style: &str) -> DateOrder {
        match style.rsplit(',').next().map(str::trim) {
            Some("DMY") => DateOrder::DayMonth,
            Some("YMD") => DateOrder::Year,
            _ => DateOrder::MonthDay,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Rule {
    /// Seconds east of Greenwich.
    Fixed(i32),
    Named(Tz),
}

impl Zone {
    fn of(name: &str, rule: Rule) -> Zone {
        Zone { name: name.into(), rule, order: DateOrder::default() }
    }

    /// The same with another order of dates.
    #[must_use]
    pub fn with_order(self, order: DateOrder) -> Zone {
        Zone { order, ..self }
    }

    /// Returns the order in which the numbers of a date are read.
    pub fn order(&self) -> DateOrder {
        self.order
    }

    /// Returns UTC.
    pub fn utc() -> Zone {
        Zone::of("UTC", Rule::Fixed(0))
    }

    /// Reads a value of the setting `TimeZone`: a name of the IANA database, hours such as `2`, or a POSIX offset such
    /// as `UTC-2` and `+05:30`, in which east is negative. `None` when it is none of these.
    pub fn parse(text: &str) -> Option<Zone> {
        let text = text.trim();
        if let Ok(hours) = text.parse::<f64>()
            && hours.abs() < 24.0
            && !text.starts_with(['+'])
        {
            #[expect(clippy::cast_possible_truncation, reason = "below a day in seconds")]
            let seconds = (hours * 3600.0).round() as i32;
            return Some(Zone::of(&posix_name(seconds), Rule::Fixed(seconds)));
        }
        if ["utc", "gmt", "zulu", "uct", "z", "etc/utc", "etc/gmt"]
            .contains(&text.to_ascii_lowercase().as_str())
        {
            let name = if text.eq_ignore_ascii_case("utc") { "UTC" } else { text };
            return Some(Zone::of(name, Rule::Fixed(0)));
        }
        if let Some(seconds) = posix_offset(text) {
            return Some(Zone::of(text, Rule::Fixed(seconds)));
        }
        if !text.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return None;
        }
        if let Ok(zone) = Tz::from_str(text) {
            return Some(Zone::of(text, Rule::Named(zone)));
        }
        capitalised(text).into_iter().find_map(|name| {
            let zone = Tz::from_str(&name).ok()?;
            Some(Zone::of(&name, Rule::Named(zone)))
        })
    }

    /// Reads a zone of `AT TIME ZONE`, where a number is POSIX's, too: `-8` is eight hours east, and so is no setting.
    pub(crate) fn of_clock(text: &str) -> Option<Zone> {
        let text = text.trim();
        let is_unsigned = text.starts_with(|first: char| first.is_ascii_digit());
        let number = if is_unsigned { format!("+{text}") } else { text.to_owned() };
        let offset = posix_offset(&number).filter(|_| number.starts_with(['+', '-']));
        offset.map(Zone::fixed).or_else(|| Zone::parse(text))
    }

    /// Reads an offset with the sign of ISO 8601, in which `+05:30` is east; `None` of all else.
    pub(crate) fn of_offset(text: &str) -> Option<Zone> {
        let text = text.trim();
        let offset = posix_offset(text).filter(|_| text.starts_with(['+', '-']));
        offset.map(|west| Zone::fixed(-west))
    }

    /// Returns a zone that is always so many seconds east of Greenwich.
    pub fn fixed(seconds: i32) -> Zone {
        Zone::of(&posix_name(seconds), Rule::Fixed(seconds))
    }

    /// Returns the name that `SHOW TimeZone` answers with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells whether it is another zone than UTC.
    pub fn is_local(&self) -> bool {
        !matches!(self.rule, Rule::Fixed(0))
    }

    /// Returns the seconds to add to a UTC time to get the local time.
    pub fn offset_at(&self, utc_seconds: i64) -> i32 {
        match self.rule {
            Rule::Fixed(seconds) => seconds,
            Rule::Named(zone) => DateTime::from_timestamp(utc_seconds, 0).map_or(0, |time| {
                zone.offset_from_utc_datetime(&time.naive_utc()).fix().local_minus_utc()
            }),
        }
    }

    /// Returns the UTC time of a local time. One that the zone left out counts from the offset before the change, and of
    /// one that it had twice the later is meant, as in PostgreSQL.
    pub fn utc_of(&self, local_seconds: i64) -> i64 {
        let before = self.offset_at(local_seconds.saturating_sub(DAY));
        let after = self.offset_at(local_seconds.saturating_add(DAY));
        let utc = |offset: i32| local_seconds.saturating_sub(i64::from(offset));
        if self.offset_at(utc(after)) == after { utc(after) } else { utc(before) }
    }

    /// Returns what the clock on the wall shows at a point in time, both in microseconds since 1970.
    pub fn wall_clock(&self, micros: i64) -> i64 {
        if is_endless_time(micros) {
            return micros;
        }
        let offset = self.offset_at(micros.div_euclid(SECOND_US));
        micros.saturating_add(i64::from(offset) * SECOND_US)
    }

    /// Returns the point in time at which the clock on the wall shows a time, as [`Zone::utc_of`] says.
    pub fn moment(&self, micros: i64) -> i64 {
        if is_endless_time(micros) {
            return micros;
        }
        let seconds = self.utc_of(micros.div_euclid(SECOND_US));
        seconds.saturating_mul(SECOND_US).saturating_add(micros.rem_euclid(SECOND_US))
    }
}

const SECOND_US: i64 = 1_000_000;

/// A day in seconds.
const DAY: i64 = 86_400;

/// The ways in which the capitals of a zone's name may have to be: `Europe/Warsaw`, `US/Eastern`, `Etc/GMT+1`, `CET`.
fn capitalised(text: &str) -> [String; 4] {
    let mut title = String::with_capacity(text.len());
    let mut is_first = true;
    for letter in text.chars() {
        title.push(if is_first {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        });
        is_first = !letter.is_ascii_alphabetic();
    }
    let upper = text.to_ascii_uppercase();
    let at = title.find('/').unwrap_or(title.len());
    let (area, city) = (format!("{}{}", &upper[..at], &title[at..]), [&title[..at], &upper[at..]]);
    [area, city.concat(), upper, title]
}

/// Reads `UTC+2`, `<+02>-02` or `+05:30`: the sign is POSIX's, so that west is positive.
fn posix_offset(text: &str) -> Option<i32> {
    let offset = match text.strip_prefix('<') {
        Some(rest) => rest.split_once('>')?.1,
        None => text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic()),
    };
    let (sign, digits) = match offset.split_at_checked(1)? {
        ("+", digits) => (-1, digits),
        ("-", digits) => (1, digits),
        _ => return None,
    };
    let mut parts =
        digits.splitn(3, ':').map(|part| part.parse::<i32>().ok().filter(|_| part.len() <= 2));
    let hours = parts.next()??;
    let minutes = parts.next().unwrap_or(Some(0))?;
    let seconds = parts.next().unwrap_or(Some(0))?;
    (hours < 24 && minutes < 60 && seconds < 60)
        .then_some(sign * (hours * 3600 + minutes * 60 + seconds))
}

/// Names a fixed offset as PostgreSQL does: `<+02>-02`.
fn posix_name(seconds: i32) -> String {
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    let (sign, opposite) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
    if minutes == 0 {
        format!("<{sign}{hours:02}>{opposite}{hours:02}")
    } else {
        format!("<{sign}{hours:02}:{minutes:02}>{opposite}{hours:02}:{minutes:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times_that_a_zone_leaves_out_or_has_twice_are_those_of_postgresql() {
        let zone = Zone::parse("Europe/Warsaw").unwrap();
        let seconds = |text: &str| {
            let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap();
            time.and_utc().timestamp()
        };
        for (local, utc) in [
            ("2026-03-29 01:59:59", "2026-03-29 00:59:59"),
            ("2026-03-29 02:30:00", "2026-03-29 01:30:00"),
            ("2026-03-29 03:00:00", "2026-03-29 01:00:00"),
            ("2026-10-25 01:30:00", "2026-10-24 23:30:00"),
            ("2026-10-25 02:30:00", "2026-10-25 01:30:00"),
            ("2026-10-25 03:00:00", "2026-10-25 02:00:00"),
            ("2026-07-01 12:00:00", "2026-07-01 10:00:00"),
        ] {
            assert_eq!(zone.utc_of(seconds(local)), seconds(utc), "{local}");
        }
        for (written, name) in [
            ("europe/warsaw", "Europe/Warsaw"),
            ("AMERICA/NEW_YORK", "America/New_York"),
            ("us/eastern", "US/Eastern"),
            ("cet", "CET"),
        ] {
            assert_eq!(Zone::parse(written).unwrap().name(), name);
        }
        for (written, east) in [("-8", 8), ("8", -8), ("+8", -8), ("UTC-2", 2), ("<+03>-03", 3)] {
            assert_eq!(Zone::of_clock(written).unwrap().offset_at(0), east * 3600, "{written}");
        }
        assert_eq!(Zone::of_offset("-5:30").unwrap().offset_at(0), -19_800);
        assert!(Zone::of_offset("UTC-2").is_none());
        assert!(Zone::parse("mars/olympus").is_none());
        assert_eq!(Zone::parse("+05:30").unwrap().utc_of(0), 5 * 3600 + 1800);
    }
}
