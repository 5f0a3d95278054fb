//! `normalize_birth_date`: dates of birth out of the ways people write them.

use arrow::datatypes::DataType;

use super::country::normalize_country;
use super::text::trim;
use crate::column::{Specification, dates, text};

/// The years a customer, or somebody in an archive, can be born in. A function of values knows no clock, so the last one is
/// one that nobody will soon have lived to: 2069 is 1969, written with two digits.
const YEARS: std::ops::RangeInclusive<i32> = 1600..=2035;

/// Up to this year the first of January stands for an unknown day, and in many systems for an unknown date.
const NEW_YEAR_UNKNOWN_MAX: i32 = 1900;

/// What else systems write for no date: the zero of their calendars.
const UNKNOWN: [(i32, i32, i32); 4] =
    [(1800, 12, 28), (1858, 11, 17), (1899, 12, 30), (1899, 12, 31)];

/// Countries that write the month first.
const MONTH_FIRST: [&str; 9] = ["US", "PH", "FM", "MH", "PW", "PR", "GU", "VI", "AS"];

/// What months are called where they are written out, in lower case: English, German, Polish; French, Spanish, Italian, Dutch;
/// Turkish, with and without the dots that capitals lose; Ukrainian, Russian.
const MONTHS: [&str; 12] = [
    "january jan januar jänner stycznia styczeń sty janvier enero gennaio januari ocak січня января",
    "february feb februar lutego luty lut février fevrier febrero febbraio februari şubat subat лютого февраля",
    "march mar märz maerz mrz marca marzec mars marzo maart mart березня марта",
    "april apr kwietnia kwiecień kwi avril abril aprile nisan квітня апреля",
    "may mai maja maj mayo maggio mei mayıs mayis травня мая",
    "june jun juni czerwca czerwiec cze juin junio giugno haziran червня июня",
    "july jul juli lipca lipiec lip juillet julio luglio temmuz липня июля",
    "august aug sierpnia sierpień sie août aout agosto augustus ağustos agustos серпня августа",
    "september sept sep września wrzesień wrz septembre septiembre settembre eylül eylul вересня сентября",
    "october oct oktober okt października październik paź octobre octubre ottobre ekim жовтня октября",
    "november nov listopada listopad lis novembre noviembre kasım kasim листопада ноября",
    "december dec dezember dez grudnia grudzień gru décembre decembre diciembre dicembre aralık aralik грудня декабря",
];

/// Words that stand between the parts of a date, and behind it: `6 de mayo de 1980`, `6 maja 1980 r.`, `6 травня 1980 року`.
const BETWEEN: [&str; 6] = ["de", "r", "roku", "р", "року", "года"];

pub(crate) fn specification() -> Specification {
    Specification {
        name: "normalize_birth_date",
        section: "Normalisation",
        description: "Reads a date of birth written as `yyyy-mm-dd`, `yyyymmdd`, `dd.mm.yyyy`, `dd/mm/yyyy` or, in the United States \
                      and some other countries, `mm/dd/yyyy`, or with the name of the month, as in `4 Dec 1997`, in English, German, \
                      Polish, French, Spanish, Italian, Dutch, Turkish, Ukrainian or Russian. Where only one reading is a date, \
                      that one is taken. Null for what is no date, for the first of January of 1900 and of years before, which \
                      stands for unknown, and for years before 1600 or after 2035.",
        parameters: const {
            &[
                text("birth_date", "The date."),
                text(
                    "country",
                    "The country of the person: a code or a name. Without it the day comes first.",
                ),
            ]
        },
        required: 1,
        example: (&["02/04/2009", "US"], "2009-02-04"),
        returns: DataType::Date32,
        logical_type: None,
        evaluate: |arguments| {
            let (values, countries) = (arguments.text(0)?, arguments.text(1)?);
            let date = |row| {
                values.get(row).and_then(|value| normalize_birth_date(value, countries.get(row)))
            };
            Ok(dates((0..arguments.rows()).map(date)))
        },
    }
}

/// Returns the date that `text` says, in days since 1970-01-01, or `None` when it says none. `country`, by code or by
/// name, decides between day and month first where both could be.
pub fn normalize_birth_date(text: &str, country: Option<&str>) -> Option<i32> {
    let text = trim(text);
    if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return days(number(&text[..4])?, number(&text[4..6])?, number(&text[6..])?);
    }
    let has_letters = text.bytes().any(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii());
    if has_letters && let Some(named) = with_month_name(text) {
        return Some(named);
    }
    let separator =
        text.chars().find(|c| !c.is_ascii_digit()).filter(|c| matches!(c, '-' | '.' | '/'))?;
    let mut parts = text.splitn(3, separator).map(str::trim);
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    // "1980.05.06." in Hungarian, "06.05.1980r." in Polish.
    let third = without_time(third).trim_end_matches(['r', '.']);
    if first.len() == 4 {
        return days(number(first)?, number(second)?, number(third)?);
    }
    if third.len() != 4 {
        return None;
    }
    let (first, second, year) = (number(first)?, number(second)?, number(third)?);
    let day_first = days(year, second, first);
    if separator == '.' {
        return day_first;
    }
    let month_first = days(year, first, second);
    if first <= 12
        && second <= 12
        && country.and_then(normalize_country).is_some_and(|code| MONTH_FIRST.contains(&code))
    {
        return month_first;
    }
    day_first.or(month_first)
}

