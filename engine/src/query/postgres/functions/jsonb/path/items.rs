//! What a path leads to.
//!
//! In lax mode an array stands for its elements where a member or a condition is asked of it, and what is not there is
//! nothing; in strict mode both are errors. An error within a condition makes it unknown.

mod compared;
mod numbers;

use std::cell::{Cell, RefCell};

use datafusion::common::DataFusionError;
use udfs::{Elements, Value, View};

use self::compared::{compare, starts_with};
pub(super) use self::numbers::written;
use super::node::{DEEPEST, Node, Path, Place, Step};
use super::refused;
use crate::query::postgres::functions::bounded::too_large;
use crate::query::postgres::functions::numeric::Number;
use crate::query::stop::check_current;

/// Items that may be looked at for one row.
const LOOKED_MAX: u64 = 10_000_000;
/// Items that one step may lead to: nothing else counts the memory that they take.
const FOUND_MAX: usize = 1 << 22;
/// Of them from one question whether to stop to the next.
const LOOKED_BETWEEN: u64 = 1 << 12;

/// The other side of a condition that has but one.
static NOTHING: Node = Node::Null;

/// What a path finds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'a> {
    Json(Value<'a>),
    Null,
    Bool(bool),
    Number(&'a str),
    Text(&'a str),
    Count(usize),
    /// A number that was worked out.
    Made(Number),
}

/// Why a path finds nothing.
#[derive(Debug)]
pub(super) enum Fault {
    /// The document is not as the path says, with SQLSTATE and message.
    Path(&'static str, String),
    /// The statement ends.
    Stop(DataFusionError),
}

type Found<T> = std::result::Result<T, Fault>;

/// What an item is, as far as it is compared.
enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Count(String),
    Text(&'a str),
    Compound,
}

impl<'a> Item<'a> {
    fn scalar(self) -> Scalar<'a> {
        match self {
            Item::Null => Scalar::Null,
            Item::Bool(flag) => Scalar::Bool(flag),
            Item::Number(number) => Scalar::Number(number),
            Item::Text(text) => Scalar::Text(text),
            Item::Count(count) => Scalar::Count(count.to_string()),
            Item::Made(number) => Scalar::Count(written(number)),
            Item::Json(value) => match value.view() {
                View::Null => Scalar::Null,
                View::Bool(flag) => Scalar::Bool(flag),
                View::Number(number) => Scalar::Number(number),
                View::Text(text) => Scalar::Text(text),
                View::Array(_) | View::Object(_) => Scalar::Compound,
            },
        }
    }

    /// What it is if it is a boolean; `Some(None)` for null.
    pub(super) fn truth(self) -> Option<Option<bool>> {
        match self.scalar() {
            Scalar::Bool(flag) => Some(Some(flag)),
            Scalar::Null => Some(None),
            _ => None,
        }
    }

    fn view(self) -> Option<View<'a>> {
        match self {
            Item::Json(value) => Some(value.view()),
            _ => None,
        }
    }

    fn type_name(self) -> &'static str {
        match self.scalar() {
            Scalar::Null => "null",
            Scalar::Bool(_) => "boolean",
            Scalar::Number(_) | Scalar::Count(_) => "number",
            Scalar::Text(_) => "string",
            Scalar::Compound => match self.view() {
                Some(View::Array(_)) => "array",
                _ => "object",
            },
        }
    }
}

/// A path over one document.
pub(super) struct Looking<'a> {
    path: &'a Path,
    root: Value<'a>,
    variables: Option<Value<'a>>,
    looked: Cell<u64>,
    /// The last place of the array that a place is looked for in.
    last: Cell<i64>,
}

impl<'a> Looking<'a> {
    pub(super) fn new(path: &'a Path, root: Value<'a>, variables: Option<Value<'a>>) -> Self {
        Looking { path, root, variables, looked: Cell::new(0), last: Cell::new(0) }
    }

