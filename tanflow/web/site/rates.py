"""Newest values and open cells → what every stream of the account takes per hour now, unknown where nothing says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from carbon.accountant import Unbooked
from carbon.books import Books
from carbon.cells import QUARTER_NS, Cells, merge
from carbon.entries import MICRO, Activity
from carbon.streams import Stream
from pipeline.clock import SECOND_NS
from pipeline.latest import Latest
from pipeline.quality import BAD, SEVERITY
from pipeline.series import SeriesTable

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

HOUR_NS: Final = 3_600 * SECOND_NS
_FRESH_NS: Final = 300 * SECOND_NS  # a value older than this, or than three of its periods, is no value of now
_LEAST_NS: Final = 60 * SECOND_NS  # an amount of less time says nothing of an hour


@dataclass(frozen=True, slots=True)
class Meter:
    """One metered stream by its number in the books, and the ids of what shows it: amounts and power (−1: none)."""

    number: int
    stream: Stream
    amount: int
    power: int
    sign: float = 1.0  # −1: what its asset's power shows below zero is given away


def meters(gateway: Gateway) -> list[Meter]:
    """Return every metered stream; what is given away by a meter that shows its power is read from that power."""
    books, table = gateway.books, gateway.table
    powers = _powers(table)
    found = []
    for number, stream in enumerate(books.streams.values()):
        if not stream.series:
            continue
        power = powers.get((stream.asset, stream.carrier), -1) if stream.unit == "kWh" else -1
        sign = -1.0 if stream.role == "export" else 1.0
        found.append(Meter(number, stream, table.ids[stream.series], -1 if stream.role == "memo" else power, sign))
    return found


def _powers(table: SeriesTable) -> dict[tuple[str, str], int]:
    """Return the id of the power of each (asset, carrier): that which carbon follows from, else the first."""
    found: dict[tuple[str, str], int] = {}
    certain: set[tuple[str, str]] = set()
    for number in table.specs.where(lambda like: like.quantity == "power" and not like.stratum).tolist():
        spec = table.spec(number)
        tags = dict(spec.tags)
        key = tags.get("asset", ""), tags.get("carrier", "")
        if key not in found or (spec.products and key not in certain):
            found[key] = number
        if spec.products:
            certain.add(key)
    return found


@dataclass(frozen=True, slots=True)
class Rates:
    """Amounts of an hour at the present rate by stream number [unit/h]; NaN where nothing fresh says."""

    meters: list[Meter]
    value: dict[int, float]

    def activity(self, books: Books, now_ns: int) -> Activity:
        """Return the amounts of an hour at these rates, put into the running interval: what follows is per hour too."""
        known = [(number, value) for number, value in self.value.items() if value == value]
        numbers, values = [n for n, _ in known], np.array([v for _, v in known], float)
        amounts = np.rint(values * MICRO).astype(np.int64)
        return Activity.make(books.interval_of(now_ns), books.interval_ns, numbers, amounts)


def rates(gateway: Gateway, known: list[Meter], unbooked: Unbooked, now_ns: int) -> Rates:
    """Return what each stream takes per hour: its power where it shows one, else the mean of its running quarter."""
    latest = gateway.latest
    cells = _by_stream(merge(unbooked.parts), now_ns)
    found = {}
    for meter in known:
        source = meter.power if meter.power >= 0 else meter.amount
        if not fresh(gateway.table, latest, source, now_ns):
            found[meter.number] = np.nan
        elif meter.power >= 0:
            found[meter.number] = max(0.0, meter.sign * float(latest.value[meter.power]))
        else:
            found[meter.number] = cells.get(meter.number, np.nan)
    return Rates(known, found)


def fresh(table: SeriesTable, latest: Latest, series: int, now_ns: int) -> bool:
    """Return whether the newest row of a series tells of now: not bad, not older than five minutes or three periods."""
    age = now_ns - int(latest.time_ns[series])
    allowed = max(_FRESH_NS, 3 * int(table.period_ns[series]))
    good = (int(latest.quality[series]) & SEVERITY) < BAD and np.isfinite(latest.value[series])
    return bool(latest.time_ns[series]) and age <= allowed and bool(good)


def _by_stream(cells: Cells, now_ns: int) -> dict[int, float]:
    """Return the mean rate [unit/h] of the running and the last quarter of each stream in which enough is known."""
    recent = cells.take(cells.quarter_ns >= now_ns - 2 * QUARTER_NS)
    amounts: dict[int, list[int]] = {}
    columns = (recent.stream, recent.amount, recent.covered_ns)
    for stream, amount, covered in zip(*(c.tolist() for c in columns), strict=True):
        total = amounts.setdefault(stream, [0, 0])
        total[0] += amount
        total[1] += covered
    return {s: a / MICRO / (c / HOUR_NS) for s, (a, c) in amounts.items() if c >= _LEAST_NS}
