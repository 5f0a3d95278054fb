//! The tables of the identity graph: who is who, by which rules, and what people decided about it.

use super::SystemLayout;
use super::Type::{Bigint, Boolean, Double, Text, Timestamptz};

/// Each subject once: where it was first seen, what that row said about its person, and when it was so if the row tells.
pub const SUBJECTS: SystemLayout = SystemLayout {
    path: "identity/subjects",
    columns: &[
        ("_subject", Bigint),
        ("source", Text),
        ("record_key", Text),
        ("name", Text),
        ("first_name", Text),
        ("last_name", Text),
        ("birth_date", Text),
        ("street", Text),
        ("postal_code", Text),
        ("city", Text),
        ("country", Text),
        ("first_seen_at", Timestamptz),
        ("observed_at", Timestamptz),
    ],
    stats: &["_subject"],
    blooms: &[],
    sort: &["_subject"],
};

/// The raw identifiers of each subject.
pub const SUBJECT_IDENTIFIERS: SystemLayout = SystemLayout {
    path: "identity/subject_identifiers",
    columns: &[("_subject", Bigint), ("kind", Text), ("value", Text)],
    stats: &["_subject", "kind"],
    blooms: &["value"],
    sort: &["_subject"],
};

/// Which profile each subject belongs to.
pub const PEOPLE: SystemLayout = SystemLayout {
    path: "identity/people",
    columns: &[("_subject", Bigint), ("anchor", Bigint), ("profile_id", Bigint)],
    stats: &["_subject"],
    blooms: &[],
    sort: &["_subject"],
};

/// The identifiers of each profile, normalised, with how many of its records carry each and whether the graph blocks it.
pub const PROFILE_IDENTIFIERS: SystemLayout = SystemLayout {
    path: "identity/profile_identifiers",
    columns: &[
        ("_subject", Bigint),
        ("profile_id", Bigint),
        ("kind", Text),
        ("value", Text),
        ("status", Text),
        ("first_seen_at", Timestamptz),
        ("records", Bigint),
        ("blocked", Boolean),
    ],
    stats: &["_subject", "kind", "status"],
    blooms: &["value"],
    sort: &["_subject", "kind"],
};

/// What only versions of a profile's records carry that were about somebody else, or records that are gone: identifiers that the
/// profile has no more.
pub const FORMER_IDENTIFIERS: SystemLayout =
    SystemLayout { path: "identity/former_identifiers", ..PROFILE_IDENTIFIERS };

/// Why two records are one person.
pub const IDENTITY_EDGES: SystemLayout = SystemLayout {
    path: "identity/edges",
    columns: &[
        ("_subject", Bigint),
        ("profile_id", Bigint),
        ("rule", Text),
        ("value", Text),
        ("left_source", Text),
        ("left_record_key", Text),
        ("right_source", Text),
        ("right_record_key", Text),
        ("joined", Boolean),
        ("observed_at", Timestamptz),
        ("bits", Double),
        ("probability", Double),
    ],
    stats: &["_subject", "rule"],
    blooms: &[],
    sort: &["_subject"],
};

/// Edges that were refused.
pub const IDENTITY_VIOLATIONS: SystemLayout = SystemLayout {
    path: "identity/violations",
    columns: &[
        ("_subject", Bigint),
        ("profile_id", Bigint),
        ("rule", Text),
        ("value", Text),
        ("reason", Text),
        ("limited_kind", Text),
        ("left_source", Text),
        ("left_record_key", Text),
        ("right_source", Text),
        ("right_record_key", Text),
        ("against_source", Text),
        ("against_record_key", Text),
        ("observed_at", Timestamptz),
        ("figure", Bigint),
    ],
    stats: &["_subject", "rule", "reason"],
    blooms: &[],
    sort: &["_subject"],
};

/// Pairs of records that are worth a look.
pub const IDENTITY_REVIEW: SystemLayout = SystemLayout {
    path: "identity/review",
    columns: &[
        ("_subject", Bigint),
        ("profile_id", Bigint),
        ("other_profile_id", Bigint),
        ("pair", Text),
        ("kind", Text),
        ("reason", Text),
        ("rule", Text),
        ("agreement", Text),
        ("left_source", Text),
        ("left_record_key", Text),
        ("right_source", Text),
        ("right_record_key", Text),
        ("bits", Double),
        ("probability", Double),
        ("records", Bigint),
        ("usefulness", Double),
        ("observed_at", Timestamptz),
    ],
    stats: &["_subject", "kind"],
    blooms: &[],
    sort: &["_subject"],
};

