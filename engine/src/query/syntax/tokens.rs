//! Clauses that sqlparser has no syntax for, written as others that mean the same.
//!
//! `TABLE t` becomes `SELECT * FROM t`, `ORDER BY a USING >` becomes `ORDER BY a DESC`, and the brackets of
//! `FETCH FIRST (n) ROWS ONLY` become those of a `LIMIT`. `ONLY t` becomes `t`, since no table inherits from another one, and
//! `DO NOTHING` of a `MERGE` an action on a column that no table has. `ALTER CONSTRAINT c` becomes a foreign key `c` that refers to a
//! table of which there is none. `text ARRAY` becomes `text[]`, and `OPERATOR(pg_catalog.=) ANY`
//! becomes `= ANY`. Each token keeps its place in the text.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Tokens at most that the brackets of `FETCH` are looked through for: each of many that are open would look through all of them.
const FETCHED_TOKENS_MAX: usize = 4096;

/// The column that `DO NOTHING` of a `MERGE` writes: no text of a statement has such a name.
pub(crate) const NOTHING: &str = "\u{1}nothing";

/// The table that a foreign key refers to which is `ALTER CONSTRAINT`: no text of a statement has such a name.
pub(crate) const ALTERED: &str = "\u{1}altered";

/// What is read in the place of some tokens.
struct Reading {
    tokens: Vec<TokenWithSpan>,
    /// The last of those that it stands for; `None` if it leaves them out.
    last: Option<usize>,
    /// Where the text goes on.
    behind: usize,
}

