//! Arrays as PostgreSQL writes them: `{1,2}`, `{{a,"b c"},{null,d}}`.

use std::iter::Peekable;
use std::str::Chars;

use crate::error::Error;

/// How many dimensions an array may have.
const DIMENSIONS_MAX: usize = 6;

/// The text of an array: how long each dimension is, and all elements in order.
#[derive(Debug, PartialEq, Eq)]
pub struct ArrayText {
    /// From the outermost dimension to the innermost.
    pub lengths: Vec<usize>,
    /// The elements; `None` is null.
    pub elements: Vec<Option<String>>,
}

impl ArrayText {
    /// Reads a text; `None` if it is no array, or one whose parts are not as long as each other.
    pub fn read(text: &str) -> Option<ArrayText> {
        let letters = text.trim().chars().peekable();
        let (lengths, elements) = (Vec::new(), Vec::new());
        let mut reader = ArrayReader { letters, lengths, innermost: None, elements };
        reader.letters.next_if_eq(&'{')?;
        reader.part(0)?;
        if reader.letters.next().is_some() {
            return None;
        }
        let ArrayReader { lengths, elements, .. } = reader;
        let lengths: Vec<usize> = match elements.is_empty() {
            true => vec![0],
            false => lengths.into_iter().map(Option::unwrap_or_default).collect(),
        };
        (lengths.iter().product::<usize>() == elements.len())
            .then_some(ArrayText { lengths, elements })
    }
}

/// Says that a text is no array.
pub(crate) fn malformed() -> Error {
    Error::Standard {
        sqlstate: "22P02",
        message: "malformed array literal".to_owned(),
        hint: "Write '{1,2}', or '{{1,2},{3,4}}' with parts as long as each other.".to_owned(),
    }
}

struct ArrayReader<'a> {
    letters: Peekable<Chars<'a>>,
    lengths: Vec<Option<usize>>,
    /// In which dimension the elements are.
    innermost: Option<usize>,
    elements: Vec<Option<String>>,
}

impl ArrayReader<'_> {
    /// Reads what stands behind an opening brace, up to the closing one.
    fn part(&mut self, depth: usize) -> Option<()> {
        if depth == DIMENSIONS_MAX {
            return None;
        }
        if self.lengths.len() == depth {
            self.lengths.push(None);
        }
        let mut length = 0;
        self.pass_blanks();
        if self.letters.next_if_eq(&'}').is_none() {
            loop {
                self.pass_blanks();
                match self.letters.next_if_eq(&'{') {
                    Some(_) => self.part(depth + 1)?,
                    None => self.element(depth)?,
                }
                length += 1;
                self.pass_blanks();
                match self.letters.next()? {
                    ',' => {}
                    '}' => break,
                    _ => return None,
                }
            }
        }
        (*self.lengths[depth].get_or_insert(length) == length).then_some(())
    }

    fn pass_blanks(&mut self) {
        while self.letters.next_if(|letter| letter.is_ascii_whitespace()).is_some() {}
    }

    fn element(&mut self, depth: usize) -> Option<()> {
        if *self.innermost.get_or_insert(depth) != depth {
            return None;
        }
        let mut text = String::new();
        // Blanks at the end of what is in no quotes are none of it.
        let (mut kept, mut quoted) = (0, false);
        if self.letters.next_if_eq(&'"').is_some() {
            quoted = true;
            loop {
                match self.letters.next()? {
                    '"' => break,
                    '\\' => text.push(self.letters.next()?),
                    other => text.push(other),
                }
            }
        } else {
            while let Some(letter) = self.letters.next_if(|letter| !matches!(letter, ',' | '}')) {
                match letter {
                    '{' | '"' => return None,
                    '\\' => text.push(self.letters.next()?),
                    other => text.push(other),
                }
                if !letter.is_ascii_whitespace() {
                    kept = text.len();
                }
            }
            text.truncate(kept);
            if text.is_empty() {
                return None;
            }
        }
        let is_null = !quoted && text.eq_ignore_ascii_case("null");
        self.elements.push((!is_null).then_some(text));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::ArrayText;

    #[test]
    fn texts_of_arrays_have_dimensions() {
        let check = |text: &str, lengths: &[usize], elements: &[Option<&str>]| {
            let read = ArrayText::read(text).unwrap();
            assert_eq!(read.lengths, lengths, "{text}");
            let found: Vec<_> = read.elements.iter().map(Option::as_deref).collect();
            assert_eq!(found, elements, "{text}");
        };
        check("{}", &[0], &[]);
        check(" { 1 , null} ", &[2], &[Some("1"), None]);
        check(r#"{"a b", c d ,"NULL"}"#, &[3], &[Some("a b"), Some("c d"), Some("NULL")]);
        check("{{1,2},{3,4}}", &[2, 2], &["1", "2", "3", "4"].map(Some));
        check("{{{a}},{{b}}}", &[2, 1, 1], &["a", "b"].map(Some));
        check("{{},{}}", &[0], &[]);
        check(r#"{"{\"a\": 1}"}"#, &[1], &[Some(r#"{"a": 1}"#)]);
        for text in [
            "",
            "{",
            "{1",
            "1",
            "{1}2",
            "{{1,2},{3}}",
            "{1,{2}}",
            "{{1},2}",
            "{{},1}",
            "{a,}",
            "{{{{{{{1}}}}}}}",
        ] {
            assert_eq!(ArrayText::read(text), None, "{text}");
        }
    }
}
