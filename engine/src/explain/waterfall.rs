//! `match_waterfall`: what each thing that two records say adds to the weight of their pair, in bits, by the model of the
//! FUZZY rule.
//!
//! The pair is weighed as the rule weighs it: the same texts, the same classes of values, the same model, the same code. Of
//! records with several versions those two are shown that agree best, without those that were about somebody else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use datafusion::error::DataFusionError;

use super::Ground;
use super::ends::{End, Found, is_of};
use super::evidence::Node;
use crate::error::{Error, Result};
use crate::identity::{Rules, ValueClass, is_ahead};
use crate::identity_refresh::{TRAINING_RECORDS_MIN, load_model};
use crate::ingest::RECORD_KIND;
use crate::matching::{
    Batch, Classes, Lookup, Memories, Model, PersonField, Records, Scorer, Step, explain,
};
use crate::tables;

/// Versions of one record that are looked at: its last ones.
const VERSIONS_MAX: usize = 16;

/// Profiles that are asked for with one query.
const ASKED_AT_ONCE: usize = 1_000;

/// The first column of [`tables::SUBJECTS`] that says something about a person.
const FIRST_PERSON_COLUMN: usize = 3;

/// The columns of `match_waterfall`.
pub(super) fn columns() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let figure = |name: &str| Field::new(name, DataType::Float64, true);
    Arc::new(Schema::new(vec![
        Field::new("step", DataType::Int64, true),
        text("comparison"),
        text("agreement"),
        figure("bits"),
        figure("total"),
        figure("probability"),
    ]))
}

/// Some records, ready to be weighed.
pub(super) struct Weighing {
    model: Model,
    lookup: Lookup,
    records: Records,
    classes: Classes,
    /// The rows of each record: one for each of its versions.
    rows: HashMap<Node, Vec<u32>>,
}

/// A version of a record: what it says about its person, and its identifiers by kind, normalised.
pub(super) struct Version {
    pub(super) subject: i64,
    pub(super) record: Node,
    /// When it was so.
    pub(super) observed_at: i64,
    pub(super) person: [Option<String>; PersonField::ALL.len()],
    values: Vec<Option<String>>,
    /// All identifiers as they are written, by the number of their kind.
    pub(super) raw: Vec<(u16, String)>,
}

impl Ground {
    /// Returns the steps that lead to the weight of two records.
    pub(super) async fn waterfall(&self, left: &End, right: &End) -> Result<RecordBatch> {
        let (left, right) = (self.find(left).await?, self.find(right).await?);
        let weighing = self.weighing(&[&left, &right]).await?.ok_or_else(no_model)?;
        batch(&weighing.steps(&left.record, &right.record, None))
    }

    /// Makes ready to weigh these records; `None` without a model.
    pub(super) async fn weighing(&self, ends: &[&Found]) -> Result<Option<Weighing>> {
        let Some(in_force) = &self.published.state.graph_in_force else { return Ok(None) };
        if in_force.graph.fuzzy.is_none() {
            return Ok(None);
        }
        let rules = Rules::from_graph(&in_force.graph)?;
        let lake = self.engine.catalog().lake();
        let model = load_model(lake, &self.published, &rules, in_force.version).await?;
        let Some(model) = model else { return Ok(None) };
        let mut profiles: Vec<i64> = ends.iter().map(|end| end.profile).collect();
        profiles.sort_unstable();
        profiles.dedup();
        let mut classes = HashMap::new();
        for profiles in profiles.chunks(ASKED_AT_ONCE) {
            let identifiers = self.identifiers_of(profiles).await?;
            classes.extend(
                identifiers
                    .into_iter()
                    .map(|[kind, value, class]| ((kind, value), class_of(&class))),
            );
        }
        let wanted: HashSet<&Node> = ends.iter().map(|end| &end.record).collect();
        let subjects = self.access.people.subjects(&profiles);
        let versions = self.versions(&rules, &subjects, &wanted).await?;
        let told = self.told(&in_force.graph, &versions).await?;
        let spoken = (0..).zip(versions).filter(|(at, _)| !told.is_corrected(*at));
        let spoken: Vec<Version> = spoken.map(|(_, version)| version).collect();
        Weighing::new(&rules, model, &spoken, &classes).map(Some)
    }

