//! The numbers that sequences have given, and how that outlives the process.
//!
//! ```text
//!  document 17: "3.0" up to 33        given: 1 2 3 ... 33   set aside: none
//!        |  the next number is asked for
//!  document 18: "3.0" up to 66        given: 34             set aside: 35 ... 66
//! ```
//!
//! Numbers are set aside in blocks. A block is in a document before a number of it is given, so that none is given twice,
//! whatever happens to the process: what was left of a block is skipped then. Documents are numbered, and each is created
//! only if its number is free: two processes that both believe the lake to be theirs never set the same numbers aside. A
//! number is given for good, also if the transaction that it was given in is rolled back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::counted::{Counted, Place};
use crate::catalog::SequenceRange;
use crate::error::{Error, Result};
use crate::lake::{Created, Lake};

/// The folder of the numbered documents.
const FOLDER: &str = "_sequences";

/// Numbers that are set aside beside those that were asked for, as PostgreSQL logs them.
const AHEAD: usize = 32;

/// Documents that are kept beside the newest one.
const DOCUMENTS_KEPT: usize = 8;

/// How many documents lie between two clean-ups of old ones.
const PRUNE_EVERY: u64 = 32;

/// How often the next document is tried for that somebody else has written meanwhile.
const TRIES_MAX: usize = 8;

/// What a document says of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// No number is given any more up to here.
    #[serde(flatten)]
    place: Place,
    /// Up to which number some may come again that were given once, or that rows brought; the greatest there is if that is not
    /// known. `None` if none may.
    #[serde(default, deserialize_with = "lowered", skip_serializing_if = "Option::is_none")]
    lowered: Option<i64>,
}

/// Reads up to which number a sequence was lowered, which an earlier version wrote as whether it was.
fn lowered<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Lowered {
        From(i64),
        Somehow(bool),
    }
    Ok(match Lowered::deserialize(deserializer)? {
        Lowered::From(number) => Some(number),
        Lowered::Somehow(lowered) => lowered.then_some(i64::MAX),
    })
}

/// What is written.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    /// Tells the documents of one process from those of others.
    process: String,
    /// By [`Counted::key`].
    sequences: BTreeMap<String, Kept>,
}

/// What one sequence has given here.
#[derive(Debug)]
pub(crate) struct Counter {
    key: String,
    state: parking_lot::Mutex<State>,
    /// How many statements brought numbers of their own.
    brought: AtomicU64,
}

