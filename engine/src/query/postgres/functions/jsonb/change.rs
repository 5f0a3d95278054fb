//! What `jsonb_set`, `jsonb_insert` and `#-` make of a value.

use datafusion::common::Result;
use udfs::{Elements, Members, TooLong, Value, View, Writer, name_order};

use super::{Step, refused};
use crate::query::postgres::functions::bounded::too_large;

/// What is done at the end of a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change<'a> {
    /// A value is put there.
    Put(Put, Value<'a>),
    /// What is there is taken out.
    Delete,
}

/// How a value is put at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// What is there is replaced, and added where nothing is.
    Set,
    /// What is there is replaced.
    Replace,
    /// A new element comes before the one that is there, or a new member is added.
    Before,
    /// A new element comes behind the one that is there, or a new member is added.
    After,
}

impl<'a> Change<'a> {
    /// What is added where nothing is.
    fn added(self) -> Option<Value<'a>> {
        match self {
            Change::Put(Put::Set | Put::Before | Put::After, new) => Some(new),
            Change::Put(Put::Replace, _) | Change::Delete => None,
        }
    }
}

/// Writes a value with a change at the end of a path; one that has no such path is written as it is.
#[derive(Debug)]
pub(super) struct Changing<'a> {
    /// Where to.
    pub(super) writer: Writer<'a>,
    /// The path.
    pub(super) steps: &'a [Step<'a>],
    /// What is done at its end.
    pub(super) change: Change<'a>,
    /// The function that does it.
    pub(super) function: &'a str,
}

