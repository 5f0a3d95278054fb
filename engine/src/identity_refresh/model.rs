//! The model of a FUZZY rule: trained once for a definition of the graph, kept in the lake, in force until the graph is
//! defined anew.
//!
//! It is published together with the people that it made. A full rebuild takes it as it is: otherwise the same records would
//! make other people than before. `CREATE OR REPLACE IDENTITY GRAPH` trains another one, with what people decided by then.
//!
//! Of names, what is kept is the hash and how many people have it, for names that several people have.

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Float64Builder, Int64Array, Int64Builder, RecordBatch,
    StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, Int64Type};
use std::sync::Arc;
use udfs::agreement::identifier;

use super::*;
use crate::error::Error;
use crate::lake::Commit;
use crate::matching::{
    ComparisonModel, Counts, Form, Frequencies, Health, Kind, LevelModel, Model, PERSON_NAMES,
    labels,
};
use crate::table_read::read_system_table;

/// Records from which a model is trained. A rule of the model learns from fifty pairs at least: where one record in ten has
/// another of its person, a thousand have a hundred of such pairs, spread over several rules. With fewer, the model would be
/// what is usual elsewhere, and would join on the strength of that.
pub const TRAINING_RECORDS_MIN: usize = 1_000;

/// The names of the two tables of frequencies.
const PARTS: [&str; 2] = ["given name", "surname"];

impl Memory {
    /// Returns a model of the records that were resolved, if the graph has a rule for it, has none yet, and there is enough
    /// to learn from.
    pub(super) fn learnt(&self) -> Option<Model> {
        let enough = self.resolver.record_count() >= TRAINING_RECORDS_MIN;
        if enough && self.resolver.lacks_model() { self.resolver.train() } else { None }
    }

    /// Trains a model if there is one to be [learnt](Self::learnt), and adds its tables to `change`.
    pub(super) async fn train(
        &mut self,
        catalog: &Catalog,
        change: &mut Change,
        version: u64,
        now: i64,
    ) -> Result<bool> {
        let Some(model) = self.learnt() else { return Ok(false) };
        let records = self.resolver.record_count();
        tracing::debug!(records, spread = model.health.prior_spread, "a model is trained");
        let name = self.resolver.fuzzy_rule().unwrap_or_default();
        let (decided, kinds) = (self.resolver.labels().len(), self.resolver.rules().compared());
        let trained = Trained { rule: name, version, records, decided, kinds: &kinds };
        let [models, weights, frequencies] = rows_of(&model, &trained, now)?;
        replace(catalog, change, &tables::MATCH_MODELS, models).await?;
        replace(catalog, change, &tables::MATCH_WEIGHTS, weights).await?;
        replace(catalog, change, &tables::MATCH_FREQUENCIES, frequencies).await?;
        self.resolver.set_model(model);
        Ok(true)
    }
}

/// Takes out the models of earlier definitions.
pub(super) async fn forget(catalog: &Catalog, change: &mut Change) -> Result<()> {
    let published = catalog.current();
    for layout in [&tables::MATCH_MODELS, &tables::MATCH_WEIGHTS, &tables::MATCH_FREQUENCIES] {
        if published.table(layout.path).is_some_and(|table| !table.files.is_empty()) {
            replace(catalog, change, layout, RecordBatch::new_empty(layout.schema())).await?;
        }
    }
    Ok(())
}

async fn replace(
    catalog: &Catalog,
    change: &mut Change,
    layout: &SystemLayout,
    rows: RecordBatch,
) -> Result<()> {
    let table = catalog.table(layout.path, || layout.table_schema()).await?;
    crate::ingest::widen(&table, &layout.table_schema()).await?;
    let adds = match rows.num_rows() {
        0 => vec![],
        _ => crate::ingest::write(&table, rows).await?,
    };
    let snapshot = table.commit(Commit::replace(table.snapshot(), adds)).await?;
    change.table(&table, snapshot);
    Ok(())
}

/// What a model was trained for, and from how much.
struct Trained<'a> {
    rule: &'a str,
    version: u64,
    records: usize,
    /// Pairs of records that people had decided about.
    decided: usize,
    /// The kinds of identifiers, whose comparisons come behind those of persons.
    kinds: &'a [Kind],
}

impl Trained<'_> {
    /// Returns what a level of a comparison is called: only mailboxes have a name before a domain.
    fn label(&self, comparison: usize, level: &LevelModel) -> &'static str {
        let kind = comparison.checked_sub(PERSON_NAMES.len()).and_then(|at| self.kinds.get(at));
        let is_of_mailboxes = level.label == identifier::LABELS[usize::from(identifier::LOCAL)];
        match kind {
            Some(kind) if is_of_mailboxes && kind.form != Form::Email => "does not occur",
            _ => level.label,
        }
    }
}

