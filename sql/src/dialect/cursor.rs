//! A place among the tokens of one statement, and the questions a recursive-descent parser asks there.

use std::ops::Range;

use engine::catalog::Kind;
use sqlparser::tokenizer::Token;

use super::error::{INVALID_NAME, INVALID_PARAMETER_VALUE, ParseError};
use super::lexer::Lexeme;

/// Bytes of an object's name at most, as in Postgres.
const NAME_BYTES_MAX: usize = 63;
/// Items of one parenthesised list at most.
const LIST_ITEMS_MAX: usize = 2_000;
/// Words that cannot be a name without quotes, since a forgotten name would be taken for a clause.
const RESERVED: [&str; 16] = [
    "as", "and", "by", "for", "from", "if", "is", "not", "null", "on", "or", "select", "to",
    "values", "where", "with",
];

/// The tokens of one statement and how far they are read. Every answer about text is cut from the whole input.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    /// The whole input, of which this statement is a part.
    pub(crate) input: &'a str,
    lexemes: &'a [Lexeme],
    index: usize,
}

impl<'a> Cursor<'a> {
    /// Stands before the first of these tokens of the input; there is at least one.
    pub(crate) fn new(input: &'a str, lexemes: &'a [Lexeme]) -> Self {
        Cursor { input, lexemes, index: 0 }
    }

