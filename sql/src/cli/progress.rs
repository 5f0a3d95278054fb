//! Progress on stderr: a bar on a terminal, a line for each kind of work elsewhere.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use engine::jobs::Step;
use indicatif::{ProgressBar, ProgressStyle};

use super::output::tell;

/// How often a bar moves while nothing is reported.
const TICK: Duration = Duration::from_millis(100);

/// Shows what is being worked on.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    /// What is summed up in the line that is written next.
    phase: Mutex<RefCell<Phase>>,
}

struct Phase {
    name: &'static str,
    objects: usize,
    rows: u64,
    since: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.enable_steady_tick(TICK);
            bar
        });
        Self {
            bar,
            phase: Mutex::new(RefCell::new(Phase {
                name: "",
                objects: 0,
                rows: 0,
                since: Instant::now(),
            })),
        }
    }

    /// Notes that a step begins, or how it ended.
    pub(super) fn step(&self, object: &str, step: Option<&Step>) {
        let name = match object.split_whitespace().next() {
            Some("source") => "sources",
            Some("segment") => "segments",
            Some("consent") => "consent ledger",
            _ => "profiles",
        };
        let Ok(phase) = self.phase.lock() else { return };
        let mut phase = phase.borrow_mut();
        if phase.name != name {
            self.write(&phase);
            *phase = Phase { name, objects: 0, rows: 0, since: Instant::now() };
        }
        match (step, &self.bar) {
            (Some(step), _) => {
                phase.objects += 1;
                phase.rows += step.rows_out;
            }
            (None, Some(bar)) => bar.set_message(object.to_owned()),
            (None, None) => {}
        }
    }

    /// Writes the last line.
    pub(super) fn finish(&self) {
        if let Ok(phase) = self.phase.lock() {
            self.write(&phase.borrow());
            phase.borrow_mut().name = "";
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn write(&self, phase: &Phase) {
        if phase.name.is_empty() || phase.objects == 0 {
            return;
        }
        let objects = if phase.objects > 1 {
            format!("{} {}", phase.objects, phase.name)
        } else {
            phase.name.to_owned()
        };
        let line = format!(
            "{objects}: {} rows in {:.1} s",
            phase.rows,
            phase.since.elapsed().as_secs_f64()
        );
        match &self.bar {
            Some(bar) => bar.println(line),
            None => tell(line),
        }
    }
}
