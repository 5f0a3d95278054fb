//! The rows of literals in a long `INSERT INTO name (columns) VALUES (...), (...)`, found in its text before that is cut into
//! tokens.
//!
//! Such rows are flat however many they are, and the engine reads them as columns: so they have bounds of their own. What
//! stands around them has those of every other text. Rows that a query of the `INSERT` reads, as SQLAlchemy writes them, are
//! planned as every other expression, so they are fewer.

use std::ops::Range;

/// Bytes of rows at most.
const ROWS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Tokens of rows at most, white space counted by its characters: so many are in memory at once.
const ROWS_TOKENS_MAX: usize = 800_000;
/// Values at most of rows that a query reads: as many as there can be parameters.
const READ_CELLS_MAX: usize = 65_535;
/// Bytes before the rows at most.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Literals that are words.
const CONSTANTS: [&str; 4] = ["null", "true", "false", "default"];
/// Types whose names stand before a text.
const TYPED: [&str; 5] = ["date", "time", "timestamp", "timestamptz", "interval"];

/// A bound that rows of literals are beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beyond {
    Bytes,
    Tokens,
    /// That of the values of rows that a query reads.
    ReadCells,
}

impl Beyond {
    /// Says which bound it is.
    pub(super) fn message(self) -> String {
        match self {
            Beyond::Bytes => format!("rows of literals are longer than {ROWS_BYTES_MAX} bytes"),
            Beyond::Tokens => format!("rows of literals have more than {ROWS_TOKENS_MAX} tokens"),
            Beyond::ReadCells => {
                format!("rows that a query reads have more than {READ_CELLS_MAX} values")
            }
        }
    }
}

/// Returns where the rows of literals stand in a text that begins with `INSERT`, if it has such rows, or the bound that they
/// are beyond.
pub(super) fn of(input: &str) -> Result<Option<Range<usize>>, Beyond> {
    let mut walk = Walk { bytes: input.as_bytes(), at: 0, tokens: 0, cells: 0, read: false };
    if walk.head().is_none() || walk.space().is_none() {
        return Ok(None);
    }
    let start = walk.at;
    let end = walk.rows();
    if walk.tokens > ROWS_TOKENS_MAX {
        return Err(Beyond::Tokens);
    }
    let Some(end) = end else { return Ok(None) };
    if end - start > ROWS_BYTES_MAX {
        return Err(Beyond::Bytes);
    }
    if walk.cells > READ_CELLS_MAX && (walk.read || !walk.ends()) {
        return Err(Beyond::ReadCells);
    }
    Ok(Some(start..end))
}

/// A place in the text that only moves forward. A method that returns nothing has found something else than it reads.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    tokens: usize,
    cells: usize,
    /// Whether a query reads the rows.
    read: bool,
}

