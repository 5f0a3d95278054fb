"""asyncpg: a pool whose connections are reset and used again, records, arrays, prepared statements, types looked up."""

import asyncio
import datetime
import decimal

import asyncpg
import pytest


def run(shop, work, role="engineer"):
    """Runs `work` with a pool of one connection, so that whatever is left over meets whoever comes next."""

    async def with_pool():
        pool = await asyncpg.create_pool(
            host="127.0.0.1", port=shop.port, user=role, password="demo", database="onefold", min_size=1, max_size=1
        )
        async with pool:
            return await work(pool)

    return asyncio.run(with_pool())


def test_a_connection_of_a_pool_comes_back_as_it_was(shop):
    async def work(pool):
        async with pool.acquire() as connection:
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            await connection.execute("SET application_name = 'a report'")
            await connection.fetchval("SELECT set_config('work_mem', '64MB', false)")
            assert await connection.fetchval("SELECT pg_try_advisory_lock($1)", 42) is True
            assert await connection.fetchval("SHOW work_mem") == "64MB"
        async with pool.acquire() as connection:
            assert await connection.fetchval("SELECT pg_backend_pid()") == pid
            assert await connection.fetchval("SHOW application_name") == ""
            assert await connection.fetchval("SHOW work_mem") == "4MB"
            assert await connection.fetchval("SELECT pg_advisory_unlock(42)") is False

    run(shop, work)


def test_one_of_two_sessions_works_at_a_time(shop):
    async def work(pool):
        async with pool.acquire() as first:
            await first.execute("SELECT pg_advisory_lock(7)")
            second = await asyncpg.connect(
                host="127.0.0.1", port=shop.port, user="engineer", password="demo", database="onefold"
            )
            assert await second.fetchval("SELECT pg_try_advisory_lock(7)") is False
            await second.execute("SET lock_timeout = '10ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await second.execute("SELECT pg_advisory_lock(7)")
            await second.execute("RESET lock_timeout")
            waits = asyncio.ensure_future(second.execute("SELECT pg_advisory_lock(7)"))
            assert await first.fetchval("SELECT pg_advisory_unlock(7)") is True
            await waits
            assert await first.fetchval("SELECT pg_try_advisory_lock(7)") is False
            await second.close()
            # The end of a session gives back what it held.
            await first.execute("SELECT pg_advisory_lock(7)")

    run(shop, work)


def test_locks_of_a_transaction_end_with_it(shop):
    async def work(pool):
        async with pool.acquire() as first:
            second = await asyncpg.connect(
                host="127.0.0.1", port=shop.port, user="engineer", password="demo", database="onefold"
            )
            async with first.transaction():
                await first.execute("SELECT pg_advisory_xact_lock(1, 2)")
                assert await second.fetchval("SELECT pg_try_advisory_xact_lock(1, 2)") is False
            assert await second.fetchval("SELECT pg_try_advisory_lock(1, 2)") is True
            await second.close()

    run(shop, work)


def test_rows_are_records(shop):
    async def work(pool):
        row = await pool.fetchrow(
            "SELECT order_id, amount, ordered_at, items FROM sources.shop_orders WHERE order_id = $1", "O0000001"
        )
        assert dict(row) == {
            "order_id": "O0000001",
            "amount": decimal.Decimal("14.37"),
            "ordered_at": datetime.datetime(2025, 5, 4, 7, 8, 49, tzinfo=datetime.timezone.utc),
            "items": row["items"],
        }
        assert isinstance(row["items"], int)

    run(shop, work)


def test_arrays_go_there_and_back(shop):
    async def work(pool):
        assert await pool.fetchval("SELECT $1::bigint[]", [1, None, 3]) == [1, None, 3]
        assert await pool.fetchval("SELECT $1::text[]", ["a b", None]) == ["a b", None]
        assert await pool.fetchval("SELECT ARRAY[1.5, 2.25]::numeric[]") == [decimal.Decimal("1.5"), decimal.Decimal("2.25")]
        orders = await pool.fetch(
            "SELECT order_id FROM sources.shop_orders WHERE order_id = ANY($1) ORDER BY 1", ["O0000001", "O0000002"]
        )
        assert [order["order_id"] for order in orders] == ["O0000001", "O0000002"]
        names = await pool.fetchval("SELECT array_agg(nspname ORDER BY nspname) FROM pg_namespace WHERE nspname LIKE 'c%'")
        assert names == ["cdp"]

    run(shop, work)


def test_parameters_have_the_types_that_they_are_cast_to(shop):
    async def work(pool):
        for sql, value in [
            ("SELECT $1::int", 5),
            ("SELECT $1::bigint", 1 << 40),
            ("SELECT $1::boolean", True),
            ("SELECT $1::double precision", 1.5),
            ("SELECT $1::date", datetime.date(2026, 1, 2)),
            ("SELECT $1::timestamptz", datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)),
            ("SELECT $1::text", "zażółć"),
            ("SELECT $1::jsonb", '{"a": 1}'),
        ]:
            assert await pool.fetchval(sql, value) == value, sql

    run(shop, work)


