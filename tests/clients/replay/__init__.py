"""Statements that real clients sent, replayed on PostgreSQL 15 and on onefold.

`statements.json` holds them by client, in the order of first use: psql's backslash commands, pgjdbc, SQLAlchemy with
psycopg2 and psycopg 3, plain drivers and dbt, as a PostgreSQL 15 server logged them. `tools` has a file for each tool that
cannot be installed to be recorded: its statements are written after what the tool's public source or log shows, which the
head of the file names. Each is sent to both servers in the protocol that the client used, and the answers are compared:
SQLSTATE of an error, command tag, names and types of columns. Rows and their number are left out, since each server
describes its own objects, but where a statement of a tool says `"rows": true`: it asks for what both have alike.

The statements expect certain relations. On onefold they are those of a lake that is made of `project`: `profiles`, whose
attributes are the columns that the statements name, and the segment `v`; and the table `odd`, which SQL makes. PostgreSQL
gets relations with the same columns, so that what is compared is the front and not the relations.

`differences.json` lists the statements that are answered otherwise, by client and place, with what differs, and
`reasons.json` says why. A difference that is not listed fails the test, and so does one that is
listed and gone: the list may only shrink.
"""

import datetime
import json
import pathlib
import re
import shutil

from psycopg import pq

FOLDER = pathlib.Path(__file__).resolve().parent
STATEMENTS = FOLDER / "statements.json"
TOOLS = FOLDER / "tools"
STATEMENT = "-- :: "
"""How a line begins that stands before a statement of a tool; how the statement is sent follows, as JSON."""
DIFFERENCES = FOLDER / "differences.json"
REASONS = FOLDER / "reasons.json"

PROJECT = FOLDER / "project"
PEOPLE_COUNT = 3000

# What the statements expect to find, in schemas of the search path. The columns are those that `PROJECT` gives, in its order;
# `odd` has types that no source has, one of them made by a statement that onefold does not have.
RELATIONS = f"""
CREATE TABLE profiles AS SELECT i::bigint AS profile_id, i % 2 = 0 AS active, i::numeric(18,2) AS amount,
  to_timestamp(i) AS created_at, 'u' || i || '@example.com' AS email, i::bigint AS id, 'user_' || i AS name
  FROM generate_series(1, {PEOPLE_COUNT}) AS i;
ALTER TABLE profiles ADD PRIMARY KEY (profile_id);
CREATE SCHEMA segments;
CREATE VIEW segments.v AS SELECT profile_id, created_at AS entered_at FROM profiles WHERE active;
CREATE TYPE pair AS (a int, b text);
CREATE TABLE odd AS SELECT 1 AS id, NULL::interval AS iv, ARRAY[1,2,3] AS l, ROW(1, 'x')::pair AS s;
"""
# The same table on onefold.
ODD = "CREATE TABLE odd AS SELECT 1 AS id, NULL::interval AS iv, ARRAY[1,2,3] AS l"
OPTIONS = "options='-c search_path=public,segments'"


def write_project(folder):
    """Copies `PROJECT` into a folder, with the file that its source reads."""
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    (folder / "data").mkdir()
    start = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    with open(folder / "data/people.csv", "w", encoding="utf-8") as file:
        file.write("id,name,email,created_at,amount,active\n")
        for i in range(1, PEOPLE_COUNT + 1):
            at = (start + datetime.timedelta(seconds=i)).isoformat()
            active = "true" if i % 2 == 0 else "false"
            file.write(f"{i},user_{i},u{i}@example.com,{at},{i}.00,{active}\n")


