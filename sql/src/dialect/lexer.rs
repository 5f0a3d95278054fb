//! From text to statements: tokens with their bytes, split at semicolons, within named bounds.
//!
//! The tokens are sqlparser's own, so that what is a string, a comment or a dollar quote here is the same for the
//! parser of queries. Each keeps the bytes it stands at, so that text can be cut out exactly as it was written.

use std::ops::Range;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, TokenizerError};

use super::chains;
use super::error::{
    INVALID_ESCAPE_SEQUENCE, PROGRAM_LIMIT_EXCEEDED, ParseError, STATEMENT_TOO_COMPLEX,
    UNDEFINED_PARAMETER,
};
use super::rows::{self, Beyond};

/// Bytes of one input at most, rows of literals in an `INSERT` not counted.
pub(crate) const SQL_BYTES_MAX: usize = 256 * 1024;
/// Tokens of one input at most, white space, comments and rows of literals not counted.
const TOKENS_MAX: usize = 20_000;
/// Square brackets in each other at most.
const ARRAY_DEPTH_MAX: usize = 12;
/// The highest number of a parameter: the protocol counts them in 16 bits.
const PARAMETERS_MAX: usize = 65_535;

/// One token and the bytes of the input that it stands at.
#[derive(Debug, Clone)]
pub(crate) struct Lexeme {
    /// The token.
    pub(crate) token: Token,
    /// Its first byte.
    pub(crate) start: usize,
    /// The byte behind it.
    pub(crate) end: usize,
}

/// What helps against a text that is too long.
const LONG_HINT: &str = "Send fewer statements or rows at once, or COPY the rows. Rows of literals in an INSERT may be much longer than other text.";

/// Returns the tokens of an input without white space and comments, or the bound that it is beyond.
pub(crate) fn tokenize(input: &str) -> Result<Vec<Lexeme>, ParseError> {
    let long = input.len() > SQL_BYTES_MAX;
    let rows = if long { rows_of(input)? } else { None };
    if long && input.len() - rows.as_ref().map_or(0, |rows| rows.len()) > SQL_BYTES_MAX {
        return Err(ParseError::at(
            input,
            0,
            format!("statement text is longer than {SQL_BYTES_MAX} bytes"),
        )
        .sqlstate(PROGRAM_LIMIT_EXCEEDED)
        .hint(LONG_HINT));
    }
    let mut tokens = Vec::new();
    Tokenizer::new(&PostgreSqlDialect {}, input)
        .tokenize_with_location_into_buf(&mut tokens)
        .map_err(|error| unterminated(input, &tokens, &error))?;
    let mut walk = Walk { input, byte: 0, line: 1, column: 1 };
    let mut lexemes: Vec<Lexeme> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let start = walk.to(token.span.start);
        let end = walk.to(token.span.end);
        if matches!(token.token, Token::Whitespace(_)) {
            continue;
        }
        lexemes.push(Lexeme { token: token.token, start, end });
    }
    if lexemes.len() > TOKENS_MAX {
        let rows = if long { rows } else { rows_of(input)? };
        if let Some(byte) = beyond_tokens(&lexemes, rows) {
            let message = format!("statement has more than {TOKENS_MAX} tokens");
            let error = ParseError::at(input, byte, message);
            return Err(error.sqlstate(STATEMENT_TOO_COMPLEX).hint(LONG_HINT));
        }
    }
    check_parameters(input, &lexemes)?;
    chains::check(input, &lexemes)?;
    check_arrays(input, &lexemes)?;
    Ok(lexemes)
}

/// Returns where the rows of literals of an input stand, if it has some, or the bound that they are beyond.
fn rows_of(input: &str) -> Result<Option<Range<usize>>, ParseError> {
    rows::of(input).map_err(|beyond| {
        let sqlstate = match beyond {
            Beyond::Bytes => PROGRAM_LIMIT_EXCEEDED,
            Beyond::Tokens | Beyond::ReadCells => STATEMENT_TOO_COMPLEX,
        };
        let error = ParseError::at(input, 0, beyond.message()).sqlstate(sqlstate);
        error.hint("Put in fewer rows at once, or use COPY ... FROM STDIN.")
    })
}

/// Returns where the first token stands that is beyond the bound; those of `rows` have one of their own.
fn beyond_tokens(lexemes: &[Lexeme], rows: Option<Range<usize>>) -> Option<usize> {
    let rows = rows.unwrap_or_default();
    let mut others = lexemes.iter().filter(|lexeme| !rows.contains(&lexeme.start));
    others.nth(TOKENS_MAX).map(|lexeme| lexeme.start)
}

