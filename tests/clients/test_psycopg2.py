"""psycopg 2: named cursors, pools, `with` blocks, types and literals, transactions, COPY, errors."""

import datetime
import decimal
import io
import threading
import uuid

import psycopg2
import psycopg2.extras
import psycopg2.pool
import pytest
from psycopg2 import errors, extensions, sql

UTC = datetime.timezone.utc
ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"


@pytest.fixture
def connection(shop):
    connection = psycopg2.connect(shop.dsn("engineer"))
    yield connection
    connection.close()


def test_a_named_cursor_reads_piece_by_piece(connection):
    with connection, connection.cursor(name="orders") as cursor:
        cursor.itersize = 1000
        cursor.execute("SELECT order_id, amount FROM sources.shop_orders ORDER BY order_id")
        assert cursor.fetchone() == ("O0000001", decimal.Decimal("14.37"))
        assert [row[0] for row in cursor.fetchmany(2)] == ["O0000002", "O0000003"]
        assert [column.name for column in cursor.description] == ["order_id", "amount"]
        assert decimal.Decimal("14.37") + sum(amount for _, amount in cursor) < decimal.Decimal("921944.96")


def test_a_cursor_with_hold_outlives_its_transaction(connection):
    cursor = connection.cursor(name="held", withhold=True)
    cursor.execute("SELECT generate_series(1, 10)")
    connection.commit()
    assert cursor.fetchmany(2) == [(1,), (2,)]
    cursor.close()


def test_a_cursor_goes_back(connection):
    cursor = connection.cursor(name="back", scrollable=True)
    cursor.execute("SELECT generate_series(1, 10)")
    assert cursor.fetchmany(5)[-1] == (5,)
    cursor.scroll(-2)
    assert cursor.fetchone() == (4,)
    cursor.scroll(0, mode="absolute")
    assert cursor.fetchone() == (1,)
    cursor.close()
    forward = connection.cursor(name="forward", scrollable=False)
    forward.execute("SELECT generate_series(1, 10)")
    assert forward.fetchone() == (1,)
    with pytest.raises(errors.ObjectNotInPrerequisiteState):
        forward.scroll(-1)
    connection.rollback()


