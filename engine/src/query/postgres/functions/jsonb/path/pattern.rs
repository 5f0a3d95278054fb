//! `like_regex`: a pattern that texts are held against.

use datafusion::common::Result;

use super::syntax::{syntax, unsupported};
use crate::query::postgres::functions::regexp::Regexp;

/// A pattern of a path, which is compiled when the path is read.
#[derive(Debug)]
pub(super) struct Pattern {
    written: String,
    flags: String,
    regexp: Regexp,
}

impl Pattern {
    /// Compiles a pattern with the flags of XQuery.
    ///
    /// # Errors
    /// SQLSTATE 42601 for a flag that there is not, and what a pattern that is none fails with.
    pub(super) fn new(written: String, flags: String) -> Result<Pattern> {
        if let Some(unknown) = flags.chars().find(|flag| !"ismxq".contains(*flag)) {
            return Err(syntax(format!(
                "unrecognized flag character \"{unknown}\" in LIKE_REGEX predicate"
            )));
        }
        if flags.contains('x') && !flags.contains('q') {
            return Err(unsupported("the flag \"x\" of like_regex"));
        }
        // A point stands for the end of a line with the flag `s` alone, and `^` and `$` for those of lines with `m`.
        let mut options = match (flags.contains('s'), flags.contains('m')) {
            (true, true) => "w",
            (true, false) => "s",
            (false, true) => "n",
            (false, false) => "p",
        }
        .to_owned();
        if flags.contains('i') {
            options.push('i');
        }
        let pattern = match flags.contains('q') {
            true => format!("***={written}"),
            false => written.clone(),
        };
        let regexp = Regexp::compile("like_regex", &pattern, &options)?;
        Ok(Pattern { written, flags, regexp })
    }

    /// Tells whether a text is like it.
    pub(super) fn is_like(&self, text: &str) -> Result<bool> {
        self.regexp.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.written, &self.flags) == (&other.written, &other.flags)
    }
}

impl Eq for Pattern {}
