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
        self.configured.changes.lock().push(Configured { name, value, local });
        Ok(self.setting(known.name))
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
        self.share(name, &value);
        let name = Cow::Owned(name.to_string());
        let configured = Configured { name, value: Some(value.clone()), local };
        self.configured.changes.lock().push(configured);
        Ok(value)
    }

    /// Returns what functions have set since this was asked last.
    pub fn take_configured(&self) -> Vec<Configured> {
        std::mem::take(&mut self.configured.changes.lock())
    }
}

/// The answer to the name of a setting that there is not.
pub(super) fn unknown_setting(name: &str) -> Error {
    Error::Missing {
        kind: "setting",
        name: name.to_string(),
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
}
