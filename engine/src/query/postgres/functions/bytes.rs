//! Functions over bytes: how they are written as text and read back, and how many there are.

mod bits;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, Int32Array};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err, plan_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::bounded::{BATCH_BYTES_MAX, too_large};
use super::{Body, Call, Function, Kind, failure};
use crate::Error;
use crate::query::postgres::input;
use crate::query::postgres::zone::Zone;

pub(super) use bits::FUNCTIONS as BITS;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("encode", &[Kind::Any, Kind::Text], "text", Body::Write(encode))
        .with(Volatility::Immutable),
    Function::new("decode", &[Kind::Text, Kind::Text], "bytea", Body::Column(decode))
        .with(Volatility::Immutable),
    Function::new("convert_from", &[Kind::Any, Kind::Text], "text", Body::Write(convert_from))
        .with(Volatility::Immutable),
    Function::new("convert_to", &[Kind::Text, Kind::Text], "bytea", Body::Column(convert_to))
        .with(Volatility::Immutable),
    Function::new("get_byte", &[Kind::Any, Kind::Int], "int4", Body::Int(get_byte))
        .with(Volatility::Immutable),
];

/// The digits of base64.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Letters in a line of base64.
const LINE: usize = 76;

/// The bytes of an argument. A text is read as a literal of them is.
fn bytes<'a>(call: &'a Call<'_>, row: usize) -> Result<Option<Cow<'a, [u8]>>> {
    let Some(array) = call.arguments.first().filter(|array| array.is_valid(row)) else {
        return Ok(None);
    };
    Ok(Some(Cow::Borrowed(match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        text if text.is_string() => {
            return call.text(0, row).map(of_text).transpose();
        }
        DataType::Null => return Ok(None),
        _ => return plan_err!("a function over bytes takes values of type bytea"),
    })))
}

fn of_text(text: &str) -> Result<Cow<'_, [u8]>> {
    match text.contains('\\') {
        true => read(text).map(Cow::Owned),
        false => Ok(Cow::Borrowed(text.as_bytes())),
    }
}

/// Reads bytes as they are written in a literal.
fn read(text: &str) -> Result<Vec<u8>> {
    match input::read(text, "bytea", &Zone::utc()) {
        Some(Ok(ScalarValue::Binary(Some(bytes)))) => Ok(bytes),
        _ => Err(invalid("invalid input syntax for type bytea")),
    }
}

fn encode(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let (Some(bytes), Some(form)) = (bytes(call, row)?, call.text(1, row)) else {
        return Ok(false);
    };
    match form.to_ascii_lowercase().as_str() {
        "hex" => out.push_str(&hex::encode(&bytes)),
        "base64" => to_base64(&bytes, out),
        "escape" => to_escapes(&bytes, out),
        _ => return Err(unknown_form(form)),
    }
    Ok(true)
}

/// Writes base64 in lines, as PostgreSQL does.
fn to_base64(bytes: &[u8], out: &mut String) {
    let mut width = 0;
    for group in bytes.chunks(3) {
        if width == LINE {
            out.push('\n');
            width = 0;
        }
        let at = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = (at(0) << 16) | (at(1) << 8) | at(2);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            out.push(if place > group.len() { '=' } else { char::from(DIGITS[digit as usize]) });
        }
        width += 4;
    }
}

fn to_escapes(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0 | 128.. => out.push_str(&format!("\\{byte:03o}")),
            _ => out.push(char::from(*byte)),
        }
    }
}

