"""What a column is compared with is a literal of its type, which goes to where files are read."""

import pytest

FILTERS = [
    ("profiles", "profile_id = 7", "profile_id = Int64(7)"),
    ("profiles", "profile_id IN (1, 2, 3, 4)", "profile_id IN ([Int64(1), Int64(2), Int64(3), Int64(4)])"),
    ("profiles", "profile_id BETWEEN 1 AND 9", "profile_id <= Int64(9)"),
    ("profiles", "profile_id = ANY (ARRAY[5])", "profile_id = Int64(5)"),
    ("sources.shop_orders", "amount > 5", "amount > Decimal128("),
    ("sources.shop_orders", "ordered_at >= '2026-01-01'", 'ordered_at >= TimestampMicrosecond(1767225600000000, Some("UTC"))'),
]


@pytest.mark.parametrize("relation, condition, expected", FILTERS)
def test_a_filter_reaches_the_scan(shop, relation, condition, expected):
    with shop.connect(autocommit=True) as connection:
        rows = connection.execute(f"EXPLAIN SELECT count(*) FROM {relation} WHERE {condition}").fetchall()
        assert [column.name for column in connection.execute("EXPLAIN SELECT 1").description] == ["QUERY PLAN"]
    scan = next(line for row in rows for text in row for line in text.splitlines() if "TableScan" in line)
    assert expected in scan.split("partial_filters=", 1)[1], scan
