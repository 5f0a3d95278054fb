"""What a client pays to learn a catalog of a thousand tables, beside PostgreSQL: each table is made by a statement of its own, then
SQLAlchemy reads all of them, and statements of drivers and BI tools are timed alone. The lake has nothing else, so that others stay
as they are."""

import pathlib
import shutil
import statistics
import time

import servers
import sqlalchemy
from measure import Line, Sample, alternate, run, seconds_of, seconds_text

PROJECT = pathlib.Path(__file__).resolve().parent / "catalog"
TIMEOUT_S = 600
TABLES = 1_000
COLUMNS = (
    "id serial PRIMARY KEY, name text NOT NULL, email varchar(100), active boolean, amount numeric(18,2), score double precision, "
    "items integer, total bigint, born date, created_at timestamptz")
COLUMN_COUNT = 10
SCHEMA = "analytics"
FIRST = 100
"""How many tables are the first and the last ones, whose times tell whether one more costs more the more there are."""
REFLECT_AIM = 1.0

STATEMENTS = {
    "names and comments of all tables": f"""
SELECT n.nspname, c.relname, c.relkind, d.description FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
WHERE n.nspname = '{SCHEMA}' AND c.relkind IN ('r', 'v', 'm', 'p', 'f') ORDER BY 1, 2""",
    "columns of all tables, of pg_attribute": f"""
SELECT c.relname, a.attname, a.attnum, a.attnotnull, format_type(a.atttypid, a.atttypmod), pg_get_expr(def.adbin, def.adrelid) IS NULL, d.description
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attrdef def ON def.adrelid = a.attrelid AND def.adnum = a.attnum
LEFT JOIN pg_catalog.pg_description d ON d.objoid = a.attrelid AND d.objsubid = a.attnum AND d.classoid = 'pg_class'::regclass
WHERE a.attnum > 0 AND NOT a.attisdropped AND n.nspname = '{SCHEMA}' AND c.relkind IN ('r', 'v', 'm', 'p', 'f') ORDER BY 1, 3""",
    "columns of all tables, of information_schema": f"""
SELECT table_name, column_name, ordinal_position, is_nullable, data_type FROM information_schema.columns
WHERE table_schema = '{SCHEMA}' ORDER BY table_schema, table_name, ordinal_position""",
}


def measure(bench):
    lake = bench.work / "catalog-lake"
    shutil.rmtree(lake, ignore_errors=True)
    run([bench.binary, "apply", PROJECT, "--dir", lake], TIMEOUT_S)
    with servers.Onefold(bench.binary, lake, bench.work / "catalog.log") as onefold:
        with bench.postgres.connect() as connection:
            connection.execute(f"CREATE SCHEMA {SCHEMA}")
        sides = {"onefold": (onefold, "engineer", "onefold"), "PostgreSQL": (bench.postgres, "postgres", "postgres")}
        yield _made({name: _make_tables(server, role) for name, (server, role, _) in sides.items()})
        engines = {name: _engine(*side) for name, side in sides.items()}
        first = {name: seconds_of(lambda engine=engine: _reflect(engine)) for name, engine in engines.items()}
        yield _line("SQLAlchemy reflects them, the first time", {name: Sample([seconds]) for name, seconds in first.items()}, None)
        again = alternate({name: lambda engine=engine: _reflect(engine) for name, engine in engines.items()}, bench.repeat, warm=False)
        yield _line("SQLAlchemy reflects them again", again, REFLECT_AIM)
        connections = {name: server.connect(role) for name, (server, role, _) in sides.items()}
        for what, sql in STATEMENTS.items():
            counts = {name: len(connection.execute(sql).fetchall()) for name, connection in connections.items()}
            if len(set(counts.values())) > 1:
                raise RuntimeError(f"{what}: {counts}")
            works = {name: lambda connection=connection: connection.execute(sql).fetchall() for name, connection in connections.items()}
            yield _line(f"{counts['onefold']:,} {what}", alternate(works, bench.repeat), None)
        for connection in connections.values():
            connection.close()
        for engine in engines.values():
            engine.dispose()
        with bench.postgres.connect() as connection:
            connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    shutil.rmtree(lake)


def _make_tables(server, role):
    """Returns the seconds of each."""
    taken = []
    with server.connect(role) as connection:
        for number in range(TABLES):
            begun = time.perf_counter()
            connection.execute(f"CREATE TABLE {SCHEMA}.t{number:04} ({COLUMNS})")
            taken.append(time.perf_counter() - begun)
    return taken


def _made(taken):
    rate = lambda seconds: (
        f"{seconds_text(sum(seconds))}: {seconds_text(statistics.median(seconds[:FIRST]))} to {seconds_text(statistics.median(seconds[-FIRST:]))} each")
    ours, theirs = taken["onefold"], taken["PostgreSQL"]
    return Line("front", f"{TABLES:,} tables made, a statement each", rate(ours), f"PostgreSQL without fsync {rate(theirs)}",
                sum(ours) / sum(theirs), count=TABLES)


def _engine(server, role, database):
    url = sqlalchemy.URL.create("postgresql+psycopg", role, servers.PASSWORD, "127.0.0.1", server.port, database, {"sslmode": "disable"})
    return sqlalchemy.create_engine(url, pool_size=1)


def _reflect(engine):
    metadata = sqlalchemy.MetaData()
    metadata.reflect(engine, schema=SCHEMA)
    found = len(metadata.tables), sum(len(table.columns) for table in metadata.tables.values())
    if found != (TABLES, TABLES * COLUMN_COUNT):
        raise RuntimeError(f"SQLAlchemy finds {found} tables and columns")
    if any(len(table.primary_key.columns) != 1 for table in metadata.tables.values()):
        raise RuntimeError("SQLAlchemy misses primary keys")


def _line(what, samples, aim):
    ours, theirs = samples["onefold"], samples["PostgreSQL"]
    ratio = ours.median / theirs.median
    return Line("front", what, seconds_text(ours.median), f"PostgreSQL {seconds_text(theirs.median)}", ratio, aim,
                None if aim is None else ratio <= aim, ours.spread if ours.count > 1 else None, ours.count)
