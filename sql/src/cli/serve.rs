//! `serve`: the listeners, the schedule, and a clean end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::{Engine, Mode};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::lake::{closing, location, open, project_root, start_log};
use super::output::say;
use super::queries::Queries;
use super::{LakeArguments, SUCCESS};
use crate::project::Config;
use crate::session::engine_backend::EngineBackend;
use crate::wire::{Front, Limits, Tls, serve as serve_postgres};

/// Serves a lake until `shutdown`.
pub(super) async fn serve(
    lake: &LakeArguments,
    listen: Option<SocketAddr>,
    project: Option<PathBuf>,
    shutdown: CancellationToken,
) -> Result<u8, Failure> {
    let root = project_root(project)?;
    let config = root.as_deref().map(Config::load).transpose()?.unwrap_or_default();
    start_log(config.log.level.word());
    let location = location(lake, root.as_deref().map(|root| (root, &config)))?;
    let engine = open(location, Mode::Write, root.as_deref()).await?;
    let work = async {
        let listener = bind(listen.unwrap_or(config.listen.postgres)).await?;
        let address = listener.local_addr()?;
        let tls = tls(root.as_deref(), &config)?;
        run(engine.clone(), listener, tls, shutdown, || {
            say(format_args!("ready postgres={address}"))
        })
        .await
    };
    closing(&engine, work).await
}

/// Binds the address that clients connect to.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::failed(format!("cannot listen on {address}"), error))
}

/// Loads the certificate that the settings name; a wrong one is an error, never a connection without encryption.
pub(super) fn tls(root: Option<&Path>, config: &Config) -> Result<Option<Tls>, Failure> {
    let beside = |path: &PathBuf| root.map_or_else(|| path.clone(), |root| root.join(path));
    match (&config.tls.cert, &config.tls.key) {
        (Some(cert), Some(key)) => {
            let tls = Tls::load(&beside(cert), &beside(key), config.tls.required.unwrap_or(true));
            tls.map(Some).map_err(|error| {
                Failure::configuration(
                    error.to_string(),
                    Some("Name a PEM certificate and its PKCS#8 key under [tls].".into()),
                )
            })
        }
        (None, None) if config.tls.required != Some(true) => Ok(None),
        _ => Err(Failure::configuration(
            "[tls] needs both cert and key",
            Some("Name both, or neither.".into()),
        )),
    }
}

/// Serves clients and runs what is due; calls `ready` once connections are accepted.
pub(super) async fn run(
    engine: Engine,
    listener: TcpListener,
    tls: Option<Tls>,
    shutdown: CancellationToken,
    ready: impl FnOnce() -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let (light, heavy) = (Queries::start()?, Queries::start_heavy()?);
    let front = Front {
        backend: Arc::new(EngineBackend::new(engine.clone())),
        light: light.handle.clone(),
        heavy: heavy.handle.clone(),
        tls,
        limits: Limits::default(),
        secret: engine.secret()?,
    };
    ready()?;
    tokio::join!(
        serve_postgres(listener, front, shutdown.clone()),
        keep_schedule(&engine, &heavy.handle, shutdown)
    );
    // Changes that statements have begun come to their end on the runtimes that they run on.
    let closed = engine.close().await;
    drop((light, heavy));
    closed?;
    Ok(SUCCESS)
}

/// Runs what is due until `shutdown`. What runs then may end, or is broken off if that takes long: what it has published
/// stays, what it has not never was. It runs where heavy queries do, so that a refresh keeps no client waiting, and
/// one that panics ends alone.
async fn keep_schedule(engine: &Engine, heavy: &Handle, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let mut schedule = JoinSet::new();
        let (engine, until) = (engine.clone(), shutdown.clone());
        schedule.spawn_on(async move { engine.run_schedule(until).await }, heavy);
        tokio::select! {
            ended = schedule.join_next() => {
                if matches!(ended, Some(Err(_))) {
                    tracing::error!("a scheduled run ended by a panic, which is a bug");
                }
            }
            () = shutdown.cancelled() => {
                if tokio::time::timeout(SCHEDULE_GRACE, schedule.join_next()).await.is_err() {
                    tracing::info!("a scheduled run is broken off, since the server ends");
                    // It stops where it next waits. Who computes on all the same can publish nothing: the lake is given
                    // back.
                    let _ = tokio::time::timeout(SCHEDULE_GRACE, schedule.shutdown()).await;
                }
            }
        }
    }
}

/// How long a scheduled run may take to end by itself when the server ends, and how long to stop after that. Twice this
/// is less than a command may take to end.
const SCHEDULE_GRACE: Duration = Duration::from_secs(3);
