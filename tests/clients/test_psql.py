"""psql: the backslash commands that people type first."""

import os
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not here")


def psql(shop, *commands: str, role: str = "engineer") -> str:
    arguments = ["psql", "-X", "-A", "-t", "-h", "127.0.0.1", "-p", str(shop.port), "-U", role, "-d", "onefold"]
    for command in commands:
        arguments += ["-c", command]
    done = subprocess.run(arguments, env={**os.environ, "PGPASSWORD": "demo"}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and not done.stderr, f"{commands}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_figures(shop):
    assert psql(shop, "SELECT count(*), sum(amount) FROM sources.shop_orders") == "25659|921944.96\n"


def test_lists_of_relations(shop):
    for command in ["\\d", "\\dt", "\\d+", "\\dt sources.*", "\\dt segments.*"]:
        psql(shop, command)
    assert "profiles" in psql(shop, "\\d")
    assert "shop_orders" in psql(shop, "\\dt sources.*")


def test_schemas(shop):
    listed = psql(shop, "\\dn")
    for schema in ["public", "sources", "segments", "cdp"]:
        assert schema in listed


def test_a_relation_in_detail(shop):
    listed = psql(shop, "\\d profiles")
    for column in ["profile_id|bigint", "email|text", "last_order_at|timestamp with time zone"]:
        assert column in listed, listed
    assert "amount|numeric(12,2)" in psql(shop, "\\d sources.shop_orders")
    assert "context|jsonb" in psql(shop, "\\d events")


def test_other_commands(shop):
    for command in ["\\du", "\\l", "\\df", "\\conninfo", "\\d+ profiles", "\\dT", "\\di", "\\dp profiles", "\\encoding"]:
        psql(shop, command)


def test_a_role_sees_only_what_it_may_read(shop):
    listed = psql(shop, "\\d", role="marketer")
    assert "profiles" in listed and "identity_edges" not in listed


def test_a_local_copy(shop, tmp_path):
    target = tmp_path / "orders.csv"
    psql(shop, f"\\copy (SELECT order_id, amount FROM sources.shop_orders) TO '{target}' CSV HEADER")
    assert len(target.read_text().splitlines()) == 25660
