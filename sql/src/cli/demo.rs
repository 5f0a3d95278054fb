//! `demo`: the example shop, loaded, unified and served.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use engine::Mode;
use engine::jobs::{Target, Trigger};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::lake::{closing, location, open, start_log, unless_interrupted};
use super::output::{say, tell};
use super::progress::Progress;
use super::{INTERRUPTED, LakeArguments, apply, serve};

/// The example, from the project's root.
const EXAMPLE: &str = "examples/shop";

/// Loads the example shop and serves it until `shutdown`.
pub(super) async fn demo(
    lake: &LakeArguments,
    listen: Option<SocketAddr>,
    shutdown: CancellationToken,
) -> Result<u8, Failure> {
    let root = PathBuf::from(EXAMPLE);
    if !root.try_exists()? {
        return Err(Failure::usage(
            format!("there is no {EXAMPLE} here"),
            "Run onefold demo at the root of the project.",
        ));
    }
    start_log("warn");
    let project = apply::load(&root)?;
    let listener = serve::bind(listen.unwrap_or(project.config.listen.postgres)).await?;
    let engine =
        open(location(lake, Some((&root, &project.config)))?, Mode::Write, Some(&root)).await?;
    let work = async {
        let progress = Progress::new();
        let report = |object: &str, step: Option<&engine::jobs::Step>| progress.step(object, step);
        let load = async {
            apply::apply_to(&engine, &project).await?;
            engine.refresh(&Target::All, false, Trigger::Demand, &report).await?.into_result()?;
            Ok(())
        };
        let loaded = unless_interrupted(&shutdown, load).await;
        progress.finish();
        if loaded?.is_none() {
            return Ok(INTERRUPTED);
        }
        let address = listener.local_addr()?;
        let tls = serve::tls(Some(Path::new(&root)), &project.config)?;
        serve::run(engine.clone(), listener, tls, shutdown.clone(), || {
            say(format_args!("ready postgres={address}"))?;
            tell(invitation(address).trim_end());
            Ok(())
        })
        .await
    };
    closing(&engine, work).await
}

/// What to try: a line for each role, and three questions.
fn invitation(address: SocketAddr) -> String {
    let (host, port) = (address.ip(), address.port());
    let mut text = String::from("connect as (password demo):\n");
    for (role, what) in [
        ("analyst", "sees who allows analytics"),
        ("marketer", "sees who allows e-mail marketing"),
        ("engineer", "sees everyone, for the service"),
        ("privacy_officer", "sees consent and the logs"),
    ] {
        text.push_str(&format!(
            "  psql 'postgresql://{role}:demo@{host}:{port}/onefold'   # {what}\n"
        ));
    }
    text.push_str("ask:\n");
    for question in [
        "SELECT * FROM profiles LIMIT 5;",
        "SELECT name, count(profile_id) FROM cdp.segments LEFT JOIN segment_members ON segment = name GROUP BY name;",
        "SELECT country, count(*), avg(total_spent) FROM profiles GROUP BY country ORDER BY 2 DESC;",
    ] {
        text.push_str(&format!("  {question}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_invitation_leaves_room_for_progress() {
        let text = invitation(SocketAddr::from(([127, 0, 0, 1], 5455)));
        assert!(text.lines().count() <= 12, "{text}");
        assert!(text.contains("psql 'postgresql://marketer:demo@127.0.0.1:5455/onefold'"));
    }
}
