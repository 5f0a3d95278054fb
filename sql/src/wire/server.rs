//! The listener: connections in, bounds kept, everybody told at shutdown.
//!
//! Each connection is a task of one set, so that a panic in one ends that one alone and shutdown waits for all.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{io, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::auth;
use super::cancel::Cancels;
use super::channels::Channels;
use super::connection::Connection;
use super::error::{WireError, sqlstate};
use super::limits::{ACCEPT_PAUSE, CANCEL_TIMEOUT, CANCELS_MAX, Limits, SHUTDOWN_GRACE};
use super::message;
use super::startup::{self, DATABASE, Opening};
use super::throttle::Throttle;
use super::tls::Tls;
use crate::session::backend::{Backend, Client};

/// How long a client that is turned away may take to read why.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Everything that a Postgres front is made of.
pub(crate) struct Front {
    /// The engine.
    pub(crate) backend: Arc<dyn Backend>,
    /// The runtime that plans, runs and encodes: not the one that serves sockets.
    pub(crate) light: Handle,
    /// The one where [heavy statements](engine::lanes) go on.
    pub(crate) heavy: Handle,
    /// TLS, if it is configured.
    pub(crate) tls: Option<Tls>,
    /// The bounds.
    pub(crate) limits: Limits,
    /// A secret of this server, the same after a restart: it gives users who do not exist a lasting salt.
    pub(crate) secret: [u8; 32],
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) light: Handle,
    pub(super) heavy: Handle,
    pub(super) tls: Option<Tls>,
    pub(super) limits: Limits,
    pub(super) mock_key: [u8; 32],
    pub(super) cancels: Arc<Cancels>,
    pub(super) channels: Arc<Channels>,
    pub(super) throttle: Throttle,
    pub(super) shutdown: CancellationToken,
    /// A place for each session.
    connections: Arc<Semaphore>,
}

impl Shared {
    /// Makes what the connections of a front share.
    pub(super) fn new(front: Front, shutdown: CancellationToken) -> Arc<Shared> {
        Arc::new(Shared {
            connections: Arc::new(Semaphore::new(front.limits.connections_max)),
            backend: front.backend,
            light: front.light,
            heavy: front.heavy,
            tls: front.tls,
            limits: front.limits,
            mock_key: front.secret,
            cancels: Arc::default(),
            channels: Arc::default(),
            throttle: Throttle::default(),
            shutdown,
        })
    }
}

/// What a client that has just come is let in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Anything.
    Entrance,
    /// To cancel a statement, and at once: as many as may are about to say who they are.
    Hatch,
}

/// The way in of a client that has not said what it wants. It takes a place among the sessions only when it asks for
/// one, so that a CancelRequest gets through when there is none left.
pub(super) struct Door {
    way: Way,
    _held: OwnedSemaphorePermit,
}

impl Door {
    /// Opens the first door that has room; `None` if neither has.
    pub(super) fn open(entrance: &Arc<Semaphore>, hatch: &Arc<Semaphore>) -> Option<Door> {
        [(Way::Entrance, entrance), (Way::Hatch, hatch)].into_iter().find_map(|(way, room)| {
            Arc::clone(room).try_acquire_owned().ok().map(|held| Door { way, _held: held })
        })
    }

    /// Returns how long the client may take to get through.
    fn timeout(&self, limits: &Limits) -> Duration {
        match self.way {
            Way::Entrance => limits.authentication_timeout,
            Way::Hatch => CANCEL_TIMEOUT,
        }
    }

