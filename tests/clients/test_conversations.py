"""What no driver sends, and drivers only when something fails, is answered as by PostgreSQL. See `conversations`."""

import both
import pytest
from conversations import CONVERSATIONS, Side
from postgres15 import Postgres


@pytest.fixture(scope="module")
def ours():
    with both.onefold() as server:
        side = Side(server.dsn("engineer"))
        side.tell("CREATE TABLE wire (n int)")
        yield side


@pytest.fixture(scope="module")
def theirs():
    if not Postgres.available():
        pytest.skip("PostgreSQL 15 is not installed")
    with both.postgres() as dsn:
        side = Side(dsn)
        side.tell("CREATE TABLE wire (n int)")
        yield side


@pytest.mark.parametrize("about", CONVERSATIONS)
def test_a_conversation_goes_as_with_postgresql(ours, theirs, about):
    answers = []
    for side in (ours, theirs):
        side.tell("DELETE FROM wire")
        answers.append(side.hold(CONVERSATIONS[about]))
    assert answers[0] == answers[1]
