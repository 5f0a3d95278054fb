//! What a session keeps from one statement to the next: what it plans with, and plans of texts that it has sent before.
//!
//! Relations and the state to plan with are the same for all statements that see the same [`Live`] with the same settings,
//! and to build them costs more than to plan a small statement. They are kept under the very `Live` that they
//! were built from, and a publication, a consent or a change of purpose makes them another one's. Nothing is held
//! longer than readers see it: when the engine shows the next `Live`, every session forgets, so that one which idles
//! keeps no file from being deleted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arrow::datatypes::DataType;
use datafusion::execution::{SessionState, TaskContext};
use parking_lot::Mutex;

use super::planned::{Planned, Stamp};
use super::postgres::Snapshot;
use super::relations::{Relations, Viewer};
use crate::engine::Live;

/// Sessions that keep something at most; all forget beyond that. What one keeps is as large as the catalog is.
const SESSIONS_MAX: usize = 64;

/// Plans that one session keeps at most; all are dropped beyond that.
const PLANS_MAX: usize = 64;

/// Bytes of a text whose plan is kept at most.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// What statements are planned and run with.
pub(crate) struct Context {
    pub(crate) relations: Arc<Relations>,
    state: SessionState,
    narrow: OnceLock<SessionState>,
    task: Arc<TaskContext>,
}

impl Context {
    pub(crate) fn new(relations: Arc<Relations>, state: SessionState) -> Self {
        let task = state.task_ctx();
        Self { relations, state, narrow: OnceLock::new(), task }
    }

    /// Returns the state for a statement that begins now.
    pub(super) fn state(&self) -> SessionState {
        let mut state = self.state.clone();
        // The time that now() gives to the whole statement.
        state.mark_start_execution();
        state
    }

    /// Returns the state for what does not ask for the time.
    pub(super) fn timeless_state(&self) -> &SessionState {
        &self.state
    }

    /// Returns the state for what is read in one piece, and does not ask for the time.
    pub(super) fn narrow_state(&self) -> &SessionState {
        self.narrow.get_or_init(|| {
            let mut state = self.state.clone();
            state.config_mut().options_mut().execution.target_partitions = 1;
            state
        })
    }

    /// Returns what plans are run with.
    pub(super) fn task(&self) -> Arc<TaskContext> {
        Arc::clone(&self.task)
    }
}

/// What one session keeps.
pub(crate) struct Kept {
    entry: Mutex<Option<Entry>>,
    /// What it sees with its own changes.
    overlay: Mutex<Option<Overlay>>,
    /// How many sessions keep something.
    sessions: Arc<AtomicUsize>,
}

struct Entry {
    live: Arc<Live>,
    stamp: Stamp,
    context: Arc<Context>,
    plans: HashMap<(String, Vec<Option<DataType>>), Arc<Planned>>,
}

/// What a session sees that has changed something.
struct Overlay {
    below: Arc<Live>,
    /// The number of the changes.
    changes: u64,
    seen: Arc<Live>,
}

impl Entry {
    fn is_of(&self, live: &Live, stamp: &Stamp) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.live), live) && self.stamp == *stamp
    }
}

impl Kept {
    /// Returns what statements are planned with that see `live`, if it is kept.
    pub(super) fn context(&self, live: &Live, stamp: &Stamp) -> Option<Arc<Context>> {
        let entry = self.entry.lock();
        entry
            .as_ref()
            .filter(|entry| entry.is_of(live, stamp))
            .map(|entry| Arc::clone(&entry.context))
    }

    /// Keeps `context` in the place of what was kept, and tells whether too many sessions keep something.
    pub(super) fn keep(&self, live: Arc<Live>, stamp: Stamp, context: Arc<Context>) -> bool {
        let entry = Entry { live, stamp, context, plans: HashMap::new() };
        match self.entry.lock().replace(entry) {
            Some(_) => false,
            None => self.sessions.fetch_add(1, Ordering::Relaxed) >= SESSIONS_MAX,
        }
    }

