"""psycopg 3: connect, look around, read every type, parameters, cursors, COPY, errors."""

import datetime
import decimal
from xml.etree import ElementTree

import psycopg
import psycopg_pool
import pytest
from psycopg.rows import dict_row

UTC = datetime.timezone.utc

# What each type of a column arrives as.
PYTHON_TYPES = {
    "bigint": int,
    "integer": int,
    "smallint": int,
    "numeric": decimal.Decimal,
    "double precision": float,
    "boolean": bool,
    "text": str,
    "character varying": str,
    "date": datetime.date,
    "timestamp with time zone": datetime.datetime,
    "timestamp without time zone": datetime.datetime,
    "jsonb": (dict, list, str, int, float, bool),
}


def test_a_role_starts_in_its_purpose(shop):
    for role, purpose in [("analyst", "analytics"), ("marketer", "email_marketing"), ("engineer", "service")]:
        assert shop.value("SHOW cdp.purpose", role) == purpose
        assert shop.value("SELECT current_user", role) == role


def test_a_wrong_password_and_an_unknown_role_fail_alike(shop):
    messages = set()
    for role, password in [("engineer", "wrong"), ("nobody", "demo")]:
        with pytest.raises(psycopg.OperationalError) as failure:
            psycopg.connect(shop.dsn(role).replace("password=demo", f"password={password}"))
        messages.add(str(failure.value).replace(role, "ROLE"))
    assert len(messages) == 1, messages


def test_tables_and_columns_are_listed(shop):
    with shop.connect() as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for expected in [("public", "profiles"), ("public", "events"), ("sources", "shop_orders"), ("cdp", "refreshes")]:
            assert expected in tables
        columns = connection.execute(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a "
            "WHERE a.attrelid = 'public.profiles'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        ).fetchall()
        assert columns[0] == ("profile_id", "bigint")
        assert ("last_order_at", "timestamp with time zone") in columns


@pytest.mark.parametrize("relation", ["profiles", "events", "sources.shop_orders", "sources.loyalty_members"])
@pytest.mark.parametrize("binary", [False, True])
def test_every_column_is_read_in_its_type(shop, relation, binary):
    schema, _, table = relation.rpartition(".")
    with shop.connect(row_factory=dict_row) as connection:
        types = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
            (schema or "public", table),
        ).fetchall()
        assert types, relation
        for column in types:
            name, kind = column["column_name"], column["data_type"]
            query = f'SELECT "{name}" AS value FROM {relation} WHERE "{name}" IS NOT NULL LIMIT 20'
            rows = connection.execute(query, binary=binary).fetchall()
            assert kind in PYTHON_TYPES, f"{relation}.{name} has the type {kind}"
            assert rows or relation in ("events", "profiles"), f"{relation}.{name} is empty"
            for row in rows:
                assert isinstance(row["value"], PYTHON_TYPES[kind]), f"{relation}.{name} {kind}: {row['value']!r}"


def test_columns_tell_the_relation_that_they_are_of(shop):
    """As drivers ask for comments, keys and whether a column can be null; what is computed is of none."""
    def origin(connection, relation, number):
        return connection.execute(
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.oid = %s AND a.attnum = %s", (relation, number)
        ).fetchone()

    with shop.connect() as connection:
        for query, expected in [
            ("SELECT email, upper(email), profile_id FROM profiles LIMIT 1",
             [("profiles", "email"), None, ("profiles", "profile_id")]),
            ("SELECT p.email AS address, r.profile_id FROM profiles p JOIN profile_records r USING (profile_id) LIMIT 1",
             [("profiles", "email"), ("profile_records", "profile_id")]),
            ("SELECT relname, (SELECT 1) FROM pg_class LIMIT 1", [("pg_class", "relname"), None]),
        ]:
            result = connection.execute(query).pgresult
            places = [(result.ftable(at), result.ftablecol(at)) for at in range(result.nfields)]
            assert [origin(connection, *place) for place in places] == expected, query
            assert all((relation == 0) == (number == 0) for relation, number in places)


