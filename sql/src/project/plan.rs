//! What would change: the objects of a project beside those of a lake.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use engine::catalog::{Body, Definition, Kind};

use super::diff::unified;
use super::{FileDefinition, Project};
use crate::dialect::same;

/// An object that the lake does not have.
#[derive(Debug, Clone)]
pub(crate) struct Addition {
    /// The file that defines it.
    pub(crate) path: PathBuf,
    /// The object.
    pub(crate) definition: Definition,
}

/// An object that the lake has otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// The file that defines it.
    pub(crate) path: PathBuf,
    /// The object as it would become.
    pub(crate) after: Definition,
    /// The difference of the texts; verifiers of passwords are left out of it.
    pub(crate) diff: String,
}

/// What applying a project would do to a lake. Additions and changes stand in the order in which they can be applied,
/// removals in the reverse one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// What is new.
    pub(crate) added: Vec<Addition>,
    /// What becomes different.
    pub(crate) changed: Vec<Change>,
    /// What no file defines any more.
    pub(crate) removed: Vec<Definition>,
    /// What stays as it is.
    pub(crate) unchanged: Vec<(Kind, String)>,
}

impl Plan {
    /// Returns whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// Compares a project with the objects of a lake.
pub(crate) fn plan(project: &Project, current: &[Definition]) -> Plan {
    let stored: HashMap<(Kind, &str), &Definition> = current
        .iter()
        .map(|definition| ((definition.body.kind(), definition.name.as_str()), definition))
        .collect();
    let mut plan = Plan::default();
    for file in &project.definitions {
        match stored.get(&(file.kind(), file.name())) {
            None => plan.added.push(Addition {
                path: file.path.clone(),
                definition: file.parsed.definition.clone(),
            }),
            Some(before) => compare(file, before, &mut plan),
        }
    }
    let kept = |definition: &Definition| {
        let key = (definition.body.kind(), definition.name.as_str());
        project.definitions.iter().any(|file| (file.kind(), file.name()) == key)
    };
    plan.removed = current.iter().filter(|definition| !kept(definition)).cloned().collect();
    plan.removed.sort_by(|left, right| {
        (right.body.kind(), &right.name).cmp(&(left.body.kind(), &left.name))
    });
    plan
}

/// Adds one object that is on both sides.
fn compare(file: &FileDefinition, before: &Definition, plan: &mut Plan) {
    if same(before, &file.parsed) {
        plan.unchanged.push((file.kind(), file.name().to_string()));
        return;
    }
    let after = file.parsed.settled(before);
    let new_password = verifier(&after) != verifier(before);
    let diff = unified(
        &shown(before, "'(stored)'"),
        &shown(&after, if new_password { "'(new)'" } else { "'(stored)'" }),
    );
    plan.changed.push(Change { path: file.path.clone(), after, diff });
}

/// Returns the verifier of a role's password.
fn verifier(definition: &Definition) -> Option<&String> {
    match &definition.body {
        Body::Role(role) => role.verifier.as_ref(),
        _ => None,
    }
}

/// Returns the text of an object with its comment, and with other words in the place of a verifier.
fn shown(definition: &Definition, password: &str) -> String {
    let mut text = match verifier(definition) {
        Some(verifier) => definition.sql.replace(&format!("'{verifier}'"), password),
        None => definition.sql.clone(),
    };
    text.push(';');
    if let Some(comment) = &definition.comment {
        let (kind, name, comment) =
            (definition.body.kind().word(), &definition.name, comment.replace('\'', "''"));
        text.push_str(&format!("\nCOMMENT ON {} {name} IS '{comment}';", kind.to_uppercase()));
    }
    text
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return write!(
                f,
                "No changes: the lake has all {} objects as they are defined.",
                self.unchanged.len()
            );
        }
        for addition in &self.added {
            let definition = &addition.definition;
            let (kind, name) = (definition.body.kind().word(), &definition.name);
            writeln!(f, "  + {kind} \"{name}\"  ({})", addition.path.display())?;
        }
        for change in &self.changed {
            let (kind, name) = (change.after.body.kind().word(), &change.after.name);
            writeln!(f, "  ~ {kind} \"{name}\"  ({})", change.path.display())?;
            for line in change.diff.lines() {
                writeln!(f, "      {line}")?;
            }
        }
        for definition in &self.removed {
            writeln!(f, "  - {} \"{}\"", definition.body.kind().word(), definition.name)?;
        }
        write!(
            f,
            "\nPlan: {} to add, {} to change, {} to remove, {} unchanged.",
            self.added.len(),
            self.changed.len(),
            self.removed.len(),
            self.unchanged.len()
        )
    }
}
