//! What a query makes: `CREATE TRAIT`, `CREATE SEGMENT`, `CREATE CONSENT FEED` and `CREATE IDENTITY OVERRIDES`.

use engine::catalog::{ConsentFeed, Freshness, IdentityOverrides, Kind, ProfileTrait, Segment};
use engine::overrides::COLUMNS as OVERRIDE_COLUMNS;

use super::super::cursor::Cursor;
use super::super::embedded;
use super::super::error::ParseError;
use super::super::freshness::CLAUSES as FRESHNESS;
use super::clauses::{Seen, missing, number_options};

/// What a consent feed must yield.
const CONSENT_COLUMNS: [&str; 5] =
    ["identifier_kind", "identifier", "purpose", "status", "captured_at"];

/// Reads `ON graph [freshness] AS query`.
pub(crate) fn profile_trait(
    cursor: &mut Cursor<'_>,
    name: &str,
) -> Result<ProfileTrait, ParseError> {
    let mut seen = Seen::default();
    let (mut graph, mut freshness) = (None, Freshness::OnDemand);
    let query = loop {
        if cursor.at_end() {
            return Err(missing(
                cursor,
                Kind::Trait,
                "AS",
                "AS SELECT profile_id, count(*) ... GROUP BY profile_id",
            ));
        }
        if seen.accept(cursor, "as")? {
            break query(cursor, &["profile_id"], &format!("trait \"{name}\""))?;
        }
        // ON DEMAND says when, not on which graph.
        if seen.freshness(cursor, &mut freshness)? {
            continue;
        }
        if seen.accept(cursor, "on")? {
            graph = Some(cursor.name(Kind::IdentityGraph)?);
        } else if seen.accept(cursor, "with")? {
            number_options(cursor, &[], |_, _| {})?;
        } else {
            return Err(unknown(&seen, cursor, &["on", "as"]));
        }
    };
    let graph = graph.ok_or_else(|| missing(cursor, Kind::Trait, "ON", "ON customer"))?;
    Ok(ProfileTrait { graph, freshness, query })
}

/// Reads `ON graph FOR PURPOSE p [freshness] WHERE condition | AS query`.
pub(crate) fn segment(cursor: &mut Cursor<'_>, name: &str) -> Result<Segment, ParseError> {
    let mut seen = Seen::default();
    let (mut graph, mut purpose, mut freshness) = (None, None, Freshness::OnDemand);
    let query = loop {
        if cursor.at_end() {
            return Err(missing(cursor, Kind::Segment, "WHERE or AS", "WHERE orders_count > 1"));
        }
        if seen.accept(cursor, "where")? {
            let range = cursor.rest();
            embedded::expression(cursor.input, range.clone())?;
            break format!("SELECT profile_id FROM profiles WHERE {}", &cursor.input[range]);
        }
        if seen.accept(cursor, "as")? {
            break query(cursor, &["profile_id"], &format!("segment \"{name}\""))?;
        }
        // ON DEMAND says when, not on which graph.
        if seen.freshness(cursor, &mut freshness)? {
            continue;
        }
        if seen.accept(cursor, "on")? {
            graph = Some(cursor.name(Kind::IdentityGraph)?);
        } else if seen.accept(cursor, "for purpose")? {
            purpose = Some(cursor.name(Kind::Purpose)?);
        } else if seen.accept(cursor, "with")? {
            number_options(cursor, &[], |_, _| {})?;
        } else {
            return Err(unknown(&seen, cursor, &["on", "for purpose", "where", "as"]));
        }
    };
    let need = |clause: &str, example: &str| missing(cursor, Kind::Segment, clause, example);
    let graph = graph.ok_or_else(|| need("ON", "ON customer"))?;
    let purpose = purpose.ok_or_else(|| need("FOR PURPOSE", "FOR PURPOSE analytics"))?;
    Ok(Segment { graph, purpose, freshness, query })
}

/// Reads `AS query`.
pub(crate) fn consent_feed(cursor: &mut Cursor<'_>, name: &str) -> Result<ConsentFeed, ParseError> {
    cursor.expect("as")?;
    let query = query(cursor, &CONSENT_COLUMNS, &format!("consent feed \"{name}\""))?;
    Ok(ConsentFeed { query })
}

/// Reads `AS query`.
pub(crate) fn identity_overrides(
    cursor: &mut Cursor<'_>,
    name: &str,
) -> Result<IdentityOverrides, ParseError> {
    cursor.expect("as")?;
    let query = query(cursor, &OVERRIDE_COLUMNS, &format!("identity overrides \"{name}\""))?;
    Ok(IdentityOverrides { query })
}

/// Reads the query that ends a statement.
fn query(cursor: &mut Cursor<'_>, needed: &[&str], object: &str) -> Result<String, ParseError> {
    if cursor.at_end() {
        return Err(cursor.expected("a query"));
    }
    let range = cursor.rest();
    let query = embedded::query(cursor.input, range.clone())?;
    embedded::expect_columns(&query, needed, cursor.input, range.start, object)?;
    Ok(cursor.input[range].to_string())
}

/// Returns the error for a word that begins no clause.
fn unknown(seen: &Seen, cursor: &Cursor<'_>, clauses: &[&'static str]) -> ParseError {
    let all: Vec<&'static str> = clauses.iter().chain(&FRESHNESS).copied().collect();
    seen.unknown(cursor, &all)
}
