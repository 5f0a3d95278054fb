//! Where records come from and where they go to: foreign systems and formats.
//!
//! Data flows in through a [`Source`], batch by batch with a [`Cursor`] that says how far it was read, and out through a
//! [`Destination`], as a [`Delivery`] for a declared [`Purpose`] that is answered with a [`Receipt`]. Nothing here
//! knows profiles, consent or tables. A new connector is one file and one line in [`open_source`] or
//! [`open_destination`].

pub mod contract;
mod error;
mod file;

pub use contract::{
    Column, ConnectorSpec, Cursor, Delivery, Destination, DestinationSpec, Format, Purpose,
    Receipt, Rejection, Reserved, Source, SourceBatch, SourceSpec,
};
pub use error::{Error, Result};

/// The key of field metadata that holds the logical type where Arrow has none of its own.
pub const LOGICAL_TYPE_KEY: &str = "onefold.type";

/// The logical type of text that is one JSON value.
pub const LOGICAL_TYPE_JSON: &str = "jsonb";

/// Opens a source behind `cursor`; the default cursor stands before the first record.
///
/// Samples what it is going to read, so that the schema is known afterwards: call it where blocking is allowed.
pub fn open_source(spec: SourceSpec, cursor: &Cursor) -> Result<Box<dyn Source>> {
    match &spec.connector {
        ConnectorSpec::File { paths } => {
            let paths = paths.clone();
            Ok(Box::new(file::FileSource::open(spec, &paths, cursor)?))
        }
    }
}

/// Opens a destination; nothing is written before the first delivery.
pub fn open_destination(spec: DestinationSpec) -> Result<Box<dyn Destination>> {
    match &spec.connector {
        ConnectorSpec::File { paths } => {
            let paths = paths.clone();
            Ok(Box::new(file::FileDestination::open(spec, &paths)?))
        }
    }
}
