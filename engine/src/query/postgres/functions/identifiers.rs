//! `parse_ident`: a name as SQL has it, taken apart into what it consists of; and the letters of a value of type `name`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Volatility;

use super::{Body, Call, Function, Kind, failure};
use crate::Error;

const NAME: &str = "parse_ident";
/// What a subscript of a `name` calls.
pub(super) const LETTER: &str = "name_letter";
/// How many bytes a `name` has, those behind its end among them.
const NAME_BYTES: usize = 64;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(NAME, &[Kind::Text, Kind::Bool], "_text", Body::Column(parse_ident))
        .at_least(1)
        .with(Volatility::Immutable),
    Function::new(LETTER, &[Kind::Text, Kind::Int], "char", Body::Text(letter))
        .with(Volatility::Immutable),
];

/// One letter of a name, counted from 0: nothing behind its end, and null where no name has one.
fn letter(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some((name, at)) = call.text(0, row).zip(call.int(1, row)) else { return Ok(None) };
    let Some(at) = usize::try_from(at).ok().filter(|at| *at < NAME_BYTES) else { return Ok(None) };
    // A part of a letter is none.
    let letter = name.as_bytes().get(at).filter(|letter| letter.is_ascii());
    Ok(Some(letter.map_or_else(String::new, |letter| char::from(*letter).to_string())))
}

fn parse_ident(call: &Call<'_>) -> Result<ArrayRef> {
    let DataType::List(item) = call.result.data_type() else {
        return internal_err!("{NAME} returns a list");
    };
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item));
    for row in 0..call.rows {
        let strict = if call.arguments.len() == 1 { Some(true) } else { call.bool(1, row) };
        let Some((text, strict)) = call.text(0, row).zip(strict) else {
            lists.append_null();
            continue;
        };
        let Some(parts) = parts_of(text, strict) else {
            return Err(failure(Error::Standard {
                sqlstate: "22023",
                message: format!("string is not a valid identifier: \"{text}\""),
                hint: "Write it as SQL has it, such as schema.name or \"Some Name\".".to_string(),
            }));
        };
        parts.iter().for_each(|part| lists.values().append_value(part));
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

/// The parts of a name: as they are between quotes, and in lower case without. Where nothing is strict, what follows the
/// name is passed over.
fn parts_of(text: &str, strict: bool) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => of_quoted(quoted)?,
            None => of_plain(rest)?,
        };
        parts.push(part);
        rest = after.trim_start();
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None => return (rest.is_empty() || !strict).then_some(parts),
        }
    }
}

/// Reads up to the quote that ends a name; two of them are one of the name.
fn of_quoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return (!name.is_empty()).then_some((name, after)),
        }
    }
}

fn of_plain(text: &str) -> Option<(String, &str)> {
    let begins = |letter: char| letter.is_ascii_alphabetic() || letter == '_' || !letter.is_ascii();
    let goes_on = |letter: char| begins(letter) || letter.is_ascii_digit() || letter == '$';
    text.starts_with(begins).then(|| {
        let end = text.find(|letter| !goes_on(letter)).unwrap_or(text.len());
        (text[..end].to_ascii_lowercase(), &text[end..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_apart_as_postgres_does() {
        let check = |text: &str, parts: &[&str]| {
            let expected = parts.iter().map(ToString::to_string).collect();
            assert_eq!(parts_of(text, true), Some(expected), "{text}");
        };
        check("Public.Profiles", &["public", "profiles"]);
        check(" a . \"B c\" ", &["a", "B c"]);
        check("\"x\"\"y\".z$1", &["x\"y", "z$1"]);
        check("Ünder_1", &["Ünder_1"]);
        for text in ["", "1a", "a.", ".a", "a b", "\"a", "\"\"", "a..b"] {
            assert_eq!(parts_of(text, true), None, "{text}");
        }
        assert_eq!(parts_of("a.b(c)", false), Some(vec!["a".to_string(), "b".to_string()]));
    }
}
