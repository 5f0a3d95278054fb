//! Folding letters to lower-case ASCII, shared by the normalisers of names, streets and countries.

use std::borrow::Cow;

use deunicode::deunicode_char;

/// What a character is to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
    /// Part of a word: letters, digits, and what is written within words, such as apostrophes and combining marks.
    Word,
    /// Between words.
    Gap,
}

/// Appends the lower-case ASCII letters and digits that stand for `c`, if any, and says what `c` is.
///
/// Transliterates rather than decomposes, since decomposition leaves letters such as ł as they are.
pub(crate) fn fold(c: char, push: &mut impl FnMut(char)) -> Fold {
    if c.is_ascii_alphanumeric() {
        push(c.to_ascii_lowercase());
        return Fold::Word;
    }
    if matches!(c, '\'' | '`' | '´' | '‘' | '’' | 'ʼ' | '′') {
        return Fold::Word;
    }
    if c.is_ascii() {
        return Fold::Gap;
    }
    let folded = deunicode_char(c).unwrap_or("");
    if c.is_alphanumeric() {
        folded
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .for_each(|c| push(c.to_ascii_lowercase()));
        return Fold::Word;
    }
    if folded.is_empty() { Fold::Word } else { Fold::Gap }
}

/// Returns `word` with `ae`, `oe` and `ue` as `a`, `o` and `u`, so that `mueller`, `müller` and `muller` agree.
///
/// An `e` after two vowels, as in `bauer`, and after `q`, is no umlaut. Folding twice is folding once.
pub(crate) fn fold_umlauts(word: &str) -> Cow<'_, str> {
    let bytes = word.as_bytes();
    if !bytes.windows(2).any(|pair| matches!(pair, b"ae" | b"oe" | b"ue")) {
        return Cow::Borrowed(word);
    }
    let mut folded = String::with_capacity(word.len());
    let mut previous = ' ';
    let mut chars = word.chars().peekable();
    while let Some(c) = chars.next() {
        folded.push(c);
        if matches!(c, 'a' | 'o' | 'u')
            && !matches!(previous, 'a' | 'e' | 'i' | 'o' | 'u' | 'y' | 'q')
        {
            while chars.next_if_eq(&'e').is_some() {}
        }
        previous = c;
    }
    Cow::Owned(folded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn umlauts_agree_however_written() {
        for (given, expected) in [
            ("mueller", "muller"),
            ("muller", "muller"),
            ("schoen", "schon"),
            ("bauer", "bauer"),
            ("quelle", "quelle"),
            ("neuer", "neuer"),
            ("kaethe", "kathe"),
        ] {
            assert_eq!(fold_umlauts(given), expected);
        }
    }

    proptest! {
        #[test]
        fn twice_is_once(given in "[aeouqb]{0,12}|.*") {
            let once = fold_umlauts(&given).into_owned();
            prop_assert_eq!(fold_umlauts(&once), once.clone());
        }
    }
}
