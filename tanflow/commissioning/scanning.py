"""A way to units → which of them answer: one request each, one at a time, with a pause between, and only reading."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Final, NamedTuple

from collectors.modbus_ask import Answer, Asker
from collectors.modbus_frames import Read
from config.errors import Rejected, Unavailable
from pipeline.gaps import Gap

_GATEWAY: Final = (10, 11)  # exceptions by which a gateway says that nobody is there behind it
_LAST: Final = 247  # the highest a unit may have: Modbus over Serial Line V1.02 §2.2
_ALL: Final = 255  # what a TCP device without a line behind it is asked by


class Found(NamedTuple):
    """A unit and how it answered."""

    unit: int
    answer: Answer

    @property
    def responds(self) -> bool:
        """Whether a device is there; one that refuses the read is."""
        failure = self.answer.failure
        return failure is None or (failure.cause is Gap.EXCEPTION and failure.code not in _GATEWAY)

    @property
    def words(self) -> str:
        failure = self.answer.failure
        if failure is None:
            return f"holding register 0 is {int.from_bytes(self.answer.data[:2], 'big')}"
        return failure.words.partition(": ")[2] or failure.words


def units(text: str, *, on_line: bool) -> list[int]:
    """Return the numbers of `1-40,247`; raises Rejected for anything else, and for 0 and 248 on on a serial line."""
    found: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,3})\s*(?:[-–]\s*(\d{1,3})\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not int(on_line) <= first <= last <= (_LAST if on_line else _ALL):
            raise Rejected(f"units={text[:60]!r} are no units; write e.g. 1-{_LAST} or 1-40,100")
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def request(unit: int) -> Read:
    """Return the least that can be asked: one holding register, which every device either has or refuses."""
    return Read(unit, "holding", 0, 1)


def longest_s(count: int, timeout_s: float, pause_s: float) -> float:
    """Return how long a scan takes at most [s]: every unit silent, and the connection opened once."""
    return timeout_s + count * (timeout_s + pause_s)


async def scan(asker: Asker, wanted: Sequence[int], pause_s: float) -> AsyncGenerator[Found]:
    """Yield how each unit answers. Raises Unavailable where the connection cannot be opened (again)."""
    for number, unit in enumerate(wanted):
        if number:
            await asyncio.sleep(pause_s)
        answer = await asker.ask(request(unit))
        if answer.failure is not None and answer.failure.cause is Gap.REFUSED:
            raise Unavailable(answer.failure.words)
        yield Found(unit, answer)