/// Reads `4 December 1997`, `04-DEC-1997`, `Dec 4th, 1997`, `1997 Dec 4` and `4. Dezember 1997`.
fn with_month_name(text: &str) -> Option<i32> {
    let is_between = |word: &str| {
        let lower = || word.chars().flat_map(char::to_lowercase);
        BETWEEN.iter().any(|between| lower().eq(between.chars()))
    };
    let is_word = |word: &&str| !word.is_empty() && !is_between(word);
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(is_word);
    let (first, second, third) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let year = |word: &str| number(word).filter(|_| word.len() == 4);
    let day = |word: &str| {
        let ordinal = ["st", "nd", "rd", "th"].into_iter().find_map(|end| word.strip_suffix(end));
        number(ordinal.unwrap_or(word)).filter(|_| word.len() < 5)
    };
    if let Some(month) = month(first) {
        return days(year(third)?, month, day(second)?);
    }
    let month = month(second)?;
    match year(first) {
        Some(year) => days(year, month, day(third)?),
        None => days(year(third)?, month, day(first)?),
    }
}

/// Returns the number of a month that is written out.
fn month(word: &str) -> Option<i32> {
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let word = word.to_lowercase();
    let is_called = |names: &&str| names.split(' ').any(|name| name == word);
    (1..).zip(&MONTHS).find_map(|(number, names)| is_called(names).then_some(number))
}

/// Cuts a time of day, as in `1987-12-22T00:00:00Z`.
fn without_time(text: &str) -> &str {
    text.split_once(['T', 't', ' ']).map_or(text, |(date, _)| date)
}

fn number(digits: &str) -> Option<i32> {
    let well_formed =
        (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if well_formed { digits.parse().ok() } else { None }
}

/// Returns the days from 1970-01-01 to a date that exists and can be a birthday.
fn days(year: i32, month: i32, day: i32) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !YEARS.contains(&year)
        || !(1..=length).contains(&day)
        || year <= NEW_YEAR_UNKNOWN_MAX && (month, day) == (1, 1)
        || UNKNOWN.contains(&(year, month, day))
    {
        return None;
    }
    // Counted in years that begin in March, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468)
}

/// Writes days since 1970-01-01 as a number of eight digits, such as 19871222; `None` outside of the years that four
/// digits hold.
pub fn eight_digits(days: i32) -> Option<u32> {
    // Counted in years that begin in March, and in eras of four hundred of them.
    let days = i64::from(days) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + later;
    let number = (1..=9_999).contains(&year).then_some(year * 10_000 + month * 100 + day)?;
    u32::try_from(number).ok()
}

/// Returns the date of birth that `text` says as a number of eight digits. A year alone stands for its first day, which
/// comparisons take for an unknown day of that year.
pub fn birth_number(text: &str, country: Option<&str>) -> Option<u32> {
    let text = trim(text);
    if text.len() == 4 {
        let year =
            number(text).filter(|year| YEARS.contains(year) && *year != NEW_YEAR_UNKNOWN_MAX)?;
        return u32::try_from(year * 10_000 + 101).ok();
    }
    normalize_birth_date(text, country).and_then(eight_digits)
}

#[cfg(test)]
mod tests {
    use arrow::temporal_conversions::date32_to_datetime;
    use proptest::prelude::*;

    use super::*;

    fn written(days: i32) -> String {
        date32_to_datetime(days).unwrap().date().to_string()
    }

