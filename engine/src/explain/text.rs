//! `EXPLAIN MERGE` and `EXPLAIN PROFILE`: explanations as lines, laid out as plans are.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;

use super::Ground;
use super::ends::{End, Found};
use super::evidence::{EDGES_MAX, Edge, Node, Texts};
use super::not_merged::Reason;
use super::waterfall;
use crate::error::Result;
use crate::identity::probability_of;
use crate::matching::SCALE;

/// The one column, named as that of other plans.
pub(super) fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8, true)]))
}

pub(super) fn batch(lines: Vec<String>) -> Result<RecordBatch> {
    let lines: ArrayRef = Arc::new(StringArray::from(lines));
    Ok(RecordBatch::try_new(columns(), vec![lines]).map_err(DataFusionError::from)?)
}

impl Ground {
    /// Tells why two ends are one person, or why they are not.
    pub(super) async fn merge_lines(&self, left: &End, right: &End) -> Result<Vec<String>> {
        let (left, right) = (self.find(left).await?, self.find(right).await?);
        let (from, to) = (&left.record, &right.record);
        if left.profile != right.profile {
            let mut lines = vec![
                format!("Not merged: {from} and {to}"),
                format!("  Profiles: {} and {}", left.profile, right.profile),
            ];
            let reasons = self.not_merged_found(&left, &right).await?;
            lines.extend(reasons.iter().map(|reason| format!("  -> {}", reason_line(reason))));
            let weights = self.weight_lines(&[(left, right, None)]).await?;
            lines.extend(weights.into_iter().flatten());
            return Ok(lines);
        }
        let merged = self.merged_found(&left, &right).await?;
        let mut lines = vec![
            format!("Merged: {from} and {to}"),
            format!("  Profile: {}", left.profile),
            "  Strongest way:".to_owned(),
        ];
        if merged.path.is_empty() {
            lines.push("    -> more edges than are looked at".to_owned());
        }
        let end = |record: &Node| Found { profile: left.profile, record: record.clone() };
        // An edge of the way is weighed once, also if it is one of the cut.
        let of_cut = merged.cut.iter().filter(|edge| !merged.leads_by(edge));
        let told = merged.path.iter().chain(of_cut);
        let pairs = told.filter_map(|edge| {
            let (bits, _) = edge.weighed?;
            Some((end(&edge.left), end(&edge.right), Some(bits)))
        });
        let pairs: Vec<_> = pairs.collect();
        let mut weights = self.weight_lines(&pairs).await?.into_iter();
        let mut weight_line = |edge: &Edge| {
            let line = edge.weighed.and_then(|_| weights.next().flatten());
            line.map(|line| format!("     {line}"))
        };
        for edge in &merged.path {
            lines.push(format!("    -> {} to {}", edge.left, edge.right));
            lines.push(format!("       {}", edge_line(edge)));
            lines.extend(weight_line(edge));
        }
        let weight: u64 = merged.cut.iter().map(|edge| edge.strength.weight).sum();
        let edges = if merged.cut.len() == 1 { "edge" } else { "edges" };
        lines.push(format!("  Cheapest cut: {} {edges}, weight {weight}", merged.cut.len()));
        for edge in &merged.cut {
            let line = edge_line(edge);
            lines.push(format!("    -> {} to {}: {line}", edge.left, edge.right));
            if !merged.leads_by(edge) {
                lines.extend(weight_line(edge));
            }
        }
        Ok(lines)
    }

    /// Tells how the FUZZY rule weighs pairs of records, or edges of theirs with so many bits, each in one line; nothing, if it
    /// cannot.
    async fn weight_lines(
        &self,
        pairs: &[(Found, Found, Option<f64>)],
    ) -> Result<Vec<Option<String>>> {
        let ends: Vec<&Found> = pairs.iter().flat_map(|(left, right, _)| [left, right]).collect();
        let weighing = match ends.is_empty() {
            true => None,
            false => self.weighing(&ends).await?,
        };
        let line = |(left, right, of_edge): &(Found, Found, Option<f64>)| {
            let steps = weighing.as_ref()?.steps(&left.record, &right.record, *of_edge);
            (!steps.is_empty()).then(|| format!("  Weighed: {}", waterfall::line(&steps)))
        };
        Ok(pairs.iter().map(line).collect())
    }

    /// Tells what a profile is made of. What tells of others, too, is told only to those who see everyone.
    pub(super) async fn profile_lines(&self, id: i64) -> Result<Vec<String>> {
        let (profile, subject) = self.profile_of(id)?;
        let everyone = self.sees_everyone();
        if profile != id && !everyone {
            // Whose id was merged is told of two persons at a time.
            return Err(crate::Error::Missing {
                kind: "profile",
                name: id.to_string(),
                hint: "SELECT profile_id FROM profiles shows whom your purpose lets you see."
                    .into(),
            });
        }
        let mut lines = vec![format!("Profile {profile}")];
        if profile != id {
            lines.push(format!("  Merged: {id} is its id now"));
        }
        lines.extend(self.household_lines(profile, subject));
        lines.push("  Records:".to_owned());
        let records = self.records(&[profile]).await?;
        lines.extend(records.iter().map(|(_, record)| format!("    -> {record}")));
        lines.push("  Identifiers:".to_owned());
        for [kind, value, class] in self.identifiers(profile).await? {
            let class = if everyone { format!(" ({class})") } else { String::new() };
            lines.push(format!("    -> {kind} {value}{class}"));
        }
        if everyone {
            lines.push("  Edges:".to_owned());
            let edges = self.edges(profile).await?;
            for edge in &edges {
                let line = edge_line(edge);
                lines.push(format!("    -> {} to {}: {line}", edge.left, edge.right));
            }
            if edges.len() == EDGES_MAX {
                lines.push(format!("    -> and more: {EDGES_MAX} are shown"));
            }
            lines.push("  Refused:".to_owned());
            let refused = self.refused(&[profile]).await?;
            lines.extend(refused.iter().map(|reason| format!("    -> {}", reason_line(reason))));
        }
        lines.push("  Golden values:".to_owned());
        lines.extend(self.golden(profile).await?);
        Ok(lines)
    }

