//! `CREATE IDENTITY GRAPH`: which identifiers join records, how strongly, and what never identifies anybody.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use engine::catalog::{
    BlockPart, FuzzyRule, IdentifierRule, IdentityGraph, Kind, MatchRule, Normalizer,
};
use sqlparser::tokenizer::Token;

use super::super::cursor::Cursor;
use super::super::error::{
    DUPLICATE_OBJECT, FEATURE_NOT_SUPPORTED, INVALID_PARAMETER_VALUE, ParseError,
};
use super::super::freshness::duration_within;
use super::clauses::{Seen, missing, number_options};

/// The weakest priority.
const PRIORITY_MAX: u64 = 1_000;
/// The greatest `LIMIT`, `merge_limit` and `shared_limit`.
const LIMIT_MAX: u64 = 1_000_000;
/// The options of `WITH`.
pub(crate) const OPTIONS: [&str; 2] = ["merge_limit", "shared_limit"];
/// The shortest and the longest time that a limit or an identifier is for, in seconds.
const SECONDS_ALLOWED: RangeInclusive<u64> = 1..=36_525 * 86_400;
/// Records of one profile at most, if nothing is said.
const MERGE_LIMIT_DEFAULT: u32 = 100;
/// Different people that share a value at most before it identifies nobody, if nothing is said.
const SHARED_LIMIT_DEFAULT: u32 = 5;

/// The least probability of one person that joins records, if nothing is said: nineteen to one. A join that was published is
/// hard to take back.
const SCORE_DEFAULT: f64 = 0.95;
/// What is wrong with a second FUZZY rule, and why.
pub(crate) const SECOND_FUZZY: &str = "an identity graph has one FUZZY rule at most";
pub(crate) const SECOND_FUZZY_HINT: &str = "One rule weighs everything that two records say.";
/// Probabilities that a FUZZY rule may ask for.
const PROBABILITIES: Range<f64> = 0.5..1.0;

/// The clauses of an identifier.
pub(crate) const IDENTIFIER_CLAUSES: [&str; 6] =
    ["normalize", "priority", "limit", "expire after", "block values", "block matching"];
/// The clauses of a FUZZY rule.
pub(crate) const FUZZY_CLAUSES: [&str; 5] =
    ["block on", "score", "review below", "household score", "priority"];

/// A rule of `MATCH`.
pub(crate) enum Rule {
    /// `EXACT ON`.
    Exact(MatchRule),
    /// `FUZZY`.
    Fuzzy(FuzzyRule),
}

impl Rule {
    /// Returns the name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Rule::Exact(rule) => &rule.name,
            Rule::Fuzzy(rule) => &rule.name,
        }
    }
}

/// The normalisers, with how many arguments each takes at most.
const NORMALIZERS: [(&str, usize); 8] = [
    ("email", 0),
    ("phone", 1),
    ("name", 0),
    ("birth_date", 1),
    ("country", 0),
    ("postal_code", 0),
    ("street", 0),
    ("text", 0),
];

/// Reads `IDENTIFIERS (...) [MATCH (...)] [WITH (...)]`, the rules of `MATCH` being exact but for one, which may be fuzzy.
pub(crate) fn identity_graph(cursor: &mut Cursor<'_>) -> Result<IdentityGraph, ParseError> {
    let mut graph = IdentityGraph {
        identifiers: Vec::new(),
        matches: Vec::new(),
        fuzzy: None,
        merge_limit: MERGE_LIMIT_DEFAULT,
        shared_limit: SHARED_LIMIT_DEFAULT,
    };
    let mut seen = Seen::default();
    while !cursor.at_end() {
        if seen.accept(cursor, "identifiers")? {
            let kind = |rule: &IdentifierRule| rule.kind.clone();
            graph.identifiers = distinct(cursor, identifier_rule, kind, "identifier")?;
        } else if seen.accept(cursor, "match")? {
            for rule in match_rules(cursor)? {
                match rule {
                    Rule::Exact(rule) => graph.matches.push(rule),
                    Rule::Fuzzy(rule) => graph.fuzzy = Some(rule),
                }
            }
        } else if seen.accept(cursor, "with")? {
            options(cursor, |name, value| match name {
                "merge_limit" => graph.merge_limit = value,
                _ => graph.shared_limit = value,
            })?;
        } else {
            return Err(seen.unknown(cursor, &["identifiers", "match", "with"]));
        }
    }
    if !seen.has("identifiers") {
        return Err(missing(
            cursor,
            Kind::IdentityGraph,
            "IDENTIFIERS",
            "IDENTIFIERS (email NORMALIZE email PRIORITY 1)",
        ));
    }
    Ok(graph)
}

