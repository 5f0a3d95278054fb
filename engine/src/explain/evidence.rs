//! The edges of a profile, each with what makes it strong: the rule's priority, whose the value is, and the sources' trust.

use std::collections::HashMap;
use std::fmt;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};

use super::Ground;
use crate::catalog::{Body, IdentityGraph, Kind};
use crate::error::Result;
use crate::identity::{OVERRIDE_NAME, RECORD_RULE};
use crate::tables;

/// Edges of a profile that are read at most.
pub(super) const EDGES_MAX: usize = 2_000;

/// What an edge weighs that a person drew, or that versions of one record share: more than any other.
const WEIGHT_MAX: u64 = 1_000_000;

/// What a rule of priority 1 between sources of trust 1 weighs.
const WEIGHT_UNIT: u64 = 100;

/// A record, or the events of a source, which have no key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Node {
    pub(super) source: String,
    pub(super) key: Option<String>,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{} {key}", self.source),
            None => write!(f, "an event of {}", self.source),
        }
    }
}

/// An edge, and what makes it strong.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edge {
    pub(super) rule: String,
    pub(super) value: String,
    pub(super) left: Node,
    pub(super) right: Node,
    pub(super) observed_at: Option<i64>,
    pub(super) strength: Strength,
    /// What the two records weigh, and the probability of that; of the FUZZY rule alone.
    pub(super) weighed: Option<(f64, f64)>,
}

impl Edge {
    /// Tells whether it is the same edge, from wherever one comes to it.
    pub(super) fn is(&self, other: &Edge) -> bool {
        let along = self.left == other.left && self.right == other.right;
        let back = self.left == other.right && self.right == other.left;
        let alike = self.rule == other.rule && self.value == other.value;
        alike && self.weighed == other.weighed && (along || back)
    }
}

/// What makes an edge strong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Strength {
    /// Whether its rule is an identifier, a match, a record or an override.
    pub(super) kind: &'static str,
    /// Whom the value of an identifier is: `personal` or `shared`.
    pub(super) class: Option<String>,
    /// The priority of the rule.
    pub(super) priority: Option<i64>,
    /// The trust of the less trusted source.
    pub(super) trust: i64,
    /// What all of it weighs.
    pub(super) weight: u64,
}

/// How the rules of a graph and its sources weigh.
pub(super) struct Scales<'a> {
    graph: Option<&'a IdentityGraph>,
    trusts: HashMap<&'a str, u16>,
    /// By kind and value: whom the identifiers of a profile are.
    classes: HashMap<(String, String), String>,
}

impl Scales<'_> {
    /// Weighs an edge: trust over priority, halved where others use the value, too.
    fn weigh(&self, rule: &str, value: &str, left: &Node, right: &Node) -> Strength {
        let trust = |node: &Node| self.trusts.get(node.source.as_str()).copied().unwrap_or(100);
        let trust = trust(left).min(trust(right));
        let of_identifier = self.graph.and_then(|graph| {
            graph.identifiers.iter().find(|known| known.kind == rule).map(|known| known.priority)
        });
        let of_match = self.graph.and_then(|graph| {
            let exact = graph.matches.iter().map(|known| (&known.name, known.priority));
            let fuzzy = graph.fuzzy.iter().map(|known| (&known.name, known.priority));
            exact.chain(fuzzy).find(|(name, _)| *name == rule).map(|(_, priority)| priority)
        });
        let kind = match rule {
            RECORD_RULE => "record",
            OVERRIDE_NAME => "override",
            _ if of_identifier.is_some() => "identifier",
            _ => "match",
        };
        let class = match kind {
            "identifier" => self.classes.get(&(rule.to_owned(), value.to_owned())).cloned(),
            _ => None,
        };
        let priority = of_identifier.or(of_match);
        let weight = match (kind, priority) {
            ("record" | "override", _) => WEIGHT_MAX,
            (_, priority) => {
                let whole =
                    u64::from(trust) * WEIGHT_UNIT / u64::from(priority.unwrap_or(1).max(1));
                let whole = if class.as_deref() == Some("shared") { whole / 2 } else { whole };
                whole.clamp(1, WEIGHT_MAX - 1)
            }
        };
        Strength { kind, class, priority: priority.map(i64::from), trust: i64::from(trust), weight }
    }
}

