"""ConnectorX: its four protocols, into pandas, Arrow and Polars, whole and in partitions."""

import connectorx
import pytest

# It builds frames by a way into pandas that pandas is about to close.
pytestmark = pytest.mark.filterwarnings("ignore:make_block is deprecated")

ORDERS = "SELECT order_id, amount, ordered_at, items FROM sources.shop_orders"
TYPES = """SELECT 1::smallint AS a, 2::int AS b, 3::bigint AS c, 1.50::numeric(10,2) AS d, 1.5::real AS e, 2.5::float8 AS f,
  true AS g, 'x'::text AS h, 'y'::varchar(5) AS i, DATE '2026-01-02' AS j, TIME '03:04:05.5' AS k,
  TIMESTAMP '2026-01-02 03:04:05' AS l, TIMESTAMPTZ '2026-01-02 03:04:05+00' AS m, '{"a": 1}'::json AS n,
  '{"a": [1, null]}'::jsonb AS o, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS p, ARRAY[1, 2]::int[] AS q"""


@pytest.fixture(scope="module")
def uri(shop):
    return f"postgresql://engineer:demo@127.0.0.1:{shop.port}/onefold"


@pytest.mark.parametrize("protocol", ["binary", "csv", "cursor", "simple"])
def test_rows_arrive_by_every_protocol(uri, protocol):
    frame = connectorx.read_sql(uri, ORDERS, protocol=protocol)
    assert frame.shape == (25659, 4)
    assert (round(frame["amount"].sum(), 2), str(frame["items"].dtype)) == (921944.96, "Int64")


# The simple protocol of ConnectorX has no arrays.
@pytest.mark.parametrize("protocol", ["binary", "csv", "cursor"])
@pytest.mark.parametrize("kind", ["arrow", "polars", "pandas"])
def test_every_type_arrives(uri, protocol, kind):
    found = connectorx.read_sql(uri, TYPES, protocol=protocol, return_type=kind)
    assert found.shape == (1, 17)


def test_a_query_is_cut_into_partitions(uri):
    query = "SELECT profile_id, amount FROM sources.shop_orders WHERE profile_id IS NOT NULL"
    for given in [{"partition_on": "profile_id", "partition_num": 3}, {"partition_on": "profile_id", "partition_num": 1}]:
        assert connectorx.read_sql(uri, query, **given).shape == (25656, 2)
    parts = [f"{ORDERS} WHERE items {which}" for which in ("= 1", "> 1")]
    assert connectorx.read_sql(uri, parts, return_type="arrow").num_rows == 25659


def test_columns_are_known_beforehand(uri):
    assert list(connectorx.get_meta(uri, ORDERS).columns) == ["order_id", "amount", "ordered_at", "items"]
