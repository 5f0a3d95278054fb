//! One run at a time for each object that is run.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

/// Whose turn it is, by object. Only objects that run, or wait for that, have an entry.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits until nobody else has the turn of `object`; it ends with what is returned.
    pub(super) async fn take(&self, object: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock();
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(object.to_owned()).or_default())
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn one_object_has_one_turn_at_a_time() {
        let turns = Turns::default();
        let first = turns.take("sync a").await;
        let other = turns.take("sync b").await;
        let mut second = pin!(turns.take("sync a"));
        assert!(poll!(&mut second).is_pending(), "two turns at a time");
        drop(first);
        drop(second.await);
        drop(other);
        let _last = turns.take("sync c").await;
        assert_eq!(turns.0.lock().len(), 1, "those who are done are forgotten");
    }
}
