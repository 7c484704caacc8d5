"""Grades against the worst that is borne, and against what they mostly were; by hand."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.grade import Grade
from pipeline.alerts.judged import FALSE, TRUE
from pipeline.batch import Batch
from pipeline.quality import RANGE, UNCERTAIN
from tests.pipeline.alerts.windows import judged, together, window

GRADE, SHARE = range(2)


def rule(worse_than: int | None = 3, dropped: bool = True, typical_days: int = 30) -> Grade:
    parts = {"grade": GRADE, "share": SHARE}
    return Grade(0, "k", "of", parts, worse_than, typical_days, dropped, 0.9, ZoneInfo("UTC"))


def hour(end_h: float, grade: int, share: float = 1.0, quality: int = 0) -> Batch:
    return window(end_h, {SHARE: share, GRADE: float(grade)}, quality=quality)


def days(*grades: int, first: int = 0) -> list[Batch]:
    """Return two hours of each day with that grade."""
    return [hour(24 * day + h, grade) for day, grade in enumerate(grades, first) for h in (1, 2)]


def test_worse_than_the_worst_is_told_at_once() -> None:
    said = judged(rule(dropped=False), [hour(1, 3), hour(2, 4)])
    assert [(s.truth, s.value, s.limit) for s in said] == [(FALSE, 3.0, 3.0), (TRUE, 4.0, 3.0)]


def test_a_drop_below_what_it_mostly_was() -> None:
    """Grades 1, 2, 2 on three days: the median is 2. On the fourth a 3 is a drop, though 3 is borne."""
    said = judged(rule(), [*days(1, 2, 2), hour(73, 3), hour(74, 2)])
    assert [(s.truth, s.limit) for s in said[-2:]] == [(TRUE, 2.0), (FALSE, 2.0)]
    assert all(s.truth == FALSE and s.limit == 3.0 for s in said[:6]), "before three days only the worst counts"


def test_what_lasts_becomes_usual() -> None:
    """Ten days of 2, then 3: when as many days of 3 are known as of 2, the (lower) median is still 2; then it is 3."""
    said = judged(rule(), days(*[2] * 10, *[3] * 15))
    dropped = sorted({s.hours // 24 for s in said if s.truth == TRUE})
    assert dropped == list(range(10, 21))


def test_only_a_drop_where_nothing_is_too_bad() -> None:
    said = judged(rule(worse_than=None), [*days(4, 4, 4, 4), hour(97, 4)])
    assert {s.truth for s in said} == {FALSE}
    assert judged(rule(worse_than=None), days(4)) == []


def test_incomplete_or_senseless_windows_have_no_grade() -> None:
    assert judged(rule(), [hour(1, 4, share=0.5)]) == []
    assert judged(rule(), [hour(1, 4, quality=UNCERTAIN | RANGE)]) == []


def test_days_long_ago_are_forgotten() -> None:
    state: dict[str, Any] = {}
    judged(rule(typical_days=5), days(*[2] * 40), state)
    assert len(state["k"]["learned"]["days"]) == 6


def test_a_window_told_again_counts_once() -> None:
    state: dict[str, Any] = {}
    judged(rule(), [hour(1, 4), hour(1, 2)], state)
    ((_, counts),) = state["k"]["learned"]["days"]
    assert counts == [0, 1, 0, 0]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=60), st.integers(1, 9))
def test_how_windows_are_batched_does_not_matter(grades: list[int], size: int) -> None:
    each = [hour(5 * n, grade) for n, grade in enumerate(grades, 1)]
    some = [together(*each[n : n + size]) for n in range(0, len(each), size)]
    states: list[dict[str, Any]] = [{}, {}]
    assert repr(judged(rule(), each, states[0])) == repr(judged(rule(), some, states[1]))
    assert states[0] == states[1]
