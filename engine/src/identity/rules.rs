//! The rules of an identity graph, checked and ready to use.
//!
//! Kinds of identifiers are numbered in the order of their definition; MATCH rules follow them, then the FUZZY rule if
//! there is one, and the implicit rule that versions of one record are one person comes last. These numbers are what edges
//! and values carry.

use std::collections::HashSet;

use regex::Regex;

use super::classes::COMPARED_MAX;
use super::fuzzy::check_fuzzy;
use super::limit::{Limit, micros};
use super::person::Field;
use super::summaries::VIOLATIONS_MAX;
use crate::catalog::{FuzzyRule, IdentifierRule, IdentityGraph, MatchRule, Normalizer};
use crate::matching::{self, Form};
use crate::{Error, Result};

/// Kinds and MATCH rules of a graph at most: each is a value or a block of every record, so that a definition that somebody
/// generates fails before it is worked out for a million of them. Graphs have about ten.
const RULES_MAX: usize = 256;

/// Bytes of an identifier at most: a longer one is a text that went astray, and blocked. Mailboxes have 254, the longest tokens some
/// hundred; half would be enough for those, and twice as much would let nothing in that is known to be an identifier.
const IDENTIFIER_BYTES_MAX: usize = 1_024;

/// The name of the implicit rule.
pub const RECORD_RULE: &str = "record";

/// The name of the rule that people make by deciding about two records.
pub const OVERRIDE_NAME: &str = "override";

/// Its number, which is no rule's of a graph.
pub(super) const OVERRIDE_RULE: u16 = u16::MAX;

/// The rules of one identity graph.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(super) kinds: Vec<Kind>,
    pub(super) matches: Vec<Match>,
    /// The rule that weighs pairs.
    pub(super) fuzzy: Option<FuzzyRule>,
    /// Priorities of kinds, strongest first, each once.
    pub(super) ranks: Vec<u16>,
    pub(super) merge_limit: u32,
    pub(super) shared_limit: u32,
    /// Refused edges of one value that are kept at most.
    pub(super) violations_max: usize,
    /// With how many others of a block each of its people is compared at most.
    pub(super) compared_max: usize,
}

/// A kind of identifier.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) name: String,
    normalize: Normalize,
    pub(super) priority: u16,
    pub(super) limit: Option<Limit>,
    pub(super) expire_us: Option<i64>,
    block_values: HashSet<String>,
    block_matching: Vec<Regex>,
}

/// A MATCH rule.
#[derive(Debug, Clone)]
pub(super) struct Match {
    name: String,
    pub(super) exact_on: Vec<MatchOn>,
    priority: u16,
}

/// What a MATCH rule compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatchOn {
    /// A field of the person.
    Field(Field),
    /// A kind of identifier.
    Kind(u16),
}

#[derive(Debug, Clone)]
enum Normalize {
    AsItIs,
    Text,
    Email,
    Phone { region: Option<String> },
    Name,
    PostalCode,
    Street,
    Country,
}

impl Rules {
    /// Checks the rules of a graph.
    pub fn from_graph(graph: &IdentityGraph) -> Result<Self> {
        if graph.identifiers.is_empty() {
            return Err(invalid(
                "identity graph has no identifiers",
                "Name at least one kind in IDENTIFIERS (...).",
            ));
        }
        if graph.identifiers.len() + graph.matches.len() > RULES_MAX {
            return Err(invalid(
                format!("identity graph has more than {RULES_MAX} rules"),
                "Use fewer rules.",
            ));
        }
        if graph.merge_limit == 0 || graph.shared_limit == 0 {
            return Err(invalid(
                "merge_limit and shared_limit are at least 1",
                "Leave the option out for its default.",
            ));
        }
        let mut names = HashSet::from([RECORD_RULE, OVERRIDE_NAME]);
        let all = graph
            .identifiers
            .iter()
            .map(|rule| &rule.kind)
            .chain(graph.matches.iter().map(|rule| &rule.name))
            .chain(graph.fuzzy.iter().map(|rule| &rule.name));
        for name in all {
            if !names.insert(name) {
                return Err(invalid(
                    format!("identity rule \"{name}\" is used twice"),
                    "Give each rule its own name.",
                ));
            }
        }
        let kinds = graph.identifiers.iter().map(Kind::from_rule).collect::<Result<Vec<_>>>()?;
        let matches = graph
            .matches
            .iter()
            .map(|rule| Match::from_rule(rule, &kinds))
            .collect::<Result<Vec<_>>>()?;
        if let Some(rule) = &graph.fuzzy {
            let kinds: Vec<_> = kinds.iter().map(Kind::compared).collect();
            check_fuzzy(rule, &kinds)?;
        }
        let mut ranks: Vec<u16> = kinds.iter().map(|kind| kind.priority).collect();
        ranks.sort_unstable();
        ranks.dedup();
        Ok(Self {
            kinds,
            matches,
            fuzzy: graph.fuzzy.clone(),
            ranks,
            merge_limit: graph.merge_limit,
            shared_limit: graph.shared_limit,
            violations_max: VIOLATIONS_MAX,
            compared_max: COMPARED_MAX,
        })
    }

