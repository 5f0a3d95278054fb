//! Tables, views and sequences that analysts make with SQL, in the schema `analytics` and in schemas of their own, and what
//! keeps them governed.
//!
//! A statement is read into a `Write`, its query planned like any other, and its rows go to files; what
//! it changed is [`Staged`] in its session until the commit, which one catalog document makes visible. A table whose
//! rows hold `profile_id` keeps the subject of each row in its place, so that the governed leaf decides for each reader
//! whether the row exists. `provenance` says when that is enough, and when a table is bound to the purpose that it was
//! made for as well; the first rows in which several people meet bind one that was open.

mod acting;
mod altered_keys;
mod asked;
mod assignable;
mod chained;
mod changed;
mod changes;
mod check_constraints;
mod checks;
mod column_changes;
mod column_rows;
mod columns;
mod commit;
mod computed;
mod conflict;
mod constraint_names;
mod constraints;
mod copied;
mod copy;
mod counted;
mod defaults;
mod deferred;
mod dependents;
mod follow;
mod followers;
mod foreign_keys;
mod found;
mod generated;
mod immutable;
mod insert;
mod inserted;
mod into;
mod keys;
mod lengths;
mod like;
mod links;
mod literals;
mod made;
mod materialized;
mod merge;
mod merged;
mod notice;
mod numbers;
mod objects;
mod personal;
mod places;
mod proposed;
mod provenance;
mod referring;
mod renamed;
mod returned_names;
mod returned_order;
mod returning;
mod retyped;
mod rights;
mod rows;
mod schemas;
mod sequence_objects;
mod sequence_options;
mod sequences;
mod staged;
mod statement;
mod storage;
mod upserted;
mod view_columns;
mod with;
mod write;

pub(crate) use commit::Analytics;
pub use copy::{CopyFailure, CopyPlace, CopyTarget};
pub use counted::Counted;
pub(crate) use counted::Place;
pub use into::without_into;
pub use like::LIKE;
pub use notice::Notice;
pub use renamed::SET_SCHEMA;
pub(crate) use rows::ROW;
pub(crate) use sequences::Sequences;
pub use staged::Staged;
pub use write::{PlannedWrite, Written};
