"""PostgreSQL 15 and onefold over relations of the same columns, which are those that `replay` describes."""

import contextlib
import pathlib
import tempfile

import psycopg
import replay
from conftest import served
from postgres15 import Postgres

PASSWORD = "replay"


@contextlib.contextmanager
def postgres():
    """A server with the relations in its database `cdp`; gives how to connect to it."""
    with Postgres(PASSWORD) as server:
        dsn = f"host=127.0.0.1 port={server.port} user=postgres password={PASSWORD}"
        with psycopg.connect(f"{dsn} dbname=postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE cdp")
        with psycopg.connect(f"{dsn} dbname=cdp", autocommit=True) as connection:
            connection.execute(replay.RELATIONS)
        yield f"{dsn} dbname=cdp"


@contextlib.contextmanager
def onefold():
    """A server over a lake that is made of the project."""
    with tempfile.TemporaryDirectory(prefix="onefold-replay-") as folder:
        replay.write_project(pathlib.Path(folder))
        with served(pathlib.Path(folder)) as server:
            with server.connect("engineer", autocommit=True) as connection:
                connection.execute(replay.ODD)
            yield server
