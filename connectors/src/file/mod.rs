//! Files as sources and destinations: CSV, NDJSON, Parquet and Segment calls, plain or compressed.
//!
//! A glob becomes a sorted list of files below one root; a cursor tells which of them are new, grown or changed; a
//! sample of those fixes the schema; then each file is read to column batches that never span files. Rows that cannot
//! be taken travel beside the batch with a reason, never in silence.
//!
//! Invariant: the cursor of a batch covers exactly the rows and rejections handed out up to and including that batch.

mod column;
mod csv;
mod destination;
mod encode;
mod guess;
mod input;
mod json;
mod leftover;
mod mark;
mod ndjson;
mod parquet;
mod part;
mod reject;
mod renamed;
mod root;
mod schema;
mod segment;
mod source;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use destination::FileDestination;
pub(crate) use source::FileSource;

/// Rows of a file that are looked at to infer its schema.
const SAMPLE_ROWS_MAX: u64 = 10_000;

/// Bytes of text that one batch holds at most, so that wide rows make short batches.
const BATCH_BYTES_MAX: usize = 32 << 20;

/// The longest line or CSV row; a longer one is rejected.
const ROW_BYTES_MAX: usize = 16 << 20;
