//! Pure functions over columns: normalisers, similarities, privacy. No I/O, no async, no state.