impl Ground {
    /// Returns the scales for the edges of a profile.
    async fn scales(&self, profile: i64) -> Result<Scales<'_>> {
        let state = &self.published.state;
        let graph = state.graph_in_force.as_ref().map(|graph| &graph.graph);
        let trusts = state.of_kind(Kind::Source).filter_map(|source| match &source.body {
            Body::Source(body) => Some((source.name.as_str(), body.trust)),
            _ => None,
        });
        let identifiers = self.identifiers(profile).await?;
        let classes = identifiers.into_iter().map(|[kind, value, class]| ((kind, value), class));
        Ok(Scales { graph, trusts: trusts.collect(), classes: classes.collect() })
    }

    /// Returns the identifiers of a profile: kind, value, and whom each is.
    pub(super) async fn identifiers(&self, profile: i64) -> Result<Vec<[String; 3]>> {
        self.identifiers_of(&[profile]).await
    }

    /// Returns the identifiers of some profiles.
    pub(super) async fn identifiers_of(&self, profiles: &[i64]) -> Result<Vec<[String; 3]>> {
        let list: Vec<String> = profiles.iter().map(i64::to_string).collect();
        let rows = self
            .query(&format!(
                "SELECT kind, value, status FROM profile_identifiers WHERE profile_id IN ({}) \
                 ORDER BY kind, value",
                list.join(", ")
            ))
            .await?;
        let mut found = Vec::new();
        for batch in &rows {
            let columns = Texts::of(batch, 3)?;
            found
                .extend((0..batch.num_rows()).map(|row| [0, 1, 2].map(|at| columns.text(at, row))));
        }
        Ok(found)
    }

    /// Returns the edges of a profile, in an order that hangs on what they say alone.
    pub(super) async fn edges(&self, profile: i64) -> Result<Vec<Edge>> {
        let scales = self.scales(profile).await?;
        let rows = self
            .query(&format!(
                "SELECT rule, value, left_source, left_record_key, right_source, right_record_key, \
                        observed_at, bits, probability \
                 FROM identity_edges WHERE profile_id = {profile} \
                 ORDER BY left_source, left_record_key, right_source, right_record_key, rule, value \
                 LIMIT {EDGES_MAX}"
            ))
            .await?;
        let mut edges = Vec::new();
        for batch in &rows {
            let columns = Texts::of(batch, 6)?;
            let times = batch.column(6).as_primitive::<TimestampMicrosecondType>();
            let [bits, probability] =
                [7, 8].map(|column| batch.column(column).as_primitive::<Float64Type>());
            for row in 0..batch.num_rows() {
                let (rule, value) = (columns.text(0, row), columns.text(1, row));
                let (left, right) = (columns.node(2, row), columns.node(4, row));
                let strength = scales.weigh(&rule, &value, &left, &right);
                let observed_at = times.is_valid(row).then(|| times.value(row));
                let is_weighed = bits.is_valid(row) && probability.is_valid(row);
                let weighed = is_weighed.then(|| (bits.value(row), probability.value(row)));
                edges.push(Edge { rule, value, left, right, observed_at, strength, weighed });
            }
        }
        Ok(edges)
    }

    /// Returns the records of profiles, by source and key, each with its profile.
    pub(super) async fn records(&self, profiles: &[i64]) -> Result<Vec<(i64, Node)>> {
        let list: Vec<String> = profiles.iter().map(i64::to_string).collect();
        let rows = self
            .query(&format!(
                "SELECT source, record_key, profile_id FROM profile_records WHERE profile_id IN ({}) \
                 ORDER BY source, record_key",
                list.join(", ")
            ))
            .await?;
        let mut found = Vec::new();
        for batch in &rows {
            let columns = Texts::of(batch, 2)?;
            let ids = batch.column(2).as_primitive::<Int64Type>();
            found.extend((0..batch.num_rows()).map(|row| (ids.value(row), columns.node(0, row))));
        }
        Ok(found)
    }
}

/// The first columns of a batch, which are texts.
pub(super) struct Texts(Vec<StringArray>);

impl Texts {
    pub(super) fn of(batch: &RecordBatch, columns: usize) -> Result<Self> {
        batch.columns().iter().take(columns).map(tables::texts).collect::<Result<_>>().map(Self)
    }

    /// Returns a value; an empty text for null.
    pub(super) fn text(&self, column: usize, row: usize) -> String {
        self.optional(column, row).unwrap_or_default()
    }

    pub(super) fn optional(&self, column: usize, row: usize) -> Option<String> {
        let column = &self.0[column];
        column.is_valid(row).then(|| column.value(row).to_owned())
    }

    /// Returns the record that a source and the key behind it name.
    pub(super) fn node(&self, column: usize, row: usize) -> Node {
        Node { source: self.text(column, row), key: self.optional(column + 1, row) }
    }
}
