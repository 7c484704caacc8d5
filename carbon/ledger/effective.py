"""Blocks of entries → the effective ones: of each line and start the entry of the latest block, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from carbon.entries import Integers, Line
from carbon.ledger.codec import COLUMNS, DTYPES, Body, DamagedLedger, ascending
from carbon.ledger.file import Indexed
from pipeline.batch import Series

WINDOW_ROWS: Final = 1 << 18  # rows of all versions that are looked at together, about 30 MB with every column
Column = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Sums:
    """Effective entries summed by (line, period, factor, meter), in that order; m groups.

    line, factor, meter int32[m] as in Entries · period int64[m]: index of the edge the entries begin after · count
    int64[m] · the sums int64[m] in the units of Entries · peak float32[m], the highest, NaN where none is known.
    """

    line: Series
    period: Integers
    factor: Series
    meter: Series
    count: Integers
    span_ns: Integers
    amount: Integers
    energy: Integers
    estimated: Integers
    substituted: Integers
    covered_ns: Integers
    co2: Integers
    ch4: Integers
    n2o: Integers
    fgas: Integers
    mixed: Integers
    biogenic: Integers
    peak: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.line)

    @property
    def co2e(self) -> Integers:
        """All gases together [mg CO₂e]; biogenic CO₂ is not in it."""
        return self.co2 + self.ch4 + self.n2o + self.fgas + self.mixed

    def take(self, rows: Column | slice) -> Self:
        """Return the groups asked for (mask, indices or slice)."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})


_KEYS: Final = ("line", "period", "factor", "meter")
_SUMMED: Final = tuple(f.name for f in fields(Sums) if f.name not in (*_KEYS, "peak"))
SUMMED: Final = ("start_ns", *(f.name for f in fields(Sums) if f.name in COLUMNS))
_MOST_GROUPS: Final = 200_000  # kept apart before they are summed up


