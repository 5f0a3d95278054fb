"""SQLAlchemy over psycopg 2 and 3, and pandas over SQLAlchemy: the inspector, reflection, queries, pools, transactions."""

import datetime
import decimal

import pandas
import pytest
import sqlalchemy as sa
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.ext.automap import automap_base

UTC = datetime.timezone.utc


@pytest.fixture(scope="module", params=["psycopg2", "psycopg"])
def engine(shop, request):
    engine = sa.create_engine(f"postgresql+{request.param}://engineer:demo@127.0.0.1:{shop.port}/onefold")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def orders(engine):
    return sa.Table("shop_orders", sa.MetaData(), schema="sources", autoload_with=engine)


@pytest.fixture(scope="module")
def profiles(engine):
    return sa.Table("profiles", sa.MetaData(), autoload_with=engine)


@pytest.fixture
def connection(engine):
    with engine.connect() as connection:
        yield connection


def test_the_inspector_lists_relations(engine):
    inspector = sa.inspect(engine)
    assert inspector.default_schema_name == "public"
    assert {"public", "sources", "segments", "cdp"} <= set(inspector.get_schema_names())
    assert {"profiles", "events", "consents"} <= set(inspector.get_table_names())
    assert {"shop_orders", "crm_contacts"} <= set(inspector.get_table_names("sources"))
    assert "big_spenders" in inspector.get_table_names("segments")
    assert {"events_home", "segment_members"} <= set(inspector.get_view_names())
    assert "big_spenders" not in inspector.get_view_names("segments")
    assert inspector.get_materialized_view_names() == inspector.get_sequence_names() == []
    assert inspector.has_table("profiles") and inspector.has_schema("sources")
    assert not inspector.has_table("nowhere") and not inspector.has_schema("nowhere")


def test_the_inspector_describes_a_table(engine):
    inspector = sa.inspect(engine)
    columns = {column["name"]: column for column in inspector.get_columns("shop_orders", "sources")}
    for name, kind in [("order_id", "TEXT"), ("items", "INTEGER"), ("amount", "NUMERIC(12, 2)")]:
        assert str(columns[name]["type"]) == kind
    assert columns["ordered_at"]["type"].timezone and not columns["order_id"]["nullable"]
    key = inspector.get_pk_constraint("shop_orders", "sources")
    assert (key["constrained_columns"], key["name"]) == (["order_id"], "shop_orders_pkey")
    assert inspector.get_pk_constraint("profiles")["constrained_columns"] == ["profile_id"]
    assert inspector.get_table_comment("shop_orders", "sources")["text"] == "Orders of the web shop, in dollars"
    for nothing in ["foreign_keys", "indexes", "unique_constraints", "check_constraints"]:
        assert getattr(inspector, f"get_{nothing}")("shop_orders", "sources") == [], nothing
    with pytest.raises(sa.exc.NoSuchTableError):
        inspector.get_columns("nowhere")


def test_the_inspector_describes_views(engine):
    inspector = sa.inspect(engine)
    assert inspector.get_view_definition("events_home").strip().startswith("SELECT message_id, profile_id")
    columns = inspector.get_multi_columns(kind=ObjectKind.ANY_VIEW)
    assert {view for _, view in columns} == set(inspector.get_view_names())
    assert "profile_id" in [column["name"] for column in columns[(None, "events_home")]]


def test_everything_is_reflected(engine):
    metadata = sa.MetaData()
    metadata.reflect(engine, views=True)
    metadata.reflect(engine, schema="sources")
    assert {"profiles", "events_home", "sources.shop_orders"} <= set(metadata.tables)
    assert all(len(table.columns) > 0 for table in metadata.tables.values())
    base = automap_base(metadata=metadata)
    base.prepare()
    assert {"profiles", "shop_orders"} <= set(base.classes.keys())


def test_a_query_is_built(connection, orders):
    count, spent = func.count().label("n"), func.sum(orders.c.amount)
    query = select(orders.c.channel, count, spent).where(orders.c.amount > decimal.Decimal("10"))
    rows = connection.execute(query.group_by(orders.c.channel).order_by(count.desc())).all()
    assert rows[0] == ("web", 14092, decimal.Decimal("524109.97")) and len(rows) == 4
    chosen = select(orders.c.order_id).where(orders.c.order_id.in_(["O0000001", "O0000002"])).order_by(orders.c.order_id)
    assert connection.scalars(chosen).all() == ["O0000001", "O0000002"]
    month = func.date_trunc("month", orders.c.ordered_at)
    monthly = select(month, spent).group_by(month).order_by(month).limit(1)
    assert connection.execute(monthly).one() == (datetime.datetime(2025, 5, 1, tzinfo=UTC), decimal.Decimal("101627.56"))
    year = sa.extract("year", orders.c.ordered_at)
    assert connection.execute(select(year, func.count()).group_by(year).order_by(year)).all() == [(2025, 17376), (2026, 8283)]
    size = sa.case((orders.c.amount > 50, "big"), else_="small").label("size")
    assert connection.execute(select(size, func.count()).group_by(size).order_by(size)).all() == [("big", 5197), ("small", 20462)]
    paged = select(orders.c.order_id).order_by(orders.c.order_id).limit(1).offset(2)
    assert connection.scalar(paged) == "O0000003"