def test_columns_may_share_a_name(shop):
    with shop.connect() as connection:
        cursor = connection.execute("SELECT *, id::text, * FROM (VALUES (1)) v(id)")
        assert [column.name for column in cursor.description] == ["id", "id", "id"]
        assert cursor.fetchall() == [(1, "1", 1)]
        cursor = connection.execute("SELECT * FROM (SELECT v.*, w.* FROM (VALUES (1)) v(id), (VALUES (2)) w(id)) s")
        assert [column.name for column in cursor.description] == ["id", "id"]
        assert cursor.fetchall() == [(1, 2)]


def test_a_sum_of_bigints_has_as_many_digits_as_it_needs(shop):
    with shop.connect() as connection:
        for binary in (False, True):
            cursor = connection.execute(
                "SELECT sum(n), sum(n) / 2, sum(n::int) FROM (VALUES (1::bigint), (2)) v(n)", binary=binary
            )
            result = cursor.pgresult
            assert [result.ftype(at) for at in range(3)] == [1700, 1700, 20]
            assert result.fmod(0) == -1
            assert cursor.fetchone() == (decimal.Decimal(3), decimal.Decimal("1.5"), 3)


def test_values_are_exact(shop):
    with shop.connect() as connection:
        row = connection.execute(
            "SELECT amount, ordered_at, items FROM sources.shop_orders WHERE order_id = %s", ("O0000001",), binary=True
        ).fetchone()
        assert row == (decimal.Decimal("14.37"), datetime.datetime(2025, 5, 4, 7, 8, 49, tzinfo=UTC), 1)
        total = connection.execute("SELECT sum(amount) FROM sources.shop_orders").fetchone()[0]
        assert total == decimal.Decimal("921944.96")


@pytest.mark.parametrize(
    "kind, value",
    [
        ("bigint", 2**53),
        ("integer", -7),
        ("boolean", True),
        ("text", "zażółć 'gęślą' \\ jaźń\n"),
        ("numeric", decimal.Decimal("12345678901234567890.12")),
        ("numeric", decimal.Decimal("0.123456789012")),
        ("numeric[]", [decimal.Decimal("1.5"), decimal.Decimal("-22.125"), None, decimal.Decimal("300")]),
        ("double precision", 0.1),
        ("date", datetime.date(2026, 10, 31)),
        ("timestamptz", datetime.datetime(2026, 10, 31, 23, 59, 59, 123456, tzinfo=UTC)),
        ("text", None),
    ],
)
@pytest.mark.parametrize("binary", [False, True])
def test_parameters_come_back_as_they_went(shop, kind, value, binary):
    with shop.connect() as connection:
        placeholder = "%b" if binary else "%s"
        if binary and value is None:
            placeholder = "%s"
        row = connection.execute(f"SELECT {placeholder}::{kind}", (value,), binary=binary).fetchone()
        assert row[0] == value


def test_parameters_filter(shop):
    with shop.connect() as connection:
        query = "SELECT count(*) FROM sources.shop_orders WHERE amount > %s AND ordered_at < %s AND channel = %s"
        arguments = (decimal.Decimal("100.00"), datetime.datetime(2026, 1, 1, tzinfo=UTC), "web")
        with_parameters = connection.execute(query, arguments).fetchone()[0]
        with_literals = connection.execute(
            "SELECT count(*) FROM sources.shop_orders WHERE amount > 100.00 AND ordered_at < '2026-01-01 00:00:00Z' AND channel = 'web'"
        ).fetchone()[0]
        assert with_parameters == with_literals > 0


def test_a_list_is_one_parameter(shop):
    with shop.connect() as connection:
        listed = connection.execute(
            "SELECT count(*) FROM sources.shop_orders WHERE order_id = ANY(%s)", (["O0002346", "O0006094"],)
        ).fetchone()[0]
        assert listed == 2


