//! `sql`: statements on a lake, without a server.
//!
//! Each statement is a transaction of its own. Settings are checked as the server checks them. A lake that is open for
//! reading stays as it was opened, so it is opened anew before a statement if another process has published meanwhile:
//! who withdrew is gone for the next statement, here as on a server.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use engine::catalog::{Body, Capability, Kind};
use engine::lake::LakeLocation;
use engine::{Engine, Mode};
use futures::TryStreamExt;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::lake::{location, open_existing, project_root, start_log};
use super::output::{say, tell, write_rows};
use super::queries::Queries;
use super::{Format, INTERRUPTED, LakeArguments, SUCCESS};
use crate::dialect::{self, Parsed, Statement};
use crate::project::Config;
use crate::session::backend::{Backend, Client, Outcome, QuerySession};
use crate::session::engine_backend::EngineBackend;
use crate::session::{Change, Settings, Transaction, calls_an_action, changes_the_lake};
use crate::wire::{Phase, Place, WireError, sqlstate};

/// Runs the statements of `text` as `role` and writes their rows, until `shutdown`.
pub(super) async fn sql(
    lake: &LakeArguments,
    role: Option<String>,
    format: Format,
    text: &str,
    shutdown: CancellationToken,
) -> Result<u8, Failure> {
    let statements = dialect::parse(text).map_err(WireError::from)?;
    let root = project_root(None)?;
    let config = root.as_deref().map(Config::load).transpose()?.unwrap_or_default();
    start_log("warn");
    // Reading needs no lease, so that it works beside a server.
    let mode = if statements.iter().any(|parsed| writes(&parsed.statement)) {
        Mode::Write
    } else {
        Mode::Read
    };
    let location = location(lake, root.as_deref().map(|root| (root, &config)))?;
    // It outlives the engine, which waits at its end for changes that were begun there.
    let queries = Queries::start()?;
    let mut engine = open_existing(location.clone(), mode).await?;
    let result = async {
        let role = match role {
            Some(role) => existing_role(&engine, role)?,
            None => defining_role(&engine)?,
        };
        let mut shell = Shell::open(&engine, role, format, queries.handle.clone()).await?;
        for (index, parsed) in statements.iter().enumerate() {
            if index > 0 && mode == Mode::Read && engine.is_behind().await? {
                engine = shell.opened_anew(&engine, location.clone()).await?;
            }
            let place =
                Place { source: text, offset: parsed.offset, text: &parsed.text, prefix: 0 };
            if shell.run(parsed, place, &shutdown).await? == Ended::Interrupted {
                return Ok(INTERRUPTED);
            }
        }
        Ok(SUCCESS)
    }
    .await;
    engine.close().await?;
    result
}

fn writes(statement: &Statement) -> bool {
    match statement {
        Statement::Create { .. }
        | Statement::AlterGraph(_)
        | Statement::Drop { .. }
        | Statement::Comment { .. }
        | Statement::Refresh { .. }
        | Statement::Decide { .. }
        | Statement::ApplyOverrides { .. }
        | Statement::Write { .. } => true,
        Statement::RunSync { dry_run, .. } => !dry_run,
        Statement::Query { ast } => calls_an_action(ast),
        _ => false,
    }
}

fn existing_role(engine: &Engine, role: String) -> Result<String, Failure> {
    if engine.role(&role).is_some() {
        return Ok(role);
    }
    let live = engine.live();
    let roles: Vec<&str> =
        live.published.state.of_kind(Kind::Role).map(|role| role.name.as_str()).collect();
    let hint = match roles.as_slice() {
        [] => "This lake has no roles: onefold apply PROJECT makes those of a project.".to_owned(),
        some => format!("Roles of this lake: {}.", some.join(", ")),
    };
    Err(Failure::usage(format!("role \"{role}\" does not exist"), hint))
}

fn defining_role(engine: &Engine) -> Result<String, Failure> {
    let live = engine.live();
    let defines =
        live.published.state.of_kind(Kind::Role).find(|definition| match &definition.body {
            Body::Role(role) => role.capabilities.contains(&Capability::Define),
            _ => false,
        });
    defines.map(|definition| definition.name.clone()).ok_or_else(|| {
        let hint = "Name a role with --role, or make roles: onefold apply PROJECT.";
        Failure::usage("no role of this lake may define objects", hint)
    })
}

/// How a statement ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Done,
    Interrupted,
}

/// A session of a role, with its settings.
struct Shell {
    role: String,
    session: Arc<dyn QuerySession>,
    settings: Settings,
    format: Format,
    cpu: Handle,
}

impl Shell {
    async fn open(
        engine: &Engine,
        role: String,
        format: Format,
        cpu: Handle,
    ) -> Result<Shell, Failure> {
        let session = session_of(engine, &role).await?;
        let mut settings = Settings::new(&role);
        if let Some(purpose) = session.status().purpose {
            settings.store_start(settings.check("cdp.purpose", Some(&[purpose]))?);
        }
        Ok(Shell { role, session, settings, format, cpu })
    }

    /// Opens the lake as it is now in the place of `engine`, and goes on there with the settings of here.
    async fn opened_anew(
        &mut self,
        engine: &Engine,
        location: LakeLocation,
    ) -> Result<Engine, Failure> {
        let opened = open_existing(location, Mode::Read).await?;
        engine.close().await?;
        self.session = session_of(&opened, &self.role).await?;
        // Also where it is the one that the role starts in: by now it may start in another.
        self.session.set("cdp.purpose", self.settings.get("cdp.purpose")?).await?;
        for change in self.settings.since_start() {
            self.session.set(change.name(), &change.value).await?;
        }
        Ok(opened)
    }