/// Reads `(merge_limit = n, shared_limit = n)`.
pub(crate) fn options(
    cursor: &mut Cursor<'_>,
    mut take: impl FnMut(&str, u32),
) -> Result<(), ParseError> {
    let known = OPTIONS.map(|option| (option, 1..=LIMIT_MAX));
    number_options(cursor, &known, |name, value| take(name, bounded(value)))
}

/// Returns a limit as the catalog holds it.
fn bounded(value: u64) -> u32 {
    u32::try_from(value).expect("bounded by LIMIT_MAX")
}

/// Reads a list of things with different names.
fn distinct<T>(
    cursor: &mut Cursor<'_>,
    mut item: impl FnMut(&mut Cursor<'_>) -> Result<T, ParseError>,
    name: impl Fn(&T) -> String,
    what: &str,
) -> Result<Vec<T>, ParseError> {
    let mut names: Vec<String> = Vec::new();
    cursor.list(|cursor| {
        let byte = cursor.start();
        let found = item(cursor)?;
        let named = name(&found);
        if names.contains(&named) {
            let message = format!("{what} \"{named}\" is given twice");
            return Err(cursor.error_at(byte, message).sqlstate(DUPLICATE_OBJECT));
        }
        names.push(named);
        Ok(found)
    })
}

/// Reads `email NORMALIZE email PRIORITY 2 LIMIT 5 PER '30 days' EXPIRE AFTER '700 days' BLOCK VALUES (...) BLOCK MATCHING '...'`.
pub(crate) fn identifier_rule(cursor: &mut Cursor<'_>) -> Result<IdentifierRule, ParseError> {
    let kind = cursor.identifier("a kind of identifier")?;
    let (rule, seen) = identifier_clauses(cursor, kind)?;
    if !seen.has("priority") {
        return Err(cursor
            .error(format!("identifier \"{}\" needs PRIORITY", rule.kind))
            .hint("The smaller the number, the stronger the identifier: PRIORITY 1."));
    }
    Ok(rule)
}

/// Reads clauses of an identifier in any order, and tells which there were.
pub(crate) fn identifier_clauses(
    cursor: &mut Cursor<'_>,
    kind: String,
) -> Result<(IdentifierRule, Seen), ParseError> {
    let mut rule = IdentifierRule {
        kind,
        normalize: None,
        priority: u16::try_from(PRIORITY_MAX).expect("a constant that fits"),
        limit: None,
        limit_per: None,
        expire_after: None,
        block_values: Vec::new(),
        block_matching: Vec::new(),
    };
    let mut seen = Seen::default();
    while !matches!(cursor.peek(), None | Some(Token::Comma | Token::RParen)) {
        if seen.accept(cursor, "normalize")? {
            rule.normalize = Some(normalizer(cursor)?);
        } else if seen.accept(cursor, "priority")? {
            rule.priority = priority(cursor)?;
        } else if seen.accept(cursor, "limit")? {
            rule.limit = Some(bounded(cursor.integer("the limit", 1..=LIMIT_MAX)?));
            if cursor.accept("per") {
                rule.limit_per = Some(long_duration(cursor)?);
            }
        } else if seen.accept(cursor, "block values")? {
            rule.block_values = cursor.list(|cursor| cursor.text("a text in quotes"))?;
        } else if cursor.accept("block matching") {
            rule.block_matching.push(cursor.text("a regular expression in quotes")?);
        } else if seen.accept(cursor, "expire after")? {
            rule.expire_after = Some(long_duration(cursor)?);
        } else {
            let clauses = IDENTIFIER_CLAUSES.into_iter();
            return Err(cursor.expected_one_of("\",\", \")\" or a clause", clauses));
        }
    }
    Ok((rule, seen))
}

/// Reads the time that a limit or an identifier is for.
fn long_duration(cursor: &mut Cursor<'_>) -> Result<Duration, ParseError> {
    duration_within(cursor, SECONDS_ALLOWED, "one second and a hundred years")
}

/// Reads `phone('PL')`.
fn normalizer(cursor: &mut Cursor<'_>) -> Result<Normalizer, ParseError> {
    let byte = cursor.start();
    let known = NORMALIZERS.map(|(name, _)| name);
    let written = cursor.identifier("a normaliser")?;
    let function = written.strip_prefix("normalize_").unwrap_or(&written).to_string();
    let Some((_, arguments_max)) = NORMALIZERS.iter().find(|(name, _)| *name == function) else {
        let error = cursor.error_at(byte, format!("normaliser \"{function}\" does not exist"));
        let error = error.sqlstate(INVALID_PARAMETER_VALUE).suggest(&function, known);
        let hint = error
            .hint
            .clone()
            .unwrap_or_else(|| format!("The normalisers are {}.", known.join(", ")));
        return Err(error.hint(hint));
    };
    let arguments = match cursor.peek() {
        Some(Token::LParen) => cursor.list(|cursor| cursor.text("a text in quotes"))?,
        _ => Vec::new(),
    };
    if arguments.len() > *arguments_max {
        return Err(cursor.error_at(
            byte,
            format!("normaliser \"{function}\" takes {arguments_max} arguments at most"),
        ));
    }
    Ok(Normalizer { function, arguments })
}

/// Reads the rules of `MATCH`, of which one at most is fuzzy.
fn match_rules(cursor: &mut Cursor<'_>) -> Result<Vec<Rule>, ParseError> {
    let mut has_fuzzy = false;
    let rule = |cursor: &mut Cursor<'_>| {
        let name = cursor.identifier("the name of a rule")?;
        if cursor.is("fuzzy") && std::mem::replace(&mut has_fuzzy, true) {
            let error = cursor.error(SECOND_FUZZY);
            return Err(error.sqlstate(DUPLICATE_OBJECT).hint(SECOND_FUZZY_HINT));
        }
        match_rule(cursor, name)
    };
    distinct(cursor, rule, |rule| rule.name().to_owned(), "rule")
}

