//! Looking at the objects of a project together: what they name exists, and the files are there.

use std::collections::BTreeSet;

use engine::catalog::{Body, ConnectorSpec, IdentityGraph, Kind};

use super::problem::Problem;
use super::references::references;
use super::{FileDefinition, Project};
use crate::dialect::{PERSON_FIELDS, nearest};

impl Project {
    /// Returns what is wrong among the objects, in the order of the files' kinds; nothing for a good project.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let graphs: Vec<(&FileDefinition, &IdentityGraph)> = self
            .definitions
            .iter()
            .filter_map(|file| match &file.parsed.definition.body {
                Body::IdentityGraph(graph) => Some((file, graph)),
                _ => None,
            })
            .collect();
        let mut problems: Vec<Problem> = graphs
            .iter()
            .skip(1)
            .map(|(file, _)| {
                let message = format!("identity graph \"{}\" is a second one", file.name());
                file.problem_at(file.name_byte(), message).hint("A lake has one identity graph.")
            })
            .collect();
        for file in &self.definitions {
            problems.extend(self.missing(file));
            match &file.parsed.definition.body {
                Body::Source(source) => {
                    problems.extend(self.unmatched(file, &source.connector));
                    if let Some((_, graph)) = graphs.first() {
                        let kinds =
                            source.identifiers.iter().map(|identifier| identifier.kind.as_str());
                        problems.extend(unknown_kinds(file, kinds, graph));
                    }
                }
                Body::IdentityGraph(graph) => problems.extend(unknown_fields(file, graph)),
                _ => {}
            }
        }
        problems
    }

    /// Returns a problem for each object that a file names and no file defines.
    fn missing(&self, file: &FileDefinition) -> Vec<Problem> {
        let mut told = BTreeSet::new();
        let mut problems = Vec::new();
        for reference in references(&file.parsed.definition) {
            let names = || {
                self.definitions
                    .iter()
                    .filter(|file| file.kind() == reference.kind)
                    .map(FileDefinition::name)
            };
            if names().any(|name| name == reference.name)
                || !told.insert((reference.kind, reference.name.clone()))
            {
                continue;
            }
            let message =
                format!("{} \"{}\" does not exist", reference.kind.word(), reference.name);
            let problem =
                file.problem_at(file.use_byte(&reference.name, reference.behind), message);
            problems.push(with_names(problem, &reference.name, reference.kind.word(), names()));
        }
        problems
    }

    /// Returns a problem for each path of a source that no file matches, or that leaves the project.
    fn unmatched(&self, file: &FileDefinition, connector: &ConnectorSpec) -> Vec<Problem> {
        let ConnectorSpec::File { paths } = connector;
        let problem = |path: &str, message: String| {
            file.problem_at(file.use_byte(&format!("'{path}'"), &[]), message)
        };
        let mut problems = Vec::new();
        for path in paths {
            let outside = std::path::Path::new(path).components().any(|part| {
                !matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir)
            });
            if outside {
                let hint = "Write a path relative to the project's root, without \"..\".";
                problems
                    .push(problem(path, format!("path \"{path}\" leaves the project")).hint(hint));
                continue;
            }
            let root = glob::Pattern::escape(&self.root.to_string_lossy());
            let matched = match glob::glob(&format!("{root}/{path}")) {
                Ok(mut found) => found.any(|entry| entry.is_ok_and(|entry| entry.is_file())),
                Err(error) => {
                    problems.push(problem(
                        path,
                        format!("path \"{path}\" is not a pattern: {}", error.msg),
                    ));
                    continue;
                }
            };
            if !matched {
                let hint = "Paths are relative to the project's root.";
                problems.push(problem(path, format!("no file matches \"{path}\"")).hint(hint));
            }
        }
        problems
    }
}

/// Returns a problem for each kind of identifier that the graph does not know.
fn unknown_kinds<'a>(
    file: &FileDefinition,
    kinds: impl Iterator<Item = &'a str>,
    graph: &IdentityGraph,
) -> Vec<Problem> {
    let known = || graph.identifiers.iter().map(|rule| rule.kind.as_str());
    kinds
        .filter(|kind| !known().any(|name| name == *kind))
        .map(|kind| {
            let message = format!("identifier kind \"{kind}\" is not in the identity graph");
            let problem = file.problem_at(file.use_byte(kind, &["(", ","]), message);
            with_names(problem, kind, "identifier kind", known())
        })
        .collect()
}

/// Returns a problem for each field of a rule that is neither of a person nor an identifier of the graph.
fn unknown_fields(file: &FileDefinition, graph: &IdentityGraph) -> Vec<Problem> {
    let known =
        || PERSON_FIELDS.into_iter().chain(graph.identifiers.iter().map(|rule| rule.kind.as_str()));
    let fields = graph.matches.iter().flat_map(|rule| &rule.exact_on);
    fields
        .filter(|field| !known().any(|name| name == *field))
        .map(|field| {
            let message = format!("\"{field}\" is neither a field of a person nor an identifier");
            let problem = file.problem_at(file.use_byte(field, &["(", ","]), message);
            with_names(problem, field, Kind::IdentityGraph.word(), known())
        })
        .collect()
}

/// Adds the nearest name, or how to define one.
fn with_names<'a>(
    problem: Problem,
    name: &str,
    what: &str,
    names: impl Iterator<Item = &'a str>,
) -> Problem {
    match nearest(name, names) {
        Some(near) => problem.hint(format!("Did you mean {near}?")),
        None => problem.hint(format!("Add a file that defines the {what} \"{name}\".")),
    }
}
