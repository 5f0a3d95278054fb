//! The first packets of a connection: TLS or not, cancel or not, who wants which database.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::{WireError, sqlstate};
use super::frame::Body;
use super::limits::{NEGOTIATIONS_MAX, STARTUP_BYTES_MAX};
use super::message;
use super::server::{Shared, Socket};

/// The one database.
pub(super) const DATABASE: &str = "onefold";
/// The protocol that is spoken, 3.0.
const VERSION: i32 = 3 << 16;
const CANCEL_CODE: i32 = 80_877_102;
const SSL_CODE: i32 = 80_877_103;
const GSS_CODE: i32 = 80_877_104;

/// What a client says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hello {
    /// The role.
    pub(super) user: String,
    /// The database.
    pub(super) database: String,
    /// Settings, in the order in which they take effect.
    pub(super) settings: Vec<(String, String)>,
}

/// How the first packets ended.
pub(super) enum Opening {
    /// A client that wants a session.
    Hello(Box<Hello>, Socket),
    /// Nothing more: a CancelRequest, or a socket that was closed.
    Over,
}

/// Reads the first packets. An error comes with the socket that it is to be sent to.
pub(super) async fn open(
    mut socket: Socket,
    shared: &Shared,
) -> Result<Opening, (WireError, Option<Socket>)> {
    for _ in 0..NEGOTIATIONS_MAX {
        let packet = match read_packet(&mut socket).await {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(Opening::Over),
            Err(error) => return Err((error, Some(socket))),
        };
        let mut body = Body(packet);
        match body.i32().unwrap_or_default() {
            SSL_CODE if socket.is_encrypted() => {
                return Err((
                    WireError::protocol("unsupported frontend request: TLS inside of TLS"),
                    Some(socket),
                ));
            }
            SSL_CODE => socket = encrypt(socket, shared).await.map_err(|error| (error, None))?,
            GSS_CODE => answer(&mut socket, b'N').await.map_err(|error| (error, None))?,
            CANCEL_CODE => {
                if let (Ok(pid), Ok(secret)) = (body.i32(), body.i32()) {
                    shared.cancels.cancel(pid, secret);
                }
                return Ok(Opening::Over);
            }
            version => {
                return match hello(version, body, &socket, shared) {
                    Ok((hello, unknown)) => {
                        negotiate(version, unknown, &mut socket)
                            .await
                            .map_err(|error| (error, None))?;
                        Ok(Opening::Hello(Box::new(hello), socket))
                    }
                    Err(error) => Err((error, Some(socket))),
                };
            }
        }
    }
    Err((WireError::protocol("too many negotiation requests"), Some(socket)))
}

/// Reads one packet without its length, exactly: what follows a request for TLS belongs to the handshake.
async fn read_packet(socket: &mut Socket) -> Result<Option<Bytes>, WireError> {
    let Ok(length) = socket.read_i32().await else { return Ok(None) };
    let length = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
    let Some(length) = length.filter(|length| (4..=STARTUP_BYTES_MAX).contains(length)) else {
        return Err(WireError::protocol("invalid length of startup packet"));
    };
    let mut packet = BytesMut::zeroed(length);
    match socket.read_exact(&mut packet).await {
        Ok(_) => Ok(Some(packet.freeze())),
        Err(_) => Ok(None),
    }
}

async fn answer(socket: &mut Socket, letter: u8) -> Result<(), WireError> {
    let refused = |_| WireError::protocol("unexpected EOF on client connection");
    socket.write_all(&[letter]).await.map_err(refused)?;
    socket.flush().await.map_err(refused)
}

async fn encrypt(mut socket: Socket, shared: &Shared) -> Result<Socket, WireError> {
    let Some(tls) = &shared.tls else {
        answer(&mut socket, b'N').await?;
        return Ok(socket);
    };
    answer(&mut socket, b'S').await?;
    match socket {
        Socket::Plain(plain) => match tls.acceptor.accept(plain).await {
            Ok(encrypted) => Ok(Socket::Tls(Box::new(encrypted))),
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                Err(WireError::protocol("could not accept TLS connection"))
            }
        },
        other => Ok(other),
    }
}