def test_a_prepared_statement_is_run_again_and_again(shop):
    async def work(pool):
        async with pool.acquire() as connection:
            statement = await connection.prepare("SELECT count(*) AS n FROM sources.shop_orders WHERE amount > $1")
            assert [column.name for column in statement.get_attributes()] == ["n"]
            assert [parameter.name for parameter in statement.get_parameters()] == ["numeric"]
            counts = [await statement.fetchval(decimal.Decimal(least)) for least in (0, 50, 1_000_000)]
            assert counts[0] > counts[1] > counts[2] == 0
            async with connection.transaction():
                rows = [row async for row in connection.cursor("SELECT profile_id FROM profiles LIMIT 120", prefetch=50)]
            assert len(rows) == 120
            async with connection.transaction():
                # It binds a portal, and moves it on by SQL.
                cursor = await connection.cursor("SELECT g FROM generate_series(1, 10) g")
                assert [row["g"] for row in await cursor.fetch(2)] == [1, 2]
                assert await cursor.forward(3) == 3
                assert [row["g"] for row in [await cursor.fetchrow(), *await cursor.fetch(9)]] == [6, 7, 8, 9, 10]
                assert await cursor.forward(1) == 0

    run(shop, work)


def test_an_error_leaves_the_connection_usable(shop):
    async def work(pool):
        async with pool.acquire() as connection:
            with pytest.raises(asyncpg.UndefinedTableError):
                await connection.fetch("SELECT * FROM nowhere")
            with pytest.raises(asyncpg.FeatureNotSupportedError):
                await connection.execute("REINDEX DATABASE onefold")
        assert await pool.fetchval("SELECT 1") == 1

    run(shop, work)


def test_a_number_of_rows_may_be_a_parameter(shop):
    async def work(pool):
        rows = await pool.fetch("SELECT g FROM generate_series(1, 9) g ORDER BY g LIMIT $1 OFFSET $2", 2, 3)
        assert [row["g"] for row in rows] == [4, 5]

    run(shop, work)


def test_a_listener_is_called_for_what_others_say(shop):
    async def work(pool):
        async with pool.acquire() as connection:
            heard = asyncio.get_running_loop().create_future()
            await connection.add_listener("changes", lambda *said: heard.set_result(said[2:]))
            other = await asyncpg.connect(
                host="127.0.0.1", port=shop.port, user="engineer", password="demo", database="onefold"
            )
            await other.execute("NOTIFY changes, 'profiles'")
            assert await asyncio.wait_for(heard, 30) == ("changes", "profiles")
            await other.close()
            await connection.reset(timeout=30)

    run(shop, work)


def test_records_are_copied_into_a_table(shop):
    async def work(pool):
        at = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
        records = [(n, f"name {n}", decimal.Decimal(n) / 4, at, ["a", "b"]) for n in range(5000)] + [(None,) * 5]
        columns = ["id", "name", "price", "at", "tags"]
        async with pool.acquire() as connection:
            await connection.execute("CREATE TABLE analytics.records (id int, name text, price numeric(10,2), at timestamptz, tags text[])")
            done = await connection.copy_records_to_table("records", schema_name="analytics", columns=columns, records=records)
            assert done == "COPY 5001"
            rows = await connection.fetch("SELECT * FROM analytics.records ORDER BY id")
            assert [tuple(row) for row in rows] == records
            with pytest.raises(asyncpg.UndefinedColumnError):
                await connection.copy_records_to_table("records", schema_name="analytics", columns=["nope"], records=[(1,)])
            await connection.execute("DROP TABLE analytics.records")

    run(shop, work)
