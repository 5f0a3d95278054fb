//! What `jsonb_set`, `jsonb_insert` and `#-` make of a value.

use datafusion::common::Result;
use udfs::Json;

use super::{Step, refused};

/// What is done at the end of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// What is there is replaced, and added where nothing is.
    Set(Json),
    /// What is there is replaced.
    Replace(Json),
    /// A new element comes before the one that is there, or a new member is added.
    Before(Json),
    /// A new element comes behind the one that is there, or a new member is added.
    After(Json),
    /// What is there is taken out.
    Delete,
}

impl Change {
    /// What is added where nothing is.
    fn added(&self) -> Option<&Json> {
        match self {
            Change::Set(new) | Change::Before(new) | Change::After(new) => Some(new),
            Change::Replace(_) | Change::Delete => None,
        }
    }
}

/// Changes what is at the end of a path; what has no such path stays as it is.
pub(super) fn changed(value: Json, steps: &[Step], change: &Change) -> Result<Json> {
    at_level(value, steps, 0, change)
}

fn at_level(value: Json, steps: &[Step], level: usize, change: &Change) -> Result<Json> {
    let Some(step) = steps.get(level) else { return Ok(value) };
    let Some(step) = step else {
        return Err(refused("22004", format!("path element at position {} is null", level + 1)));
    };
    match value {
        Json::Object(members) => in_object(members, step, steps, level, change),
        Json::Array(elements) => {
            let index = step.parse::<i32>().map_err(|_| {
                let message = format!("path element at position {} is not an integer", level + 1);
                refused("22P02", message)
            })?;
            in_array(elements, i64::from(index), steps, level, change)
        }
        scalar => Ok(scalar),
    }
}

fn in_object(
    mut members: Vec<(String, Json)>,
    name: &str,
    steps: &[Step],
    level: usize,
    change: &Change,
) -> Result<Json> {
    let last = level + 1 == steps.len();
    match members.iter().position(|(key, _)| key == name) {
        Some(at) if last => match change {
            Change::Set(new) | Change::Replace(new) => members[at].1 = new.clone(),
            Change::Before(_) | Change::After(_) => {
                return Err(refused("22023", "cannot replace existing key"));
            }
            Change::Delete => {
                members.remove(at);
            }
        },
        Some(at) => {
            let old = std::mem::replace(&mut members[at].1, Json::Null);
            members[at].1 = at_level(old, steps, level + 1, change)?;
        }
        None => {
            if let Some(new) = change.added().filter(|_| last) {
                members.push((name.to_owned(), new.clone()));
            }
        }
    }
    Ok(Json::object(members))
}

fn in_array(
    mut elements: Vec<Json>,
    index: i64,
    steps: &[Step],
    level: usize,
    change: &Change,
) -> Result<Json> {
    let last = level + 1 == steps.len();
    let count = i64::try_from(elements.len()).unwrap_or(i64::MAX);
    let index = if index < 0 { index + count } else { index };
    match usize::try_from(index).ok().filter(|at| *at < elements.len()) {
        Some(at) if last => match change {
            Change::Set(new) | Change::Replace(new) => elements[at] = new.clone(),
            Change::Before(new) => elements.insert(at, new.clone()),
            Change::After(new) => elements.insert(at + 1, new.clone()),
            Change::Delete => {
                elements.remove(at);
            }
        },
        Some(at) => {
            let old = std::mem::replace(&mut elements[at], Json::Null);
            elements[at] = at_level(old, steps, level + 1, change)?;
        }
        // Before the first element, or behind the last.
        None => {
            if let Some(new) = change.added().filter(|_| last) {
                let at = if index < 0 { 0 } else { elements.len() };
                elements.insert(at, new.clone());
            }
        }
    }
    Ok(Json::Array(elements))
}

#[cfg(test)]
mod tests {
    use udfs::{Keeping, Spacing};

    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text, Keeping::Values).unwrap()
    }

    fn after(value: &str, path: &[&str], change: Change) -> Result<String> {
        let steps: Vec<Step> = path.iter().map(|step| Some((*step).to_owned())).collect();
        let mut text = String::new();
        changed(json(value), &steps, &change)?.write(Spacing::Blanks, &mut text);
        Ok(text)
    }

    #[test]
    fn values_change_as_in_postgres() {
        let check = |value: &str, path: &[&str], change: fn(Json) -> Change, expected: &str| {
            let found = after(value, path, change(json("9"))).unwrap();
            assert_eq!(found, expected, "{value} {path:?}");
        };
        check(r#"{"a": 1}"#, &["a"], Change::Set, r#"{"a": 9}"#);
        check(r#"{"a": 1}"#, &["b"], Change::Set, r#"{"a": 1, "b": 9}"#);
        check(r#"{"a": 1}"#, &["b"], Change::Replace, r#"{"a": 1}"#);
        check(r#"{"a": [1, {"b": 2}]}"#, &["a", "1", "b"], Change::Set, r#"{"a": [1, {"b": 9}]}"#);
        check(r#"{"a": 1}"#, &["b", "c"], Change::Set, r#"{"a": 1}"#);
        check(r#"{"a": 1}"#, &["a", "c"], Change::Set, r#"{"a": 1}"#);
        check(r#"{"a": 1}"#, &[], Change::Set, r#"{"a": 1}"#);
        check("[1, 2]", &["-1"], Change::Set, "[1, 9]");
        check("[1, 2]", &["7"], Change::Set, "[1, 2, 9]");
        check("[1, 2]", &["-7"], Change::Set, "[9, 1, 2]");
        check("[1, 2]", &["7"], Change::Replace, "[1, 2]");
        check("[]", &["3"], Change::Set, "[9]");
        check("[1, 2]", &["0"], Change::Before, "[9, 1, 2]");
        check("[1, 2]", &["0"], Change::After, "[1, 9, 2]");
        check("[1, 2]", &["-1"], |_| Change::Delete, "[1]");
        check("[1, 2]", &["5"], |_| Change::Delete, "[1, 2]");
        check(r#"{"a": {"b": 1, "c": 2}}"#, &["a", "b"], |_| Change::Delete, r#"{"a": {"c": 2}}"#);
    }

    #[test]
    fn paths_that_cannot_be_are_refused() {
        assert!(after("[1]", &["a"], Change::Delete).is_err());
        assert!(after(r#"{"a": 1}"#, &["a"], Change::Before(Json::Null)).is_err());
        assert!(changed(json("[1]"), &[None], &Change::Delete).is_err());
    }
}
