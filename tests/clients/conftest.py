"""Servers over lakes that are made of a project, the shop's started once for all client tests; and what it takes to talk
to them."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

import psycopg
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary() -> str:
    path = pathlib.Path(os.environ.get("ONEFOLD_BINARY", ROOT / "target/debug/onefold"))
    assert path.is_file(), f"{path} is not there: run `make test`, which builds it"
    return str(path)


@dataclass
class Server:
    """A running server and its lake."""

    port: int
    lake: pathlib.Path
    pid: int

    def dsn(self, role: str) -> str:
        return f"host=127.0.0.1 port={self.port} user={role} password=demo dbname=onefold"

    def connect(self, role: str = "engineer", **options) -> psycopg.Connection:
        return psycopg.connect(self.dsn(role), **options)

    def value(self, statement: str, role: str = "engineer"):
        with self.connect(role, autocommit=True) as connection:
            return connection.execute(statement).fetchone()[0]


def run(arguments: list[str], project: pathlib.Path) -> None:
    done = subprocess.run([binary(), *arguments], cwd=project, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"


@contextlib.contextmanager
def served(project: pathlib.Path):
    """Makes a lake of a project in a folder of its own, serves it, and removes it in the end."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="onefold-clients-"))
    lake = folder / "lake"
    server = None
    try:
        run(["apply", ".", "--dir", str(lake)], project)
        run(["refresh", "--dir", str(lake)], project)
        with open(folder / "log", "w") as log:
            command = [binary(), "serve", "--dir", str(lake), "--listen", "127.0.0.1:0"]
            server = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=log, text=True)
        line = server.stdout.readline()
        assert line.startswith("ready postgres=127.0.0.1:"), f"{line!r}\n{(folder / 'log').read_text()}"
        yield Server(port=int(line.split()[1].rsplit(":", 1)[1]), lake=lake, pid=server.pid)
        server.terminate()
        assert server.wait(timeout=60) == 0, (folder / "log").read_text()
        server = None
    finally:
        if server is not None:
            server.kill()
            server.wait()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def shop():
    with served(ROOT / "examples/shop") as server:
        yield server
