//! The rows of `COPY ... FROM STDIN` as they come in pieces: those in text and CSV are taken apart here.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};

use super::copy_binary::BinaryParser;
use super::error::{WireError, sqlstate};
use super::limits::{COPIED_BYTES_MAX, COPIED_ROW_BYTES_MAX, COPIED_ROWS_MAX};
use crate::dialect::{CopyFormat, CopyOptions};

/// What takes the rows of a COPY apart.
pub(crate) enum CopyReader {
    /// Text and CSV, into columns of texts.
    Written(CopyParser),
    /// Binary, into columns of values.
    Binary(BinaryParser),
}

impl CopyReader {
    /// Returns how many rows wait to be taken.
    pub(crate) fn rows(&self) -> usize {
        match self {
            CopyReader::Written(parser) => parser.rows(),
            CopyReader::Binary(parser) => parser.rows(),
        }
    }

    /// Tells whether so many wait that they are to be taken before others come.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            CopyReader::Written(parser) => parser.is_full(),
            CopyReader::Binary(parser) => parser.is_full(),
        }
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), WireError> {
        match self {
            CopyReader::Written(parser) => parser.push(piece),
            CopyReader::Binary(parser) => parser.push(piece),
        }
    }

    /// Takes what is left when there are no more pieces.
    pub(crate) fn finish(&mut self) -> Result<(), WireError> {
        match self {
            CopyReader::Written(parser) => parser.finish(),
            CopyReader::Binary(parser) => parser.finish(),
        }
    }

    /// Returns the rows that were taken since the last time, column by column.
    pub(crate) fn take(&mut self) -> Result<Vec<ArrayRef>, WireError> {
        match self {
            CopyReader::Written(parser) => Ok(parser.take()),
            CopyReader::Binary(parser) => parser.take(),
        }
    }
}

/// Takes pieces apart into rows, and rows into columns of texts.
pub(crate) struct CopyParser {
    options: CopyOptions,
    columns: Vec<StringBuilder>,
    rows: usize,
    /// Bytes of the values of these.
    bytes: usize,
    /// The number of the line that comes next, from 1.
    line: u64,
    /// The beginning of a row whose end has not come.
    pending: Vec<u8>,
    /// How much of it was looked at, and whether that ends within quotes.
    scanned: usize,
    quoted: bool,
    header: bool,
    /// After `\.` nothing counts.
    ended: bool,
}

impl CopyParser {
    /// Takes rows of so many columns.
    pub(crate) fn new(options: CopyOptions, width: usize) -> CopyParser {
        let header = options.header;
        CopyParser {
            options,
            columns: (0..width).map(|_| StringBuilder::new()).collect(),
            rows: 0,
            bytes: 0,
            line: 1,
            pending: Vec::new(),
            scanned: 0,
            quoted: false,
            header,
            ended: false,
        }
    }

