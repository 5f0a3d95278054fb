//! Decimals of every width and scale: text with exactly their scale, binary as digits to the base of 10,000.

use std::io::Write;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, i256,
};
use bytes::BufMut;

use super::{Column, Format, cell};

/// Digits of the largest 256-bit number, and its sign.
const DIGITS_MAX: usize = 80;
/// The sign word of a negative numeric.
const NEGATIVE: u16 = 0x4000;
/// What a group counts up to.
const GROUP: u64 = 10_000;
/// Decimal digits of a group.
const GROUP_DIGITS: u16 = 4;
/// Bytes of what a binary numeric has before its groups.
const HEADER_BYTES: usize = 8;
/// Groups of the largest 64-bit number.
const NARROW_GROUPS_MAX: usize = 5;

/// Writes any decimal array.
pub(super) fn decimal(array: &dyn Array, format: Format) -> Box<dyn Column + '_> {
    macro_rules! arm {
        ($arrow:ty, $scale:expr) => {{
            let values = array.as_primitive::<$arrow>();
            let scale = i32::from(*$scale);
            match format {
                Format::Text => {
                    cell(array, move |row, out| put_text(i128::from(values.value(row)), scale, out))
                }
                Format::Binary => cell(array, move |row, out| {
                    put_binary(i128::from(values.value(row)), scale, out)
                }),
            }
        }};
    }
    match array.data_type() {
        DataType::Decimal32(_, scale) => arm!(Decimal32Type, scale),
        DataType::Decimal64(_, scale) => arm!(Decimal64Type, scale),
        DataType::Decimal256(_, scale) => {
            let values = array.as_primitive::<Decimal256Type>();
            let scale = i32::from(*scale);
            cell(array, move |row, out| {
                let mut digits = [0u8; DIGITS_MAX];
                let (negative, digits) = digits_of_wide(values.value(row), &mut digits);
                match format {
                    Format::Text => put_digits(negative, digits, scale, out),
                    Format::Binary => put_groups(negative, digits, scale, out),
                }
            })
        }
        DataType::Decimal128(_, scale) => arm!(Decimal128Type, scale),
        _ => cell(array, |_, _| {}),
    }
}

/// Writes quotients, each with as many digits behind the point as PostgreSQL gives it.
pub(super) fn quotient(array: &dyn Array, scale: i32, format: Format) -> Box<dyn Column + '_> {
    as_shown(array, format, move |value| without_zeros(value, scale))
}

/// Writes numbers that have no more digits behind the point than they need, and no fewer than `least`.
pub(super) fn plain(
    array: &dyn Array,
    scale: i32,
    least: i32,
    format: Format,
) -> Box<dyn Column + '_> {
    as_shown(array, format, move |value| trimmed(value, scale, least))
}

/// Writes numbers with the digits that `shown` gives for each, and with how many of them are behind the point.
fn as_shown<'a>(
    array: &'a dyn Array,
    format: Format,
    shown: impl Fn(i128) -> (i128, i32) + Send + 'a,
) -> Box<dyn Column + 'a> {
    let values = array.as_primitive::<Decimal128Type>();
    match format {
        Format::Text => cell(array, move |row, out| {
            let (value, scale) = shown(values.value(row));
            put_text(value, scale, out);
        }),
        Format::Binary => cell(array, move |row, out| {
            let (value, scale) = shown(values.value(row));
            put_binary(value, scale, out);
        }),
    }
}

/// Leaves out the zeros at the end of what is behind the point, but for the `least` first ones.
fn trimmed(mut value: i128, mut scale: i32, least: i32) -> (i128, i32) {
    let least = least.clamp(0, scale.max(0));
    if value == 0 {
        return (0, least);
    }
    for step in [32, 16, 8, 4, 2, 1_u32] {
        let zeros = 10_i128.pow(step);
        if scale - least >= step as i32 && value % zeros == 0 {
            value /= zeros;
            scale -= step as i32;
        }
    }
    (value, scale)
}

