//! Regular expressions as PostgreSQL reads them, for the engine that DataFusion has for them.
//!
//! A point stands for the end of a line, too, and the bounds of words are written `\m`, `\M` and `\y`. Patterns with what the
//! engine does not have, back references and conditions on what lies around, go to another one: see `regexp`.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::matched::{LIKE, REPLACE, found, holds, operators, replace};
use super::{bounded, failure};
use crate::Error;

/// Returns the functions that take a pattern.
pub(super) fn functions() -> Vec<ScalarUDF> {
    static FUNCTIONS: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
        let all = SessionStateDefaults::default_scalar_functions();
        let like = all.into_iter().filter(|function| function.name() == LIKE);
        let like = like.map(|inner| ScalarUDF::from(Patterned { inner }));
        let bounded = bounded::functions().into_iter().map(Arc::new);
        let bounded = bounded.filter(|function| function.name() == REPLACE);
        let signature = || Signature::user_defined(Volatility::Immutable);
        let replacing =
            bounded.map(|inner| ScalarUDF::from(Replacing { inner, signature: signature() }));
        like.chain(replacing).chain(operators()).collect()
    });
    FUNCTIONS.clone()
}

/// What an operator over a pattern is.
pub(in crate::query::postgres) enum Matching {
    /// Itself, with this on its right side.
    Operator(Expr),
    /// Something else.
    Call(Expr),
}

/// Plans an operator over a pattern; `None` if it is none, or stays as it stands.
pub(in crate::query::postgres) fn matching(
    op: &BinaryOperator,
    left: &Expr,
    right: &Expr,
) -> Result<Option<Matching>> {
    use BinaryOperator::{PGRegexIMatch, PGRegexMatch, PGRegexNotIMatch, PGRegexNotMatch};
    let (ignore_case, negated) = match op {
        PGRegexMatch => (false, false),
        PGRegexIMatch => (true, false),
        PGRegexNotMatch => (false, true),
        PGRegexNotIMatch => (true, true),
        _ => return Ok(None),
    };
    match right {
        Expr::Literal(value, metadata)
            if !value.try_as_str().flatten().is_some_and(looks_around) =>
        {
            let read = read_value(value)?;
            let pattern = read.map(|value| Expr::Literal(value, metadata.clone()));
            return Ok(pattern.map(Matching::Operator));
        }
        Expr::ScalarFunction(call) if call.name() == "similar_to_escape" => return Ok(None),
        _ => {}
    }
    let call = found(as_text(left), as_text(right), ignore_case);
    Ok(Some(Matching::Call(if negated { Expr::Not(Box::new(call)) } else { call })))
}

/// An expression, which is text if it is a parameter that nothing tells the type of.
fn as_text(expr: &Expr) -> Expr {
    match expr {
        Expr::Placeholder(parameter) if parameter.field.is_none() => {
            let text = Arc::new(Field::new("", DataType::Utf8, true));
            Expr::Placeholder(Placeholder::new_with_field(parameter.id.clone(), Some(text)))
        }
        other => other.clone(),
    }
}

/// Tells whether a pattern looks at what lies around, or back at what a group has matched.
pub(super) fn looks_around(pattern: &str) -> bool {
    let literal = pattern.starts_with("***=");
    if literal || !pattern.contains("(?") && !pattern.contains('\\') {
        return false;
    }
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.next().is_some_and(|letter| ('1'..='9').contains(&letter)) => {
                return true;
            }
            '[' => drop(class_of(&mut letters)),
            '(' if letters.next_if_eq(&'?').is_some() => match letters.next() {
                Some('=' | '!') => return true,
                Some('<') if matches!(letters.peek(), Some('=' | '!')) => return true,
                _ => {}
            },
            _ => {}
        }
    }
    false
}

/// Reads a class of letters behind its bracket, as the engine writes it.
pub(super) fn class_of(letters: &mut Peekable<Chars<'_>>) -> String {
    let mut reader = Reader { letters: letters.clone(), out: String::new(), points: false };
    reader.class();
    *letters = reader.letters;
    reader.out
}