    /// Returns the plan of a text that was sent before with parameters of these types.
    pub(super) fn plan(
        &self,
        live: &Live,
        stamp: &Stamp,
        text: &str,
        types: &[Option<DataType>],
    ) -> Option<Arc<Planned>> {
        let entry = self.entry.lock();
        let entry = entry.as_ref().filter(|entry| entry.is_of(live, stamp))?;
        entry.plans.get(&(text.to_owned(), types.to_vec())).cloned()
    }

    /// Keeps the plan of a text, if it was made with what is kept.
    pub(super) fn keep_plan(&self, text: &str, types: &[Option<DataType>], planned: &Arc<Planned>) {
        let mut entry = self.entry.lock();
        let Some(entry) = entry.as_mut().filter(|entry| entry.stamp == planned.stamp) else {
            return;
        };
        if text.len() > TEXT_BYTES_MAX {
            return;
        }
        if entry.plans.len() >= PLANS_MAX {
            entry.plans.clear();
        }
        entry.plans.insert((text.to_owned(), types.to_vec()), Arc::clone(planned));
    }

    /// Returns what the session sees of `live` with its changes of this number, which `make` says if they are others than
    /// the last time: a statement asks again and again.
    pub(super) fn overlay(
        &self,
        live: &Arc<Live>,
        changes: u64,
        make: impl FnOnce() -> Live,
    ) -> Arc<Live> {
        let mut overlay = self.overlay.lock();
        if let Some(known) = overlay.as_ref()
            && Arc::ptr_eq(&known.below, live)
            && known.changes == changes
        {
            return Arc::clone(&known.seen);
        }
        let seen = Arc::new(make());
        *overlay = Some(Overlay { below: Arc::clone(live), changes, seen: Arc::clone(&seen) });
        seen
    }

    /// Forgets everything.
    pub(crate) fn forget(&self) {
        drop(self.overlay.lock().take());
        if self.entry.lock().take().is_some() {
            self.sessions.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.forget();
    }
}

/// What the sessions of a lake keep.
#[derive(Default)]
pub(crate) struct AllKept {
    sessions: Mutex<Vec<Weak<Kept>>>,
    /// How many of them keep something.
    filled: Arc<AtomicUsize>,
}

impl AllKept {
    /// Returns what a new session keeps.
    pub(crate) fn open(&self) -> Arc<Kept> {
        let (entry, overlay) = (Mutex::default(), Mutex::default());
        let kept = Arc::new(Kept { entry, overlay, sessions: Arc::clone(&self.filled) });
        let mut all = self.sessions.lock();
        // Doubling, so that opening sessions costs the same however many there are.
        if all.len() == all.capacity() {
            all.retain(|kept| kept.strong_count() > 0);
        }
        all.push(Arc::downgrade(&kept));
        kept
    }

    /// Makes all sessions forget.
    pub(crate) fn forget(&self) {
        let sessions: Vec<_> = self.sessions.lock().iter().filter_map(Weak::upgrade).collect();
        sessions.iter().for_each(|kept| kept.forget());
    }
}

/// Viewers whose view of the catalog is remembered; all are forgotten beyond that.
const VIEWERS_MAX: usize = 64;

/// How relations are described to the catalog functions: alike to all sessions that see the same. It is the largest part
/// of what a session holds while it idles, and a thousand of them are made by few roles.
#[derive(Default)]
pub(crate) struct Described(Mutex<OfDocument>);

/// What was described of one catalog document.
#[derive(Default)]
struct OfDocument {
    sequence: u64,
    snapshots: HashMap<Viewer, Arc<Snapshot>>,
}

impl Described {
    /// Returns how `viewer` sees the relations of a catalog document, which `describe` says if nobody has asked before.
    pub(super) fn of(
        &self,
        sequence: u64,
        viewer: Viewer,
        describe: impl FnOnce() -> Arc<Snapshot>,
    ) -> Arc<Snapshot> {
        let mut of = self.0.lock();
        if sequence < of.sequence {
            return describe();
        }
        if sequence > of.sequence || of.snapshots.len() >= VIEWERS_MAX {
            *of = OfDocument { sequence, ..OfDocument::default() };
        }
        Arc::clone(of.snapshots.entry(viewer).or_insert_with(describe))
    }
}
