//! `sql`: statements on a lake, without a server.

use std::sync::Arc;

use engine::catalog::{Body, Capability, Kind};
use engine::{Engine, Mode};
use futures::TryStreamExt;

use super::failure::Failure;
use super::lake::{location, open, project_root, start_log};
use super::output::write_rows;
use super::{Format, LakeArguments, SUCCESS};
use crate::dialect::{self, Parsed, Statement};
use crate::project::Config;
use crate::session::backend::{Backend, Client, Outcome, QuerySession};
use crate::session::engine_backend::EngineBackend;

/// Runs the statements of `text` as `role` and writes their rows.
pub(super) async fn sql(
    lake: &LakeArguments,
    role: Option<String>,
    format: Format,
    text: &str,
) -> Result<u8, Failure> {
    let statements = dialect::parse(text).map_err(|error| {
        let message = format!("{} (at character {})", error.message, error.position);
        Failure::statement(message, error.hint)
    })?;
    let root = project_root(None)?;
    let config = root.as_deref().map(Config::load).transpose()?.unwrap_or_default();
    start_log("warn");
    // Reading needs no lease, so that it works beside a server.
    let mode = if statements.iter().any(|parsed| writes(&parsed.statement)) {
        Mode::Write
    } else {
        Mode::Read
    };
    let engine =
        open(location(lake, root.as_deref().map(|root| (root, &config)))?, mode, None).await?;
    let result = run(&engine, role, format, &statements).await;
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
    statements: &[Parsed],
) -> Result<(), Failure> {
    let role = match role {
        Some(role) => role,
        None => defining_role(engine)?,
    };
    let client = Client { pid: 0, address: std::net::Ipv4Addr::LOCALHOST.into() };
    let session = EngineBackend(engine.clone()).open(&role, client).await?;
    for parsed in statements {
        statement(&session, format, parsed).await?;
    }
    Ok(())
}

fn defining_role(engine: &Engine) -> Result<String, Failure> {
    let live = engine.live();
    let defines =
        live.published.state.of_kind(Kind::Role).find(|definition| match &definition.body {
            Body::Role(role) => role.capabilities.contains(&Capability::Define),
            _ => false,
        });
    defines
        .map(|definition| definition.name.clone())
        .ok_or_else(|| Failure::usage("no role may define objects", "Name one with --role."))
}

async fn statement(
    session: &Arc<dyn QuerySession>,
    format: Format,
    parsed: &Parsed,
) -> Result<(), Failure> {
    match &parsed.statement {
        Statement::Set { name, value, .. } => {
            let value = value.as_ref().map(|values| values.join(", ")).unwrap_or_default();
            session.set(name, &value).await?;
        }
        Statement::Show { name } if name == "cdp.purpose" => {
            println!("{}", session.status().purpose.unwrap_or_default())
        }
        Statement::Query { .. } | Statement::Explain { .. } => {
            let plan = session.plan(&parsed.text, &[]).await?;
            let rows = session.execute(&plan, vec![]).await?;
            let batches = rows.try_collect::<Vec<_>>().await.map_err(engine::Error::from)?;
            write_rows(format, &plan.schema, &batches)?;
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
        other => match session.run(other).await? {
            Outcome::Done { tag, .. } => eprintln!("{tag}"),
            Outcome::Rows { rows, .. } => {
                let schema = rows.schema();
                let batches = rows.try_collect::<Vec<_>>().await.map_err(engine::Error::from)?;
                write_rows(format, &schema, &batches)?;
            }
        },
    }
    Ok(())
}
