//! Rows of `COPY ... TO STDOUT` as text, CSV or PostgreSQL's binary format.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use bytes::{BufMut, BytesMut};

use super::encode::{Column, Format, IntervalStyle, RowEncoder, Zone, set_length};
use super::error::WireError;
use super::message::{self, COPY_DATA};
use crate::dialect::{CopyFormat, CopyHeader, CopyOptions, Forced};

/// What a binary COPY begins with: a signature, no flags and no extension.
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with, where the number of columns of another row would stand.
const BINARY_TRAILER: i16 = -1;
/// Bytes of a message before its body: its type and its length.
const MESSAGE_HEAD_BYTES: usize = 5;

/// Writes the rows of one COPY.
#[derive(Clone)]
pub(crate) struct CopyEncoder {
    rows: RowEncoder,
    options: Arc<CopyOptions>,
    /// CSV: for each column, whether its values are always quoted.
    quoted: Arc<[bool]>,
    /// The bytes for which a value is quoted or escaped.
    special: Arc<Special>,
    /// For each column, whether its values can have such bytes, or be taken for nulls.
    checked: Arc<[bool]>,
    /// Binary: whether the header is still to be sent. As PostgreSQL sends it, it stands in one message with the row
    /// or the trailer behind it, and drivers count on that.
    header_due: bool,
}

impl CopyEncoder {
    /// Makes an encoder for rows of a schema.
    pub(crate) fn new(
        schema: &Schema,
        options: CopyOptions,
        zone: Zone,
        intervals: IntervalStyle,
    ) -> CopyEncoder {
        let rows =
            RowEncoder::new(schema, &[format_of(options.format)], zone).with_intervals(intervals);
        let quoted: Vec<bool> = rows
            .names()
            .map(|name| match &options.force_quote {
                Forced::None => false,
                Forced::All => true,
                Forced::Columns(columns) => columns.iter().any(|column| column == name),
            })
            .collect();
        let header_due = options.format == CopyFormat::Binary;
        let special = Special::of(&options);
        let may_be_null = options.format == CopyFormat::Csv
            && !options.null.is_empty()
            && options.null.bytes().all(|byte| PLAIN_BYTES.contains(&byte));
        let is_plain = !may_be_null && !special.is_one_of(PLAIN_BYTES);
        let is_checked = |(field, quoted): (&FieldRef, &bool)| {
            *quoted || !is_plain || !is_number_or_time(field.data_type())
        };
        let checked = schema.fields().iter().zip(&quoted).map(is_checked).collect();
        let (options, special) = (Arc::new(options), Arc::new(special));
        CopyEncoder { rows, options, quoted: quoted.into(), special, checked, header_due }
    }

    /// Returns what another task writes rows with, besides this one; `None` as long as the header is to be sent.
    pub(crate) fn for_another(&self) -> Option<CopyEncoder> {
        (!self.header_due).then(|| self.clone())
    }

    /// Appends the messages before the first row.
    pub(crate) fn begin(&self, out: &mut BytesMut) {
        message::copy_out(format_of(self.options.format), self.rows.width(), out);
        match self.options.format {
            CopyFormat::Binary => {}
            format if self.options.header != CopyHeader::None => {
                let mut line = Vec::new();
                for (index, name) in self.rows.names().enumerate() {
                    if index > 0 {
                        line.put_u8(self.options.delimiter);
                    }
                    let start = line.len();
                    line.put_slice(name.as_bytes());
                    match format {
                        CopyFormat::Csv => self.quote_csv(start, false, &mut line),
                        _ => self.escape_text(start, &mut line),
                    }
                }
                line.put_u8(b'\n');
                message::copy_data(out, |out| out.put_slice(&line));
            }
            _ => {}
        }
    }

    /// Appends the messages behind the last row.
    pub(crate) fn end(&mut self, out: &mut BytesMut) {
        if self.options.format == CopyFormat::Binary {
            let header = self.take_header();
            message::copy_data(out, |out| {
                out.put_slice(header);
                out.put_i16(BINARY_TRAILER);
            });
        }
        message::copy_done(out);
    }

