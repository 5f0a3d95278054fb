//! TLS by rustls. A certificate that cannot be used is an error when the server starts, and never plain text.

use std::path::Path;
use std::sync::Arc;

use pgwire::api::auth::sasl::scram::ScramServerAuth;
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// The protocol that clients may ask for in the handshake.
const ALPN: &[u8] = b"postgresql";

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file cannot be read, or holds no PEM of the kind.
    #[error("{what} \"{path}\" cannot be used")]
    File {
        /// Which file.
        what: &'static str,
        /// Where it is.
        path: String,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// The file has no certificate.
    #[error("TLS certificate \"{path}\" holds no certificate")]
    Empty {
        /// Where it is.
        path: String,
    },
    /// Certificate and key do not fit each other, or are not supported.
    #[error("TLS certificate and key cannot be used together")]
    Mismatch(#[source] rustls::Error),
}

/// What a listener needs for TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    /// Log-ins that are bound to this certificate; `None` if a log-in cannot be bound to one of its kind.
    pub(super) bound: Option<ScramServerAuth>,
    /// Whether clients without TLS are turned away.
    pub(super) required: bool,
}

impl Tls {
    /// Loads a certificate chain and its key from PEM files.
    pub(crate) fn load(certificate: &Path, key: &Path, required: bool) -> Result<Tls, TlsError> {
        let refused = |what: &'static str, path: &Path| {
            let path = path.display().to_string();
            move |source| TlsError::File { what, path, source }
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
            .map_err(refused("TLS certificate", certificate))?;
        if chain.is_empty() {
            return Err(TlsError::Empty { path: certificate.display().to_string() });
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(refused("TLS key", key))?;
        let bound = bound_to(certificate).map_err(refused("TLS certificate", certificate))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Mismatch)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Mismatch)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), bound, required })
    }
}

/// Returns log-ins that prove to the client which certificate the server has, so that nobody can stand between them.
fn bound_to(certificate: &Path) -> Result<Option<ScramServerAuth>, pem::Error> {
    let pem = std::fs::read(certificate).map_err(pem::Error::Io)?;
    let mut scram = ScramServerAuth::new();
    match scram.configure_certificate(&pem) {
        Ok(()) => Ok(Some(scram)),
        Err(error) => {
            tracing::warn!(%error, "SCRAM-SHA-256-PLUS is not offered: the certificate has no hash for it");
            Ok(None)
        }
    }
}