/// Fails if square brackets stand in each other too often: an array of arrays has a type as deep, which the planner
/// writes down for each of its levels again and again.
fn check_arrays(input: &str, lexemes: &[Lexeme]) -> Result<(), ParseError> {
    let mut depth = 0usize;
    for lexeme in lexemes {
        match lexeme.token {
            Token::LBracket => depth += 1,
            Token::RBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > ARRAY_DEPTH_MAX {
            let message = format!("more than {ARRAY_DEPTH_MAX} square brackets in each other");
            return Err(ParseError::at(input, lexeme.start, message)
                .sqlstate(STATEMENT_TOO_COMPLEX)
                .hint("PostgreSQL's arrays have six dimensions at most: use fewer, or json."));
        }
    }
    Ok(())
}

/// The error of a token that has no end, or that cannot be one: it stands where the last token that was read ends.
fn unterminated(input: &str, tokens: &[TokenWithSpan], error: &TokenizerError) -> ParseError {
    let start = tokens.last().map_or(Location::new(1, 1), |token| token.span.end);
    let byte = byte_at(input, start);
    let text = &input[byte..];
    let at = |message: &str, hint: &str| ParseError::at(input, byte, message).hint(hint);
    if let Some(escape) = wrong_escape(text) {
        return ParseError::at(input, byte + escape, "invalid Unicode escape")
            .sqlstate(INVALID_ESCAPE_SEQUENCE)
            .hint("A Unicode escape is \\u with four hexadecimal digits, or \\U with eight.");
    }
    match text.chars().next() {
        Some('"') => at("unterminated quoted identifier", "Close the name with a double quote."),
        Some('/') => at("unterminated /* comment", "Close the comment with */."),
        Some('$') => at(
            "unterminated dollar-quoted string",
            "Close the text with the same word between dollars.",
        ),
        Some('\'' | 'e' | 'E' | 'n' | 'N' | 'u' | 'U' | 'b' | 'B' | 'x' | 'X') => at(
            "unterminated quoted string",
            "Close the text with a single quote; within it, a single quote is written twice.",
        ),
        _ => ParseError::at(
            input,
            byte_at(input, error.location),
            lower_first(error.message.trim().trim_end_matches('.')),
        )
        .hint("Texts stand in single quotes, names in double quotes."),
    }
}

/// Where an escape of a character in `E'...'` has too few digits.
fn wrong_escape(text: &str) -> Option<usize> {
    if !text.starts_with(['e', 'E']) {
        return None;
    }
    let bytes = text.as_bytes();
    let mut at = 2;
    while at < bytes.len() && bytes[at] != b'\'' {
        if bytes[at] == b'\\' {
            let digits = match bytes.get(at + 1) {
                Some(b'u') => 4,
                Some(b'U') => 8,
                _ => 0,
            };
            let found =
                bytes.iter().skip(at + 2).take(digits).filter(|byte| byte.is_ascii_hexdigit());
            if found.count() < digits {
                return Some(at);
            }
            at += 1;
        }
        at += 1;
    }
    None
}

/// Refuses numbers of parameters that no client can send: each number up to the highest is a parameter of the statement.
fn check_parameters(input: &str, lexemes: &[Lexeme]) -> Result<(), ParseError> {
    for lexeme in lexemes {
        let Token::Placeholder(name) = &lexeme.token else { continue };
        let number = name.trim_start_matches('$');
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if digits && !number.parse::<usize>().is_ok_and(|number| number <= PARAMETERS_MAX) {
            let message = format!("there is no parameter {name}");
            return Err(ParseError::at(input, lexeme.start, message)
                .sqlstate(UNDEFINED_PARAMETER)
                .hint(format!("Parameters are numbered from $1 to ${PARAMETERS_MAX}.")));
        }
    }
    Ok(())
}

/// Returns the ranges of tokens that are one statement each; empty statements are left out.
pub(crate) fn split(lexemes: &[Lexeme]) -> Vec<Range<usize>> {
    let mut statements = Vec::new();
    let mut start = 0;
    for (index, lexeme) in lexemes.iter().enumerate() {
        if lexeme.token == Token::SemiColon {
            if start < index {
                statements.push(start..index);
            }
            start = index + 1;
        }
    }
    if start < lexemes.len() {
        statements.push(start..lexemes.len());
    }
    statements
}

/// Returns the byte that a line and a column, both from 1 and in characters, stand for.
pub(crate) fn byte_at(input: &str, location: Location) -> usize {
    Walk { input, byte: 0, line: 1, column: 1 }.to(location)
}

/// Makes a message of sqlparser one of ours.
fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// A place in the input that only moves forward.
struct Walk<'a> {
    input: &'a str,
    byte: usize,
    line: u64,
    column: u64,
}

