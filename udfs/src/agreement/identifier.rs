//! `email_agreement` and `phone_agreement`: how far two identifiers agree, in the levels that the FUZZY rule weighs.

use arrow::datatypes::DataType;

use super::slip::is_one_slip;
use crate::column::{Specification, text, texts};
use crate::normalize::email::normalize_email;
use crate::normalize::phone::normalize_phone;

/// Nothing speaks for one value.
pub const DIFFERENT: u8 = 0;
/// They are one value but for a slip of the keyboard.
pub const SLIP: u8 = 1;
/// The names of two mailboxes are equal, their domains are not.
pub const LOCAL: u8 = 2;
/// They are equal, and several people carry the value.
pub const SHARED: u8 = 3;
/// They are equal, and one person carries the value.
pub const PERSONAL: u8 = 4;

/// What the levels are called, lowest first. An identifier of nobody says nothing.
pub const LABELS: &[&str] =
    &["different", "one slip", "equal name, another domain", "equal, several people's", "equal"];

/// The shortest identifier in which one wrong letter is a slip, not another identifier.
const SLIP_LENGTH_MIN: usize = 6;

pub(crate) fn specification() -> Specification {
    Specification {
        name: "email_agreement",
        section: "Agreement",
        description: "Returns how far two e-mail addresses agree, in the levels of `cdp.match_weights`: `equal`, `equal name, another \
                      domain`, `one slip` or `different`. How many people have a mailbox is not looked at.",
        parameters: const { &[text("left", "One address."), text("right", "The other address.")] },
        required: 2,
        example: (
            &["Ada.Lovelace@gmail.com", "adalovelace@proton.me"],
            "equal name, another domain",
        ),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| {
            let (left, right) = (arguments.text(0)?, arguments.text(1)?);
            let label = |row| email_agreement(left.get(row)?, right.get(row)?);
            Ok(texts((0..arguments.rows()).map(label)))
        },
    }
}

pub(crate) fn specification_of_phone() -> Specification {
    Specification {
        name: "phone_agreement",
        section: "Agreement",
        description: "Returns how far two telephone numbers agree, in the levels of `cdp.match_weights`: `equal`, `one slip` or \
                      `different`. How many people have a number is not looked at.",
        parameters: const {
            &[
                text("left", "One number."),
                text("right", "The other number."),
                text("region", "The country of national numbers: a code or a name."),
            ]
        },
        required: 2,
        example: (&["0171/1234567", "+49 171 1243567", "DE"], "one slip"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| {
            let (left, right) = (arguments.text(0)?, arguments.text(1)?);
            let regions = arguments.text(2)?;
            let label = |row| phone_agreement(left.get(row)?, right.get(row)?, regions.get(row));
            Ok(texts((0..arguments.rows()).map(label)))
        },
    }
}

/// Returns how far two addresses agree as they are written; `None` where one of them is none.
pub fn email_agreement(left: &str, right: &str) -> Option<&'static str> {
    let (left, right) = (normalize_email(left)?, normalize_email(right)?);
    if left == right {
        return label(PERSONAL);
    }
    label(identifier_level(left.split_once('@')?, right.split_once('@')?))
}

/// Returns how far two telephone numbers agree as they are written; `None` where one of them is none.
pub fn phone_agreement(left: &str, right: &str, region: Option<&str>) -> Option<&'static str> {
    let (left, right) = (normalize_phone(left, region)?, normalize_phone(right, region)?);
    if left == right {
        return label(PERSONAL);
    }
    label(identifier_level((&left, ""), (&right, "")))
}

fn label(level: u8) -> Option<&'static str> {
    LABELS.get(usize::from(level)).copied()
}

/// Returns the level of two normalised identifiers that differ: mailboxes as name and domain, others with an empty domain.
pub fn identifier_level((left, domain): (&str, &str), (right, other_domain): (&str, &str)) -> u8 {
    if left == right && domain != other_domain {
        return LOCAL;
    }
    let is_slip = domain == other_domain
        && left.len().min(right.len()) >= SLIP_LENGTH_MIN
        && is_one_slip(left, right);
    if is_slip { SLIP } else { DIFFERENT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_levels() {
        for (left, right, expected) in [
            ("Ada.Lovelace+x@gmail.com", "adalovelace@googlemail.com", Some("equal")),
            ("adalovelace@a.example", "adalovelace@b.example", Some("equal name, another domain")),
            ("adalovelace@a.example", "adalovelcae@a.example", Some("one slip")),
            ("adalovelace@a.example", "adalovelcae@b.example", Some("different")),
            ("ada@a.example", "ad@a.example", Some("different")),
            ("ada@a.example", "ada", None),
        ] {
            assert_eq!(email_agreement(left, right), expected, "{left} {right}");
            assert_eq!(email_agreement(right, left), expected, "{right} {left}");
        }
        for (left, right, expected) in [
            ("609 969 356", "+48609969356", Some("equal")),
            ("609 969 356", "609 969 365", Some("one slip")),
            ("609 969 356", "22 123 45 67", Some("different")),
            ("609 969 356", "?", None),
        ] {
            assert_eq!(phone_agreement(left, right, Some("PL")), expected, "{left} {right}");
        }
    }
}
