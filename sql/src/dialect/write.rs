//! Statements that change tables, views and sequences of the schema `analytics`: recognised by their first words and checked by
//! sqlparser; what they mean is decided where they are planned.

use std::borrow::Cow;

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::embedded;
use super::error::ParseError;
use super::lexer::{Lexeme, tokenize};
use super::like;
use super::moved;
use super::sequence;
use super::statement::Statement;
use super::tables;
use super::upkeep;

/// First words, and what the statement is called in messages.
const FIRST_WORDS: [(&str, &str); 39] = [
    ("insert", "INSERT"),
    ("update", "UPDATE"),
    ("delete", "DELETE"),
    ("merge into", "MERGE"),
    ("truncate", "TRUNCATE TABLE"),
    ("create table", "CREATE TABLE"),
    ("create unlogged table", "CREATE TABLE"),
    ("create temp table", "CREATE TABLE"),
    ("create temporary table", "CREATE TABLE"),
    ("create local temp table", "CREATE TABLE"),
    ("create local temporary table", "CREATE TABLE"),
    ("create view", "CREATE VIEW"),
    ("create or replace view", "CREATE VIEW"),
    ("create temp view", "CREATE VIEW"),
    ("create temporary view", "CREATE VIEW"),
    ("create or replace temp view", "CREATE VIEW"),
    ("create or replace temporary view", "CREATE VIEW"),
    ("create materialized view", "CREATE MATERIALIZED VIEW"),
    ("refresh materialized view", REFRESH),
    ("create or replace table", "CREATE TABLE"),
    ("create schema", "CREATE SCHEMA"),
    ("create sequence", "CREATE SEQUENCE"),
    ("create temp sequence", "CREATE SEQUENCE"),
    ("create temporary sequence", "CREATE SEQUENCE"),
    ("drop table", "DROP TABLE"),
    ("drop view", "DROP VIEW"),
    ("drop materialized view", "DROP MATERIALIZED VIEW"),
    ("drop schema", "DROP SCHEMA"),
    ("drop sequence", "DROP SEQUENCE"),
    ("alter table", "ALTER TABLE"),
    ("alter view", "ALTER VIEW"),
    ("alter materialized view", "ALTER MATERIALIZED VIEW"),
    ("alter sequence", ALTER_SEQUENCE),
    ("comment on table", "COMMENT"),
    ("comment on view", "COMMENT"),
    ("comment on materialized view", "COMMENT"),
    ("comment on column", "COMMENT"),
    ("comment on schema", "COMMENT"),
    ("comment on sequence", "COMMENT"),
];

/// The statements of these that sqlparser does not know.
const REFRESH: &str = "REFRESH MATERIALIZED VIEW";
const ALTER_SEQUENCE: &str = "ALTER SEQUENCE";

