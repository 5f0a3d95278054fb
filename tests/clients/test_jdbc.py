"""pgjdbc: runs `jdbc/Client.java`, which checks metadata, types, parameters, cursors, transactions and timeouts."""

import os
import pathlib
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).resolve().parent / "jdbc/Client.java"
JARS = pathlib.Path("/usr/share/java")
DRIVER = JARS / "postgresql.jar"

pytestmark = [
    pytest.mark.skipif(shutil.which("javac") is None, reason="a JDK is not here"),
    pytest.mark.skipif(not DRIVER.is_file(), reason="pgjdbc is not here: install libpostgresql-jdbc-java"),
]


def test_pgjdbc(shop):
    # The driver needs them to log in.
    needed = sorted(JARS.glob("*scram*.jar")) + sorted(JARS.glob("*stringprep*.jar")) + sorted(JARS.glob("*saslprep*.jar"))
    path = os.pathsep.join(map(str, [DRIVER, *needed]))
    command = ["java", "-XX:TieredStopAtLevel=1", "-Duser.timezone=UTC", "-cp", path, str(SOURCE), str(shop.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
