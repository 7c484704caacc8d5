"""Gateway time of an instant that was noted by the monotonic clock: the same as was told then."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import SECOND_NS, Clock


@given(st.integers(0, 100 * 365 * 86_400 * SECOND_NS), st.sampled_from([1.0, 60.0]), st.integers(0, SECOND_NS))
def test_an_instant_noted_before_is_told_as_it_was(anchor_ns: int, speed: float, ago_ns: int) -> None:
    started_ns = time.monotonic_ns() - ago_ns
    clock = Clock(anchor_ns=anchor_ns, speed=speed, _started_ns=started_ns)
    before_ns, at_s, after_ns = clock.now_ns(), time.monotonic(), clock.now_ns()
    rounding_ns = int(1_000 * speed)  # of seconds as a float
    assert before_ns - rounding_ns <= clock.at(at_s) <= after_ns + rounding_ns


def test_what_was_noted_later_is_told_later() -> None:
    clock = Clock()
    noted = [time.monotonic() for _ in range(1_000)]
    told = [clock.at(at_s) for at_s in noted]
    assert told == sorted(told)