fn decode(call: &Call<'_>) -> Result<ArrayRef> {
    written(call, "decode", |text, form| match form.to_ascii_lowercase().as_str() {
        "hex" => {
            let digits: String = text.split_ascii_whitespace().collect();
            hex::decode(digits).map_err(|_| invalid("invalid hexadecimal data"))
        }
        "base64" => from_base64(text).ok_or_else(|| invalid("invalid base64 data")),
        "escape" => read(text),
        _ => Err(unknown_form(form)),
    })
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count, mut padding) = (0_u32, 0, 0);
    for letter in text.bytes().filter(|letter| !letter.is_ascii_whitespace()) {
        if letter == b'=' {
            padding += 1;
            continue;
        }
        let digit = DIGITS.iter().position(|digit| *digit == letter)?;
        if padding > 0 {
            return None;
        }
        bits = (bits << 6) | u32::try_from(digit).ok()?;
        count += 1;
        if count == 4 {
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, count) = (0, 0);
        }
    }
    match (count, padding) {
        (0, 0) => {}
        (2, 2) => bytes.push((bits >> 4).to_be_bytes()[3]),
        (3, 1) => bytes.extend_from_slice(&(bits >> 2).to_be_bytes()[2..]),
        _ => return None,
    }
    Some(bytes)
}

fn convert_from(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let (Some(bytes), Some(encoding)) = (bytes(call, row)?, call.text(1, row)) else {
        return Ok(false);
    };
    match Encoding::of(encoding)? {
        Encoding::Utf8 => match std::str::from_utf8(&bytes) {
            Ok(text) if !text.contains('\0') => out.push_str(text),
            _ => {
                return Err(failure(Error::Standard {
                    sqlstate: "22021",
                    message: "invalid byte sequence for encoding \"UTF8\"".to_owned(),
                    hint: "Name the encoding that the bytes have, such as LATIN1.".to_owned(),
                }));
            }
        },
        Encoding::Latin1 => out.extend(bytes.iter().map(|byte| char::from(*byte))),
    }
    Ok(true)
}

fn convert_to(call: &Call<'_>) -> Result<ArrayRef> {
    written(call, "convert_to", |text, encoding| match Encoding::of(encoding)? {
        Encoding::Utf8 => Ok(text.as_bytes().to_vec()),
        Encoding::Latin1 => {
            let bytes = text.chars().map(|letter| u8::try_from(u32::from(letter)));
            bytes.collect::<std::result::Result<_, _>>().map_err(|_| {
                failure(Error::Standard {
                    sqlstate: "22P05",
                    message: "a character has no equivalent in encoding \"LATIN1\"".to_owned(),
                    hint: "Use UTF8, which has all of them.".to_owned(),
                })
            })
        }
    })
}

/// How letters become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Latin1,
}

impl Encoding {
    fn of(name: &str) -> Result<Self> {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        match plain.to_ascii_lowercase().as_str() {
            "utf8" | "unicode" => Ok(Encoding::Utf8),
            "latin1" | "iso88591" => Ok(Encoding::Latin1),
            _ => Err(failure(Error::Standard {
                sqlstate: "0A000",
                message: format!("encoding \"{name}\" is not supported"),
                hint: "There are UTF8 and LATIN1.".to_owned(),
            })),
        }
    }
}

fn get_byte(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    let (Some(bytes), Some(place)) = (bytes(call, row)?, call.int(1, row)) else {
        return Ok(None);
    };
    let found = usize::try_from(place).ok().and_then(|place| bytes.get(place));
    found.map(|byte| Some(i64::from(*byte))).ok_or_else(|| bits::out_of_range(place, bytes.len()))
}

/// The bytes that are made of a text and a word.
fn written(
    call: &Call<'_>,
    function: &str,
    make: impl Fn(&str, &str) -> Result<Vec<u8>>,
) -> Result<ArrayRef> {
    let mut all = BinaryBuilder::new();
    let mut total = 0_u64;
    for row in 0..call.rows {
        let (Some(text), Some(word)) = (call.text(0, row), call.text(1, row)) else {
            all.append_null();
            continue;
        };
        let bytes = make(text, word)?;
        total += bytes.len() as u64;
        if total > BATCH_BYTES_MAX {
            return Err(too_large(function));
        }
        all.append_value(bytes);
    }
    Ok(Arc::new(all.finish()))
}

fn unknown_form(form: &str) -> DataFusionError {
    invalid(&format!("unrecognized encoding: \"{form}\""))
}

