//! What other databases do: recognised, so that the answer says what to do instead.

use super::cursor::Cursor;
use super::statement::Statement;

/// First words of statements that would read or write outside the lake, or run foreign code.
const REFUSED: [(&str, &str); 19] = [
    ("create external table", "Define a source: CREATE SOURCE name FROM FILE ('data/*.csv') ..."),
    (
        "create or replace external table",
        "Define a source: CREATE SOURCE name FROM FILE ('data/*.csv') ...",
    ),
    ("create foreign", "Define a source: CREATE SOURCE name FROM FILE ('data/*.csv') ..."),
    ("create server", "Define a source: CREATE SOURCE name FROM FILE ('data/*.csv') ..."),
    ("create extension", "Every function is built in."),
    ("create function", "Every function is built in."),
    ("create or replace function", "Every function is built in."),
    ("create procedure", "Every function is built in."),
    ("create or replace procedure", "Every function is built in."),
    ("create language", "Every function is built in."),
    ("create aggregate", "Every function is built in."),
    ("alter system", "Change onefold.toml and start again."),
    ("import foreign schema", "Define a source: CREATE SOURCE name FROM FILE ('data/*.csv') ..."),
    ("load", "Every function is built in."),
    ("install", "Every function is built in."),
    ("attach", "Define a source: CREATE SOURCE name FROM FILE ('data/*.csv') ..."),
    ("detach", "Nothing can be attached."),
    ("unload", "Use COPY ... TO STDOUT, or a sync to a destination."),
    ("do", "Send the statements one by one."),
];

/// First words of statements that change data or its shape in ways onefold does not have.
const UNSUPPORTED: [(&str, &str); 29] = [
    ("erase", "Record a refusal with cdp.record_consent until erasure is there."),
    ("suppress", "Record a refusal with cdp.record_consent."),
    ("export profile", "Query profiles, profile_records and profile_identifiers."),
    ("preview", "Run the query of the segment and count its rows."),
    ("snapshot", "Query segment_members, which keeps when each member entered and exited."),
    ("validate", "Use onefold check PROJECT."),
    (
        "merge",
        "Write MERGE INTO name USING source ON condition WHEN ..., or MERGE PROFILES a, b REASON ...",
    ),
    ("create temporary", "Use WITH queries."),
    ("create temp", "Use WITH queries."),
    ("create unique index", "Declare it with the table, or ALTER TABLE name ADD UNIQUE (columns)."),
    ("create database", "There is one database, onefold; use another --dir for another lake."),
    ("create user", "Use CREATE ROLE name LOGIN PASSWORD '...' PURPOSES (...)."),
    ("create connection", "Name the files in CREATE SOURCE and CREATE DESTINATION."),
    ("create domain", "Use the type below it, and CHECK of the column: a text CHECK (a <> '')."),
    ("create type", "Use text with CHECK (a IN ('one', 'two')), or a column for each part."),
    ("alter domain", "There are no domains but those of information_schema."),
    ("drop domain", "There are no domains but those of information_schema."),
    ("create model", "Compute the score in SQL with CREATE TRAIT."),
    ("create job", "Use EVERY in the definition."),
    (
        "create",
        "The kinds are secret, purpose, role, source, event, identity graph, identity overrides, consent feed, attribute, trait, segment, destination and sync.",
    ),
    ("alter index", "There are no indexes: CREATE INDEX and DROP INDEX have nothing to do."),
    ("alter", "Use CREATE OR REPLACE."),
    (
        "drop",
        "The kinds are secret, purpose, role, source, event, identity graph, identity overrides, consent feed, attribute, trait, segment, destination and sync.",
    ),
    ("comment", "Comments stand on objects of onefold: COMMENT ON SEGMENT name IS '...'."),
    ("grant", "Use CREATE OR REPLACE ROLE name ... PURPOSES (...) MAY (...)."),
    ("revoke", "Use CREATE OR REPLACE ROLE name ... PURPOSES (...) MAY (...)."),
    ("reindex", "There are no indexes."),
    ("cluster", "Files are sorted in the background."),
    ("call", "Use SELECT function(...)."),
];

/// First words that clients of other databases send.
const ELSEWHERE: [(&str, &str); 6] = [
    ("describe", "Use \\d name in psql, or information_schema.columns."),
    ("desc", "Use \\d name in psql, or information_schema.columns."),
    ("use", "There is one database; name the schema: sources.crm_contacts."),
    ("pragma", "Use SET and SHOW."),
    ("checkpoint", "Checkpoints are written in the background."),
    ("security", "There are no labels."),
];

/// First words that begin a statement of ours or of Postgres, for "did you mean".
pub(crate) const FIRST_WORDS: [&str; 43] = [
    "insert",
    "update",
    "delete",
    "truncate",
    "alter",
    "select",
    "with",
    "values",
    "create",
    "drop",
    "comment",
    "refresh",
    "merge",
    "split",
    "apply",
    "run",
    "show",
    "set",
    "reset",
    "discard",
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint",
    "release",
    "prepare",
    "execute",
    "deallocate",
    "declare",
    "fetch",
    "move",
    "close",
    "listen",
    "unlisten",
    "notify",
    "copy",
    "analyze",
    "vacuum",
    "lock",
    "explain",
];

/// Returns the answer to a statement that onefold does not take, if it is known. The cursor stands at its start.
pub(crate) fn foreign(cursor: &Cursor<'_>) -> Option<Statement> {
    let begins = |words: &str| cursor.clone().accept(words);
    if let Some((words, hint)) = REFUSED.iter().find(|(words, _)| begins(words)) {
        return Some(Statement::Refused { what: words.to_uppercase(), hint: hint.to_string() });
    }
    let (words, hint) = UNSUPPORTED.iter().chain(&ELSEWHERE).find(|(words, _)| begins(words))?;
    let what = match *words {
        // The second word says what was meant.
        "create" | "alter" | "drop" | "comment" => {
            let mut behind = cursor.clone();
            behind.advance();
            if *words == "comment" {
                behind.accept("on");
            }
            behind.accept("or replace");
            format!("{} {}", words.to_uppercase(), behind.word().unwrap_or_default().to_uppercase())
        }
        words => words.to_uppercase(),
    };
    Some(Statement::Unsupported { what: what.trim_end().to_string(), hint: hint.to_string() })
}
