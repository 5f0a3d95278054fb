//! Unified profiles: one row for each person, with golden values and traits.
//!
//! A refresh finds the people whose records, events or identity changed, works out their rows anew, and copies everybody
//! else's. An attribute is chosen among the values of a person's records by a [survivorship rule](survivorship); a trait is a
//! query that is run for the touched people alone, through the same governed leaf that enforces consent. Both
//! depend on nobody else's rows, so what a refresh leaves out cannot change: incremental equals full rebuild. Everybody's
//! rows are worked out anew when that does not hold: when definitions changed, when columns have other types than
//! before, and when a trait that reads the clock is due.

mod columns;
mod inputs;
mod per_person;
mod survivors;
pub mod survivorship;
mod traits;

pub(crate) use columns::columns_of;
pub(crate) use survivors::survivors;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;

use crate::buckets::{self, Replaced, bucket_of};
use crate::catalog::{Attribute, Body, CatalogState, Change, Coverage, Freshness, Kind, Published};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::Run;
use crate::lake::{Table, TableSchema};
use crate::query::access::{People, SubjectSet, Visible};
use crate::query::governed::{HOUSEHOLD_ID, PROFILE_ID, SUBJECT};
use crate::tables;
use survivorship::{Candidate, Candidates};

/// The name under which coverage is kept.
pub const PROFILES: &str = "profiles";

/// The name under which is kept when the traits that read the clock were computed for everybody.
const BY_THE_CLOCK: &str = "profiles by the clock";

/// What a refresh of the profiles did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProfileReport {
    /// People whose rows were worked out anew.
    pub touched: usize,
    /// People there are.
    pub profiles: usize,
    /// Whether everybody was.
    pub full: bool,
}

/// Brings the profiles up to date for `people` and adds their tables to `change`; `None` if nothing is new.
///
/// `moved` are the anchors whose profile is made otherwise than before.
pub async fn refresh(
    engine: &Engine,
    run: &Run<'_>,
    change: &mut Change,
    people: &Arc<People>,
    moved: &BTreeSet<u32>,
) -> Result<Option<ProfileReport>> {
    let published = engine.catalog().current();
    let coverage = coverage_now(&published, run.now);
    let covered = published.state.coverage.get(PROFILES).cloned();
    let same_definitions = covered
        .as_ref()
        .is_some_and(|covered| covered.definition_version == coverage.definition_version);
    let same_inputs = covered.as_ref().is_some_and(|covered| covered.inputs == coverage.inputs);
    let everybody = run.full || !same_definitions || clock_is_due(&published.state, run);
    if !everybody && same_inputs && moved.is_empty() {
        return Ok(None);
    }
    run.begin().await?;
    let touched = match &covered {
        Some(covered) if !everybody => {
            inputs::touched(engine.catalog(), &published, covered, people).await?.map(
                |mut touched| {
                    touched.extend(moved);
                    touched
                },
            )
        }
        _ => None,
    };
    let mut refresh = Refresh::of(engine, &published, people, touched);
    tracing::debug!(people = refresh.touched.len(), full = refresh.full, "profiles are worked out");
    let mut made = refresh.rows().await?;
    if !refresh.full && refresh.makes_a_table(&made.profiles.schema()) {
        tracing::debug!("columns have other types: everybody's profiles are worked out");
        refresh = Refresh::of(engine, &published, people, None);
        made = refresh.rows().await?;
    }
    tracing::debug!("profiles are written");
    let report = ProfileReport {
        touched: refresh.touched.len(),
        profiles: people.profiles().count(),
        full: refresh.full,
    };
    let by_the_clock = refresh.full.then(|| made.by_the_clock(run.now));
    refresh.write(change, made).await?;
    change.edit(move |state| {
        state.coverage.insert(PROFILES.to_owned(), coverage);
        if let Some(by_the_clock) = by_the_clock {
            state.coverage.insert(BY_THE_CLOCK.to_owned(), by_the_clock);
        }
        Ok(())
    });
    Ok(Some(report))
}

