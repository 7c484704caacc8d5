"""Amounts are cut into quarter hours that add up to them exactly, however they come."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carbon.cells import QUARTER_NS, Cells, close, cut, merge, none
from carbon.entries import MICRO
from pipeline import quality as q
from pipeline.batch import Batch, Header, make

HEADER = Header("c", 1, "b", 0, 0)
STREAM_OF = np.array([0, 1, -1, 2], np.int32)
HOUR_NS = 4 * QUARTER_NS
SECOND_NS = 1_000_000_000

rows = st.lists(
    st.tuples(
        st.integers(1, 400_000),
        st.integers(0, 100_000),
        st.integers(0, 4),
        st.floats(-1e4, 1e6),
        st.sampled_from([0, 1]),
    ),
    max_size=30,
)


def batch(data: list[tuple[int, int, int, float, int]]) -> Batch:
    times, spans, series, values, qualities = zip(*data, strict=True) if data else ([],) * 5
    return make(
        HEADER, np.array(times, np.int64) * SECOND_NS, np.array(series, np.int32), values, qualities,
        np.array(spans, np.int64) * SECOND_NS,
    )  # fmt: skip


def same(one: Cells, other: Cells) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Cells))


@given(rows)
def test_the_parts_are_the_whole(data: list[tuple[int, int, int, float, int]]) -> None:
    cells, absurd = cut(batch(data), STREAM_OF)
    assert absurd == 0
    for stream in range(3):
        whole = sum(round(v * MICRO) for _, _, s, v, _ in data if s < 4 and STREAM_OF[s] == stream)
        assert int(cells.amount[cells.stream == stream].sum()) == whole
        covered = sum(span * SECOND_NS for _, span, s, _, _ in data if s < 4 and STREAM_OF[s] == stream)
        assert int(cells.covered_ns[cells.stream == stream].sum()) == covered


@given(rows, st.integers(0, 30))
def test_however_rows_are_split_over_batches_the_cells_are_the_same(
    data: list[tuple[int, int, int, float, int]], at: int
) -> None:
    whole, _ = cut(batch(data), STREAM_OF)
    first, second = (cut(batch(part), STREAM_OF)[0] for part in (data[:at], data[at:]))
    assert same(merge([none(), first, second]), merge([whole]))


@given(rows)
def test_cells_survive_a_restart(data: list[tuple[int, int, int, float, int]]) -> None:
    cells, _ = cut(batch(data), STREAM_OF)
    again, gone = Cells.unpack(cells.pack(["a", "b", "c"]), ["a", "b", "c"])
    assert same(again, cells)
    assert gone == ()


def test_streams_are_found_again_by_name_and_lost_ones_are_told() -> None:
    cells, _ = cut(batch([(900, 900, 0, 1.0, 0), (900, 900, 1, 2.0, 0)]), STREAM_OF)
    again, gone = Cells.unpack(cells.pack(["a", "b", "c"]), ["b", "x"])
    assert gone == ("a",)
    assert again.stream.tolist() == [0]
    assert again.amount.tolist() == [2 * MICRO]


def test_an_interval_that_crosses_an_hour_is_shared_by_time() -> None:
    # 12 kWh from 00:50 to 01:20: 4 kWh before the hour, 8 after, of which 6 in the first quarter.
    cells, _ = cut(batch([(4800, 1800, 0, 12.0, 0)]), STREAM_OF)
    hours = close(cells, HOUR_NS, 0)
    assert hours.start_ns.tolist() == [0, HOUR_NS]
    assert hours.amount.tolist() == [4 * MICRO, 8 * MICRO]
    assert hours.covered_ns.tolist() == [600 * SECOND_NS, 1200 * SECOND_NS]
    assert hours.peak.tolist() == [16.0, 24.0]  # kW: 4 kWh and 6 kWh in a quarter of an hour


def test_an_interval_ending_on_the_hour_belongs_to_the_hour_before() -> None:
    cells, _ = cut(batch([(3600, 900, 0, 1.0, 0)]), STREAM_OF)
    assert close(cells, HOUR_NS, 0).start_ns.tolist() == [0]


def test_hours_begin_with_the_sites_clock() -> None:
    # Kolkata is 5 h 30 min ahead: its hours begin at half past in UTC.
    cells, _ = cut(batch([(1800, 900, 0, 1.0, 0), (2700, 900, 0, 1.0, 0)]), STREAM_OF)
    assert close(cells, HOUR_NS, HOUR_NS // 2).start_ns.tolist() == [-HOUR_NS // 2, HOUR_NS // 2]


def test_bad_and_foreign_rows_count_nothing_and_estimates_are_told() -> None:
    data = [(900, 900, 0, 1.0, q.BAD), (900, 900, 2, 1.0, 0), (900, 900, 99, 1.0, 0), (900, 900, 0, float("nan"), 0)]
    assert not len(cut(batch(data), STREAM_OF)[0])
    cells, _ = cut(batch([(900, 900, 0, 1.0, q.UNCERTAIN | q.QUANTITY_ESTIMATED), (900, 900, 0, 2.0, 0)]), STREAM_OF)
    assert (cells.amount.tolist(), cells.estimated.tolist()) == ([3 * MICRO], [MICRO])
    assert cells.quality.tolist() == [q.UNCERTAIN | q.QUANTITY_ESTIMATED]


def test_an_interval_of_decades_is_left_out_and_counted() -> None:
    century_s = 100 * 365 * 86_400
    cells, absurd = cut(batch([(century_s, century_s, 0, 1.0, 0), (900, 900, 0, 2.0, 0)]), STREAM_OF)
    assert absurd == 1
    assert cells.amount.tolist() == [2 * MICRO]


def test_what_no_meter_counts_is_left_out_and_counted() -> None:
    """Of a glitch of a float register, 1e38 kW for a second; as an integer it would be anything."""
    data = [(900, 1, 0, 1e38 / 3_600, 0), (900, 1, 1, -2.8e34, 0), (900, 900, 0, 2.0, 0)]
    cells, absurd = cut(batch(data), STREAM_OF)
    assert absurd == 2
    assert cells.amount.tolist() == [2 * MICRO]
