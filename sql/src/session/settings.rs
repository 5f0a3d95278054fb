//! The values of a session's settings, which follow its transactions.
//!
//! `SET` inside a block is undone by `ROLLBACK`, `SET LOCAL` by the end of the block. What a change means for the engine
//! is told to it by whoever changes a setting; what it means for the client is kept here until it is reported.

use std::borrow::Cow;
use std::time::Duration;

use super::setting::{Rule, SETTINGS, index_of, milliseconds};
use crate::wire::{WireError, Zone};

type Values = Vec<Cow<'static, str>>;

/// A checked value that is about to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    index: usize,
    /// The new value.
    pub(crate) value: Cow<'static, str>,
}

impl Change {
    /// Returns the name of the setting.
    pub(crate) fn name(&self) -> &'static str {
        SETTINGS[self.index].name
    }

    /// Returns whether this is the purpose, under which every plan, portal and cursor stands.
    pub(crate) fn is_purpose(&self) -> bool {
        self.name() == "cdp.purpose"
    }
}

/// The settings of one session.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    current: Values,
    /// What holds after `COMMIT`.
    session: Values,
    /// What held at `BEGIN`.
    before: Option<Values>,
    /// What `RESET` goes back to.
    start: Values,
    /// What the client was last told.
    reported: Values,
}

impl Settings {
    /// Returns the defaults for a role, with nothing reported yet.
    pub(crate) fn new(role: &str) -> Settings {
        let mut values: Values =
            SETTINGS.iter().map(|setting| Cow::Borrowed(setting.default)).collect();
        if let Ok(index) = index_of("session_authorization") {
            values[index] = Cow::Owned(role.to_owned());
        }
        let unreported = vec![Cow::Borrowed("\0"); SETTINGS.len()];
        Settings {
            session: values.clone(),
            start: values.clone(),
            current: values,
            before: None,
            reported: unreported,
        }
    }

    /// Returns the value of a setting.
    pub(crate) fn get(&self, name: &str) -> Result<&str, WireError> {
        index_of(name).map(|index| self.current[index].as_ref())
    }

    /// Returns the name as the table spells it.
    pub(crate) fn spelled(name: &str) -> Result<&'static str, WireError> {
        index_of(name).map(|index| SETTINGS[index].name)
    }

    /// Returns name, value and explanation of every setting.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &str, &'static str)> {
        SETTINGS
            .iter()
            .zip(&self.current)
            .map(|(setting, value)| (setting.name, value.as_ref(), setting.about))
    }

    /// Checks a value for a setting; no values stand for `DEFAULT`.
    pub(crate) fn check(&self, name: &str, values: Option<&[String]>) -> Result<Change, WireError> {
        let index = index_of(name)?;
        let value = match values {
            Some(values) => SETTINGS[index].accept(values)?,
            // Whoever is at the role that logged in may go back to it.
            None if matches!(SETTINGS[index].rule, Rule::Fixed)
                && SETTINGS[index].name != "session_authorization" =>
            {
                SETTINGS[index].accept(&[])?
            }
            None => self.start[index].clone(),
        };
        Ok(Change { index, value })
    }

    /// Returns the change to a value that was checked before.
    pub(crate) fn checked(name: &str, value: String) -> Result<Change, WireError> {
        Ok(Change { index: index_of(name)?, value: Cow::Owned(value) })
    }

    /// Returns the changes that take every setting back to its start.
    pub(crate) fn reset_all(&self) -> Vec<Change> {
        differences(&self.current, &self.start)
    }

    /// Returns the changes that lead from the start to here.
    pub(crate) fn since_start(&self) -> Vec<Change> {
        differences(&self.start, &self.current)
    }

    /// Stores a checked value, until the end of the block if it is `local`.
    pub(crate) fn store(&mut self, change: Change, local: bool) {
        if !local {
            self.session[change.index] = change.value.clone();
        }
        self.current[change.index] = change.value;
    }

    /// Stores a value of the start-up, which `RESET` will go back to.
    pub(crate) fn store_start(&mut self, change: Change) {
        self.start[change.index] = change.value.clone();
        self.store(change, false);
    }

    /// Remembers what `ROLLBACK` goes back to.
    pub(crate) fn begin(&mut self) {
        self.before = Some(self.session.clone());
    }

    /// Ends a block, and returns what it changed back.
    pub(crate) fn end(&mut self, committed: bool) -> Vec<Change> {
        if let Some(before) = self.before.take()
            && !committed
        {
            self.session = before;
        }
        let changes = differences(&self.current, &self.session);
        self.current = self.session.clone();
        changes
    }

    /// Returns what a savepoint remembers.
    pub(crate) fn snapshot(&self) -> (Vec<Cow<'static, str>>, Vec<Cow<'static, str>>) {
        (self.current.clone(), self.session.clone())
    }

    /// Goes back to a savepoint, and returns what that changed.
    pub(crate) fn restore(
        &mut self,
        (current, session): (Vec<Cow<'static, str>>, Vec<Cow<'static, str>>),
    ) -> Vec<Change> {
        let changes = differences(&self.current, &current);
        (self.current, self.session) = (current, session);
        changes
    }

    /// Returns the reported settings that the client has an old value of, and counts them as told.
    pub(crate) fn take_reports(&mut self) -> Vec<(&'static str, String)> {
        let mut reports = Vec::new();
        for ((setting, value), reported) in
            SETTINGS.iter().zip(&self.current).zip(&mut self.reported)
        {
            if setting.reported && reported != value {
                reported.clone_from(value);
                reports.push((setting.name, value.to_string()));
            }
        }
        reports
    }

    /// Returns the time zone that times are shown in.
    pub(crate) fn zone(&self) -> Zone {
        self.get("TimeZone").ok().and_then(Zone::parse).unwrap_or_else(Zone::utc)
    }

    /// Returns a timeout, if it is not 0.
    pub(crate) fn timeout(&self, name: &str) -> Option<Duration> {
        let number = self.get(name).ok().and_then(milliseconds).filter(|number| *number > 0)?;
        Some(Duration::from_millis(number))
    }

    /// Returns whether a setting is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name).is_ok_and(|value| value == "on")
    }

    /// Returns whether notices are wanted.
    pub(crate) fn wants_notices(&self) -> bool {
        !self.get("client_min_messages").is_ok_and(|level| matches!(level, "warning" | "error"))
    }
}

