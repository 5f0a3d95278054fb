//! Laws: neither the order of arrival nor batches nor threads matter, and a seed gives one model.

use proptest::prelude::*;

use super::town::{Draw, town};
use super::{records, resolve};

fn sorted(mut keys: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    keys.sort_unstable();
    keys
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn order_batches_and_threads_do_not_matter(seed in any::<u64>(), per_batch in 1_usize..200, threads in 1_usize..4) {
        let (mut rows, _) = town(60, seed);
        let (model, _, keys) = resolve(&records(&rows, rows.len()), 1);
        let mut draw = Draw::new(seed ^ 1);
        for at in (1..rows.len()).rev() {
            rows.swap(at, draw.below(at as u64 + 1) as usize);
        }
        let (other_model, _, other_keys) = resolve(&records(&rows, per_batch), threads);
        prop_assert_eq!(model, other_model);
        prop_assert_eq!(sorted(keys), sorted(other_keys));
    }

    #[test]
    fn any_text_is_taken(texts in prop::collection::vec(".{0,12}|[0-9+ .-]{0,14}|[ab]@[ab.]{0,4}", 10..120)) {
        let rows: Vec<(u64, [String; 10])> = texts
            .chunks_exact(10)
            .zip(1..)
            .map(|(row, key)| (key, std::array::from_fn(|at| row[at].clone())))
            .collect();
        let records = records(&rows, 3);
        let (_, clusters, _) = resolve(&records, 2);
        prop_assert_eq!(clusters.roots.len(), rows.len());
        prop_assert!(clusters.roots.iter().zip(0..).all(|(root, row)| *root <= row));
    }
}
