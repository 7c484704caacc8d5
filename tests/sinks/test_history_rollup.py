"""Roll-ups say the same whichever way the rows were cut, and they conserve amounts."""

from __future__ import annotations

import asyncio
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.batch import COLUMNS
from pipeline.quality import BAD, COMM, LATE, PROFILE_ESTIMATED, UNCERTAIN
from sinks import history_rollup
from sinks.history_parquet import Columns
from sinks.history_rollup import PARTIAL, is_ordered, merge, summarise
from sinks.history_rows import sorted_rows
from tests.sinks.history_oracle import ALL, DAY, HOUR, MIN, Row, S, agree, batch, expected, multiset, opened, stored

AGGREGATES = ("mean", "min", "max", "sum", "first", "last", "count", "integral")
VALUES = st.one_of(st.integers(-4_000, 4_000).map(lambda n: n / 4), st.sampled_from([math.nan, math.inf]))
QUALITIES = st.sampled_from([0, 0, 0, UNCERTAIN | LATE, BAD | COMM])
GAUGE = st.builds(
    Row, st.integers(0, 1), st.integers(-2_000, 12_000).map(lambda s: s * S), VALUES, st.just(0), QUALITIES
)
AMOUNT = st.builds(
    Row,
    st.just(2),
    st.integers(0, 12_000).map(lambda s: s * S),
    VALUES,
    st.sampled_from([S, 30 * S, 90 * S, 2 * HOUR, DAY]),
    QUALITIES,
)
STREAM = st.lists(st.one_of(GAUGE, AMOUNT), max_size=40)


def rows_of(rows: list[Row]) -> Columns:
    made = batch(rows)
    return sorted_rows({name: getattr(made, name) for name in COLUMNS})


async def _cut_and_asked(folder: Path, rows: list[Row], cuts: list[int], compactions: list[bool]) -> None:
    history = await opened(folder)
    edges = [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    for i, compacted in zip(range(len(edges) - 1), compactions, strict=False):
        await history.write(batch(rows[edges[i] : edges[i + 1]]), i, i + 1)
        if compacted:
            await history.compact()
    start, end = -3 * DAY, 3 * DAY
    raw = await history.query(range(3), start, end, **ALL)
    assert multiset(stored(raw)) == multiset(rows)
    for step in (MIN, HOUR, 7 * MIN, 90 * S):
        for aggregate in AGGREGATES:
            agree(await history.query(range(3), start, end, step, aggregate, **ALL), expected(rows, step, aggregate))
    await history.close()


@given(STREAM, st.lists(st.integers(0, 40), min_size=3, max_size=3), st.lists(st.booleans(), min_size=4, max_size=4))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_cuts_and_compactions_answer_alike(rows: list[Row], cuts: list[int], compactions: list[bool]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_cut_and_asked(Path(folder) / "history", rows, cuts, compactions))


@given(STREAM, st.integers(0, 40), st.integers(0, 40))
@settings(deadline=None)
def test_two_partials_make_one(rows: list[Row], one: int, two: int) -> None:
    first, second = sorted((one, two))
    parts = [summarise(rows_of(part), MIN) for part in (rows[:first], rows[first:second], rows[second:])]
    left, right = merge([merge(parts[:2]), parts[2]]), merge([parts[0], merge(parts[1:])])
    whole = summarise(rows_of(rows), MIN)
    for name in PARTIAL:
        np.testing.assert_allclose(left[name], right[name], rtol=1e-9, atol=1e-6, err_msg=name)
        known = ~np.isnan(left["integral"]) if name == "integral" else slice(None)
        np.testing.assert_allclose(left[name][known], whole[name][known], rtol=1e-9, atol=1e-6, err_msg=name)


@given(st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(1, 400 * 86_400), st.floats(-1e6, 1e6)), min_size=1))
@settings(deadline=None)
def test_amounts_are_conserved_however_long_their_interval(given_: list[tuple[int, int, float]]) -> None:
    rows = [Row(0, end * S, amount, span * S) for end, span, amount in given_]
    partials = summarise(rows_of(rows), MIN)
    scale = sum(abs(r.value) for r in rows)
    assert math.isclose(partials["sum"].sum(), sum(r.value for r in rows), abs_tol=1e-9 * scale + 1e-300)
    assert partials["count"].sum() == len(rows)
    assert len(partials["sum"]) <= 2 * 1_440 * len(rows)


