//! Floating point numbers: the shortest digits that read back as the same number, laid out as PostgreSQL does.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};
use bytes::BufMut;

use super::whole::fixed;
use super::{Column, Format, cell};

/// From this decimal exponent on PostgreSQL writes a `real` with an exponent.
const REAL_EXPONENT_FROM: i32 = 6;
/// The same for `double precision`.
const DOUBLE_EXPONENT_FROM: i32 = 15;
/// Below this decimal exponent both get one.
const EXPONENT_BELOW: i32 = -4;

/// Writes any floating point array; half precision is widened to `real`.
pub(super) fn float(array: &dyn Array, format: Format) -> Box<dyn Column + '_> {
    match (array.data_type(), format) {
        (DataType::Float16, Format::Text) => {
            let values = array.as_primitive::<Float16Type>();
            cell(array, move |row, out| put_real(values.value(row).to_f32(), out))
        }
        (DataType::Float16, Format::Binary) => {
            let values = array.as_primitive::<Float16Type>();
            fixed(array, move |row| values.value(row).to_f32().to_be_bytes())
        }
        (DataType::Float32, Format::Text) => {
            let values = array.as_primitive::<Float32Type>();
            cell(array, move |row, out| put_real(values.value(row), out))
        }
        (DataType::Float32, Format::Binary) => {
            let values = array.as_primitive::<Float32Type>();
            fixed(array, move |row| values.value(row).to_be_bytes())
        }
        (_, Format::Text) => {
            let values = array.as_primitive::<Float64Type>();
            cell(array, move |row, out| put_double(values.value(row), out))
        }
        (_, Format::Binary) => {
            let values = array.as_primitive::<Float64Type>();
            fixed(array, move |row| values.value(row).to_be_bytes())
        }
    }
}

fn put_real(value: f32, out: &mut Vec<u8>) {
    if value.is_finite() {
        put_shortest(ryu::Buffer::new().format_finite(value), REAL_EXPONENT_FROM, out);
    } else {
        put_special(f64::from(value), out);
    }
}

/// Appends a double as PostgreSQL prints it with `extra_float_digits` above 0.
fn put_double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        put_shortest(ryu::Buffer::new().format_finite(value), DOUBLE_EXPONENT_FROM, out);
    } else {
        put_special(value, out);
    }
}

fn put_special(value: f64, out: &mut Vec<u8>) {
    let word: &[u8] = match value {
        value if value.is_nan() => b"NaN",
        f64::INFINITY => b"Infinity",
        _ => b"-Infinity",
    };
    out.put_slice(word);
}

/// Lays out the digits of ryu's text, such as `1234.5` or `1.2e-7`, in PostgreSQL's way.
fn put_shortest(text: &str, exponent_from: i32, out: &mut Vec<u8>) {
    let text = match text.strip_prefix('-') {
        Some(rest) => {
            out.put_u8(b'-');
            rest
        }
        None => text,
    };
    let (mantissa, scientific) = text.split_once('e').map_or((text, 0), |(mantissa, exponent)| {
        (mantissa, exponent.parse::<i32>().expect("ryu writes an integer behind its e"))
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');

    // The digits without zeros on either side, and the power of ten of the first.
    let mut digits = [0u8; 24];
    let mut count = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if count == 0 && digit == b'0' {
            continue;
        }
        digits[count] = digit;
        count += 1;
    }
    if count == 0 {
        out.put_u8(b'0');
        return;
    }
    let leading = if whole == "0" {
        -1 - i32::try_from(fraction.len() - fraction.trim_start_matches('0').len()).unwrap_or(0)
    } else {
        i32::try_from(whole.len()).unwrap_or(0) - 1
    };
    let exponent = leading + scientific;
    while count > 1 && digits[count - 1] == b'0' {
        count -= 1;
    }
    let digits = &digits[..count];
    if exponent < EXPONENT_BELOW || exponent >= exponent_from {
        put_scientific(digits, exponent, out);
    } else {
        put_fixed(digits, exponent, out);
    }
}

fn put_scientific(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    out.put_u8(digits[0]);
    if digits.len() > 1 {
        out.put_u8(b'.');
        out.put_slice(&digits[1..]);
    }
    out.put_slice(if exponent < 0 { b"e-" } else { b"e+" });
    if exponent.unsigned_abs() < 10 {
        out.put_u8(b'0');
    }
    super::number::put_number(exponent.unsigned_abs(), out);
}

fn put_fixed(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    let Ok(exponent) = usize::try_from(exponent) else {
        out.put_slice(b"0.");
        out.put_bytes(b'0', usize::try_from(-exponent - 1).unwrap_or(0));
        out.put_slice(digits);
        return;
    };
    let whole = exponent + 1;
    if digits.len() <= whole {
        out.put_slice(digits);
        out.put_bytes(b'0', whole - digits.len());
    } else {
        out.put_slice(&digits[..whole]);
        out.put_u8(b'.');
        out.put_slice(&digits[whole..]);
    }
}
