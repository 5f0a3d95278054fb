"""Ten segment queries through the wire, beside DuckDB on the same files and PostgreSQL on the same rows.

Each query is asked for its number of rows and the sum of its profiles, so that nothing but the query is measured, and so
that the answers can be compared: where they differ the part fails.
"""

import pathlib

import peers
from measure import Line, alternate, geometric_mean, seconds_text

AIM = 1.3
QUERIES = sorted((pathlib.Path(__file__).resolve().parent.parent / "queries").glob("*.sql"))


def measure(bench):
    onefold = bench.onefold.connect("engineer")
    over_lake = bench.duckdb
    over_copies = peers.duckdb_over_copies(over_lake, bench.work / "duckdb")
    asks = {"onefold": lambda sql: tuple(onefold.execute(sql).fetchone()),
            "DuckDB, lake": lambda sql: over_lake.execute(sql).fetchone(),
            "DuckDB, copy": lambda sql: over_copies.execute(sql).fetchone()}
    if bench.postgres:
        postgres = bench.postgres.connect()
        asks["PostgreSQL"] = lambda sql: postgres.execute(sql).fetchone()
    ratios = {name: [] for name in asks if name != "onefold"}
    for file in QUERIES:
        sql = _wrapped(file)
        _check_answers(file.stem, {name: ask(sql) for name, ask in asks.items()})
        samples = alternate({name: (lambda ask=ask: ask(sql)) for name, ask in asks.items()}, bench.repeat)
        ours = samples["onefold"]
        for name in ratios:
            ratios[name].append(ours.median / samples[name].median)
        ratio = ours.median / samples["DuckDB, lake"].median
        yield Line("query", file.stem.replace("_", " "), seconds_text(ours.median),
                   ", ".join(f"{name} {seconds_text(samples[name].median)}" for name in ratios),
                   ratio, AIM, ratio <= AIM, ours.spread, ours.count)
        if ratio > AIM:
            bench.note_plan(file.stem, sql, "engineer")
    for name, of_peer in ratios.items():
        mean = geometric_mean(of_peer)
        aim = AIM if name.startswith("DuckDB, lake") else None
        yield Line("query", "geometric mean of the ten", "", name, mean, aim, mean <= aim if aim else None)


def _wrapped(file):
    return f"SELECT count(*), CAST(sum(q.profile_id % 1000003) AS BIGINT) FROM ({file.read_text().strip()}\n) AS q"


def _check_answers(query, answers):
    expected = answers["onefold"]
    for name, answer in answers.items():
        if tuple(answer) != tuple(expected):
            raise RuntimeError(f"query {query}: onefold answers {expected}, {name} answers {answer}")
