//! `EXPLAIN IMPACT`: what another definition of the graph would make of the history that the lake holds, before anything
//! changes.
//!
//! ```text
//!  definition -> checked as if it were put into the catalog                                  definitions
//!             -> a second resolver with its rules, fed with the subjects of which the
//!                profiles of now are made, the overrides in force, and a FUZZY rule's model
//!                as its first refresh would train it
//!             -> each subject: whose it is, and whose it would be                            difference
//!             -> identifiers and refused edges: as published, and as they would be           before, compared
//!             -> some of each kind, with the edge that does it                               compared, samples
//!             -> rows                                                                        lines
//! ```
//!
//! It reads one published state, takes no lock of those who write, and writes nothing but its line in the audit log. It tells
//! of two persons at a time, so that it is for purposes that see everyone. Whoever does not wait for it any more ends it.
//!
//! Subjects that came since the last refresh are left out: what they change is not the doing of the definition.

mod before;
mod compared;
mod difference;
mod lines;
mod samples;

use arrow::array::RecordBatch;
use tokio::sync::OwnedMutexGuard;

use super::*;
use crate::audit::{Class, Entry};
use crate::catalog::Definition;
use crate::definitions::Changes;
use crate::engine::{Engine, Live, Put};
use crate::error::Error;
use crate::explain::expect_everyone;
use crate::identity::Halt;
use crate::query::access::no_purpose;
use crate::query::session::QuerySession;
use before::Before;
use lines::Line;

pub use lines::columns;

/// One at a time is worked out: each keeps a graph of its own in memory.
const TURN: &str = "explain impact";

/// What the audit log notes: of these the answer is made.
const READS: [&str; 4] = [
    "public.identity_edges",
    "public.identity_violations",
    "public.profile_identifiers",
    "public.profile_records",
];

impl Engine {
    /// Returns what putting `definition`, an identity graph, into the catalog would make of the profiles that there are, in
    /// rows of [`columns`].
    ///
    /// # Errors
    /// Those of [`Engine::define`], and [`Error::Denied`] unless the session sees everyone.
    pub async fn explain_impact(
        &self,
        session: &QuerySession,
        definition: &Definition,
        put: Put,
    ) -> Result<RecordBatch> {
        let changes = Changes { put: vec![(definition.clone(), put)], removed: vec![] };
        let Some(graph) = self.graph_after(&changes).await? else {
            return Err(Error::Unsupported {
                what: "EXPLAIN IMPACT of what is no identity graph".into(),
                hint: "Give it the definition of one.".into(),
            });
        };
        let turn = self.turn(TURN).await;
        let live = self.live();
        let access = session.access(&live, &session.viewer(&live)?)?.ok_or_else(no_purpose)?;
        expect_everyone(&access)?;
        let entry = Entry {
            role: session.role().to_owned(),
            purpose: access.purpose.clone(),
            class: Class::Read,
            relations: READS.map(str::to_owned).to_vec(),
        };
        let mut audited = self.audit().begin(entry).await?;
        let rows = match self.impact(&live, &graph, turn).await {
            Ok(lines) => lines::batch(&lines)?,
            Err(error) => {
                audited.failed();
                return Err(error);
            }
        };
        audited.rows(rows.num_rows() as u64);
        Ok(rows)
    }

    async fn impact(
        &self,
        live: &Live,
        graph: &GraphInForce,
        turn: OwnedMutexGuard<()>,
    ) -> Result<Vec<Line>> {
        let (lake, published) = (self.catalog().lake(), &live.published);
        let awaited = Awaited::default();
        let in_force = overrides::in_force(lake, published).await?;
        let trusts = trusts(published);
        let GraphInForce { version, graph } = graph;
        let mut memory = Memory::new(lake, published, *version, graph, trusts, &in_force).await?;
        memory.resolver.halt_with(awaited.0.clone());
        // Before there are profiles all subjects are looked at.
        let covered = live.people.subject_count();
        let end = if covered == 0 { usize::MAX } else { covered };
        memory.load(lake, published, end).await?;
        let made_at = published.state.coverage.get(IDENTITY);
        memory.see(lake, published, made_at).await?;
        let waiting = published.state.next_subject.saturating_sub(memory.seen.len() as u64);
        let trial = Trial {
            before: (0..memory.seen.len() as u32)
                .map(|subject| live.people.anchor(subject).unwrap_or(NO_SUBJECT))
                .collect(),
            memory,
            ids: ProfileIds::new(published.state.profile_key()?),
            trained: false,
            halt: awaited.0.clone(),
            _turn: turn,
        };
        let before = Before::read(lake, published).await?;
        let compared = aside(move || trial.compared(&before)).await??;
        let edges = before::joined(lake, published, &compared.apart).await?;
        aside(move || compared.lines(&edges, waiting)).await
    }
}

/// The graph as another definition makes it, beside whose each subject is now.
struct Trial {
    memory: Memory,
    /// The anchor of each subject now.
    before: Vec<u32>,
    ids: ProfileIds,
    /// Whether a model was trained for it.
    trained: bool,
    halt: Halt,
    /// Given back when the work ends, also when nobody waits for it any more.
    _turn: OwnedMutexGuard<()>,
}

impl Trial {
    /// Makes profiles of all subjects, as the first refresh by this definition would.
    fn resolve(&mut self) {
        self.memory.resolver.resolve();
        if self.halt.is_halted() {
            return;
        }
        if let Some(model) = self.memory.learnt() {
            self.memory.resolver.set_model(model);
            self.memory.resolver.resolve();
            self.trained = true;
        }
    }

    /// Returns the anchor of a subject now.
    fn now(&self, subject: u32) -> u32 {
        self.before[subject as usize]
    }

    /// Returns the anchor that a subject would have.
    fn then(&self, subject: u32) -> u32 {
        self.memory.resolver.anchor_of(subject).unwrap_or(NO_SUBJECT)
    }

    fn id(&self, anchor: u32) -> i64 {
        self.ids.id_of(u64::from(anchor))
    }
}

/// Ends what it started when it is dropped: then nobody waits for it any more, or it is done.
#[derive(Default)]
struct Awaited(Halt);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.halt();
    }
}

/// Computes on a thread of its own, which no other statement waits for.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(made) => Ok(made),
        Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        Err(stopped) => Err(Error::Unavailable {
            message: "the statement was interrupted".into(),
            source: Some(Box::new(stopped)),
        }),
    }
}