    /// Returns the number of a kind.
    pub fn kind(&self, name: &str) -> Option<u16> {
        self.kinds.iter().position(|kind| kind.name == name).map(|index| index as u16)
    }

    /// Returns the names of the kinds, in the order of their numbers.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(|kind| kind.name.as_str())
    }

    /// Returns the kinds as the FUZZY rule compares them.
    pub(crate) fn compared(&self) -> Vec<matching::Kind> {
        self.kinds.iter().map(Kind::compared).collect()
    }

    /// Returns the name of a rule: a kind of identifier, a MATCH rule, [`RECORD_RULE`] or [`OVERRIDE_NAME`].
    pub fn rule_name(&self, rule: u16) -> &str {
        if rule == OVERRIDE_RULE {
            return OVERRIDE_NAME;
        }
        let rule = usize::from(rule);
        match self.kinds.get(rule) {
            Some(kind) => &kind.name,
            None => match (self.matches.get(rule - self.kinds.len()), &self.fuzzy) {
                (Some(exact), _) => &exact.name,
                (None, Some(fuzzy)) if self.is_fuzzy(rule as u16) => &fuzzy.name,
                (None, _) => RECORD_RULE,
            },
        }
    }

    /// Returns the one form of all spellings of an identifier, or `None` when `raw` is no such identifier. `region` is
    /// the country, when it is known, that national phone numbers belong to; the rule's own region otherwise.
    pub fn normalize(&self, kind: u16, raw: &str, region: Option<&str>) -> Option<String> {
        self.kinds.get(usize::from(kind))?.normalize.apply(raw, region)
    }

    /// Tells whether `raw` is such an identifier only once its country is known: a national phone number.
    pub fn depends_on_country(&self, kind: u16, raw: &str) -> bool {
        matches!(
            self.kinds.get(usize::from(kind)),
            Some(Kind { normalize: Normalize::Phone { .. }, .. })
        ) && udfs::normalize_phone(raw, None).is_none()
    }

    /// Tells whether a rule asks when values were first observed.
    pub(super) fn ask_for_times(&self) -> bool {
        self.kinds.iter().filter_map(|kind| kind.limit).any(|limit| limit.per_us.is_some())
    }

    pub(super) fn is_kind(&self, rule: u16) -> bool {
        usize::from(rule) < self.kinds.len()
    }

    /// Tells whether a rule is a kind of identifier or a MATCH rule that is exact.
    pub(super) fn is_exact(&self, rule: u16) -> bool {
        usize::from(rule) < self.kinds.len() + self.matches.len()
    }

    pub(super) fn match_rule(&self, index: usize) -> u16 {
        (self.kinds.len() + index) as u16
    }

    /// Returns the number of the FUZZY rule, if there is one.
    pub(super) fn fuzzy_rule(&self) -> Option<u16> {
        self.fuzzy.as_ref().map(|_| self.match_rule(self.matches.len()))
    }

    pub(super) fn is_fuzzy(&self, rule: u16) -> bool {
        self.fuzzy_rule() == Some(rule)
    }

    pub(super) fn record_rule(&self) -> u16 {
        self.match_rule(self.matches.len() + usize::from(self.fuzzy.is_some()))
    }

    /// Returns the priority of a kind or MATCH rule; records come before all of them.
    pub(super) fn priority(&self, rule: u16) -> u16 {
        let rule = usize::from(rule);
        match self.kinds.get(rule) {
            Some(kind) => kind.priority,
            None => match (self.matches.get(rule - self.kinds.len()), &self.fuzzy) {
                (Some(exact), _) => exact.priority,
                (None, Some(fuzzy)) if self.is_fuzzy(rule as u16) => fuzzy.priority,
                (None, _) => 0,
            },
        }
    }
}

