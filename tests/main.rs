//! End-to-end tests of onefold: the real binary, over the real wire, on a real disk.
//!
//! Each test starts its own `onefold` on a free port with a lake of its own, or reads the one that all readers share.
//! Nothing sleeps and nothing is tried twice: a test waits for a condition, and no longer than a bound. What needs
//! Python (an object store, a certificate) takes it from `.venv`, which `make test` installs.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod corpus;
mod harness;

mod alter;
mod analytics;
mod apply;
mod audit;
mod cancel;
mod cancel_writing;
mod cli;
mod consent;
mod crash;
mod deleted;
mod delivery;
mod dropping;
mod ending;
mod explain;
mod fairness;
mod figures;
mod followed;
mod foreign_keys;
mod fuzzy;
mod households;
mod identifiers;
mod impact;
mod incremental;
mod limits;
mod literals;
mod namesakes;
mod noninterference;
mod object_store;
mod operators;
mod overrides;
mod plans;
mod refresh;
mod refusals;
mod review;
mod rows;
mod rules;
mod schedule;
mod secrets;
mod short_way;
mod slt;
mod stages;
mod sync;
mod tidy;
mod tls;
mod truth;
mod views;
mod weighed;
mod withdrawal;
mod writers;
