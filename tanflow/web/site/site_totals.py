"""The account of a stretch of time → what a site took, emitted and paid in it; None where nothing is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from carbon.entries import MICRO, Entries
from carbon.money.cost import UNPRICED, cost
from carbon.report.places import own_used, shares
from carbon.report.table import Word
from carbon.report.tally import Tally
from config.tariffs import load_tariff
from tanflow.account import Stretch

if TYPE_CHECKING:
    from config.model import Gateway as Config
    from config.tariff import Tariff

_SCOPES: Final = (1, 2)  # what the site burns and buys; what lies upstream of it is in the account


@dataclass(frozen=True, slots=True)
class Prices:
    """What electricity costs: a tariff, or one price per kWh; neither where nothing is configured."""

    tariff: Tariff | None
    per_kwh: float | None
    currency: str | None
    zone: ZoneInfo

    @classmethod
    def of(cls, config: Config) -> Prices:
        """Return the prices of a configuration; raises ConfigError for a tariff that cannot be read."""
        reference, zone = config.accounting.tariff, ZoneInfo(config.site.zone)
        if reference is None:
            return cls(None, config.notify.price_per_kwh, config.notify.currency, zone)
        tariff = load_tariff(reference, int(config.accounting.interval.removesuffix("min")))
        return cls(tariff, None, tariff.currency, zone)

    def of_electricity(self, stretch: Stretch) -> dict[str, Any] | None:
        """Return what the electricity bought costs by energy and fees; None where a price is not known."""
        bought = _bought(stretch)
        if self.tariff is not None:
            found = cost(bought.start_ns, bought.span_ns, bought.energy, self.tariff, self.zone)
            if (found.rate == UNPRICED).any():
                return None
            amount = int((found.price + found.fees).sum()) / MICRO
        elif self.per_kwh is not None:
            amount = int(bought.energy.sum()) / MICRO * self.per_kwh
        else:
            return None
        return {"amount": amount, "currency": self.currency}


def _bought(stretch: Stretch) -> Entries:
    """Return the entries of electricity bought, each interval once."""
    tally = stretch.tally
    ours = {n for n in tally.primary if tally.lines[n].role == "boundary" and tally.lines[n].carrier == "electricity"}
    return stretch.all.take(np.isin(stretch.all.line, list(ours)))


def totals(stretch: Stretch, prices: Prices) -> dict[str, Any]:
    """Return energy taken in and own power used [kWh], emissions of scopes 1 and 2 [kg] and the cost of electricity."""
    tally = stretch.tally
    known = len(tally.line) > 0
    return {
        "energy_kwh": energy(tally) if known else None,
        "co2_kg": emitted(tally, "location"),
        "co2_market_kg": emitted(tally, "market"),
        "cost": prices.of_electricity(stretch) if known else None,
    }


def energy(tally: Tally) -> float:
    """Return what the site took in of all carriers and used of its own generation [kWh]."""
    return (tally.add(tally.values["energy"], tally.energy_of("boundary")) + own_used(tally)) / MICRO


def emitted(tally: Tally, method: str) -> float | None:
    """Return the emissions of scopes 1 and 2 by a method [kg]; None where there is no line of it."""
    masks = [tally.scope(scope, method) for scope in _SCOPES]
    if not any(mask.any() for mask in masks):
        return None
    return sum(tally.add(tally.mass, mask) for mask in masks) / MICRO


def electricity_shares(tally: Tally) -> Mapping[str, float | None]:
    """Return which share of the electricity consumed was own, and which was green by the market-based method."""
    rows = {cell.key: row.cells[2] for row in shares(tally).rows if isinstance(cell := row.cells[0], Word)}
    own, green = rows["power.own_used"], rows["power.green"]
    return {"own": own if isinstance(own, float) else None, "green": green if isinstance(green, float) else None}
