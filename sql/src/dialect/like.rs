//! `LIKE` among the columns of `CREATE TABLE`, of which sqlparser reads a part: it becomes a column that no statement can
//! name, whose type is the other relation, with what is said of `INCLUDING` and `EXCLUDING` in its brackets.

use std::ops::Range;

use engine::analytics::LIKE;
use sqlparser::tokenizer::Token;

use super::lexer::Lexeme;
use super::write::is_word;

/// Returns a `CREATE TABLE` with each `LIKE` among its columns as sqlparser reads it; `None` if there is none.
pub(super) fn readable(text: &str, lexemes: &[Lexeme]) -> Option<String> {
    let open = lexemes.iter().position(|lexeme| lexeme.token == Token::LParen)?;
    let (head, list) = lexemes.split_at(open);
    let has = |word: &str| head.iter().any(|lexeme| is_word(lexeme, word));
    if !is_word(head.first()?, "create") || !has("table") || has("as") {
        return None;
    }
    let mut changed = String::new();
    let (mut from, mut depth) = (0, 0_usize);
    for (at, lexeme) in list.iter().enumerate() {
        match lexeme.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        let begins_item = matches!(lexeme.token, Token::LParen | Token::Comma) && depth == 1;
        let Some((range, item)) = list.get(at + 1..).filter(|_| begins_item).and_then(item) else {
            continue;
        };
        changed.push_str(&text[from..range.start]);
        changed.push_str(&item);
        from = range.end;
    }
    (from > 0).then(|| changed + &text[from..])
}

/// Reads `LIKE name [INCLUDING what | EXCLUDING what ...]` up to the end of an item. Returns where it stands, and what
/// stands for it.
fn item(lexemes: &[Lexeme]) -> Option<(Range<usize>, String)> {
    let (like, mut rest) = lexemes.split_first().filter(|(like, _)| is_word(like, "like"))?;
    let mut parts = Vec::new();
    loop {
        let (part, behind) = rest.split_first()?;
        let Token::Word(word) = &part.token else { return None };
        let name = match word.quote_style {
            Some(_) => word.value.replace('"', "\"\""),
            None => word.value.to_ascii_lowercase(),
        };
        parts.push(format!("\"{name}\""));
        rest = behind;
        match behind.split_first() {
            Some((period, behind)) if period.token == Token::Period => rest = behind,
            _ => break,
        }
    }
    let mut words = Vec::new();
    let is_end = |lexeme: &Lexeme| matches!(lexeme.token, Token::Comma | Token::RParen);
    loop {
        match rest {
            [end, ..] if is_end(end) => {
                let words = match words.is_empty() {
                    true => String::new(),
                    false => format!("({})", words.join(", ")),
                };
                let item = format!("\"{LIKE}\" {}{words}", parts.join("."));
                let last = lexemes.len() - rest.len();
                return Some((like.start..lexemes[last - 1].end, item));
            }
            [how, what, behind @ ..] if is_word(how, "including") || is_word(how, "excluding") => {
                for word in [how, what] {
                    let Token::Word(word) = &word.token else { return None };
                    words.push(word.value.to_lowercase());
                }
                rest = behind;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::lexer::tokenize;

    #[test]
    fn like_is_made_a_column_that_nobody_can_name() {
        for (text, expected) in [
            ("create table t (like a)", Some("create table t (\"\u{1}like\" \"a\")")),
            (
                "CREATE TABLE t (n int, LIKE \"S\".b INCLUDING ALL EXCLUDING comments, PRIMARY KEY (n))",
                Some(
                    "CREATE TABLE t (n int, \"\u{1}like\" \"S\".\"b\"(including, all, excluding, comments), PRIMARY KEY (n))",
                ),
            ),
            (
                "create temp table if not exists t (LIKE a, LIKE B including indexes)",
                Some(
                    "create temp table if not exists t (\"\u{1}like\" \"a\", \"\u{1}like\" \"b\"(including, indexes))",
                ),
            ),
            ("create table t (\"like\" int)", None),
            ("create table t (a text check (a like b))", None),
            ("create table t as (select 'a' like 'b')", None),
            ("create view t as select (1)", None),
            ("create table t (like a with all)", None),
        ] {
            let lexemes = tokenize(text).unwrap();
            assert_eq!(readable(text, &lexemes).as_deref(), expected, "{text}");
        }
    }
}
