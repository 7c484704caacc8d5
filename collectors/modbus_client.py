"""Links to Modbus units: exchanges to make in, each one's data or failure out; one at a time per server or line.

It never writes to a field device: an `Exchange` is made from a `Read`, and nothing else is ever sent.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Container, Coroutine
from typing import Any, Final, NamedTuple, Protocol

from collectors.line_rest import OPEN_S, Rest, backoff_s
from collectors.modbus_deadlines import Deadlines
from collectors.modbus_frames import Failure, Read
from collectors.reaching import why_not
from config.protocols.modbus import ModbusConnection
from pipeline.counters import Counters
from pipeline.gaps import Gap

Spawn = Callable[[Coroutine[Any, Any, None], str], None]

_PASSED_OVER: Final = Failure(Gap.BREAKER, "not asked: it rests, has cost its share of the line, or owes a late reply")


class Owner(Protocol):
    """Whoever asked; called exactly once for every exchange asked, unless the link is closed."""

    def answered(self, exchange: Any, data: bytes, at_s: float) -> None:
        """Take what came at `at_s` [s monotonic]."""

    def failed(self, exchange: Any, failure: Failure) -> None: ...


class Form(NamedTuple):
    """A read as its way puts it: request, what a good reply begins with, its whole size, its time on the line [s]."""

    request: bytes
    header: bytes
    frame_size: int
    line_s: float


class Exchange:
    """One block of one unit, encoded once and asked again every cycle."""

    __slots__ = ("frame_size", "header", "line_s", "owner", "read", "request", "took_s")

    def __init__(self, owner: Owner, read: Read, link: Link) -> None:
        self.owner = owner
        self.read = read
        self.request, self.header, self.frame_size, self.line_s = link.enrol(owner, read)
        self.took_s = math.nan  # from the last request until its good answer [s]


class Wire(Protocol):
    """One open connection of a way.

    `silent` counts the requests since the last byte received; `torn`: part of an answer has come, what follows is its
    rest.
    """

    asked: Exchange | None
    silent: int
    lost: bool

    @property
    def torn(self) -> bool: ...
    def send(self, exchange: Exchange) -> None: ...
    def give_up(self) -> Failure | None:
        """Forget what is asked, its deadline has passed; return what is known beyond that."""

    def close(self) -> None: ...


class Way(Protocol):
    """How units are reached and in what form they are asked; see modbus_tcp and modbus_line."""

    name: str
    silent_most: int  # after so many requests in a row without a byte in return the connection itself is doubted

    def form(self, read: Read) -> Form: ...
    @property
    def owing(self) -> Container[int]:
        """Units of which a late reply may still come; while there are none `owes` need not be asked."""

    def owes(self, unit: int) -> bool:
        """Return whether a late reply of the unit could be taken for another."""

    def wire(self, link: Link) -> Any:
        """Return a new Wire, an asyncio.Protocol, for `connect`."""

    async def connect(self, wire: Any) -> None:
        """Open a connection for the wire; OSError or UnicodeError."""


class Link:
    """The way to one server or line: opened when needed, shared by its units, one exchange at a time.

    Exchanges are made in the order they are asked, so units share the link by when they are due. One that did not
    answer is passed over while it rests or the others have a claim to the time it would cost (see line_rest).
    """

    def __init__(
        self, way: Way, manners: ModbusConnection, deadlines: Deadlines, spawn: Spawn, counters: Counters
    ) -> None:
        self.name = way.name
        self.backoff_max_s = manners.backoff_max_s
        self._way = way
        self._owing = way.owing
        self._timeout_s = manners.timeout_s
        self._counters = counters
        self._deadlines = deadlines
        self._waiting = deadlines.waiting
        self.rest = Rest(manners.backoff_max_s)
        self._spawn = spawn
        self._queue: deque[Exchange] = deque()
        self._wire: Wire | None = None
        self._opening = False
        self._failures = 0
        self._failure = Failure(Gap.REFUSED, "")
        self._rest_until = 0.0
        self._asked_s = 0.0
        self.until_s = 0.0  # the deadline of what is asked now
        self._spoiler: Owner | None = None  # whose request the last connection did not survive

    def enrol(self, owner: Owner, read: Read) -> Form:
        """Count the owner among those that share the link, and return how its read is asked here."""
        form = self._way.form(read)
        self.rest.enrol(owner, self._deadlines.enrol(self._timeout_s + form.line_s))
        return form

    def uses(self, wire: Wire) -> bool:
        return self._wire is wire

    def renew(self, exchange: Exchange) -> None:
        """Wait anew: something else had to be asked before the exchange, and has been answered."""
        self._asked_s = time.monotonic()
        self.until_s = self._asked_s + self._timeout_s + exchange.line_s
        self._waiting[self] = None

    def rejected(self) -> None:
        """Count an answer nobody waits for any more."""
        self._counters.rejected += 1

    def ask(self, exchange: Exchange) -> None:
        """Make the exchange as soon as those before it are done."""
        self._queue.append(exchange)
        if not self.until_s:  # nothing is being asked
            self._next(time.monotonic())

    def close(self) -> None:
        """Drop everything; owners are not called any more."""
        self._queue.clear()
        self.until_s = 0.0
        self._drop()

    def answered(self, exchange: Exchange, data: bytes) -> None:
        now = time.monotonic()
        self.until_s = 0.0
        exchange.took_s = took_s = now - self._asked_s
        self._counters.took(took_s)
        self._failures = 0
        if self.rest.silent:
            self.rest.answered(exchange.owner)
        exchange.owner.answered(exchange, data, now)
        if self._queue:
            self._next(now)

    def refused(self, exchange: Exchange, failure: Failure) -> None:
        """The unit, or what stands before it, has said no, or nothing that can be used; the connection is good."""
        self.until_s = 0.0
        now = time.monotonic()
        self._counters.took(now - self._asked_s)
        self._failures = 0
        if failure.cause is Gap.EXCEPTION:
            self.rest.answered(exchange.owner)
        else:
            self.rest.waited(exchange.owner, now - self._asked_s, now)
        exchange.owner.failed(exchange, failure)
        self._next(now)

    def expire(self) -> None:
        """The deadline of what is asked now has passed; its answer, should it come, is rejected."""
        wire = self._wire
        if wire is None or wire.asked is None:
            return
        asked, now = wire.asked, time.monotonic()
        failure = wire.give_up()
        if failure is None:
            failure = Failure(Gap.TIMEOUT, f"{asked.read}: no answer within {self._timeout_s:g} s")
        if wire.silent >= self._way.silent_most or wire.torn:
            self._drop()
        self.rest.waited(asked.owner, now - self._asked_s, now)
        asked.owner.failed(asked, failure)
        self._next(now)

    def broken(self, failure: Failure) -> None:
        """The connection cannot be used further: close it, fail what was asked, go on over a new one.

        What one unit is asked, and is answered by nonsense or by hanging up, is that unit's failure: it rests, those
        beside it are asked over the new connection. Only when several share the link and none answers does it rest.
        """
        asked, now = self._wire.asked if self._wire else None, time.monotonic()
        self.until_s = 0.0
        self._drop()
        malformed = failure.cause is Gap.MALFORMED
        self._counters.rejected += malformed
        if asked is not None:
            self.rest.waited(asked.owner, now - self._asked_s, now)
            self._spoiler = asked.owner
        if malformed if asked is None else self.rest.line_is_down and not malformed:
            self._count(Failure(Gap.REFUSED, failure.words))
        if asked is not None:
            asked.owner.failed(asked, failure)
        self._next(now)

    def _next(self, now: float) -> None:
        queue, rest = self._queue, self.rest
        while queue and not self._opening:
            wire = self._wire
            if wire is not None and wire.asked is not None:
                return
            exchange = queue[0]
            if (self._owing and self._way.owes(exchange.read.unit)) or (
                (rest.costs or rest.until) and not rest.allows(exchange.owner, now)
            ):
                queue.popleft()
                exchange.owner.failed(exchange, _PASSED_OVER)
                continue
            if wire is None:
                self._open()
                return
            queue.popleft()
            self._asked_s = now
            self.until_s = now + self._timeout_s + exchange.line_s
            self._waiting[self] = None
            wire.send(exchange)

    def _open(self) -> None:
        if time.monotonic() < self._rest_until:
            self._fail_all()
            return
        self._opening = True
        self._spawn(self._connect(), f"modbus connect {self.name}")

    async def _connect(self) -> None:
        wire, began = self._way.wire(self), time.monotonic()
        within_s = max(self._timeout_s, OPEN_S)
        try:
            async with asyncio.timeout(within_s):
                await self._way.connect(wire)
        except TimeoutError:
            self._count(Failure(Gap.REFUSED, f"no connection to {self.name} within {within_s:g} s"))
        except (OSError, UnicodeError) as error:
            self._count(Failure(Gap.REFUSED, f"no connection to {self.name}: {why_not(error)}"))
        else:
            self._adopt(wire, began)
        finally:
            self._opening = False
            if self._wire is not wire:
                wire.close()
        if self._wire is None:
            self._fail_all()
        else:
            self._next(time.monotonic())

    def _adopt(self, wire: Wire, began: float) -> None:
        if wire.lost:
            self._count(Failure(Gap.REFUSED, f"{self.name} closed the connection at once"))
            return
        self._wire = wire
        if self._spoiler is not None:  # the time of opening is part of what it costs the others
            now = time.monotonic()
            self.rest.waited(self._spoiler, now - began, now)
            self._spoiler = None

    def _count(self, failure: Failure) -> None:
        self._failure = failure
        self._failures += 1
        self._rest_until = time.monotonic() + backoff_s(self._failures, self.backoff_max_s)

    def _fail_all(self) -> None:
        waiting = list(self._queue)
        self._queue.clear()
        for exchange in waiting:
            exchange.owner.failed(exchange, self._failure)

    def _drop(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