/// Leaves out zeros behind the sixteenth digit of a quotient, counted in groups of four from the point.
fn without_zeros(value: i128, scale: i32) -> (i128, i32) {
    let magnitude = value.unsigned_abs();
    let Some(most) = magnitude.checked_ilog10() else { return (value, scale) };
    let position = (most as i32 - scale).div_euclid(4);
    let own = 16 - 4 * position;
    // PostgreSQL knows no better than that a quotient of two numbers with the same first group is below one.
    let first = u32::try_from(scale + 4 * position).ok().map(|below| 10_u128.pow(below));
    let least = if first == Some(magnitude) { own + 4 } else { own };
    // Digits for which a column has no room are zeros where those before them are.
    if least > scale && value % 10_000 == 0 {
        let zeros = 10_i128.checked_pow((least - scale).unsigned_abs());
        if let Some(shown) = zeros.and_then(|zeros| value.checked_mul(zeros)) {
            return (shown, least);
        }
    }
    for own in [least, least + 4].map(|own| own.clamp(0, scale)) {
        let zeros = 10_i128.pow((scale - own).unsigned_abs());
        if value % zeros == 0 {
            return (value / zeros, own);
        }
    }
    (value, scale)
}

/// Appends a decimal as text with exactly `scale` digits behind the point.
pub(super) fn put_text(value: i128, scale: i32, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    put_digits(value < 0, digits_of(value, &mut buffer), scale, out);
}

/// Appends a decimal as a binary numeric.
pub(super) fn put_binary(value: i128, scale: i32, out: &mut Vec<u8>) {
    if let (Ok(magnitude), Ok(scale)) = (u64::try_from(value.unsigned_abs()), u16::try_from(scale))
        && put_narrow(value < 0, magnitude, scale, out)
    {
        return;
    }
    let mut buffer = itoa::Buffer::new();
    put_groups(value < 0, digits_of(value, &mut buffer), scale, out);
}

fn digits_of(value: i128, buffer: &mut itoa::Buffer) -> &[u8] {
    // Nearly all numbers are narrow, and to print wide ones takes three times as long.
    let magnitude = value.unsigned_abs();
    match u64::try_from(magnitude) {
        Ok(narrow) => buffer.format(narrow).as_bytes(),
        Err(_) => buffer.format(magnitude).as_bytes(),
    }
}

fn digits_of_wide(value: i256, digits: &mut [u8; DIGITS_MAX]) -> (bool, &[u8]) {
    let mut rest = &mut digits[..];
    // 80 bytes hold every 256-bit number: 2^255 has 77 digits.
    let _ = write!(rest, "{value}");
    let length = DIGITS_MAX - rest.len();
    match digits[..length].split_first() {
        Some((b'-', magnitude)) => (true, magnitude),
        _ => (false, &digits[..length]),
    }
}

fn put_digits(negative: bool, digits: &[u8], scale: i32, out: &mut Vec<u8>) {
    if negative {
        out.put_u8(b'-');
    }
    let Ok(scale) = usize::try_from(scale) else {
        out.put_slice(digits);
        if digits != b"0" {
            out.put_bytes(b'0', scale.unsigned_abs() as usize);
        }
        return;
    };
    if scale == 0 {
        out.put_slice(digits);
    } else if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.put_slice(whole);
        out.put_u8(b'.');
        out.put_slice(fraction);
    } else {
        out.put_slice(b"0.");
        out.put_bytes(b'0', scale - digits.len());
        out.put_slice(digits);
    }
}

/// Writes what [`put_groups`] does of a number of which the groups are found by division, as nearly all are. Returns whether it
/// is one.
fn put_narrow(negative: bool, magnitude: u64, scale: u16, out: &mut Vec<u8>) -> bool {
    // The groups are aligned at the decimal point.
    let padding = (GROUP_DIGITS - scale % GROUP_DIGITS) % GROUP_DIGITS;
    let Some(mut rest) = magnitude.checked_mul(10_u64.pow(u32::from(padding))) else {
        return false;
    };
    let mut bytes = [0; HEADER_BYTES + 2 * NARROW_GROUPS_MAX];
    let (mut start, mut end, mut groups) = (bytes.len(), bytes.len(), 0);
    while rest > 0 {
        let group = (rest % GROUP) as u16;
        rest /= GROUP;
        groups += 1;
        start -= 2;
        bytes[start..start + 2].copy_from_slice(&group.to_be_bytes());
        // Zero groups at the end are not sent.
        if group == 0 && end == start + 2 {
            end = start;
        }
    }
    let behind = (scale + padding) / GROUP_DIGITS;
    let weight = if groups == 0 { 0 } else { groups - 1 - i32::from(behind) };
    let (Ok(weight), Ok(count)) = (i16::try_from(weight), i16::try_from((end - start) / 2)) else {
        return false;
    };
    let sign = if negative { NEGATIVE } else { 0 };
    start -= HEADER_BYTES;
    let [count, weight] = [count, weight].map(i16::to_be_bytes);
    let [sign, scale] = [sign, scale].map(u16::to_be_bytes);
    let header = [count, weight, sign, scale];
    bytes[start..start + HEADER_BYTES].copy_from_slice(header.as_flattened());
    out.extend_from_slice(&bytes[start..end]);
    true
}

