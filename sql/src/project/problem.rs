//! What is wrong with a project, and where: one line each, as compilers print them.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The file, relative to the project's root.
    pub(crate) path: PathBuf,
    /// The line, from 1; 0 where the file as a whole is meant.
    pub(crate) line: usize,
    /// The character in the line, from 1.
    pub(crate) column: usize,
    /// What is wrong: lower case, no full stop.
    pub(crate) message: String,
    /// What to do, a sentence.
    pub(crate) hint: Option<String>,
}

impl Problem {
    /// Returns a problem with a file as a whole.
    pub(crate) fn with_file(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Problem { path: path.into(), line: 0, column: 0, message: message.into(), hint: None }
    }

    /// Returns a problem at a byte of a file's text.
    pub(crate) fn at_byte(
        path: impl Into<PathBuf>,
        text: &str,
        byte: usize,
        message: impl Into<String>,
    ) -> Self {
        let before = &text[..text.floor_char_boundary(byte)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Problem {
            path: path.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a project; the process that prints it ends with [`Problems::EXIT_CODE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl Problems {
    /// Bad configuration, as `sysexits.h` has it.
    pub(crate) const EXIT_CODE: u8 = 78;
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Problems(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if index > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
