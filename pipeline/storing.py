"""A consumer's position and state → its cursor, and whether that is worth storing when no row goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.clock import SECOND_NS, Clock
from pipeline.log.writer import Cursor

_SMALL: Final = 4_096  # bytes of state stored with every step
_BYTES_PER_S: Final = 20_000  # of a larger one: flash wears, and what is not stored is replayed


@dataclass(slots=True)
class Storing:
    """The cursor of one consumer; remembers how much was stored last [bytes], and when [monotonic ns]."""

    name: str
    clock: Clock
    _size: int = 0
    _at_ns: int = 0

    def due(self) -> bool:
        """Return whether a state without rows is worth storing: a small one always is, a large one now and then."""
        return (self.clock.monotonic_ns() - self._at_ns) * _BYTES_PER_S >= (self._size - _SMALL) * SECOND_NS

    def cursor(self, position: int, state: bytes) -> Cursor:
        """Return the cursor to be stored."""
        self._size, self._at_ns = len(state), self.clock.monotonic_ns()
        return Cursor(self.name, position, state)
