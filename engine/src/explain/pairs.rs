//! The weights of many pairs of records, as `scored_pairs` gives them: those of `match_waterfall`, without the steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::ends::Found;
use super::evidence::{Node, Texts};
use super::waterfall::{Weighing, no_model, probability};
use super::{Ground, expect_everyone};
use crate::engine::{Engine, Live};
use crate::error::{Error, Result};
use crate::matching::Memories;
use crate::query::access::Access;
use crate::query::quoted::literal;

/// Records that are looked up with one query.
const ASKED_AT_ONCE: usize = 1_000;

/// Keys of records by source.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    records: BTreeMap<String, BTreeSet<String>>,
    count: usize,
}

/// Weighs pairs of records, as one statement sees them.
pub(crate) struct PairWeigher {
    ground: Ground,
}

impl fmt::Debug for PairWeigher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairWeigher")
    }
}

/// Records that were looked up, ready to be weighed.
pub(crate) struct PairWeights {
    weighing: Weighing,
    memories: Memories,
}

impl Wanted {
    /// The most records.
    pub(crate) const RECORDS_MAX: usize = 20_000;

    /// Adds a record.
    ///
    /// # Errors
    /// [`Error::Limit`] if there are more than [`Wanted::RECORDS_MAX`].
    pub(crate) fn add(&mut self, source: &str, key: &str) -> Result<()> {
        let is_new = self.records.entry(source.to_owned()).or_default().insert(key.to_owned());
        self.count += usize::from(is_new);
        if self.count <= Self::RECORDS_MAX {
            return Ok(());
        }
        Err(Error::Limit {
            sqlstate: "54000",
            message: format!(
                "scored_pairs() weighs pairs of at most {} records",
                Self::RECORDS_MAX
            ),
            hint: "Ask about a part of them at a time.".into(),
        })
    }

    /// Returns how many records there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

impl PairWeigher {
    /// Makes what weighs for a statement with this access.
    pub(crate) fn of(engine: &Engine, access: &Arc<Access>, live: &Live) -> Self {
        Self { ground: Ground::of(engine, access, live) }
    }

    /// Fails unless the statement sees everyone: a weight tells of two persons at a time.
    pub(crate) fn expect_everyone(&self) -> Result<()> {
        expect_everyone(&self.ground.access)
    }

    /// Looks up records. Those that are not there, and those that are hidden, have no weights.
    ///
    /// # Errors
    /// 55000 if there is no model to weigh by.
    pub(crate) async fn prepare(&self, wanted: &Wanted) -> Result<PairWeights> {
        self.expect_everyone()?;
        let mut found = Vec::new();
        for (source, keys) in &wanted.records {
            let keys: Vec<&String> = keys.iter().collect();
            for keys in keys.chunks(ASKED_AT_ONCE) {
                found.extend(self.find(source, keys).await?);
            }
        }
        let ends: Vec<&Found> = found.iter().collect();
        let weighing = self.ground.weighing(&ends).await?.ok_or_else(no_model)?;
        Ok(PairWeights { weighing, memories: Memories::default() })
    }

    async fn find(&self, source: &str, keys: &[&String]) -> Result<Vec<Found>> {
        let list: Vec<String> = keys.iter().map(|key| literal(key)).collect();
        let rows = self
            .ground
            .query(&format!(
                "SELECT source, record_key, profile_id FROM profile_records \
                 WHERE source = {} AND record_key IN ({})",
                literal(source),
                list.join(", ")
            ))
            .await?;
        let mut found = Vec::new();
        for batch in &rows {
            let columns = Texts::of(batch, 2)?;
            let profiles = batch.column(2).as_primitive::<Int64Type>();
            for (row, profile) in profiles.iter().enumerate() {
                let record = columns.node(0, row);
                found.extend(profile.map(|profile| Found { profile, record }));
            }
        }
        Ok(found)
    }
}

impl PairWeights {
    /// Returns for each pair of records the logarithm of the odds that they are of one person, to the base of two, and the
    /// probability; nothing where one of them is not there or says nothing about a person.
    pub(crate) fn weigh<'a>(
        &mut self,
        pairs: impl Iterator<Item = [&'a str; 4]>,
    ) -> Vec<Option<(f64, f64)>> {
        let Self { weighing, memories } = self;
        let mut scorer = weighing.scorer(std::mem::take(memories));
        let weights = pairs
            .map(|[source, key, other, other_key]| {
                let node = |source: &str, key: &str| Node {
                    source: source.to_owned(),
                    key: Some(key.to_owned()),
                };
                let (left, right) = (node(source, key), node(other, other_key));
                let (bits, ..) = weighing.best(&mut scorer, &left, &right)?;
                Some((f64::from(bits), probability(f64::from(bits))))
            })
            .collect();
        *memories = scorer.into_memories();
        weights
    }
}
