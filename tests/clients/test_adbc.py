"""ADBC: Arrow tables by COPY and without, parameters, the tree of objects, cancelling, and Polars over it."""

import datetime
import threading

import adbc_driver_postgresql.dbapi as adbc
import polars
import pyarrow
import pytest

UTC = datetime.timezone.utc
ORDERS = "SELECT order_id, amount, ordered_at, items FROM sources.shop_orders"


@pytest.fixture
def uri(shop):
    return f"postgresql://engineer:demo@127.0.0.1:{shop.port}/onefold"


@pytest.fixture
def connection(uri):
    with adbc.connect(uri) as connection:
        yield connection


@pytest.mark.parametrize("use_copy", ["true", "false"])
def test_rows_arrive_as_arrow(connection, use_copy):
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": use_copy})
        cursor.execute(ORDERS)
        table = cursor.fetch_arrow_table()
    assert table.num_rows == 25659
    types = {field.name: field.type for field in table.schema}
    assert types["order_id"] == pyarrow.string() and types["items"] == pyarrow.int32()
    assert types["ordered_at"] == pyarrow.timestamp("us", tz="UTC") and types["amount"].type_name == "numeric"


def test_every_relation_arrives(connection):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema IN ('public', 'sources', 'cdp', 'segments')"
        )
        relations = cursor.fetchall()
        assert len(relations) > 40
        for schema, relation in relations:
            cursor.execute(f'SELECT * FROM {schema}."{relation}" LIMIT 20')
            cursor.fetch_arrow_table()


def test_a_table_tells_its_schema(connection):
    schema = connection.adbc_get_table_schema("shop_orders", db_schema_filter="sources")
    assert schema.field("profile_id").type == pyarrow.int64()
    assert {"table", "view"} <= set(connection.adbc_get_table_types())
    assert (connection.adbc_current_catalog, connection.adbc_current_db_schema) == ("onefold", "public")
    with connection.cursor() as cursor:
        assert cursor.adbc_execute_schema("SELECT profile_id FROM profiles").names == ["profile_id"]
        assert cursor.adbc_prepare("SELECT $1::bigint").types == [pyarrow.int64()]


def test_a_query_is_cancelled(connection):
    with connection.cursor() as cursor:
        cancelling = threading.Timer(0.2, cursor.adbc_cancel)
        cancelling.start()
        with pytest.raises(adbc.Error) as cancelled:
            cursor.execute("SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b")
            cursor.fetchall()
        cancelling.join()
        assert cancelled.value.sqlstate == "57014"


def test_errors_have_their_class(connection):
    with connection.cursor() as cursor:
        with pytest.raises(adbc.ProgrammingError) as failure:
            cursor.execute("SELECT nope FROM profiles")
        assert failure.value.sqlstate == "42703"
        connection.rollback()
        with pytest.raises(adbc.Error) as refused:
            cursor.adbc_ingest("t", pyarrow.table({"a": [1]}))
        assert "is not supported" in str(refused.value) and "analytics" in str(refused.value)


@pytest.mark.parametrize("engine", ["adbc", "connectorx"])
def test_polars_reads_over_it(uri, engine):
    frame = polars.read_database_uri(ORDERS, uri, engine=engine)
    assert frame.shape == (25659, 4) and frame["items"].sum() > 25659


def test_a_table_is_ingested_and_more_rows_after_it(connection, uri):
    rows = {"id": [1, 2, 3], "name": ["a", None, "c"], "price": [1.5, 2.5, None], "seen": [datetime.date(2026, 1, day) for day in (1, 2, 3)]}
    table = pyarrow.table(rows)
    with connection.cursor() as cursor:
        assert cursor.adbc_ingest("ingested", table, mode="create", db_schema_name="analytics") == 3
        assert cursor.adbc_ingest("ingested", table, mode="append", db_schema_name="analytics") == 3
        connection.commit()
        cursor.execute("SELECT id, name, price, seen FROM analytics.ingested ORDER BY id")
        assert cursor.fetchall()[::2] == list(zip(*rows.values()))
    frame = polars.DataFrame(rows)
    assert frame.write_database("analytics.ingested", uri, engine="adbc", if_table_exists="append") == 3
    assert polars.read_database_uri("SELECT count(*) AS n FROM analytics.ingested", uri, engine="adbc")["n"].to_list() == [9]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE analytics.ingested")
    connection.commit()
