"""Seconds waited in vain for units of one link in; whether one of them may be waited for again out."""

from __future__ import annotations

from typing import Final

# Of a shared link's time this much at most may go to units that do not answer, all of them together.
SHARE: Final = 0.1
# So many deadlines a unit may cost before it is rationed: a reply lost to noise is no reason to rest.
_FREE: Final = 1.75


class Ration:
    """What each unit of a link has cost lately by not answering; forgiven at the rate the share allows.

    While every unit is silent nobody is held up, so there is nothing to ration; when the first answers again, the
    line is taken to be back and all are asked at once.
    """

    def __init__(self, deadline_s: float) -> None:
        self._free_s = _FREE * deadline_s
        self._units: set[object] = set()
        self._silent: set[object] = set()  # whose last attempt was in vain
        self.costs: dict[object, tuple[float, float]] = {}  # (cost [s], at [s monotonic])

    def enrol(self, unit: object) -> None:
        self._units.add(unit)

    @property
    def nobody_answers(self) -> bool:
        """Whether the last attempt at each unit was in vain."""
        return len(self._silent) == len(self._units)

    def waited(self, unit: object, seconds: float, now: float) -> None:
        """Charge a unit with an attempt in vain."""
        self._silent.add(unit)
        self.costs[unit] = (self._left(unit, now) + seconds, now)

    def answered(self, unit: object) -> None:
        """Note that a unit answers."""
        if unit in self._silent:
            if self.nobody_answers:
                self.costs.clear()
            self._silent.discard(unit)

    def allows(self, unit: object, now: float) -> bool:
        """Return whether the unit may be asked now."""
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
