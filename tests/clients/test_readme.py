"""The tour of README.md, pasted line by line into psql and a shell over a fresh demo, prints what README.md says."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from conftest import ROOT, binary

MARK = "-- end of a block --"
# Psql names the place of a statement that it reads from a pipe.
PLACE = re.compile(r"^psql:<stdin>:\d+: ", re.MULTILINE)


def blocks() -> list[tuple[str, str, str | None]]:
    """The blocks of the tour in order: language, text, and what README.md says that it prints, if it says so."""
    readme = (ROOT / "README.md").read_text()
    tour = readme[readme.index("## A tour of five minutes") : readme.index("## What is where")]
    fenced = re.findall(r"^```(\w+)\n(.*?)^```$", tour, re.MULTILINE | re.DOTALL)
    pairs = zip(fenced, [*fenced[1:], ("", "")])
    return [(kind, text, said if next_kind == "text" else None) for (kind, text), (next_kind, said) in pairs if kind != "text"]


def lines(text: str) -> list[str]:
    """Lines without what a terminal does not show: trailing space and the number of empty lines."""
    return [line.rstrip() for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def demo():
    """A demo over a copy of the example, and the folder in which it runs as README.md has it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="onefold-readme-"))
    shutil.copytree(ROOT / "examples/shop", folder / "examples/shop", ignore=shutil.ignore_patterns("lake", "out"))
    process = subprocess.Popen(
        [binary(), "demo", "--listen", "127.0.0.1:0"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("ready "):
                break
        assert said and said[-1].startswith("ready postgres=127.0.0.1:"), f"{said}\n{process.stderr.read()}"
        port = said[-1].split()[1].rsplit(":", 1)[1]
        yield folder, port, process
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def test_the_tour_prints_what_it_says(demo):
    folder, port, process = demo
    tour = blocks()
    sql = [(text, said) for kind, text, said in tour if kind == "sql"]
    assert len(sql) > 10, "the tour has lost its blocks"
    script = "".join(f"{text}\n\\echo {MARK}\n" for text, _ in sql).replace(":5455/", f":{port}/")
    psql = ["psql", "--no-psqlrc", "--quiet", "--pset", "pager=off", f"postgresql://analyst:demo@127.0.0.1:{port}/onefold"]
    done = subprocess.run(
        psql, input=script, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout
    printed = PLACE.sub("", done.stdout).split(MARK)
    # The last block ends the session.
    assert len(printed) == len(sql), done.stdout
    for (text, said), answer in zip(sql, printed):
        if said is not None:
            assert lines(answer) == lines(said), f"{text}\nprints\n{answer}"

    process.terminate()
    assert process.wait(timeout=60) == 0
    environment = {**os.environ, "PATH": f"{pathlib.Path(binary()).parent}:{os.environ['PATH']}"}
    shell = [(text, said) for kind, text, said in tour if kind == "sh" and said is not None and "make demo" not in text]
    assert len(shell) == 3, "the tour has lost its blocks"
    for text, said in shell:
        command = re.sub(r"^export PATH=.*\n", "", text, flags=re.MULTILINE)
        done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        assert lines(done.stdout) == lines(said), f"{text}\nprints\n{done.stdout}\n{done.stderr}"
