//! The rows of `COPY ... FROM STDIN` as they come in pieces: those in text and CSV are taken apart here.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};

use super::copy_rows::{Lines, Origin, Taken};
use super::error::{CopyContext, WireError, shown, sqlstate};
use super::limits::{COPIED_BYTES_MAX, COPIED_ROW_BYTES_MAX, COPIED_ROWS_MAX};
use crate::dialect::{CopyFormat, CopyHeader, CopyOptions, Forced};

/// Takes pieces apart into rows, and rows into columns of texts.
pub(crate) struct CopyParser {
    options: CopyOptions,
    /// The table that is filled, as errors name it.
    relation: String,
    columns: Vec<Filled>,
    rows: usize,
    /// Bytes of the values of these.
    bytes: usize,
    /// Where they stand.
    lines: Lines,
    /// The number of the line that was read last, from 1.
    line: u64,
    /// Line ends within the row that is looked at.
    broken: u64,
    /// The beginning of a row whose end has not come.
    pending: Vec<u8>,
    /// How much of it was looked at, and whether that ends within quotes.
    scanned: usize,
    quoted: bool,
    header_due: bool,
    /// After `\.` nothing counts.
    ended: bool,
}

/// A column that is filled.
struct Filled {
    name: String,
    values: StringBuilder,
    /// Whether what stands for null is a text, and whether it is null also in quotes.
    not_null: bool,
    null: bool,
}

impl CopyParser {
    /// Takes rows of these columns of a table.
    pub(crate) fn new(options: CopyOptions, relation: &str, columns: &[String]) -> CopyParser {
        let header_due = options.header != CopyHeader::None;
        let is_of = |forced: &Forced, name: &String| match forced {
            Forced::None => false,
            Forced::All => true,
            Forced::Columns(names) => names.contains(name),
        };
        let filled = |name: &String| Filled {
            name: name.clone(),
            values: StringBuilder::new(),
            not_null: is_of(&options.force_not_null, name),
            null: is_of(&options.force_null, name),
        };
        let columns = columns.iter().map(filled).collect();
        CopyParser {
            options,
            relation: relation.to_owned(),
            columns,
            rows: 0,
            bytes: 0,
            lines: Lines::default(),
            line: 0,
            broken: 0,
            pending: Vec::new(),
            scanned: 0,
            quoted: false,
            header_due,
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
            self.line += 1;
            let message = format!("row is longer than {COPIED_ROW_BYTES_MAX} bytes");
            return Err(self.wrong(message, None));
        }
        Ok(())
    }

    /// Takes what stands behind the last line end.
    pub(crate) fn finish(&mut self) -> Result<(), WireError> {
        let row = std::mem::take(&mut self.pending);
        if self.quoted {
            self.line += 1 + self.broken;
            return Err(self.wrong("unterminated CSV quoted field".to_owned(), Some(&row)));
        }
        if row.is_empty() { Ok(()) } else { self.row(&row) }
    }