    /// Takes a place for a session.
    fn place(&self, connections: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, WireError> {
        let place = match self.way {
            Way::Entrance => Arc::clone(connections).try_acquire_owned().ok(),
            Way::Hatch => None,
        };
        place.ok_or_else(too_many_clients)
    }
}

/// Serves clients until `shutdown`, then says goodbye to each and returns when all are gone.
pub(crate) async fn serve(listener: TcpListener, front: Front, shutdown: CancellationToken) {
    let entrance = Arc::new(Semaphore::new(front.limits.unauthenticated_max));
    let hatch = Arc::new(Semaphore::new(CANCELS_MAX));
    let shared = Shared::new(front, shutdown.clone());
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => note_end(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => match Door::open(&entrance, &hatch) {
                    Some(door) => {
                        tasks.spawn(handle(stream, address, shared.clone(), door));
                    }
                    None => refuse(&stream),
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let everybody = async {
        while let Some(ended) = tasks.join_next().await {
            note_end(ended);
        }
    };
    if tokio::time::timeout(SHUTDOWN_GRACE, everybody).await.is_err() {
        tasks.shutdown().await;
    }
}

fn note_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a connection ended by a panic, which is a bug");
    }
}

fn too_many_clients() -> WireError {
    WireError::fatal(sqlstate::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
        .hint("Close connections that are not in use.")
}

/// Turns a client away without a task: as much as fits the socket's buffer, which is all of it.
fn refuse(stream: &TcpStream) {
    // A client that cannot take a few bytes gets none.
    let _ = stream.try_write(&message::refusal(&too_many_clients()));
}

/// Serves one connection from its first byte to its last.
async fn handle(stream: TcpStream, address: SocketAddr, shared: Arc<Shared>, door: Door) {
    // Without it small answers wait for acknowledgements; a socket that refuses it is slow, not broken.
    let _ = stream.set_nodelay(true);
    let timeout = door.timeout(&shared.limits);
    let socket = Socket::Plain(stream);
    let entered = tokio::select! {
        entered = tokio::time::timeout(timeout, enter(socket, address, &shared, &door)) => entered,
        () = shared.shutdown.cancelled() => return,
    };
    drop(door);
    if let Ok(Some((session, place))) = entered {
        session.run().await;
        drop(place);
    }
}

/// Leads a client through start-up and authentication into a session, or tells it why not.
pub(super) async fn enter(
    socket: Socket,
    address: SocketAddr,
    shared: &Arc<Shared>,
    door: &Door,
) -> Option<(Connection, OwnedSemaphorePermit)> {
    let (error, socket) = match startup::open(socket, shared).await {
        Ok(Opening::Over) => return None,
        Ok(Opening::Hello(hello, mut socket)) => {
            let admitted = match door.place(&shared.connections) {
                Ok(place) => {
                    let session = admit(*hello, &mut socket, address, shared).await;
                    session.map(|session| (session, place))
                }
                Err(error) => Err(error),
            };
            match admitted {
                Ok((session, place)) => return Some((session.attach(socket), place)),
                Err(error) => (error, Some(socket)),
            }
        }
        Err(refused) => refused,
    };
    if let Some(mut socket) = socket {
        // Whatever went wrong on the way in is fatal: no failure may leave half a session behind.
        let text = message::refusal(&error.into_fatal());
        let _ = tokio::time::timeout(REFUSAL_TIMEOUT, async {
            socket.write_all(&text).await?;
            socket.shutdown().await
        })
        .await;
    }
    None
}

async fn admit(
    hello: startup::Hello,
    socket: &mut Socket,
    address: SocketAddr,
    shared: &Arc<Shared>,
) -> Result<super::connection::Admitted, WireError> {
    auth::authenticate(socket, shared, &hello.user, address.ip()).await?;
    if hello.database != DATABASE {
        return Err(WireError::fatal(
            sqlstate::INVALID_CATALOG_NAME,
            format!("database \"{}\" does not exist", hello.database),
        )
        .hint(format!("The one database is \"{DATABASE}\".")));
    }
    let registration = shared.cancels.register(&shared.shutdown);
    let client = Client { pid: registration.pid, address: address.ip() };
    super::connection::Admitted::new(shared.clone(), registration, client, hello).await
}

/// A socket with or without TLS.
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Both ends in one process, for tests that open very many.
    #[cfg(test)]
    Memory(tokio::io::DuplexStream),
}

impl Socket {
    /// Returns whether nobody on the way can read along.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, Socket::Tls(_))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Socket::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            #[cfg(test)]
            Socket::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Socket::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
            #[cfg(test)]
            Socket::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            #[cfg(test)]
            Socket::Memory(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            #[cfg(test)]
            Socket::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