impl Kind {
    fn from_rule(rule: &IdentifierRule) -> Result<Self> {
        let normalize =
            rule.normalize.as_ref().map_or(Ok(Normalize::AsItIs), Normalize::from_definition)?;
        let compile = |pattern: &String| {
            Regex::new(pattern).map_err(|source| {
                invalid(
                    format!(
                        "identifier \"{}\" has an invalid pattern \"{pattern}\": {source}",
                        rule.kind
                    ),
                    "Write BLOCK MATCHING patterns in the syntax of the Rust crate regex.",
                )
            })
        };
        Ok(Self {
            name: rule.kind.clone(),
            priority: rule.priority,
            limit: Limit::of_rule(rule)?,
            expire_us: rule.expire_after.map(micros),
            block_values: rule
                .block_values
                .iter()
                .filter_map(|value| normalize.apply(value, None))
                .collect(),
            block_matching: rule.block_matching.iter().map(compile).collect::<Result<_>>()?,
            normalize,
        })
    }

    /// Returns how values of the kind are written. What is taken as it is was written by a machine; a normaliser of texts
    /// is for what people type.
    pub(super) fn form(&self) -> Form {
        match self.normalize {
            Normalize::Email => Form::Email,
            Normalize::Phone { .. } => Form::Phone,
            Normalize::AsItIs => Form::Opaque,
            Normalize::Text
            | Normalize::Name
            | Normalize::PostalCode
            | Normalize::Street
            | Normalize::Country => Form::Code,
        }
    }

    fn compared(&self) -> matching::Kind {
        matching::Kind { name: self.name.clone(), form: self.form() }
    }

    /// Tells whether the rule says that a normalised value identifies nobody.
    pub(super) fn blocks(&self, value: &str) -> bool {
        value.len() > IDENTIFIER_BYTES_MAX
            || self.block_values.contains(value)
            || self.block_matching.iter().any(|pattern| pattern.is_match(value))
    }
}

impl Match {
    fn from_rule(rule: &MatchRule, kinds: &[Kind]) -> Result<Self> {
        if rule.exact_on.is_empty() {
            return Err(invalid(
                format!("match rule \"{}\" compares nothing", rule.name),
                "Name fields in EXACT ON (...).",
            ));
        }
        let on = |name: &String| {
            let kind = || {
                kinds
                    .iter()
                    .position(|kind| kind.name == *name)
                    .map(|index| MatchOn::Kind(index as u16))
            };
            Field::from_name(name).map(MatchOn::Field).or_else(kind).ok_or_else(|| Error::Missing {
                kind: "match field",
                name: name.clone(),
                hint: format!("Use a kind of identifier or one of {}.", Field::NAMES.join(", ")),
            })
        };
        Ok(Self {
            name: rule.name.clone(),
            exact_on: rule.exact_on.iter().map(on).collect::<Result<_>>()?,
            priority: rule.priority,
        })
    }
}

impl Normalize {
    fn from_definition(definition: &Normalizer) -> Result<Self> {
        let function =
            definition.function.strip_prefix("normalize_").unwrap_or(&definition.function);
        if function != "phone" && !definition.arguments.is_empty() || definition.arguments.len() > 1
        {
            return Err(invalid(
                format!("normalizer \"{function}\" has too many arguments"),
                "Only phone takes an argument: the country of national numbers, such as phone('PL').",
            ));
        }
        Ok(match function {
            "text" => Self::Text,
            "email" => Self::Email,
            "phone" => {
                let country = |argument: &String| {
                    udfs::normalize_country(argument).map(|country| country.to_string()).ok_or_else(
                        || Error::Missing {
                            kind: "country",
                            name: argument.clone(),
                            hint: "Use an ISO 3166 code such as 'PL'.".to_owned(),
                        },
                    )
                };
                Self::Phone { region: definition.arguments.first().map(country).transpose()? }
            }
            "name" => Self::Name,
            "postal_code" => Self::PostalCode,
            "street" => Self::Street,
            "country" => Self::Country,
            _ => {
                return Err(Error::Missing {
                    kind: "normalizer",
                    name: definition.function.clone(),
                    hint: "Use email, phone, text, name, postal_code, street or country."
                        .to_owned(),
                });
            }
        })
    }

    fn apply(&self, raw: &str, region: Option<&str>) -> Option<String> {
        match self {
            Self::AsItIs => Some(raw.trim()).filter(|value| !value.is_empty()).map(str::to_owned),
            Self::Text => udfs::normalize_text(raw).map(|value| value.into_owned()),
            Self::Email => udfs::normalize_email(raw).map(|value| value.into_owned()),
            Self::Phone { region: own } => udfs::normalize_phone(raw, region.or(own.as_deref())),
            Self::Name => udfs::normalize_name(raw),
            Self::PostalCode => udfs::normalize_postal_code(raw).map(|value| value.into_owned()),
            Self::Street => udfs::normalize_street(raw),
            Self::Country => udfs::normalize_country(raw).map(|value| value.to_string()),
        }
    }
}

