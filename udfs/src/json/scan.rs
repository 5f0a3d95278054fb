//! A scanner of JSON text (RFC 8259) that finds one member without building the rest.
//!
//! Every scan goes to the end of the text, so that nothing is answered out of text that is no JSON. Nesting is followed
//! on a stack of one bit a level, not by calls.

use std::borrow::Cow;

/// How deep arrays and objects may nest that are passed over; text that nests deeper is no JSON to us.
const DEPTH_MAX: usize = 1024;

/// What stands for text that no string can hold: half a surrogate pair, or the zero character that Postgres refuses.
const REPLACEMENT: char = '\u{fffd}';

/// A position in JSON text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth_max: usize,
}

/// What stands between the quotes of a string.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted<'a> {
    /// With all escapes.
    pub(super) raw: &'a str,
    /// Whether it has any.
    pub(super) escaped: bool,
}

impl<'a> Quoted<'a> {
    /// Returns the text that the string says.
    pub(super) fn said(self) -> Cow<'a, str> {
        if self.escaped { unescape(self.raw) } else { Cow::Borrowed(self.raw) }
    }

    fn is(self, text: &str) -> bool {
        if self.escaped { unescape(self.raw) == text } else { self.raw == text }
    }
}

impl<'a> Scanner<'a> {
    /// Starts at the first token of `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        Self::within(text, DEPTH_MAX)
    }

    /// Starts at the first token of `text`, of which no value may nest deeper than this, 1024 levels at most.
    pub(super) fn within(text: &'a str, depth_max: usize) -> Self {
        let mut scanner = Self { text, at: 0, depth_max };
        scanner.space();
        scanner
    }

    /// Returns the last member called `name` of the object that the text is, with the text around it being JSON.
    pub(crate) fn member(mut self, name: &str) -> Option<&'a str> {
        let mut found = None;
        self.take(b'{')?;
        let mut first = true;
        while self.more(&mut first, b'}')? {
            let key = self.name()?;
            let value = self.value()?;
            if key.is(name) {
                found = Some(value);
            }
        }
        self.end()?;
        found
    }

    /// Returns the element at `index` of the array that the text is; from the end where it is negative.
    pub(crate) fn element(mut self, index: i64) -> Option<&'a str> {
        let counted = match index {
            0.. => usize::try_from(index).ok()?,
            _ => {
                let all = Self { text: self.text, at: self.at, depth_max: self.depth_max };
                all.elements()?.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
            }
        };
        let mut found = None;
        self.take(b'[')?;
        let mut first = true;
        let mut at = 0;
        while self.more(&mut first, b']')? {
            let value = self.value()?;
            if at == counted {
                found = Some(value);
            }
            at += 1;
        }
        self.end()?;
        found
    }

    /// Returns the value that the text is, if it is neither an object nor an array.
    pub(crate) fn scalar_alone(mut self) -> Option<&'a str> {
        if matches!(self.peek()?, b'{' | b'[') {
            return None;
        }
        let value = self.value()?;
        self.end()?;
        Some(value)
    }

    /// Returns how many elements the array has that the text is.
    pub(super) fn elements(mut self) -> Option<usize> {
        self.take(b'[')?;
        let mut first = true;
        let mut count = 0;
        while self.more(&mut first, b']')? {
            self.value()?;
            count += 1;
        }
        self.end()?;
        Some(count)
    }

    /// Steps to the next member or element, or over the closing bracket; says whether there is one.
    pub(super) fn more(&mut self, first: &mut bool, close: u8) -> Option<bool> {
        self.space();
        if self.peek() == Some(close) && *first {
            self.at += 1;
            return Some(false);
        }
        if !std::mem::take(first) {
            if self.peek()? == close {
                self.at += 1;
                return Some(false);
            }
            self.take(b',')?;
            self.space();
        }
        Some(true)
    }

    /// Scans one value and the white space before it, and returns its text.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        self.space();
        let start = self.at;
        match self.peek()? {
            b'{' | b'[' => self.container()?,
            byte => self.scalar(byte)?,
        }
        Some(&self.text[start..self.at])
    }

    fn container(&mut self) -> Option<()> {
        let mut nesting = Nesting::default();
        // Each turn reads one value that is no container, or opens one, then closes all that end behind it.
        loop {
            let byte = self.peek()?;
            if matches!(byte, b'{' | b'[') {
                self.at += 1;
                self.space();
                let close = if byte == b'{' { b'}' } else { b']' };
                if self.peek()? != close {
                    nesting.open(byte == b'{', self.depth_max)?;
                    self.name_within(&nesting)?;
                    continue;
                }
                self.at += 1;
            } else {
                self.scalar(byte)?;
            }
            loop {
                let Some(object) = nesting.innermost() else { return Some(()) };
                self.space();
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        self.space();
                        self.name_within(&nesting)?;
                        break;
                    }
                    b'}' if object => nesting.close(),
                    b']' if !object => nesting.close(),
                    _ => return None,
                }
                self.at += 1;
            }
        }
    }

    /// Within an object, scans a name and its colon.
    fn name_within(&mut self, nesting: &Nesting) -> Option<()> {
        if nesting.innermost() == Some(true) {
            self.name()?;
            self.space();
        }
        Some(())
    }

    /// Scans the name of a member and its colon.
    pub(super) fn name(&mut self) -> Option<Quoted<'a>> {
        let name = self.string()?;
        self.space();
        self.take(b':')?;
        Some(name)
    }

    /// Scans a number or a word, and returns its text.
    pub(super) fn plain(&mut self) -> Option<&'a str> {
        let start = self.at;
        let byte = self.peek()?;
        self.scalar(byte)?;
        Some(&self.text[start..self.at])
    }

    fn scalar(&mut self, byte: u8) -> Option<()> {
        match byte {
            b'"' => self.string().map(|_| ()),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    /// Scans a string, and returns what stands between its quotes.
    pub(super) fn string(&mut self) -> Option<Quoted<'a>> {
        self.take(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.letters();
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(Quoted { raw: &self.text[start..self.at - 1], escaped });
                }
                b'\\' => {
                    self.escape()?;
                    escaped = true;
                }
                _ => return None,
            }
        }
    }

    /// Steps over letters that stand for themselves: to a quote, a backslash, a control character or the end.
    fn letters(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(eight) = bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let marks = special(u64::from_le_bytes(*eight));
            if marks != 0 {
                self.at += marks.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while self.peek().is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Option<()> {
        self.at += 1;
        match self.peek()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                let digits = self.text.as_bytes().get(self.at + 1..self.at + 5)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                self.at += 5;
            }
            _ => return None,
        }
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text.as_bytes()[self.at..].starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    pub(super) fn end(&mut self) -> Option<()> {
        self.space();
        (self.at == self.text.len()).then_some(())
    }

    pub(super) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    pub(super) fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Returns how many bytes lie before it.
    pub(super) fn position(&self) -> usize {
        self.at
    }
}

