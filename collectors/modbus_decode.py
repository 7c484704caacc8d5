"""Bytes of stacked replies in; numbers out: one gather for all values of a type, one step for all that are scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from collectors.modbus_clock import ahead, wall_seconds
from collectors.modbus_frames import Read
from config.protocols.modbus import Form, ScaleKind, Table
from pipeline.batch import Qualities, Times, Values
from pipeline.quality import BAD, RANGE

Raw = npt.NDArray[np.uint8]
Columns = npt.NDArray[np.intp]

_DTYPE: Final[dict[str, str]] = {
    "int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4", "int64": "<i8", "uint64": "<u8",
    "float32": "<f4", "float64": "<f8", "bool": "<u2", "bcd16": "<u2", "bcd32": "<u4", "bcd64": "<u8",
    "sm16": "<u2", "sm32": "<u4",
}  # fmt: skip
MOST_EXPONENT: Final = 10  # 10^-10 … 10^10; what a register says beyond is no exponent
# A value is multiplied by one and divided by the other, both exact: 2301 · 10^-1 is 230.1, not 230.10000000000002.
_EXPONENTS: Final = np.arange(-MOST_EXPONENT, MOST_EXPONENT + 1)
_UP: Final = np.append(10.0 ** np.maximum(_EXPONENTS, 0), np.nan)
_DOWN: Final = np.append(10.0 ** np.maximum(-_EXPONENTS, 0), 1.0)


@dataclass(frozen=True, slots=True)
class Gather:
    """Values of one type in a block: index int[m, width] puts their bytes in little-endian order, side by side.

    `plain` is where they stand where that is side by side already, most significant byte first; None elsewhere.
    """

    type: str  # a RegisterType, or "bit"
    columns: slice
    index: Columns
    shift: npt.NDArray[np.uint8]  # of bits
    absent: tuple[Columns, npt.NDArray[np.unsignedinteger]] | None  # columns within the group, raw "no value" of each
    plain: slice | None

    def decode(self, raw: Raw) -> Values:
        """Return float64[n, m] of raw uint8[n, bytes]; NaN where there is no value."""
        if self.plain is not None:
            numbers = raw[:, self.plain].view(np.dtype(_DTYPE[self.type]).newbyteorder(">"))
            return self._present(numbers, numbers.astype(np.float64))
        cells = np.take(raw, self.index, axis=1)
        if self.type == "bit":
            return ((cells[:, :, 0] >> self.shift) & 1).astype(np.float64)
        if self.type.startswith("time_"):
            return wall_seconds(self.type, cells[:, :, ::-1])
        numbers = cells.view(_DTYPE[self.type])[:, :, 0]
        if self.type.startswith("bcd"):
            values = _from_bcd(cells)
        elif self.type.startswith("sm"):
            values = _from_sign_magnitude(numbers)
        else:
            values = (numbers != 0 if self.type == "bool" else numbers).astype(np.float64)
        return self._present(numbers, values)

    def _present(self, numbers: npt.NDArray[Any], values: Values) -> Values:
        """Return the values with NaN wherever a number is its point's "no value"."""
        if self.absent is not None:
            columns, raws = self.absent
            same = numbers.view(raws.dtype.newbyteorder(numbers.dtype.byteorder))[:, columns] == raws
            rows, which = np.nonzero(same)
            values[rows, columns[which]] = np.nan
        return values


