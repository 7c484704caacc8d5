"""Rows of one cut of the log in, by rising series; out: its roll-ups and its raw file, the raw file last.

However many rows a cut has, only those handed over at a time are in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.batch import DTYPES
from sinks.history_files import HOURS, MINUTES, RAW, File, Level, publish, remove, temporary
from sinks.history_parquet import Columns
from sinks.history_rollup import PARTIAL, summarise, widened
from sinks.parquet_file import ParquetFile


def types_of(level: Level) -> Mapping[str, Any]:
    """Return the columns of a level's files with their types."""
    return PARTIAL if level.step_ns else DTYPES


class Growing:
    """A file of one level that grows by rows of rising series until it gets its name."""

    def __init__(self, root: Path, level: Level, after: int, upto: int) -> None:
        self.folder, self.level, self.after, self.upto = root / level.name, level, after, upto
        self.rows = 0
        self._times: tuple[int, int] | None = None
        self._file: ParquetFile | None = None

    @property
    def path(self) -> Path:
        """Return where it is until it has its name."""
        return temporary(self.folder, self.after, self.upto)

    def add(self, columns: Columns) -> None:
        """Write rows; raises OSError."""
        self._opened().append(columns)
        if rows := len(columns["series"]):
            begin, end = _reach(columns)
            first, last = self._times or (begin, end)
            self._times, self.rows = (min(first, begin), max(last, end)), self.rows + rows

    def publish(self) -> File:
        """Give it its name, so that it survives a power cut; raises OSError."""
        self._opened().close()
        file = self.named()
        publish(self.path, file)
        return file

    def named(self) -> File:
        """Return what it is called, or will be."""
        return File.named(self.folder, *(self._times or (0, 0)), self.after, self.upto, self.rows)

    def abandon(self) -> None:
        """Let it never have been; raises OSError."""
        if self._file:
            self._file.abandon()
            self._file = None
        remove([self.path])

    def _opened(self) -> ParquetFile:
        self._file = self._file or ParquetFile(self.path, types_of(self.level))
        return self._file


class Cut:
    """The three files of one cut, before it is committed: nothing of it counts yet."""

    def __init__(self, root: Path, after: int, upto: int) -> None:
        self.upto: Final = upto
        self._raw, self._minutes, self._hours = (Growing(root, level, after, upto) for level in (RAW, MINUTES, HOURS))
        self._named: list[File] = []

    def add(self, rows: Columns) -> None:
        """Take rows sorted by series and time, of series beyond those that came before; raises OSError."""
        self._raw.add(rows)
        if len(rows["series"]):
            partials = summarise(rows, MINUTES.step_ns)
            self._minutes.add(partials)
            self._hours.add(widened(partials, HOURS.step_ns))

    def commit(self) -> None:
        """Name the roll-ups, then the raw file, which makes them count; raises OSError."""
        for rollup in (self._minutes, self._hours):
            self._named.append(rollup.named())
            rollup.publish()
        self._raw.publish()

    def abandon(self) -> None:
        """Remove what was written, roll-ups that have their names included; raises OSError."""
        for growing in (self._raw, self._minutes, self._hours):
            growing.abandon()
        remove(file.path for file in self._named)


def _reach(columns: Columns) -> tuple[int, int]:
    """Return where the earliest interval or bucket begins and the latest row stands [ns UTC]; one row at least."""
    if "bucket_ns" in columns:
        return int(columns["bucket_ns"].min()), int(columns["bucket_ns"].max())
    begin = columns["time_ns"] - np.maximum(columns["span_ns"], 0)
    return int(begin.min()), int(columns["time_ns"].max())