/// Reads a statement that changes tables or views, if it is one. The cursor stands at its start.
pub(crate) fn write(cursor: &Cursor<'_>) -> Result<Option<Statement>, ParseError> {
    let begins = |words: &str| cursor.clone().accept(words);
    let Some((_, verb)) = FIRST_WORDS.iter().find(|(words, _)| begins(words)) else {
        return Ok(None);
    };
    let range = cursor.clone().rest();
    let text = &cursor.input[range.clone()];
    if verb.ends_with("MATERIALIZED VIEW") && is_without_data(text) {
        return Ok(Some(Statement::Unsupported {
            what: "WITH NO DATA".into(),
            hint: "Leave it out: a materialized view has the rows of its query.".into(),
        }));
    }
    if matches!(*verb, "UPDATE" | "DELETE") && is_of_cursor(cursor.tokens()) {
        return Ok(Some(Statement::Unsupported {
            what: "WHERE CURRENT OF".into(),
            hint: "Fetch the key of the row, too, and write WHERE key = value.".into(),
        }));
    }
    if *verb == "ALTER TABLE"
        && let Some(statement) = upkeep::altered(cursor)
    {
        return Ok(Some(statement));
    }
    if *verb == REFRESH {
        return match refreshed_view(text) {
            Some(_) => Ok(Some(Statement::Write { verb })),
            None => Err(cursor.error("expected REFRESH MATERIALIZED VIEW [CONCURRENTLY] name")),
        };
    }
    match readable(text) {
        Cow::Borrowed(_) if *verb == ALTER_SEQUENCE => {
            let lexemes = tokenize(text).unwrap_or_default();
            let is_other = |lexeme: &Lexeme| is_word(lexeme, "owner") || is_word(lexeme, "set");
            return match lexemes.iter().any(is_other) {
                true => Ok(Some(Statement::Unsupported {
                    what: "ALTER SEQUENCE ... OWNER TO, and SET".into(),
                    hint: "The role that makes a sequence owns it, and it stays in its schema.".into(),
                })),
                false => Err(cursor.error(
                    "expected ALTER SEQUENCE name RENAME TO name, or clauses such as RESTART WITH n",
                )),
            };
        }
        Cow::Borrowed(_) => embedded::statement(cursor.input, range)?,
        // Positions in the changed text mean nothing in this one.
        Cow::Owned(changed) => {
            embedded::statement(&changed, 0..changed.len()).map_err(|_| match *verb {
                "COMMENT" => cursor.error("expected COMMENT ON TABLE, VIEW or COLUMN name IS text"),
                "CREATE MATERIALIZED VIEW" => {
                    cursor.error("expected CREATE MATERIALIZED VIEW name AS query")
                }
                "CREATE TABLE" => cursor.error("expected CREATE TABLE name (columns)"),
                "CREATE SEQUENCE" => cursor.error("expected CREATE SEQUENCE name [clauses]"),
                ALTER_SEQUENCE => cursor.error("expected ALTER SEQUENCE name clauses"),
                _ => cursor.error("expected ALTER VIEW name RENAME [COLUMN name] TO name"),
            })?
        }
    };
    Ok(Some(Statement::Write { verb }))
}

/// Returns the text of a statement as sqlparser reads it: `ALTER VIEW` as `ALTER TABLE`, which has the same forms here,
/// `CREATE MATERIALIZED VIEW` without `WITH DATA`, the text of a comment in single quotes, and what is said of sequences in its
/// order.
pub(crate) fn readable(text: &str) -> Cow<'_, str> {
    if !["alter", "comment", "create"].iter().any(|word| begins(text, word)) {
        return Cow::Borrowed(text);
    }
    let Ok(lexemes) = tokenize(text) else { return Cow::Borrowed(text) };
    if let Some(changed) = like::readable(text, &lexemes) {
        return Cow::Owned(readable(&changed).into_owned());
    }
    let changed = moved::readable(text, &lexemes)
        .or_else(|| sequence::readable(text, &lexemes))
        .or_else(|| tables::readable(text, &lexemes));
    if let Some(changed) = changed {
        return Cow::Owned(changed);
    }
    let (from, to, by) = match lexemes.as_slice() {
        [alter, materialized, view, ..]
            if is_word(alter, "alter")
                && is_word(materialized, "materialized")
                && is_word(view, "view") =>
        {
            (materialized.start, view.end, "TABLE".into())
        }
        [alter, view, ..] if is_word(alter, "alter") && is_word(view, "view") => {
            (view.start, view.end, "TABLE".into())
        }
        [create, materialized, .., with, data]
            if is_word(create, "create")
                && is_word(materialized, "materialized")
                && is_word(with, "with")
                && is_word(data, "data") =>
        {
            (with.start, data.end, String::new())
        }
        [comment, .., is, last] if is_word(comment, "comment") && is_word(is, "is") => {
            match &last.token {
                Token::DollarQuotedString(comment) => {
                    (last.start, last.end, format!("'{}'", comment.value.replace('\'', "''")))
                }
                _ => return Cow::Borrowed(text),
            }
        }
        _ => return Cow::Borrowed(text),
    };
    Cow::Owned(format!("{}{by}{}", &text[..from], &text[to..]))
}