    /// Tells how many others are of the household of a profile, and to those who see everyone which of them says most of it;
    /// nothing, if the graph asks for no households.
    fn household_lines(&self, profile: i64, subject: u32) -> Vec<String> {
        let anchor = self.access.people.anchor(subject);
        let Some(household) = anchor.and_then(|anchor| self.access.household(anchor)) else {
            return vec![];
        };
        let others = match household.others {
            0 => "nobody else".to_owned(),
            1 => "1 other".to_owned(),
            others => format!("{others} others"),
        };
        let mut lines = vec![format!("  Household: {}, with {others}", household.id)];
        if let Some((other, tie)) = household.nearest.filter(|_| self.sees_everyone()) {
            let bits = f64::from(tie.weight) / f64::from(SCALE);
            let probability = probability_of(bits);
            let said = format!("{bits:+.2} bits, probability {probability:.4}");
            lines.push(format!("    -> {profile} and {other}: {said}"));
        }
        lines
    }

    async fn golden(&self, profile: i64) -> Result<Vec<String>> {
        let rows = self
            .query(&format!(
                "SELECT attribute, source, record_key, rule FROM attribute_sources \
                 WHERE profile_id = {profile} ORDER BY attribute"
            ))
            .await?;
        let mut lines = Vec::new();
        for batch in &rows {
            let columns = Texts::of(batch, 4)?;
            for row in 0..batch.num_rows() {
                let (attribute, rule) = (columns.text(0, row), columns.text(3, row));
                lines.push(format!("    -> {attribute} from {}, {rule}", columns.node(1, row)));
            }
        }
        Ok(lines)
    }
}

/// An edge without its ends: `email a@x.example (personal, priority 2, trust 100, weight 5000)`. Of a rule of MATCH it tells whether
/// it is exact or by how much it is weighed.
fn edge_line(edge: &Edge) -> String {
    let strength = &edge.strength;
    let how = match (edge.weighed, strength.kind) {
        (Some((bits, probability)), _) => {
            Some(format!("{bits:+.2} bits, probability {probability:.4}"))
        }
        (None, "match") => Some("exact".to_owned()),
        _ => None,
    };
    let class = strength.class.iter().cloned().chain(how);
    let priority = strength.priority.iter().map(|priority| format!("priority {priority}"));
    let rest = [format!("trust {}", strength.trust), format!("weight {}", strength.weight)];
    let facts: Vec<String> = class.chain(priority).chain(rest).collect();
    format!("{} {} ({})", edge.rule, edge.value, facts.join(", "))
}

fn reason_line(reason: &Reason) -> String {
    let what = || {
        let (rule, value) = (reason.rule.as_deref(), reason.value.as_deref());
        format!("{} {}", rule.unwrap_or_default(), value.unwrap_or_default())
    };
    let why = reason.reason.as_deref().unwrap_or_default();
    match reason.status {
        "refused" => {
            let ends = reason.left.as_ref().zip(reason.right.as_ref());
            let ends = ends.map(|(left, right)| format!(" between {left} and {right}"));
            let kind = reason.limited_kind.as_ref().map(|kind| format!(" of {kind}"));
            let against = reason.against.as_ref().map(|node| format!(", against {node}"));
            let [ends, kind, against] = [ends, kind, against].map(Option::unwrap_or_default);
            format!("{}{ends} was refused by {why}{kind}{against}", what())
        }
        "ignored" => match why {
            "personal" | "shared" => {
                format!("both have {} ({why}), which did not join them", what())
            }
            _ => format!("both have {}, which joined nobody here: it is {why}", what()),
        },
        "agreed" => format!("both agree on {}, which did not join them", what()),
        "contradicted" => {
            let [left, right] = [&reason.left, &reason.right]
                .map(|node| node.as_ref().map(Node::to_string).unwrap_or_default());
            format!("{left} and {right} cannot be one person: {why} stands against it")
        }
        "below" => {
            let (rule, value) = (reason.rule.as_deref(), reason.value.as_deref());
            let (rule, value) = (rule.unwrap_or_default(), value.unwrap_or_default());
            format!("{rule} gives {value}, below its {why}")
        }
        "against" => {
            let rule = reason.rule.as_deref().unwrap_or_default();
            let value = reason.value.as_deref().unwrap_or_default();
            format!("{rule} counts {value} against it, by {why}")
        }
        "merged" => "they are one profile".to_owned(),
        _ => "nothing connects them: no value that identifies somebody is in both".to_owned(),
    }
}
