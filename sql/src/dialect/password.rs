//! Passwords of roles: turned into a SCRAM-SHA-256 verifier before anything is stored.
//!
//! A verifier is written as PostgreSQL writes it, `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`, the
//! last three in Base64 (RFC 5802, RFC 7677). Who holds it can check a password and cannot learn it.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Rounds of a verifier made here.
pub(crate) const ITERATIONS: u32 = 15_000;
/// Rounds of a verifier made elsewhere: fewer are weak, more make every log-in expensive.
const ITERATIONS_ALLOWED: std::ops::RangeInclusive<u32> = 4_096..=1_000_000;
/// Bytes of a salt.
const SALT_BYTES: usize = 16;
/// Characters of a password at most.
const PASSWORD_CHARS_MAX: usize = 1_024;
/// What every verifier begins with.
const PREFIX: &str = "SCRAM-SHA-256$";

/// A password as somebody typed it. It has no `Display`, and its `Debug` says nothing.
#[derive(Clone)]
pub(crate) struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Password {
    /// Takes a password, or says why it cannot be one. Other characters than printable ASCII would first have to be
    /// normalised (RFC 4013) in the same way by every client.
    pub(crate) fn new(text: String) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("an empty password is not allowed");
        }
        if text.len() > PASSWORD_CHARS_MAX {
            return Err("the password is too long");
        }
        if !text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
            return Err("a password can only hold printable characters of ASCII");
        }
        Ok(Password(text))
    }

    /// Returns a new verifier with a random salt.
    pub(crate) fn verifier(&self) -> String {
        let salt: [u8; SALT_BYTES] = rand::random();
        self.verifier_with(&salt, ITERATIONS)
    }

    /// Returns whether a verifier was made from this password.
    pub(crate) fn matches(&self, verifier: &str) -> bool {
        let Some((iterations, salt)) = parts(verifier) else { return false };
        self.verifier_with(&salt, iterations) == verifier
    }

    /// Returns the verifier for a salt and a number of rounds.
    fn verifier_with(&self, salt: &[u8], iterations: u32) -> String {
        let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(self.0.as_bytes(), salt, iterations);
        let stored = Sha256::digest(keyed(&salted, b"Client Key"));
        let server = keyed(&salted, b"Server Key");
        let (salt, stored, server) = (base64(salt), base64(&stored), base64(&server));
        format!("{PREFIX}{iterations}:{salt}${stored}:{server}")
    }
}

/// Returns whether a text has the form of a verifier.
pub(crate) fn is_verifier(text: &str) -> bool {
    parts(text).is_some()
}

/// Returns whether a text was meant to be a verifier.
pub(crate) fn looks_like_verifier(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Returns the rounds and the salt of a verifier, if it is one.
fn parts(verifier: &str) -> Option<(u32, Vec<u8>)> {
    let (parameters, keys) = verifier.strip_prefix(PREFIX)?.split_once('$')?;
    let (iterations, salt) = parameters.split_once(':')?;
    let (stored, server) = keys.split_once(':')?;
    let iterations =
        iterations.parse().ok().filter(|rounds| ITERATIONS_ALLOWED.contains(rounds))?;
    let keys_fit = from_base64(stored)?.len() == 32 && from_base64(server)?.len() == 32;
    let salt = from_base64(salt).filter(|salt| keys_fit && salt.len() >= 8)?;
    Some((iterations, salt))
}

/// Returns HMAC-SHA-256 of a text.
fn keyed(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes bytes in Base64 with padding.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = (0..3)
            .fold(0u32, |group, i| group << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let letter = ALPHABET[(group >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// Reads Base64 with padding; `None` unless it is exactly what [`base64`] writes.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) || text.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut group = 0u32;
        for i in 0..4 {
            let value = match chunk.get(i) {
                Some(letter) => ALPHABET.iter().position(|known| known == letter)?,
                None => 0,
            };
            group = group << 6 | u32::try_from(value).ok()?;
        }
        let [_, a, b, c] = group.to_be_bytes();
        bytes.extend(&[a, b, c][..chunk.len() - 1]);
    }
    (base64(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(from_base64(text).as_deref(), Some(bytes.as_bytes()));
        }
        for bad in ["", "Zg", "Zg=", "Z===", "Zh==", "Zm9v=", "Zm9*"] {
            assert_eq!(from_base64(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_verifier_is_what_postgresql_makes_of_the_same_salt() {
        // The keys follow from the exchange that RFC 7677 prints: user "user", password "pencil".
        let password = Password::new("pencil".into()).unwrap();
        let salt = from_base64("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert_eq!(
            password.verifier_with(&salt, 4096),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==\
             $WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn a_verifier_matches_only_its_password() {
        let password = Password::new("correct horse".into()).unwrap();
        let verifier = password.verifier();
        assert!(is_verifier(&verifier));
        assert!(password.matches(&verifier));
        assert!(!Password::new("correct".into()).unwrap().matches(&verifier));
        assert!(!password.matches("SCRAM-SHA-256$1:x$y:z"));
        assert_ne!(verifier, password.verifier(), "each has a salt of its own");
        assert_eq!(format!("{password:?}"), "Password(..)");
    }

    #[test]
    fn what_cannot_be_a_password_is_refused() {
        for bad in ["", "zażółć", "a\nb", &"x".repeat(1_025)] {
            assert!(Password::new(bad.to_string()).is_err());
        }
    }
}