pub(super) fn invalid(message: impl Into<String>, hint: &str) -> Error {
    Error::Invalid { message: message.into(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifier(kind: &str, function: &str, arguments: &[&str]) -> IdentifierRule {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let normalize =
            (!function.is_empty()).then(|| Normalizer { function: function.to_owned(), arguments });
        IdentifierRule {
            kind: kind.to_owned(),
            normalize,
            priority: 1,
            limit: None,
            limit_per: None,
            expire_after: None,
            block_values: vec![],
            block_matching: vec![],
        }
    }

    fn graph(identifiers: Vec<IdentifierRule>, exact_on: &[&str]) -> IdentityGraph {
        let exact_on = exact_on.iter().map(|field| (*field).to_owned()).collect();
        let matches = vec![MatchRule { name: "m".to_owned(), exact_on, priority: 9 }];
        IdentityGraph { identifiers, matches, fuzzy: None, merge_limit: 12, shared_limit: 5 }
    }

    #[test]
    fn good_rules_are_numbered() {
        let mut email = identifier("email", "email", &[]);
        email.block_values = vec!["Nobody@X.example".to_owned()];
        email.block_matching = vec!["^test@".to_owned()];
        let rules = Rules::from_graph(&graph(
            vec![email, identifier("phone", "phone", &["PL"])],
            &["name", "phone"],
        ))
        .unwrap();
        assert_eq!((rules.kind("phone"), rules.kind("fax")), (Some(1), None));
        assert_eq!(
            [rules.rule_name(1), rules.rule_name(2), rules.rule_name(3)],
            ["phone", "m", RECORD_RULE]
        );
        assert_eq!(rules.normalize(0, " Ada@X.example", None).as_deref(), Some("ada@x.example"));
        assert_eq!(
            rules.normalize(1, "601 123 456", None),
            rules.normalize(1, "0048601123456", None)
        );
        assert_eq!(rules.normalize(7, "x", None), None);
        assert!(
            rules.kinds[0].blocks("nobody@x.example") && rules.kinds[0].blocks("test@x.example")
        );
        assert!(!rules.kinds[0].blocks("ada@x.example"));
    }

    #[test]
    fn a_fuzzy_rule_comes_before_records() {
        let fuzzy = FuzzyRule {
            name: "same_person".to_owned(),
            score: 0.9,
            review_below: None,
            household_score: None,
            priority: 1_000,
            block_on: vec![],
        };
        let rules = Rules::from_graph(&IdentityGraph {
            fuzzy: Some(fuzzy),
            ..graph(vec![identifier("email", "email", &[])], &["name"])
        });
        let rules = rules.unwrap();
        assert_eq!((rules.fuzzy_rule(), rules.record_rule()), (Some(2), 3));
        assert_eq!([1, 2, 3].map(|rule| rules.rule_name(rule)), ["m", "same_person", RECORD_RULE]);
        assert_eq!([1, 2, 3].map(|rule| rules.priority(rule)), [9, 1_000, 0]);
    }

    #[test]
    fn bad_rules_are_refused() {
        let refused = |identifiers: Vec<IdentifierRule>, exact_on: &[&str]| {
            Rules::from_graph(&graph(identifiers, exact_on)).unwrap_err().to_string()
        };
        let email = || identifier("email", "email", &[]);
        assert_eq!(refused(vec![], &["name"]), "identity graph has no identifiers");
        assert_eq!(
            refused(vec![email(), email()], &["name"]),
            "identity rule \"email\" is used twice"
        );
        assert_eq!(refused(vec![email()], &[]), "match rule \"m\" compares nothing");
        assert_eq!(
            refused(vec![email()], &["shoe_size"]),
            "match field \"shoe_size\" does not exist"
        );
        assert_eq!(
            refused(vec![identifier("x", "soundex", &[])], &["name"]),
            "normalizer \"soundex\" does not exist"
        );
        assert_eq!(
            refused(vec![identifier("x", "email", &["PL"])], &["name"]),
            "normalizer \"email\" has too many arguments"
        );
        assert_eq!(
            refused(vec![identifier("x", "phone", &["Mars"])], &["name"]),
            "country \"Mars\" does not exist"
        );
        let limited = IdentifierRule { limit: Some(0), ..email() };
        assert_eq!(refused(vec![limited], &["name"]), "identifier \"email\" has LIMIT 0");
        let broken = IdentifierRule { block_matching: vec!["(".to_owned()], ..email() };
        assert!(
            refused(vec![broken], &["name"])
                .starts_with("identifier \"email\" has an invalid pattern \"(\"")
        );
    }
}
