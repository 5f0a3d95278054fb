"""Statements that write rows, as tools send them, are answered as by PostgreSQL 15: tags, columns, rows, SQLSTATEs."""

import psycopg
import pytest
from postgres15 import Postgres

PASSWORD = "writes"


@pytest.fixture(scope="module")
def sides(shop):
    if not Postgres.available():
        pytest.skip("PostgreSQL 15 is not installed")
    with Postgres(PASSWORD) as server:
        dsn = f"host=127.0.0.1 port={server.port} user=postgres password={PASSWORD} dbname=postgres"
        with psycopg.connect(dsn, autocommit=True) as theirs, shop.connect("engineer", autocommit=True) as ours:
            yield theirs, ours


def answer(connection, statement, parameters):
    try:
        cursor = connection.execute(statement, parameters)
    except psycopg.Error as error:
        return error.sqlstate
    if cursor.description is None:
        return cursor.statusmessage
    columns = [(column.name, column.type_code) for column in cursor.description]
    return cursor.statusmessage, columns, cursor.fetchall()


def hold(sides, *statements):
    """Fails unless both sides answer each statement alike; what is behind a statement are its parameters."""
    for statement in statements:
        text, parameters = statement if isinstance(statement, tuple) else (statement, None)
        theirs, ours = (answer(side, text, parameters) for side in sides)
        assert ours == theirs, text


def test_a_with_query_stands_before_every_statement(sides):
    hold(
        sides,
        "CREATE TABLE w_stock (id int PRIMARY KEY, name text, price numeric(8,2), seen date)",
        "WITH a (id, name) AS (VALUES (1, 'pen'), (2, 'ink')) INSERT INTO w_stock (id, name) SELECT id, name FROM a",
        (
            "WITH a AS (SELECT %s::int AS id) UPDATE w_stock SET name = %s, price = %s, seen = %s FROM a"
            " WHERE w_stock.id = a.id",
            (1, "quill", 1.5, "2026-01-02"),
        ),
        ("WITH a AS (SELECT id FROM w_stock WHERE name = %s) DELETE FROM w_stock WHERE id IN (SELECT id FROM a)", ("ink",)),
        "UPDATE w_stock SET (name, price) = ('nib', 2) WHERE id = 1",
        "UPDATE w_stock SET seen = 'no date'",
        "SELECT * FROM w_stock",
        "DROP TABLE w_stock",
    )


def test_rows_that_meet_a_key(sides):
    upsert = "INSERT INTO w_keys AS k (id, n, note) VALUES (%s, %s, %s) ON CONFLICT (id) DO UPDATE SET n = k.n + EXCLUDED.n"
    hold(
        sides,
        "CREATE TABLE w_keys (id text PRIMARY KEY, n int NOT NULL, note text)",
        "INSERT INTO w_keys VALUES ('a', 1, 'x'), ('b', 2, 'y') ON CONFLICT (id) DO NOTHING",
        "INSERT INTO w_keys VALUES ('a', 9, 'x'), ('c', 3, NULL), ('c', 4, NULL) ON CONFLICT DO NOTHING RETURNING *",
        (upsert + " RETURNING id, n", ("a", 5, None)),
        (upsert + " WHERE k.note IS NULL RETURNING id, n", ("a", 5, None)),
        (upsert + " WHERE k.note IS NULL RETURNING id, n", ("d", 5, None)),
        "INSERT INTO w_keys SELECT id, n * 10, 'all' FROM w_keys WHERE n > 2 ON CONFLICT ON CONSTRAINT w_keys_pkey"
        " DO UPDATE SET note = EXCLUDED.note, n = DEFAULT WHERE false",
        "INSERT INTO w_keys VALUES ('e', 1), ('e', 2) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n",
        "INSERT INTO w_keys VALUES ('a', 1), ('a', 2) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n",
        "INSERT INTO w_keys VALUES ('a', 1) ON CONFLICT (note) DO NOTHING",
        "INSERT INTO w_keys VALUES ('a', 1) ON CONFLICT (colour) DO NOTHING",
        "INSERT INTO w_keys VALUES ('a', 1) ON CONFLICT ON CONSTRAINT nothing DO NOTHING",
        "INSERT INTO w_keys VALUES ('a', 1) ON CONFLICT DO UPDATE SET n = 1",
        "INSERT INTO w_keys VALUES ('a', 1) ON CONFLICT (id) DO UPDATE SET n = n + 1",
        "INSERT INTO w_keys VALUES ('a', 1) ON CONFLICT (id) DO UPDATE SET colour = 1",
        "INSERT INTO w_keys VALUES ('a', 1) ON CONFLICT (id) DO UPDATE SET n = NULL",
        "INSERT INTO w_keys (id) VALUES ('a') ON CONFLICT (id) DO UPDATE SET n = 1",
        "INSERT INTO w_keys VALUES ('a', 1)",
        "SELECT * FROM w_keys ORDER BY id",
        "DROP TABLE w_keys",
        "CREATE TABLE w_pairs (a int, b date, n int, PRIMARY KEY (a, b))",
        "INSERT INTO w_pairs VALUES (1, '2026-01-01', 1), (1, '2026-01-02', 2)",
        "INSERT INTO w_pairs VALUES (1, '2026-01-02', 3), (2, '2026-01-02', 4) ON CONFLICT (b, a)"
        " DO UPDATE SET n = w_pairs.n * EXCLUDED.n RETURNING *",
        "INSERT INTO w_pairs VALUES (1, '2026-01-02', 3) ON CONFLICT (a) DO NOTHING",
        "INSERT INTO w_pairs VALUES (1, '2026-01-02', 3)",
        "DROP TABLE w_pairs",
    )


def test_what_comes_back_is_computed(sides):
    hold(
        sides,
        "CREATE TABLE w_back (id int, name text, price numeric(8,2))",
        "INSERT INTO w_back AS t VALUES (1, 'Pen', 1.5) RETURNING id * 2 AS twice, lower(name), t.*, price + 1, NULL",
        ("INSERT INTO w_back VALUES (%s, %s) RETURNING id + 1, upper(name) || '!'", (2, "Ink")),
        "UPDATE w_back SET price = 3 WHERE id = 1 RETURNING w_back.price * 2 AS double, coalesce(name, '-')",
        "UPDATE w_back SET name = 'x' WHERE id = 1 RETURNING (SELECT count(*) FROM w_back), name",
        "DELETE FROM w_back WHERE id = 1 RETURNING *, id::text AS words, CASE WHEN price > 1 THEN 'much' END AS price_is",
        "UPDATE w_back SET name = 'y' RETURNING lower(colour)",
        "UPDATE w_back SET name = 'y' RETURNING 1 / (id - id)",
        "SELECT * FROM w_back",
        "DROP TABLE w_back",
    )
