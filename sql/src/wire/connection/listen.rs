//! `LISTEN`, `UNLISTEN` and `NOTIFY`: they take effect when their transaction commits, and not at all when it does not.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Connection, Run, Stop};
use crate::wire::channels::{Ear, Notification};
use crate::wire::error::{WireError, sqlstate};
use crate::wire::limits::{
    CHANNEL_BYTES_MAX, CHANNELS_MAX, NOTIFICATIONS_OF_TRANSACTION_MAX, PAYLOAD_BYTES_MAX,
};
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
        check_channel(channel)?;
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
        check_channel(channel)?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            let message = "payload string too long";
            return Err(WireError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
                .hint(format!("A payload has at most {PAYLOAD_BYTES_MAX} bytes."))
                .into());
        }
        let (channel, payload) = (channel.to_owned(), payload.to_owned());
        self.ask(Act::Notify { channel, payload })?;
        Ok("NOTIFY".to_owned())
    }

    fn ask(&mut self, act: Act) -> Run<()> {
        let pending = &mut self.session.listening.pending;
        // The same said twice in one transaction is heard once.
        if matches!(act, Act::Notify { .. }) && pending.contains(&act) {
            return Ok(());
        }
        if pending.len() >= NOTIFICATIONS_OF_TRANSACTION_MAX {
            let message = format!(
                "too many notifications in one transaction: the bound is {NOTIFICATIONS_OF_TRANSACTION_MAX}"
            );
            return Err(WireError::new(sqlstate::LIMIT_EXCEEDED, message)
                .hint("Commit more often.")
                .into());
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

fn check_channel(channel: &str) -> Result<(), WireError> {
    let message = match channel.len() {
        0 => "channel name cannot be empty",
        bytes if bytes > CHANNEL_BYTES_MAX => "channel name too long",
        _ => return Ok(()),
    };
    Err(WireError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
        .hint(format!("A channel has a name of 1 to {CHANNEL_BYTES_MAX} bytes.")))
}
