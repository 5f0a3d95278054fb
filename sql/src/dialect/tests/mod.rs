//! Tables of statements, of definitions, and of errors with their places.

mod alter;
mod copies;
mod definitions;
mod errors;
mod published;
mod published_guides;
mod reference;
mod statements;

use super::*;

/// Returns the one statement of a text.
fn one(sql: &str) -> Parsed {
    let mut all = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    assert_eq!(all.len(), 1, "{sql}");
    all.remove(0)
}
