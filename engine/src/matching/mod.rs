//! Probabilistic matching: which records are one person, how sure that is, and why.
//!
//! The model is Fellegi and Sunter's (1969), with three classes of pairs where they had two: records of the *same* person,
//! of two people of one *household*, and others, who agree by *chance*. Without the second class a family is one customer.
//! It learns from the records alone; nobody need label a pair or guess how many were found. Where people did decide, it takes
//! their word.
//!
//! ```text
//!  Records::add(batch) -> normalised, every text a number                          records, normal, vocabulary
//!  Matcher::new        -> values of identifiers: personal, shared, nobody's        classes
//!                      -> blocks of records that are compared                      rules, blocks
//!  Matcher::train      -> levels of agreement in one word, patterns counted        levels, compare, labels
//!                      -> chances, probabilities, priors: a Model                  chance, em, calibration, training
//!  Matcher::edges      -> weights of pairs, in bits                                score, frequency
//!  Matcher::cluster    -> components, contraction, contradictions                  components, clusters, groups, contradiction, namesakes
//!  explain             -> the weight of a pair, step by step                       explain
//! ```
//!
//! The invariant: with records in the order of their keys, model and clusters are a function of the records, the seed, the
//! labels and the overrides. Neither the order of arrival nor batches nor threads matter.
//!
//! This is not a search index and keeps nothing: there is no I/O, no clock and no global state.

mod blocks;
mod calibration;
mod chance;
mod classes;
mod clusters;
mod compare;
mod components;
mod contradiction;
mod em;
mod explain;
mod frequency;
mod groups;
mod keys;
mod labels;
mod levels;
mod matcher;
mod model;
mod namesakes;
mod normal;
mod records;
mod rules;
mod score;
mod training;
mod vocabulary;

#[cfg(test)]
pub(crate) mod tests;

pub use blocks::BlockReport;
pub(crate) use classes::Classes;
pub(crate) use clusters::{BITS_MAX, COMPONENT_MAX, SCALE, SILENCE_BITS, TORN_BITS, parts};
pub use clusters::{Clusters, Cut, CutEdge, Edge, Overrides};
pub(crate) use compare::Memories;
pub use contradiction::Contradiction;
pub use explain::{Step, explain};
pub use frequency::{Counts, Frequencies};
pub(crate) use groups::Pairs;
pub(crate) use keys::BlockKeys;
pub use labels::Labels;
pub(crate) use levels::{KINDS_MAX, PERSON_NAMES, labels};
pub use matcher::{Matcher, Options};
pub use model::{ComparisonModel, Health, IdentifierHealth, LevelModel, Model};
pub(crate) use namesakes::may_be_namesakes;
pub use records::{Batch, Form, Kind, PersonField, Records};
pub(crate) use score::{Lookup, Together};
pub use score::{Scorer, Weight};
