"""Whoever waits for an answer, and until when, in; those whose time is over are told."""

from __future__ import annotations

from typing import Final, Protocol

_LONGEST_S: Final = 60.0  # from sweep to sweep, where nobody waits


class Expiring(Protocol):
    """Whoever waits, for one thing at a time: `until_s` is its deadline [s monotonic], 0 while it waits for nothing."""

    until_s: float

    def expire(self) -> None: ...


class Deadlines:
    """One sweep for the deadlines of everyone.

    Waiting begins by setting `until_s` and standing in `waiting`, and ends by setting it to 0, which the next sweep
    takes note of: both happen for every request. Whoever is over its time is given a tick more, once, and what the
    sweep came too late: so after a pause of the whole process, answers already here are read before they are late.
    """

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self._shortest_s = _LONGEST_S
        # In the order they began; whoever sets its own `until_s` puts itself here.
        self.waiting: dict[Expiring, None] = {}
        self._granted: dict[Expiring, float] = {}  # until when they were given more

    def enrol(self, seconds: float) -> float:
        """Note that somebody may wait so long, and return it: sweeps keep to the shortest."""
        self._shortest_s = min(self._shortest_s, seconds)
        return seconds

    def sweep(self, now: float) -> float:
        """Expire what has waited too long; return when to sweep again at the latest."""
        for waiting in list(self.waiting):
            if not waiting.until_s:
                del self.waiting[waiting]
            elif waiting.until_s <= now:
                self._over(waiting, now)
        # Whoever begins to wait before then waits until after it.
        return min([now + self._shortest_s, *(w.until_s for w in self.waiting if w.until_s)])

    def _over(self, waiting: Expiring, now: float) -> None:
        if self._granted.pop(waiting, 0.0) == waiting.until_s:
            del self.waiting[waiting]
            waiting.until_s = 0.0
            waiting.expire()
        else:
            late_s = min(now - waiting.until_s, self._shortest_s)
            waiting.until_s = self._granted[waiting] = now + late_s + self._tick_s
