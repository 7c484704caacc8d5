"""Answers of a live provider → rows of grid intensity in the log; what is known already is asked and written once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from carbon.live.http_get import HttpGet
from carbon.live.json_paths import Unreadable, iso
from carbon.live.providers import Ask, Provider, Said, provider, read
from carbon.live.steps import HOUR_NS, QUALITY, Step, vet
from config.bindings import series_key
from config.errors import GatewayError, Rejected, Unavailable
from config.model import Gateway
from config.providers import LiveProvider
from config.quantities import QUANTITIES
from pipeline.batch import Batch, Header, Reject, make
from pipeline.clock import SECOND_NS, Clock
from pipeline.counters import Counters
from pipeline.heartbeat import GATEWAY
from pipeline.log.log import Log
from pipeline.log.writer import Cursor, DeadLetter, Entry
from pipeline.spec import Kind, Like, Spec

FEED: Final = "factors.live"  # a name no stage or sink can have
COMPONENT: Final = "factors"
LONGEST_S: Final = 6 * 3_600.0  # a day's steps are still asked for at the next try
_QUANTITY: Final = "grid_intensity"
_FIRST_S: Final = 30.0
_REFUSED_S: Final = 3_600.0  # a token or address that is wrong is not mended by asking
_RAW_BYTES: Final = 2_000
_POLL_S: Final = 1.0


def intensity_key(config: Gateway) -> str:
    """Return the key of the series live factors are written to, e.g. `gateway.factor-GB.grid_intensity`."""
    return series_key(GATEWAY, f"factor-{config.site.region}", _QUANTITY)


def live_specs(config: Gateway) -> Iterator[Spec]:
    """Yield the series of live factors where a configuration has a provider."""
    if config.factors.live is None:
        return
    about = QUANTITIES[_QUANTITY]
    said = {"asset": GATEWAY, "device": COMPONENT, "region": config.site.region, "site": config.site.name}
    name = f"{_QUANTITY}_{about.suffix}"
    like = Like(GATEWAY, _QUANTITY, about.unit, Kind.GAUGE, about.measurement, name)
    yield Spec(intensity_key(config), tuple(sorted(said.items())), like)


@dataclass(slots=True)
class IntensityFeed:
    """Asks one provider in its turn and appends the steps that are new or differ from what it said before.

    When it may be asked again, and what it said of the stretch asked for each time, is written with the rows, so that a
    restart asks nobody before its time and appends nothing twice.
    """

    config: LiveProvider
    log: Log
    clock: Clock
    series: int
    revision: int
    counters: Counters
    client: Provider = field(init=False)
    get: Callable[[Ask], bytes] = field(init=False)
    next_ns: int = 0  # not asked before
    _failures: int = 0
    _known: dict[int, Step] = field(default_factory=dict)
    _told: frozenset[tuple[str, str]] = frozenset()

    def __post_init__(self) -> None:
        self.client, self.get = provider(self.config), HttpGet(self.config)
        state = self.log.reader.cursor(FEED).state
        kept: Mapping[str, Any] = orjson.loads(state) if state else {}
        if kept.get("who") == _who(self.client.said):
            self.next_ns, self._failures = kept["next_ns"], kept["failures"]
            self._known = {row[0]: Step(*row) for row in kept["steps"]}

    async def run(self) -> None:
        """Ask for ever; raises Unavailable when it was in vain, with the time to wait."""
        while True:
            await self._turn()
            await self.fetch()

    async def _turn(self) -> None:
        """Wait until the provider may be asked; a clock that is not set can judge no time and no certificate."""
        while not self.clock.trusted or self.clock.now_ns() < self.next_ns:
            if self.next_ns > self.clock.now_ns() + int(max(LONGEST_S, self.config.every_s) * SECOND_NS):
                self.next_ns = 0  # of a clock that was ahead
            await asyncio.sleep(_POLL_S)

    async def fetch(self) -> None:
        """Ask now, and append what is new; raises Unavailable."""
        now_ns = self.clock.now_ns()
        asked = self._stretch(now_ns)
        try:
            ask = self.client.ask(*asked)
            body = await asyncio.to_thread(self.get, ask)
            said = await self._read(body, now_ns)
        except GatewayError as error:
            raise self._failed(error) from error
        steps, rejects = vet(said, self.client.said.step_ns, asked, now_ns)
        await self._accept(steps, rejects, asked, now_ns)

    def _stretch(self, now_ns: int) -> tuple[int, int]:
        """Return what to ask for [start, end): the stretch that may still change, and what was missed before it."""
        start = now_ns - self.config.look_back_h * HOUR_NS
        if self._known:
            start = min(start, max(self._known) + self.client.said.step_ns)
        start = max(start, now_ns - self.client.reach_ns)
        return start // HOUR_NS * HOUR_NS, now_ns

    async def _read(self, body: bytes, now_ns: int) -> list[Step | Reject]:
        try:
            return read(self.client, body)
        except Unreadable as error:
            await self._bury([Reject("answer", str(error), body[:_RAW_BYTES])], now_ns)
            raise Unavailable(f"the answer of {self.client.said.publisher} {error}") from error

    def _failed(self, error: GatewayError) -> Unavailable:
        """Return the error with the time to wait, which a restart keeps too."""
        asked_s = error.after_s if isinstance(error, Unavailable) else _REFUSED_S
        backoff = min(_FIRST_S * 2**self._failures, LONGEST_S) * random.uniform(0.5, 1.0)
        after_s = min(max(backoff, asked_s or 0.0), LONGEST_S)
        self._failures = min(self._failures + 1, 16)
        self._again(after_s)
        self.log.ride(Cursor(FEED, self.log.position, self._state()))
        refused = " (asked again in an hour)" if isinstance(error, Rejected) else ""
        return Unavailable(f"{error}{refused}", after_s)

    def _again(self, after_s: float) -> None:
        self.next_ns = self.clock.now_ns() + int(after_s * SECOND_NS)

    async def _accept(
        self, steps: Sequence[Step], rejects: Sequence[Reject], asked: tuple[int, int], now_ns: int
    ) -> None:
        fresh = [s for s in steps if self._known.get(s.start_ns) != s]
        newest = max(self._known, default=0)  # is kept: what is missed since will be asked for
        self._known = {t: s for t, s in self._known.items() if t >= min(asked[0], newest)}
        self._known |= {s.start_ns: s for s in steps}
        self._failures = 0
        self._again(self.config.every_s)
        await self._bury(rejects, now_ns)
        rows = [self._rows(fresh)] if fresh else []
        await self.log.append(Entry(rows, cursor=Cursor(FEED, self.log.position, self._state())))
        self.counters.received += len(steps)
        self.counters.committed += len(fresh)
        self.counters.last_error = ""
        if self._known:
            last = self._known[max(self._known)]
            self.counters.lag_s = (now_ns - last.start_ns - last.span_ns) / SECOND_NS

    async def _bury(self, rejects: Sequence[Reject], now_ns: int) -> None:
        """Keep what must not be used as dead letters; what the last answer had wrong already is not told again."""
        self.counters.rejected += len(rejects)
        dead = [
            DeadLetter(now_ns, COMPONENT, r.source, r.reason, r.raw)
            for r in rejects
            if (r.source, r.reason) not in self._told
        ]
        self._told = frozenset((r.source, r.reason) for r in rejects)
        if dead:
            await self.log.append(Entry(dead=dead))

    def _rows(self, steps: Sequence[Step]) -> Batch:
        clock, said = self.clock, self.client.said
        about = {
            "provider": said.provider, "zone": said.zone, "publisher": said.publisher, "publication": said.publication,
            "source": said.source, "fetched_at": iso(clock.now_ns()), "grades": [s.grade for s in steps],
        }  # fmt: skip
        header = Header(
            GATEWAY, self.revision, clock.boot, clock.now_ns(), clock.monotonic_ns(), note={"factors": about}
        )
        return make(
            header,
            [s.start_ns + s.span_ns for s in steps],
            [self.series] * len(steps),
            [s.kg_per_kwh for s in steps],
            [QUALITY[s.grade] for s in steps],
            [s.span_ns for s in steps],
        )

    def _state(self) -> bytes:
        steps = [(s.start_ns, s.span_ns, s.kg_per_kwh, s.grade) for _, s in sorted(self._known.items())]
        kept = {"who": _who(self.client.said), "next_ns": self.next_ns, "failures": self._failures, "steps": steps}
        return orjson.dumps(kept)


def _who(said: Said) -> list[Any]:
    return [said.provider, said.zone, said.source, said.step_ns]
