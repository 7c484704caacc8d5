"""Ledger → log: every booked entry comes back as rows, so that databases and pages show what the account says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import orjson

from carbon.books import Books
from carbon.entries import MICRO, Entries, Line
from carbon.ledger import Block, Ledger
from config.bindings import series_key
from config.quantities import QUANTITIES
from pipeline.batch import LEDGER, WINDOW, Batch, Header, make
from pipeline.clock import Clock, to_beat_s
from pipeline.counters import Counters
from pipeline.heartbeat import GATEWAY
from pipeline.log.log import Log, LogReader
from pipeline.log.writer import Cursor, Entry
from pipeline.spec import Kind, Like, Spec

PUBLISHER: Final = "ledger.publisher"  # a name no stage or sink can have
_POLL_S: Final = 1.0
_ROWS: Final = 20_000  # one commit, about
_WORDS: Final = 8  # a head is 256 bits; a number of a database holds 32 of them exactly
_CO2E: Final = "account_co2e"
_ENERGY: Final = "account_energy"


def line_series(line: Line) -> dict[str, str]:
    """Return the keys of a line's series by quantity: kilograms of what has a scope, energy once a stream."""
    part = line.stream.removeprefix(f"{line.asset}.").replace(".", "-")
    point = f"{part}-{line.scope}-{line.category}-{line.method}"
    quantities = [_CO2E] if line.scope else []
    if line.role != "memo" and line.scope != 3 and line.method != "market":
        quantities.append(_ENERGY)
    return {quantity: series_key(line.asset, point, quantity) for quantity in quantities}


def head_keys() -> list[str]:
    """Return the keys of the series that carry the ledger's head out of the gateway: block number, then its hash."""
    return [series_key(GATEWAY, f"ledger-{name}", "health") for name in ("seq", *(f"head-{n}" for n in range(_WORDS)))]


def account_specs(books: Books) -> Iterator[Spec]:
    """Yield the series the account is published as."""
    site = books.config.site.name
    for line in (line for rules in books.rules.values() for line, _ in rules):
        said = {
            "site": site, "area": line.area, "asset": line.asset, "asset_type": line.asset_type,
            "carrier": line.carrier, "scope": str(line.scope), "method": line.method, "category": line.category,
            "role": line.role,
        }  # fmt: skip
        tags = tuple(sorted((name, value) for name, value in said.items() if value))
        for quantity, key in line_series(line).items():
            about = QUANTITIES[quantity]
            name = f"{quantity}_{about.suffix}"
            yield Spec(key, tags, Like(LEDGER, quantity, about.unit, Kind.DELTA, "emissions", name, stratum=WINDOW))
    for key in head_keys():
        tags = (("asset", GATEWAY), ("device", LEDGER), ("site", site))
        name = key.split(".")[1].removeprefix("ledger-").replace("-", "_")
        yield Spec(key, tags, Like(LEDGER, "health", "1", Kind.GAUGE, "gateway", f"ledger_{name}_count"))


def published(log: LogReader) -> int:
    """Return the last block of the ledger whose rows are in the log, 0 for none."""
    return published_as(log.cursor(PUBLISHER).state)


def published_as(state: bytes | None) -> int:
    """Return the same of the state that stands with the publisher's cursor, None or empty before the first block."""
    return int(orjson.loads(state)["seq"]) if state else 0


@dataclass(slots=True)
class Publisher:
    """Follows the ledger; how far it has come is written with the rows it appends."""

    log: Log
    ledger: Ledger
    ids: Mapping[str, int]
    clock: Clock
    revision: int
    counters: Counters
    seq: int = field(init=False)

    def __post_init__(self) -> None:
        self.seq = published(self.log.reader)

    async def run(self) -> None:
        """Follow the ledger for ever."""
        self.counters.state = "running"
        while True:
            await self.step()
            await asyncio.sleep(to_beat_s(_POLL_S))

    async def step(self) -> None:
        """Append the rows of every block not yet published; a row is the last word on its series and time."""
        batches: list[Batch] = []
        last = None
        for block in self.ledger.blocks(self.seq):
            batches += self._rows(block)
            last = block
            if sum(map(len, batches)) >= _ROWS:
                await self._append(batches, block)
                batches, last = [], None
        if last is not None:
            await self._append(batches, last)

    async def _append(self, batches: Sequence[Batch], upto: Block) -> None:
        cursor = Cursor(PUBLISHER, self.log.position, orjson.dumps({"seq": upto.seq}))
        await self.log.append(Entry([*batches, self._head(upto)], cursor=cursor))
        self.counters.delivered += sum(map(len, batches))
        self.seq = upto.seq

    def _header(self) -> Header:
        clock = self.clock
        return Header(LEDGER, self.revision, clock.boot, clock.now_ns(), clock.monotonic_ns(), WINDOW)

    def _head(self, block: Block) -> Batch:
        words = np.frombuffer(bytes.fromhex(block.head), ">u4").astype(float).tolist()
        header = self._header()
        return make(header, header.received_ns, [self.ids[key] for key in head_keys()], [float(block.seq), *words])

    def _rows(self, block: Block) -> list[Batch]:
        if block.kind != "entries":
            return []
        return list(rows_of(block.entries(), self.ledger.lines, self.ids, self._header()))


def rows_of(entries: Entries, lines: Mapping[int, Line], ids: Mapping[str, int], header: Header) -> Iterator[Batch]:
    """Yield entries as rows at the end of their intervals, a batch a quantity, where they have a series."""
    for quantity, values in ((_CO2E, entries.co2e), (_ENERGY, entries.energy)):
        numbers = np.unique(entries.line)
        keys = [line_series(lines[n]).get(quantity, "") for n in numbers.tolist()]
        series = np.array([ids.get(key, -1) for key in keys], np.int32)[np.searchsorted(numbers, entries.line)]
        mine = series >= 0
        if mine.any():
            time_ns, span_ns = (entries.start_ns + entries.span_ns)[mine], entries.span_ns[mine]
            yield make(header, time_ns, series[mine], values[mine] / MICRO, entries.quality[mine], span_ns)
