"""DuckDB and PostgreSQL over the rows of the lake."""

import os

import duckdb

import lake as lake_files

TABLES = {"profiles": "profiles/profiles", "events": "sources/web_events", "orders": "sources/orders"}
"""The relations of the queries, and where they lie in the lake."""


def duckdb_connection():
    connection = duckdb.connect()
    connection.sql(f"SET threads = {os.cpu_count() or 2}")
    connection.sql("SET TimeZone = 'UTC'")
    return connection


def duckdb_over_lake(lake):
    """DuckDB on the lake's own files. Rows hold the subject and not the profile, so the map between them is loaded into
    memory first, where onefold has it, too."""
    connection = duckdb_connection()
    paths = {name: lake_files.files(lake, table) for name, table in TABLES.items()}
    people = lake_files.files(lake, "identity/people")
    connection.execute(f"CREATE TABLE people AS SELECT _subject AS subject, profile_id FROM read_parquet({people!r})")
    connection.execute("CREATE SCHEMA sources")
    connection.execute(f"CREATE VIEW profiles AS SELECT * FROM read_parquet({paths['profiles']!r})")
    for name, view in (("events", "events"), ("orders", "sources.orders")):
        connection.execute(
            f"CREATE VIEW {view} AS SELECT people.profile_id, rows.* FROM read_parquet({paths[name]!r}) AS rows "
            "LEFT JOIN people ON people.subject = rows._subject")
    return connection


def duckdb_over_copies(over_lake, folder):
    """DuckDB on Parquet files of its own, in which the profile stands beside each row: the best that it could have."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb_connection()
    connection.execute("CREATE SCHEMA sources")
    for view in ("profiles", "events", "sources.orders"):
        file = folder / f"{view.rsplit('.')[-1]}.parquet"
        over_lake.execute(f"COPY (SELECT * FROM {view}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")
        connection.execute(f"CREATE VIEW {view} AS SELECT * FROM '{file}'")
    return connection


POSTGRES_TABLES = """
CREATE SCHEMA sources;
CREATE UNLOGGED TABLE profiles (
  profile_id bigint PRIMARY KEY, city text, country text, email text, first_name text, last_name text, loyalty_id text,
  phone text, orders_count bigint, total_spent numeric, last_order_at timestamptz, web_events_count bigint,
  carts_count bigint, last_seen_at timestamptz);
CREATE UNLOGGED TABLE events (
  profile_id bigint, message_id text, type text, event text, anonymous_id text, user_id text, properties jsonb,
  occurred_at timestamptz);
CREATE UNLOGGED TABLE sources.orders (
  profile_id bigint, order_id text, loyalty_id text, email text, ordered_at timestamptz, items integer,
  amount numeric(12, 2), currency text, channel text);
"""
POSTGRES_AFTER = """
CREATE INDEX ON events (profile_id);
CREATE INDEX ON sources.orders (profile_id);
"""


def load_postgres(postgres, over_lake, folder):
    """Fills PostgreSQL with the same rows."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o755)
    with postgres.connect() as connection:
        connection.execute(POSTGRES_TABLES)
        for view in ("profiles", "events", "sources.orders"):
            schema, name = ("sources", "orders") if "." in view else ("public", view)
            columns = connection.execute(
                "SELECT string_agg(column_name, ', ' ORDER BY ordinal_position) FROM information_schema.columns "
                "WHERE table_schema = %s AND table_name = %s", (schema, name)).fetchone()[0]
            file = folder / f"{name}.csv"
            over_lake.execute(f"COPY (SELECT {columns} FROM {view}) TO '{file}' (FORMAT csv, HEADER false)")
            with open(file, "rb") as source, connection.cursor().copy(f"COPY {view} FROM STDIN (FORMAT csv)") as copy:
                while block := source.read(1 << 20):
                    copy.write(block)
            file.unlink()
        connection.execute(POSTGRES_AFTER)
        connection.execute("VACUUM (ANALYZE)")