/// Reads the start-up message. Beside it stand the options of the protocol that are not known.
fn hello(
    version: i32,
    mut body: Body,
    socket: &Socket,
    shared: &Shared,
) -> Result<(Hello, Vec<String>), WireError> {
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != 3 {
        return Err(WireError::fatal(
            sqlstate::FEATURE_NOT_SUPPORTED,
            format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0"),
        ));
    }
    if shared.tls.as_ref().is_some_and(|tls| tls.required) && !socket.is_encrypted() {
        return Err(WireError::fatal(
            sqlstate::INVALID_AUTHORIZATION,
            "connections without TLS are not accepted",
        )
        .hint("Connect with sslmode=require or stronger."));
    }
    let mut parameters = BTreeMap::new();
    loop {
        let name = body.text().map_err(|_| invalid_layout())?;
        if name.is_empty() {
            break;
        }
        parameters.insert(name, body.text().map_err(|_| invalid_layout())?);
    }
    if !body.0.is_empty() {
        return Err(invalid_layout());
    }
    let unknown = parameters.keys().filter(|name| name.starts_with("_pq_.")).cloned().collect();
    parameters.retain(|name, _| !name.starts_with("_pq_."));
    let user = parameters.remove("user").filter(|user| !user.is_empty()).ok_or_else(|| {
        WireError::fatal(
            sqlstate::INVALID_AUTHORIZATION,
            "no PostgreSQL user name specified in startup packet",
        )
    })?;
    let database = parameters.remove("database").unwrap_or_else(|| user.clone());
    let replication = parameters.remove("replication").unwrap_or_default();
    if !["", "0", "off", "false", "no"].contains(&replication.as_str()) {
        return Err(WireError::fatal(
            sqlstate::FEATURE_NOT_SUPPORTED,
            "replication is not supported",
        ));
    }
    let mut settings = options(&parameters.remove("options").unwrap_or_default())?;
    settings.extend(parameters);
    Ok((Hello { user, database, settings }, unknown))
}

fn invalid_layout() -> WireError {
    WireError::protocol("invalid startup packet layout: expected terminator as last byte")
}

/// Says what is spoken to a client that asked for more.
async fn negotiate(
    version: i32,
    unknown: Vec<String>,
    socket: &mut Socket,
) -> Result<(), WireError> {
    if version == VERSION && unknown.is_empty() {
        return Ok(());
    }
    let mut out = BytesMut::new();
    message::negotiate_version(VERSION, unknown, &mut out);
    socket
        .write_all(&out)
        .await
        .map_err(|_| WireError::protocol("unexpected EOF on client connection"))
}

/// Reads `-c name=value --name=value`, in which a backslash keeps the character behind it.
fn options(text: &str) -> Result<Vec<(String, String)>, WireError> {
    let mut words = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => words.last_mut().into_iter().for_each(|word| word.extend(letters.next())),
            blank if blank.is_ascii_whitespace() => words.push(String::new()),
            other => words.last_mut().into_iter().for_each(|word| word.push(other)),
        }
    }
    let refuse = |word: &str| {
        WireError::fatal(
            sqlstate::SYNTAX_ERROR,
            format!("invalid command-line argument for server process: {word}"),
        )
        .hint("Write options as -c name=value.")
    };
    let mut settings = Vec::new();
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let pair = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next().ok_or_else(|| refuse(&word))?,
            Some(pair) => pair.to_owned(),
            None => return Err(refuse(&word)),
        };
        let (name, value) = pair.split_once('=').ok_or_else(|| refuse(&pair))?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_postgres_does() {
        let read = options(
            r"-c cdp.purpose=analytics -cstatement_timeout=5s --time-zone=Europe/Warsaw -c a=b\ c",
        )
        .unwrap();
        let pairs: Vec<_> =
            read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("cdp.purpose", "analytics"),
                ("statement_timeout", "5s"),
                ("time_zone", "Europe/Warsaw"),
                ("a", "b c")
            ]
        );
        assert_eq!(options("-d 5").unwrap_err().sqlstate, "42601");
        assert_eq!(options("").unwrap(), []);
    }
}
