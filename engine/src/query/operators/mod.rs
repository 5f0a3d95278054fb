//! The steps of identity resolution as operators of plans: functions in `FROM` that take a query and give its rows back
//! as pairs, weights or clusters.
//!
//! ```text
//!  candidate_pairs((SELECT id, key ...))            BlockingJoinExec   rows that share a key               blocking
//!  scored_pairs((SELECT source, record_key, ...))   PairScoringExec    pairs of records, weighed           scoring
//!  connected_components((SELECT left, right ...))   ComponentsExec     who hangs together                  components
//!  refine_clusters((SELECT left, right, bits ...))  RefinementExec     who outweighs what speaks against   refinement
//! ```
//!
//! A call is turned into a marked nest around its query before a statement is checked (`calls`), the nest is planned as a node
//! over the query's own plan (`node`), and the node becomes an operator over batches (`exec`). So the query is planned like
//! any other part of the statement: with the relations that the session may name, below them the governed leaf, and on record
//! in the audit log. An operator sees what its query gives and nothing else; `scored_pairs` alone looks up in the lake what the
//! records say that its query names, for those who see everyone.
//!
//! All of them read their input whole, in any batches and any order, before they give the first row; what they hold is
//! reserved from the memory of statements. The sets, the interned texts, the blocks' bound and the penalties are those of
//! the resolver. Whatever they do with all of it at once, such as sorting, they do in pieces, and `asking` asks in between
//! whether the statement is to stop.

mod asking;
mod blocking;
mod calls;
mod components;
mod contraction;
mod exec;
mod ids;
mod node;
mod refinement;
mod scoring;
#[cfg(test)]
mod tests;

pub(super) use calls::nest;
pub(super) use node::{OperatorNode, OperatorQueries, OperatorRelations};

/// The name of the operator that looks records up in the lake, for which its query alone does not say how much it reads.
pub(super) const PAIR_SCORING: &str = "PairScoringExec";

/// An operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Operator {
    /// Pairs of rows that share a key.
    CandidatePairs,
    /// Pairs of records, weighed by the model in force.
    ScoredPairs,
    /// Connected components of edges.
    ConnectedComponents,
    /// Clusters of weighed edges.
    RefineClusters,
}

impl Operator {
    const ALL: [Operator; 4] = [
        Operator::CandidatePairs,
        Operator::ScoredPairs,
        Operator::ConnectedComponents,
        Operator::RefineClusters,
    ];

    /// Returns the name of the function.
    fn function(self) -> &'static str {
        match self {
            Operator::CandidatePairs => "candidate_pairs",
            Operator::ScoredPairs => "scored_pairs",
            Operator::ConnectedComponents => "connected_components",
            Operator::RefineClusters => "refine_clusters",
        }
    }

    /// Returns the name of the operator in a logical plan.
    fn node(self) -> &'static str {
        match self {
            Operator::CandidatePairs => "BlockingJoin",
            Operator::ScoredPairs => "PairScoring",
            Operator::ConnectedComponents => "Components",
            Operator::RefineClusters => "Refinement",
        }
    }

    /// Returns the name of the operator in a physical plan.
    fn exec(self) -> &'static str {
        match self {
            Operator::CandidatePairs => "BlockingJoinExec",
            Operator::ScoredPairs => PAIR_SCORING,
            Operator::ConnectedComponents => "ComponentsExec",
            Operator::RefineClusters => "RefinementExec",
        }
    }

    /// Returns the relations that it looks into besides those of its query.
    fn looks_into(self) -> &'static [&'static str] {
        match self {
            Operator::ScoredPairs => &["public.profile_identifiers", "public.profile_records"],
            Operator::CandidatePairs | Operator::ConnectedComponents | Operator::RefineClusters => {
                &[]
            }
        }
    }

    /// Returns the alias of the nest that marks a call: no text of a statement has such a name.
    fn mark(self) -> &'static str {
        match self {
            Operator::CandidatePairs => "\u{1}candidate pairs",
            Operator::ScoredPairs => "\u{1}scored pairs",
            Operator::ConnectedComponents => "\u{1}connected components",
            Operator::RefineClusters => "\u{1}refine clusters",
        }
    }

    /// Returns a call, as a hint shows it.
    fn example(self) -> &'static str {
        match self {
            Operator::CandidatePairs => "candidate_pairs((SELECT id, key FROM ...))",
            Operator::ScoredPairs => {
                "scored_pairs((SELECT left_source, left_record_key, right_source, right_record_key FROM ...))"
            }
            Operator::ConnectedComponents => {
                "connected_components((SELECT left_id, right_id FROM ...))"
            }
            Operator::RefineClusters => {
                "refine_clusters((SELECT left_id, right_id, bits FROM ...))"
            }
        }
    }
}
