"""The figures that `tests/README.md` tells are those of the suites."""

import pathlib
import re

import errors
import pytest
import replay

FOLDER = pathlib.Path(__file__).resolve().parent


def client_tests():
    return sum(len(re.findall(r"^def test_", file.read_text(), re.MULTILINE)) for file in FOLDER.glob("test_*.py"))


def replayed():
    statements, different = replay.statements().values(), replay.known_differences().values()
    return f"{sum(map(len, different))} of {sum(map(len, statements))}"


@pytest.mark.parametrize(
    "row",
    [
        f"| client tests | {client_tests()} test functions |",
        f"| statements replayed | {replayed()} are answered otherwise than by PostgreSQL 15 |",
        f"| broken statements | {errors.same('sqlstate')} of {len(errors.statements())} get the SQLSTATE of PostgreSQL 15, "
        f"{errors.same('position')} its position, all a hint |",
    ],
    ids=["clients", "replay", "errors"],
)
def test_the_readme_of_the_tests_tells_the_true_figure(row):
    assert row in (FOLDER.parent / "README.md").read_text().splitlines(), f"write: {row}"
