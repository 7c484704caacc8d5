"""How long the event loop was kept from running: the largest and the recent lag [s]."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

_EVERY_S: Final = 0.05


@dataclass(slots=True)
class LoopLag:
    """Lag of the event loop behind a 50 ms beat."""

    largest_s: float = 0.0
    last_s: float = 0.0

    async def run(self) -> None:
        """Measure for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            self.last_s = max(0.0, loop.time() - due)
            self.largest_s = max(self.largest_s, self.last_s)
