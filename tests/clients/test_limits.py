"""What a thousand clients cost that say nothing."""

import pathlib
import resource

import pytest
from conftest import ROOT, served

IDLE_COUNT = 1000
IDLE_MB_MAX = 100
# Of each client one end here and one in the server, and what both have open besides.
FILES_NEEDED = 2 * IDLE_COUNT


def memory_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024


@pytest.fixture
def server():
    """A server of its own, which inherits the bound of open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES_NEEDED:
        pytest.skip(f"a process may have {hard} files open at most")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with served(ROOT / "examples/shop") as server:
        yield server


def test_a_thousand_idle_sessions_cost_little(server):
    with server.connect(autocommit=True) as first:
        first.execute("SELECT count(*) FROM profiles")
    before = memory_mb(server.pid)
    sessions = []
    try:
        for _ in range(IDLE_COUNT):
            sessions.append(server.connect("analyst", autocommit=True))
        cost = memory_mb(server.pid) - before
        print(f"{IDLE_COUNT} idle sessions cost {cost:.0f} MB")
        assert cost < IDLE_MB_MAX
        # All of them are there, and work.
        assert all(session.execute("SELECT 1").fetchone() == (1,) for session in sessions[:: IDLE_COUNT // 10])
    finally:
        for session in sessions:
            session.close()
