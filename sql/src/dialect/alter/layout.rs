//! The text of a definition taken apart at the things of its lists, and put together again.
//!
//! What is cut is cut between tokens, and each piece ends with one, so that a comment can hide nothing that is put behind it.

use std::ops::Range;

use engine::catalog::Kind;
use sqlparser::tokenizer::Token;

use super::super::cursor::Cursor;
use super::super::error::ParseError;
use super::super::kind;
use super::super::lexer::tokenize;
use super::{Clause, List};

/// The lists of the definition of a graph, by the word that they begin with.
const LISTS: [(&str, List); 3] =
    [("identifiers", List::Identifiers), ("match", List::Rules), ("with", List::Options)];

/// The text of the definition of a graph.
pub(super) struct Layout {
    /// Up to the name.
    head: String,
    /// Its lists, in the order of the text.
    parts: Vec<Part>,
}

/// A list with what stands around it.
struct Part {
    list: List,
    /// From the part before to its first item.
    open: String,
    items: Vec<Item>,
    /// From its last item to its end.
    close: String,
}

/// One thing of a list.
pub(super) struct Item {
    name: String,
    /// From the item before to this one.
    before: String,
    /// What it says.
    pub(super) text: String,
}

impl Layout {
    /// Takes the definition of a graph apart.
    pub(super) fn of(sql: &str) -> Result<Layout, ParseError> {
        let lexemes = tokenize(sql)?;
        let mut cursor = Cursor::new(sql, &lexemes);
        cursor.expect("create")?;
        kind::singular(&mut cursor);
        cursor.name(Kind::IdentityGraph)?;
        let mut end = cursor.last_end();
        let mut layout = Layout { head: sql[..end].to_owned(), parts: Vec::new() };
        while !cursor.at_end() {
            let list = cursor.choose("a clause", &LISTS)?;
            let (mut open, mut items) = (String::new(), Vec::new());
            for (name, range) in named(&mut cursor)? {
                let mut before = sql[end..range.start].to_owned();
                if items.is_empty() {
                    open = std::mem::take(&mut before);
                }
                end = range.end;
                items.push(Item { name, before, text: sql[range].to_owned() });
            }
            let close = sql[end..cursor.last_end()].to_owned();
            end = cursor.last_end();
            layout.parts.push(Part { list, open, items, close });
        }
        Ok(layout)
    }

    /// Puts the definition together.
    pub(super) fn text(&self) -> String {
        let mut text = self.head.clone();
        for part in self.parts.iter().filter(|part| !part.items.is_empty()) {
            text.push_str(&part.open);
            for item in &part.items {
                text.push_str(&item.before);
                text.push_str(&item.text);
            }
            text.push_str(&part.close);
        }
        text
    }

    /// Returns what is in a list.
    pub(super) fn items(&self, list: List) -> impl Iterator<Item = &Item> {
        self.parts.iter().filter(move |part| part.list == list).flat_map(|part| &part.items)
    }

    /// Returns the names of what is in a list.
    pub(super) fn names(&self, list: List) -> impl Iterator<Item = &str> {
        self.items(list).map(|item| item.name.as_str())
    }

    /// Returns what is in a list by a name.
    pub(super) fn item(&mut self, list: List, name: &str) -> Option<&mut Item> {
        let mut parts = self.parts.iter_mut().filter(|part| part.list == list);
        parts.find_map(|part| part.items.iter_mut().find(|item| item.name == name))
    }

    /// Puts something behind the last item of a list, laid out as that is.
    pub(super) fn add(&mut self, list: List, name: &str, text: &str) {
        let part = self.part(list);
        let before = match part.items.last() {
            None => String::new(),
            Some(last) if last.before.trim() == "," => last.before.clone(),
            Some(_) => match &part.open[part.open.trim_end().len()..] {
                "" => ", ".to_owned(),
                indent => format!(",{indent}"),
            },
        };
        part.items.push(Item { name: name.to_owned(), before, text: text.to_owned() });
    }

