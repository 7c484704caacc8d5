"""Costs of intervals, demand and reactive energy → the bill of each month, whose items sum to its total exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from carbon.entries import MICRO, Integers
from carbon.local_time import month_name, months
from carbon.money.cost import UNPRICED, Costs, cost
from config.tariff import Demand, PowerFactor, Tariff, Version
from pipeline.batch import Times


class Item(NamedTuple):
    """One line of a bill; amount [1e-6 currency] = quantity · price but for rounding."""

    name: str
    quantity: float
    unit: str
    price: float
    amount: int


@dataclass(frozen=True, slots=True)
class Bill:
    """What a local month costs; `findings` say what could not be charged."""

    month: str
    currency: str
    items: tuple[Item, ...]
    findings: tuple[str, ...]

    @property
    def total(self) -> int:
        """Sum of its items [1e-6 currency]."""
        return sum(item.amount for item in self.items)


class Known(NamedTuple):
    """What is known of a month beside its energy: peaks of how many of its intervals, the highest [kW], and cos φ."""

    peaks: int
    intervals: int
    peak: float
    power_factor: Fraction | None


def bills(
    start_ns: Times, span_ns: Times, energy: Integers, tariff: Tariff, zone: ZoneInfo, *,
    peak: npt.NDArray[np.float32] | None = None, reactive: Integers | None = None,
) -> list[Bill]:  # fmt: skip
    """Return the bill of each local month an interval begins in.

    peak float32[n]: highest quarter-hour mean of each interval [kW], NaN where unknown · reactive int64[n]
    [1e-6 kvarh]. What is charged by the month follows the version in force on its first priced day.
    """
    costs = cost(start_ns, span_ns, energy, tariff, zone)
    month = months(start_ns, zone)
    found = []
    for number in np.unique(month):
        within = month == number
        seen = np.array([]) if peak is None else peak[within & ~np.isnan(peak)]
        active = int(energy[within].sum())
        factor = None if reactive is None else power_factor(active, int(reactive[within].sum()))
        known = Known(len(seen), int(within.sum()), float(seen.max(initial=0.0)), factor)
        found.append(_bill(int(number), costs, within[costs.row], tariff, known))
    return found


def power_factor(active: int, reactive: int) -> Fraction | None:
    """Return P/√(P² + Q²) of a month's energies, to 1e-9; None where there was none."""
    if active < 0 or not (active or reactive):
        return None
    return Fraction(round(active / np.hypot(float(active), float(reactive)) * 10**9), 10**9)


def demand_kw(rule: Demand, peak: float) -> float:
    """Return the demand billed [kW]: min(contract, max(peak, floor · contract)) + excess · max(0, peak − allowed)."""
    contract, floor, allowed, excess = rule.contract_kw, rule.floor, rule.allowed, rule.excess_factor
    if contract is None or floor is None or allowed is None or excess is None:
        return peak
    return min(contract, max(peak, floor * contract)) + excess * max(0.0, peak - allowed * contract)


def _bill(month: int, costs: Costs, mine: npt.NDArray[np.bool_], tariff: Tariff, known: Known) -> Bill:
    items, findings = list(_energy_items(costs, mine)), []
    unpriced = int(costs.energy[mine & (costs.rate == UNPRICED)].sum())
    if unpriced:
        findings.append(f"no version of the tariff holds for {unpriced / MICRO:,.3f} kWh; they are not charged")
    used = costs.rate[mine & (costs.rate != UNPRICED)]
    if len(used):
        version = tariff.versions[min(costs.rates[rate].version for rate in used)]
        items += _monthly_items(version, known, findings)
        items += _adjustment(version.power_factor, known.power_factor, items, findings)
    return Bill(month_name(month), tariff.currency, tuple(items), tuple(findings))


def _energy_items(costs: Costs, mine: npt.NDArray[np.bool_]) -> Iterator[Item]:
    """Yield an item for each rate, and one for the fees of each version."""
    fees: dict[int, list[int]] = {}
    for index, rate in enumerate(costs.rates):
        rows = mine & (costs.rate == index)
        if rows.any():
            energy = int(costs.energy[rows].sum())
            yield Item(f"energy {rate.period}", energy / MICRO, "kWh", rate.price, int(costs.price[rows].sum()))
            sums = fees.setdefault(rate.version, [0, 0, index])
            sums[0], sums[1] = sums[0] + energy, sums[1] + int(costs.fees[rows].sum())
    for energy, amount, index in fees.values():
        if costs.rates[index].fees:
            yield Item("fees", energy / MICRO, "kWh", costs.rates[index].fees, amount)


def _monthly_items(version: Version, known: Known, findings: list[str]) -> Iterator[Item]:
    if version.capacity is not None:
        kva, price = version.capacity.kva, version.capacity.price
        yield Item("capacity", kva, "kVA", price, round(kva * price * MICRO))
    if version.demand is None:
        return
    if not known.peaks:
        findings.append("no quarter-hour mean is known: the demand is not charged")
        return
    if known.peaks < known.intervals:
        findings.append(
            f"the demand is the highest of {known.peaks} of {known.intervals} intervals; others are unknown"
        )
    billed, price = demand_kw(version.demand, known.peak), version.demand.price
    yield Item("demand", billed, "kW", price, round(billed * price * MICRO))


def _adjustment(
    rule: PowerFactor | None, factor: Fraction | None, items: Sequence[Item], findings: list[str]
) -> Iterator[Item]:
    """Yield what the power factor adds or takes: its share of energy, demand and capacity."""
    if rule is None:
        return
    if factor is None:
        findings.append("no reactive energy is known: the power factor adjustment is not charged")
        return
    scale = 10**rule.digits
    rounded = Fraction(int(factor * scale + Fraction(1, 2)), scale)  # half up
    share = next(step.share for step in rule.table if rounded >= Fraction(str(step.at_least)))
    base = sum(item.amount for item in items if rule.fees or item.name != "fees")
    yield Item(f"power factor {float(rounded):.{rule.digits}f}", base / MICRO, "", share, round(base * share))
