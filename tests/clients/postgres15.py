"""PostgreSQL 15 in a temporary folder: what onefold is held against."""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

PROGRAMS = pathlib.Path("/usr/lib/postgresql/15/bin")
START_TIMEOUT_S = 120


class Postgres:
    """A server with one superuser, `postgres`, stopped and removed when its block ends."""

    def __init__(self, password, settings=None, folder=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="onefold-pg-", dir=folder))
        os.chmod(self.folder, 0o755)
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        data, secret = self.folder / "data", self.folder / "password"
        secret.write_text(password)
        self._run("initdb", "--pgdata", data, "--username", "postgres", "--auth", "scram-sha-256", "--pwfile", secret,
                  "--encoding", "UTF8", "--locale", "C")
        self.port = _free_port()
        settings = {"timezone": "UTC", "listen_addresses": "127.0.0.1", "fsync": "off", **(settings or {}),
                    "port": str(self.port), "unix_socket_directories": str(self.folder)}
        with open(data / "postgresql.auto.conf", "a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self._run("pg_ctl", "--pgdata", data, "--log", self.folder / "log", "--wait", "--timeout", START_TIMEOUT_S, "start")

    @staticmethod
    def available():
        return (PROGRAMS / "initdb").is_file()

    def _run(self, program, *arguments):
        command = [str(PROGRAMS / program), *map(str, arguments)]
        if self.user:
            command = ["setpriv", "--reuid", self.user, "--regid", self.user, "--init-groups", "--", *command]
        subprocess.run(command, check=True, timeout=START_TIMEOUT_S, cwd="/", stdout=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._run("pg_ctl", "--pgdata", self.folder / "data", "--mode", "immediate", "--wait", "stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
