//! What an engine is opened with: resolved, explicit, nothing read from outside.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::lake::LakeLocation;

/// How a lake is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By the one process that writes.
    Write,
    /// Beside it: nothing can be changed.
    Read,
}

/// What an engine is opened with.
#[derive(Clone)]
pub struct EngineOptions {
    /// Where the lake lies.
    pub location: LakeLocation,
    /// Whether this process writes.
    pub mode: Mode,
    /// How this process is named to others that want to write.
    pub owner: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The folder that file sources read from and destinations write to, and that none may leave; it is recorded in
    /// the lake, and the recorded one holds when none is given.
    pub file_root: Option<PathBuf>,
    /// How many partitions of a plan run at a time.
    pub target_partitions: usize,
    /// Bytes that operators of all statements may hold together.
    pub memory_bytes_max: usize,
}
