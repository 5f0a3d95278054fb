//! Statements that change tables and views of the schema `analytics`: recognised by their first words and checked by
//! sqlparser; what they mean is decided where they are planned.

use std::borrow::Cow;

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::embedded;
use super::error::ParseError;
use super::lexer::{Lexeme, tokenize};
use super::statement::Statement;

/// First words, and what the statement is called in messages.
const FIRST_WORDS: [(&str, &str); 21] = [
    ("insert", "INSERT"),
    ("update", "UPDATE"),
    ("delete", "DELETE"),
    ("merge into", "MERGE"),
    ("truncate", "TRUNCATE TABLE"),
    ("create table", "CREATE TABLE"),
    ("create temp table", "CREATE TABLE"),
    ("create temporary table", "CREATE TABLE"),
    ("create view", "CREATE VIEW"),
    ("create or replace view", "CREATE VIEW"),
    ("create or replace table", "CREATE TABLE"),
    ("create schema", "CREATE SCHEMA"),
    ("drop table", "DROP TABLE"),
    ("drop view", "DROP VIEW"),
    ("drop schema", "DROP SCHEMA"),
    ("alter table", "ALTER TABLE"),
    ("alter view", "ALTER VIEW"),
    ("comment on table", "COMMENT"),
    ("comment on view", "COMMENT"),
    ("comment on column", "COMMENT"),
    ("comment on schema", "COMMENT"),
];

/// Reads a statement that changes tables or views, if it is one. The cursor stands at its start.
pub(crate) fn write(cursor: &Cursor<'_>) -> Result<Option<Statement>, ParseError> {
    let begins = |words: &str| cursor.clone().accept(words);
    let Some((_, verb)) = FIRST_WORDS.iter().find(|(words, _)| begins(words)) else {
        return Ok(None);
    };
    let range = cursor.clone().rest();
    match readable(&cursor.input[range.clone()]) {
        Cow::Borrowed(_) => embedded::statement(cursor.input, range)?,
        // Positions in the changed text mean nothing in this one.
        Cow::Owned(changed) => {
            embedded::statement(&changed, 0..changed.len()).map_err(|_| match *verb {
                "COMMENT" => cursor.error("expected COMMENT ON TABLE, VIEW or COLUMN name IS text"),
                _ => cursor.error("expected ALTER VIEW name RENAME TO name"),
            })?
        }
    };
    Ok(Some(Statement::Write { verb }))
}

/// Returns the text of a statement as sqlparser reads it: `ALTER VIEW` as `ALTER TABLE`, which has the same forms here, and
/// the text of a comment in single quotes.
pub(crate) fn readable(text: &str) -> Cow<'_, str> {
    let first = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    if !["alter", "comment"].iter().any(|word| first.eq_ignore_ascii_case(word)) {
        return Cow::Borrowed(text);
    }
    let Ok(lexemes) = tokenize(text) else { return Cow::Borrowed(text) };
    let (at, by) = match lexemes.as_slice() {
        [alter, view, ..] if is_word(alter, "alter") && is_word(view, "view") => {
            (view, "TABLE".into())
        }
        [.., is, last] if is_word(is, "is") => match &last.token {
            Token::DollarQuotedString(comment) => {
                (last, format!("'{}'", comment.value.replace('\'', "''")))
            }
            _ => return Cow::Borrowed(text),
        },
        _ => return Cow::Borrowed(text),
    };
    Cow::Owned(format!("{}{by}{}", &text[..at.start], &text[at.end..]))
}

fn is_word(lexeme: &Lexeme, wanted: &str) -> bool {
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
            ("create view analytics.v as select 1 as a", "CREATE VIEW"),
            ("DROP TABLE IF EXISTS \"onefold\".\"analytics\".\"t\" CASCADE", "DROP TABLE"),
            ("ALTER VIEW analytics.v RENAME TO w", "ALTER VIEW"),
            ("COMMENT ON COLUMN analytics.t.a IS 'x'", "COMMENT"),
            ("comment on table t is $tag$It's\na table$tag$", "COMMENT"),
            ("drop schema if exists \"marts\" cascade", "DROP SCHEMA"),
        ] {
            let statements = parse(text).unwrap();
            assert!(
                matches!(statements[0].statement, Statement::Write { verb } if verb == expected),
                "{text}: {:?}",
                statements[0].statement
            );
        }
        assert!(parse("INSERT INTO").is_err());
    }

    #[test]
    fn what_sqlparser_does_not_read_is_made_readable() {
        for (text, expected) in [
            ("Alter View v RENAME TO w", "Alter TABLE v RENAME TO w"),
            ("alter /* all */\n view\tv", "alter /* all */\n TABLE\tv"),
            ("alter table view rename to w", "alter table view rename to w"),
            ("comment on view v is $a$It's $1$a$", "comment on view v is 'It''s $1'"),
            ("comment on view v is 'is'", "comment on view v is 'is'"),
            ("select $$a$$", "select $$a$$"),
        ] {
            assert_eq!(readable(text), expected);
        }
    }
}
