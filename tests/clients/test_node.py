"""node-postgres and postgres.js: runs what `node` holds, a test of Node.js for each."""

import os
import pathlib
import shutil
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent / "node"

pytestmark = pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="Node.js and npm are not here")


@pytest.mark.parametrize("script", sorted(path.name for path in FOLDER.glob("*.test.js")))
def test_a_driver_of_node(shop, script):
    assert (FOLDER / "node_modules").is_dir(), "the drivers are not installed: run `make test`, which does it"
    environment = {**os.environ, "ONEFOLD_PORT": str(shop.port), "TZ": "UTC"}
    done = subprocess.run(["node", "--test", script], cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