    #[test]
    fn dates_are_read_as_their_country_writes_them() {
        for (given, country, expected) in [
            ("1987-12-22", None, Some("1987-12-22")),
            (" 1987-1-2 ", None, Some("1987-01-02")),
            ("1987-12-22T00:00:00Z", None, Some("1987-12-22")),
            ("1987-12-22 00:00:00", Some("US"), Some("1987-12-22")),
            ("1987/12/22", Some("US"), Some("1987-12-22")),
            ("19871222", None, Some("1987-12-22")),
            ("03.10.1985", Some("DE"), Some("1985-10-03")),
            ("03.10.1985", Some("US"), Some("1985-10-03")),
            ("3.10.1985", None, Some("1985-10-03")),
            ("02/04/2009", Some("US"), Some("2009-02-04")),
            ("02/04/2009", Some("U.S."), Some("2009-02-04")),
            ("02/04/2009", Some("GB"), Some("2009-04-02")),
            ("02/04/2009", None, Some("2009-04-02")),
            ("02/04/2009", Some("nowhere"), Some("2009-04-02")),
            ("26/08/1969", Some("US"), Some("1969-08-26")),
            ("08/26/1969", None, Some("1969-08-26")),
            ("08-26-1969", Some("US"), Some("1969-08-26")),
            ("29.02.2000", None, Some("2000-02-29")),
            ("1900-01-02", None, Some("1900-01-02")),
            ("1900-01-01", None, None),
            ("01/01/1900", Some("US"), None),
            ("29.02.1900", None, None),
            ("31.04.1990", None, None),
            ("13/13/1990", None, None),
            ("26.8.69", None, None),
            ("1899-12-30", None, None),
            ("1899-12-29", None, Some("1899-12-29")),
            ("1858-11-17", None, None),
            ("1859-12-24", None, Some("1859-12-24")),
            ("1753-01-01", None, None),
            ("29.02.1896", None, Some("1896-02-29")),
            ("1600-02-29", None, Some("1600-02-29")),
            ("1599-12-31", None, None),
            ("1111-11-11", None, None),
            ("4 December 1997", None, Some("1997-12-04")),
            ("04-DEC-1997", Some("US"), Some("1997-12-04")),
            ("Dec 4th, 1997", None, Some("1997-12-04")),
            ("1997 Dec 4", None, Some("1997-12-04")),
            ("4. Dezember 1997", Some("DE"), Some("1997-12-04")),
            ("6 maja 1980 r.", None, Some("1980-05-06")),
            ("6 de mayo de 1980", None, Some("1980-05-06")),
            ("6 DE MAYO DE 1980", None, Some("1980-05-06")),
            ("6 MAJA 1980 R.", None, Some("1980-05-06")),
            ("6 ТРАВНЯ 1980 РОКУ", None, Some("1980-05-06")),
            ("6 février 1980", None, Some("1980-02-06")),
            ("6 Mayıs 1980", None, Some("1980-05-06")),
            ("6 MAYIS 1980", None, Some("1980-05-06")),
            ("6 ŞUBAT 1980", None, Some("1980-02-06")),
            ("6 травня 1980 року", None, Some("1980-05-06")),
            ("6 мая 1980", None, Some("1980-05-06")),
            ("06.05.1980r.", None, Some("1980-05-06")),
            ("06.05.1980 r.", None, Some("1980-05-06")),
            ("1980.05.06.", Some("HU"), Some("1980-05-06")),
            ("6 жовтня", None, None),
            ("4 PAŹDZIERNIKA 1997", Some("PL"), Some("1997-10-04")),
            ("31 April 1990", None, None),
            ("4 Dec 97", None, None),
            ("Dec 1997", None, None),
            ("4 Dec 1997 or so", None, None),
            ("4 None 1997", None, None),
            ("2035-12-31", None, Some("2035-12-31")),
            ("2050-05-06", None, None),
            ("2100-01-01", None, None),
            ("0000-00-00", None, None),
            ("n/a", None, None),
            ("NULL", None, None),
            ("-", None, None),
            ("", None, None),
            ("1987-12", None, None),
            ("１９８７1222", None, None),
        ] {
            assert_eq!(
                normalize_birth_date(given, country).map(written).as_deref(),
                expected,
                "{given} {country:?}"
            );
        }
    }

    #[test]
    fn a_year_alone_is_an_unknown_day_of_it() {
        for (given, expected) in [
            ("1987", Some(19_870_101)),
            (" 1859 ", Some(18_590_101)),
            ("1987-12-22", Some(19_871_222)),
            ("1900", None),
            ("1599", None),
            ("2036", None),
            ("87", None),
            ("198x", None),
        ] {
            assert_eq!(birth_number(given, None), expected, "{given}");
        }
    }

    #[test]
    fn dates_are_numbers() {
        for (days, expected) in
            [(0, Some(19_700_101)), (-1, Some(19_691_231)), (11_016, Some(20_000_229))]
        {
            assert_eq!(eight_digits(days), expected);
        }
        assert_eq!((eight_digits(i32::MAX), eight_digits(i32::MIN)), (None, None));
    }

    proptest! {
        #[test]
        fn a_number_shows_what_a_date_shows(day in -719_162i32..2_932_897) {
            let shown = written(day).replace('-', "");
            prop_assert_eq!(eight_digits(day), shown.parse().ok());
        }

        #[test]
        fn twice_is_once(given in "[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}|[0-9]{8}|.*") {
            if let Some(once) = normalize_birth_date(&given, None) {
                prop_assert_eq!(normalize_birth_date(&written(once), Some("US")), Some(once));
            }
        }

        #[test]
        fn every_day_is_counted(day in -25_565i32..24_106) {
            let expected = (day != -25_567).then_some(day);
            prop_assert_eq!(normalize_birth_date(&written(day), None), expected);
        }
    }
}
