//! How far two values agree, in levels (Fellegi and Sunter, 1969).
//!
//! Slips of the keyboard are Damerau's: a letter too many, too few, wrong, or two swapped. In birthdays they are day
//! and month swapped, one part mistyped, and the first of January for an unknown day.

use chrono::{Datelike, Days, NaiveDate};

/// The shortest name part in which one wrong letter is taken for a slip of the keyboard.
pub(super) const SLIP_LENGTH_MIN: usize = 3;

/// The shortest name part in which two wrong letters are.
const TWO_SLIPS_LENGTH_MIN: usize = 6;

/// How far two values agree; more is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Agreement {
    /// They are different.
    Different = 0,
    /// One is absent, or no more than an initial of the other.
    Unknown = 1,
    /// They differ as slips of the keyboard do.
    Similar = 2,
    /// They are the same, or forms of the same.
    Same = 3,
}

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

/// Agreement of the given names and of the surnames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameAgreement {
    pub(super) given: Agreement,
    pub(super) surname: Agreement,
}

impl NameAgreement {
    /// Tells whether both agree but for slips.
    pub(super) fn is_alike(self) -> bool {
        self.given >= Agreement::Similar && self.surname >= Agreement::Similar
    }

    /// Returns how strong the agreement is, from 0 to 6.
    pub(super) fn strength(self) -> u8 {
        self.given as u8 + self.surname as u8
    }
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

/// Tells whether two name parts differ as slips of the keyboard do: a letter too many, too few, wrong, or two swapped.
pub(crate) fn is_slip(left: &str, right: &str) -> bool {
    let shorter = left.len().min(right.len());
    let allowed = match shorter {
        0..SLIP_LENGTH_MIN => return false,
        SLIP_LENGTH_MIN..TWO_SLIPS_LENGTH_MIN => 1,
        _ => 2,
    };
    left.len().abs_diff(right.len()) <= allowed && udfs::osa_distance(left, right) <= allowed
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

    #[test]
    fn long_parts_may_have_two_slips_and_short_ones_none() {
        for (left, right, expected) in [
            ("jennifer", "jwnnifre", true),
            ("jennifer", "jwnnixre", false),
            ("kowal", "kowla", true),
            ("kowal", "kwola", false),
            ("jo", "joe", false),
            ("jan", "jean", true),
            ("", "", false),
        ] {
            assert_eq!(is_slip(left, right), expected, "{left} {right}");
        }
    }
}
