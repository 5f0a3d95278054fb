//! The parts of a path.

use super::pattern::Pattern;

/// The depth of what has nothing within it.
pub(super) const DEEPEST: u32 = u32::MAX;

/// A path that was read.
#[derive(Debug)]
pub(super) struct Path {
    /// Whether what is not there is an error.
    pub(super) strict: bool,
    pub(super) top: Node,
}

/// A part of a path that gives items, or tells what is true.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// `$`
    Root,
    /// `@`
    Current,
    /// `$name`
    Variable(String),
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    /// The last place of an array, between brackets.
    Last,
    Steps(Box<Node>, Vec<Step>),
    Math(Operator, Box<Node>, Box<Node>),
    /// A number with the sign turned round, or as it is.
    Sign(bool, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    IsUnknown(Box<Node>),
    Exists(Box<Node>),
    StartsWith(Box<Node>, Box<Node>),
    Like(Box<Node>, Pattern),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is worked out of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Plus,
    Minus,
    Times,
    Over,
    Modulo,
}

impl Operator {
    /// Those that bind less.
    pub(super) const ADDING: [Operator; 2] = [Operator::Plus, Operator::Minus];
    /// Those that bind more.
    pub(super) const MULTIPLYING: [Operator; 3] =
        [Operator::Times, Operator::Over, Operator::Modulo];

    /// Returns how it is written.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Operator::Plus => "+",
            Operator::Minus => "-",
            Operator::Times => "*",
            Operator::Over => "/",
            Operator::Modulo => "%",
        }
    }
}

/// What is made of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Abs,
    Ceiling,
    Double,
    Floor,
}

impl Method {
    /// All of them.
    pub(super) const ALL: [Method; 4] =
        [Method::Abs, Method::Ceiling, Method::Double, Method::Floor];

    /// Returns how it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Method::Abs => "abs",
            Method::Ceiling => "ceiling",
            Method::Double => "double",
            Method::Floor => "floor",
        }
    }
}

/// What leads from an item to others.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Member(String),
    AnyMember,
    /// What lies within an item from one depth to another; the item itself has the depth 0.
    Within(u32, u32),
    /// From one place to another.
    Elements(Vec<(Place, Place)>),
    AnyElement,
    Filter(Node),
    Type,
    Size,
    Of(Method),
}

/// A place in an array.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    At(i64),
    /// So many before the last.
    BeforeLast(i64),
    /// One that is worked out.
    Of(Node),
    /// As an end, where it begins.
    Same,
}

impl Place {
    /// The end of a range that has but this one.
    pub(super) fn alone(&self) -> Place {
        match self {
            Place::At(at) => Place::At(*at),
            Place::BeforeLast(before) => Place::BeforeLast(*before),
            Place::Of(_) | Place::Same => Place::Same,
        }
    }
}

impl Node {
    /// Tells whether it says what is true.
    pub(super) fn is_predicate(&self) -> bool {
        matches!(
            self,
            Node::Compare(..)
                | Node::And(..)
                | Node::Or(..)
                | Node::Not(_)
                | Node::IsUnknown(_)
                | Node::Exists(_)
                | Node::StartsWith(..)
                | Node::Like(..)
        )
    }
}
