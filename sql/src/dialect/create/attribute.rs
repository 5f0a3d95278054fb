//! `CREATE ATTRIBUTE`: a golden value, chosen from what the sources say.

use std::ops::{ControlFlow, Range};

use engine::catalog::{Attribute, AttributeInput, Kind, SurvivorshipRule};
use sqlparser::ast::{Expr, Ident, visit_expressions};
use sqlparser::tokenizer::Token;

use super::super::cursor::Cursor;
use super::super::embedded;
use super::super::error::{FEATURE_NOT_SUPPORTED, ParseError};
use super::clauses::{Seen, missing};

/// Reads `ON graph FROM (expression, ...) RESOLVE BY rule`.
pub(crate) fn attribute(cursor: &mut Cursor<'_>) -> Result<Attribute, ParseError> {
    let mut seen = Seen::default();
    let (mut graph, mut inputs, mut rule) = (None, None, None);
    while !cursor.at_end() {
        if seen.accept(cursor, "on")? {
            graph = Some(cursor.name(Kind::IdentityGraph)?);
        } else if seen.accept(cursor, "from")? {
            inputs = Some(cursor.list(input)?);
        } else if seen.accept(cursor, "resolve by")? {
            rule = Some(survivorship(cursor)?);
        } else if cursor.is("pii") {
            return Err(cursor.error("PII is not supported").sqlstate(FEATURE_NOT_SUPPORTED));
        } else {
            return Err(seen.unknown(cursor, &["on", "from", "resolve by"]));
        }
    }
    let need = |clause: &str, example: &str| missing(cursor, Kind::Attribute, clause, example);
    let attribute = Attribute {
        graph: graph.ok_or_else(|| need("ON", "ON customer"))?,
        inputs: inputs.ok_or_else(|| need("FROM", "FROM (crm.email)"))?,
        rule: rule.ok_or_else(|| need("RESOLVE BY", "RESOLVE BY LATEST"))?,
    };
    if let SurvivorshipRule::SourcePriority(sources) = &attribute.rule {
        let known = || attribute.inputs.iter().map(|input| input.source.as_str());
        if let Some(stranger) = sources.iter().find(|source| !known().any(|name| name == *source)) {
            return Err(cursor
                .error_at(
                    cursor.end(),
                    format!("source \"{stranger}\" has a priority and gives no value"),
                )
                .suggest(stranger, known()));
        }
    }
    Ok(attribute)
}

/// Reads `LATEST | FIRST | MOST FREQUENT | SOURCE PRIORITY (source, ...)`.
fn survivorship(cursor: &mut Cursor<'_>) -> Result<SurvivorshipRule, ParseError> {
    if cursor.accept("latest") {
        return Ok(SurvivorshipRule::Latest);
    }
    if cursor.accept("first") {
        return Ok(SurvivorshipRule::First);
    }
    if cursor.accept("most frequent") {
        return Ok(SurvivorshipRule::MostFrequent);
    }
    if cursor.accept("source priority") {
        return Ok(SurvivorshipRule::SourcePriority(
            cursor.list(|cursor| cursor.name(Kind::Source))?,
        ));
    }
    Err(cursor.expected_one_of(
        "a rule",
        ["latest", "first", "most frequent", "source priority"].into_iter(),
    ))
}

/// Reads one expression whose columns all name the same source, such as `normalize_email(crm.email)`.
fn input(cursor: &mut Cursor<'_>) -> Result<AttributeInput, ParseError> {
    let range = cursor.expression()?;
    let expression = embedded::scalar(cursor.input, range.clone())?;
    let mut source: Option<String> = None;
    let stopped = visit_expressions(&expression, |part| match part {
        Expr::CompoundIdentifier(parts) if parts.len() == 2 => {
            let name = fold(&parts[0]);
            match &source {
                Some(other) if *other != name => ControlFlow::Break(format!(
                    "one value cannot come from \"{other}\" and from \"{name}\""
                )),
                _ => {
                    source = Some(name);
                    ControlFlow::Continue(())
                }
            }
        }
        Expr::CompoundIdentifier(parts) => {
            let name: Vec<String> = parts.iter().map(fold).collect();
            ControlFlow::Break(format!("\"{}\" is not source.column", name.join(".")))
        }
        Expr::Identifier(column) => {
            ControlFlow::Break(format!("column \"{}\" is named without its source", fold(column)))
        }
        _ => ControlFlow::Continue(()),
    });
    let hint = "Name each column with its source, such as crm.email.";
    if let ControlFlow::Break(message) = stopped {
        return Err(cursor.error_at(range.start, message).hint(hint));
    }
    let Some(source) = source else {
        return Err(cursor.error_at(range.start, "a value needs a column of a source").hint(hint));
    };
    let expression = without_source(cursor, &range, &source);
    Ok(AttributeInput { source, expression })
}

/// Returns an identifier as it is looked up.
fn fold(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// Returns the text of an expression without `source.` before its columns.
fn without_source(cursor: &Cursor<'_>, range: &Range<usize>, source: &str) -> String {
    let lexemes = cursor.lexemes_in(range);
    let mut text = String::with_capacity(range.len());
    let mut kept = range.start;
    for (index, pair) in lexemes.windows(2).enumerate() {
        let Token::Word(word) = &pair[0].token else { continue };
        let name =
            if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() };
        let qualified =
            index.checked_sub(1).is_some_and(|before| lexemes[before].token == Token::Period);
        if pair[1].token == Token::Period && name == source && !qualified {
            text.push_str(&cursor.input[kept..pair[0].start]);
            kept = pair[1].end;
        }
    }
    text.push_str(&cursor.input[kept..range.end]);
    text
}