impl Counter {
    /// Returns how many statements have brought numbers of their own.
    pub(super) fn brought(&self) -> u64 {
        self.brought.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct State {
    now: Place,
    /// The end of what is set aside.
    end: Place,
    /// How many numbers are set aside.
    ahead: usize,
    /// By which they were counted.
    range: SequenceRange,
    /// As in [`Kept`].
    lowered: Option<i64>,
}

impl State {
    fn at(kept: Kept, range: &SequenceRange) -> Self {
        let Kept { place, lowered } = kept;
        Self { now: place, end: place, ahead: 0, range: range.clone(), lowered }
    }

    /// Gives numbers that are set aside, until there are `count`.
    fn give(&mut self, range: &SequenceRange, count: usize, numbers: &mut Vec<i64>) {
        if self.range != *range {
            return;
        }
        while self.ahead > 0 && numbers.len() < count {
            match self.now.next(range) {
                Some(next) => {
                    self.now = next;
                    self.ahead -= 1;
                    numbers.push(next.last);
                }
                None => self.ahead = 0,
            }
        }
    }

    /// Goes on from here, with nothing set aside.
    fn goes_on(&mut self, place: Place) {
        (self.now, self.end, self.ahead) = (place, place, 0);
    }

    fn kept(&self, place: Place) -> Kept {
        // What it gives so may lie before what it gives once that is said of it anew.
        let SequenceRange { increment, cycle, .. } = self.range;
        let lowered = if increment < 0 || cycle { Some(i64::MAX) } else { self.lowered };
        Kept { place, lowered }
    }

    /// Tells whether none of the numbers that it gives next, as long as they ascend, was given or brought before.
    fn is_past(&self) -> bool {
        let Place { last, called } = self.now;
        self.lowered.is_none_or(|lowered| (last, called) >= (lowered, true))
    }
}

/// The sequences of a lake, as far as this process has used them.
#[derive(Debug)]
pub(crate) struct Sequences {
    lake: Lake,
    process: String,
    writable: AtomicBool,
    /// The number of the newest document, as long as nobody else has written. Held while one is written.
    newest: tokio::sync::Mutex<Option<u64>>,
    /// What it says.
    kept: parking_lot::Mutex<BTreeMap<String, Kept>>,
    counters: parking_lot::Mutex<HashMap<String, Arc<Counter>>>,
}

impl Sequences {
    /// Returns those of a lake; [`Sequences::open`] comes before all else.
    pub(crate) fn new(lake: Lake) -> Self {
        Self {
            lake,
            process: uuid::Uuid::new_v4().to_string(),
            writable: AtomicBool::new(false),
            newest: tokio::sync::Mutex::default(),
            kept: parking_lot::Mutex::default(),
            counters: parking_lot::Mutex::default(),
        }
    }

    /// Reads what is kept of the sequences that are `known`. Whoever writes takes over from whoever wrote before.
    pub(crate) async fn open(&self, known: &BTreeSet<String>, writable: bool) -> Result<()> {
        let mut newest = self.newest.lock().await;
        self.writable.store(writable, Ordering::SeqCst);
        match self.lake.latest_document(FOLDER).await? {
            None => *newest = Some(0),
            Some((_, bytes)) if !writable => self.keep(&bytes, Some(known))?,
            Some(_) => *newest = Some(self.take_over(Some(known)).await?),
        }
        Ok(())
    }

    /// Tells whether nothing is kept of a sequence yet.
    pub(crate) fn is_unused(&self, key: &str) -> bool {
        !self.kept.lock().contains_key(key)
    }

    /// Returns where a sequence stands, and how many numbers are set aside behind that.
    pub(crate) fn position(&self, counted: &Counted) -> (Place, usize) {
        let counter = self.counter(counted);
        let state = counter.state.lock();
        (state.now, state.ahead)
    }

    /// Tells whether a sequence gives no number that it, or somebody else by [`Sequences::pass`], has passed.
    pub(super) fn is_ahead(&self, counted: &Counted) -> bool {
        let SequenceRange { increment, cycle, .. } = counted.range;
        let is_past = !counted.restarted && self.counter(counted).state.lock().is_past();
        increment > 0 && !cycle && is_past
    }

    /// Returns the next numbers of a sequence, which nobody else gets.
    ///
    /// # Errors
    /// SQLSTATE 2200H if there are not so many.
    pub(crate) async fn take(
        self: &Arc<Self>,
        counted: &Counted,
        count: usize,
    ) -> Result<Vec<i64>> {
        let counter = self.counter(counted);
        let mut numbers = Vec::with_capacity(count);
        loop {
            counter.state.lock().give(&counted.range, count, &mut numbers);
            let missing = count - numbers.len();
            if missing == 0 {
                return Ok(numbers);
            }
            self.set_aside(&counter, counted, missing).await?;
        }
    }

    /// As [`Sequences::take`], for who computes and cannot wait otherwise than with its thread.
    pub(crate) fn take_here(self: &Arc<Self>, counted: &Counted, count: usize) -> Result<Vec<i64>> {
        let mut numbers = Vec::with_capacity(count);
        self.counter(counted).state.lock().give(&counted.range, count, &mut numbers);
        if numbers.len() < count {
            numbers.extend(wait(self.take(counted, count - numbers.len()))?);
        }
        Ok(numbers)
    }

    /// `setval`: the next number is the one behind this, or this one unless it was `called`.
    pub(crate) fn set_here(self: &Arc<Self>, counted: &Counted, place: Place) -> Result<()> {
        counted.check(place.last)?;
        wait(self.change(counted, move |state, range| {
            let mut kept = state.kept(place);
            if state.now.is_behind(place, range) {
                kept.lowered = kept.lowered.max(Some(state.now.last));
            }
            Some((kept, 0))
        }))?;
        Ok(())
    }

    /// Gives no number any more up to one that rows brought.
    pub(super) async fn pass(self: &Arc<Self>, counted: &Counted, number: i64) -> Result<()> {
        let place = Place { last: number, called: true };
        let passed = self.change(counted, move |state, range| {
            let SequenceRange { minimum, maximum, .. } = *range;
            let is_one = (minimum..=maximum).contains(&number);
            let passes = is_one && place.is_behind(state.now, range);
            let mut kept = state.kept(if passes { place } else { state.now });
            if number > maximum {
                // It is met if the sequence is made to go on farther.
                kept.lowered = kept.lowered.max(Some(number));
            }
            let before = Kept { place: state.now, lowered: state.lowered };
            (kept != before).then_some((kept, 0))
        });
        // Behind it: whoever reads the count before this may have been given a number that was brought.
        if !passed.await? {
            self.counter(counted).brought.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Keeps what was given and no more, so that the next process goes on without a gap.
    pub(crate) async fn close(self: &Arc<Self>) -> Result<()> {
        let sequences = Arc::clone(self);
        let close = async move {
            let mut newest = sequences.newest.lock().await;
            let Some(number) = newest.take() else { return Ok(()) };
            let mut kept = sequences.kept.lock().clone();
            let counters: Vec<Arc<Counter>> = sequences.counters.lock().values().cloned().collect();
            let mut changed = false;
            for counter in counters {
                let mut state = counter.state.lock();
                if state.ahead > 0 {
                    let now = state.now;
                    state.goes_on(now);
                    kept.insert(counter.key.clone(), state.kept(now));
                    changed = true;
                }
            }
            *newest = match changed {
                true => Some(sequences.write(number, kept).await?),
                false => Some(number),
            };
            Ok(())
        };
        self.lake.complete(close).await
    }

    pub(super) fn counter(&self, counted: &Counted) -> Arc<Counter> {
        let mut counters = self.counters.lock();
        if let Some(counter) = counters.get(&counted.key) {
            return Arc::clone(counter);
        }
        let kept = self.kept.lock().get(&counted.key).copied();
        let first = Place { last: counted.first, called: false };
        let kept = kept.unwrap_or(Kept { place: first, lowered: None });
        let state = parking_lot::Mutex::new(State::at(kept, &counted.range));
        let key = counted.key.clone();
        let counter = Arc::new(Counter { key: key.clone(), state, brought: AtomicU64::new(0) });
        counters.insert(key, Arc::clone(&counter));
        counter
    }

    async fn set_aside(
        self: &Arc<Self>,
        counter: &Arc<Counter>,
        counted: &Counted,
        missing: usize,
    ) -> Result<()> {
        self.change(counted, move |state, range| {
            if state.ahead >= missing {
                return None;
            }
            let cache = usize::try_from(range.cache).unwrap_or(usize::MAX).min(1 << 16);
            let wanted = missing.max(cache).saturating_add(missing.max(AHEAD));
            let (end, steps) = state.end.ahead(range, wanted);
            (steps > 0).then(|| (state.kept(end), steps))
        })
        .await?;
        let state = counter.state.lock();
        let ended = state.ahead == 0 && state.range == counted.range;
        match ended && state.now.next(&counted.range).is_none() {
            true => Err(counted.exhausted()),
            false => Ok(()),
        }
    }

    /// Writes what `make` makes of a sequence, then makes it so: as many numbers are set aside behind those that are, up to
    /// that place, or, for none, it goes on from that place. `None` changes nothing. Tells whether numbers may come again from
    /// now on and did not before, which counts as if a statement had brought numbers.
    async fn change(
        self: &Arc<Self>,
        counted: &Counted,
        make: impl FnOnce(&State, &SequenceRange) -> Option<(Kept, usize)> + Send + 'static,
    ) -> Result<bool> {
        if !self.writable.load(Ordering::SeqCst) {
            return Err(Error::Conflict {
                message: "the lake is open for reading only".into(),
                hint: "Connect to the server that holds the lake, or stop it and try again.".into(),
            });
        }
        let (sequences, counter) = (Arc::clone(self), self.counter(counted));
        let range = counted.range.clone();
        let change = async move {
            let mut newest = sequences.newest.lock().await;
            let number = match newest.take() {
                Some(number) => number,
                // An earlier document may have been written although that failed, or by somebody else.
                None => sequences.take_over(None).await?,
            };
            let made = {
                let mut state = counter.state.lock();
                if state.range != range {
                    let now = state.now;
                    state.goes_on(now);
                    state.range = range.clone();
                }
                let made = make(&state, &range);
                if let Some((_, 0)) = made {
                    // Nobody is given a number meanwhile that would be passed over, and then come again.
                    let now = state.now;
                    state.goes_on(now);
                }
                made
            };
            let Some((becomes, steps)) = made else {
                *newest = Some(number);
                return Ok(false);
            };
            let mut kept = sequences.kept.lock().clone();
            kept.insert(counter.key.clone(), becomes);
            *newest = Some(sequences.write(number, kept).await?);
            // Numbers that were set aside before may have been given meanwhile, and nothing else has changed.
            let mut state = counter.state.lock();
            let was_past = state.is_past();
            state.lowered = becomes.lowered;
            match steps {
                0 => state.goes_on(becomes.place),
                steps => (state.end, state.ahead) = (becomes.place, state.ahead + steps),
            }
            let lowers = was_past && !state.is_past();
            if lowers {
                // Whoever was given numbers by then, and did not hold them against others, finds that out at the commit.
                counter.brought.fetch_add(1, Ordering::SeqCst);
            }
            Ok(lowers)
        };
        self.lake.complete(change).await
    }

    /// Writes the document behind `number`, and returns its number.
    async fn write(&self, number: u64, kept: BTreeMap<String, Kept>) -> Result<u64> {
        let next = number + 1;
        if !self.create(next, &kept).await? {
            return Err(Error::Conflict {
                message: "another process has given numbers of sequences meanwhile".into(),
                hint: "Try again.".into(),
            });
        }
        *self.kept.lock() = kept;
        if next.is_multiple_of(PRUNE_EVERY)
            && let Err(error) = self.lake.prune_documents(FOLDER, DOCUMENTS_KEPT).await
        {
            let error = error.without_values();
            tracing::warn!(error, "old documents of sequences could not be removed");
        }
        Ok(next)
    }

    /// Writes what the newest document says once more, of all sequences or of those that are `known`, and returns the number
    /// of that: whoever believes to have written last finds that out with its next one.
    async fn take_over(&self, known: Option<&BTreeSet<String>>) -> Result<u64> {
        for _ in 0..TRIES_MAX {
            let number = match self.lake.latest_document(FOLDER).await? {
                None => 0,
                Some((number, bytes)) => {
                    self.keep(&bytes, known)?;
                    number
                }
            };
            let kept = self.kept.lock().clone();
            if self.create(number + 1, &kept).await? {
                return Ok(number + 1);
            }
        }
        Err(Error::Conflict {
            message: "another process gives numbers of sequences".into(),
            hint: "Connect to the process that holds the lake.".into(),
        })
    }

    /// Takes what a document says of all sequences, or of those that are `known`.
    fn keep(&self, bytes: &[u8], known: Option<&BTreeSet<String>>) -> Result<()> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|source| Error::Corrupt {
                message: "the document of sequences cannot be read".into(),
                source: Some(Box::new(source)),
            })?;
        let mut kept = document.sequences;
        kept.retain(|key, _| known.is_none_or(|known| known.contains(key)));
        // First, so that nobody begins to count by what was there before.
        *self.kept.lock() = kept.clone();
        for counter in self.counters.lock().values() {
            if let Some(kept) = kept.get(&counter.key) {
                let mut state = counter.state.lock();
                state.goes_on(kept.place);
                state.lowered = kept.lowered;
            }
        }
        Ok(())
    }

    /// Creates a document, and tells whether it is the newest one.
    async fn create(&self, number: u64, kept: &BTreeMap<String, Kept>) -> Result<bool> {
        let document = Document { process: self.process.clone(), sequences: kept.clone() };
        let bytes = serde_json::to_vec(&document).map_err(|source| Error::Corrupt {
            message: "the document of sequences cannot be written".into(),
            source: Some(Box::new(source)),
        })?;
        let created = self.lake.create_document(FOLDER, number, Bytes::from(bytes)).await?;
        Ok(created == Created::Yes && self.lake.is_newest(FOLDER, number).await?)
    }
}

/// Waits with the thread itself, whose place among those that do the runtime's work another one takes meanwhile.
fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = Handle::try_current().ok();
    match runtime.filter(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread) {
        Some(runtime) => tokio::task::block_in_place(|| runtime.block_on(work)),
        None => Err(Error::Unsupported {
            what: "giving numbers of a sequence on a runtime of one thread".into(),
            hint: "Start a runtime of several threads.".into(),
        }),
    }
}

#[cfg(test)]
#[path = "sequences_tests.rs"]
mod tests;
