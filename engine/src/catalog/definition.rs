//! The objects that users define: the vocabulary shared with the SQL dialect, stored in the catalog as JSON.
//!
//! A [`Definition`] keeps the text that made it, so that `onefold plan` can show a difference and `SHOW CREATE` can
//! answer with what the user wrote. Embedded queries and expressions stay text: they are planned anew for each use.

use std::collections::BTreeMap;
use std::time::Duration;

pub use connectors::{Column, ConnectorSpec, Format};
use serde::{Deserialize, Serialize};

use super::identity::{IdentityGraph, IdentityOverrides};

/// One defined object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Its name, unique among its kind, lower case.
    pub name: String,
    /// The statement that made it, without a trailing semicolon. Passwords in it are replaced by their verifier.
    pub sql: String,
    /// `COMMENT ON kind name IS '...'`.
    pub comment: Option<String>,
    /// What it is.
    pub body: Body,
}

/// What an object is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// `CREATE SECRET`.
    Secret(Secret),
    /// `CREATE SOURCE`.
    Source(Source),
    /// `CREATE EVENT`: a declared event name with its typed properties.
    Event(Event),
    /// `CREATE IDENTITY GRAPH`.
    IdentityGraph(IdentityGraph),
    /// `CREATE IDENTITY OVERRIDES`.
    IdentityOverrides(IdentityOverrides),
    /// `CREATE ATTRIBUTE`.
    Attribute(Attribute),
    /// `CREATE TRAIT`.
    Trait(ProfileTrait),
    /// `CREATE PURPOSE`.
    Purpose(Purpose),
    /// `CREATE CONSENT FEED`.
    ConsentFeed(ConsentFeed),
    /// `CREATE ROLE`.
    Role(Role),
    /// `CREATE SEGMENT`.
    Segment(Segment),
    /// `CREATE DESTINATION`.
    Destination(Destination),
    /// `CREATE SYNC`.
    Sync(Sync),
}

/// The kinds of objects, in the order in which a project applies them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A named secret.
    Secret,
    /// Why data is used.
    Purpose,
    /// Who may connect.
    Role,
    /// Where records come from.
    Source,
    /// A declared event name.
    Event,
    /// How records become persons.
    IdentityGraph,
    /// Who is who past all rules, as rows of a query say.
    IdentityOverrides,
    /// Where consent comes from.
    ConsentFeed,
    /// A golden value.
    Attribute,
    /// A computed value.
    Trait,
    /// A set of profiles.
    Segment,
    /// Where data goes to.
    Destination,
    /// What goes there.
    Sync,
}

impl Kind {
    /// Every kind, in the order in which a project applies them.
    pub const ALL: [Kind; 13] = [
        Kind::Secret,
        Kind::Purpose,
        Kind::Role,
        Kind::Source,
        Kind::Event,
        Kind::IdentityGraph,
        Kind::IdentityOverrides,
        Kind::ConsentFeed,
        Kind::Attribute,
        Kind::Trait,
        Kind::Segment,
        Kind::Destination,
        Kind::Sync,
    ];

    /// Returns the word that messages and statements use, lower case.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Secret => "secret",
            Kind::Purpose => "purpose",
            Kind::Role => "role",
            Kind::Source => "source",
            Kind::Event => "event",
            Kind::IdentityGraph => "identity graph",
            Kind::IdentityOverrides => "identity overrides",
            Kind::ConsentFeed => "consent feed",
            Kind::Attribute => "attribute",
            Kind::Trait => "trait",
            Kind::Segment => "segment",
            Kind::Destination => "destination",
            Kind::Sync => "sync",
        }
    }

    /// Returns the word for several objects.
    pub fn words(self) -> String {
        match self {
            Kind::IdentityOverrides => self.word().to_owned(),
            _ => format!("{}s", self.word()),
        }
    }
}

