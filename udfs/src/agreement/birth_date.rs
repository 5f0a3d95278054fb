//! `birth_date_agreement`: how far two dates of birth agree, in the levels that the FUZZY rule weighs.

use arrow::datatypes::DataType;

use crate::column::{Specification, text, texts};
use crate::normalize::birth_date::{eight_digits, normalize_birth_date};

/// Nothing speaks for one birthday.
pub const DIFFERENT: u8 = 0;
/// The years are equal.
pub const YEAR: u8 = 1;
/// Months and days are equal, the years far apart.
pub const DAY: u8 = 2;
/// Two parts of three are equal, the third is no slip.
pub const PARTS: u8 = 3;
/// The years are equal, and one is the first of January, which stands for an unknown day.
pub const NEW_YEAR: u8 = 4;
/// They are one day but for a slip.
pub const SLIP: u8 = 5;
/// They are equal.
pub const SAME: u8 = 6;

/// What the levels are called, lowest first.
pub const LABELS: &[&str] = &[
    "different",
    "equal year",
    "equal month and day",
    "equal year and month, or year and day",
    "equal year, day unknown",
    "one slip, or day and month swapped",
    "equal",
];

pub(crate) fn specification() -> Specification {
    Specification {
        name: "birth_date_agreement",
        section: "Agreement",
        description: "Returns how far two dates of birth agree, in the levels of `cdp.match_weights`, from `equal` over `one slip, or \
                      day and month swapped` to `different`. The first of January stands for an unknown day of its year.",
        parameters: const {
            &[
                text("left", "One date, as `normalize_birth_date` reads it."),
                text("right", "The other date."),
                text(
                    "country",
                    "The country of both: a code or a name. Without it the day comes first.",
                ),
            ]
        },
        required: 2,
        example: (&["1980-05-06", "06/05/1980", "US"], "one slip, or day and month swapped"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| {
            let (left, right) = (arguments.text(0)?, arguments.text(1)?);
            let countries = arguments.text(2)?;
            let label =
                |row| birth_date_agreement(left.get(row)?, right.get(row)?, countries.get(row));
            Ok(texts((0..arguments.rows()).map(label)))
        },
    }
}

/// Returns how far two dates of birth agree as they are written; `None` where one of them is none.
pub fn birth_date_agreement(
    left: &str,
    right: &str,
    country: Option<&str>,
) -> Option<&'static str> {
    let number = |text| normalize_birth_date(text, country).and_then(eight_digits);
    LABELS.get(usize::from(birth_date_level(number(left)?, number(right)?))).copied()
}

/// Returns the level of two birthdays, written as numbers of eight digits.
pub fn birth_date_level(left: u32, right: u32) -> u8 {
    let parts = |date: u32| (date / 10_000, date / 100 % 100, date % 100);
    let ((year, month, day), (other_year, other_month, other_day)) = (parts(left), parts(right));
    let is_new_year = |month, day| (month, day) == (1, 1);
    let same_year = year == other_year;
    if same_year && (is_new_year(month, day) || is_new_year(other_month, other_day)) {
        return NEW_YEAR;
    }
    if left == right {
        return SAME;
    }
    let (same_month, same_day) = (month == other_month, day == other_day);
    match (same_year, same_month, same_day) {
        (true, false, false) if month == other_day && day == other_month => SLIP,
        (true, true, false) if is_digit_slip(day, other_day) => SLIP,
        (true, false, true) if is_digit_slip(month, other_month) => SLIP,
        (false, true, true) if is_year_slip(year, other_year) => SLIP,
        (true, true, _) | (true, _, true) => PARTS,
        (false, true, true) => DAY,
        (true, false, false) => YEAR,
        _ => DIFFERENT,
    }
}

/// Tells whether two numbers of two digits differ in one digit or in their order.
fn is_digit_slip(left: u32, right: u32) -> bool {
    left / 10 == right / 10
        || left % 10 == right % 10
        || left / 10 == right % 10 && left % 10 == right / 10
}

/// Tells whether two years differ in one digit or in the order of two that are neighbours.
fn is_year_slip(left: u32, right: u32) -> bool {
    let digits = |year: u32| [year / 1000, year / 100 % 10, year / 10 % 10, year % 10];
    let (left, right) = (digits(left), digits(right));
    let differ: Vec<usize> = (0..4).filter(|&at| left[at] != right[at]).collect();
    match differ[..] {
        [_] => true,
        [first, second] => {
            second == first + 1 && left[first] == right[second] && left[second] == right[first]
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn birthdays_have_levels() {
        for (left, right, expected) in [
            (19800506, 19800506, SAME),
            (19800506, 19800605, SLIP),
            (19800506, 19800516, SLIP),
            (19800506, 19800527, PARTS),
            (19800506, 19810506, SLIP),
            (19800506, 19080506, SLIP),
            (19800506, 19550506, DAY),
            (19800101, 19801224, NEW_YEAR),
            (19800101, 19800101, NEW_YEAR),
            (19800506, 19801127, YEAR),
            (19800506, 19810507, DIFFERENT),
        ] {
            assert_eq!(birth_date_level(left, right), expected, "{left} {right}");
            assert_eq!(birth_date_level(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn dates_are_read_before_they_are_compared() {
        for (left, right, country, expected) in [
            ("06.05.1980", "1980-05-06", None, Some("equal")),
            ("05/06/1980", "1980-05-06", Some("US"), Some("equal")),
            ("05/06/1980", "1980-05-06", None, Some("one slip, or day and month swapped")),
            ("1980-05-06", "1900-01-01", None, None),
            ("1980-05-06", "n/a", None, None),
        ] {
            assert_eq!(birth_date_agreement(left, right, country), expected, "{left} {right}");
        }
    }
}