/// Writes tokens so that sqlparser reads them.
pub(super) fn readable(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_concerned = |token: &TokenWithSpan| {
        matches!(
            keyword(&token.token),
            Keyword::TABLE
                | Keyword::FETCH
                | Keyword::USING
                | Keyword::ONLY
                | Keyword::MATCHED
                | Keyword::OPERATOR
                | Keyword::ARRAY
                | Keyword::CONSTRAINT
        )
    };
    if !tokens.iter().any(is_concerned) {
        return tokens;
    }
    let made_as = query_of_made(&tokens);
    let mut written = Vec::with_capacity(tokens.len() + 8);
    // The token before, white space and comments left out.
    let mut before: Option<usize> = None;
    // Whether the clause of a `MERGE` is one for rows that meet none.
    let mut meets_none = false;
    let mut at = 0;
    while at < tokens.len() {
        let is_made = before.is_some() && before == made_as;
        let previous = before.map(|before| &tokens[before].token);
        let word = keyword(&tokens[at].token);
        if word == Keyword::MATCHED {
            meets_none = previous.map(keyword) == Some(Keyword::NOT);
        }
        let reading = match (word, previous) {
            (Keyword::TABLE, _) if is_made || begins_query(previous) => table(&tokens, at),
            (Keyword::USING, _) => direction(&tokens, at),
            (Keyword::FETCH, Some(_)) => fetched(&tokens, at),
            (Keyword::ONLY, Some(previous)) if names_relation(previous) => only(&tokens, at),
            (Keyword::OPERATOR, Some(_)) => compared(&tokens, at),
            (Keyword::ARRAY, Some(previous)) if ends_type(previous) => brackets(&tokens, at),
            (Keyword::ALTER, Some(_)) => altered(&tokens, at),
            (Keyword::DO, Some(previous)) if keyword(previous) == Keyword::THEN => {
                nothing(&tokens, at, meets_none)
            }
            _ => None,
        };
        match reading {
            Some(Reading { tokens, last, behind }) => {
                written.extend(tokens);
                before = last.or(before);
                at = behind;
            }
            None => {
                if !is_space(&tokens[at]) {
                    before = Some(at);
                }
                written.push(tokens[at].clone());
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

pub(super) fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

/// Where the token behind another stands.
pub(super) fn following(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
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

/// `TABLE name` from a place on.
fn table(tokens: &[TokenWithSpan], at: usize) -> Option<Reading> {
    following(tokens, at).filter(|next| matches!(tokens[*next].token, Token::Word(_)))?;
    let (select, from) = (Token::make_keyword("SELECT"), Token::make_keyword("FROM"));
    let all = [select, Token::Mul, from].map(|part| TokenWithSpan::new(part, tokens[at].span));
    Some(Reading { tokens: all.to_vec(), last: Some(at), behind: at + 1 })
}

/// `USING >` from a place on.
fn direction(tokens: &[TokenWithSpan], at: usize) -> Option<Reading> {
    let next = following(tokens, at)?;
    let direction = match tokens[next].token {
        Token::Gt => "DESC",
        Token::Lt => "ASC",
        _ => return None,
    };
    let direction = TokenWithSpan::new(Token::make_keyword(direction), tokens[at].span);
    Some(Reading { tokens: vec![direction], last: Some(next), behind: next + 1 })
}

/// Tells whether the name of a relation follows a token.
fn names_relation(previous: &Token) -> bool {
    *previous == Token::Comma
        || matches!(
            keyword(previous),
            Keyword::UPDATE | Keyword::FROM | Keyword::JOIN | Keyword::INTO | Keyword::USING
        )
}

/// `ONLY name` or `ONLY (name)` from a place on.
fn only(tokens: &[TokenWithSpan], at: usize) -> Option<Reading> {
    let open = following(tokens, at)?;
    match &tokens[open].token {
        Token::Word(_) => return Some(Reading { tokens: vec![], last: None, behind: at + 1 }),
        Token::LParen => {}
        _ => return None,
    }
    let (mut name, mut next) = (vec![], open);
    loop {
        next = following(tokens, next)?;
        match &tokens[next].token {
            Token::Word(_) | Token::Period => name.push(tokens[next].clone()),
            Token::RParen if !name.is_empty() => {
                return Some(Reading { tokens: name, last: Some(next), behind: next + 1 });
            }
            _ => return None,
        }
    }
}

/// `OPERATOR(pg_catalog.=)` before `ANY` or its kin, from a place on: the operator itself. sqlparser reads it elsewhere.
fn compared(tokens: &[TokenWithSpan], at: usize) -> Option<Reading> {
    let open = following(tokens, at).filter(|open| tokens[*open].token == Token::LParen)?;
    let mut operator = following(tokens, open)?;
    if is_catalog(&tokens[operator].token) {
        let point = following(tokens, operator)?;
        if tokens[point].token != Token::Period {
            return None;
        }
        operator = following(tokens, point)?;
    }
    let close = following(tokens, operator).filter(|at| tokens[*at].token == Token::RParen)?;
    let behind = keyword(&tokens[following(tokens, close)?].token);
    matches!(behind, Keyword::ANY | Keyword::ALL | Keyword::SOME).then(|| Reading {
        tokens: vec![tokens[operator].clone()],
        last: Some(operator),
        behind: close + 1,
    })
}

fn is_catalog(token: &Token) -> bool {
    matches!(token, Token::Word(word) if match word.quote_style {
        None => word.value.eq_ignore_ascii_case("pg_catalog"),
        Some(_) => word.value == "pg_catalog",
    })
}

/// Tells whether a token may end a type that `ARRAY` follows: behind `AS` it is a name.
fn ends_type(token: &Token) -> bool {
    matches!(token, Token::Word(_) | Token::RParen) && keyword(token) != Keyword::AS
}

/// `text ARRAY`, a type, from a place on: `text[]`.
fn brackets(tokens: &[TokenWithSpan], at: usize) -> Option<Reading> {
    let next = following(tokens, at).map(|next| &tokens[next].token);
    if matches!(next, Some(Token::LBracket | Token::LParen)) {
        return None;
    }
    let brackets = [Token::LBracket, Token::RBracket];
    let brackets = brackets.map(|part| TokenWithSpan::new(part, tokens[at].span)).to_vec();
    Some(Reading { tokens: brackets, last: Some(at), behind: at + 1 })
}

/// `DO NOTHING` from a place on, of rows that meet none or of others.
fn nothing(tokens: &[TokenWithSpan], at: usize, meets_none: bool) -> Option<Reading> {
    let next = following(tokens, at)?;
    if keyword(&tokens[next].token) != Keyword::NOTHING {
        return None;
    }
    let (column, word) = (Token::make_word(NOTHING, Some('"')), Token::make_keyword);
    let (open, close) = (Token::LParen, Token::RParen);
    let action = match meets_none {
        true => vec![
            word("INSERT"),
            open.clone(),
            column,
            close.clone(),
            word("VALUES"),
            open,
            word("NULL"),
            close,
        ],
        false => vec![word("UPDATE"), word("SET"), column, Token::Eq, word("NULL")],
    };
    let action = action.into_iter().map(|part| TokenWithSpan::new(part, tokens[at].span));
    Some(Reading { tokens: action.collect(), last: Some(next), behind: next + 1 })
}

/// `ALTER CONSTRAINT name` from a place on. What is said of the constraint stands behind it, as behind one that is added.
fn altered(tokens: &[TokenWithSpan], at: usize) -> Option<Reading> {
    let constraint = following(tokens, at)?;
    let name = following(tokens, constraint)?;
    let is_meant = keyword(&tokens[constraint].token) == Keyword::CONSTRAINT
        && matches!(tokens[name].token, Token::Word(_));
    if !is_meant {
        return None;
    }
    let (word, table) = (Token::make_keyword, Token::make_word(ALTERED, Some('"')));
    let key = [
        word("FOREIGN"),
        word("KEY"),
        Token::LParen,
        table.clone(),
        Token::RParen,
        word("REFERENCES"),
        table,
    ];
    let key = key.map(|part| TokenWithSpan::new(part, tokens[name].span));
    let add = TokenWithSpan::new(word("ADD"), tokens[at].span);
    let mut written = vec![add, tokens[constraint].clone(), tokens[name].clone()];
    written.extend(key);
    Some(Reading { tokens: written, last: Some(name), behind: name + 1 })
}

/// `FETCH FIRST (n) ROWS ...` from a place on.
fn fetched(tokens: &[TokenWithSpan], at: usize) -> Option<Reading> {
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
            let limited = std::iter::once(limit).chain(count).collect();
            Some(Reading { tokens: limited, last: Some(how), behind: how + 1 })
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
            Some(Reading { tokens: kept.to_vec(), last: Some(close), behind: rows })
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
    fn tables_are_read_without_those_that_inherit() {
        reads(&[
            ("UPDATE ONLY t SET a = 1", "UPDATE t SET a = 1"),
            ("DELETE FROM ONLY hr.t x WHERE a = 1", "DELETE FROM hr.t x WHERE a = 1"),
            (
                "SELECT a FROM t, ONLY (hr.u) AS v JOIN ONLY w ON true FETCH FIRST 1 ROWS ONLY",
                "SELECT a FROM t, hr.u AS v JOIN w ON true FETCH FIRST 1 ROWS ONLY",
            ),
            ("SELECT \"only\" FROM \"only\"", "SELECT \"only\" FROM \"only\""),
        ]);
    }

    #[test]
    fn a_clause_of_a_merge_may_do_nothing() {
        reads(&[
            (
                "MERGE INTO t USING s ON a = b WHEN MATCHED AND c THEN DO NOTHING \
                 WHEN NOT MATCHED THEN DO NOTHING",
                "MERGE INTO t USING s ON a = b WHEN MATCHED AND c THEN UPDATE SET \"\u{1}nothing\" = NULL \
                 WHEN NOT MATCHED THEN INSERT (\"\u{1}nothing\") VALUES (NULL)",
            ),
            (
                "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
                "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
            ),
        ]);
    }

    #[test]
    fn an_altered_constraint_is_read_as_a_foreign_key_to_no_table() {
        let key = "FOREIGN KEY (\"\u{1}altered\") REFERENCES \"\u{1}altered\"";
        let added = format!("ALTER TABLE t ADD CONSTRAINT c {key} DEFERRABLE INITIALLY DEFERRED");
        reads(&[
            ("ALTER TABLE t ALTER CONSTRAINT c DEFERRABLE INITIALLY DEFERRED", added.as_str()),
            ("ALTER TABLE t ALTER c TYPE text", "ALTER TABLE t ALTER c TYPE text"),
            (
                "ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)",
                "ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)",
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
            ("SELECT a OPERATOR(pg_catalog.=) ANY (b) FROM t", "SELECT a = ANY (b) FROM t"),
            ("SELECT a OPERATOR(<>) ALL (b) FROM t", "SELECT a <> ALL (b) FROM t"),
            ("CREATE TABLE t (a text ARRAY, b int)", "CREATE TABLE t (a text[], b int)"),
            ("SELECT ARRAY[1], '{}'::varchar(3) array", "SELECT ARRAY[1], '{}'::varchar(3)[]"),
        ]);
        assert_eq!(
            statements("SELECT (VALUES (1)), 2 = ANY (VALUES (1), (2))").unwrap()[0].to_string(),
            "SELECT ((VALUES (1))), 2 = ANY(VALUES (1), (2))"
        );
    }
}
