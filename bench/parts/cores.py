"""The cores that no client reaches: components, the constrained resolution, commits. They run in a program of their own."""

import json
import os
import pathlib
import subprocess
import tempfile

from measure import Line, Sample, count_text, seconds_of, seconds_text

TIMEOUT_S = 1_800
UNION_EDGES, UNION_EDGES_QUICK = 20_000_000, 2_000_000
UNION_AIM_S = 3.0
COMMIT_FILES = (10, 1_000)
COMMITS = 100
MEMORY = pathlib.Path("/dev/shm")
COMMIT_AIM = 1.5
"""Flat: at a thousand files a commit takes at most this much longer than at ten."""


def call(bench, *arguments):
    """Runs the program, and returns what it measured by name."""
    command = [str(bench.cores), *map(str, arguments)]
    output = subprocess.run(command, check=True, timeout=TIMEOUT_S, capture_output=True, text=True).stdout
    return {line["name"]: (Sample(line["seconds"]), line["facts"]) for line in map(json.loads, output.splitlines())}


def measure(bench):
    yield from _union(bench)
    if bench.has_data:
        yield from _resolve(bench)
    yield from _commits(bench)


def _union(bench):
    edges = UNION_EDGES_QUICK if bench.quick else UNION_EDGES
    sample, facts = call(bench, "union", "--edges", edges, "--repeat", bench.repeat)["union"]
    aim = UNION_AIM_S * edges / UNION_EDGES
    yield Line(
        "cores", f"union of {count_text(edges)} edges, {count_text(facts['keys'])} keys, {count_text(facts['components'])} components",
        f"{seconds_text(sample.median)}, {count_text(edges / sample.median)} edges/s", f"aim {seconds_text(aim)}",
        sample.median / aim, 1.0, sample.median <= aim, sample.spread, sample.count)


def _resolve(bench):
    records = bench.work / "generated" / "records.parquet"
    found = call(bench, "resolve", "--records", records, "--repeat", min(bench.repeat, 3))
    plain, plain_facts = found["resolve_plain"]
    for name, what in (("resolve_add", "resolve: take in {records} records"), ("resolve", "resolve: {records} records to {profiles} profiles"),
                       ("resolve_late", "resolve: {records} late records, {resolved} looked at again")):
        sample, facts = found[name]
        what = what.format(**{key: count_text(value) for key, value in facts.items()})
        rate = f"{seconds_text(sample.median)}, {count_text(facts['records'] / sample.median)} records/s"
        beside = name == "resolve"
        peer = f"plain components of {count_text(plain_facts['edges'])} edges: {seconds_text(plain.median)}" if beside else ""
        yield Line("cores", what, rate, peer, sample.median / plain.median if beside else None, spread=sample.spread, count=sample.count)


def _commits(bench):
    fsync = _fsync(bench.work)
    for files in COMMIT_FILES:
        sample = _commit(bench.work, bench, files)
        yield Line("commit", f"on disk, at {files:,} files", f"{seconds_text(sample.median)} (slowest {seconds_text(max(sample.seconds))})",
                   f"one fsync of a new file {seconds_text(fsync.median)}", sample.median / fsync.median, spread=sample.spread, count=sample.count)
    if not MEMORY.is_dir():
        return
    # The waits of a disk come in steps that hide what a commit costs by itself.
    few, many = (_commit(MEMORY, bench, files) for files in COMMIT_FILES)
    ratio = many.median / few.median
    yield Line("commit", f"in memory, at {COMMIT_FILES[1]:,} files", seconds_text(many.median), f"at {COMMIT_FILES[0]} files {seconds_text(few.median)}",
               ratio, COMMIT_AIM, ratio <= COMMIT_AIM, many.spread, many.count)


def _commit(parent, bench, files):
    with tempfile.TemporaryDirectory(dir=parent, prefix="onefold-bench-") as folder:
        return call(bench, "commit", "--folder", folder, "--files", files, "--commits", COMMITS)["commit"][0]


def _fsync(parent):
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        return Sample([seconds_of(lambda number=number: _write_through(f"{folder}/{number}")) for number in range(COMMITS)])


def _write_through(path):
    with open(path, "wb") as file:
        file.write(b"x" * 500)
        file.flush()
        os.fsync(file.fileno())
