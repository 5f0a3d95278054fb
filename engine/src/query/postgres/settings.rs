//! The settings that a session has, as PostgreSQL names them.
//!
//! One list, `settings.tsv`, with the defaults and what may be set; a session keeps what it changed. `SHOW` and `SET`,
//! `current_setting`, `set_config` and `pg_settings` read the same list, so that they cannot disagree. A setting that tunes
//! what onefold does not have, such as `jit`, takes the values that PostgreSQL takes and says that it has no effect.

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
pub const SERVER_VERSION_NUMBER: &str = "150018";

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
        assert_eq!(SETTINGS.len(), include_str!("settings.tsv").lines().count());
        assert_eq!(find("JIT").map(|s| (s.default, s.kind, s.user)), Some(("on", "bool", true)));
        assert!(find("server_version").is_some_and(|s| s.default.starts_with(SERVER_VERSION)));
        assert_eq!(find("timezone").map(|s| s.name), Some("TimeZone"));
        assert!(find("datafusion.execution.batch_size").is_none());
    }
}
