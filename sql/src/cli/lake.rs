//! From the command line and `onefold.toml` to an open engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::lake::LakeLocation;
use engine::{Engine, EngineOptions, Mode};
use tokio_util::sync::CancellationToken;

use super::LakeArguments;
use super::clock::SystemClock;
use super::failure::Failure;
use crate::project::Config;

/// The share of the machine's memory that queries may hold.
const MEMORY_SHARE: u64 = 60;

/// What queries may hold where the machine does not say how much memory it has.
const MEMORY_BYTES_DEFAULT: u64 = 4 << 30;

/// Where the lake is: by the command line, or else by the project's settings.
pub(crate) fn location(
    lake: &LakeArguments,
    project: Option<(&Path, &Config)>,
) -> Result<LakeLocation, Failure> {
    if let Some(dir) = &lake.dir {
        return Ok(LakeLocation::Directory(dir.clone()));
    }
    let storage = project.map(|(_, config)| &config.storage);
    let options = storage
        .map(|storage| storage.resolved_options(project.map_or(Path::new("."), |(root, _)| root)))
        .transpose()?
        .unwrap_or_default();
    let address = lake.lake.clone().or_else(|| storage.and_then(|storage| storage.url.clone()));
    if let Some(address) = address {
        let url = address.parse().map_err(|error| {
            Failure::usage(
                format!("\"{address}\" is no address: {error}"),
                "Write s3://bucket/prefix.",
            )
        })?;
        return Ok(LakeLocation::Url { url, options });
    }
    match (project, storage.and_then(|storage| storage.dir.clone())) {
        (Some((root, _)), Some(dir)) => Ok(LakeLocation::Directory(root.join(dir))),
        _ => {
            Err(Failure::usage("it is not said where the lake is", "Pass --dir DIR or --lake URL."))
        }
    }
}

/// Opens the engine on a lake; `root` is the folder that sources are read from, the recorded one when not given.
pub(crate) async fn open(
    location: LakeLocation,
    mode: Mode,
    root: Option<&Path>,
) -> Result<Engine, Failure> {
    let root = root.map(Path::canonicalize).transpose()?;
    let options = EngineOptions {
        location,
        mode,
        owner: format!("onefold, process {}", std::process::id()),
        clock: Arc::new(SystemClock),
        file_root: root,
        target_partitions: std::thread::available_parallelism().map_or(2, usize::from),
        memory_bytes_max: usize::try_from(memory_bytes() / 100 * MEMORY_SHARE)
            .unwrap_or(usize::MAX),
    };
    Ok(Engine::open(options).await?)
}

/// Opens the engine on a lake that has to be there: neither the lake nor its folder is made.
pub(crate) async fn open_existing(location: LakeLocation, mode: Mode) -> Result<Engine, Failure> {
    match absent(&location)? {
        None => open(location, mode, None).await,
        Some(folder) => Err(Failure::missing(
            format!("there is no lake in \"{}\": the folder does not exist", folder.display()),
            "Check --dir, or make a lake: onefold apply PROJECT --dir DIR, then onefold refresh --dir DIR.",
        )),
    }
}

/// Does `work` on an open lake and gives the lake back, however the work ends.
pub(crate) async fn closing<T>(
    engine: &Engine,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let result = work.await;
    let closed = engine.close().await;
    let value = result?;
    closed?;
    Ok(value)
}

/// Does `work` on an open lake, or as much of it as there is time for until `shutdown`, and gives the lake back. What was
/// published stays, and what was not never was; the answer is `None` then.
pub(crate) async fn interruptible<T>(
    engine: &Engine,
    shutdown: &CancellationToken,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<Option<T>, Failure> {
    closing(engine, unless_interrupted(shutdown, work)).await
}

/// Does `work` until `shutdown`, and answers `None` if that came first.
pub(crate) async fn unless_interrupted<T>(
    shutdown: &CancellationToken,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<Option<T>, Failure> {
    tokio::select! {
        result = work => result.map(Some),
        () = shutdown.cancelled() => Ok(None),
    }
}

/// Returns the folder of a lake on a local disk if it is not there.
pub(crate) fn absent(location: &LakeLocation) -> Result<Option<PathBuf>, Failure> {
    let folder = match location {
        LakeLocation::Directory(folder) => Some(folder.clone()),
        LakeLocation::Url { url, .. } if url.scheme() == "file" => url.to_file_path().ok(),
        LakeLocation::Url { .. } => None,
    };
    Ok(match folder {
        Some(folder) if !folder.try_exists()? => Some(folder),
        _ => None,
    })
}

/// Returns how much memory the machine has.
fn memory_bytes() -> u64 {
    let read = || {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kilobytes * 1024)
    };
    read().unwrap_or(MEMORY_BYTES_DEFAULT)
}

/// Returns the project that belongs to a command: the one that is named, or the current folder if it is one.
pub(crate) fn project_root(named: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    if named.is_some() {
        return Ok(named);
    }
    let here = Path::new(crate::project::CONFIG_FILE);
    Ok(here.try_exists()?.then(|| PathBuf::from(".")))
}

/// Starts the log on stderr.
pub(crate) fn start_log(level: &str) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::builder()
        .parse_lossy(format!("warn,engine={level},connectors={level},onefold={level}"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, as tests make, keeps the first log.
    let _ = log.try_init();
}
