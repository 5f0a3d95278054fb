//! Compiled patterns: those of the engine that takes linear time, and for the others, which look around or back, one that
//! backtracks.
//!
//! [`Regexp::compile`] chooses by the pattern alone. Both find the same: the leftmost match, and of several there the one
//! that the pattern prefers. The engine that backtracks fails when it has done so too often.

mod syntax;

use std::ops::{ControlFlow, Range};

use datafusion::common::{DataFusionError, Result};
use fancy_regex::{Captures, CompileError, RegexInput};
use regex::{CaptureLocations, Regex, RegexBuilder};

use super::failure;
use super::patterns::{looks_around, not_built, options, read};
use crate::Error;
use crate::query::stop::check_current;

/// Bytes that a compiled pattern may have.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Steps that a pattern may have that backtracks.
const STEPS_MAX: usize = 20_000;
/// How often it may backtrack in one search.
const BACKTRACKS_MAX: usize = 1_000_000;
/// The longest text that is searched at once by a pattern that backtracks. In a longer one each place is tried on its own: as
/// each may look at the whole text, the statement is asked in between whether it is to stop.
const AT_ONCE_BYTES_MAX: usize = 1 << 14;

/// What letters mean in a pattern.
#[derive(Debug, Clone, Copy)]
struct Options {
    /// A point, and a class that leaves letters out, stand for the end of a line, too.
    any: bool,
    /// `^` and `$` stand for the ends of lines, too.
    lines: bool,
    ignore_case: bool,
    /// Blanks and comments mean nothing.
    expanded: bool,
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) enum Regexp {
    /// It takes linear time.
    Plain(Regex),
    /// It backtracks.
    Backtracking(fancy_regex::Regex),
}

/// Where a match and its groups are.
pub(super) struct Groups<'a>(&'a [Option<usize>]);

impl Groups<'_> {
    /// The place of a group that has matched; 0 is the match as a whole.
    pub(super) fn get(&self, group: usize) -> Option<Range<usize>> {
        let start = self.0.get(2 * group).copied().flatten()?;
        Some(start..self.0.get(2 * group + 1).copied().flatten()?)
    }

    /// The place of the match as a whole.
    pub(super) fn whole(&self) -> Range<usize> {
        self.get(0).unwrap_or(0..0)
    }
}

impl Regexp {
    /// Compiles a pattern with the options of a call.
    pub(super) fn compile(function: &str, pattern: &str, flags: &str) -> Result<Regexp> {
        for flag in flags.chars() {
            if !"icnmwspxt".contains(flag) {
                return Err(failure(Error::Standard {
                    sqlstate: "22023",
                    message: format!("invalid regular expression option: \"{flag}\""),
                    hint: format!("{function}() takes the options i, c, n, m, s, p, w and x."),
                }));
            }
        }
        if !looks_around(pattern) {
            return plain(pattern, flags);
        }
        let (given, rest) = options(pattern);
        let mut options = Options { any: true, lines: false, ignore_case: false, expanded: false };
        for option in flags.chars().chain(given.chars()) {
            match option {
                'i' => options.ignore_case = true,
                'c' => options.ignore_case = false,
                'n' | 'm' => (options.any, options.lines) = (false, true),
                'p' => (options.any, options.lines) = (false, false),
                'w' => (options.any, options.lines) = (true, true),
                's' => (options.any, options.lines) = (true, false),
                'x' => options.expanded = true,
                'e' | 't' => {}
                _ => return Err(invalid()),
            }
        }
        let built = fancy_regex::RegexBuilder::new(&syntax::translate(rest, options)?)
            .case_insensitive(options.ignore_case)
            .multi_line(options.lines)
            .dot_matches_new_line(options.any)
            .backtrack_limit(BACKTRACKS_MAX)
            .delegate_size_limit(PATTERN_BYTES_MAX)
            .max_prog_size(STEPS_MAX)
            .build();
        built.map(Regexp::Backtracking).map_err(|error| refused(&error))
    }

    /// The number of groups, the match as a whole counted.
    pub(super) fn groups(&self) -> usize {
        match self {
            Regexp::Plain(regex) => regex.captures_len(),
            Regexp::Backtracking(regex) => regex.captures_len(),
        }
    }

