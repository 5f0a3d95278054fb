//! The customer data platform: everything behind the front door.
//!
//! The life of a record, in the order in which the modules meet it:
//!
//! 1. [`ingest`] reads a source, sets aside what cannot be taken, and gives each row its subject;
//! 2. [`lake`] keeps rows as Delta tables; [`catalog`] makes versions of several tables visible together;
//! 3. [`identity`] works out which subjects are one person, [`identity_refresh`] keeps that as tables, [`overrides`]
//!    what people decided otherwise; [`matching`] learns from the records how much each agreement is worth;
//! 4. [`consent`] says who allows what, since when;
//! 5. [`profile`] makes one row for each person;
//! 6. [`query`] plans every SELECT, and lets a session see only people who allow its purpose;
//! 7. [`segment`] keeps who is a member of what, [`activation`] sends rows out and records it;
//! 8. [`analytics`] is what analysts make with SQL: tables that stay governed, and views;
//! 9. [`jobs`] runs all of it, in order; [`audit`] and [`observe`] tell what happened; [`lanes`] keep what computes for long
//!    out of the way of what does not.
//!
//! [`Engine`] is the facade.

pub mod activation;
pub mod analytics;
pub mod audit;
mod buckets;
pub mod catalog;
pub mod clock;
pub mod consent;
mod definitions;
mod engine;
mod error;
mod explain;
mod functions;
pub mod identity;
pub mod identity_refresh;
pub mod ingest;
pub mod jobs;
pub mod lake;
pub mod lanes;
pub mod matching;
pub mod observe;
pub mod options;
pub mod overrides;
pub mod profile;
pub mod query;
pub mod segment;
mod suggest;
mod table_read;
pub mod tables;
mod violation;

pub use definitions::{Changes, FirstMembers};
pub use engine::{Engine, Live, Put};
pub use error::{Error, Result};
pub use options::{EngineOptions, Mode};
pub use suggest::nearest;
pub use violation::{Violated, Violation};