    /// Returns all that the path leads to.
    pub(super) fn items(&self) -> Found<Vec<Item<'a>>> {
        self.of(&self.path.top, Item::Json(self.root))
    }

    fn of(&self, node: &'a Node, current: Item<'a>) -> Found<Vec<Item<'a>>> {
        let one = match node {
            Node::Root => Item::Json(self.root),
            Node::Current => current,
            Node::Variable(name) => Item::Json(self.variable(name)?),
            Node::Null => Item::Null,
            Node::Bool(flag) => Item::Bool(*flag),
            Node::Number(number) => Item::Number(number),
            Node::Text(text) => Item::Text(text),
            Node::Last => Item::Made(Number { value: self.last.get().into(), scale: 0 }),
            Node::Math(..) | Node::Sign(..) => return self.computed(node, current),
            Node::Steps(from, steps) => {
                let mut items = self.of(from, current)?;
                // Behind `**` it is no error, in strict mode either, that most of what was found has no such parts.
                let mut is_forgiving = false;
                for step in steps {
                    let mut next = Vec::new();
                    for item in items {
                        match self.step(step, item, &mut next) {
                            Err(Fault::Path(..)) if is_forgiving => {}
                            done => done?,
                        }
                        check_found(&next)?;
                    }
                    is_forgiving |= matches!(step, Step::Within(..));
                    items = next;
                }
                return Ok(items);
            }
            predicate => match self.is_true(predicate, current)? {
                Some(flag) => Item::Bool(flag),
                None => Item::Null,
            },
        };
        Ok(vec![one])
    }

    fn variable(&self, name: &str) -> Found<Value<'a>> {
        let found = match self.variables.map(Value::view) {
            Some(View::Object(members)) => members.named(name),
            _ => None,
        };
        // It is missing whatever the document is like, and said so where faults of documents are passed over, too.
        found.ok_or_else(|| {
            let message = format!("could not find jsonpath variable \"{name}\"");
            Fault::Stop(refused("42704", message))
        })
    }

    fn step(&self, step: &'a Step, item: Item<'a>, next: &mut Vec<Item<'a>>) -> Found<()> {
        self.look()?;
        match step {
            Step::Elements(places) => return self.elements(places, item, next),
            Step::AnyElement => match item.view() {
                Some(View::Array(elements)) => {
                    for element in elements {
                        self.look()?;
                        next.push(Item::Json(element));
                    }
                }
                _ if self.path.strict => return Err(no_array("jsonpath wildcard array accessor")),
                _ => next.push(item),
            },
            Step::Within(from, to) => {
                if *from == 0 {
                    next.push(item);
                }
                return self.within((*from, *to), item, 1, next);
            }
            Step::Type => next.push(Item::Text(item.type_name())),
            Step::Size => match item.view() {
                Some(View::Array(elements)) => {
                    next.push(Item::Count(self.listed(elements)?.len()));
                }
                _ if self.path.strict => return Err(no_array("jsonpath item method .size()")),
                _ => next.push(Item::Count(1)),
            },
            Step::Member(_) | Step::AnyMember | Step::Filter(_) | Step::Of(_) => {
                match item.view() {
                    Some(View::Array(elements)) if !self.path.strict => {
                        for element in elements {
                            self.look()?;
                            self.apply(step, Item::Json(element), next)?;
                        }
                    }
                    _ => self.apply(step, item, next)?,
                }
            }
        }
        Ok(())
    }

    /// A step that is made from each element of an array.
    fn apply(&self, step: &'a Step, item: Item<'a>, next: &mut Vec<Item<'a>>) -> Found<()> {
        let members = match item.view() {
            Some(View::Object(members)) => Some(members),
            _ => None,
        };
        let strict = self.path.strict;
        match (step, members) {
            (Step::Filter(condition), _) => {
                if self.is_true(condition, item)? == Some(true) {
                    next.push(item);
                }
            }
            (Step::Of(method), _) => next.push(numbers::applied(*method, item)?),
            (Step::Member(name), Some(members)) => match members.named(name) {
                Some(value) => next.push(Item::Json(value)),
                None if strict => {
                    let message = format!("JSON object does not contain key \"{name}\"");
                    return Err(Fault::Path("2203A", message));
                }
                None => {}
            },
            (_, Some(members)) => {
                for (_, value) in members {
                    self.look()?;
                    next.push(Item::Json(value));
                }
            }
            (_, None) if strict => {
                let (sqlstate, what) = match step {
                    Step::Member(_) => ("2203A", "jsonpath member accessor"),
                    _ => ("2203C", "jsonpath wildcard member accessor"),
                };
                let message = format!("{what} can only be applied to an object");
                return Err(Fault::Path(sqlstate, message));
            }
            (_, None) => {}
        }
        Ok(())
    }

    /// What lies within an item, where that is of a depth. Of the deepest alone it is what has nothing within it.
    fn within(
        &self,
        (from, to): (u32, u32),
        item: Item<'a>,
        depth: u32,
        next: &mut Vec<Item<'a>>,
    ) -> Found<()> {
        let parts: Vec<Item<'a>> = match item.view() {
            Some(View::Array(elements)) => self.listed(elements)?,
            Some(View::Object(members)) => {
                let member = |(_, value)| self.look().map(|()| Item::Json(value));
                members.map(member).collect::<Found<_>>()?
            }
            _ => return Ok(()),
        };
        for part in parts {
            let has_parts = matches!(part.view(), Some(View::Array(_) | View::Object(_)));
            if depth >= from || from == DEEPEST && to == DEEPEST && !has_parts {
                next.push(part);
                check_found(next)?;
            }
            if depth < to && has_parts {
                self.within((from, to), part, depth + 1, next)?;
            }
        }
        Ok(())
    }

    fn elements(
        &self,
        places: &'a [(Place, Place)],
        item: Item<'a>,
        next: &mut Vec<Item<'a>>,
    ) -> Found<()> {
        let strict = self.path.strict;
        let items: Vec<Item<'a>> = match item.view() {
            Some(View::Array(elements)) => self.listed(elements)?,
            _ if strict => return Err(no_array("jsonpath array accessor")),
            _ => vec![item],
        };
        let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let at = |place: &'a Place| match place {
            Place::At(at) => Ok(*at),
            Place::BeforeLast(before) => Ok(count - 1 - before),
            Place::Of(node) => self.place(node, count),
            Place::Same => Ok(0),
        };
        for (start, end) in places {
            let from = at(start)?;
            let to = if *end == Place::Same { from } else { at(end)? };
            if strict && (from < 0 || from > to || to >= count) {
                let message = "jsonpath array subscript is out of bounds".to_owned();
                return Err(Fault::Path("22033", message));
            }
            for place in from.max(0)..=to.min(count - 1) {
                self.look()?;
                check_found(next)?;
                next.extend(usize::try_from(place).ok().and_then(|place| items.get(place)));
            }
        }
        Ok(())
    }

    /// The elements of an array, each of which is gone over also where one of them is asked for.
    fn listed(&self, elements: Elements<'a>) -> Found<Vec<Item<'a>>> {
        let element = |element| self.look().map(|()| Item::Json(element));
        elements.map(element).collect()
    }

    /// Whether a condition holds; `None` if that is unknown.
    fn is_true(&self, node: &'a Node, current: Item<'a>) -> Found<Option<bool>> {
        self.look()?;
        Ok(match node {
            Node::And(left, right) => match self.is_true(left, current)? {
                Some(false) => Some(false),
                left => match (left, self.is_true(right, current)?) {
                    (_, Some(false)) => Some(false),
                    (Some(true), right) => right,
                    _ => None,
                },
            },
            Node::Or(left, right) => match self.is_true(left, current)? {
                Some(true) => Some(true),
                left => match (left, self.is_true(right, current)?) {
                    (_, Some(true)) => Some(true),
                    (Some(false), right) => right,
                    _ => None,
                },
            },
            Node::Not(inner) => self.is_true(inner, current)?.map(|flag| !flag),
            Node::IsUnknown(inner) => Some(self.is_true(inner, current)?.is_none()),
            Node::Exists(inner) => known(self.of(inner, current))?.map(|items| !items.is_empty()),
            Node::Compare(comparison, left, right) => {
                self.any_pair(left, right, current, |one, other| compare(*comparison, one, other))?
            }
            Node::StartsWith(text, start) => self.any_pair(text, start, current, starts_with)?,
            Node::Like(text, pattern) => {
                let failed = RefCell::new(None);
                let is_like = |text: Item<'a>, _: Item<'a>| match text.scalar() {
                    Scalar::Text(text) => {
                        pattern.is_like(text).map_err(|error| failed.replace(Some(error))).ok()
                    }
                    _ => None,
                };
                let found = self.any_pair(text, &NOTHING, current, is_like)?;
                match failed.into_inner() {
                    Some(error) => return Err(Fault::Stop(error)),
                    None => found,
                }
            }
            // The grammar has no other condition.
            _ => None,
        })
    }

    /// Whether a condition holds for any pair of items.
    fn any_pair(
        &self,
        left: &'a Node,
        right: &'a Node,
        current: Item<'a>,
        holds: impl Fn(Item<'a>, Item<'a>) -> Option<bool>,
    ) -> Found<Option<bool>> {
        let (Some(left), Some(right)) =
            (self.compared(left, current)?, self.compared(right, current)?)
        else {
            return Ok(None);
        };
        let (mut found, mut unknown) = (false, false);
        for one in &left {
            for other in &right {
                self.look()?;
                match holds(*one, *other) {
                    Some(true) if !self.path.strict => return Ok(Some(true)),
                    Some(true) => found = true,
                    Some(false) => {}
                    None if self.path.strict => return Ok(None),
                    None => unknown = true,
                }
            }
        }
        Ok(match (found, unknown) {
            (true, _) => Some(true),
            (false, true) => None,
            (false, false) => Some(false),
        })
    }

    /// The items of one side of a comparison; `None` if there is an error in it.
    fn compared(&self, node: &'a Node, current: Item<'a>) -> Found<Option<Vec<Item<'a>>>> {
        known(self.of(node, current))?.map(|items| self.unwrapped(items)).transpose()
    }

    /// The elements of arrays in the place of these, in lax mode.
    fn unwrapped(&self, items: Vec<Item<'a>>) -> Found<Vec<Item<'a>>> {
        if self.path.strict {
            return Ok(items);
        }
        let mut unwrapped = Vec::with_capacity(items.len());
        for item in items {
            match item.view() {
                Some(View::Array(elements)) => {
                    for element in elements {
                        self.look()?;
                        unwrapped.push(Item::Json(element));
                    }
                }
                _ => unwrapped.push(item),
            }
            check_found(&unwrapped)?;
        }
        Ok(unwrapped)
    }

    fn look(&self) -> Found<()> {
        let looked = self.looked.get() + 1;
        self.looked.set(looked);
        if looked > LOOKED_MAX {
            return Err(Fault::Stop(too_large("jsonb_path_query")));
        }
        if looked.is_multiple_of(LOOKED_BETWEEN) {
            check_current().map_err(Fault::Stop)?;
        }
        Ok(())
    }
}

/// Fails if a step leads to too many items.
fn check_found(items: &[Item<'_>]) -> Found<()> {
    match items.len() > FOUND_MAX {
        true => Err(Fault::Stop(too_large("jsonb_path_query"))),
        false => Ok(()),
    }
}

fn no_array(what: &str) -> Fault {
    Fault::Path("22039", format!("{what} can only be applied to an array"))
}

/// What was found where an error of the path makes a condition unknown.
fn known<T>(found: Found<T>) -> Found<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Fault::Path(..)) => Ok(None),
        Err(stop @ Fault::Stop(_)) => Err(stop),
    }
}
