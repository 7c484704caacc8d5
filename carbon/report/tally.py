"""The ledger's sums → columns that can be chosen from by role, scope and method, and added up exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from carbon.entries import Integers, Line
from carbon.factor import GASES, Factor

Mask = npt.NDArray[np.bool_]
_FIELDS: Final = ("count", "amount", "energy", "estimated", "substituted", "covered_ns", "span_ns", *GASES, "biogenic")
_BEFORE: Final = {"location": 0, "factor": 1, "none": 2, "market": 3}


@dataclass(frozen=True)
class Tally:
    """Sums of a period's entries, one per (line, month, factor, meter): n of each column.

    line, month, factor, meter int64[n] · values: the ledger's sums by name int64[n] · months: how many.
    """

    lines: Mapping[int, Line]
    factors: Mapping[int, Factor]
    months: int
    line: Integers
    month: Integers
    factor: Integers
    meter: Integers
    values: Mapping[str, Integers]

    @classmethod
    def of(cls, sums: Any, lines: Mapping[int, Line], factors: Mapping[int, Factor], months: int) -> Self:
        """Return the tally of the ledger's sums between the edges of `months` months."""
        line, month, factor, meter = (
            np.asarray(getattr(sums, name), np.int64) for name in ("line", "period", "factor", "meter")
        )
        values = {name: np.asarray(getattr(sums, name), np.int64) for name in _FIELDS}
        return cls(lines, factors, months, line, month, factor, meter, values)

    @cached_property
    def mass(self) -> Integers:
        """All gases together [mg CO₂e]."""
        total: Integers = sum((self.values[gas] for gas in GASES), np.zeros(len(self.line), np.int64))
        return total

    @cached_property
    def used(self) -> tuple[int, ...]:
        """The lines that have entries in the period, in the order of their keys."""
        return tuple(sorted(np.unique(self.line).tolist(), key=lambda n: self.lines[n].key))

    @cached_property
    def primary(self) -> frozenset[int]:
        """The lines that streams' energy and coverage are counted on, of each stream those of one key.

        A stream's lines all hold the same amounts; a line has several numbers where the configuration has changed.
        """

        def rank(number: int) -> tuple[int, int, int]:
            line = self.lines[number]
            return line.scope == 3, _BEFORE[line.method], number

        chosen: dict[str, str] = {}
        for number in sorted(self.used, key=rank):
            chosen.setdefault(self.lines[number].stream, self.lines[number].key)
        return frozenset(n for n in self.used if chosen[self.lines[n].stream] == self.lines[n].key)

    @cached_property
    def _pairs(self) -> frozenset[tuple[str, int, str, str]]:
        lines = (self.lines[n] for n in self.used)
        return frozenset((line.stream, line.scope, line.category, line.method) for line in lines)

    def counts(self, line: Line, method: str) -> bool:
        """Whether a line is part of a method's total: scope 2 by its own lines only, others also by their one line."""
        if line.method not in ("location", "market"):
            return True
        twin = (line.stream, line.scope, line.category, method)
        return line.method == method or (line.scope != 2 and twin not in self._pairs)

    def lines_where(self, test: Callable[[Line], bool]) -> Mask:
        """Return which sums belong to the lines that pass a test."""
        return np.isin(self.line, [n for n in self.used if test(self.lines[n])])

    def scope(self, scope: int, method: str = "location", role: str = "boundary") -> Mask:
        """Return the sums of a scope by one method."""
        return self.lines_where(lambda x: x.scope == scope and x.role == role and self.counts(x, method))

    def energy_of(self, *roles: str) -> Mask:
        """Return the sums that hold the energy of streams of these roles, each stream once."""
        return np.isin(self.line, [n for n in self.primary if self.lines[n].role in roles])

    def add(self, values: Integers, mask: Mask) -> int:
        """Return the exact sum of a column's chosen values."""
        return int(values[mask].sum())

    def by_month(self, values: Integers, mask: Mask) -> list[int]:
        """Return the exact sums by month."""
        found = self.by(self.month, values, mask)
        return [found.get(month, 0) for month in range(self.months)]

    def by_line(self, values: Integers, mask: Mask | None = None) -> dict[int, int]:
        """Return the exact sums by line; lines without any are left out."""
        return self.by(self.line, values, mask)

    def by(self, keys: Integers, values: Integers, mask: Mask | None = None) -> dict[int, int]:
        """Return the exact sums by whatever `keys` says of each sum; keys without any are left out."""
        chosen = np.ones(len(keys), bool) if mask is None else mask
        names, place = np.unique(keys[chosen], return_inverse=True)
        totals = np.zeros(len(names), np.int64)
        np.add.at(totals, place, values[chosen])
        return dict(zip(names.tolist(), totals.tolist(), strict=True))

    def carriers(self, numbers: Iterable[int]) -> list[str]:
        """Return the carriers of some lines, each once, in order of their names."""
        return sorted({self.lines[n].carrier for n in numbers})