    /// Returns the rows that were taken since the last time.
    pub(crate) fn take(&mut self) -> Taken {
        (self.rows, self.bytes) = (0, 0);
        let columns = self.columns.iter_mut();
        let columns = columns.map(|column| Arc::new(column.values.finish()) as ArrayRef).collect();
        Taken { columns, origin: Origin::Lines(std::mem::take(&mut self.lines)) }
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
            } else if *byte == b'\n' {
                if !self.quoted {
                    return Some(at);
                }
                self.broken += 1;
            }
        }
        None
    }

    fn row(&mut self, row: &[u8]) -> Result<(), WireError> {
        let row = row.strip_suffix(b"\r").unwrap_or(row);
        self.line += 1 + std::mem::take(&mut self.broken);
        if self.ended {
            return Ok(());
        }
        if std::mem::take(&mut self.header_due) {
            return match self.options.header {
                CopyHeader::Matched => self.match_header(row),
                CopyHeader::Skipped | CopyHeader::None => Ok(()),
            };
        }
        if row == b"\\." {
            self.ended = true;
            return Ok(());
        }
        let values = self.values(row)?;
        self.append(values, row)
    }

    /// Takes a row apart.
    fn values(&self, row: &[u8]) -> Result<Vec<Option<String>>, WireError> {
        match self.options.format {
            CopyFormat::Csv => self.csv_values(row),
            CopyFormat::Text | CopyFormat::Binary => self.text_values(row),
        }
    }

    /// Fails unless the first line has the names of the columns.
    fn match_header(&self, row: &[u8]) -> Result<(), WireError> {
        let names = self.values(row)?;
        let (found, expected) = (names.len(), self.columns.len());
        if found != expected {
            let message =
                format!("wrong number of fields in header line: got {found}, expected {expected}");
            return Err(self.wrong(message, Some(row)));
        }
        for (at, (found, column)) in names.iter().zip(&self.columns).enumerate() {
            let got = match found {
                Some(name) if *name == column.name => continue,
                Some(name) => format!("\"{name}\""),
                None => format!("null value (\"{}\")", self.options.null),
            };
            let (field, expected) = (at + 1, &column.name);
            let message = format!(
                "column name mismatch in header line field {field}: got {got}, expected \"{expected}\""
            );
            return Err(self.wrong(message, Some(row)));
        }
        Ok(())
    }

    fn text_values(&self, row: &[u8]) -> Result<Vec<Option<String>>, WireError> {
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
        Ok(values)
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

    fn csv_values(&self, row: &[u8]) -> Result<Vec<Option<String>>, WireError> {
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
        Ok(values)
    }

    fn csv_value(&self, value: Vec<u8>, quoted: bool) -> Result<Option<String>, WireError> {
        match !quoted && value == self.options.null.as_bytes() {
            true => Ok(None),
            false => self.utf8(value).map(Some),
        }
    }

    fn append(&mut self, values: Vec<Option<String>>, row: &[u8]) -> Result<(), WireError> {
        if let Some(missing) = self.columns.get(values.len()) {
            let message = format!("missing data for column \"{}\"", missing.name);
            return Err(self.wrong(message, Some(row)));
        }
        if values.len() > self.columns.len() {
            let message = "extra data after last expected column".to_owned();
            return Err(self.wrong(message, Some(row)));
        }
        let null = &self.options.null;
        for (column, value) in self.columns.iter_mut().zip(values) {
            let value = match value {
                None if column.not_null => Some(null.clone()),
                Some(text) if column.null && text == *null => None,
                value => value,
            };
            self.bytes += value.as_ref().map_or(0, String::len);
            column.values.append_option(value);
        }
        self.lines.push(self.line, row);
        self.rows += 1;
        Ok(())
    }

    fn utf8(&self, value: Vec<u8>) -> Result<String, WireError> {
        let bytes = match String::from_utf8(value) {
            Ok(text) if !text.contains('\0') => return Ok(text),
            Ok(_) => vec![0],
            Err(error) => {
                let start = error.utf8_error().valid_up_to();
                let rest = &error.as_bytes()[start..];
                rest[..rest.len().min(length_of_letter(rest[0]))].to_vec()
            }
        };
        let bytes: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
        let message = format!("invalid byte sequence for encoding \"UTF8\": {}", bytes.join(" "));
        Err(WireError::new(sqlstate::CHARACTER_NOT_IN_REPERTOIRE, message)
            .hint("Send texts in UTF-8.")
            .within(Some(self.context(None))))
    }

    /// An error at the line that is read.
    fn wrong(&self, message: String, row: Option<&[u8]>) -> WireError {
        WireError::new("22P04", message)
            .hint("Check DELIMITER, NULL and QUOTE, and the list of columns.")
            .within(Some(self.context(row)))
    }

    fn context(&self, row: Option<&[u8]>) -> CopyContext {
        CopyContext {
            relation: self.relation.clone(),
            line: self.line,
            column: None,
            text: row.map(shown),
        }
    }
}

/// Returns how many bytes the letter has that begins with this one, as far as that can be told.
fn length_of_letter(first: u8) -> usize {
    match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    }
}

#[cfg(test)]
#[path = "copy_in_tests.rs"]
mod tests;
