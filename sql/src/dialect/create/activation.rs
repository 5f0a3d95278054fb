//! Where data goes: `CREATE DESTINATION` and `CREATE SYNC`.

use engine::catalog::{ConnectorSpec, Destination, Format, Freshness, Kind, Sync, SyncInput};
use sqlparser::tokenizer::Token;

use super::super::cursor::Cursor;
use super::super::embedded;
use super::super::error::{FEATURE_NOT_SUPPORTED, INVALID_PARAMETER_VALUE, ParseError};
use super::super::freshness::CLAUSES as FRESHNESS;
use super::clauses::{Seen, columns, file_connector, format, missing, number_options};

const FORMATS: [(&str, Format); 3] =
    [("csv", Format::Csv), ("ndjson", Format::Ndjson), ("parquet", Format::Parquet)];

/// What the path of a destination can hold.
const PLACEHOLDERS: [&str; 3] = ["segment", "sync", "run"];

/// Reads `TO FILE ('path') FORMAT f`.
pub(crate) fn destination(cursor: &mut Cursor<'_>) -> Result<Destination, ParseError> {
    let mut seen = Seen::default();
    let (mut connector, mut found) = (None, None);
    while !cursor.at_end() {
        if seen.accept(cursor, "to")? {
            let byte = cursor.start();
            let to = file_connector(cursor, "TO")?;
            check_path(cursor, byte, &to)?;
            connector = Some(to);
        } else if seen.accept(cursor, "format")? {
            found = Some(format(cursor, &FORMATS)?);
        } else if seen.accept(cursor, "with")? {
            number_options(cursor, &[], |_, _| {})?;
        } else {
            return Err(seen.unknown(cursor, &["to", "format"]));
        }
    }
    let need = |clause: &str, example: &str| missing(cursor, Kind::Destination, clause, example);
    Ok(Destination {
        connector: connector.ok_or_else(|| need("TO", "TO FILE ('out/{segment}/{run}.csv')"))?,
        format: found.ok_or_else(|| need("FORMAT", "FORMAT csv"))?,
    })
}

/// Fails unless there is one path and every `{word}` in it is known.
fn check_path(
    cursor: &Cursor<'_>,
    byte: usize,
    connector: &ConnectorSpec,
) -> Result<(), ParseError> {
    let ConnectorSpec::File { paths } = connector;
    let [path] = paths.as_slice() else {
        return Err(cursor.error_at(byte, "a destination has one path"));
    };
    let wrong = |message: String| cursor.error_at(byte, message).sqlstate(INVALID_PARAMETER_VALUE);
    for part in path.split('{').skip(1) {
        let Some((word, _)) = part.split_once('}') else {
            return Err(wrong("a \"{\" in the path is not closed".to_string()));
        };
        if !PLACEHOLDERS.contains(&word) {
            return Err(wrong(format!("\"{{{word}}}\" is not known in a path"))
                .hint("Use {segment}, {sync} and {run}."));
        }
    }
    Ok(())
}

/// Reads `FROM SEGMENT s | (query) TO destination FOR PURPOSE p [COLUMNS (...)] [freshness]`.
pub(crate) fn sync(cursor: &mut Cursor<'_>) -> Result<Sync, ParseError> {
    let mut seen = Seen::default();
    let mut freshness = Freshness::OnDemand;
    let (mut input, mut destination, mut purpose, mut sent) = (None, None, None, Vec::new());
    while !cursor.at_end() {
        if seen.accept(cursor, "from")? {
            input = Some(sync_input(cursor)?);
        } else if seen.accept(cursor, "to")? {
            destination = Some(cursor.name(Kind::Destination)?);
        } else if seen.accept(cursor, "for purpose")? {
            purpose = Some(cursor.name(Kind::Purpose)?);
        } else if seen.accept(cursor, "columns")? {
            sent = columns(cursor)?;
        } else if seen.accept(cursor, "with")? {
            number_options(cursor, &[], |_, _| {})?;
        } else if cursor.is("mode") || cursor.is("key") || cursor.is("on row error") {
            let word = cursor.word().unwrap_or_default().to_uppercase();
            return Err(cursor
                .error(format!("{word} of a sync is not supported"))
                .sqlstate(FEATURE_NOT_SUPPORTED));
        } else if !seen.freshness(cursor, &mut freshness)? {
            let clauses = ["from", "to", "for purpose", "columns"];
            let all: Vec<&'static str> = clauses.iter().chain(&FRESHNESS).copied().collect();
            return Err(seen.unknown(cursor, &all));
        }
    }
    let need = |clause: &str, example: &str| missing(cursor, Kind::Sync, clause, example);
    let mut input = input.ok_or_else(|| need("FROM", "FROM SEGMENT vips"))?;
    match &mut input {
        SyncInput::Segment { columns, .. } => *columns = sent,
        SyncInput::Query(_) if !sent.is_empty() => {
            return Err(cursor
                .error_at(cursor.end(), "COLUMNS is for syncs from a segment")
                .hint("Select the columns in the query."));
        }
        SyncInput::Query(_) => {}
    }
    Ok(Sync {
        input,
        destination: destination.ok_or_else(|| need("TO", "TO mailer"))?,
        purpose: purpose.ok_or_else(|| need("FOR PURPOSE", "FOR PURPOSE email_marketing"))?,
        freshness,
    })
}

/// Reads `SEGMENT s | (query)`; the rows of a query name their profile, so that consent can be checked as they leave.
fn sync_input(cursor: &mut Cursor<'_>) -> Result<SyncInput, ParseError> {
    if cursor.accept("segment") {
        return Ok(SyncInput::Segment {
            segment: cursor.name(Kind::Segment)?,
            columns: Vec::new(),
        });
    }
    if cursor.peek() != Some(&Token::LParen) {
        let error = cursor.expected("SEGMENT name or a query in brackets");
        return Err(error.suggest(&cursor.word().unwrap_or_default(), ["segment"]));
    }
    let range = cursor.bracketed("a query")?.rest();
    let query = embedded::query(cursor.input, range.clone())?;
    embedded::expect_columns(&query, &["profile_id"], cursor.input, range.start, "the sync")?;
    Ok(SyncInput::Query(cursor.input[range].to_string()))
}
