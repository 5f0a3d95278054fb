//! Runs the probabilistic matcher over a table of records and prints what it found, and what that took, as one line of JSON.
//!
//! ```text
//! matching --records FILE --person name=COLUMN,birth_date=COLUMN,... --identifiers email:COLUMN,phone:COLUMN,...
//!          [--key COLUMN] [--record COLUMN] [--truth COLUMN] [--clusters FILE]
//!          [--threshold P] [--seed N] [--threads N] [--model trained-before] [--explain N]
//! ```
//!
//! `FILE` is Parquet or CSV. Fields of a person are those of [`engine::matching::PersonField`]; the forms of identifiers
//! are `email`, `phone`, `code` and `opaque`. Rows that agree on `--record` are versions of one record and always belong
//! together. With `--truth` the clusters are compared with the people of that column: pairs, B-cubed, the largest cluster.

#[path = "../cores/arguments.rs"]
mod arguments;
mod score;
mod table;

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::io::Write;
use std::time::Instant;

use arrow::array::{Array, StringArray};
use engine::matching::{Clusters, Matcher, Model, Options, Overrides, Records, explain};
use serde_json::{Map, Value, json};

use arguments::Arguments;
use table::{Table, text_at};

/// What goes wrong in a benchmark ends it.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Outcome<()> {
    let mut arguments = Arguments::parse(std::env::args().skip(1))?;
    if let Some(word) = arguments.next() {
        let others: String = arguments.words().map(|word| format!(" {word}")).collect();
        return Err(format!("{word}{others}: everything is an option here").into());
    }
    let options = Options {
        seed: arguments.number("seed", Options::default().seed)?,
        threads: arguments.number("threads", std::thread::available_parallelism()?.get())?,
        threshold: arguments.number("threshold", Options::default().threshold)?,
    };
    let mut clock = Clock::start();
    let (table, mut records) = Table::read(&arguments, options.threads)?;
    records.sort(options.threads);
    clock.lap("normalise");
    let matcher = Matcher::new(&records, options);
    clock.lap("block");
    let model = matcher.train();
    clock.lap("train");
    let edges = matcher.edges(&model);
    clock.lap("weigh");
    let overrides = Overrides { always: versions(&table, &records), never: Vec::new() };
    let clusters = matcher.cluster(&model, edges, &overrides);
    clock.lap("cluster");
    let seconds = clock.finish();
    explain_some(&arguments, &table, &records, &matcher, &model)?;
    let roots = by_arrival(&records, &clusters);
    write_clusters(&arguments, &table, &roots)?;
    let mut figures = Map::new();
    figures.insert("records".to_owned(), json!(records.len()));
    figures.insert("seconds".to_owned(), seconds);
    figures.insert("peak_bytes".to_owned(), json!(peak_bytes()));
    figures.insert("edges".to_owned(), json!(clusters.edges));
    figures.insert("cut".to_owned(), cuts(&clusters));
    figures.insert("rules".to_owned(), rules(&matcher));
    figures.insert("model".to_owned(), describe(&model));
    if let Some(truth) = &table.truth {
        figures.insert("score".to_owned(), score::score(&known(&table, &roots, truth)));
    }
    println!("{}", Value::Object(figures));
    Ok(())
}

/// Seconds between one lap and the next.
struct Clock {
    begun: Instant,
    last: Instant,
    laps: Map<String, Value>,
}

impl Clock {
    fn start() -> Self {
        Self { begun: Instant::now(), last: Instant::now(), laps: Map::new() }
    }

    fn lap(&mut self, name: &str) {
        self.laps.insert(name.to_owned(), json!(self.last.elapsed().as_secs_f64()));
        self.last = Instant::now();
    }

    fn finish(mut self) -> Value {
        self.laps.insert("total".to_owned(), json!(self.begun.elapsed().as_secs_f64()));
        Value::Object(self.laps)
    }
}

/// Returns pairs of rows that are versions of one record.
fn versions(table: &Table, records: &Records) -> Vec<(u32, u32)> {
    let Some(versions) = &table.versions else { return Vec::new() };
    let mut first: HashMap<&str, u32> = HashMap::new();
    let mut pairs = Vec::new();
    for row in 0..records.len() as u32 {
        let of = text_at(versions, records.arrival(row) as usize);
        let known = *first.entry(of).or_insert(row);
        if known != row {
            pairs.push((known, row));
        }
    }
    pairs
}

