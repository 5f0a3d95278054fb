//! Settings that a statement changes by calling `set_config`.
//!
//! Whoever keeps the settings of a session says how values are checked, and takes what was changed when the statement
//! has ended: functions see the new value at once, `SHOW` and what depends on the setting from then on.

use std::borrow::Cow;
use std::sync::OnceLock;

use parking_lot::Mutex;

use super::facts::SessionFacts;
use super::settings;
use crate::error::{Error, Result};

/// Settings that a client makes up in one session, at most.
const CUSTOM_SETTINGS_MAX: usize = 1_000;

/// The setting that names the role that a session has taken, and its value for none.
pub(super) const ROLE: &str = "role";
pub(super) const NO_ROLE: &str = "none";

/// Says which value a setting has when it is set to a text, or why it cannot be.
pub type CheckSetting = fn(&str, &str) -> Result<String>;

/// What `set_config` did, for whoever keeps the settings of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// The setting, as the list of settings spells it; one of the client's own in lower case.
    pub name: Cow<'static, str>,
    /// Its new value; `None` for its default.
    pub value: Option<String>,
    /// Whether it has it for the transaction alone.
    pub local: bool,
}

/// What functions set in one session.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    check: OnceLock<CheckSetting>,
    changes: Mutex<Vec<Configured>>,
}

impl Configuration {
    /// Notes a change. The one before it of the same kind is done with: a statement may call its function for every row.
    fn note(&self, change: Configured) {
        let mut changes = self.changes.lock();
        changes.retain(|before| (&before.name, before.local) != (&change.name, change.local));
        changes.push(change);
    }
}

impl SessionFacts {
    /// Tells how values of settings are checked: by whoever keeps the settings of the session.
    pub fn check_settings_by(&self, check: CheckSetting) {
        // Told once, when the session is opened.
        let _ = self.configured.check.set(check);
    }

    /// Changes a setting for a function, and notes it for [`SessionFacts::take_configured`]; returns its new value.
    pub(super) fn configure(
        &self,
        name: &str,
        value: Option<&str>,
        local: bool,
    ) -> Result<Option<String>> {
        if settings::is_custom(name) {
            let name = name.to_lowercase();
            return self.configure_custom(&name, value.unwrap_or(""), local).map(Some);
        }
        if name.eq_ignore_ascii_case(ROLE) {
            return self.configure_role(value.unwrap_or(NO_ROLE)).map(Some);
        }
        let Some(known) = settings::find(name) else {
            return Err(match self.setting(name) {
                None => unknown_setting(name),
                Some(_) => Error::Denied {
                    message: format!("setting \"{name}\" cannot be changed by a function"),
                    hint: "Use SET where the setting belongs to the session.".to_string(),
                },
            });
        };
        // What a transaction may do is decided before its functions run.
        if !known.user || known.name.starts_with("transaction_") {
            return Err(Error::Standard {
                sqlstate: "55P02",
                message: format!("parameter \"{}\" cannot be changed", known.name),
                hint: "It tells about the server, the log-in or the transaction.".to_string(),
            });
        }
        let value = match (value, self.configured.check.get()) {
            (Some(value), Some(check)) => Some(check(known.name, value)?),
            (value, _) => value.map(str::to_string),
        };
        self.set(known.name, value.as_deref());
        let name = Cow::Borrowed(known.name);
        self.configured.note(Configured { name, value, local });
        Ok(self.setting(known.name))
    }

    /// Takes another role: a session stays that which logged in, so there is none to take but its own.
    fn configure_role(&self, role: &str) -> Result<String> {
        if role == NO_ROLE || role == self.role {
            return Ok(role.to_string());
        }
        Err(match self.snapshot().roles.iter().any(|(known, _)| known == role) {
            true => Error::Denied {
                message: format!("permission denied to set role \"{role}\""),
                hint: "Connect as the role.".to_string(),
            },
            false => Error::Standard {
                sqlstate: "22023",
                message: format!("role \"{role}\" does not exist"),
                hint: "SELECT rolname FROM pg_roles lists the roles.".to_string(),
            },
        })
    }