class Index:
    """Which blocks hold entries of which time, as far as the ledger has grown."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int]] = []
        self._table: Integers = np.empty((0, 4), np.int64)

    def add(self, block: Indexed) -> None:
        """Add a block; those without entries are not listed."""
        if block.kind == "entries":
            self._rows.append((block.seq, block.rows, block.first_ns, block.last_ns))

    def table(self, start_ns: int, end_ns: int, upto: int | None) -> Integers:
        """Return (seq, rows, first, last) of blocks with starts in [start, end), of those written up to `upto`."""
        if len(self._table) != len(self._rows):
            self._table = np.array(self._rows, np.int64).reshape(-1, 4)
        seq, _, first, last = self._table.T
        stop = len(seq) if upto is None else int(np.searchsorted(seq, upto, side="right"))
        found: Integers = self._table[:stop][(first[:stop] < end_ns) & (last[:stop] >= start_ns)]
        return found


def windows(table: Integers, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """Return [start, end) cut so that each part holds about WINDOW_ROWS rows of the blocks of `table`.

    F(t) = rows before t, those of a block spread evenly from its first to its last start; cut where F passes multiples.
    """
    if not len(table):
        return []
    _, rows, first, last = table.T
    times, at = np.unique(np.concatenate([first, last]), return_inverse=True)
    begin, end = at[: len(first)], at[len(first) :]
    long = last > first
    rate, jump = np.zeros(len(times)), np.zeros(len(times))
    per_ns = rows[long] / (last - first)[long]
    np.add.at(rate, begin[long], per_ns)
    np.subtract.at(rate, end[long], per_ns)
    np.add.at(jump, begin[~long], rows[~long])
    grown = np.append(0.0, np.cumsum(np.cumsum(rate)[:-1] * np.diff(times)))
    before = grown + np.cumsum(jump) - jump
    levels = np.arange(WINDOW_ROWS, before[-1] + jump[-1], WINDOW_ROWS)
    passed = np.interp(levels, np.ravel([before, before + jump], "F"), np.repeat(times - times[0], 2))
    cuts = np.unique(passed.astype(np.int64) + times[0])
    return list(pairwise([start_ns, *cuts[(cuts > start_ns) & (cuts < end_ns)].tolist(), end_ns]))


class Asked(NamedTuple):
    """Lines by number: the first number of the same name, and which are asked for (None: all).

    A line whose asset moved or changed its type has a new number and its old name; it still is one line in time.
    """

    first: Series
    wanted: npt.NDArray[np.bool_] | None

    @classmethod
    def of(cls, lines: Mapping[int, Line], wanted: Collection[int] | None) -> Self:
        """Return what is asked for of all lines; numbers nobody knows are not."""
        firsts: dict[str, int] = {}
        first = np.array([firsts.setdefault(line.key, number) for number, line in lines.items()], np.int32)
        return cls(first, None if wanted is None else np.isin(np.arange(len(first)), list(wanted)))

    def rows(self, line: Series) -> npt.NDArray[np.intp] | slice:
        """Return the rows of lines that have the name of one asked for; raises DamagedLedger for unknown numbers."""
        if len(line) and not 0 <= int(line.min()) <= int(line.max()) < len(self.first):
            raise DamagedLedger("an entry names a line that is not defined; run `tanflow ledger verify`")
        if self.wanted is None:
            return slice(None)
        return np.flatnonzero(np.isin(self.first, self.first[self.wanted])[line])


def effective(
    fetch: Callable[[int], Body], blocks: Sequence[int], start_ns: int, end_ns: int, asked: Asked, names: Sequence[str]
) -> dict[str, Column] | None:
    """Return columns of the effective entries of one window, by start, then by line as first numbered; None for none.

    Blocks are read twice, one at a time: for their keys, and, if any of their entries is effective, for `names`.
    """
    keys = [_keys(fetch(seq), start_ns, end_ns, asked) for seq in blocks]
    ends = np.cumsum([len(start) for _, start, _ in keys])
    if not len(ends) or not ends[-1]:
        return None
    winners = _latest(np.concatenate([k[1] for k in keys]), asked.first[np.concatenate([k[2] for k in keys])])
    if asked.wanted is not None:  # of lines with one name the number of the latest block counts
        winners = winners[asked.wanted[np.concatenate([k[2] for k in keys])[winners]]]
    alive = np.zeros(ends[-1], bool)
    alive[winners] = True
    gathered = {name: np.empty(ends[-1], DTYPES[name]) for name in names}
    for seq, (rows, start, _), end in zip(blocks, keys, ends.tolist(), strict=True):
        mine = slice(end - len(start), end)
        if alive[mine].any():
            body = fetch(seq)
            for name in names:
                gathered[name][mine] = body.column(name)[rows]
    return {name: gathered.pop(name)[winners] for name in names} if len(winners) else None


def _keys(body: Body, start_ns: int, end_ns: int, asked: Asked) -> tuple[Column | slice, Column, Column]:
    """Return the rows of a block that may count, their starts and their lines."""
    start, line = body.column("start_ns"), body.column("line")
    low, high = np.searchsorted(start, [start_ns, end_ns])
    found = asked.rows(line[low:high])
    rows = slice(low, high) if isinstance(found, slice) else low + found
    return rows, start[rows].copy(), line[rows].copy()  # copies: a view would keep the whole column


def _latest(start: Column, line: Column) -> Column:
    """Return the positions of the last of each (start, line), by (start, line)."""
    if ascending(start, line):
        return np.arange(len(start))
    _, slot = np.unique(start, return_inverse=True)
    key = slot * (np.int64(line.max()) + 1) + line
    order: Column = np.argsort(key, kind="stable")
    last: Column = np.append(np.diff(key[order]) != 0, True)
    return order[last]


def summed(parts: Iterator[dict[str, Column]], edges_ns: Sequence[int]) -> Sums:
    """Return the sums between edges of effective entries with the columns SUMMED."""
    edges = np.asarray(edges_ns, np.int64)
    groups: list[Sums] = [_nothing()]
    for part in parts:
        start = part["start_ns"]
        columns = part | {"period": np.searchsorted(edges, start, side="right") - 1, "count": np.ones_like(start)}
        groups.append(_grouped({name: columns[name] for name in _KEYS}, columns.__getitem__))
        if sum(map(len, groups)) > _MOST_GROUPS:
            groups = [_together(groups)]
    return _together(groups)


def _nothing() -> Sums:
    kinds = dict.fromkeys(("line", "factor", "meter"), np.int32) | {"peak": np.float32}
    return Sums(*(np.empty(0, kinds.get(f.name, np.int64)) for f in fields(Sums)))  # type: ignore[arg-type]


def _together(parts: Sequence[Sums]) -> Sums:
    def column(name: str) -> Column:
        return np.concatenate([getattr(part, name) for part in parts])

    return _grouped({name: column(name) for name in _KEYS}, column)


def _grouped(keys: dict[str, Column], column: Callable[[str], Column]) -> Sums:
    """Return the sums of columns by keys; integers all the way."""
    if not len(keys["line"]):
        return _nothing()
    key = np.zeros(len(keys["line"]), np.int64)
    for values in keys.values():  # lines × periods × factors × meters stay far below 2⁶³
        low = int(values.min())
        key = key * (int(values.max()) - low + 1) + (values - low)
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.append(True, np.diff(key[order]) != 0))
    found = {name: values[order[first]] for name, values in keys.items()}
    for name in (*_SUMMED, "peak"):
        found[name] = (np.fmax if name == "peak" else np.add).reduceat(column(name)[order], first)
    return Sums(**found)
