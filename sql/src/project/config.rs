//! `onefold.toml`: what belongs to the process and not to the data. An unknown key is an error.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::problem::Problem;
use crate::dialect::nearest;

/// The name of the file, at the root of a project.
pub(crate) const CONFIG_FILE: &str = "onefold.toml";

/// Every key, for "did you mean".
const KEYS: [&str; 14] = [
    "listen", "postgres", "storage", "dir", "url", "options", "env", "file", "tls", "cert", "key",
    "required", "log", "level",
];
/// Bytes of a value that is found in a file.
const VALUE_BYTES_MAX: u64 = 64 * 1024;
/// Parts of the names of storage options that hold a secret.
const SECRET_PARTS: [&str; 4] = ["secret", "token", "password", "access_key"];

/// The settings of the process.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where it listens.
    pub(crate) listen: Listen,
    /// Where the lake is.
    pub(crate) storage: Storage,
    /// How connections are encrypted.
    pub(crate) tls: Tls,
    /// What is logged.
    pub(crate) log: Log,
}

/// `[listen]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listen {
    /// `postgres = "127.0.0.1:5455"`; port 0 takes any free one.
    pub(crate) postgres: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        Listen { postgres: SocketAddr::from(([127, 0, 0, 1], 5455)) }
    }
}

/// `[storage]`: a folder or the address of an object store.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Storage {
    /// `dir = "lake"`, relative to the project's root.
    pub(crate) dir: Option<PathBuf>,
    /// `url = "s3://bucket/prefix"`.
    pub(crate) url: Option<String>,
    /// `[storage.options]`, for the object store: `endpoint`, `region`, ...
    pub(crate) options: BTreeMap<String, OptionValue>,
}

impl Storage {
    /// Returns the options with the values that are found elsewhere; files are relative to `root`.
    pub(crate) fn resolved_options(
        &self,
        root: &Path,
    ) -> Result<BTreeMap<String, String>, Problem> {
        let resolved = self.options.iter().map(|(name, value)| {
            let text = match value {
                OptionValue::Text(text) => Ok(text.clone()),
                OptionValue::Reference(reference) => {
                    reference.read(Some(root)).map_err(|why| unresolved(name, &why))
                }
            };
            Ok((name.clone(), text?))
        });
        resolved.collect()
    }
}

fn unresolved(option: &str, why: &str) -> Problem {
    Problem::with_file(CONFIG_FILE, format!("storage option \"{option}\" cannot be read: {why}"))
        .hint("Set it where the option says that it is found.")
}

/// The value of a storage option: itself, or where it is found, so that no secret stands in the file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected a text, { env = \"VARIABLE\" } or { file = \"path\" }")]
pub(crate) enum OptionValue {
    /// `region = "eu-west-1"`.
    Text(String),
    /// `secret_access_key = { env = "AWS_SECRET_ACCESS_KEY" }` or `{ file = "/run/secrets/key" }`.
    Reference(Reference),
}

/// Where a value is found.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum Reference {
    /// A variable of the environment.
    Env(String),
    /// A file, whose last line end is not part of it.
    File(PathBuf),
}

impl Reference {
    /// Returns the value; files are relative to `root`, without which their paths must be whole.
    ///
    /// # Errors
    /// Why it cannot be had. The value is never told.
    pub(crate) fn read(&self, root: Option<&Path>) -> Result<String, String> {
        match self {
            Reference::Env(variable) => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the one place that reads the environment"
                )]
                let value = std::env::var(variable);
                value.map_err(|_| format!("the variable {variable} is not set"))
            }
            Reference::File(path) => {
                let place = match root {
                    Some(root) => root.join(path),
                    None if path.is_absolute() => path.clone(),
                    None => {
                        return Err(format!(
                            "{}: it is not known which project it belongs to",
                            path.display()
                        ));
                    }
                };
                read_value(&place).map_err(|error| format!("{}: {error}", path.display()))
            }
        }
    }
}

/// Reads a file with one value, whose last line end is not part of it.
fn read_value(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    let bytes = file.take(VALUE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(bytes).is_ok_and(|bytes| bytes > VALUE_BYTES_MAX) {
        let message = format!("it is longer than {VALUE_BYTES_MAX} bytes");
        return Err(std::io::Error::other(message));
    }
    Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
}

/// `[tls]`: without a certificate connections are not encrypted.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// `cert = "server.pem"`, relative to the project's root.
    pub(crate) cert: Option<PathBuf>,
    /// `key = "server.key"`.
    pub(crate) key: Option<PathBuf>,
    /// `required = true`: connections that are not encrypted are refused. Default: whether there is a certificate.
    pub(crate) required: Option<bool>,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// `level = "info"`: error, warn, info, debug or trace.
    pub(crate) level: Level,
}

