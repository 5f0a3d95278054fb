"""How long a refresh takes: everything from nothing, one hundredth more, nothing new, and derived tables rebuilt.

The first one makes the lake that the other parts read, so this part always runs when there is no lake.
"""

import shutil

import data
import servers
from measure import Line, Sample, count_text, run, run_with_peak, seconds_of, seconds_text

TIMEOUT_S = 7_200


def measure(bench):
    log = bench.work / "refresh.log"
    shutil.rmtree(bench.lake, ignore_errors=True)
    for batch in range(1, data.LATE_BATCHES + 1):
        _set_late(bench, batch, there=False)
    run([bench.binary, "apply", bench.work / "project", "--dir", bench.lake], TIMEOUT_S)
    refresh = lambda *options: run_with_peak([bench.binary, "refresh", "--dir", bench.lake, *options], TIMEOUT_S, log)
    first, peak = refresh()
    records, events = count_text(bench.people), count_text(bench.events)
    yield Line("refresh", f"everything from files: {records} records, {records} orders, {events} events",
               f"{seconds_text(first)}, {peak / 1e9:.1f} GB", count=1)
    for step in log.read_text().splitlines():
        if " rows in " in step and step.endswith(" s"):
            yield Line("refresh", f"  of it {step}", "")
    nothing = Sample([refresh()[0] for _ in range(bench.repeat)])
    yield Line("refresh", "nothing new", seconds_text(nothing.median), f"everything {seconds_text(first)}", nothing.median / first,
               spread=nothing.spread, count=nothing.count)
    _set_late(bench, 1, there=True)
    late, peak = refresh()
    yield Line("refresh", "1 % more, by a process of its own", f"{seconds_text(late)}, {peak / 1e9:.1f} GB", f"everything {seconds_text(first)}",
               late / first, count=1)
    first_late, *others = _late_by_server(bench)
    yield Line("refresh", "1 % more, the first by a server: it replays the log", seconds_text(first_late), f"everything {seconds_text(first)}",
               first_late / first, count=1)
    late = Sample(others)
    yield Line("refresh", "1 % more, by the server that knows the rest", seconds_text(late.median), f"everything {seconds_text(first)}",
               late.median / first, spread=late.spread, count=late.count)
    full, peak = refresh("--full")
    yield Line("refresh", "derived tables rebuilt from nothing (--full)", f"{seconds_text(full)}, {peak / 1e9:.1f} GB", count=1)


def _late_by_server(bench):
    """Gives each other late batch to a running server, and yields how long it took."""
    with servers.Onefold(bench.binary, bench.lake, bench.work / "serve.log") as server, server.connect("engineer") as connection:
        connection.execute(f"SET statement_timeout = {TIMEOUT_S * 1000}")
        connection.execute("REFRESH ALL")
        for batch in range(2, data.LATE_BATCHES + 1):
            _set_late(bench, batch, there=True)
            yield seconds_of(lambda: connection.execute("REFRESH ALL"))


def _set_late(bench, batch, there):
    """Puts the files of a late batch where the sources look, or takes them away."""
    for file in (bench.work / "late" / str(batch)).glob("*/*"):
        target = bench.work / "project" / "data" / file.parent.name / f"late-{batch}{file.suffix}"
        if there:
            shutil.copy(file, target)
        else:
            target.unlink(missing_ok=True)
