"""What real clients send is answered as PostgreSQL 15 answers it, but for listed differences. See `replay`."""

import pathlib
import tempfile

import psycopg
import pytest
import replay
from conftest import served
from postgres15 import Postgres

PASSWORD = "replay"


@pytest.fixture(scope="module")
def postgres():
    if not Postgres.available():
        pytest.skip("PostgreSQL 15 is not installed")
    with Postgres(PASSWORD) as server:
        dsn = f"host=127.0.0.1 port={server.port} user=postgres password={PASSWORD}"
        with psycopg.connect(f"{dsn} dbname=postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE cdp")
        with psycopg.connect(f"{dsn} dbname=cdp", autocommit=True) as connection:
            connection.execute(replay.RELATIONS)
        yield f"{dsn} dbname=cdp"


@pytest.fixture(scope="module")
def onefold():
    with tempfile.TemporaryDirectory(prefix="onefold-replay-") as folder:
        replay.write_project(pathlib.Path(folder))
        with served(pathlib.Path(folder)) as server:
            yield server


@pytest.mark.parametrize("client", sorted(replay.statements()))
def test_a_client_is_answered_as_by_postgresql(onefold, postgres, client):
    theirs, ours = replay.Side(postgres, "cdp"), replay.Side(onefold.dsn("engineer"), "onefold")
    try:
        found, known = replay.differences(client, theirs, ours), replay.known_differences().get(client, {})
    finally:
        theirs.close()
        ours.close()
    unknown = {place: what for place, what in found.items() if place not in known}
    assert not unknown, unknown
    gone = sorted(set(known) - set(found), key=int)
    assert not gone, f"answered as by PostgreSQL now: take {gone} of {client} out of {replay.DIFFERENCES.name}"


def test_every_difference_has_a_reason():
    reasons = [(client, place) for places in replay.reasons().values() for client in places for place in places[client]]
    listed = [(client, place) for client, places in replay.known_differences().items() for place in places]
    assert sorted(reasons) == sorted(listed)