/// Returns when the trait `name` was last computed.
pub(crate) fn computed_at(state: &CatalogState, name: &str) -> Option<i64> {
    let by_the_clock = state.coverage.get(BY_THE_CLOCK);
    let own = by_the_clock.filter(|computed| computed.inputs.contains_key(name));
    own.or_else(|| state.coverage.get(PROFILES)).map(|computed| computed.at)
}

/// Tells whether a trait that reads the clock is due: then its values are other ones for everybody, without anything
/// new in the log.
fn clock_is_due(state: &CatalogState, run: &Run<'_>) -> bool {
    let Some(computed) = state.coverage.get(BY_THE_CLOCK) else { return false };
    computed.inputs.keys().any(|name| {
        let Some(Body::Trait(of)) = state.get(Kind::Trait, name).map(|found| &found.body) else {
            return false;
        };
        match of.freshness {
            Freshness::Every(every) | Freshness::TargetLag(every) => {
                run.now - computed.at >= i64::try_from(every.as_micros()).unwrap_or(i64::MAX)
            }
            Freshness::OnDemand => run.is_demanded(),
        }
    })
}

/// The inputs of the profiles as they are published: every table of every source.
fn coverage_now(published: &Published, now: i64) -> Coverage {
    let inputs = published.state.tables.iter().filter(|(path, _)| path.starts_with("sources/"));
    let inputs = inputs.map(|(path, table)| (path.clone(), table.version)).collect();
    let state = &published.state;
    let definition_version =
        [Kind::Attribute, Kind::Trait, Kind::IdentityGraph, Kind::Source, Kind::Event]
            .map(|kind| state.newest_of(kind))
            .into_iter()
            .max();
    // Dropping one of them leaves no newer one behind: their number counts, too.
    let count = [Kind::Attribute, Kind::Trait, Kind::Event]
        .map(|kind| state.of_kind(kind).count() as u64)
        .into_iter()
        .sum::<u64>();
    Coverage { inputs, definition_version: definition_version.unwrap_or(0) << 16 | count, at: now }
}

struct Refresh<'a> {
    engine: &'a Engine,
    published: &'a Arc<Published>,
    people: &'a Arc<People>,
    touched: BTreeSet<u32>,
    /// The same anchors, for looking them up.
    set: Arc<SubjectSet>,
    full: bool,
}

/// The rows of the touched people.
struct Made {
    profiles: RecordBatch,
    /// Where their values come from.
    sources: RecordBatch,
    /// The traits that read the clock.
    clocked: Vec<String>,
}

impl Made {
    /// Notes that the traits that read the clock were computed for everybody at `now`.
    fn by_the_clock(&self, now: i64) -> Coverage {
        let traits = self.clocked.iter().map(|name| (name.clone(), 0));
        Coverage { inputs: traits.collect(), definition_version: 0, at: now }
    }
}

impl<'a> Refresh<'a> {
    /// A refresh of the people with the anchors `touched`, or of everybody.
    fn of(
        engine: &'a Engine,
        published: &'a Arc<Published>,
        people: &'a Arc<People>,
        touched: Option<BTreeSet<u32>>,
    ) -> Self {
        let full = touched.is_none();
        let touched =
            touched.unwrap_or_else(|| people.profiles().map(|(anchor, _)| anchor).collect());
        let set = Arc::new(touched.iter().copied().collect());
        Self { engine, published, people, touched, set, full }
    }

