"""Recorded amounts → the ledger of a gateway through its own accountant, and what its periods sum to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pytest

from carbon.entries import MICRO, Entries, Integers
from carbon.ledger import Ledger
from config.errors import ConfigError
from pipeline.batch import DERIVED, INPUT, Header, Times, Values, make
from pipeline.clock import SECOND_NS, Clock
from pipeline.heartbeat import TICK_KEY
from pipeline.log.writer import Entry
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tests.proof.running import written

QUARTER_NS, HOUR_NS, DAY_NS = 900 * SECOND_NS, 3_600 * SECOND_NS, 86_400 * SECOND_NS
METER = """
version: 1
site: {{name: works, zone: {zone}, region: {region}}}
api: null
data: {{commit_ms: 10, ballast_mb: 1}}
{more}
connections:
  floor: {{protocol: modbus}}
areas:
  hall:
    assets:
      main:
        type: meter
        carrier: {carrier}
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/1
            points: {{import: {point}}}
"""
ENERGY = "{quantity: energy_index, unit: kWh, modbus: {address: 0, type: uint32}}"


def meter(zone: str, region: str, more: str = "", carrier: str = "electricity", point: str = ENERGY) -> str:
    """Return the configuration of a site with one meter `main.import`."""
    return METER.format(zone=zone, region=region, more=more, carrier=carrier, point=point)


def at(zone: str, *when: int) -> int:
    """Return an instant of the zone's clock [ns]."""
    return int(datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()) * SECOND_NS  # type: ignore[misc,arg-type]


def months(zone: str, year: int) -> list[int]:
    """Return where the months of a year begin, and the year after it."""
    return [*(at(zone, year, month, 1) for month in range(1, 13)), at(zone, year + 1, 1, 1)]


@dataclass(frozen=True, slots=True)
class Booking:
    """An open gateway whose amounts a test brings."""

    gateway: Gateway

    async def count(
        self, key: str, end_ns: npt.ArrayLike, amounts: npt.ArrayLike, span_ns: npt.ArrayLike, quality: int = 0
    ) -> None:
        """Commit amounts of the intervals that end at `end_ns`."""
        ends: Times = np.atleast_1d(np.asarray(end_ns, np.int64))
        values: Values = np.broadcast_to(np.asarray(amounts, float), ends.shape).copy()
        spans = np.broadcast_to(np.asarray(span_ns, np.int64), ends.shape).copy()
        series = np.full(len(ends), self.gateway.table.ids[key], np.int32)
        header = self._header("floor", int(ends[-1]), DERIVED)
        await self.gateway.log.append(Entry([make(header, ends, series, values, quality, spans)]))

    async def show(self, key: str, at_ns: int, value: float) -> None:
        """Let a register show a reading, in the unit it is declared in."""
        rows = make(self._header("floor", at_ns, INPUT), at_ns, [self.gateway.table.ids[key]], value)
        await self.gateway.ingests["floor"].accept(rows)

    async def book(self, upto_ns: int) -> None:
        """Let the gateway's clock be seen at a time, and the account read everything there is."""
        rows = make(self._header("gateway", upto_ns, INPUT), upto_ns, [self.gateway.table.ids[TICK_KEY]], 1.0)
        await self.gateway.log.append(Entry([rows]))
        while await self.gateway.accountant.step():
            pass

    def _header(self, connection: str, at_ns: int, stratum: int) -> Header:
        return Header(connection, self.gateway.table.revision, self.gateway.clock.boot, at_ns, 0, stratum)

    @property
    def folder(self) -> Path:
        return self.gateway.directory.path

    def line(self, key: str) -> Entries:
        """Return the effective entries of a line."""
        with Ledger.open(self.folder) as ledger:
            return Entries.join(list(ledger.read(lines=numbers(ledger, key))))

    def sums(self, key: str, edges_ns: Sequence[int], *columns: str) -> list[list[int]]:
        """Return what a line's entries sum to between edges, a list for each column."""
        with Ledger.open(self.folder) as ledger:
            return summed(ledger, key, edges_ns, *columns)


def numbers(ledger: Ledger, key: str) -> set[int]:
    """Return the number of a line by its name."""
    found = {number for number, line in ledger.lines.items() if line.key == key}
    assert found, sorted(line.key for line in ledger.lines.values())
    return found


def summed(ledger: Ledger, key: str, edges_ns: Sequence[int], *columns: str) -> list[list[int]]:
    """Return what a line's entries sum to between edges, a list for each column."""
    sums = ledger.sums(edges_ns, lines=numbers(ledger, key))
    found = []
    for name in columns:
        total: Integers = np.zeros(len(edges_ns) - 1, np.int64)
        np.add.at(total, sums.period, getattr(sums, name))
        found.append(total.tolist())
    return found


def refused(folder: Path, text: str) -> str:
    """Return what `tanflow check` says of a configuration it refuses."""
    with pytest.raises(ConfigError) as caught:
        written(folder, text)
    return str(caught.value)


def whole(amounts: npt.ArrayLike) -> Integers:
    """Return amounts in the ledger's integers [1e-6 unit]."""
    counted: Integers = np.rint(np.asarray(amounts, float) * MICRO).astype(np.int64)
    return counted


@asynccontextmanager
async def booking(folder: Path, config: str, now_ns: int) -> AsyncIterator[Booking]:
    """Open a gateway of a configuration; its clock stands at `now_ns`."""
    loaded = written(folder, config)
    async with open_gateway(loaded.gateway, loaded.templates, base=folder, clock=Clock(anchor_ns=now_ns)) as gateway:
        yield Booking(gateway)