impl Changing<'_> {
    /// Writes a value.
    pub(super) fn write(mut self, value: Value<'_>) -> Result<()> {
        self.at_level(value, 0)
    }

    fn at_level(&mut self, value: Value<'_>, level: usize) -> Result<()> {
        let Some(step) = self.steps.get(level) else { return self.keep(value) };
        let Some(step) = step.as_deref() else {
            return Err(refused(
                "22004",
                format!("path element at position {} is null", level + 1),
            ));
        };
        match value.view() {
            View::Object(members) => self.in_object(members, step, level),
            View::Array(elements) => {
                let index = step.parse::<i32>().map_err(|_| {
                    let message =
                        format!("path element at position {} is not an integer", level + 1);
                    refused("22P02", message)
                })?;
                self.in_array(elements, i64::from(index), level)
            }
            _ => self.keep(value),
        }
    }

    fn is_last(&self, level: usize) -> bool {
        level + 1 == self.steps.len()
    }

    fn keep(&mut self, value: Value<'_>) -> Result<()> {
        self.writer.value(value).map_err(|TooLong| too_large(self.function))
    }

    fn member(&mut self, name: &str, first: &mut bool) {
        self.writer.part(first);
        self.writer.name(name);
    }

    fn element(&mut self, value: Value<'_>, first: &mut bool) -> Result<()> {
        self.writer.part(first);
        self.keep(value)
    }

    fn in_object(&mut self, members: Members<'_>, name: &str, level: usize) -> Result<()> {
        let (is_last, mut first) = (self.is_last(level), true);
        let is_new = is_last && members.named(name).is_none();
        let mut added = self.change.added().filter(|_| is_new);
        self.writer.open('{');
        for (key, value) in members {
            if let Some(new) = added.take_if(|_| name_order(name, key).is_lt()) {
                self.member(name, &mut first);
                self.keep(new)?;
            }
            match self.change {
                _ if key != name => {
                    self.member(key, &mut first);
                    self.keep(value)?;
                }
                _ if !is_last => {
                    self.member(key, &mut first);
                    self.at_level(value, level + 1)?;
                }
                Change::Put(Put::Set | Put::Replace, new) => {
                    self.member(key, &mut first);
                    self.keep(new)?;
                }
                Change::Put(Put::Before | Put::After, _) => {
                    return Err(refused("22023", "cannot replace existing key"));
                }
                Change::Delete => {}
            }
        }
        if let Some(new) = added {
            self.member(name, &mut first);
            self.keep(new)?;
        }
        self.writer.close('}');
        Ok(())
    }

    fn in_array(&mut self, elements: Elements<'_>, index: i64, level: usize) -> Result<()> {
        let (is_last, mut first) = (self.is_last(level), true);
        let count = elements.clone().count();
        let from_start = if index < 0 {
            index.saturating_add(i64::try_from(count).unwrap_or(i64::MAX))
        } else {
            index
        };
        let there = usize::try_from(from_start).ok().filter(|at| *at < count);
        let added = self.change.added().filter(|_| is_last && there.is_none());
        self.writer.open('[');
        if let Some(new) = added.filter(|_| from_start < 0) {
            self.element(new, &mut first)?;
        }
        for (at, value) in elements.enumerate() {
            match self.change {
                _ if Some(at) != there => self.element(value, &mut first)?,
                _ if !is_last => {
                    self.writer.part(&mut first);
                    self.at_level(value, level + 1)?;
                }
                Change::Put(Put::Set | Put::Replace, new) => self.element(new, &mut first)?,
                Change::Put(Put::Before, new) => {
                    self.element(new, &mut first)?;
                    self.element(value, &mut first)?;
                }
                Change::Put(Put::After, new) => {
                    self.element(value, &mut first)?;
                    self.element(new, &mut first)?;
                }
                Change::Delete => {}
            }
        }
        if let Some(new) = added.filter(|_| from_start >= 0) {
            self.element(new, &mut first)?;
        }
        self.writer.close(']');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use udfs::{Json, Keeping, Spacing};

    use super::*;

    fn after(value: &str, path: &[&str], put: Option<Put>) -> Result<String> {
        let steps: Vec<Step<'_>> = path.iter().map(|step| Some(Cow::Borrowed(*step))).collect();
        let [json, new] = [value, "9"].map(|text| Json::parse(text, Keeping::Values).unwrap());
        let change = put.map_or(Change::Delete, |put| Change::Put(put, new.root()));
        let mut text = String::new();
        let writer = Writer::new(&mut text, Spacing::Blanks, usize::MAX);
        Changing { writer, steps: &steps, change, function: "f" }.write(json.root())?;
        Ok(text)
    }

    #[test]
    fn values_change_as_in_postgres() {
        let check = |value: &str, path: &[&str], put: Option<Put>, expected: &str| {
            assert_eq!(after(value, path, put).unwrap(), expected, "{value} {path:?} {put:?}");
        };
        let [set, replace] = [Put::Set, Put::Replace].map(Some);
        let [before, behind, delete] = [Some(Put::Before), Some(Put::After), None];
        check(r#"{"a": 1}"#, &["a"], set, r#"{"a": 9}"#);
        check(r#"{"a": 1}"#, &["b"], set, r#"{"a": 1, "b": 9}"#);
        check(r#"{"b": 1, "aa": 2}"#, &["a"], set, r#"{"a": 9, "b": 1, "aa": 2}"#);
        check(r#"{"b": 1, "aa": 2}"#, &["c"], set, r#"{"b": 1, "c": 9, "aa": 2}"#);
        check("{}", &["a"], before, r#"{"a": 9}"#);
        check(r#"{"a": 1}"#, &["b"], replace, r#"{"a": 1}"#);
        check(r#"{"a": [1, {"b": 2}]}"#, &["a", "1", "b"], set, r#"{"a": [1, {"b": 9}]}"#);
        check(r#"{"a": 1}"#, &["b", "c"], set, r#"{"a": 1}"#);
        check(r#"{"a": 1}"#, &["a", "c"], set, r#"{"a": 1}"#);
        check(r#"{"a": 1}"#, &[], set, r#"{"a": 1}"#);
        check("[1, 2]", &["-1"], set, "[1, 9]");
        check("[1, 2]", &["7"], set, "[1, 2, 9]");
        check("[1, 2]", &["-7"], set, "[9, 1, 2]");
        check("[1, 2]", &["7"], replace, "[1, 2]");
        check("[]", &["3"], set, "[9]");
        check("[1, 2]", &["0"], before, "[9, 1, 2]");
        check("[1, 2]", &["0"], behind, "[1, 9, 2]");
        check("[1, 2]", &["-1"], delete, "[1]");
        check("[1, 2]", &["5"], delete, "[1, 2]");
        check(r#"{"a": {"b": 1, "c": 2}}"#, &["a", "b"], delete, r#"{"a": {"c": 2}}"#);
    }

    #[test]
    fn paths_that_cannot_be_are_refused() {
        assert!(after("[1]", &["a"], None).is_err());
        assert!(after(r#"{"a": 1}"#, &["a"], Some(Put::Before)).is_err());
        let json = Json::parse("[1]", Keeping::Values).unwrap();
        let mut text = String::new();
        let writer = Writer::new(&mut text, Spacing::Blanks, usize::MAX);
        let nowhere = Changing { writer, steps: &[None], change: Change::Delete, function: "f" };
        assert!(nowhere.write(json.root()).is_err());
        let writer = Writer::new(&mut text, Spacing::Blanks, 2);
        let long = Changing { writer, steps: &[], change: Change::Delete, function: "f" };
        assert!(long.write(json.root()).unwrap_err().to_string().contains("f() would make"));
    }
}
