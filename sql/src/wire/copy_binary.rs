//! The rows of `COPY ... FROM STDIN` in binary, as they come in pieces: a header, and for each row the number of its values and
//! the values, each behind its length, as parameters are sent.

use std::borrow::Cow;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Decimal128Type, DecimalType, Field};
use datafusion::common::ScalarValue;

use super::copy_rows::{Origin, Taken};
use super::encode::{Format, Zone};
use super::error::{CopyContext, WireError, sqlstate};
use super::limits::{COPIED_BYTES_MAX, COPIED_ROW_BYTES_MAX, COPIED_ROWS_MAX};
use super::parameter::{decode, held_as};
use super::types::PgType;

/// What binary rows begin with.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Of the flags behind it: rows have numbers of their own, as in servers of before.
const WITH_OIDS: u32 = 1 << 16;
/// Who does not know one of these cannot read what follows.
const CRITICAL: u32 = 0xffff_0000;

/// Takes pieces apart into rows, and rows into columns of values.
pub(crate) struct BinaryParser {
    /// The table that they fill, as errors name it.
    relation: String,
    columns: Vec<Column>,
    /// That of the session.
    zone: Zone,
    rows: usize,
    /// Bytes that the values of these take, nulls among them.
    bytes: usize,
    /// The number of the row that comes next, from 1.
    row: u64,
    /// The beginning of what has not come whole.
    pending: Vec<u8>,
    /// Whether the header was read.
    begun: bool,
    /// Whether the client said that there are no more rows.
    ended: bool,
}

/// A value that may be null, and what is behind it.
type Value<'b> = (Option<&'b [u8]>, &'b [u8]);

/// A column that is filled.
struct Column {
    /// How its values are held until they are put in.
    held: Field,
    /// The type that they are sent as.
    oid: u32,
    values: Vec<ScalarValue>,
}

