//! JSON as a tree: what `jsonb` makes of a text.
//!
//! A tree lies in three vectors and takes about as much memory as its text, six times as much at the most, and what vectors
//! have to spare that grow: eight bytes for each value, which say where it stands in the text, and some more for members and
//! objects. Nothing is copied out of the text but strings with escapes.

use std::cmp::Ordering;
use std::slice;

use super::number::is_same_number;
use super::scan::{Scanner, unescape_into};

/// How deep arrays and objects may nest; text that nests deeper is no JSON to us.
pub(super) const DEPTH_MAX: usize = 512;
/// Bytes of text at most, so that a place in it and in what is unescaped of it is a number of 32 bits.
const TEXT_BYTES_MAX: usize = i32::MAX as usize;

/// What becomes of the members of objects and of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// All stays as it is written, as in `json`.
    Everything,
    /// The last of members with one name stays, names are sorted by length, and numbers have no exponent, as in `jsonb`.
    Values,
}

/// JSON that was read, with all values in it.
#[derive(Debug)]
pub struct Json<'a> {
    text: &'a str,
    keeping: Keeping,
    /// What strings with escapes say, each behind a quote.
    unescaped: String,
    /// The values, each before those that are in it. Behind an object stands where its members are listed, and a member is
    /// its name and its value.
    nodes: Vec<Node>,
    /// The members of one object after the other, as the nodes that are their names.
    members: Vec<u32>,
}

/// From where to where something goes: a value without parts in the text, and a string behind the text if it is unescaped.
/// Arrays and objects begin in the text and end with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    start: u32,
    end: u32,
}

/// A value of JSON that was read.
#[derive(Debug, Clone, Copy)]
pub struct Value<'j> {
    json: &'j Json<'j>,
    at: usize,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum View<'j> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is written.
    Number(&'j str),
    /// A string, without quotes and escapes.
    Text(&'j str),
    /// An array.
    Array(Elements<'j>),
    /// An object.
    Object(Members<'j>),
}

/// The elements of an array, in order.
#[derive(Debug, Clone)]
pub struct Elements<'j> {
    json: &'j Json<'j>,
    at: usize,
    end: usize,
}

/// The members of an object, names with their values: in the order of [`name_order`], or as they are written if everything
/// is kept.
#[derive(Debug, Clone)]
pub struct Members<'j> {
    json: &'j Json<'j>,
    names: slice::Iter<'j, u32>,
}

/// How `jsonb` sorts names: by their length, and those of one length by their bytes.
pub fn name_order(one: &str, other: &str) -> Ordering {
    (one.len(), one.as_bytes()).cmp(&(other.len(), other.as_bytes()))
}

impl<'a> Json<'a> {
    /// Reads JSON text (RFC 8259); `None` if it is none.
    pub fn parse(text: &'a str, keeping: Keeping) -> Option<Json<'a>> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let unescaped = String::new();
        let json = Json { text, keeping, unescaped, nodes: Vec::new(), members: Vec::new() };
        let mut reader = Reader { scanner: Scanner::new(text), json, open: Vec::new() };
        reader.value(0)?;
        reader.scanner.end()?;
        Some(reader.json)
    }

    /// The whole.
    pub fn root(&self) -> Value<'_> {
        Value { json: self, at: 0 }
    }

    fn push(&mut self, start: usize, end: usize) -> Option<()> {
        self.nodes.push(Node::of(start, end)?);
        Some(())
    }

    /// Ends the array or object at a node with the last node there is.
    fn close(&mut self, at: usize) -> Option<()> {
        self.nodes[at].end = u32::try_from(self.nodes.len()).ok()?;
        Some(())
    }

    /// Lists the members that have these names.
    fn list(&mut self, names: &mut [u32]) {
        if self.keeping == Keeping::Everything
            || names.is_sorted_by(|one, other| self.order(*one, *other).is_lt())
        {
            self.members.extend_from_slice(names);
            return;
        }
        // The last of equal names stands.
        names.sort_unstable_by(|one, other| self.order(*one, *other).then(other.cmp(one)));
        for (at, name) in names.iter().enumerate() {
            if at == 0 || self.order(names[at - 1], *name).is_ne() {
                self.members.push(*name);
            }
        }
    }

    fn order(&self, one: u32, other: u32) -> Ordering {
        name_order(self.string(one as usize), self.string(other as usize))
    }

    /// What the string at a node says.
    fn string(&self, at: usize) -> &str {
        let (start, end) = self.nodes[at].span();
        match start.checked_sub(self.text.len()) {
            None => &self.text[start + 1..end],
            Some(behind) => &self.unescaped[behind + 1..end - self.text.len()],
        }
    }

    /// The first letter of what is at a node: a quote if it is a string.
    fn first(&self, at: usize) -> u8 {
        self.text.as_bytes().get(self.nodes[at].start as usize).copied().unwrap_or(b'"')
    }
}

