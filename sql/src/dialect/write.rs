//! Statements that change tables and views of the schema `analytics`: recognised by their first words and checked by
//! sqlparser; what they mean is decided where they are planned.

use std::borrow::Cow;

use super::cursor::Cursor;
use super::embedded;
use super::error::ParseError;
use super::statement::Statement;

/// First words, and what the statement is called in messages.
const FIRST_WORDS: [(&str, &str); 20] = [
    ("insert", "INSERT"),
    ("update", "UPDATE"),
    ("delete", "DELETE"),
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
        Cow::Owned(changed) => embedded::statement(&changed, 0..changed.len())
            .map_err(|_| cursor.error("expected ALTER VIEW name RENAME TO name"))?,
    };
    Ok(Some(Statement::Write { verb }))
}

/// Returns the text of a statement as sqlparser reads it: `ALTER VIEW` as `ALTER TABLE`, which has the same forms here.
pub(crate) fn readable(text: &str) -> Cow<'_, str> {
    let mut words = text.splitn(3, char::is_whitespace);
    match (words.next(), words.next(), words.next()) {
        (Some(alter), Some(view), Some(rest))
            if alter.eq_ignore_ascii_case("alter") && view.eq_ignore_ascii_case("view") =>
        {
            Cow::Owned(format!("ALTER TABLE {rest}"))
        }
        _ => Cow::Borrowed(text),
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
        ] {
            let statements = parse(text).unwrap();
            assert!(
                matches!(statements[0].statement, Statement::Write { verb } if verb == expected),
                "{text}: {:?}",
                statements[0].statement
            );
        }
        assert!(parse("INSERT INTO").is_err());
        assert_eq!(readable("alter  view v"), "alter  view v");
        assert_eq!(readable("Alter View v RENAME TO w"), "ALTER TABLE v RENAME TO w");
    }
}
