//! `why_not_merged`: the edges between two profiles that were refused, and by what; what both carry and
//! does not join them; or that nothing connects them; and what the two say of each other by themselves.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use datafusion::error::DataFusionError;

use super::Ground;
use super::ends::{End, Found};
use super::evidence::{EDGES_MAX, Node, Texts};
use crate::error::Result;
use crate::identity::{Decided, OVERRIDE_NAME, Origin};
use crate::query::quoted::literal;

/// Refused edges with others that are told of one value at most.
const OTHERS_MAX: usize = 10;

/// One reason why two profiles are not one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reason {
    /// `refused`, `ignored`, `agreed`, `nothing`, `contradicted`, `below`, `against` or `merged`.
    pub(super) status: &'static str,
    pub(super) rule: Option<String>,
    pub(super) value: Option<String>,
    /// What refused it, or whom the value is.
    pub(super) reason: Option<String>,
    pub(super) limited_kind: Option<String>,
    pub(super) left: Option<Node>,
    pub(super) right: Option<Node>,
    pub(super) against: Option<Node>,
    pub(super) observed_at: Option<i64>,
}

/// The columns of `why_not_merged`.
pub(super) fn columns() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let texts = [
        "status",
        "rule",
        "value",
        "reason",
        "limited_kind",
        "left_source",
        "left_record_key",
        "right_source",
        "right_record_key",
        "against_source",
        "against_record_key",
    ];
    let mut fields: Vec<Field> =
        texts.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    fields.push(Field::new("observed_at", time, true));
    Arc::new(Schema::new(fields))
}

impl Ground {
    /// Explains why two ends are not one person.
    pub(super) async fn not_merged(&self, left: &End, right: &End) -> Result<Vec<Reason>> {
        let (left, right) = (self.find(left).await?, self.find(right).await?);
        self.not_merged_found(&left, &right).await
    }

