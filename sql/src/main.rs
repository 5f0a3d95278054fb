//! The binary `onefold`.
fn main() {}
