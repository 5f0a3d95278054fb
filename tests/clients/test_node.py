"""node-postgres and postgres.js: runs what `node` holds, a test of Node.js for each."""

import os
import pathlib
import shutil
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent / "node"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not here"),
    pytest.mark.skipif(not (FOLDER / "node_modules").is_dir(), reason="its drivers are not installed: `make test` does it where npm is"),
]


@pytest.mark.parametrize("script", sorted(path.name for path in FOLDER.glob("*.test.js")))
def test_a_driver_of_node(shop, script):
    environment = {**os.environ, "ONEFOLD_PORT": str(shop.port), "TZ": "UTC"}
    done = subprocess.run(["node", "--test", script], cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
