//! A project: a folder with `onefold.toml` and `.sql` files, one object a file.
//!
//! `load` reads the folder and stops at what cannot be read; `check` looks at the objects together without a lake; `plan`
//! compares them with the objects that a lake has. Nothing here changes anything: the caller applies what a plan says.

mod check;
mod config;
mod diff;
mod files;
mod plan;
mod problem;
mod references;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::dialect::ParsedDefinition;

pub(crate) use config::{CONFIG_FILE, Config, Reference};
pub(crate) use plan::{Plan, plan};
pub(crate) use problem::{Problem, Problems};

/// A folder of definitions.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// The folder; paths in definitions are relative to it.
    pub(crate) root: PathBuf,
    /// The settings of the process.
    pub(crate) config: Config,
    /// What the files define, in the order in which it can be applied: each object after those that it names.
    pub(crate) definitions: Vec<FileDefinition>,
}

/// What one file defines.
#[derive(Debug, Clone)]
pub(crate) struct FileDefinition {
    /// The file, relative to the project's root.
    pub(crate) path: PathBuf,
    /// Its text, for the places of problems.
    pub(crate) text: String,
    /// The object, with its comment.
    pub(crate) parsed: ParsedDefinition,
}