/// What every two profiles of a circle say of living together: see [`identity`](crate::identity).
pub const HOUSEHOLDS: SystemLayout = SystemLayout {
    path: "identity/households",
    columns: &[
        ("_subject", Bigint),
        ("_other", Bigint),
        ("_circle", Bigint),
        ("profile_id", Bigint),
        ("other_profile_id", Bigint),
        ("bits", Double),
        ("speaks", Double),
        ("probability", Double),
        ("one_person", Boolean),
    ],
    stats: &["_subject"],
    blooms: &[],
    sort: &["_subject"],
};

/// Ids that became another profile's, for ever: one for each edge that joined two parts.
pub const PROFILE_MERGES: SystemLayout = SystemLayout {
    path: "identity/merges",
    columns: &[
        ("_subject", Bigint),
        ("merged_profile_id", Bigint),
        ("profile_id", Bigint),
        ("rule", Text),
        ("merged_at", Timestamptz),
    ],
    stats: &["_subject", "rule"],
    blooms: &[],
    sort: &["_subject"],
};

/// What people decided about pairs of records, and what of it they took back, in the order in which they did.
pub const IDENTITY_OVERRIDES: SystemLayout = SystemLayout {
    path: "identity/overrides",
    columns: &[
        ("number", Bigint),
        ("kind", Text),
        ("left_source", Text),
        ("left_record_key", Text),
        ("right_source", Text),
        ("right_record_key", Text),
        ("reason", Text),
        ("actor", Text),
        ("decided_at", Timestamptz),
    ],
    stats: &["number", "kind", "decided_at"],
    blooms: &[],
    sort: &[],
};

/// What the rows of identity overrides that are followed said last of pairs of records; each file is of one definition.
pub const FOLLOWED_OVERRIDES: SystemLayout = SystemLayout {
    path: "identity/followed_overrides",
    columns: &[
        ("definition", Text),
        ("left_source", Text),
        ("left_record_key", Text),
        ("right_source", Text),
        ("right_record_key", Text),
        ("decision", Text),
        ("reason", Text),
        ("actor", Text),
        ("first_seen_at", Timestamptz),
    ],
    stats: &["definition", "first_seen_at"],
    blooms: &[],
    sort: &[],
};

/// What people decided about whom an identifier identifies, and what of it they took back.
pub const IDENTIFIER_OVERRIDES: SystemLayout = SystemLayout {
    path: "identity/identifier_overrides",
    columns: &[
        ("number", Bigint),
        ("kind", Text),
        ("value", Text),
        ("class", Text),
        ("reason", Text),
        ("actor", Text),
        ("decided_at", Timestamptz),
    ],
    stats: &["number", "kind", "class", "decided_at"],
    blooms: &[],
    sort: &[],
};

/// What each refresh of the graph did, stage by stage; rows with a rule say what became of its pairs.
pub const IDENTITY_STAGES: SystemLayout = SystemLayout {
    path: "cdp/identity_stages",
    columns: &[
        ("run", Text),
        ("at", Timestamptz),
        ("number", Bigint),
        ("stage", Text),
        ("rule", Text),
        ("seconds", Double),
        ("subjects", Bigint),
        ("records", Bigint),
        ("candidates", Bigint),
        ("scored", Bigint),
        ("accepted", Bigint),
        ("refused", Bigint),
        ("cut", Bigint),
        ("components", Bigint),
        ("largest_component", Bigint),
        ("profiles", Bigint),
    ],
    stats: &["at", "stage"],
    blooms: &[],
    sort: &[],
};

/// The model of the FUZZY rule: of one definition of the graph.
pub const MATCH_MODELS: SystemLayout = SystemLayout {
    path: "identity/match_models",
    columns: &[
        ("model", Bigint),
        ("rule", Text),
        ("records", Bigint),
        ("prior", Double),
        ("prior_household", Double),
        ("name_dependence", Double),
        ("prior_spread", Double),
        ("given_names", Double),
        ("given_name_agreement", Double),
        ("surnames", Double),
        ("surname_agreement", Double),
        ("trained_at", Timestamptz),
        ("decided_pairs", Bigint),
    ],
    stats: &["model"],
    blooms: &[],
    sort: &[],
};

/// How likely each level of agreement is among records of one person, of one household, and of strangers.
pub const MATCH_WEIGHTS: SystemLayout = SystemLayout {
    path: "identity/match_weights",
    columns: &[
        ("model", Bigint),
        ("comparison", Text),
        ("level", Bigint),
        ("label", Text),
        ("m", Double),
        ("household", Double),
        ("u", Double),
        ("bits", Double),
    ],
    stats: &["model"],
    blooms: &[],
    sort: &[],
};

/// How many people have a name that several have, by the hash of the name.
pub const MATCH_FREQUENCIES: SystemLayout = SystemLayout {
    path: "identity/match_frequencies",
    columns: &[("model", Bigint), ("part", Text), ("name_hash", Bigint), ("people", Bigint)],
    stats: &["model"],
    blooms: &[],
    sort: &[],
};
