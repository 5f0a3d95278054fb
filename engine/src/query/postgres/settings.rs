//! The settings that a session has, as PostgreSQL names them.
//!
//! One list, `settings.tsv`, with the defaults and what may be set; a session keeps what it changed. `SHOW` and `SET`,
//! `current_setting`, `set_config` and `pg_settings` read the same list, so that they cannot disagree. A setting that tunes
//! what onefold does not have, such as `jit`, takes the values that PostgreSQL takes and says that it has no effect.

use std::cmp::Ordering;
use std::sync::LazyLock;

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name, as PostgreSQL spells it.
    pub name: &'static str,
    /// What it is when nobody set it.
    pub default: &'static str,
    /// `bool`, `integer`, `real`, `string` or `enum`.
    pub kind: &'static str,
    /// Whether a session may change it.
    pub user: bool,
    /// The values that it may have; empty if its kind alone says so.
    pub choices: Vec<&'static str>,
    /// What it is for.
    pub description: &'static str,
}

/// The version of PostgreSQL whose catalog and functions this is.
pub const SERVER_VERSION: &str = "15.18";

/// The same as a number.
const SERVER_VERSION_NUMBER: &str = "150018";

/// The version that clients see. It begins with two numbers, which is what drivers read.
const SHOWN_VERSION: &str = concat!("15.18 (onefold ", env!("CARGO_PKG_VERSION"), ")");

/// Every setting, sorted by name without regard to case.
pub static SETTINGS: LazyLock<Vec<Setting>> =
    LazyLock::new(|| include_str!("settings.tsv").lines().filter_map(parse).collect());

fn parse(line: &'static str) -> Option<Setting> {
    let mut parts = line.split('\t');
    let name = parts.next()?;
    let default = match (name, parts.next()?) {
        ("server_version", _) => SHOWN_VERSION,
        ("server_version_num", _) => SERVER_VERSION_NUMBER,
        (_, default) => default,
    };
    let (kind, user) = (parts.next()?, parts.next()? == "user");
    let choices = parts.next()?.split('|').filter(|choice| !choice.is_empty()).collect();
    Some(Setting { name, default, kind, user, choices, description: parts.next()? })
}

/// Settings that nobody changes and that the server tells each session when it is opened.
const TOLD: [&str; 2] = ["max_connections", "ssl"];

/// Settings of numbers with a unit, and that unit.
const UNITS: [(&str, &str); 22] = [
    ("backend_flush_after", "8kB"),
    ("client_connection_check_interval", "ms"),
    ("effective_cache_size", "8kB"),
    ("gin_pending_list_limit", "kB"),
    ("idle_in_transaction_session_timeout", "ms"),
    ("idle_session_timeout", "ms"),
    ("lock_timeout", "ms"),
    ("log_parameter_max_length_on_error", "B"),
    ("logical_decoding_work_mem", "kB"),
    ("maintenance_work_mem", "kB"),
    ("min_parallel_index_scan_size", "8kB"),
    ("min_parallel_table_scan_size", "8kB"),
    ("segment_size", "8kB"),
    ("statement_timeout", "ms"),
    ("tcp_keepalives_idle", "s"),
    ("tcp_keepalives_interval", "s"),
    ("tcp_user_timeout", "ms"),
    ("temp_buffers", "8kB"),
    ("vacuum_cost_delay", "ms"),
    ("wal_segment_size", "B"),
    ("wal_skip_threshold", "kB"),
    ("work_mem", "kB"),
];

/// Units that values are written with, each with how many of the base, a byte or a millisecond, it is.
const SIZES: [(&str, f64); 12] = [
    ("8kB", 8192.0),
    ("B", 1.0),
    ("kB", 1024.0),
    ("MB", 1_048_576.0),
    ("GB", 1_073_741_824.0),
    ("TB", 1_099_511_627_776.0),
    ("us", 0.001),
    ("ms", 1.0),
    ("s", 1_000.0),
    ("min", 60_000.0),
    ("h", 3_600_000.0),
    ("d", 86_400_000.0),
];

