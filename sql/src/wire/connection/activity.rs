//! What a session runs, or ran last, as other sessions of its role and purpose see it in `pg_stat_activity`.

use std::sync::Arc;

use super::Connection;
use crate::dialect::{Parsed, Statement};
use crate::wire::error::WireError;

/// Bytes of a text that are shown at most: as many as PostgreSQL shows.
const SHOWN_BYTES_MAX: usize = 1_023;

impl Connection {
    /// Shows the text of what the session runs.
    pub(super) fn show_running(&self, text: Arc<str>) -> Result<(), WireError> {
        self.registration.show(text, self.session.settings.get("cdp.purpose")?);
        Ok(())
    }
}

/// Returns what is shown of a text with these statements, without passwords.
pub(super) fn shown(source: &str, statements: &[Parsed]) -> Arc<str> {
    if !statements.iter().any(has_password) {
        return cut(source).into();
    }
    let texts: Vec<&str> =
        statements.iter().map(|parsed| innermost(parsed).text.as_str()).collect();
    cut(&texts.join("; ")).into()
}

/// The same of a text with one statement, which is shared if it is shown as it is.
pub(super) fn shown_again(source: &Arc<str>, parsed: &Parsed) -> Arc<str> {
    match source.len() <= SHOWN_BYTES_MAX && !has_password(parsed) {
        true => Arc::clone(source),
        false => shown(source, std::slice::from_ref(parsed)),
    }
}

/// Tells whether a statement was written with a password, which its own text has not.
fn has_password(parsed: &Parsed) -> bool {
    matches!(innermost(parsed).statement, Statement::Create { password: Some(_), .. })
}

/// The statement that is prepared, if one is.
fn innermost(parsed: &Parsed) -> &Parsed {
    match &parsed.statement {
        Statement::Prepare { statement, .. } => statement,
        _ => parsed,
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::parse;

    #[test]
    fn texts_are_shown_without_passwords_and_up_to_a_bound() {
        let of = |text: &str| shown(text, &parse(text).unwrap());
        assert_eq!(&*of("SELECT 1; SELECT 2"), "SELECT 1; SELECT 2");
        let secret = "SELECT 1; CREATE ROLE ada LOGIN PASSWORD 'letmein' PURPOSES (analytics)";
        assert!(of(secret).starts_with("SELECT 1; CREATE ROLE ada"));
        assert!(!of(secret).contains("letmein"));
        let prepared = "PREPARE p AS CREATE ROLE ada LOGIN PASSWORD 'letmein' PURPOSES (analytics)";
        assert!(!of(prepared).contains("letmein"));
        let long = format!("SELECT '{}'", "ż".repeat(1_000));
        assert_eq!(of(&long).len(), SHOWN_BYTES_MAX - 1);
        let source: Arc<str> = "SELECT 1".into();
        let parsed = parse(&source).unwrap().remove(0);
        assert!(Arc::ptr_eq(&shown_again(&source, &parsed), &source));
    }
}