    /// Works out the rows of the touched people.
    async fn rows(&self) -> Result<Made> {
        let anchors: Vec<u32> = self
            .touched
            .iter()
            .copied()
            .filter(|anchor| self.people.anchor(*anchor) == Some(*anchor))
            .collect();
        let ids: Vec<i64> =
            anchors.iter().map(|anchor| self.people.profile_id(*anchor).unwrap_or(0)).collect();
        let mut fields = vec![
            Field::new(SUBJECT, DataType::Int64, true),
            Field::new(PROFILE_ID, DataType::Int64, true),
        ];
        let subjects: ArrayRef =
            Arc::new(Int64Array::from_iter_values(anchors.iter().map(|anchor| i64::from(*anchor))));
        let mut columns = vec![subjects, Arc::new(Int64Array::from(ids.clone())) as ArrayRef];
        let mut lineage = Lineage::default();
        // The household is no column that is stored: it is another one for each purpose.
        let graph = self.published.state.graph();
        let has_households = graph.is_some_and(|(_, graph)| graph.has_households());
        let mut add = |name: &str, values: ArrayRef| -> Result<()> {
            let is_taken = has_households && name == HOUSEHOLD_ID;
            if is_taken || fields.iter().any(|field: &Field| field.name() == name) {
                return Err(twice(name));
            }
            fields.push(Field::new(name, values.data_type().clone(), true));
            columns.push(values);
            Ok(())
        };
        let only = (!self.full).then_some(&*self.set);
        let mut candidates =
            inputs::candidates(self.engine, self.published, self.people, only).await?;
        for definition in self.published.state.of_kind(Kind::Attribute) {
            let Body::Attribute(attribute) = &definition.body else { continue };
            let offered = candidates.remove(&definition.name).unwrap_or_default();
            let (offered, choices) = offered.choose(&attribute.rule);
            let chosen = place(&anchors, &choices);
            add(&definition.name, inputs::chosen_values(&offered.offers, &chosen)?)?;
            lineage.add(&definition.name, attribute, &anchors, &ids, &chosen, &offered);
        }
        let visible = self.visible();
        let mut clocked = Vec::new();
        for definition in self.published.state.of_kind(Kind::Trait) {
            let Body::Trait(computed) = &definition.body else { continue };
            tracing::debug!(definition.name, "a trait is computed");
            let rows = traits::compute(
                self.engine,
                self.published,
                self.people,
                &visible,
                &definition.name,
                &computed.query,
            )
            .await?;
            if rows.reads_the_clock {
                clocked.push(definition.name.clone());
            }
            for (name, values) in rows.place(&definition.name, &ids)? {
                add(&name, values)?;
            }
        }
        let profiles = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(DataFusionError::from)?;
        Ok(Made { profiles, sources: lineage.finish()?, clocked })
    }

    /// The subjects of the touched people: whose rows traits are computed from.
    fn visible(&self) -> Visible {
        if self.full {
            return Visible::Everyone;
        }
        let mut subjects = SubjectSet::with_capacity(self.people.subject_count());
        for subject in 0..self.people.subject_count() as u32 {
            if self.people.anchor(subject).is_some_and(|anchor| self.set.contains(anchor)) {
                subjects.insert(subject);
            }
        }
        Visible::Subjects(Arc::new(subjects))
    }

    async fn write(&self, change: &mut Change, made: Made) -> Result<()> {
        let Made { profiles, sources, .. } = made;
        let catalog = self.engine.catalog();
        let schema = profiles.schema();
        let path = self.profiles_path(&schema);
        let table = catalog.table(&path, || layout(&schema, self.published)).await?;
        self.replace(change, &table, profiles).await?;
        if let Some(before) = &self.published.state.profiles_path
            && *before != path
        {
            change.drop_table(before.clone());
        }
        change.edit(move |state| {
            state.profiles_path = Some(path);
            Ok(())
        });
        let table = catalog
            .table(tables::ATTRIBUTE_SOURCES.path, || tables::ATTRIBUTE_SOURCES.table_schema())
            .await?;
        self.replace(change, &table, sources).await
    }

    /// Puts the rows of the touched people in the place of those they had.
    async fn replace(&self, change: &mut Change, table: &Table, rows: RecordBatch) -> Result<()> {
        let mut dirty: BTreeSet<u32> =
            self.touched.iter().map(|anchor| bucket_of(*anchor)).collect();
        let replaced = match self.full {
            true => {
                dirty.extend(0..=bucket_of(self.people.subject_count() as u32));
                Replaced::All
            }
            false => Replaced::Of(Arc::clone(&self.set)),
        };
        let lake = self.engine.catalog().lake();
        change.table(table, buckets::update(lake, table, &dirty, replaced, &rows).await?);
        Ok(())
    }

    /// Tells whether profiles with these columns need a table of their own, which holds nobody yet.
    fn makes_a_table(&self, schema: &SchemaRef) -> bool {
        self.published.state.profiles_path.as_deref() != Some(self.profiles_path(schema).as_str())
    }

