//! The SQL that onefold understands: its own statements beside those of Postgres.
//!
//! A text is cut into tokens once, within named bounds, and split at semicolons. The first words of each statement say
//! whether it is one of ours, which a recursive-descent parser reads, or a query, which sqlparser reads and the engine
//! plans from the same text. What is recognised and not built, or never allowed, becomes a statement that says so.
//!
//! Invariants: the text of a statement is exactly what was written, so that a position in it plus its offset is a
//! position in the input; no password outlives the parser except as [`password::Password`].

mod alter;
mod chains;
mod copy;
mod create;
mod cursor;
mod embedded;
mod error;
mod explain;
mod foreign;
mod freshness;
mod grammar;
mod kind;
mod lexer;
mod like;
mod moved;
mod objects;
mod overrides;
pub(crate) mod password;
mod prepared;
mod rows;
mod sequence;
mod settings;
mod statement;
mod syntax;
mod tables;
#[cfg(test)]
mod tests;
mod transaction;
mod tuning;
mod types;
mod upkeep;
mod write;

use cursor::Cursor;

pub(crate) use engine::nearest;

pub(crate) use alter::{Alteration, Point};
pub(crate) use create::{PERSON_FIELDS, ParsedDefinition, same};
pub(crate) use error::{ParseError, position_of};
pub(crate) use lexer::SQL_BYTES_MAX;
pub(crate) use statement::{
    Analyze, CopyFormat, CopyHeader, CopyInput, CopyOptions, CreateMode, DiscardTarget,
    ExplainFormat, FetchDirection, Forced, Parsed, RefreshTarget, Statement, TransactionModes,
};
pub(crate) use tuning::LOCK;
pub(crate) use write::{readable, refreshed_view};

/// Reads every statement of an input, in order. Empty statements are left out; the first error stands for all, as in
/// Postgres, which runs nothing of an input that it cannot read.
pub(crate) fn parse(input: &str) -> Result<Vec<Parsed>, ParseError> {
    let lexemes = lexer::tokenize(input)?;
    lexer::split(&lexemes)
        .into_iter()
        .map(|range| parsed(&mut Cursor::new(input, &lexemes[range])))
        .collect()
}

/// Returns where the words of an input stand, with identifiers folded: what a project needs to point at a name.
pub(crate) fn words(input: &str) -> Vec<(String, usize)> {
    use sqlparser::tokenizer::Token;
    let Ok(lexemes) = lexer::tokenize(input) else { return Vec::new() };
    let fold = |lexeme: &lexer::Lexeme| match &lexeme.token {
        Token::Word(word) if word.quote_style.is_some() => (word.value.clone(), lexeme.start),
        Token::Word(word) => (word.value.to_lowercase(), lexeme.start),
        Token::SingleQuotedString(text) => (format!("'{text}'"), lexeme.start),
        other => (other.to_string(), lexeme.start),
    };
    lexemes.iter().map(fold).collect()
}

/// Reads the statement that a cursor over all its tokens stands before.
fn parsed(cursor: &mut Cursor<'_>) -> Result<Parsed, ParseError> {
    let (offset, end) = (cursor.start(), cursor.end());
    let statement = statement(cursor)?;
    let text = match &statement {
        Statement::Create { definition, password: Some(_), .. } => definition.sql.clone(),
        _ => cursor.input[offset..end].to_string(),
    };
    Ok(Parsed { text, offset, statement })
}

/// Reads the statement inside another one, from here to the end.
fn inner(cursor: &mut Cursor<'_>) -> Result<Parsed, ParseError> {
    if cursor.at_end() {
        return Err(cursor.expected("a statement"));
    }
    // Otherwise a text of nothing but EXPLAIN would nest as deep as it is long.
    if let Some(outer) =
        ["explain", "prepare", "declare", "copy"].iter().find(|word| cursor.is(word))
    {
        return Err(
            cursor.error(format!("{} cannot stand inside another statement", outer.to_uppercase()))
        );
    }
    let parsed = parsed(&mut cursor.remainder())?;
    cursor.rest();
    Ok(parsed)
}

