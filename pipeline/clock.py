"""The one clock everything is given: gateway time = boot anchor + monotonic; it never jumps."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field

SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Clock:
    """Gateway time [ns UTC] of this boot; `speed` > 1 exists for the demo and for tests only.

    `trusted` is False while the wall clock read at boot cannot be right (see DESIGN §4 rule 10).
    """

    anchor_ns: int = field(default_factory=time.time_ns)
    speed: float = 1.0
    trusted: bool = True
    boot: str = field(default_factory=lambda: secrets.token_hex(8))
    untrusted: dict[str, int] = field(default_factory=dict)  # boots that could not be trusted → their anchor
    _started_ns: int = field(default_factory=time.monotonic_ns)

    def __post_init__(self) -> None:
        if not self.trusted:
            self.untrusted[self.boot] = self.anchor_ns

    def set_right(self, wall_ns: int) -> int:
        """Begin again from a trusted wall clock under a new boot id; return the offset [ns] of what went before."""
        offset = wall_ns - self.now_ns()
        self.anchor_ns += offset
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

    async def sleep(self, seconds: float) -> None:
        """Sleep `seconds` of gateway time."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)

    def wall_seconds(self, seconds: float) -> float:
        """Return how long `seconds` of gateway time last on the wall."""
        return seconds / self.speed
