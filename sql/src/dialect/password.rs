//! Passwords of roles: turned into a SCRAM-SHA-256 verifier before anything is stored.
//!
//! A verifier is written as PostgreSQL writes it, `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`, the
//! last three in Base64 (RFC 5802, RFC 7677). Who holds it can check a password and cannot learn it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Rounds of a verifier made here.
pub(crate) const ITERATIONS: u32 = 15_000;
/// Rounds of a verifier made elsewhere: fewer are weak, more make every log-in expensive.
const ITERATIONS_ALLOWED: std::ops::RangeInclusive<u32> = 4_096..=1_000_000;
/// Bytes of a salt made here.
pub(crate) const SALT_BYTES: usize = 16;
/// Bytes of a salt made elsewhere at least.
const SALT_BYTES_MIN: usize = 8;
/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;
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
        let Some(known) = Verifier::parse(verifier) else { return false };
        self.verifier_with(&known.salt, known.iterations) == verifier
    }

    /// Returns the verifier for a salt and a number of rounds.
    fn verifier_with(&self, salt: &[u8], iterations: u32) -> String {
        let salted =
            pbkdf2::pbkdf2_hmac_array::<Sha256, KEY_BYTES>(self.0.as_bytes(), salt, iterations);
        let stored = Sha256::digest(keyed(&salted, b"Client Key"));
        let server = keyed(&salted, b"Server Key");
        let (salt, stored, server) =
            (BASE64.encode(salt), BASE64.encode(stored), BASE64.encode(server));
        format!("{PREFIX}{iterations}:{salt}${stored}:{server}")
    }
}

/// A verifier, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verifier {
    /// How often the password was hashed.
    pub(crate) iterations: u32,
    /// What was hashed with it.
    pub(crate) salt: Vec<u8>,
    /// What a client's proof is checked with.
    pub(crate) stored_key: Vec<u8>,
    /// What the server proves itself with.
    pub(crate) server_key: Vec<u8>,
}

impl Verifier {
    /// Reads a verifier; `None` unless it is whole and within its bounds.
    pub(crate) fn parse(text: &str) -> Option<Verifier> {
        let (parameters, keys) = text.strip_prefix(PREFIX)?.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let iterations = iterations.parse().ok()?;
        let bytes = |text: &str| BASE64.decode(text).ok();
        let (salt, stored_key, server_key) = (bytes(salt)?, bytes(stored)?, bytes(server)?);
        let whole = ITERATIONS_ALLOWED.contains(&iterations)
            && salt.len() >= SALT_BYTES_MIN
            && stored_key.len() == KEY_BYTES
            && server_key.len() == KEY_BYTES;
        whole.then_some(Verifier { iterations, salt, stored_key, server_key })
    }
}

/// Returns whether a text was meant to be a verifier.
pub(crate) fn looks_like_verifier(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Returns HMAC-SHA-256 of a text.
fn keyed(key: &[u8], text: &[u8]) -> [u8; KEY_BYTES] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_what_postgresql_makes_of_the_same_salt() {
        // The keys follow from the exchange that RFC 7677 prints: user "user", password "pencil".
        let password = Password::new("pencil".into()).unwrap();
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
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
        assert!(Verifier::parse(&verifier).is_some());
        assert!(password.matches(&verifier));
        assert!(!Password::new("correct".into()).unwrap().matches(&verifier));
        assert!(!password.matches("SCRAM-SHA-256$1:x$y:z"));
        assert_ne!(verifier, password.verifier(), "each has a salt of its own");
        assert_eq!(format!("{password:?}"), "Password(..)");
    }

    #[test]
    fn a_verifier_of_postgresql_is_read_and_nothing_that_is_not_whole() {
        let salt = "bWFkZS11cC1zYWx0LTEyMw==";
        let keys = [
            "6YlRFSRqCvOPFtpnBnFqpPWp1EHHBhcAGDRaaESvvRk=",
            "R5mHLpU4jBGwXCrG1fG8OcIvBB1rCKl4SPjDVTYJ0ys=",
        ];
        let text = format!("SCRAM-SHA-256$4096:{salt}${}:{}", keys[0], keys[1]);
        let read = Verifier::parse(&text).unwrap();
        assert_eq!((read.iterations, read.salt.as_slice()), (4096, &b"made-up-salt-123"[..]));
        assert_eq!((read.stored_key.len(), read.server_key.len()), (KEY_BYTES, KEY_BYTES));
        for (part, broken) in [
            ("SCRAM-SHA-256$", "SCRAM-SHA-1$"),
            ("4096:", "4095:"),
            ("4096:", "1000001:"),
            ("4096:", "x:"),
            (salt, "c2hvcnQ="),
            (salt, ""),
            (keys[0], "AAAA"),
            // Neither without padding nor with bits that belong to no byte.
            (keys[0], keys[0].trim_end_matches('=')),
            (keys[0], "6YlRFSRqCvOPFtpnBnFqpPWp1EHHBhcAGDRaaESvvRl="),
            (keys[1], "R5mHLpU4jBGwXCrG1fG8OcIvBB1rCKl4SPjDVTYJ0y*="),
        ] {
            assert_eq!(Verifier::parse(&text.replace(part, broken)), None, "{part} as {broken}");
        }
    }

    #[test]
    fn what_cannot_be_a_password_is_refused() {
        for bad in ["", "zażółć", "a\nb", &"x".repeat(1_025)] {
            assert!(Password::new(bad.to_string()).is_err());
        }
    }
}
