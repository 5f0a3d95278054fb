//! The command line: what can be asked of the process, and how it answers.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 success, 1 failure, 2 usage, 3 `plan` has changes, 78 bad
//! configuration, 130 interrupted.

mod apply;
mod clock;
mod demo;
mod failure;
mod lake;
mod output;
mod progress;
mod queries;
mod serve;
mod sql;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use failure::Failure;
pub(crate) use output::tell;

/// It worked.
pub(crate) const SUCCESS: u8 = 0;
/// It failed.
pub(crate) const FAILURE: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// `plan` found changes.
const CHANGES: u8 = 3;
/// The project or the configuration is wrong.
const CONFIGURATION: u8 = crate::project::Problems::EXIT_CODE;
/// Ctrl-C.
const INTERRUPTED: u8 = 130;

/// A customer data platform in one binary: sources in, unified profiles out, for a declared purpose, over SQL.
#[derive(Debug, Parser)]
#[command(name = "onefold", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  onefold demo                                  load the example shop and serve it on 127.0.0.1:5455
  onefold plan shop --dir lake                  what would change if the project were applied
  onefold apply shop --dir lake && onefold refresh --dir lake && onefold serve --dir lake
  onefold sql --dir lake --role analyst -c 'SELECT count(*) FROM profiles'

Exit codes: 0 success, 1 failure, 2 usage, 3 plan has changes, 78 bad configuration, 130 interrupted";

#[derive(Debug, Subcommand)]
enum Command {
    /// Load the example shop, unify it and serve it until Ctrl-C.
    #[command(after_help = "Examples:
  onefold demo
  onefold demo --listen 127.0.0.1:0 --dir /tmp/shop")]
    Demo {
        #[command(flatten)]
        lake: LakeArguments,
        /// Where Postgres clients connect; port 0 takes any free one.
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<std::net::SocketAddr>,
    },
    /// Serve a lake to Postgres clients, and run what is due.
    #[command(after_help = "Examples:
  onefold serve --dir lake
  onefold serve --dir lake --project shop --listen 0.0.0.0:5432")]
    Serve {
        #[command(flatten)]
        lake: LakeArguments,
        /// Where Postgres clients connect; port 0 takes any free one.
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<std::net::SocketAddr>,
        /// The project whose onefold.toml holds the settings of the process.
        #[arg(long, value_name = "PROJECT")]
        project: Option<PathBuf>,
    },
    /// Show what `apply` would change.
    #[command(after_help = "Examples:
  onefold plan shop --dir lake      exit code 3 if there are changes")]
    Plan {
        /// The folder of the project.
        project: PathBuf,
        #[command(flatten)]
        lake: LakeArguments,
    },
    /// Bring the definitions of a lake in line with a project.
    #[command(after_help = "Examples:
  onefold apply shop --dir lake")]
    Apply {
        /// The folder of the project.
        project: PathBuf,
        #[command(flatten)]
        lake: LakeArguments,
    },
    /// Read sources and bring everything derived up to date.
    #[command(after_help = "Examples:
  onefold refresh --dir lake
  onefold refresh --dir lake --source crm_contacts
  onefold refresh --dir lake --full             rebuild what is derived from nothing")]
    Refresh {
        #[command(flatten)]
        lake: LakeArguments,
        /// Only this source.
        #[arg(long, conflicts_with = "segment")]
        source: Option<String>,
        /// Only this segment, and what it depends on.
        #[arg(long)]
        segment: Option<String>,
        /// Rebuild derived tables instead of bringing them up to date.
        #[arg(long)]
        full: bool,
    },
    /// Run SQL without a server.
    #[command(after_help = "Examples:
  onefold sql --dir lake --role marketer -c 'SELECT * FROM profiles LIMIT 5'
  onefold sql --dir lake --format csv -c 'SELECT * FROM cdp.sources'")]
    Sql {
        #[command(flatten)]
        lake: LakeArguments,
        /// The role to be; the first one that may define objects when not given.
        #[arg(long)]
        role: Option<String>,
        /// How rows are written.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        /// The statements.
        #[arg(short = 'c', long = "command", value_name = "SQL")]
        command: String,
    },
    /// Check a project without a lake.
    #[command(after_help = "Examples:
  onefold check shop                exit code 78 if anything is wrong")]
    Check {
        /// The folder of the project.
        project: PathBuf,
    },
}

