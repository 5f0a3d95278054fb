"""Values are written and read byte for byte as PostgreSQL 15 does, but for listed differences. See `values`."""

import pytest
import values
from postgres15 import Postgres

PASSWORD = "values"


@pytest.fixture(scope="module")
def sides(shop):
    if not Postgres.available():
        pytest.skip("PostgreSQL 15 is not installed")
    with Postgres(PASSWORD) as server:
        dsn = f"host=127.0.0.1 port={server.port} user=postgres password={PASSWORD} dbname=postgres"
        theirs, ours = values.Side(dsn), values.Side(shop.dsn("engineer"))
        yield theirs, ours
        theirs.close()
        ours.close()


def hold(group, found):
    """Fails unless the differences that were found are those that are listed."""
    found = {place: ways for place, ways in found.items() if ways}
    known = values.known().get(group, {})
    unknown = {place: ways for place, ways in found.items() if ways.keys() - known.get(place, {}).keys()}
    assert not unknown, unknown
    gone = [(place, way) for place, ways in known.items() for way in ways if way not in found.get(place, {})]
    assert not gone, f"answered as by PostgreSQL now: take {gone} of {group} out of {values.DIFFERENCES.name}"


@pytest.mark.parametrize("name", values.LITERALS)
def test_literals(sides, name):
    found = {}
    for text in values.LITERALS[name]:
        found[values.place(text)] = values.differences(values.answers(*sides, name, text))
    hold(name, found)


@pytest.mark.parametrize("zone", values.ZONES)
def test_points_in_time(sides, zone):
    """Times in and around the hours that a zone leaves out or has twice."""
    for side in sides:
        side.run(f"SET TIME ZONE '{zone}'")
    found = {}
    for text in values.ZONES[zone]:
        found[text] = values.differences(values.answers(*sides, "timestamptz", text))
    for side in sides:
        side.run("RESET TIME ZONE")
    hold(zone, found)


def test_expressions(sides):
    """Expressions have the types of PostgreSQL, and its values."""
    found = {}
    for expression in values.EXPRESSIONS:
        theirs, ours = (side.value(f"SELECT {expression}") for side in sides)
        found[expression] = values.differences({"text": (theirs, ours)})
    hold("expressions", found)
