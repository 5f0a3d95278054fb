"""dbt over a project that a team would write: seeds, every kind of model, tests, history and documentation, run again and
again; and that what it makes stays governed."""

import json
import os
import pathlib
import shutil
import subprocess

import psycopg
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = pathlib.Path(__file__).resolve().parent / "dbt"
DBT = ROOT / ".venv-dbt/bin/dbt"

# What dbt may say of a node when it went well.
WELL = {"success", "pass"}


class Project:
    """A copy of the project, and dbt over it."""

    def __init__(self, shop, folder: pathlib.Path):
        self.shop, self.folder = shop, folder
        shutil.copytree(SOURCE, folder)

    def invoke(self, *arguments: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "ONEFOLD_PORT": str(self.shop.port), "DBT_PROFILES_DIR": str(self.folder)}
        command = [str(DBT), "--no-use-colors", *arguments]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600)

    def run(self, *arguments: str) -> dict[str, str]:
        """Returns how each node went, by name; all have to go well."""
        done = self.invoke(*arguments)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        results = json.loads((self.folder / "target/run_results.json").read_text())["results"]
        how = {result["unique_id"].split(".", 2)[2]: result["status"] for result in results}
        assert how and set(how.values()) <= WELL, how
        return how

    def rows(self, statement: str, role: str = "dbt"):
        with self.shop.connect(role, autocommit=True) as connection:
            return connection.execute(statement).fetchall()

    def value(self, statement: str, role: str = "dbt"):
        return self.rows(statement, role)[0][0]


@pytest.fixture(scope="module")
def project(shop, tmp_path_factory):
    assert DBT.is_file(), f"{DBT} is not there: run `make .venv-dbt/installed`"
    with shop.connect("engineer", autocommit=True) as engineer:
        engineer.execute("CREATE ROLE dbt LOGIN PASSWORD 'demo' PURPOSES (analytics) MAY (write)")
        yield Project(shop, tmp_path_factory.mktemp("dbt") / "shop")
        for schema, name, kind in engineer.execute(
            "SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema = 'analytics'"
        ).fetchall():
            word = "VIEW" if kind == "VIEW" else "TABLE"
            engineer.execute(f'DROP {word} IF EXISTS {schema}."{name}" CASCADE')
        engineer.execute("DROP SCHEMA IF EXISTS analytics_marts, analytics_dbt_test__audit CASCADE")
        engineer.execute("DROP ROLE dbt")


@pytest.fixture(scope="module")
def built(project):
    """The project with its seeds and models made for the first time."""
    assert set(project.run("seed")) == {"country_names", "price_list"}
    models = project.run("run")
    assert len(models) == 8, models
    return project


def test_debug_connects(project):
    done = project.invoke("debug")
    assert done.returncode == 0 and "Connection test: [OK connection ok]" in done.stdout, done.stdout


def test_seeds_are_tables_with_the_types_that_were_asked_for(built):
    assert built.rows("SELECT country, launched_on, in_union FROM analytics.country_names ORDER BY country LIMIT 1")[0][2]
    types = built.rows(
        "SELECT column_name, data_type, character_maximum_length, numeric_scale FROM information_schema.columns "
        "WHERE table_schema = 'analytics' AND table_name = 'price_list' ORDER BY ordinal_position"
    )
    assert types == [
        ("sku", "character varying", 20, None),
        ("price", "numeric", None, 2),
        ("updated_at", "timestamp without time zone", None, None),
    ]


def test_models_hold_what_their_queries_give(built):
    pairs = [
        ("SELECT count(*) FROM analytics.stg_customers", "SELECT count(*) FROM profiles"),
        ("SELECT sum(orders) FROM analytics_marts.customer_orders", "SELECT count(*) FROM sources.shop_orders"),
        ("SELECT sum(amount) FROM analytics_marts.order_facts", "SELECT sum(amount) FROM sources.shop_orders"),
        ("SELECT sum(revenue) FROM analytics_marts.daily_revenue", "SELECT sum(amount) FROM sources.shop_orders"),
        ("SELECT sum(revenue) FROM analytics_marts.revenue_by_country", "SELECT sum(amount) FROM sources.shop_orders"),
    ]
    for made, asked in pairs:
        assert built.value(made) == built.value(asked) > 0, made
    names = built.rows("SELECT country_name FROM analytics_marts.revenue_by_country WHERE country = 'PL'")
    assert names == [("Poland",)]


def test_a_second_run_leaves_what_is_there(built):
    tables = ["customer_orders", "order_facts", "daily_revenue", "channel_use", "customer_tiers", "revenue_by_country"]
    counts = [f"SELECT '{table}', count(*) FROM analytics_marts.{table}" for table in tables]
    before = built.rows(" UNION ALL ".join(counts))
    computed = built.value("SELECT min(computed_at) FROM analytics_marts.customer_tiers")
    built.run("run")
    assert sorted(built.rows(" UNION ALL ".join(counts))) == sorted(before)
    assert built.value("SELECT min(computed_at) FROM analytics_marts.customer_tiers") > computed
    left = built.rows("SELECT tablename FROM pg_tables WHERE tablename LIKE '%dbt%' UNION ALL SELECT viewname FROM pg_views WHERE viewname LIKE '%dbt%'")
    assert left == [], "what dbt makes by the way is still there"


