//! Bounds of chains of operators, which are found among the tokens of a text before a tree is made of them.
//!
//! `1 + 2 + 3` is read in a loop and becomes a tree as deep as the chain is long. Whoever walks, copies or drops it goes as
//! deep, and a stack that ends takes the process with it. What stands in brackets at the beginning of a chain is below all
//! of it: fifty brackets of a hundred operators each can be one tree of five thousand.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::error::{ParseError, STATEMENT_TOO_COMPLEX};
use super::lexer::Lexeme;

/// Terms of one flat chain of operators at most.
const CHAIN_TERMS_MAX: usize = 1_000;
/// Operators above one another at most.
const DEPTH_MAX: usize = 2_000;

/// What stands at one depth of brackets.
#[derive(Clone, Copy, Default)]
struct Level {
    /// How many operators of each strength stand in a row.
    terms: Chain,
    /// How deep the trees are that they make, with what stands in brackets below them: the first operand of a chain is
    /// below all of its operators, each other one below those that follow.
    depth: Chain,
}

/// A number for each strength of operators.
#[derive(Clone, Copy, Default)]
struct Chain {
    /// `AND`, `OR`.
    logical: usize,
    /// Everything that binds more tightly; starts anew with each logical operator.
    scalar: usize,
    /// `UNION`, `INTERSECT`, `EXCEPT`; of depths, with every clause that has ended.
    set: usize,
}

impl Chain {
    fn most(self) -> usize {
        self.logical.max(self.scalar).max(self.set)
    }
}

impl Level {
    /// `AND`, `OR`.
    fn join_logical(&mut self) {
        self.terms = Chain { logical: self.terms.logical + 1, scalar: 0, ..self.terms };
        let below = self.depth.logical.max(self.depth.scalar);
        self.depth = Chain { logical: below + 1, scalar: 0, ..self.depth };
    }

    fn join_scalar(&mut self) {
        self.terms.scalar += 1;
        self.depth.scalar += 1;
    }

    /// `UNION`, `INTERSECT`, `EXCEPT`.
    fn join_set(&mut self) {
        self.end_item();
        self.terms.set += 1;
        self.depth.set += 1;
    }

    /// A clause, or an item of a list, ends.
    fn end_item(&mut self) {
        self.terms = Chain { set: self.terms.set, ..Chain::default() };
        self.depth = Chain { set: self.depth.most(), ..Chain::default() };
    }

    /// What stood in brackets, or from `CASE` to `END`, ends: it is an operand of what is `around`.
    fn close(&mut self, around: Level) {
        let inner = std::mem::replace(self, around);
        self.depth.scalar = self.depth.scalar.max(inner.depth.most() + 1);
    }

    /// What is too much, and what helps against it.
    fn beyond(&self) -> Option<(String, &'static str)> {
        if self.terms.most() >= CHAIN_TERMS_MAX {
            return Some((
                format!("more than {CHAIN_TERMS_MAX} terms in one chain of operators"),
                "Use IN (...), or move the values into a source and join it.",
            ));
        }
        (self.depth.most() >= DEPTH_MAX).then(|| {
            (
                format!("more than {DEPTH_MAX} operators above one another"),
                "Move what stands in brackets into a query in FROM of its own, or make several statements of it.",
            )
        })
    }
}

/// Refuses chains that are too long, and those that begin with one another and are too long together.
pub(super) fn check(input: &str, lexemes: &[Lexeme]) -> Result<(), ParseError> {
    let mut outer: Vec<(Level, Keyword)> = Vec::new();
    let mut level = Level::default();
    let mut previous = Keyword::NoKeyword;
    for lexeme in lexemes {
        let keyword = match &lexeme.token {
            Token::Word(word) => word.keyword,
            _ => Keyword::NoKeyword,
        };
        match &lexeme.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                outer.push((std::mem::take(&mut level), Keyword::NoKeyword));
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                while let Some((around, opener)) = outer.pop() {
                    level.close(around);
                    if opener == Keyword::NoKeyword {
                        break;
                    }
                }
            }
            Token::SemiColon => {
                outer.clear();
                level = Level::default();
            }
            Token::Comma => level.end_item(),
            Token::Word(_) => match keyword {
                Keyword::CASE => outer.push((std::mem::take(&mut level), keyword)),
                Keyword::END => {
                    if let Some((around, _)) = outer.pop_if(|(_, opener)| *opener == Keyword::CASE)
                    {
                        level.close(around);
                    }
                }
                Keyword::AND | Keyword::OR => level.join_logical(),
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => level.join_set(),
                Keyword::FROM if previous == Keyword::DISTINCT => {}
                Keyword::SELECT | Keyword::FROM | Keyword::WHERE | Keyword::HAVING => {
                    level.end_item();
                }
                Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::IN
                | Keyword::BETWEEN
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::NOT
                | Keyword::SIMILAR
                | Keyword::JOIN => level.join_scalar(),
                _ => {}
            },
            Token::Period
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::Placeholder(_)
            | Token::RArrow => {}
            _ => level.join_scalar(),
        }
        if let Some((message, hint)) = level.beyond() {
            let error = ParseError::at(input, lexeme.start, message);
            return Err(error.sqlstate(STATEMENT_TOO_COMPLEX).hint(hint));
        }
        previous = keyword;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::lexer::tokenize;

    /// `levels` brackets around `innermost`, each with `terms` times `more` behind it.
    fn first_in_brackets(levels: usize, innermost: &str, more: &str, terms: usize) -> String {
        let behind = format!("{})", more.repeat(terms));
        format!("select {}{innermost}{}", "(".repeat(levels), behind.repeat(levels))
    }

    #[test]
    fn chains_that_begin_with_one_another_are_one_deep_tree() {
        for (innermost, more, levels, terms, refused) in [
            ("a", "+1", 40, 40, false),
            ("a", "+1", 40, 60, true),
            ("a = 1", " and b", 40, 40, false),
            ("a = 1", " and b", 40, 60, true),
            ("select 1", " union select 1", 10, 150, false),
            ("select 1", " union select 1", 10, 250, true),
            ("case when a then b end", "||c", 3, 900, true),
            // What stands behind a chain is below its last operator alone.
            ("a", "+1+(b)", 2, 450, false),
        ] {
            let input = first_in_brackets(levels, innermost, more, terms);
            match tokenize(&input) {
                Ok(_) => assert!(!refused, "{levels} times {terms} {more}"),
                Err(error) => {
                    assert!(refused, "{levels} times {terms} {more}: {error:?}");
                    assert_eq!(error.sqlstate, "54001");
                    assert!(error.message.contains("above one another"), "{error:?}");
                }
            }
        }
    }

    #[test]
    fn what_stands_beside_one_another_is_not_deep() {
        let sum = vec!["1"; 900].join("+");
        for input in [
            format!("select ({sum}), ({sum}), ({sum}), ({sum})"),
            format!("select a + ({sum}) from t where a > {sum} and b = ({sum}) union select {sum}"),
            format!("select case when a > ({sum}) then ({sum}) else {sum} end"),
            format!("select * from (select {sum}) a, (select {sum}) b, (select {sum}) c"),
            format!("select {sum}; select {sum}; select {sum}"),
        ] {
            assert!(tokenize(&input).is_ok(), "{}", &input[..40]);
        }
    }
}
