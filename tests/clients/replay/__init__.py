"""Statements that real clients sent, replayed on PostgreSQL 15 and on onefold.

`statements.json` holds them by client, in the order of first use: psql's backslash commands, pgjdbc, SQLAlchemy with
psycopg2 and psycopg 3, plain drivers and dbt, as a PostgreSQL 15 server logged them. Each is sent to both servers in the
protocol that the client used, and the answers are compared: SQLSTATE of an error, command tag, names and types of columns.
Numbers of rows are left out, since each server describes its own objects.

`differences.json` lists the statements that are answered otherwise, by client and place, with what differs. A difference
that is not listed fails the test, and so does one that is listed and gone: the list may only shrink.
"""

import json
import pathlib
import re

from psycopg import pq

FOLDER = pathlib.Path(__file__).resolve().parent
STATEMENTS = FOLDER / "statements.json"
DIFFERENCES = FOLDER / "differences.json"

# What the statements expect to find, in the first schema of the search path.
RELATIONS = """
CREATE TABLE profiles AS SELECT i::bigint AS id, 'user_' || i AS name, 'u' || i || '@example.com' AS email,
  to_timestamp(i) AS created_at, i::numeric(18,2) AS amount, i % 2 = 0 AS active FROM generate_series(1, 300000) AS i;
CREATE TYPE pair AS (a int, b text);
CREATE TABLE odd AS SELECT 1 AS id, NULL::interval AS iv, ARRAY[1,2,3] AS l, ROW(1, 'x')::pair AS s;
CREATE VIEW v AS SELECT id, name FROM profiles WHERE active;
"""


class Side:
    """One connection of one server, spoken to through libpq."""

    def __init__(self, dsn, database):
        self.dsn, self.database = dsn, database
        self._connect()

    def _connect(self):
        self.connection = pq.PGconn.connect(self.dsn.encode())
        assert self.connection.status == pq.ConnStatus.OK, self.connection.error_message.decode()
        self.connection.notice_handler = lambda _: None

    def send(self, statement):
        """Sends a statement as its client did, and returns what came back, one entry for each result."""
        if self.connection.status != pq.ConnStatus.OK:
            self._connect()
        text = statement["q"].replace('"cdp".', f'"{self.database}".').replace("'cdp'", f"'{self.database}'").encode()
        if statement["kind"] == "ext":
            values = [None if value is None else str(value).encode() for value in statement["params"]]
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


def _text(value):
    return (value or b"").decode()


def statements():
    return json.loads(STATEMENTS.read_text())


def known_differences():
    return json.loads(DIFFERENCES.read_text())


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
