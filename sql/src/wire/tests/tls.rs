//! TLS: it is used when it is configured, it can be required, and what cannot be used keeps the server from starting.

use std::path::PathBuf;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::*;

/// A certificate for `localhost`, made for these tests alone.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBcjCCARegAwIBAgIUOyn1GdBO8Xg3dqixOZiK0CqMZmYwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzIzNDcxM1oYDzIxMjYxMDMw
MjM0NzEzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARtrH8knaI9deYXUTIgCHfgBo/9rJiyYm7SbNqFWLFMLLxV24lNS0gr
qQJvBl3SXkCL6V7WLdJ4BuBourGlWu9wo0UwQzAUBgNVHREEDTALgglsb2NhbGhv
c3QwDAYDVR0TAQH/BAIwADAdBgNVHQ4EFgQUaOnFSthIrD/axgRqgFcucq9avZMw
CgYIKoZIzj0EAwIDSQAwRgIhALR0gInKcs0hFFO7xLLMjbyjalV4b1Y+N5Khknv0
HnKuAiEA9859KNchu4T+M5wKIdO8+F9pfg3dSG8HAtT/Uyb1xGY=
-----END CERTIFICATE-----
";
/// Its key.
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjDto1bvbs77bd96r
kZbWcNqZYOp7WWhPDfmLgVzywbmhRANCAARtrH8knaI9deYXUTIgCHfgBo/9rJiy
Ym7SbNqFWLFMLLxV24lNS0grqQJvBl3SXkCL6V7WLdJ4BuBourGlWu9w
-----END PRIVATE KEY-----
";
/// The key of nobody.
const OTHER_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5E9hHIvoeOyvUmtc
3iqv7LEdpS/1Djb3tFhi/4W+8LWhRANCAATiKZhTjcLHPzdKAGYTE1rIXSf1zt0i
LPtMbdbVgAt/mj1fF4mDyqRfQaLfQrJMQYzraH6FiDeiRFru8lyyJHO7
-----END PRIVATE KEY-----
";

fn files(certificate: &str, key: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (certificate_path, key_path) =
        (folder.path().join("server.crt"), folder.path().join("server.key"));
    std::fs::write(&certificate_path, certificate).unwrap();
    std::fs::write(&key_path, key).unwrap();
    (folder, certificate_path, key_path)
}

#[test]
fn what_cannot_be_used_is_an_error() {
    for (certificate, key) in
        [(CERTIFICATE, OTHER_KEY), ("", KEY), (CERTIFICATE, ""), (CERTIFICATE, "nonsense")]
    {
        let (_folder, certificate, key) = files(certificate, key);
        assert!(Tls::load(&certificate, &key, false).is_err());
    }
    let nowhere = PathBuf::from("/nowhere/server.crt");
    let error = Tls::load(&nowhere, &nowhere, false).err().unwrap();
    assert!(error.to_string().contains("/nowhere/server.crt"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_and_can_be_required() {
    let (_folder, certificate, key) = files(CERTIFICATE, KEY);
    let tls = Tls::load(&certificate, &key, true).unwrap();
    let harness = Harness::start_with(Some(tls), Limits::default()).await;

    let mut plain = harness.socket().await;
    plain.send(&startup(&[("user", "ada"), ("database", "onefold")])).await;
    assert_eq!(sqlstate(&plain.until_ready().await), "28000");

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    stream.write_all(&packet(80_877_103, &[])).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'S');
    let name = ServerName::try_from("localhost").unwrap();
    let encrypted = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();

    let mut config = harness.config();
    config.ssl_mode(tokio_postgres::config::SslMode::Disable);
    let (client, connection) = config.connect_raw(encrypted, tokio_postgres::NoTls).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    // More than one chunk, so that rows are pushed through TLS while the query runs.
    let rows = client.query("SELECT n FROM wide", &[]).await.unwrap();
    assert_eq!(rows.len(), 100_000);
}
