"""Sums of a period → what cannot be: meters below that count more than the one above, export beyond generation."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from carbon.books import Books
from carbon.entries import MICRO, Entries, Integers, Line, MeterVersion, one_of_each
from carbon.factor import Factor
from carbon.filling.fill import fed_from
from carbon.ledger import Ledger
from carbon.ledger.effective import Sums
from carbon.market.own_generation import own_power
from carbon.uncertainty import half_interval
from pipeline.batch import Series


class Parts(NamedTuple):
    """What a stream amounts to [1e-6 unit, mWh]; by_meter int64[k] of it was measured by meter version int32[k]."""

    amount: int
    energy: int
    by_meter: Integers
    meter: Series


@dataclass(frozen=True)
class Held:
    """What the ledger holds of a period: its sums by line, factor and meter, and of each stream once."""

    start_ns: int
    end_ns: int
    sums: Sums
    lines: Mapping[int, Line]
    factors: Mapping[int, Factor]
    meters: Mapping[int, MeterVersion]
    streams: Mapping[str, Parts]

    @classmethod
    def of(cls, ledger: Ledger, start_ns: int, end_ns: int) -> Self:
        """Return what the ledger holds from start to end."""
        sums, lines = ledger.sums([start_ns, end_ns]), ledger.lines
        streams = {key: _parts(sums, numbers) for key, numbers in one_of_each(lines, set(sums.line.tolist())).items()}
        return cls(start_ns, end_ns, sums, lines, ledger.factors, ledger.meters, streams)

    @property
    def used(self) -> list[int]:
        """The lines that have entries."""
        return [int(number) for number in np.unique(self.sums.line)]

    def numbers(self, streams: Collection[str]) -> set[int]:
        """Return the lines some streams are to be read from, of each those of one key."""
        found = one_of_each(self.lines, set(self.used))
        return {number for key in streams for number in found.get(key, ())}


def _parts(sums: Sums, numbers: Collection[int]) -> Parts:
    mine = sums.take(np.isin(sums.line, list(numbers)))
    return Parts(int(mine.amount.sum()), int(mine.energy.sum()), mine.amount, mine.meter)


def negative_rests(books: Books, held: Held) -> Iterator[str]:
    """Yield meters below which more was counted than went in, beyond the combined error of all of them.

    rest = above + generated behind it − exported there − Σ below; U = √Σ U², different meters independent.
    """
    below: dict[str, list[str]] = {}
    for key, stream in books.streams.items():
        above = fed_from(books, stream) if stream.virtual is None else None
        if above is not None and key in held.streams:
            below.setdefault(above, []).append(key)
    for above, children in below.items():
        if above not in held.streams:
            continue
        own, exported = _behind(books, held, above)
        rest = _amount(held, [above, *own]) - _amount(held, [*exported, *children])
        error = _error(held, [above, *own, *exported, *children])
        if rest < -error:
            unit = books.streams[above].unit
            yield (
                f"below {above} {-rest / MICRO:,.3f} {unit} more was metered than went in, beyond the combined error "
                f"of {error / MICRO:,.3f} {unit}: a ratio, a sign or fed_by is wrong, or one of them has a gap; below "
                f"it are {', '.join(sorted(children))}"
            )


def _behind(books: Books, held: Held, above: str) -> tuple[list[str], list[str]]:
    """Return the streams of own generation that feed in behind a meter of electricity, and what is exported there."""
    stream = books.streams[above]
    if stream.carrier != "electricity":
        return [], []
    assets = {name: asset for area in books.config.areas.values() for name, asset in area.assets.items()}
    known = {key: s for key, s in books.streams.items() if key in held.streams and s.virtual is None}
    own = [key for key, s in known.items() if s.role == "own" and assets[s.asset].fed_by == stream.asset]
    return own, [key for key, s in known.items() if s.role == "export" and s.asset == stream.asset]


def _amount(held: Held, keys: Collection[str]) -> int:
    return sum(held.streams[key].amount for key in keys)


def _error(held: Held, keys: Collection[str]) -> float:
    """Return half the 95 % interval of a sum or difference of streams [1e-6 unit]."""
    amount = np.concatenate([np.abs(held.streams[key].by_meter) for key in keys])
    meter = np.concatenate([held.streams[key].meter for key in keys])
    return half_interval(amount, meter, np.full(len(amount), -1, np.int32), held.meters, {})


def exported_beyond(ledger: Ledger, held: Held) -> Iterator[str]:
    """Yield that in some intervals more power was exported than generated."""
    roles = {"own": set[str](), "export": set[str]()}
    for number in held.used:
        line = held.lines[number]
        if line.role in roles and line.unit == "kWh":
            roles[line.role].add(line.stream)
    if roles["export"]:
        made, out = (_by_start(ledger, held, streams) for streams in roles.values())
        starts = sorted(made.keys() | out.keys())
        columns = [np.array([side.get(start, 0) for start in starts], np.int64) for side in (made, out)]
        if min(int(column.min(initial=0)) for column in columns) >= 0:
            yield from own_power(columns[0], columns[1], np.zeros(len(starts), np.int64)).findings


def _by_start(ledger: Ledger, held: Held, streams: Collection[str]) -> dict[int, int]:
    numbers = held.numbers(streams)
    found: dict[int, int] = {}
    for entries in ledger.read(held.start_ns, held.end_ns, numbers) if numbers else ():
        for start, amount in zip(entries.start_ns.tolist(), entries.amount.tolist(), strict=True):
            found[start] = found.get(start, 0) + amount
    return found


def negative_virtual(books: Books, ledger: Ledger, held: Held) -> Iterator[str]:
    """Yield virtual meters from which more is taken away in some intervals than there is."""
    for key, stream in books.streams.items():
        numbers = held.numbers([key]) if stream.virtual is not None else set()
        if not numbers:
            continue
        rows = Entries.join(list(ledger.read(held.start_ns, held.end_ns, numbers)))
        below = rows.amount[rows.amount < 0]
        if len(below):
            yield (
                f"{key} is negative in {len(below)} intervals, {int(below.sum()) / MICRO:,.3f} {stream.unit} together: "
                "more is taken away than there is; look at its parts, their gaps and clocks"
            )
