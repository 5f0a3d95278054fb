//! Where in the client's text something stands, in characters from 1, as psql wants it to draw its caret.

/// A statement within the text that the client sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The whole text.
    pub(crate) source: &'a str,
    /// The byte of `source` that the statement starts at.
    pub(crate) offset: usize,
    /// The statement.
    pub(crate) text: &'a str,
    /// How many characters stand before it in the text that it is planned from.
    pub(crate) prefix: usize,
}

impl Place<'_> {
    /// What is in no statement.
    pub(crate) const NOWHERE: Place<'static> = Place { source: "", offset: 0, text: "", prefix: 0 };

    /// Returns the position of a line and a column of the statement, both from 1; `None` for those outside of it. What the
    /// planner knows only the left side of stands behind the spaces and brackets there.
    pub(crate) fn of_line(&self, line: u64, column: u64) -> Option<usize> {
        let line = usize::try_from(line).ok()?.checked_sub(1)?;
        let mut column = usize::try_from(column).ok()?.checked_sub(1)?;
        if line == 0 {
            column = column.checked_sub(self.prefix)?;
        }
        let mut before = 0;
        for (index, text) in self.text.split_inclusive('\n').enumerate() {
            let length = text.chars().count();
            if index == line {
                let behind = self.text.chars().skip(before + column);
                let passed = behind.take_while(|letter| letter.is_whitespace() || *letter == ')');
                let passed = passed.count();
                return (column <= length).then(|| self.start() + before + column + passed);
            }
            before += length;
        }
        None
    }

    /// Returns the position of a word of the statement if it stands there exactly once.
    pub(crate) fn of_word(&self, word: &str) -> Option<usize> {
        match self.words(word).as_slice() {
            [at] => Some(self.start() + self.text[..*at].chars().count()),
            _ => None,
        }
    }

    /// Tells whether a word of the statement is this one.
    pub(crate) fn has_word(&self, word: &str) -> bool {
        !self.words(word).is_empty()
    }

    /// Returns the bytes of the statement at which a word stands.
    fn words(&self, word: &str) -> Vec<usize> {
        if word.is_empty() || !word.is_ascii() {
            return vec![];
        }
        let text = self.text.to_ascii_lowercase();
        let word = word.to_ascii_lowercase();
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
        let found = text.match_indices(&word).map(|(at, _)| at);
        let found = found.filter(|at| {
            !text[..*at].chars().next_back().is_some_and(is_part)
                && !text[at + word.len()..].chars().next().is_some_and(is_part)
        });
        found.collect()
    }

    /// Returns the position of the statement's first character.
    fn start(&self) -> usize {
        let end = self.source.floor_char_boundary(self.offset);
        self.source[..end].chars().count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_of_the_whole_text() {
        let source = "select 'ż'; select\n nme from t";
        let place = Place { source, offset: 13, text: &source[13..], prefix: 0 };
        assert_eq!(&source[13..19], "select");
        assert_eq!(place.of_line(2, 2), Some(21));
        assert_eq!(place.of_word("nme"), Some(21));
        assert_eq!(place.of_word("t"), Some(30));
        assert_eq!(place.of_word("om"), None);
        assert_eq!(place.of_line(9, 1), None);
        let text = "select (a ) + 1";
        let place = Place { source: text, offset: 0, text, prefix: 0 };
        assert_eq!(place.of_line(1, 10), Some(13));
        assert_eq!(Place { prefix: 2, ..place }.of_line(1, 10), Some(8));
        assert_eq!(Place { prefix: 2, ..place }.of_line(1, 2), None);
    }
}
