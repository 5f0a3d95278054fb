//! What takes the rows of `COPY ... FROM STDIN` apart, whichever format they come in.

use super::copy_binary::BinaryParser;
use super::copy_in::CopyParser;
use super::copy_rows::Taken;
use super::error::WireError;

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

    /// Returns the rows that were taken since the last time.
    pub(crate) fn take(&mut self) -> Result<Taken, WireError> {
        match self {
            CopyReader::Written(parser) => Ok(parser.take()),
            CopyReader::Binary(parser) => parser.take(),
        }
    }
}
