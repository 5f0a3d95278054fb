//! The objects that say who is who: the identity graph with its rules, and overrides that follow a query.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `CREATE IDENTITY GRAPH name IDENTIFIERS (...) [MATCH (...)] [WITH (...)]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdentityGraph {
    /// The identifier kinds, each with its rules.
    pub identifiers: Vec<IdentifierRule>,
    /// Further rules that join records.
    pub matches: Vec<MatchRule>,
    /// The rule that weighs in what records agree and in what they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuzzy: Option<FuzzyRule>,
    /// `WITH (merge_limit = n)`: records of one profile at most.
    pub merge_limit: u32,
    /// `WITH (shared_limit = n)`: a value used by more different people than this identifies nobody.
    pub shared_limit: u32,
}

impl IdentityGraph {
    /// Tells whether profiles have a `household_id`.
    pub fn has_households(&self) -> bool {
        self.fuzzy.as_ref().is_some_and(|rule| rule.household_score.is_some())
    }
}

/// `email NORMALIZE email PRIORITY 2 LIMIT 5 PER '30 days' EXPIRE AFTER '700 days' BLOCK VALUES ('a@b.c') BLOCK MATCHING '^0+$'`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierRule {
    /// The kind.
    pub kind: String,
    /// The normaliser with its arguments, such as `email` or `phone('PL')`; `None` takes trimmed text as it is.
    pub normalize: Option<Normalizer>,
    /// The smaller, the stronger.
    pub priority: u16,
    /// Values of this kind in one profile at most.
    pub limit: Option<u32>,
    /// `LIMIT n PER '30 days'`: the limit holds for values that were first observed within a time of this length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_per: Option<Duration>,
    /// `EXPIRE AFTER '700 days'`: a value that was not seen for longer identifies nobody any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_after: Option<Duration>,
    /// Values that never identify anybody, normalised before they are compared.
    pub block_values: Vec<String>,
    /// Regular expressions over the normalised value.
    pub block_matching: Vec<String>,
}

/// A normaliser and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Normalizer {
    /// The function without its prefix `normalize_`, such as `phone`.
    pub function: String,
    /// Literal arguments, such as the default region `PL`.
    pub arguments: Vec<String>,
}

/// A rule that joins records which agree on everything it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchRule {
    /// Its name, shown in edges.
    pub name: String,
    /// Person fields or identifier kinds that must agree exactly after normalisation: `EXACT ON (name, birth_date)`.
    pub exact_on: Vec<String>,
    /// The smaller, the stronger, on the same scale as identifiers.
    pub priority: u16,
}

/// A rule that joins records which are one person with some probability:
/// `FUZZY [BLOCK ON (...)] [SCORE >= p] [REVIEW BELOW p] [HOUSEHOLD SCORE >= p]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FuzzyRule {
    /// Its name, shown in edges.
    pub name: String,
    /// Records that are one person with at least this probability may join.
    pub score: f64,
    /// Joins below this probability are listed for review.
    pub review_below: Option<f64>,
    /// `HOUSEHOLD SCORE >= p`: profiles whose records are of one household with at least this probability may have one
    /// `household_id`. Without it there are no households.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub household_score: Option<f64>,
    /// The smaller, the stronger, on the same scale as identifiers.
    pub priority: u16,
    /// `BLOCK ON ((surname, birth_date), (email))`: records that agree on all parts of one of these keys are weighed. The
    /// usual keys if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub block_on: Vec<Vec<BlockPart>>,
}

/// A part of a key by which candidates are found: `surname`, `year(birth_date)` or `email`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockPart {
    /// What is taken of it, such as `year`; all of it if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// A field of the person or a kind of identifier.
    pub of: String,
}

/// `CREATE IDENTITY OVERRIDES name AS SELECT left_source, left_record_key, right_source, right_record_key, decision, ... FROM ...`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityOverrides {
    /// The query over `sources.*`, events and what analysts made: each row says of two records that they are of one person, or
    /// of two.
    pub query: String,
}
