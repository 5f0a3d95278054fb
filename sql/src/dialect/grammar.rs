//! What PostgreSQL's grammar refuses and sqlparser takes.
//!
//! sqlparser reads more than PostgreSQL does, and what it cannot read it often notices late. [`check`] walks over the tokens of
//! a query first and refuses what PostgreSQL refuses, at the token that PostgreSQL names.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::error::{FEATURE_NOT_SUPPORTED, ParseError, UNDEFINED_FUNCTION};
use super::lexer::Lexeme;
use super::syntax::{CLAUSES, error};

/// Of these, what ends the relations of `FROM` or an expression.
const CLAUSE_COUNT: usize = 14;

/// Tokens between the brackets of `OPERATOR(schema.sign)` that are looked at.
const OPERATOR_TOKENS_MAX: usize = 8;
/// Words that an operand must follow.
const WANTING: [Keyword; 13] = [
    Keyword::FROM,
    Keyword::WHERE,
    Keyword::HAVING,
    Keyword::BY,
    Keyword::ON,
    Keyword::AND,
    Keyword::OR,
    Keyword::NOT,
    Keyword::WHEN,
    Keyword::THEN,
    Keyword::ELSE,
    Keyword::BETWEEN,
    Keyword::JOIN,
];
/// Types that stand with a length in brackets before a text.
const TYPES: [&str; 13] = [
    "bit",
    "bpchar",
    "char",
    "character",
    "dec",
    "decimal",
    "float",
    "interval",
    "numeric",
    "time",
    "timestamp",
    "varchar",
    "varying",
];
/// What is said of a `JOIN` that nothing joins by.
const JOIN_HINT: &str =
    "A JOIN needs its condition: ON a.column = b.column, or USING (column). CROSS JOIN has none.";

/// What a token is to the one behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It is an operand, or the end of one.
    Operand,
    /// An operand must follow.
    Wanting,
    /// Anything may follow.
    Open,
}

/// What is open at one depth of brackets.
#[derive(Default)]
struct Depth {
    /// `CASE` without its `END`.
    cases: usize,
    /// `JOIN` without its `ON` or `USING`.
    joins: usize,
    /// The bracket is that of `DISTINCT ON`, behind which a column may follow.
    distinct_on: bool,
    /// Within square brackets.
    square: bool,
    /// The bracket is that of the length of a type.
    length: bool,
}

/// Refuses what PostgreSQL does not read, of the tokens of a query.
pub(super) fn check(input: &str, lexemes: &[Lexeme]) -> Result<(), ParseError> {
    let mut walk =
        Walk { input, lexemes, depths: vec![Depth::default()], before: Role::Open, length: false };
    for at in 0..lexemes.len() {
        walk.token(at)?;
    }
    walk.close(lexemes.len())
}

struct Walk<'a> {
    input: &'a str,
    lexemes: &'a [Lexeme],
    depths: Vec<Depth>,
    before: Role,
    /// Whether the last bracket that was closed is that of the length of a type.
    length: bool,
}

