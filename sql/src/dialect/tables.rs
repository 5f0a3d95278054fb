//! Forms of `CREATE TABLE` that sqlparser does not read, in words that it does.

use sqlparser::tokenizer::Token;

use super::lexer::Lexeme;
use super::write::is_word;

/// Words between `CREATE` and `TABLE`.
const KINDS: [&str; 5] = ["local", "global", "temp", "temporary", "unlogged"];

/// Returns a `CREATE TABLE` without `UNLOGGED`, since every commit is durable at the same price, and without `WITH [NO] DATA`
/// at its end: a query that is to give no rows gets a limit. `None` for any other text.
pub(super) fn readable(text: &str, lexemes: &[Lexeme]) -> Option<String> {
    let (create, rest) = lexemes.split_first()?;
    let table = rest.iter().take(KINDS.len()).position(|lexeme| is_word(lexeme, "table"))?;
    let (kinds, behind) = rest.split_at(table);
    let is_kind = |lexeme: &Lexeme| KINDS.iter().any(|kind| is_word(lexeme, kind));
    if !is_word(create, "create") || !kinds.iter().all(is_kind) {
        return None;
    }
    let unlogged = kinds.iter().find(|lexeme| is_word(lexeme, "unlogged"));
    let (end, empty) = match behind {
        [.., with, no, data]
            if is_word(with, "with") && is_word(no, "no") && is_word(data, "data") =>
        {
            (with.start, true)
        }
        [.., with, data] if is_word(with, "with") && is_word(data, "data") => (with.start, false),
        _ if unlogged.is_none() => return None,
        _ => (text.len(), false),
    };
    let mut changed = String::with_capacity(text.len());
    let mut from = 0;
    if let Some(unlogged) = unlogged {
        changed.push_str(&text[..unlogged.start]);
        from = unlogged.end;
    }
    if empty {
        let query = outer_as(behind)?.end;
        changed.push_str(&text[from..query]);
        changed.push_str(" SELECT * FROM (");
        changed.push_str(text[query..end].trim());
        // The query may end with a comment.
        changed.push_str("\n) AS q LIMIT 0");
    } else {
        changed.push_str(&text[from..end]);
    }
    Some(changed)
}

/// Returns the first `AS` that stands in no brackets.
fn outer_as(lexemes: &[Lexeme]) -> Option<&Lexeme> {
    let mut depth = 0_usize;
    lexemes.iter().find(|lexeme| {
        match lexeme.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && is_word(lexeme, "as")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::lexer::tokenize;

    #[test]
    fn forms_of_create_table_are_made_readable() {
        for (text, expected) in [
            ("create unlogged table t (a int)", Some("create  table t (a int)")),
            ("CREATE TABLE t AS SELECT 1 AS a WITH DATA", Some("CREATE TABLE t AS SELECT 1 AS a ")),
            (
                "CREATE TEMP TABLE t AS SELECT 1 AS a WITH NO DATA",
                Some("CREATE TEMP TABLE t AS SELECT * FROM (SELECT 1 AS a\n) AS q LIMIT 0"),
            ),
            (
                "create unlogged table t as (with x as (select 1) select * from x) with no data",
                Some(
                    "create  table t as SELECT * FROM ((with x as (select 1) select * from x)\n) AS q LIMIT 0",
                ),
            ),
            ("create table t as select 1 as data", None),
            ("create table t (a int)", None),
            ("create view t as select 1", None),
        ] {
            let lexemes = tokenize(text).unwrap();
            assert_eq!(readable(text, &lexemes).as_deref(), expected, "{text}");
        }
    }
}
