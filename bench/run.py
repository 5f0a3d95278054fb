#!/usr/bin/env python3
"""Measures onefold beside DuckDB and PostgreSQL, and prints one table. `bench/README.md` says what each line means.

Nothing but Python is needed to start this: what it needs besides is installed into bench/.venv.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
PARTS = ["cores", "ingest", "refresh", "queries", "governance", "fetch", "front"]
SERVED = {"queries", "governance", "fetch", "front"}
"""Parts that talk to a server over the lake."""
PEOPLE, EVENTS = 1_000_000, 10_000_000
PEOPLE_QUICK, EVENTS_QUICK = 100_000, 1_000_000
REPEAT, REPEAT_QUICK = 5, 3
BUILD_TIMEOUT_S = 3_600


def main():
    arguments = parse_arguments()
    in_own_environment()
    sys.path[:0] = [str(HERE), str(ROOT / "tests" / "clients")]
    bench = Bench(arguments)
    lines, failures = [], []
    with contextlib.ExitStack() as stack:
        bench.prepare()
        report_start(bench)
        for part in arguments.parts:
            try:
                for line in bench.measure(part, stack):
                    lines.append(line)
                    report_line(line)
            except Exception as error:  # One part that fails must not hide what the others measured.
                failures.append(f"{part}: {error}")
                print(f"{part} failed: {error}", flush=True)
    save(bench, lines, failures)
    return 1 if failures else 0


def parse_arguments():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the data: a few minutes")
    parser.add_argument("--people", type=int, help="records of people, and orders")
    parser.add_argument("--events", type=int, help="events")
    parser.add_argument("--repeat", type=int, help="repetitions of each thing; the median counts")
    parser.add_argument("--parts", type=lambda text: text.split(","), default=PARTS, help=f"some of {','.join(PARTS)}")
    parser.add_argument("--binary", type=pathlib.Path, default=target / "release" / "onefold", help="the onefold to measure")
    parser.add_argument("--cores", type=pathlib.Path, help="the built program of the cores; cargo builds it when not given")
    parser.add_argument("--generator", help="gen_people.py; the one beside the project when not given")
    parser.add_argument("--work", type=pathlib.Path, default=HERE / "work", help="where data and lakes are kept (15 GB in full)")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    arguments.people = arguments.people or (PEOPLE_QUICK if arguments.quick else PEOPLE)
    arguments.events = arguments.events or (EVENTS_QUICK if arguments.quick else EVENTS)
    arguments.repeat = arguments.repeat or (REPEAT_QUICK if arguments.quick else REPEAT)
    return arguments


def in_own_environment():
    """Goes on in bench/.venv, which is made when it is not there or when what it has to hold is another."""
    folder = HERE / ".venv"
    python = folder / "bin" / "python"
    wanted = (HERE / "requirements.txt").read_text()
    marker = folder / "installed"
    if not (marker.is_file() and marker.read_text() == wanted):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(HERE / "requirements.txt")], check=True)
        marker.write_text(wanted)
    if pathlib.Path(sys.prefix).resolve() != folder.resolve():
        os.execv(python, [str(python), *sys.argv])


class Bench:
    """What the parts share: sizes, programs, folders, and servers that start when the first part needs them."""

    def __init__(self, arguments):
        self.people, self.events, self.repeat = arguments.people, arguments.events, arguments.repeat
        self.parts = arguments.parts
        self.quick = arguments.people < PEOPLE
        self.binary = arguments.binary.resolve()
        self.cores = arguments.cores
        self.generator = arguments.generator
        self.work = arguments.work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.lake = self.work / "lake"
        self.has_data = False
        self.onefold = self.postgres = self.duckdb = None
        self.plans = []

    def prepare(self):
        """Builds what is not built and makes the data."""
        import data

        if not self.binary.is_file():
            sys.exit(f"{self.binary} is not there: build it with `cargo build --release`, or name one with --binary")
        self.cores = self.cores or build_cores()
        generator = data.generator_path(self.generator)
        if generator is None:
            print("gen_people.py is neither given nor beside the project: only the cores that need no people are measured")
            return
        taken = data.make(self.work, generator, self.people, self.events)
        print(f"data: {self.people:,} records and orders, {self.events:,} events, " + (f"made in {taken:.0f} s" if taken else "there already"))
        self.has_data = True

    def measure(self, part, stack):
        """Runs one part, and yields its lines."""
        import importlib

        if part != "cores" and not self.has_data:
            return
        if part in SERVED and self.onefold is None:
            if not self.lake.is_dir():
                yield from self.measure("refresh", stack)
            self.serve(stack)
        yield from importlib.import_module(f"parts.{part}").measure(self)

    def serve(self, stack):
        """Starts the servers over the lake as it is now."""
        import peers
        import servers

        self.duckdb = peers.duckdb_over_lake(self.lake)
        if servers.Postgres.available():
            self.postgres = stack.enter_context(servers.Postgres())
            begun = time.perf_counter()
            peers.load_postgres(self.postgres, self.duckdb, self.work / "postgres")
            print(f"PostgreSQL filled in {time.perf_counter() - begun:.0f} s", flush=True)
        else:
            print("PostgreSQL 15 is not installed: its columns stay empty")
        self.onefold = stack.enter_context(servers.Onefold(self.binary, self.lake, self.work / "serve.log"))

    def note_plan(self, name, sql, role):
        """Keeps the plan of a statement that was slower than it should be."""
        with self.onefold.connect(role) as connection:
            rows = connection.execute(f"EXPLAIN {sql}").fetchall()
        self.plans.append((name, "\n".join(row[-1] for row in rows)))


def build_cores():
    """Builds the program of the cores, and returns where it is."""
    # With the package of the binary, so that both share what is compiled.
    command = [os.environ.get("CARGO", "cargo"), "build", "--release", "--locked", "--package", "sql", "--package", "engine", "--bin", "cores", "--message-format", "json"]
    output = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=BUILD_TIMEOUT_S).stdout
    messages = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return next(message["executable"] for message in reversed(messages)
                if message.get("executable") and message.get("target", {}).get("name") == "cores")


def machine(bench):
    import duckdb
    import psycopg

    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    memory = int(next(line for line in open("/proc/meminfo") if line.startswith("MemTotal")).split()[1]) / 1e6
    version = subprocess.run([bench.binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    kind = bench.binary.parent.name
    return [
        f"machine: {os.cpu_count()} x {cpu}, {memory:.0f} GB; load {os.getloadavg()[0]:.1f} at the start",
        f"versions: {version} ({revision}, {kind}), DuckDB {duckdb.__version__}, PostgreSQL 15, psycopg {psycopg.__version__}, Python {sys.version.split()[0]}",
        f"a ratio is onefold's time over the peer's, below 1 onefold is faster; medians of n, spread = (slowest - fastest) / median",
    ]


def report_start(bench):
    bench.facts = machine(bench)
    print("\n".join(bench.facts))
    print(f"\n{'part':<11}{'what':<66}{'onefold':<34}{'ratio':>7} {'aim':>5}     {'spread':>7} {'n':>3}  beside", flush=True)


def report_line(line):
    ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
    aim = "" if line.aim is None else f"{line.aim:g}"
    met = {None: "", True: "ok", False: "MISS"}[line.met]
    spread = "" if line.spread is None else f"{line.spread:.0%}"
    print(f"{line.part:<11}{line.what:<66}{line.onefold:<34}{ratio:>7} {aim:>5} {met:<4}{spread:>7} {line.count or '':>3}  {line.peer}", flush=True)


def save(bench, lines, failures):
    """Keeps the table in bench/results, as text for people and as JSON for programs."""
    import dataclasses

    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    cell = lambda value: "" if value is None else str(value).replace("|", "/")
    text = [f"# Measured at {now}", "", *(f"- {fact}" for fact in bench.facts), "",
            "| part | what | onefold | beside | ratio | aim | | spread | n |", "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for line in lines:
        met = {None: "", True: "ok", False: "miss"}[line.met]
        cells = [line.part, line.what.strip(), line.onefold, line.peer, None if line.ratio is None else f"{line.ratio:.2f}", line.aim, met,
                 None if line.spread is None else f"{line.spread:.0%}", line.count]
        text.append("| " + " | ".join(map(cell, cells)) + " |")
    text += [f"\nFailed: {failure}" for failure in failures]
    for name, plan in bench.plans:
        text += ["", f"## Plan: {name}", "", "```", plan, "```"]
    (folder / "latest.md").write_text("\n".join(text) + "\n")
    facts = {"at": now, "facts": bench.facts, "people": bench.people, "events": bench.events, "failures": failures}
    (folder / "latest.json").write_text(json.dumps({**facts, "lines": [dataclasses.asdict(line) for line in lines]}, indent=1))
    met = [line.met for line in lines if line.met is not None]
    print(f"\n{met.count(True)} of {len(met)} aims met; {folder / 'latest.md'} has this table" + (" and the plans of what was slow" if bench.plans else ""))


if __name__ == "__main__":
    sys.exit(main())
