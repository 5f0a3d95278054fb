//! What PostgreSQL's functions over patterns make of matches, and `~` where its pattern is not known when a statement is
//! planned or looks around.

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListBuilder, StringArray, StringBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, binary_expr,
};

use super::bounded::{BATCH_BYTES_MAX, VALUE_BYTES_MAX, too_large};
use super::found::{invalid_value, place};
use super::patterns::{looks_around, read_value};
use super::regexp::{Compiled, Groups};
use super::split::PARTS_MAX;
use super::{Body, Call, Function, Kind, failure};
use crate::Error;
use crate::query::stop::{check_current, fold};

const MATCH: &str = "regexp_match";
const COUNT: &str = "regexp_count";
const INSTR: &str = "regexp_instr";
pub(super) const LIKE: &str = "regexp_like";
pub(super) const REPLACE: &str = "regexp_replace";

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(MATCH, &[Kind::Text, Kind::Text, Kind::Text], "_text", Body::Column(first_match))
        .at_least(2)
        .with(Volatility::Immutable),
    Function::new(
        COUNT,
        &[Kind::Text, Kind::Text, Kind::Int, Kind::Text],
        "int4",
        Body::Column(count),
    )
    .at_least(2)
    .with(Volatility::Immutable),
    Function::new(
        INSTR,
        &[Kind::Text, Kind::Text, Kind::Int, Kind::Int, Kind::Int, Kind::Text, Kind::Int],
        "int4",
        Body::Column(position),
    )
    .at_least(2)
    .with(Volatility::Immutable),
];

/// The groups of the first match, or all of it if the pattern has none.
fn first_match(call: &Call<'_>) -> Result<ArrayRef> {
    let DataType::List(item) = call.result.data_type() else {
        return internal_err!("{MATCH} returns a list");
    };
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item));
    let mut compiled = Compiled::default();
    let (mut bytes, mut parts) = (0_u64, 0_usize);
    for row in 0..call.rows {
        check_current()?;
        let flags = if call.arguments.len() > 2 { call.text(2, row) } else { Some("") };
        let (Some(text), Some(pattern), Some(flags)) =
            (call.text(0, row), call.text(1, row), flags)
        else {
            lists.append(false);
            continue;
        };
        refuse_global(MATCH, flags)?;
        let regexp = compiled.of(MATCH, pattern, flags)?;
        let first = usize::from(regexp.groups() > 1);
        let mut found = false;
        regexp.each(text, 0, |groups| {
            found = true;
            for at in first..regexp.groups() {
                let part = groups.get(at).map(|at| &text[at]);
                bytes += part.map_or(0, str::len) as u64;
                parts += 1;
                lists.values().append_option(part);
            }
            Ok(ControlFlow::Break(()))
        })?;
        lists.append(found);
        if bytes > BATCH_BYTES_MAX || parts > PARTS_MAX {
            return Err(too_large(MATCH));
        }
    }
    Ok(Arc::new(lists.finish()))
}