    /// Returns the tokens from here to the end.
    pub(crate) fn tokens(&self) -> &'a [Lexeme] {
        &self.lexemes[self.index.min(self.lexemes.len())..]
    }

    /// Returns the token that comes next.
    pub(crate) fn peek(&self) -> Option<&'a Token> {
        self.peek_at(0)
    }

    /// Returns the token that comes `ahead` tokens after the next one.
    pub(crate) fn peek_at(&self, ahead: usize) -> Option<&'a Token> {
        self.lexemes.get(self.index + ahead).map(|lexeme| &lexeme.token)
    }

    /// Moves behind the next token.
    pub(crate) fn advance(&mut self) {
        self.index += 1;
    }

    /// Returns whether every token is read.
    pub(crate) fn at_end(&self) -> bool {
        self.index >= self.lexemes.len()
    }

    /// Returns the first byte of the next token; at the end, the byte behind the last.
    pub(crate) fn start(&self) -> usize {
        self.lexemes.get(self.index).map_or_else(|| self.end(), |lexeme| lexeme.start)
    }

    /// Returns the first byte of the statement.
    pub(crate) fn first(&self) -> usize {
        self.lexemes.first().map_or(0, |lexeme| lexeme.start)
    }

    /// Returns the byte behind the last token that was read.
    pub(crate) fn last_end(&self) -> usize {
        match self.index.checked_sub(1) {
            Some(last) => self.lexemes.get(last).map_or_else(|| self.end(), |lexeme| lexeme.end),
            None => self.start(),
        }
    }

    /// Returns the byte behind the last token of the statement.
    pub(crate) fn end(&self) -> usize {
        self.lexemes.last().map_or(self.input.len(), |lexeme| lexeme.end)
    }

    /// Moves to the end and returns the bytes from here to there.
    pub(crate) fn rest(&mut self) -> Range<usize> {
        let range = self.start()..self.end();
        self.index = self.lexemes.len();
        range
    }

    /// Returns a cursor over the tokens from here to the end, for a statement inside this one.
    pub(crate) fn remainder(&self) -> Cursor<'a> {
        Cursor {
            input: self.input,
            lexemes: &self.lexemes[self.index.min(self.lexemes.len())..],
            index: 0,
        }
    }

    /// Returns whether the next token is this word, in any case and without quotes.
    pub(crate) fn is(&self, word: &str) -> bool {
        self.is_at(0, word)
    }

    /// Returns whether the token `ahead` tokens after the next one is this word.
    pub(crate) fn is_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_at(ahead), Some(Token::Word(found))
            if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    }

    /// Returns the next word in lower case, if the next token is a word without quotes.
    pub(crate) fn word(&self) -> Option<String> {
        match self.peek() {
            Some(Token::Word(word)) if word.quote_style.is_none() => {
                Some(word.value.to_lowercase())
            }
            _ => None,
        }
    }

    /// Reads these words, separated by spaces, if they come next.
    pub(crate) fn accept(&mut self, words: &str) -> bool {
        let mut count = 0;
        for word in words.split(' ') {
            if !self.is_at(count, word) {
                return false;
            }
            count += 1;
        }
        self.index += count;
        true
    }

    /// Reads these words or fails.
    pub(crate) fn expect(&mut self, words: &str) -> Result<(), ParseError> {
        if self.accept(words) {
            return Ok(());
        }
        let error = self.expected(words);
        Err(match self.word() {
            Some(found) => error.suggest(&found, words.split(' ').take(1)),
            None => error,
        })
    }

    /// Reads this token if it comes next.
    pub(crate) fn accept_token(&mut self, token: &Token) -> bool {
        let there = self.peek() == Some(token);
        self.index += usize::from(there);
        there
    }

    /// Reads this token or fails.
    pub(crate) fn expect_token(&mut self, token: &Token) -> Result<(), ParseError> {
        if self.accept_token(token) {
            return Ok(());
        }
        Err(self.expected(&format!("\"{token}\"")))
    }

    /// Fails unless every token is read.
    pub(crate) fn expect_end(&self) -> Result<(), ParseError> {
        if self.at_end() {
            return Ok(());
        }
        Err(self.expected("the end of the statement"))
    }

    /// Reads one of these words, the key in lower case, and returns what it stands for.
    pub(crate) fn choose<T: Copy>(
        &mut self,
        what: &str,
        choices: &[(&str, T)],
    ) -> Result<T, ParseError> {
        for (words, value) in choices {
            if self.accept(words) {
                return Ok(*value);
            }
        }
        Err(self.expected_one_of(what, choices.iter().map(|(words, _)| *words)))
    }

    /// Returns an error that names the choices, and the nearest of them to what was found.
    pub(crate) fn expected_one_of<'c>(
        &self,
        what: &str,
        choices: impl Iterator<Item = &'c str> + Clone,
    ) -> ParseError {
        let mut names: Vec<&str> = choices.clone().collect();
        let last = names.pop().unwrap_or_default();
        let list = if names.is_empty() {
            last.to_string()
        } else {
            format!("{} or {last}", names.join(", "))
        };
        let found = self.word().unwrap_or_default();
        let two = match (self.word(), self.peek_at(1)) {
            (Some(first), Some(Token::Word(second))) => {
                format!("{first} {}", second.value.to_lowercase())
            }
            _ => String::new(),
        };
        let error =
            self.expected(&format!("{what}{}{list}", if what.is_empty() { "" } else { ": " }));
        match super::nearest(&two, choices.clone().filter(|choice| choice.contains(' '))) {
            Some(near) => error.hint(format!("Did you mean {near}?")),
            None => error.suggest(&found, choices.filter(|choice| !choice.contains(' '))),
        }
    }

    /// Returns an error that says what was expected here and what was found.
    pub(crate) fn expected(&self, what: &str) -> ParseError {
        self.error(format!("expected {what}, found {}", self.found()))
    }

    /// Returns an error at the next token.
    pub(crate) fn error(&self, message: impl Into<String>) -> ParseError {
        self.error_at(self.start(), message)
    }

    /// Returns an error at a byte of the input.
    pub(crate) fn error_at(&self, byte: usize, message: impl Into<String>) -> ParseError {
        ParseError::at(self.input, byte, message)
    }

    /// Describes the next token without the text of a string, which may be personal or secret.
    fn found(&self) -> String {
        match self.peek() {
            None => "the end of the statement".to_string(),
            Some(
                Token::SingleQuotedString(_)
                | Token::DollarQuotedString(_)
                | Token::EscapedStringLiteral(_),
            ) => "a text".to_string(),
            Some(Token::Word(word)) => format!("\"{}\"", word.value),
            Some(token) => format!("\"{token}\""),
        }
    }

    /// Reads an identifier: lower case unless quoted.
    pub(crate) fn identifier(&mut self, what: &str) -> Result<String, ParseError> {
        match self.peek() {
            Some(Token::Word(word)) if word.quote_style.is_some() => {
                self.advance();
                Ok(word.value.clone())
            }
            Some(Token::Word(word))
                if !RESERVED.iter().any(|r| word.value.eq_ignore_ascii_case(r)) =>
            {
                self.advance();
                Ok(word.value.to_ascii_lowercase())
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Reads the name of an object: letters, digits and underscores in lower case, at most 63 bytes.
    pub(crate) fn name(&mut self, kind: Kind) -> Result<String, ParseError> {
        let start = self.start();
        let name = self.identifier(&format!("the name of the {}", kind.word()))?;
        let fits = name.len() <= NAME_BYTES_MAX
            && name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if fits {
            return Ok(name);
        }
        Err(self
            .error_at(start, format!("{} name \"{name}\" is not valid", kind.word()))
            .sqlstate(INVALID_NAME)
            .hint(format!(
                "Use lower-case letters, digits and underscores, at most {NAME_BYTES_MAX}, beginning with a letter."
            )))
    }

    /// Reads a text in quotes.
    pub(crate) fn text(&mut self, what: &str) -> Result<String, ParseError> {
        match self.peek() {
            Some(
                Token::SingleQuotedString(text)
                | Token::EscapedStringLiteral(text)
                | Token::UnicodeStringLiteral(text),
            ) => {
                self.advance();
                Ok(text.clone())
            }
            Some(Token::DollarQuotedString(text)) => {
                self.advance();
                Ok(text.value.clone())
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Reads a whole number within a range.
    pub(crate) fn integer(
        &mut self,
        what: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, ParseError> {
        let Some(Token::Number(digits, _)) = self.peek() else { return Err(self.expected(what)) };
        match digits.parse::<u64>() {
            Ok(number) if range.contains(&number) => {
                self.advance();
                Ok(number)
            }
            _ => Err(self
                .error(format!(
                    "{what} must be from {} to {}, not {digits}",
                    range.start(),
                    range.end()
                ))
                .sqlstate(INVALID_PARAMETER_VALUE)),
        }
    }

    /// Reads `(item, ...)`, at least one item.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        self.expect_token(&Token::LParen)?;
        let mut items = Vec::new();
        loop {
            if items.len() >= LIST_ITEMS_MAX {
                return Err(self.error(format!("a list has more than {LIST_ITEMS_MAX} items")));
            }
            items.push(item(self)?);
            if self.accept_token(&Token::Comma) {
                continue;
            }
            if self.accept_token(&Token::RParen) {
                return Ok(items);
            }
            return Err(self.expected("\",\" or \")\""));
        }
    }

    /// Moves to the comma or closing bracket that ends this expression and returns the bytes before it.
    pub(crate) fn expression(&mut self) -> Result<Range<usize>, ParseError> {
        let start = self.start();
        let mut depth = 0usize;
        let first = self.index;
        while let Some(token) = self.peek() {
            match token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket | Token::Comma if depth == 0 => break,
                Token::RParen | Token::RBracket => depth -= 1,
                _ => {}
            }
            self.advance();
        }
        if self.index == first {
            return Err(self.expected("an expression"));
        }
        Ok(start..self.last_end())
    }

    /// Reads `( ... )` and returns the tokens between the brackets as a cursor of their own.
    pub(crate) fn bracketed(&mut self, what: &str) -> Result<Cursor<'a>, ParseError> {
        self.expect_token(&Token::LParen)?;
        let first = self.index;
        let mut depth = 1usize;
        while let Some(token) = self.peek() {
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            self.advance();
        }
        let inner = &self.lexemes[first..self.index];
        if inner.is_empty() {
            return Err(self.expected(what));
        }
        self.expect_token(&Token::RParen)?;
        Ok(Cursor { input: self.input, lexemes: inner, index: 0 })
    }

    /// Returns the tokens of a range of bytes.
    pub(crate) fn lexemes_in(&self, range: &Range<usize>) -> &'a [Lexeme] {
        let first = self.lexemes.partition_point(|lexeme| lexeme.start < range.start);
        let last = self.lexemes.partition_point(|lexeme| lexeme.end <= range.end);
        &self.lexemes[first..last]
    }
}