def test_a_materialized_view_is_refreshed_by_the_next_run(built):
    kinds = built.rows("SELECT schemaname, matviewname, ispopulated FROM pg_matviews")
    assert kinds == [("analytics_marts", "customers_by_tier", True)]
    done = built.invoke("--debug", "run", "--select", "customers_by_tier")
    assert done.returncode == 0 and "refresh materialized view" in done.stdout.lower(), done.stdout
    held, counted = "SELECT sum(customers) FROM analytics_marts.customers_by_tier", "SELECT count(*) FROM analytics_marts.customer_tiers"
    assert built.value(held) == built.value(counted) > 0
    built.run("run", "--select", "customers_by_tier", "--full-refresh")
    assert built.value(held) == built.value(counted)


def test_an_incremental_model_is_given_a_column(built):
    built.run("run", "--select", "order_facts", "--vars", "{with_channel: true}")
    channels = "SELECT count(channel), count(*) FROM analytics_marts.order_facts"
    with_channel, all_orders = built.rows(channels)[0]
    assert 0 < with_channel < all_orders
    built.run("run", "--select", "order_facts", "--full-refresh", "--vars", "{with_channel: true}")
    assert built.rows(channels) == [(all_orders, all_orders)]


def test_tests_pass_and_tell_of_what_is_wrong(built):
    how = built.run("test")
    assert len(how) == 13 + 1, how
    stored = built.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'analytics_dbt_test__audit'")
    assert len(stored) == 1
    done = built.invoke("test", "--select", "revenue_is_positive", "test_type:unit", "--vars", "{gold_from: 250}")
    assert done.returncode == 1 and "PASS=1" in done.stdout and "ERROR=1" in done.stdout, done.stdout


def test_snapshots_keep_what_was(built):
    assert set(built.run("snapshot")) == {"price_history", "tier_history"}
    tiers = built.value("SELECT count(*) FROM analytics.tier_history")
    assert tiers == built.value("SELECT count(*) FROM analytics_marts.customer_tiers") > 0


def test_documentation_tells_types_comments_and_owners(built):
    done = built.invoke("docs", "generate")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    catalog = json.loads((built.folder / "target/catalog.json").read_text())
    assert catalog["errors"] is None
    model = catalog["nodes"]["model.shop.customer_orders"]
    assert model["metadata"] == {
        "type": "BASE TABLE",
        "schema": "analytics_marts",
        "name": "customer_orders",
        "database": "onefold",
        "comment": "What each customer bought; it's one row a person",
        "owner": "dbt",
    }
    columns = {name: (column["type"], column["comment"]) for name, column in model["columns"].items()}
    assert columns == {
        "profile_id": ("bigint", "Whose row it is"),
        "orders": ("bigint", None),
        "spent": ("numeric(14,2)", 'Dollars, "gross"'),
        "first_ordered_at": ("timestamp with time zone", None),
        "last_ordered_at": ("timestamp with time zone", None),
    }
    assert catalog["nodes"]["model.shop.stg_customers"]["metadata"]["type"] == "VIEW"
    assert catalog["nodes"]["seed.shop.price_list"]["columns"]["sku"]["type"] == "character varying(20)"
    orders = catalog["sources"]["source.shop.records.shop_orders"]
    assert orders["metadata"]["comment"] == "Orders of the web shop, in dollars"


def test_everything_is_built_anew(built):
    how = built.run("build", "--full-refresh")
    assert len(how) == 2 + 8 + 2 + 13 + 1, how


def test_sources_have_their_freshness(built):
    done = built.invoke("source", "freshness")
    assert done.returncode == 0, done.stdout
    sources = json.loads((built.folder / "target/sources.json").read_text())["results"]
    assert [source["status"] for source in sources] == ["pass"]
    assert sources[0]["max_loaded_at"].startswith("2026-")


def test_what_dbt_makes_stays_governed(built):
    own, others = built.value("SELECT count(*) FROM analytics_marts.customer_orders"), "SELECT count(*) FROM analytics_marts.{}"
    # Rows that hold their person: each purpose sees those who allow it.
    with_mail = "SELECT count(*) FROM analytics_marts.customer_orders WHERE profile_id IN (SELECT profile_id FROM profiles)"
    assert built.value(others.format("customer_orders"), "marketer") == built.value(with_mail, "marketer")
    assert 0 < built.value(others.format("customer_orders"), "marketer") < own
    view = "SELECT count(*) FROM analytics.stg_customers"
    assert built.value(view, "marketer") == built.value("SELECT count(*) FROM profiles", "marketer") != built.value(view)
    # What was summed up of those who allow analytics is for analytics alone.
    for table in ["revenue_by_country", "daily_revenue"]:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="made for another purpose"):
            built.value(others.format(table), "marketer")
    assert built.value(others.format("revenue_by_country"), "analyst") > 0
