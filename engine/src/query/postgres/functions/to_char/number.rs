//! Numbers by pattern: `999,990.00`, `FM0000`, `S99`, `99PR`, `9.99EEEE`, `RN`.
//!
//! A number is rounded to the digits that its pattern has, and then written one part of the pattern after the other, as
//! PostgreSQL does it: where a sign stands depends on which digit is the first to be written.

use datafusion::common::Result;

use super::super::failure;
use super::ending;
use super::picture::{Picture, Shape, Side, Token};
use crate::Error;

/// The digits that floating-point numbers are written with at most.
const REAL_DIGITS: usize = 6;
const DOUBLE_DIGITS: usize = 15;
/// The width of a Roman number.
const ROMAN_WIDTH: usize = 15;

/// A number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    /// Digits, with a sign and a point.
    Exact(&'a str),
    Integer(i32),
    Real(f32),
    Double(f64),
}

/// Writes a number by a pattern.
pub(super) fn format(value: Value<'_>, picture: &Picture) -> Result<String> {
    let mut shape = picture.shape;
    if shape.has_exponent {
        return Ok(scientific(value, shape));
    }
    if shape.is_roman {
        let number = roman(whole(value)?);
        let is_narrow = shape.is_narrow;
        let shape = Shape { is_narrow, is_roman: true, ..Shape::default() };
        return Ok(Writer::new(number, None, 0, shape).all(&picture.tokens));
    }
    let text = match value {
        Value::Exact(text) => exact(text, shape),
        Value::Integer(value) => exact(&value.to_string(), shape),
        Value::Real(value) => {
            let value =
                if shape.is_shifted { value * 10_f32.powi(shape.shift as i32) } else { value };
            float(value.into(), REAL_DIGITS, &mut shape)
        }
        Value::Double(value) => {
            let value =
                if shape.is_shifted { value * 10_f64.powi(shape.shift as i32) } else { value };
            float(value, DOUBLE_DIGITS, &mut shape)
        }
    };
    shape.pre += shape.shift;
    let (sign, mut number) = match text.strip_prefix('-') {
        Some(number) => ('-', number.to_owned()),
        None => ('+', text),
    };
    let digits = number.find('.').unwrap_or(number.len());
    if digits > shape.pre {
        number = format!("{}.{}", "#".repeat(shape.pre), "#".repeat(shape.post));
    }
    let blanks = shape.pre.saturating_sub(digits);
    Ok(Writer::new(number, Some(sign), blanks, shape).all(&picture.tokens))
}

