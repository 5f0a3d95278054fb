"""Broken statements, answered by PostgreSQL 15 and by onefold.

`statements.toml` holds them by subject, as an analyst would write them. Each is sent to both servers over the same relations,
which are those of `replay`, and the errors are compared: SQLSTATE, and the position that psql draws its caret at. A text is
sent in the simple protocol and in the extended one. onefold's error must have a hint besides, and must not speak of
what is inside onefold.

`differences.json` lists where onefold answers otherwise. It may only shrink: a difference that is not listed fails the test, and so
does one that is listed and gone.
"""

import json
import pathlib
import re
import tomllib

from psycopg import pq

FOLDER = pathlib.Path(__file__).resolve().parent
STATEMENTS = FOLDER / "statements.toml"
DIFFERENCES = FOLDER / "differences.json"

# What the words of the planner and of Rust look like.
INSIDE = re.compile(
    r"\b(Utf8\w*|Int(8|16|32|64)|UInt\w+|Float(32|64)|Decimal\d+|Date(32|64)|Boolean|Timestamp|List\(|Field \{|Some\(|None\b|"
    r"DataFusion|Arrow|arrow|sqlparser|[Ll]ogical plan|[Pp]hysical|coerc\w*|Expr\w*|Schema|UDF|Analyzer|Optimizer|"
    r"Candidate functions|panicked|onefold\.public|::\w+Error)"
)


FIELDS = ["sqlstate", "position"]


def statements():
    """The statements by what is wrong with each."""
    subjects = tomllib.loads(STATEMENTS.read_text())
    return {f"{subject}: {about}": statement for subject, of in subjects.items() for about, statement in of.items()}


def known_differences():
    return json.loads(DIFFERENCES.read_text())


def same(field):
    """How many statements are answered as by PostgreSQL, by the list of those that are not."""
    return len(statements()) - sum(field in difference for difference in known_differences().values())


def differences(ours, theirs):
    """What differs between answers of both, by statement and field: what PostgreSQL says, and what onefold does."""
    found = {}
    for name, expected in theirs.items():
        for field in FIELDS:
            both = [
                [error and error[field] for error in (expected[way], ours[name][way])] for way in expected
            ]
            unlike = [pair for pair in both if pair[0] != pair[1]]
            if unlike:
                found.setdefault(name, {})[field] = unlike[0]
    return found


class Side:
    """One server, spoken to through libpq in a connection of its own for each statement."""

    def __init__(self, dsn):
        self.dsn = f"{dsn} options='-c search_path=public,segments'"

    def errors(self, statement):
        """Sends a statement in every way that it is sent in; returns the error of each."""
        match statement:
            case str():
                text = statement.encode()
                return {"simple": self._error([(text, None)]), "extended": self._error([(text, [])])}
            case list():
                return {"simple": self._error([(text.encode(), None) for text in statement])}
            case {"q": text, "params": values}:
                return {"extended": self._error([(text.encode(), [value.encode() for value in values])])}
            case {"bytes": text}:
                return {"simple": self._error([(text.encode().decode("unicode_escape").encode("latin-1"), None)])}

    def _error(self, sent):
        connection = pq.PGconn.connect(self.dsn.encode())
        assert connection.status == pq.ConnStatus.OK, connection.error_message.decode()
        connection.notice_handler = lambda _: None
        try:
            for text, values in sent:
                result = connection.exec_(text) if values is None else connection.exec_params(text, values)
            return _described(result)
        finally:
            connection.finish()


def _described(result):
    if result.status != pq.ExecStatus.FATAL_ERROR:
        return None

    def field(name):
        value = result.error_field(name)
        return value.decode() if value is not None else None

    return {
        "sqlstate": field(pq.DiagnosticField.SQLSTATE),
        "position": int(field(pq.DiagnosticField.STATEMENT_POSITION) or 0),
        "message": field(pq.DiagnosticField.MESSAGE_PRIMARY),
        "hint": field(pq.DiagnosticField.MESSAGE_HINT),
    }
