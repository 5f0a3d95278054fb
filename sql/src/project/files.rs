//! Reading the `.sql` files of a project.

use std::fs;
use std::path::{Path, PathBuf};

use engine::catalog::Kind;

use super::config::Config;
use super::problem::{Problem, Problems};
use super::references::in_order;
use super::{FileDefinition, Project};
use crate::dialect::{self, ParsedDefinition, SQL_BYTES_MAX, Statement};

/// Files of one project at most.
const FILES_MAX: usize = 10_000;
/// Folders within folders at most.
const DEPTH_MAX: usize = 16;

impl Project {
    /// Reads a project, or returns everything in it that cannot be read or is there twice.
    pub(crate) fn load(root: &Path) -> Result<Project, Problems> {
        let root = root.canonicalize().map_err(|error| {
            Problem::with_file(root, format!("project cannot be opened: {error}"))
        })?;
        let config = Config::load(&root)?;
        let mut paths = Vec::new();
        sql_files(&root, Path::new(""), 0, &mut paths)?;
        let mut problems = Vec::new();
        let mut definitions = Vec::new();
        for path in paths {
            match read(&root, &path) {
                Ok(definition) => definitions.push(definition),
                Err(problem) => problems.push(problem),
            }
        }
        if definitions.is_empty() && problems.is_empty() {
            let problem = Problem::with_file(&root, "project has no .sql files");
            problems
                .push(problem.hint("Give the folder that holds onefold.toml and the definitions."));
        }
        problems.extend(duplicates(&definitions));
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let definitions = in_order(definitions)?;
        Ok(Project { root, config, definitions })
    }
}

/// Collects the `.sql` files of a folder and of those in it, by name; hidden ones and links are passed over.
fn sql_files(
    root: &Path,
    folder: &Path,
    depth: usize,
    paths: &mut Vec<PathBuf>,
) -> Result<(), Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::with_file(folder, format!("folder cannot be read: {error}"))
    };
    if depth > DEPTH_MAX {
        return Err(Problem::with_file(
            folder,
            format!("folders are nested more than {DEPTH_MAX} deep"),
        ));
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(root.join(folder)).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        entries.push((entry.file_name(), entry.file_type().map_err(unreadable)?));
    }
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    for (name, file_type) in entries {
        let path = folder.join(&name);
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if file_type.is_dir() {
            sql_files(root, &path, depth + 1, paths)?;
        } else if file_type.is_file()
            && path.extension().is_some_and(|extension| extension == "sql")
        {
            if paths.len() >= FILES_MAX {
                return Err(Problem::with_file(
                    path,
                    format!("project has more than {FILES_MAX} files"),
                ));
            }
            paths.push(path);
        }
    }
    Ok(())
}

/// Reads one file: one object and, perhaps, a comment on it.
fn read(root: &Path, path: &Path) -> Result<FileDefinition, Problem> {
    let unreadable =
        |error: std::io::Error| Problem::with_file(path, format!("cannot be read: {error}"));
    let bytes = fs::metadata(root.join(path)).map_err(unreadable)?.len();
    if bytes > SQL_BYTES_MAX as u64 {
        return Err(Problem::with_file(path, format!("file is longer than {SQL_BYTES_MAX} bytes")));
    }
    let text = fs::read_to_string(root.join(path)).map_err(unreadable)?;
    let statements = dialect::parse(&text).map_err(|error| {
        let byte = text.char_indices().nth(error.position - 1).map_or(text.len(), |(byte, _)| byte);
        let problem = Problem::at_byte(path, &text, byte, error.message);
        match error.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    })?;
    let mut object: Option<ParsedDefinition> = None;
    for parsed in statements {
        let wrong = |message: String| Problem::at_byte(path, &text, parsed.offset, message);
        match parsed.statement {
            Statement::Create { definition, password, .. } if object.is_none() => {
                object = Some(ParsedDefinition { definition: *definition, password });
            }
            Statement::Create { .. } => {
                return Err(wrong("file defines a second object".to_string())
                    .hint("Write one object a file."));
            }
            Statement::Comment { kind, name, comment } => {
                let Some(ParsedDefinition { definition, .. }) = &mut object else {
                    return Err(wrong("file has a comment before its object".to_string()));
                };
                if (kind, name.as_str()) != (definition.body.kind(), definition.name.as_str()) {
                    return Err(wrong(format!(
                        "comment is on {} \"{name}\", which is not the object of this file",
                        kind.word()
                    )));
                }
                definition.comment = comment;
            }
            Statement::Unsupported { what, hint } => {
                return Err(wrong(format!("{what} is not supported")).hint(hint));
            }
            Statement::Refused { what, hint } => {
                return Err(wrong(format!("{what} is not allowed")).hint(hint));
            }
            _ => {
                return Err(wrong("file holds a statement that defines nothing".to_string())
                    .hint("Project files hold CREATE statements and comments on their objects."));
            }
        }
    }
    let parsed = object.ok_or_else(|| Problem::with_file(path, "file defines no object"))?;
    Ok(FileDefinition { path: path.to_path_buf(), text, parsed })
}

/// Returns a problem for each object that an earlier file defines too.
fn duplicates(definitions: &[FileDefinition]) -> Vec<Problem> {
    let mut seen: std::collections::HashMap<(Kind, &str), &Path> = std::collections::HashMap::new();
    let mut problems = Vec::new();
    for file in definitions {
        let (kind, name) = (file.kind(), file.name());
        if let Some(first) = seen.insert((kind, name), &file.path) {
            let message = format!("{} \"{name}\" is defined twice", kind.word());
            problems.push(
                file.problem_at(file.name_byte(), message)
                    .hint(format!("The other is in {}.", first.display())),
            );
        }
    }
    problems
}

impl FileDefinition {
    /// Returns the kind of the object.
    pub(crate) fn kind(&self) -> Kind {
        self.parsed.definition.body.kind()
    }

    /// Returns the name of the object.
    pub(crate) fn name(&self) -> &str {
        &self.parsed.definition.name
    }

    /// Returns a problem at a byte of this file.
    pub(crate) fn problem_at(&self, byte: usize, message: impl Into<String>) -> Problem {
        Problem::at_byte(&self.path, &self.text, byte, message)
    }

    /// Returns where the object's own name stands.
    pub(crate) fn name_byte(&self) -> usize {
        let words = dialect::words(&self.text);
        words.iter().find(|(word, _)| word == self.name()).map_or(0, |(_, byte)| *byte)
    }

    /// Returns where a name is used: behind one of these words if it is, anywhere but as the object's own name if not.
    pub(crate) fn use_byte(&self, name: &str, behind: &[&str]) -> usize {
        let words = dialect::words(&self.text);
        let own = self.name_byte();
        let uses =
            || words.iter().enumerate().filter(|(_, (word, byte))| word == name && *byte != own);
        uses()
            .find(|(index, _)| {
                index
                    .checked_sub(1)
                    .is_some_and(|before| behind.contains(&words[before].0.as_str()))
            })
            .or_else(|| uses().next())
            .map_or(own, |(_, (_, byte))| *byte)
    }
}
