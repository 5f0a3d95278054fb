//! SQL in, rows out, over the wire: every `.slt` file below `tests/slt`.
//!
//! A file begins with a comment that says why it is there. The line `# role: engineer` names the role that it connects
//! as, and `connection marketer` before a record runs that one record as another. Files in `reading` share one server
//! over the shop; files in `writing` get a lake of their own each.
//!
//! An error is matched as `SQLSTATE: message [detail: ...] [hint: ...] [position: n]`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sqllogictest::{AsyncDB, Connection, DBOutput, DefaultColumnType, Record, Runner};

use crate::harness::{Failure, Server, Session, files, root, shared_server, small};

/// One connection of a script.
struct Connected(Session);

#[async_trait]
impl AsyncDB for Connected {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let answer = self.0.run(sql).await?;
        if answer.columns.is_empty() {
            return Ok(DBOutput::StatementComplete(answer.count));
        }
        let shown = |value: Option<String>| match value {
            None => "NULL".to_owned(),
            Some(text) if text.is_empty() => "(empty)".to_owned(),
            Some(text) => text,
        };
        let rows =
            answer.rows.into_iter().map(|row| row.into_iter().map(shown).collect()).collect();
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Any; answer.columns.len()], rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &'static str {
        "onefold"
    }

    fn error_sql_state(error: &Failure) -> Option<String> {
        Some(error.sqlstate.clone())
    }
}

/// Returns the scripts in one folder.
fn scripts(folder: &str) -> Vec<PathBuf> {
    let folder = root().join("tests/slt").join(folder);
    let found = files(&folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"));
    let found: Vec<PathBuf> = found.map(|path| folder.join(path)).collect();
    assert!(!found.is_empty(), "no scripts in {}", folder.display());
    found
}

/// Runs one script to its end, and returns everything that went wrong.
async fn run(script: &Path, server: Arc<Server>) -> Vec<String> {
    let text = std::fs::read_to_string(script).unwrap();
    let role = text
        .lines()
        .find_map(|line| line.strip_prefix("# role: "))
        .unwrap_or("engineer")
        .trim()
        .to_owned();
    let next = Arc::new(Mutex::new(role.clone()));
    let connecting = Arc::clone(&next);
    let mut runner = Runner::new(move || {
        let (server, role) = (Arc::clone(&server), connecting.lock().unwrap().clone());
        async move { Ok(Connected(server.session(&role).await)) }
    });
    let records = match sqllogictest::parse_file::<DefaultColumnType>(script) {
        Ok(records) => records,
        Err(error) => return vec![error.to_string()],
    };
    let mut wrong = Vec::new();
    for record in records {
        let connection = match &record {
            Record::Halt { .. } => break,
            Record::Statement { connection, .. } | Record::Query { connection, .. } => {
                Some(connection.clone())
            }
            _ => None,
        };
        *next.lock().unwrap() = match connection {
            Some(Connection::Named(name)) => name,
            _ => role.clone(),
        };
        if let Err(error) = runner.run_async(record).await {
            wrong.push(error.display(false).to_string());
        }
    }
    runner.shutdown_async().await;
    wrong
}

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} records went wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[tokio::test]
async fn scripts_that_read() {
    let server = shared_server();
    let mut wrong = Vec::new();
    for script in scripts("reading") {
        wrong.extend(run(&script, Arc::clone(&server)).await);
    }
    report(&wrong);
}

#[tokio::test]
async fn scripts_that_write() {
    let mut wrong = Vec::new();
    for script in scripts("writing") {
        let lake = small().copied();
        wrong.extend(run(&script, Arc::new(lake.serve())).await);
    }
    report(&wrong);
}
