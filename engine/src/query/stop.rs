//! What makes a cancelled statement stop, wherever it computes.
//!
//! Dropping a task ends it at the next point where it yields, and between two such points an operator can work for seconds:
//! a join that has nothing to hand on, an aggregate over a hundred batches, a rule of the planner. So each statement has a
//! [`Stop`], which is asked in between:
//!
//! - Plans: leaves, joins and what crosses from one task to another ask for each batch; where there are functions, those
//!   with long texts are cut, and so are those that a long constant is written out for. The filter of a nested loop asks
//!   for each batch of pairs.
//! - Functions over JSON ask by what they have worked through, and PostgreSQL's functions that are computed row by row for
//!   each row.
//! - The planner asks for each operator that it reads, before each rule, and for each node that a rule looks at.
//! - Aggregate functions that hold all of their values ask for each batch of them.
//! - The operators of identity resolution ask while they sort and while they cluster.

mod constants;
mod filter;
mod plans;
mod rules;
mod running;

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use datafusion::error::{DataFusionError, Result as DataFusionResult};

use crate::error::Error;

pub(super) use plans::stoppable;
pub(super) use rules::{analysis, optimization, physical_optimization};
pub(super) use running::Running;

/// Whether the statement that holds it is to stop.
#[derive(Debug, Default)]
pub struct Stop {
    stopped: AtomicBool,
    /// Bytes of the constants that were worked out while it was planned.
    folded: AtomicU64,
}

/// Bytes of the constants at most that are worked out while a statement is planned: a line may have a thousand of them.
const FOLDED_BYTES_MAX: u64 = 256 << 20;

impl Stop {
    /// Stops it.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Fails once it is to stop.
    pub(super) fn check(&self) -> DataFusionResult<()> {
        if !self.stopped.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(DataFusionError::External(Box::new(Error::Limit {
            sqlstate: "57014",
            message: "the statement was cancelled".into(),
            hint: "Send it again if it was not meant to be.".into(),
        })))
    }

    /// Fails once its constants are too much.
    fn check_folded(&self) -> DataFusionResult<()> {
        if self.folded.load(Ordering::Relaxed) <= FOLDED_BYTES_MAX {
            return Ok(());
        }
        Err(DataFusionError::External(Box::new(Error::Limit {
            sqlstate: "54000",
            message: format!("the statement has constants of more than {FOLDED_BYTES_MAX} bytes"),
            hint: "Make smaller values, or make them in several statements.".into(),
        })))
    }

    /// Notes that this thread computes for its statement, until what is returned is dropped.
    fn compute(self: &Arc<Self>) -> Computing {
        Computing { before: CURRENT.replace(Some(Arc::clone(self))) }
    }
}

thread_local! {
    /// Of the statement that this thread computes for.
    static CURRENT: RefCell<Option<Arc<Stop>>> = const { RefCell::new(None) };
    /// Whether a rule of the planner works on this thread, so that what is computed is a constant of the statement.
    static PLANNING: Cell<bool> = const { Cell::new(false) };
}

/// As long as it lives, its thread computes for a statement.
#[derive(Debug)]
#[must_use]
struct Computing {
    before: Option<Arc<Stop>>,
}

impl Drop for Computing {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

/// As long as it lives, a rule of the planner works on its thread.
#[derive(Debug)]
#[must_use]
struct Planning {
    before: bool,
}

impl Planning {
    fn begin() -> Self {
        Self { before: PLANNING.replace(true) }
    }
}

impl Drop for Planning {
    fn drop(&mut self) {
        PLANNING.set(self.before);
    }
}

/// Fails once the statement that this thread computes for is to stop.
pub(super) fn check_current() -> DataFusionResult<()> {
    CURRENT.with_borrow(|current| match current {
        Some(stop) => stop.check(),
        None => Ok(()),
    })
}

/// Counts bytes that a function makes, and fails if the planner has it make too many of them as constants.
pub(super) fn fold(bytes: u64) -> DataFusionResult<()> {
    if !PLANNING.get() {
        return Ok(());
    }
    CURRENT.with_borrow(|current| match current {
        Some(stop) => {
            stop.folded.fetch_add(bytes, Ordering::Relaxed);
            stop.check_folded()
        }
        None => Ok(()),
    })
}

/// Lets a rule of the planner work, and fails if it makes too many constants: what cannot be folded is left for later by
/// the rule, when nobody would count it.
fn planned<T>(rule: impl FnOnce() -> DataFusionResult<T>) -> DataFusionResult<T> {
    check_current()?;
    let made = {
        let _planning = Planning::begin();
        rule()
    };
    CURRENT.with_borrow(|current| match current {
        Some(stop) => stop.check_folded(),
        None => Ok(()),
    })?;
    made
}

/// Does `work` as what is computed for the statement that holds `stop`.
pub(super) async fn during<T>(stop: Arc<Stop>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let _computing = stop.compute();
        work.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn constants_are_counted_while_a_statement_is_planned() {
        let stop = Arc::<Stop>::default();
        during(Arc::clone(&stop), async {
            assert!(fold(u64::MAX / 2).is_ok(), "it is computed, not planned");
            assert!(planned(|| fold(FOLDED_BYTES_MAX)).is_ok());
            // A rule may go on without what it could not fold.
            let refused = planned(|| {
                assert!(fold(1).is_err());
                Ok(())
            });
            assert!(refused.unwrap_err().to_string().contains("has constants of more than"));
        })
        .await;
        assert!(planned(|| fold(FOLDED_BYTES_MAX + 1)).is_ok(), "it is no statement's");
    }

    #[tokio::test]
    async fn what_is_done_during_a_statement_asks_that_one() {
        let (outer, inner) = (Arc::new(Stop::default()), Arc::new(Stop::default()));
        inner.stop();
        let asked = during(Arc::clone(&outer), async {
            let before = check_current().is_ok();
            let within = during(Arc::clone(&inner), async { check_current().is_ok() }).await;
            // It is asked after a break, too.
            tokio::task::yield_now().await;
            let after = check_current().is_ok();
            outer.stop();
            (before, within, after, check_current().is_ok())
        });
        assert_eq!(asked.await, (true, false, true, false));
        assert!(check_current().is_ok(), "nothing is computed any more");
    }
}
