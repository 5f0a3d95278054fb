//! Measures the cores that no client can reach: components of plain edges, the resolution of people, commits, raw scans.
//!
//! `cores CORE --option value ...` runs one of them and prints one line of JSON for each thing measured, with the seconds of
//! every repetition: [`Report::print`]. `bench/run.py` builds it, runs it and reads these lines.
//!
//! ```text
//! union   --edges N --repeat N                          components_from_u64_edges over random 64-bit keys
//! resolve --records FILE --repeat N                     the constrained resolution, and plain components beside it
//! weigh   --records FILE --truth COLUMN --score P       a FUZZY rule: training, all records, one after the other
//! churn   --records FILE --score P                      how many records get another id while others come
//! commit  --folder DIR --files N --commits N            commits to a table of that many files, on local disk
//! scan    --lake DIR --sql TEXT --repeat N TABLE...     DataFusion over tables of a lake, with nobody hidden
//! ```

mod arguments;
mod churn;
mod commit;
mod report;
mod resolve;
mod scan;
mod union;
mod weigh;

use std::error::Error;

use arguments::Arguments;
use report::Report;

/// What goes wrong in a benchmark ends it.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Outcome<()> {
    let mut arguments = Arguments::parse(std::env::args().skip(1))?;
    let core =
        arguments.next().ok_or("name a core: union, resolve, weigh, churn, commit or scan")?;
    match core.as_str() {
        "union" => union::run(&arguments),
        "resolve" => resolve::run(&arguments),
        "weigh" => weigh::run(&arguments),
        "churn" => churn::run(&arguments),
        "commit" => runtime()?.block_on(commit::run(&arguments)),
        "scan" => runtime()?.block_on(scan::run(&arguments)),
        other => Err(format!("there is no core \"{other}\"").into()),
    }
}

fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