    /// Tells whether the pattern is found in a text.
    pub(super) fn is_match(&self, text: &str) -> Result<bool> {
        match self {
            Regexp::Plain(regex) => Ok(regex.is_match(text)),
            Regexp::Backtracking(regex) => Ok(begin_of_match(regex, text, 0)?.is_some()),
        }
    }

    /// Hands on each match that begins at a byte or behind it, until `take` breaks off. As in PostgreSQL an empty match may
    /// stand where another one has ended.
    pub(super) fn each(
        &self,
        text: &str,
        from: usize,
        mut take: impl FnMut(&Groups<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let mut finder = Finder::of(self);
        let mut at = from;
        while at <= text.len() && finder.find_at(text, at)? {
            let groups = Groups(&finder.slots);
            let whole = groups.whole();
            if take(&groups)?.is_break() {
                break;
            }
            at = match whole.is_empty() {
                true => whole.end + text[whole.end..].chars().next().map_or(1, char::len_utf8),
                false => whole.end,
            };
        }
        Ok(())
    }
}

fn plain(pattern: &str, flags: &str) -> Result<Regexp> {
    // In PostgreSQL a dot is any letter, the ends of lines included, unless a flag says otherwise.
    let any = !flags.contains(['n', 'm', 'p']);
    let mut builder = RegexBuilder::new(&read(pattern, any)?);
    builder.size_limit(PATTERN_BYTES_MAX);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'c' => builder.case_insensitive(false),
            'n' | 'm' | 'w' => builder.multi_line(true),
            's' => builder.multi_line(false),
            'x' => builder.ignore_whitespace(true),
            _ => &mut builder,
        };
    }
    builder.build().map(Regexp::Plain).map_err(|_| invalid())
}

/// Where the leftmost match begins that begins at a byte or behind it.
fn begin_of_match(regex: &fancy_regex::Regex, text: &str, at: usize) -> Result<Option<usize>> {
    if text.len() <= AT_ONCE_BYTES_MAX {
        let found = regex.find_from_pos(text, at).map_err(|_| too_much())?;
        return Ok(found.map(|found| found.start()));
    }
    let places = text[at..].char_indices().map(|(place, _)| at + place).chain([text.len()]);
    for place in places {
        check_current()?;
        let input = RegexInput::new(text).from_pos(place).anchored(true);
        if regex.find_input(input).map_err(|_| too_much())?.is_some() {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// The leftmost match that begins at a byte or behind it, with its groups.
fn captures<'t>(
    regex: &fancy_regex::Regex,
    text: &'t str,
    at: usize,
) -> Result<Option<Captures<'t, str>>> {
    let found = match text.len() <= AT_ONCE_BYTES_MAX {
        true => regex.captures_from_pos(text, at),
        false => {
            let Some(begin) = begin_of_match(regex, text, at)? else { return Ok(None) };
            regex.captures_input(RegexInput::new(text).from_pos(begin).anchored(true))
        }
    };
    found.map_err(|_| too_much())
}

/// Says that a pattern is none.
fn invalid() -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "2201B",
        message: "invalid regular expression".to_string(),
        hint: "Close every bracket, and escape what stands for itself.".to_string(),
    })
}

/// Says why a pattern that was translated does not compile.
fn refused(error: &fancy_regex::Error) -> DataFusionError {
    let fancy_regex::Error::CompileError(error) = error else { return invalid() };
    match error.as_ref() {
        CompileError::PatternTooComplex => too_complex(),
        CompileError::InnerError(inner) if inner.size_limit().is_some() => too_complex(),
        CompileError::DfaBuildError(..)
        | CompileError::FeatureNotYetSupported(_)
        | CompileError::LookBehindNotConst => not_built("a look-behind of this form"),
        _ => invalid(),
    }
}

fn too_complex() -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "2201B",
        message: "invalid regular expression: regular expression is too complex".to_string(),
        hint: "Repeat less, or repeat less within what is repeated.".to_string(),
    })
}

fn too_much() -> DataFusionError {
    failure(Error::Limit {
        sqlstate: "54001",
        message: "the regular expression takes too many steps on a text".to_string(),
        hint: "Repeat nothing within what is repeated, or write the pattern without (?=, (?!, (?<= and back references.".to_string(),
    })
}

