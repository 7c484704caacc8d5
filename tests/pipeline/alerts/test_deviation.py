"""What is expected by like days or by a driver, by hand; what is learned and what is not; restarts and batches."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.deviation import Band, FromBaseline, FromCurve
from pipeline.alerts.expected import Learner, LikeDays
from pipeline.alerts.judged import FALSE, TRUE
from pipeline.batch import Batch
from pipeline.quality import BAD
from tests.pipeline.alerts.windows import judged, together, window
from tests.pipeline.tables import HOUR, START

VALUE, SHARE, DRIVER, DRIVER_SHARE = range(4)
UTC = ZoneInfo("UTC")
# START is a Monday: days 0 … 4 are work days, 5 a Saturday, 6 a Sunday.


def curve(
    over: float | None = 20.0, under: float | None = None, least: float = 0.0, learn_days: int = 28,
    every: str = "60min", unit: str = "kW", zone: ZoneInfo = UTC,
) -> FromCurve:  # fmt: skip
    days = LikeDays(zone, every, learn_days)
    return FromCurve(0, "a.x.alert", "of", {"value": VALUE, "share": SHARE}, Band(over, under, least), days, unit, 0.9)


def at_three(day: int, value: float, share: float = 1.0, quality: int = 0) -> Batch:
    """Return the window from 03:00 to 04:00 of a day."""
    return window(24 * day + 4, {SHARE: share, VALUE: value}, quality=quality)


def test_three_like_days_and_it_judges() -> None:
    """Median of 100, 104, 96 is 100, of their distances 4: ± max(20, 3 · 1.4826 · 4 = 17.8) → the limit is 120 kW."""
    before = [at_three(day, value) for day, value in enumerate((100.0, 104.0, 96.0))]
    assert judged(curve(), before) == []
    (said,) = judged(curve(), [*before, at_three(3, 121.0)])
    assert said == (24 * 3 + 4, TRUE, 121.0, 120.0, 21.0)
    assert [s.truth for s in judged(curve(), [*before, at_three(3, 120.0)])] == [FALSE]


def test_what_varies_has_a_wider_band() -> None:
    """Of 60, 100, 140 the distances' median is 40: 3 · 1.4826 · 40 = 177.9 beyond the median, far more than 20 %."""
    before = [at_three(day, value) for day, value in enumerate((60.0, 100.0, 140.0))]
    (high,) = judged(curve(), [*before, at_three(3, 277.0)])
    assert (high.truth, high.limit) == pytest.approx((FALSE, 100 + 3 * 1.4826 * 40))
    (higher,) = judged(curve(), [*before, at_three(3, 278.0)])
    assert higher.truth == TRUE


def test_a_small_difference_is_none() -> None:
    """2 kW where 1 kW was: 100 % more, but below `least` of 5 kW."""
    before = [at_three(day, 1.0) for day in range(3)]
    assert [s.truth for s in judged(curve(least=5.0), [*before, at_three(3, 2.0)])] == [FALSE]
    assert [s.truth for s in judged(curve(least=5.0), [*before, at_three(3, 6.1)])] == [TRUE]


def test_below_only_where_asked_and_then_at_no_cost() -> None:
    before = [at_three(day, 100.0) for day in range(3)]
    (over,) = judged(curve(), [*before, at_three(3, 10.0)])
    assert over.truth == FALSE
    (under,) = judged(curve(None, 30.0), [*before, at_three(3, 69.0)])
    assert (under.truth, under.limit) == (TRUE, 70.0)
    assert math.isnan(under.excess)
    (high,) = judged(curve(None, 30.0), [*before, at_three(3, 500.0)])
    assert high.truth == FALSE


def test_a_power_that_feeds_back_is_negative() -> None:
    """−100 kW is usual: −70 is more by 30, beyond 20 % of 100."""
    before = [at_three(day, -100.0) for day in range(3)]
    (said,) = judged(curve(), [*before, at_three(3, -70.0)])
    assert (said.truth, said.limit, said.excess) == (TRUE, -80.0, 30.0)


def test_saturdays_are_like_saturdays() -> None:
    """Work days at 100, Saturdays at 10: of the fourth Saturday 100 is ten times what is usual."""
    days = range(27)
    values = [10.0 if day % 7 == 5 else 5.0 if day % 7 == 6 else 100.0 for day in days]
    said = judged(curve(), [*(at_three(d, v) for d, v in zip(days, values, strict=True))])
    assert all(s.truth == FALSE for s in said)
    (saturday,) = judged(curve(), [at_three(d, 100.0 if d == 26 else values[d]) for d in (5, 12, 19, 26)])
    assert (saturday.truth, saturday.limit) == (TRUE, 12.0)


