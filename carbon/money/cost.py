"""Energy in intervals → what it costs by the hours of a dated tariff, in 1e-6 of its currency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from carbon.apportion import apportion_groups
from carbon.entries import Integers
from carbon.local_time import ordinals, wall_clock
from config.tariff import DAY, WEEKDAYS, Tariff, Version, minutes
from pipeline.batch import Times

_QUARTER_NS: Final = 900 * 1_000_000_000
_MINUTE_NS: Final = 60 * 1_000_000_000
UNPRICED: Final = -1
Rows = npt.NDArray[np.intp]


class Rate(NamedTuple):
    """A price in force: version of the tariff, its period, price of the energy and fees on top [currency/kWh]."""

    version: int
    period: str
    price: float
    fees: float


@dataclass(frozen=True, slots=True)
class Costs:
    """k parts of n intervals, one for each rate an interval meets.

    row int64[k] · rate int64[k] into `rates`, −1 where no version of the tariff holds · energy int64[k] [mWh] · price,
    fees int64[k] [1e-6 currency], each rounded once.
    """

    rates: tuple[Rate, ...]
    row: Rows
    rate: Rows
    energy: Integers
    price: Integers
    fees: Integers

    def by_interval(self, n: int) -> Integers:
        """Return int64[n] what each interval costs, fees included [1e-6 currency]; 0 where `rate` is −1."""
        total = np.zeros(n, np.int64)
        np.add.at(total, self.row, self.price + self.fees)
        return total


def cost(start_ns: Times, span_ns: Times, energy: Integers, tariff: Tariff, zone: ZoneInfo) -> Costs:
    """Return what energy int64[n] [mWh] in intervals [start, start + span) costs.

    price = energy · price per kWh of the period the local clock shows. An interval across periods is cut at them, its
    energy shared out by time in whole mWh; quarter hours are the finest. Days before, after and between versions have
    no price and are marked, never priced at 0 in silence.
    """
    rates, tables = _rates(tariff)
    row, quarter, lasts = _quarters(start_ns, span_ns)
    rate = _rate_at(quarter, tariff, tables, zone)
    pairs, part = np.unique(row * (len(rates) + 1) + rate + 1, return_inverse=True)
    whose, which = pairs // (len(rates) + 1), pairs % (len(rates) + 1) - 1
    time = np.zeros(len(pairs), np.int64)
    np.add.at(time, part, lasts)
    held = apportion_groups(np.asarray(energy, np.int64), time, whose)
    priced = which != UNPRICED
    per_kwh = np.array([(r.price, r.fees) for r in rates] + [(0.0, 0.0)])[which]  # −1: the last, nothing
    price, fees = (np.where(priced, np.rint(held * per_kwh[:, i]), 0).astype(np.int64) for i in (0, 1))
    return Costs(rates, whose, which, held, price, fees)


def _quarters(start_ns: Times, span_ns: Times) -> tuple[Rows, Times, Integers]:
    """Return (row, an instant in it, how long of the row) of every quarter hour the intervals touch."""
    first = start_ns // _QUARTER_NS
    ends = start_ns + np.maximum(span_ns, 1)
    count = (ends - 1) // _QUARTER_NS - first + 1
    row = np.repeat(np.arange(len(start_ns)), count)
    begun = np.cumsum(count) - count
    quarter = (first[row] + np.arange(len(row)) - begun[row]) * _QUARTER_NS
    lasts = np.minimum(quarter + _QUARTER_NS, ends[row]) - np.maximum(quarter, start_ns[row])
    return row, quarter, lasts


def _rates(tariff: Tariff) -> tuple[tuple[Rate, ...], list[dict[str, npt.NDArray[np.int64]]]]:
    """Return all rates, and of each version the rate of every minute of each kind of day."""
    rates: list[Rate] = []
    tables = []
    for index, version in enumerate(tariff.versions):
        fees = sum(version.fees.values())
        number = {name: len(rates) + i for i, name in enumerate(version.prices)}
        rates += [Rate(index, name, price, fees) for name, price in version.prices.items()]
        tables.append({name: _minutes(kind.hours, number) for name, kind in version.kinds.items()})
    return tuple(rates), tables


def _minutes(hours: dict[str, tuple[str, ...]], number: dict[str, int]) -> npt.NDArray[np.int64]:
    table = np.full(DAY, UNPRICED, np.int64)
    for period, texts in hours.items():
        for begins, ends in map(minutes, texts):
            table[begins:ends] = number[period]
    return table


def _rate_at(
    time_ns: Times, tariff: Tariff, tables: Sequence[dict[str, npt.NDArray[np.int64]]], zone: ZoneInfo
) -> Rows:
    """Return the rate at each instant, −1 where no version holds."""
    wall = wall_clock(time_ns, zone)
    days, where = np.unique(ordinals(wall), return_inverse=True)
    nothing = np.full(DAY, UNPRICED, np.int64)
    day_tables = np.stack([_table(_day(int(day)), tariff, tables, nothing) for day in days] or [nothing])
    rate: Rows = day_tables[where, wall // _MINUTE_NS % DAY]
    return rate


def _table(
    day: date, tariff: Tariff, tables: Sequence[dict[str, npt.NDArray[np.int64]]], nothing: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    for version, of_kind in zip(tariff.versions, tables, strict=True):
        if version.valid_from <= day and (version.valid_to is None or day <= version.valid_to):
            return of_kind[kind_of(day, version)]
    return nothing


def kind_of(day: date, version: Version) -> str:
    """Return the kind a day is of: one that lists it, else the first whose months and weekdays hold."""
    listed = (name for name, kind in version.kinds.items() if day in kind.days)
    weekday = WEEKDAYS[day.weekday()]
    held = (name for name, kind in version.kinds.items() if kind.holds(day.month, weekday))
    return next(listed, None) or next(held)


def _day(ordinal: int) -> date:
    return date.fromordinal(date(1970, 1, 1).toordinal() + ordinal)