class Side:
    """One connection of one server, spoken to through libpq."""

    def __init__(self, dsn, database):
        self.dsn, self.database = dsn, database
        self._connect()

    def _connect(self):
        self.connection = pq.PGconn.connect(f"{self.dsn} {OPTIONS}".encode())
        assert self.connection.status == pq.ConnStatus.OK, self.connection.error_message.decode()
        self.connection.notice_handler = lambda _: None

    def send(self, statement):
        """Sends a statement as its client did, and returns what came back, one entry for each result."""
        if self.connection.status != pq.ConnStatus.OK:
            self._connect()
        text = statement["q"].replace('"cdp".', f'"{self.database}".').replace("'cdp'", f"'{self.database}'").encode()
        if statement["kind"] == "ext":
            values = [None if value is None else str(value).encode() for value in statement.get("params", [])]
            self.connection.send_query_params(text, values)
        else:
            self.connection.send_query(text)
        answers = []
        while (result := self.connection.get_result()) is not None:
            match result.status:
                case pq.ExecStatus.COPY_OUT:
                    while self.connection.get_copy_data(0)[0] > 0:
                        pass
                    answers.append("rows of COPY")
                case pq.ExecStatus.COPY_IN:
                    self.connection.put_copy_end(b"nothing to copy")
                case pq.ExecStatus.FATAL_ERROR:
                    answers.append("error " + _text(result.error_field(pq.DiagnosticField.SQLSTATE) or b"without a SQLSTATE"))
                case _:
                    answers.append(_described(result))
                    if statement.get("rows"):
                        answers.extend(_rows(result))
        return answers

    def in_failed_block(self):
        return self.connection.transaction_status == pq.TransactionStatus.INERROR

    def leave_block(self):
        self.connection.exec_(b"ROLLBACK")

    def close(self):
        self.connection.finish()


def _described(result):
    columns = [f"{_text(result.fname(at))} {result.ftype(at)}" for at in range(result.nfields)]
    tag = re.sub(r"\d+", "n", _text(result.command_status))
    return f"{tag} ({', '.join(columns)})" if columns else tag


def _rows(result):
    """The rows of a result, sorted, since few statements say in which order they want them. Zeros that end a fraction are
    left out: how many digits an average or a quotient has is not compared."""
    cells = lambda row: ["NULL" if (value := result.get_value(row, at)) is None else _number(value.decode()) for at in range(result.nfields)]
    return sorted(" | ".join(cells(row)) for row in range(result.ntuples))


def _number(value):
    return value.rstrip("0").rstrip(".") if re.fullmatch(r"-?\d+\.\d+", value) else value


def _text(value):
    return (value or b"").decode()


def statements():
    recorded = json.loads(STATEMENTS.read_text())
    return recorded | {file.stem: _of_tool(file) for file in sorted(TOOLS.glob("*.sql"))}


def _of_tool(file):
    found = []
    for line in file.read_text().splitlines(keepends=True):
        if line.startswith(STATEMENT):
            found.append({**json.loads(line.removeprefix(STATEMENT)), "q": ""})
        elif found:
            found[-1]["q"] += line
    return [{**statement, "q": statement["q"].strip()} for statement in found]


def known_differences():
    return json.loads(DIFFERENCES.read_text())


def reasons():
    """Why there are differences: the clients and places of each reason."""
    return json.loads(REASONS.read_text())


def differences(client, theirs, ours):
    """Replays a client's statements on both sides; returns what differs, by the place of the statement."""
    found = {}
    for place, statement in enumerate(statements()[client]):
        expected, answered = theirs.send(statement), ours.send(statement)
        if answered != expected:
            found[str(place)] = _difference(expected, answered)
        # What follows is held against the same state on both sides.
        if theirs.in_failed_block() != ours.in_failed_block():
            theirs.leave_block()
            ours.leave_block()
    return found


def _difference(expected, answered):
    for theirs, ours in zip(expected, answered):
        if theirs != ours:
            return f"PostgreSQL: {_short(theirs)}; onefold: {_short(ours)}"
    return f"PostgreSQL: {len(expected)} answers; onefold: {len(answered)}"


def _short(answer, length=160):
    return answer if len(answer) <= length else answer[:length] + "..."
