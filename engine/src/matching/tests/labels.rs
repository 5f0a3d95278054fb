//! What people decided about pairs moves a model the way that they decided, and what they did not decide moves nothing.

use proptest::prelude::*;

use super::records;
use super::town::town;
use crate::matching::{Labels, Matcher, Model, Options, Records};

const GIVEN: usize = 0;

/// Pairs of records with one mailbox and two given names, of which nobody could say without asking whether they are one
/// person's.
fn asked(rows: &[(u64, [String; 10])]) -> Vec<(u64, u64)> {
    let mut pairs = Vec::new();
    for (at, (left, one)) in rows.iter().enumerate() {
        for (right, other) in &rows[at + 1..] {
            let named = !one[0].is_empty() && !other[0].is_empty();
            if named && one[0] != other[0] && !one[6].is_empty() && one[6] == other[6] {
                pairs.push((*left, *right));
            }
        }
    }
    pairs
}

fn trained(records: &Records, pairs: &[(u64, u64)], same: bool) -> Model {
    let matcher = Matcher::new(records, Options { threads: 2, ..Options::default() });
    matcher.train_with(&Labels::new(pairs.iter().map(|&(left, right)| (left, right, same))))
}

/// The bits of the first of these pairs by a model.
fn bits(records: &Records, model: &Model, (left, right): (u64, u64)) -> f32 {
    let row = |key: u64| (0..records.len() as u32).find(|&row| records.key(row) == key).unwrap();
    let matcher = Matcher::new(records, Options::default());
    matcher.scorer(model).weigh(row(left), row(right)).same
}

#[test]
fn answers_move_a_model_the_way_that_they_say() {
    for seed in 1..=3 {
        let (rows, _) = town(200, seed);
        let (records, pairs) = (records(&rows, 500), asked(&rows));
        assert!(pairs.len() > 10, "{} pairs", pairs.len());
        let guessed = trained(&records, &[], true);
        let (same, different) = (trained(&records, &pairs, true), trained(&records, &pairs, false));
        let disagree = |model: &Model| model.comparisons[GIVEN].levels[0].same;
        assert!(disagree(&same) > disagree(&guessed), "one person has several names");
        assert!(disagree(&same) > disagree(&different), "one person has one name");
        let all = |model: &Model| {
            pairs.iter().map(|pair| f64::from(bits(&records, model, *pair))).sum::<f64>()
        };
        assert!(all(&same) > all(&different), "seed {seed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn without_answers_a_model_is_what_it_is(seed in any::<u64>()) {
        let (rows, _) = town(60, seed);
        let records = records(&rows, 500);
        let matcher = Matcher::new(&records, Options::default());
        let model = matcher.train();
        prop_assert_eq!(&matcher.train_with(&Labels::default()), &model);
        // Nor does it move by what was said of records that are not there.
        let elsewhere = [(1, 2, true), (records.key(0), 3, false)];
        prop_assert_eq!(&matcher.train_with(&Labels::new(elsewhere)), &model);
    }
}

#[test]
fn the_last_word_on_a_pair_counts_whichever_record_comes_first() {
    let labels = Labels::new([(1, 2, true), (2, 1, false), (3, 4, true)]);
    assert_eq!((labels.len(), labels.is_empty()), (2, false));
}