impl Walk<'_> {
    fn keyword(&self, at: usize) -> Keyword {
        match self.lexemes.get(at).map(|lexeme| &lexeme.token) {
            Some(Token::Word(word)) if word.quote_style.is_none() => word.keyword,
            _ => Keyword::NoKeyword,
        }
    }

    fn previous(&self, at: usize) -> Keyword {
        at.checked_sub(1).map_or(Keyword::NoKeyword, |at| self.keyword(at))
    }

    fn is(&self, at: usize, wanted: &Token) -> bool {
        self.lexemes.get(at).is_some_and(|lexeme| lexeme.token == *wanted)
    }

    fn is_number(&self, at: usize) -> bool {
        matches!(self.lexemes.get(at).map(|lexeme| &lexeme.token), Some(Token::Number(..)))
    }

    /// The error at a token, or at the end.
    fn refuse<T>(&self, at: usize) -> Result<T, ParseError> {
        let byte = match self.lexemes.get(at) {
            Some(lexeme) => lexeme.start,
            None => self.lexemes.last().map_or(self.input.len(), |lexeme| lexeme.end),
        };
        Err(error(self.input, self.lexemes, byte, None))
    }

    fn refuse_with<T>(&self, at: usize, hint: &str) -> Result<T, ParseError> {
        self.refuse(at).map_err(|error: ParseError| error.hint(hint))
    }

    fn innermost(&mut self) -> &mut Depth {
        if self.depths.is_empty() {
            self.depths.push(Depth::default());
        }
        self.depths.last_mut().expect("one was pushed if there was none")
    }

    /// Reads one token.
    fn token(&mut self, at: usize) -> Result<(), ParseError> {
        let previous = self.previous(at);
        // Behind AS and behind a point every word is a name.
        let named = previous == Keyword::AS || at > 0 && self.is(at - 1, &Token::Period);
        let keyword = if named { Keyword::NoKeyword } else { self.keyword(at) };
        let lexemes = self.lexemes;
        self.before = match &lexemes[at].token {
            Token::Word(_) if keyword != Keyword::NoKeyword => self.word(at, keyword)?,
            Token::Word(_) => Role::Operand,
            Token::Number(..) => self.number(at)?,
            Token::LParen => {
                let distinct_on =
                    previous == Keyword::ON && at >= 2 && self.keyword(at - 2) == Keyword::DISTINCT;
                let length = self.is_type(at);
                self.depths.push(Depth { distinct_on, length, ..Depth::default() });
                Role::Open
            }
            Token::LBracket => {
                let inside = self.innermost().square;
                if self.before != Role::Operand && previous != Keyword::ARRAY && !inside {
                    return self.refuse_with(
                        at,
                        "Names stand in double quotes; arrays are written ARRAY[...].",
                    );
                }
                self.depths.push(Depth { square: true, ..Depth::default() });
                Role::Open
            }
            Token::RParen | Token::RBracket => {
                self.close(at)?;
                let closed = if self.depths.len() > 1 { self.depths.pop() } else { None };
                self.length = closed.as_ref().is_some_and(|depth| depth.length);
                match closed {
                    Some(Depth { distinct_on: true, .. }) => Role::Open,
                    _ => Role::Operand,
                }
            }
            Token::Comma => {
                if self.innermost().joins > 0 {
                    return self.refuse_with(at, JOIN_HINT);
                }
                Role::Wanting
            }
            Token::Mul
                if self.before == Role::Operand && !(at > 0 && self.is(at - 1, &Token::Period)) =>
            {
                Role::Wanting
            }
            Token::Mul => Role::Operand,
            Token::DoubleEq => return self.no_operator(at, "==", "Use = to compare."),
            Token::ExclamationMark => return self.no_operator(at, "!", "Use NOT."),
            // ORDER BY ... USING > is a direction.
            Token::Lt | Token::Gt if previous == Keyword::USING => Role::Operand,
            Token::SingleQuotedString(_) if self.is_behind_value(at) => {
                return self.refuse_with(
                    at,
                    "Texts are joined by ||, and a name of a column is written AS \"name\".",
                );
            }
            Token::Plus
            | Token::Minus
            | Token::Div
            | Token::Mod
            | Token::Eq
            | Token::Neq
            | Token::Lt
            | Token::Gt
            | Token::LtEq
            | Token::GtEq
            | Token::StringConcat => Role::Wanting,
            Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::DollarQuotedString(_)
            | Token::Placeholder(_) => Role::Operand,
            _ => Role::Open,
        };
        Ok(())
    }

    /// Whether the word before a bracket is a type.
    fn is_type(&self, at: usize) -> bool {
        at.checked_sub(1).is_some_and(|before| {
            matches!(&self.lexemes[before].token, Token::Word(word)
                if TYPES.iter().any(|known| word.value.eq_ignore_ascii_case(known)))
        })
    }

    /// Whether a text follows what is a value already. A text behind another in the next line goes on with it.
    fn is_behind_value(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1).map(|before| &self.lexemes[before]) else {
            return false;
        };
        match before.token {
            Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) => {
                let between = &self.input[before.end..self.lexemes[at].start];
                !between.contains(['\n', '\r'])
            }
            Token::Number(..) | Token::RBracket => true,
            Token::RParen => !self.length && !self.ends_operator(at - 1),
            _ => false,
        }
    }

    /// Whether a closing bracket is that of `OPERATOR(schema.sign)`.
    fn ends_operator(&self, close: usize) -> bool {
        let mut before = (0..close).rev().take(OPERATOR_TOKENS_MAX);
        let is_bracket =
            |at: &usize| matches!(self.lexemes[*at].token, Token::LParen | Token::RParen);
        before
            .find(is_bracket)
            .filter(|at| self.lexemes[*at].token == Token::LParen)
            .and_then(|open| open.checked_sub(1))
            .is_some_and(|word| self.keyword(word) == Keyword::OPERATOR)
    }

    fn no_operator<T>(&self, at: usize, operator: &str, hint: &str) -> Result<T, ParseError> {
        let message = format!("operator does not exist: {operator}");
        let error = ParseError::at(self.input, self.lexemes[at].start, message);
        Err(error.sqlstate(UNDEFINED_FUNCTION).hint(hint))
    }

    fn number(&self, at: usize) -> Result<Role, ParseError> {
        let (number, next) = (&self.lexemes[at], self.lexemes.get(at + 1));
        if let Some(Lexeme { token: Token::Word(word), start, end }) = next
            && *start == number.end
            && word.quote_style.is_none()
        {
            let junk = &self.input[number.start..*end];
            let message = format!("trailing junk after numeric literal at or near \"{junk}\"");
            let hint = "A name that begins with a digit stands in double quotes.";
            return Err(ParseError::at(self.input, number.start, message).hint(hint));
        }
        let top = at > 0
            && matches!(&self.lexemes[at - 1].token, Token::Word(word)
                if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("top"));
        if top && at >= 2 && matches!(self.keyword(at - 2), Keyword::SELECT | Keyword::DISTINCT) {
            let hint = format!("Put LIMIT {} at the end of the query.", number.token);
            return self.refuse_with(at, &hint);
        }
        if self.previous(at) == Keyword::INTERVAL {
            let hint = "Write the number and the unit as a text: interval '7 days'.";
            return self.refuse_with(at, hint);
        }
        Ok(Role::Operand)
    }

    /// Reads a word that is not a name for certain.
    fn word(&mut self, at: usize, keyword: Keyword) -> Result<Role, ParseError> {
        let distinct = self.previous(at) == Keyword::DISTINCT;
        // WITHIN GROUP (ORDER BY ...) belongs to a call.
        let within_group = keyword == Keyword::GROUP && self.is(at + 1, &Token::LParen);
        // ROWS FROM (...) is a relation, which here is joined.
        let rows_from = keyword == Keyword::FROM
            && self.previous(at) == Keyword::ROWS
            && self.is(at + 1, &Token::LParen)
            && self.innermost().joins > 0;
        let clause = CLAUSES.contains(&keyword) && !within_group && !rows_from;
        if self.before == Role::Wanting
            && (clause || keyword == Keyword::SELECT && at > 0 && self.is(at - 1, &Token::Comma))
        {
            return self.refuse(at);
        }
        // FROM of IS DISTINCT FROM is no clause, and ON of DISTINCT ON no condition.
        if clause && CLAUSES[..CLAUSE_COUNT].contains(&keyword) && !distinct {
            self.close(at)?;
        }
        match keyword {
            Keyword::CASE => self.innermost().cases += 1,
            Keyword::END => {
                let depth = self.innermost();
                depth.cases = depth.cases.saturating_sub(1);
                return Ok(Role::Operand);
            }
            Keyword::JOIN if !self.is_unconditional(at) => self.innermost().joins += 1,
            Keyword::ON | Keyword::USING if !distinct => {
                let depth = self.innermost();
                depth.joins = depth.joins.saturating_sub(1);
            }
            Keyword::EXCLUDE if self.leaves_out(at) => {
                let message = "EXCLUDE in the frame of a window is not supported";
                let hint = "Take away what is to be left out: sum(x) OVER (...) - x.";
                let error = ParseError::at(self.input, self.lexemes[at].start, message);
                return Err(error.sqlstate(FEATURE_NOT_SUPPORTED).hint(hint));
            }
            Keyword::ORDER if self.keyword(at + 1) != Keyword::BY => {
                return self.refuse_with(at + 1, "Write ORDER BY.");
            }
            Keyword::GROUP if clause && self.keyword(at + 1) != Keyword::BY => {
                return self.refuse_with(at + 1, "Write GROUP BY.");
            }
            Keyword::LIMIT if self.is_number(at + 1) && self.is(at + 2, &Token::Comma) => {
                let message = "LIMIT #,# syntax is not supported";
                return Err(ParseError::at(self.input, self.lexemes[at].start, message)
                    .hint("Use separate LIMIT and OFFSET clauses."));
            }
            Keyword::WITH if self.before == Role::Operand && self.is(at + 1, &Token::LParen) => {
                let hint =
                    "There are no hints for relations: reads see one version and take no locks.";
                return self.refuse_with(at, hint);
            }
            _ => {}
        }
        if WANTING.contains(&keyword) {
            return Ok(Role::Wanting);
        }
        let open = clause
            || matches!(
                keyword,
                Keyword::SELECT
                    | Keyword::DISTINCT
                    | Keyword::ALL
                    | Keyword::CASE
                    | Keyword::IN
                    | Keyword::LIKE
                    | Keyword::ILIKE
                    | Keyword::IS
                    | Keyword::ARRAY
                    | Keyword::VALUES
                    | Keyword::RETURNING
            );
        Ok(if open { Role::Open } else { Role::Operand })
    }

    /// Whether `EXCLUDE` leaves rows out of the frame of a window.
    fn leaves_out(&self, at: usize) -> bool {
        let ends = [Keyword::ROW, Keyword::PRECEDING, Keyword::FOLLOWING];
        ends.contains(&self.previous(at))
            && match self.keyword(at + 1) {
                Keyword::CURRENT => self.keyword(at + 2) == Keyword::ROW,
                Keyword::GROUP | Keyword::TIES => self.is(at + 2, &Token::RParen),
                _ => false,
            }
    }

    /// Whether a `JOIN` takes no condition: `CROSS`, `NATURAL [LEFT]`.
    fn is_unconditional(&self, at: usize) -> bool {
        let kinds = [Keyword::INNER, Keyword::LEFT, Keyword::RIGHT, Keyword::FULL, Keyword::OUTER];
        let before = (0..at).rev().map(|at| self.keyword(at)).find(|word| !kinds.contains(word));
        matches!(before, Some(Keyword::CROSS | Keyword::NATURAL))
    }

    /// Nothing may be open where a clause or a bracket ends.
    fn close(&mut self, at: usize) -> Result<(), ParseError> {
        let depth = self.innermost();
        let (cases, joins) = (depth.cases, depth.joins);
        if cases > 0 {
            return self.refuse_with(at, "CASE is not closed: write END behind its last value.");
        }
        if joins > 0 {
            return self.refuse_with(at, JOIN_HINT);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::lexer::tokenize;
    use super::*;

    /// Checks where each text is refused: at `¦`, which is no part of it, or nowhere.
    fn places(cases: &[&str]) {
        for marked in cases {
            let sql = marked.replace('¦', "");
            let wanted = marked.chars().position(|letter| letter == '¦').map(|at| at + 1);
            let lexemes = tokenize(&sql).unwrap();
            let found = check(&sql, &lexemes).err();
            assert_eq!(found.as_ref().map(|error| error.position), wanted, "{sql}: {found:?}");
        }
    }

    #[test]
    fn what_postgresql_refuses_is_refused_where_it_stands() {
        places(&[
            "select a, ¦from t",
            "select a from ¦where b",
            "select a * ¦from t",
            "select a from t where ¦and b",
            "select a from t order ¦a",
            "select a from t group¦",
            "select case when a then 1 ¦from t",
            "select (case when a then 1¦) from t",
            "select a from t join u¦",
            "select a from t join u ¦where b",
            "select a from t left join u¦, v",
            "select (select 1 from t join u¦)",
            "with a as (select 1), ¦select 2",
            "select top ¦5 a from t",
            "select ¦[a] from t",
            "select a ¦== b",
            "select ¦!a",
            "select ¦1a from t",
            "select interval ¦7 day",
            "select a from t ¦limit 5, 10",
            "select a from t ¦with (nolock)",
            "select 'a' ¦'b'",
            "select 1 ¦'b'",
            "select sum(a) ¦'day' from t",
            "select sum(a) over (order by b rows 1 preceding ¦exclude current row) from t",
            "select sum(a) over (order by b rows between 1 preceding and current row ¦exclude ties) from t",
            "select sum(a) over (order by b groups between 1 preceding and 1 following ¦exclude group) from t",
        ]);
    }

    #[test]
    fn what_postgresql_reads_is_read() {
        places(&[
            "select * from t, u where a is distinct from b order by 1 limit 5 offset 2",
            "select distinct on (a) * from t",
            "select count(*) * 2, t.*, a * b as from from t",
            "select case a when 1 then 2 else 3 end from t",
            "select p.order, p.end, 1 as group from p",
            "select sum(a) filter (where b) over (partition by c order by d) from t",
            "select percentile_cont(0.5) within group (order by a) from t",
            "select extract(year from (select now())), array[[1, 2], [3, 4]], a[1], (b)[1]",
            "select a from t cross join u natural left join v",
            "select a from t join u join v on b on c",
            "select a from t join u using (b) left join lateral f(a, b) with ordinality as w(x, y) on true",
            "select a from t left join lateral rows from (f(a), g(b)) u on true",
            "select \"from\" from t where \"order\" = 'group'",
            "values (1, 2), (3, 4)",
            "select top from t",
            "select 'a'\n'b', numeric(4, 1) '1.5', timestamp(0) '2024-01-01', date '2024-01-01'",
            "select a from t order by a using > limit 1",
            "select sum(a) over (order by b rows 1 preceding exclude no others) from t",
            "select following exclude from t group by following",
        ]);
    }
}
