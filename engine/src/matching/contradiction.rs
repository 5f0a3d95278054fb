//! What two records say that one person does not say.
//!
//! Weaker than the whole weight of a pair and harder than it: spouses, siblings, father and son share nearly everything,
//! and differ in exactly this. Clusters are asked as wholes, since each of their records may leave out what another says.

use udfs::GivenNames;

use super::compare::{are_turned, with_second_names};
use super::levels::{birth, given};
use super::records::{ROW_BIRTH, ROW_GIVEN, ROW_SECOND, ROW_SUFFIX, ROW_SURNAME, Records};
use crate::identity::interner::NONE;

/// Given names that are less alike than this by Jaro and Winkler are of two people, unless one is short for the other.
/// Names that one or two slips apart are all above it. So are names that are known to be of two people, which are not asked. With
/// .7, Maria and Martin would contradict each other no more; with .9, a name of four letters with a slip would.
const GIVEN_ALIKE: f64 = 0.78;

/// Why records cannot be of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Contradiction {
    /// Given names differ.
    GivenName,
    /// Birthdays differ by more than a slip.
    BirthDate,
    /// Senior and junior.
    Suffix,
}

/// Returns whether two records differ in given name, birthday and suffix, in the order of [`Contradiction`].
pub(super) fn contradictions(records: &Records, left: u32, right: u32) -> [bool; 3] {
    let (left, right) = (records.row(left), records.row(right));
    let both = |place: usize| left[place] != NONE && right[place] != NONE;
    [
        both(ROW_GIVEN) && !may_share_given(records, left, right),
        both(ROW_BIRTH) && udfs::birth_date_level(left[ROW_BIRTH], right[ROW_BIRTH]) <= birth::YEAR,
        both(ROW_SUFFIX) && left[ROW_SUFFIX] != right[ROW_SUFFIX],
    ]
}

/// What the records of two groups say of each other, in bits, so that what is said of joined groups is what was said of
/// either: that it is known, then for each [`Contradiction`] that somebody could be compared, and that somebody agrees.
const KNOWN: u8 = 1;
const COMPARED: [u8; 3] = [1 << 1, 1 << 2, 1 << 3];
const AGREED: [u8; 3] = [1 << 4, 1 << 5, 1 << 6];

/// Compares the records of two groups.
pub(super) fn said(records: &Records, left: &[u32], right: &[u32]) -> u8 {
    let mut said = KNOWN;
    for &one in left {
        for &other in right {
            let found = contradictions(records, one, other);
            let (one, other) = (records.row(one), records.row(other));
            for (at, place) in [ROW_GIVEN, ROW_BIRTH, ROW_SUFFIX].into_iter().enumerate() {
                if one[place] != NONE && other[place] != NONE {
                    said |= if found[at] { COMPARED[at] } else { COMPARED[at] | AGREED[at] };
                }
            }
        }
    }
    said
}

/// Returns what stands between two groups, given what they [said]: nobody in the one agrees on it with anybody in the other.
pub(super) fn stand(said: u8) -> [bool; 3] {
    [0, 1, 2].map(|at| said & COMPARED[at] != 0 && said & AGREED[at] == 0)
}

/// Tells whether two records say the same of all in which people contradict each other.
pub(super) fn says_same(records: &Records, left: u32, right: u32) -> bool {
    let (left, right) = (records.row(left), records.row(right));
    [ROW_GIVEN, ROW_SECOND, ROW_SURNAME, ROW_BIRTH, ROW_SUFFIX]
        .into_iter()
        .all(|place| left[place] == right[place])
}

fn may_share_given(records: &Records, left: &[u32], right: &[u32]) -> bool {
    let are_turned = are_turned(records, left, right);
    let place = if are_turned { ROW_SURNAME } else { ROW_GIVEN };
    let is_first_shared = may_share_first(records, [left[place], right[place]], left, right);
    if are_turned {
        return is_first_shared;
    }
    let first = if is_first_shared { given::SAME } else { given::DIFFERENT };
    with_second_names(records, first, left, right) == given::SAME
}

/// Tells whether the first of two given names may be one, or stands where the other record has the surname.
fn may_share_first(
    records: &Records,
    [given, other]: [u32; 2],
    left: &[u32],
    right: &[u32],
) -> bool {
    let names = &records.names;
    if given == other || names.given_key(given) == names.given_key(other) {
        return true;
    }
    // Swapped fields.
    if given == right[ROW_SURNAME] || other == left[ROW_SURNAME] {
        return true;
    }
    let (text, other_text) = (names.text(given), names.text(other));
    if text.len() == 1 || other_text.len() == 1 {
        let starts = |short: &str, long: u32| {
            short.len() == 1
                && (names.text(long).starts_with(short)
                    || names.text(names.given_key(long)).starts_with(short))
        };
        return starts(text, other) || starts(other_text, given);
    }
    match udfs::relate_given_names(text, other_text) {
        GivenNames::One => true,
        GivenNames::Two => false,
        GivenNames::Open => {
            udfs::is_slip(text, other_text)
                || udfs::is_slip_of_form(text, other_text)
                || udfs::jaro_winkler_at_least(text, other_text, GIVEN_ALIKE).is_some()
        }
    }
}
