//! PostgreSQL's advanced regular expressions, written for the engine that looks around and back.
//!
//! A letter is handed on as a letter only, and a group as one of those that PostgreSQL has: what the engine reads otherwise,
//! such as repetitions that keep what they took, or names of groups, reaches it from no pattern.

use std::iter::Peekable;
use std::str::Chars;

use datafusion::common::Result;

use super::super::patterns::class_of;
use super::{Options, invalid, not_built};

/// How often a repetition that is counted repeats at most.
const COUNT_MAX: u32 = 255;
/// What may stand behind a backslash in a class.
const ESCAPED_IN_CLASS: &str = "dwsDWSabefnrtvuUx";

/// Writes a pattern, behind the options that it begins with, for the engine.
pub(super) fn translate(pattern: &str, options: Options) -> Result<String> {
    let mut translator = Translator {
        letters: pattern.chars().peekable(),
        out: String::with_capacity(2 * pattern.len()),
        options,
        open: Vec::new(),
        closed: Vec::new(),
        looking: 0,
        behind: 0,
        varies: false,
        bounds: false,
        repeatable: false,
    };
    translator.all()?;
    Ok(translator.out)
}

/// A bracket that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// It keeps what it matches, and has this place among those that do.
    Kept(usize),
    Plain,
    Ahead,
    Behind,
}

struct Translator<'a> {
    letters: Peekable<Chars<'a>>,
    out: String,
    options: Options,
    open: Vec<Open>,
    /// Of each group that keeps what it matches, whether it may be referred to.
    closed: Vec<bool>,
    /// How many of the open brackets look around, where groups keep nothing.
    looking: usize,
    /// How many of them look behind.
    behind: usize,
    /// Whether what looks behind is of several lengths.
    varies: bool,
    /// Whether what looks behind has a bound of a word.
    bounds: bool,
    /// Whether what was read last may be repeated.
    repeatable: bool,
}