impl Walk<'_> {
    /// Moves to a place and returns its byte.
    fn to(&mut self, location: Location) -> usize {
        for character in self.input[self.byte..].chars() {
            if (self.line, self.column) >= (location.line, location.column) {
                break;
            }
            self.byte += character.len_utf8();
            if character == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the texts of the statements of an input.
    fn texts(input: &str) -> Vec<&str> {
        let lexemes = tokenize(input).unwrap();
        split(&lexemes)
            .into_iter()
            .map(|range| &input[lexemes[range.start].start..lexemes[range.end - 1].end])
            .collect()
    }

    #[test]
    fn parameters_have_numbers_that_a_client_can_send() {
        assert!(tokenize("SELECT $1, $65535, '$999999', $$ $999999 $$").is_ok());
        for number in ["65536", "999999999999", "99999999999999999999999999"] {
            let error = tokenize(&format!("SELECT ${number}")).unwrap_err();
            assert_eq!((error.sqlstate, error.position), ("42P02", 8), "{error:?}");
        }
    }

    #[test]
    fn statements_are_split_only_at_real_semicolons() {
        for (input, expected) in [
            ("", vec![]),
            (" ; ;; -- nothing; here\n /* nor; /* here; */ */ ;", vec![]),
            ("select 1", vec!["select 1"]),
            ("select ';' ; select 2;", vec!["select ';'", "select 2"]),
            (
                "select $$a;b$$; select $x$ $$;$$ $x$",
                vec!["select $$a;b$$", "select $x$ $$;$$ $x$"],
            ),
            ("/* ; */ select 'it''s;' -- ;\n, 1; x", vec!["select 'it''s;' -- ;\n, 1", "x"]),
            ("select \"a;b\", e'\\';', 1", vec!["select \"a;b\", e'\\';', 1"]),
            (
                "select 'żółć;'; select 'ß'\r\n; select 3",
                vec!["select 'żółć;'", "select 'ß'", "select 3"],
            ),
        ] {
            assert_eq!(texts(input), expected, "{input}");
        }
    }

    #[test]
    fn an_unterminated_string_is_an_error_with_a_position() {
        for input in ["select 'a", "select $$a", "select \"a", "select /* a"] {
            let error = tokenize(input).unwrap_err();
            assert_eq!(error.sqlstate, "42601", "{input}");
            assert!(error.position >= 1 && error.position <= input.len() + 1, "{input}: {error:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let chain = |term: &str, operator: &str, terms: usize| {
            format!("select {}", vec![term; terms].join(operator))
        };
        for (input, sqlstate) in [
            (format!("select '{}'", "x".repeat(SQL_BYTES_MAX)), "54000"),
            (chain("1", ", ", 10_001), "54001"),
            (chain("1", "+", 1_001), "54001"),
            (chain("'a'", "||", 1_001), "54001"),
            (chain("a = 1", " or ", 1_001), "54001"),
            (chain("1", " union all select ", 1_001), "54001"),
            (format!("select 1{}", "::int".repeat(1_001)), "54001"),
            (chain("case when a then b end", "+", 1_001), "54001"),
            (format!("insert into t values {}", vec!["(1 + 1)"; 5_000].join(",")), "54001"),
            (format!("select a{}", " is distinct from b".repeat(1_001)), "54001"),
        ] {
            assert_eq!(tokenize(&input).unwrap_err().sqlstate, sqlstate, "{}", &input[..40]);
        }
        // It says which bound it is.
        let rows = format!("insert into t values {}", vec!["(1,'a',null,2,3)"; 80_000].join(","));
        for (input, bound) in [
            (rows.replace("null", "a+b"), "statement text is longer than 262144 bytes"),
            (rows, "rows of literals have more than 800000 tokens"),
            (chain("1", ", ", 10_001), "statement has more than 20000 tokens"),
        ] {
            let error = tokenize(&input).unwrap_err();
            assert_eq!(error.message, bound);
            assert!(error.hint.is_some_and(|hint| hint.contains("COPY")), "{bound}");
        }
        for input in [
            chain("1", "+", 1_000),
            chain("a = 1", " or ", 1_000),
            chain("1", " union all select ", 1_000),
            format!("select a in ({})", vec!["1"; 9_000].join(",")),
            format!("insert into t values {}", vec!["(1, 'a', null)"; 20_000].join(",")),
            chain("a + b + c", ", ", 2_000),
        ] {
            assert!(tokenize(&input).is_ok(), "{}", &input[..40]);
        }
    }
}
