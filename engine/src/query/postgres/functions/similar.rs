//! `similar_to_escape`: a pattern of `SIMILAR TO` as a regular expression that a text has to match whole.

use datafusion::common::Result;
use datafusion::logical_expr::Volatility;

use super::{Body, Call, Function, Kind, failure};
use crate::Error;

pub(super) const FUNCTIONS: &[Function] = &[Function::new(
    "similar_to_escape",
    &[Kind::Text, Kind::Text],
    "text",
    Body::Text(similar_to_escape),
)
.at_least(1)
.with(Volatility::Immutable)];

fn similar_to_escape(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some(pattern) = call.text(0, row) else { return Ok(None) };
    let escape = match call.arguments.len() {
        1 => "\\",
        _ => match call.text(1, row) {
            Some(escape) => escape,
            None => return Ok(None),
        },
    };
    let mut letters = escape.chars();
    let escape = letters.next();
    if letters.next().is_some() {
        return Err(failure(Error::Standard {
            sqlstate: "22025",
            message: "invalid escape string".into(),
            hint: "Escape string must be empty or one character.".into(),
        }));
    }
    Ok(Some(expression(pattern, escape)))
}

/// The regular expression of a pattern, in which a point stands for the end of a line, too.
fn expression(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    out.push_str("(?s)^(?:");
    let (mut escaped, mut in_class) = (false, false);
    for letter in pattern.chars() {
        if escaped {
            // A letter behind the escape may stand for a class, as it does in PostgreSQL.
            match letter.is_ascii_alphanumeric() {
                true => out.extend(['\\', letter]),
                false => out.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4]))),
            }
            escaped = false;
            continue;
        }
        match letter {
            _ if Some(letter) == escape => escaped = true,
            '\\' => out.push_str("\\\\"),
            _ if in_class => {
                out.push(letter);
                in_class = letter != ']';
            }
            '[' => {
                out.push('[');
                in_class = true;
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '.' | '^' | '$' => out.extend(['\\', letter]),
            other => out.push(other),
        }
    }
    out.push_str(")$");
    out
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::expression;

    #[test]
    fn a_pattern_matches_a_text_as_a_whole() {
        for (text, pattern, matches) in [
            ("abc", "abc", true),
            ("abc", "a", false),
            ("abc", "%(b|d)%", true),
            ("abc", "(b|c)%", false),
            ("Ada", "(A|B)%", true),
            ("xAda", "A%|B%", false),
            ("a\nb", "a_b", true),
            ("a.b", "a.b", true),
            ("axb", "a.b", false),
            ("a%", "a\\%", true),
            ("ab", "a\\%", false),
            ("a1", "[a-c][[:digit:]]", true),
            ("aaa", "a{3}", true),
            ("$^", "$^", true),
        ] {
            let found = Regex::new(&expression(pattern, Some('\\'))).unwrap().is_match(text);
            assert_eq!(found, matches, "{text} {pattern}");
        }
        assert_eq!(expression("a#%", Some('#')), "(?s)^(?:a%)$");
        assert_eq!(expression("a\\%", None), "(?s)^(?:a\\\\.*)$");
    }
}
