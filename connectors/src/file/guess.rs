//! Which type a column has, from a sample of its values.
//!
//! Guesses form a lattice with text on top: each value moves its column up, never down, so that the order of rows and
//! files does not matter. What could be a phone or a card number stays text, what has a fraction stays exact.

use arrow::datatypes::{DataType, Field, TimeUnit};

use super::schema::json_field;
use super::value;

/// More digits than this are a number somebody must not calculate with.
const INTEGER_DIGITS_MAX: usize = 18;

const DECIMAL_DIGITS_MAX: usize = 38;

/// What a column's values have been so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Guess {
    /// There was none.
    #[default]
    Nothing,
    Boolean,
    /// Exact numbers with at most so many digits before and behind the point.
    Number {
        whole: usize,
        scale: usize,
    },
    /// Numbers with an exponent.
    Float,
    Date,
    /// Without a zone.
    Timestamp,
    TimestampTz,
    /// Objects or arrays.
    Json,
    Text,
}

impl Guess {
    /// Guesses from a text that is not null.
    pub(super) fn of_text(text: &str) -> Guess {
        match text.as_bytes() {
            [b'-' | b'0'..=b'9', ..] => {
                Guess::of_number(text, true).unwrap_or_else(|| Guess::of_time(text))
            }
            [b't' | b'T' | b'f' | b'F', ..] => {
                match text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
                    true => Guess::Boolean,
                    false => Guess::Text,
                }
            }
            _ => Guess::Text,
        }
    }

    /// Guesses from one JSON value as it is written.
    pub(super) fn of_json(raw: &str) -> Guess {
        match raw.as_bytes() {
            [b'{' | b'[', ..] => Guess::Json,
            [b'"', text @ .., b'"'] => {
                std::str::from_utf8(text).map_or(Guess::Text, Guess::of_time)
            }
            [b't' | b'f', ..] => Guess::Boolean,
            [b'n', ..] => Guess::Nothing,
            _ => Guess::of_number(raw, false).unwrap_or(Guess::Float),
        }
    }

    fn of_time(text: &str) -> Guess {
        match value::timestamp(text) {
            Some((_, true)) => Guess::TimestampTz,
            Some((_, false)) if text.len() == "2026-01-31".len() => Guess::Date,
            Some((_, false)) => Guess::Timestamp,
            None => Guess::Text,
        }
    }

    /// Guesses from what starts like a number; `None` if it is not written as one.
    fn of_number(text: &str, short: bool) -> Option<Guess> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let count = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole = count(digits);
        let rest = &digits[whole..];
        if whole == 0 || (whole > 1 && digits.starts_with('0')) {
            return None;
        }
        let scale = rest.strip_prefix('.').map_or(0, count);
        let rest = if scale > 0 { &rest[scale + 1..] } else { rest };
        if !rest.is_empty() {
            let exponent = rest.starts_with(['e', 'E']) && value::float(text).is_some();
            return exponent.then_some(Guess::Float);
        }
        let too_long = short && scale == 0 && whole > INTEGER_DIGITS_MAX;
        Some(match too_long || whole + scale > DECIMAL_DIGITS_MAX {
            true => Guess::Text,
            false => Guess::Number { whole, scale },
        })
    }

    /// Returns the least type that holds the values of both.
    pub(super) fn or(self, other: Guess) -> Guess {
        use Guess::{Date, Float, Nothing, Number, Text, Timestamp};
        match (self, other) {
            (one, another) if one == another => one,
            (Nothing, guess) | (guess, Nothing) => guess,
            (Number { whole: w1, scale: s1 }, Number { whole: w2, scale: s2 }) => {
                let (whole, scale) = (w1.max(w2), s1.max(s2));
                if whole + scale > DECIMAL_DIGITS_MAX { Text } else { Number { whole, scale } }
            }
            (Number { .. }, Float) | (Float, Number { .. }) => Float,
            (Date, Timestamp) | (Timestamp, Date) => Timestamp,
            _ => Text,
        }
    }

    /// Returns the column that holds such values.
    pub(super) fn field(self, name: &str) -> Field {
        let data_type = match self {
            Guess::Json => return json_field(name),
            Guess::Nothing | Guess::Text => DataType::Utf8,
            Guess::Boolean => DataType::Boolean,
            Guess::Number { whole, scale: 0 } if whole <= INTEGER_DIGITS_MAX => DataType::Int64,
            Guess::Number { scale, .. } => {
                DataType::Decimal128(38, i8::try_from(scale).expect("at most 38"))
            }
            Guess::Float => DataType::Float64,
            Guess::Date => DataType::Date32,
            Guess::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Guess::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        };
        Field::new(name, data_type, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> DataType {
        let guess = texts.iter().fold(Guess::Nothing, |guess, text| guess.or(Guess::of_text(text)));
        guess.field("x").data_type().clone()
    }

    #[test]
    fn what_is_not_calculated_with_stays_text() {
        for texts in [
            &["007"][..],
            &["+48123"],
            &["1234567890123456789"],
            &["1", "x"],
            &["true", "1"],
            &["2026-01-01", "1"],
            &["2026-01-01T00:00:00Z", "2026-01-01T00:00:00"],
            &["31.12.2025"],
            &["1.2.3"],
            &["1."],
            &["-"],
            &[" 1"],
            &[],
        ] {
            assert_eq!(of(texts), DataType::Utf8, "{texts:?}");
        }
    }

    #[test]
    fn values_keep_their_types() {
        let micros =
            |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        for (texts, expected) in [
            (&["1", "-20", "0"][..], DataType::Int64),
            (&["1", "12.30"], DataType::Decimal128(38, 2)),
            (&["0.5", "12.305"], DataType::Decimal128(38, 3)),
            (&["1", "1e5"], DataType::Float64),
            (&["TRUE", "false"], DataType::Boolean),
            (&["2026-01-01"], DataType::Date32),
            (&["2026-01-01", "2026-01-01 10:00:00"], micros(None)),
            (&["2026-01-01T10:00:00+02:00"], micros(Some("UTC"))),
        ] {
            assert_eq!(of(texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn json_numbers_are_numbers_and_json_texts_are_not() {
        assert_eq!(Guess::of_json("\"12\""), Guess::Text);
        assert_eq!(Guess::of_json("12.5"), Guess::Number { whole: 2, scale: 1 });
        assert_eq!(Guess::of_json("{}"), Guess::Json);
        assert_eq!(Guess::of_json("null"), Guess::Nothing);
        assert_eq!(Guess::of_json("\"2026-01-01\""), Guess::Date);
        assert_eq!(
            Guess::of_json("1234567890123456789").field("x").data_type(),
            &DataType::Decimal128(38, 0)
        );
    }
}
