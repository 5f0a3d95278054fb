//! What is said of a text that cannot be read: the token, as PostgreSQL names it, and what may be meant.

use engine::query::postgres::types::RANGE_TYPES;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::error::{FEATURE_NOT_SUPPORTED, ParseError};
use super::lexer::Lexeme;
use super::nearest;

/// Words that no operand begins with, unless they are quoted.
pub(super) const CLAUSES: [Keyword; 23] = [
    Keyword::FROM,
    Keyword::WHERE,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::ORDER,
    Keyword::LIMIT,
    Keyword::OFFSET,
    Keyword::FETCH,
    Keyword::FOR,
    Keyword::WINDOW,
    Keyword::UNION,
    Keyword::INTERSECT,
    Keyword::EXCEPT,
    Keyword::INTO,
    Keyword::ON,
    Keyword::USING,
    Keyword::AND,
    Keyword::OR,
    Keyword::AS,
    Keyword::WHEN,
    Keyword::THEN,
    Keyword::ELSE,
    Keyword::END,
];
/// Shorter words are near to too many others.
const SPELT_CHARS_MIN: usize = 3;
/// Words that are written wrongly most.
const SPELT: [&str; 33] = [
    "select", "from", "where", "group", "order", "by", "having", "limit", "offset", "join",
    "inner", "left", "right", "full", "cross", "union", "distinct", "and", "or", "not", "between",
    "like", "is", "null", "case", "when", "then", "else", "end", "as", "on", "using", "values",
];

/// The error of a text in which a literal is a range: `tstzrange '[2026-01-01,2026-02-01)'`. There are none, and the name of a
/// type before a text makes a literal that no other grammar has.
fn of_range(input: &str, lexemes: &[Lexeme]) -> Option<ParseError> {
    lexemes.windows(2).find_map(|pair| {
        let (Token::Word(word), Token::SingleQuotedString(_)) = (&pair[0].token, &pair[1].token)
        else {
            return None;
        };
        let name = RANGE_TYPES.iter().find(|name| word.value.eq_ignore_ascii_case(name))?;
        let error = ParseError::at(input, pair[0].start, format!("type {name} is not supported"));
        let hint =
            "Keep both ends in columns of their own, and compare them: low <= x AND x < high.";
        Some(error.sqlstate(FEATURE_NOT_SUPPORTED).hint(hint))
    })
}

/// The error of a text that cannot be read at a byte: named as PostgreSQL names it, with what may be meant.
pub(super) fn error(
    input: &str,
    lexemes: &[Lexeme],
    byte: usize,
    expected: Option<&str>,
) -> ParseError {
    if let Some(error) = of_range(input, lexemes) {
        return error;
    }
    let at = lexemes.iter().position(|lexeme| lexeme.start >= byte);
    let message = match at {
        Some(at) => format!("syntax error at or near \"{}\"", shown(input, &lexemes[at])),
        None => "syntax error at end of input".to_owned(),
    };
    let hint = hint(input, lexemes, at.unwrap_or(lexemes.len()), expected);
    ParseError::at(input, byte, message).hint(hint)
}

/// How a token is named in a message: the text of a string stays out, since it may be personal.
fn shown<'a>(input: &'a str, lexeme: &Lexeme) -> &'a str {
    match lexeme.token {
        Token::SingleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::EscapedStringLiteral(_) => "'...'",
        _ => &input[lexeme.start..lexeme.end],
    }
}

fn hint(input: &str, lexemes: &[Lexeme], at: usize, expected: Option<&str>) -> String {
    let word = |lexeme: &Lexeme| match &lexeme.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.clone()),
        _ => None,
    };
    let before = at.checked_sub(1).and_then(|at| lexemes.get(at));
    let here = lexemes.get(at);
    // The misspelt word was mostly taken for a name, so that the next one is in the way.
    for lexeme in [before, here].into_iter().flatten() {
        let Some(found) = word(lexeme).filter(|word| word.len() >= SPELT_CHARS_MIN) else {
            continue;
        };
        let lower = found.to_lowercase();
        let candidates = SPELT.into_iter().filter(|known| lower.starts_with(&known[..1]));
        match nearest(&lower, candidates) {
            Some(near) if near != lower => {
                return format!("Did you mean {} for \"{found}\"?", near.to_uppercase());
            }
            _ => {}
        }
    }
    let is_name = |lexeme: &Lexeme| match &lexeme.token {
        Token::Word(word) => word.quote_style.is_some() || !CLAUSES.contains(&word.keyword),
        Token::Number(..) | Token::SingleQuotedString(_) => true,
        _ => false,
    };
    let clause = |lexeme: &Lexeme| {
        matches!(&lexeme.token, Token::Word(word)
        if word.quote_style.is_none() && CLAUSES.contains(&word.keyword))
    };
    let open =
        lexemes[..at.min(lexemes.len())].iter().fold(0_i64, |open, lexeme| match lexeme.token {
            Token::LParen => open + 1,
            Token::RParen => open - 1,
            _ => open,
        });
    match (before, here) {
        (Some(before), Some(here)) if before.token == Token::Comma && !is_name(here) => {
            "There is a comma too many before it.".to_owned()
        }
        (_, Some(here)) if here.token == Token::RParen && open <= 0 => {
            "There is no bracket that it could close.".to_owned()
        }
        (_, Some(here)) if here.token.to_string() == "`" => {
            "Names stand in double quotes.".to_owned()
        }
        (_, None) if open > 0 => "A bracket is not closed.".to_owned(),
        (_, None) => "The statement ends too early: something is missing behind its last word.".to_owned(),
        (Some(before), Some(here)) if is_name(before) && is_name(here) => {
            "A comma or an operator may be missing before it.".to_owned()
        }
        (Some(before), Some(here)) if is_name(before) && clause(here) && open <= 0 => {
            "The order of clauses is FROM, WHERE, GROUP BY, HAVING, ORDER BY, LIMIT, each once at most.".to_owned()
        }
        (_, Some(here)) if clause(here) && open > 0 => "A bracket before it is not closed.".to_owned(),
        _ => match expected {
            Some(expected) if expected.len() < 60 => format!("Expected {expected} here."),
            _ => format!(
                "Something is missing before it, or it does not belong behind \"{}\".",
                before.map_or("", |lexeme| shown(input, lexeme))
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::lexer::tokenize;
    use super::*;

    #[test]
    fn a_hint_says_what_may_be_meant() {
        for (sql, byte, wanted) in [
            ("select a form t", 14, "Did you mean FROM for \"form\"?"),
            ("select a b c from t", 11, "A comma or an operator may be missing before it."),
            ("select (1 + 2", 13, "A bracket is not closed."),
            ("select 1 + 2)", 12, "There is no bracket that it could close."),
            ("select a, from t", 10, "There is a comma too many before it."),
        ] {
            let lexemes = tokenize(sql).unwrap();
            let found = error(sql, &lexemes, byte, None);
            assert_eq!(found.hint.as_deref(), Some(wanted), "{sql}");
        }
    }
}
