//! `match_weight`: what an agreement of two records is worth.

use arrow::datatypes::DataType;

use crate::column::{Specification, floats};
use crate::numbers::{Numbers, number};

/// Least probability, so that every weight is finite.
const PROBABILITY_MIN: f64 = 1e-12;

pub(crate) fn specification() -> Specification {
    Specification {
        name: "match_weight",
        section: "Agreement",
        description: "Returns by how many bits an agreement moves the weight of a pair: the logarithm, to the base of two, of how much \
             likelier it is between records of one person (`m`) than between records of strangers (`u`), as `bits` of \
             `cdp.match_weights` has it. Null where one of the two is no probability.",
        parameters: const {
            &[
                number("m", "The probability of the agreement between records of one person."),
                number("u", "The probability of the agreement between records of strangers."),
            ]
        },
        required: 2,
        example: (&["0.96", "0.03"], "5"),
        returns: DataType::Float64,
        logical_type: None,
        evaluate: |arguments| {
            let (same, chance) = (Numbers::of(arguments, 0)?, Numbers::of(arguments, 1)?);
            let weight = |row| match_weight(same.get(row)?, chance.get(row)?);
            Ok(floats((0..arguments.rows()).map(weight)))
        },
    }
}

/// Returns how many bits an agreement is worth that has these probabilities between records of one person and of strangers.
pub fn match_weight(same: f64, chance: f64) -> Option<f64> {
    let is_probability = |value: f64| (0.0..=1.0).contains(&value);
    let bits = || (same.max(PROBABILITY_MIN) / chance.max(PROBABILITY_MIN)).log2();
    (is_probability(same) && is_probability(chance)).then(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_likelier_by_chance_speaks_against() {
        assert_eq!(match_weight(0.5, 0.125), Some(2.0));
        assert_eq!(match_weight(0.125, 0.5), Some(-2.0));
        assert_eq!(match_weight(0.3, 0.3), Some(0.0));
        assert!(match_weight(1.0, 0.0).is_some_and(|bits| bits > 39.0 && bits.is_finite()));
        for (same, chance) in [(1.1, 0.5), (0.5, -0.1), (f64::NAN, 0.5), (0.5, f64::INFINITY)] {
            assert_eq!(match_weight(same, chance), None, "{same} {chance}");
        }
    }
}
