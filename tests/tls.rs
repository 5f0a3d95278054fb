//! Encryption is there or the server is not: nothing falls back to plain text.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_postgres::{Config, NoTls};

use crate::harness::{
    Built, PROMPT, Process, Server, Session, WORK, connect, psql, python, shared_server, small,
};

/// Writes a key and a certificate of its own for 127.0.0.1.
const CERTIFICATE: &str = r#"
import datetime, ipaddress, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "onefold test")])
day = datetime.timedelta(days=1)
now = datetime.datetime.now(datetime.timezone.utc)
certificate = (
    x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
    .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    .sign(key, hashes.SHA256())
)
pem = serialization.Encoding.PEM
with open(sys.argv[1] + ".pem", "wb") as out:
    out.write(certificate.public_bytes(pem))
with open(sys.argv[1] + ".key", "wb") as out:
    out.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
"#;

/// Writes a root, and a key and a certificate for `localhost` that it has signed.
const CHAIN: &str = r#"
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
day = datetime.timedelta(days=1)
now = datetime.datetime.now(datetime.timezone.utc)
def certificate(name, key, issuer, by, is_root, names):
    return (
        x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .sign(by, hashes.SHA256())
    )
def named(name):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
root = certificate(named("root of a test"), root_key, named("root of a test"), root_key, True, ["root.example"])
server = certificate(named("localhost"), key, named("root of a test"), root_key, False, ["localhost"])
pem = serialization.Encoding.PEM
with open(sys.argv[1] + "-root.pem", "wb") as out:
    out.write(root.public_bytes(pem))
with open(sys.argv[1] + ".pem", "wb") as out:
    out.write(server.public_bytes(pem))
with open(sys.argv[1] + ".key", "wb") as out:
    out.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
"#;

/// Connects as the arguments say, and prints what the server answers, or why there is no connection.
const CLIENT: &str = r#"
import sys
import psycopg
try:
    with psycopg.connect(sys.argv[1]) as connection:
        print(connection.execute("SELECT count(*) > 0 FROM profiles").fetchone()[0])
except psycopg.OperationalError as error:
    print(error)
"#;

fn written(script: &str, path: &Path) {
    let mut command = Command::new(python());
    command.arg("-c").arg(script).arg(path);
    Process::spawn(command).finish(PROMPT).success();
}

fn certificate(path: &Path) {
    written(CERTIFICATE, path);
}

/// Puts a `[tls]` part into the project's configuration.
fn configure(lake: &Built, tls: &str) {
    let path = lake.project.join("onefold.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{config}\n[tls]\n{tls}\n")).unwrap();
}

/// Asks for encryption, and returns the stream and the server's answer of one letter.
async fn ask(server: &Server) -> (TcpStream, u8) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let mut request = 8_u32.to_be_bytes().to_vec();
    request.extend(80_877_103_u32.to_be_bytes());
    stream.write_all(&request).await.unwrap();
    let answer = tokio::time::timeout(PROMPT, stream.read_u8()).await.unwrap().unwrap();
    (stream, answer)
}

#[tokio::test]
async fn encrypted_connections_work_and_others_are_refused() {
    let lake = small().copied();
    certificate(&lake.project.join("server"));
    configure(&lake, "cert = \"server.pem\"\nkey = \"server.key\"");
    let server = lake.serve();

    let failure =
        connect(&server, "engineer", "demo").await.err().expect("a plain connection was accepted");
    assert!(failure.sqlstate.starts_with("28"), "{failure}");

    let (stream, answer) = ask(&server).await;
    assert_eq!(answer, b'S');
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(lake.project.join("server.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream =
        tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    let mut config = Config::new();
    config
        .user("engineer")
        .password("demo")
        .dbname("onefold")
        .ssl_mode(tokio_postgres::config::SslMode::Disable);
    let (client, connection) = config.connect_raw(stream, NoTls).await.unwrap();
    let mut running = JoinSet::new();
    running.spawn(async move {
        let _ = connection.await;
    });
    let session = Session::of(client, running);
    assert!(session.number("SELECT count(*) FROM profiles").await > 0);
}

/// libpq in its strictest mode: it checks the chain and the name, and binds the log-in to the certificate.
#[test]
fn clients_that_verify_get_in_and_those_who_expect_another_server_do_not() {
    let lake = small().copied();
    written(CHAIN, &lake.project.join("server"));
    written(CHAIN, &lake.project.join("other"));
    configure(&lake, "cert = \"server.pem\"\nkey = \"server.key\"");
    let server = lake.serve();
    let address = format!("hostaddr=127.0.0.1 port={} dbname=onefold user=engineer", server.port());
    let root = |name: &str| lake.project.join(format!("{name}-root.pem")).display().to_string();
    let said = |what: &str| {
        let mut command = Command::new(python());
        command.arg("-c").arg(CLIENT).arg(format!("{address} {what}"));
        Process::spawn(command).finish(PROMPT).success().stdout
    };
    let (own, other) = (root("server"), root("other"));
    for (what, expected) in [
        (format!("host=localhost sslmode=verify-full sslrootcert={own} password=demo"), "True"),
        (
            format!(
                "host=localhost sslmode=verify-full sslrootcert={own} password=demo channel_binding=require"
            ),
            "True",
        ),
        (
            format!("host=wrong.example sslmode=verify-full sslrootcert={own} password=demo"),
            "does not match host name",
        ),
        (
            format!("host=localhost sslmode=verify-full sslrootcert={other} password=demo"),
            "SSL error",
        ),
        (
            "host=localhost sslmode=require password=wrong channel_binding=require".to_owned(),
            "password authentication failed",
        ),
    ] {
        let said = said(&what);
        assert!(said.contains(expected), "{what}\n{said}");
    }
    // So does psql.
    let strict = format!(
        "{address} host=localhost sslmode=verify-full sslrootcert={own} channel_binding=require"
    );
    let select = ["--dbname", &strict, "--tuples-only", "--command", "SELECT current_user"];
    if let Some(finished) = psql(&server, "engineer", &select) {
        assert_eq!(finished.success().stdout.trim(), "engineer");
    }
}

#[tokio::test]
async fn without_a_certificate_the_answer_is_no() {
    let server = shared_server();
    let (_, answer) = ask(&server).await;
    assert_eq!(answer, b'N');
}

#[test]
fn a_certificate_that_cannot_be_used_keeps_the_server_from_starting() {
    let lake = small().copied();
    certificate(&lake.project.join("one"));
    certificate(&lake.project.join("two"));
    std::fs::write(lake.project.join("garbage.pem"), "garbage").unwrap();
    let config = std::fs::read_to_string(lake.project.join("onefold.toml")).unwrap();
    for (case, tls) in [
        ("no such file", "cert = \"nowhere.pem\"\nkey = \"one.key\""),
        ("not a certificate", "cert = \"garbage.pem\"\nkey = \"one.key\""),
        ("not a key", "cert = \"one.pem\"\nkey = \"garbage.pem\""),
        ("the key of another", "cert = \"one.pem\"\nkey = \"two.key\""),
        ("no key", "cert = \"one.pem\""),
        ("required and absent", "required = true"),
    ] {
        std::fs::write(lake.project.join("onefold.toml"), format!("{config}\n[tls]\n{tls}\n"))
            .unwrap();
        let finished = Process::spawn(Server::command(&lake.project, &lake.lake)).finish(WORK);
        assert_eq!(finished.code(), 78, "{case}: {finished}");
        assert!(!finished.stdout.contains("ready"), "{case}: {finished}");
        assert!(!finished.stderr.is_empty(), "{case}: said nothing");
    }
}
