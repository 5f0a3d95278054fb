"""The servers that are measured, each started for the benchmark and stopped after it, and clients for both.

`Sink` is a client that takes the bytes of an answer and looks at none of them but the last, so that what is measured is
the server; it speaks just enough of the protocol to log in by SCRAM-SHA-256.
"""

import base64
import functools
import hashlib
import hmac
import os
import pathlib
import re
import secrets
import socket
import struct
import subprocess
import threading

import postgres15
import psycopg

PASSWORD = "bench"
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60
STATEMENT_TIMEOUT_S = 600
RECEIVE_BYTES = 1 << 20


class Onefold:
    """The binary, serving a lake."""

    def __init__(self, binary, lake, log):
        self.log = open(log, "w", encoding="utf-8")
        command = [str(binary), "serve", "--dir", str(lake), "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        timer = threading.Timer(START_TIMEOUT_S, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        ready = re.search(r"postgres=127\.0\.0\.1:(\d+)", line)
        if not ready:
            self.close()
            raise RuntimeError(f"onefold did not start, see {log}")
        self.port = int(ready[1])

    def connect(self, role):
        return _connect(self.port, role, "onefold")

    def sink(self, role):
        return Sink(self.port, role, "onefold")

    def private_bytes(self):
        return _private_bytes(self.process.pid)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Postgres(postgres15.Postgres):
    """PostgreSQL 15, set up as for analysis on this machine."""

    SETTINGS = {
        "shared_buffers": "2GB", "work_mem": "256MB", "maintenance_work_mem": "512MB", "effective_cache_size": "8GB",
        "max_wal_size": "8GB", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off", "jit": "on",
        "random_page_cost": "1.1", "max_parallel_workers_per_gather": str(os.cpu_count() or 2),
    }

    def __init__(self, folder=None):
        super().__init__(PASSWORD, self.SETTINGS, folder)

    def connect(self, role="postgres"):
        return _connect(self.port, role, "postgres")

    def sink(self, role="postgres"):
        return Sink(self.port, role, "postgres")

    def private_bytes(self):
        """Returns the memory of all its processes that they do not share."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = pathlib.Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return sum(_private_bytes(pid) for pid in [first, *children])


def _private_bytes(pid):
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except FileNotFoundError:  # A process that has just ended.
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def _connect(port, role, database):
    connection = psycopg.connect(
        host="127.0.0.1", port=port, user=role, password=PASSWORD, dbname=database, sslmode="disable", autocommit=True,
        connect_timeout=START_TIMEOUT_S)
    connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_S * 1000}")
    return connection


@functools.cache
def _salted_password(salt, iterations):
    """What takes a client long, and the server no time: it is kept, as RFC 5802 lets a client do, so that what is measured
    of a log-in is the server."""
    return hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt, iterations)


class Sink:
    """A client that drops what it receives."""

    READY = b"Z\x00\x00\x00\x05I"

    def __init__(self, port, user, database):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=STATEMENT_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(RECEIVE_BYTES)
        options = b"".join(part.encode() + b"\0" for part in ("user", user, "database", database))
        body = struct.pack("!I", 196_608) + options + b"\0"
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        self._log_in()

    def _log_in(self):
        while True:
            kind, body = self._message()
            if kind == b"E":
                raise RuntimeError(f"log-in refused: {body!r}")
            if kind == b"Z":
                return
            if kind != b"R":
                continue
            step = struct.unpack("!I", body[:4])[0]
            if step == 10:
                self.nonce = base64.b64encode(secrets.token_bytes(18)).decode()
                first = f"n,,n=,r={self.nonce}".encode()
                self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first)
            elif step == 11:
                self._send(b"p", self._proof(body[4:].decode()))
            elif step not in (0, 12):
                raise RuntimeError(f"the server asks for authentication {step}")

    def _proof(self, challenge):
        fields = dict(part.split("=", 1) for part in challenge.split(","))
        if not fields["r"].startswith(self.nonce):
            raise RuntimeError("the server answers another client")
        key = lambda secret, text: hmac.digest(secret, text, "sha256")
        salted = _salted_password(base64.b64decode(fields["s"]), int(fields["i"]))
        client = key(salted, b"Client Key")
        final = f"c=biws,r={fields['r']}"
        message = f"n=,r={self.nonce},{challenge},{final}".encode()
        signature = key(hashlib.sha256(client).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client, signature))
        return f"{final},p={base64.b64encode(proof).decode()}".encode()

    def _send(self, kind, body):
        self.socket.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def _message(self):
        head = self._exactly(5)
        return head[:1], self._exactly(struct.unpack("!I", head[1:])[0] - 4)

    def _exactly(self, count):
        parts = b""
        while len(parts) < count:
            part = self.socket.recv(count - len(parts))
            if not part:
                raise RuntimeError("the server closed the connection")
            parts += part
        return parts

    def fetch(self, sql):
        """Runs a statement by the simple protocol, and returns how many rows its command tag says and how many bytes came."""
        self._send(b"Q", sql.encode() + b"\0")
        return self._drop(sql)

    def fetch_binary(self, sql):
        """The same by the extended protocol, with every column in binary."""
        text = sql.encode()
        self._send(b"P", b"\0" + text + b"\0" + struct.pack("!H", 0))
        self._send(b"B", b"\0\0" + struct.pack("!HHHH", 0, 0, 1, 1))
        self._send(b"D", b"P\0")
        self._send(b"E", b"\0" + struct.pack("!I", 0))
        self._send(b"S", b"")
        return self._drop(sql)

    def _drop(self, sql):
        total, tail = 0, b""
        while not tail.endswith(self.READY):
            count = self.socket.recv_into(self.buffer)
            if count == 0:
                raise RuntimeError("the server closed the connection")
            total += count
            tail = (tail + self.buffer[max(0, count - 64):count])[-64:]
        tag = re.search(rb"(?:SELECT|COPY) (\d+)\0Z", tail)
        if not tag:
            raise RuntimeError(f"{sql}: {bytes(tail)!r}")
        return int(tag[1]), total

    def close(self):
        self.socket.close()
