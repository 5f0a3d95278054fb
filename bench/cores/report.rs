//! One measurement as a line of JSON.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// What was measured, how often, and how long each repetition took.
pub(crate) struct Report {
    name: &'static str,
    facts: Map<String, Value>,
    seconds: Vec<f64>,
}

impl Report {
    /// Starts a report without a measurement.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, facts: Map::new(), seconds: Vec::new() }
    }

    /// Adds how long one repetition took.
    pub(crate) fn add(&mut self, elapsed: Duration) {
        self.seconds.push(elapsed.as_secs_f64());
    }

    /// Measures one repetition.
    pub(crate) fn measure<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = work();
        self.add(begun.elapsed());
        result
    }

    /// Says something about what was measured.
    pub(crate) fn fact(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// Writes the line.
    pub(crate) fn print(self) {
        println!("{}", json!({ "name": self.name, "facts": self.facts, "seconds": self.seconds }));
    }
}
