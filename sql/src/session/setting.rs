//! What the settings of a session may be set to. Their names and defaults are the engine's list.
//!
//! What is not in the list does not exist. What is in it and may be set has an effect, or tunes what there is not here and
//! says so. Options of DataFusion are no settings of a session: some of them would open what governance closes.

use std::borrow::Cow;
use std::sync::LazyLock;

use engine::query::postgres::settings;

use crate::wire::{WireError, Zone, sqlstate};

/// Bytes of `search_path` at most.
const SEARCH_PATH_BYTES_MAX: usize = 1_000;
/// Bytes of `application_name`, as in PostgreSQL.
const APPLICATION_NAME_BYTES_MAX: usize = 63;
/// Bytes of a purpose's name.
const PURPOSE_BYTES_MAX: usize = 63;
/// Bytes of a text that has no effect.
const TEXT_BYTES_MAX: usize = 255;
/// Bytes of a setting of the client's own.
const CUSTOM_BYTES_MAX: usize = 64 << 10;
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
    /// A number, with a unit of memory or time or without.
    Amount,
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

/// The role that a session has taken, which is none: it stays that which logged in. `SHOW ALL` leaves it out, as in PostgreSQL.
pub(super) const ROLE: &str = "role";

/// Every setting: those of the engine's list, that of governance, and the role, sorted by name without regard to case.
pub(super) static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let purpose = Setting {
        name: "cdp.purpose",
        default: "",
        rule: Rule::Text(PURPOSE_BYTES_MAX),
        reported: false,
        about: "Purpose that personal data is read for.",
    };
    let role = Setting {
        name: ROLE,
        default: "none",
        rule: Rule::Word(&["none"]),
        reported: false,
        about: "Sets the current role.",
    };
    let listed = settings::SETTINGS.iter().map(|listed| Setting {
        name: listed.name,
        default: listed.default,
        rule: rule(listed),
        reported: REPORTED.contains(&listed.name),
        about: listed.description,
    });
    let mut all: Vec<Setting> = listed.chain([purpose, role]).collect();
    all.sort_by_key(|setting| setting.name.to_lowercase());
    all
});

/// The settings that clients are told of when they change.
const REPORTED: [&str; 13] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

/// What a setting of the engine's list may be set to: by its name where that says more than its kind.
fn rule(listed: &'static settings::Setting) -> Rule {
    if !listed.user {
        return Rule::Fixed;
    }
    match (listed.name, listed.kind) {
        ("application_name", _) => Rule::Text(APPLICATION_NAME_BYTES_MAX),
        ("client_encoding", _) => Rule::Encoding,
        ("DateStyle", _) => Rule::DateStyle,
        ("extra_float_digits", _) => Rule::Number(-15, 3),
        ("search_path", _) => Rule::SearchPath,
        ("statement_timeout" | "lock_timeout" | "idle_in_transaction_session_timeout", _) => {
            Rule::Timeout
        }
        ("TimeZone", _) => Rule::Zone,
        _ if !listed.choices.is_empty() => Rule::Word(&listed.choices),
        (_, "bool") => Rule::Switch,
        (_, "integer" | "real") => Rule::Amount,
        _ => Rule::Text(TEXT_BYTES_MAX),
    }
}

