"""Columns in, Parquet out, and back: the only place that speaks to DuckDB."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

Columns = Mapping[str, npt.NDArray[Any]]

# Rows a Parquet row group holds, DuckDB's own unit: a reader of one series skips the other groups.
ROW_GROUP: Final = 122_880
# V2 has delta and byte-stream-split encodings: on slow signals half the bytes of V1, in less time.
_ENCODING: Final = "PARQUET_VERSION V2, COMPRESSION zstd, COMPRESSION_LEVEL 1"
_SETTINGS: Final = {
    "threads": 1,
    "memory_limit": "256MB",
    # Between two writes its buffers belong to the system again.
    "allocator_flush_threshold": "1MB",
    "allocator_bulk_deallocation_flush_threshold": "1MB",
    "temp_directory": "",  # an embedded history has no business spilling to flash
    "enable_external_file_cache": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


class Parquet:
    """An in-memory DuckDB that only reads and writes Parquet; every call may come from another thread."""

    def __init__(self) -> None:
        self._database: duckdb.DuckDBPyConnection | None = None
        self._using = 0
        self._lock = Lock()

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._lock:
            self._using += 1
            self._database = database = self._database or duckdb.connect(":memory:", config=_SETTINGS)
        try:
            with database.cursor() as cursor:
                yield cursor
        finally:
            with self._lock:
                self._using -= 1

    def rest(self) -> None:
        """Give back what the database holds, 15 MB, until it is used again; opening it takes 15 ms."""
        with self._lock:
            if self._database is not None and not self._using:
                self._database.close()
                self._database = None

    def write(self, path: Path, columns: Columns) -> None:
        """Write columns in their order; raises OSError (no space, read-only …)."""
        path.open("wb").close()  # DuckDB ends the process where it finds no file descriptor left; this raises
        target = str(path).replace("'", "''")
        with self._cursor() as cursor:
            cursor.register("columns", dict(columns))
            try:
                cursor.execute(
                    f"COPY (SELECT * FROM columns) TO '{target}' "
                    f"(FORMAT parquet, {_ENCODING}, ROW_GROUP_SIZE {ROW_GROUP})"
                )
            except duckdb.IOException as error:
                raise _os_error(error, path) from error

    def read(
        self, paths: Sequence[Path], names: Iterable[str], where: str = "true", limit: int | None = None
    ) -> Columns:
        """Return the named columns of the rows that fit, at most `limit`, file by file in file order.

        At least one path. Raises FileNotFoundError when one is gone, OSError.
        """
        most = "" if limit is None else f" LIMIT {int(limit)}"
        chosen = ", ".join(f'"{name}"' for name in names)
        sql = f"SELECT {chosen} FROM read_parquet(?, hive_partitioning=false) WHERE {where}{most}"
        try:
            with self._cursor() as cursor:
                found = cursor.execute(sql, [[glob.escape(str(path)) for path in paths]]).fetchnumpy()
        except (duckdb.IOException, duckdb.InvalidInputException) as error:  # the latter: not a whole Parquet file
            if gone := [path for path in paths if not path.exists()]:
                raise FileNotFoundError(str(gone[0])) from error
            raise OSError(str(error)) from error
        return {name: _nan_for_null(column) for name, column in found.items()}


def _os_error(error: Exception, path: Path) -> OSError:
    """Return the system's own words where DuckDB passes its error number on."""
    number = re.search(r'"errno":"(\d+)"', str(error))
    return OSError(int(number[1]), os.strerror(int(number[1])), str(path)) if number else OSError(str(error))


def _nan_for_null(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """DuckDB stores NaN of a numpy array as NULL; only float columns have any."""
    return np.ma.filled(column, np.nan) if isinstance(column, np.ma.MaskedArray) else column
