//! `ALTER IDENTITY GRAPH name action [, ...]`: changes of a definition, in the words of the definition.
//!
//! An alteration is read without the definition that it is for, so that what is wrong with its words is told at once. Carried out,
//! it makes another text of the stored one ([`layout`]), and the dialect reads that as it reads what somebody writes: what comes
//! out is what `CREATE OR REPLACE` with this text would make, with everything as it was written that the alteration leaves alone.
//!
//! Actions are carried out in their order. Whether what comes of them fits together is asked once, of the whole.

mod carried_out;
mod layout;

use engine::catalog::Kind;
use sqlparser::tokenizer::Token;

use super::create::graph;
use super::cursor::Cursor;
use super::error::ParseError;
use super::kind;
use super::statement::Statement;

/// What a statement can do with a graph.
const ACTIONS: [&str; 8] = [
    "add identifier",
    "alter identifier",
    "drop identifier",
    "add match",
    "alter match",
    "drop match",
    "set",
    "reset",
];

/// Clauses of an identifier that may be left out.
const IDENTIFIER_DROPPED: [&str; 5] =
    ["normalize", "limit", "expire after", "block values", "block matching"];

/// The clause of an exact rule that a FUZZY one has not.
const EXACT: &str = "exact on";

/// Clauses of rules, exact ones and the FUZZY one.
const RULE_CLAUSES: [&str; 6] =
    [EXACT, "block on", "score", "review below", "household score", "priority"];

/// `ALTER IDENTITY GRAPH name action [, ...]`.
#[derive(Debug, Clone)]
pub(crate) struct Alteration {
    /// The graph.
    pub(crate) name: String,
    /// Where it is named.
    pub(crate) named_at: Point,
    actions: Vec<(Action, Point)>,
}

/// Where something stands in a statement: its line, and the character in the line, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    /// The line.
    pub(crate) line: u64,
    /// The character.
    pub(crate) column: u64,
}

/// What the things of a list are, each of which has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    /// `IDENTIFIERS (...)`.
    Identifiers,
    /// `MATCH (...)`.
    Rules,
    /// `WITH (...)`.
    Options,
}

/// One change of a list.
#[derive(Debug, Clone)]
enum Action {
    /// Puts something into it that must not be there, as it is written.
    Add(List, String, String),
    /// Puts something into it, in the place of what has its name.
    Put(List, String, String),
    /// Takes something out of it that must be there.
    Drop(List, String),
    /// Takes something out of it if it is there.
    Reset(List, String),
    /// Changes clauses of something that must be there.
    Alter(List, String, Vec<Clause>),
}

/// A clause and what becomes of it.
#[derive(Debug, Clone)]
struct Clause {
    /// The words that it begins with.
    words: &'static str,
    /// The whole of it; `None` if it goes.
    text: Option<String>,
}

impl List {
    /// Returns what one thing of the list is called.
    fn word(self) -> &'static str {
        match self {
            List::Identifiers => "identifier",
            List::Rules => "rule",
            List::Options => "option",
        }
    }

    /// Returns the words of statements for one thing of the list, and for the list.
    fn keywords(self) -> (&'static str, &'static str) {
        match self {
            List::Identifiers => ("IDENTIFIER", "IDENTIFIERS"),
            List::Rules => ("MATCH", "MATCH"),
            List::Options => ("OPTION", "WITH"),
        }
    }

    /// Returns the words that the clauses of one thing of the list begin with.
    fn clauses(self) -> &'static [&'static str] {
        match self {
            List::Identifiers => &graph::IDENTIFIER_CLAUSES,
            List::Rules => &RULE_CLAUSES,
            List::Options => &[],
        }
    }
}

/// Reads the rest of `ALTER` if it changes an identity graph, and makes a statement of it.
pub(crate) fn alter(
    cursor: &mut Cursor<'_>,
    statement: impl FnOnce(Box<Alteration>) -> Statement,
) -> Result<Option<Statement>, ParseError> {
    let mut attempt = cursor.clone();
    if kind::singular(&mut attempt) != Some(Kind::IdentityGraph) {
        return Ok(None);
    }
    *cursor = attempt;
    let start = cursor.start();
    let name = cursor.name(Kind::IdentityGraph)?;
    let named_at = Point::of(cursor, start);
    if cursor.is("rename") {
        return Ok(Some(Statement::Unsupported {
            what: "ALTER IDENTITY GRAPH ... RENAME".into(),
            hint: "Attributes, traits and segments name the graph: drop them and the graph, and create them with another name."
                .into(),
        }));
    }
    let mut actions = Vec::new();
    loop {
        action(cursor, &mut actions)?;
        if !cursor.accept_token(&Token::Comma) {
            break;
        }
    }
    cursor.expect_end()?;
    Ok(Some(statement(Box::new(Alteration { name, named_at, actions }))))
}

