//! What two records say of each other by themselves: on which rules they agree, what contradicts one person, and how the score
//! of the `FUZZY` rule comes out.
//!
//! Edges and refusals are of pairs that a rule looked at, and records that are alike are looked at through one that stands for
//! them. So two records may have no row between them, though a rule or a veto says why they are two people.

use std::collections::{BTreeSet, HashSet};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::Ground;
use super::ends::{Found, is_of, may_have};
use super::evidence::Node;
use super::not_merged::Reason;
use super::waterfall::{Version, probability};
use crate::catalog::IdentityGraph;
use crate::error::Result;
use crate::identity::{Compared, NewSubject, PersonFields, Resolver, Rules};
use crate::matching::{Memories, Step, explain};
use crate::query::governed::SUBJECT;
use crate::table_read::{project, read_file};
use crate::tables;

impl Ground {
    /// Returns the rules on which two records agree, and what speaks against one person.
    pub(super) async fn compared(
        &self,
        left: &Found,
        right: &Found,
    ) -> Result<(Vec<Reason>, Vec<Reason>)> {
        let Some(in_force) = &self.published.state.graph_in_force else {
            return Ok((vec![], vec![]));
        };
        let graph = &in_force.graph;
        let rules = Rules::from_graph(graph)?;
        let subjects = self.access.people.subjects(&[left.profile, right.profile]);
        let wanted: HashSet<&Node> = [&left.record, &right.record].into();
        let versions = self.versions(&rules, &subjects, &wanted).await?;
        let resolver = self.told(graph, &versions).await?;
        let of = |record: &Node| -> Vec<u32> {
            let of_record = (0..).zip(&versions).filter(|(_, version)| version.record == *record);
            of_record.map(|(at, _)| at).collect()
        };
        let Compared { contradiction, matches } =
            resolver.compared(&of(&left.record), &of(&right.record));
        let of_both = |status| Reason {
            status,
            left: Some(left.record.clone()),
            right: Some(right.record.clone()),
            ..Reason::default()
        };
        let agreed = matches.into_iter().map(|(rule, value)| {
            let (rule, value) = (Some(rule), Some(value));
            Reason { rule, value, ..of_both("agreed") }
        });
        let contradicted = contradiction.map(|word| {
            let reason = Some(word.to_owned());
            Reason { reason, ..of_both("contradicted") }
        });
        let mut against: Vec<Reason> = contradicted.into_iter().collect();
        if let Some(fuzzy) = &graph.fuzzy
            && let Some((score, mut steps)) = self.weighed(left, right).await?
            && score < fuzzy.score
        {
            let weighed = |status, value, reason| {
                let (rule, value, reason) = (Some(fuzzy.name.clone()), Some(value), Some(reason));
                Reason { rule, value, reason, ..of_both(status) }
            };
            let (value, reason) =
                (format!("probability {score:.4}"), format!("SCORE {}", fuzzy.score));
            against.push(weighed("below", value, reason));
            // Where nothing speaks against it, too little speaks for it.
            steps.retain(|step| !step.label.is_empty() && step.bits < 0.0);
            steps.sort_by(|one, other| one.bits.total_cmp(&other.bits));
            against.extend(steps.iter().map(|Step { name, label, bits }| {
                weighed("against", format!("{name}: {label}"), format!("{:.2} bits", -bits))
            }));
        }
        Ok((agreed.collect(), against))
    }

    /// Returns a resolver that knows these versions of records, each by its position, and which of them speak.
    pub(super) async fn told(
        &self,
        graph: &IdentityGraph,
        versions: &[Version],
    ) -> Result<Resolver> {
        let rules = Rules::from_graph(&IdentityGraph { fuzzy: None, ..graph.clone() })?;
        let mut resolver = Resolver::new(rules);
        for version in versions {
            add(&mut resolver, version)?;
        }
        let standing = self.standing(versions).await?;
        let stands = |version: &Version| standing.contains(&version.subject);
        resolver.set_standing(versions.iter().map(stands).collect());
        resolver.settle();
        Ok(resolver)
    }

    /// Returns the subjects of those versions that the current rows of their sources show.
    async fn standing(&self, versions: &[Version]) -> Result<HashSet<i64>> {
        let mut subjects: Vec<u32> =
            versions.iter().filter_map(|version| u32::try_from(version.subject).ok()).collect();
        subjects.sort_unstable();
        let sources: BTreeSet<&str> =
            versions.iter().map(|version| version.record.source.as_str()).collect();
        let mut standing = HashSet::new();
        for path in sources.into_iter().map(tables::source_path) {
            let Some(table) = self.published.table(&path) else { continue };
            // Rows that were read before the source had persons have no subjects.
            if table.schema.column_with_name(SUBJECT).is_none() {
                continue;
            }
            let schema = project(&table.schema, &[SUBJECT])?;
            for file in table.files.iter().filter(|file| may_have(file, &subjects)) {
                let lake = self.engine.catalog().lake();
                for batch in read_file(lake, &path, file, &schema).await? {
                    let said = batch.column(0).as_primitive::<Int64Type>().iter().flatten();
                    standing.extend(said.filter(|subject| is_of(&subjects, *subject)));
                }
            }
        }
        Ok(standing)
    }

    /// Returns with which probability two records are one person by the model, if there is one, and what it is made of.
    async fn weighed(&self, left: &Found, right: &Found) -> Result<Option<(f64, Vec<Step>)>> {
        let Some(weighing) = self.weighing(&[left, right]).await? else { return Ok(None) };
        let mut scorer = weighing.scorer(Memories::default());
        let best = weighing.best(&mut scorer, &left.record, &right.record);
        Ok(best.map(|(bits, one, other)| {
            (probability(f64::from(bits)), explain(&mut scorer, one, other).0)
        }))
    }
}

/// Adds the next version to a resolver.
fn add(resolver: &mut Resolver, version: &Version) -> Result<()> {
    let identifiers: Vec<(u16, &str)> =
        version.raw.iter().map(|(kind, value)| (*kind, value.as_str())).collect();
    let [name, first_name, last_name, birth_date, street, postal_code, city, country] =
        version.person.clone();
    let person = PersonFields {
        name,
        first_name,
        last_name,
        birth_date,
        street,
        postal_code,
        city,
        country,
    };
    let source = resolver.source(&version.record.source)?;
    resolver.add(&[NewSubject {
        source,
        trust: 0,
        record: version.record.key.as_deref(),
        identifiers: &identifiers,
        person: Some(&person),
        observed_at: version.observed_at,
    }])?;
    Ok(())
}