impl Node {
    fn of(start: usize, end: usize) -> Option<Self> {
        Some(Self { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? })
    }

    fn span(self) -> (usize, usize) {
        (self.start as usize, self.end as usize)
    }
}

/// JSON that is being read.
struct Reader<'a> {
    scanner: Scanner<'a>,
    json: Json<'a>,
    /// The names of those objects that are open.
    open: Vec<u32>,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.scanner.space();
        match self.scanner.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string(),
            _ => {
                let start = self.scanner.position();
                self.scanner.plain()?;
                self.json.push(start, self.scanner.position())
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        let (at, open) = (self.json.nodes.len(), self.open.len());
        self.json.push(self.scanner.position(), 0)?;
        // Where its members are listed is known at its end.
        self.json.push(0, 0)?;
        self.scanner.take(b'{')?;
        let mut first = true;
        while self.scanner.more(&mut first, b'}')? {
            self.open.push(u32::try_from(self.json.nodes.len()).ok()?);
            self.string()?;
            self.scanner.space();
            self.scanner.take(b':')?;
            self.value(depth + 1)?;
        }
        let listed = self.json.members.len();
        self.json.list(&mut self.open[open..]);
        self.open.truncate(open);
        self.json.nodes[at + 1] = Node::of(listed, self.json.members.len())?;
        self.json.close(at)
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        let at = self.json.nodes.len();
        self.json.push(self.scanner.position(), 0)?;
        self.scanner.take(b'[')?;
        let mut first = true;
        while self.scanner.more(&mut first, b']')? {
            self.value(depth + 1)?;
        }
        self.json.close(at)
    }

    fn string(&mut self) -> Option<()> {
        let start = self.scanner.position();
        let quoted = self.scanner.string()?;
        if !quoted.escaped {
            return self.json.push(start, self.scanner.position() - 1);
        }
        let json = &mut self.json;
        let start = json.text.len() + json.unescaped.len();
        json.unescaped.push('"');
        unescape_into(quoted.raw, &mut json.unescaped);
        json.push(start, json.text.len() + json.unescaped.len())
    }
}

impl<'j> Value<'j> {
    /// What it is.
    pub fn view(self) -> View<'j> {
        let Value { json, at } = self;
        match json.first(at) {
            b'{' => {
                let (start, end) = json.nodes[at + 1].span();
                View::Object(Members { json, names: json.members[start..end].iter() })
            }
            b'[' => View::Array(Elements { json, at: at + 1, end: json.nodes[at].end as usize }),
            b'"' => View::Text(json.string(at)),
            b'n' => View::Null,
            b't' => View::Bool(true),
            b'f' => View::Bool(false),
            _ => {
                let (start, end) = json.nodes[at].span();
                View::Number(&json.text[start..end])
            }
        }
    }

    /// What it keeps of what is written.
    pub(super) fn keeping(self) -> Keeping {
        self.json.keeping
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.json.first(self.at) == b'n'
    }

    /// Whether it has no parts.
    pub fn is_scalar(self) -> bool {
        !matches!(self.json.first(self.at), b'{' | b'[')
    }

    /// Whether two values are equal: numbers by their value, and `1.0` is `1`.
    pub fn is_same(self, other: Value<'_>) -> bool {
        match (self.view(), other.view()) {
            (View::Null, View::Null) => true,
            (View::Bool(one), View::Bool(other)) => one == other,
            (View::Number(one), View::Number(other)) => is_same_number(one, other),
            (View::Text(one), View::Text(other)) => one == other,
            (View::Array(mut one), View::Array(mut other)) => loop {
                match (one.next(), other.next()) {
                    (None, None) => break true,
                    (Some(one), Some(other)) if one.is_same(other) => {}
                    _ => break false,
                }
            },
            (View::Object(mut one), View::Object(mut other)) => loop {
                match (one.next(), other.next()) {
                    (None, None) => break true,
                    (Some((key, one)), Some((name, other)))
                        if key == name && one.is_same(other) => {}
                    _ => break false,
                }
            },
            _ => false,
        }
    }
}