/// As [`read`], of a constant; `None` if it stays as it is.
pub(super) fn read_value(value: &ScalarValue) -> Result<Option<ScalarValue>> {
    let Some(Some(pattern)) = value.try_as_str() else { return Ok(None) };
    let Cow::Owned(text) = read(pattern, true)? else { return Ok(None) };
    Ok(Some(match value {
        ScalarValue::Utf8View(_) => ScalarValue::Utf8View(Some(text)),
        ScalarValue::LargeUtf8(_) => ScalarValue::LargeUtf8(Some(text)),
        _ => ScalarValue::Utf8(Some(text)),
    }))
}

/// A pattern of PostgreSQL as one of the engine. A point stands for any letter if `any` is set, and for all but the end of a
/// line otherwise.
pub(super) fn read(pattern: &str, any: bool) -> Result<Cow<'_, str>> {
    if let Some(literal) = pattern.strip_prefix("***=") {
        return Ok(Cow::Owned(regex::escape(literal)));
    }
    let (given, rest) = options(pattern);
    // Most patterns are the same in both.
    if given.is_empty() && !rest.contains(['\\', '.', '[', '(']) {
        return Ok(Cow::Borrowed(pattern));
    }
    let mut reader = Reader { letters: rest.chars().peekable(), out: String::new(), points: false };
    reader.all()?;
    let mut flags = String::new();
    let mut any = any;
    for option in given.chars() {
        match option {
            'i' | 'x' => flags.push(option),
            's' => any = true,
            'n' | 'm' => {
                any = false;
                flags.push('m');
            }
            'w' => flags.push('m'),
            'p' => any = false,
            _ => {}
        }
    }
    if any && reader.points {
        flags.push('s');
    }
    if flags.is_empty() {
        return Ok(match reader.out == pattern {
            true => Cow::Borrowed(pattern),
            false => Cow::Owned(reader.out),
        });
    }
    Ok(Cow::Owned(format!("(?{flags}){}", reader.out)))
}

/// The options that a pattern begins with, as in `(?i)abc`, and the pattern behind them.
pub(super) fn options(pattern: &str) -> (&str, &str) {
    let found = pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')'));
    match found {
        Some((given, rest)) if given.bytes().all(|letter| letter.is_ascii_lowercase()) => {
            (given, rest)
        }
        _ => ("", pattern),
    }
}

/// Reads a pattern letter by letter.
struct Reader<'a> {
    letters: Peekable<Chars<'a>>,
    out: String,
    /// Whether there is a point that stands for a letter.
    points: bool,
}

