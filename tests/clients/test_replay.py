"""What real clients send is answered as PostgreSQL 15 answers it, but for listed differences. See `replay`."""

import both
import pytest
import replay
from postgres15 import Postgres


@pytest.fixture(scope="module")
def postgres():
    if not Postgres.available():
        pytest.skip("PostgreSQL 15 is not installed")
    with both.postgres() as dsn:
        yield dsn


@pytest.fixture(scope="module")
def onefold():
    with both.onefold() as server:
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
