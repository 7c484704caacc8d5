"""What is written comes back from a reader nobody here made: DuckDB, every number by its bits."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks import parquet_file
from sinks.parquet_file import ParquetFile

TYPES = {"time_ns": np.int64, "series": np.int32, "value": np.float64, "quality": np.uint16}
FEW = st.sampled_from([0, 1, -5, 2**31 - 1])
ROW = st.tuples(
    st.one_of(FEW, st.integers(-(2**63), 2**63 - 1)),
    st.integers(-(2**31), 2**31 - 1),
    st.one_of(st.sampled_from([0.0, -0.0, 0.1, math.nan, math.inf]), st.floats(allow_nan=False)),
    st.integers(0, 2**16 - 1),
)


def columns(rows: list[tuple[Any, ...]]) -> dict[str, npt.NDArray[Any]]:
    return {name: np.array([row[i] for row in rows], dtype) for i, (name, dtype) in enumerate(TYPES.items())}


def written(path: Path, *parts: dict[str, npt.NDArray[Any]]) -> Path:
    with ParquetFile(path, TYPES) as file:
        for part in parts:
            file.append(part)
        file.close()
    return path


def same(path: Path, rows: dict[str, npt.NDArray[Any]]) -> None:
    found = duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchnumpy()
    assert list(found) == list(TYPES)
    for name, column in rows.items():
        read = np.ma.filled(found[name], np.nan) if name == "value" else found[name]
        assert read.dtype == column.dtype
        np.testing.assert_array_equal(np.signbit(read[read == 0]), np.signbit(column[column == 0]))
        np.testing.assert_array_equal(read, column, err_msg=name)


@given(st.lists(ROW, max_size=60), st.integers(1, 30))
@settings(deadline=None)
def test_rows_come_back_whatever_they_are(rows: list[tuple[Any, ...]], group: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_file, "ROW_GROUP", group)
        same(written(Path(folder) / "f.parquet", columns(rows)), columns(rows))


@pytest.mark.parametrize("distinct", [1, 2, 255, 256, 257, 30_000, 65_536, 65_537, 150_000])
def test_dictionaries_of_every_size(tmp_path: Path, distinct: int) -> None:
    number = np.arange(150_000) % distinct
    given_ = {"time_ns": number * 7, "series": number, "value": number / 10, "quality": number % 60_000}
    rows = {name: given_[name].astype(dtype) for name, dtype in TYPES.items()}
    rows["value"][::1_000] = np.nan
    half = {name: column[:70_000] for name, column in rows.items()}
    rest = {name: column[70_000:] for name, column in rows.items()}
    same(written(tmp_path / "f.parquet", half, rest), rows)


def test_row_groups_tell_what_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "ROW_GROUP", 120_000)
    rows = columns([(n, n // 3, 1.0, 0) for n in range(300_000)])
    path = written(tmp_path / "f.parquet", rows)
    said = duckdb.execute(
        "SELECT row_group_num_rows, stats_min_value, stats_max_value FROM parquet_metadata(?)"
        " WHERE path_in_schema = 'series' ORDER BY row_group_id",
        [str(path)],
    ).fetchall()
    assert said == [(120_000, "0", "39999"), (120_000, "40000", "79999"), (60_000, "80000", "99999")]


def test_what_is_no_number_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path / "f.parquet", columns([(1, 1, 4.0, 0), (2, 1, math.nan, 0), (3, 1, math.inf, 0)]))
    assert duckdb.sql(f"SELECT count(value), min(value) FROM '{path}'").fetchall() == [(2, 4.0)]


def test_without_its_end_it_is_no_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    with ParquetFile(path, TYPES) as file:
        file.append(columns([(1, 1, 1.0, 0)] * 5_000))
    with pytest.raises(duckdb.InvalidInputException):
        duckdb.sql(f"SELECT * FROM '{path}'").fetchall()
