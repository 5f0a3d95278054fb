//! What a statement says in channels by calling `pg_notify`.
//!
//! Whoever keeps the channels of a session takes what was said when the statement has ended, and sends it when its
//! transaction commits.

use parking_lot::Mutex;

use super::facts::SessionFacts;
use crate::error::{Error, Result};

/// Bytes of the name of a channel at most.
const CHANNEL_BYTES_MAX: usize = 63;
/// Bytes of what is said in a channel at most.
const PAYLOAD_BYTES_MAX: usize = 7_999;
/// Notifications of one statement at most, and of one transaction.
pub const NOTIFICATIONS_MAX: usize = 1_024;

/// A channel, and what is said in it.
pub type Said = (String, String);

/// What the statement has said so far.
#[derive(Debug, Default)]
pub(super) struct Notified(Mutex<Vec<Said>>);

impl SessionFacts {
    /// Says something for a function.
    pub(super) fn say(&self, channel: &str, payload: &str) -> Result<()> {
        check_channel(channel)?;
        check_payload(payload)?;
        let mut said = self.notified.0.lock();
        // The same said twice in one transaction is heard once.
        if said.iter().any(|(known, text)| known == channel && text == payload) {
            return Ok(());
        }
        if said.len() >= NOTIFICATIONS_MAX {
            return Err(too_many_notifications());
        }
        said.push((channel.to_owned(), payload.to_owned()));
        Ok(())
    }

    /// Returns what was said since this was asked last.
    pub fn take_said(&self) -> Vec<Said> {
        std::mem::take(&mut self.notified.0.lock())
    }
}

/// Fails unless a channel may have this name.
///
/// # Errors
/// [`Error::Standard`] for one that is empty or too long.
pub fn check_channel(channel: &str) -> Result<()> {
    let message = match channel.len() {
        0 => "channel name cannot be empty",
        bytes if bytes > CHANNEL_BYTES_MAX => "channel name too long",
        _ => return Ok(()),
    };
    Err(Error::Standard {
        sqlstate: "22023",
        message: message.into(),
        hint: format!("A channel has a name of 1 to {CHANNEL_BYTES_MAX} bytes."),
    })
}

/// Fails unless this may be said in a channel.
///
/// # Errors
/// [`Error::Standard`] for what is too long.
pub fn check_payload(payload: &str) -> Result<()> {
    match payload.len() <= PAYLOAD_BYTES_MAX {
        true => Ok(()),
        false => Err(Error::Standard {
            sqlstate: "22023",
            message: "payload string too long".into(),
            hint: format!("A payload has at most {PAYLOAD_BYTES_MAX} bytes."),
        }),
    }
}

/// The answer to more than a transaction may say.
pub fn too_many_notifications() -> Error {
    Error::Limit {
        sqlstate: "54000",
        message: format!(
            "too many notifications in one transaction: the bound is {NOTIFICATIONS_MAX}"
        ),
        hint: "Commit more often.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::postgres::snapshot::Snapshot;

    #[test]
    fn what_is_said_is_checked_and_taken_once() {
        let snapshot = Snapshot::new(vec![], &[], &[]);
        let facts = SessionFacts::new("ada".into(), "onefold".into(), 1, 0, snapshot);
        let said = |channel: &str, payload: &str| (channel.to_owned(), payload.to_owned());
        for (channel, payload) in [("a", "x"), ("a", ""), ("a", "x"), ("b", "x")] {
            facts.say(channel, payload).unwrap();
        }
        assert_eq!(facts.take_said(), [said("a", "x"), said("a", ""), said("b", "x")]);
        assert!(facts.take_said().is_empty());
        let long = "x".repeat(PAYLOAD_BYTES_MAX + 1);
        let long = long.as_str();
        for (channel, payload) in [("", "x"), (&long[..CHANNEL_BYTES_MAX + 1], ""), ("a", long)] {
            assert_eq!(facts.say(channel, payload).unwrap_err().sqlstate(), "22023");
        }
        let texts: Vec<String> = (0..=NOTIFICATIONS_MAX).map(|at| at.to_string()).collect();
        let refused = texts.iter().find_map(|text| facts.say("a", text).err());
        assert_eq!(refused.unwrap().sqlstate(), "54000");
    }
}
