//! The command line of a benchmark: words, and options that each take a value.

use std::collections::{HashMap, VecDeque};
use std::str::FromStr;

use crate::Outcome;

/// Words and options, as they were given.
pub(crate) struct Arguments {
    words: VecDeque<String>,
    options: HashMap<String, String>,
}

impl Arguments {
    /// Takes a command line apart.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let (mut words, mut options) = (VecDeque::new(), HashMap::new());
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix("--") {
                Some(name) => {
                    let value =
                        arguments.next().ok_or_else(|| format!("--{name} takes a value"))?;
                    options.insert(name.to_owned(), value);
                }
                None => words.push_back(argument),
            }
        }
        Ok(Self { words, options })
    }

    /// Takes the next word.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.words.pop_front()
    }

    /// Returns the words that were not taken.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    /// Returns an option that has to be given.
    pub(crate) fn required(&self, name: &str) -> Outcome<&str> {
        Ok(self
            .options
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| format!("--{name} is missing"))?)
    }

    /// Returns a number, or what it is when it is not given.
    pub(crate) fn number<T: FromStr>(&self, name: &str, absent: T) -> Outcome<T> {
        match self.options.get(name) {
            None => Ok(absent),
            Some(text) => {
                Ok(text.parse().map_err(|_| format!("--{name} takes a number, not \"{text}\""))?)
            }
        }
    }
}
