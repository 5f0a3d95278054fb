//! Text to values, exactly: what does not fit is `None`, never rounded. Only of times, what is finer than microseconds
//! is cut.

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Reads a truth value in any spelling that PostgreSQL takes.
pub(super) fn boolean(text: &str) -> Option<bool> {
    const TRUE: [&str; 6] = ["true", "t", "1", "yes", "y", "on"];
    const FALSE: [&str; 6] = ["false", "f", "0", "no", "n", "off"];
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    match (TRUE.iter().any(is), FALSE.iter().any(is)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// Tells whether a text is a number as programs write one: no `+`, no leading zeros, no bare point. What is written
/// otherwise, such as `007` or `+48123`, is often a key or a telephone number.
pub(super) fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let count = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = count(digits);
    if whole == 0 || (whole > 1 && digits[0] == b'0') {
        return false;
    }
    let rest = match &digits[whole..] {
        [b'.', fraction @ ..] => match count(fraction) {
            0 => return false,
            scale => &fraction[scale..],
        },
        rest => rest,
    };
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            !exponent.is_empty() && count(exponent) == exponent.len()
        }
        _ => false,
    }
}

/// Reads a finite floating point number.
pub(super) fn float(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Reads a decimal number of `precision` digits, `scale` of them behind the point; digits beyond those must be zero.
pub(super) fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(index) => (&digits[..index], &digits[index + 1..]),
        None => (digits, &[][..]),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (kept, beyond) = fraction.split_at(fraction.len().min(usize::from(scale)));
    if beyond.iter().any(|byte| *byte != b'0') {
        return None;
    }
    let mut value: i128 = 0;
    for byte in whole.iter().chain(kept) {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    let missing = u32::from(scale) - u32::try_from(kept.len()).ok()?;
    value = value.checked_mul(10_i128.checked_pow(missing)?)?;
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (value < limit).then_some(if negative { -value } else { value })
}

/// Reads an ISO 8601 date as days since 1970-01-01.
pub(super) fn date(text: &str) -> Option<i32> {
    let bytes: &[u8; 10] = text.as_bytes().try_into().ok()?;
    i32::try_from(days(bytes)?).ok()
}

/// Reads an ISO 8601 date, or date and time, as microseconds since 1970-01-01 UTC, and whether a zone stood there.
/// Without one, the time is taken as UTC.
pub(super) fn timestamp(text: &str) -> Option<(i64, bool)> {
    let (day, rest) = text.as_bytes().split_first_chunk::<10>()?;
    let midnight = days(day)? * MICROS_PER_DAY;
    match rest.split_first() {
        None => Some((midnight, false)),
        Some((b'T' | b't' | b' ', rest)) => {
            let (time, rest) = time(rest)?;
            let (offset, zoned) = zone(rest)?;
            Some((midnight + time - offset, zoned))
        }
        Some(_) => None,
    }
}

fn days(text: &[u8; 10]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let year = pair(y1, y2)? * 100 + pair(y3, y4)?;
    let (month, day) = (pair(m1, m2)?, pair(d1, d2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if year == 0 || day == 0 || day > length {
        return None;
    }
    // Years that begin in March have their leap day last, so that months have fixed offsets.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - EPOCH_DAYS)
}

fn time(text: &[u8]) -> Option<(i64, &[u8])> {
    let ([h1, h2, b':', m1, m2], mut rest) = text.split_first_chunk::<5>()? else { return None };
    let (hour, minute) = (pair(*h1, *h2)?, pair(*m1, *m2)?);
    let mut second = 0;
    let mut micros = 0;
    if let Some(([b':', s1, s2], behind)) = rest.split_first_chunk::<3>() {
        second = pair(*s1, *s2)?;
        rest = behind;
        if let Some((b'.' | b',', digits)) = rest.split_first() {
            let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=9).contains(&count) {
                return None;
            }
            let kept = digits.iter().take(count).chain([b'0'; 6].iter()).take(6);
            micros = kept.fold(0, |value, byte| value * 10 + i64::from(byte - b'0'));
            rest = &digits[count..];
        }
    }
    let valid = hour < 24 && minute < 60 && second < 60;
    valid.then_some(((hour * 3600 + minute * 60 + second) * 1_000_000 + micros, rest))
}

/// Returns the offset of a zone from UTC in microseconds, and whether there is one.
fn zone(text: &[u8]) -> Option<(i64, bool)> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let (sign, digits) = match text {
        [] => return Some((0, false)),
        b"Z" | b"z" | b"UTC" | b"GMT" => return Some((0, true)),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match *digits {
        [h1, h2] => (pair(h1, h2)?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (pair(h1, h2)?, pair(m1, m2)?),
        _ => return None,
    };
    let valid = hours < 16 && minutes < 60;
    valid.then_some((sign * (hours * 3600 + minutes * 60) * 1_000_000, true))
}

fn pair(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then_some(i64::from(tens) * 10 + i64::from(ones))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_the_calendar() {
        let epoch = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        for days in (-700_000..800_000).step_by(97) {
            let day = epoch + chrono::Duration::days(days);
            assert_eq!(date(&day.format("%Y-%m-%d").to_string()).map(i64::from), Some(days));
        }
        for wrong in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-1-01",
            "26-01-01",
            "0000-01-01",
            "2026-01-01 ",
        ] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
        assert_eq!(date("2000-02-29"), Some(11016));
    }

    #[test]
    fn timestamps_keep_microseconds_and_zones() {
        let second = 1_000_000;
        for (text, expected) in [
            ("1970-01-01", Some((0, false))),
            ("1970-01-01T00:00", Some((0, false))),
            ("1970-01-01 00:00:01", Some((second, false))),
            ("1970-01-01T00:00:01Z", Some((second, true))),
            ("1970-01-01T00:00:01.5Z", Some((1_500_000, true))),
            ("1970-01-01T00:00:00.123456789+00", Some((123_456, true))),
            ("1970-01-01T01:00:00+01:00", Some((0, true))),
            ("1969-12-31T16:00:00-0800", Some((0, true))),
            ("1970-01-01 00:00:00 UTC", Some((0, true))),
            ("1970-01-01T24:00:00Z", None),
            ("1970-01-01T00:00:60Z", None),
            ("1970-01-01T00:00:00.Z", None),
            ("1970-01-01T00:00:00+1", None),
            ("1970-01-01T00:00:00 Europe/Warsaw", None),
            ("yesterday", None),
            ("1970-01-01é", None),
        ] {
            assert_eq!(timestamp(text), expected, "{text}");
        }
    }

    #[test]
    fn only_numbers_as_programs_write_them_are_plain() {
        for text in ["0", "-0", "7", "-12", "12.50", "0.5", "1e5", "1.5E-3", "2e+10"] {
            assert!(is_plain_number(text), "{text}");
        }
        for text in
            ["", "-", "007", "+48", "1.", ".5", "1.e5", "1e", "1e+", "1 2", "0x1", "nan", "1_0"]
        {
            assert!(!is_plain_number(text), "{text}");
        }
    }

    #[test]
    fn decimals_are_exact_or_nothing() {
        for (text, expected) in [
            ("12.30", Some(1230)),
            ("12.3", Some(1230)),
            ("-0.05", Some(-5)),
            (".5", Some(50)),
            ("12.300", Some(1230)),
            ("12.345", None),
            ("1e3", None),
            ("", None),
            (".", None),
            ("-", None),
            ("12,30", None),
            ("99999999.99", Some(9_999_999_999)),
            ("100000000.00", None),
        ] {
            assert_eq!(decimal(text, 10, 2), expected, "{text}");
        }
        let widest = "9".repeat(38);
        assert_eq!(decimal(&widest, 38, 0), widest.parse().ok());
        assert_eq!(decimal(&"9".repeat(39), 38, 0), None);
    }
}
