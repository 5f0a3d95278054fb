//! `ROWS FROM (unnest(a), generate_series(1, n))`, which sqlparser has no syntax for: the call of a function with a name of its own.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::ROWS_FROM;
use super::tokens::{following, is_space, keyword};

/// Writes tokens so that sqlparser reads them.
pub(super) fn readable(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !(0..tokens.len()).any(|at| opens(&tokens, at).is_some()) {
        return tokens;
    }
    let mut written = Vec::with_capacity(tokens.len());
    // Whether relations are listed, for each bracket that is open.
    let mut lists = vec![false];
    let mut before = Token::EOF;
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let is_listed = lists.last() == Some(&true);
        let may_begin = is_listed && begins_relation(&before);
        if let Some(open) = opens(&tokens, at).filter(|_| may_begin) {
            written.push(TokenWithSpan::new(Token::make_word(ROWS_FROM, Some('"')), token.span));
            (before, at) = (token.token.clone(), open);
            continue;
        }
        match (&token.token, keyword(&token.token)) {
            (Token::LParen, _) => lists.push(may_begin),
            (Token::RParen, _) if lists.len() > 1 => {
                lists.pop();
            }
            (Token::SemiColon, _) => lists = vec![false],
            (_, Keyword::FROM) if keyword(&before) != Keyword::DISTINCT => set(&mut lists, true),
            (_, word) if ends_list(word) => set(&mut lists, false),
            _ => {}
        }
        if !is_space(token) {
            before = token.token.clone();
        }
        written.push(token.clone());
        at += 1;
    }
    written
}

/// Where the bracket behind `ROWS FROM` stands.
fn opens(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    if keyword(&tokens[at].token) != Keyword::ROWS {
        return None;
    }
    let from = following(tokens, at)?;
    let open = following(tokens, from)?;
    let is_call = keyword(&tokens[from].token) == Keyword::FROM;
    (is_call && tokens[open].token == Token::LParen).then_some(open)
}

/// Tells whether a relation may begin behind a token, where relations are listed.
fn begins_relation(before: &Token) -> bool {
    matches!(before, Token::Comma | Token::LParen)
        || matches!(keyword(before), Keyword::FROM | Keyword::JOIN | Keyword::LATERAL)
}

/// Tells whether a list of relations has an end before a word.
fn ends_list(word: Keyword) -> bool {
    matches!(
        word,
        Keyword::SELECT
            | Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::WINDOW
            | Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::INTERSECT
            | Keyword::ORDER
            | Keyword::LIMIT
            | Keyword::OFFSET
            | Keyword::FETCH
            | Keyword::RETURNING
    )
}

fn set(lists: &mut [bool], is_listed: bool) {
    if let Some(last) = lists.last_mut() {
        *last = is_listed;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ROWS_FROM, statements};

    #[test]
    fn functions_side_by_side_are_a_call() {
        for (sql, called) in [
            ("SELECT * FROM ROWS FROM (unnest(a), f(1)) WITH ORDINALITY AS t (x, y)", 1),
            ("SELECT * FROM t JOIN LATERAL rows\nfrom (unnest(t.a)) u ON true", 1),
            ("SELECT * FROM t, ROWS FROM (f(1)) u, (ROWS FROM (f(2)) v JOIN w ON true)", 2),
            ("SELECT a, rows FROM (SELECT 1 AS rows, 2 AS a) t", 0),
            ("SELECT a IS DISTINCT FROM rows FROM (SELECT 1 AS rows, 2 AS a) t", 0),
            ("SELECT 1 FROM t WHERE a IN (SELECT rows FROM (SELECT 1 AS rows) u)", 0),
        ] {
            let read = statements(sql).map(|read| read[0].to_string());
            let found = read.map(|read| read.matches(ROWS_FROM).count());
            assert_eq!(found, Ok(called), "{sql}");
        }
    }
}