fn differences(from: &Values, to: &Values) -> Vec<Change> {
    let pairs = from.iter().zip(to).enumerate();
    pairs
        .filter(|(_, (from, to))| from != to)
        .map(|(index, (_, to))| Change { index, value: to.clone() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(settings: &mut Settings, name: &str, value: &str, local: bool) {
        let change = settings.check(name, Some(&[value.to_owned()])).unwrap();
        settings.store(change, local);
    }

    #[test]
    fn values_are_checked_and_spelled_as_postgres_does() {
        let mut settings = Settings::new("ada");
        for (name, value, shown) in [
            ("timezone", "Europe/Warsaw", "Europe/Warsaw"),
            ("timezone", "utc", "UTC"),
            ("timezone", "2", "<+02>-02"),
            ("datestyle", "iso, dmy", "ISO, DMY"),
            ("client_encoding", "utf-8", "UTF8"),
            ("client_encoding", "'utf-8'", "UTF8"),
            ("statement_timeout", "90000", "90s"),
            ("statement_timeout", "1500", "1500ms"),
            ("statement_timeout", "0", "0"),
            ("standard_conforming_strings", "true", "on"),
            ("search_path", "Sales", "\"Sales\""),
        ] {
            set(&mut settings, name, value, false);
            assert_eq!(settings.get(name).unwrap(), shown, "{name} = {value}");
        }
        assert_eq!(settings.timeout("statement_timeout"), None);
        assert_eq!(settings.get("session_authorization").unwrap(), "ada");
        assert_eq!(settings.check("session_authorization", None).unwrap().value, "ada");
        assert_eq!(settings.check("server_version", None).unwrap_err().sqlstate, "55P02");
    }

    #[test]
    fn refusals_have_their_sqlstate() {
        let settings = Settings::new("ada");
        for (name, value, sqlstate) in [
            ("datafusion.execution.batch_size", "1", "42501"),
            ("datafusion.runtime.memory_limit", "1G", "42501"),
            ("statement_timout", "1", "42704"),
            ("cdp.role", "engineer", "42704"),
            ("server_version", "16", "55P02"),
            ("session_authorization", "engineer", "55P02"),
            ("timezone", "Mars/Olympus", "22023"),
            ("datestyle", "German", "0A000"),
            ("client_encoding", "LATIN1", "0A000"),
            ("statement_timeout", "-1", "22023"),
            ("extra_float_digits", "0", "22023"),
            ("transaction_isolation", "serializable", "22023"),
        ] {
            let error = settings.check(name, Some(&[value.to_owned()])).unwrap_err();
            assert_eq!(error.sqlstate, sqlstate, "{name} = {value}");
        }
    }

    #[test]
    fn settings_that_have_no_effect_are_kept_as_they_are_said() {
        let mut settings = Settings::new("ada");
        for (name, value, shown) in [
            ("jit", "false", "off"),
            ("work_mem", "64MB", "64MB"),
            ("random_page_cost", "1.1", "1.1"),
            ("plan_cache_mode", "force_generic_plan", "force_generic_plan"),
            ("default_text_search_config", "pg_catalog.polish", "pg_catalog.polish"),
        ] {
            set(&mut settings, name, value, false);
            assert_eq!(settings.get(name).unwrap(), shown, "{name} = {value}");
        }
        for (name, value) in [("jit", "maybe"), ("work_mem", "much"), ("row_security", "off")] {
            let error = settings.check(name, Some(&[value.to_owned()])).unwrap_err();
            assert_eq!(error.sqlstate, "22023", "{name} = {value}");
        }
    }

    #[test]
    fn settings_follow_the_transaction() {
        let mut settings = Settings::new("ada");
        settings.begin();
        set(&mut settings, "timezone", "Europe/Warsaw", false);
        set(&mut settings, "statement_timeout", "5s", true);
        let changes = settings.end(true);
        assert_eq!(settings.get("timezone").unwrap(), "Europe/Warsaw");
        assert_eq!(settings.get("statement_timeout").unwrap(), "0");
        assert_eq!(changes.iter().map(Change::name).collect::<Vec<_>>(), ["statement_timeout"]);

        settings.begin();
        set(&mut settings, "cdp.purpose", "analytics", false);
        let changes = settings.end(false);
        assert_eq!(settings.get("cdp.purpose").unwrap(), "");
        assert!(changes.iter().any(Change::is_purpose));
    }

    #[test]
    fn clients_are_told_of_each_change_once() {
        let mut settings = Settings::new("ada");
        assert!(settings.take_reports().len() > 10);
        assert_eq!(settings.take_reports(), []);
        set(&mut settings, "application_name", "psql", false);
        set(&mut settings, "search_path", "public", false);
        assert_eq!(settings.take_reports(), [("application_name", "psql".to_owned())]);
    }
}