impl Reader<'_> {
    fn all(&mut self) -> Result<()> {
        while let Some(letter) = self.letters.next() {
            match letter {
                '\\' => self.escaped()?,
                '[' => self.class(),
                '(' => {
                    self.out.push('(');
                    self.group()?;
                }
                '.' => {
                    self.points = true;
                    self.out.push('.');
                }
                other => self.out.push(other),
            }
        }
        Ok(())
    }

    fn escaped(&mut self) -> Result<()> {
        let Some(letter) = self.letters.next() else {
            self.out.push('\\');
            return Ok(());
        };
        match letter {
            'm' => self.out.push_str(r"\b{start}"),
            'M' => self.out.push_str(r"\b{end}"),
            'y' => self.out.push_str(r"\b"),
            'Y' => self.out.push_str(r"\B"),
            'Z' => self.out.push_str(r"\z"),
            '1'..='9' => return Err(not_built("back references")),
            other => self.out.extend(['\\', other]),
        }
        Ok(())
    }

    /// Refuses conditions on what lies before or behind.
    fn group(&mut self) -> Result<()> {
        let mut ahead = self.letters.clone();
        if ahead.next() != Some('?') {
            return Ok(());
        }
        match (ahead.next(), ahead.next()) {
            (Some('=' | '!'), _) => Err(not_built("look-ahead")),
            (Some('<'), Some('=' | '!')) => Err(not_built("look-behind")),
            _ => Ok(()),
        }
    }

    /// A class of letters, in which a bracket is a letter unless it names a class.
    fn class(&mut self) {
        for (name, bound) in [("[:<:]]", r"\b{start}"), ("[:>:]]", r"\b{end}")] {
            let mut ahead = self.letters.clone();
            if name.chars().all(|letter| ahead.next() == Some(letter)) {
                self.letters = ahead;
                self.out.push_str(bound);
                return;
            }
        }
        self.out.push('[');
        if self.letters.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        if self.letters.next_if_eq(&']').is_some() {
            self.out.push_str(r"\]");
        }
        while let Some(letter) = self.letters.next() {
            match letter {
                '\\' => {
                    self.out.push('\\');
                    self.out.extend(self.letters.next());
                }
                '[' if self.letters.peek() == Some(&':') => {
                    self.out.push('[');
                    for letter in self.letters.by_ref() {
                        self.out.push(letter);
                        if letter == ']' {
                            break;
                        }
                    }
                }
                '[' | '&' | '~' => self.out.extend(['\\', letter]),
                ']' => {
                    self.out.push(']');
                    return;
                }
                other => self.out.push(other),
            }
        }
    }
}

/// Says that patterns with this are refused.
pub(super) fn not_built(what: &str) -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "0A000",
        message: format!("regular expressions with {what} are not supported"),
        hint: "Write the pattern without, or combine several conditions with AND.".to_owned(),
    })
}

/// A function of DataFusion that reads its second argument as PostgreSQL does.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Patterned {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Patterned {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // It becomes an operator where its pattern is known.
        let [_, Expr::Literal(value, metadata)] = args.as_slice() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let mut read = args.clone();
        if value.try_as_str().flatten().is_some_and(looks_around) {
            return Ok(ExprSimplifyResult::Original(args));
        }
        if let Some(value) = read_value(value)? {
            read[1] = Expr::Literal(value, metadata.clone());
        }
        Ok(match self.inner.simplify(read, info)? {
            ExprSimplifyResult::Original(_) => ExprSimplifyResult::Original(args),
            simplified => simplified,
        })
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(pattern) = args.args.get_mut(1) {
            match pattern {
                ColumnarValue::Scalar(value)
                    if value.try_as_str().flatten().is_some_and(looks_around) =>
                {
                    return holds(self.name(), &args, "");
                }
                ColumnarValue::Scalar(value) => {
                    if let Some(read) = read_value(value)? {
                        *value = read;
                    }
                }
                ColumnarValue::Array(patterns) => match any_looks_around(patterns)? {
                    true => return holds(self.name(), &args, ""),
                    false => *patterns = read_all(patterns)?,
                },
            }
        }
        self.inner.invoke_with_args(args)
    }
}

/// `regexp_replace`: DataFusion's where both mean the same, which is fast.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Replacing {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for Replacing {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let text = types.first().filter(|given| given.is_string());
        Ok(text.cloned().unwrap_or(DataType::Utf8))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if !(3..=6).contains(&types.len()) {
            return plan_err!("function {REPLACE} does not take {} arguments", types.len());
        }
        let text = types.first().filter(|given| given.is_string());
        let text = text.cloned().unwrap_or(DataType::Utf8);
        let counted = types.len() > 4 || types.get(3).is_some_and(DataType::is_integer);
        let of = |(at, given): (usize, &DataType)| match at {
            3 | 4 if counted && (given.is_numeric() || given.is_null()) => Ok(DataType::Int64),
            3 | 4 if counted => {
                plan_err!("function {REPLACE} takes a number as argument {}", at + 1)
            }
            _ if given.is_string() || given.is_null() => Ok(text.clone()),
            _ => plan_err!("function {REPLACE} does not take {given} as argument {}", at + 1),
        };
        types.iter().enumerate().map(of).collect()
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [_, ColumnarValue::Scalar(pattern), ColumnarValue::Scalar(replacement)] =
            args.args.as_mut_slice()
        else {
            return replace(&args);
        };
        let plain = pattern.try_as_str().flatten().is_some_and(|pattern| !looks_around(pattern));
        if !plain || !replacement.try_as_str().flatten().is_some_and(means_the_same) {
            return replace(&args);
        }
        if let Some(read) = read_value(pattern)? {
            *pattern = read;
        }
        self.inner.invoke_with_args(args)
    }
}

