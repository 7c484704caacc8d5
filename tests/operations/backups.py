"""A data directory or a backup in; out: the rows it holds, or the same backup with something else in its manifest."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path

import duckdb
import orjson

from pipeline.log.log import LogReader
from sinks.history_query import Reader
from tanflow.backup.manifest import NAME

Kept = tuple[int, int, float]  # series, time [ns], value


def held(folder: Path) -> Counter[Kept]:
    """Return the rows of a data directory, each once: the history's, and the log's beyond its cursor."""
    archived = Reader(folder / "history").cursor()
    rows: list[Kept] = []
    if archived:
        query = f"SELECT series, time_ns, value FROM read_parquet('{folder}/history/raw/*.parquet')"
        rows = duckdb.sql(query).fetchall()
    with closing(LogReader(folder)) as reader:
        for window in reader.read_raw(archived, 10**9):
            for b in window.batches:
                rows += zip(b.series.tolist(), b.time_ns.tolist(), b.value.tolist(), strict=True)
    return Counter(rows)


def changed(backup: Path, **said: object) -> None:
    """Write something else into a backup's manifest."""
    before = orjson.loads((backup / NAME).read_bytes())
    (backup / NAME).write_bytes(orjson.dumps(before | said))
