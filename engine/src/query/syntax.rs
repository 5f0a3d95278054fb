//! PostgreSQL's syntax where sqlparser's dialect of it falls short: the one way from text to a syntax tree.
//!
//! [`parser`] reads tokens, writes what sqlparser has no syntax for in that which it has (`tokens`), and parses them in a dialect
//! that adds operators: `ISNULL`, `BETWEEN SYMMETRIC`, `LIKE ANY`, and `VALUES` as a value, and takes other words for names.

mod inserts;
mod labels;
pub(crate) mod outside;
mod rows_from;
mod tokens;

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Statement, UnaryOperator};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

pub(crate) use inserts::{SYSTEM_VALUE, USER_VALUE};
pub(crate) use tokens::{ALTERED, NOTHING};
/// What a call is named that holds the functions of `ROWS FROM`: no text of a statement has such a name.
pub(in crate::query) const ROWS_FROM: &str = "\u{1}rows_from";

/// Characters at most of what is compared by `BETWEEN SYMMETRIC`, which is written twice for it.
const SYMMETRIC_CHARACTERS_MAX: usize = 4096;

/// Returns a parser of a text.
///
/// # Errors
/// If a token has no end, or cannot be one.
pub fn parser(sql: &str) -> Result<Parser<'static>, ParserError> {
    const DIALECT: &Postgres = &Postgres;
    let tokens = Tokenizer::new(DIALECT, sql).tokenize_with_location()?;
    Ok(Parser::new(DIALECT)
        .with_tokens_with_locations(tokens::readable(rows_from::readable(tokens))))
}

/// Reads all statements of a text.
///
/// # Errors
/// At the first token that cannot stand where it does.
pub fn statements(sql: &str) -> Result<Vec<Statement>, ParserError> {
    parser(sql)?.parse_statements()
}

/// The dialect: sqlparser's, with more operators. The name of an argument is no expression: sqlparser would read each argument
/// twice to find out, and one of calls within calls twice as often with each.
#[derive(Debug)]
struct Postgres;

const BASE: PostgreSqlDialect = PostgreSqlDialect {};

/// Methods that answer as those of the dialect below.
macro_rules! as_below {
    ($($name:ident),* $(,)?) => {
        $(fn $name(&self) -> bool {
            BASE.$name()
        })*
    };
}

impl Dialect for Postgres {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        BASE.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        BASE.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        BASE.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        BASE.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        BASE.is_reserved_for_identifier(keyword)
    }

    fn is_column_alias(&self, word: &Keyword, _: &mut Parser) -> bool {
        labels::names_column(*word)
    }

    fn is_table_alias(&self, word: &Keyword, _: &mut Parser) -> bool {
        labels::names_relation(*word)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        BASE.is_custom_operator_part(ch)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        BASE.prec_value(precedence)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match is_null(parser) {
            true => Some(Ok(self.prec_value(Precedence::Is))),
            false => BASE.get_next_precedence(parser),
        }
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let is_rows = keyword(parser, 0) == Keyword::VALUES
            && parser.peek_nth_token_ref(1).token == Token::LParen;
        is_rows.then(|| parser.parse_query().map(Expr::Subquery))
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        _: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if is_null(parser) {
            parser.next_token();
            return Some(Ok(Expr::IsNull(Box::new(expr.clone()))));
        }
        let negated = keyword(parser, 0) == Keyword::NOT;
        let at = usize::from(negated);
        let (operator, behind) = (keyword(parser, at), keyword(parser, at + 1));
        match (operator, behind) {
            (Keyword::BETWEEN, Keyword::SYMMETRIC) => {
                pass(parser, at + 2);
                Some(self.symmetric(parser, expr, negated))
            }
            (Keyword::LIKE | Keyword::ILIKE, Keyword::ANY | Keyword::ALL | Keyword::SOME) => {
                pass(parser, at + 2);
                let compare_op = match (operator, negated) {
                    (Keyword::LIKE, false) => BinaryOperator::PGLikeMatch,
                    (Keyword::LIKE, true) => BinaryOperator::PGNotLikeMatch,
                    (_, false) => BinaryOperator::PGILikeMatch,
                    (_, true) => BinaryOperator::PGNotILikeMatch,
                };
                Some(among(parser, expr, compare_op, behind))
            }
            (Keyword::IN, _) if is_query_in_two_brackets(parser, at + 1) => {
                pass(parser, at + 2);
                Some(members(parser, expr, negated))
            }
            _ => None,
        }
    }

    // Texts with a line between them are one.
    fn supports_string_literal_concatenation_with_newline(&self) -> bool {
        true
    }

    as_below!(
        supports_unicode_string_literal,
        supports_filter_during_aggregation,
        supports_group_by_expr,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_listen_notify,
        supports_factorial_operator,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_named_fn_args_with_colon_operator,
        supports_empty_projections,
        supports_nested_comments,
        supports_string_escape_constant,
        supports_numeric_literal_underscores,
        supports_array_typedef_with_brackets,
        supports_geometric_types,
        supports_set_names,
        supports_alter_column_type_using,
        supports_notnull_operator,
        supports_interval_options,
        supports_insert_table_alias,
        supports_create_table_like_parenthesized,
        supports_select_wildcard_with_alias,
        supports_comma_separated_trim,
        supports_xml_expressions,
        supports_comment_optimizer_hint,
    );
}

