"""pg_dump and pgbench: what PostgreSQL's own programs do with a server is done with onefold."""

import os
import shutil
import subprocess

import psycopg
import pytest
from postgres15 import PROGRAMS, Postgres

PASSWORD = "programs"
MADE = """
CREATE SCHEMA dumped;
CREATE TABLE dumped.goods (
  id bigint PRIMARY KEY, name text NOT NULL DEFAULT 'x', price numeric(10,2) DEFAULT 0, code varchar(8) UNIQUE, tags text[], doc jsonb,
  made_at timestamptz, CONSTRAINT not_free CHECK (price >= 0));
CREATE TABLE dumped.visits (id serial PRIMARY KEY, good bigint);
CREATE TABLE dumped.buys (good bigint REFERENCES dumped.goods, count int, twice int GENERATED ALWAYS AS (count * 2) STORED);
CREATE VIEW dumped.dear AS SELECT id, name FROM dumped.goods WHERE price > 5;
CREATE VIEW dumped.cheapest AS SELECT min(id) AS id FROM dumped.dear;
CREATE MATERIALIZED VIEW dumped.best AS SELECT id FROM dumped.cheapest;
COMMENT ON TABLE dumped.goods IS 'it''s what is sold';
COMMENT ON COLUMN dumped.goods.name IS 'as it is shown';
INSERT INTO dumped.goods (id, name, price, code, tags, doc, made_at) VALUES
  (1, E'tab\\tand \\\\', 1.5, 'a', ARRAY['p', 'q r'], '{"a": [1, null]}', '2026-01-02 03:04:05.678+00'), (2, 'é', 10, 'b', '{}', NULL, NULL);
INSERT INTO dumped.goods (id) VALUES (3);
INSERT INTO dumped.visits (good) VALUES (1), (2);
INSERT INTO dumped.buys VALUES (1, 5), (NULL, 6);
REFRESH MATERIALIZED VIEW dumped.best;
"""
COLUMNS = (
    "SELECT column_name::text, data_type::text, is_nullable::text, column_default::text FROM information_schema.columns"
    " WHERE table_schema = 'dumped' AND table_name IN ('buys', 'goods', 'visits') ORDER BY table_name, ordinal_position"
)


def program(name, arguments, environment, text=None):
    path = PROGRAMS / name
    command = str(path) if path.is_file() else shutil.which(name)
    if command is None:
        pytest.skip(f"{name} is not installed")
    environment = {**os.environ, **environment}
    done = subprocess.run([command, *arguments], env=environment, input=text, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def of_shop(shop):
    return {"PGHOST": "127.0.0.1", "PGPORT": str(shop.port), "PGUSER": "engineer", "PGPASSWORD": "demo", "PGDATABASE": "onefold"}


@pytest.fixture
def dumped(shop):
    with shop.connect("engineer", autocommit=True) as connection:
        connection.execute(MADE)
        yield connection
        connection.execute("DROP SCHEMA dumped CASCADE")


@pytest.mark.parametrize("rows", [[], ["--inserts"], ["--column-inserts"]], ids=["copy", "inserts", "columns"])
def test_a_dump_is_restored_by_postgresql(shop, dumped, rows):
    if not Postgres.available():
        pytest.skip("PostgreSQL 15 is not installed")
    dump = program("pg_dump", ["--no-owner", "--no-privileges", "-n", "dumped", *rows], of_shop(shop)).stdout
    # Each behind what it reads, whatever its name.
    made = [f"CREATE {made}" for made in ["TABLE dumped.goods", "VIEW dumped.dear", "VIEW dumped.cheapest", "MATERIALIZED VIEW dumped.best"]]
    assert [dump.count(one) for one in made] == [1, 1, 1, 1]
    assert sorted(made, key=dump.index) == made
    with Postgres(PASSWORD) as server:
        theirs = {**of_shop(shop), "PGPORT": str(server.port), "PGUSER": "postgres", "PGPASSWORD": PASSWORD, "PGDATABASE": "postgres"}
        program("psql", ["-q", "-v", "ON_ERROR_STOP=1"], theirs, dump)
        dsn = f"host=127.0.0.1 port={server.port} user=postgres password={PASSWORD} dbname=postgres"
        with psycopg.connect(dsn, autocommit=True) as restored:
            tables = [f"SELECT * FROM dumped.{name} ORDER BY 1" for name in ["goods", "visits", "buys", "dear", "cheapest", "best"]]
            for query in [*tables, COLUMNS]:
                assert restored.execute(query).fetchall() == dumped.execute(query).fetchall(), query
            assert restored.execute("INSERT INTO dumped.visits (good) VALUES (3) RETURNING id").fetchone() == (3,)
            for refused in ["INSERT INTO dumped.goods VALUES (1)", "INSERT INTO dumped.goods (id, price) VALUES (4, -1)", "INSERT INTO dumped.buys VALUES (9)"]:
                with pytest.raises(psycopg.errors.IntegrityError):
                    restored.execute(refused)


def test_a_table_is_dumped_by_its_name(shop, dumped):
    rows = program("pg_dump", ["-t", "dumped.goods", "--data-only"], of_shop(shop)).stdout
    assert "COPY dumped.goods (id, name, price, code, tags, doc, made_at) FROM stdin;\n1\ttab\\tand \\\\\t1.50\ta\t{p,\"q r\"}\t" in rows
    assert "visits" not in rows
    schema = program("pg_dump", ["-t", "dumped.v*", "--schema-only"], of_shop(shop)).stdout
    assert "CREATE TABLE dumped.visits (\n    id integer NOT NULL,\n    good bigint\n);" in schema and "goods" not in schema


def test_pgbench_makes_its_tables_and_runs_in_every_protocol(shop):
    environment = {**of_shop(shop), "PGOPTIONS": "-c search_path=analytics"}
    program("pgbench", ["-i", "-I", "dtp", "-q"], environment)
    with shop.connect("engineer", autocommit=True) as connection:
        connection.execute("INSERT INTO analytics.pgbench_branches VALUES (1, 0)")
        connection.execute("INSERT INTO analytics.pgbench_tellers SELECT g, 1, 0 FROM generate_series(1, 10) g")
        # As pgbench fills the table of accounts.
        with connection.transaction():
            connection.execute("TRUNCATE analytics.pgbench_accounts")
            with connection.cursor().copy("COPY analytics.pgbench_accounts FROM STDIN WITH (FREEZE ON)") as copy:
                copy.write("".join(f"{number}\t1\t0\t\n" for number in range(1, 1001)))
        for protocol in ["simple", "extended", "prepared"]:
            for script in [[], ["-S"], ["-N"]]:
                done = program("pgbench", ["-n", "-t", "3", "-M", protocol, *script], environment)
                assert "number of transactions actually processed: 3/3" in done.stdout, done.stdout
        assert connection.execute("SELECT count(*) FROM analytics.pgbench_history").fetchone() == (18,)
    program("pgbench", ["-i", "-I", "d"], environment)
