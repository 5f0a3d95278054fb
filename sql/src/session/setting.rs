//! The settings that a session has: one table of names, defaults and rules.
//!
//! What is not in the table does not exist, and what is in it and may be set has an effect or only one value. Options of
//! DataFusion are no settings of a session: some of them would open what governance closes.

use std::borrow::Cow;

use crate::wire::{WireError, Zone, sqlstate};

/// Bytes of `search_path` at most.
const SEARCH_PATH_BYTES_MAX: usize = 1_000;
/// Bytes of `application_name`, as in PostgreSQL.
const APPLICATION_NAME_BYTES_MAX: usize = 63;
/// Bytes of a purpose's name.
const PURPOSE_BYTES_MAX: usize = 63;
/// Milliseconds of a timeout at most, as in PostgreSQL.
const TIMEOUT_MS_MAX: u64 = i32::MAX as u64;

/// One setting.
pub(super) struct Setting {
    /// Its name, as `SHOW ALL` spells it.
    pub(super) name: &'static str,
    /// Its value unless the client says otherwise.
    pub(super) default: &'static str,
    /// What it may be set to.
    pub(super) rule: Rule,
    /// Whether clients are told of each change.
    pub(super) reported: bool,
    /// What it is.
    pub(super) about: &'static str,
}

/// What a setting may be set to.
pub(super) enum Rule {
    /// Nothing: it tells about the server or the log-in.
    Fixed,
    /// Any text of so many bytes.
    Text(usize),
    /// One of these words.
    Word(&'static [&'static str]),
    /// On or off.
    Switch,
    /// A whole number within bounds.
    Number(i64, i64),
    /// A time in milliseconds or with a unit; 0 is none.
    Timeout,
    /// A time zone.
    Zone,
    /// A date style, of which only ISO is spoken.
    DateStyle,
    /// An encoding, of which only UTF8 is spoken.
    Encoding,
    /// A list of schemas.
    SearchPath,
}

const fn setting(
    name: &'static str,
    default: &'static str,
    rule: Rule,
    about: &'static str,
) -> Setting {
    Setting { name, default, rule, reported: false, about }
}

const fn reported(
    name: &'static str,
    default: &'static str,
    rule: Rule,
    about: &'static str,
) -> Setting {
    Setting { name, default, rule, reported: true, about }
}

/// Levels of messages, from the least to the most.
const LEVELS: &[&str] =
    &["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"];

