//! Statements that help a server which plans by statistics and indexes and keeps rows in place, and have nothing to do here:
//! the relations that they name are looked up, so that a misspelt name is an error.

use sqlparser::ast;
use sqlparser::tokenizer::Token;

use super::copy::{boolean, reading};
use super::cursor::Cursor;
use super::embedded;
use super::error::ParseError;
use super::statement::Statement;

/// The tag of `LOCK TABLE`.
pub(crate) const LOCK: &str = "LOCK TABLE";

/// Reads the rest of `ANALYZE`.
pub(crate) fn analyze(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    if cursor.peek() == Some(&Token::LParen) {
        const NAMES: [&str; 2] = ["verbose", "skip_locked"];
        cursor.list(|cursor| match NAMES.iter().any(|name| cursor.accept(name)) {
            true => boolean(cursor),
            false => Err(cursor.expected_one_of("an option", NAMES.into_iter())),
        })?;
    } else {
        cursor.accept("verbose");
    }
    Ok(Statement::Tuning { tag: "ANALYZE", reads: relations(cursor)? })
}

/// Reads relations, each with or without columns, to the end of the statement. Returns queries that find them.
fn relations(cursor: &mut Cursor<'_>) -> Result<Vec<String>, ParseError> {
    let mut reads = Vec::new();
    while !cursor.at_end() {
        if !reads.is_empty() {
            cursor.expect_token(&Token::Comma)?;
        }
        reads.push(format!("{} LIMIT 0", reading(cursor)?));
    }
    Ok(reads)
}

/// Reads the rest of `VACUUM`: files are merged and cleaned up in the background.
pub(crate) fn vacuum(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    const SWITCHES: [&str; 8] = [
        "full",
        "freeze",
        "verbose",
        "analyze",
        "disable_page_skipping",
        "skip_locked",
        "process_toast",
        "truncate",
    ];
    if cursor.peek() == Some(&Token::LParen) {
        cursor.list(|cursor| {
            if cursor.accept("parallel") {
                cursor.integer("a number of workers", 0..=1024)?;
            } else if cursor.accept("index_cleanup") {
                if !cursor.accept("auto") {
                    boolean(cursor)?;
                }
            } else if SWITCHES.iter().any(|name| cursor.accept(name)) {
                boolean(cursor)?;
            } else {
                return Err(cursor.expected_one_of("an option", SWITCHES.into_iter()));
            }
            Ok(())
        })?;
    } else {
        for word in ["full", "freeze", "verbose"] {
            cursor.accept(word);
        }
        if !cursor.accept("analyze") {
            cursor.accept("analyse");
        }
    }
    Ok(Statement::Tuning { tag: "VACUUM", reads: relations(cursor)? })
}

/// Reads the rest of `LOCK`. Modes in which others may write are held by every statement that reads; those that keep others
/// out are not kept, and say what is.
pub(crate) fn lock(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    const MODES: [(&str, bool); 8] = [
        ("access share", true),
        ("row share", true),
        ("row exclusive", true),
        ("share update exclusive", false),
        ("share row exclusive", false),
        ("share", false),
        ("access exclusive", false),
        ("exclusive", false),
    ];
    cursor.accept("table");
    let mut reads = Vec::new();
    let mut shared = false;
    loop {
        cursor.accept("only");
        reads.push(format!("SELECT * FROM {} LIMIT 0", super::copy::name(cursor)?));
        cursor.accept_token(&Token::Mul);
        if !cursor.accept_token(&Token::Comma) {
            break;
        }
    }
    if cursor.accept("in") {
        shared = cursor.choose("a lock mode", &MODES)?;
        cursor.expect("mode")?;
    }
    cursor.accept("nowait");
    cursor.expect_end()?;
    Ok(match shared {
        true => Statement::Tuning { tag: LOCK, reads },
        false => Statement::Unsupported {
            what: "LOCK TABLE in a mode that keeps others from writing".into(),
            hint: "BEGIN ISOLATION LEVEL SERIALIZABLE ends with 40001 where others were faster, and pg_advisory_xact_lock(n) makes sessions wait for each other.".into(),
        },
    })
}

/// Reads the rest of `DROP INDEX`: of those that `CREATE INDEX` had nothing to do for.
pub(crate) fn drop_index(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    cursor.expect("index")?;
    cursor.accept("concurrently");
    cursor.accept("if exists");
    loop {
        super::copy::name(cursor)?;
        if !cursor.accept_token(&Token::Comma) {
            break;
        }
    }
    if !cursor.accept("cascade") {
        cursor.accept("restrict");
    }
    cursor.expect_end()?;
    Ok(Statement::Tuning { tag: "DROP INDEX", reads: vec![] })
}

/// Reads `CREATE INDEX`. The cursor stands at its start.
pub(crate) fn index(cursor: &Cursor<'_>) -> Result<Statement, ParseError> {
    let parsed = embedded::statement(cursor.input, cursor.clone().rest())?;
    let ast::Statement::CreateIndex(index) = *parsed else {
        return Err(cursor.error("expected CREATE INDEX [name] ON table (columns)"));
    };
    let columns = index.columns.iter().map(|column| column.column.expr.to_string());
    let columns: Vec<String> =
        columns.chain(index.include.iter().map(|column| column.to_string())).collect();
    let condition = index.predicate.map(|condition| format!(" WHERE {condition}"));
    let (columns, condition) = (columns.join(", "), condition.unwrap_or_default());
    let reads = vec![format!("SELECT {columns} FROM {}{condition} LIMIT 0", index.table_name)];
    Ok(Statement::Tuning { tag: "CREATE INDEX", reads })
}
