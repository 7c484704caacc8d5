"""Figures over levels: what holds between two samples, and formulas of several series."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.formula import parse
from config.formula_units import check
from pipeline import quality as q
from pipeline.batch import Batch, concat, make
from pipeline.figures import Limits
from pipeline.kpi import Windows
from tests.pipeline.kpis import FLOW, GAS, GRADE, IDS, LEVEL, MINUTE, PLACES, TICK, amount, figure, formula, rows, tick
from tests.pipeline.tables import HEADER, HOUR, SECOND, START


def sample(at_ns: int, value: float, series: int = LEVEL, quality: int = 0) -> Batch:
    return make(HEADER, at_ns, [series], value, quality)


def levels(series: int, *samples: tuple[float, float]) -> list[Batch]:
    """Return samples (minute, value) of one series, each a batch."""
    return [sample(START + round(minute * MINUTE), value, series) for minute, value in samples]


def test_a_level_counts_by_the_time_it_holds() -> None:
    """10 kW for 4 min, 40 for 1, then nothing for longer than it holds, 5 min: (10·4 + 40·1 + 20·5) / 10 = 18 kW."""
    stream = levels(LEVEL, (0, 10.0), (4, 40.0), (5, 20.0), (30, 7.0))
    found = rows(formula("level", "kW"), *stream, tick(START + 2 * HOUR))
    # 7 kW holds until 35 min, but no later sample says so: it is not counted until the next one comes
    assert found[:2] == [("share", START + HOUR, pytest.approx(10 / 60), 0), ("kWh/t", START + HOUR, 18.0, 0)]


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("min(level)", "kW", 10.0),
        ("max(level)", "kW", 40.0),
        ("first(level)", "kW", 10.0),
        ("last(level)", "kW", 20.0),
        ("integral(level)", "kWh", 180.0 / 60),
        ("duration(level > 15 kW)", "min", 6.0),
        ("duration()", "h", 1.0),
        ("level * duration()", "kWh", 18.0),
        ("max(level, 25 kW) - clip(level, 0 kW, 12 kW)", "kW", 13.0),
    ],
)
def test_what_a_window_says_of_a_level(text: str, unit: str, expected: float) -> None:
    stream = levels(LEVEL, (0, 10.0), (4, 40.0), (5, 20.0), (30, 7.0))
    windows = formula(text if "level" in text else f"{text} + 0 * integral(level) / 1 kW", unit)
    assert [v for name, _, v, _ in rows(windows, *stream, tick(START + 2 * HOUR)) if name == "kWh/t"] == [
        pytest.approx(expected)
    ]


def test_levels_are_computed_with_at_each_sample() -> None:
    """10 kW · 2 m³/h for 1 min, 10 · 4 for 1, 20 · 4 for 2: a mean of (20 + 40 + 160) / 4 = 55, not 15 · 3.5."""
    stream = [
        *levels(LEVEL, (0, 10.0)),
        *levels(FLOW, (0, 2.0), (1, 4.0)),
        *levels(LEVEL, (2, 20.0), (4, 0.0)),
    ]
    windows = formula("mean(level * flow)", "kW*m3/h")
    found = rows(windows, *stream, tick(START + 2 * HOUR))
    assert ("kWh/t", START + HOUR, pytest.approx(55.0), 0) in found


def test_a_bad_sample_ends_what_held() -> None:
    stream = [
        sample(START, 10.0),
        sample(START + MINUTE, 99.0, quality=q.BAD | q.COMM),
        sample(START + 2 * MINUTE, 30.0),
    ]
    found = rows(formula("level", "kW"), *stream, *levels(LEVEL, (3, 5.0)), tick(START + 2 * HOUR))
    assert found[:2] == [("share", START + HOUR, pytest.approx(2 / 60), 0), ("kWh/t", START + HOUR, 20.0, 0)]


def test_a_division_by_zero_has_no_row_only_a_completeness() -> None:
    stream = [*levels(LEVEL, (0, 10.0), (1, 10.0)), *levels(FLOW, (0, 0.0), (1, 0.0))]
    found = rows(formula("level / flow", "kWh/m3"), *stream, tick(START + 2 * HOUR))
    assert [name for name, *_ in found] == ["share"]


def test_a_value_out_of_its_sane_range_is_uncertain_and_one_with_limits_graded() -> None:
    stream = levels(LEVEL, (0, 10.0), (1, 10.0))
    odd = rows(formula("level", "kW", sane=(1.0, 5.0)), *stream, tick(START + 2 * HOUR))
    assert odd[1] == ("kWh/t", START + HOUR, 10.0, q.UNCERTAIN | q.RANGE)
    graded = formula("level", "kW", limits=Limits((6.0, 9.0, 12.0)), grade=GRADE)
    assert rows(graded, *stream, tick(START + 2 * HOUR))[2] == ("grade", START + HOUR, 3.0, 0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([LEVEL, FLOW, GAS]), st.integers(-30, 400), st.floats(0, 1e3) | st.just(float("nan"))
        ),
        max_size=25,
    ),
    st.data(),
)
def test_samples_between_two_ticks_may_come_in_any_batches(given_: list[tuple[int, int, float]], data: Any) -> None:
    """Also out of order, with gaps longer than a level holds, and bad ones among them."""
    stream, at = [], START + HOUR // 2
    for series, seconds, value in given_:
        at += seconds * SECOND
        stream.append(amount(series, at, MINUTE, value) if series == GAS else sample(at, value, series))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    chunks = [concat(HEADER, stream[a:b]) for a, b in itertools.pairwise([0, *cuts, len(stream)])]
    plans = [check(parse(text), PLACES.__getitem__, unit) for text, unit in [
        ("mean(level * flow) / flow", "kW"), ("integral(if(level > 300 kW, flow, 0 m3/h)) + 0 m3 * gas / 1 kWh", "m3"),
        ("max(level) - first(level) + last(level)", "kW"),
    ]]  # fmt: skip
    kpis = [replace(figure(plan), key=str(n)) for n, plan in enumerate(plans)]
    end = tick(at + 2 * HOUR)
    assert rows(Windows(kpis, IDS, TICK), *chunks, end) == rows(Windows(kpis, IDS, TICK), *stream, end)
