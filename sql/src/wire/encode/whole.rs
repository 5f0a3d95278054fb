//! Values whose bytes are at hand whole, so that their length is known before them and is written with them.

use arrow::array::Array;
use arrow::buffer::NullBuffer;

use super::{Column, NULL_LENGTH};

/// Bytes of a length.
const LENGTH_BYTES: usize = size_of::<i32>();
/// Bytes of the widest value of a fixed width.
const WIDTH_MAX: usize = 16;

/// Values of one width.
struct Fixed<const N: usize, F> {
    nulls: Option<NullBuffer>,
    bytes: F,
}

impl<const N: usize, F: Fn(usize) -> [u8; N] + Send> Column for Fixed<N, F> {
    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.bytes)(row));
    }

    fn write_sized(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(&NULL_LENGTH.to_be_bytes());
            return;
        }
        // Length and value are appended as one, whose width the compiler knows.
        let mut sized = [0; LENGTH_BYTES + WIDTH_MAX];
        sized[..LENGTH_BYTES].copy_from_slice(&length_of(N));
        sized[LENGTH_BYTES..LENGTH_BYTES + N].copy_from_slice(&(self.bytes)(row));
        out.extend_from_slice(&sized[..LENGTH_BYTES + N]);
    }
}

/// Makes a column of an array and of what gives the bytes of one of its rows, which are as many for all.
pub(super) fn fixed<'a, const N: usize>(
    array: &dyn Array,
    bytes: impl Fn(usize) -> [u8; N] + Send + 'a,
) -> Box<dyn Column + 'a> {
    const { assert!(N <= WIDTH_MAX) };
    Box::new(Fixed::<N, _> { nulls: array.logical_nulls(), bytes })
}

/// Values that lie somewhere as they are written.
struct Slices<F> {
    nulls: Option<NullBuffer>,
    bytes: F,
}

impl<'a, F: Fn(usize) -> &'a [u8] + Send> Column for Slices<F> {
    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice((self.bytes)(row));
    }

    fn write_sized(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(&NULL_LENGTH.to_be_bytes());
            return;
        }
        let bytes = (self.bytes)(row);
        out.reserve(LENGTH_BYTES + bytes.len());
        out.extend_from_slice(&length_of(bytes.len()));
        out.extend_from_slice(bytes);
    }
}

/// Makes a column of an array and of what gives the bytes of one of its rows.
pub(super) fn slices<'a>(
    array: &dyn Array,
    bytes: impl Fn(usize) -> &'a [u8] + Send + 'a,
) -> Box<dyn Column + 'a> {
    Box::new(Slices { nulls: array.logical_nulls(), bytes })
}

fn length_of(bytes: usize) -> [u8; LENGTH_BYTES] {
    // A value cannot reach 2 GiB: values are capped far below it where they are made.
    i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes()
}