class Step(Protocol):
    """What is done with some columns of decoded values float64[n, width], in place; at_ns int64[n] of receipt."""

    def apply(self, values: Values, at_ns: Times | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Scaling:
    """Columns that are multiplied by what other columns of the same replies say; NaN where that is nothing usable.

    exponent: 10^n with whole n from −10 to 10. factor: a positive number. sign: −1 where 1 is read, 1 where 0.
    """

    kind: ScaleKind
    targets: Columns
    sources: Columns

    def apply(self, values: Values, at_ns: Times | None) -> None:
        by = values[:, self.sources]
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is infinite, and so no value
            scaled = values[:, self.targets]
            if self.kind == "exponent":
                usable = (np.abs(by) <= MOST_EXPONENT) & (by == np.rint(by))
                row = np.where(usable, by + MOST_EXPONENT, len(_EXPONENTS)).astype(np.intp)
                values[:, self.targets] = scaled * _UP[row] / _DOWN[row]
            elif self.kind == "factor":
                values[:, self.targets] = scaled * np.where((by > 0) & np.isfinite(by), by, np.nan)
            else:
                values[:, self.targets] = scaled * np.where(by == 0, 1.0, np.where(by == 1, -1.0, np.nan))


@dataclass(frozen=True, slots=True)
class Forming:
    """Columns of power factors that tell their quadrant, made plain: positive where power is drawn, at most 1.

    quadrants: r from −2 to 2; beyond ±1 it leads: ±2 − r. (Schneider iEM3000 series user manual DOCA0005EN-04 p. 109)
    lead_lag: the sign says leading or lagging, not which way power flows: |r|. (PowerLogic PM750 63230-507-201A1
    table B-1; Socomec Countis E register 50542)
    """

    form: Form
    columns: Columns

    def apply(self, values: Values, at_ns: Times | None) -> None:
        given = values[:, self.columns]
        if self.form == "lead_lag":
            values[:, self.columns] = np.abs(given)
            return
        with np.errstate(invalid="ignore"):
            size = np.abs(given)
            folded = np.where(size > 1, np.copysign(2.0, given) - given, given)
        values[:, self.columns] = np.where(size <= 2, folded, np.nan)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Columns of clocks of one zone: how far ahead of the receipt they are [s]; without it, the seconds they show."""

    zone: str
    columns: Columns

    def apply(self, values: Values, at_ns: Times | None) -> None:
        if at_ns is not None:
            values[:, self.columns] = ahead(values[:, self.columns], self.zone, at_ns)


@dataclass(frozen=True, slots=True)
class Block:
    """One read and its decoder; `points` are positions in the plan's places, in the order of decoded columns."""

    table: Table
    address: int
    count: int
    points: tuple[int, ...]
    gathers: tuple[Gather, ...]
    steps: tuple[Step, ...] = ()
    width: int = 0  # columns in all, with those that only say what others are multiplied by

    def read(self, unit: int) -> Read:
        return Read(unit, self.table, self.address, self.count)

    def decode(self, raw: Raw, at_ns: Times | None = None) -> tuple[Values, Qualities]:
        """Return (values float64[n, m], quality uint16[n, m]) of replies raw uint8[n, bytes], at_ns int64[n].

        `at_ns` is when they came. What is not a finite number (float NaN or infinity, a digit above 9, a declared
        "not available", a scale that is none) is NaN. A clock is by how much it is ahead [s]; without `at_ns`, the
        seconds since 1970 it shows.
        """
        if len(self.gathers) == 1:
            values = self.gathers[0].decode(raw)
        else:
            values = np.empty((len(raw), self.width))
            for gather in self.gathers:
                values[:, gather.columns] = gather.decode(raw)
        if self.steps:
            for step in self.steps:
                step.apply(values, at_ns)
            values = values[:, : len(self.points)]
        quality = np.zeros(values.shape, np.uint16)
        absent = ~np.isfinite(values)
        if absent.any():
            values[absent] = np.nan
            quality[absent] = BAD | RANGE
        return values, quality


def _from_bcd(cells: Raw) -> Values:
    """Return the numbers in packed decimal uint8[n, m, width], least significant byte first; NaN if not decimal."""
    low, high = cells & 0x0F, cells >> 4
    weights = 100 ** np.arange(cells.shape[2], dtype=np.int64)
    values = (low * weights).sum(axis=2) + (high * (10 * weights)).sum(axis=2)
    decimal = (low <= 9).all(axis=2) & (high <= 9).all(axis=2)
    return np.where(decimal, values.astype(np.float64), np.nan)


def _from_sign_magnitude(numbers: npt.NDArray[np.unsignedinteger]) -> Values:
    """Return the numbers whose top bit is their sign (PowerLogic PM750 63230-507-201A1, appendix B)."""
    top = 8 * numbers.itemsize - 1
    wide = numbers.astype(np.int64)
    return ((wide & ((1 << top) - 1)) * (1 - 2 * (wide >> top))).astype(np.float64)
