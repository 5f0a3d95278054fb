//! `EXPLAIN`: of a plan, and of what onefold decided.

use engine::catalog::Body;
use sqlparser::tokenizer::Token;

use super::alter::alter;
use super::cursor::Cursor;
use super::error::{FEATURE_NOT_SUPPORTED, INVALID_PARAMETER_VALUE, ParseError};
use super::inner;
use super::overrides::{pair, profile_id};
use super::statement::{Analyze, ExplainFormat, Statement};

/// Reads the rest of `EXPLAIN`.
pub(crate) fn explain(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    if cursor.is("merge") && !cursor.is_at(1, "into") {
        cursor.advance();
        return merge(cursor);
    }
    if cursor.accept("profile") {
        let profile = profile_id(cursor)?;
        cursor.expect_end()?;
        return Ok(explanation(&format!("explain_profile({profile})")));
    }
    if cursor.accept("impact") {
        return impact(cursor);
    }
    if cursor.is("segment") {
        let hint = "Query segment_members, and profiles for the values that the condition sees.";
        return Ok(Statement::Unsupported { what: "EXPLAIN SEGMENT".into(), hint: hint.into() });
    }
    let options = options(cursor)?;
    let start = cursor.start();
    let statement = inner(cursor)?;
    match statement.statement {
        Statement::Query { .. }
        | Statement::Execute { .. }
        | Statement::Unsupported { .. }
        | Statement::Refused { .. } => {}
        Statement::Write { .. } => {
            return Ok(Statement::Unsupported {
                what: "EXPLAIN of a statement that writes".into(),
                hint: "Explain the query that it reads: nothing is written then.".into(),
            });
        }
        _ => return Err(cursor.error_at(start, "only a query can be explained")),
    }
    let Options { analyze, verbose, format } = options;
    Ok(Statement::Explain { analyze, verbose, format, statement: Box::new(statement) })
}

/// What stands between `EXPLAIN` and its statement.
struct Options {
    analyze: Option<Analyze>,
    verbose: bool,
    format: ExplainFormat,
}

/// Reads the options of `EXPLAIN`, in brackets or without.
fn options(cursor: &mut Cursor<'_>) -> Result<Options, ParseError> {
    let (mut analyze, mut verbose, mut format) = (false, false, ExplainFormat::Text);
    let (mut timing, mut summary, mut wal) = (None, None, false);
    let start = cursor.start();
    if has_options(cursor) {
        cursor.list(|cursor| {
            if cursor.accept("analyze") {
                analyze = boolean(cursor)?;
            } else if cursor.accept("verbose") {
                verbose = boolean(cursor)?;
            } else if cursor.accept("format") {
                format = plan_format(cursor)?;
            } else if cursor.accept("timing") {
                timing = Some(boolean(cursor)?);
            } else if cursor.accept("summary") {
                summary = Some(boolean(cursor)?);
            } else if cursor.accept("wal") {
                wal = boolean(cursor)?;
            } else if ["costs", "settings", "buffers"].iter().any(|word| cursor.accept(word)) {
                boolean(cursor)?;
            } else {
                return Err(cursor
                    .expected_one_of("an option", ["analyze", "verbose", "format"].into_iter()));
            }
            Ok(())
        })?;
    } else {
        analyze = cursor.accept("analyze");
        verbose = cursor.accept("verbose");
    }
    for (name, is_on) in [("WAL", wal), ("TIMING", timing == Some(true))] {
        if is_on && !analyze {
            let message = format!("EXPLAIN option {name} requires ANALYZE");
            let error = cursor.error_at(start, message).sqlstate(INVALID_PARAMETER_VALUE);
            return Err(error.hint("EXPLAIN (ANALYZE, ...) runs the query."));
        }
    }
    let (timing, summary) = (timing.unwrap_or(true), summary.unwrap_or(true));
    let analyze = analyze.then_some(Analyze { timing, summary });
    Ok(Options { analyze, verbose, format })
}

