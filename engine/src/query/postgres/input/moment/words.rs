//! Dates whose month is written in letters, and abbreviations of zones.

use super::super::Refusal;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// Zones that have no name of the IANA database, in minutes east of Greenwich. These are PostgreSQL's own.
pub(in crate::query::postgres) const ABBREVIATIONS: [(&str, i32); 38] = [
    ("acst", 570),
    ("adt", -180),
    ("aedt", 660),
    ("aest", 600),
    ("akdt", -480),
    ("akst", -540),
    ("art", -180),
    ("ast", -240),
    ("awst", 480),
    ("brst", -120),
    ("brt", -180),
    ("bst", 60),
    ("cdt", -300),
    ("cest", 120),
    ("cet", 60),
    ("cst", -360),
    ("edt", -240),
    ("eest", 180),
    ("eet", 120),
    ("est", -300),
    ("gmt", 0),
    ("hkt", 480),
    ("hst", -600),
    ("ist", 120),
    ("jst", 540),
    ("kst", 540),
    ("mdt", -360),
    ("mest", 120),
    ("met", 60),
    ("msk", 180),
    ("mst", -420),
    ("nzdt", 780),
    ("nzst", 720),
    ("pdt", -420),
    ("pst", -480),
    ("sgt", 480),
    ("wet", 0),
    ("west", 60),
];

/// Returns the seconds that a zone with this abbreviation is east of Greenwich.
pub(in crate::query::postgres) fn abbreviated(text: &str) -> Option<i32> {
    let known = ABBREVIATIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    known.map(|(_, minutes)| minutes * 60)
}

/// A date whose month is written in letters.
pub(super) struct Words<'a> {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    /// What stands behind it.
    pub(super) rest: &'a str,
}

impl<'a> Words<'a> {
    /// Reads `Jan 15, 2024`, `15 January 2024`, `15-Jan-2024` or `2024-Jan-15`, each with or without the name of the day
    /// before it; `None` where no month is written in letters.
    pub(super) fn of(text: &'a str) -> Option<Result<Words<'a>, Refusal>> {
        let mut rest = text;
        if let Some((_, behind)) = named(rest, &DAYS) {
            rest = behind;
        }
        let mut month = None;
        let mut numbers: Vec<&str> = Vec::with_capacity(2);
        while month.is_none() || numbers.len() < 2 {
            if month.is_none()
                && let Some((found, behind)) = named(rest, &MONTHS)
            {
                month = Some(found);
                rest = behind;
                continue;
            }
            let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            if end == 0 {
                break;
            }
            // Two numbers before it are a date without letters.
            if numbers.len() == 2 {
                break;
            }
            numbers.push(&rest[..end]);
            rest = behind(&rest[end..]);
        }
        let month = i64::try_from(month?).ok()? + 1;
        Some(Words::dated(month, &numbers, rest))
    }

    fn dated(month: i64, numbers: &[&str], rest: &'a str) -> Result<Words<'a>, Refusal> {
        let (year, day) = match numbers {
            [year, day] if year.len() > 2 && day.len() <= 2 => (*year, *day),
            [day, year] if day.len() <= 2 => (*year, *day),
            _ => return Err(Refusal::MomentForm),
        };
        let number = |text: &str| text.parse::<i64>().map_err(|_| Refusal::Moment);
        let (digits, day) = (year.len(), number(day)?);
        let year = match number(year)? {
            // Years of two digits are those around 2020.
            short @ 0..70 if digits <= 2 => short + 2000,
            short if digits <= 2 => short + 1900,
            year => year,
        };
        Ok(Words { year, month, day, rest })
    }
}

/// Reads one of the names, or its first three letters; returns its place and what stands behind it.
fn named<'a>(text: &'a str, names: &[&str]) -> Option<(usize, &'a str)> {
    let end = text.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let word = &text[..end];
    let is_name = |name: &&str| {
        let short =
            [3, 4].contains(&end) && name.get(..end).is_some_and(|n| n.eq_ignore_ascii_case(word));
        // Four letters are for September, Tuesday and Thursday alone.
        name.eq_ignore_ascii_case(word)
            || short && (end == 3 || matches!(*name, "september" | "tuesday" | "thursday"))
    };
    let at = names.iter().position(is_name)?;
    Some((at, behind(&text[end..])))
}

/// Passes over what stands between the parts of a date.
fn behind(text: &str) -> &str {
    let text = text.strip_prefix('.').unwrap_or(text);
    let text = text.trim_start();
    let text = text.strip_prefix([',', '-', '/']).unwrap_or(text);
    text.trim_start()
}
