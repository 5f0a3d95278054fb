//! Clauses of `INSERT` that sqlparser has no syntax for, written as others.
//!
//! `OVERRIDING SYSTEM VALUE` becomes a partition that no table has. What `WHERE` says of the key of an `ON CONFLICT` is left out: no
//! key is of some rows alone, so that each fits. `INSERT DEFAULT VALUES` of a `MERGE` becomes `INSERT VALUES (DEFAULT)`.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{FETCHED_TOKENS_MAX, Reading, following, is_space, keyword};

/// The partitions that `OVERRIDING SYSTEM VALUE` and `USER VALUE` of an `INSERT` are: no text of a statement has such names.
pub(crate) const SYSTEM_VALUE: &str = "\u{1}system_value";
pub(crate) const USER_VALUE: &str = "\u{1}user_value";

/// `CONFLICT (columns) WHERE condition` before `DO`, from a place on: without the condition.
pub(super) fn arbiter(tokens: &[TokenWithSpan], at: usize) -> Option<Reading> {
    let open = following(tokens, at).filter(|open| tokens[*open].token == Token::LParen)?;
    let end = tokens.len().min(open + FETCHED_TOKENS_MAX);
    let mut depth = 0_usize;
    let mut close = None;
    for (place, token) in tokens.iter().enumerate().take(end).skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > 0 {
            continue;
        }
        match close {
            None => close = Some(place),
            Some(close) if keyword(&token.token) == Keyword::DO => {
                let first = following(tokens, close)?;
                return (keyword(&tokens[first].token) == Keyword::WHERE).then(|| Reading {
                    tokens: tokens[at..=close].to_vec(),
                    last: Some(close),
                    behind: place,
                });
            }
            Some(_) => {}
        }
    }
    None
}

/// `DEFAULT VALUES` from a place on: the values that a row has whose first one is left to the table.
pub(super) fn defaults(tokens: &[TokenWithSpan], at: usize) -> Option<Reading> {
    let values = following(tokens, at)?;
    if keyword(&tokens[values].token) != Keyword::VALUES {
        return None;
    }
    let (open, close) = (Token::LParen, Token::RParen);
    let row = [tokens[values].token.clone(), open, tokens[at].token.clone(), close];
    let row = row.map(|part| TokenWithSpan::new(part, tokens[at].span)).to_vec();
    Some(Reading { tokens: row, last: Some(values), behind: values + 1 })
}

/// `OVERRIDING SYSTEM VALUE` or `USER VALUE` from a place on, behind the table or its columns.
pub(super) fn overriding(
    tokens: &[TokenWithSpan],
    before: Option<usize>,
    at: usize,
) -> Option<Reading> {
    if !is_overriding(&tokens[at].token) {
        return None;
    }
    let which = following(tokens, at)?;
    let value = following(tokens, which)?;
    let name = match keyword(&tokens[which].token) {
        Keyword::SYSTEM => SYSTEM_VALUE,
        Keyword::USER => USER_VALUE,
        _ => return None,
    };
    let rows = &tokens[following(tokens, value)?].token;
    let has_rows = *rows == Token::LParen
        || matches!(
            keyword(rows),
            Keyword::VALUES | Keyword::SELECT | Keyword::WITH | Keyword::TABLE
        );
    if keyword(&tokens[value].token) != Keyword::VALUE || !has_rows {
        return None;
    }
    let partition = [
        Token::make_keyword("PARTITION"),
        Token::LParen,
        Token::make_word(name, Some('"')),
        Token::RParen,
    ];
    // What stands behind a table is read as its alias.
    let table = before.filter(|before| is_table(tokens, *before)).map(|table| &tokens[table].token);
    let alias = table.map(|table| [Token::make_keyword("AS"), table.clone()]);
    let written = alias.into_iter().flatten().chain(partition);
    let written = written.map(|part| TokenWithSpan::new(part, tokens[at].span)).collect();
    Some(Reading { tokens: written, last: Some(value), behind: value + 1 })
}

/// Tells whether the `VALUE` at a place is the last word of such a clause.
pub(super) fn ends_overriding(tokens: &[TokenWithSpan], at: usize) -> bool {
    let first = preceding(tokens, at).and_then(|which| preceding(tokens, which));
    first.is_some_and(|first| is_overriding(&tokens[first].token))
}

fn is_overriding(token: &Token) -> bool {
    matches!(token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("overriding"))
}

/// Where the token before another stands.
fn preceding(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    (0..at).rev().find(|at| !is_space(&tokens[*at]))
}

/// Tells whether the name behind `INTO` ends at a place.
fn is_table(tokens: &[TokenWithSpan], mut at: usize) -> bool {
    loop {
        let Some(before) =
            preceding(tokens, at).filter(|_| matches!(tokens[at].token, Token::Word(_)))
        else {
            return false;
        };
        if keyword(&tokens[before].token) == Keyword::INTO {
            return true;
        }
        if tokens[before].token != Token::Period {
            return false;
        }
        let Some(schema) = preceding(tokens, before) else { return false };
        at = schema;
    }
}

#[cfg(test)]
mod tests {
    use super::super::statements;

    #[test]
    fn what_is_said_of_inserted_rows_is_read() {
        let system = "PARTITION (\"\u{1}system_value\")";
        let user = "PARTITION (\"\u{1}user_value\")";
        for (sql, as_written) in [
            (
                "INSERT INTO t (a, b) OVERRIDING SYSTEM VALUE VALUES (1, 2)",
                format!("INSERT INTO t (a, b) {system} VALUES (1, 2)").as_str(),
            ),
            (
                "INSERT INTO s.t OVERRIDING USER VALUE SELECT 1",
                format!("INSERT INTO s.t AS t {user} SELECT 1").as_str(),
            ),
            (
                "INSERT INTO t AS x overriding system value (SELECT 1)",
                format!("INSERT INTO t AS x {system} (SELECT 1)").as_str(),
            ),
            ("SELECT 1 AS overriding, value FROM t", "SELECT 1 AS overriding, value FROM t"),
            (
                "INSERT INTO t VALUES (1) ON CONFLICT (a, b) WHERE a > (1 + 2) DO NOTHING",
                "INSERT INTO t VALUES (1) ON CONFLICT (a, b) DO NOTHING",
            ),
            (
                "INSERT INTO t VALUES (1) ON CONFLICT (a) WHERE b DO UPDATE SET a = 1 WHERE c",
                "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1 WHERE c",
            ),
            (
                "MERGE INTO t USING s ON a = b WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
                "MERGE INTO t USING s ON a = b WHEN NOT MATCHED THEN INSERT VALUES (DEFAULT)",
            ),
        ] {
            let read = statements(sql).map(|read| read[0].to_string());
            let wanted = statements(as_written).unwrap()[0].to_string();
            assert_eq!(read.as_ref(), Ok(&wanted), "{sql}");
        }
    }
}
