"""The data: people from their generator, and events, orders and consents of our own, all from one seed.

Everything lies below one folder: `project/data` is what the lake is made of at first, `late/1..3` are batches of one
hundredth more each, `ingest/data` holds the same rows in each format. It is made once for each size, and kept.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

SEED = 42
LATE_BATCHES = 4
LATE_SHARE = 100
EVENTS_PER_FILE = 1_000_000
EVENTS_PER_CHUNK = 250_000
GENERATOR_TIMEOUT_S = 1_800
STRANGERS = 0.03
"""Of the events: by visitors whom no record knows and who were never asked."""
ALLOWED, REFUSED = 0.94, 0.03
"""Of the persons; the others were never asked. With strangers, and with families that share a refusal, about nine tenths
of the events are of people who may be seen."""

EVENTS = ["product_view", "search", "email_click", "add_to_cart", "purchase", "wishlist_add", "identify"]
EVENT_SHARES = [0.50, 0.15, 0.10, 0.12, 0.05, 0.03, 0.05]
CATEGORIES = ["shoes", "shirts", "coats", "bags", "toys", "books", "garden", "kitchen", "sport", "music", "beauty", "tools"]
CHANNELS = ["web", "app", "store", "phone"]
HERE = pathlib.Path(__file__).resolve().parent


def make(work, generator, people, events):
    """Makes the data unless it is there, and returns how long that took."""
    wanted = {"people": people, "events": events, "seed": SEED, "layout": 2}
    marker = work / "data.json"
    if marker.is_file() and json.loads(marker.read_text()) == wanted:
        return None
    begun = time.perf_counter()
    for folder in ("project", "late", "ingest", "generated", "lake"):
        shutil.rmtree(work / folder, ignore_errors=True)
    marker.unlink(missing_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    shutil.copytree(HERE / "project", work / "project")
    shutil.copytree(HERE / "ingest", work / "ingest")
    records, truth = _people(work, generator, people)
    _consents(work, records, truth, people)
    identified = _Identified(records.slice(0, people))
    _orders(work, identified, people)
    _events(work, identified, events)
    _formats(work, records.slice(0, people), min(people, events))
    marker.write_text(json.dumps(wanted))
    return time.perf_counter() - begun


def late_size(count):
    return max(1, count // LATE_SHARE)


def _people(work, generator, people):
    total = people + LATE_BATCHES * late_size(people)
    command = [sys.executable, str(generator), "--n", str(total), "--seed", str(SEED), "--out", str(work / "generated")]
    subprocess.run(command, check=True, timeout=GENERATOR_TIMEOUT_S, stdout=subprocess.DEVNULL)
    records = pq.read_table(work / "generated" / "records.parquet")
    truth = pq.read_table(work / "generated" / "truth.parquet")
    # A time without a zone is not a moment.
    updated_at = records["updated_at"].cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    records = records.set_column(records.schema.get_field_index("updated_at"), "updated_at", updated_at)
    for folder, part in _batches(work, records, people, "people"):
        _write(part, folder / "people.parquet")
    return records, truth


def _batches(work, table, count, name):
    """Cuts a table into what is there at first and what comes late, each with its folder."""
    yield work / "project" / "data" / name, table.slice(0, count)
    for batch in range(LATE_BATCHES):
        yield work / "late" / str(batch + 1) / name, table.slice(count + batch * late_size(count), late_size(count))


def _write(table, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd", row_group_size=1 << 17)


def _consents(work, records, truth, people):
    """One answer for each record of a person who was asked, about the strongest identifier that it has, and one for the
    browser by which a record without a device shows in the events."""
    person = truth["person_id"].to_numpy()[:people]
    draw = np.random.default_rng(SEED + 1).random(int(person.max()) + 1)[person]
    first = records.slice(0, people)
    kinds, values = [], []
    kind, value = pa.nulls(people, pa.string()), pa.nulls(people, pa.string())
    for name in ("loyalty_id", "device_id", "email", "phone"):
        column = first[name].combine_chunks()
        kind = pc.if_else(pc.and_(pc.is_null(kind), pc.is_valid(column)), name, kind)
        value = pc.coalesce(value, column)
    status = pa.array(np.where(draw < ALLOWED, "granted", "denied"))
    asked = pa.array(draw < ALLOWED + REFUSED)
    columns = {"purpose": pa.repeat("analytics", people), "status": status,
               "captured_at": pa.repeat("2025-12-31T12:00:00Z", people)}
    by_record = pa.table({"identifier_kind": kind, "identifier": value, **columns}).filter(pc.and_(asked, pc.is_valid(value)))
    own = pa.table({"identifier_kind": pa.repeat("device_id", people), "identifier": _own_devices(people), **columns})
    own = own.filter(pc.and_(asked, pc.is_null(first["device_id"].combine_chunks())))
    table = pa.concat_tables([by_record, own])
    folder = work / "project" / "data" / "consent"
    folder.mkdir(parents=True)
    pa.csv.write_csv(table, folder / "ledger.csv")


class _Identified:
    """Identifiers of records, to draw from."""

    def __init__(self, records):
        self.count = len(records)
        self.loyalty = records["loyalty_id"].combine_chunks()
        self.email = records["email"].combine_chunks()
        self.device = pc.coalesce(records["device_id"].combine_chunks(), _own_devices(self.count))

    def draw(self, random, count):
        """Numbers of records, some of them much more often than others."""
        return np.minimum((random.random(count) ** 1.5 * self.count).astype(np.int64), self.count - 1)


def _own_devices(count):
    return _join("own", pa.array(np.arange(count)).cast(pa.string()))


def _join(*parts):
    parts = [pa.scalar(part, pa.string()) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="")


def _orders(work, identified, people):
    random = np.random.default_rng(SEED + 2)
    known = np.nonzero(pc.or_(pc.is_valid(identified.loyalty), pc.is_valid(identified.email)).to_numpy(zero_copy_only=False))[0]
    total = people + LATE_BATCHES * late_size(people)
    record = pa.array(known[(random.random(total) ** 1.5 * len(known)).astype(np.int64)])
    cents = np.maximum(100, (np.exp(random.normal(3.6, 0.9, total)) * 100).astype(np.int64))
    ordered_at = np.datetime64("2024-01-01T00:00:00", "us") + (random.random(total) * 731 * 86_400e6).astype("timedelta64[us]")
    table = pa.table({
        "order_id": _join("o", pc.utf8_lpad(pa.array(np.arange(total)).cast(pa.string()), 10, "0")),
        "loyalty_id": identified.loyalty.take(record),
        "email": identified.email.take(record),
        "ordered_at": pa.array(ordered_at, pa.timestamp("us", "UTC")),
        "items": pa.array(random.integers(1, 9, total).astype(np.int32)),
        "amount": _cents(cents),
        "currency": pa.repeat("USD", total),
        "channel": pa.array(CHANNELS).take(pa.array(random.choice(len(CHANNELS), total, p=[0.5, 0.3, 0.15, 0.05]))),
    })
    for folder, part in _batches(work, table, people, "orders"):
        _write(part, folder / "orders.parquet")


def _cents(cents):
    """Whole cents as DECIMAL(12,2), without a division: the 128-bit numbers themselves."""
    wide = np.zeros((len(cents), 2), np.int64)
    wide[:, 0] = cents
    return pa.Array.from_buffers(pa.decimal128(12, 2), len(cents), [None, pa.py_buffer(wide)])


def _events(work, identified, events):
    random = np.random.default_rng(SEED + 3)
    folder = work / "project" / "data" / "events"
    folder.mkdir(parents=True)
    for file_number, start in enumerate(range(0, events, EVENTS_PER_FILE)):
        with open(folder / f"events-{file_number:03}.ndjson", "wb") as file:
            for first in range(start, min(events, start + EVENTS_PER_FILE), EVENTS_PER_CHUNK):
                count = min(EVENTS_PER_CHUNK, events - first)
                file.write(_lines(random, identified, first, count, events))
    for batch in range(LATE_BATCHES):
        late = work / "late" / str(batch + 1) / "events"
        late.mkdir(parents=True)
        size = late_size(events)
        first = events + batch * size
        (late / "events.ndjson").write_bytes(_lines(random, identified, first, size, events))


def _lines(random, identified, first, count, events):
    """Calls of the Segment specification, in order of time over the year 2025 (what comes late is of 2026)."""
    number = np.arange(first, first + count)
    record = identified.draw(random, count)
    at = pa.array(record)
    event = random.choice(len(EVENTS), count, p=EVENT_SHARES)
    stranger = random.random(count) < STRANGERS
    logged_in = (random.random(count) < 0.4) & ~stranger
    visitor = _join("v", pa.array(number // 5).cast(pa.string()))
    device = pc.if_else(pa.array(stranger), visitor, identified.device.take(at))
    loyalty = pc.if_else(pa.array(logged_in), identified.loyalty.take(at), None)
    email = pc.if_else(pa.array(~stranger), identified.email.take(at), None)
    name = pa.array(EVENTS).take(pa.array(event))
    happened = np.datetime64("2025-01-01T00:00:00.000") + (number / events * 365 * 86_400_000).astype("timedelta64[ms]")
    time_text = lambda delay_ms: pa.array(np.char.add(np.datetime_as_string(happened + np.timedelta64(delay_ms, "ms"), unit="ms"), "Z"))
    text = lambda numbers: pa.array(numbers).cast(pa.string())
    properties = _join(
        ',"event":"', name, '","properties":{"sku":"S', text(random.integers(0, 20_000, count)), '","category":"',
        pa.array(CATEGORIES).take(pa.array(random.integers(0, len(CATEGORIES), count))), '","price":',
        text(np.round(random.random(count) * 200, 2)), ',"session":"s', text(record * 40 + random.integers(0, 40, count)), '"}')
    traits = pc.if_else(pc.is_valid(email), _join(',"traits":{"email":"', email, '"}'), ',"traits":{}')
    identify = pa.array(event == EVENTS.index("identify"))
    lines = _join(
        pc.if_else(identify, '{"type":"identify"', '{"type":"track"'),
        ',"messageId":"m', pc.utf8_lpad(text(number), 12, "0"), '","anonymousId":"', device, '"',
        pc.if_else(pc.is_valid(loyalty), _join(',"userId":"', loyalty, '"'), ""),
        pc.if_else(identify, traits, properties),
        ',"context":{"device":{"type":"', pa.array(["mobile", "desktop", "tablet"]).take(pa.array(random.integers(0, 3, count))),
        '"},"locale":"pl-PL"},"timestamp":"', time_text(0), '","sentAt":"', time_text(900), '","receivedAt":"', time_text(1_300), '"}\n')
    ends = np.frombuffer(lines.buffers()[1], np.int32, count + 1)
    return lines.buffers()[2][: ends[-1]]


def _formats(work, records, events):
    """The same people as CSV, NDJSON and Parquet, and as many events."""
    import duckdb

    folder = work / "ingest" / "data"
    folder.mkdir(parents=True)
    _write(records, folder / "people.parquet")
    with duckdb.connect() as connection:
        connection.sql("SET TimeZone = 'UTC'")
        people = f"SELECT * REPLACE (strftime(updated_at, '%Y-%m-%dT%H:%M:%SZ') AS updated_at) FROM '{folder}/people.parquet'"
        connection.sql(f"COPY ({people}) TO '{folder}/people.csv' (FORMAT csv, HEADER)")
        connection.sql(f"COPY ({people}) TO '{folder}/people.ndjson' (FORMAT json)")
    with open(work / "project" / "data" / "events" / "events-000.ndjson", "rb") as source, open(folder / "events.ndjson", "wb") as target:
        for _, line in zip(range(min(events, EVENTS_PER_FILE)), source):
            target.write(line)


def generator_path(given):
    """Where the generator of people is: as given, or beside the project."""
    path = pathlib.Path(given) if given else HERE.parent.parent / "shared" / "tools" / "gen_people.py"
    return path if os.path.isfile(path) else None