/// Reads what stands behind the name of a rule.
pub(crate) fn match_rule(cursor: &mut Cursor<'_>, name: String) -> Result<Rule, ParseError> {
    match cursor.accept("fuzzy") {
        true => fuzzy_rule(cursor, name).map(Rule::Fuzzy),
        false => exact_rule(cursor, name).map(Rule::Exact),
    }
}

/// Reads `BLOCK ON (...) SCORE >= p REVIEW BELOW p HOUSEHOLD SCORE >= p PRIORITY n`, each of which may be left out.
fn fuzzy_rule(cursor: &mut Cursor<'_>, name: String) -> Result<FuzzyRule, ParseError> {
    let (rule, review_byte) = fuzzy_clauses(cursor, name)?;
    if rule.review_below.is_some_and(|below| below <= rule.score) {
        return Err(cursor
            .error_at(review_byte, "REVIEW BELOW must be a higher probability than SCORE")
            .sqlstate(INVALID_PARAMETER_VALUE)
            .hint("What joins and is less probable than this is listed in cdp.identity_review."));
    }
    Ok(rule)
}

/// Reads clauses of a FUZZY rule in any order, and tells where the probability of `REVIEW BELOW` stands.
pub(crate) fn fuzzy_clauses(
    cursor: &mut Cursor<'_>,
    name: String,
) -> Result<(FuzzyRule, usize), ParseError> {
    let priority_max = u16::try_from(PRIORITY_MAX).expect("a constant that fits");
    let mut rule = FuzzyRule {
        name,
        score: SCORE_DEFAULT,
        review_below: None,
        household_score: None,
        priority: priority_max,
        block_on: Vec::new(),
    };
    let mut seen = Seen::default();
    let mut review_byte = cursor.start();
    while !matches!(cursor.peek(), None | Some(Token::Comma | Token::RParen)) {
        if seen.accept(cursor, "score")? {
            cursor.expect_token(&Token::GtEq)?;
            rule.score = probability(cursor)?;
        } else if seen.accept(cursor, "review below")? {
            review_byte = cursor.start();
            rule.review_below = Some(probability(cursor)?);
        } else if seen.accept(cursor, "household score")? {
            cursor.expect_token(&Token::GtEq)?;
            rule.household_score = Some(probability(cursor)?);
        } else if seen.accept(cursor, "priority")? {
            rule.priority = priority(cursor)?;
        } else if seen.accept(cursor, "block on")? {
            rule.block_on = cursor.list(block_key)?;
        } else {
            let clauses = FUZZY_CLAUSES.into_iter();
            return Err(cursor.expected_one_of("\",\", \")\" or a clause", clauses));
        }
    }
    Ok((rule, review_byte))
}