/// `regexp_count(text, pattern, start, flags)`.
fn count(call: &Call<'_>) -> Result<ArrayRef> {
    let mut compiled = Compiled::default();
    let given = call.arguments.len();
    let one = |row: usize| -> Result<Option<i64>> {
        let start = if given > 2 { call.int(2, row) } else { Some(1) };
        let flags = if given > 3 { call.text(3, row) } else { Some("") };
        let (Some(text), Some(pattern), Some(start), Some(flags)) =
            (call.text(0, row), call.text(1, row), start, flags)
        else {
            return Ok(None);
        };
        let start = place("start", start, 1)?;
        refuse_global(COUNT, flags)?;
        let regexp = compiled.of(COUNT, pattern, flags)?;
        let mut count = 0;
        if let Some(from) = letter_at(text, start) {
            regexp.each(text, from, |_| {
                count += 1;
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(Some(count))
    };
    numbers(call, one)
}

/// `regexp_instr(text, pattern, start, n, endoption, flags, group)`: where the n-th match or a group of it begins, or what
/// follows it.
fn position(call: &Call<'_>) -> Result<ArrayRef> {
    let mut compiled = Compiled::default();
    let given = call.arguments.len();
    let number = |at: usize, row: usize, otherwise: i64| {
        if given > at { call.int(at, row) } else { Some(otherwise) }
    };
    let one = |row: usize| -> Result<Option<i64>> {
        let flags = if given > 5 { call.text(5, row) } else { Some("") };
        let (Some(text), Some(pattern), Some(flags)) =
            (call.text(0, row), call.text(1, row), flags)
        else {
            return Ok(None);
        };
        let (Some(start), Some(nth), Some(behind), Some(group)) =
            (number(2, row, 1), number(3, row, 1), number(4, row, 0), number(6, row, 0))
        else {
            return Ok(None);
        };
        let (start, nth) = (place("start", start, 1)?, place("n", nth, 1)?);
        if !(0..=1).contains(&behind) {
            return Err(invalid_value("endoption", behind));
        }
        let group = place("subexpr", group, 0)?;
        refuse_global(INSTR, flags)?;
        let regexp = compiled.of(INSTR, pattern, flags)?;
        let (mut seen, mut found) = (0, 0);
        if let Some(from) = letter_at(text, start) {
            regexp.each(text, from, |groups| {
                seen += 1;
                if seen < nth {
                    return Ok(ControlFlow::Continue(()));
                }
                if let Some(at) = groups.get(group) {
                    let byte = if behind == 1 { at.end } else { at.start };
                    found = text[..byte].chars().count() as i64 + 1;
                }
                Ok(ControlFlow::Break(()))
            })?;
        }
        Ok(Some(found))
    };
    numbers(call, one)
}

fn numbers(call: &Call<'_>, mut one: impl FnMut(usize) -> Result<Option<i64>>) -> Result<ArrayRef> {
    let all = (0..call.rows).map(|row| {
        check_current()?;
        one(row)
    });
    Ok(Arc::new(all.collect::<Result<Int64Array>>()?))
}

/// The byte at which a letter begins, counted from 1; that behind the last one, too.
pub(super) fn letter_at(text: &str, number: usize) -> Option<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(number - 1)
}

pub(super) fn refuse_global(function: &str, flags: &str) -> Result<()> {
    match flags.contains('g') {
        false => Ok(()),
        true => Err(failure(Error::Standard {
            sqlstate: "22023",
            message: format!("{function}() does not support the \"global\" option"),
            hint: "Leave the option g out, or use regexp_matches().".to_owned(),
        })),
    }
}

/// The texts or numbers of an argument, of which a constant has one for all rows.
struct Argument {
    array: ArrayRef,
    constant: bool,
}

impl Argument {
    fn texts(value: &ColumnarValue) -> Result<Self> {
        Self::of(value, &DataType::Utf8)
    }

    fn of(value: &ColumnarValue, data_type: &DataType) -> Result<Self> {
        let (array, constant) = match value {
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
            ColumnarValue::Array(array) => (Arc::clone(array), false),
        };
        Ok(Self { array: cast(&array, data_type)?, constant })
    }

    fn row(&self, row: usize) -> Option<usize> {
        Some(if self.constant { 0 } else { row }).filter(|row| self.array.is_valid(*row))
    }

    fn text(&self, row: usize) -> Option<&str> {
        let row = self.row(row)?;
        self.array.as_string_opt::<i32>().map(|texts| texts.value(row))
    }

    fn number(&self, row: usize) -> Option<i64> {
        let row = self.row(row)?;
        self.array.as_primitive_opt::<Int64Type>().map(|numbers| numbers.value(row))
    }
}

/// How many rows are to be computed: one if all arguments are constants.
fn rows(args: &ScalarFunctionArgs) -> usize {
    let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
    if constant { 1 } else { args.number_rows }
}

/// A computed column as the value of a call.
fn value_of(args: &ScalarFunctionArgs, column: &dyn Array) -> Result<ColumnarValue> {
    let column = cast(column, args.return_field.data_type())?;
    let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
    Ok(match constant {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?),
        false => ColumnarValue::Array(column),
    })
}

/// Tells of each row whether a pattern is found, with the options that are given or stand in a third argument.
pub(super) fn holds(
    function: &str,
    args: &ScalarFunctionArgs,
    flags: &str,
) -> Result<ColumnarValue> {
    let [texts, patterns, options @ ..] = args.args.as_slice() else {
        return internal_err!("{function} takes a text and a pattern");
    };
    let (texts, patterns) = (Argument::texts(texts)?, Argument::texts(patterns)?);
    let options = options.first().map(Argument::texts).transpose()?;
    let mut compiled = Compiled::default();
    let one = |row: usize| -> Result<Option<bool>> {
        check_current()?;
        let flags = options.as_ref().map_or(Some(flags), |options| options.text(row));
        let (Some(text), Some(pattern), Some(flags)) = (texts.text(row), patterns.text(row), flags)
        else {
            return Ok(None);
        };
        refuse_global(function, flags)?;
        Ok(Some(compiled.of(function, pattern, flags)?.is_match(text)?))
    };
    let found = (0..rows(args)).map(one).collect::<Result<BooleanArray>>()?;
    value_of(args, &found)
}

/// The function of `~` or `~*`, by the name that PostgreSQL gives it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Found {
    name: &'static str,
    ignore_case: bool,
    signature: Signature,
}

static FOUND: LazyLock<[ScalarUDF; 2]> = LazyLock::new(|| {
    [("textregexeq", false), ("texticregexeq", true)].map(|(name, ignore_case)| {
        let signature = Signature::user_defined(Volatility::Immutable);
        ScalarUDF::from(Found { name, ignore_case, signature })
    })
});

/// Returns the functions of `~` and `~*`.
pub(super) fn operators() -> Vec<ScalarUDF> {
    FOUND.to_vec()
}

/// Calls the function of `~` or `~*`.
pub(super) fn found(text: Expr, pattern: Expr, ignore_case: bool) -> Expr {
    FOUND[usize::from(ignore_case)].call(vec![text, pattern])
}