    /// Appends one CopyData message for each of the rows of `batch` from `start` on, until `rows_max` are written or
    /// `out` holds `bytes_max`. Returns how many it wrote.
    pub(crate) fn copy_rows(
        &mut self,
        batch: &RecordBatch,
        start: usize,
        rows_max: usize,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        let end = batch.num_rows().min(start.saturating_add(rows_max));
        if self.options.format == CopyFormat::Binary {
            if self.header_due && start < end {
                self.put_first_row(batch, start, out);
                return 1;
            }
            return self.rows.sized_rows(COPY_DATA, batch, start, rows_max, bytes_max, out);
        }
        let arrays = self.rows.unpack(batch);
        let columns = self.rows.columns(&arrays);
        let mut row = start;
        while row < end {
            let at = out.len() + 1;
            out.extend_from_slice(&[COPY_DATA, 0, 0, 0, 0]);
            self.put_line(&columns, row, out);
            set_length(out, at, 0);
            row += 1;
            if out.len() >= bytes_max {
                break;
            }
        }
        row - start
    }

    /// Appends the message of the first row, in which the header stands before it.
    fn put_first_row(&mut self, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) {
        let (header, mut first) = (self.take_header(), Vec::new());
        self.rows.sized_rows(COPY_DATA, batch, row, 1, usize::MAX, &mut first);
        message::copy_data(out, |out: &mut Vec<u8>| {
            out.put_slice(header);
            out.put_slice(&first[MESSAGE_HEAD_BYTES..]);
        });
    }

    /// Returns the header if it is still to be sent.
    fn take_header(&mut self) -> &'static [u8] {
        if std::mem::take(&mut self.header_due) { BINARY_HEADER } else { &[] }
    }

    fn put_line(&self, columns: &[Box<dyn Column + '_>], row: usize, out: &mut Vec<u8>) {
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                out.put_u8(self.options.delimiter);
            }
            let start = out.len();
            if !column.write_unless_null(row, out) {
                out.put_slice(self.options.null.as_bytes());
                continue;
            }
            if !self.checked[index] {
                continue;
            }
            match self.options.format {
                CopyFormat::Csv => {
                    let forced = self.quoted.get(index).copied().unwrap_or(false);
                    // A lone \. would be taken for the end of the data.
                    let is_end = columns.len() == 1 && &out[start..] == b"\\.";
                    self.quote_csv(start, forced || is_end, out);
                }
                _ => self.escape_text(start, out),
            }
        }
        out.put_u8(b'\n');
    }

    /// Puts what stands behind `start` in quotes if it needs them.
    fn quote_csv(&self, start: usize, forced: bool, out: &mut Vec<u8>) {
        let CopyOptions { quote, escape, .. } = *self.options;
        let raw = &out[start..];
        if !forced && raw != self.options.null.as_bytes() && !self.special.is_in(raw) {
            return;
        }
        let raw = raw.to_vec();
        out.truncate(start);
        out.put_u8(quote);
        for byte in raw {
            if byte == quote || byte == escape {
                out.put_u8(escape);
            }
            out.put_u8(byte);
        }
        out.put_u8(quote);
    }

    /// Escapes what stands behind `start` with backslashes.
    fn escape_text(&self, start: usize, out: &mut Vec<u8>) {
        if !self.special.is_in(&out[start..]) {
            return;
        }
        let delimiter = self.options.delimiter;
        let raw = out[start..].to_vec();
        out.truncate(start);
        for byte in raw {
            let escaped = match byte {
                0x08 => b'b',
                b'\t' => b't',
                b'\n' => b'n',
                0x0b => b'v',
                0x0c => b'f',
                b'\r' => b'r',
                other if other == b'\\' || other == delimiter => other,
                other => {
                    out.put_u8(other);
                    continue;
                }
            };
            out.put_u8(b'\\');
            out.put_u8(escaped);
        }
    }
}

