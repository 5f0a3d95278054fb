"""How fast rows become part of the lake, for each format, beside DuckDB turning the same file into Parquet.

DuckDB does less: it keeps no keys, knows no subjects, writes no log and does not fsync. Each repetition has a lake of its own.
"""

import shutil

import duckdb
import peers
from measure import Line, Sample, count_text, run, seconds_of, seconds_text

TIMEOUT_S = 1_200
SOURCES = {"csv": "people_csv", "ndjson": "people_ndjson", "parquet": "people_parquet", "segment": "events_segment"}
FILES = {"csv": "people.csv", "ndjson": "people.ndjson", "parquet": "people.parquet", "segment": "events.ndjson"}
PEOPLE_COLUMNS = "{record_id: 'BIGINT', updated_at: 'TIMESTAMPTZ', " + ", ".join(f"{name}: 'VARCHAR'" for name in (
    "source", "first_name", "last_name", "email", "phone", "dob", "street", "city", "postcode", "country", "device_id", "loyalty_id")) + "}"
"""Declared for DuckDB as for onefold: a birthday that no calendar has is text."""
SEGMENT_COLUMNS = (
    "{type: 'VARCHAR', messageId: 'VARCHAR', anonymousId: 'VARCHAR', userId: 'VARCHAR', event: 'VARCHAR', "
    "properties: 'JSON', traits: 'JSON', context: 'JSON', timestamp: 'TIMESTAMPTZ', sentAt: 'TIMESTAMPTZ', receivedAt: 'TIMESTAMPTZ'}")


def measure(bench):
    for form, source in SOURCES.items():
        file = bench.work / "ingest" / "data" / FILES[form]
        ours, theirs = [], []
        for _ in range(bench.repeat):
            ours.append(_onefold(bench, source))
            theirs.append(seconds_of(lambda: _duckdb(bench, form, file)))
        rows, megabytes = _rows(form, file), file.stat().st_size / 1e6
        ours, theirs = Sample(ours), Sample(theirs)
        rate = lambda sample: f"{count_text(rows / sample.median)} rows/s, {megabytes / sample.median:.0f} MB/s"
        yield Line("ingest", f"{form}: {count_text(rows)} rows, {megabytes:.0f} MB ({seconds_text(ours.median)})", rate(ours),
                   f"DuckDB to Parquet {rate(theirs)}", ours.median / theirs.median, spread=ours.spread, count=ours.count)


def _onefold(bench, source):
    lake = bench.work / "ingest-lake"
    shutil.rmtree(lake, ignore_errors=True)
    run([bench.binary, "apply", bench.work / "ingest", "--dir", lake], TIMEOUT_S)
    seconds, _ = run([bench.binary, "refresh", "--dir", lake, "--source", source], TIMEOUT_S)
    shutil.rmtree(lake)
    return seconds


def _reader(form, file):
    return {
        "csv": f"read_csv('{file}', types = {PEOPLE_COLUMNS})",
        "ndjson": f"read_json('{file}', format = 'newline_delimited', columns = {PEOPLE_COLUMNS})",
        "parquet": f"read_parquet('{file}')",
        "segment": f"read_json('{file}', format = 'newline_delimited', columns = {SEGMENT_COLUMNS})"}[form]


def _duckdb(bench, form, file):
    target = bench.work / "ingest-peer.parquet"
    with peers.duckdb_connection() as connection:
        connection.execute(f"COPY (SELECT * FROM {_reader(form, file)}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    target.unlink()


def _rows(form, file):
    with duckdb.connect() as connection:
        return connection.execute(f"SELECT count(*) FROM {_reader(form, file)}").fetchone()[0]
