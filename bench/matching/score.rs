//! How well clusters agree with the truth.

use std::collections::HashMap;
use std::hash::Hash;

use serde_json::{Value, json};

/// Compares clusters with people, of which each record has one of each: pairwise over all pairs, B-cubed over records, and
/// the largest cluster.
pub(crate) fn score(records: &[(u32, &str)]) -> Value {
    let mut cells: HashMap<(u32, &str), u64> = HashMap::new();
    for record in records {
        *cells.entry(*record).or_default() += 1;
    }
    let by_cluster = sums(cells.iter().map(|((cluster, _), count)| (*cluster, *count)));
    let by_person = sums(cells.iter().map(|((_, person), count)| (*person, *count)));
    let right: u64 = cells.values().map(|count| pairs(*count)).sum();
    let predicted: u64 = by_cluster.values().map(|count| pairs(*count)).sum();
    let true_pairs: u64 = by_person.values().map(|count| pairs(*count)).sum();
    let (precision, recall) = (ratio(right, predicted), ratio(right, true_pairs));
    let (mut cubed_precision, mut cubed_recall) = (0.0, 0.0);
    for ((cluster, person), count) in &cells {
        let count = *count as f64;
        cubed_precision += count * count / by_cluster[cluster] as f64;
        cubed_recall += count * count / by_person[person] as f64;
    }
    let records = records.len().max(1) as f64;
    let (cubed_precision, cubed_recall) = (cubed_precision / records, cubed_recall / records);
    let mut people: HashMap<u32, u64> = HashMap::new();
    cells.keys().for_each(|(cluster, _)| *people.entry(*cluster).or_default() += 1);
    json!({
        "pair_precision": precision, "pair_recall": recall, "pair_f1": mean(precision, recall),
        "b3_precision": cubed_precision, "b3_recall": cubed_recall, "b3_f1": mean(cubed_precision, cubed_recall),
        "clusters": by_cluster.len(), "people": by_person.len(), "largest": by_cluster.values().max(),
        "largest_people": people.values().max(),
    })
}

fn sums<K: Eq + Hash>(cells: impl Iterator<Item = (K, u64)>) -> HashMap<K, u64> {
    let mut sums = HashMap::new();
    for (key, count) in cells {
        *sums.entry(key).or_default() += count;
    }
    sums
}

fn pairs(count: u64) -> u64 {
    count * (count - 1) / 2
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

fn mean(precision: f64, recall: f64) -> f64 {
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}
