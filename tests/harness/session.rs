//! A connection of one role, whose answers are texts: what a person with psql would see.

use std::fmt;

use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::Server;

/// A connection. Ends when it is dropped.
pub(crate) struct Session {
    /// The driver, for what answers in text do not show.
    pub(crate) client: Client,
    _connection: JoinSet<()>,
}

/// The rows of one or more statements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Answer {
    /// The names of the columns of the last one.
    pub(crate) columns: Vec<String>,
    /// Their rows, in the order in which they came.
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// What the tag of the last one counted.
    pub(crate) count: u64,
}

/// What a statement was refused with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Five letters.
    pub(crate) sqlstate: String,
    /// The message.
    pub(crate) message: String,
    /// More about it.
    pub(crate) detail: Option<String>,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// Where in the statement.
    pub(crate) position: Option<u32>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.sqlstate, self.message)?;
        for (name, text) in [("detail", &self.detail), ("hint", &self.hint)] {
            if let Some(text) = text {
                write!(f, " [{name}: {text}]")?;
            }
        }
        match self.position {
            Some(position) => write!(f, " [position: {position}]"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        let Some(db) = error.as_db_error() else {
            let source = std::error::Error::source(&error)
                .map(|source| format!(": {source}"))
                .unwrap_or_default();
            return Failure {
                sqlstate: "(none)".to_owned(),
                message: format!("the connection: {error}{source}"),
                detail: None,
                hint: None,
                position: None,
            };
        };
        let position = match db.position() {
            Some(tokio_postgres::error::ErrorPosition::Original(position)) => Some(*position),
            _ => None,
        };
        Failure {
            sqlstate: db.code().code().to_owned(),
            message: db.message().to_owned(),
            detail: db.detail().map(str::to_owned),
            hint: db.hint().map(str::to_owned),
            position,
        }
    }
}

/// Connects to a server as a role.
pub(crate) async fn connect(
    server: &Server,
    role: &str,
    password: &str,
) -> Result<Session, Failure> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(server.port()).dbname("onefold").user(role).password(password);
    config.application_name("e2e");
    Session::open(&config).await
}

impl Server {
    /// Connects as a role of the demo.
    pub(crate) async fn session(&self, role: &str) -> Session {
        connect(self, role, "demo")
            .await
            .unwrap_or_else(|failure| panic!("cannot connect as {role}: {failure}"))
    }
}

impl Session {
    /// Connects as `config` says.
    pub(crate) async fn open(config: &Config) -> Result<Session, Failure> {
        let (client, connection) = config.connect(NoTls).await?;
        let mut running = JoinSet::new();
        running.spawn(async move {
            // A connection that fails fails its statements, which say so.
            let _ = connection.await;
        });
        Ok(Session { client, _connection: running })
    }

    /// Makes a session of a client whose connection somebody else drives.
    pub(crate) fn of(client: Client, connection: JoinSet<()>) -> Session {
        Session { client, _connection: connection }
    }

    /// Runs one or more statements.
    pub(crate) async fn run(&self, sql: &str) -> Result<Answer, Failure> {
        let mut answer = Answer::default();
        for message in self.client.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    answer.columns =
                        columns.iter().map(|column| column.name().to_owned()).collect();
                    answer.rows.clear();
                }
                SimpleQueryMessage::Row(row) => {
                    answer.rows.push(
                        (0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect(),
                    );
                }
                SimpleQueryMessage::CommandComplete(count) => answer.count = count,
                _ => {}
            }
        }
        Ok(answer)
    }

    /// Runs statements that must succeed, and returns the rows of the last one.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.run(sql).await.unwrap_or_else(|failure| panic!("{sql}\n{failure}")).rows
    }

    /// Returns the one value of a query; an empty text for null.
    pub(crate) async fn value(&self, sql: &str) -> String {
        let rows = self.rows(sql).await;
        match rows.as_slice() {
            [row] if row.len() == 1 => row[0].clone().unwrap_or_default(),
            other => panic!("{sql}\nnot one value: {other:?}"),
        }
    }

    /// Returns the one number of a query.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let value = self.value(sql).await;
        value.parse().unwrap_or_else(|_| panic!("{sql}\nnot a number: {value}"))
    }

    /// Runs a statement that must be refused.
    pub(crate) async fn failure(&self, sql: &str) -> Failure {
        match self.run(sql).await {
            Err(failure) => failure,
            Ok(answer) => panic!("{sql}\nwas not refused: {answer:?}"),
        }
    }
}
