"""How long the event loop was kept from running: the largest and the recent lag [s]."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

_EVERY_S: Final = 0.2
_SPAN_S: Final = 15.0


@dataclass(slots=True)
class LoopLag:
    """Lag of the event loop behind a beat of 200 ms; `largest_s` since the start, start-up included."""

    largest_s: float = 0.0
    last_s: float = 0.0
    _spans: tuple[float, float] = (0.0, 0.0)  # largest of the last whole span and of the one that runs

    @property
    def recent_s(self) -> float:
        """The largest lag of the last 15 to 30 s [s]."""
        return max(self._spans)

    async def run(self) -> None:
        """Measure for ever."""
        loop = asyncio.get_running_loop()
        turn = loop.time() + _SPAN_S
        while True:
            due = loop.time() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            now = loop.time()
            if now >= turn:
                self._spans, turn = (self._spans[1], 0.0), now + _SPAN_S
            self.last_s = max(0.0, now - due)
            self.largest_s = max(self.largest_s, self.last_s)
            self._spans = (self._spans[0], max(self._spans[1], self.last_s))