impl BinaryParser {
    /// Takes rows of these columns of a table.
    pub(crate) fn new(relation: &str, columns: &[Field], zone: Zone) -> BinaryParser {
        let column = |column: &Field| {
            let oid = PgType::of(column).oid;
            let held = held_as(oid).unwrap_or(DataType::Utf8);
            Column { held: Field::new(column.name(), held, true), oid, values: Vec::new() }
        };
        BinaryParser {
            relation: relation.to_owned(),
            columns: columns.iter().map(column).collect(),
            zone,
            rows: 0,
            bytes: 0,
            row: 1,
            pending: Vec::new(),
            begun: false,
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

    /// Takes the next piece, up to the row with which so many wait that they are to be taken: an empty piece goes on behind it.
    /// A piece may be of short rows alone, which take many times as much as values.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), WireError> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(piece);
        let mut rest = pending.as_slice();
        if !self.begun
            && let Some(behind) = header(rest)?
        {
            self.begun = true;
            rest = behind;
        }
        while self.begun
            && !self.is_full()
            && let Some(behind) = self.take_row(rest)?
        {
            rest = behind;
        }
        let read = pending.len() - rest.len();
        pending.drain(..read);
        self.pending = pending;
        if !self.is_full() && self.pending.len() > COPIED_ROW_BYTES_MAX {
            return Err(self.wrong(format!("row is longer than {COPIED_ROW_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// Fails if the last row or the header has not come whole.
    pub(crate) fn finish(&mut self) -> Result<(), WireError> {
        match (self.begun, self.pending.is_empty()) {
            (true, true) => Ok(()),
            (false, _) => Err(wrong("COPY file signature not recognized")),
            (true, false) => Err(self.wrong("unexpected EOF in COPY data")),
        }
    }

    /// Returns the rows that were taken since the last time.
    pub(crate) fn take(&mut self) -> Result<Taken, WireError> {
        let first = self.row - self.rows as u64;
        (self.rows, self.bytes) = (0, 0);
        let columns = self.columns.iter_mut().map(Column::take).collect::<Result<_, _>>()?;
        Ok(Taken { columns, origin: Origin::Rows(first) })
    }

    /// Takes the row that bytes begin with, and returns those behind it; `None` as long as it has not come whole.
    fn take_row<'b>(&mut self, bytes: &'b [u8]) -> Result<Option<&'b [u8]>, WireError> {
        if self.ended && !bytes.is_empty() {
            return Err(self.wrong("received copy data after EOF marker"));
        }
        let Some((count, values)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.ended = true;
            return Ok(Some(values));
        }
        if usize::try_from(count) != Ok(self.columns.len()) {
            let expected = self.columns.len();
            let message = format!("row field count is {count}, expected {expected}");
            return Err(self.wrong(message));
        }
        let mut behind = values;
        for column in &self.columns {
            let next = value(behind);
            let next = next.map_err(|error| error.within(Some(self.context(Some(column)))))?;
            match next {
                Some((_, rest)) => behind = rest,
                None => return Ok(None),
            }
        }
        let mut rest = values;
        for column in 0..self.columns.len() {
            let Some((value, further)) = value(rest)? else { return Ok(None) };
            let taken = self.columns[column].push(value, &self.zone);
            self.bytes += taken.map_err(|error| self.refused(error, &self.columns[column]))?;
            rest = further;
        }
        self.rows += 1;
        self.row += 1;
        Ok(Some(behind))
    }

    /// Says where the row is that is read, and its column.
    fn context(&self, column: Option<&Column>) -> CopyContext {
        CopyContext {
            relation: self.relation.clone(),
            line: self.row,
            column: column.map(|column| column.held.name().clone()),
            text: None,
        }
    }

    /// An error in the row that is read.
    fn wrong(&self, message: impl Into<Cow<'static, str>>) -> WireError {
        wrong(message).within(Some(self.context(None)))
    }

    /// Says where a value is that cannot be read.
    fn refused(&self, mut error: WireError, column: &Column) -> WireError {
        if error.sqlstate == sqlstate::INVALID_BINARY_REPRESENTATION {
            error.message = "incorrect binary data format".into();
        }
        error.within(Some(self.context(Some(column))))
    }
}

impl Column {
    /// Takes a value, and returns how many bytes it takes.
    fn push(&mut self, value: Option<&[u8]>, zone: &Zone) -> Result<usize, WireError> {
        let value = decode(value, Format::Binary, self.oid, &self.held, 0, zone)?;
        let value = match value {
            // Each has its own digits: as texts they are of one type.
            ScalarValue::Decimal128(digits, precision, scale) => ScalarValue::Utf8(
                digits.map(|digits| Decimal128Type::format_decimal(digits, precision, scale)),
            ),
            ScalarValue::List(list) if list.value_type().is_decimal() => {
                let texts = DataType::new_list(DataType::Utf8, true);
                ScalarValue::List(list).cast_to(&texts).map_err(|_| self.unsupported())?
            }
            other => other,
        };
        let bytes = value.size();
        self.values.push(value);
        Ok(bytes)
    }

    fn take(&mut self) -> Result<ArrayRef, WireError> {
        ScalarValue::iter_to_array(std::mem::take(&mut self.values)).map_err(|_| self.unsupported())
    }

    /// Says that there are values of several types, such as arrays of other numbers of dimensions.
    fn unsupported(&self) -> WireError {
        let message = format!("COPY FROM STDIN in binary to column \"{}\"", self.held.name());
        WireError::new(sqlstate::FEATURE_NOT_SUPPORTED, format!("{message} is not supported"))
            .hint("Use FORMAT text or csv.")
    }
}

/// Reads the header, and returns what is behind it; `None` as long as it has not come whole.
fn header(bytes: &[u8]) -> Result<Option<&[u8]>, WireError> {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes[..known] != SIGNATURE[..known] {
        return Err(wrong("COPY file signature not recognized"));
    }
    let behind = bytes.get(SIGNATURE.len()..).unwrap_or_default();
    let Some((flags, behind)) = behind.split_first_chunk::<4>() else { return Ok(None) };
    let flags = u32::from_be_bytes(*flags);
    if flags & WITH_OIDS != 0 {
        return Err(wrong("invalid COPY file header (WITH OIDS)"));
    }
    if flags & CRITICAL != 0 {
        return Err(wrong("unrecognized critical flags in COPY file header"));
    }
    let Some((length, behind)) = behind.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(i32::from_be_bytes(*length))
        .map_err(|_| wrong("invalid COPY file header (missing length)"))?;
    Ok(behind.get(length..))
}

/// Reads a value, `None` for null, and returns it with what is behind it; `None` as long as it has not come whole.
fn value(bytes: &[u8]) -> Result<Option<Value<'_>>, WireError> {
    let Some((length, behind)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = i32::from_be_bytes(*length);
    if length == -1 {
        return Ok(Some((None, behind)));
    }
    let length = usize::try_from(length).map_err(|_| wrong("invalid field size"))?;
    Ok(behind.split_at_checked(length).map(|(value, behind)| (Some(value), behind)))
}

fn wrong(message: impl Into<Cow<'static, str>>) -> WireError {
    WireError::new("22P04", message)
        .hint("Check the format, and that the columns are those of the table, in their order.")
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    fn parser() -> BinaryParser {
        let columns = [
            Field::new("id", DataType::Int32, true),
            Field::new("name", DataType::Utf8, true),
            Field::new("amount", DataType::Decimal128(18, 2), true),
        ];
        BinaryParser::new("t", &columns, Zone::utc())
    }

    fn begun() -> Vec<u8> {
        [SIGNATURE, &[0; 8]].concat()
    }

    fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
        let mut row = i16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
        for value in values {
            let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            row.extend(length.to_be_bytes());
            row.extend(value.unwrap_or_default());
        }
        row
    }

    /// 1234.5 and 7, as numbers are sent.
    const AMOUNT: [u8; 12] = [0, 2, 0, 0, 0, 0, 0, 1, 0x04, 0xd2, 0x13, 0x88];
    const SEVEN: [u8; 10] = [0, 1, 0, 0, 0, 0, 0, 0, 0, 7];

    #[test]
    fn rows_are_read_in_pieces_of_any_size() {
        let mut input = begun();
        input.extend(row(&[Some(&7_i32.to_be_bytes()), Some(b"a"), Some(&AMOUNT)]));
        input.extend(row(&[None, Some(b""), Some(&SEVEN)]));
        input.extend(row(&[Some(&(-1_i32).to_be_bytes()), None, None]));
        for end in [&[][..], &[0xff, 0xff]] {
            let input = [input.as_slice(), end].concat();
            for size in [1, 3, 16, 1000] {
                let mut parser = parser();
                for piece in input.chunks(size) {
                    parser.push(piece).unwrap();
                }
                parser.finish().unwrap();
                assert_eq!(parser.rows(), 3);
                let columns = parser.take().unwrap().columns;
                let ids: Vec<_> = columns[0].as_primitive::<Int32Type>().iter().collect();
                assert_eq!(ids, [Some(7), None, Some(-1)], "{size}");
                let texts = |at: usize| -> Vec<Option<String>> {
                    let texts = columns[at].as_string::<i32>();
                    texts.iter().map(|text| text.map(str::to_owned)).collect()
                };
                assert_eq!(texts(1), [Some("a".to_owned()), Some(String::new()), None]);
                assert_eq!(texts(2), [Some("1234.5".to_owned()), Some("7".to_owned()), None]);
                assert_eq!((parser.rows(), columns[2].len()), (0, 3));
            }
        }
    }

    #[test]
    fn numerics_of_arrays_keep_their_digits() {
        let list = DataType::new_list(DataType::Decimal128(18, 2), true);
        let mut parser = BinaryParser::new("t", &[Field::new("a", list, true)], Zone::utc());
        let array = |value: &[u8]| {
            let mut array = Vec::new();
            for word in [1, 0, 1700, 1, 1, i32::try_from(value.len()).unwrap()] {
                array.extend(word.to_be_bytes());
            }
            [array.as_slice(), value].concat()
        };
        let (amount, seven) = (array(&AMOUNT), array(&SEVEN));
        let rows = [Some(amount.as_slice()), None, Some(seven.as_slice())];
        parser.push(&begun()).unwrap();
        for value in rows {
            parser.push(&row(&[value])).unwrap();
        }
        let lists = parser.take().unwrap().columns;
        let texts = lists[0].as_list::<i32>().values().as_string::<i32>();
        assert_eq!(texts.iter().flatten().collect::<Vec<_>>(), ["1234.5", "7"]);
        assert!(lists[0].is_null(1));
    }

    #[test]
    fn short_rows_are_taken_before_there_are_many() {
        let columns = vec![Field::new("a", DataType::Int32, true); 100];
        let mut parser = BinaryParser::new("t", &columns, Zone::utc());
        let nulls = row(&[None; 100]);
        let count = 2 * COPIED_BYTES_MAX / (100 * size_of::<ScalarValue>());
        let piece = [begun(), nulls.repeat(count)].concat();
        assert!(piece.len() < COPIED_ROW_BYTES_MAX);
        parser.push(&piece).unwrap();
        assert!(parser.is_full());
        let mut found = 0;
        while parser.is_full() {
            assert!(parser.rows() * 100 * size_of::<ScalarValue>() < 2 * COPIED_BYTES_MAX);
            found += parser.take().unwrap().columns[99].len();
            parser.push(&[]).unwrap();
        }
        parser.finish().unwrap();
        assert_eq!(found + parser.rows(), count);
    }

    #[test]
    fn what_is_no_row_is_refused() {
        let refused = |input: &[u8]| {
            let mut parser = parser();
            let done = parser.push(input).and_then(|()| parser.finish());
            let error = done.unwrap_err();
            (error.sqlstate, error.message.to_string())
        };
        let with = |more: &[u8]| [begun().as_slice(), more].concat();
        let check = |input: &[u8], sqlstate: &str, message: &str| {
            assert_eq!(refused(input), (sqlstate, message.to_owned()));
        };
        check(b"id\tname\n", "22P04", "COPY file signature not recognized");
        check(&SIGNATURE[..5], "22P04", "COPY file signature not recognized");
        let oids = [SIGNATURE, &[0, 1, 0, 0, 0, 0, 0, 0]].concat();
        check(&oids, "22P04", "invalid COPY file header (WITH OIDS)");
        check(&with(&row(&[None])), "22P04", "row field count is 1, expected 3");
        check(&with(&[0, 3, 0]), "22P04", "unexpected EOF in COPY data");
        for beyond in [&[0xff, 0xff, 0, 3][..], &[0xff, 0xff, 0]] {
            check(&with(beyond), "22P04", "received copy data after EOF marker");
        }
        let size = with(&[0, 3, 0xff, 0xff, 0xff, 0xfe]);
        check(&size, "22P04", "invalid field size");
        let long = with(&row(&[Some(&[0; 5]), None, None]));
        check(&long, "22P03", "incorrect binary data format");
        let context =
            |input: &[u8]| parser().push(input).unwrap_err().context().unwrap().to_string();
        let second = with(&[row(&[None; 3]), row(&[Some(&[0; 5]), None, None])].concat());
        assert_eq!(context(&second), "COPY t, line 2, column id");
        assert_eq!(context(&size), "COPY t, line 1, column id");
        assert_eq!(context(&with(&row(&[None]))), "COPY t, line 1");
    }
}
