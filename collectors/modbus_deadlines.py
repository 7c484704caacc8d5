"""Whoever waits for an answer, and how long, in; those whose time is over are told."""

from __future__ import annotations

from typing import Protocol


class Expiring(Protocol):
    """Whoever waits; one thing at a time."""

    def expire(self) -> None: ...


class Deadlines:
    """One sweep for the deadlines of everyone, counted in ticks.

    Ticks rather than times: after a pause of the whole process, answers already here are read before they are late.
    """

    def __init__(self, tick_s: float) -> None:
        self.now = 0
        self._tick_s = tick_s
        self._lanes: dict[int, Deadline] = {}

    def after(self, seconds: float) -> Deadline:
        """Return the deadline of that length."""
        ticks = int(seconds / self._tick_s) + 2
        return self._lanes.setdefault(ticks, Deadline(self, ticks))

    def sweep(self) -> None:
        """Count one tick and expire what has waited too long."""
        self.now += 1
        for lane in self._lanes.values():
            lane.sweep()


class Deadline:
    """One length of waiting, for any number of those who wait."""

    def __init__(self, deadlines: Deadlines, ticks: int) -> None:
        self._deadlines = deadlines
        self._ticks = ticks
        self._ends: dict[Expiring, int] = {}  # all wait equally long: the order of insertion is the order of expiry

    def start(self, waiting: Expiring) -> None:
        self._ends[waiting] = self._deadlines.now + self._ticks

    def stop(self, waiting: Expiring) -> None:
        self._ends.pop(waiting, None)

    def sweep(self) -> None:
        while self._ends:
            waiting = next(iter(self._ends))
            if self._ends[waiting] > self._deadlines.now:
                return
            del self._ends[waiting]
            waiting.expire()