    async fn run(
        &mut self,
        parsed: &Parsed,
        place: Place<'_>,
        shutdown: &CancellationToken,
    ) -> Result<Ended, Failure> {
        match &parsed.statement {
            Statement::Set { local: true, .. } => {
                tell("warning: SET LOCAL can only be used in transaction blocks");
            }
            Statement::Set { name, value, .. } => {
                let change = self.settings.check(name, value.as_deref())?;
                self.set(change, place).await?;
            }
            Statement::Reset { name: Some(name) } => {
                let change = self.settings.check(name, None)?;
                self.set(change, place).await?;
            }
            Statement::Reset { name: None } => {
                for change in self.settings.reset_all() {
                    self.set(change, place).await?;
                }
            }
            Statement::Show { name } => say(self.settings.get(name)?)?,
            _ => return self.compute(parsed, place, shutdown).await,
        }
        Ok(Ended::Done)
    }

    async fn set(&mut self, change: Change, place: Place<'_>) -> Result<(), Failure> {
        let told = self.session.set(change.name(), &change.value).await;
        told.map_err(Failure::of_statement(Phase::Planning, place))?;
        self.settings.store(change, false);
        Ok(())
    }

    /// Runs a statement where it may compute for as long as it takes, and goes on listening meanwhile.
    async fn compute(
        &self,
        parsed: &Parsed,
        place: Place<'_>,
        shutdown: &CancellationToken,
    ) -> Result<Ended, Failure> {
        let work = Work {
            session: Arc::clone(&self.session),
            format: self.format,
            read_only: self.settings.is_on("default_transaction_read_only"),
            parsed: parsed.clone(),
            source: place.source.into(),
        };
        let timeout = self.settings.timeout("statement_timeout");
        let mut task = JoinSet::new();
        task.spawn_on(work.run(), &self.cpu);
        let ended = tokio::select! {
            ended = task.join_next() => ended,
            () = shutdown.cancelled() => {
                self.session.stop();
                return Ok(Ended::Interrupted);
            }
            () = tokio::time::sleep(timeout.unwrap_or_default()), if timeout.is_some() => {
                self.session.stop();
                let message = "canceling statement due to statement timeout";
                return Err(WireError::new(sqlstate::QUERY_CANCELED, message).into());
            }
        };
        match ended {
            Some(Ok(result)) => result.map(|()| Ended::Done),
            _ => Err(WireError::new(
                sqlstate::INTERNAL_ERROR,
                "internal error: the statement could not be finished",
            )
            .into()),
        }
    }
}

async fn session_of(engine: &Engine, role: &str) -> Result<Arc<dyn QuerySession>, Failure> {
    let client = Client { pid: 0, address: std::net::Ipv4Addr::LOCALHOST.into() };
    Ok(EngineBackend::new(engine.clone()).open(role, client).await?)
}

/// A statement that the engine runs.
struct Work {
    session: Arc<dyn QuerySession>,
    format: Format,
    read_only: bool,
    parsed: Parsed,
    source: String,
}

impl Work {
    async fn run(self) -> Result<(), Failure> {
        let Work { session, format, read_only, parsed, source } = self;
        let (offset, text) = (parsed.offset, parsed.text.as_str());
        let place = Place { source: &source, offset, text, prefix: 0 };
        let planning = Failure::of_statement(Phase::Planning, place);
        let running = Failure::of_statement(Phase::Running, place);
        let admit = |what: &str| Transaction::new().admit_change(what, read_only, false);
        match &parsed.statement {
            Statement::Query { .. }
            | Statement::Explain { .. }
            | Statement::ExplainIdentity { .. } => {
                let text = match &parsed.statement {
                    Statement::ExplainIdentity { query } => query,
                    _ => &parsed.text,
                };
                let plan = session.plan(text, &[]).await.map_err(planning)?;
                if plan.changes_the_lake {
                    admit("this function")?;
                }
                let rows = session.execute(&plan, vec![]).await.map_err(&running)?;
                write_rows(format, &plan.schema, &collect(rows, place).await?)
            }
            Statement::Write { verb } => {
                Transaction::admit_write(verb, read_only)?;
                let plan = session.plan(&parsed.text, &[]).await.map_err(planning)?;
                let outcome = session.write(&plan, vec![]).await.map_err(&running)?;
                session.commit().await.map_err(&running)?;
                tell_outcome(outcome, format, place).await
            }
            Statement::Unsupported { what, hint } => {
                Err(engine::Error::Unsupported { what: what.clone(), hint: hint.clone() }.into())
            }
            Statement::Refused { what, hint } => Err(engine::Error::Denied {
                message: format!("{what} is not allowed"),
                hint: hint.clone(),
            }
            .into()),
            other => {
                if let Some(what) = changes_the_lake(other) {
                    admit(&what)?;
                }
                let outcome = session.run(other).await.map_err(&running)?;
                tell_outcome(outcome, format, place).await
            }
        }
    }
}

async fn tell_outcome(outcome: Outcome, format: Format, place: Place<'_>) -> Result<(), Failure> {
    match outcome {
        Outcome::Done { tag, .. } => {
            tell(tag);
            Ok(())
        }
        Outcome::Rows { rows, .. } => {
            let schema = rows.schema();
            write_rows(format, &schema, &collect(rows, place).await?)
        }
    }
}

async fn collect(
    rows: SendableRecordBatchStream,
    place: Place<'_>,
) -> Result<Vec<RecordBatch>, Failure> {
    let failure = Failure::of_statement(Phase::Running, place);
    rows.try_collect()
        .await
        .map_err(|error: datafusion::error::DataFusionError| failure(error.into()))
}
