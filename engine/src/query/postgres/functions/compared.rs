//! Functions that compare texts letter by letter, with a bound on the texts.
//!
//! What they take grows with the product of the lengths: one comparison of two texts of 16 MB would compute for hours, and
//! nothing can stop it within a value.

use std::sync::{Arc, LazyLock};

use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use super::checked::{Check, checked, with_check};
use super::failure;
use super::grown::bytes_of;
use crate::Error;
use crate::query::stop::check_current;

/// Bytes of a text that is compared at most.
const COMPARED_BYTES_MAX: u64 = 4096;

/// Those of onefold's own functions that compare texts whole. Those that tell how far people agree cut words to the length
/// of names, or take time by the length of the text.
const OWN: [&str; 2] = ["jaro_winkler", "osa_distance"];

/// Returns those of DataFusion's functions that compare.
pub(super) fn functions() -> Vec<ScalarUDF> {
    static FUNCTIONS: LazyLock<Vec<ScalarUDF>> =
        LazyLock::new(|| checked([("levenshtein", Short)]));
    FUNCTIONS.clone()
}

/// Returns onefold's own functions of values.
pub(in crate::query) fn own() -> Vec<Arc<ScalarUDF>> {
    static FUNCTIONS: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
        let bound = |function: ScalarUDF| match OWN.contains(&function.name()) {
            true => Arc::new(with_check(Arc::new(function), Short)),
            false => Arc::new(function),
        };
        udfs::interruptible(check_current).into_iter().map(bound).collect()
    });
    FUNCTIONS.clone()
}

/// Each text must be a short one.
#[derive(Debug)]
struct Short;

impl Check for Short {
    fn check(&self, function: &str, args: &ScalarFunctionArgs) -> Result<()> {
        let longest = |arg: &ColumnarValue| bytes_of(arg).0;
        if args.args.iter().map(longest).max() <= Some(COMPARED_BYTES_MAX) {
            return Ok(());
        }
        Err(failure(Error::Standard {
            sqlstate: "22023",
            message: format!("{function}() compares texts of {COMPARED_BYTES_MAX} bytes at most"),
            hint: "Compare the beginnings of the texts: left(text, 100).".to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_function() {
        let own = own();
        for name in OWN {
            assert!(own.iter().any(|function| function.name() == name), "{name}");
        }
        assert_eq!(functions().len(), 1);
    }
}