    /// Reads the versions of records among these subjects.
    pub(super) async fn versions(
        &self,
        rules: &Rules,
        subjects: &[u32],
        wanted: &HashSet<&Node>,
    ) -> Result<Vec<Version>> {
        let mut found: Vec<Version> = Vec::new();
        let mut counts: HashMap<Node, usize> = HashMap::new();
        for rows in self.rows_of(&tables::SUBJECTS, subjects).await? {
            let numbers = rows.column(0).as_primitive::<Int64Type>();
            let texts: Vec<StringArray> = (1..FIRST_PERSON_COLUMN + PersonField::ALL.len())
                .map(|column| tables::texts(rows.column(column)))
                .collect::<Result<_>>()?;
            let text = |column: usize, row: usize| {
                let column = &texts[column - 1];
                column.is_valid(row).then(|| column.value(row).to_owned())
            };
            let [seen, observed] = [FIRST_PERSON_COLUMN, FIRST_PERSON_COLUMN + 1].map(|column| {
                rows.column(column + PersonField::ALL.len())
                    .as_primitive::<TimestampMicrosecondType>()
            });
            for row in (0..rows.num_rows()).filter(|row| is_of(subjects, numbers.value(*row))) {
                let record = Node { source: text(1, row).unwrap_or_default(), key: text(2, row) };
                if !wanted.contains(&record) {
                    continue;
                }
                *counts.entry(record.clone()).or_default() += 1;
                let mut person: [Option<String>; PersonField::ALL.len()] =
                    std::array::from_fn(|field| text(FIRST_PERSON_COLUMN + field, row));
                let [birth_date, country] = [PersonField::BirthDate, PersonField::Country]
                    .map(|field| person[field as usize].as_deref());
                if is_ahead(birth_date, country, seen.value(row)) {
                    person[PersonField::BirthDate as usize] = None;
                }
                let times = if observed.is_valid(row) { observed } else { seen };
                found.push(Version {
                    subject: numbers.value(row),
                    record,
                    observed_at: times.value(row),
                    person,
                    values: vec![None; rules.kinds().count()],
                    raw: vec![],
                });
            }
        }
        found.retain(|version| {
            counts.get_mut(&version.record).is_some_and(|later| {
                *later -= 1;
                *later < VERSIONS_MAX
            })
        });
        let subjects: Vec<u32> =
            found.iter().filter_map(|version| u32::try_from(version.subject).ok()).collect();
        let mut places: HashMap<i64, usize> = HashMap::new();
        for (place, version) in found.iter().enumerate() {
            places.entry(version.subject).or_insert(place);
        }
        for rows in self.rows_of(&tables::SUBJECT_IDENTIFIERS, &subjects).await? {
            let numbers = rows.column(0).as_primitive::<Int64Type>();
            let (kinds, raw) = (tables::texts(rows.column(1))?, tables::texts(rows.column(2))?);
            for row in (0..rows.num_rows()).filter(|row| kinds.value(*row) != RECORD_KIND) {
                let of = places.get(&numbers.value(row)).copied();
                let (Some(place), Some(kind)) = (of, rules.kind(kinds.value(row))) else {
                    continue;
                };
                let version = &mut found[place];
                version.raw.push((kind, raw.value(row).to_owned()));
                let country = version.person[PersonField::Country as usize].as_deref();
                let region = country.and_then(udfs::normalize_country);
                let value = rules.normalize(kind, raw.value(row), region);
                // Of several values of a kind the first one stands for all.
                let kept = &mut version.values[usize::from(kind)];
                *kept = [kept.take(), value].into_iter().flatten().min();
            }
        }
        Ok(found)
    }
}

fn class_of(status: &str) -> ValueClass {
    match status {
        "shared" => ValueClass::Shared,
        "nobody" => ValueClass::Nobody,
        _ => ValueClass::Personal,
    }
}

impl Weighing {
    fn new(
        rules: &Rules,
        model: Model,
        versions: &[Version],
        of_values: &HashMap<(String, String), ValueClass>,
    ) -> Result<Self> {
        let names: Vec<&str> = rules.kinds().collect();
        let mut records = Records::new(rules.compared())?;
        records.add(
            &Batch {
                keys: (0..).take(versions.len()).collect(),
                person: std::array::from_fn(|field| {
                    versions.iter().map(|version| version.person[field].as_deref()).collect()
                }),
                identifiers: (0..names.len())
                    .map(|kind| versions.iter().map(|of| of.values[kind].as_deref()).collect())
                    .collect(),
                is_normalized: true,
            },
            1,
        );
        let mut classes = Classes::of_kinds(names.len());
        let mut rows: HashMap<Node, Vec<u32>> = HashMap::new();
        for (row, version) in (0..).zip(versions) {
            for (kind, value) in version.values.iter().enumerate() {
                let Some(value) = value else { continue };
                let of_value = of_values.get(&(names[kind].to_owned(), value.clone()));
                let class = of_value.copied().unwrap_or(ValueClass::Personal);
                classes.set(kind, records.value(row, kind), class);
            }
            rows.entry(version.record.clone()).or_default().push(row);
        }
        let silent = model.kinds().enumerate().filter(|(_, kind)| kind.levels.is_empty());
        classes.silence(silent.map(|(kind, _)| kind));
        let mut lookup = Lookup::new(&model);
        lookup.extend(&records, &model);
        Ok(Self { model, lookup, records, classes, rows })
    }

    /// Returns the steps that lead to the weight of two records, or to that of an edge of theirs, which is one of two of their
    /// versions; none for records that say nothing about a person.
    pub(super) fn steps(&self, left: &Node, right: &Node, of_edge: Option<f64>) -> Vec<Step> {
        let mut scorer = self.scorer(Memories::default());
        let found = match of_edge {
            Some(bits) => self.nearest(&mut scorer, left, right, bits),
            None => self.best(&mut scorer, left, right),
        };
        found.map_or_else(Vec::new, |(_, left, right)| explain(&mut scorer, left, right).0)
    }