    pub(super) async fn not_merged_found(
        &self,
        left: &Found,
        right: &Found,
    ) -> Result<Vec<Reason>> {
        if left.profile == right.profile {
            return Ok(vec![Reason { status: "merged", ..Reason::default() }]);
        }
        let profiles = [left.profile, right.profile];
        let records = self.records(&profiles).await?;
        let of: HashMap<&Node, i64> =
            records.iter().map(|(profile, record)| (record, *profile)).collect();
        let between = |one: &Node, other: &Node| match (of.get(one), of.get(other)) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        };
        let mut found = self.decided(&between).await?;
        let refused = self.refused(&profiles).await?;
        found.extend(refused.into_iter().filter(|reason| {
            reason.left.as_ref().zip(reason.right.as_ref()).is_some_and(|(l, r)| between(l, r))
        }));
        let mut told: BTreeSet<(Option<String>, Option<String>)> =
            found.iter().map(|reason| (reason.rule.clone(), reason.value.clone())).collect();
        let of_right = self.identifiers(right.profile).await?;
        for [kind, value, class] in self.identifiers(left.profile).await? {
            let both = of_right.iter().any(|held| held[0] == kind && held[1] == value);
            if both && told.insert((Some(kind.clone()), Some(value.clone()))) {
                // Whoever is like others is refused through the one that stands for them, who may be of a third profile.
                found.extend(self.refused_with_others(&kind, &value, [left, right]).await?);
                let (rule, value, reason) = (Some(kind), Some(value), Some(class));
                found.push(Reason { status: "ignored", rule, value, reason, ..Reason::default() });
            }
        }
        let (agreed, against) = self.compared(left, right).await?;
        let is_new = |reason: &Reason| !told.contains(&(reason.rule.clone(), reason.value.clone()));
        found.extend(agreed.into_iter().filter(is_new));
        if found.is_empty() {
            found.push(Reason { status: "nothing", ..Reason::default() });
        }
        found.extend(against);
        Ok(found)
    }

    /// Returns what people decided: that two records are of two persons.
    async fn decided(&self, between: &impl Fn(&Node, &Node) -> bool) -> Result<Vec<Reason>> {
        let lake = self.engine.catalog().lake();
        let overrides = crate::overrides::in_force(lake, &self.published).await?.overrides;
        let node = |record: &crate::identity::RecordName| Node {
            source: record.source.clone(),
            key: Some(record.key.clone()),
        };
        let apart = overrides.iter().filter(|pair| pair.decided == Decided::CannotLink);
        let pairs = apart.map(|pair| (&pair.origin, node(&pair.left), node(&pair.right)));
        let reason = |(origin, left, right): (&Origin, Node, Node)| Reason {
            status: "refused",
            rule: Some(OVERRIDE_NAME.to_owned()),
            value: Some(origin.to_string()),
            reason: Some("override".to_owned()),
            left: Some(left),
            right: Some(right),
            ..Reason::default()
        };
        Ok(pairs.filter(|(_, left, right)| between(left, right)).map(reason).collect())
    }

    /// Returns the edges that were refused from records of these profiles.
    pub(super) async fn refused(&self, profiles: &[i64]) -> Result<Vec<Reason>> {
        let list: Vec<String> = profiles.iter().map(i64::to_string).collect();
        self.refused_where(&format!("profile_id IN ({})", list.join(", ")), EDGES_MAX).await
    }

    /// Returns edges of a value that were refused between one of these records and any other.
    async fn refused_with_others(
        &self,
        kind: &str,
        value: &str,
        ends: [&Found; 2],
    ) -> Result<Vec<Reason>> {
        let of = ends.map(|end| {
            let source = literal(&end.record.source);
            let key = literal(end.record.key.as_deref().unwrap_or_default());
            let is = |side: &str| format!("{side}_source = {source} AND {side}_record_key = {key}");
            format!("{} OR {}", is("left"), is("right"))
        });
        let (kind, value) = (literal(kind), literal(value));
        let condition = format!("rule = {kind} AND value = {value} AND ({})", of.join(" OR "));
        self.refused_where(&condition, OTHERS_MAX).await
    }

    async fn refused_where(&self, condition: &str, rows_max: usize) -> Result<Vec<Reason>> {
        // Of what many have in common the rows of the value tell.
        let summaries = "'nobody', 'blocked', 'expired', 'more'";
        let rows = self
            .query(&format!(
                "SELECT rule, value, reason, limited_kind, left_source, left_record_key, right_source, \
                        right_record_key, against_source, against_record_key, observed_at \
                 FROM identity_violations WHERE ({condition}) AND reason NOT IN ({summaries}) \
                 ORDER BY left_source, left_record_key, right_source, right_record_key, rule, value \
                 LIMIT {rows_max}"
            ))
            .await?;
        let mut found = Vec::new();
        for batch in &rows {
            let columns = Texts::of(batch, 10)?;
            let times = batch.column(10).as_primitive::<TimestampMicrosecondType>();
            found.extend((0..batch.num_rows()).map(|row| Reason {
                status: "refused",
                rule: columns.optional(0, row),
                value: columns.optional(1, row),
                reason: columns.optional(2, row),
                limited_kind: columns.optional(3, row),
                left: Some(columns.node(4, row)),
                right: Some(columns.node(6, row)),
                against: Some(columns.node(8, row)),
                observed_at: times.is_valid(row).then(|| times.value(row)),
            }));
        }
        Ok(found)
    }
}

/// Returns reasons as rows.
pub(super) fn batch(reasons: &[Reason]) -> Result<RecordBatch> {
    let texts = |of: &dyn Fn(&Reason) -> Option<String>| -> ArrayRef {
        Arc::new(reasons.iter().map(of).collect::<StringArray>())
    };
    let source = |node: &Option<Node>| node.as_ref().map(|node| node.source.clone());
    let key = |node: &Option<Node>| node.as_ref().and_then(|node| node.key.clone());
    let times: TimestampMicrosecondArray =
        reasons.iter().map(|reason| reason.observed_at).collect();
    let columns: Vec<ArrayRef> = vec![
        texts(&|reason| Some(reason.status.to_owned())),
        texts(&|reason| reason.rule.clone()),
        texts(&|reason| reason.value.clone()),
        texts(&|reason| reason.reason.clone()),
        texts(&|reason| reason.limited_kind.clone()),
        texts(&|reason| source(&reason.left)),
        texts(&|reason| key(&reason.left)),
        texts(&|reason| source(&reason.right)),
        texts(&|reason| key(&reason.right)),
        texts(&|reason| source(&reason.against)),
        texts(&|reason| key(&reason.against)),
        Arc::new(times.with_timezone("UTC")),
    ];
    Ok(RecordBatch::try_new(self::columns(), columns).map_err(DataFusionError::from)?)
}
