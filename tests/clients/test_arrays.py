"""Arrays as values of parameters, of one dimension and of several, as the drivers send them."""

import asyncio
import datetime
import decimal

import asyncpg
import psycopg
import pytest

# What is sent, and what of it comes back.
SENT = [
    ("int[]", [[1, 2], [3, 4]]),
    ("bigint[]", [[[1], [2]], [[3], [4]]]),
    ("text[]", [["a", "b c"], ["NULL", None]]),
    ("float8[]", [[1.5, 2.5]]),
    ("bool[]", [[True], [False]]),
    ("numeric[]", [[decimal.Decimal("1.50")], [decimal.Decimal("2.25")]]),
    ("date[]", [[datetime.date(2026, 11, 1)], [datetime.date(2026, 12, 1)]]),
    ("timestamp[]", [[datetime.datetime(2026, 11, 1, 10, 30)]]),
    ("int[]", [1, None, 3]),
    ("int[]", []),
]


@pytest.mark.parametrize("placeholder", ["%t", "%b"])
@pytest.mark.parametrize("binary", [False, True])
def test_psycopg_sends_arrays_of_several_dimensions(shop, placeholder, binary):
    with shop.connect(autocommit=True) as connection, connection.cursor(binary=binary) as cursor:
        for of, value in SENT:
            found = cursor.execute(f"SELECT {placeholder}::{of}", [value]).fetchone()[0]
            assert found == value, (of, value)

        def ask(sql, *values):
            return cursor.execute(sql.replace("%s", placeholder), values).fetchall()

        square = [[1, 2], [3, 4]]
        assert ask("SELECT %s", square) == [(square,)]
        assert ask("SELECT (%s::int[])[2][1], cardinality(%s::int[]), array_dims(%s)", square, square, square) == [
            (3, 4, "[1:2][1:2]")
        ]
        assert ask("SELECT x FROM unnest(%s::int[]) AS x", square) == [(1,), (2,), (3,), (4,)]
        assert ask("SELECT unnest(%s)", square) == [(1,), (2,), (3,), (4,)]
        assert ask("SELECT 4 = ANY(%s), 5 = ANY(%s)", square, square) == [(True, False)]
        # One statement, whether its parameter has one dimension or two.
        for value, dimensions in [([1, 2], 1), (square, 2), ([5], 1), (square, 2)]:
            assert ask("SELECT array_ndims(%s::int[])", value) == [(dimensions,)]
        assert ask("SELECT ARRAY[1, 2] || %s::int[]", [3]) == [([1, 2, 3],)]
        numbered = "SELECT x, n FROM unnest(%s::int[]) WITH ORDINALITY AS a(x, n) ORDER BY n"
        assert ask(numbered, square) == [(1, 1), (2, 2), (3, 3), (4, 4)]
        rows = "SELECT x, y, n FROM unnest(%s::int[], %s::text[]) WITH ORDINALITY AS a(x, y, n) ORDER BY n"
        assert ask(rows, [7, 8], ["a", "b"]) == [(7, "a", 1), (8, "b", 2)]


def test_the_text_of_an_array_is_one_whatever_it_is_declared_as(shop):
    with shop.connect(autocommit=True) as connection:
        for placeholder in ["%s", "%t", "%b"]:

            def ask(sql, value, placeholder=placeholder):
                return connection.execute(sql.replace("%s", placeholder), [value]).fetchone()[0]

            assert ask("SELECT %s::int[]", "{1,NULL,3}") == [1, None, 3]
            assert ask("SELECT %s::text[]", '{a,"b c"}') == ["a", "b c"]
            assert ask("SELECT %s::int[]", "{{1,2},{3,4}}") == [[1, 2], [3, 4]]
            for wrong, sqlstate in [("1,2", "22P02"), ("{x}", "22P02"), ("{{1},{2,3}}", "22P02")]:
                with pytest.raises(psycopg.Error) as refused:
                    ask("SELECT %s::int[]", wrong)
                assert refused.value.sqlstate == sqlstate, wrong


def test_asyncpg_sends_arrays_of_several_dimensions(shop):
    async def work():
        connection = await asyncpg.connect(
            host="127.0.0.1", port=shop.port, user="engineer", password="demo", database="onefold"
        )
        for of, value in SENT:
            assert await connection.fetchval(f"SELECT $1::{of}", value) == value, (of, value)
        square = [[1, 2], [3, 4]]
        assert await connection.fetchval("SELECT ($1::int[])[1][2]", square) == 2
        assert [row[0] for row in await connection.fetch("SELECT unnest($1::int[])", square)] == [1, 2, 3, 4]
        assert await connection.fetchval("SELECT ARRAY[1, 2] || $1", [3]) == [1, 2, 3]
        prepared = await connection.prepare("SELECT $1::text[]")
        for value in [["a"], [["a", "b"], ["c", "d"]], ["e"], [["f"], ["g"]]]:
            assert await prepared.fetchval(value) == value
        await connection.close()

    asyncio.run(work())
