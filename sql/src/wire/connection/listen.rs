//! `LISTEN`, `UNLISTEN` and `NOTIFY`: they take effect when their transaction commits, and not at all when it does not.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::query::postgres::{check_channel, check_payload, too_many_notifications};

use super::{Connection, Run, Stop};
use crate::wire::channels::{Ear, Notification};
use crate::wire::error::{Phase, Place, WireError, from_engine, sqlstate};
use crate::wire::limits::{CHANNELS_MAX, NOTIFICATIONS_OF_TRANSACTION_MAX};
use crate::wire::message;

/// What a session listens to, and what its transaction has asked for so far.
pub(super) struct Listening {
    /// The role that logged in: the session hears it and is heard by it.
    role: Arc<str>,
    pending: Vec<Act>,
    ear: Option<Ear>,
}

/// One thing that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    Listen(String),
    /// `None` stands for every channel.
    Unlisten(Option<String>),
    Notify {
        channel: String,
        payload: String,
    },
}

impl Listening {
    /// Makes what a session of `role` begins with: it listens to nothing.
    pub(super) fn of(role: &str) -> Listening {
        Listening { role: role.into(), pending: Vec::new(), ear: None }
    }

    /// Returns how much the transaction has asked for, to go back to.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Forgets what the transaction has asked for since then.
    pub(super) fn back_to(&mut self, pending: usize) {
        self.pending.truncate(pending);
    }

    /// Waits for a notification; for ever if the session listens to nothing.
    pub(super) async fn hear(&mut self) -> Option<Arc<Notification>> {
        match &mut self.ear {
            Some(ear) => ear.hear().await,
            None => std::future::pending().await,
        }
    }
}

impl Connection {
    /// `LISTEN channel`.
    pub(super) fn listen(&mut self, channel: &str) -> Run<String> {
        check_channel(channel).map_err(refused)?;
        self.ask(Act::Listen(channel.to_owned()))?;
        Ok("LISTEN".to_owned())
    }

    /// `UNLISTEN channel`, or all of them.
    pub(super) fn unlisten(&mut self, channel: Option<&str>) -> Run<String> {
        self.ask(Act::Unlisten(channel.map(str::to_owned)))?;
        Ok("UNLISTEN".to_owned())
    }

    /// `NOTIFY channel, payload`.
    pub(super) fn notify(&mut self, channel: &str, payload: &str) -> Run<String> {
        check_channel(channel).and_then(|()| check_payload(payload)).map_err(refused)?;
        let (channel, payload) = (channel.to_owned(), payload.to_owned());
        self.ask(Act::Notify { channel, payload })?;
        Ok("NOTIFY".to_owned())
    }

    /// Says what functions of a statement have said, unless it failed.
    pub(super) fn adopt_said(&mut self, succeeded: bool) -> Run<()> {
        for (channel, payload) in self.session.engine.said() {
            if succeeded {
                self.ask(Act::Notify { channel, payload })?;
            }
        }
        Ok(())
    }

    fn ask(&mut self, act: Act) -> Run<()> {
        let pending = &mut self.session.listening.pending;
        // The same said twice in one transaction is heard once.
        if matches!(act, Act::Notify { .. }) && pending.contains(&act) {
            return Ok(());
        }
        if pending.len() >= NOTIFICATIONS_OF_TRANSACTION_MAX {
            return Err(refused(too_many_notifications()).into());
        }
        pending.push(act);
        Ok(())
    }

    /// Fails if what the transaction has asked for cannot be had; asked before it commits.
    pub(super) fn check_listening(&self) -> Result<(), WireError> {
        if self.channels_wanted().len() <= CHANNELS_MAX {
            return Ok(());
        }
        let message = format!("too many channels: the bound is {CHANNELS_MAX}");
        Err(WireError::new(sqlstate::LIMIT_EXCEEDED, message)
            .hint("UNLISTEN those that are done, or say more in the payload."))
    }

    fn channels_wanted(&self) -> BTreeSet<String> {
        let listening = &self.session.listening;
        let mut channels = listening.ear.as_ref().map(Ear::channels).unwrap_or_default();
        for act in &listening.pending {
            match act {
                Act::Listen(channel) => drop(channels.insert(channel.clone())),
                Act::Unlisten(Some(channel)) => drop(channels.remove(channel)),
                Act::Unlisten(None) => channels.clear(),
                Act::Notify { .. } => {}
            }
        }
        channels
    }

    /// Does what the transaction has asked for, now that it is committed.
    pub(super) fn keep_listening(&mut self) {
        if self.session.listening.pending.is_empty() {
            return;
        }
        let wanted = self.channels_wanted();
        let pid = self.registration.pid;
        let listening = &mut self.session.listening;
        // Whoever listens to nothing is no listener. One that was let go stays so, and ends.
        if !wanted.is_empty() && listening.ear.is_none() {
            listening.ear = Some(self.shared.channels.listener(pid, &listening.role));
        }
        if let Some(ear) = &listening.ear {
            ear.listen(wanted);
        }
        for act in std::mem::take(&mut listening.pending) {
            if let Act::Notify { channel, payload } = act {
                let said = Arc::new(Notification { pid, channel, payload });
                self.shared.channels.say(&listening.role, &said);
            }
        }
    }

    /// Appends what the session has heard meanwhile.
    pub(super) fn tell_heard(&mut self) {
        let Some(ear) = &mut self.session.listening.ear else { return };
        while let Some(heard) = ear.heard() {
            message::notification(&heard, &mut self.outbox);
        }
    }

    /// Appends what the session has just heard. One that was let go ends here.
    pub(super) fn tell(&mut self, heard: Option<Arc<Notification>>) -> Run<()> {
        match heard {
            Some(heard) => {
                message::notification(&heard, &mut self.outbox);
                Ok(())
            }
            None => Err(Stop::Closed(Some(
                WireError::fatal(
                    sqlstate::LIMIT_EXCEEDED,
                    "terminating connection: too many notifications were not read",
                )
                .hint("Read notifications as they come, or UNLISTEN."),
            ))),
        }
    }
}

fn refused(error: engine::Error) -> WireError {
    from_engine(&error, Phase::Planning, Place::NOWHERE)
}
