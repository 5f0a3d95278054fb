//! The settings that a session has, as PostgreSQL names them.
//!
//! One list with the defaults; a session keeps what it changed. `SHOW`, `current_setting`, `set_config` and
//! `pg_settings` read the same list, so that they cannot disagree.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its name, as PostgreSQL spells it.
    pub name: &'static str,
    /// What it is when nobody set it.
    pub default: &'static str,
    /// `bool`, `integer`, `string` or `enum`.
    pub kind: &'static str,
    /// Whether a session may change it.
    pub user: bool,
    /// What it is for.
    pub description: &'static str,
}

/// The version of PostgreSQL whose catalog and functions this is.
pub const SERVER_VERSION: &str = "15.18";

/// The same as a number.
pub const SERVER_VERSION_NUMBER: &str = "150018";

const fn setting(
    name: &'static str,
    default: &'static str,
    kind: &'static str,
    user: bool,
    description: &'static str,
) -> Setting {
    Setting { name, default, kind, user, description }
}

/// Every setting, sorted by name without regard to case.
pub const SETTINGS: [Setting; 32] = [
    setting(
        "application_name",
        "",
        "string",
        true,
        "Sets the application name to be reported in statistics and logs.",
    ),
    setting("block_size", "8192", "integer", false, "Shows the size of a disk block."),
    setting("bytea_output", "hex", "enum", true, "Sets the output format for bytea."),
    setting("client_encoding", "UTF8", "string", true, "Sets the client's character set encoding."),
    setting(
        "client_min_messages",
        "notice",
        "enum",
        true,
        "Sets the message levels that are sent to the client.",
    ),
    setting(
        "DateStyle",
        "ISO, MDY",
        "string",
        true,
        "Sets the display format for date and time values.",
    ),
    setting(
        "default_transaction_isolation",
        "read committed",
        "enum",
        true,
        "Sets the transaction isolation level of each new transaction.",
    ),
    setting(
        "default_transaction_read_only",
        "off",
        "bool",
        true,
        "Sets the default read-only status of new transactions.",
    ),
    setting(
        "extra_float_digits",
        "1",
        "integer",
        true,
        "Sets the number of digits displayed for floating-point values.",
    ),
    setting(
        "idle_in_transaction_session_timeout",
        "0",
        "integer",
        true,
        "Sets the maximum allowed idle time between queries, when in a transaction.",
    ),
    setting(
        "in_hot_standby",
        "off",
        "bool",
        false,
        "Shows whether hot standby is currently active.",
    ),
    setting("integer_datetimes", "on", "bool", false, "Shows whether datetimes are integer based."),
    setting(
        "IntervalStyle",
        "postgres",
        "enum",
        true,
        "Sets the display format for interval values.",
    ),
    setting("is_superuser", "off", "bool", false, "Shows whether the current user is a superuser."),
    setting("lc_collate", "C", "string", false, "Shows the collation order locale."),
    setting(
        "lc_ctype",
        "C",
        "string",
        false,
        "Shows the character classification and case conversion locale.",
    ),
    setting(
        "lc_messages",
        "C",
        "string",
        false,
        "Sets the language in which messages are displayed.",
    ),
    setting(
        "lc_monetary",
        "C",
        "string",
        false,
        "Sets the locale for formatting monetary amounts.",
    ),
    setting(
        "lock_timeout",
        "0",
        "integer",
        true,
        "Sets the maximum allowed duration of any wait for a lock.",
    ),
    setting(
        "max_identifier_length",
        "63",
        "integer",
        false,
        "Shows the maximum identifier length.",
    ),
    setting("max_index_keys", "32", "integer", false, "Shows the maximum number of index keys."),
    setting("row_security", "on", "bool", true, "Enable row security."),
    setting(
        "search_path",
        "\"$user\", public",
        "string",
        true,
        "Sets the schema search order for names that are not schema-qualified.",
    ),
    setting(
        "server_encoding",
        "UTF8",
        "string",
        false,
        "Shows the server (database) character set encoding.",
    ),
    setting("server_version", SERVER_VERSION, "string", false, "Shows the server version."),
    setting(
        "server_version_num",
        SERVER_VERSION_NUMBER,
        "integer",
        false,
        "Shows the server version as an integer.",
    ),
    setting(
        "standard_conforming_strings",
        "on",
        "bool",
        true,
        "Causes '...' strings to treat backslashes literally.",
    ),
    setting(
        "statement_timeout",
        "0",
        "integer",
        true,
        "Sets the maximum allowed duration of any statement.",
    ),
    setting(
        "TimeZone",
        "UTC",
        "string",
        true,
        "Sets the time zone for displaying and interpreting time stamps.",
    ),
    setting(
        "transaction_isolation",
        "read committed",
        "enum",
        true,
        "Sets the current transaction's isolation level.",
    ),
    setting(
        "transaction_read_only",
        "off",
        "bool",
        true,
        "Sets the current transaction's read-only status.",
    ),
    setting(
        "wal_level",
        "replica",
        "enum",
        false,
        "Sets the level of information written to the WAL.",
    ),
];

/// Returns the setting with this name, whatever its case.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| s.name.eq_ignore_ascii_case(name))
}

/// Splits a `search_path` into schema names: commas outside quotes, `$user` as the role.
pub fn schemas_of(search_path: &str, role: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = search_path.trim();
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some((name, after)) => (name.to_string(), after),
                None => (quoted.to_string(), ""),
            },
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().trim_matches('\'').to_lowercase(), &rest[end..])
            }
        };
        let name = if name == "$user" { role.to_string() } else { name };
        if !name.is_empty() {
            names.push(name);
        }
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_search_paths() {
        let check =
            |path: &str, expected: &[&str]| assert_eq!(schemas_of(path, "ada"), expected, "{path}");
        check("\"$user\", public", &["ada", "public"]);
        check("analytics,public", &["analytics", "public"]);
        check("\"My, Schema\" , Public", &["My, Schema", "public"]);
        check("", &[]);
    }

    #[test]
    fn is_sorted_and_found_by_any_case() {
        assert!(SETTINGS.is_sorted_by_key(|s| s.name.to_lowercase()));
        assert_eq!(find("timezone").map(|s| s.name), Some("TimeZone"));
        assert!(find("datafusion.execution.batch_size").is_none());
    }
}
