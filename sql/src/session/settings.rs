//! The values of a session's settings, which follow its transactions.
//!
//! `SET` is undone when its transaction is rolled back, `SET LOCAL` at its end. A transaction is a block, or a text of the
//! simple protocol, or a series of messages up to a Sync; a lone statement is one, too. What a change means for the engine is
//! told to it by whoever changes a setting; what it means for the client is kept here until it is reported.

use std::borrow::Cow;
use std::time::Duration;

use engine::query::postgres::{DateOrder, settings};

use super::setting::{ROLE, Rule, SETTINGS, accept_custom, index_of, milliseconds};
use super::values::{Change, Place, Values};
use crate::wire::{IntervalStyle, WireError, Zone, sqlstate};

/// Settings that a client makes up in one session, at most.
const CUSTOM_SETTINGS_MAX: usize = 1_000;

/// The settings of one session.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    current: Values,
    /// What holds after the transaction.
    session: Values,
    /// What held when it began, if it has set something.
    before: Option<Values>,
    /// What `RESET` goes back to.
    start: Values,
    /// What the client was last told.
    reported: Vec<Cow<'static, str>>,
    /// Whether something has changed since.
    changed: bool,
    /// The time zone of the current values, with the order of dates.
    zone: Zone,
}

impl Settings {
    /// Returns the defaults for a role, with nothing reported yet.
    pub(crate) fn new(role: &str) -> Settings {
        let mut values = Values::defaults();
        if let Ok(index) = index_of("session_authorization") {
            values.listed[index] = Cow::Owned(role.to_owned());
        }
        let unreported = vec![Cow::Borrowed("\0"); SETTINGS.len()];
        Settings {
            session: values.clone(),
            start: values.clone(),
            zone: zone_of(&values),
            current: values,
            before: None,
            reported: unreported,
            changed: true,
        }
    }

    /// Notes that the current values have changed.
    fn note_change(&mut self) {
        self.changed = true;
        self.zone = zone_of(&self.current);
    }

    /// Returns the value of a setting.
    pub(crate) fn get(&self, name: &str) -> Result<&str, WireError> {
        let place = Place::named(name)?;
        self.current.get(&place).ok_or_else(|| {
            let message = format!("unrecognized configuration parameter \"{}\"", place.name());
            WireError::new(sqlstate::UNDEFINED_OBJECT, message)
                .hint("SET makes it: a name with a dot is a setting of your own.")
        })
    }

    /// Returns the name as `SHOW` spells it.
    pub(crate) fn spelled(name: &str) -> Result<String, WireError> {
        Place::named(name).map(|place| place.name().to_owned())
    }

