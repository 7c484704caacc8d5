"""The gateway's newest state → server-sent events: each second what has changed, to each reader what it wants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from config.errors import Rejected, Unavailable
from pipeline.clock import to_beat_s
from pipeline.latest import Latest
from tanflow.web.access.sessions import Sessions, who
from tanflow.web.alerts.alert_list import AlertList
from tanflow.web.encode import dumps
from tanflow.web.history.query import series_ids
from tanflow.web.history.series import SeriesList
from tanflow.web.inside.health import health
from tanflow.web.parameters import Filter, only, series_filter

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

_EACH_S: Final = 1.0
_HEARTBEAT_S: Final = 10.0
_READERS: Final = 64
_SERIES: Final = 10_000  # of one reader; half a megabyte at first
_VERDICT: Final = ("state", "reasons", "notices", "revision", "accepting", "clock_trusted")
Ids = npt.NDArray[np.int64]


@dataclass(slots=True)
class Wanted:
    """The series one reader wants, and what it was sent of each; what it could not take in time is never queued."""

    keys: Sequence[str]
    ids: Ids
    _time: npt.NDArray[np.int64] = field(init=False)
    _value: npt.NDArray[np.int64] = field(init=False)  # bits of the float: two unknown values are the same
    _quality: npt.NDArray[np.uint16] = field(init=False)

    def __post_init__(self) -> None:
        self._time = np.zeros(len(self.ids), np.int64)
        self._value = np.zeros(len(self.ids), np.int64)
        self._quality = np.zeros(len(self.ids), np.uint16)

    def changed(self, latest: Latest) -> dict[str, tuple[int, float, int]]:
        """Return time, value and quality of those that are not as they were sent last, and take them for sent."""
        at, value, quality = latest.time_ns[self.ids], latest.value[self.ids], latest.quality[self.ids]
        bits = value.view(np.int64)
        # A restated row has the same time and another value.
        rows = np.flatnonzero((at != self._time) | (at != 0) & ((bits != self._value) | (quality != self._quality)))
        self._time, self._value, self._quality = at, bits, quality
        columns = zip(at[rows].tolist(), value[rows].tolist(), quality[rows].tolist(), strict=True)
        return dict(zip((self.keys[row] for row in rows.tolist()), columns, strict=True))


@dataclass(slots=True)
class _Said:
    """An event that is the same for all: its bytes, how many there have been, and what it depends on."""

    text: bytes = b""
    number: int = 0
    of: object = None
    at_s: float = float("-inf")

    def say(self, name: str, of: object, content: Callable[[], Any], now_s: float, keep_s: float) -> None:
        if self.number == 0 or of != self.of or now_s - self.at_s >= keep_s:
            self.text, self.number = event(name, content()), self.number + 1
            self.of, self.at_s = of, now_s


@dataclass(slots=True)
class Streams:
    """All who listen. One producer looks once a second and wakes them; each then takes what is new to it."""

    gateway: Gateway
    series: SeriesList
    alerts: AlertList
    sessions: Sessions
    now_s: Callable[[], float] = time.monotonic
    readers: int = 0
    over: bool = False
    health: _Said = field(default_factory=_Said)
    standing: _Said = field(default_factory=_Said)
    beat: asyncio.Event = field(default_factory=asyncio.Event)

    def routes(self) -> list[Route]:
        """Return the route of the stream."""
        return [Route("/api/stream", self._asked)]

    async def run(self) -> None:
        """Look once a second for ever; when that ends, every stream ends."""
        try:
            while True:
                if self.readers:
                    self._look()
                self._wake()
                await asyncio.sleep(to_beat_s(_EACH_S))
        finally:
            self.over = True
            self._wake()

    async def _asked(self, request: Request) -> Response:
        wanted = self._wanted(request)
        if self.readers >= _READERS:
            raise Unavailable(f"{_READERS} pages listen already; close one, or ask /api/latest", _HEARTBEAT_S)
        return _Stream(self, wanted, request)

    def _wanted(self, request: Request) -> Wanted:
        """Return the series of the keys and of the quantities that are named; none of both: only health and alerts."""
        given = request.query_params
        only(given, "series", "quantity")
        ids = set(series_ids(given, self.gateway.table.ids)) if "series" in given else set()
        if "quantity" in given:
            quantities = series_filter(given).quantities
            ids |= set(self.series.ids(Filter(quantities=quantities)).tolist()) if quantities else set()
        if len(ids) > _SERIES:
            raise Rejected(f"{len(ids)} series are asked for, more than {_SERIES}; name fewer")
        numbers = np.array(sorted(ids), np.int64)
        return Wanted([self.gateway.table.spec(number).key for number in numbers.tolist()], numbers)

    def _look(self) -> None:
        now_s, found = self.now_s(), health(self.gateway)
        self.health.say("health", [found[name] for name in _VERDICT], lambda: found, now_s, _HEARTBEAT_S)
        standing = self.alerts.standing()
        self.standing.say("alerts", standing, self._counted, now_s, float("inf"))

    def _counted(self) -> dict[str, Any]:
        return {"open": len(self.gateway.desk.open), "counts": self.alerts.counts()}

    def look_first(self) -> None:
        """Look at once where nobody has for a while: the first reader waits for nothing."""
        if self.readers == 1 or not self.health.number:
            self._look()

    def _wake(self) -> None:
        self.beat.set()
        self.beat = asyncio.Event()


class _Stream(Response):
    """One reader. While it does not take what was sent, nothing is made for it; then it gets the state of then."""

    def __init__(self, streams: Streams, wanted: Wanted, request: Request) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self.headers["x-accel-buffering"] = "no"  # a proxy in front passes events on as they come
        self._streams, self._wanted, self._who = streams, wanted, who(request)
        self._health = self._standing = 0
        self._spoke_s = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        streams = self._streams
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        gone = asyncio.create_task(_gone(receive), name="stream's end")
        streams.readers += 1
        try:
            if scope["method"] != "HEAD":
                streams.look_first()
                while not (gone.done() or streams.over) and streams.sessions.stand(self._who):
                    beat = streams.beat
                    if said := self._news():
                        await send({"type": "http.response.body", "body": said, "more_body": True})
                    await beat.wait()
        finally:
            streams.readers -= 1
            gone.cancel()
        await send({"type": "http.response.body", "body": b""})

    def _news(self) -> bytes:
        """Return what is new to this reader; after a while of nothing, a word that the gateway lives."""
        streams = self._streams
        parts = []
        if latest := self._wanted.changed(streams.gateway.latest):
            parts.append(event("latest", {"now_ns": streams.gateway.clock.now_ns(), "latest": latest}))
        if self._health != streams.health.number:
            self._health = streams.health.number
            parts.append(streams.health.text)
        if self._standing != streams.standing.number:
            self._standing = streams.standing.number
            parts.append(streams.standing.text)
        now_s = streams.now_s()
        if not parts and now_s - self._spoke_s >= _HEARTBEAT_S:
            parts.append(b": all quiet\n\n")
        if parts:
            self._spoke_s = now_s
        return b"".join(parts)


def event(name: str, content: Any) -> bytes:
    """Return a server-sent event; JSON has no line ends of its own."""
    return b"event: " + name.encode() + b"\ndata: " + dumps(content) + b"\n\n"


async def _gone(receive: Receive) -> None:
    """Return when the reader has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