/// Reads one action, which is several where options are set or reset.
fn action(cursor: &mut Cursor<'_>, actions: &mut Vec<(Action, Point)>) -> Result<(), ParseError> {
    if cursor.accept("add identifier") {
        let start = cursor.start();
        let kind = graph::identifier_rule(cursor)?.kind;
        let text = cursor.input[start..cursor.last_end()].to_owned();
        let action = Action::Add(List::Identifiers, kind, text);
        actions.push((action, Point::of(cursor, start)));
    } else if cursor.accept("add match") {
        let start = cursor.start();
        let name = cursor.identifier("the name of a rule")?;
        graph::match_rule(cursor, name.clone())?;
        let text = cursor.input[start..cursor.last_end()].to_owned();
        actions.push((Action::Add(List::Rules, name, text), Point::of(cursor, start)));
    } else if let Some(list) = accept_one(cursor, "drop") {
        let start = cursor.start();
        let name = cursor.identifier(&format!("the name of the {}", list.word()))?;
        actions.push((Action::Drop(list, name), Point::of(cursor, start)));
    } else if let Some(list) = accept_one(cursor, "alter") {
        let start = cursor.start();
        let name = cursor.identifier(&format!("the name of the {}", list.word()))?;
        let clauses = clauses(cursor, list)?;
        actions.push((Action::Alter(list, name, clauses), Point::of(cursor, start)));
    } else if cursor.accept("set") {
        let mut options = cursor.clone();
        graph::options(cursor, |_, _| ())?;
        for (name, range) in layout::named(&mut options)? {
            let at = Point::of(cursor, range.start);
            let text = cursor.input[range].to_owned();
            actions.push((Action::Put(List::Options, name, text), at));
        }
    } else if cursor.accept("reset") {
        cursor.list(|cursor| {
            let at = Point::of(cursor, cursor.start());
            let known = graph::OPTIONS.map(|option| (option, option));
            let name = cursor.choose("an option", &known)?;
            actions.push((Action::Reset(List::Options, name.to_owned()), at));
            Ok(())
        })?;
    } else {
        return Err(cursor.expected_one_of("", ACTIONS.into_iter()));
    }
    Ok(())
}

/// Reads `verb IDENTIFIER` or `verb MATCH` if it comes next.
fn accept_one(cursor: &mut Cursor<'_>, verb: &str) -> Option<List> {
    let mut lists = [(List::Identifiers, "identifier"), (List::Rules, "match")].into_iter();
    lists.find(|(_, word)| cursor.accept(&format!("{verb} {word}"))).map(|(list, _)| list)
}

/// Reads `SET clause ... | DROP clause`.
fn clauses(cursor: &mut Cursor<'_>, list: List) -> Result<Vec<Clause>, ParseError> {
    if cursor.accept("drop") {
        let droppable: &[&'static str] = match list {
            List::Identifiers => &IDENTIFIER_DROPPED,
            List::Rules | List::Options => &graph::FUZZY_CLAUSES,
        };
        let choices: Vec<_> = droppable.iter().map(|words| (*words, *words)).collect();
        let words = cursor.choose("a clause that may be left out", &choices)?;
        return Ok(vec![Clause { words, text: None }]);
    }
    if !cursor.accept("set") {
        return Err(cursor.expected_one_of("", ["set", "drop"].into_iter()));
    }
    let first = cursor.clone();
    match list {
        List::Rules if cursor.accept(EXACT) => {
            graph::fields(cursor)?;
            if cursor.accept("priority") {
                graph::priority(cursor)?;
            }
        }
        List::Rules => drop(graph::fuzzy_clauses(cursor, String::new())?),
        List::Identifiers | List::Options => {
            graph::identifier_clauses(cursor, String::new())?;
        }
    }
    if cursor.start() == first.start() {
        return Err(cursor.expected_one_of("a clause", list.clauses().iter().copied()));
    }
    let range = first.start()..cursor.last_end();
    let mut given = Cursor::new(cursor.input, cursor.lexemes_in(&range));
    let mut clauses: Vec<Clause> = Vec::new();
    let (_, given) = layout::clauses(&mut given, list.clauses());
    for (words, range) in given {
        let text = &cursor.input[range];
        match clauses.iter_mut().find(|clause| clause.words == words) {
            // A clause that may be given several times is given as a whole.
            Some(Clause { text: Some(all), .. }) => {
                all.push(' ');
                all.push_str(text);
            }
            _ => clauses.push(Clause { words, text: Some(text.to_owned()) }),
        }
    }
    Ok(clauses)
}

impl Point {
    /// Returns where a byte of the input stands in the statement of this cursor.
    fn of(cursor: &Cursor<'_>, byte: usize) -> Point {
        let before = &cursor.input[cursor.first()..byte];
        let line = before.rsplit('\n').next().unwrap_or_default();
        Point {
            line: before.matches('\n').count() as u64 + 1,
            column: line.chars().count() as u64 + 1,
        }
    }
}
