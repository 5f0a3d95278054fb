//! What a FUZZY rule may ask for.

use crate::Result;
use crate::catalog::FuzzyRule;
use crate::identity::rules::invalid;
use crate::matching::{BlockKeys, KINDS_MAX, Kind};

/// Fails if a rule asks for what cannot be, in a graph with identifiers of these kinds.
pub(in crate::identity) fn check_fuzzy(rule: &FuzzyRule, kinds: &[Kind]) -> Result<()> {
    if kinds.len() > KINDS_MAX {
        return Err(invalid(
            format!("FUZZY compares at most {KINDS_MAX} kinds of identifiers, not {}", kinds.len()),
            "Leave out the kinds that fewest records carry.",
        ));
    }
    let scores = [Some(rule.score), rule.review_below, rule.household_score];
    if !scores.into_iter().flatten().all(|probability| (0.5..1.0).contains(&probability)) {
        return Err(invalid(
            format!("probabilities of rule \"{}\" are from 0.5 to below 1", rule.name),
            "Write SCORE >= 0.95 REVIEW BELOW 0.99 HOUSEHOLD SCORE >= 0.9.",
        ));
    }
    if rule.review_below.is_some_and(|below| below <= rule.score) {
        return Err(invalid(
            format!("rule \"{}\" has nothing to review", rule.name),
            "REVIEW BELOW is a higher probability than SCORE: what joins below it is listed.",
        ));
    }
    BlockKeys::new(&rule.block_on, kinds).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::Form;

    fn rule(score: f64, review_below: Option<f64>, household_score: Option<f64>) -> FuzzyRule {
        let (name, block_on) = ("same_person".to_owned(), vec![]);
        FuzzyRule { name, score, review_below, household_score, priority: 1_000, block_on }
    }

    #[test]
    fn it_asks_for_probabilities() {
        let checked = |score, below, household| {
            check_fuzzy(&rule(score, below, household), &[]).map_err(|error| error.to_string())
        };
        assert_eq!(checked(0.9, Some(0.99), Some(0.5)), Ok(()));
        let probable = "probabilities of rule \"same_person\" are from 0.5 to below 1";
        for (score, below, household) in [
            (0.4, None, None),
            (1.0, None, None),
            (f64::NAN, None, None),
            (0.9, Some(1.0), None),
            (0.9, None, Some(0.4)),
            (0.9, None, Some(1.0)),
        ] {
            assert_eq!(checked(score, below, household), Err(probable.to_owned()));
        }
        let nothing = "rule \"same_person\" has nothing to review";
        assert_eq!(checked(0.9, Some(0.9), None), Err(nothing.to_owned()));
    }

    #[test]
    fn it_compares_so_many_kinds() {
        let kind = |number| Kind { name: format!("k{number}"), form: Form::Code };
        let kinds = |count| (0..count).map(kind).collect::<Vec<_>>();
        assert!(check_fuzzy(&rule(0.9, None, None), &kinds(KINDS_MAX)).is_ok());
        assert!(check_fuzzy(&rule(0.9, None, None), &kinds(KINDS_MAX + 1)).is_err());
    }
}
