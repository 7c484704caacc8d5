"""What the outbox asks of a channel: to take a message, or to say that it cannot now, or never will."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from sinks.notify.message import Message


class Channel(Protocol):
    """Messages → the outside world. `send` returns once the other side has taken it; it may come again.

    Raises Unavailable when it may be taken later, Rejected when it never will; an error never quotes a secret.
    """

    @property
    def joins(self) -> bool:
        """Whether people read it: alerts that come together are one message, and there are not too many."""

    @property
    def room(self) -> int:
        """How long a message may be [bytes]."""

    @property
    def refresh_s(self) -> float:
        """How often what fires is told anew, whatever changes; 0: never."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    async def send(self, message: Message) -> None: ...