impl Body {
    /// Returns the kind of this object.
    pub fn kind(&self) -> Kind {
        match self {
            Body::Secret(_) => Kind::Secret,
            Body::Source(_) => Kind::Source,
            Body::Event(_) => Kind::Event,
            Body::IdentityGraph(_) => Kind::IdentityGraph,
            Body::IdentityOverrides(_) => Kind::IdentityOverrides,
            Body::Attribute(_) => Kind::Attribute,
            Body::Trait(_) => Kind::Trait,
            Body::Purpose(_) => Kind::Purpose,
            Body::ConsentFeed(_) => Kind::ConsentFeed,
            Body::Role(_) => Kind::Role,
            Body::Segment(_) => Kind::Segment,
            Body::Destination(_) => Kind::Destination,
            Body::Sync(_) => Kind::Sync,
        }
    }
}

/// Where a secret is found when it is needed; its value is never stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// `FROM ENV 'VAR'`.
    Env(String),
    /// `FROM FILE 'path'`.
    File(String),
}

/// When a derived object is brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// `EVERY '1 hour'`: on a schedule.
    Every(Duration),
    /// `TARGET LAG '5 minutes'`: as inputs change, at most this old.
    TargetLag(Duration),
    /// Only by `REFRESH`.
    OnDemand,
}

/// `CREATE SOURCE name [(column type, ...)] FROM FILE ('glob', ...) FORMAT f AS RECORDS|EVENTS ...`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Which connector, and on what.
    pub connector: ConnectorSpec,
    /// How to read it.
    pub format: Format,
    /// Declared columns; empty to infer.
    pub columns: Vec<Column>,
    /// What `onefold.type` says of declared columns where the Arrow type does not: `varchar(20)`, `uuid`, `json`,
    /// `jsonb`, `interval`.
    #[serde(default)]
    pub logical_types: BTreeMap<String, String>,
    /// Keyed rows or an append log.
    pub shape: Shape,
    /// `NULL VALUES ('', 'n/a')`.
    pub null_values: Vec<String>,
    /// `IDENTIFIERS (kind => expression, ...)`.
    pub identifiers: Vec<IdentifierMapping>,
    /// `PERSON (field => expression, ...)`: what each row says about its person besides identifiers; the fields are
    /// `name`, `first_name`, `last_name`, `birth_date`, `street`, `postal_code`, `city` and `country`. A source with
    /// this clause has one person in each record, so that its key is an identifier too.
    pub person: BTreeMap<String, String>,
    /// `DELETED WHEN (condition)`: a scalar SQL expression over the row of a record that tells whether the record is gone.
    #[serde(default)]
    pub deleted_when: Option<String>,
    /// `PUBLIC (column, ...)`: columns that are not personal and may carry statistics.
    pub public_columns: Vec<String>,
    /// `ON ERROR QUARANTINE | SKIP | FAIL`.
    pub on_error: OnError,
    /// `EVERY '1 hour'`.
    pub freshness: Freshness,
    /// `TRUST n`: the higher, the earlier its identity edges are taken; 100 when not said.
    pub trust: u16,
}

/// What the rows of a source are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `AS RECORDS KEY (...) [VERSION BY ...]`: the latest version of a row by key, with a history.
    Records {
        /// Key columns, as named in the lake.
        key: Vec<String>,
        /// The column that orders versions; arrival order when absent.
        version_by: Option<String>,
    },
    /// `AS EVENTS [KEY (...)] [EVENT TIME column]`: an append log, de-duplicated by its key, or by whole rows.
    Events {
        /// The message id; empty for `FORMAT segment`, where it is `message_id`, and for logs without one.
        key: Vec<String>,
        /// The column with the time of the event.
        event_time: Option<String>,
    },
}

/// One identifier that each row of a source carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierMapping {
    /// The kind, such as `email`.
    pub kind: String,
    /// A scalar SQL expression over the row, such as `email` or `traits->>'email'`.
    pub expression: String,
}

/// What happens to rows that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// They go to `cdp.quarantine`.
    Quarantine,
    /// They are counted and dropped.
    Skip,
    /// The refresh fails and nothing is taken.
    Fail,
}

/// `CREATE EVENT name (property type, ...)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The typed properties of the view `events_<name>`.
    pub properties: Vec<Column>,
    /// As [`Source::logical_types`].
    #[serde(default)]
    pub logical_types: BTreeMap<String, String>,
}

