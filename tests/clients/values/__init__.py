"""Values at the edges of their types, as PostgreSQL 15 and onefold write them.

`values.json` holds literals by type, literals of points in time by the zone of the session, and expressions. Each is sent
to both servers in several ways, and the answers are compared byte for byte: the type of the column, the value, or the
SQLSTATE of the refusal.

- `text`, `binary`: the value as a literal, in either format of results.
- `parameter`: the text as the value of a parameter, which the server reads.
- `parameter binary`: what PostgreSQL writes in binary, as the value of a parameter; both must read the same of it.
- `copy`, `csv`: a row of `COPY ... TO STDOUT`.

`differences.json` lists what is answered otherwise. It may only shrink: a difference that is not listed fails the test, and
so does one that is listed and gone.
"""

import json
import pathlib

from psycopg import pq

FOLDER = pathlib.Path(__file__).resolve().parent
DIFFERENCES = FOLDER / "differences.json"
LITERALS, ZONES, EXPRESSIONS = json.loads((FOLDER / "values.json").read_text()).values()


class Side:
    """One connection of one server, spoken to through libpq."""

    def __init__(self, dsn):
        self.connection = pq.PGconn.connect(dsn.encode())
        assert self.connection.status == pq.ConnStatus.OK, self.connection.error_message.decode()
        self.connection.notice_handler = lambda _: None

    def run(self, statement):
        """Runs a statement of which nothing is asked but that it succeeds."""
        result = self.connection.exec_(statement.encode())
        assert result.status == pq.ExecStatus.COMMAND_OK, result.error_message.decode()

    def value(self, statement, values=(), oids=(), formats=(), binary=False):
        """The type and the bytes of the one value that a statement answers with, or why it does not."""
        result = self.connection.exec_params(
            statement.encode(), list(values), list(oids) or None, list(formats) or None, int(binary)
        )
        if result.status != pq.ExecStatus.TUPLES_OK:
            return _refusal(result)
        return result.ftype(0), result.get_value(0, 0) if result.ntuples else b""

    def copied(self, query, options=""):
        """What COPY writes of a query."""
        result = self.connection.exec_(f"COPY ({query}) TO STDOUT{options}".encode())
        data = b""
        if result.status == pq.ExecStatus.COPY_OUT:
            while (read := self.connection.get_copy_data(0))[0] > 0:
                data += bytes(read[1])
            result = self.connection.get_result()
        while self.connection.get_result() is not None:
            pass
        return _refusal(result) if result.status == pq.ExecStatus.FATAL_ERROR else (0, data)

    def close(self):
        self.connection.finish()


def _refusal(result):
    return (result.error_field(pq.DiagnosticField.SQLSTATE) or b"without a SQLSTATE").decode(), None


def quoted(text):
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def place(text):
    """What a literal is listed as."""
    return "NULL" if text is None else repr(text)


def answers(theirs, ours, name, text):
    """How both answer to a literal of a type, by the way that it is asked for."""
    query = f"SELECT {quoted(text)}::{name}"
    given = None if text is None else text.encode()
    found = {}
    for way, ask in {
        "text": lambda side: side.value(query),
        "binary": lambda side: side.value(query, binary=True),
        "parameter": lambda side: side.value(f"SELECT $1::{name}", [given]),
        "copy": lambda side: side.copied(query),
        "csv": lambda side: side.copied(query, " WITH (FORMAT csv)"),
    }.items():
        found[way] = ask(theirs), ask(ours)
    oid, value = found["binary"][0]
    if isinstance(oid, int) and value is not None:
        sent = f"SELECT $1::{name}", [bytes(value)], [oid], [1], True
        found["parameter binary"] = theirs.value(*sent), ours.value(*sent)
    return found


def differences(found):
    """The ways whose answers differ, with both."""
    return {way: f"PostgreSQL: {_shown(theirs)}; onefold: {_shown(ours)}"
            for way, (theirs, ours) in found.items() if theirs != ours}


def _shown(answer, length=80):
    kind, value = answer
    text = f"{kind}" if value is None else f"{kind} {bytes(value)!r}"
    return text if len(text) <= length else text[:length] + "..."


def known():
    return json.loads(DIFFERENCES.read_text())