/// An exact number, rounded half away from zero.
fn exact(text: &str, shape: Shape) -> String {
    let (digits, is_negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = format!("{fraction:0<width$}", width = shape.shift);
    let (moved, fraction) = fraction.split_at(shape.shift);
    let (whole, fraction) = rounded(&format!("{whole}{moved}"), fraction, shape.post);
    let is_zero = whole.bytes().chain(fraction.bytes()).all(|digit| digit == b'0');
    let sign = if is_negative && !is_zero { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// A floating-point number, with no more digits than it has.
fn float(value: f64, digits_max: usize, shape: &mut Shape) -> String {
    if !value.is_finite() {
        let name = if value.is_nan() { "NaN" } else { "Infinity" };
        shape.post = shape.post.min(digits_max - name.len().min(digits_max));
        return if value < 0.0 { format!("-{name}") } else { name.to_owned() };
    }
    let digits = format!("{:.0}", value.abs()).len();
    shape.post = shape.post.min(digits_max.saturating_sub(digits));
    let post = shape.post;
    format!("{value:.post$}")
}

/// A number with an exponent.
fn scientific(value: Value<'_>, shape: Shape) -> String {
    let post = shape.post;
    let text = match value {
        Value::Integer(value) => exponential(value.into(), post),
        Value::Real(value) if value.is_finite() => exponential(value.into(), post),
        Value::Double(value) if value.is_finite() => exponential(value, post),
        Value::Exact(text) => exact_exponential(text, post),
        Value::Real(_) | Value::Double(_) => {
            return format!(" {}.{}", "#".repeat(shape.pre), "#".repeat(post + 4));
        }
    };
    if text.starts_with('-') { text } else { format!(" {text}") }
}

fn exponential(value: f64, post: usize) -> String {
    let text = format!("{value:.post$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    with_exponent(mantissa, exponent.parse().unwrap_or(0))
}

fn with_exponent(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// Of an exact number, rounded half away from zero behind its first digit.
fn exact_exponential(text: &str, post: usize) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let Some(first) = all.bytes().position(|digit| digit != b'0') else {
        let (zero, zeros) = rounded("0", "", post);
        let point = if post > 0 { "." } else { "" };
        return with_exponent(&format!("{zero}{point}{zeros}"), 0);
    };
    let exponent = whole.len() as i32 - first as i32 - 1;
    let (whole, fraction) = rounded(&all[first..=first], &all[first + 1..], post);
    let point = if post > 0 { "." } else { "" };
    with_exponent(&format!("{sign}{whole}{point}{fraction}"), exponent)
}

/// The digits before and behind the point, rounded half away from zero.
fn rounded(whole: &str, fraction: &str, places: usize) -> (String, String) {
    let up = fraction.as_bytes().get(places).is_some_and(|digit| *digit >= b'5');
    let kept = &fraction[..places.min(fraction.len())];
    let mut digits: Vec<u8> = format!("0{whole}{kept:0<places$}").into_bytes();
    if up {
        for digit in digits.iter_mut().rev() {
            if *digit == b'9' {
                *digit = b'0';
            } else {
                *digit += 1;
                break;
            }
        }
    }
    let text = String::from_utf8_lossy(&digits).into_owned();
    let (whole, fraction) = text.split_at(text.len() - places);
    let whole = whole.trim_start_matches('0');
    (if whole.is_empty() { "0" } else { whole }.to_owned(), fraction.to_owned())
}

/// A number as a whole one, for a Roman one.
fn whole(value: Value<'_>) -> Result<i32> {
    let number = match value {
        Value::Integer(value) => return Ok(value),
        // What is out of range has no Roman number.
        Value::Real(value) => return Ok(value.round_ties_even() as i32),
        Value::Double(value) => return Ok(value.round_ties_even() as i32),
        Value::Exact(text) => exact(text, Shape::default()),
    };
    number.parse().map_err(|_| {
        failure(Error::Standard {
            sqlstate: "22003",
            message: "integer out of range".to_owned(),
            hint: "Roman numbers go from 1 to 3999.".to_owned(),
        })
    })
}

fn roman(number: i32) -> String {
    const SIGNS: [(i32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if !(1..4000).contains(&number) {
        return "#".repeat(ROMAN_WIDTH);
    }
    let (mut rest, mut text) = (number, String::new());
    for (value, sign) in SIGNS {
        while rest >= value {
            text.push_str(sign);
            rest -= value;
        }
    }
    text
}

/// A number that is being written.
struct Writer {
    shape: Shape,
    /// Its digits and its point, and which of them comes next.
    number: Vec<u8>,
    next: usize,
    /// Roman numbers have none.
    sign: Option<char>,
    is_signed: bool,
    /// How many places of the pattern come before the first digit.
    blanks: usize,
    /// How many places there are, and at which one it is.
    places: usize,
    place: usize,
    /// The last digit that is written without blanks: zeros behind it are not.
    last: Option<usize>,
    /// Whether a digit was written in the place before.
    is_within: bool,
    out: String,
    /// Where the text ends, if the pattern has more places than the number.
    end: Option<usize>,
}

impl Writer {
    fn new(number: String, sign: Option<char>, blanks: usize, mut shape: Shape) -> Self {
        shape.zero_start = shape.zero_start.saturating_sub(1);
        let is_signed = if shape.has_plus || shape.has_minus {
            shape.has_minus
        } else {
            if sign != Some('-') && shape.is_narrow {
                shape.has_brackets = false;
            }
            if shape.sign == Some(Side::Before) && shape.pre == shape.before_sign {
                shape.sign = Some(Side::Behind);
            }
            sign == Some('+') && shape.is_narrow && shape.sign.is_none()
        };
        let last = number.find('.').filter(|_| shape.is_narrow && shape.has_point).map(|point| {
            let last = number.rfind(|digit| digit != '0').filter(|last| *last > point);
            let kept = match shape.zero_end > blanks {
                true => (number.len() - 1).min(shape.zero_end - blanks),
                false => 0,
            };
            last.unwrap_or(point).max(kept)
        });
        let places = shape.pre + shape.post;
        // A number that fills its places has one more for its sign.
        let places = if !is_signed && blanks == 0 { places + 1 } else { places };
        Writer {
            shape,
            number: number.into_bytes(),
            next: 0,
            sign,
            is_signed,
            blanks,
            places,
            place: 0,
            last,
            is_within: false,
            out: String::new(),
            end: None,
        }
    }

    fn all(mut self, tokens: &[Token]) -> String {
        for token in tokens {
            self.token(*token);
        }
        self.out.truncate(self.end.unwrap_or(self.out.len()));
        self.out
    }

    fn token(&mut self, token: Token) {
        let is_narrow = self.shape.is_narrow;
        match token {
            Token::Nine | Token::Zero | Token::Point if self.shape.is_roman => {}
            Token::Nine | Token::Zero | Token::Point => self.place(token == Token::Zero),
            Token::Comma if self.is_within => self.out.push(','),
            Token::Comma => self.blank(),
            Token::Currency => self.out.push(' '),
            Token::Roman { is_upper } => {
                let number = String::from_utf8_lossy(&self.number).into_owned();
                let number = if is_upper { number } else { number.to_lowercase() };
                let width = if is_narrow { 0 } else { ROMAN_WIDTH };
                self.out.push_str(&format!("{number:>width$}"));
            }
            Token::Ordinal { is_upper } => {
                let is_number = self.number.iter().all(u8::is_ascii_digit);
                if is_number && self.sign == Some('+') && !self.shape.has_point {
                    let tail = &self.number[self.number.len().saturating_sub(2)..];
                    let value =
                        tail.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
                    self.out.push_str(ending(value, is_upper));
                }
            }
            Token::Minus if self.sign == Some('-') => self.out.push('-'),
            Token::Plus if self.sign == Some('+') => self.out.push('+'),
            Token::Minus | Token::Plus => self.blank(),
            Token::Sign => match self.sign {
                Some(sign) => self.out.push(sign),
                None => _ = self.end.get_or_insert(self.out.len()),
            },
            Token::Text(letter) => self.out.push(letter),
        }
    }

    fn blank(&mut self) {
        if !self.shape.is_narrow {
            self.out.push(' ');
        }
    }

    /// Whether only the point is left of what is written without blanks.
    fn is_whole(&self) -> bool {
        self.last.is_some_and(|last| self.number.get(last) == Some(&b'.'))
    }

    /// Whether the next digit is the zero before the point, which is not written.
    fn is_lone_zero(&self) -> bool {
        !self.shape.has_zero
            && self.next == 0
            && self.number.first() == Some(&b'0')
            && self.shape.post != 0
    }

    /// Writes what stands in one place: a digit, a point or a blank, and a sign beside it.
    fn place(&mut self, is_zero: bool) {
        let shape = self.shape;
        let is_zero_place = shape.has_zero && shape.zero_start <= self.place;
        self.is_within = false;
        let begins = self.place >= self.blanks || shape.has_zero && shape.zero_start == self.place;
        if !self.is_signed && begins && (!self.is_lone_zero() || self.is_whole()) {
            self.sign_before();
        }
        if self.place < self.blanks {
            match is_zero_place {
                true => {
                    self.out.push('0');
                    self.is_within = true;
                }
                false => self.blank(),
            }
        } else {
            self.digit(is_zero);
        }
        let end = match self.last == Some(self.next) {
            true => self.place,
            false => (self.places + usize::from(self.blanks > 0) + usize::from(shape.has_point))
                .saturating_sub(1),
        };
        if self.place + 1 == end {
            self.sign_behind();
        }
        self.place += 1;
    }

    fn digit(&mut self, is_zero: bool) {
        match self.number.get(self.next).copied() {
            Some(b'.') => self.out.push('.'),
            _ if self.last.is_some_and(|last| self.next > last) && !is_zero => {}
            _ if self.is_lone_zero() => match self.shape.is_narrow {
                false => self.out.push(' '),
                true if self.is_whole() => self.out.push('0'),
                true => {}
            },
            Some(digit) => {
                self.out.push(char::from(digit));
                self.is_within = true;
            }
            None => {
                self.end.get_or_insert(self.out.len());
                self.is_within = true;
            }
        }
        self.next = (self.next + 1).min(self.number.len());
    }

    fn sign_before(&mut self) {
        match (self.shape.sign, self.sign) {
            (Some(Side::Behind), _) => return,
            (Some(Side::Before), Some(sign)) => self.out.push(sign),
            (None, Some('-')) => self.out.push(if self.shape.has_brackets { '<' } else { '-' }),
            (None, Some(_)) if self.shape.has_brackets => self.out.push(' '),
            (None, Some(_)) => self.blank(),
            (_, None) => {}
        }
        self.is_signed = true;
    }

    fn sign_behind(&mut self) {
        let is_negative = self.sign == Some('-');
        if self.is_signed && self.shape.has_brackets {
            self.out.push(if is_negative { '>' } else { ' ' });
        } else if self.shape.sign == Some(Side::Behind) {
            self.out.push(if is_negative { '-' } else { '+' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Value<'_>, pattern: &str, expected: &str) {
        let picture = Picture::parse(pattern).unwrap();
        assert_eq!(format(value, &picture).unwrap(), expected, "{value:?} {pattern}");
    }

    /// The expected values are those of PostgreSQL 15.
    #[test]
    fn formats_numbers_as_postgres_does() {
        for (value, pattern, expected) in [
            ("1234.567", "999,990.00", "   1,234.57"),
            ("-1234.5", "FM999,999.00", "-1,234.50"),
            ("-12", "999", " -12"),
            ("12", "999", "  12"),
            ("5", "000", " 005"),
            ("0.5", "990.00", "   0.50"),
            ("12345", "999", " ###"),
            ("-7", "9PR", "<7>"),
            ("7", "S9", "+7"),
            ("0.1", "FM9.99", ".1"),
            ("0", "FM9.99", "0."),
            ("21", "99th", " 21st"),
            ("12345", "999th", " ###"),
            ("0", "9", " 0"),
            ("99.99", "FM99.9", "##.#"),
            ("0.1", "9.99", "  .10"),
            ("12", "L999", "   12"),
            ("-12", "L999", "  -12"),
            ("12", "FM999L", "12 "),
            ("-485", "9 9 9", "-4 8 5"),
            ("12", "99.", " 12"),
            ("0.1", ".99", " .##"),
            ("485", "SG999", "+485"),
            ("-485", "999SG", "485-"),
            ("-1", "MI999", "-  1"),
            ("485", "PL999", "+ 485"),
            ("12", "99V99", " 1200"),
            ("12.5", "99V9", " 125"),
            ("494", "RN", "         CDXCIV"),
            ("5.2", "FMRN", "V"),
            ("0.00012", "9.99EEEE", " 1.20e-04"),
            ("-485.8", "9.9EEEE", "-4.9e+02"),
        ] {
            check(Value::Exact(value), pattern, expected);
        }
    }

    #[test]
    fn floats_are_rounded_as_they_are_and_have_no_more_digits_than_that() {
        for (value, pattern, expected) in [
            (0.5, "9", " 0"),
            (-0.5, "9", "-0"),
            (0.125, "9.99", "  .12"),
            (2.675, "FM9.00", "2.67"),
            (1e3, "9999", " 1000"),
            (5e20, "FM999.99", "###."),
            (f64::NAN, "9999.99", "  NaN"),
            (f64::INFINITY, "SG999", "+###"),
        ] {
            check(Value::Double(value), pattern, expected);
        }
        check(Value::Real(0.5), "999", "   0");
        check(Value::Integer(485), "9.9EEEE", " 4.8e+02");
    }
}
