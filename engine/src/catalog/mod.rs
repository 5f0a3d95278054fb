//! What is defined in a lake, and which version of each table is current.

mod definition;

pub use definition::*;
