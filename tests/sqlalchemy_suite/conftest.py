"""SQLAlchemy's suite for dialects over a server with an empty lake, as a role that writes tables.

The suite is PostgreSQL's as far as onefold goes: requirements.py switches off what is not promised. A test that fails has to stand in
known_failures.txt, with the reason above it; one that stands there and passes fails the run, so the list only shrinks.
"""

import contextlib
import pathlib
import re
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from clients.conftest import served  # noqa: E402
from sqlalchemy.dialects.postgresql import provision  # noqa: E402, F401
from sqlalchemy.dialects.postgresql.base import PGDDLCompiler, PGDialect  # noqa: E402
from sqlalchemy.testing import provision as hooks  # noqa: E402

pytest_plugins = ["sqlalchemy.testing.plugin.pytestplugin"]

PROJECT = {
    "onefold.toml": "",
    "purposes/analytics.sql": "CREATE PURPOSE analytics LEGAL BASIS consent;\n",
    "roles/writer.sql": "CREATE ROLE writer LOGIN PASSWORD 'demo' PURPOSES (analytics) MAY (write);\n",
}
SCHEMAS = ["test_schema", "test_schema_2"]
running = contextlib.ExitStack()


class Declared(PGDDLCompiler):
    """Declares tables without exclusion constraints."""

    def visit_exclude_constraint(self, constraint, **kw):
        return None


PGDialect.ddl_compiler = Declared
PGDialect.supports_constraint_comments = False


# PostgreSQL's makes extensions, of which onefold has none.
@hooks.post_configure_engine.for_db("postgresql")
def nothing_more(url, engine, follower_ident):
    pass


def known() -> dict[str, str]:
    """The tests that are known to fail, each with the reason."""
    found, reason = {}, ""
    for line in (HERE / "known_failures.txt").read_text().splitlines():
        if line.startswith("#"):
            reason = line.lstrip("# ")
        elif line:
            found[line] = reason
    return found


def name_of(item: pytest.Item) -> str:
    """The name of a test without the file, and without the driver and the version in the name of its class."""
    return re.sub(r"_postgresql\+[^:]*(?=::)", "", item.nodeid.split("::", 1)[1])


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session):
    folder = pathlib.Path(running.enter_context(tempfile.TemporaryDirectory()))
    for name, text in PROJECT.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    server = running.enter_context(served(folder))
    with server.connect("writer", autocommit=True) as connection:
        for schema in SCHEMAS:
            connection.execute(f"CREATE SCHEMA {schema}")
    address = f"writer:demo@127.0.0.1:{server.port}/onefold?options=-csearch_path%3Danalytics"
    session.config.option.dburi = [f"postgresql+psycopg://{address}"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session, config, items):
    expected = known()
    names = {name_of(item) for item in items}
    gone = sorted(set(expected) - names)
    if gone and not config.option.keyword and not any("::" in argument for argument in config.args):
        raise pytest.UsageError(f"known_failures.txt names tests that there are not: {gone}")
    for item in items:
        reason = expected.get(name_of(item))
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


def pytest_terminal_summary(terminalreporter):
    count = {kind: len(terminalreporter.stats.get(kind, [])) for kind in ["passed", "failed", "error", "xfailed", "skipped"]}
    failed = count["failed"] + count["error"]
    terminalreporter.section("SQLAlchemy's suite for dialects")
    terminalreporter.line(
        f"{count['passed']} passed, {failed} failed, {count['xfailed']} are known to fail, {count['skipped']} skipped"
    )
    for report in [*terminalreporter.stats.get("failed", []), *terminalreporter.stats.get("error", [])]:
        terminalreporter.line(re.sub(r"_postgresql\+[^:]*(?=::)", "", report.nodeid.split("::", 1)[-1]))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    running.close()
