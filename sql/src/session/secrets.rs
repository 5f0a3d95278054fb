//! Secrets: read where they are found, each time that they are needed, and stored nowhere.
//!
//! The password of a role may be a secret. Then it is read when the role logs in, so that a new value counts from the
//! next log-in on, and one that cannot be read lets nobody in. What is kept of it is its verifier, since making one takes
//! as long as trying a password shall take, and a hash by which a new value is noticed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use engine::Engine;
use engine::catalog::{Body, Kind, Secret};
use sha2::{Digest, Sha256};

use crate::dialect::password::{Password, Verifier};
use crate::project::Reference;

/// Verifiers that are kept; beyond that all are made anew.
const VERIFIERS_MAX: usize = 1_000;

/// The verifiers of passwords that are secrets, by the name of the secret.
#[derive(Debug, Default, Clone)]
pub(crate) struct Secrets(Arc<Mutex<HashMap<String, Kept>>>);

/// A verifier, and the hash of the value that it is of.
#[derive(Debug)]
struct Kept {
    of: [u8; 32],
    verifier: String,
}

impl Secrets {
    /// Returns the verifier of the password that is the secret `name`, or that the secret is itself.
    pub(crate) async fn verifier(&self, engine: &Engine, name: &str) -> Option<String> {
        let live = engine.live();
        let Body::Secret(secret) = &live.published.state.get(Kind::Secret, name)?.body else {
            return None;
        };
        let (reference, root) = (Reference::of(secret), engine.file_root().ok());
        let (secrets, owned) = (self.clone(), name.to_owned());
        // Reading waits for the disk, and hashing takes its time.
        let found = tokio::task::spawn_blocking(move || {
            let value = reference.read(root.as_deref())?;
            secrets.verifier_of(&owned, value)
        });
        match found.await {
            Ok(Ok(verifier)) => Some(verifier),
            Ok(Err(why)) => {
                tracing::warn!(
                    secret = name,
                    why,
                    "a password cannot be read, so that nobody logs in with it"
                );
                None
            }
            Err(error) => {
                tracing::error!(secret = name, %error, "a password could not be read");
                None
            }
        }
    }

    fn verifier_of(&self, name: &str, value: String) -> Result<String, String> {
        if Verifier::parse(&value).is_some() {
            return Ok(value);
        }
        let hash: [u8; 32] = Sha256::digest(value.as_bytes()).into();
        {
            let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(kept) = kept.get(name).filter(|kept| kept.of == hash) {
                return Ok(kept.verifier.clone());
            }
        }
        let verifier = Password::new(value)?.verifier();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= VERIFIERS_MAX {
            kept.clear();
        }
        kept.insert(name.to_owned(), Kept { of: hash, verifier: verifier.clone() });
        Ok(verifier)
    }
}

impl Reference {
    /// Returns where a secret is found.
    fn of(secret: &Secret) -> Reference {
        match secret {
            Secret::Env(variable) => Reference::Env(variable.clone()),
            Secret::File(path) => Reference::File(PathBuf::from(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_verifier_is_that_of_the_value_of_now() {
        let secrets = Secrets::default();
        let of = |value: &str| secrets.verifier_of("pw", value.to_owned());
        let one = of("correct horse").unwrap();
        assert!(Password::new("correct horse".into()).unwrap().matches(&one));
        assert_eq!(of("correct horse").unwrap(), one, "it is made once");
        let other = of("battery staple").unwrap();
        assert!(Password::new("battery staple".into()).unwrap().matches(&other));
        assert_eq!(of(&one).unwrap(), one, "a verifier stands for itself");
        for no_password in ["", "zażółć", "two\nlines"] {
            assert!(of(no_password).is_err(), "{no_password:?}");
        }
    }

    #[test]
    fn files_are_relative_to_the_project() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pw"), "secret\n").unwrap();
        let read = |path: &str, root: Option<&Path>| {
            Reference::of(&Secret::File(path.to_owned())).read(root)
        };
        assert_eq!(read("pw", Some(folder.path())).unwrap(), "secret");
        let whole = folder.path().join("pw");
        assert_eq!(read(whole.to_str().unwrap(), None).unwrap(), "secret");
        assert!(read("pw", None).unwrap_err().contains("project"));
        assert!(read("none", Some(folder.path())).is_err());
        std::fs::write(folder.path().join("long"), "x".repeat(100_000)).unwrap();
        assert!(read("long", Some(folder.path())).unwrap_err().contains("long"));
        assert!(Reference::Env("ONEFOLD_IS_NOT_SET".into()).read(None).is_err());
    }
}
