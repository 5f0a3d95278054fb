"""Broken statements get PostgreSQL's SQLSTATE and position, but for listed differences, and a hint. See `errors`."""

import both
import errors
import pytest
from postgres15 import Postgres

SAME_SQLSTATES_MIN = 0.95
SAME_POSITIONS_MIN = 0.85


@pytest.fixture(scope="module")
def ours():
    with both.onefold() as server:
        side = errors.Side(server.dsn("engineer"))
        yield {name: side.errors(statement) for name, statement in errors.statements().items()}


@pytest.fixture(scope="module")
def theirs():
    if not Postgres.available():
        pytest.skip("PostgreSQL 15 is not installed")
    with both.postgres() as dsn:
        side = errors.Side(dsn)
        yield {name: side.errors(statement) for name, statement in errors.statements().items()}


def test_every_statement_is_broken(theirs):
    whole = [name for name, answers in theirs.items() if None in answers.values()]
    assert not whole, whole


def test_a_broken_statement_is_answered_as_by_postgresql(ours, theirs):
    found, known = errors.differences(ours, theirs), errors.known_differences()
    listed = {name: {field: known[name].get(field) for field in errors.FIELDS if field in known[name]} for name in known}
    unknown = {name: what for name, what in found.items() if listed.get(name) != what}
    assert not unknown, unknown
    gone = sorted(set(listed) - set(found))
    assert not gone, f"answered as by PostgreSQL now: take {gone} out of {errors.DIFFERENCES.name}"


def test_every_difference_has_a_reason():
    assert all(difference["why"] for difference in errors.known_differences().values())


def test_most_answers_are_those_of_postgresql():
    count = len(errors.statements())
    assert errors.same("sqlstate") >= SAME_SQLSTATES_MIN * count
    assert errors.same("position") >= SAME_POSITIONS_MIN * count


def test_every_error_has_a_hint(ours):
    without = [name for name, answers in ours.items() for error in answers.values() if error and not error["hint"]]
    assert not without, without


def test_no_error_speaks_of_what_is_inside(ours):
    told = [f"{error['message']} | {error['hint']}" for answers in ours.values() for error in answers.values() if error]
    inside = [text for text in told if errors.INSIDE.search(text)]
    assert not inside, inside