def test_a_statement_is_prepared_and_used_again(shop):
    with shop.connect(prepare_threshold=1) as connection:
        for _ in range(5):
            assert connection.execute("SELECT count(*) FROM events WHERE type = %s", ("identify",)).fetchone() == (1266,)


def test_a_server_cursor_reads_piece_by_piece(shop):
    with shop.connect() as connection, connection.cursor(name="orders") as cursor:
        cursor.itersize = 1000
        cursor.execute("SELECT amount FROM sources.shop_orders")
        assert sum(amount for (amount,) in cursor) == decimal.Decimal("921944.96")


@pytest.mark.parametrize("binary", [False, True])
def test_a_server_cursor_moves_and_is_read_in_both_formats(shop, binary):
    with shop.connect() as connection, connection.cursor(name="numbers", binary=binary) as cursor:
        cursor.execute("SELECT n, n * 1.5 AS half FROM generate_series(1, 100) AS g(n) ORDER BY n")
        assert [column.name for column in cursor.description] == ["n", "half"]
        assert cursor.fetchone() == (1, decimal.Decimal("1.5"))
        cursor.scroll(8)
        assert cursor.fetchmany(2) == [(10, decimal.Decimal("15.0")), (11, decimal.Decimal("16.5"))]
        assert len(cursor.fetchall()) == 89
        with pytest.raises(psycopg.errors.Error):
            cursor.scroll(-1)


def test_a_scrollable_cursor_goes_both_ways(shop):
    def numbers(statement):
        return [number for (number,) in connection.execute(statement)]

    query = "SELECT n FROM generate_series(1, 10000) AS g(n) ORDER BY n"
    with shop.connect() as connection:
        with connection.cursor(name="numbers", scrollable=True) as cursor:
            cursor.execute(query)
            assert cursor.fetchmany(2) == [(1,), (2,)]
            cursor.scroll(-1)
            assert cursor.fetchone() == (2,)
            cursor.scroll(9999, mode="absolute")
            assert cursor.fetchall() == [(10000,)]
            assert numbers("FETCH PRIOR FROM numbers") == [10000]
            assert numbers("FETCH ABSOLUTE -3 FROM numbers") == [9998]
            assert numbers("FETCH BACKWARD 2 FROM numbers") == [9997, 9996]
            assert connection.execute("MOVE BACKWARD ALL FROM numbers").statusmessage == "MOVE 9995"
            assert numbers("FETCH FIRST FROM numbers") == [1]
            assert numbers("FETCH RELATIVE 9999 FROM numbers") == [10000]
            assert numbers("FETCH NEXT FROM numbers") == []
            assert numbers("FETCH BACKWARD ALL FROM numbers") == list(range(10000, 0, -1))
        with connection.cursor(name="plain", scrollable=False) as cursor:
            cursor.execute(query)
            assert cursor.fetchone() == (1,)
            assert numbers("FETCH ABSOLUTE 3 FROM plain") == [3]
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="can only scan forward") as refused:
                connection.execute("FETCH PRIOR FROM plain")
        assert refused.value.diag.message_hint == "Declare it with SCROLL option to enable backward scan."