/// Fails unless all columns that are to be quoted are there.
pub(crate) fn check_forced(schema: &Schema, options: &CopyOptions) -> Result<(), WireError> {
    let Forced::Columns(columns) = &options.force_quote else { return Ok(()) };
    match columns.iter().find(|column| schema.column_with_name(column).is_none()) {
        None => Ok(()),
        Some(column) => Err(WireError::new("42703", format!("column \"{column}\" does not exist"))
            .hint("FORCE_QUOTE takes columns that are copied.")),
    }
}

/// The bytes for which a value is quoted or escaped.
struct Special {
    table: [bool; 256],
    /// Those that are no control characters, eight times each.
    visible: [u64; 2],
}

impl Special {
    fn of(options: &CopyOptions) -> Special {
        let is_special_at =
            |byte: usize| u8::try_from(byte).is_ok_and(|byte| is_special(byte, options));
        let beside = match options.format {
            CopyFormat::Csv => options.quote,
            CopyFormat::Text | CopyFormat::Binary => b'\\',
        };
        let visible = [options.delimiter, beside].map(|byte| u64::from(byte) * ONES);
        Special { table: std::array::from_fn(is_special_at), visible }
    }

    /// Tells whether one of them is in a value. Nearly all values have none, which is seen of eight bytes at a time.
    fn is_in(&self, value: &[u8]) -> bool {
        let Some(last) = value.last_chunk::<8>() else { return self.is_one_of(value) };
        let (words, _) = value.as_chunks::<8>();
        let mut words = words.iter().chain([last]);
        words.any(|word| self.may_be_in(u64::from_le_bytes(*word))) && self.is_one_of(value)
    }

    fn is_one_of(&self, value: &[u8]) -> bool {
        value.iter().any(|byte| self.table[usize::from(*byte)])
    }

    /// Tells whether one of eight bytes may be special: a control character, or one of those that are visible.
    fn may_be_in(&self, word: u64) -> bool {
        // The high bit of a byte is set if it is smaller than the subtrahend.
        let below = |word: u64, bound: u64| word.wrapping_sub(bound * ONES) & !word & (ONES << 7);
        let [one, other] = self.visible;
        below(word, u64::from(b' ')) | below(word ^ one, 1) | below(word ^ other, 1) != 0
    }
}

/// Eight bytes of 1.
const ONES: u64 = u64::MAX / 255;

/// What numbers, dates and times are made of.
const PLAIN_BYTES: &[u8] = b"0123456789+-.: abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Tells whether values are written with [`PLAIN_BYTES`] alone.
fn is_number_or_time(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_temporal() || data_type == &DataType::Boolean
}

fn is_special(byte: u8, options: &CopyOptions) -> bool {
    byte == options.delimiter
        || match options.format {
            CopyFormat::Csv => byte == options.quote || matches!(byte, b'\n' | b'\r'),
            CopyFormat::Text => byte == b'\\' || matches!(byte, 0x08..=0x0d),
            CopyFormat::Binary => false,
        }
}

fn format_of(format: CopyFormat) -> Format {
    match format {
        CopyFormat::Text | CopyFormat::Csv => Format::Text,
        CopyFormat::Binary => Format::Binary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_is_seen_wherever_it_stands() {
        let options = |format, delimiter, quote| CopyOptions {
            format,
            header: CopyHeader::None,
            delimiter,
            null: String::new(),
            quote,
            escape: quote,
            force_quote: Forced::None,
            force_not_null: Forced::None,
            force_null: Forced::None,
        };
        for options in [
            options(CopyFormat::Text, b'\t', b'"'),
            options(CopyFormat::Text, b'|', b'"'),
            options(CopyFormat::Csv, b',', b'"'),
            options(CopyFormat::Csv, 0x80, 0xff),
        ] {
            let special = Special::of(&options);
            for byte in 0..=u8::MAX {
                for length in [1, 2, 7, 8, 9, 15, 16, 17, 35] {
                    for at in [0, length / 2, length - 1] {
                        for filler in [b'a', b'!', 0xe9] {
                            let mut value = vec![filler; length];
                            value[at] = byte;
                            let expected = is_special(byte, &options);
                            assert_eq!(special.is_in(&value), expected, "{options:?}: {value:?}");
                        }
                    }
                }
            }
        }
    }
}
