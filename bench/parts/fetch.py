"""A million rows fetched, as text and in binary, as rows and by COPY, into a client that drops them and into psql; and log-ins."""

import os
import shutil
import subprocess

from measure import Line, alternate, count_text, seconds_text
from servers import PASSWORD, STATEMENT_TIMEOUT_S

AIM = 0.25
ROWS = 1_000_000
SQL = f"SELECT profile_id, order_id, channel, ordered_at, amount, loyalty_id IS NOT NULL FROM sources.orders LIMIT {ROWS}"
FORMS = {
    "simple protocol, text": lambda sink: sink.fetch(SQL),
    "extended protocol, binary": lambda sink: sink.fetch_binary(SQL),
    "COPY to STDOUT": lambda sink: sink.fetch(f"COPY ({SQL}) TO STDOUT"),
    "COPY to STDOUT, binary": lambda sink: sink.fetch(f"COPY ({SQL}) TO STDOUT (FORMAT binary)"),
}
CONNECTS = 50
CONNECT_AIM = 0.2


def measure(bench):
    if not bench.postgres:
        return
    servers = {"onefold": (bench.onefold, "engineer", "onefold"), "PostgreSQL": (bench.postgres, "postgres", "postgres")}
    sinks = {name: server.sink(role) for name, (server, role, _) in servers.items()}
    for what, fetch in FORMS.items():
        received = {name: fetch(sink) for name, sink in sinks.items()}
        samples = alternate({name: (lambda sink=sink: fetch(sink)) for name, sink in sinks.items()}, bench.repeat)
        yield _line(f"{what}, rows dropped", samples, received["onefold"])
        if received["onefold"][0] != received["PostgreSQL"][0]:
            raise RuntimeError(f"fetch: onefold sends {received['onefold'][0]} rows, PostgreSQL {received['PostgreSQL'][0]}")
    received = {name: sink.fetch(SQL) for name, sink in sinks.items()}
    if shutil.which("psql"):
        run = lambda name: lambda: _psql(servers[name])
        yield _line("psql -At", alternate({name: run(name) for name in servers}, bench.repeat), received["onefold"])
    connects = alternate({name: (lambda server=server, role=role: server.sink(role).close()) for name, (server, role, _) in servers.items()}, CONNECTS)
    ours, theirs = connects["onefold"], connects["PostgreSQL"]
    ratio = ours.median / theirs.median
    yield Line("fetch", "connect, log in by SCRAM, close", seconds_text(ours.median), f"PostgreSQL {seconds_text(theirs.median)}",
               ratio, CONNECT_AIM, ratio <= CONNECT_AIM, ours.spread, ours.count)


def _line(what, samples, received):
    rows, size = received
    ours, theirs = samples["onefold"], samples["PostgreSQL"]
    rate = lambda sample: f"{count_text(rows / sample.median)} rows/s, {size / 1e6 / sample.median:.0f} MB/s"
    ratio = ours.median / theirs.median
    return Line("fetch", f"{count_text(rows)} rows, {what}", rate(ours), f"PostgreSQL {rate(theirs)}", ratio, AIM, ratio <= AIM, ours.spread, ours.count)


def _psql(server):
    server, role, database = server
    command = ["psql", "-X", "-At", "-h", "127.0.0.1", "-p", str(server.port), "-U", role, "-d", database, "-c", SQL]
    subprocess.run(command, check=True, timeout=STATEMENT_TIMEOUT_S, stdout=subprocess.DEVNULL, env={**os.environ, "PGPASSWORD": PASSWORD})
