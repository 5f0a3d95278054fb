"""The files of a table of the lake, by its Delta log: what any other engine reads."""

import json

import pyarrow.parquet as pq


def files(lake, table):
    """Returns the paths of the active files of a table."""
    folder = lake / table
    log = folder / "_delta_log"
    active, version = {}, -1
    pointer = log / "_last_checkpoint"
    if pointer.is_file():
        checkpoint = json.loads(pointer.read_text())
        version = checkpoint["version"]
        for part in sorted(log.glob(f"{version:020}.checkpoint*.parquet")):
            for row in pq.read_table(part, columns=["add"]).column("add").to_pylist():
                if row and row.get("path"):
                    active[row["path"]] = True
    for commit in sorted(log.glob("*.json")):
        if int(commit.stem) <= version:
            continue
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                active[action["add"]["path"]] = True
            elif "remove" in action:
                active.pop(action["remove"]["path"], None)
    return [str(folder / path) for path in active]
