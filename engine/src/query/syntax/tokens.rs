//! Clauses that sqlparser has no syntax for, written as others that mean the same.
//!
//! `TABLE t` becomes `SELECT * FROM t`, `ORDER BY a USING >` becomes `ORDER BY a DESC`, and the brackets of
//! `FETCH FIRST (n) ROWS ONLY` become those of a `LIMIT`. `ONLY t` becomes `t`, since no table inherits from another one, and
//! `DO NOTHING` of a `MERGE` an action on a column that no table has. `ALTER CONSTRAINT c` becomes a foreign key `c` that refers to a
//! table of which there is none. `text ARRAY` becomes `text[]`, `OPERATOR(pg_catalog.=) ANY` becomes `= ANY`,
//! `pg_catalog.floor(a)` becomes `pg_catalog."floor"(a)`, `trim(LEADING FROM x)` is written without its `FROM`, and the frame of
//! a window without `EXCLUDE NO OTHERS`, which changes nothing there. Each token keeps its place in the text.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::inserts::{arbiter, defaults, ends_overriding, overriding};

/// Tokens at most that the brackets of `FETCH` are looked through for: each of many that are open would look through all of them.
pub(super) const FETCHED_TOKENS_MAX: usize = 4096;

/// The column that `DO NOTHING` of a `MERGE` writes: no text of a statement has such a name.
pub(crate) const NOTHING: &str = "\u{1}nothing";

/// The table that a foreign key refers to which is `ALTER CONSTRAINT`: no text of a statement has such a name.
pub(crate) const ALTERED: &str = "\u{1}altered";

/// What is read in the place of some tokens.
pub(super) struct Reading {
    pub(super) tokens: Vec<TokenWithSpan>,
    /// The last of those that it stands for; `None` if it leaves them out.
    pub(super) last: Option<usize>,
    /// Where the text goes on.
    pub(super) behind: usize,
}

/// Writes tokens so that sqlparser reads them.
pub(super) fn readable(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_concerned = |(at, token): (usize, &TokenWithSpan)| match keyword(&token.token) {
        Keyword::CONFLICT => arbiter(&tokens, at).is_some(),
        Keyword::VALUE => ends_overriding(&tokens, at),
        word => matches!(
            word,
            Keyword::TABLE
                | Keyword::FETCH
                | Keyword::USING
                | Keyword::ONLY
                | Keyword::MATCHED
                | Keyword::OPERATOR
                | Keyword::ARRAY
                | Keyword::CONSTRAINT
                | Keyword::TRIM
                | Keyword::CEIL
                | Keyword::FLOOR
                | Keyword::SUBSTR
                | Keyword::SUBSTRING
                | Keyword::EXCLUDE
        ),
    };
    if !tokens.iter().enumerate().any(is_concerned) {
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
            (Keyword::CONFLICT, Some(_)) => arbiter(&tokens, at),
            (Keyword::DEFAULT, Some(previous)) if keyword(previous) == Keyword::INSERT => {
                defaults(&tokens, at)
            }
            (Keyword::NoKeyword, Some(_)) => overriding(&tokens, before, at),
            (Keyword::FROM, Some(_)) if trims(&tokens, before) => {
                Some(Reading { tokens: Vec::new(), last: None, behind: at + 1 })
            }
            (
                Keyword::CEIL | Keyword::FLOOR | Keyword::SUBSTR | Keyword::SUBSTRING,
                Some(Token::Period),
            ) => called(&tokens, at),
            (Keyword::EXCLUDE, Some(previous)) if ends_frame(previous) => no_others(&tokens, at),
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

/// Tells whether a `FROM` behind a token is one of `trim` that does not say what is taken off.
fn trims(tokens: &[TokenWithSpan], before: Option<usize>) -> bool {
    let preceding = |at: usize| (0..at).rev().find(|at| !is_space(&tokens[*at]));
    let is_side = |at: usize| {
        let word = keyword(&tokens[at].token);
        matches!(word, Keyword::BOTH | Keyword::LEADING | Keyword::TRAILING)
    };
    let open = before.and_then(|at| if is_side(at) { preceding(at) } else { Some(at) });
    let open = open.filter(|at| tokens[*at].token == Token::LParen);
    open.and_then(preceding).is_some_and(|at| keyword(&tokens[at].token) == Keyword::TRIM)
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

/// Tells whether the frame of a window may end with a token.
fn ends_frame(previous: &Token) -> bool {
    matches!(keyword(previous), Keyword::ROW | Keyword::PRECEDING | Keyword::FOLLOWING)
}

/// `EXCLUDE NO OTHERS` from a place on.
fn no_others(tokens: &[TokenWithSpan], at: usize) -> Option<Reading> {
    let no = following(tokens, at).filter(|no| keyword(&tokens[*no].token) == Keyword::NO)?;
    let others = following(tokens, no).filter(|others| {
        matches!(&tokens[*others].token, Token::Word(word)
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("others"))
    })?;
    Some(Reading { tokens: Vec::new(), last: None, behind: others + 1 })
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

/// A function behind its schema whose name sqlparser keeps for a form of its own, as in `pg_catalog.substring(a, 'b')`, from a
/// place on: in quotes it is a name like any other.
fn called(tokens: &[TokenWithSpan], at: usize) -> Option<Reading> {
    let Token::Word(word) = &tokens[at].token else { return None };
    following(tokens, at).filter(|next| tokens[*next].token == Token::LParen)?;
    let name = Token::make_word(&word.value.to_lowercase(), Some('"'));
    let tokens = vec![TokenWithSpan::new(name, tokens[at].span)];
    Some(Reading { tokens, last: Some(at), behind: at + 1 })
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
mod tests;
