//! `sql`: statements on a lake, without a server.

use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;
use engine::catalog::{Body, Capability, Kind};
use engine::{Engine, Mode};
use futures::TryStreamExt;

use super::failure::Failure;
use super::lake::{location, open_existing, project_root, start_log};
use super::output::write_rows;
use super::{Format, LakeArguments, SUCCESS};
use crate::dialect::{self, Parsed, Statement};
use crate::project::Config;
use crate::session::backend::{Backend, Client, Outcome, QuerySession};
use crate::session::engine_backend::EngineBackend;
use crate::wire::{Phase, Place, WireError};

/// Runs the statements of `text` as `role` and writes their rows.
pub(super) async fn sql(
    lake: &LakeArguments,
    role: Option<String>,
    format: Format,
    text: &str,
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
    let engine = open_existing(location, mode).await?;
    let result = run(&engine, role, format, text, &statements).await;
    engine.close().await?;
    result?;
    Ok(SUCCESS)
}

fn writes(statement: &Statement) -> bool {
    match statement {
        Statement::Create { .. }
        | Statement::Drop { .. }
        | Statement::Comment { .. }
        | Statement::Refresh { .. } => true,
        Statement::RunSync { dry_run, .. } => !dry_run,
        Statement::Query { ast } => {
            ast.to_string().to_ascii_lowercase().contains("record_consent(")
        }
        _ => false,
    }
}

async fn run(
    engine: &Engine,
    role: Option<String>,
    format: Format,
    text: &str,
    statements: &[Parsed],
) -> Result<(), Failure> {
    let role = match role {
        Some(role) => existing_role(engine, role)?,
        None => defining_role(engine)?,
    };
    let client = Client { pid: 0, address: std::net::Ipv4Addr::LOCALHOST.into() };
    let session = EngineBackend::new(engine.clone()).open(&role, client).await?;
    for parsed in statements {
        let place = Place { source: text, offset: parsed.offset, text: &parsed.text };
        statement(&session, format, parsed, place).await?;
    }
    Ok(())
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

async fn statement(
    session: &Arc<dyn QuerySession>,
    format: Format,
    parsed: &Parsed,
    place: Place<'_>,
) -> Result<(), Failure> {
    let planning = Failure::of_statement(Phase::Planning, place);
    let running = Failure::of_statement(Phase::Running, place);
    let collect = async |rows: SendableRecordBatchStream| {
        let batches = rows.try_collect::<Vec<_>>().await;
        batches.map_err(|error| running(error.into()))
    };
    match &parsed.statement {
        Statement::Set { name, value, .. } => {
            let value = value.as_ref().map(|values| values.join(", ")).unwrap_or_default();
            session.set(name, &value).await.map_err(planning)?;
        }
        Statement::Show { name } if name == "cdp.purpose" => {
            println!("{}", session.status().purpose.unwrap_or_default())
        }
        Statement::Query { .. } | Statement::Explain { .. } => {
            let plan = session.plan(&parsed.text, &[]).await.map_err(planning)?;
            let rows = session.execute(&plan, vec![]).await.map_err(&running)?;
            write_rows(format, &plan.schema, &collect(rows).await?)?;
        }
        Statement::Unsupported { what, hint } => {
            return Err(
                engine::Error::Unsupported { what: what.clone(), hint: hint.clone() }.into()
            );
        }
        Statement::Refused { what, hint } => {
            return Err(engine::Error::Denied {
                message: format!("{what} is not allowed"),
                hint: hint.clone(),
            }
            .into());
        }
        other => match session.run(other).await.map_err(&running)? {
            Outcome::Done { tag, .. } => eprintln!("{tag}"),
            Outcome::Rows { rows, .. } => {
                let schema = rows.schema();
                write_rows(format, &schema, &collect(rows).await?)?;
            }
        },
    }
    Ok(())
}
