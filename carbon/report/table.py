"""The report's one shape: tables of exact integers and words, from which every format of it is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Kind = Literal[
    "text", "mass", "energy", "heat", "coal", "count", "amount", "share", "number", "date", "time", "hash"
]  # fmt: skip


class Word(NamedTuple):
    """Something the report says, by its key in the catalogues; `values` fill the braces of the sentence."""

    key: str
    values: tuple[tuple[str, str | int | float | Word], ...] = ()


def word(key: str, **values: str | int | float | Word) -> Word:
    """Return a word whose braces are filled by name."""
    return Word(key, tuple(values.items()))


Cell = str | Word | int | float | None  # None: not known, or not part of the account


class Unit(NamedTuple):
    """How integers of a kind are shown: `step` of them are one in the last of `decimals` places of `unit`."""

    unit: str
    step: int
    decimals: int
    exact: int  # digits after the point at which nothing is lost

    @property
    def one(self) -> int:
        """How many of the integers are one unit."""
        return int(self.step * 10**self.decimals)


# mass in mg → t; energy in mWh → kWh; heat in J → GJ; coal in mg of standard coal → tce; amount in 1e-6 of its unit.
UNITS: Final[dict[str, Unit]] = {
    "mass": Unit("t", 10**6, 3, 9),
    "energy": Unit("kWh", 10**4, 2, 6),
    "heat": Unit("GJ", 10**6, 3, 9),
    "coal": Unit("tce", 10**6, 3, 9),
    "amount": Unit("", 10**3, 3, 6),
    "count": Unit("", 1, 0, 0),
}
SUMMED: Final = ("mass", "energy", "heat", "coal", "count")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `across` names the columns of which it is the sum, cell by cell (-name: less it)."""

    key: str
    kind: Kind = "text"
    across: tuple[str, ...] = ()
    label: Word | None = None  # where the key alone is not the heading
    summed: bool = True
    detail: bool = False  # too much for paper; in the formats for machines

    @property
    def adds(self) -> bool:
        """Whether a total of it has a meaning."""
        return self.summed and self.kind in SUMMED


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: rows of depth d + 1 that follow a row of depth d are its parts and add up to it.

    sort: `memo` is beside every sum, `rest` is what no meter below explains, `flag` asks for attention.
    """

    cells: tuple[Cell, ...]
    depth: int = 0
    sort: Literal["", "memo", "rest", "flag"] = ""

    @property
    def counts(self) -> bool:
        return self.sort != "memo"


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows of depth 0 add up to its total.

    rounds: `total`: the total is rounded and rows are made to add up to it; `rows`: rows of depth 0 are rounded
    and the total is their sum; `across`: as `rows` in the columns that sum others, which are then made to add up.
    """

    name: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    total: bool = False
    rounds: Literal["total", "rows", "across"] = "total"
    notes: tuple[Word, ...] = ()
    wide: bool = False
    detail: bool = False  # too long for paper; in the formats for machines
    fixed: tuple[tuple[str, int], ...] = ()  # printed totals of columns, as another table prints them

    def children(self, index: int) -> Iterator[int]:
        """Yield the rows that are parts of a row."""
        depth = self.rows[index].depth
        for below in range(index + 1, len(self.rows)):
            if self.rows[below].depth <= depth:
                return
            if self.rows[below].depth == depth + 1:
                yield below

    def top(self) -> Iterator[int]:
        """Yield the rows the total is made of."""
        return (i for i, row in enumerate(self.rows) if row.depth == 0 and row.counts)

    def column(self, key: str) -> int:
        """Return where a column stands; raises ValueError."""
        return [c.key for c in self.columns].index(key)

    def exact_total(self, column: int) -> int:
        """Return the exact sum of a column's top rows."""
        return sum(cell for i in self.top() if isinstance(cell := self.rows[i].cells[column], int))
