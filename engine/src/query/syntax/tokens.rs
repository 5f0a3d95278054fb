//! Clauses that sqlparser has no syntax for, written as others that mean the same.
//!
//! `TABLE t` becomes `SELECT * FROM t`, `ORDER BY a USING >` becomes `ORDER BY a DESC`, and the brackets of
//! `FETCH FIRST (n) ROWS ONLY` become those of a `LIMIT`. Each token keeps its place in the text.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Tokens at most that the brackets of `FETCH` are looked through for: each of many that are open would look through all of them.
const FETCHED_TOKENS_MAX: usize = 4096;

/// Writes tokens so that sqlparser reads them.
pub(super) fn readable(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_concerned = |token: &TokenWithSpan| {
        matches!(keyword(&token.token), Keyword::TABLE | Keyword::FETCH | Keyword::USING)
    };
    if !tokens.iter().any(is_concerned) {
        return tokens;
    }
    let made_as = query_of_made(&tokens);
    let mut written = Vec::with_capacity(tokens.len() + 8);
    // The token before, white space and comments left out.
    let mut before: Option<usize> = None;
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let is_made = before.is_some() && before == made_as;
        let previous = before.map(|before| &tokens[before].token);
        if !is_space(token) {
            before = Some(at);
        }
        match keyword(&token.token) {
            Keyword::TABLE if (is_made || begins_query(previous)) && names(&tokens, at) => {
                let (select, from) = (Token::make_keyword("SELECT"), Token::make_keyword("FROM"));
                let all = [select, Token::Mul, from];
                written.extend(all.map(|part| TokenWithSpan::new(part, token.span)));
                at += 1;
            }
            Keyword::USING => {
                let next = following(&tokens, at);
                let direction = match next.map(|next| &tokens[next].token) {
                    Some(Token::Gt) => "DESC",
                    Some(Token::Lt) => "ASC",
                    _ => {
                        written.push(token.clone());
                        at += 1;
                        continue;
                    }
                };
                written.push(TokenWithSpan::new(Token::make_keyword(direction), token.span));
                before = next;
                at = next.unwrap_or(at) + 1;
            }
            Keyword::FETCH if previous.is_some() => match fetched(&tokens, at) {
                Some((limit, behind)) => {
                    written.extend(limit);
                    before = behind.checked_sub(1);
                    at = behind;
                }
                None => {
                    written.push(token.clone());
                    at += 1;
                }
            },
            _ => {
                written.push(token.clone());
                at += 1;
            }
        }
    }
    written
}