def test_queries_are_joined_and_nested(connection, orders, profiles):
    joined = orders.join(profiles, orders.c.profile_id == profiles.c.profile_id)
    assert connection.scalar(select(func.count()).select_from(joined)) == 25656
    total = select(orders.c.profile_id, func.sum(orders.c.amount).label("spent")).group_by(orders.c.profile_id).subquery()
    assert connection.scalar(select(func.count()).where(total.c.spent > 500)) == 280
    bought = sa.exists().where(orders.c.profile_id == profiles.c.profile_id)
    assert connection.scalar(select(func.count()).select_from(profiles).where(bought)) == 8045
    channels = select(orders.c.channel).distinct().cte("channels")
    assert connection.scalar(select(func.count()).select_from(channels)) == 4
    rank = func.row_number().over(partition_by=orders.c.channel, order_by=orders.c.order_id).label("rank")
    ranked = select(orders.c.channel, rank).subquery()
    assert connection.scalar(select(func.count()).where(ranked.c.rank == 1)) == 4


def test_values_and_aggregates_of_postgresql(connection):
    values = sa.values(sa.column("a", sa.Integer), sa.column("b", sa.String), name="v").data([(1, "x"), (2, "y")])
    assert connection.execute(select(values).order_by(values.c.a)).all() == [(1, "x"), (2, "y")]
    listed = postgresql.array_agg(postgresql.aggregate_order_by(values.c.b, values.c.a.desc()))
    assert connection.scalar(select(listed)) == ["y", "x"]
    assert connection.scalar(select(func.percentile_cont(0.5).within_group(values.c.a))) == 1.5
    assert connection.scalar(select(func.count().filter(values.c.a > 1)).select_from(values)) == 1
    assert connection.scalar(select(func.count()).where(values.c.b.regexp_match("x"))) == 1


def test_rows_are_streamed(engine, orders):
    with engine.connect().execution_options(stream_results=True, max_row_buffer=1000) as connection:
        assert sum(len(part) for part in connection.execute(select(orders.c.order_id)).partitions(1000)) == 25659


def test_pandas_reads_queries_and_tables(engine):
    frame = pandas.read_sql("SELECT channel, sum(amount) AS spent, count(*) AS n FROM sources.shop_orders GROUP BY 1", engine)
    assert frame.set_index("channel")["n"]["web"] == 14901
    table = pandas.read_sql_table("shop_orders", engine, schema="sources")
    assert table.shape == (25659, 9) and str(table["ordered_at"].dtype).endswith("UTC]")
    with engine.connect().execution_options(stream_results=True) as connection:
        query = sa.text("SELECT order_id FROM sources.shop_orders WHERE amount > :least")
        chunks = pandas.read_sql(query, connection, params={"least": 20}, chunksize=5000)
        assert [len(chunk) for chunk in chunks] == [5000, 5000, 5000, 203]


def test_pandas_writes_a_frame_and_reads_it_again(engine):
    frame = pandas.DataFrame({
        "number": [1, 2, 3],
        "share": [0.5, None, 2.25],
        "note": ["zażółć", None, "'; DROP TABLE x"],
        "at": pandas.to_datetime(["2026-03-29 01:30:00", None, "1999-12-31 23:59:59"], utc=True),
        "sure": [True, False, True],
    })
    name = f"frame_{engine.driver}"
    for rows, how in [(3, "replace"), (6, "append"), (3, "replace")]:
        frame.to_sql(name, engine, schema="analytics", if_exists=how, method="multi" if how == "append" else None)
        read = pandas.read_sql_table(name, engine, schema="analytics")
        assert len(read) == rows
    pandas.testing.assert_frame_equal(read.drop(columns="index").sort_values("number"), frame, check_dtype=False)
    with engine.begin() as connection:
        sa.Table(name, sa.MetaData(), schema="analytics").drop(connection)


def test_pandas_names_columns_as_people_do(engine):
    frame = pandas.DataFrame({"Order ID": [1, 2], "Größe (cm)": [1.5, 2.5], "E-Mail": ["a@b.c", None]})
    with engine.begin() as connection:
        frame.to_sql("named_by_people", connection, schema="analytics", index=False, if_exists="replace")
        read = pandas.read_sql('SELECT * FROM analytics.named_by_people ORDER BY "Order ID"', connection)
        assert list(read.columns) == list(frame.columns)
        assert read["Größe (cm)"].tolist() == [1.5, 2.5]
        connection.execute(sa.text("DROP TABLE analytics.named_by_people"))


def test_transactions_and_savepoints(engine):
    with engine.begin() as connection:
        assert connection.get_isolation_level() == "READ COMMITTED"
        savepoint = connection.begin_nested()
        with pytest.raises(sa.exc.ProgrammingError):
            connection.execute(sa.text("SELECT nope FROM profiles"))
        savepoint.rollback()
        with connection.begin_nested():
            assert connection.scalar(sa.text("SELECT 2")) == 2
    for level in ("REPEATABLE READ", "SERIALIZABLE"):
        with engine.connect().execution_options(isolation_level=level) as connection:
            assert connection.get_isolation_level() == level
            assert connection.scalar(sa.text("SELECT 3")) == 3
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT", postgresql_readonly=True) as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1


def test_a_pool_asks_before_it_lends(engine):
    pooled = sa.create_engine(engine.url, pool_pre_ping=True, pool_size=1, max_overflow=0)
    pids = set()
    for _ in range(3):
        with pooled.connect() as connection:
            pids.add(connection.scalar(sa.text("SELECT pg_backend_pid()")))
    assert len(pids) == 1
    pooled.dispose()