/// Reads the rest of `EXPLAIN MERGE id, id` or `EXPLAIN MERGE (source, key), (source, key)`.
fn merge(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let end = |cursor: &mut Cursor<'_>| match cursor.peek() {
        Some(Token::LParen) => {
            let (source, key) = pair(cursor, "the name of a source", "the key of a record")?;
            let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
            Ok(format!("{}, {}", quoted(&source), quoted(&key)))
        }
        _ => profile_id(cursor).map(|profile| profile.to_string()),
    };
    let (start, left) = (cursor.start(), end(cursor)?);
    cursor.expect_token(&Token::Comma)?;
    let right = end(cursor)?;
    cursor.expect_end()?;
    if left.starts_with('\'') != right.starts_with('\'') {
        let error = cursor.error_at(start, "a profile cannot be compared with a record");
        return Err(error.hint("Name two profiles, or two records."));
    }
    Ok(explanation(&format!("explain_merge({left}, {right})")))
}

/// Reads the rest of `EXPLAIN IMPACT CREATE [OR REPLACE] IDENTITY GRAPH ...`, or of `ALTER IDENTITY GRAPH ...`.
fn impact(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    const HINT: &str = "EXPLAIN IMPACT CREATE OR REPLACE IDENTITY GRAPH ... tells what it changes.";
    let start = cursor.start();
    let mut attempt = cursor.clone();
    if attempt.accept("alter")
        && let Some(statement) = alter(&mut attempt, Statement::ExplainAlteration)?
    {
        *cursor = attempt;
        return Ok(statement);
    }
    match inner(cursor)?.statement {
        Statement::Create { definition, mode, .. }
            if matches!(definition.body, Body::IdentityGraph(_)) =>
        {
            Ok(Statement::ExplainImpact { definition, mode })
        }
        _ => {
            let message = "only the definition of an identity graph has an impact to explain";
            Err(cursor.error_at(start, message).hint(HINT))
        }
    }
}

/// The statement that answers with the lines of an explanation.
fn explanation(function: &str) -> Statement {
    Statement::ExplainIdentity { query: format!("SELECT \"QUERY PLAN\" FROM {function}") }
}

/// Returns whether the bracket that comes next holds options and not a query.
fn has_options(cursor: &Cursor<'_>) -> bool {
    cursor.peek() == Some(&Token::LParen)
        && matches!(cursor.peek_at(1), Some(Token::Word(_)))
        && !["select", "with", "values", "table"].iter().any(|word| cursor.is_at(1, word))
}

/// Reads a format, in quotes or without.
fn plan_format(cursor: &mut Cursor<'_>) -> Result<ExplainFormat, ParseError> {
    let start = cursor.start();
    let name = match cursor.peek() {
        Some(Token::Word(_)) => cursor.identifier("a format")?,
        _ => cursor.text("a format: text, json or xml")?.to_lowercase(),
    };
    let (message, sqlstate) = match name.as_str() {
        "text" => return Ok(ExplainFormat::Text),
        "json" => return Ok(ExplainFormat::Json),
        "xml" => return Ok(ExplainFormat::Xml),
        "yaml" => ("EXPLAIN (FORMAT YAML) is not supported".to_owned(), FEATURE_NOT_SUPPORTED),
        _ => (
            format!("unrecognized value for EXPLAIN option \"format\": \"{name}\""),
            INVALID_PARAMETER_VALUE,
        ),
    };
    let error = cursor.error_at(start, message).sqlstate(sqlstate);
    Err(error.hint("Use FORMAT TEXT, FORMAT JSON or FORMAT XML."))
}

/// Reads `true`, `on`, `1`, `false`, `off`, `0`; nothing is `true`.
fn boolean(cursor: &mut Cursor<'_>) -> Result<bool, ParseError> {
    match cursor.peek() {
        Some(Token::Comma | Token::RParen) => return Ok(true),
        Some(Token::Number(..)) => return Ok(cursor.integer("an option", 0..=1)? == 1),
        _ => {}
    }
    cursor.choose("", &[("true", true), ("on", true), ("false", false), ("off", false)])
}
