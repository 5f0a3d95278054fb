"""psqlODBC through pyodbc, with rows that are fetched at once and by a cursor: metadata, types, parameters, transactions."""

import datetime
import decimal
import glob
import threading

import pytest

pyodbc = pytest.importorskip("pyodbc", reason="unixODBC is not here", exc_type=ImportError)
DRIVERS = glob.glob("/usr/lib/*/odbc/psqlodbcw.so")
pytestmark = pytest.mark.skipif(not DRIVERS, reason="psqlODBC is not here: install odbc-postgresql")

# How data sources are commonly set up; the last is what Tableau, Excel and others write.
OPTIONS = {
    "plain": "",
    "cursors": "UseDeclareFetch=1;Fetch=100",
    "client side": "UseServerSidePrepare=0",
    "tool": "BoolsAsChar=0;TextAsLongVarchar=0;MaxVarcharSize=1024;UseDeclareFetch=1",
}


@pytest.fixture(params=sorted(OPTIONS))
def connection(shop, request):
    where = f"Server=127.0.0.1;Port={shop.port};Database=onefold;UID=engineer;PWD=demo"
    connection = pyodbc.connect(f"Driver={DRIVERS[0]};{where};{OPTIONS[request.param]}")
    yield connection
    connection.close()


def test_rows_are_fetched(connection):
    rows = connection.execute("SELECT order_id, amount FROM sources.shop_orders").fetchall()
    assert (len(rows), sum(amount for _, amount in rows)) == (25659, decimal.Decimal("921944.96"))


def test_two_results_are_read_in_turn(connection):
    first, second = connection.cursor(), connection.cursor()
    first.execute("SELECT x FROM generate_series(1, 250) AS x ORDER BY x")
    second.execute("SELECT x FROM generate_series(1, 250) AS x ORDER BY x")
    assert [(a[0], b[0]) for a, b in zip(first, second)] == [(n, n) for n in range(1, 251)]


def test_relations_and_columns_are_listed(connection):
    cursor = connection.cursor()
    assert [row.table_type for row in cursor.tables(table="profiles", schema="public")] == ["TABLE"]
    assert "VIEW" in {row.table_type for row in cursor.tables(schema="public")}
    columns = {row.column_name: row.type_name for row in cursor.columns(table="shop_orders", schema="sources")}
    assert (columns["amount"], columns["ordered_at"], columns["order_id"]) == ("numeric", "timestamptz", "text")
    assert len(cursor.getTypeInfo().fetchall()) > 10


def test_keys_are_listed(connection):
    cursor = connection.cursor()
    assert [row[3] for row in cursor.primaryKeys(table="profiles", schema="public").fetchall()] == ["profile_id"]
    assert [row[5] for row in cursor.statistics(table="profiles", schema="public").fetchall()] == ["profiles_pkey"]
    assert cursor.foreignKeys(table="profiles", schema="public").fetchall() == []
    assert cursor.foreignKeys(foreignTable="shop_orders", foreignSchema="sources").fetchall() == []
    cursor.rowIdColumns(table="profiles", schema="public").fetchall()
    cursor.procedures().fetchall()


def test_every_type_is_read(connection):
    for expression, expected in [
        ("2::integer", 2),
        ("3::bigint", 3),
        ("1.50::numeric(10,2)", decimal.Decimal("1.50")),
        ("2.5::double precision", 2.5),
        ("'x'::text", "x"),
        ("DATE '2026-01-02'", datetime.date(2026, 1, 2)),
        ("TIME '03:04:05'", datetime.time(3, 4, 5)),
        ("TIMESTAMP '2026-01-02 03:04:05'", datetime.datetime(2026, 1, 2, 3, 4, 5)),
        ("""'{"a":1}'::json""", '{"a":1}'),
        ("NULL", None),
    ]:
        assert connection.execute(f"SELECT {expression}").fetchone()[0] == expected, expression


def test_parameters_filter(connection):
    query = "SELECT count(*) FROM sources.shop_orders WHERE items >= ? AND channel = ? AND ordered_at < ? AND amount > ?"
    values = (2, "web", datetime.datetime(2026, 1, 1), decimal.Decimal("10.00"))
    assert connection.execute(query, values).fetchone()[0] == 5291


def test_a_transaction_fails_and_ends(connection):
    with pytest.raises(pyodbc.Error) as failure:
        connection.execute("SELECT 1 / 0").fetchall()
    assert failure.value.args[0] == "22012"
    connection.rollback()
    with pytest.raises(pyodbc.ProgrammingError) as unknown:
        connection.execute("SELECT nope FROM profiles")
    assert unknown.value.args[0] in ("42703", "42S22")
    connection.rollback()
    assert connection.execute("SELECT 1").fetchone()[0] == 1


def test_a_query_is_cancelled(connection):
    cursor = connection.cursor()
    cancelling = threading.Timer(0.2, cursor.cancel)
    cancelling.start()
    with pytest.raises(pyodbc.Error) as cancelled:
        cursor.execute("SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b").fetchall()
    cancelling.join()
    assert cancelled.value.args[0] == "57014"
