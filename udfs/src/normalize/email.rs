//! `normalize_email`: the mailbox that an address leads to.

use std::borrow::Cow;

use arrow::datatypes::DataType;

use super::punycode::decode_domain;
use super::text::{is_invisible, is_space, trim};
use crate::column::{Specification, text};

/// Providers that deliver `name+tag` to `name`. Elsewhere `+` is a letter like any other.
const TAGGED: [&str; 21] = [
    "outlook.com",
    "outlook.de",
    "outlook.fr",
    "hotmail.com",
    "hotmail.co.uk",
    "hotmail.de",
    "hotmail.fr",
    "live.com",
    "live.co.uk",
    "msn.com",
    "icloud.com",
    "me.com",
    "mac.com",
    "fastmail.com",
    "fastmail.fm",
    "proton.me",
    "protonmail.com",
    "protonmail.ch",
    "pm.me",
    "gmail.com",
    "googlemail.com",
];

pub(crate) fn specification() -> Specification {
    Specification {
        name: "normalize_email",
        section: "Normalisation",
        description: "Returns the mailbox that an e-mail address leads to: trimmed, lower case, without `mailto:`, without a \
                      tag after `+` where the provider ignores it, and at Gmail without dots. Of `Ada Lovelace <ada@x.com>` the \
                      address is taken, and a domain written as `xn--mller-kva.de` is `müller.de`. Null when it is no mailbox.",
        parameters: const { &[text("email", "The address.")] },
        required: 1,
        example: (&[" Ada.Lovelace+news@GoogleMail.com "], "adalovelace@gmail.com"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| arguments.map_text(normalize_email),
    }
}

/// Returns the mailbox that `text` leads to, or `None` when it is none.
pub fn normalize_email(text: &str) -> Option<Cow<'_, str>> {
    if !text.is_ascii() && text.contains(is_invisible) {
        let shown: String = text.chars().filter(|c| !is_invisible(*c)).collect();
        return mailbox(&shown).map(|mailbox| Cow::Owned(mailbox.into_owned()));
    }
    mailbox(text)
}

/// Returns the mailbox of a text without invisible characters.
fn mailbox(text: &str) -> Option<Cow<'_, str>> {
    let address = bare(within_brackets(text));
    let (local, domain) = address.split_once('@')?;
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if local.is_empty() || !local.chars().all(is_local) || !is_domain(domain) {
        return None;
    }
    let address = &address[..local.len() + 1 + domain.len()];
    let is_plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    if !address.bytes().all(is_plain) || domain.contains("xn--") {
        let mut lower = address.to_lowercase();
        if lower.contains("xn--") {
            let (local, domain) = lower.split_once('@')?;
            lower = format!("{local}@{}", decode_domain(domain));
        }
        let (local, domain) = lower.split_once('@')?;
        return Some(Cow::Owned(canonical(local, domain)?.unwrap_or_else(|| lower.clone())));
    }
    Some(canonical(local, domain)?.map_or(Cow::Borrowed(address), Cow::Owned))
}

/// Returns what stands in angle brackets behind a name: `Ada Lovelace <ada@x.com>`. Of several mailboxes it is none.
fn within_brackets(text: &str) -> &str {
    let text = trim(text);
    let parts = text.strip_suffix('>').and_then(|text| text.split_once('<'));
    let Some((name, address)) = parts else { return text };
    let is_list = name.contains('@') && name.contains([',', ';']);
    if is_list || !address.contains('@') { text } else { address }
}

/// Returns `text` without what stands around an address.
fn bare(text: &str) -> &str {
    let mut address = trim(text);
    while let Some((scheme, rest)) = address.split_at_checked("mailto:".len())
        && scheme.eq_ignore_ascii_case("mailto:")
    {
        address = trim(rest.split_once('?').map_or(rest, |(before, _)| before));
    }
    address
}