    /// Takes something out of a list, and tells whether it was there.
    pub(super) fn remove(&mut self, list: List, name: &str) -> bool {
        let Some(part) = self.parts.iter_mut().find(|part| part.list == list) else { return false };
        let Some(at) = part.items.iter().position(|item| item.name == name) else { return false };
        let removed = part.items.remove(at);
        if let Some(next) = part.items.get_mut(at) {
            next.before = removed.before;
        }
        true
    }

    /// Returns a list, which is made if it is not there.
    fn part(&mut self, list: List) -> &mut Part {
        let at = match self.place(list) {
            Some(at) => at,
            None => {
                let behind = match list {
                    List::Identifiers | List::Rules => self.place(List::Identifiers),
                    List::Options => None,
                };
                let at = behind.map_or(self.parts.len(), |at| at + 1);
                self.open(at, list);
                at
            }
        };
        &mut self.parts[at]
    }

    fn place(&self, list: List) -> Option<usize> {
        self.parts.iter().position(|part| part.list == list)
    }

    /// Makes an empty list, laid out as the first one.
    fn open(&mut self, at: usize, list: List) {
        let first = self.parts.first().map_or("", |part| part.open.as_str());
        let gap = match &first[..first.len() - first.trim_start().len()] {
            "" => " ",
            gap => gap,
        };
        let (_, word) = list.keywords();
        let open = format!("{gap}{word} (");
        self.parts.insert(at, Part { list, open, items: Vec::new(), close: ")".to_owned() });
    }
}

/// Reads a list, and returns the name and the bytes of each thing in it.
pub(super) fn named(cursor: &mut Cursor<'_>) -> Result<Vec<(String, Range<usize>)>, ParseError> {
    cursor.list(|cursor| {
        let name = cursor.clone().identifier("a name")?;
        Ok((name, cursor.expression()?))
    })
}

/// Reads to the end, and returns where the clauses stand that begin with these words, and the byte behind what is before them.
pub(super) fn clauses(
    cursor: &mut Cursor<'_>,
    words: &[&'static str],
) -> (usize, Vec<(&'static str, Range<usize>)>) {
    let mut before = cursor.last_end();
    let mut found: Vec<(&'static str, Range<usize>)> = Vec::new();
    let mut depth = 0usize;
    while let Some(token) = cursor.peek() {
        let start = cursor.start();
        if depth == 0
            && let Some(words) = words.iter().find(|words| cursor.accept(words))
        {
            found.push((*words, start..cursor.last_end()));
            continue;
        }
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        cursor.advance();
        match found.last_mut() {
            Some((_, range)) => range.end = cursor.last_end(),
            None => before = cursor.last_end(),
        }
    }
    (before, found)
}

/// Returns the text of an item with other clauses, of which `words` are the beginnings.
pub(super) fn with_clauses(
    text: &str,
    words: &[&'static str],
    changes: &[Clause],
) -> Result<String, ParseError> {
    let lexemes = tokenize(text)?;
    let mut cursor = Cursor::new(text, &lexemes);
    // Its name may be the first word of a clause.
    cursor.advance();
    let (mut end, found) = clauses(&mut cursor, words);
    let mut changed = text[..end].to_owned();
    let mut written: Vec<&str> = Vec::new();
    for (words, range) in found {
        let gap = &text[end..range.start];
        end = range.end;
        let kept = match changes.iter().find(|change| change.words == words) {
            None => Some(&text[range]),
            Some(Clause { text: Some(given), .. }) if !written.contains(&words) => {
                written.push(words);
                Some(given.as_str())
            }
            Some(_) => None,
        };
        if let Some(kept) = kept {
            changed.push_str(if gap.is_empty() { " " } else { gap });
            changed.push_str(kept);
        }
    }
    let new = changes.iter().filter(|change| !written.contains(&change.words));
    for given in new.filter_map(|change| change.text.as_ref()) {
        changed.push(' ');
        changed.push_str(given);
    }
    Ok(changed)
}