/// Every setting, sorted by name without regard to case.
pub(super) static SETTINGS: [Setting; 35] = [
    reported(
        "application_name",
        "",
        Rule::Text(APPLICATION_NAME_BYTES_MAX),
        "Name of the client's program.",
    ),
    setting("bytea_output", "hex", Rule::Word(&["hex"]), "Output format of bytea."),
    setting(
        "cdp.purpose",
        "",
        Rule::Text(PURPOSE_BYTES_MAX),
        "Purpose that personal data is read for.",
    ),
    reported("client_encoding", "UTF8", Rule::Encoding, "Encoding of the client."),
    setting(
        "client_min_messages",
        "notice",
        Rule::Word(LEVELS),
        "Least level of messages that are sent.",
    ),
    reported("DateStyle", "ISO, MDY", Rule::DateStyle, "Format of dates and times."),
    setting(
        "default_transaction_deferrable",
        "off",
        Rule::Word(&["off"]),
        "Deferrable state of new transactions.",
    ),
    setting(
        "default_transaction_isolation",
        "read committed",
        Rule::Word(&["read committed"]),
        "Isolation level of new transactions.",
    ),
    reported(
        "default_transaction_read_only",
        "off",
        Rule::Switch,
        "Read-only state of new transactions.",
    ),
    setting(
        "escape_string_warning",
        "on",
        Rule::Switch,
        "Accepted, without effect: backslashes are plain.",
    ),
    setting(
        "extra_float_digits",
        "1",
        Rule::Number(1, 3),
        "Above 0, floating point numbers are exact.",
    ),
    setting(
        "idle_in_transaction_session_timeout",
        "0",
        Rule::Timeout,
        "Longest idle time inside a transaction.",
    ),
    reported("in_hot_standby", "off", Rule::Fixed, "Whether the server only replays."),
    reported("integer_datetimes", "on", Rule::Fixed, "Times are whole microseconds."),
    reported("IntervalStyle", "postgres", Rule::Word(&["postgres"]), "Format of intervals."),
    reported("is_superuser", "off", Rule::Fixed, "There is no superuser."),
    setting("lc_collate", "C", Rule::Fixed, "Order of strings."),
    setting("lc_ctype", "C.UTF-8", Rule::Fixed, "Classes of characters."),
    setting("lc_messages", "C", Rule::Word(&["C"]), "Language of messages."),
    setting("lock_timeout", "0", Rule::Timeout, "Accepted, without effect: queries take no locks."),
    setting("max_identifier_length", "63", Rule::Fixed, "Longest name in bytes."),
    setting("max_index_keys", "32", Rule::Fixed, "Most columns of a key."),
    setting(
        "search_path",
        "\"$user\", public",
        Rule::SearchPath,
        "Schemas that names are looked up in.",
    ),
    reported("server_encoding", "UTF8", Rule::Fixed, "Encoding of the server."),
    reported(
        "server_version",
        SERVER_VERSION,
        Rule::Fixed,
        "Version of PostgreSQL whose behaviour is followed.",
    ),
    setting(
        "server_version_num",
        engine::query::postgres::settings::SERVER_VERSION_NUMBER,
        Rule::Fixed,
        "The same as a number.",
    ),
    reported("session_authorization", "", Rule::Fixed, "Role of the session."),
    reported(
        "standard_conforming_strings",
        "on",
        Rule::Word(&["on"]),
        "Backslashes in strings are plain.",
    ),
    setting("statement_timeout", "0", Rule::Timeout, "Longest time that a statement may run."),
    setting("synchronous_commit", "on", Rule::Word(&["on"]), "What is acknowledged is durable."),
    reported("TimeZone", "UTC", Rule::Zone, "Time zone that times are shown in."),
    setting(
        "transaction_deferrable",
        "off",
        Rule::Word(&["off"]),
        "Deferrable state of this transaction.",
    ),
    setting(
        "transaction_isolation",
        "read committed",
        Rule::Word(&["read committed"]),
        "Isolation level of this transaction.",
    ),
    setting("transaction_read_only", "off", Rule::Switch, "Read-only state of this transaction."),
    setting(
        "xmloption",
        "content",
        Rule::Word(&["content", "document"]),
        "Accepted, without effect: there is no XML.",
    ),
];

/// The version that clients see. It begins with two numbers, which is what drivers read.
const SERVER_VERSION: &str = concat!("15.18 (onefold ", env!("CARGO_PKG_VERSION"), ")");

/// Returns the place of a setting in the table.
pub(super) fn index_of(name: &str) -> Result<usize, WireError> {
    if let Some(index) = SETTINGS.iter().position(|setting| setting.name.eq_ignore_ascii_case(name))
    {
        return Ok(index);
    }
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("datafusion.") {
        return Err(WireError::new(
            sqlstate::INSUFFICIENT_PRIVILEGE,
            format!("permission denied to read or set parameter \"{lower}\""),
        )
        .hint("Options of the query engine belong to the server; SHOW ALL lists the settings of a session."));
    }
    let names = SETTINGS.iter().map(|setting| setting.name);
    let error = WireError::new(
        sqlstate::UNDEFINED_OBJECT,
        format!("unrecognized configuration parameter \"{lower}\""),
    );
    Err(match crate::dialect::nearest(&lower, names) {
        Some(near) => error.hint(format!("Did you mean \"{near}\"?")),
        None => error,
    })
}