fn invalid(message: &str) -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "22023",
        message: message.to_owned(),
        hint: "Bytes are written in hex, base64 or escape.".to_owned(),
    })
}

/// `length`, which counts the letters of a text and the bytes of a bytea, and what counts bytes and bits of both.
const LENGTHS: [(&str, i32); 3] = [(LETTERS, 1), ("octet_length", 1), ("bit_length", 8)];
const LETTERS: &str = "character_length";

/// Returns the functions that count what texts and bytes are made of.
pub(super) fn lengths() -> Vec<ScalarUDF> {
    static FUNCTIONS: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
        let all = SessionStateDefaults::default_scalar_functions();
        let of = |(name, each): (&str, i32)| {
            let inner = all.iter().find(|function| function.name() == name)?;
            let signature = Signature::user_defined(Volatility::Immutable);
            Some(ScalarUDF::from(Length { inner: Arc::clone(inner), each, signature }))
        };
        LENGTHS.into_iter().filter_map(of).collect()
    });
    FUNCTIONS.clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Length {
    /// What counts in texts.
    inner: Arc<ScalarUDF>,
    /// How often a byte counts.
    each: i32,
    signature: Signature,
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

impl ScalarUDFImpl for Length {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [one] if is_bytes(one) => Ok(DataType::Int32),
            _ => self.inner.return_type(types),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [one] if is_bytes(one.data_type()) => {
                let length = one.as_ref().clone().with_name(self.name());
                let length = length.with_data_type(DataType::Int32).with_metadata(HashMap::new());
                Ok(Arc::new(length))
            }
            _ => self.inner.return_field_from_args(args),
        }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            // Of large texts DataFusion's is a bigint.
            [DataType::LargeUtf8] => Ok(vec![DataType::Utf8View]),
            [one] if one.is_string() || is_bytes(one) => Ok(vec![one.clone()]),
            [DataType::Null] => Ok(vec![DataType::Utf8]),
            [_] if self.name() == LETTERS => Ok(vec![DataType::Utf8]),
            [other] => plan_err!("Function '{}' does not take {other}", self.name()),
            _ => plan_err!("function length takes one argument"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [one] = args.args.as_slice() else {
            return internal_err!("length takes one argument");
        };
        if !is_bytes(&one.data_type()) {
            return self.inner.invoke_with_args(args);
        }
        let is_constant = matches!(one, ColumnarValue::Scalar(_));
        let array = one.to_array(if is_constant { 1 } else { args.number_rows })?;
        let lengths: Int32Array = match array.data_type() {
            DataType::Binary => counted(array.as_binary::<i32>().iter(), self.each),
            DataType::LargeBinary => counted(array.as_binary::<i64>().iter(), self.each),
            _ => counted(array.as_binary_view().iter(), self.each),
        };
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&lengths, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(lengths)))
    }
}

fn counted<'a>(all: impl Iterator<Item = Option<&'a [u8]>>, each: i32) -> Int32Array {
    let count = |bytes: &[u8]| i32::try_from(bytes.len()).ok()?.checked_mul(each);
    all.map(|bytes| bytes.and_then(count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_postgres() {
        for (bytes, text) in [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj")] {
            let mut out = String::new();
            to_base64(bytes.as_bytes(), &mut out);
            assert_eq!(out, text);
            assert_eq!(from_base64(text).unwrap(), bytes.as_bytes());
        }
        let mut long = String::new();
        to_base64(&[0; 60], &mut long);
        assert_eq!(long.find('\n'), Some(76));
        assert_eq!(from_base64(&long).unwrap(), [0; 60]);
        for wrong in ["YQ", "YQ=", "Y===", "YQ==YQ==", "*"] {
            assert_eq!(from_base64(wrong), None, "{wrong}");
        }
        let mut escaped = String::new();
        to_escapes(b"a\\\0\xff", &mut escaped);
        assert_eq!(escaped, "a\\\\\\000\\377");
    }
}