impl<'a> Walk<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.at += 1;
            self.tokens += 1;
        }
        is_next
    }

    /// Passes white space, of which each character is a token.
    fn space(&mut self) -> Option<()> {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
            self.tokens += 1;
        }
        (self.tokens <= ROWS_TOKENS_MAX).then_some(())
    }

    /// Passes comments and `INSERT INTO name (columns) VALUES`, with `SELECT columns FROM (` before `VALUES` or without.
    fn head(&mut self) -> Option<()> {
        self.comments()?;
        if !self.word()?.eq_ignore_ascii_case(b"insert") {
            return None;
        }
        let mut depth = 0usize;
        while self.at < HEAD_BYTES_MAX {
            self.space()?;
            match self.peek()? {
                b'"' => self.quoted(b'"', false)?,
                b',' | b'.' | b':' => self.at += 1,
                bracket @ (b'(' | b')') => {
                    self.at += 1;
                    depth = if bracket == b'(' { depth + 1 } else { depth.checked_sub(1)? };
                }
                _ => {
                    let word = self.word()?;
                    if word.eq_ignore_ascii_case(b"values") {
                        self.read |= depth > 0;
                        return Some(());
                    }
                    self.read |= ["select", "with"]
                        .iter()
                        .any(|known| word.eq_ignore_ascii_case(known.as_bytes()));
                }
            }
        }
        None
    }

    /// Passes rows with commas between them, and returns where the last of them ends.
    fn rows(&mut self) -> Option<usize> {
        loop {
            self.row()?;
            let end = self.at;
            self.space()?;
            if !self.accept(b',') {
                return Some(end);
            }
            self.space()?;
        }
    }

    /// Tells whether nothing makes rows that end here a part of a query, as `UNION` would.
    fn ends(&mut self) -> bool {
        if matches!(self.peek(), None | Some(b';')) {
            return true;
        }
        let clauses = ["on", "returning"];
        self.word().is_some_and(|word| {
            clauses.iter().any(|clause| word.eq_ignore_ascii_case(clause.as_bytes()))
        })
    }

    /// Passes comments before the statement, such as dbt writes, that have none within.
    fn comments(&mut self) -> Option<()> {
        loop {
            self.space()?;
            let rest = &self.bytes[self.at..];
            let rest = &rest[..rest.len().min(HEAD_BYTES_MAX)];
            let length = if rest.starts_with(b"/*") {
                let end = 2 + rest[2..].windows(2).position(|pair| pair == b"*/")?;
                if rest[2..end].windows(2).any(|pair| pair == b"/*") {
                    return None;
                }
                end + 2
            } else if rest.starts_with(b"--") {
                rest.iter().position(|byte| *byte == b'\n')?
            } else {
                return Some(());
            };
            self.at += length;
            if self.at > HEAD_BYTES_MAX {
                return None;
            }
        }
    }

    /// Passes a word and returns it.
    fn word(&mut self) -> Option<&'a [u8]> {
        let (bytes, start) = (self.bytes, self.at);
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii();
        while self.peek().is_some_and(is_part) {
            self.at += 1;
        }
        self.tokens += 1;
        (self.at > start).then(|| &bytes[start..self.at])
    }

    /// Passes what stands between quotes; two of them are one within.
    fn quoted(&mut self, quote: u8, escapes: bool) -> Option<()> {
        self.tokens += 1;
        self.at += 1;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            if byte == b'\\' && escapes {
                self.peek()?;
                self.at += 1;
            } else if byte == quote {
                if self.peek() != Some(quote) {
                    return Some(());
                }
                self.at += 1;
            }
        }
    }

    fn text(&mut self, escapes: bool) -> Option<()> {
        match self.peek()? {
            b'\'' => self.quoted(b'\'', escapes),
            _ => None,
        }
    }

    fn row(&mut self) -> Option<()> {
        self.accept(b'(').then_some(())?;
        loop {
            self.space()?;
            self.literal()?;
            self.cells += 1;
            self.space()?;
            if self.accept(b')') {
                return Some(());
            }
            self.accept(b',').then_some(())?;
        }
    }

    /// Passes a literal with its casts.
    fn literal(&mut self) -> Option<()> {
        match self.peek()? {
            b'\'' => self.text(false)?,
            b'$' => {
                self.at += 1;
                let number = self.word()?;
                if !number.iter().all(u8::is_ascii_digit) {
                    return None;
                }
            }
            b'-' | b'+' => {
                self.accept(b'-');
                self.accept(b'+');
                self.space()?;
                self.number()?;
            }
            b'0'..=b'9' | b'.' => self.number()?,
            _ => {
                let word = self.word()?;
                let is = |known: &[u8]| word.eq_ignore_ascii_case(known);
                if TYPED.iter().any(|name| is(name.as_bytes())) {
                    self.space()?;
                    self.text(false)?;
                } else if is(b"e") {
                    self.text(true)?;
                } else if !CONSTANTS.iter().any(|name| is(name.as_bytes())) {
                    return None;
                }
            }
        }
        while self.bytes[self.at..].starts_with(b"::") {
            self.at += 2;
            self.tokens += 1;
            self.data_type()?;
        }
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            let is_exponent = |byte: &u8| matches!(byte, b'e' | b'E');
            let is_sign = matches!(byte, b'-' | b'+')
                && self.at > start
                && self.bytes.get(self.at - 1).is_some_and(is_exponent);
            if !(byte.is_ascii_digit() || byte == b'.' || is_exponent(&byte) || is_sign) {
                break;
            }
            self.at += 1;
        }
        self.tokens += 1;
        (self.at > start).then_some(())
    }

    /// Passes the name of a type, with what stands in its brackets.
    fn data_type(&mut self) -> Option<()> {
        self.word()?;
        loop {
            self.space()?;
            match self.peek()? {
                b'(' => {
                    self.accept(b'(');
                    while self.peek()?.is_ascii_digit() || matches!(self.peek()?, b',' | b' ') {
                        self.at += 1;
                        self.tokens += 1;
                    }
                    self.accept(b')').then_some(())?;
                }
                byte if byte.is_ascii_alphabetic() => {
                    self.word()?;
                }
                _ => return Some(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_literals_are_found() {
        for (before, rows) in [
            ("INSERT INTO a.t VALUES ", "(1)"),
            ("insert into t (a, \"values (\") values\n  ", "(1, 'it''s; (') , (-1.5e-3, NULL)"),
            ("/* {\"app\": \"dbt\"} */\n-- x\n insert into \"a\".\"t\" (b) values", "(E'\\'')"),
            ("INSERT INTO t AS u VALUES ", "(DATE '2024-01-01'), ('2024-01-02'::date), (DEFAULT)"),
            ("INSERT INTO t (a) SELECT p0::INTEGER FROM (VALUES ", "($1, 0), ($2, 1)"),
            ("INSERT INTO t VALUES ", "($1, $2::numeric(8, 2)), ($3, '1'::double precision)"),
        ] {
            for behind in ["", ";", ") AS v (a)", " ON CONFLICT (a) DO NOTHING", "\nRETURNING a"] {
                let found = of(&format!("{before}{rows}{behind}"));
                let range = before.len()..before.len() + rows.len();
                assert_eq!(found, Ok(Some(range)), "{rows}{behind}");
            }
        }
    }

    #[test]
    fn what_may_nest_is_no_such_row() {
        for text in [
            "",
            "SELECT 1",
            "INSERT INTO t SELECT 1",
            "INSERT INTO t VALUES",
            "INSERT INTO t VALUES (",
            "INSERT INTO t VALUES ()",
            "INSERT INTO t VALUES (1), ",
            "INSERT INTO t VALUES (1), (1 + 1)",
            "INSERT INTO t VALUES ((1))",
            "INSERT INTO t VALUES (now())",
            "INSERT INTO t VALUES (a)",
            "INSERT INTO t VALUES ('a",
            "INSERT INTO t VALUES (ARRAY[1])",
            "INSERT INTO t VALUES ('a' /* , */)",
            "/* /* */ */ INSERT INTO t VALUES (1)",
            "INSERT INTO t VALUES ($a)",
        ] {
            assert_eq!(of(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn rows_have_bounds_of_their_own() {
        let cells = vec!["(1)"; READ_CELLS_MAX + 1].join(",");
        for (before, behind, is_found) in [
            ("INSERT INTO t (a) VALUES ", "", true),
            ("INSERT INTO t VALUES ", "\n RETURNING a", true),
            ("INSERT INTO t VALUES ", " UNION ALL SELECT 1", false),
            ("INSERT INTO t (VALUES ", ")", false),
            ("INSERT INTO t SELECT a FROM (VALUES ", ") v (a)", false),
            ("INSERT INTO t WITH v (a) AS (VALUES ", ") SELECT a FROM v", false),
        ] {
            let found = of(&format!("{before}{cells}{behind}"));
            let beyond = found.err();
            assert_eq!(beyond.is_none(), is_found, "{before}{behind}");
            assert!(beyond.is_none_or(|beyond| beyond == Beyond::ReadCells), "{before}{behind}");
        }
        let rows = |row: &str| of(&format!("INSERT INTO t VALUES ({row})"));
        assert_eq!(rows(&format!("{}1", " ".repeat(ROWS_TOKENS_MAX))), Err(Beyond::Tokens));
        assert_eq!(rows(&format!("'{}'", "x".repeat(ROWS_BYTES_MAX))), Err(Beyond::Bytes));
        // What stands before the rows is not theirs.
        let spaces = " ".repeat(ROWS_TOKENS_MAX + 1);
        assert_eq!(of(&format!("{spaces}INSERT INTO t VALUES (1)")), Ok(None));
    }
}