impl Translator<'_> {
    fn all(&mut self) -> Result<()> {
        while let Some(letter) = self.letters.next() {
            match letter {
                '#' if self.options.expanded => {
                    self.letters.by_ref().find(|letter| *letter == '\n');
                }
                blank if self.options.expanded && blank.is_whitespace() => {}
                '(' => self.opening()?,
                ')' => self.closing()?,
                '|' => {
                    self.varies |= self.behind > 0;
                    self.constraint("|");
                }
                '*' | '+' | '?' => {
                    self.varies |= self.behind > 0;
                    self.repeat(letter.encode_utf8(&mut [0; 4]))?;
                }
                '{' if self.letters.peek().is_some_and(char::is_ascii_digit) => self.counts()?,
                '[' => self.class()?,
                '\\' => self.escaped()?,
                '^' => self.constraint("^"),
                '$' => self.constraint("$"),
                '.' => self.atom("."),
                letter => self.letter(letter),
            }
        }
        if self.open.is_empty() { Ok(()) } else { Err(invalid()) }
    }

    /// What may be repeated.
    fn atom(&mut self, text: &str) {
        self.out.push_str(text);
        self.repeatable = true;
    }

    /// What may not be repeated.
    fn constraint(&mut self, text: &str) {
        self.out.push_str(text);
        self.repeatable = false;
    }

    /// A bound of a word.
    fn bound(&mut self, text: &str) {
        self.bounds |= self.behind > 0;
        self.constraint(text);
    }

    fn letter(&mut self, letter: char) {
        self.atom(&regex::escape(letter.encode_utf8(&mut [0; 4])));
    }

    fn letter_of(&mut self, number: u32) -> Result<()> {
        self.letter(char::from_u32(number).ok_or_else(invalid)?);
        Ok(())
    }

    fn opening(&mut self) -> Result<()> {
        let (open, text) = match self.letters.next_if_eq(&'?') {
            Some(_) => match (self.letters.next(), self.letters.peek().copied()) {
                (Some('#'), _) => {
                    let end = self.letters.by_ref().find(|letter| *letter == ')');
                    return end.map(|_| ()).ok_or_else(invalid);
                }
                (Some(':'), _) => (Open::Plain, "(?:"),
                (Some('='), _) => (Open::Ahead, "(?="),
                (Some('!'), _) => (Open::Ahead, "(?!"),
                (Some('<'), Some('=')) => (Open::Behind, "(?<="),
                (Some('<'), Some('!')) => (Open::Behind, "(?<!"),
                _ => return Err(invalid()),
            },
            None if self.looking > 0 => (Open::Plain, "(?:"),
            None => {
                self.closed.push(false);
                (Open::Kept(self.closed.len() - 1), "(")
            }
        };
        match open {
            Open::Kept(_) | Open::Plain => {}
            Open::Ahead => self.looking += 1,
            Open::Behind => {
                // Its `=` or `!`.
                self.letters.next();
                self.looking += 1;
                self.behind += 1;
            }
        }
        self.open.push(open);
        self.constraint(text);
        Ok(())
    }

    fn closing(&mut self) -> Result<()> {
        let open = self.open.pop().ok_or_else(invalid)?;
        self.atom(")");
        match open {
            Open::Plain => {}
            Open::Kept(group) => self.closed[group] = true,
            Open::Ahead => self.looking -= 1,
            Open::Behind => {
                self.looking -= 1;
                self.behind -= 1;
            }
        }
        self.repeatable = matches!(open, Open::Kept(_) | Open::Plain);
        if self.behind == 0 {
            // What looks behind by several lengths reads the text backwards, in an engine that knows the bounds of words among
            // letters of ASCII alone.
            if self.varies && self.bounds {
                return Err(not_built("bounds of words in a look-behind of several lengths"));
            }
            (self.varies, self.bounds) = (false, false);
        }
        Ok(())
    }

    fn class(&mut self) -> Result<()> {
        let class = class_of(&mut self.letters);
        if class.starts_with(r"\b") {
            self.bound(&class);
            return Ok(());
        }
        let is_none =
            |letter: char| letter.is_ascii_alphanumeric() && !ESCAPED_IN_CLASS.contains(letter);
        let mut letters = class.chars();
        while let Some(letter) = letters.next() {
            if letter == '\\' && letters.next().is_some_and(is_none) {
                return Err(invalid());
            }
        }
        match class.strip_prefix("[^") {
            Some(rest) if !self.options.any => self.atom(&format!(r"[^\n{rest}")),
            _ => self.atom(&class),
        }
        Ok(())
    }

    fn escaped(&mut self) -> Result<()> {
        let letter = self.letters.next().ok_or_else(invalid)?;
        match letter {
            'A' => self.constraint(r"\A"),
            'Z' => self.constraint(r"\z"),
            'm' => self.bound(r"\b{start}"),
            'M' => self.bound(r"\b{end}"),
            'y' => self.bound(r"\b"),
            'Y' => self.bound(r"\B"),
            'd' | 'w' | 's' | 'D' | 'W' | 'S' => {
                self.out.push('\\');
                self.atom(letter.encode_utf8(&mut [0; 4]));
            }
            '0' => self.octal(letter)?,
            '1'..='9' => self.back(letter)?,
            'a' => self.letter('\u{7}'),
            'b' => self.letter('\u{8}'),
            'e' => self.letter('\u{1b}'),
            'f' => self.letter('\u{c}'),
            'n' => self.letter('\n'),
            'r' => self.letter('\r'),
            't' => self.letter('\t'),
            'v' => self.letter('\u{b}'),
            'B' => self.letter('\\'),
            'c' => {
                let letter = self.letters.next().ok_or_else(invalid)?;
                self.letter_of(u32::from(letter) & 0x1f)?;
            }
            'u' => self.hexadecimal(4, 4)?,
            'U' => self.hexadecimal(8, 8)?,
            'x' => self.hexadecimal(1, 255)?,
            letter if letter.is_ascii_alphanumeric() => return Err(invalid()),
            letter => self.letter(letter),
        }
        Ok(())
    }

    /// A reference to a group that is closed; nothing that looks around has one. A number of several digits that no group
    /// has is that of a letter.
    fn back(&mut self, first: char) -> Result<()> {
        let behind_first = self.letters.clone();
        let mut number = first as usize - '0' as usize;
        let mut digits = 1;
        while let Some(digit) = self.letters.peek().and_then(|letter| letter.to_digit(10)) {
            number = number.saturating_mul(10).saturating_add(digit as usize);
            digits += 1;
            self.letters.next();
        }
        if digits > 1 && number > self.closed.len() {
            self.letters = behind_first;
            return self.octal(first);
        }
        match self.closed.get(number - 1) {
            Some(true) if self.looking == 0 => {
                self.atom(&format!(r"(?:\{number})"));
                Ok(())
            }
            _ => Err(invalid()),
        }
    }

    /// A letter by three octal digits at most, the first of which was read.
    fn octal(&mut self, first: char) -> Result<()> {
        let mut number = first.to_digit(8).ok_or_else(invalid)?;
        for _ in 0..2 {
            let digit = self.letters.peek().and_then(|letter| letter.to_digit(8));
            let longer = digit.map(|digit| 8 * number + digit).filter(|longer| *longer <= 0xff);
            let Some(longer) = longer else { break };
            number = longer;
            self.letters.next();
        }
        self.letter_of(number)
    }

    fn hexadecimal(&mut self, least: usize, most: usize) -> Result<()> {
        let (mut number, mut digits) = (0_u32, 0);
        while digits < most {
            let digit = self.letters.peek().and_then(|letter| letter.to_digit(16));
            let Some(digit) = digit else { break };
            number = number.saturating_mul(16).saturating_add(digit);
            digits += 1;
            self.letters.next();
        }
        if digits < least {
            return Err(invalid());
        }
        self.letter_of(number)
    }

    /// How often what stands before is repeated, and whether rather less.
    fn repeat(&mut self, times: &str) -> Result<()> {
        if !self.repeatable {
            return Err(invalid());
        }
        self.constraint(times);
        if self.letters.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        Ok(())
    }

    /// Reads `m}`, `m,}` or `m,n}`.
    fn counts(&mut self) -> Result<()> {
        let least = self.count().ok_or_else(invalid)?;
        let most = match self.letters.next_if_eq(&',') {
            None => Some(least),
            Some(_) => self.count(),
        };
        let in_order = most.is_none_or(|most| least <= most && most <= COUNT_MAX);
        if !in_order || least > COUNT_MAX || self.letters.next() != Some('}') {
            return Err(invalid());
        }
        self.varies |= self.behind > 0 && most != Some(least);
        match most {
            Some(most) => self.repeat(&format!("{{{least},{most}}}")),
            None => self.repeat(&format!("{{{least},}}")),
        }
    }

    fn count(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.letters.peek().and_then(|letter| letter.to_digit(10)) {
            number = Some(number.unwrap_or(0_u32).saturating_mul(10).saturating_add(digit));
            self.letters.next();
        }
        number
    }
}
