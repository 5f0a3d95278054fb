//! Which of the rows of a COPY an error is about, as PostgreSQL's CONTEXT has it: `COPY t, line 3, column b: "x"`.

use std::fmt;

/// Bytes of a line or of a value that are shown.
pub(crate) const SHOWN_BYTES_MAX: usize = 100;

/// A place in the rows of a COPY. The client has sent what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyContext {
    /// The table that is filled, without its schema.
    pub(crate) relation: String,
    /// The line, or the row of those in binary, from 1.
    pub(crate) line: u64,
    /// The column, if it is about one value.
    pub(crate) column: Option<String>,
    /// The value or the line, if it can be shown.
    pub(crate) text: Option<String>,
}

impl fmt::Display for CopyContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "COPY {}, line {}", self.relation, self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        match &self.text {
            Some(text) => write!(f, ": \"{text}\""),
            None => Ok(()),
        }
    }
}

/// Returns what is shown of a line or a value.
pub(crate) fn shown(bytes: &[u8]) -> String {
    if bytes.len() <= SHOWN_BYTES_MAX {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    // A letter is shown whole or not at all.
    let is_inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end = (0..=SHOWN_BYTES_MAX).rev().find(|end| !is_inside(*end)).unwrap_or(0);
    format!("{}...", String::from_utf8_lossy(&bytes[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_as_postgresql_tells_it() {
        let line = CopyContext { relation: "t".into(), line: 3, column: None, text: None };
        assert_eq!(line.to_string(), "COPY t, line 3");
        let text = Some("1,x".to_owned());
        assert_eq!(CopyContext { text, ..line.clone() }.to_string(), "COPY t, line 3: \"1,x\"");
        let column = Some("b".to_owned());
        let value = CopyContext { column, ..line };
        assert_eq!(value.to_string(), "COPY t, line 3, column b");
        let text = Some("x".to_owned());
        assert_eq!(CopyContext { text, ..value }.to_string(), "COPY t, line 3, column b: \"x\"");
    }

    #[test]
    fn what_is_long_is_cut_between_letters() {
        assert_eq!(shown(&[b'a'; 100]), "a".repeat(100));
        assert_eq!(shown(&[b'a'; 101]), format!("{}...", "a".repeat(100)));
        let odd = format!("a{}", "é".repeat(60));
        assert_eq!(shown(odd.as_bytes()), format!("a{}...", "é".repeat(49)));
    }
}