@pytest.mark.parametrize("binary", [False, True])
def test_a_plan_comes_as_a_document(shop, binary):
    def nodes(node):
        yield node
        for below in node.get("Plans", []):
            yield from nodes(below)

    query = (
        "SELECT a.email, count(*) FROM profiles a JOIN profiles b USING (profile_id) WHERE b.email LIKE '%@a%' GROUP BY a.email"
    )
    with shop.connect("marketer") as connection:
        cursor = connection.cursor(binary=binary).execute(
            f"EXPLAIN (FORMAT JSON, ANALYZE false, VERBOSE true, COSTS false, TIMING 0, BUFFERS off) {query}"
        )
        assert (cursor.description[0].name, cursor.description[0].type_code) == ("QUERY PLAN", 114)
        [(document,)] = cursor.fetchall()
        found = list(nodes(document[0]["Plan"]))
        lines = [line for (line,) in connection.execute(f"EXPLAIN {query}")]
        [(text,)] = connection.execute(f"EXPLAIN (FORMAT XML) {query}")
    elements = [element.text for element in ElementTree.fromstring(text).iter() if element.tag.endswith("}Operator")]
    assert elements == [node["Operator"] for node in found]
    assert {"Seq Scan", "Aggregate"} <= {node["Node Type"] for node in found}
    assert {node.get("Relation Name") for node in found} == {"profiles", None}
    assert any("Join Type" in node for node in found)
    assert all(not column.startswith("_") for node in found for column in node["Output"])
    assert [node["Operator"] for node in found] == [line.split(":")[0].strip() for line in lines][: len(found)]


@pytest.mark.parametrize("role", ["marketer", "engineer"])
def test_an_analysis_counts_the_rows_that_there_are_for_the_role(shop, role):
    def nodes(node):
        yield node
        for below in node.get("Plans", []):
            yield from nodes(below)

    query = "SELECT email FROM profiles WHERE email LIKE '%@a%'"
    with shop.connect(role) as connection:
        count = connection.execute(f"SELECT count(*) FROM ({query}) found").fetchone()[0]
        everybody = connection.execute("SELECT count(*) FROM profiles").fetchone()[0]
        [(document,)] = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
        lines = [line for (line,) in connection.execute(f"EXPLAIN (ANALYZE, VERBOSE) {query}")]
    assert {"Plan", "Planning Time", "Triggers", "Execution Time"} == set(document[0])
    found = list(nodes(document[0]["Plan"]))
    assert all({"Actual Startup Time", "Actual Total Time", "Actual Rows", "Actual Loops"} <= set(node) for node in found)
    assert found[0]["Actual Rows"] == count
    [scan] = [node for node in found if node["Node Type"] == "Seq Scan"]
    assert scan["Actual Rows"] == everybody
    assert f"rows={count} loops=1)" in lines[0] and lines[1].strip() == "Output: email"
    assert lines[-2].startswith("Planning Time: ") and lines[-1].startswith("Execution Time: ")


def test_a_client_cursor_writes_its_values_into_the_text(shop):
    with shop.connect(cursor_factory=psycopg.ClientCursor) as connection:
        row = connection.execute(
            "SELECT %s, %s, %s, %s", (1, "a'b", datetime.date(2026, 1, 2), [decimal.Decimal("1.5")])
        ).fetchone()
        assert row == (1, "a'b", datetime.date(2026, 1, 2), [decimal.Decimal("1.5")])


def test_a_pool_lends_checks_and_takes_back(shop):
    check = psycopg_pool.ConnectionPool.check_connection
    with psycopg_pool.ConnectionPool(shop.dsn("analyst"), min_size=1, max_size=2, check=check) as pool:
        pool.wait()
        pids = set()
        for _ in range(3):
            with pool.connection() as connection:
                pids.add(connection.info.backend_pid)
                connection.execute("SET LOCAL statement_timeout = '5s'")
                assert connection.execute("SELECT count(*) > 0 FROM profiles").fetchone() == (True,)
        assert len(pids) == 1
        with pytest.raises(psycopg.errors.UndefinedTable):
            with pool.connection() as connection:
                connection.execute("SELECT * FROM nowhere")
        with pool.connection() as connection:
            assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_rows_are_streamed(shop):
    with shop.connect() as connection, connection.cursor() as cursor:
        count = sum(1 for _ in cursor.stream("SELECT * FROM sources.email_engagement"))
        assert count == 26777