/// Reads one statement by its first words.
fn statement(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let whole = cursor.clone();
    let Some(first) = cursor.word() else { return query_or_error(cursor) };
    cursor.advance();
    if let Some(write) = write::write(&whole)? {
        return Ok(write);
    }
    match first.as_str() {
        "select" | "with" | "values" | "table" => query_or_error(&mut whole.clone()),
        "create" if cursor.is("index") => tuning::index(&whole),
        "create" => match create::create(cursor)? {
            Some(statement) => Ok(statement),
            None => foreign_or_error(&whole),
        },
        "merge" if cursor.is("profiles") => overrides::merge(cursor),
        "split" => overrides::split(cursor),
        "apply" => overrides::apply(cursor),
        "drop" if cursor.is("index") => tuning::drop_index(cursor),
        "drop" if cursor.accept("identity override") => overrides::take_back(cursor),
        "alter" if cursor.accept("identifier value") => overrides::alter_value(cursor),
        "alter" => match alter::alter(cursor, Statement::AlterGraph)? {
            Some(statement) => Ok(statement),
            None => foreign_or_error(&whole),
        },
        "drop" => match objects::drop_object(cursor)? {
            Some(statement) => Ok(statement),
            None => foreign_or_error(&whole),
        },
        "comment" => match objects::comment(cursor)? {
            Some(statement) => Ok(statement),
            None => foreign_or_error(&whole),
        },
        "refresh" => objects::refresh(cursor),
        "run" => objects::run(cursor),
        "show" => settings::show(cursor),
        "set" => settings::set(cursor),
        "reset" => settings::reset(cursor),
        "discard" => settings::discard(cursor),
        "begin" => transaction::begin(cursor),
        "start" => transaction::start(cursor),
        "commit" | "end" => transaction::commit(cursor),
        "rollback" | "abort" => transaction::rollback(cursor),
        "savepoint" => transaction::savepoint(cursor),
        "release" => transaction::release(cursor),
        "prepare" => prepared::prepare(cursor),
        "execute" => prepared::execute(cursor),
        "deallocate" => prepared::deallocate(cursor),
        "declare" => prepared::declare(cursor),
        "fetch" => prepared::fetch(cursor),
        "move" => prepared::move_cursor(cursor),
        "close" => prepared::close(cursor),
        "listen" => transaction::listen(cursor),
        "unlisten" => transaction::unlisten(cursor),
        "notify" => transaction::notify(cursor),
        "copy" => copy::copy(cursor),
        "analyze" | "analyse" => tuning::analyze(cursor),
        "vacuum" => tuning::vacuum(cursor),
        "lock" => tuning::lock(cursor),
        "explain" => explain::explain(cursor),
        _ => foreign_or_error(&whole),
    }
}

/// Reads a query.
fn query_or_error(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    if !(cursor.peek() == Some(&sqlparser::tokenizer::Token::LParen) || cursor.word().is_some()) {
        return Err(cursor.expected("a statement"));
    }
    grammar::check(cursor.input, cursor.tokens())?;
    let ast = embedded::statement(cursor.input, cursor.rest())?;
    if let Some(verb) = embedded::written_by(&ast) {
        return Ok(Statement::Write { verb });
    }
    match &*ast {
        sqlparser::ast::Statement::Query(query) if embedded::reads_only(query) => {
            Ok(Statement::Query { ast })
        }
        _ => Ok(Statement::Unsupported {
            what: "a query that writes".to_string(),
            hint: "Queries of WITH may INSERT, UPDATE and DELETE if they stand in the first WITH; INTO stands in the first SELECT."
                .to_string(),
        }),
    }
}

/// Returns the answer to what other databases do, or the error for what nobody does.
fn foreign_or_error(cursor: &Cursor<'_>) -> Result<Statement, ParseError> {
    let first = cursor.word().unwrap_or_default();
    if matches!(first.as_str(), "create" | "drop") {
        let mut behind = cursor.clone();
        behind.advance();
        behind.accept("or replace");
        if let Some(error) = misspelt_kind(&behind) {
            return Err(error);
        }
    }
    foreign::foreign(cursor).ok_or_else(|| {
        let error = cursor.error(format!("unknown statement \"{first}\""));
        error.suggest(&first, foreign::FIRST_WORDS)
    })
}

/// Returns the error for a kind of object that is nearly one of ours.
fn misspelt_kind(cursor: &Cursor<'_>) -> Option<ParseError> {
    const FOREIGN: [&str; 4] = ["server", "schema", "sequence", "policy"];
    let word = cursor.word().filter(|word| !FOREIGN.contains(&word.as_str()))?;
    let second =
        cursor.peek_at(1).map(|token| token.to_string().to_lowercase()).unwrap_or_default();
    let near =
        nearest(&word, kind::singulars().filter(|kind| !kind.contains(' '))).or_else(|| {
            nearest(
                &format!("{word} {second}"),
                kind::singulars().filter(|kind| kind.contains(' ')),
            )
        })?;
    let error = cursor.error(format!("\"{word}\" is not a kind of object"));
    Some(error.hint(format!("Did you mean {near}?")))
}
