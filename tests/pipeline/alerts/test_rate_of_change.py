"""Slopes by hand: ramps, noise, rare readings, and what is no slope."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.rate_of_change import Slope, Slopes
from pipeline.quality import BAD, CLOCK, UNCERTAIN
from tests.pipeline.alerts.walk import CLEAR, FIRING, LIMIT, VALUE, in_time, rows, split, stage, told
from tests.pipeline.tables import SECOND

POINT = 1


def slopes(rising: float = 30.0, falling: float = float("inf"), over_s: float = 300.0) -> Slopes:
    return Slopes([Slope(0, "a.x.alert", POINT, round(over_s * SECOND), rising, falling)])


def test_a_ramp_is_told_by_its_slope() -> None:
    """60 K in an hour is 1 K a minute: with samples each second told once 80 % of 300 s lie between two bins' means.

    Bins are of 15 s; the means of the first and the seventeenth lie 240 s apart, known with the reading at 255 s.
    """
    ramp = rows(range(600), POINT, [20 + t / 60 for t in range(600)])
    assert told(stage("rate_of_change", slopes()), [ramp]) == [(255, FIRING)]
    assert told(stage("rate_of_change", slopes()), [ramp], VALUE)[0] == (255, pytest.approx(60))
    assert told(stage("rate_of_change", slopes(rising=61)), [ramp]) == []


def test_it_is_over_below_four_fifths_of_the_limit() -> None:
    """60/h, then 27/h: between, for ever; then nothing: over."""
    values = [t / 60 for t in range(900)]
    values += [values[-1] + 27 * t / 3_600 for t in range(1, 901)]
    between = rows(range(1_800), POINT, values)
    assert told(stage("rate_of_change", slopes()), [between]) == [(255, FIRING)]
    rest = rows(range(1_800, 3_000), POINT, [values[-1]] * 1_200)
    found = told(stage("rate_of_change", slopes()), [between, rest])
    assert [status for _, status in found] == [FIRING, CLEAR]


def test_falling_has_its_own_limit() -> None:
    """Pressure falls by 0.5 bar in an hour: the value is −0.5, the limit −0.3; nothing rises."""
    falling = rows(range(600), POINT, [7 - 0.5 * t / 3_600 for t in range(600)])
    condition = slopes(rising=0.1, falling=0.3)
    assert told(stage("rate_of_change", condition), [falling], VALUE)[0][1] == pytest.approx(-0.5)
    assert told(stage("rate_of_change", condition), [falling], LIMIT)[0][1] == -0.3
    assert told(stage("rate_of_change", slopes(rising=0.1)), [falling]) == []


def test_noise_is_no_slope() -> None:
    """±0.5 K from one reading to the next is 3600 K/h between two readings, and none between means of 15 s."""
    noisy = rows(range(1_200), POINT, [20 + (t % 2) / 2 for t in range(1_200)])
    assert told(stage("rate_of_change", slopes()), [noisy]) == []


def test_rare_readings_are_compared_one_with_the_next() -> None:
    """Every 15 minutes 10 K more is 40 K/h, told over 15 minutes though over_s is 5: with the third reading."""
    rare = rows([900 * n for n in range(5)], POINT, [20.0 + 10 * n for n in range(5)])
    found = told(stage("rate_of_change", slopes()), [rare], VALUE)
    assert found[0] == (1_800, pytest.approx(40))


def test_a_reading_from_the_future_hides_no_later_one() -> None:
    """A device's clock jumps a day ahead for one reading and is right again: the ramp after it is told as ever."""
    ramp = rows(range(600), POINT, [20 + t / 60 for t in range(600)])
    ahead = rows([86_400.0], POINT, [20.0], CLOCK | UNCERTAIN)
    assert told(stage("rate_of_change", slopes()), [ahead, ramp]) == [(255, FIRING)]


def test_bad_readings_say_nothing() -> None:
    broken = in_time(rows(range(600), POINT, [20.0] * 600), rows([n + 0.5 for n in range(600)], POINT, range(600), BAD))
    assert told(stage("rate_of_change", slopes()), [broken]) == []


@given(
    st.lists(st.tuples(st.integers(1, 120), st.floats(-50, 50)), min_size=2, max_size=60),
    st.lists(st.integers(0, 100), max_size=6),
    st.floats(-100, 100),
)
def test_a_line_has_its_slope_however_it_is_read(
    steps: list[tuple[int, float]], cuts: list[int], slope_per_h: float
) -> None:
    """Readings of a line at any times tell its slope; and any readings tell the same in any batches."""
    times = [sum(dt for dt, _ in steps[: n + 1]) for n in range(len(steps))]
    line = rows(times, POINT, [slope_per_h * t / 3_600 for t in times])
    _, judged = slopes().fold({}, line)
    assert judged is None or judged.value.tolist() == pytest.approx([slope_per_h] * len(judged.value), abs=1e-6)
    any_values = rows(times, POINT, [value for _, value in steps])
    whole = told(stage("rate_of_change", slopes()), [any_values])
    assert told(stage("rate_of_change", slopes()), split(any_values, cuts)) == whole
