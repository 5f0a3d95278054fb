//! The customer data platform: lake, catalog, ingest, identity, profiles, consent, queries, segments, activation.

pub mod catalog;
pub mod clock;
mod error;
pub mod lake;

pub use error::{Error, Result};
