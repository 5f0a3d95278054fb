//! The words for kinds of objects, one and many.

use engine::catalog::Kind;

use super::cursor::Cursor;

/// The words for one object and for many, longer ones first where one begins with another.
const WORDS: [(&str, &str, Kind); 15] = [
    ("secret", "secrets", Kind::Secret),
    ("purpose", "purposes", Kind::Purpose),
    ("role", "roles", Kind::Role),
    ("source", "sources", Kind::Source),
    ("event", "events", Kind::Event),
    ("identity graph", "identity graphs", Kind::IdentityGraph),
    ("identity overrides", "identity overrides", Kind::IdentityOverrides),
    ("graph", "graphs", Kind::IdentityGraph),
    ("consent feed", "consent feeds", Kind::ConsentFeed),
    ("attribute", "attributes", Kind::Attribute),
    ("trait", "traits", Kind::Trait),
    ("traits", "traits", Kind::Trait),
    ("segment", "segments", Kind::Segment),
    ("destination", "destinations", Kind::Destination),
    ("sync", "syncs", Kind::Sync),
];

/// Reads the word for one object if it comes next.
pub(crate) fn singular(cursor: &mut Cursor<'_>) -> Option<Kind> {
    WORDS.iter().find(|(one, ..)| cursor.accept(one)).map(|(.., kind)| *kind)
}

/// Reads the word for many objects if it comes next.
pub(crate) fn plural(cursor: &mut Cursor<'_>) -> Option<Kind> {
    WORDS.iter().find(|(_, many, _)| cursor.accept(many)).map(|(.., kind)| *kind)
}

/// Returns the words for one object of every kind.
pub(crate) fn singulars() -> impl Iterator<Item = &'static str> + Clone {
    Kind::ALL.iter().map(|kind| kind.word())
}

/// Returns the words for many objects of every kind.
pub(crate) fn plurals() -> impl Iterator<Item = &'static str> + Clone {
    WORDS.iter().map(|(_, many, _)| *many).filter(|many| !matches!(*many, "graphs"))
}
