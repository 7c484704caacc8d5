"""Parquet files in, columns out: the only place that speaks to DuckDB."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import duckdb

Columns = Mapping[str, npt.NDArray[Any]]

_FILES: Final = "read_parquet(?, hive_partitioning=false)"
_SETTINGS: Final = {
    "threads": 1,
    "memory_limit": "256MB",
    # Between two questions its buffers belong to the system again.
    "allocator_flush_threshold": "1MB",
    "allocator_bulk_deallocation_flush_threshold": "1MB",
    "temp_directory": "",  # an embedded history has no business spilling to flash
    "enable_external_file_cache": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


class Parquet:
    """An in-memory DuckDB that only reads Parquet; every call may come from another thread."""

    def __init__(self) -> None:
        self._database: duckdb.DuckDBPyConnection | None = None
        self._using = 0
        self._lock = Lock()

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._lock:
            self._using += 1
            self._database = database = self._database or _connect()
        try:
            with database.cursor() as cursor:
                yield cursor
        finally:
            with self._lock:
                self._using -= 1

    def rest(self) -> None:
        """Give back the memory the database holds until it is used again, when it is opened anew."""
        with self._lock:
            if self._database is not None and not self._using:
                self._database.close()
                self._database = None

    def read(
        self, paths: Sequence[Path], names: Iterable[str], where: str = "true", limit: int | None = None
    ) -> Columns:
        """Return the named columns of the rows that fit, at most `limit`, file by file in file order.

        At least one path. Raises FileNotFoundError when one is gone, OSError.
        """
        most = "" if limit is None else f" LIMIT {int(limit)}"
        chosen = ", ".join(f'"{name}"' for name in names)
        return self._found(f"SELECT {chosen} FROM {_FILES} WHERE {where}{most}", paths)

    def counts(self, paths: Sequence[Path]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return (series in rising order, how many rows each has in all files); raises what `read` raises."""
        found = self._found(f"SELECT series, count(*) AS n FROM {_FILES} GROUP BY series ORDER BY series", paths)
        return found["series"], found["n"]

    def _found(self, sql: str, paths: Sequence[Path]) -> Columns:
        import duckdb

        try:
            with self._cursor() as cursor:
                found = cursor.execute(sql, [[glob.escape(str(path)) for path in paths]]).fetchnumpy()
        except (duckdb.IOException, duckdb.InvalidInputException) as error:  # the latter: not a whole Parquet file
            if gone := [path for path in paths if not path.exists()]:
                raise FileNotFoundError(str(gone[0])) from error
            raise OSError(str(error)) from error
        return {name: _nan_for_null(column) for name, column in found.items()}


def _connect() -> duckdb.DuckDBPyConnection:
    import duckdb  # here: a gateway that nobody asks anything needs none of it

    return duckdb.connect(":memory:", config=_SETTINGS)


def _nan_for_null(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What is no number is stored as missing; only float columns have any."""
    return np.ma.filled(column, np.nan) if isinstance(column, np.ma.MaskedArray) else column
