"""The tests that SQLAlchemy brings for whoever writes a dialect. What they may expect of onefold is in requirements.py."""

from sqlalchemy.testing.suite import *  # noqa: F401, F403