def test_the_site_says_what_a_saturday_is() -> None:
    """20:30 UTC of a Friday is Saturday morning in Seoul."""
    days = LikeDays(ZoneInfo("Asia/Seoul"), "60min", 28)
    day, slot = days.place(START + 4 * 24 * HOUR + 21 * HOUR, HOUR)
    assert (day - LikeDays(UTC, "60min", 28).place(START + HOUR, HOUR)[0], slot) == (5, 5)


def test_each_hour_has_its_own_and_days_of_changing_clocks_too() -> None:
    """London, 25 March 2018: the local hour from 01:00 is missing, and slot 3 is 02:00 UTC."""
    london = LikeDays(ZoneInfo("Europe/London"), "60min", 28)
    sunday = START + 83 * 24 * HOUR  # 2018-03-25T00:00Z
    assert [london.place(sunday + h * HOUR, HOUR)[1] for h in (1, 2, 3)] == [0, 2, 3]
    assert LikeDays(UTC, "15min", 28).place(START + HOUR, HOUR // 4)[1] == 3
    assert LikeDays(UTC, "day", 28).place(START + 24 * HOUR, 24 * HOUR)[1] == 0


def test_incomplete_and_bad_windows_neither_judge_nor_teach() -> None:
    before = [at_three(day, 100.0) for day in range(3)]
    assert judged(curve(), [*before, at_three(3, 500.0, share=0.8)]) == []
    assert judged(curve(), [*before, at_three(3, 500.0, quality=BAD)]) == []
    (said,) = judged(curve(), [*before[:2], at_three(2, 900.0, share=0.1), at_three(3, 100.0), at_three(4, 130.0)])
    assert (said.hours, said.limit) == (24 * 4 + 4, 120.0)


def test_a_fault_is_not_learned_for_fourteen_days_then_it_is() -> None:
    """100 kW, and from day 28 on 200: it fires for 14 days; then it is learned, and in the end it is how things are."""
    days = [d for d in range(70) if d % 7 < 5]
    said = {s.hours // 24: s for s in judged(curve(), [at_three(d, 100.0 if d < 28 else 200.0) for d in days])}
    fired = [day for day, s in said.items() if s.truth == TRUE]
    assert fired == [d for d in days if 28 <= d <= max(fired)], "without a break"
    assert all(said[d].limit == 120.0 for d in fired if d < 28 + 14)
    # From day 42 on it is learned, while what was before leaves the 28 days: 100 until day 27. On day 49 the days
    # 21 … 25 stand against 42 … 46: the median is between them, and both are wide of it. Later it is 200.
    assert 28 + 14 <= max(fired) <= 28 + 14 + 8
    assert said[67].limit == 240.0


def test_what_is_known_of_three_holidays_is_soon_corrected() -> None:
    """14 kW on the first three days, then 18.5: it fires until 18.5 are the median (day 9), not for 14 days."""
    days = [d for d in range(28) if d % 7 < 5]
    said = judged(curve(), [at_three(d, 14.0 if d < 3 else 18.5) for d in days])
    # Known on day 8: 14 14 14 18.5 18.5 18.5 → the median is 16.25, the limit 16.25 + 3 · 1.4826 · 2.25 = 26.3.
    assert [s.hours // 24 for s in said if s.truth == TRUE] == [3, 4, 7]
    assert [s.limit for s in said[8:]] == pytest.approx([18.5 * 1.2] * len(said[8:]))


def test_a_week_that_is_over_left_no_trace() -> None:
    """Five nights at 160, then 100 again: neither the sixth night nor the limit knows of them."""
    days = [d for d in range(42) if d % 7 < 5]
    said = judged(curve(), [at_three(d, 160.0 if 21 <= d < 26 else 100.0) for d in days])
    assert [s.hours // 24 for s in said if s.truth == TRUE] == [21, 22, 23, 24, 25]
    assert {s.limit for s in said} == {120.0}


def test_a_window_told_again_is_judged_again_and_learned_once() -> None:
    """Late data make 130 of the fourth day 100: it clears, and the median stays 100."""
    before = [at_three(day, 100.0) for day in range(3)]
    again = [*before, at_three(3, 130.0), at_three(3, 100.0), at_three(2, 500.0), at_three(4, 121.0)]
    assert [(s.hours // 24, s.truth) for s in judged(curve(), again)] == [(3, TRUE), (3, FALSE), (4, TRUE)]


def test_kwh_of_a_window_are_a_power() -> None:
    """40 kWh in a quarter where 25 are usual: 15 kWh / 0.25 h = 60 kW too much. Of other units nothing is known."""
    quarters = [window(24 * d + 1, {SHARE: 1.0, VALUE: 25.0}, 0.25) for d in range(3)]
    high = window(24 * 3 + 1, {SHARE: 1.0, VALUE: 40.0}, 0.25)
    (said,) = judged(curve(every="15min", unit="kWh"), [*quarters, high])
    assert said.excess == pytest.approx(60.0)
    (said,) = judged(curve(every="15min", unit="1"), [*quarters, high])
    assert math.isnan(said.excess)


def test_the_state_stays_small() -> None:
    """Two years of quarter hours: 28 days of 96 values of at most six digits and a comma, and what surrounds them."""
    state: dict[str, Any] = {}
    rule = curve(every="15min")
    each = [window(q / 4, {SHARE: 1.0, VALUE: 123.456789 + q % 7}, 0.25) for q in range(1, 60 * 96)]
    judged(rule, [together(*each[n : n + 96]) for n in range(0, len(each), 96)], state)
    assert len(state["a.x.alert"]["learned"]["days"]) <= 29
    assert len(orjson.dumps(state)) < 29 * 96 * 8 + 1_000


def test_another_definition_begins_anew() -> None:
    state: dict[str, Any] = {}
    judged(curve(), [at_three(day, 100.0) for day in range(3)], state)
    changed = curve().__class__(0, "a.x.alert", "other", {"value": VALUE, "share": SHARE}, Band(20.0, None, 0.0),
                                LikeDays(UTC, "15min", 28), "kW", 0.9)  # fmt: skip
    assert judged(changed, [at_three(3, 500.0)], state) == []


# ── over a driver ─────────────────────────────────────────────────────────────────────────────────


def line(learn_days: int = 2, over: float = 10.0, unit: str = "kWh") -> FromBaseline:
    parts = {"value": VALUE, "share": SHARE, "driver": DRIVER, "driver_share": DRIVER_SHARE}
    return FromBaseline(0, "k", "of", parts, Band(over, None, 0.0), Learner(learn_days, over / 100), unit, 0.9)


def hours(values: Iterable[tuple[float, float]], first: int = 1) -> list[Batch]:
    """Return hours of (value, driver)."""
    return [
        window(h, {SHARE: 1.0, VALUE: value, DRIVER_SHARE: 1.0, DRIVER: driver})
        for h, (value, driver) in enumerate(values, first)
    ]


def test_a_driver_explains_what_a_clock_does_not() -> None:
    """kWh = 50 · h + 30 · t over two days; then 4 t may take 170 · 1.1 = 187 kWh: 200 do not fit, 30 kW too much."""
    before = hours([(50.0 + 30.0 * (h % 6), float(h % 6)) for h in range(49)])
    (said,) = judged(line(), [*before, *hours([(200.0, 4.0)], 50)])
    assert (said.truth, said.limit, said.excess) == pytest.approx((TRUE, 187.0, 30.0))
    powers = [*before, *hours([(180.0, 4.0)], 50)]
    (said,) = judged(line(unit="kW"), powers)
    assert (said.truth, said.limit) == pytest.approx((FALSE, 187.0))


def test_both_must_be_there_for_the_same_window() -> None:
    state: dict[str, Any] = {}
    judged(line(), hours([(50.0 + 30.0 * (h % 6), float(h % 6)) for h in range(49)]), state)
    assert judged(line(), [window(50, {SHARE: 1.0, VALUE: 900.0})], state) == []
    assert judged(line(), [window(51, {DRIVER_SHARE: 1.0, DRIVER: 1.0})], state) == []
    assert [s.hours for s in judged(line(), [window(51, {SHARE: 1.0, VALUE: 900.0})], state)] == [51]


def test_noise_is_no_baseline() -> None:
    """Energy that goes its own way: R² is near 0 and it scatters by half, so learning goes on for ever."""
    values = [(100.0 + 50.0 * (-1) ** h, float(h % 5)) for h in range(480)]
    assert judged(line(), hours(values)) == []
    # What hardly varies needs no driver: 2 % of scatter is far within the 10 % that are allowed.
    steady = [(100.0 + 0.5 * (-1) ** h, 10.0 + 0.01 * (h % 5)) for h in range(60)]
    assert {s.truth for s in judged(line(), hours(steady))} == {FALSE}


# ── however it comes ──────────────────────────────────────────────────────────────────────────────


@given(
    st.lists(st.tuples(st.integers(0, 200), st.floats(-500, 500)), min_size=1, max_size=60),
    st.lists(st.integers(1, 7), min_size=1, max_size=10),
)
def test_how_windows_are_batched_does_not_matter(values: list[tuple[int, float]], sizes: list[int]) -> None:
    """One by one, all in one, or some at a time: the same judgements and the same state."""
    each = [at_three(day, value) for day, value in sorted(values, key=lambda one: one[0])]
    each = list({batch.time_ns[0]: batch for batch in each}.values())
    some, at = [], 0
    for n in sizes * len(each):
        some += [together(*each[at : at + n])] if each[at : at + n] else []
        at += n
    found = []
    for batches in (each, [together(*each)], some):
        state: dict[str, Any] = {}
        found.append((judged(curve(under=20.0), batches, state), state))
    for said, state in found[1:]:
        assert repr(said) == repr(found[0][0])
        assert state == found[0][1]