/// `CREATE ATTRIBUTE name ON graph FROM (source.expression, ...) RESOLVE BY rule`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// The graph.
    pub graph: String,
    /// Where its values come from, in order.
    pub inputs: Vec<AttributeInput>,
    /// Which value wins.
    pub rule: SurvivorshipRule,
}

/// One place an attribute's values come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeInput {
    /// The source.
    pub source: String,
    /// A scalar SQL expression over its row.
    pub expression: String,
}

/// Which of several values becomes the golden one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SurvivorshipRule {
    /// The newest.
    Latest,
    /// The oldest.
    First,
    /// The one most records hold; the newest of equals.
    MostFrequent,
    /// The newest of the first source that has one.
    SourcePriority(Vec<String>),
}

/// `CREATE TRAIT name ON graph [EVERY ...] AS SELECT profile_id, ...`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileTrait {
    /// The graph.
    pub graph: String,
    /// When it is computed.
    pub freshness: Freshness,
    /// The query: `profile_id` first, then one column for each trait.
    pub query: String,
}

/// `CREATE PURPOSE name LEGAL BASIS consent | contract | ...`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purpose {
    /// What allows the use.
    pub basis: LegalBasis,
}

/// What allows a use of personal data (GDPR article 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegalBasis {
    /// Only those who said yes, and none who said no.
    Consent,
    /// Everyone.
    Contract,
    /// Nobody's profile: the ledger and the logs only.
    LegalObligation,
    /// Everyone who did not object.
    LegitimateInterest,
}

/// `CREATE CONSENT FEED name AS SELECT identifier_kind, identifier, purpose, status, captured_at, ... FROM ...`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentFeed {
    /// The query over `sources.*`.
    pub query: String,
}

/// `CREATE ROLE name LOGIN PASSWORD '...' PURPOSES (...) MAY (...)`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// The SCRAM-SHA-256 verifier, as PostgreSQL writes it: `SCRAM-SHA-256$<iterations>:<salt>$<stored>:<server>`.
    pub verifier: Option<String>,
    /// `PASSWORD SECRET name`: the secret that holds the password or its verifier, read when the role connects.
    #[serde(default)]
    pub password_secret: Option<String>,
    /// Purposes it may declare.
    pub purposes: Vec<String>,
    /// What it may do besides reading.
    pub capabilities: Vec<Capability>,
}

/// What a role may do besides reading what its purpose allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Create, replace and drop every kind of object.
    Define,
    /// Create, replace and drop segments for its own purposes.
    Segment,
    /// `REFRESH`.
    Refresh,
    /// `RUN SYNC` for its own purposes.
    Sync,
    /// `cdp.record_consent`, `consent_ledger`, `consents`.
    Consent,
    /// `cdp.audit_log`, `cdp.disclosures`, `cdp.quarantine` with raw rows.
    Audit,
    /// Create, fill and drop tables and views of the schema `analytics`.
    Write,
}

/// `CREATE SEGMENT name ON graph FOR PURPOSE p [freshness] WHERE ... | AS SELECT profile_id ...`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The graph.
    pub graph: String,
    /// The purpose that it is computed and read for.
    pub purpose: String,
    /// When members are computed.
    pub freshness: Freshness,
    /// The query; a `WHERE` form is stored as `SELECT profile_id FROM profiles WHERE ...`.
    pub query: String,
}

/// `CREATE DESTINATION name TO FILE ('out/{segment}/{run}.csv') FORMAT csv`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// Which connector, and on what.
    pub connector: ConnectorSpec,
    /// How to write.
    pub format: Format,
}

/// `CREATE SYNC name FROM SEGMENT s | (query) TO destination FOR PURPOSE p [COLUMNS (...)] [EVERY ...]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// What is sent.
    pub input: SyncInput,
    /// Where to.
    pub destination: String,
    /// What for.
    pub purpose: String,
    /// When.
    pub freshness: Freshness,
}

/// What a sync sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncInput {
    /// The members of a segment, with these columns of `profiles`; all columns when empty.
    Segment {
        /// The segment.
        segment: String,
        /// Columns of `profiles`.
        columns: Vec<String>,
    },
    /// The rows of a query, which must hold `profile_id`.
    Query(String),
}
