"""The lake without onefold: DuckDB and Polars read its tables and agree with what SQL over the wire says."""

import os
import pathlib
import time

import deltalake
import duckdb
import duckdb_extension_delta
import polars
import pytest
from conftest import run

# Tables in the lake, each with what is asked over the wire and what is asked of its columns.
QUESTIONS = [
    ("sources/shop_orders", "sources.shop_orders", "amount"),
    ("sources/shop_orders", "sources.shop_orders", "items"),
    ("sources/crm_contacts", "sources.crm_contacts", None),
    ("sources/loyalty_members", "sources.loyalty_members", "points"),
    ("sources/web_events", "sources.web_events", None),
    ("sources/email_engagement", "sources.email_engagement", None),
    ("sources/consent_ledger", "sources.consent_ledger", None),
    ("profiles/profiles", "profiles", "total_spent"),
    ("profiles/profiles", "profiles", "orders_count"),
    ("identity/profile_identifiers", "profile_identifiers", None),
]


@pytest.fixture(scope="session")
def duck():
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    package = pathlib.Path(duckdb_extension_delta.__file__).parent
    extension = package / "extensions" / f"v{duckdb.__version__}" / "delta.duckdb_extension"
    connection.execute(f"LOAD '{extension}'")
    return connection


def asked(shop, relation, column):
    total = f", sum({column})" if column else ""
    with shop.connect() as connection:
        return connection.execute(f"SELECT count(*){total} FROM {relation}").fetchone()


@pytest.mark.parametrize("table, relation, column", QUESTIONS)
def test_duckdb_agrees(shop, duck, table, relation, column):
    total = f", sum({column})" if column else ""
    found = duck.execute(f"SELECT count(*){total} FROM delta_scan('{shop.lake / table}')").fetchone()
    assert found == asked(shop, relation, column)


@pytest.mark.parametrize("table, relation, column", QUESTIONS)
def test_polars_agrees(shop, table, relation, column):
    frame = polars.read_delta(str(shop.lake / table))
    found = (frame.height, frame[column].sum()) if column else (frame.height,)
    assert found == asked(shop, relation, column)


def test_every_table_speaks_protocol_1_2_and_keeps_no_personal_statistics(shop):
    # Tables of analysts come and go with other tests.
    tables = sorted(log.parent for log in shop.lake.rglob("_delta_log") if log.parent.parent.name != "analytics")
    assert len(tables) >= 15, tables
    for path in tables:
        table = deltalake.DeltaTable(str(path))
        protocol = table.protocol()
        assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2), path
        for log in sorted((path / "_delta_log").glob("*.json")):
            text = log.read_text()
            for canary in ["@gmail.com", ".example", "+48", "Nowak"]:
                assert canary not in text, f"{canary} stands in {log}"


def test_a_table_is_whole_after_its_log_was_cleaned_up(tmp_path, duck):
    """Whoever opens it starts from a checkpoint: DuckDB, Polars, and onefold when it comes again."""
    project, lake, log = tmp_path / "project", tmp_path / "lake", tmp_path / "lake/cdp/refreshes/_delta_log"
    (project / "sources").mkdir(parents=True)
    (project / "onefold.toml").write_text("")
    source = "CREATE SOURCE clicks FROM FILE ('clicks.ndjson') FORMAT ndjson AS EVENTS;\n"
    (project / "sources/clicks.sql").write_text(source)
    (project / "clicks.ndjson").write_text("")
    run(["apply", ".", "--dir", str(lake)], project)
    refreshes = 0

    def refresh():
        nonlocal refreshes
        refreshes += 1
        with open(project / "clicks.ndjson", "a") as clicks:
            clicks.write(f'{{"n": {refreshes}}}\n')
        # As old as the log of a table that was written to for days.
        days_ago = time.time() - 3 * 24 * 3600
        for entry in log.iterdir() if log.is_dir() else []:
            os.utime(entry, (days_ago, days_ago))
        run(["refresh", "--dir", str(lake)], project)

    refresh()
    while (log / f"{0:020}.json").exists():
        refresh()
        assert refreshes < 100, "the log was not cleaned up"
    assert list(log.glob("*.checkpoint.parquet"))
    refresh()
    refresh()
    done = "object = 'source clicks' AND status = 'done'"
    expected = (refreshes, refreshes)
    count = "count(*), sum(rows_out)"
    found = duck.execute(f"SELECT {count} FROM delta_scan('{lake / 'cdp/refreshes'}') WHERE {done}").fetchone()
    assert found == expected
    frame = polars.read_delta(str(lake / "cdp/refreshes"))
    frame = frame.filter(polars.col("object") == "source clicks", polars.col("status") == "done")
    assert (frame.height, frame["rows_out"].sum()) == expected
    clicks = duck.execute(f"SELECT count(*), sum(n) FROM delta_scan('{lake / 'sources/clicks'}')").fetchone()
    assert clicks == (refreshes, refreshes * (refreshes + 1) // 2)
