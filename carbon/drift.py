"""The ledger's days of an asset → its own baseline over one period, and the energy it took beyond it in a later one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from carbon.entries import MICRO, one_of_each
from carbon.ledger import Ledger, Sums
from carbon.local_time import midnight_ns
from config.errors import GatewayError
from pipeline.baseline import LEAST_INTERVALS, LEAST_R2, Baseline, Column, first_beyond, fit

_HOUR_NS: Final = 3_600_000_000_000
_WHOLE: Final = 0.98  # share of a day its readings must stand for


@dataclass(frozen=True)
class Days:
    """Measured whole days: first to last in order; energy [kWh], product [its unit], hours: 23, 24 or 25."""

    day: tuple[date, ...]
    energy: Column
    product: Column
    hours: Column
    left_out: int  # days without whole readings of both

    @classmethod
    def read(cls, ledger: Ledger, energy: str, product: str, period: tuple[date, date], zone: ZoneInfo) -> Self:
        """Return the days of a period [first, after) of two streams; raises GatewayError for one not in the ledger."""
        first, after = period
        days = [first + timedelta(n) for n in range((after - first).days)]
        edges = np.array([midnight_ns(day, zone) for day in (*days, after)], np.int64)
        kwh, whole = _daily(ledger, energy, "energy", edges)
        made, also = _daily(ledger, product, "amount", edges)
        kept = np.flatnonzero(whole & also)
        hours = np.diff(edges) / _HOUR_NS
        return cls(tuple(days[n] for n in kept), kwh[kept], made[kept], hours[kept], len(days) - len(kept))


@dataclass(frozen=True)
class Drift:
    """A baseline and the days after it: expected [kWh], CUSUM [kWh] and its scatter, and from when it is beyond 2 σ."""

    baseline: Baseline
    days: Days
    expected: Column
    cusum: Column
    sigma: Column
    since: date | None

    @property
    def total_kwh(self) -> float:
        return float(self.cusum[-1])

    @property
    def share(self) -> float:
        """What was taken beyond the baseline, of what the baseline says."""
        return self.total_kwh / float(self.expected.sum())


def baseline(days: Days) -> Baseline:
    """Return the baseline of some days. Raises GatewayError where they do not carry one, with the reason."""
    if len(days.day) < LEAST_INTERVALS:
        raise GatewayError(
            f"no baseline: only {len(days.day)} days have whole readings of energy and product, {LEAST_INTERVALS} are "
            f"needed ({days.left_out} days are missing or incomplete); choose a longer period"
        )
    try:
        found = fit(days.energy, days.product, days.hours)
    except ValueError as error:
        raise GatewayError(f"no baseline: {error}; choose a period in which production differed") from None
    if not found.r2 >= LEAST_R2:  # not a number where energy never changed
        raise GatewayError(
            f"no baseline: production explains only {100 * found.r2:.0f} % of how the energy of {found.count} days "
            f"differed (R² {found.r2:.2f}, at least {LEAST_R2} is needed): a drift from it would be noise. Choose a "
            "period in which the machine was not changed, or a product its energy depends on (--product)"
        )
    if found.slope_kwh <= 0:
        raise GatewayError(f"no baseline: energy falls with production ({found.slope_kwh:.4g} kWh for each unit)")
    return found


def drift(found: Baseline, days: Days) -> Drift:
    """Return how far some days lie from a baseline; raises GatewayError where there is none of them."""
    if not days.day:
        raise GatewayError(f"none of the {days.left_out} days to compare has whole readings of energy and product")
    cusum = found.cusum(days.energy, days.product, days.hours)
    sigma = found.cusum_sigma(days.product, days.hours)
    since = first_beyond(cusum, sigma)
    expected = found.expected(days.product, days.hours)
    return Drift(found, days, expected, cusum, sigma, None if since is None else days.day[since])


def _daily(
    ledger: Ledger, stream: str, column: str, edges_ns: npt.NDArray[np.int64]
) -> tuple[Column, npt.NDArray[np.bool_]]:
    """Return a column's sum of every day [unit], and whether readings stand for the whole of it.

    A day is not whole where part of it was filled, or where what is booked in it spans more than the day.
    """
    lines = ledger.lines
    numbers = one_of_each(lines, {n for n, line in lines.items() if line.stream == stream}).get(stream)
    if not numbers:
        known = sorted({line.stream for line in lines.values()})
        raise GatewayError(f"the ledger holds no stream '{stream}'; it holds {', '.join(known) or 'none'}")
    sums = ledger.sums(edges_ns.tolist(), lines=numbers)
    total, covered, span, filled = _by_day(sums, (column, "covered_ns", "span_ns", "substituted"), len(edges_ns) - 1)
    length = np.diff(edges_ns)
    amount = _by_day(sums, ("amount",), len(edges_ns) - 1)[0]
    measured = np.abs(filled) <= (1 - _WHOLE) * np.abs(amount)
    return total / MICRO, (covered >= _WHOLE * length) & (span <= length) & measured


def _by_day(sums: Sums, columns: Sequence[str], count: int) -> list[Column]:
    return [np.bincount(sums.period, weights=getattr(sums, name), minlength=count).astype(np.float64)
            for name in columns]  # fmt: skip
