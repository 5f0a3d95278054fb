//! `format(pattern, values)`: texts, names and literals in the places that a pattern has for them.

use std::iter::Peekable;
use std::str::Chars;

use datafusion::common::{DataFusionError, Result};

use super::bounded::{VALUE_BYTES_MAX, too_large};
use super::text::{quote_ident, quote_literal, shown};
use super::{Call, failure};
use crate::Error;

/// What stands between a percent sign and the letter that says how a value is written.
#[derive(Debug, Default)]
struct Place {
    /// Which argument it is; none for the next one.
    argument: Option<usize>,
    /// Whether blanks stand behind the value.
    is_left: bool,
    width: Width,
}

/// How wide a value is at least.
#[derive(Debug)]
enum Width {
    Written(i32),
    /// An argument says it: that one, or the next.
    Given(Option<usize>),
}

impl Default for Width {
    fn default() -> Self {
        Width::Written(0)
    }
}

/// Writes the arguments of a row by the pattern, which is the first of them.
pub(super) fn format(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some(pattern) = call.text(0, row) else { return Ok(None) };
    let mut out = String::with_capacity(pattern.len());
    let mut letters = pattern.chars().peekable();
    let mut next = 1;
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        if letters.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let place = place(&mut letters)?;
        let kind = letters.next().ok_or_else(unterminated)?;
        if !matches!(kind, 's' | 'I' | 'L') {
            let message = format!("unrecognized format() type specifier \"{kind}\"");
            return Err(refused("22023", message));
        }
        let width = match place.width {
            Width::Written(width) => width,
            Width::Given(argument) => {
                let at = argument.unwrap_or(next);
                next = at + 1;
                width_of(argument_of(call, at, row)?)?
            }
        };
        let at = place.argument.unwrap_or(next);
        next = at + 1;
        let text = match (kind, argument_of(call, at, row)?) {
            ('I', Some(name)) => quote_ident(&name),
            ('I', None) => {
                let message = "null values cannot be formatted as an SQL identifier".to_owned();
                return Err(refused("22004", message));
            }
            ('L', value) => value.map_or_else(|| "NULL".to_owned(), |value| quote_literal(&value)),
            (_, value) => value.unwrap_or_default(),
        };
        fill(&text, width, place.is_left, &mut out)?;
    }
    Ok(Some(out))
}

/// Reads what stands behind a percent sign, up to the letter.
fn place(letters: &mut Peekable<Chars<'_>>) -> Result<Place> {
    let mut place = Place::default();
    if let Some(number) = number(letters)? {
        if letters.next_if_eq(&'$').is_none() {
            place.width = Width::Written(number);
            return Ok(place);
        }
        place.argument = Some(position(number)?);
    }
    while letters.next_if_eq(&'-').is_some() {
        place.is_left = true;
    }
    if letters.next_if_eq(&'*').is_none() {
        place.width = Width::Written(number(letters)?.unwrap_or(0));
        return Ok(place);
    }
    place.width = Width::Given(match number(letters)? {
        None => None,
        Some(_) if letters.next_if_eq(&'$').is_none() => {
            let message = "width argument position must be ended by \"$\"".to_owned();
            return Err(refused("22023", message));
        }
        Some(number) => Some(position(number)?),
    });
    Ok(place)
}

/// Reads a number, if there is one; something has to stand behind it.
fn number(letters: &mut Peekable<Chars<'_>>) -> Result<Option<i32>> {
    let mut found: Option<i32> = None;
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        let digit = digit.to_digit(10).and_then(|digit| i32::try_from(digit).ok()).unwrap_or(0);
        let number = found.unwrap_or(0).checked_mul(10).and_then(|tens| tens.checked_add(digit));
        let out_of_range = || refused("22003", "number is out of range".to_owned());
        found = Some(number.ok_or_else(out_of_range)?);
    }
    if letters.peek().is_none() { Err(unterminated()) } else { Ok(found) }
}

fn position(number: i32) -> Result<usize> {
    let zero = "format specifies argument 0, but arguments are numbered from 1";
    usize::try_from(number)
        .ok()
        .filter(|at| *at > 0)
        .ok_or_else(|| refused("22023", zero.to_owned()))
}

/// The text of an argument, which has to be there.
fn argument_of(call: &Call<'_>, at: usize, row: usize) -> Result<Option<String>> {
    if at >= call.arguments.len() {
        return Err(refused("22023", "too few arguments for format()".to_owned()));
    }
    shown(call, at, row)
}

/// A width that an argument gives; null is none.
fn width_of(value: Option<String>) -> Result<i32> {
    let Some(value) = value else { return Ok(0) };
    let wrong = |_| refused("22P02", format!("invalid input syntax for type integer: \"{value}\""));
    value.trim().parse().map_err(wrong)
}

/// Writes a text with blanks before it, or behind it if it stands to the left.
fn fill(text: &str, width: i32, is_left: bool, out: &mut String) -> Result<()> {
    let wanted = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
    let blanks = wanted.saturating_sub(text.chars().count());
    if out.len().saturating_add(blanks).saturating_add(text.len()) as u64 > VALUE_BYTES_MAX {
        return Err(too_large("format"));
    }
    if is_left || width < 0 {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', blanks));
    } else {
        out.extend(std::iter::repeat_n(' ', blanks));
        out.push_str(text);
    }
    Ok(())
}

fn unterminated() -> DataFusionError {
    refused("22023", "unterminated format() type specifier".to_owned())
}

fn refused(sqlstate: &'static str, message: String) -> DataFusionError {
    let hint = "For a single \"%\" use \"%%\". format() takes %s, %I and %L, each with a position such as %1$s.";
    failure(Error::Standard { sqlstate, message, hint: hint.to_owned() })
}
