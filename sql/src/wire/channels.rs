//! Channels: which session listens to what, and what one says to the others.
//!
//! They live in memory and end with the process, as notifications of PostgreSQL do. What is said reaches the queue of each
//! listener at once; a listener that does not read is let go when its queue is full, so that nobody waits for it.
//!
//! A role has channels of its own: what one says may be of persons whom another must not see, and nothing on the way could
//! tell.

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
    role: Arc<str>,
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

    /// Makes a session of `role` a listener, to nothing yet.
    pub(super) fn listener(self: &Arc<Self>, pid: i32, role: &Arc<str>) -> Ear {
        let (queue, heard) = mpsc::channel(NOTIFICATIONS_MAX);
        let listener = Listener { role: Arc::clone(role), channels: BTreeSet::new(), queue };
        self.lock().insert(pid, listener);
        Ear { all: Arc::clone(self), pid, heard }
    }

    /// Says something to every session of `role` that listens, the speaker included.
    pub(super) fn say(&self, role: &str, said: &Arc<Notification>) {
        self.lock().retain(|_, listener| {
            *listener.role != *role
                || !listener.channels.contains(&said.channel)
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

    fn role(name: &str) -> Arc<str> {
        name.into()
    }

    #[test]
    fn who_listens_hears_and_nobody_else() {
        let channels = Arc::new(Channels::default());
        let ada = role("ada");
        let (mut one, mut two) = (channels.listener(1, &ada), channels.listener(2, &ada));
        one.listen(BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        channels.say("ada", &said("a", "x"));
        channels.say("ada", &said("c", "y"));
        assert_eq!(one.heard(), Some(said("a", "x")));
        assert_eq!((one.heard(), two.heard()), (None, None));
        one.listen(BTreeSet::new());
        channels.say("ada", &said("a", "z"));
        assert_eq!(one.heard(), None);
        drop(one);
        assert_eq!(channels.lock().len(), 1);
    }

    #[test]
    fn a_role_hears_itself_alone() {
        let channels = Arc::new(Channels::default());
        let (mut ada, mut eve) =
            (channels.listener(1, &role("ada")), channels.listener(2, &role("eve")));
        for ear in [&ada, &eve] {
            ear.listen(BTreeSet::from(["a".to_owned()]));
        }
        channels.say("ada", &said("a", "x"));
        assert_eq!((ada.heard(), eve.heard()), (Some(said("a", "x")), None));
        channels.say("eve", &said("a", "y"));
        assert_eq!((ada.heard(), eve.heard()), (None, Some(said("a", "y"))));
    }

    #[tokio::test]
    async fn a_listener_that_does_not_read_is_let_go() {
        let channels = Arc::new(Channels::default());
        let mut deaf = channels.listener(1, &role("ada"));
        deaf.listen(BTreeSet::from(["a".to_owned()]));
        for _ in 0..=NOTIFICATIONS_MAX {
            channels.say("ada", &said("a", ""));
        }
        let mut heard = 0;
        while deaf.hear().await.is_some() {
            heard += 1;
        }
        assert_eq!(heard, NOTIFICATIONS_MAX);
    }
}