    /// Returns how many rows wait to be taken.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Tells whether so many wait that they are to be taken before others come.
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= COPIED_ROWS_MAX || self.bytes >= COPIED_BYTES_MAX
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), WireError> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(piece);
        let mut start = 0;
        while let Some(end) = self.row_end(&pending) {
            self.row(&pending[start..end])?;
            start = end + 1;
        }
        pending.drain(..start);
        self.scanned -= start;
        self.pending = pending;
        if self.pending.len() > COPIED_ROW_BYTES_MAX {
            return Err(self.wrong(&format!("row is longer than {COPIED_ROW_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// Takes what stands behind the last line end.
    pub(crate) fn finish(&mut self) -> Result<(), WireError> {
        if self.quoted {
            return Err(self.wrong("unterminated CSV quoted field"));
        }
        let row = std::mem::take(&mut self.pending);
        if row.is_empty() { Ok(()) } else { self.row(&row) }
    }

    /// Returns the rows that were taken since the last time, column by column.
    pub(crate) fn take(&mut self) -> Vec<ArrayRef> {
        (self.rows, self.bytes) = (0, 0);
        self.columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect()
    }

    /// Returns where the next row of the pending bytes ends.
    fn row_end(&mut self, pending: &[u8]) -> Option<usize> {
        let csv = self.options.format == CopyFormat::Csv;
        while let Some(byte) = pending.get(self.scanned) {
            let at = self.scanned;
            self.scanned += 1;
            // A doubled quote closes and opens; where the escape is another byte, what follows it is not looked at.
            if csv && self.quoted && *byte == self.options.escape && *byte != self.options.quote {
                self.scanned += 1;
            } else if csv && *byte == self.options.quote {
                self.quoted = !self.quoted;
            } else if *byte == b'\n' && !self.quoted {
                return Some(at);
            }
        }
        None
    }

    fn row(&mut self, row: &[u8]) -> Result<(), WireError> {
        let row = row.strip_suffix(b"\r").unwrap_or(row);
        let done = match () {
            () if self.ended => Ok(()),
            () if std::mem::take(&mut self.header) => Ok(()),
            () if row == b"\\." => {
                self.ended = true;
                Ok(())
            }
            () if self.options.format == CopyFormat::Csv => self.csv_row(row),
            () => self.text_row(row),
        };
        self.line += 1;
        done
    }

    fn text_row(&mut self, row: &[u8]) -> Result<(), WireError> {
        let mut values = Vec::with_capacity(self.columns.len());
        let mut start = 0;
        let mut at = 0;
        while at < row.len() {
            if row[at] == b'\\' {
                at += 1;
            } else if row[at] == self.options.delimiter {
                values.push(self.text_value(&row[start..at])?);
                start = at + 1;
            }
            at += 1;
        }
        values.push(self.text_value(&row[start..])?);
        self.append(values)
    }

    fn text_value(&self, raw: &[u8]) -> Result<Option<String>, WireError> {
        if raw == self.options.null.as_bytes() {
            return Ok(None);
        }
        let mut value = Vec::with_capacity(raw.len());
        let mut bytes = raw.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            if byte != b'\\' {
                value.push(byte);
                continue;
            }
            match bytes.next() {
                None => value.push(b'\\'),
                Some(b'b') => value.push(8),
                Some(b'f') => value.push(12),
                Some(b'n') => value.push(b'\n'),
                Some(b'r') => value.push(b'\r'),
                Some(b't') => value.push(b'\t'),
                Some(b'v') => value.push(11),
                Some(digit @ b'0'..=b'7') => {
                    let mut number = u32::from(digit - b'0');
                    for _ in 0..2 {
                        let Some(digit) = bytes.next_if(|byte| (b'0'..=b'7').contains(byte)) else {
                            break;
                        };
                        number = number * 8 + u32::from(digit - b'0');
                    }
                    value.push((number & 0xff) as u8);
                }
                Some(b'x') if bytes.peek().is_some_and(u8::is_ascii_hexdigit) => {
                    let mut number = 0;
                    for _ in 0..2 {
                        let Some(digit) = bytes.next_if(u8::is_ascii_hexdigit) else { break };
                        number = number * 16 + char::from(digit).to_digit(16).unwrap_or(0);
                    }
                    value.push((number & 0xff) as u8);
                }
                Some(other) => value.push(other),
            }
        }
        self.utf8(value).map(Some)
    }

    fn csv_row(&mut self, row: &[u8]) -> Result<(), WireError> {
        let (quote, escape) = (self.options.quote, self.options.escape);
        let mut values = Vec::with_capacity(self.columns.len());
        let (mut value, mut quoted, mut was_quoted) = (Vec::new(), false, false);
        let mut at = 0;
        while at < row.len() {
            let (byte, next) = (row[at], row.get(at + 1).copied());
            if quoted && byte == escape && next.is_some_and(|next| next == quote || next == escape)
            {
                value.extend(next);
                at += 1;
            } else if byte == quote {
                quoted = !quoted;
                was_quoted = true;
            } else if byte == self.options.delimiter && !quoted {
                values.push(self.csv_value(std::mem::take(&mut value), was_quoted)?);
                was_quoted = false;
            } else {
                value.push(byte);
            }
            at += 1;
        }
        values.push(self.csv_value(value, was_quoted)?);
        self.append(values)
    }

    fn csv_value(&self, value: Vec<u8>, quoted: bool) -> Result<Option<String>, WireError> {
        match !quoted && value == self.options.null.as_bytes() {
            true => Ok(None),
            false => self.utf8(value).map(Some),
        }
    }

    fn append(&mut self, values: Vec<Option<String>>) -> Result<(), WireError> {
        if values.len() < self.columns.len() {
            return Err(self.wrong("missing data for a column"));
        }
        if values.len() > self.columns.len() {
            return Err(self.wrong("extra data after last expected column"));
        }
        for (column, value) in self.columns.iter_mut().zip(values) {
            self.bytes += value.as_ref().map_or(0, String::len);
            column.append_option(value);
        }
        self.rows += 1;
        Ok(())
    }

    fn utf8(&self, value: Vec<u8>) -> Result<String, WireError> {
        String::from_utf8(value).map_err(|_| {
            WireError::new(
                sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
                format!("line {}: invalid byte sequence for encoding \"UTF8\"", self.line),
            )
            .hint("Send texts in UTF-8.")
        })
    }

    /// An error at the line that is read. Its values stay out of it: they may be personal.
    fn wrong(&self, what: &str) -> WireError {
        WireError::new("22P04", format!("line {}: {what}", self.line))
            .hint("Check DELIMITER, NULL and QUOTE, and the list of columns.")
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;
    use crate::dialect::ForceQuote;

    fn options(format: CopyFormat, header: bool) -> CopyOptions {
        let csv = format == CopyFormat::Csv;
        CopyOptions {
            format,
            header,
            delimiter: if csv { b',' } else { b'\t' },
            null: if csv { String::new() } else { "\\N".into() },
            quote: b'"',
            escape: b'"',
            force_quote: ForceQuote::None,
        }
    }

    /// Takes `input` in pieces of `size` bytes, and returns the rows as one text.
    fn rows(options: CopyOptions, input: &str, size: usize) -> Result<String, String> {
        let mut parser = CopyParser::new(options, 2);
        for piece in input.as_bytes().chunks(size) {
            parser.push(piece).map_err(|error| error.message.to_string())?;
        }
        parser.finish().map_err(|error| error.message.to_string())?;
        let count = parser.rows();
        let columns = parser.take();
        let cell = |row: usize, column: &ArrayRef| {
            let texts = column.as_string::<i32>();
            if texts.is_null(row) { "NULL".to_owned() } else { texts.value(row).to_owned() }
        };
        let rows = (0..count).map(|row| {
            columns.iter().map(|column| cell(row, column)).collect::<Vec<_>>().join("|")
        });
        Ok(rows.collect::<Vec<_>>().join(";"))
    }

    #[test]
    fn text_is_read_in_pieces_of_any_size() {
        let input = "a\tb\n\\N\t\n x\\ty\t\\\\N\r\n\\101\t\\x42\n\\.\nnothing";
        for size in [1, 2, 7, 100] {
            let found = rows(options(CopyFormat::Text, false), input, size);
            assert_eq!(found.as_deref(), Ok("a|b;NULL|; x\ty|\\N;A|B"), "{size}");
        }
    }

    #[test]
    fn csv_is_read_in_pieces_of_any_size() {
        let input = "one,two\n1,\"a,\"\"b\"\"\nc\"\n,\"\"\n2,x";
        for size in [1, 2, 7, 100] {
            let found = rows(options(CopyFormat::Csv, true), input, size);
            assert_eq!(found.as_deref(), Ok("1|a,\"b\"\nc;NULL|;2|x"), "{size}");
        }
    }

    #[test]
    fn long_rows_are_taken_before_there_are_many() {
        let mut parser = CopyParser::new(options(CopyFormat::Text, false), 2);
        let row = format!("{}\tb\n", "a".repeat(COPIED_BYTES_MAX / 4));
        for _ in 0..4 {
            assert!(!parser.is_full());
            parser.push(row.as_bytes()).unwrap();
        }
        assert!(parser.is_full());
        assert_eq!(parser.take().len(), 2);
        assert!(!parser.is_full());
        // A piece of very many rows is gone through once.
        parser.push("a\tb\n".repeat(1 << 18).as_bytes()).unwrap();
        assert_eq!(parser.rows(), 1 << 18);
    }

    #[test]
    fn rows_of_another_width_are_refused_by_their_line() {
        for (input, message) in [
            ("a\tb\nc\n", "line 2: missing data for a column"),
            ("a\tb\tc\n", "line 1: extra data after last expected column"),
        ] {
            let found = rows(options(CopyFormat::Text, false), input, 3);
            assert_eq!(found, Err(message.to_owned()));
        }
        let open = rows(options(CopyFormat::Csv, false), "a,\"b", 3);
        assert_eq!(open, Err("line 1: unterminated CSV quoted field".to_owned()));
    }
}