/// The pattern of the row before, which mostly is that of all rows.
#[derive(Default)]
pub(super) struct Compiled(Option<(String, String, Regexp)>);

impl Compiled {
    /// Compiles a pattern with the options of a call, unless it was the last one.
    pub(super) fn of(&mut self, function: &str, pattern: &str, flags: &str) -> Result<&Regexp> {
        let known = self.0.take().filter(|(p, f, _)| p == pattern && f == flags);
        let compiled = match known {
            Some(compiled) => compiled,
            None => {
                let regexp = Regexp::compile(function, pattern, flags)?;
                (pattern.to_owned(), flags.to_owned(), regexp)
            }
        };
        Ok(&self.0.insert(compiled).2)
    }
}

/// Finds the matches of a text one after the other.
struct Finder<'a> {
    slots: Vec<Option<usize>>,
    engine: Engine<'a>,
}

enum Engine<'a> {
    Plain(&'a Regex, CaptureLocations),
    Backtracking(&'a fancy_regex::Regex),
}

impl<'a> Finder<'a> {
    fn of(regexp: &'a Regexp) -> Self {
        let engine = match regexp {
            Regexp::Plain(regex) => Engine::Plain(regex, regex.capture_locations()),
            Regexp::Backtracking(regex) => Engine::Backtracking(regex),
        };
        Self { slots: vec![None; 2 * regexp.groups()], engine }
    }

    fn find_at(&mut self, text: &str, at: usize) -> Result<bool> {
        match &mut self.engine {
            Engine::Plain(regex, places) => {
                let found = regex.captures_read_at(places, text, at).is_some();
                note(&mut self.slots, |group| places.get(group).filter(|_| found));
                Ok(found)
            }
            Engine::Backtracking(regex) => {
                check_current()?;
                let found = captures(regex, text, at)?;
                note(&mut self.slots, |group| {
                    let place = found.as_ref()?.get(group)?;
                    Some((place.start(), place.end()))
                });
                Ok(found.is_some())
            }
        }
    }
}

fn note(slots: &mut [Option<usize>], place: impl Fn(usize) -> Option<(usize, usize)>) {
    for (group, slots) in slots.chunks_exact_mut(2).enumerate() {
        let place = place(group);
        slots[0] = place.map(|(start, _)| start);
        slots[1] = place.map(|(_, end)| end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of all matches, with those of their groups.
    fn found(text: &str, pattern: &str, flags: &str) -> Vec<String> {
        let regexp = Regexp::compile("regexp_matches", pattern, flags).unwrap();
        let mut all = Vec::new();
        regexp
            .each(text, 0, |groups| {
                let parts = (0..regexp.groups()).map(|group| {
                    groups.get(group).map_or_else(|| "~".to_owned(), |at| text[at].to_owned())
                });
                all.push(parts.collect::<Vec<_>>().join("|"));
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        all
    }

    #[test]
    fn patterns_look_around_and_back() {
        let check = |text: &str, pattern: &str, flags: &str, expected: &[&str]| {
            assert_eq!(found(text, pattern, flags), expected, "{text} {pattern}");
        };
        check("foobar foobaz", "foo(?=baz)", "", &["foo"]);
        check("foobar foobaz", "foo(?!baz)...", "", &["foobar"]);
        check("100 EUR 200 USD", r"\d+(?= USD)", "", &["200"]);
        check("a1 b2 c3", r"(?<=b)\d", "", &["2"]);
        check("a1 b2 c3", r"(?<!b)\d", "", &["1", "3"]);
        check("price: 12", r"(?<=price:\s*)\d+", "", &["12"]);
        check("abba xyyx", r"(\w)(\w)\2\1", "", &["abba|a|b", "xyyx|x|y"]);
        check("aAbb", r"(\w)\1", "i", &["aA|a", "bb|b"]);
        check("aAbb", r"(\w)\1", "", &["bb|b"]);
        check("the the cat", r"\m(\w+)\s+\1\M", "", &["the the|the"]);
        check("a\nb", r"a(?=.b)", "", &["a"]);
        check("a\nb", r"a(?=.b)", "n", &[]);
        check("a\nb", r"(?n)^b(?!c)", "", &["b"]);
        check("aab", r"(?:a|ab)(?!b)", "", &["a", "ab"]);
        check("aaa", r"(a*?)(?=a$)", "", &["aa|aa", "|"]);
        check("xaby", r"(?=(a)b)a", "", &["a"]);
        check("1234567", r"\d(?=(?:\d{3})+$)", "", &["1", "4"]);
        check("ab12", "(?i)[A-C](?=B)", "", &["a"]);
        check("a.b", r"[^.](?=\.)", "", &["a"]);
        check("aXbX", "(?x) [a-z] # a letter\n (?=X)", "", &["a", "b"]);
        check("", r"(?!a)", "", &[""]);
        check("()", r"\((?=\))", "", &["("]);
        check("żó", r"ż(?=ó)", "", &["ż"]);
        check("aa stops", r"(?:a*)*(?= stops)", "", &["aa", ""]);
    }

    #[test]
    fn letters_by_numbers_and_classes_mean_what_they_mean_in_postgres() {
        let check = |text: &str, pattern: &str, flags: &str, expected: &[&str]| {
            assert_eq!(found(text, pattern, flags), expected, "{text} {pattern}");
        };
        check("a\n", r"(a)\12", "", &["a\n|a"]);
        check("a1", r"(a)(?:\1|1)", "", &["a1|a"]);
        check("AB", r"\x41(?=\u0042)", "", &["A"]);
        check(r"a\b", r"a\B(?=b)", "", &[r"a\"]);
        check("a]b", r"[]](?=b)", "", &["]"]);
        check("\nb", "[^a](?=b)", "n", &[]);
        check("\nb", "[^a](?=b)", "", &["\n"]);
        check("a{b", "a{(?=b)", "", &["a{"]);
        check("aaab", "a{2}?(?=ab)", "", &["aa"]);
        check("ab#", "(?x) b (?= \\# )", "", &["b"]);
        check("a-b", "(?<=-(?#comment))b", "", &["b"]);
        check("foo bar", r"(?<=\mfoo )bar", "", &["bar"]);
    }

    #[test]
    fn long_texts_are_searched_place_by_place() {
        let text = format!("{}żab ab", "x".repeat(AT_ONCE_BYTES_MAX));
        assert_eq!(found(&text, r"(a)(?=b)", ""), ["a|a", "a|a"]);
        assert_eq!(found(&text, r"(?<=ż)a", ""), ["a"]);
        assert_eq!(found(&text, r"b(?!.)", ""), ["b"]);
        assert!(Regexp::compile("regexp_like", r"(x)\1y", "").unwrap().is_match(&text).is_ok());
    }

    #[test]
    fn an_empty_match_may_follow_another_one() {
        assert_eq!(found("abc", "b*", ""), ["", "b", "", ""]);
        assert_eq!(found("abc", "b*(?!x)", ""), ["", "b", "", ""]);
    }

    #[test]
    fn patterns_that_are_none_are_refused() {
        for pattern in [
            r"(a)\2",
            "(?=a",
            "a(?=b)*",
            r"(?=\1)(a)",
            "(?!a))",
            "(?=a)(*b)",
            r"(a)\1[",
            r"(a)\1{2,1}",
            r"(a\1)",
            r"(a)\1++",
            r"(?<n>a)\1",
            r"(a)(?>b)\1",
            "^*(?=a)",
            "a{1}{2}(?=b)",
            r"(a)\1\q",
            r"(a)\1[\h]",
            r"(?<=\ma+)b",
        ] {
            let refused = Regexp::compile("regexp_match", pattern, "");
            assert!(refused.is_err(), "{pattern}");
        }
        assert!(Regexp::compile("regexp_match", "a", "g").is_err());
    }

    #[test]
    fn what_takes_too_many_steps_fails() {
        let regexp = Regexp::compile("regexp_match", r"(?:a|aa)+(?=b)\Z", "").unwrap();
        let text = "a".repeat(60);
        assert!(regexp.is_match(&text).is_err());
        assert!(!regexp.is_match("aaa").unwrap());
    }
}
