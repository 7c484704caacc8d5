"""Messages of a broker → its topics, how often each speaks and what it said last, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_TOPICS: Final = 5_000  # told one by one
_PAYLOAD: Final = 64 << 10  # of a topic, that is kept [bytes]
_ALL: Final = 32 << 20  # of all topics together [bytes]


@dataclass(slots=True)
class Topic:
    """One topic; times are those of reception [ns UTC]."""

    name: str
    first_ns: int
    last_ns: int = 0
    count: int = 0
    retained: int = 0  # of them, messages from before
    payload: bytes | None = None  # the last one; None: too long to be kept
    size: int = 0

    @property
    def every_s(self) -> float | None:
        """How often it speaks [s]; None where that is not known."""
        fresh = self.count - self.retained
        return (self.last_ns - self.first_ns) / 1e9 / (fresh - 1) if fresh > 1 else None


class Topics:
    """All topics heard; of those beyond MOST_TOPICS only the messages are counted."""

    def __init__(self) -> None:
        self.known: dict[str, Topic] = {}
        self.messages = 0
        self.beyond = 0
        self._bytes = 0

    def note(self, name: str, payload: bytes, retained: bool, now_ns: int) -> None:
        """Take one message."""
        self.messages += 1
        topic = self.known.get(name)
        if topic is None:
            if len(self.known) >= MOST_TOPICS:
                self.beyond += 1
                return
            topic = self.known[name] = Topic(name, now_ns)
        topic.count += 1
        topic.retained += retained
        if topic.count - topic.retained == 1 and not retained:
            topic.first_ns = now_ns
        topic.last_ns = now_ns
        topic.size = len(payload)
        self._keep(topic, payload)

    def _keep(self, topic: Topic, payload: bytes) -> None:
        self._bytes -= len(topic.payload or b"")
        fits = len(payload) <= _PAYLOAD and self._bytes + len(payload) <= _ALL
        topic.payload = payload if fits else None
        self._bytes += len(topic.payload or b"")
