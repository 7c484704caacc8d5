"""Ticks → since when the gateway has been running: of a time in which it was not, nobody's silence can be told."""

from __future__ import annotations

from typing import Final, NamedTuple

from pipeline.clock import SECOND_NS

_BREAK_NS: Final = 60 * SECOND_NS
_PACES: Final = 3  # a fast clock's ticks lie further apart


class Pulse(NamedTuple):
    """The latest tick [ns], how long after the one before it came, and the first tick since the last break."""

    tick: int = 0
    pace: int = 0
    since: int = 0

    def after(self, time_ns: int) -> Pulse:
        """Return the pulse with one more tick."""
        gap = time_ns - self.tick
        broken = gap > max(_BREAK_NS, _PACES * self.pace)  # so is what was before the first
        return Pulse(time_ns, gap, time_ns if broken else self.since)
