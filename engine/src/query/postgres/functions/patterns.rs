//! Regular expressions as PostgreSQL reads them, for the engine that DataFusion has for them.
//!
//! A point stands for the end of a line, too, and the bounds of words are written `\m`, `\M` and `\y`. What the engine does
//! not have, back references and conditions on what lies around, is refused as such.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::call::PgFunction;
use super::{Body, Function, Kind, bounded, failure};
use crate::Error;
use crate::query::postgres::facts::SessionFacts;

/// Reads a pattern that no literal is, row by row.
const READ: &str = "regexp_read";

pub(super) const FUNCTIONS: &[Function] = &[Function::new(
    READ,
    &[Kind::Text],
    "text",
    Body::Write(|call, row, out| {
        let Some(pattern) = call.text(0, row) else { return Ok(false) };
        out.push_str(&read(pattern, true)?);
        Ok(true)
    }),
)
.with(Volatility::Immutable)];

/// Functions of DataFusion whose second argument is a pattern.
const PATTERNED: [&str; 4] = ["regexp_like", "regexp_match", "regexp_count", "regexp_instr"];

/// Returns the functions that take a pattern.
pub(super) fn functions() -> Vec<ScalarUDF> {
    static FUNCTIONS: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
        let all = SessionStateDefaults::default_scalar_functions();
        let named = all.into_iter().filter(|function| PATTERNED.contains(&function.name()));
        let replacing = bounded::functions().into_iter().map(Arc::new);
        let replacing = replacing.filter(|function| function.name() == "regexp_replace");
        named.chain(replacing).map(|inner| ScalarUDF::from(Patterned { inner })).collect()
    });
    FUNCTIONS.clone()
}

/// The right side of an operator as a pattern of the engine; `None` if the operator takes none, or it is one as it stands.
pub(in crate::query::postgres) fn pattern_of(
    op: &BinaryOperator,
    right: &Expr,
    facts: &Arc<SessionFacts>,
) -> Result<Option<Expr>> {
    use BinaryOperator::{PGRegexIMatch, PGRegexMatch, PGRegexNotIMatch, PGRegexNotMatch};
    if !matches!(op, PGRegexMatch | PGRegexIMatch | PGRegexNotMatch | PGRegexNotIMatch) {
        return Ok(None);
    }
    let pattern = match right {
        Expr::Literal(value, metadata) => {
            let read = read_value(value)?;
            return Ok(read.map(|value| Expr::Literal(value, metadata.clone())));
        }
        Expr::ScalarFunction(call) if call.name() == "similar_to_escape" => return Ok(None),
        Expr::Placeholder(parameter) if parameter.field.is_none() => {
            let text = Arc::new(Field::new("", DataType::Utf8, true));
            let id = parameter.id.clone();
            Expr::Placeholder(Placeholder::new_with_field(id, Some(text)))
        }
        other => other.clone(),
    };
    let read = FUNCTIONS.first().map(|function| PgFunction::udf(function, facts));
    Ok(read.map(|read| read.call(vec![pattern])))
}

/// As [`read`], of a constant; `None` if it stays as it is.
fn read_value(value: &ScalarValue) -> Result<Option<ScalarValue>> {
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
fn options(pattern: &str) -> (&str, &str) {
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

fn not_built(what: &str) -> DataFusionError {
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
                ColumnarValue::Scalar(value) => {
                    if let Some(read) = read_value(value)? {
                        *value = read;
                    }
                }
                ColumnarValue::Array(patterns) => *patterns = read_all(patterns)?,
            }
        }
        self.inner.invoke_with_args(args)
    }
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

    use super::read;

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