def test_copy_to_stdout(shop):
    with shop.connect() as connection, connection.cursor() as cursor:
        with cursor.copy("COPY (SELECT order_id, amount FROM sources.shop_orders) TO STDOUT") as copy:
            copy.set_types(["text", "numeric"])
            assert sum(amount for _, amount in copy.rows()) == decimal.Decimal("921944.96")
        with cursor.copy("COPY sources.shop_orders (order_id, amount) TO STDOUT (FORMAT csv, HEADER)") as copy:
            text = b"".join(bytes(part) for part in copy).decode()
            assert text.splitlines()[0] == "order_id,amount" and len(text.splitlines()) == 25660
        with cursor.copy("COPY (SELECT amount FROM sources.shop_orders) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["numeric"])
            assert sum(amount for (amount,) in copy.rows()) == decimal.Decimal("921944.96")


def test_errors_have_their_class_and_leave_the_session_alive(shop):
    with shop.connect("marketer", autocommit=True) as connection:
        for statement, error in [
            ("SELECT frist_name FROM profiles", psycopg.errors.UndefinedColumn),
            ("SELECT * FROM nowhere", psycopg.errors.UndefinedTable),
            ("SELEC 1", psycopg.errors.SyntaxError),
            ("SELECT 1 / 0", psycopg.errors.DivisionByZero),
            ("SELECT 'x'::bigint", psycopg.errors.InvalidTextRepresentation),
            ("SET cdp.purpose = 'analytics'", psycopg.errors.InsufficientPrivilege),
            ("COPY profiles TO '/tmp/x'", psycopg.errors.InsufficientPrivilege),
        ]:
            with pytest.raises(error) as failure:
                connection.execute(statement)
            assert failure.value.diag.message_primary
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_failed_transaction_waits_for_its_end(shop):
    with shop.connect() as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM nowhere")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_pipeline_has_one_time(shop):
    """What is sent up to a Sync is one transaction: now() is the same in all of it, and another one behind it."""
    with shop.connect(autocommit=True) as connection:
        with connection.pipeline():
            times = [connection.execute("SELECT now(), statement_timestamp(), pg_sleep(0.02)") for _ in range(3)]
        rows = [time.fetchone() for time in times]
        later = connection.execute("SELECT now()").fetchone()[0]
    assert len({row[0] for row in rows}) == 1
    assert len({row[1] for row in rows}) == 3
    assert later > rows[0][0]


def test_a_pipeline_answers_in_order(shop):
    with shop.connect() as connection, connection.pipeline():
        cursors = [connection.execute("SELECT %s::bigint", (number,)) for number in range(50)]
        assert [cursor.fetchone()[0] for cursor in cursors] == list(range(50))


def test_sessions_of_a_role_hear_what_others_have_committed(shop):
    with (
        shop.connect("analyst", autocommit=True) as listener,
        shop.connect("analyst") as speaker,
        shop.connect("marketer", autocommit=True) as stranger,
    ):
        listener.execute("LISTEN refreshed")
        stranger.execute("LISTEN refreshed")
        speaker.execute("NOTIFY refreshed, 'never'")
        speaker.rollback()
        speaker.execute("NOTIFY refreshed, 'profiles'")
        speaker.commit()
        heard = list(listener.notifies(timeout=30, stop_after=1))
        assert [(each.channel, each.payload, each.pid) for each in heard] == [("refreshed", "profiles", speaker.info.backend_pid)]
        # A function says it, too, with what only a parameter tells.
        speaker.execute("SELECT pg_notify('refreshed', 'never')")
        speaker.rollback()
        speaker.execute("SELECT pg_notify(%s, %s)", ("refreshed", "segments"))
        assert list(listener.notifies(timeout=0)) == []
        speaker.commit()
        assert [each.payload for each in listener.notifies(timeout=30, stop_after=1)] == ["segments"]
        assert list(stranger.notifies(timeout=0)) == []
        listener.execute("UNLISTEN *")
        speaker.execute("NOTIFY refreshed")
        speaker.commit()
        assert list(listener.notifies(timeout=0)) == []