    /// Changes a setting that the client has made up.
    fn configure_custom(&self, name: &str, value: &str, local: bool) -> Result<String> {
        if self.setting(name).is_none() && self.shares() >= CUSTOM_SETTINGS_MAX {
            return Err(Error::Standard {
                sqlstate: "54000",
                message: format!(
                    "too many settings like \"{name}\": the bound is {CUSTOM_SETTINGS_MAX}"
                ),
                hint: "Use those that there are.".to_string(),
            });
        }
        let value = match self.configured.check.get() {
            Some(check) => check(name, value)?,
            None => value.to_string(),
        };
        if self.shared_bytes(name) + name.len() + value.len() > settings::CUSTOM_BYTES_MAX {
            return Err(Error::Standard {
                sqlstate: "54000",
                message: format!(
                    "settings like \"{name}\" are too long: all of a session have {} bytes",
                    settings::CUSTOM_BYTES_MAX
                ),
                hint: "Keep them in a table.".to_string(),
            });
        }
        self.share(name, &value);
        let name = Cow::Owned(name.to_string());
        self.configured.note(Configured { name, value: Some(value.clone()), local });
        Ok(value)
    }

    /// Returns what functions have set since this was asked last.
    pub fn take_configured(&self) -> Vec<Configured> {
        std::mem::take(&mut self.configured.changes.lock())
    }
}

/// The answer to the name of a setting that there is not.
pub(super) fn unknown_setting(name: &str) -> Error {
    Error::Standard {
        sqlstate: "42704",
        message: format!("unrecognized configuration parameter \"{name}\""),
        hint: "SHOW ALL lists the settings there are.".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::postgres::snapshot::Snapshot;

    #[test]
    fn what_functions_set_is_checked_and_noted() {
        let facts = SessionFacts::new(
            "ada".into(),
            "onefold".into(),
            1,
            0,
            Snapshot::new(vec![], &[], &[]),
        );
        facts.check_settings_by(|_, value| Ok(value.to_lowercase()));
        assert_eq!(facts.configure("JIT", Some("OFF"), true).unwrap().as_deref(), Some("off"));
        assert_eq!(facts.configure("work_mem", None, false).unwrap().as_deref(), Some("4MB"));
        for (name, sqlstate) in [
            ("server_version", "55P02"),
            ("transaction_read_only", "55P02"),
            ("nothing", "42704"),
            ("cdp.purpose", "42704"),
        ] {
            let error = facts.configure(name, Some("x"), false).unwrap_err();
            assert_eq!(error.sqlstate(), sqlstate, "{name}");
        }
        for role in ["none", "ada"] {
            assert_eq!(facts.configure("role", Some(role), false).unwrap().as_deref(), Some(role));
        }
        assert_eq!(facts.configure("Role", Some("bob"), false).unwrap_err().sqlstate(), "22023");
        assert_eq!(facts.setting("role").as_deref(), Some("none"));
        let set = |name, value: Option<&str>, local| Configured {
            name: Cow::Borrowed(name),
            value: value.map(str::to_string),
            local,
        };
        assert_eq!(facts.configure("App.Tenant", Some("A"), true).unwrap().as_deref(), Some("a"));
        assert_eq!(facts.setting("app.tenant").as_deref(), Some("a"));
        let expected = [
            set("jit", Some("off"), true),
            set("work_mem", None, false),
            set("app.tenant", Some("a"), true),
        ];
        assert_eq!(facts.take_configured(), expected);
        assert!(facts.take_configured().is_empty());
    }

    #[test]
    fn what_a_statement_sets_for_each_row_is_kept_once_and_all_is_bounded() {
        let facts = SessionFacts::new(
            "ada".into(),
            "onefold".into(),
            1,
            0,
            Snapshot::new(vec![], &[], &[]),
        );
        for local in [false, true, false] {
            facts.configure("app.row", Some(&local.to_string()), local).unwrap();
        }
        let kept = facts.take_configured();
        let kept: Vec<_> =
            kept.iter().map(|change| (change.value.as_deref(), change.local)).collect();
        assert_eq!(kept, [(Some("true"), true), (Some("false"), false)]);
        let long = "x".repeat(settings::CUSTOM_BYTES_MAX / 2);
        facts.configure("app.one", Some(&long), false).unwrap();
        facts.configure("app.one", Some(&long), false).unwrap();
        let error = facts.configure("app.two", Some(&long), false).unwrap_err();
        assert_eq!(error.sqlstate(), "54000");
    }
}