impl<'j> Iterator for Elements<'j> {
    type Item = Value<'j>;

    fn next(&mut self) -> Option<Value<'j>> {
        if self.at >= self.end {
            return None;
        }
        let (json, at) = (self.json, self.at);
        self.at = match json.first(at) {
            b'{' | b'[' => json.nodes[at].end as usize,
            _ => at + 1,
        };
        Some(Value { json, at })
    }
}

impl<'j> Members<'j> {
    /// The value of the member of that name; the names must be sorted, as those of [`Keeping::Values`] are.
    pub fn named(&self, name: &str) -> Option<Value<'j>> {
        let (json, names) = (self.json, self.names.as_slice());
        let found = names.binary_search_by(|key| name_order(json.string(*key as usize), name));
        found.ok().map(|found| Value { json, at: names[found] as usize + 1 })
    }
}

impl<'j> Iterator for Members<'j> {
    type Item = (&'j str, Value<'j>);

    fn next(&mut self) -> Option<Self::Item> {
        let (json, name) = (self.json, *self.names.next()? as usize);
        Some((json.string(name), Value { json, at: name + 1 }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::get::tests::json;
    use super::*;

    /// The memory that a tree fills.
    fn bytes(json: &Json<'_>) -> usize {
        size_of::<Node>() * json.nodes.len() + 4 * json.members.len() + json.unescaped.len()
    }

    #[test]
    fn a_tree_takes_little_more_than_its_text() {
        for (part, times) in [
            ("1", 5),
            (r#"{"a":1}"#, 5),
            ("[]", 3),
            ("{}", 6),
            (r#"{"":{}}"#, 6),
            (r#""\n""#, 3),
            (r#"{"name":"a name of some letters","at":"2026-05-07T11:45:30.914Z"}"#, 1),
        ] {
            let text = format!("[{}{part}]", format!("{part},").repeat(1_000));
            let json = Json::parse(&text, Keeping::Values).unwrap();
            assert!(bytes(&json) <= times * text.len(), "{part}: {} bytes", bytes(&json));
        }
    }

    #[test]
    fn members_are_found_and_the_last_of_equal_names_stands() {
        let text = r#"{"bb": 1, "a": 2, "\u0061": {"c": []}, "": null, "bb": [3, 4]}"#;
        let json = Json::parse(text, Keeping::Values).unwrap();
        let View::Object(members) = json.root().view() else { panic!("it is an object") };
        assert_eq!(members.clone().map(|(name, _)| name).collect::<Vec<_>>(), ["", "a", "bb"]);
        assert!(members.named("").unwrap().is_null());
        assert!(members.named("c").is_none());
        let View::Array(mut elements) = members.named("bb").unwrap().view() else {
            panic!("it is an array")
        };
        assert!(matches!(elements.next().unwrap().view(), View::Number("3")));
        assert_eq!(elements.count(), 1);
        let json = Json::parse(text, Keeping::Everything).unwrap();
        let View::Object(members) = json.root().view() else { panic!("it is an object") };
        assert_eq!(members.map(|(name, _)| name).collect::<Vec<_>>(), ["bb", "a", "a", "", "bb"]);
    }

    #[test]
    fn values_are_the_same_by_what_they_say() {
        let same = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|text| Json::parse(text, Keeping::Values).unwrap());
            one.root().is_same(other.root())
        };
        assert!(same(r#"[1.0, {"a": 1e1}]"#, r#"[1, {"\u0061": 10.00}]"#));
        assert!(same(r#"{"b": 1, "a": 2}"#, r#"{"a": 2, "b": 1}"#));
        assert!(!same("1", "\"1\"") && !same("10", "1") && !same("[1]", "[1, 1]"));
        assert!(!same("null", "false") && !same(r#"{"a": 1}"#, r#"{"b": 1}"#));
    }

    proptest! {
        #[test]
        fn members_are_in_order_and_each_is_found(text in json()) {
            let Some(json) = Json::parse(&text, Keeping::Values) else { return Ok(()) };
            if let View::Object(members) = json.root().view() {
                let names: Vec<&str> = members.clone().map(|(name, _)| name).collect();
                prop_assert!(names.is_sorted_by(|one, other| name_order(one, other).is_lt()));
                for (name, value) in members.clone() {
                    prop_assert!(members.named(name).is_some_and(|found| found.is_same(value)));
                }
            }
        }
    }
}
