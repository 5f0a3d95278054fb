//! A lake on an object store: the same commands, the same answers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::harness::{
    BINARY, Built, Contents, Finished, Folder, PROMPT, Process, Server, WORK, python, root, small,
};

const LAKE: &str = "s3://lake/shop";

/// The environment that every process of these tests has.
fn environment(command: &mut Command, port: &str) {
    command
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
        .env("AWS_ALLOW_HTTP", "true");
}

fn onefold(project: &Path, port: &str, arguments: &[&str]) -> Finished {
    let mut command = Command::new(BINARY);
    command.args(arguments).args(["--lake", LAKE]).current_dir(project);
    environment(&mut command, port);
    Process::spawn(command).finish(WORK)
}

/// A project of the small corpus whose lake is in the bucket.
fn project(folder: &Folder, port: &str) -> PathBuf {
    let project = Built::project(folder.path(), &small().corpus());
    let config = format!(
        "[storage]\nurl = \"{LAKE}\"\n\n[storage.options]\nendpoint = \"http://127.0.0.1:{port}\"\nregion = \"us-east-1\"\n\
         allow_http = \"true\"\naccess_key_id = {{ env = \"AWS_ACCESS_KEY_ID\" }}\n\
         secret_access_key = {{ env = \"AWS_SECRET_ACCESS_KEY\" }}\n"
    );
    std::fs::write(project.join("onefold.toml"), config).unwrap();
    project
}

#[tokio::test]
async fn a_lake_on_s3_answers_as_one_on_disk() {
    let mut command = Command::new(python());
    command.arg(root().join("tests/object_store.py"));
    let store = Process::spawn(command);
    let line = store.line(PROMPT).unwrap_or_else(|| panic!("no object store: {}", store.stderr()));
    let port = line.strip_prefix("ready ").unwrap();

    let folder = Folder::new();
    let project = project(&folder, port);
    onefold(&project, port, &["apply", "."]).success();
    interrupt_refresh(&project, port);
    // Who was interrupted gave its lease back: nobody waits until it has run out.
    onefold(&project, port, &["refresh"]).success();

    let local = Contents::of(&small().lake);
    let mut serve = Command::new(BINARY);
    serve.args(["serve", "--lake", LAKE, "--listen", "127.0.0.1:0"]).current_dir(&project);
    environment(&mut serve, port);
    let mut server = Server::from(serve);
    let engineer = server.session("engineer").await;
    for relation in [
        "sources.shop_orders",
        "sources.crm_contacts_history",
        "events",
        "profiles",
        "profile_identifiers",
        "identity_edges",
    ] {
        let count = engineer.number(&format!("SELECT count(*) FROM {relation}")).await;
        assert_eq!(count, i64::try_from(local.relation(relation).len()).unwrap(), "{relation}");
    }
    let spent = engineer.value("SELECT sum(total_spent) FROM profiles").await;
    let here = small()
        .copied()
        .serve()
        .session("engineer")
        .await
        .value("SELECT sum(total_spent) FROM profiles")
        .await;
    assert_eq!(spent, here);

    // One writer here, too, and its lease is given back.
    let refused = onefold(&project, port, &["refresh"]).exits_with(1);
    assert!(refused.stderr.contains(&server.process.pid().to_string()), "{refused}");
    assert!(server.process.signal("TERM"));
    assert_eq!(server.process.wait(PROMPT).code(), Some(0), "{}", server.process.stderr());
    onefold(&project, port, &["refresh"]).success();
}

/// Starts a refresh and interrupts it once it has read its sources.
fn interrupt_refresh(project: &Path, port: &str) {
    let mut command = Command::new(BINARY);
    command.args(["refresh", "--lake", LAKE]).current_dir(project);
    environment(&mut command, port);
    let mut refresh = Process::spawn(command);
    let started = Instant::now();
    while refresh.stderr().is_empty() && refresh.is_running() {
        assert!(started.elapsed() < WORK, "the refresh read no sources");
        std::thread::yield_now();
    }
    assert!(refresh.signal("INT"), "the refresh ended early:\n{}", refresh.stderr());
    assert_eq!(refresh.wait(PROMPT).code(), Some(130), "{}", refresh.stderr());
}

#[test]
fn a_bucket_that_is_not_there_is_an_error() {
    let mut command = Command::new(python());
    command.arg(root().join("tests/object_store.py"));
    let store = Process::spawn(command);
    let line = store.line(PROMPT).unwrap_or_else(|| panic!("no object store: {}", store.stderr()));
    let port = line.strip_prefix("ready ").unwrap();
    let folder = Folder::new();
    let project = project(&folder, port);
    let mut command = Command::new(BINARY);
    command.args(["apply", ".", "--lake", "s3://nowhere/shop"]).current_dir(&project);
    environment(&mut command, port);
    let finished = Process::spawn(command).finish(WORK);
    assert_eq!(finished.code(), 1, "{finished}");
    assert!(!finished.stderr.contains("AWS_SECRET"), "{finished}");
}
