//! `why_merged`: the strongest way of edges from one record to another, and the cheapest set of edges that holds them together.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::error::DataFusionError;

use super::Ground;
use super::ends::{End, Found, of_events_alone};
use super::evidence::{Edge, Node};
use super::links::{Link, cheapest_cut, strongest_way};
use crate::error::Result;

/// Why two records are one person.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// From the first to the second; each edge leads on from where the one before ended.
    pub(super) path: Vec<Edge>,
    /// Edges that would have to go for the two to be apart.
    pub(super) cut: Vec<Edge>,
}

/// The columns of `why_merged`.
pub(super) fn columns() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let figure = |name: &str| Field::new(name, DataType::Float64, true);
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        text("part"),
        number("step"),
        text("rule"),
        text("kind"),
        text("value"),
        text("class"),
        number("priority"),
        number("trust"),
        number("weight"),
        text("left_source"),
        text("left_record_key"),
        text("right_source"),
        text("right_record_key"),
        Field::new("observed_at", time, true),
        figure("bits"),
        figure("probability"),
    ]))
}

impl Ground {
    /// Explains why two ends are one person; nothing, if they are not.
    pub(super) async fn merged(&self, left: &End, right: &End) -> Result<Merged> {
        let (left, right) = (self.find(left).await?, self.find(right).await?);
        self.merged_found(&left, &right).await
    }

    pub(super) async fn merged_found(&self, left: &Found, right: &Found) -> Result<Merged> {
        if left.profile != right.profile {
            return Ok(Merged::default());
        }
        let edges = self.edges(left.profile).await?;
        if left.record == right.record {
            // Two versions of one record, each of which was a profile once.
            let is_version = |edge: &&Edge| edge.left == left.record && edge.right == left.record;
            let path: Vec<Edge> = edges.iter().filter(is_version).take(1).cloned().collect();
            if path.is_empty() {
                return Err(of_events_alone(&format!("what {} was joined with", left.record)));
            }
            return Ok(Merged { cut: path.clone(), path });
        }
        let mut nodes: BTreeMap<&Node, u32> = BTreeMap::new();
        let mut links = Vec::new();
        let mut of_link = Vec::new();
        for edge in edges.iter().filter(|edge| edge.left.key.is_some() && edge.right.key.is_some())
        {
            let mut number = |node| {
                let next = nodes.len() as u32;
                *nodes.entry(node).or_insert(next)
            };
            let (left, right) = (number(&edge.left), number(&edge.right));
            links.push(Link { left, right, weight: edge.strength.weight });
            of_link.push(edge);
        }
        let (Some(&from), Some(&to)) = (nodes.get(&left.record), nodes.get(&right.record)) else {
            return Ok(Merged::default());
        };
        let count = nodes.len() as u32;
        let way = strongest_way(count, &links, from, to).unwrap_or_default();
        let mut node = left.record.clone();
        let path = way.into_iter().map(|at| {
            let edge = turned(of_link[at], &node);
            node = edge.right.clone();
            edge
        });
        let path: Vec<Edge> = path.collect();
        let cut = cheapest_cut(count, &links, from, to);
        Ok(Merged { path, cut: cut.into_iter().map(|at| of_link[at].clone()).collect() })
    }
}

/// Returns an edge as it leads on from `node`.
fn turned(edge: &Edge, node: &Node) -> Edge {
    let mut edge = edge.clone();
    if edge.left != *node {
        std::mem::swap(&mut edge.left, &mut edge.right);
    }
    edge
}

impl Merged {
    /// Tells whether an edge is on the way.
    pub(super) fn leads_by(&self, edge: &Edge) -> bool {
        self.path.iter().any(|step| step.is(edge))
    }

    pub(super) fn batch(&self) -> Result<RecordBatch> {
        let rows: Vec<(&str, i64, &Edge)> = [("path", &self.path), ("cut", &self.cut)]
            .into_iter()
            .flat_map(|(part, edges)| (1..).zip(edges).map(move |(step, edge)| (part, step, edge)))
            .collect();
        let texts = |of: &dyn Fn(&Edge) -> Option<String>| -> ArrayRef {
            Arc::new(rows.iter().map(|(_, _, edge)| of(edge)).collect::<StringArray>())
        };
        let numbers = |of: &dyn Fn(&Edge) -> Option<i64>| -> ArrayRef {
            Arc::new(rows.iter().map(|(_, _, edge)| of(edge)).collect::<Int64Array>())
        };
        let figures = |of: &dyn Fn((f64, f64)) -> f64| -> ArrayRef {
            Arc::new(rows.iter().map(|(_, _, edge)| edge.weighed.map(of)).collect::<Float64Array>())
        };
        let times = rows.iter().map(|(_, _, edge)| edge.observed_at);
        let times: TimestampMicrosecondArray = times.collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|(part, ..)| Some(*part)).collect::<StringArray>()),
            Arc::new(rows.iter().map(|(_, step, _)| Some(*step)).collect::<Int64Array>()),
            texts(&|edge| Some(edge.rule.clone())),
            texts(&|edge| Some(edge.strength.kind.to_owned())),
            texts(&|edge| Some(edge.value.clone())),
            texts(&|edge| edge.strength.class.clone()),
            numbers(&|edge| edge.strength.priority),
            numbers(&|edge| Some(edge.strength.trust)),
            numbers(&|edge| i64::try_from(edge.strength.weight).ok()),
            texts(&|edge| Some(edge.left.source.clone())),
            texts(&|edge| edge.left.key.clone()),
            texts(&|edge| Some(edge.right.source.clone())),
            texts(&|edge| edge.right.key.clone()),
            Arc::new(times.with_timezone("UTC")),
            figures(&|(bits, _)| bits),
            figures(&|(_, probability)| probability),
        ];
        Ok(RecordBatch::try_new(self::columns(), columns).map_err(DataFusionError::from)?)
    }
}