fn rows_of(model: &Model, trained: &Trained<'_>, now: i64) -> Result<[RecordBatch; 3]> {
    let version = trained.version as i64;
    let count = |value: i64| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let figure = |value: f64| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
    let Frequencies { given, surname } = model.frequencies.as_ref();
    let models = tables::MATCH_MODELS.batch(vec![
        count(version),
        Arc::new(StringArray::from(vec![trained.rule])),
        count(trained.records as i64),
        figure(model.prior),
        figure(model.prior_household),
        figure(model.name_dependence),
        figure(model.health.prior_spread),
        figure(given.sum()),
        figure(given.agreement()),
        figure(surname.sum()),
        figure(surname.agreement()),
        Arc::new(TimestampMicrosecondArray::from(vec![now]).with_timezone("UTC")),
        count(trained.decided as i64),
    ])?;
    let (mut of, mut level) = (Int64Builder::new(), Int64Builder::new());
    let (mut comparison, mut label) = (StringBuilder::new(), StringBuilder::new());
    let mut figures: [Float64Builder; 4] = std::array::from_fn(|_| Float64Builder::new());
    for (number, compared) in model.comparisons.iter().enumerate() {
        for (at, found) in compared.levels.iter().enumerate() {
            of.append_value(version);
            comparison.append_value(&compared.name);
            level.append_value(at as i64);
            label.append_value(trained.label(number, found));
            let bits = udfs::match_weight(found.same, found.chance).unwrap_or_default();
            let values = [found.same, found.household, found.chance, bits];
            figures.iter_mut().zip(values).for_each(|(column, value)| column.append_value(value));
        }
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(of.finish()),
        Arc::new(comparison.finish()),
        Arc::new(level.finish()),
        Arc::new(label.finish()),
    ];
    columns.extend(figures.map(|mut column| Arc::new(column.finish()) as ArrayRef));
    let weights = tables::MATCH_WEIGHTS.batch(columns)?;
    let (mut of, mut part) = (Int64Builder::new(), StringBuilder::new());
    let (mut name, mut people) = (Int64Builder::new(), Int64Builder::new());
    for (counts, of_part) in [given, surname].into_iter().zip(PARTS) {
        for (hash, number) in counts.names() {
            of.append_value(version);
            part.append_value(of_part);
            name.append_value(hash.cast_signed());
            people.append_value(i64::from(number));
        }
    }
    let frequencies = tables::MATCH_FREQUENCIES.batch(vec![
        Arc::new(of.finish()),
        Arc::new(part.finish()),
        Arc::new(name.finish()),
        Arc::new(people.finish()),
    ])?;
    Ok([models, weights, frequencies])
}

/// Reads the model that was trained for this version of the graph's definition, if there is one.
pub(crate) async fn load(
    lake: &Lake,
    published: &Published,
    rules: &Rules,
    version: u64,
) -> Result<Option<Model>> {
    let models = read_system_table(lake, published, &tables::MATCH_MODELS).await?;
    let Some(models) = models.first().filter(|models| integer(models, 0, 0) == version as i64)
    else {
        return Ok(None);
    };
    let kinds = rules.kinds().map(str::to_owned);
    let names = PERSON_NAMES.into_iter().map(str::to_owned).chain(kinds);
    let mut comparisons: Vec<ComparisonModel> =
        names.map(|name| ComparisonModel { name, levels: vec![] }).collect();
    for weights in read_system_table(lake, published, &tables::MATCH_WEIGHTS).await? {
        let names = tables::texts(weights.column(1))?;
        for row in 0..weights.num_rows() {
            let of = |comparison: &ComparisonModel| comparison.name == names.value(row);
            let at = comparisons.iter().position(of).ok_or_else(damaged)?;
            let levels = &mut comparisons[at].levels;
            let label = *labels(at).get(levels.len()).ok_or_else(damaged)?;
            if integer(&weights, 2, row) != levels.len() as i64 {
                return Err(damaged());
            }
            let [same, household, chance] = [4, 5, 6].map(|column| real(&weights, column, row));
            levels.push(LevelModel { label, same, household, chance });
        }
    }
    let mut people: [Vec<(u64, u32)>; 2] = Default::default();
    for counted in read_system_table(lake, published, &tables::MATCH_FREQUENCIES).await? {
        let parts = tables::texts(counted.column(1))?;
        for row in 0..counted.num_rows() {
            let at = PARTS.iter().position(|part| *part == parts.value(row));
            let name = integer(&counted, 2, row).cast_unsigned();
            people[at.ok_or_else(damaged)?].push((name, integer(&counted, 3, row) as u32));
        }
    }
    let figure = |column: usize| real(models, column, 0);
    let [given, surname] = people;
    Ok(Some(Model {
        comparisons,
        prior: figure(3),
        prior_household: figure(4),
        name_dependence: figure(5),
        frequencies: Arc::new(Frequencies {
            given: Counts::from_parts(given.into_iter(), figure(7), figure(8)),
            surname: Counts::from_parts(surname.into_iter(), figure(9), figure(10)),
        }),
        health: Health { prior_spread: figure(6), ..Health::default() },
    }))
}

fn integer(rows: &RecordBatch, column: usize, row: usize) -> i64 {
    rows.column(column).as_primitive::<Int64Type>().value(row)
}

fn real(rows: &RecordBatch, column: usize, row: usize) -> f64 {
    rows.column(column).as_primitive::<Float64Type>().value(row)
}

fn damaged() -> Error {
    Error::Corrupt {
        message: format!("the model in table \"{}\" is not whole", tables::MATCH_WEIGHTS.path),
        source: None,
    }
}