/// Reads a key of `BLOCK ON`: `(surname, year(birth_date))`. Its parentheses are never left out, since one key of two parts is
/// not two keys of one.
fn block_key(cursor: &mut Cursor<'_>) -> Result<Vec<BlockPart>, ParseError> {
    if cursor.peek() != Some(&Token::LParen) {
        let hint = "Put each key into parentheses: BLOCK ON ((surname, birth_date), (email)).";
        return Err(cursor.expected("a key in parentheses").hint(hint));
    }
    cursor.list(|cursor| {
        let name = cursor.identifier("a field or a kind of identifier")?;
        if !cursor.accept_token(&Token::LParen) {
            return Ok(BlockPart { function: None, of: name });
        }
        let of = cursor.identifier("a field or a kind of identifier")?;
        cursor.expect_token(&Token::RParen)?;
        Ok(BlockPart { function: Some(name), of })
    })
}

/// Reads a probability.
fn probability(cursor: &mut Cursor<'_>) -> Result<f64, ParseError> {
    let Some(Token::Number(digits, _)) = cursor.peek() else {
        return Err(cursor.expected("a probability"));
    };
    match digits.parse::<f64>() {
        Ok(probability) if PROBABILITIES.contains(&probability) => {
            cursor.advance();
            Ok(probability)
        }
        _ => Err(cursor
            .error(format!("the probability must be from 0.5 to below 1, not {digits}"))
            .sqlstate(INVALID_PARAMETER_VALUE)),
    }
}

/// Reads `EXACT ON (field, ...) PRIORITY n`.
fn exact_rule(cursor: &mut Cursor<'_>, name: String) -> Result<MatchRule, ParseError> {
    cursor.expect("exact on")?;
    let exact_on = fields(cursor)?;
    if cursor.is("when") {
        return Err(not_built(cursor, "WHEN"));
    }
    if !cursor.accept("priority") {
        return Err(cursor.expected("PRIORITY").hint(
            "The smaller the number, the stronger the rule, on the same scale as identifiers.",
        ));
    }
    Ok(MatchRule { name, exact_on, priority: priority(cursor)? })
}

/// Reads `(field, ...)`.
pub(crate) fn fields(cursor: &mut Cursor<'_>) -> Result<Vec<String>, ParseError> {
    cursor.list(|cursor| cursor.identifier("a field or a kind of identifier"))
}

/// Reads a priority.
pub(crate) fn priority(cursor: &mut Cursor<'_>) -> Result<u16, ParseError> {
    let priority = cursor.integer("the priority", 1..=PRIORITY_MAX)?;
    Ok(u16::try_from(priority).expect("bounded by PRIORITY_MAX"))
}

/// Returns the error for a part of the grammar that is planned.
fn not_built(cursor: &Cursor<'_>, what: &str) -> ParseError {
    cursor.error(format!("{what} is not supported")).sqlstate(FEATURE_NOT_SUPPORTED)
}
