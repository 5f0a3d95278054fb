//! Two people of one name in one household: father and son.
//!
//! Households are told apart by given names, and frequent names are rarer in a household than they are among strangers. That
//! does not hold for those who hand their name on. Whoever is called senior or junior has a namesake, who shares the surname,
//! mostly the address and often the telephone. So beside a record that has a suffix, one that has none is of either of the two,
//! whether or not the other one is a customer, and equal names and a common address tell nothing: what is left has to.

use super::clusters::TORN_BITS;
use super::score::Scorer;

/// Tells whether one of two groups of rows may be a namesake of the other one who lives with them: in just one of the two
/// somebody has a suffix, and no pair says by nine to one, its names left out, that it is of one person.
pub(crate) fn may_be_namesakes(scorer: &mut Scorer<'_>, left: &[u32], right: &[u32]) -> bool {
    let has_suffix = |rows: &[u32]| rows.iter().any(|&row| scorer.has_suffix(row));
    if has_suffix(left) == has_suffix(right) {
        return false;
    }
    let mut pairs = left.iter().flat_map(|&one| right.iter().map(move |&other| (one, other)));
    pairs.all(|(one, other)| scorer.against_namesake(one, other) < TORN_BITS)
}