/// Returns the place of a setting in the table.
pub(super) fn index_of(name: &str) -> Result<usize, WireError> {
    if let Ok(index) = SETTINGS.binary_search_by(|setting| settings::by_name(setting.name, name)) {
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

/// Checks what `set_config` sets a setting to, and returns it as it is kept.
pub(super) fn check(name: &str, value: &str) -> engine::Result<String> {
    if settings::is_custom(name) {
        return accept_custom(name, value).map_err(as_of_engine);
    }
    let accepted = index_of(name).and_then(|index| match SETTINGS[index].rule {
        // A function sets the whole list, and an empty one is a list, too.
        Rule::SearchPath if value.is_empty() => Ok(Cow::Borrowed("")),
        _ => SETTINGS[index].accept(&[value.to_owned()]),
    });
    accepted.map(Cow::into_owned).map_err(as_of_engine)
}

fn as_of_engine(error: WireError) -> engine::Error {
    engine::Error::Standard {
        sqlstate: error.sqlstate,
        message: error.message.into_owned(),
        hint: error.hint.map(Cow::into_owned).unwrap_or_default(),
    }
}

/// Checks the value of a setting of the client's own: any text, within bounds.
pub(super) fn accept_custom(name: &str, value: &str) -> Result<String, WireError> {
    if value.len() <= CUSTOM_BYTES_MAX {
        return Ok(value.to_owned());
    }
    let message = format!("value for parameter \"{name}\" has more than {CUSTOM_BYTES_MAX} bytes");
    Err(WireError::new(sqlstate::INVALID_PARAMETER_VALUE, message).hint("Keep it in a table."))
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
                .ok_or_else(|| match elsewhere(self.name, joined.trim()) {
                    Some(hint) => self.unsupported(&joined, hint.to_owned()),
                    None => self.refuse(&joined, format!("The values are {}.", words.join(", "))),
                }),
            Rule::Switch => match is_on(&joined) {
                Some(is_on) => Ok(Cow::Borrowed(if is_on { "on" } else { "off" })),
                None => {
                    let message = format!("parameter \"{}\" requires a Boolean value", self.name);
                    Err(WireError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
                        .hint("The values are on and off."))
                }
            },
            Rule::Number(least, most) => match joined.trim().parse::<i64>() {
                Ok(number) if (*least..=*most).contains(&number) => {
                    Ok(Cow::Owned(number.to_string()))
                }
                Ok(number) => {
                    let message = format!(
                        "{number} is outside the valid range for parameter \"{}\" ({least} .. {most})",
                        self.name
                    );
                    Err(WireError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
                        .hint("Give a number within these bounds."))
                }
                Err(_) => {
                    Err(self.refuse(&joined, format!("It is a number from {least} to {most}.")))
                }
            },
            Rule::Amount if is_amount(joined.trim()) => Ok(Cow::Owned(joined.trim().to_owned())),
            Rule::Amount => {
                Err(self.refuse(&joined, "It is a number such as 4, 0.5 or 64MB.".to_owned()))
            }
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
            Rule::DateStyle => match date_order(&joined) {
                Ok(order) => Ok(Cow::Owned(format!("ISO, {}", order.unwrap_or("MDY")))),
                Err(Other::Style) => Err(self.unsupported(
                    &joined,
                    "Dates are shown in the ISO format; MDY, DMY and YMD say how they are read."
                        .to_owned(),
                )),
                Err(Other::Word(word)) => {
                    let detail = format!("Unrecognized key word: \"{}\".", cut(&word, 100));
                    let hint = "The values are ISO with MDY, DMY or YMD.".to_owned();
                    let refused = self.refuse(&joined, hint);
                    Err(WireError { detail: Some(detail.into()), ..refused })
                }
                Err(Other::Conflict) => {
                    let hint = "Name one order: MDY, DMY or YMD.".to_owned();
                    let detail = "Conflicting \"datestyle\" specifications.";
                    let refused = self.refuse(&joined, hint);
                    Err(WireError { detail: Some(detail.into()), ..refused })
                }
            },
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

    /// Tells whether values name a style of dates and no order of them.
    pub(super) fn is_style_alone(&self, values: &[String]) -> bool {
        matches!(self.rule, Rule::DateStyle)
            && date_order(&values.join(", ")).is_ok_and(|order| order.is_none())
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

/// Returns whether a switch is to be on; `None` for a text that says neither. As in PostgreSQL a word may be cut short.
fn is_on(value: &str) -> Option<bool> {
    let value = value.to_ascii_lowercase();
    let begins =
        |word: &str, least: usize| value.len() >= least && word.starts_with(value.as_str());
    match value.as_str() {
        "1" => Some(true),
        "0" => Some(false),
        _ if begins("true", 1) || begins("yes", 1) || begins("on", 2) => Some(true),
        _ if begins("false", 1) || begins("no", 1) || begins("off", 2) => Some(false),
        _ => None,
    }
}

/// Returns the letters and digits of the name of an encoding, which is all that counts, as in PostgreSQL.
fn encoding_name(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

/// Returns what to do in the place of a value that PostgreSQL has and onefold has not.
fn elsewhere(name: &str, value: &str) -> Option<&'static str> {
    let (values, hint): (&[&str], _) = match name {
        "bytea_output" => {
            (&["escape"], "Bytes are shown in hex: encode(column, 'escape') escapes them.")
        }
        "IntervalStyle" => (
            &["sql_standard", "postgres_verbose"],
            "Intervals are shown in the styles postgres and iso_8601; to_char writes them otherwise.",
        ),
        _ => return None,
    };
    values.iter().any(|other| other.eq_ignore_ascii_case(value)).then_some(hint)
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

/// Tells whether a text is a number, with one of PostgreSQL's units or without.
fn is_amount(text: &str) -> bool {
    const UNITS: [&str; 12] = ["", "B", "kB", "MB", "GB", "TB", "us", "ms", "s", "min", "h", "d"];
    let split = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    text[..split].trim().parse::<f64>().is_ok() && UNITS.contains(&text[split..].trim())
}

/// Why a value is no style of dates here.
enum Other {
    /// It is one of PostgreSQL's that dates are not shown in.
    Style,
    /// There is no such word.
    Word(String),
    /// It says two orders.
    Conflict,
}

/// Returns the order in which the numbers of a date are read, if a style says it.
fn date_order(text: &str) -> Result<Option<&'static str>, Other> {
    let mut said = None;
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        let order = match word.to_ascii_lowercase().as_str() {
            "iso" => continue,
            "default" | "mdy" | "us" | "noneuropean" | "noneuro" => "MDY",
            "dmy" | "euro" | "european" => "DMY",
            "ymd" => "YMD",
            "sql" | "postgres" | "german" => return Err(Other::Style),
            other => return Err(Other::Word(other.to_owned())),
        };
        if said.replace(order).is_some_and(|before| before != order) {
            return Err(Other::Conflict);
        }
    }
    Ok(said)
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
