//! Patterns of `to_char` for numbers, read once: what they are made of, and what that says of a number as a whole.

use datafusion::common::{DataFusionError, Result};

use super::super::failure;
use crate::Error;

/// A part of a pattern that something is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A digit, or a blank before the first one: `9`.
    Nine,
    /// A digit: `0`.
    Zero,
    /// `.` and `D`.
    Point,
    /// `,` and `G`.
    Comma,
    /// `L`. There is no currency, as in PostgreSQL's own locale.
    Currency,
    /// `RN` and `rn`.
    Roman { is_upper: bool },
    /// `TH` and `th`.
    Ordinal { is_upper: bool },
    /// `MI`.
    Minus,
    /// `PL`.
    Plus,
    /// `SG`.
    Sign,
    /// What is no pattern stands for itself.
    Text(char),
}

/// Where the sign of `S` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    Behind,
}

/// What a pattern says of a number as a whole.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shape {
    /// Digits before the point, and behind it.
    pub(super) pre: usize,
    pub(super) post: usize,
    /// By how many digits `V` moves the point.
    pub(super) shift: usize,
    /// The place of the first `0`, from 1, and how many digits there are up to the last one.
    pub(super) zero_start: usize,
    pub(super) zero_end: usize,
    /// `S`, and the digits before it.
    pub(super) sign: Option<Side>,
    pub(super) before_sign: usize,
    pub(super) has_zero: bool,
    pub(super) has_point: bool,
    /// `FM`: no blanks.
    pub(super) is_narrow: bool,
    pub(super) has_minus: bool,
    pub(super) has_plus: bool,
    pub(super) has_brackets: bool,
    pub(super) is_roman: bool,
    pub(super) is_shifted: bool,
    pub(super) has_exponent: bool,
    pub(super) has_blank: bool,
}

/// A pattern.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) tokens: Vec<Token>,
    pub(super) shape: Shape,
}

/// Every word of patterns, longer ones before those that they begin with. They are written in upper or in lower case.
const WORDS: [&str; 20] = [
    "EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH", ",", ".", "0", "9", "B", "C", "D", "G",
    "L", "S", "V",
];

impl Picture {
    /// Reads a pattern.
    ///
    /// # Errors
    /// SQLSTATE 42601 for patterns that do not go together.
    pub(super) fn parse(pattern: &str) -> Result<Picture> {
        let mut picture = Picture::default();
        let mut rest = pattern;
        while let Some(letter) = rest.chars().next() {
            if let Some((word, is_upper)) = word(rest) {
                picture.take(word, is_upper)?;
                rest = &rest[word.len()..];
            } else if letter == '"' {
                rest = picture.quoted(&rest[1..]);
            } else {
                // A backslash has a meaning before a quotation mark alone.
                rest = rest.strip_prefix('\\').filter(|rest| rest.starts_with('"')).unwrap_or(rest);
                let letter = rest.chars().next().unwrap_or(letter);
                picture.tokens.push(Token::Text(letter));
                rest = &rest[letter.len_utf8()..];
            }
        }
        Ok(picture)
    }

