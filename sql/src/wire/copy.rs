//! Rows of `COPY ... TO STDOUT` as text, CSV or PostgreSQL's binary format.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use bytes::{BufMut, BytesMut};

use super::encode::{Column, Format, RowEncoder, Zone};
use super::message;
use crate::dialect::{CopyFormat, CopyOptions, ForceQuote};

/// What a binary COPY begins with: a signature, no flags and no extension.
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with, where the number of columns of another row would stand.
const BINARY_TRAILER: i16 = -1;

/// Writes the rows of one COPY.
pub(crate) struct CopyEncoder {
    rows: RowEncoder,
    options: CopyOptions,
    /// CSV: for each column, whether its values are always quoted.
    quoted: Vec<bool>,
    /// The bytes for which a value is quoted or escaped.
    special: Box<[bool; 256]>,
    /// For each column, whether its values can have such bytes, or be taken for nulls.
    checked: Vec<bool>,
    /// Binary: whether the header is still to be sent. As PostgreSQL sends it, it stands in one message with the row
    /// or the trailer behind it, and drivers count on that.
    header_due: bool,
}

impl CopyEncoder {
    /// Makes an encoder for rows of a schema.
    pub(crate) fn new(schema: &Schema, options: CopyOptions, zone: Zone) -> CopyEncoder {
        let rows = RowEncoder::new(schema, &[format_of(options.format)], zone);
        let quoted = rows
            .names()
            .map(|name| match &options.force_quote {
                ForceQuote::None => false,
                ForceQuote::All => true,
                ForceQuote::Columns(columns) => columns.iter().any(|column| column == name),
            })
            .collect();
        let header_due = options.format == CopyFormat::Binary;
        let special: Box<[bool; 256]> = Box::new(std::array::from_fn(|byte| {
            u8::try_from(byte).is_ok_and(|byte| is_special(byte, &options))
        }));
        let may_be_null = options.format == CopyFormat::Csv
            && !options.null.is_empty()
            && options.null.bytes().all(|byte| PLAIN_BYTES.contains(&byte));
        let is_plain = !may_be_null && PLAIN_BYTES.iter().all(|byte| !special[usize::from(*byte)]);
        let is_checked = |(field, quoted): (&FieldRef, &bool)| {
            *quoted || !is_plain || !is_number_or_time(field.data_type())
        };
        let checked = schema.fields().iter().zip(&quoted).map(is_checked).collect();
        CopyEncoder { rows, options, quoted, special, checked, header_due }
    }

    /// Appends the messages before the first row.
    pub(crate) fn begin(&self, out: &mut BytesMut) {
        message::copy_out(format_of(self.options.format), self.rows.width(), out);
        match self.options.format {
            CopyFormat::Binary => {}
            format if self.options.header => {
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
        let mut header = if batch.num_rows() > start { self.take_header() } else { &[] };
        let arrays = self.rows.unpack(batch);
        let columns = self.rows.columns(&arrays);
        let end = batch.num_rows().min(start.saturating_add(rows_max));
        let mut row = start;
        while row < end {
            message::copy_data(out, |out: &mut Vec<u8>| match self.options.format {
                CopyFormat::Binary => {
                    out.put_slice(std::mem::take(&mut header));
                    out.put_i16(i16::try_from(columns.len()).unwrap_or(i16::MAX));
                    for column in &columns {
                        column.write_sized(row, out);
                    }
                }
                CopyFormat::Text | CopyFormat::Csv => self.put_line(&columns, row, out),
            });
            row += 1;
            if out.len() >= bytes_max {
                break;
            }
        }
        row - start
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
            if column.is_null(row) {
                out.put_slice(self.options.null.as_bytes());
                continue;
            }
            let start = out.len();
            column.write(row, out);
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

    fn has_special(&self, raw: &[u8]) -> bool {
        raw.iter().any(|byte| self.special[usize::from(*byte)])
    }

    /// Puts what stands behind `start` in quotes if it needs them.
    fn quote_csv(&self, start: usize, forced: bool, out: &mut Vec<u8>) {
        let CopyOptions { quote, escape, .. } = self.options;
        let raw = &out[start..];
        if !forced && raw != self.options.null.as_bytes() && !self.has_special(raw) {
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
        if !self.has_special(&out[start..]) {
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