/// Returns the name in `REFRESH MATERIALIZED VIEW [CONCURRENTLY] name [WITH DATA]`, as it was written. Whoever reads sees
/// the rows of before until the commit, one way and the other.
pub(crate) fn refreshed_view(text: &str) -> Option<&str> {
    if !begins(text, "refresh") {
        return None;
    }
    let lexemes = tokenize(text).ok()?;
    let mut rest = lexemes.as_slice();
    for wanted in ["refresh", "materialized", "view"] {
        rest = rest.split_first().filter(|(first, _)| is_word(first, wanted))?.1;
    }
    if let [first, behind @ ..] = rest
        && is_word(first, "concurrently")
    {
        rest = behind;
    }
    if let [name @ .., with, data] = rest
        && is_word(with, "with")
        && is_word(data, "data")
    {
        rest = name;
    }
    let is_part = |at: usize, lexeme: &Lexeme| match &lexeme.token {
        Token::Word(_) => at.is_multiple_of(2),
        Token::Period => !at.is_multiple_of(2),
        _ => false,
    };
    let whole = !rest.len().is_multiple_of(2)
        && rest.iter().enumerate().all(|(at, part)| is_part(at, part));
    let (first, last) = (rest.first()?, rest.last()?);
    whole.then(|| &text[first.start..last.end])
}

/// Tells whether a statement begins with a word, without looking at the rest of it.
fn begins(text: &str, word: &str) -> bool {
    let first = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    first.eq_ignore_ascii_case(word)
}

/// Tells whether a statement changes the row that a cursor stands on.
fn is_of_cursor(lexemes: &[Lexeme]) -> bool {
    lexemes.windows(3).any(|three| {
        let [first, current, of] = three else { return false };
        is_word(first, "where") && is_word(current, "current") && is_word(of, "of")
    })
}

/// Tells whether a statement ends with `WITH NO DATA`.
fn is_without_data(text: &str) -> bool {
    let lexemes = tokenize(text).unwrap_or_default();
    matches!(lexemes.as_slice(), [.., with, no, data]
        if is_word(with, "with") && is_word(no, "no") && is_word(data, "data"))
}

