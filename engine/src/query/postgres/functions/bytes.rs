//! Functions over bytes: how they are written as text and read back, and how many there are.

mod bits;
mod convert;
mod cut;

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
use crate::query::postgres::unknown::is_bytes;

pub(super) use bits::FUNCTIONS as BITS;
pub(in crate::query::postgres) use cut::call as cut_call;
pub(super) use cut::functions as cuts;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("encode", &[Kind::Any, Kind::Text], "text", Body::Write(encode))
        .with(Volatility::Immutable),
    Function::new("decode", &[Kind::Text, Kind::Text], "bytea", Body::Column(decode))
        .with(Volatility::Immutable),
    Function::new("convert_from", &[Kind::Any, Kind::Text], "text", Body::Write(convert::from))
        .with(Volatility::Immutable),
    Function::new("convert_to", &[Kind::Text, Kind::Text], "bytea", Body::Column(convert::to))
        .with(Volatility::Immutable),
    Function::new(
        "convert",
        &[Kind::Any, Kind::Text, Kind::Text],
        "bytea",
        Body::Column(convert::between),
    )
    .with(Volatility::Immutable),
    Function::new("get_byte", &[Kind::Any, Kind::Int], "int4", Body::Int(get_byte))
        .with(Volatility::Immutable),
];

/// The digits of base64.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Letters in a line of base64.
const LINE: usize = 76;

/// The bytes of the first argument.
fn bytes<'a>(call: &'a Call<'_>, row: usize) -> Result<Option<Cow<'a, [u8]>>> {
    call.arguments.first().map_or(Ok(None), |array| bytes_at(array.as_ref(), row))
}

/// The bytes of a row. A text is read as a literal of them is.
fn bytes_at(array: &dyn Array, row: usize) -> Result<Option<Cow<'_, [u8]>>> {
    if array.is_null(row) {
        return Ok(None);
    }
    Ok(Some(match array.data_type() {
        DataType::Binary => Cow::Borrowed(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Cow::Borrowed(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => Cow::Borrowed(array.as_binary_view().value(row)),
        DataType::Utf8 => of_text(array.as_string::<i32>().value(row))?,
        DataType::LargeUtf8 => of_text(array.as_string::<i64>().value(row))?,
        DataType::Utf8View => of_text(array.as_string_view().value(row))?,
        DataType::Null => return Ok(None),
        _ => return plan_err!("a function over bytes takes values of type bytea"),
    }))
}

fn of_text(text: &str) -> Result<Cow<'_, [u8]>> {
    match text.contains('\\') {
        true => read(text).map(Cow::Owned),
        false => Ok(Cow::Borrowed(text.as_bytes())),
    }
}

/// Reads bytes as they are written in a literal.
fn read(text: &str) -> Result<Vec<u8>> {
    input::bytea(text).map_err(|refusal| failure(refusal.error("bytea")))
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
        "hex" => input::hexadecimal(text).map_err(|refusal| failure(refusal.error("bytea"))),
        "base64" => from_base64(text).map_err(|message| {
            let hint = "Input data is missing padding, is truncated, or is otherwise corrupted.";
            let (message, hint) = (message.to_owned(), hint.to_owned());
            failure(Error::Standard { sqlstate: "22023", message, hint })
        }),
        "escape" => input::escaped(text).map_err(|refusal| failure(refusal.error("bytea"))),
        _ => Err(unknown_form(form)),
    })
}

/// Reads base64 as PostgreSQL does, which goes on behind what was filled up.
fn from_base64(text: &str) -> std::result::Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    // How many bytes a group has.
    let mut whole = 3;
    for letter in text.bytes().filter(|letter| !b" \n\t\r".contains(letter)) {
        let digit = match DIGITS.iter().position(|digit| *digit == letter) {
            Some(digit) => digit as u32,
            None if letter != b'=' => {
                return Err("invalid symbol found while decoding base64 sequence");
            }
            None if whole < 3 => 0,
            None if count >= 2 => {
                whole = count - 1;
                0
            }
            None => return Err("unexpected \"=\" while decoding base64 sequence"),
        };
        bits = (bits << 6) | digit;
        count += 1;
        if count == 4 {
            bytes.extend_from_slice(&bits.to_be_bytes()[1..=whole]);
            (bits, count) = (0, 0);
        }
    }
    if count == 0 { Ok(bytes) } else { Err("invalid base64 end sequence") }
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
    failure(Error::Standard {
        sqlstate: "22023",
        message: format!("unrecognized encoding: \"{form}\""),
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
            [one, ..] if is_bytes(one) => Ok(DataType::Int32),
            _ => self.inner.return_type(types),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [one, ..] if is_bytes(one.data_type()) => {
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
            // In an encoding bytes are letters.
            [one, encoding]
                if self.name() == LETTERS
                    && is_bytes(one)
                    && (encoding.is_string() || encoding.is_null()) =>
            {
                Ok(vec![one.clone(), DataType::Utf8])
            }
            [DataType::Null] => Ok(vec![DataType::Utf8]),
            [_] if self.name() == LETTERS => Ok(vec![DataType::Utf8]),
            [other] => plan_err!("Function '{}' does not take {other}", self.name()),
            _ => plan_err!("function length takes one argument"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let [bytes, encoding] = args.args.as_slice() {
            return letters(bytes, encoding, args.number_rows);
        }
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

/// Counts the letters of bytes in an encoding.
fn letters(bytes: &ColumnarValue, encoding: &ColumnarValue, rows: usize) -> Result<ColumnarValue> {
    let is_constant =
        [bytes, encoding].into_iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
    let rows = if is_constant { 1 } else { rows };
    let (bytes, encodings) = (bytes.to_array(rows)?, encoding.to_array(rows)?);
    let encodings = encodings.as_string::<i32>();
    let mut counts = Int32Array::builder(rows);
    for row in 0..rows {
        let encoding = encodings.is_valid(row).then(|| encodings.value(row));
        counts.append_option(match bytes_at(bytes.as_ref(), row)?.zip(encoding) {
            Some((bytes, encoding)) => convert::letters(&bytes, encoding)?,
            None => None,
        });
    }
    let counts = counts.finish();
    Ok(match is_constant {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&counts, 0)?),
        false => ColumnarValue::Array(Arc::new(counts)),
    })
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
        for wrong in ["YQ", "YQ=", "Y===", "=", "*"] {
            assert!(from_base64(wrong).is_err(), "{wrong}");
        }
        assert_eq!(from_base64("YQ==YWJj").unwrap(), b"aa");
        let mut escaped = String::new();
        to_escapes(b"a\\\0\xff", &mut escaped);
        assert_eq!(escaped, "a\\\\\\000\\377");
    }
}
