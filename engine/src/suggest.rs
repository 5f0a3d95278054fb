//! "Did you mean": the candidate nearest to a misspelt word.

/// Edits that a suggestion is away at most.
const EDITS_MAX: usize = 2;
/// Longer words are not compared, so that the work for one error is bounded.
const WORD_CHARS_MAX: usize = 64;

/// Returns the candidate that is nearest to `word`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(WORD_CHARS_MAX + 1).collect();
    if word.is_empty() || word.len() > WORD_CHARS_MAX {
        return None;
    }
    let allowed = if word.len() <= 3 { 1 } else { EDITS_MAX };
    candidates
        .into_iter()
        .map(|candidate| {
            let chars: Vec<char> = candidate.to_lowercase().chars().collect();
            (edits(&word, &chars), candidate)
        })
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns the optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours.
fn edits(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, &l) in left.iter().enumerate() {
        let mut row = vec![i + 1; right.len() + 1];
        for (j, &r) in right.iter().enumerate() {
            let replaced = last[j] + usize::from(l != r);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && l == right[j - 1] && left[i - 1] == r {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        let words = ["csv", "ndjson", "parquet", "segment"];
        for (word, expected) in [
            ("cvs", Some("csv")),
            ("SEGMNET", Some("segment")),
            ("paruqet", Some("parquet")),
            ("xml", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, words), expected, "{word}");
        }
    }
}