pub(super) fn is_word(lexeme: &Lexeme, wanted: &str) -> bool {
    match &lexeme.token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::parse;

    #[test]
    fn statements_that_write_are_told_by_their_first_words() {
        for (text, expected) in [
            ("insert into analytics.t values (1)", "INSERT"),
            ("UPDATE analytics.t SET a = 1", "UPDATE"),
            ("CREATE TABLE analytics.t AS (SELECT 1 AS a)", "CREATE TABLE"),
            ("create temporary table \"t\" as (select 1 as a)", "CREATE TABLE"),
            ("CREATE LOCAL TEMPORARY TABLE t (a int) ON COMMIT PRESERVE ROWS", "CREATE TABLE"),
            ("create view analytics.v as select 1 as a", "CREATE VIEW"),
            ("DROP TABLE IF EXISTS \"onefold\".\"analytics\".\"t\" CASCADE", "DROP TABLE"),
            ("ALTER VIEW analytics.v RENAME TO w", "ALTER VIEW"),
            ("COMMENT ON COLUMN analytics.t.a IS 'x'", "COMMENT"),
            ("comment on table t is $tag$It's\na table$tag$", "COMMENT"),
            ("drop schema if exists \"marts\" cascade", "DROP SCHEMA"),
            (
                "create materialized view if not exists m as (select 1 as a)",
                "CREATE MATERIALIZED VIEW",
            ),
            ("create materialized view m as select 1 as a with data", "CREATE MATERIALIZED VIEW"),
            ("refresh materialized view concurrently \"a\".\"m\"", "REFRESH MATERIALIZED VIEW"),
            ("drop materialized view if exists m cascade", "DROP MATERIALIZED VIEW"),
            ("alter materialized view m rename to n", "ALTER MATERIALIZED VIEW"),
            ("create sequence if not exists s as int start 5 increment by 2", "CREATE SEQUENCE"),
            ("create temp sequence s cycle owned by none", "CREATE SEQUENCE"),
            ("ALTER SEQUENCE s RESTART WITH 10 NO CYCLE OWNED BY t.id", "ALTER SEQUENCE"),
            ("alter sequence if exists s rename to t", "ALTER SEQUENCE"),
            ("drop sequence if exists a.s, t cascade", "DROP SEQUENCE"),
            ("comment on sequence s is 'x'", "COMMENT"),
            ("comment on materialized view m is $$x$$", "COMMENT"),
            ("with a as (select 1 as n) update t set n = a.n from a where t.id = $1", "UPDATE"),
            ("WITH a AS (SELECT 1 AS n) DELETE FROM t USING a WHERE t.n = a.n", "DELETE"),
            ("WITH a AS (SELECT 1 AS n) INSERT INTO t (n) SELECT n FROM a", "INSERT"),
            ("SELECT a.n INTO TEMP t FROM a UNION SELECT 2", "SELECT INTO"),
            ("with a as (select 1) (select 1 as n into b)", "SELECT INTO"),
            ("WITH a AS (DELETE FROM b) SELECT 1", "SELECT"),
            ("WITH a AS (UPDATE b SET c = 1 RETURNING c) INSERT INTO d SELECT c FROM a", "INSERT"),
            ("create or replace temp view v as select 1 as a", "CREATE VIEW"),
            ("create table t (like s including all, a int)", "CREATE TABLE"),
            (
                "WITH a AS (SELECT 1) MERGE INTO t USING a ON t.n = a.n WHEN MATCHED THEN DELETE",
                "MERGE",
            ),
        ] {
            let statements = parse(text).unwrap();
            assert!(
                matches!(statements[0].statement, Statement::Write { verb } if verb == expected),
                "{text}: {:?}",
                statements[0].statement
            );
        }
        for text in ["INSERT INTO", "ALTER SEQUENCE s", "CREATE SEQUENCE s START 1 START 2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_sqlparser_does_not_read_is_made_readable() {
        for (text, expected) in [
            ("Alter View v RENAME TO w", "Alter TABLE v RENAME TO w"),
            ("alter /* all */\n view\tv", "alter /* all */\n TABLE\tv"),
            ("alter table view rename to w", "alter table view rename to w"),
            ("alter materialized view m rename to n", "alter TABLE m rename to n"),
            (
                "create materialized view m as select 1 WITH DATA",
                "create materialized view m as select 1 ",
            ),
            ("create table data as select 1", "create table data as select 1"),
            ("comment on view v is $a$It's $1$a$", "comment on view v is 'It''s $1'"),
            ("comment on view v is 'is'", "comment on view v is 'is'"),
            ("select $$a$$", "select $$a$$"),
        ] {
            assert_eq!(readable(text), expected);
        }
    }

    #[test]
    fn the_name_of_a_view_that_is_refreshed_is_found() {
        for (text, name) in [
            ("refresh materialized view m", Some("m")),
            (
                "REFRESH MATERIALIZED VIEW CONCURRENTLY \"onefold\" . \"a\".m",
                Some("\"onefold\" . \"a\".m"),
            ),
            ("REFRESH MATERIALIZED VIEW a.m WITH DATA", Some("a.m")),
            ("REFRESH MATERIALIZED VIEW m WITH NO DATA", None),
            ("REFRESH MATERIALIZED VIEW a.", None),
            ("REFRESH MATERIALIZED VIEW", None),
            ("REFRESH MATERIALIZED VIEW m n", None),
        ] {
            assert_eq!(refreshed_view(text), name, "{text}");
        }
    }
}
