//! The customer data platform: lake, catalog, ingest, identity, profiles, consent, queries, segments, activation.

pub mod catalog;
mod error;

pub use error::{Error, Result};
