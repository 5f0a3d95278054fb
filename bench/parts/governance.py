"""What governance costs: aggregates for a purpose that about nine people in ten allow, beside the raw scan.

The raw scan is DataFusion as it is over the same files: no subject is read, nobody is looked up, and nothing is audited. The
same statements for the purpose `service`, which hides nobody, stand beside it.
"""

from measure import Line, Sample, alternate, geometric_mean, seconds_text
from parts.cores import call

AIM = 1.25
TABLES = ("sources/web_events", "sources/orders")
AGGREGATES = {
    "bare sum": "SELECT sum(items) FROM {orders}",
    "sum and average by channel": "SELECT channel, count(*), sum(amount), avg(amount) FROM {orders} GROUP BY channel",
    "filtered sum": "SELECT sum(amount) FROM {orders} WHERE channel = 'app' AND items > 3",
    "first and last": "SELECT min(occurred_at), max(occurred_at) FROM {events}",
    "count by event": "SELECT event, count(*) FROM {events} GROUP BY event",
    "count by month": "SELECT date_trunc('month', occurred_at), count(*) FROM {events} GROUP BY 1",
    "filter over time": "SELECT count(*) FROM {events} WHERE event = 'purchase' AND occurred_at >= TIMESTAMPTZ '2025-12-01 00:00:00+00'",
    "distinct devices": "SELECT count(DISTINCT anonymous_id) FROM {events}",
}


def measure(bench):
    analyst, engineer = bench.onefold.connect("analyst"), bench.onefold.connect("engineer")
    for relation in ("profiles", "events", "sources.orders"):
        visible, everybody = (connection.execute(f"SELECT count(*) FROM {relation}").fetchone()[0] for connection in (analyst, engineer))
        yield Line("governance", f"{relation}: visible for analytics", f"{visible / max(everybody, 1):.1%} of {everybody:,}")
    to_raw, to_service = [], []
    for what, statement in AGGREGATES.items():
        sql = statement.format(events="events", orders="sources.orders")
        plain = statement.format(events="web_events", orders="orders")
        samples = alternate({"analytics": lambda: analyst.execute(sql).fetchall(), "service": lambda: engineer.execute(sql).fetchall()},
                            bench.repeat)
        raw, _ = call(bench, "scan", "--lake", bench.lake, "--sql", plain, "--repeat", bench.repeat, *TABLES)["scan"]
        ours: Sample = samples["analytics"]
        to_raw.append(ours.median / raw.median)
        to_service.append(ours.median / samples["service"].median)
        yield Line("governance", what, seconds_text(ours.median),
                   f"raw {seconds_text(raw.median)}, for service {seconds_text(samples['service'].median)}",
                   to_raw[-1], spread=ours.spread, count=ours.count)
        if to_raw[-1] > 2 * AIM:
            bench.note_plan(what, sql, "analyst")
    mean = geometric_mean(to_raw)
    yield Line("governance", "geometric mean", "", "raw scan", mean, AIM, mean <= AIM)
    mean = geometric_mean(to_service)
    yield Line("governance", "geometric mean", "", "for service", mean, AIM, mean <= AIM)
