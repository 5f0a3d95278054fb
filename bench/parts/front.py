"""The front beside PostgreSQL: small queries one after the other, small queries while large ones run, a slow reader, and a
catalog of many tables."""

import random
import statistics
import struct
import threading
import time

import reflection
from measure import Line, seconds_text

COLUMNS = "profile_id, email, first_name, last_name, city, orders_count, total_spent"
POINTS = {
    "profile by id, prepared": (f"SELECT {COLUMNS} FROM profiles WHERE profile_id = %s", "profile_id", 1.0),
    "profile by e-mail, prepared": (f"SELECT {COLUMNS} FROM profiles WHERE email = %s", "email", 1.0),
}
LOOKUPS = 5_000
HEAVY = "SELECT event, count(*), count(DISTINCT profile_id), max(occurred_at) FROM events GROUP BY event"
HEAVY_CLIENTS = 4
CATALOG = "SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'profiles'::regclass AND attnum > 0 ORDER BY attnum"
PROBES = 200
SLOW_SQL = "SELECT profile_id, message_id, event, anonymous_id, occurred_at FROM events LIMIT 1000000"
SLOW_BYTES_MAX = 32 << 20
SLOW_WAIT_S = 5
SEED = 7


def measure(bench):
    if not bench.postgres:
        return
    servers = {"onefold": (bench.onefold, "engineer"), "PostgreSQL": (bench.postgres, "postgres")}
    with bench.postgres.connect() as connection:
        connection.execute("CREATE INDEX IF NOT EXISTS profiles_email ON profiles (email)")
        connection.execute("ANALYZE profiles")
    for what, (sql, column, aim) in POINTS.items():
        keys = _keys(bench, column)
        taken = {name: _lookups(server, role, sql, keys) for name, (server, role) in servers.items()}
        yield _line(what, taken, aim)
    yield _line("SELECT 1, prepared", {name: _lookups(server, role, "SELECT 1 WHERE %s::text IS NOT NULL", ["x"] * LOOKUPS) for name, (server, role) in servers.items()}, None)
    keys = _keys(bench, "profile_id")
    small = {"SELECT 1": "SELECT 1", "profile by id": f"SELECT {COLUMNS} FROM profiles WHERE profile_id = {keys[0]}", "a catalog query": CATALOG}
    beside = {name: _beside_heavy(server, role, small.values()) for name, (server, role) in servers.items()}
    for number, what in enumerate(small):
        taken = {name: each[number] for name, each in beside.items()}
        yield _line(f"{what} while {HEAVY_CLIENTS} heavy queries run", taken, 1.0, by_p99=True)
    held = {name: _slow_reader(server, role) for name, (server, role) in servers.items()}
    mib = lambda size: f"{size / 2**20:.1f} MiB"
    yield Line("front", "memory of one slow reader of a million rows", mib(held["onefold"]), f"PostgreSQL {mib(held['PostgreSQL'])}",
               None, SLOW_BYTES_MAX / 2**20, held["onefold"] <= SLOW_BYTES_MAX, None, 1)
    yield from reflection.measure(bench)


def _keys(bench, column):
    with bench.postgres.connect() as connection:
        rows = connection.execute(f"SELECT {column} FROM profiles WHERE {column} IS NOT NULL ORDER BY profile_id LIMIT 200000").fetchall()
    return [row[0] for row in random.Random(SEED).sample(rows, min(LOOKUPS, len(rows)))]


def _lookups(server, role, sql, keys):
    """Returns the seconds of each look-up, after some that are not counted."""
    taken = []
    with server.connect(role) as connection, connection.cursor(binary=True) as cursor:
        for number, key in enumerate(keys[:50] + keys):
            begun = time.perf_counter()
            rows = cursor.execute(sql, (key,), prepare=True).fetchall()
            seconds = time.perf_counter() - begun
            if not rows:
                raise RuntimeError(f"{sql} finds nothing for one key")
            if number >= 50:
                taken.append(seconds)
    return taken


def _beside_heavy(server, role, statements):
    """Returns the seconds of each of small statements while large ones keep every core busy."""
    stop = threading.Event()

    def work():
        with server.connect(role) as connection:
            while not stop.is_set():
                connection.execute(HEAVY).fetchall()

    threads = [threading.Thread(target=work) for _ in range(HEAVY_CLIENTS)]
    for thread in threads:
        thread.start()
    taken = [[] for _ in statements]
    try:
        time.sleep(1)
        with server.connect(role) as connection:
            for _ in range(PROBES):
                for sql, each in zip(statements, taken):
                    begun = time.perf_counter()
                    connection.execute(sql).fetchall()
                    each.append(time.perf_counter() - begun)
                    time.sleep(0.01)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return taken


def _slow_reader(server, role):
    """Returns by how much the server grows for a client that asks for a million rows and reads nothing."""
    before = server.private_bytes()
    sink = server.sink(role)
    body = SLOW_SQL.encode() + b"\0"
    sink.socket.sendall(b"Q" + struct.pack("!I", len(body) + 4) + body)
    grown = 0
    end = time.monotonic() + SLOW_WAIT_S
    while time.monotonic() < end:
        grown = max(grown, server.private_bytes() - before)
        time.sleep(0.1)
    sink.close()
    return grown


def _line(what, taken, aim, by_p99=False):
    p99 = lambda seconds: statistics.quantiles(seconds, n=100)[98]
    text = lambda seconds: f"{1 / statistics.fmean(seconds):.0f}/s, p99 {seconds_text(p99(seconds))}"
    of = p99 if by_p99 else statistics.median
    ratio = of(taken["onefold"]) / of(taken["PostgreSQL"])
    return Line("front", what, text(taken["onefold"]), f"PostgreSQL {text(taken['PostgreSQL'])}", ratio, aim, None if aim is None else ratio <= aim,
                None, len(taken["onefold"]))