/// Where the lake is.
#[derive(Debug, Clone, Default, Args)]
struct LakeArguments {
    /// The folder of the lake.
    #[arg(long, value_name = "DIR", conflicts_with = "lake")]
    dir: Option<PathBuf>,
    /// The address of the lake in an object store, such as s3://bucket/prefix.
    #[arg(long, value_name = "URL")]
    lake: Option<String>,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns.
    Table,
    /// Comma separated values with a header.
    Csv,
    /// One array of objects.
    Json,
}

/// Runs a command and returns its exit code.
pub(crate) fn run(arguments: Arguments) -> u8 {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder.thread_stack_size(STACK_BYTES).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::failed("the runtime cannot be started", error).report(),
    };
    let code = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        // A task of its own, so that a signal is heard while it computes.
        let mut work = JoinSet::new();
        work.spawn(dispatch(arguments.command, shutdown.clone()));
        tokio::select! {
            ended = work.join_next() => code_of(ended),
            signal = signal() => {
                shutdown.cancel();
                // Servers end cleanly; everything else has committed what it acknowledged, stops, and gives the lake back.
                let ended = tokio::time::timeout(SHUTDOWN_MAX, work.join_next()).await;
                match (signal, ended) {
                    (Signal::Terminate, Ok(ended)) => code_of(ended),
                    (Signal::Terminate, Err(_)) => FAILURE,
                    (Signal::Interrupt, _) => INTERRUPTED,
                }
            }
        }
    });
    runtime.shutdown_timeout(LEFTOVERS_MAX);
    code
}

/// The stack of each thread: a statement may be a tree of two thousand operators, and whoever copies it takes 16 KB for each of
/// them that joins queries, more without optimization. What is not touched takes no memory.
const STACK_BYTES: usize = 64 << 20;

/// How long a command may take to end.
const SHUTDOWN_MAX: std::time::Duration = std::time::Duration::from_secs(10);

/// How long what a command has left computing is waited for: nobody wants its answer.
const LEFTOVERS_MAX: std::time::Duration = std::time::Duration::from_secs(1);

enum Signal {
    Interrupt,
    Terminate,
}

/// Waits for Ctrl-C or SIGTERM.
async fn signal() -> Signal {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => Signal::Terminate,
        Ok(()) = tokio::signal::ctrl_c() => Signal::Interrupt,
    }
}

fn code_of(ended: Option<Result<Result<u8, Failure>, JoinError>>) -> u8 {
    match ended {
        Some(Ok(Ok(code))) => code,
        Some(Ok(Err(failure))) => failure.report(),
        // It panicked, and has said so.
        Some(Err(_)) | None => FAILURE,
    }
}

async fn dispatch(command: Command, shutdown: CancellationToken) -> Result<u8, Failure> {
    match command {
        Command::Demo { lake, listen } => demo::demo(&lake, listen, shutdown).await,
        Command::Serve { lake, listen, project } => {
            serve::serve(&lake, listen, project, shutdown).await
        }
        Command::Plan { project, lake } => apply::plan(&project, &lake).await,
        Command::Apply { project, lake } => apply::apply(&project, &lake, shutdown).await,
        Command::Refresh { lake, source, segment, full } => {
            apply::refresh(&lake, source, segment, full, shutdown).await
        }
        Command::Sql { lake, role, format, command } => {
            sql::sql(&lake, role, format, &command, shutdown).await
        }
        Command::Check { project } => apply::check(&project),
    }
}
