//! Channels: which session listens to what, and what one says to the others.
//!
//! They live in memory and end with the process, as notifications of PostgreSQL do. What is said reaches the queue of each
//! listener at once; a listener that does not read is let go when its queue is full, so that nobody waits for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::limits::NOTIFICATIONS_MAX;

/// What one session said in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notification {
    /// What clients know the session by that said it.
    pub(super) pid: i32,
    /// The channel.
    pub(super) channel: String,
    /// What was said; may be empty.
    pub(super) payload: String,
}

/// Every session that listens to something.
#[derive(Debug, Default)]
pub(super) struct Channels {
    listeners: Mutex<HashMap<i32, Listener>>,
}

#[derive(Debug)]
struct Listener {
    channels: BTreeSet<String>,
    queue: mpsc::Sender<Arc<Notification>>,
}

/// The place of one session among the listeners, which goes with it.
#[derive(Debug)]
pub(super) struct Ear {
    all: Arc<Channels>,
    pid: i32,
    heard: mpsc::Receiver<Arc<Notification>>,
}

impl Channels {
    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a session a listener, to nothing yet.
    pub(super) fn listener(self: &Arc<Self>, pid: i32) -> Ear {
        let (queue, heard) = mpsc::channel(NOTIFICATIONS_MAX);
        self.lock().insert(pid, Listener { channels: BTreeSet::new(), queue });
        Ear { all: Arc::clone(self), pid, heard }
    }

    /// Says something to everybody who listens, the speaker included.
    pub(super) fn say(&self, said: &Arc<Notification>) {
        self.lock().retain(|_, listener| {
            !listener.channels.contains(&said.channel)
                || listener.queue.try_send(Arc::clone(said)).is_ok()
        });
    }
}

impl Ear {
    /// Returns what the session listens to.
    pub(super) fn channels(&self) -> BTreeSet<String> {
        self.all.lock().get(&self.pid).map(|own| own.channels.clone()).unwrap_or_default()
    }

    /// Listens to these channels and no others.
    pub(super) fn listen(&self, channels: BTreeSet<String>) {
        if let Some(own) = self.all.lock().get_mut(&self.pid) {
            own.channels = channels;
        }
    }

    /// Waits for what is said next; `None` once the session has been let go and has heard the rest.
    pub(super) async fn hear(&mut self) -> Option<Arc<Notification>> {
        self.heard.recv().await
    }

    /// Returns what was said already.
    pub(super) fn heard(&mut self) -> Option<Arc<Notification>> {
        self.heard.try_recv().ok()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.all.lock().remove(&self.pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(channel: &str, payload: &str) -> Arc<Notification> {
        Arc::new(Notification { pid: 1, channel: channel.into(), payload: payload.into() })
    }

    #[test]
    fn who_listens_hears_and_nobody_else() {
        let channels = Arc::new(Channels::default());
        let (mut one, mut two) = (channels.listener(1), channels.listener(2));
        one.listen(BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        channels.say(&said("a", "x"));
        channels.say(&said("c", "y"));
        assert_eq!(one.heard(), Some(said("a", "x")));
        assert_eq!((one.heard(), two.heard()), (None, None));
        one.listen(BTreeSet::new());
        channels.say(&said("a", "z"));
        assert_eq!(one.heard(), None);
        drop(one);
        assert_eq!(channels.lock().len(), 1);
    }

    #[tokio::test]
    async fn a_listener_that_does_not_read_is_let_go() {
        let channels = Arc::new(Channels::default());
        let mut deaf = channels.listener(1);
        deaf.listen(BTreeSet::from(["a".to_owned()]));
        for _ in 0..=NOTIFICATIONS_MAX {
            channels.say(&said("a", ""));
        }
        let mut heard = 0;
        while deaf.hear().await.is_some() {
            heard += 1;
        }
        assert_eq!(heard, NOTIFICATIONS_MAX);
    }
}