/// Writes count, weight, sign, display scale and groups of four digits, aligned at the decimal point.
fn put_groups(negative: bool, digits: &[u8], scale: i32, out: &mut Vec<u8>) {
    let display_scale = u16::try_from(scale.max(0)).unwrap_or(0);
    if digits == b"0" {
        out.put_i16(0);
        out.put_i16(0);
        out.put_u16(0);
        out.put_u16(display_scale);
        return;
    }
    // The power of ten of the first and of the last digit.
    let first = i32::try_from(digits.len()).unwrap_or(0) - scale - 1;
    let weight = first.div_euclid(4);
    let lowest = (-scale).div_euclid(4);
    let digit = |power: i32| {
        usize::try_from(first - power)
            .ok()
            .and_then(|index| digits.get(index))
            .map_or(0, |digit| i16::from(digit - b'0'))
    };
    let at = out.len();
    out.put_i16(0);
    out.put_i16(i16::try_from(weight).unwrap_or(i16::MAX));
    out.put_u16(if negative { NEGATIVE } else { 0 });
    out.put_u16(display_scale);
    let mut significant = 0i16;
    let mut written = 0i16;
    for group in (lowest..=weight).rev() {
        let power = group * 4;
        let value =
            digit(power + 3) * 1000 + digit(power + 2) * 100 + digit(power + 1) * 10 + digit(power);
        out.put_i16(value);
        written += 1;
        if value != 0 {
            significant = written;
        }
    }
    // Zero groups at the end are not sent.
    out.truncate(at + 8 + usize::try_from(significant).unwrap_or(0) * 2);
    out[at..at + 2].copy_from_slice(&significant.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_shown_with_the_digits_of_postgresql() {
        let check = |value: i128, expected: &str| {
            let (value, scale) = without_zeros(value, 20);
            let mut out = Vec::new();
            put_text(value, scale, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(33_333_333_333_333_333_333, "0.33333333333333333333");
        check(233_333_333_333_333_330_000, "2.3333333333333333");
        check(-2_833_333_333_333_333_300_000_000, "-28333.333333333333");
        check(350_000_000_000_000_000_000, "3.5000000000000000");
        check(100_000_000_000_000_000_000, "1.00000000000000000000");
        check(0, "0.00000000000000000000");
    }

    #[test]
    fn narrow_numbers_are_written_as_wide_ones_are() {
        let powers = (0..19).map(|power| 10_i128.pow(power));
        let around = powers.flat_map(|one| [one - 1, one, one + 1, one * 12, one * 305]);
        let widest = [0, i128::from(u64::MAX), i128::from(u64::MAX) - 7, i128::from(i64::MAX)];
        for value in around.chain(widest).flat_map(|value| [value, -value]) {
            for scale in 0..=38 {
                let (mut found, mut expected) = (Vec::new(), Vec::new());
                put_binary(value, scale, &mut found);
                let mut buffer = itoa::Buffer::new();
                put_groups(value < 0, digits_of(value, &mut buffer), scale, &mut expected);
                assert_eq!(found, expected, "{value} with {scale} digits behind the point");
            }
        }
    }

    #[test]
    fn quotients_for_which_a_column_has_no_room_end_in_zeros() {
        assert_eq!(without_zeros(50 * 10_i128.pow(14), 14), (50 * 10_i128.pow(16), 16));
        assert_eq!(without_zeros(5 * 10_i128.pow(15), 16), (5 * 10_i128.pow(19), 20));
        assert_eq!(without_zeros(3_333_333_333_333_333, 16), (3_333_333_333_333_333, 16));
    }

    #[test]
    fn plain_numbers_end_with_their_last_digit() {
        for (value, expected) in [
            (52_500_000_000_000_000, (525, 2)),
            (-200_000_000_000_000_000, (-20, 0)),
            (1, (1, 16)),
            (0, (0, 0)),
        ] {
            assert_eq!(trimmed(value, 16, 0), expected, "{value}");
        }
        assert_eq!(trimmed(1500, 3, 1), (15, 1));
        assert_eq!(trimmed(1000, 3, 1), (10, 1));
        assert_eq!(trimmed(2255, 3, 1), (2255, 3));
        assert_eq!(trimmed(0, 3, 1), (0, 1));
    }
}