@pytest.mark.parametrize("stretch", [1, 2, 3, 4, 100])
def test_rows_are_summarised_in_stretches_of_whole_series(monkeypatch: pytest.MonkeyPatch, stretch: int) -> None:
    rows = rows_of([Row(series, t * 40 * S, 1.0 + t) for series in (3, 4, 9, 11) for t in range(series)])
    whole = summarise(rows, MIN)
    monkeypatch.setattr(history_rollup, "STRETCH", stretch)
    for name, column in summarise(rows, MIN).items():
        assert column.tolist() == whole[name].tolist()


def test_an_hourly_amount_lies_evenly_in_its_minutes() -> None:
    partials = summarise(rows_of([Row(0, HOUR + 30 * S, 60.0, HOUR, UNCERTAIN | PROFILE_ESTIMATED)]), MIN)
    # (00:00:30, 01:00:30]: half a minute, 59 whole ones, half a minute
    assert partials["sum"].tolist() == pytest.approx([0.5, *[1.0] * 59, 0.5])
    assert partials["count"].tolist() == [*[0] * 60, 1]
    assert set(partials["quality"].tolist()) == {UNCERTAIN | PROFILE_ESTIMATED}


def test_an_interval_ending_on_a_border_belongs_before_it_and_an_instant_after() -> None:
    partials = summarise(rows_of([Row(0, MIN, 5.0, MIN), Row(1, MIN, 5.0)]), MIN)
    assert partials["bucket_ns"].tolist() == [0, MIN]


def test_instants_and_intervals_of_one_series_may_share_a_border() -> None:
    partials = summarise(rows_of([Row(0, MIN, 5.0), Row(0, MIN, 7.0, MIN)]), MIN)
    assert partials["bucket_ns"].tolist() == [0, MIN]
    assert partials["sum"].tolist() == [7.0, 5.0]


def test_a_week_of_outage_in_one_row_stays_exact_by_the_hour() -> None:
    minutes = summarise(rows_of([Row(0, 7 * DAY, 168.0, 7 * DAY)]), MIN)
    assert len(minutes["sum"]) == 168
    assert merge([minutes], HOUR)["sum"].tolist() == pytest.approx([1.0] * 168)


def test_the_integral_of_a_ramp_is_its_area() -> None:
    ramp = [Row(0, t * S, float(t)) for t in range(0, 3_600, 10)]
    hours = merge([summarise(rows_of(ramp), MIN)], HOUR)
    assert hours["integral"].tolist() == pytest.approx([3_590**2 / 2])


def test_interleaved_partials_do_not_guess_their_integral() -> None:
    early, late = [Row(0, 1 * S, 1.0), Row(0, 5 * S, 1.0)], [Row(0, 3 * S, 9.0, 0, UNCERTAIN | LATE)]
    partials = merge([summarise(rows_of(early), MIN), summarise(rows_of(late), MIN)])
    assert math.isnan(partials["integral"][0])
    assert (partials["count"][0], partials["max"][0], partials["last"][0]) == (3, 9.0, 1.0)


def test_bad_rows_only_count_as_bad() -> None:
    partials = summarise(rows_of([Row(0, 1, 5.0, 0, BAD | COMM), Row(0, 2, math.nan), Row(0, 3, 4.0)]), MIN)
    assert [partials[n][0] for n in ("count", "sum", "min", "max", "bad", "quality")] == [1, 4.0, 4.0, 4.0, 2, 0]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 2)), max_size=6), st.booleans())
def test_rows_are_ordered_where_sorting_leaves_them(rows: list[tuple[bool, int, int]], sorted_: bool) -> None:
    rows = sorted(rows, key=lambda row: row[::-1]) if sorted_ else rows
    keys = [np.array([row[i] for row in rows]) for i in range(3)]
    assert is_ordered(keys) == (np.lexsort(keys).tolist() == [*range(len(rows))])
