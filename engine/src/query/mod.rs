//! From text to rows: the planner, what a session may name, and the leaf below which consent is enforced.
//!
//! A [`QuerySession`](session::QuerySession) belongs to one connection. For each statement it takes one consistent state of
//! the lake, builds the [`Relations`](relations::Relations) that its role may name for its purpose, and plans with the one
//! [`Planner`](planner::Planner). Rows of persons come only from a [`GovernedTable`](governed::GovernedTable), which asks
//! for the statement's [`Access`](access::Access): its leaf does, and so does the short way of statements that are run
//! again and again for few rows.

pub mod access;
mod blooms;
mod decoded;
mod directory;
mod expansion;
mod generic;
pub mod governed;
mod inner_scan;
pub(crate) mod kept;
mod leakproof;
mod one_store;
mod operators;
mod parameters;
pub mod planned;
pub mod planner;
pub mod postgres;
mod quick;
pub(crate) mod quoted;
pub(crate) mod reads;
pub mod relations;
pub mod runs;
pub mod scan;
pub mod selection;
pub mod session;
pub mod stop;
pub mod syntax;
pub mod system;
mod value_index;
mod weight;

/// The name of the one database.
pub const DATABASE: &str = "onefold";

/// The schema of business relations.
pub const PUBLIC: &str = "public";