/// Returns cluster and person of each record of which the person is known; versions of one record count once.
fn known<'a>(table: &Table, roots: &[u32], truth: &'a StringArray) -> Vec<(u32, &'a str)> {
    let mut seen = HashSet::new();
    let rows = (0..truth.len()).filter(|&row| !text_at(truth, row).is_empty());
    let is_first = |&row: &usize| {
        table.versions.as_ref().is_none_or(|versions| seen.insert(text_at(versions, row)))
    };
    rows.filter(is_first).map(|row| (roots[row], text_at(truth, row))).collect()
}

/// Returns the cluster of each record, in the order of the file.
fn by_arrival(records: &Records, clusters: &Clusters) -> Vec<u32> {
    let mut roots = vec![0; records.len()];
    for (row, root) in (0..).zip(&clusters.roots) {
        roots[records.arrival(row) as usize] = *root;
    }
    roots
}

fn write_clusters(arguments: &Arguments, table: &Table, roots: &[u32]) -> Outcome<()> {
    let Ok(path) = arguments.required("clusters") else { return Ok(()) };
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    writeln!(file, "key,cluster")?;
    for (row, root) in roots.iter().enumerate() {
        writeln!(file, "{},{root}", table.name(row))?;
    }
    Ok(file.flush()?)
}

/// Writes the waterfalls of pairs that are named on the command line, as `key:key,key:key`.
fn explain_some(
    arguments: &Arguments,
    table: &Table,
    records: &Records,
    matcher: &Matcher<'_>,
    model: &Model,
) -> Outcome<()> {
    let Ok(pairs) = arguments.required("explain") else { return Ok(()) };
    let rows: HashMap<_, u32> = (0..records.len() as u32)
        .map(|row| (table.name(records.arrival(row) as usize), row))
        .collect();
    let mut scorer = matcher.scorer(model);
    for pair in pairs.split(',') {
        let (left, right) = pair.split_once(':').ok_or("pairs are key:key")?;
        let row =
            |key: &str| rows.get(key).copied().ok_or_else(|| format!("there is no record {key}"));
        let (steps, weight) = explain(&mut scorer, row(left)?, row(right)?);
        for step in steps {
            eprintln!("{pair} {:>8.2} {} {}", step.bits, step.name, step.label);
        }
        eprintln!(
            "{pair} {:>8.2} = same; household {:.2}, evidence {:.2}",
            weight.same, weight.household, weight.evidence
        );
    }
    Ok(())
}

/// Counts pairs that were cut, by reason.
fn cuts(clusters: &Clusters) -> Value {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for cut in &clusters.cut {
        *counts.entry(format!("{:?}", cut.cut)).or_default() += 1;
    }
    json!(counts)
}

fn rules(matcher: &Matcher<'_>) -> Value {
    let reports = matcher.block_reports();
    let rules = reports.iter().map(|report| {
        json!({
            "rule": report.rule, "blocks": report.blocks, "pairs": report.pairs, "refined": report.refined_records,
            "windowed": report.windowed_records, "dropped": report.dropped_records,
        })
    });
    rules.collect()
}

fn describe(model: &Model) -> Value {
    let comparisons: Map<String, Value> = model
        .comparisons
        .iter()
        .map(|comparison| {
            let levels = comparison.levels.iter();
            let levels =
                levels.map(|level| json!([level.label, level.same, level.household, level.chance]));
            (comparison.name.clone(), levels.collect())
        })
        .collect();
    let identifiers: Vec<Value> = model
        .health
        .identifiers
        .iter()
        .map(|health| {
            json!({ "name": health.name, "personal": health.personal, "shared": health.shared, "prior": health.prior })
        })
        .collect();
    json!({
        "prior": model.prior, "prior_household": model.prior_household, "name_dependence": model.name_dependence, "comparisons": comparisons,
        "identifiers": identifiers, "rule_priors": model.health.rules, "prior_spread": model.health.prior_spread,
    })
}

/// Returns the most memory that this process has had, where the system tells.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}