impl Postgres {
    /// Reads the bounds of `BETWEEN SYMMETRIC`, which may come in either order.
    fn symmetric(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        negated: bool,
    ) -> Result<Expr, ParserError> {
        let precedence = self.prec_value(Precedence::Between);
        let one = parser.parse_subexpr(precedence)?;
        parser.expect_keyword_is(Keyword::AND)?;
        let other = parser.parse_subexpr(precedence)?;
        let parts = [expr, &one, &other];
        if parts.iter().map(|part| part.to_string().len()).sum::<usize>() > SYMMETRIC_CHARACTERS_MAX
        {
            return parser.expected_ref("BETWEEN with shorter values", parser.peek_token_ref());
        }
        let between = |low: &Expr, high: &Expr| {
            nested(Expr::Between {
                expr: Box::new(expr.clone()),
                negated: false,
                low: Box::new(low.clone()),
                high: Box::new(high.clone()),
            })
        };
        let either = nested(Expr::BinaryOp {
            left: Box::new(between(&one, &other)),
            op: BinaryOperator::Or,
            right: Box::new(between(&other, &one)),
        });
        Ok(match negated {
            true => nested(Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(either) }),
            false => either,
        })
    }
}

/// Reads what is in brackets behind `LIKE ANY`.
fn among(
    parser: &mut Parser,
    expr: &Expr,
    compare_op: BinaryOperator,
    quantifier: Keyword,
) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let is_query = matches!(keyword(parser, 0), Keyword::SELECT | Keyword::WITH);
    let right = match is_query {
        true => Expr::Subquery(parser.parse_query()?),
        false => parser.parse_expr()?,
    };
    parser.expect_token(&Token::RParen)?;
    let (left, right) = (Box::new(expr.clone()), Box::new(right));
    Ok(match quantifier {
        Keyword::ALL => Expr::AllOp { left, compare_op, right },
        _ => Expr::AnyOp { left, compare_op, right, is_some: quantifier == Keyword::SOME },
    })
}

/// Tells whether two brackets and a query come after `ahead` tokens.
fn is_query_in_two_brackets(parser: &Parser, ahead: usize) -> bool {
    let is_bracket = |at: usize| parser.peek_nth_token_ref(at).token == Token::LParen;
    is_bracket(ahead)
        && is_bracket(ahead + 1)
        && matches!(keyword(parser, ahead + 2), Keyword::SELECT | Keyword::WITH)
}

/// Reads what stands in `IN ((SELECT ...), ...)` behind the first bracket: a query, or a list whose first member is the value of
/// one, which sqlparser does not look for.
fn members(parser: &mut Parser, expr: &Expr, negated: bool) -> Result<Expr, ParserError> {
    let subquery = parser.parse_query()?;
    let expr = Box::new(expr.clone());
    if !parser.consume_token(&Token::Comma) {
        parser.expect_token(&Token::RParen)?;
        return Ok(Expr::InSubquery { expr, subquery, negated });
    }
    let mut list = vec![Expr::Subquery(subquery)];
    list.extend(parser.parse_comma_separated(Parser::parse_expr)?);
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::InList { expr, list, negated })
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

/// The keyword that comes after `ahead` tokens.
fn keyword(parser: &Parser, ahead: usize) -> Keyword {
    tokens::keyword(&parser.peek_nth_token_ref(ahead).token)
}

/// Passes over tokens.
fn pass(parser: &mut Parser, count: usize) {
    for _ in 0..count {
        parser.next_token();
    }
}

/// Tells whether the next token is `ISNULL`, which sqlparser takes for a name.
fn is_null(parser: &Parser) -> bool {
    matches!(&parser.peek_token_ref().token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("isnull"))
}