impl Default for Log {
    fn default() -> Self {
        Log { level: Level::Info }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// What failed.
    Error,
    /// What may become a failure.
    Warn,
    /// What happened.
    Info,
    /// How it happened.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// Returns the word that log filters use.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

impl Config {
    /// Reads the settings of a project; without a file they are the defaults.
    pub(crate) fn load(root: &Path) -> Result<Config, Problem> {
        let text = match std::fs::read_to_string(root.join(CONFIG_FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Config::default());
            }
            Err(error) => {
                return Err(Problem::with_file(CONFIG_FILE, format!("cannot be read: {error}")));
            }
        };
        Config::parse(&text)
    }

    /// Reads settings and checks that they agree.
    pub(crate) fn parse(text: &str) -> Result<Config, Problem> {
        let config: Config = toml::from_str(text).map_err(|error| describe(text, &error))?;
        let at = |key: &str, message: String| {
            let byte = text.lines().scan(0, |start, line| {
                let byte = *start;
                *start += line.len() + 1;
                Some((byte, line))
            });
            let found = byte
                .into_iter()
                .find(|(_, line)| line.trim_start().starts_with(key))
                .map_or(0, |(byte, _)| byte);
            Problem::at_byte(CONFIG_FILE, text, found, message)
        };
        if config.storage.dir.is_some() && config.storage.url.is_some() {
            return Err(
                at("url", "storage has both dir and url".to_string()).hint("Keep one of them.")
            );
        }
        for (name, value) in &config.storage.options {
            let secret = SECRET_PARTS.iter().any(|part| name.to_lowercase().contains(part));
            if secret && matches!(value, OptionValue::Text(_)) {
                return Err(at(name, format!("option \"{name}\" holds a secret as text")).hint(
                    format!("Write {name} = {{ env = \"VARIABLE\" }} or {{ file = \"path\" }}."),
                ));
            }
        }
        if config.tls.cert.is_some() != config.tls.key.is_some() {
            return Err(at("[tls]", "tls needs both cert and key".to_string()));
        }
        if config.tls.required == Some(true) && config.tls.cert.is_none() {
            return Err(at("required", "tls is required and there is no certificate".to_string())
                .hint("Add cert and key."));
        }
        Ok(config)
    }
}

/// Makes an error of the TOML reader one of ours.
fn describe(text: &str, error: &toml::de::Error) -> Problem {
    let byte = error.span().map_or(0, |span| span.start);
    let message = error.message().trim();
    let Some(unknown) =
        message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next())
    else {
        return Problem::at_byte(
            CONFIG_FILE,
            text,
            byte,
            message.replace('`', "\"").replace('\n', ", "),
        );
    };
    let problem =
        Problem::at_byte(CONFIG_FILE, text, byte, format!("key \"{unknown}\" is not known"));
    let expected: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
    let known: Vec<&str> = if expected.is_empty() { KEYS.to_vec() } else { expected };
    match nearest(unknown, known.iter().copied()) {
        Some(near) => problem.hint(format!("Did you mean {near}?")),
        None => problem.hint(format!("The keys here are {}.", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_defaults_and_no_unknown_keys() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
        let config = Config::parse(
            "[listen]\npostgres = \"0.0.0.0:0\"\n[storage]\nurl = \"s3://b/p\"\n[storage.options]\nregion = \"x\"\n\
             secret_access_key = { env = \"K\" }\n[tls]\ncert = \"a\"\nkey = \"b\"\nrequired = true\n\
             [log]\nlevel = \"debug\"\n",
        )
        .unwrap();
        assert_eq!(config.listen.postgres.port(), 0);
        assert_eq!(config.log.level.word(), "debug");
        assert_eq!(
            config.storage.options["secret_access_key"],
            OptionValue::Reference(Reference::Env("K".to_string()))
        );
        for (text, expected) in [
            (
                "[lisen]\n",
                "onefold.toml:1:2: error: key \"lisen\" is not known\n  hint: Did you mean listen?",
            ),
            (
                "[listen]\npostgers = \"x\"\n",
                "onefold.toml:2:1: error: key \"postgers\" is not known\n  hint: Did you mean postgres?",
            ),
            (
                "[storage]\ndir = \"a\"\nurl = \"b\"\n",
                "onefold.toml:3:1: error: storage has both dir and url\n  hint: Keep one of them.",
            ),
            (
                "[storage.options]\naws_secret_access_key = \"x\"\n",
                "onefold.toml:2:1: error: option \"aws_secret_access_key\" holds a secret as text\n  hint: Write \
                 aws_secret_access_key = { env = \"VARIABLE\" } or { file = \"path\" }.",
            ),
            ("[tls]\ncert = \"a\"\n", "onefold.toml:1:1: error: tls needs both cert and key"),
            (
                "[tls]\nrequired = true\n",
                "onefold.toml:2:1: error: tls is required and there is no certificate\n  hint: Add cert and key.",
            ),
        ] {
            assert_eq!(Config::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
        for text in
            ["[listen]\npostgres = \"x\"\n", "[log]\nlevel = \"loud\"\n", "[listen\n", "a = 1\n"]
        {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }
}
