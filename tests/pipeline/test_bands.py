"""Rows held apart by bands of series: all of them come back to the bit, band by band, in their order."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.bands import Bands, narrow
from pipeline.batch import COLUMNS, DERIVED, DTYPES, Batch, Header, concat, make

HEADER = Header("floor", 1, "boot", 0, 0)


@st.composite
def given_batches(draw: st.DrawFn) -> list[Batch]:
    batches = []
    for _ in range(draw(st.integers(1, 4))):
        n = draw(st.integers(0, 12))
        derived = draw(st.booleans())
        number = st.integers(30, 45) if derived else st.integers(0, 29)  # a series is measured or derived, never both
        series = draw(hnp.arrays(np.int32, n, elements=number))
        time_ns = draw(hnp.arrays(np.int64, n, elements=st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9)))
        span_ns = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 2**40)))
        value = draw(hnp.arrays(np.float64, n) | hnp.arrays(np.float32, n))
        header = replace(HEADER, stratum=DERIVED) if derived else HEADER
        batches.append(make(header, time_ns, series, value, draw(hnp.arrays(np.uint16, n)), span_ns))
    return batches


@given(given_batches(), st.integers(0, 40), st.integers(1, 300), st.integers(1, 3))
def test_every_row_comes_back_band_by_band_and_in_its_order(
    batches: list[Batch], known: int, wanted: int, step: int
) -> None:
    series = concat(HEADER, batches).series
    counts = np.bincount(series[: known * len(series) // 40])  # those of a first part; other series are not foreseen
    bands = Bands(counts, wanted)
    for at in range(0, len(batches), step):
        bands.add(batches[at : at + step])
    found = list(bands.batches())
    assert all(len(band) for band in found)
    for one, other in pairwise(found):
        assert one.series.max() < other.series.min()
    for number in np.unique(series).tolist():
        of = [b.take(b.series == number) for b in batches]
        back = concat(HEADER, [b.take(b.series == number) for b in found])
        for name in COLUMNS:
            assert getattr(back, name).dtype == DTYPES[name]
            assert getattr(back, name).tobytes() == getattr(concat(HEADER, of), name).tobytes(), name


def test_bands_are_about_equal_where_their_rows_are_foreseen() -> None:
    rows = make(HEADER, 0, np.repeat(np.arange(1_000), np.arange(1_000) % 7), 0.5)
    bands = Bands(np.bincount(rows.series), 8)
    bands.add([rows])
    sizes = [len(b) for b in bands.batches()]
    assert len(sizes) == 8
    assert max(sizes) - min(sizes) <= 12


@pytest.mark.parametrize(
    ("column", "bytes_each"),
    [
        (np.array([2**62, 2**62, 2**62]), 0),
        (np.array([-5, 250, 0]), 1),
        (np.array([2**62, 2**62 + 65_535]), 2),
        (np.array([-(2**31), 2**31 - 1]), 4),
        (np.array([-(2**63), 2**63 - 1]), 8),
        (np.array([7, 65_535], np.uint16), 2),
        (np.array([230.5, np.inf, -0.0, np.nan]), 4),
        (np.array([230.1, 0.0]), 8),
        (np.array([1e300]), 8),
        (np.array([0x7FF0000000000001], np.int64).view(np.float64), 8),  # a NaN that would not stay the same
    ],
)
def test_a_column_takes_the_fewest_bytes_that_hold_it(column: np.ndarray[Any, Any], bytes_each: int) -> None:
    values, low = narrow(column)
    assert (values.itemsize if values.strides[0] else 0) == bytes_each
    back = values.astype(column.dtype) + column.dtype.type(low) if low else values.astype(column.dtype)
    assert back.tobytes() == column.tobytes()