    /// Returns name, value and explanation of every setting.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &str, &'static str)> {
        let all = SETTINGS.iter().zip(&self.current.listed);
        all.filter(|(setting, _)| setting.name != ROLE)
            .map(|(setting, value)| (setting.name, value.as_ref(), setting.about))
    }

    /// Checks a value for a setting; no values stand for `DEFAULT`.
    pub(crate) fn check(&self, name: &str, values: Option<&[String]>) -> Result<Change, WireError> {
        let place = Place::named(name)?;
        let value = match (&place, values) {
            (Place::Listed(index), Some(values)) => {
                let value = SETTINGS[*index].accept(values)?;
                // A style alone leaves the order as it is.
                match self.current.get(&place) {
                    Some(kept) if SETTINGS[*index].is_style_alone(values) => {
                        Cow::Owned(kept.to_owned())
                    }
                    _ => value,
                }
            }
            // Whoever is at the role that logged in may go back to it.
            (Place::Listed(index), None)
                if matches!(SETTINGS[*index].rule, Rule::Fixed)
                    && SETTINGS[*index].name != "session_authorization" =>
            {
                SETTINGS[*index].accept(&[])?
            }
            (_, None) => owned(self.start.get(&place)),
            (Place::Custom(name), Some(values)) => {
                let known = self.current.get(&place).is_some();
                if !known && self.current.custom_count() >= CUSTOM_SETTINGS_MAX {
                    let message = format!(
                        "too many settings like \"{name}\": the bound is {CUSTOM_SETTINGS_MAX}"
                    );
                    return Err(WireError::new(sqlstate::LIMIT_EXCEEDED, message));
                }
                let value = accept_custom(name, &values.join(", "))?;
                if self.current.custom_bytes(name) + name.len() + value.len()
                    > settings::CUSTOM_BYTES_MAX
                {
                    let message = format!(
                        "settings like \"{name}\" are too long: all of a session have {} bytes",
                        settings::CUSTOM_BYTES_MAX
                    );
                    return Err(WireError::new(sqlstate::LIMIT_EXCEEDED, message)
                        .hint("Keep them in a table."));
                }
                Cow::Owned(value)
            }
        };
        Ok(Change { place, value })
    }

    /// Returns the change to a value that was checked before.
    pub(crate) fn checked(name: &str, value: String) -> Result<Change, WireError> {
        Ok(Change { place: Place::named(name)?, value: Cow::Owned(value) })
    }

    /// Returns the change to the value that a setting has; one of the client's own is empty if it never set it.
    pub(crate) fn kept(&self, name: &str) -> Result<Change, WireError> {
        let place = Place::named(name)?;
        let value = owned(self.current.get(&place));
        Ok(Change { place, value })
    }

    /// Returns the changes that take every setting back to its start.
    pub(crate) fn reset_all(&self) -> Vec<Change> {
        self.current.differences(&self.start)
    }

    /// Returns the changes that lead from the start to here.
    pub(crate) fn since_start(&self) -> Vec<Change> {
        self.start.differences(&self.current)
    }

    /// Stores a checked value, until the end of the transaction if it is `local`.
    pub(crate) fn store(&mut self, change: Change, local: bool) {
        // Most transactions set nothing, and pay nothing for that.
        if self.before.is_none() {
            self.before = Some(self.session.clone());
        }
        if !local {
            self.session.put(&change.place, change.value.clone());
        }
        self.current.put(&change.place, change.value);
        self.note_change();
    }

    /// Stores a checked value that no transaction undoes.
    pub(crate) fn store_for_good(&mut self, change: Change) {
        if let Some(before) = &mut self.before {
            before.put(&change.place, change.value.clone());
        }
        self.session.put(&change.place, change.value.clone());
        self.current.put(&change.place, change.value);
        self.note_change();
    }

    /// Stores a value of the start-up, which `RESET` will go back to.
    pub(crate) fn store_start(&mut self, change: Change) {
        self.start.put(&change.place, change.value.clone());
        self.store_for_good(change);
    }

    /// Stores what the server tells of itself, which nobody changes.
    pub(crate) fn tell(&mut self, name: &str, value: &str) {
        if let Ok(place) = Place::named(name) {
            self.store_start(Change { place, value: Cow::Owned(value.to_owned()) });
        }
    }

    /// Ends a transaction, and returns what that changed back; `None` if it has set nothing.
    pub(crate) fn end(&mut self, committed: bool) -> Option<Vec<Change>> {
        let before = self.before.take()?;
        if !committed {
            self.session = before;
        }
        self.session.remember(&self.current);
        let changes = self.current.differences(&self.session);
        self.current = self.session.clone();
        self.note_change();
        Some(changes)
    }

    /// Returns what a savepoint remembers.
    pub(crate) fn snapshot(&self) -> (Values, Values) {
        (self.current.clone(), self.session.clone())
    }

    /// Goes back to a savepoint, and returns what that changed.
    pub(crate) fn restore(&mut self, (mut current, mut session): (Values, Values)) -> Vec<Change> {
        current.remember(&self.current);
        session.remember(&self.current);
        let changes = self.current.differences(&current);
        (self.current, self.session) = (current, session);
        self.note_change();
        changes
    }

    /// Returns the reported settings that the client has an old value of, and counts them as told.
    pub(crate) fn take_reports(&mut self) -> Vec<(&'static str, String)> {
        let mut reports = Vec::new();
        if !std::mem::take(&mut self.changed) {
            return reports;
        }
        for ((setting, value), reported) in
            SETTINGS.iter().zip(&self.current.listed).zip(&mut self.reported)
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
        self.zone.clone()
    }

    /// Returns the style that intervals are shown in.
    pub(crate) fn intervals(&self) -> IntervalStyle {
        self.get("IntervalStyle").map_or(IntervalStyle::Postgres, IntervalStyle::named)
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

    /// Returns whether warnings are wanted.
    pub(crate) fn wants_warnings(&self) -> bool {
        !self.get("client_min_messages").is_ok_and(|level| level == "error")
    }

    /// Returns whether notices are wanted.
    pub(crate) fn wants_notices(&self) -> bool {
        !self.get("client_min_messages").is_ok_and(|level| matches!(level, "warning" | "error"))
    }
}