    /// The path of a table with these columns: the one there is, or a new one if its columns are others.
    fn profiles_path(&self, schema: &SchemaRef) -> String {
        let Some(path) = &self.published.state.profiles_path else {
            return tables::PROFILES_PATH.to_owned();
        };
        let fits = self.published.table(path).is_some_and(|table| {
            let same = |(have, want): (&Arc<Field>, &Arc<Field>)| {
                have.name() == want.name()
                    && crate::lake::physical_field(want)
                        .is_ok_and(|want| want.data_type() == have.data_type())
            };
            table.schema.fields().len() == schema.fields().len()
                && table.schema.fields().iter().zip(schema.fields()).all(same)
        });
        if fits {
            return path.clone();
        }
        let number: u64 =
            path.rsplit_once("_v").and_then(|(_, number)| number.parse().ok()).unwrap_or(1);
        format!("{}_v{}", tables::PROFILES_PATH, number + 1)
    }
}

/// Lays profiles out by person. Who asks for the bearer of an identifier finds it by the columns that go by its name.
fn layout(schema: &SchemaRef, published: &Published) -> TableSchema {
    let owned = vec![SUBJECT.to_owned()];
    let identifies = |name: &str| {
        published.state.of_kind(Kind::IdentityGraph).any(|graph| match &graph.body {
            Body::IdentityGraph(graph) => graph.identifiers.iter().any(|rule| rule.kind == name),
            _ => false,
        })
    };
    let columns = schema.fields().iter().map(|field| field.name());
    let bloom_columns = columns.filter(|name| identifies(name)).cloned().collect();
    TableSchema {
        stats_columns: owned.clone(),
        bloom_columns,
        sort: owned,
        ..TableSchema::new(Arc::clone(schema))
    }
}

pub(crate) fn twice(name: &str) -> Error {
    Error::Invalid {
        message: format!("column \"{name}\" of profiles is defined twice"),
        hint:
            "Attributes, the columns of traits and household_id share one name space: rename one."
                .into(),
    }
}

/// Brings choices, which are sorted by anchor, to the order of `anchors`.
fn place(anchors: &[u32], choices: &[Candidate]) -> Vec<Option<Candidate>> {
    let mut choices = choices.iter().peekable();
    let mut placed = Vec::with_capacity(anchors.len());
    for anchor in anchors {
        while choices.next_if(|choice| choice.anchor < *anchor).is_some() {}
        placed.push(choices.next_if(|choice| choice.anchor == *anchor).copied());
    }
    placed
}

/// Where the golden values come from.
#[derive(Default)]
struct Lineage {
    subjects: Vec<i64>,
    ids: Vec<i64>,
    attributes: StringBuilder,
    sources: StringBuilder,
    keys: StringBuilder,
    times: Vec<i64>,
    rules: StringBuilder,
}

impl Lineage {
    fn add(
        &mut self,
        name: &str,
        attribute: &Attribute,
        anchors: &[u32],
        ids: &[i64],
        chosen: &[Option<Candidate>],
        offered: &Candidates,
    ) {
        let rule = survivorship::rule_word(&attribute.rule);
        for ((anchor, id), choice) in anchors.iter().zip(ids).zip(chosen) {
            let Some(choice) = choice else { continue };
            let (source, key) = offered.record(choice);
            self.subjects.push(i64::from(*anchor));
            self.ids.push(*id);
            self.attributes.append_value(name);
            self.sources.append_value(source);
            self.keys.append_value(key);
            self.times.push(choice.at);
            self.rules.append_value(rule);
        }
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let texts = |mut column: StringBuilder| Arc::new(column.finish()) as ArrayRef;
        let rows = self.subjects.len();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(std::mem::take(&mut self.subjects))),
            Arc::new(Int64Array::from(std::mem::take(&mut self.ids))),
            texts(self.attributes),
            texts(self.sources),
            texts(self.keys),
            Arc::new(
                TimestampMicrosecondArray::from(std::mem::take(&mut self.times))
                    .with_timezone("UTC"),
            ),
            texts(self.rules),
        ];
        debug_assert!(columns.iter().all(|column| column.len() == rows));
        tables::ATTRIBUTE_SOURCES.batch(columns)
    }
}
