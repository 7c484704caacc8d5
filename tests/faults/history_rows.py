"""A gateway's history → every row with all it says, by series and in the order of their time."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import duckdb

from pipeline.log.log import LogReader


class Row(NamedTuple):
    """A row of the history."""

    time_ns: int
    span_ns: int
    value: float
    quality: int


History = dict[str, list[Row]]


def all_rows(data: Path) -> History:
    """Return each series' rows in the raw files."""
    with closing(LogReader(data)) as reader:
        keys = dict(reader.query("SELECT id, key FROM series"))
    columns = "series, time_ns, span_ns, value, quality"
    found = duckdb.sql(f"SELECT {columns} FROM read_parquet('{data}/history/raw/*.parquet') ORDER BY time_ns, span_ns")
    rows: History = {}
    for series, *row in found.fetchall():
        rows.setdefault(keys[series], []).append(Row(*row))
    return rows