impl Setting {
    /// Returns the unit that `pg_settings` shows the value in.
    pub fn unit(&self) -> Option<&'static str> {
        UNITS.iter().find(|(name, _)| *name == self.name).map(|(_, unit)| *unit)
    }

    /// Returns a value as `pg_settings` shows it: a number of the unit, if there is one.
    pub fn in_unit(&self, value: &str) -> String {
        let size = |unit: &str| SIZES.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size);
        let split = value.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(value.len());
        let (number, written) = (value[..split].trim().parse::<f64>(), value[split..].trim());
        match (number, size(written), self.unit().and_then(size)) {
            (Ok(number), Some(from), Some(to)) => (number * from / to).round().to_string(),
            _ => value.to_string(),
        }
    }

    /// Tells whether nobody changes it and the server tells it.
    pub(super) fn is_told(&self) -> bool {
        TOLD.contains(&self.name)
    }
}

/// Bytes of the name of a setting that a client makes up.
const CUSTOM_NAME_BYTES_MAX: usize = 127;
/// Bytes of all those of one session, with their names.
pub const CUSTOM_BYTES_MAX: usize = 1 << 20;

/// Tells whether clients may make up a setting of this name, as `app.tenant`: words with dots between, of which the first is
/// none of onefold's own.
pub fn is_custom(name: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && word.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '$'))
    };
    let Some((first, _)) = name.split_once('.') else { return false };
    name.len() <= CUSTOM_NAME_BYTES_MAX
        && !["cdp", "datafusion", "onefold"].iter().any(|own| first.eq_ignore_ascii_case(own))
        && name.split('.').all(is_word)
}

/// Returns the setting with this name, whatever its case.
pub fn find(name: &str) -> Option<&'static Setting> {
    let at = SETTINGS.binary_search_by(|setting| by_name(setting.name, name));
    at.ok().map(|at| &SETTINGS[at])
}

/// Compares the names of settings, which are the same in any case.
pub fn by_name(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.bytes(), other.bytes());
    one.map(|byte| byte.to_ascii_lowercase()).cmp(other.map(|byte| byte.to_ascii_lowercase()))
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
        assert_eq!(SETTINGS.len(), include_str!("settings.tsv").lines().count());
        assert_eq!(find("JIT").map(|s| (s.default, s.kind, s.user)), Some(("on", "bool", true)));
        assert!(find("server_version").is_some_and(|s| s.default.starts_with(SERVER_VERSION)));
        assert_eq!(find("timezone").map(|s| s.name), Some("TimeZone"));
        for setting in SETTINGS.iter() {
            for name in [setting.name.to_owned(), setting.name.to_uppercase()] {
                assert_eq!(find(&name), Some(setting), "{name}");
            }
            assert_eq!(find(&format!("{}_", setting.name)), None);
        }
        assert!(find("datafusion.execution.batch_size").is_none());
        for (name, own) in [("app.tenant", true), ("a.b.c", true), ("CDP.purpose", false)] {
            assert_eq!(is_custom(name), own, "{name}");
        }
        for name in ["tenant", "app.", ".app", "app.9", "app. x", "datafusion.x.y"] {
            assert!(!is_custom(name), "{name}");
        }
    }

    #[test]
    fn values_are_shown_in_their_unit() {
        for (name, value, unit, shown) in [
            ("work_mem", "64MB", Some("kB"), "65536"),
            ("effective_cache_size", "4GB", Some("8kB"), "524288"),
            ("statement_timeout", "90s", Some("ms"), "90000"),
            ("statement_timeout", "0", Some("ms"), "0"),
            ("jit", "on", None, "on"),
        ] {
            let setting = find(name).unwrap();
            assert_eq!(setting.unit(), unit, "{name}");
            assert_eq!(setting.in_unit(value), shown, "{name} = {value}");
        }
    }
}