/// Marks the quotes, backslashes and control characters among eight bytes, each in its highest bit. Marks above the first
/// one may be wrong: what is borrowed from a byte is missing in the next.
fn special(bytes: u64) -> u64 {
    const EACH: u64 = u64::MAX / 0xff;
    const HIGHEST: u64 = EACH << 7;
    let below = |bytes: u64, least: u64| bytes.wrapping_sub(EACH * least) & !bytes & HIGHEST;
    let equal = |byte: u8| below(bytes ^ (EACH * u64::from(byte)), 1);
    below(bytes, 0x20) | equal(b'"') | equal(b'\\')
}

/// For each open container whether it is an object.
#[derive(Default)]
struct Nesting {
    bits: [u64; DEPTH_MAX / 64],
    depth: usize,
}

impl Nesting {
    fn open(&mut self, object: bool, depth_max: usize) -> Option<()> {
        if self.depth >= depth_max {
            return None;
        }
        let word = self.bits.get_mut(self.depth / 64)?;
        let bit = 1 << (self.depth % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Some(())
    }

    fn close(&mut self) {
        self.depth -= 1;
    }

    fn innermost(&self) -> Option<bool> {
        let at = self.depth.checked_sub(1)?;
        Some(self.bits[at / 64] >> (at % 64) & 1 == 1)
    }
}

/// Returns what stands between the quotes of a value that is a string.
pub(super) fn string_of(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"')
}

/// Returns the text that a string says, given what stands between its quotes. Half a surrogate pair and the zero
/// character, which no text of Postgres can hold, become U+FFFD.
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    unescape_into(raw, &mut text);
    Cow::Owned(text)
}

/// Writes the text that a string says, which is no longer than what stands between its quotes.
pub(super) fn unescape_into(raw: &str, text: &mut String) {
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut chars = escape.chars();
        let letter = chars.next();
        rest = chars.as_str();
        match letter {
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('u') => {
                let (c, after) = unescape_unicode(rest);
                text.push(c);
                rest = after;
            }
            Some(other) => text.push(other),
            None => {}
        }
    }
    text.push_str(rest);
}

/// Decodes what follows `\u`, and a second escape where both make one character.
fn unescape_unicode(text: &str) -> (char, &str) {
    let Some((unit, rest)) = code_unit(text) else {
        return (REPLACEMENT, text);
    };
    if matches!(unit, 0xd800..0xdc00)
        && let Some((low, after)) = rest.strip_prefix("\\u").and_then(code_unit)
        && matches!(low, 0xdc00..0xe000)
    {
        let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        return (char::from_u32(code).unwrap_or(REPLACEMENT), after);
    }
    (char::from_u32(unit).filter(|c| *c != '\0').unwrap_or(REPLACEMENT), rest)
}

fn code_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn letters_end_where_a_string_may_end() {
        const LETTERS: &str = "aż\u{7f}€😀!# \u{80}";
        for end in ["\"", "\\", "\n", "\u{1f}", ""] {
            for length in 0..20 {
                let letters: String = LETTERS.chars().cycle().take(length).collect();
                let text = format!("{letters}{end}abcdefgh\"");
                let mut scanner = Scanner::new("");
                scanner.text = &text;
                scanner.letters();
                let expected = if end.is_empty() { text.len() - 1 } else { letters.len() };
                assert_eq!(scanner.at, expected, "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn letters_are_what_a_look_at_each_finds(bytes in prop::collection::vec(any::<u8>(), 8)) {
            let eight: [u8; 8] = bytes.as_slice().try_into().unwrap();
            let first = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            let marks = special(u64::from_le_bytes(eight));
            let found = (marks != 0).then(|| marks.trailing_zeros() as usize / 8);
            prop_assert_eq!(found, first);
        }
    }
}
