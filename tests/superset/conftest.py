"""Apache Superset as a team runs it: its own web server and metadata database, spoken to by the API that its pages use,
over a server of the example shop. Everything is started here, on ports that the system picks, and gone in the end.
"""

import contextlib
import os
import pathlib
import secrets
import socket
import subprocess
import sys

import pytest
import requests

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from clients.conftest import shop  # noqa: E402, F401

BIN = pathlib.Path(sys.executable).parent
SECONDS = 300

CONFIG = """
SECRET_KEY = "{secret}"
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/superset.db?check_same_thread=false"
# Its pages are not looked at, and it is spoken to without TLS.
TALISMAN_ENABLED = False
AUTH_RATE_LIMITED = False
"""


class Superset:
    """A running Superset, and a session of its administrator."""

    def __init__(self, address: str, password: str):
        self.address = address
        self.http = requests.Session()
        self.http.headers["Referer"] = address
        token = self.post("security/login", username="admin", password=password, provider="db")["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"
        self.http.headers["X-CSRFToken"] = self.get("security/csrf_token/")["result"]

    def call(self, method: str, path: str, expected: int, **options):
        answer = self.http.request(method, f"{self.address}/api/v1/{path}", timeout=SECONDS, **options)
        assert answer.status_code == expected, f"{method} {path}: {answer.status_code}\n{answer.text[:4000]}"
        return answer.json()

    def get(self, path: str):
        return self.call("GET", path, 200)

    def post(self, path: str, expected: int = 200, **body):
        return self.call("POST", path, expected, json=body)


class Database:
    """A database of Superset: onefold, as one role."""

    def __init__(self, superset: Superset, server, role: str):
        self.superset, self.server, self.role = superset, server, role
        address = f"postgresql+psycopg2://{role}:demo@127.0.0.1:{server.port}/onefold"
        self.description = {"database_name": f"onefold as {role}", "sqlalchemy_uri": address}
        superset.post("database/test_connection/", **self.description)
        self.id = superset.post("database/", 201, expose_in_sqllab=True, **self.description)["id"]
        self.datasets: dict[tuple[str, str], int] = {}

    def dataset(self, schema: str, name: str) -> int:
        """The dataset of a relation, which is made with its columns when it is asked for first."""
        if (schema, name) not in self.datasets:
            asked = {"database": self.id, "schema": schema, "table_name": name}
            # With SQLite as its own database Superset has one dataset of a name. Those of other roles are queries.
            if self.role != "analyst":
                asked |= {"table_name": f"{name} as {self.role}", "sql": f"SELECT * FROM {schema}.{name}"}
            self.datasets[schema, name] = self.superset.post("dataset/", 201, **asked)["id"]
        return self.datasets[schema, name]

    def columns(self, schema: str, name: str) -> dict[str, dict]:
        described = self.superset.get(f"dataset/{self.dataset(schema, name)}")["result"]
        return {column["column_name"]: column for column in described["columns"]}

    def chart(self, schema: str, name: str, **query) -> list[dict]:
        """The rows that a chart over a relation shows."""
        source = {"id": self.dataset(schema, name), "type": "table"}
        query = {"row_limit": 10000, "filters": [], "orderby": [], **query}
        asked = {"datasource": source, "force": True, "queries": [query], "result_format": "json", "result_type": "full"}
        result = self.superset.post("chart/data", **asked)["result"][0]
        assert result["status"] == "success" and result["error"] is None, result
        return result["data"]

    def lab(self, sql: str, expected: int = 200, schema: str | None = None):
        """What SQL Lab answers."""
        asked = {"database_id": self.id, "sql": sql, "queryLimit": 1000, "client_id": secrets.token_hex(5)}
        return self.superset.post("sqllab/execute/", expected, schema=schema, runAsync=False, **asked)

    def psql(self, sql: str) -> list[list[str]]:
        """What psql answers to the same role."""
        address = f"postgresql://{self.role}:demo@127.0.0.1:{self.server.port}/onefold"
        command = ["psql", "--no-psqlrc", "-At", "-F", "\t", "-v", "ON_ERROR_STOP=1", address, "-c", sql]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, f"{sql}\n{done.stderr}"
        return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def superset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("superset")
    (folder / "superset_config.py").write_text(CONFIG.format(secret=secrets.token_hex(32), folder=folder))
    own = {"SUPERSET_CONFIG_PATH": str(folder / "superset_config.py"), "SUPERSET_HOME": str(folder)}
    environment = {**os.environ, **own, "FLASK_APP": "superset.app:create_app()", "PYTHONWARNINGS": "ignore"}
    password = secrets.token_hex(16)
    admin = ["--username", "admin", "--firstname", "A", "--lastname", "B", "--email", "a@b.example", "--password", password]
    with open(folder / "log", "w") as log:
        for command in [["db", "upgrade"], ["fab", "create-admin", *admin], ["init"]]:
            run = [BIN / "superset", *command]
            done = subprocess.run(run, env=environment, cwd=folder, stdout=log, stderr=log, timeout=2 * SECONDS)
            assert done.returncode == 0, f"superset {command[0]}\n{(folder / 'log').read_text()[-4000:]}"
        # A connection waits in the socket until the server takes it, so nobody has to ask whether it is up.
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
            port, number = listener.getsockname()[1], listener.fileno()
            options = ["--bind", f"fd://{number}", "--workers", "1", "--threads", "4", "--timeout", str(SECONDS)]
            command = [BIN / "gunicorn", *options, "superset.app:create_app()"]
            server = subprocess.Popen(
                command, env=environment, cwd=folder, stdout=log, stderr=log, pass_fds=[number]
            )
        try:
            yield Superset(f"http://127.0.0.1:{port}", password)
        except requests.RequestException as error:
            raise AssertionError(f"{error}\n{(folder / 'log').read_text()[-4000:]}") from error
        finally:
            server.terminate()
            server.wait(timeout=SECONDS)


@pytest.fixture(scope="session")
def analyst(superset, shop):  # noqa: F811
    return Database(superset, shop, "analyst")


@pytest.fixture(scope="session")
def marketer(superset, shop):  # noqa: F811
    return Database(superset, shop, "marketer")


@pytest.fixture(scope="session")
def engineer(superset, shop):  # noqa: F811
    return Database(superset, shop, "engineer")