def test_every_type_is_read(connection):
    psycopg2.extras.register_uuid(conn_or_curs=connection)
    key = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    for expression, expected in [
        ("1::smallint", 1),
        ("2::integer", 2),
        ("3::bigint", 3),
        ("1.50::numeric(10,2)", decimal.Decimal("1.50")),
        ("1.5::real", 1.5),
        ("'infinity'::double precision", float("inf")),
        ("true", True),
        ("'x'::varchar(5)", "x"),
        ("DATE '2026-01-02'", datetime.date(2026, 1, 2)),
        ("TIME '03:04:05.5'", datetime.time(3, 4, 5, 500000)),
        ("TIMESTAMP '2026-01-02 03:04:05'", datetime.datetime(2026, 1, 2, 3, 4, 5)),
        ("TIMESTAMPTZ '2026-01-02 03:04:05+00'", datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("INTERVAL '1 day 2 hours'", datetime.timedelta(days=1, hours=2)),
        ("""'{"a": [1, null]}'::jsonb""", {"a": [1, None]}),
        ("""'{"a": 1}'::json""", {"a": 1}),
        (f"'{key}'::uuid", uuid.UUID(key)),
        ("ARRAY[1, 2, NULL]", [1, 2, None]),
        ("ARRAY['a', 'b,c', NULL]", ["a", "b,c", None]),
        ("ARRAY[DATE '2026-01-02']", [datetime.date(2026, 1, 2)]),
        ("NULL", None),
    ]:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT {expression}")
            assert cursor.fetchone() == (expected,), expression


def test_values_come_back_as_they_went(connection):
    psycopg2.extras.register_uuid(conn_or_curs=connection)
    for value in [
        -5,
        2**40,
        decimal.Decimal("1.25"),
        "a'b\\c \u017c",
        True,
        None,
        datetime.date(2026, 1, 2),
        datetime.time(3, 4, 5, 600),
        datetime.datetime(2026, 1, 2, 3, 4, 5),
        datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        datetime.timedelta(days=1, seconds=5),
        [1, 2],
        ["a", None],
        uuid.UUID(int=5),
        float("inf"),
    ]:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT %s", (value,))
            assert cursor.fetchone() == (value,)


def test_queries_are_composed(connection):
    query = sql.SQL("SELECT {amount} FROM {table} WHERE {key} IN %s ORDER BY {key}").format(
        amount=sql.Identifier("amount"), table=sql.Identifier("sources", "shop_orders"), key=sql.Identifier("order_id")
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(query, (("O0000001", "O0000002"),))
        assert [amount for (amount,) in cursor] == [decimal.Decimal("14.37"), decimal.Decimal("26.55")]
        assert (cursor.rowcount, cursor.statusmessage) == (2, "SELECT 2")


def test_rows_are_dictionaries_or_named(connection):
    with connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        cursor.execute("SELECT channel, count(*) AS n FROM sources.shop_orders GROUP BY channel ORDER BY n DESC LIMIT 1")
        assert cursor.fetchall() == [{"channel": "web", "n": 14901}]
    with connection, connection.cursor(cursor_factory=psycopg2.extras.NamedTupleCursor) as cursor:
        cursor.execute("SELECT count(*) AS n FROM sources.shop_orders")
        assert cursor.fetchone().n == 25659


def test_values_are_read_as_a_relation(connection):
    with connection, connection.cursor() as cursor:
        rows = psycopg2.extras.execute_values(
            cursor, "SELECT * FROM (VALUES %s) AS v(a, b) ORDER BY a", [(2, "b"), (1, "a")], fetch=True
        )
        assert rows == [(1, "a"), (2, "b")]
        psycopg2.extras.execute_batch(cursor, "SELECT %s", [(1,), (2,)])


def test_many_rows_go_in_at_once(connection):
    rows = [
        (at, f"it's {at} \\ (x)", decimal.Decimal(at) / 8, datetime.date(2024, 2, 1 + at % 28), at % 2 == 0, None)
        for at in range(10_000)
    ]
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE seed (id bigint, note text, price numeric(12, 3), day date, flag boolean, gone timestamptz)"
        )
        psycopg2.extras.execute_values(cursor, "INSERT INTO seed VALUES %s", rows, page_size=len(rows))
        assert cursor.rowcount == len(rows)
        cursor.execute("SELECT * FROM seed ORDER BY id")
        assert cursor.fetchall() == rows
    connection.rollback()


def test_a_block_ends_its_transaction(connection):
    with connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '5s'")
    with pytest.raises(errors.DivisionByZero) as failure:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
    assert failure.value.pgcode == "22012"
    with connection, connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
    assert connection.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE


def test_a_savepoint_is_gone_back_to(connection):
    with connection, connection.cursor() as cursor:
        cursor.execute("SAVEPOINT before")
        with pytest.raises(errors.UndefinedColumn):
            cursor.execute("SELECT nope FROM profiles")
        cursor.execute("ROLLBACK TO SAVEPOINT before")
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_a_session_is_set_up(connection):
    connection.set_session(readonly=True, autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("SHOW default_transaction_read_only")
        assert cursor.fetchone() == ("on",)
    connection.set_client_encoding("UTF8")
    connection.reset()
    assert connection.server_version // 10000 == 15
    connection.set_session(isolation_level="SERIALIZABLE", autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("serializable",)
    connection.rollback()


def test_a_pool_lends_connections(shop):
    pool = psycopg2.pool.ThreadedConnectionPool(1, 2, shop.dsn("analyst"))
    first, second = pool.getconn(), pool.getconn()
    with pytest.raises(psycopg2.pool.PoolError):
        pool.getconn()
    with first.cursor() as cursor:
        cursor.execute("SELECT 1")
    pool.putconn(first)
    again = pool.getconn()
    assert again.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE
    pool.putconn(again)
    pool.putconn(second)
    pool.closeall()


def test_rows_are_copied_out(connection):
    with connection, connection.cursor() as cursor:
        file = io.StringIO()
        cursor.copy_expert("COPY (SELECT order_id, amount FROM sources.shop_orders) TO STDOUT WITH CSV HEADER", file)
        assert file.getvalue().startswith("order_id,amount\n") and file.getvalue().count("\n") == 25660
        file = io.StringIO()
        cursor.copy_to(file, "profiles", columns=("profile_id", "email"))
        assert file.getvalue().count("\n") == cursor.rowcount == 13869


def test_a_query_is_cancelled(connection):
    cursor = connection.cursor()
    cancelling = threading.Timer(0.2, connection.cancel)
    cancelling.start()
    with pytest.raises(errors.QueryCanceled):
        cursor.execute(ENDLESS)
    cancelling.join()
    connection.rollback()
    cursor.execute("SELECT 1")
    assert cursor.fetchone() == (1,)


def test_what_is_not_built_says_so(connection):
    connection.autocommit = True
    cursor = connection.cursor()
    for statement in ["REINDEX DATABASE onefold", "PREPARE TRANSACTION 'a'", "CREATE TABLE public.t (a int)", "INSERT INTO profiles VALUES (1)"]:
        with pytest.raises(psycopg2.Error) as refused:
            cursor.execute(statement)
        assert refused.value.pgcode == "0A000" and "HINT" in str(refused.value), statement
