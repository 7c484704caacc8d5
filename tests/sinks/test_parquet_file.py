"""What is written comes back from a reader nobody here made: DuckDB, every number by its bits."""

from __future__ import annotations

import contextlib
import math
import os
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
from sinks.parquet_check import changed, page_head
from sinks.parquet_file import WRITER, ParquetFile

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
    file = ParquetFile(path, TYPES)
    for part in parts:
        file.append(part)
    file.close()
    assert changed(path) == ""
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


def test_few_rows_at_a_time_become_few_row_groups(tmp_path: Path) -> None:
    rows = columns([(n, n // 7, n / 3, n % 2) for n in range(30_000)])
    few = [{name: column[at : at + 1_000] for name, column in rows.items()} for at in range(0, 30_000, 1_000)]
    path = written(tmp_path / "f.parquet", *few)
    same(path, rows)
    assert duckdb.execute("SELECT num_row_groups, num_rows FROM parquet_file_metadata(?)", [str(path)]).fetchall() == [
        (4, 30_000)
    ]


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
    file = ParquetFile(path, TYPES)
    file.append(columns([(1, 1, 1.0, 0)] * 5_000))
    file.abandon()
    assert "is no Parquet file" in changed(path)
    with pytest.raises(duckdb.InvalidInputException):
        duckdb.sql(f"SELECT * FROM '{path}'").fetchall()


@pytest.mark.parametrize("rows", [0, 4])
def test_every_bit_that_flips_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Also those of the structure; but for the writer's name: a file without it says nothing of its bits."""
    monkeypatch.setattr(parquet_file, "ROW_GROUP", 3)
    path = written(tmp_path / "f.parquet", columns([(n * 10**12, n // 3, n / 7, n) for n in range(rows)]))
    sound = path.read_bytes()
    name = sound.rindex(WRITER)
    untold = set()
    with path.open("r+b", buffering=0) as file:
        for at, byte in enumerate(sound):
            for bit in range(8):
                os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), at)
                if not changed(path):
                    untold.add(at)
            os.pwrite(file.fileno(), bytes([byte]), at)
    assert untold == set(range(name, name + len(WRITER)))


@pytest.mark.parametrize("cut", [0, 1, 4, 12, 100, -1, -8, -9])
def test_what_is_cut_short_is_told(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path / "f.parquet", columns([(n, n, 0.5, 0) for n in range(50)]))
    path.write_bytes(path.read_bytes()[:cut])
    assert "is no Parquet file" in changed(path)


@pytest.mark.parametrize("rows", [0, 50])
def test_of_a_file_without_check_sums_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """As earlier versions left: DuckDB's own, and the first ones written without it."""
    theirs = tmp_path / "theirs.parquet"
    duckdb.sql(f"COPY (SELECT range % 9 AS series FROM range(50_000)) TO '{theirs}' (ROW_GROUP_SIZE 10_000)")
    assert changed(theirs) == ""
    integer, fields = parquet_file._i32, parquet_file._struct
    monkeypatch.setattr(parquet_file, "_signed", lambda _: None)
    monkeypatch.setattr(parquet_file, "_i32", lambda n, value: (n, 0, b"") if value is None else integer(n, value))
    monkeypatch.setattr(parquet_file, "_struct", lambda *given: fields(*(f for f in given if f[1])))
    earlier = tmp_path / "earlier.parquet"
    file = ParquetFile(earlier, TYPES)
    if rows:
        file.append(columns([(n, n, 0.5, 0) for n in range(rows)]))
    file.close()
    data = earlier.read_bytes()
    end = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    earlier.write_bytes(data[: end - 4] + data[end:])
    assert duckdb.sql(f"SELECT count(*) FROM '{earlier}'").fetchall() == [(rows,)]
    assert changed(earlier) == ""


@given(st.binary(max_size=80))
def test_a_head_that_is_none_is_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError, IndexError):
        said, length = page_head(data)
        assert said == page_head(data[:length])[0]
