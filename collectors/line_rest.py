"""Attempts at the units that share a line or a connection in; whether one of them may be asked now out.

One rule for all protocols that ask units one after another: who does not answer rests, longer each time, and all of
them together, with those that take beyond their due, cost the others a tenth of the time at most.
"""

from __future__ import annotations

import random
from typing import Final

# After so many cycles in a row without a usable answer a unit rests.
BREAKER: Final = 3
# Of a line's time this much at most may go to units that do not answer, all of them together.
SHARE: Final = 0.1
# Within what time units of long periods are met for the first time [s].
MEET_S: Final = 10.0
# A connection may take this long to open at least: a first packet that is lost is sent again after 1 s (RFC 6298 §2.1).
OPEN_S: Final = 1.5
_FIRST_BACKOFF_S: Final = 0.5
# So many deadlines a unit may cost before it is rationed: a reply lost to noise is no reason to rest.
_FREE: Final = 1.75


def backoff_s(failures: int, most_s: float) -> float:
    """Return how long to rest after so many failures in a row: 0, then 0.5 s doubling up to `most_s`, jittered."""
    if failures < 2:
        return 0.0
    return float(min(most_s, _FIRST_BACKOFF_S * 2.0 ** min(failures - 2, 20))) * random.uniform(0.5, 1.0)


class Rest:
    """What each unit of a line has cost lately by not answering, and how long it rests.

    The cost is counted by request and forgiven at the rate the share allows; how many cycles in a row were in vain
    decides on the rest. While every unit is silent nobody is held up, so there is nothing to ration; when the first
    answers again, the line is taken to be back and all are asked at their next turn.
    """

    def __init__(self, most_s: float) -> None:
        self._free_s = 0.0
        self._most_s = most_s
        self._units: set[object] = set()
        self.silent: set[object] = set()  # whose last request was in vain; mostly nobody's
        # While both are empty, as mostly, everyone is allowed.
        self.costs: dict[object, tuple[float, float]] = {}  # (cost [s], at [s monotonic])
        self._failures: dict[object, int] = {}  # cycles in a row
        self.until: dict[object, float] = {}  # [s monotonic]

    def enrol(self, unit: object, deadline_s: float) -> None:
        """Count a unit among those that share the line; a request to it costs so much [s] when it is in vain."""
        self._units.add(unit)
        self._free_s = max(self._free_s, _FREE * deadline_s)

    @property
    def nobody_answers(self) -> bool:
        """Whether the last request to each unit was in vain."""
        return len(self.silent) == len(self._units)

    @property
    def line_is_down(self) -> bool:
        """Whether it is the line that fails: different units suffer the same, and none answers."""
        return len(self._units) > 1 and self.nobody_answers

    # ── requests ──────────────────────────────────────────────────────────────────────────────────

    def waited(self, unit: object, seconds: float, now: float) -> None:
        """Charge a unit with a request in vain."""
        self.silent.add(unit)
        self.delayed(unit, seconds, now)

    def delayed(self, unit: object, seconds: float, now: float) -> None:
        """Charge a unit that answers with what it took beyond its due."""
        self.costs[unit] = (self._left(unit, now) + seconds, now)

    def answered(self, unit: object) -> None:
        """Note that a unit answers."""
        if unit not in self.silent:
            return
        if self.nobody_answers:
            self.costs.clear()
            self.until.clear()
            self._failures = {one: min(count, BREAKER - 1) for one, count in self._failures.items()}
        self.silent.discard(unit)

    # ── cycles ────────────────────────────────────────────────────────────────────────────────────

    def failed(self, unit: object, now: float) -> bool:
        """Note a cycle that ended without a usable answer; return whether the unit rests from now on."""
        failures = self._failures[unit] = self.failures(unit) + 1
        if failures < BREAKER:
            return False
        self.until[unit] = now + backoff_s(failures, self._most_s)
        return True

    def well(self, unit: object) -> None:
        """Note a cycle that was answered to its end."""
        self._failures.pop(unit, None)
        self.until.pop(unit, None)

    def failures(self, unit: object) -> int:
        """Return how many cycles in a row have been in vain."""
        return self._failures.get(unit, 0)

    def allows(self, unit: object, now: float) -> bool:
        """Return whether the unit may be asked now."""
        if now < self.until.get(unit, now):
            return False
        if unit not in self.costs or self.nobody_answers:
            return True
        left = self._left(unit, now)
        if left <= 0:
            del self.costs[unit]
        return left < self._free_s

    def _left(self, unit: object, now: float) -> float:
        cost, at = self.costs.get(unit, (0.0, now))
        # A cap: what was waited while nobody was held up is not paid for afterwards.
        return max(0.0, min(cost, 2 * self._free_s) - (now - at) * SHARE / max(1, len(self.costs)))
