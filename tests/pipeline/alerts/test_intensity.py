"""Energy per product against what its production explains: limits by hand, learning, gates and restarts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.expected import Learner, Line
from pipeline.alerts.intensity import Intensity
from pipeline.alerts.judged import BETWEEN, FALSE, TRUE
from pipeline.batch import Batch
from tests.pipeline.alerts.windows import judged, together, window

ENERGY, PRODUCT, SHARE = range(3)
STATED = Line(200.0, 280.0)


def rule(stated: Line | None = STATED, learn_days: int = 14, min_product: float = 0.0) -> Intensity:
    parts = {"energy": ENERGY, "product": PRODUCT, "share": SHARE}
    learner = Learner(learn_days, 0.1)
    return Intensity(0, "k", "of", parts, stated, learner, 0.10, 0.05, min_product, 0.95)


def hour(end_h: float, energy: float, product: float, share: float = 1.0, span_h: float = 1.0) -> Batch:
    return window(end_h, {SHARE: share, ENERGY: energy, PRODUCT: product}, span_h)


def test_less_product_may_cost_more_each() -> None:
    """200 kW · h + 280 kWh/t: of 8 t 305 kWh/t are explained, the limit is 335.5; of 2 t 380, the limit is 418."""
    full, little = judged(rule(), [hour(1, 8 * 340.0, 8.0), hour(2, 2 * 390.0, 2.0)])
    assert full == pytest.approx((1, TRUE, 340.0, 335.5, 8 * 35.0))
    assert (little.truth, little.value, little.limit) == pytest.approx((FALSE, 390.0, 418.0))


def test_it_clears_at_half_of_what_is_allowed() -> None:
    """Between 305 · 1.05 = 320.25 and 335.5 kWh/t what is, stays."""
    truths = [s.truth for s in judged(rule(), [hour(h, 8 * v, 8.0) for h, v in ((1, 336.0), (2, 330.0), (3, 320.0))])]
    assert truths == [TRUE, BETWEEN, FALSE]


def test_a_quarter_of_an_hour_idles_a_quarter_as_long() -> None:
    """2 t in 15 min: 50 + 560 = 610 kWh are explained; 700 are 90 kWh in a quarter of an hour, 360 kW."""
    (said,) = judged(rule(), [hour(0.25, 700.0, 2.0, span_h=0.25)])
    assert (said.truth, said.limit) == pytest.approx((TRUE, 610 * 1.1 / 2))
    assert said.excess == pytest.approx(360.0)


def test_too_little_of_data_or_product_says_nothing() -> None:
    assert judged(rule(), [hour(1, 9_000.0, 8.0, share=0.94)]) == []
    assert judged(rule(min_product=2.0), [hour(1, 9_000.0, 1.9)]) == []
    assert judged(rule(), [hour(1, 500.0, 0.0)]) == []


def test_it_is_learned_and_then_frozen() -> None:
    """Two days of 150 · h + 300 · t, nights without product among them; the limit of 5 t is 330 · 1.1 = 363 kWh/t.

    A year of worse hours teaches nothing more.
    """
    made = [0.0 if h % 24 < 6 else float(h % 5) for h in range(49)]
    before = [hour(h, 150.0 + 300.0 * t, t) for h, t in enumerate(made, 1)]
    assert judged(rule(None, 2), before) == []
    later = [hour(h, 5 * 370.0, 5.0) for h in range(50, 50 + 400)]
    said = judged(rule(None, 2), [*before, *later])
    assert {s.truth for s in said} == {TRUE}
    assert {round(s.limit, 6) for s in said} == {363.0}


def test_it_says_how_far_it_has_come() -> None:
    state: dict[str, Any] = {}
    learner = rule(None, 2)
    judged(learner, [hour(h, 150.0 + 300.0 * (h % 5), float(h % 5)) for h in range(1, 26)], state)
    assert learner.say(state["k"]["learned"]) == "learning: 1.0 of 2 days, 25 windows"
    judged(learner, [hour(h, 150.0 + 300.0 * (h % 5), float(h % 5)) for h in range(26, 50)], state)
    assert learner.say(state["k"]["learned"]) == "learned: 150 kW · h + 300 · product, R² 1, 49 windows"
    assert rule().say({}) == ""


def test_idling_cannot_give_energy_back() -> None:
    """kWh = 300 · t − 30 would idle at −30 kW; the line through zero is Σ E t / Σ t² = 300 − 30 Σ t / Σ t²."""
    learner = rule(None, 1)
    state: dict[str, Any] = {}
    made = [2.0, 4.0] * 13
    judged(learner, [hour(h, 300.0 * t - 30.0, t) for h, t in enumerate(made, 1)], state)
    idle, slope = state["k"]["learned"]["line"][:2]
    first = [t for h, t in enumerate(made, 1) if h <= 25]  # 24 hours after the first it is enough
    assert idle == 0.0
    assert slope == pytest.approx(300 - 30 * sum(first) / sum(t * t for t in first), rel=1e-4)


def test_learning_is_bounded() -> None:
    """A year of hours in which production explains nothing: at most a thousand of them are kept."""
    state: dict[str, Any] = {}
    hours = [hour(h, 100.0 + 70.0 * (-1) ** h, 1.0 + h % 3) for h in range(1, 3_000)]
    assert judged(rule(None, 14), [together(*hours)], state) == []
    assert len(state["k"]["learned"]["samples"]) <= 1_000


@given(st.lists(st.tuples(st.floats(0, 5_000), st.floats(0, 10)), min_size=1, max_size=60), st.integers(1, 9))
def test_how_windows_are_batched_does_not_matter(values: list[tuple[float, float]], size: int) -> None:
    """Rows of one window apart, windows one by one, or several together: the same judgements and state."""
    each = [hour(h, *value) for h, value in enumerate(values, 1)]
    apart = [batch.take(slice(n, n + 1)) for batch in each for n in range(3)]
    some = [together(*each[n : n + size]) for n in range(0, len(each), size)]
    found = []
    for batches in (each, apart, some):
        state: dict[str, Any] = {}
        found.append((judged(rule(None, 1), batches, state), state))
    for said, state in found[1:]:
        assert said == found[0][0]
        assert state == found[0][1]
