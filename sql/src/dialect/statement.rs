//! What can be said to onefold.

use arrow::datatypes::DataType;
use engine::catalog::{Definition, Kind};
use engine::overrides::Decision;
use sqlparser::ast;

use super::alter::Alteration;
use super::password::Password;

/// One statement of an input.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    /// Exactly what was written, without leading and trailing white space, comments and the semicolon; a password
    /// in it is replaced by its verifier.
    pub(crate) text: String,
    /// The byte of the input that `text` starts at.
    pub(crate) offset: usize,
    /// What it means.
    pub(crate) statement: Statement,
}

/// What one statement means.
#[derive(Debug, Clone)]
pub(crate) enum Statement {
    /// `CREATE [OR REPLACE] kind [IF NOT EXISTS] name ...`.
    Create {
        /// The object.
        definition: Box<Definition>,
        /// What happens if it is there already.
        mode: CreateMode,
        /// The password that the verifier of a role was made from, if it was given as text.
        password: Option<Password>,
    },
    /// `ALTER IDENTITY GRAPH name action [, ...]`.
    AlterGraph(Box<Alteration>),
    /// `DROP kind [IF EXISTS] name`.
    Drop {
        /// The kind.
        kind: Kind,
        /// The name.
        name: String,
        /// Absence is no error.
        if_exists: bool,
    },
    /// `COMMENT ON kind name IS '...' | NULL`.
    Comment {
        /// The kind.
        kind: Kind,
        /// The name.
        name: String,
        /// The text; `None` removes it.
        comment: Option<String>,
    },
    /// `REFRESH ALL | kinds | kind name [FULL]`.
    Refresh {
        /// What is brought up to date.
        target: RefreshTarget,
        /// From the ground state, not from what changed.
        full: bool,
    },
    /// `MERGE PROFILES`, `SPLIT PROFILE` or `DROP IDENTITY OVERRIDE`.
    Decide {
        /// What is decided about who is who.
        decision: Decision,
        /// Why; it may be empty where something is taken back.
        reason: String,
    },
    /// `APPLY IDENTITY OVERRIDES AS query`.
    ApplyOverrides {
        /// The text of the query, each row of which decides about two records.
        query: String,
    },
    /// `RUN SYNC name [DRY RUN]`.
    RunSync {
        /// The sync.
        name: String,
        /// Nothing leaves.
        dry_run: bool,
    },
    /// `SHOW kinds [LIKE 'pattern']`.
    ShowObjects {
        /// The kind.
        kind: Kind,
        /// A pattern as `LIKE` takes it.
        like: Option<String>,
    },
    /// `SHOW CREATE kind name`.
    ShowCreate {
        /// The kind.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// `SET [SESSION | LOCAL] name TO value, ... | DEFAULT`.
    Set {
        /// The parameter, lower case.
        name: String,
        /// Its values; `None` for `DEFAULT`.
        value: Option<Vec<String>>,
        /// Until the end of the transaction.
        local: bool,
    },
    /// `SET TRANSACTION ...` or, for the session, `SET SESSION CHARACTERISTICS AS TRANSACTION ...`.
    SetTransaction {
        /// What was asked for.
        modes: TransactionModes,
        /// For every transaction of the session.
        session: bool,
    },
    /// `SET CONSTRAINTS ALL | names DEFERRED | IMMEDIATE`.
    SetConstraints {
        /// The constraints, each with its schema if that is named; `None` for all.
        names: Option<Vec<(Option<String>, String)>>,
        /// Until the end of the transaction, or after each statement.
        deferred: bool,
    },
    /// `SHOW name`.
    Show {
        /// The parameter, lower case.
        name: String,
    },
    /// `SHOW ALL`.
    ShowAll,
    /// `RESET name | ALL`.
    Reset {
        /// The parameter, lower case; `None` for all.
        name: Option<String>,
    },
    /// `DISCARD ALL | PLANS | SEQUENCES | TEMPORARY`.
    Discard {
        /// What is forgotten.
        target: DiscardTarget,
    },
    /// `BEGIN` or `START TRANSACTION`.
    Begin {
        /// Whether it is written `START TRANSACTION`, which its tag repeats.
        start: bool,
        /// What was asked for.
        modes: TransactionModes,
    },
    /// `COMMIT` or `END`.
    Commit {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `ROLLBACK` or `ABORT`.
    Rollback {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `SAVEPOINT name`.
    Savepoint {
        /// Its name.
        name: String,
    },
    /// `ROLLBACK TO [SAVEPOINT] name`.
    RollbackTo {
        /// The savepoint.
        name: String,
    },
    /// `RELEASE [SAVEPOINT] name`.
    Release {
        /// The savepoint.
        name: String,
    },
    /// `PREPARE name [(type, ...)] AS statement`.
    Prepare {
        /// Its name.
        name: String,
        /// The declared types of its parameters, in order; `None` where they are to be inferred.
        types: Vec<Option<DataType>>,
        /// The statement.
        statement: Box<Parsed>,
    },
    /// `EXECUTE name [(expression, ...)]`.
    Execute {
        /// The prepared statement.
        name: String,
        /// The texts of the expressions.
        arguments: Vec<String>,
    },
    /// `DEALLOCATE [PREPARE] name | ALL`.
    Deallocate {
        /// The prepared statement; `None` for all.
        name: Option<String>,
    },
    /// `DECLARE name [BINARY] [[NO] SCROLL] CURSOR [WITH HOLD] FOR query`.
    Declare {
        /// The cursor.
        name: String,
        /// Rows come in binary.
        binary: bool,
        /// `SCROLL`: it may move backward.
        scroll: bool,
        /// `WITH HOLD`: it outlives its transaction.
        hold: bool,
        /// The query.
        query: Box<Parsed>,
    },
    /// `FETCH [direction] [FROM | IN] name`.
    Fetch {
        /// Which rows.
        direction: FetchDirection,
        /// The cursor.
        cursor: String,
    },
    /// `MOVE [direction] [FROM | IN] name`.
    Move {
        /// Where to.
        direction: FetchDirection,
        /// The cursor.
        cursor: String,
    },
    /// `CLOSE name | ALL`.
    Close {
        /// The cursor; `None` for all.
        cursor: Option<String>,
    },
    /// `LISTEN channel`.
    Listen {
        /// The channel.
        channel: String,
    },
    /// `UNLISTEN channel | *`.
    Unlisten {
        /// The channel; `None` for all.
        channel: Option<String>,
    },
    /// `NOTIFY channel [, 'payload']`.
    Notify {
        /// The channel.
        channel: String,
        /// The payload, empty if there is none.
        payload: String,
    },
    /// What helps a server that plans by statistics and indexes, and has nothing to do here: `ANALYZE`, `VACUUM`,
    /// `CREATE INDEX`, `DROP INDEX`, actions of `ALTER TABLE`, and `LOCK TABLE` where it lets others write.
    Tuning {
        /// The command tag.
        tag: &'static str,
        /// Queries that read what it names.
        reads: Vec<String>,
    },
    /// `COPY (query) | relation [(column, ...)] TO STDOUT [options]`.
    Copy {
        /// The rows.
        input: CopyInput,
        /// How they are written.
        options: CopyOptions,
    },
    /// `COPY relation [(column, ...)] FROM STDIN [options]`.
    CopyFrom {
        /// The table, as SQL writes its name.
        relation: String,
        /// The columns that values are sent for; all if there are none.
        columns: Vec<String>,
        /// How rows are written.
        options: CopyOptions,
    },
    /// `EXPLAIN [ANALYZE] [VERBOSE] [(option, ...)] statement`.
    Explain {
        /// What is told of running it, if it is run, too.
        analyze: Option<Analyze>,
        /// With every detail.
        verbose: bool,
        /// How the plan is written.
        format: ExplainFormat,
        /// The statement, which is a query or `EXECUTE`.
        statement: Box<Parsed>,
    },
    /// `EXPLAIN MERGE` or `EXPLAIN PROFILE`.
    ExplainIdentity {
        /// The query that answers it.
        query: String,
    },
    /// `EXPLAIN IMPACT CREATE [OR REPLACE] IDENTITY GRAPH ...`.
    ExplainImpact {
        /// The graph.
        definition: Box<Definition>,
        /// What would happen if it is there already.
        mode: CreateMode,
    },
    /// `EXPLAIN IMPACT ALTER IDENTITY GRAPH ...`.
    ExplainAlteration(Box<Alteration>),
    /// A statement that changes tables or views of the schema `analytics`, read by the engine from the text.
    Write {
        /// What it is called in messages, such as `INSERT`.
        verb: &'static str,
    },
    /// A query, planned by the engine from the text.
    Query {
        /// The query as sqlparser reads it; its spans count from the start of the statement's text.
        ast: Box<ast::Statement>,
    },
    /// Recognised and not built: SQLSTATE 0A000.
    Unsupported {
        /// What, as in "{what} is not supported".
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// Recognised and never allowed: SQLSTATE 42501.
    Refused {
        /// What, as in "{what} is not allowed".
        what: String,
        /// What to do instead.
        hint: String,
    },
}

/// What `CREATE` does if the object is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CreateMode {
    /// It fails.
    Create,
    /// It replaces it.
    OrReplace,
    /// It leaves it as it is.
    IfNotExists,
}

/// What `REFRESH` brings up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefreshTarget {
    /// Everything, in dependency order.
    All,
    /// Every object of a kind: `REFRESH SOURCES`.
    Kind(Kind),
    /// One object: `REFRESH SOURCE crm_contacts`.
    Object(Kind, String),
}

/// What `DISCARD` forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiscardTarget {
    /// Everything of the session.
    All,
    /// Cached plans.
    Plans,
    /// Values of sequences.
    Sequences,
    /// Temporary tables.
    Temporary,
}

/// What was asked of a transaction; `None` where nothing was said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TransactionModes {
    /// The isolation level, as `SHOW transaction_isolation` prints it.
    pub(crate) isolation: Option<&'static str>,
    /// `READ ONLY` or `READ WRITE`.
    pub(crate) read_only: Option<bool>,
    /// `[NOT] DEFERRABLE`.
    pub(crate) deferrable: Option<bool>,
}