    /// Makes ready to weigh pairs of the records.
    pub(super) fn scorer(&self, memories: Memories) -> Scorer<'_> {
        let Self { model, lookup, records, classes, .. } = self;
        Scorer::prepared(records, classes, model, lookup, memories)
    }

    /// Returns the weight of two records, and the rows of the versions that agree best; nothing for records that say nothing
    /// about a person.
    pub(super) fn best(
        &self,
        scorer: &mut Scorer<'_>,
        left: &Node,
        right: &Node,
    ) -> Option<(f32, u32, u32)> {
        let weighed = self.weighed(scorer, left, right);
        weighed.reduce(|best, next| if next.0 > best.0 { next } else { best })
    }

    /// Returns the same of the versions whose weight is nearest to these bits.
    fn nearest(
        &self,
        scorer: &mut Scorer<'_>,
        left: &Node,
        right: &Node,
        bits: f64,
    ) -> Option<(f32, u32, u32)> {
        let apart = |(weight, ..): (f32, u32, u32)| (f64::from(weight) - bits).abs();
        let weighed = self.weighed(scorer, left, right);
        weighed.reduce(|near, next| if apart(next) < apart(near) { next } else { near })
    }

    /// Weighs each version of a record with each of another.
    fn weighed(
        &self,
        scorer: &mut Scorer<'_>,
        left: &Node,
        right: &Node,
    ) -> impl Iterator<Item = (f32, u32, u32)> {
        let (of_left, of_right) = (self.rows_of(left), self.rows_of(right));
        let pairs =
            of_left.iter().flat_map(move |one| of_right.iter().map(move |other| (*one, *other)));
        pairs.map(move |(one, other)| (scorer.weigh(one, other).same, one, other))
    }

    fn rows_of(&self, record: &Node) -> &[u32] {
        self.rows.get(record).map_or(&[][..], Vec::as_slice)
    }
}

/// Returns the error of whoever asks for weights that nothing was learnt for.
pub(super) fn no_model() -> Error {
    Error::Standard {
        sqlstate: "55000",
        message: "there is no model to weigh records by".into(),
        hint: format!(
            "An identity graph with a FUZZY rule trains one in the first refresh that finds {TRAINING_RECORDS_MIN} records."
        ),
    }
}

/// Returns the probability that goes with a weight.
pub(super) fn probability(bits: f64) -> f64 {
    1.0 / (1.0 + (-bits).exp2())
}

/// A waterfall in one line: `prior -12.31; given name: equal +6.20; together 9.40, probability 0.9985`.
pub(super) fn line(steps: &[Step]) -> String {
    let total: f64 = steps.iter().map(|step| f64::from(step.bits)).sum();
    let told = steps.iter().filter(|step| !step.label.is_empty() || step.name == "prior");
    let mut told: Vec<String> = told
        .map(|Step { name, label, bits }| match *label {
            "" => format!("{name} {bits:+.2}"),
            label => format!("{name}: {label} {bits:+.2}"),
        })
        .collect();
    told.push(format!("together {total:+.2} bits, probability {:.4}", probability(total)));
    told.join("; ")
}

fn batch(steps: &[Step]) -> Result<RecordBatch> {
    let bits: Vec<f64> = steps.iter().map(|step| f64::from(step.bits)).collect();
    let totals: Vec<f64> = bits
        .iter()
        .scan(0.0, |total, bits| {
            *total += bits;
            Some(*total)
        })
        .collect();
    let labels = steps.iter().map(|step| Some(step.label).filter(|label| !label.is_empty()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values((1..).take(steps.len()))),
        Arc::new(steps.iter().map(|step| Some(step.name.as_str())).collect::<StringArray>()),
        Arc::new(labels.collect::<StringArray>()),
        Arc::new(Float64Array::from(bits)),
        Arc::new(totals.iter().copied().map(Some).collect::<Float64Array>()),
        Arc::new(totals.iter().map(|total| Some(probability(*total))).collect::<Float64Array>()),
    ];
    Ok(RecordBatch::try_new(self::columns(), columns).map_err(DataFusionError::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_add_up() {
        let step = |name: &str, label, bits| Step { name: name.to_owned(), label, bits };
        let steps =
            [step("prior", "", -12.5), step("given name", "equal", 14.5), step("email", "", 0.0)];
        assert_eq!(
            line(&steps),
            "prior -12.50; given name: equal +14.50; together +2.00 bits, probability 0.8000"
        );
        let rows = batch(&steps).unwrap();
        let totals = rows.column(4).as_primitive::<arrow::datatypes::Float64Type>();
        assert_eq!(totals.values().to_vec(), [-12.5, 2.0, 2.0]);
        assert!(rows.column(2).is_null(2));
    }
}
