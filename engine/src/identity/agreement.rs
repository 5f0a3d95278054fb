//! How far two values agree, in levels (Fellegi and Sunter, 1969).
//!
//! Slips of the keyboard are Damerau's: a letter too many, too few, wrong, or two swapped. In birthdays they are day
//! and month swapped, one part mistyped, and the first of January for an unknown day.

use chrono::{Datelike, Days, NaiveDate};
pub(super) use udfs::{Agreement, NameAgreement};

/// Why two descriptions cannot be of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Contradiction {
    /// Given names differ.
    GivenName,
    /// Senior and junior.
    Suffix,
    /// Birthdays differ by more than a slip.
    BirthDate,
}

/// A day of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Birth {
    pub(super) year: i16,
    pub(super) month: u8,
    pub(super) day: u8,
}

impl Birth {
    pub(super) fn from_days(days: i32) -> Option<Self> {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
        let span = Days::new(u64::from(days.unsigned_abs()));
        let date =
            if days < 0 { epoch.checked_sub_days(span) } else { epoch.checked_add_days(span) }?;
        Some(Self {
            year: i16::try_from(date.year()).ok()?,
            month: date.month() as u8,
            day: date.day() as u8,
        })
    }

    /// Tells whether it may stand for "some time in that year".
    pub(super) fn is_new_year(&self) -> bool {
        (self.month, self.day) == (1, 1)
    }

    pub(super) fn as_number(self) -> u64 {
        self.year as u64 * 10_000 + u64::from(self.month) * 100 + u64::from(self.day)
    }

    /// Day and month swapped, an unknown day of the right year, and one part mistyped are slips.
    pub(super) fn agreement(self, other: Self) -> Agreement {
        if self == other {
            return Agreement::Same;
        }
        let same_year = self.year == other.year;
        let swapped = self.month == other.day && self.day == other.month;
        if same_year && (swapped || self.is_new_year() || other.is_new_year()) {
            return Agreement::Similar;
        }
        let parts = usize::from(!same_year)
            + usize::from(self.month != other.month)
            + usize::from(self.day != other.day);
        let slip = parts == 1 && (same_year || is_year_slip(self.year, other.year));
        if slip { Agreement::Similar } else { Agreement::Different }
    }
}

/// Tells whether two years differ by one digit of the usual kind or by the order of their digits.
fn is_year_slip(left: i16, right: i16) -> bool {
    let digits = |year: i16| {
        let mut digits = [year / 1000, year / 100 % 10, year / 10 % 10, year % 10];
        digits.sort_unstable();
        digits
    };
    matches!((left - right).abs(), 1 | 10) || digits(left) == digits(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn birthdays_differ_by_slips_or_altogether() {
        let birth = |(year, month, day)| Birth { year, month, day };
        for (left, right, expected) in [
            ((1980, 5, 6), (1980, 5, 6), Agreement::Same),
            ((1980, 5, 6), (1980, 6, 5), Agreement::Similar),
            ((1980, 5, 6), (1980, 5, 16), Agreement::Similar),
            ((1980, 5, 6), (1981, 5, 6), Agreement::Similar),
            ((1980, 5, 6), (1908, 5, 6), Agreement::Similar),
            ((1980, 1, 1), (1980, 12, 24), Agreement::Similar),
            ((1980, 5, 6), (1955, 5, 6), Agreement::Different),
            ((1980, 5, 6), (1980, 6, 7), Agreement::Different),
            ((1980, 1, 1), (1981, 12, 24), Agreement::Different),
        ] {
            assert_eq!(birth(left).agreement(birth(right)), expected, "{left:?} {right:?}");
            assert_eq!(birth(right).agreement(birth(left)), expected, "{right:?} {left:?}");
        }
        assert_eq!(Birth::from_days(-1), Some(birth((1969, 12, 31))));
        assert_eq!(Birth::from_days(i32::MAX), None);
    }
}