    /// Takes a text up to its closing quotation mark, if there is one, and returns what follows.
    fn quoted<'a>(&mut self, rest: &'a str) -> &'a str {
        let mut letters = rest.chars();
        while let Some(letter) = letters.next() {
            let letter = match letter {
                '"' => break,
                '\\' => letters.next().unwrap_or(letter),
                other => other,
            };
            self.tokens.push(Token::Text(letter));
        }
        letters.as_str()
    }

    fn take(&mut self, word: &str, is_upper: bool) -> Result<()> {
        let shape = &mut self.shape;
        if shape.has_exponent && word != "EEEE" {
            return Err(wrong("\"EEEE\" must be the last pattern used"));
        }
        let token = match word {
            "9" | "0" if shape.has_brackets => {
                return Err(wrong(&format!("\"{word}\" must be ahead of \"PR\"")));
            }
            "9" => {
                match (shape.is_shifted, shape.has_point) {
                    (true, _) => shape.shift += 1,
                    (false, true) => shape.post += 1,
                    (false, false) => shape.pre += 1,
                }
                Token::Nine
            }
            "0" => {
                if !shape.has_zero && !shape.has_point {
                    (shape.has_zero, shape.zero_start) = (true, shape.pre + 1);
                }
                if shape.has_point {
                    shape.post += 1
                } else {
                    shape.pre += 1
                }
                shape.zero_end = shape.pre + shape.post;
                Token::Zero
            }
            "." | "D" => {
                if shape.has_point {
                    return Err(wrong("multiple decimal points"));
                }
                if shape.is_shifted {
                    return Err(wrong("cannot use \"V\" and decimal point together"));
                }
                shape.has_point = true;
                Token::Point
            }
            "," | "G" => Token::Comma,
            "L" => Token::Currency,
            "RN" => {
                shape.is_roman = true;
                Token::Roman { is_upper }
            }
            "TH" => Token::Ordinal { is_upper },
            "MI" | "PL" | "SG" => {
                if shape.sign.is_some() {
                    return Err(wrong(&format!("cannot use \"S\" and \"{word}\" together")));
                }
                shape.has_minus |= word != "PL";
                shape.has_plus |= word != "MI";
                match word {
                    "MI" => Token::Minus,
                    "PL" => Token::Plus,
                    _ => Token::Sign,
                }
            }
            _ => return shape.mark(word),
        };
        self.tokens.push(token);
        Ok(())
    }
}

impl Shape {
    /// Takes a word that nothing is written for where it stands.
    fn mark(&mut self, word: &str) -> Result<()> {
        match word {
            "FM" => self.is_narrow = true,
            "B" => self.has_blank |= self.pre == 0 && self.post == 0 && !self.has_zero,
            "S" => {
                if self.sign.is_some() {
                    return Err(wrong("cannot use \"S\" twice"));
                }
                if self.has_plus || self.has_minus || self.has_brackets {
                    return Err(wrong("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
                }
                self.sign = Some(if self.has_point { Side::Behind } else { Side::Before });
                self.before_sign = self.pre;
            }
            "PR" => {
                if self.sign.is_some() || self.has_plus || self.has_minus {
                    return Err(wrong("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
                }
                self.has_brackets = true;
            }
            "V" => {
                if self.has_point {
                    return Err(wrong("cannot use \"V\" and decimal point together"));
                }
                self.is_shifted = true;
            }
            "EEEE" => {
                if self.has_exponent {
                    return Err(wrong("cannot use \"EEEE\" twice"));
                }
                let has_signs =
                    self.sign.is_some() || self.has_brackets || self.has_minus || self.has_plus;
                if has_signs || self.has_blank || self.is_narrow || self.is_roman || self.is_shifted
                {
                    return Err(wrong("\"EEEE\" is incompatible with other formats"));
                }
                self.has_exponent = true;
            }
            // C and SP say nothing.
            _ => {}
        }
        Ok(())
    }
}

/// The word that a pattern begins with, and whether it is in upper case.
fn word(rest: &str) -> Option<(&'static str, bool)> {
    WORDS.into_iter().find_map(|word| {
        let start = rest.get(..word.len())?;
        let is_lower = start.bytes().all(|letter| !letter.is_ascii_uppercase());
        match start == word {
            true => Some((word, true)),
            false => (is_lower && start.eq_ignore_ascii_case(word)).then_some((word, false)),
        }
    })
}

fn wrong(message: &str) -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "42601",
        message: message.to_owned(),
        hint: "The patterns are those of PostgreSQL, such as 999,990.00 or FM0000.".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_go_together_is_refused() {
        for pattern in ["9.9.9", "S9S", "S9PR", "9PR9", "9EEEE9", "S9EEEE", "9.9V9", "MIS9"] {
            assert!(Picture::parse(pattern).is_err(), "{pattern}");
        }
        for pattern in ["Sg9", "9\"S\"S", "FM9.99", "99V99", "9.9eeee", "L9g999"] {
            assert!(Picture::parse(pattern).is_ok(), "{pattern}");
        }
    }
}