/// Whether a replacement has nothing but letters and groups that are written `\1`.
fn means_the_same(replacement: &str) -> bool {
    let is_digit = |letter: char| letter.is_ascii_digit();
    let is_group = |behind: &str| {
        let mut letters = behind.chars();
        letters.next().is_some_and(|letter| ('1'..='9').contains(&letter))
            && !letters.next().is_some_and(is_digit)
    };
    !replacement.contains('$') && replacement.split('\\').skip(1).all(is_group)
}

fn any_looks_around(patterns: &ArrayRef) -> Result<bool> {
    let texts = cast(patterns, &DataType::Utf8)?;
    Ok(texts.as_string::<i32>().iter().flatten().any(looks_around))
}

fn read_all(patterns: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(patterns, &DataType::Utf8)?;
    let one = |pattern: Option<&str>| -> Result<Option<String>> {
        Ok(pattern.map(|pattern| read(pattern, true)).transpose()?.map(Cow::into_owned))
    };
    let all = texts.as_string::<i32>().iter().map(one).collect::<Result<StringArray>>()?;
    Ok(cast(&all, patterns.data_type())?)
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::{looks_around, means_the_same, read};

    #[test]
    fn patterns_that_look_around_are_told_from_others() {
        for pattern in [r"(a)\1", "a(?=b)", "a(?!b)", "(?<=a)b", "(?<!a)b", "[(]x(?=y)"] {
            assert!(looks_around(pattern), "{pattern}");
        }
        for pattern in ["a", r"\\1", "[(?=]", "(?:a)", "(?i)a", r"\(?=", "***=(?=", r"\d1"] {
            assert!(!looks_around(pattern), "{pattern}");
        }
        assert!(means_the_same(r"a\1-\2") && means_the_same("") && !means_the_same("$1"));
        assert!(!means_the_same(r"\&") && !means_the_same(r"\12") && !means_the_same(r"\\1"));
    }

    #[test]
    fn patterns_mean_what_they_mean_in_postgres() {
        for (text, pattern, expected) in [
            ("a\nb", "a.b", true),
            ("a\nb", "(?n)a.b", false),
            ("a\nb", "(?n)^b", true),
            ("a\nb", "^b", false),
            ("foo bar", r"\mbar\M", true),
            ("foobar", r"\mbar", false),
            ("foobar", r"\ybar", false),
            ("foobar", r"\Ybar", true),
            ("foo bar", "[[:<:]]bar[[:>:]]", true),
            ("a[b", "[[]b", true),
            ("a]b", "[]]b", true),
            ("a&&b", "[&&]{2}b", true),
            ("ABC", "(?i)abc", true),
            ("a.b", "***=a.b", true),
            ("axb", "***=a.b", false),
            ("x1", "[[:alpha:]][[:digit:]]", true),
            ("ab", "(?:a)b", true),
        ] {
            let read = read(pattern, true).unwrap();
            assert_eq!(Regex::new(&read).unwrap().is_match(text), expected, "{text} {pattern}");
            // What is read once more stays as it is.
            assert_eq!(super::read(&read, true).unwrap(), read, "{pattern}");
        }
        for pattern in [r"(a)\1", "a(?=b)", "a(?!b)", "(?<=a)b", "(?<!a)b"] {
            assert!(read(pattern, true).is_err(), "{pattern}");
        }
    }
}