/// Which rows of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FetchDirection {
    /// As many rows forward; negative is backward, 0 is the row it stands on.
    Forward(i64),
    /// Every row that is left.
    ForwardAll,
    /// As many rows backward.
    Backward(i64),
    /// Every row back to the first.
    BackwardAll,
    /// The first row.
    First,
    /// The last row.
    Last,
    /// The row of this number; negative counts from the end.
    Absolute(i64),
    /// The row this many rows from here.
    Relative(i64),
}

/// What `COPY ... TO STDOUT` sends.
#[derive(Debug, Clone)]
pub(crate) enum CopyInput {
    /// The rows of a query.
    Query(Box<Parsed>),
    /// The rows of a relation.
    Relation {
        /// The query that reads it; positions in it are not those of the input.
        select: String,
        /// The byte of the input that the relation's name stands at.
        offset: usize,
    },
}

/// How `COPY` writes rows; the defaults depend on the format and are filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyOptions {
    /// The format.
    pub(crate) format: CopyFormat,
    /// What the first line is.
    pub(crate) header: CopyHeader,
    /// What stands between values: tab for text, comma for CSV.
    pub(crate) delimiter: u8,
    /// What stands for null: `\N` for text, nothing for CSV.
    pub(crate) null: String,
    /// CSV only: what surrounds a value.
    pub(crate) quote: u8,
    /// CSV only: what stands before a quote within a value.
    pub(crate) escape: u8,
    /// CSV only: which columns are always quoted.
    pub(crate) force_quote: Forced,
    /// CSV only: in which columns what stands for null is a text.
    pub(crate) force_not_null: Forced,
    /// CSV only: in which columns what stands for null is null also in quotes.
    pub(crate) force_null: Forced,
}

/// What the first line of rows in text or CSV is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyHeader {
    /// A row.
    None,
    /// The names of the columns, at which nobody looks that reads rows.
    Skipped,
    /// The names of the columns, which are to be those of the table.
    Matched,
}

/// A format of `COPY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyFormat {
    /// Tab separated with backslashes.
    Text,
    /// Comma separated values.
    Csv,
    /// Postgres' binary format.
    Binary,
}

/// Of which columns of CSV an option holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Forced {
    /// None.
    None,
    /// Every column.
    All,
    /// These.
    Columns(Vec<String>),
}

/// What `EXPLAIN ANALYZE` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Analyze {
    /// How long each node took.
    pub(crate) timing: bool,
    /// How long the whole took.
    pub(crate) summary: bool,
}

/// How `EXPLAIN` writes a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExplainFormat {
    /// Lines of text.
    Text,
    /// One JSON document.
    Json,
    /// One XML document.
    Xml,
}
