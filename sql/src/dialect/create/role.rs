//! `CREATE ROLE`: who may connect, for which purposes, and what else.

use std::ops::Range;

use engine::catalog::{Capability, Kind, Role};

use super::super::cursor::Cursor;
use super::super::error::{INVALID_PARAMETER_VALUE, ParseError};
use super::super::password::{Password, Verifier, looks_like_verifier};
use super::clauses::{Seen, missing};

const CAPABILITIES: [(&str, Capability); 7] = [
    ("define", Capability::Define),
    ("segment", Capability::Segment),
    ("refresh", Capability::Refresh),
    ("sync", Capability::Sync),
    ("consent", Capability::Consent),
    ("audit", Capability::Audit),
    ("write", Capability::Write),
];

/// A password that stands in the text, and what takes its place.
pub(crate) struct GivenPassword {
    /// The bytes of the literal.
    pub(crate) range: Range<usize>,
    /// The verifier.
    pub(crate) verifier: String,
    /// The password, unless the verifier itself was given.
    pub(crate) password: Option<Password>,
}

/// Reads `[LOGIN | NOLOGIN] [PASSWORD 'text' | SECRET name | NULL] [PURPOSES (...)] [MAY (...)]`, in any order.
pub(crate) fn role(cursor: &mut Cursor<'_>) -> Result<(Role, Option<GivenPassword>), ParseError> {
    let mut role = Role {
        verifier: None,
        password_secret: None,
        purposes: Vec::new(),
        capabilities: Vec::new(),
    };
    let mut given = None;
    let mut seen = Seen::default();
    while !cursor.at_end() {
        if seen.accept(cursor, "login")? || seen.accept(cursor, "nologin")? {
            if seen.has("login") && seen.has("nologin") {
                return Err(
                    cursor.error_at(cursor.last_end(), "LOGIN and NOLOGIN exclude each other")
                );
            }
        } else if seen.accept(cursor, "password")? {
            if cursor.accept("secret") {
                role.password_secret = Some(cursor.name(Kind::Secret)?);
            } else if !cursor.accept("null") {
                given = Some(password(cursor)?);
            }
        } else if seen.accept(cursor, "purposes")? {
            role.purposes = cursor.list(|cursor| cursor.name(Kind::Purpose))?;
        } else if seen.accept(cursor, "may")? {
            role.capabilities =
                cursor.list(|cursor| cursor.choose("a capability", &CAPABILITIES))?;
        } else {
            return Err(seen.unknown(cursor, &["login", "nologin", "password", "purposes", "may"]));
        }
    }
    if !seen.has("purposes") {
        return Err(missing(cursor, Kind::Role, "PURPOSES", "PURPOSES (analytics)"));
    }
    if seen.has("nologin") && seen.has("password") {
        return Err(cursor.error_at(cursor.end(), "a role with NOLOGIN has no password"));
    }
    role.verifier = given.as_ref().map(|given| given.verifier.clone());
    Ok((role, given))
}

/// Reads a password or a verifier. No error says what was found, since it may be the password without quotes.
fn password(cursor: &mut Cursor<'_>) -> Result<GivenPassword, ParseError> {
    let start = cursor.start();
    let what = "PASSWORD needs a text in quotes, SECRET name or NULL";
    let text = cursor.text("").map_err(|_| cursor.error_at(start, what))?;
    let range = start..cursor.last_end();
    if Verifier::parse(&text).is_some() {
        return Ok(GivenPassword { range, verifier: text, password: None });
    }
    if looks_like_verifier(&text) {
        return Err(cursor
            .error_at(start, "the verifier of the password is not valid")
            .sqlstate(INVALID_PARAMETER_VALUE)
            .hint("It has the form SCRAM-SHA-256$iterations:salt$stored key:server key."));
    }
    let password = Password::new(text).map_err(|reason| {
        cursor
            .error_at(start, reason)
            .sqlstate(INVALID_PARAMETER_VALUE)
            .hint("Use 1 to 1,024 printable characters of ASCII, or give a verifier.")
    })?;
    Ok(GivenPassword { range, verifier: password.verifier(), password: Some(password) })
}