impl Setting {
    /// Returns the value as it is kept, or why it cannot be one.
    pub(super) fn accept(&self, values: &[String]) -> Result<Cow<'static, str>, WireError> {
        let joined = values.join(", ");
        match &self.rule {
            Rule::Fixed => Err(WireError::new(
                sqlstate::CANNOT_CHANGE_PARAMETER,
                format!("parameter \"{}\" cannot be changed", self.name),
            )),
            Rule::Text(bytes_max) => Ok(Cow::Owned(cut(&joined, *bytes_max).to_owned())),
            Rule::Word(words) => words
                .iter()
                .find(|word| same_word(word, &joined))
                .map(|word| Cow::Borrowed(*word))
                .ok_or_else(|| {
                    self.refuse(&joined, format!("The values are {}.", words.join(", ")))
                }),
            Rule::Switch => match joined.to_ascii_lowercase().as_str() {
                "on" | "true" | "yes" | "1" | "t" | "y" => Ok(Cow::Borrowed("on")),
                "off" | "false" | "no" | "0" | "f" | "n" => Ok(Cow::Borrowed("off")),
                _ => Err(self.refuse(&joined, "The values are on and off.".to_owned())),
            },
            Rule::Number(least, most) => match joined.trim().parse::<i64>() {
                Ok(number) if (*least..=*most).contains(&number) => {
                    Ok(Cow::Owned(number.to_string()))
                }
                _ => Err(self.refuse(&joined, format!("It is a number from {least} to {most}."))),
            },
            Rule::Timeout => milliseconds(&joined)
                .map(|number| Cow::Owned(shown_milliseconds(number)))
                .ok_or_else(|| {
                    self.refuse(
                        &joined,
                        "It is a time such as 500, 30s or 5min; 0 is none.".to_owned(),
                    )
                }),
            Rule::Zone => {
                Zone::parse(&joined).map(|zone| Cow::Owned(zone.name().to_owned())).ok_or_else(
                    || self.refuse(&joined, "Use a name such as Europe/Warsaw, or UTC.".to_owned()),
                )
            }
            Rule::DateStyle => date_style(&joined).ok_or_else(|| {
                self.unsupported(&joined, "Dates are shown in the ISO format.".to_owned())
            }),
            Rule::Encoding => match encoding_name(&joined).as_str() {
                "utf8" | "unicode" | "" => Ok(Cow::Borrowed("UTF8")),
                _ => Err(self.unsupported(&joined, "Text is sent as UTF8.".to_owned())),
            },
            Rule::SearchPath if joined.len() > SEARCH_PATH_BYTES_MAX => {
                Err(self.refuse("...", format!("It has at most {SEARCH_PATH_BYTES_MAX} bytes.")))
            }
            Rule::SearchPath => Ok(Cow::Owned(
                values.iter().map(|schema| quoted_schema(schema)).collect::<Vec<_>>().join(", "),
            )),
        }
    }

    fn refuse(&self, value: &str, hint: String) -> WireError {
        let message =
            format!("invalid value for parameter \"{}\": \"{}\"", self.name, cut(value, 100));
        WireError::new(sqlstate::INVALID_PARAMETER_VALUE, message).hint(hint)
    }

    fn unsupported(&self, value: &str, hint: String) -> WireError {
        let message = format!(
            "parameter \"{}\" with value \"{}\" is not supported",
            self.name,
            cut(value, 100)
        );
        WireError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).hint(hint)
    }
}

/// Returns the letters and digits of the name of an encoding, which is all that counts, as in PostgreSQL.
fn encoding_name(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

fn same_word(word: &str, value: &str) -> bool {
    word.eq_ignore_ascii_case(value.trim())
        || (word == "on" && ["true", "yes", "1"].contains(&value))
        || (word == "off" && ["false", "no", "0"].contains(&value))
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Reads a time: a number of milliseconds, or a number with a unit.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: f64 = text[..split].trim().parse().ok()?;
    let unit = match &text[split..] {
        "" | "ms" => 1.0,
        "us" => 0.001,
        "s" => 1_000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let milliseconds = (number * unit).round();
    #[expect(clippy::cast_precision_loss, reason = "2^31 is exact")]
    let most = TIMEOUT_MS_MAX as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be within bounds"
    )]
    (0.0..=most).contains(&milliseconds).then_some(milliseconds as u64)
}

/// Writes a time with the largest unit that it is a whole number of.
fn shown_milliseconds(number: u64) -> String {
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)] {
        if number > 0 && number.is_multiple_of(size) {
            return format!("{}{unit}", number / size);
        }
    }
    if number == 0 { "0".to_owned() } else { format!("{number}ms") }
}

fn date_style(text: &str) -> Option<Cow<'static, str>> {
    let mut order = "MDY";
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        match word.to_ascii_lowercase().as_str() {
            "iso" => {}
            "mdy" | "us" | "noneuropean" | "noneuro" => order = "MDY",
            "dmy" | "euro" | "european" => order = "DMY",
            "ymd" => order = "YMD",
            _ => return None,
        }
    }
    Some(Cow::Owned(format!("ISO, {order}")))
}

/// Writes a schema of the search path, in quotes if it needs them.
fn quoted_schema(schema: &str) -> String {
    let plain = |text: &str| {
        text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let is_list = schema.contains(',') || schema.starts_with('"');
    if is_list || (plain(schema) && !schema.is_empty()) {
        schema.to_owned()
    } else {
        format!("\"{}\"", schema.replace('"', "\"\""))
    }
}
