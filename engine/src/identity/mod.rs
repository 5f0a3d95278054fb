//! Identity resolution: which of the records, events and orders belong to one person.
//!
//! A *subject* is a distinct tuple of identifiers, as a row carries it, with what the row says about its person. Values
//! that subjects share propose edges; a value that too many different people use proposes none. A total order of the
//! edges and a look at contradictions make clusters of them, and a cluster is a profile, whose *anchor* is its oldest
//! subject.
//!
//! ```text
//!  add(subject) -> normalise -> values: identifiers, blocks of MATCH rules, record keys     graph, values, people
//!  resolve()    -> let the newest version of each record speak for it                      versions
//!               -> count different people per value: personal, shared, nobody               classes, surnames
//!               -> walk the components that new subjects touch                              resolver
//!               -> propose pairs, veto by name, suffix and birthday                         blocks, proposals, people
//!               -> weigh pairs by a model of agreement, if there is a FUZZY rule            fuzzy
//!               -> constrained union-find in a total order                                  cluster, part
//!               -> join what weighed pairs outweigh                                         contraction
//!               -> after each priority, seat those for whom a limit left no room           seating
//!               -> what people decided: who must be together, and who must not              overrides
//!               -> keep the strongest of many refused edges of one value                     summaries
//!               -> lead events and orders to their profile                                  linkers
//!               -> weigh which profiles are of one household, if the rule asks for it           households
//!               -> Delta: which subjects moved from which anchor to which
//!  former_identifiers() -> what corrected versions carried, and records that are gone         reading, gone
//!  compared()   -> what two records say of each other by themselves                        between
//!  review()     -> pairs about which an answer of a person would tell most                 review
//!  take_figures() -> how long each step took, and what became of the pairs of each rule    figures
//! ```
//!
//! The invariant: profiles, edges and violations are a function of the set of subjects, the rules, the overrides, and which
//! versions of records stand. Batches don't matter, and the order of arrival only decides which subject is the anchor, and
//! which version speaks where nothing else orders those of a record.
//!
//! Nothing here does I/O. Every edge has one rule and two subjects to show, and one value that both carry; only the edges of a
//! FUZZY rule have a weight instead, which is a function of the two subjects and of a model that stays as it was trained.

mod agreement;
mod between;
mod blocks;
mod classes;
mod cluster;
pub mod components;
mod contraction;
mod contradicted;
mod edges;
mod expiry;
mod figures;
mod fuzzy;
mod gone;
mod graph;
mod halt;
pub(crate) mod hash;
mod households;
pub(crate) mod interner;
mod limit;
mod linkers;
pub(crate) mod memory;
mod overrides;
mod part;
mod people;
mod person;
mod pool;
pub mod profile_id;
mod proposals;
mod proposed;
mod reading;
mod resolver;
mod review;
mod rules;
mod seating;
mod summaries;
mod surnames;
pub(crate) mod threads;
pub mod union_find;
mod values;
mod versions;
mod walk;

#[cfg(test)]
mod tests;

pub use between::Compared;
pub use classes::Classed;
pub use contradicted::contradicted;
pub use edges::{Edge, Refusal, Violation};
pub(crate) use figures::Watch;
pub use figures::{Figures, Phase, RuleFigures};
pub(crate) use fuzzy::BLOCK_ROWS_MAX;
pub use graph::NewSubject;
pub use halt::Halt;
pub(crate) use households::{Households, StoredTie, Tie};
pub(crate) use interner::Interner;
pub use overrides::{Decided, Origin, Override, RecordName};
pub use person::PersonFields;
pub(crate) use person::is_ahead;
pub use profile_id::ProfileIds;
pub use reading::{Counts, EdgeEvidence, ProfileIdentifier, ViolationEvidence};
pub use resolver::{Change, Delta, Resolver};
pub(crate) use review::probability_of;
pub use review::{Question, ReviewPair};
pub use rules::{OVERRIDE_NAME, RECORD_RULE, Rules};
pub use values::ValueClass;
