//! Components of plain edges, from arbitrary 64-bit keys.
//!
//! The graph is that of an identity problem: records of one person hang together by identifiers of that person, there is
//! no giant component, and one edge of a hundred is part of a chain of [`CHAIN_EDGES`], which is what methods that spread
//! labels in rounds suffer from. Edges come in random order.

use engine::identity::components::components_from_u64_edges;

use crate::{Arguments, Outcome, Report};

const EDGES: u64 = 20_000_000;
const REPEAT: u32 = 5;
const CHAIN_EDGES: u64 = 60;
/// One edge in this many is part of a chain.
const CHAIN_SHARE: u64 = 100;
/// Keys of one person are numbered within this range.
const KEYS_PER_PERSON: u64 = 16;
const SEED: u64 = 42;

/// Measures the union core.
pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let edges = graph(arguments.number("edges", EDGES)?);
    let mut report = Report::new("union");
    for _ in 0..arguments.number("repeat", REPEAT)? {
        let found = report.measure(|| components_from_u64_edges(&edges));
        report
            .fact("edges", edges.len())
            .fact("keys", found.keys.len())
            .fact("components", found.count());
    }
    report.print();
    Ok(())
}

fn graph(count: u64) -> Vec<(u64, u64)> {
    let mut edges = Vec::with_capacity(count as usize + 2 * CHAIN_EDGES as usize);
    let mut person = 0;
    while (edges.len() as u64) < count - count / CHAIN_SHARE {
        let key = |number: u64| mixed(person * KEYS_PER_PERSON + number);
        let draw = mixed(SEED ^ person);
        // One to three records, each with an identifier that all share and one of up to three others.
        for record in 0..1 + draw % 3 {
            edges.push((key(record), key(8)));
            edges.push((key(record), key(9 + (draw >> 8 >> (record * 8)) % 3)));
        }
        person += 1;
    }
    let mut chained = u64::MAX / 2;
    while (edges.len() as u64) < count {
        edges.extend((chained..chained + CHAIN_EDGES).map(|at| (mixed(at), mixed(at + 1))));
        chained += CHAIN_EDGES + 1;
    }
    edges.truncate(count as usize);
    for at in (1..edges.len()).rev() {
        edges.swap(at, (mixed(SEED ^ (at as u64) << 20) % (at as u64 + 1)) as usize);
    }
    edges
}

/// A permutation of 64-bit numbers that looks random (the finalizer of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
