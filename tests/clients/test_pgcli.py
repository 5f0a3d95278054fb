"""pgcli: what it completes from, its backslash commands, and queries without a terminal."""

import os
import pathlib
import subprocess
import sys

import pytest
from pgcli.pgexecute import PGExecute
from pgspecial.main import PGSpecial

# Those of its backslash commands that describe something.
DESCRIBE = r"""
\d  \d+  \d profiles  \d+ profiles  \d sources.shop_orders  \d+ events_home  \dt  \dt+  \dv  \dv+  \dm  \di  \ds  \dE  \dn  \dn+
\df  \df+  \dT  \dT+  \dD  \dD+  \dF  \dF+  \du  \du+  \dp  \dp profiles  \ddp  \db  \db+  \dx  \dx+  \l  \l+
"""


@pytest.fixture(scope="module")
def executor(shop):
    executor = PGExecute("onefold", "engineer", "demo", "127.0.0.1", str(shop.port), None)
    yield executor
    executor.conn.close()


def test_completions_are_refreshed(executor):
    assert {"public", "sources", "segments", "cdp"} <= {name for (name,) in map(_row, executor.schemata())}
    assert ("sources", "shop_orders") in set(executor.tables())
    assert ("public", "events_home") in set(executor.views())
    columns = set(column[:4] for column in executor.table_columns())
    assert ("sources", "shop_orders", "amount", "numeric") in columns
    assert ("public", "events_home", "profile_id", "bigint") in set(column[:4] for column in executor.view_columns())
    assert list(executor.search_path()) == ["pg_catalog", "public", "analytics"] and list(executor.databases()) == ["onefold"]
    # There are none, and asking for them is no error.
    assert list(executor.foreignkeys()) == list(executor.datatypes()) == []
    list(executor.functions())
    list(executor.casing())


def _row(row):
    return row if isinstance(row, tuple) else (row,)


def test_a_view_is_shown(executor):
    assert "CREATE OR REPLACE VIEW" in executor.view_definition("public.events_home")


def test_backslash_commands_end_without_an_error(executor):
    special = PGSpecial()
    for command in DESCRIBE.split("  "):
        for part in filter(None, command.split("\n")):
            for _, rows, _, status, _, success, _ in executor.run(part, special):
                assert success, f"{part}: {status}"
                if rows is not None and not isinstance(rows, str):
                    list(rows)


def test_queries_run_without_a_terminal(shop, tmp_path):
    program = pathlib.Path(sys.executable).with_name("pgcli")
    settings = {"PGPASSWORD": "demo", "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "TERM": "dumb"}
    where = ["-h", "127.0.0.1", "-p", str(shop.port), "-U", "engineer", "-d", "onefold", "--less-chatty", "--tuples-only"]
    queries = ["-c", "SELECT count(*) FROM sources.shop_orders", "-c", "\\dt segments.*"]
    done = subprocess.run(
        [program, *where, *queries], env={**os.environ, **settings}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "25659" in done.stdout and "big_spenders" in done.stdout