/// The keyword that a token is.
pub(super) fn keyword(token: &Token) -> Keyword {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

/// Where the token behind another stands.
fn following(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    (at + 1..tokens.len()).find(|at| !is_space(&tokens[*at]))
}

/// Where the `AS` stands in a statement that makes something of a query.
fn query_of_made(tokens: &[TokenWithSpan]) -> Option<usize> {
    let first = tokens.iter().find(|token| !is_space(token))?;
    let is_as = |token: &TokenWithSpan| keyword(&token.token) == Keyword::AS;
    tokens.iter().position(is_as).filter(|_| keyword(&first.token) == Keyword::CREATE)
}

/// Tells whether a query may begin behind a token.
fn begins_query(previous: Option<&Token>) -> bool {
    let Some(previous) = previous else { return true };
    matches!(previous, Token::LParen | Token::RParen | Token::SemiColon)
        || matches!(
            keyword(previous),
            Keyword::UNION
                | Keyword::ALL
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::DISTINCT
        )
}

/// Tells whether a name follows.
fn names(tokens: &[TokenWithSpan], at: usize) -> bool {
    following(tokens, at).is_some_and(|next| matches!(tokens[next].token, Token::Word(_)))
}

/// `FETCH FIRST (n) ROWS ...` from a place on: what is read in its stead, and where the text goes on.
fn fetched(tokens: &[TokenWithSpan], at: usize) -> Option<(Vec<TokenWithSpan>, usize)> {
    let keyword_at = |at: usize| keyword(&tokens[at].token);
    let first = following(tokens, at)?;
    let open = following(tokens, first)?;
    if !matches!(keyword_at(first), Keyword::FIRST | Keyword::NEXT)
        || tokens[open].token != Token::LParen
    {
        return None;
    }
    let mut depth = 0_usize;
    let end = tokens.len().min(open + FETCHED_TOKENS_MAX);
    let close = (open..end).find(|at| {
        match tokens[*at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })?;
    let rows = following(tokens, close)?;
    let how = following(tokens, rows)?;
    if !matches!(keyword_at(rows), Keyword::ROW | Keyword::ROWS) {
        return None;
    }
    match keyword_at(how) {
        Keyword::ONLY => {
            let limit = TokenWithSpan::new(Token::make_keyword("LIMIT"), tokens[at].span);
            let count = tokens[open..=close].iter().cloned();
            Some((std::iter::once(limit).chain(count).collect(), how + 1))
        }
        // A cast of the number says nothing.
        Keyword::WITH => {
            let within: Vec<&TokenWithSpan> =
                tokens[open + 1..close].iter().filter(|token| !is_space(token)).collect();
            let count = match within.as_slice() {
                [count] => *count,
                [count, cast, _] if cast.token == Token::DoubleColon => *count,
                _ => return None,
            };
            let kept = [&tokens[at], &tokens[first], count].map(TokenWithSpan::clone);
            Some((kept.to_vec(), rows))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::statements;

    /// Checks what texts are read as.
    fn reads(cases: &[(&str, &str)]) {
        for (sql, as_written) in cases {
            let read = statements(sql).map(|read| read[0].to_string());
            let wanted = statements(as_written).unwrap()[0].to_string();
            assert_eq!(read.as_ref(), Ok(&wanted), "{sql}");
        }
    }

    #[test]
    fn clauses_are_read_as_others_that_mean_the_same() {
        reads(&[
            ("TABLE emp", "SELECT * FROM emp"),
            ("TABLE hr.emp ORDER BY id LIMIT 1", "SELECT * FROM hr.emp ORDER BY id LIMIT 1"),
            ("SELECT 1 UNION ALL TABLE emp", "SELECT 1 UNION ALL SELECT * FROM emp"),
            ("CREATE TABLE t AS TABLE emp", "CREATE TABLE t AS SELECT * FROM emp"),
            (
                "CREATE VIEW t AS SELECT a AS table FROM u",
                "CREATE VIEW t AS SELECT a AS table FROM u",
            ),
            (
                "SELECT a FROM t ORDER BY a USING >, b USING <",
                "SELECT a FROM t ORDER BY a DESC, b ASC",
            ),
            ("SELECT a FROM t JOIN u USING (a)", "SELECT a FROM t JOIN u USING (a)"),
            ("SELECT a FROM t FETCH FIRST (1) ROWS ONLY", "SELECT a FROM t LIMIT (1)"),
            (
                "SELECT a FROM t OFFSET ($1) ROWS FETCH NEXT ($2::INTEGER) ROW ONLY",
                "SELECT a FROM t OFFSET ($1) ROWS LIMIT ($2::INTEGER)",
            ),
            (
                "SELECT a FROM t ORDER BY a FETCH FIRST ($1::INTEGER) ROWS WITH TIES",
                "SELECT a FROM t ORDER BY a FETCH FIRST $1 ROWS WITH TIES",
            ),
        ]);
    }

    #[test]
    fn operators_are_read_that_sqlparser_does_not_know() {
        reads(&[
            ("SELECT a ISNULL, b NOTNULL FROM t", "SELECT a IS NULL, b IS NOT NULL FROM t"),
            ("SELECT a FROM t WHERE a isnull AND b", "SELECT a FROM t WHERE a IS NULL AND b"),
            (
                "SELECT a BETWEEN SYMMETRIC 2 AND 1 AND b",
                "SELECT ((a BETWEEN 2 AND 1) OR (a BETWEEN 1 AND 2)) AND b",
            ),
            ("SELECT a LIKE ANY (ARRAY['b'])", "SELECT a ~~ ANY (ARRAY['b'])"),
            ("SELECT a NOT ILIKE ALL ('{b}')", "SELECT a !~~* ALL ('{b}')"),
            ("SELECT 'a'\n'b'", "SELECT 'ab'"),
        ]);
        assert_eq!(
            statements("SELECT (VALUES (1)), 2 = ANY (VALUES (1), (2))").unwrap()[0].to_string(),
            "SELECT ((VALUES (1))), 2 = ANY(VALUES (1), (2))"
        );
    }
}
