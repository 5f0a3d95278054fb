//! `check`, `plan`, `apply` and `refresh`.

use std::path::Path;
use std::time::Duration;

use engine::jobs::{Target, Trigger};
use engine::{Changes, Engine, Mode, Put};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::lake::{absent, interruptible, location, open, open_existing, project_root, start_log};
use super::output::{say, tell};
use super::progress::Progress;
use super::{CHANGES, CONFIGURATION, INTERRUPTED, LakeArguments, SUCCESS};
use crate::project::{self, Config, Project};

/// How long a command looks after the lake before it ends.
const UPKEEP_MAX: Duration = Duration::from_secs(30);

/// Checks a project without a lake.
pub(super) fn check(root: &Path) -> Result<u8, Failure> {
    let project = Project::load(root)?;
    let problems = project.check();
    for problem in &problems {
        tell(problem);
    }
    if !problems.is_empty() {
        return Ok(CONFIGURATION);
    }
    say(format_args!("{} objects, no problems", project.definitions.len()))?;
    Ok(SUCCESS)
}

/// Shows what applying a project would change.
pub(super) async fn plan(root: &Path, lake: &LakeArguments) -> Result<u8, Failure> {
    let project = checked(root)?;
    start_log(project.config.log.level.word());
    let location = location(lake, Some((root, &project.config)))?;
    // Where no lake is, everything is new; to make one is for apply.
    let engine = match absent(&location)? {
        Some(_) => None,
        None => Some(open(location, Mode::Read, Some(root)).await?),
    };
    let current = engine.as_ref().map(Engine::definitions).unwrap_or_default();
    let plan = project::plan(&project, &current);
    say(&plan)?;
    if let Some(engine) = engine {
        engine.check_changes(&changes(&plan)).await?;
    }
    Ok(if plan.is_empty() { SUCCESS } else { CHANGES })
}

/// Brings the definitions of a lake in line with a project.
pub(super) async fn apply(
    root: &Path,
    lake: &LakeArguments,
    shutdown: CancellationToken,
) -> Result<u8, Failure> {
    let project = checked(root)?;
    start_log(project.config.log.level.word());
    let engine =
        open(location(lake, Some((root, &project.config)))?, Mode::Write, Some(root)).await?;
    let work = async {
        say(apply_to(&engine, &project).await?)?;
        engine.upkeep_in_passing(UPKEEP_MAX).await;
        Ok(SUCCESS)
    };
    Ok(interruptible(&engine, &shutdown, work).await?.unwrap_or(INTERRUPTED))
}

/// Puts what a project defines into a lake and removes what it does not, and returns what was done.
pub(super) async fn apply_to(engine: &Engine, project: &Project) -> Result<project::Plan, Failure> {
    let plan = project::plan(project, &engine.definitions());
    engine.apply(changes(&plan)).await?;
    Ok(plan)
}

/// Returns what the lake has to be told for a plan to come true.
fn changes(plan: &project::Plan) -> Changes {
    let added = plan.added.iter().map(|addition| (addition.definition.clone(), Put::Create));
    let changed = plan.changed.iter().map(|change| (change.after.clone(), Put::Replace));
    let removed = plan.removed.iter().map(|removed| (removed.body.kind(), removed.name.clone()));
    Changes { put: added.chain(changed).collect(), removed: removed.collect() }
}

fn checked(root: &Path) -> Result<Project, Failure> {
    let project = Project::load(root)?;
    let problems = project.check();
    if problems.is_empty() { Ok(project) } else { Err(project::Problems(problems).into()) }
}

/// Loads a project for `demo`, whose files are known to be whole.
pub(super) fn load(root: &Path) -> Result<Project, Failure> {
    checked(root)
}

/// Reads sources and brings everything derived up to date.
pub(super) async fn refresh(
    lake: &LakeArguments,
    source: Option<String>,
    segment: Option<String>,
    full: bool,
    shutdown: CancellationToken,
) -> Result<u8, Failure> {
    let root = project_root(None)?;
    let config = root.as_deref().map(Config::load).transpose()?.unwrap_or_default();
    start_log(config.log.level.word());
    let project = root.as_deref().map(|root| (root, &config));
    let engine = open_existing(location(lake, project)?, Mode::Write).await?;
    let target = match (source, segment) {
        (Some(source), _) => Target::Source(source),
        (None, Some(segment)) => Target::Segment(segment),
        (None, None) => Target::All,
    };
    let progress = Progress::new();
    let report = |object: &str, step: Option<&engine::jobs::Step>| progress.step(object, step);
    let work = async {
        let refreshed = engine.refresh(&target, full, Trigger::Demand, &report).await?;
        engine.upkeep_in_passing(UPKEEP_MAX).await;
        Ok(refreshed)
    };
    let refreshed = interruptible(&engine, &shutdown, work).await;
    progress.finish();
    let Some(refreshed) = refreshed? else { return Ok(INTERRUPTED) };
    for step in &refreshed.steps {
        let what = if step.worked {
            format!("{} rows in, {} rows out", step.rows_in, step.rows_out)
        } else {
            "nothing new".into()
        };
        say(format_args!("{}: {what}", step.object))?;
    }
    for (object, _) in &refreshed.failed {
        say(format_args!("{object}: failed"))?;
    }
    for object in &refreshed.skipped {
        say(format_args!("{object}: not run"))?;
    }
    refreshed.into_result()?;
    Ok(SUCCESS)
}