/// Returns `Some(None)` when the address is canonical as it is, `None` when no name is left of it.
fn canonical(local: &str, domain: &str) -> Option<Option<String>> {
    if !TAGGED.contains(&domain) {
        return Some(None);
    }
    let name = local.split_once('+').map_or(local, |(name, _)| name);
    let gmail = matches!(domain, "gmail.com" | "googlemail.com");
    if name.bytes().all(|byte| gmail && byte == b'.') {
        return None;
    }
    if gmail && (name.contains('.') || name.len() < local.len() || domain != "gmail.com") {
        let mut mailbox = String::with_capacity(name.len() + "@gmail.com".len());
        mailbox.extend(name.split('.'));
        mailbox.push_str("@gmail.com");
        return Some(Some(mailbox));
    }
    Some((name.len() < local.len()).then(|| format!("{name}@{domain}")))
}

fn is_local(c: char) -> bool {
    !is_space(c)
        && !c.is_control()
        && !matches!(c, '@' | '<' | '>' | '(' | ')' | '[' | ']' | ',' | ';' | ':' | '"' | '\\')
}

fn is_domain(domain: &str) -> bool {
    let is_part = |c: char| {
        if c.is_ascii() {
            c.is_ascii_alphanumeric() || c == '-' || c == '_'
        } else {
            !is_space(c) && !c.is_control()
        }
    };
    domain.split('.').all(|label| !label.is_empty() && label.chars().all(is_part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_lead_to_mailboxes() {
        for (given, expected) in [
            ("ada@x.com", Some("ada@x.com")),
            (" Ada@X.Com\n", Some("ada@x.com")),
            ("mailto:Ada@x.com?subject=hello", Some("ada@x.com")),
            ("MAILTO: mailto:ada@x.com", Some("ada@x.com")),
            ("a.d.a+1@gmail.com", Some("ada@gmail.com")),
            ("A.da@GoogleMail.com", Some("ada@gmail.com")),
            ("ada_1@gmail.com", Some("ada_1@gmail.com")),
            ("a.da+x@icloud.com", Some("a.da@icloud.com")),
            ("ada+x@proton.me", Some("ada@proton.me")),
            ("ada+x@firm.example", Some("ada+x@firm.example")),
            ("a.da@outlook.example", Some("a.da@outlook.example")),
            ("żółw@Łódź.pl", Some("żółw@łódź.pl")),
            ("ada@x.com.", Some("ada@x.com")),
            ("o'hara!#$%&*/=?^`{|}~-@x.com", Some("o'hara!#$%&*/=?^`{|}~-@x.com")),
            ("", None),
            ("n/a", None),
            ("NULL", None),
            ("ada", None),
            ("@x.com", None),
            ("ada@", None),
            ("ada@.com", None),
            ("ada@x..com", None),
            ("ada @x.com", None),
            ("ada@x .com", None),
            ("ada@x@y.com", None),
            ("Ada <ada@x.com>", Some("ada@x.com")),
            ("Lovelace, Ada <mailto:Ada@x.com>", Some("ada@x.com")),
            ("<ada@x.com>", Some("ada@x.com")),
            ("ad\u{200b}a@x\u{ad}.com\u{200e}", Some("ada@x.com")),
            ("ada@XN--MLLER-KVA.de", Some("ada@müller.de")),
            ("ada@MÜLLER.de", Some("ada@müller.de")),
            ("<>", None),
            ("Ada <ada@x.com>, Bob <bob@x.com>", None),
            ("ada@x.com, Bob <bob@x.com>", None),
            ("ada@x.com, bob@x.com", None),
            ("+news@gmail.com", None),
            ("...@gmail.com", None),
        ] {
            assert_eq!(normalize_email(given).as_deref(), expected, "{given:?}");
        }
        assert!(matches!(normalize_email(" ada@x.com "), Some(Cow::Borrowed(_))));
    }

    proptest! {
        #[test]
        fn twice_is_once(given in "(mailto:)?[ .+A-Za-zİΣßé\u{200b}]{0,9}@(gmail\\.com|GoogleMail.com|me.com|xn--[a-z0-9]{0,7}|[.a-zİ]{0,5})\\.? ?>?|.*") {
            if let Some(once) = normalize_email(&given) {
                prop_assert_eq!(normalize_email(&once), Some(Cow::Borrowed(&*once)));
            }
        }
    }
}