impl ScalarUDFImpl for Found {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [text, pattern] = types else {
            return plan_err!("function {} takes a text and a pattern", self.name);
        };
        let takes = |given: &DataType| given.is_null() || given.is_string();
        if !takes(text) || !takes(pattern) {
            return plan_err!("operator ~ does not take {text} and {pattern}");
        }
        let both = if text.is_string() { text.clone() } else { DataType::Utf8 };
        Ok(vec![both; 2])
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // It becomes an operator where its pattern is known and plain.
        let [text, Expr::Literal(value, metadata)] = args.as_slice() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        if value.try_as_str().flatten().is_none_or(looks_around) {
            return Ok(ExprSimplifyResult::Original(args));
        }
        let read = read_value(value)?.unwrap_or_else(|| value.clone());
        let op = if self.ignore_case { Operator::RegexIMatch } else { Operator::RegexMatch };
        let pattern = Expr::Literal(read, metadata.clone());
        Ok(ExprSimplifyResult::Simplified(binary_expr(text.clone(), op, pattern)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        holds(self.name, &args, if self.ignore_case { "i" } else { "" })
    }
}

/// `regexp_replace(text, pattern, replacement [, flags])` and `(..., start [, n [, flags]])`.
pub(super) fn replace(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let given = &args.args;
    let [texts, patterns, replacements, ..] = given.as_slice() else {
        return internal_err!("{REPLACE} takes a text, a pattern and a replacement");
    };
    let texts = Argument::texts(texts)?;
    let (patterns, replacements) = (Argument::texts(patterns)?, Argument::texts(replacements)?);
    let counted =
        given.len() > 4 || given.get(3).is_some_and(|value| value.data_type().is_integer());
    let number = |at: usize| given.get(at).map(|value| Argument::of(value, &DataType::Int64));
    let (start, nth) = match counted {
        true => (number(3).transpose()?, number(4).transpose()?),
        false => (None, None),
    };
    let flags = given.get(if counted { 5 } else { 3 }).map(Argument::texts).transpose()?;
    let mut compiled = Compiled::default();
    let mut total = 0_u64;
    let one = |row: usize| -> Result<Option<String>> {
        check_current()?;
        let or = |argument: &Option<Argument>, otherwise: i64| {
            argument.as_ref().map_or(Some(otherwise), |argument| argument.number(row))
        };
        let flags = flags.as_ref().map_or(Some(""), |flags| flags.text(row));
        let (Some(text), Some(pattern), Some(replacement), Some(flags)) =
            (texts.text(row), patterns.text(row), replacements.text(row), flags)
        else {
            return Ok(None);
        };
        let (Some(start), Some(nth)) = (or(&start, 1), or(&nth, 1)) else { return Ok(None) };
        let (start, nth) = (place("start", start, 1)?, place("n", nth, 0)?);
        // Of which match it is to be says the number, if there is one.
        let nth = if !counted && flags.contains('g') { 0 } else { nth };
        if !counted && flags.starts_with(|flag: char| flag.is_ascii_digit()) {
            return Err(number_for_flags(flags));
        }
        let regexp = compiled.of(REPLACE, pattern, &flags.replace('g', ""))?;
        let (mut out, mut kept, mut seen) = (String::new(), 0, 0);
        if let Some(from) = letter_at(text, start) {
            regexp.each(text, from, |groups| {
                seen += 1;
                if nth > 0 && seen < nth {
                    return Ok(ControlFlow::Continue(()));
                }
                let whole = groups.whole();
                out.push_str(&text[kept..whole.start]);
                substitute(text, groups, replacement, &mut out);
                kept = whole.end;
                if out.len() as u64 > VALUE_BYTES_MAX {
                    return Err(too_large(REPLACE));
                }
                Ok(if nth > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
        }
        out.push_str(&text[kept..]);
        total += out.len() as u64;
        match out.len() as u64 > VALUE_BYTES_MAX || total > BATCH_BYTES_MAX {
            true => Err(too_large(REPLACE)),
            false => Ok(Some(out)),
        }
    };
    let replaced = (0..rows(args)).map(one).collect::<Result<StringArray>>()?;
    fold(total)?;
    value_of(args, &replaced)
}

/// Writes a replacement, in which `\1` to `\9` stand for groups and `\&` for the whole match.
fn substitute(text: &str, groups: &Groups<'_>, replacement: &str, out: &mut String) {
    let mut rest = replacement;
    while let Some((plain, behind)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut letters = behind.chars();
        let part = match letters.next() {
            Some('&') => Some(groups.get(0)),
            Some(digit @ '1'..='9') => Some(groups.get(digit as usize - '0' as usize)),
            Some('\\') => {
                out.push('\\');
                Some(None)
            }
            // A backslash before anything else is one.
            _ => None,
        };
        match part {
            Some(part) => {
                out.push_str(part.map_or("", |at| &text[at]));
                rest = letters.as_str();
            }
            None => {
                out.push('\\');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
}

fn number_for_flags(flags: &str) -> DataFusionError {
    let digit: String = flags.chars().take(1).collect();
    failure(Error::Standard {
        sqlstate: "22023",
        message: format!("invalid regular expression option: \"{digit}\""),
        hint: "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.".to_owned(),
    })
}
