//! SCRAM-SHA-256, over TLS also bound to the certificate (SCRAM-SHA-256-PLUS): the only way in.
//!
//! The server keeps verifiers, never passwords. The state of an exchange lives in one call of [`authenticate`] and is
//! shared with nobody. A user who does not exist, one who may not log in and one who is held off go through the same
//! exchange with a verifier that nothing matches, and get the same answer. The salt of such a user is always the same,
//! since it is derived from the name and a secret of the server.
//!
//! The final comparison is pgwire's: it compares SHA-256 of a value that the client cannot steer with the stored key, so
//! that its duration says nothing that helps to guess.

use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use hmac::{Hmac, Mac};
use pgwire::api::auth::sasl::scram::ScramSecret;
use pgwire::api::auth::sasl::{SCRAM_SHA_256_METHOD, SCRAM_SHA_256_PLUS_METHOD};
use pgwire::messages::startup::Authentication;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::error::{WireError, sqlstate};
use super::frame::{self, Body};
use super::limits::AUTHENTICATION_BYTES_MAX;
use super::message;
use super::server::{Shared, Socket};
use crate::dialect::password::{ITERATIONS, KEY_BYTES, SALT_BYTES, Verifier};

/// Proves that the client is `user`. Every failure ends the connection.
pub(super) async fn authenticate(
    socket: &mut Socket,
    shared: &Shared,
    user: &str,
    address: IpAddr,
) -> Result<(), WireError> {
    let admitted = shared.throttle.admits(user, address, Instant::now());
    let stored = shared.backend.verifier(user).await;
    let stored = stored.filter(|_| admitted).and_then(|verifier| Verifier::parse(&verifier));
    let secret = secret_of(stored.unwrap_or_else(|| invented(user, &shared.mock_key)));

    let bound = shared.tls.as_ref().filter(|_| socket.is_encrypted());
    let bound = bound.and_then(|tls| tls.bound.clone());
    let methods: &[&str] = match bound {
        Some(_) => &[SCRAM_SHA_256_PLUS_METHOD, SCRAM_SHA_256_METHOD],
        None => &[SCRAM_SHA_256_METHOD],
    };
    let offered = methods.iter().map(|method| (*method).to_owned()).collect();
    send(socket, &Authentication::SASL(offered)).await?;
    let first = initial_response(read_response(socket).await?, methods)?;
    let refused = |_| wrong_message();
    // A client that could have been bound and says that this server cannot do so talks to somebody in between.
    let (challenge, exchange) = bound
        .unwrap_or_default()
        .on_client_first_message_with_secret(&first, secret)
        .map_err(refused)?;
    send(socket, &Authentication::SASLContinue(challenge.into())).await?;
    let last = read_response(socket).await?;
    match exchange.on_client_final_message(&last) {
        Ok(signature) => {
            shared.throttle.succeeded(user, address);
            send(socket, &Authentication::SASLFinal(signature.into())).await
        }
        Err(pgwire::error::PgWireError::InvalidPassword(_)) => {
            shared.throttle.failed(user, address, Instant::now());
            tracing::info!(user, %address, "a log-in failed");
            Err(WireError::fatal(
                sqlstate::INVALID_PASSWORD,
                format!("password authentication failed for user \"{user}\""),
            ))
        }
        Err(_) => Err(wrong_message()),
    }
}

fn wrong_message() -> WireError {
    WireError::protocol("malformed SCRAM message")
}

async fn send(socket: &mut Socket, step: &Authentication) -> Result<(), WireError> {
    let mut out = BytesMut::new();
    message::authentication(step, &mut out);
    socket.write_all(&out).await.map_err(|_| gone())?;
    socket.flush().await.map_err(|_| gone())
}

fn gone() -> WireError {
    WireError::protocol("unexpected EOF on client connection")
}

/// Reads the body of one message of type `p`. Nothing else is understood before the log-in is over.
async fn read_response(socket: &mut Socket) -> Result<Bytes, WireError> {
    let mut head = BytesMut::zeroed(5);
    socket.read_exact(&mut head).await.map_err(|_| gone())?;
    let (kind, length) = frame::header(&head, |_| AUTHENTICATION_BYTES_MAX)?.ok_or_else(gone)?;
    if kind != b'p' {
        return Err(WireError::protocol(format!(
            "expected SASL response, got message type {kind}"
        )));
    }
    let mut body = BytesMut::zeroed(length);
    socket.read_exact(&mut body).await.map_err(|_| gone())?;
    Ok(body.freeze())
}

/// Reads the mechanism and its first message, which says as much about the certificate as the mechanism does.
fn initial_response(body: Bytes, offered: &[&str]) -> Result<Bytes, WireError> {
    let mut body = Body(body);
    let method = body.text()?;
    if !offered.contains(&method.as_str()) {
        return Err(WireError::protocol(
            "client selected an invalid SASL authentication mechanism",
        ));
    }
    let length = usize::try_from(body.i32()?).map_err(|_| wrong_message())?;
    let first = body.bytes(length)?;
    let bound = first.starts_with(b"p=");
    if body.0.is_empty() && bound == (method == SCRAM_SHA_256_PLUS_METHOD) {
        Ok(first)
    } else {
        Err(wrong_message())
    }
}

/// Returns a verifier as pgwire takes it.
fn secret_of(verifier: Verifier) -> ScramSecret {
    let Verifier { iterations, salt, stored_key, server_key } = verifier;
    // A target has at least 32 bits.
    let iterations = usize::try_from(iterations).unwrap_or(usize::MAX);
    ScramSecret::Verifier { salt, iterations, stored_key, server_key }
}

/// Returns a verifier that no password matches, for a user who has none: it looks like those that onefold makes.
fn invented(user: &str, key: &[u8; 32]) -> Verifier {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(user.as_bytes());
    let salt = mac.finalize().into_bytes()[..SALT_BYTES].to_vec();
    let random: [u8; KEY_BYTES] = rand::random();
    Verifier {
        salt,
        iterations: ITERATIONS,
        stored_key: random.to_vec(),
        server_key: random.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_does_not_exist_has_a_lasting_salt() {
        let salt = |user: &str, key: &[u8; 32]| invented(user, key).salt;
        assert_eq!(salt("nobody", &[1; 32]), salt("nobody", &[1; 32]));
        assert_ne!(salt("nobody", &[1; 32]), salt("no-one", &[1; 32]));
        assert_ne!(salt("nobody", &[1; 32]), salt("nobody", &[2; 32]));
    }
}