fn zone_of(values: &Values) -> Zone {
    let value = |name| Place::named(name).ok().and_then(|place| values.get(&place));
    let zone = value("TimeZone").and_then(Zone::parse).unwrap_or_else(Zone::utc);
    zone.with_order(value("DateStyle").map(DateOrder::named).unwrap_or_default())
}

fn owned(value: Option<&str>) -> Cow<'static, str> {
    Cow::Owned(value.unwrap_or_default().to_owned())
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
            ("datestyle", "ISO", "ISO, DMY"),
            ("datestyle", "ymd", "ISO, YMD"),
            ("datestyle", "default", "ISO, MDY"),
            ("client_encoding", "utf-8", "UTF8"),
            ("client_encoding", "'utf-8'", "UTF8"),
            ("statement_timeout", "90000", "90s"),
            ("statement_timeout", "1500", "1500ms"),
            ("statement_timeout", "0", "0"),
            ("standard_conforming_strings", "true", "on"),
            ("search_path", "Sales", "\"Sales\""),
            ("intervalstyle", "ISO_8601", "iso_8601"),
            ("role", "none", "none"),
            ("jit", "TRU", "on"),
            ("jit", "of", "off"),
            ("jit", "y", "on"),
            ("jit", "0", "off"),
        ] {
            set(&mut settings, name, value, false);
            assert_eq!(settings.get(name).unwrap(), shown, "{name} = {value}");
        }
        assert_eq!(settings.timeout("statement_timeout"), None);
        for (level, warnings, notices) in
            [("notice", true, true), ("warning", true, false), ("error", false, false)]
        {
            set(&mut settings, "client_min_messages", level, false);
            let wanted = (settings.wants_warnings(), settings.wants_notices());
            assert_eq!(wanted, (warnings, notices), "{level}");
        }
        assert!(settings.all().all(|(name, ..)| name != "role"));
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
            ("datestyle", "ISO, odd", "22023"),
            ("datestyle", "DMY, YMD", "22023"),
            ("client_encoding", "LATIN1", "0A000"),
            ("statement_timeout", "-1", "22023"),
            ("extra_float_digits", "4", "22023"),
            ("bytea_output", "escape", "0A000"),
            ("bytea_output", "base64", "22023"),
            ("IntervalStyle", "sql_standard", "0A000"),
            ("max_connections", "5", "55P02"),
            ("app.9", "5", "42704"),
            ("transaction_isolation", "chaos", "22023"),
            ("role", "engineer", "22023"),
            ("jit", "o", "22023"),
            ("jit", "", "22023"),
        ] {
            let error = settings.check(name, Some(&[value.to_owned()])).unwrap_err();
            assert_eq!(error.sqlstate, sqlstate, "{name} = {value}");
        }
    }

    #[test]
    fn settings_of_the_clients_own_are_bounded_together() {
        let mut settings = Settings::new("ada");
        let long = "x".repeat(60 << 10);
        for number in 0..17 {
            set(&mut settings, &format!("app.s{number}"), &long, false);
        }
        set(&mut settings, "app.s1", &long, false);
        let error = settings.check("app.more", Some(&[long])).unwrap_err();
        assert_eq!(error.sqlstate, "54000");
    }

    #[test]
    fn settings_that_have_no_effect_are_kept_as_they_are_said() {
        let mut settings = Settings::new("ada");
        for (name, value, shown) in [
            ("jit", "false", "off"),
            ("work_mem", "64MB", "64MB"),
            ("random_page_cost", "1.1", "1.1"),
            ("plan_cache_mode", "force_generic_plan", "force_generic_plan"),
            ("row_security", "off", "off"),
            ("synchronous_commit", "false", "off"),
            ("synchronous_commit", "remote_apply", "remote_apply"),
            ("extra_float_digits", "0", "0"),
            ("extra_float_digits", "-1", "-1"),
            ("default_text_search_config", "pg_catalog.polish", "pg_catalog.polish"),
        ] {
            set(&mut settings, name, value, false);
            assert_eq!(settings.get(name).unwrap(), shown, "{name} = {value}");
        }
        for (name, value) in [("jit", "maybe"), ("work_mem", "much"), ("row_security", "perhaps")] {
            let error = settings.check(name, Some(&[value.to_owned()])).unwrap_err();
            assert_eq!(error.sqlstate, "22023", "{name} = {value}");
        }
    }

    #[test]
    fn settings_follow_the_transaction() {
        let mut settings = Settings::new("ada");
        assert_eq!(settings.end(true), None);
        set(&mut settings, "timezone", "Europe/Warsaw", false);
        set(&mut settings, "statement_timeout", "5s", true);
        let changes = settings.end(true).unwrap();
        assert_eq!(settings.get("timezone").unwrap(), "Europe/Warsaw");
        assert_eq!(settings.get("statement_timeout").unwrap(), "0");
        assert_eq!(changes.iter().map(Change::name).collect::<Vec<_>>(), ["statement_timeout"]);

        set(&mut settings, "cdp.purpose", "analytics", false);
        let changes = settings.end(false).unwrap();
        assert_eq!(settings.get("cdp.purpose").unwrap(), "");
        assert!(changes.iter().any(Change::is_purpose));
        assert_eq!(settings.end(false), None);
    }

    #[test]
    fn what_is_stored_for_good_is_not_undone() {
        let mut settings = Settings::new("ada");
        set(&mut settings, "timezone", "Europe/Warsaw", false);
        settings.store_for_good(Settings::checked("cdp.purpose", "audit".to_owned()).unwrap());
        let changes = settings.end(false).unwrap();
        assert_eq!(changes.iter().map(Change::name).collect::<Vec<_>>(), ["TimeZone"]);
        assert_eq!(settings.get("cdp.purpose").unwrap(), "audit");
        settings.store_for_good(Settings::checked("cdp.purpose", String::new()).unwrap());
        assert_eq!(settings.end(false), None);
        assert_eq!(settings.get("cdp.purpose").unwrap(), "");
    }

    #[test]
    fn settings_of_the_clients_own_follow_the_transaction_and_stay_known() {
        let mut settings = Settings::new("ada");
        assert_eq!(settings.get("app.tenant").unwrap_err().sqlstate, "42704");
        set(&mut settings, "App.Tenant", "7", false);
        assert_eq!(settings.get("app.TENANT").unwrap(), "7");
        assert_eq!(settings.end(true), Some(vec![]));
        set(&mut settings, "app.tenant", "8", true);
        set(&mut settings, "app.user", "ada", false);
        let before = settings.snapshot();
        set(&mut settings, "app.later", "x", false);
        assert_eq!(settings.restore(before).len(), 1);
        assert_eq!(settings.get("app.later").unwrap(), "");
        let changes = settings.end(false).unwrap();
        let names: Vec<&str> = changes.iter().map(Change::name).collect();
        assert_eq!(names, ["app.tenant", "app.user"]);
        assert_eq!(settings.get("app.tenant").unwrap(), "7");
        assert_eq!(settings.get("app.user").unwrap(), "");
        assert_eq!(settings.reset_all().iter().map(|c| &*c.value).collect::<Vec<_>>(), [""]);
        assert_eq!(settings.check("app.tenant", None).unwrap().value, "");
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
