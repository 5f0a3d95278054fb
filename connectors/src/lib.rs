//! Where records come from and where they go to: foreign systems and formats.
//!
//! Data flows in through a [`Source`], batch by batch with a [`Cursor`] that says how far it was read, and out through a
//! [`Destination`], as a [`Delivery`] for a declared [`Purpose`] that is answered with a [`Receipt`]. Nothing here
//! knows profiles, consent or tables. A new connector is one file and one line in `open_source` or `open_destination`.

pub mod contract;
mod error;

pub use contract::{
    Column, ConnectorSpec, Cursor, Delivery, Destination, DestinationSpec, Format, Purpose,
    Receipt, Rejection, Source, SourceBatch, SourceSpec,
};
pub use error::{Error, Result};
