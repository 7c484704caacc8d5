"""The one clock everything is given: gateway time = boot anchor + monotonic; within a boot id it never jumps."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field

SECOND_NS = 1_000_000_000
# 2026-01-01: earlier than this software exists; no clock that is right shows it
RELEASED_NS = 1_767_225_600 * SECOND_NS
FORWARD_NS = 500_000  # the most it is moved at one look at the wall clock
BACK_NS = 100_000  # less: two stamps within this time may change places


@dataclass(slots=True)
class Clock:
    """Gateway time [ns UTC] of this boot; `speed` > 1 exists for the demo and for tests only.

    `trusted` is False while the wall clock read at boot cannot be right.
    """

    anchor_ns: int = field(default_factory=time.time_ns)
    speed: float = 1.0
    trusted: bool = True
    of_wall: bool = False  # its anchor was read from the system's clock, which it follows
    boot: str = field(default_factory=lambda: secrets.token_hex(8))
    untrusted: dict[str, int] = field(default_factory=dict)  # boots that could not be trusted → their anchor
    begun_ns: int = 0  # when this boot id began, if the clock was set since the start
    moved_ns: int = 0  # by how much it was set then
    _started_ns: int = field(default_factory=time.monotonic_ns)

    def __post_init__(self) -> None:
        if not self.trusted:
            self.untrusted[self.boot] = self.anchor_ns

    def follow(self, off_ns: int) -> None:
        """Move a little towards the wall clock, which is `off_ns` ahead [ns]."""
        self.anchor_ns += max(-BACK_NS, min(FORWARD_NS, off_ns))

    def set_right(self, wall_ns: int) -> int:
        """Begin again from a trusted wall clock under a new boot id; return the offset [ns] of what went before."""
        offset = wall_ns - self.now_ns()
        self.anchor_ns += offset
        self.begun_ns, self.moved_ns = wall_ns, offset
        self.boot = secrets.token_hex(8)
        self.trusted = True
        return offset

    def monotonic_ns(self) -> int:
        """Return gateway nanoseconds since this boot's anchor."""
        elapsed = time.monotonic_ns() - self._started_ns
        return elapsed if self.speed == 1.0 else int(elapsed * self.speed)

    def now_ns(self) -> int:
        """Return gateway time [ns UTC]."""
        return self.anchor_ns + self.monotonic_ns()

    def at(self, monotonic_s: float) -> int:
        """Return the gateway time [ns UTC] of a time by `time.monotonic` [s]."""
        elapsed = int(monotonic_s * SECOND_NS) - self._started_ns
        return self.anchor_ns + (elapsed if self.speed == 1.0 else int(elapsed * self.speed))

    async def sleep(self, seconds: float) -> None:
        """Sleep `seconds` of gateway time."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)

    def wall_seconds(self, seconds: float) -> float:
        """Return how long `seconds` of gateway time last on the wall."""
        return seconds / self.speed


def to_beat_s(every_s: float) -> float:
    """Return how long it is to the next multiple of `every_s` on the event loop's clock [s].

    Whoever looks at something every second waits for the same one, so that the loop wakes up once for all of them.
    """
    rest_s = every_s - asyncio.get_running_loop().time() % every_s
    return rest_s if rest_s > every_s / 20 else rest_s + every_s  # a timer may fire a little before its time
