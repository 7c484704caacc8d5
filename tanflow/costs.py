"""An excess [kW] at an asset and an instant → what it costs per hour: energy, CO₂e by the factors in force, money."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

import numpy as np

from carbon.entries import MICRO
from carbon.money.cost import UNPRICED, cost
from config.carriers import about
from config.model import Gateway
from config.tariffs import load_tariff
from pipeline.desk.episode import Cost
from pipeline.factors import FactorTimeline
from pipeline.series import SeriesTable


class Costs:
    """What excesses cost; compiled once from the configuration and the factor timelines of its series.

    Electricity by the grid's timeline, location-based, and the tariff, else `notify.price_per_kwh`; fuels by their own
    emission factor over their calorific value, without a price.
    """

    def __init__(self, config: Gateway, table: SeriesTable) -> None:
        self._notify, self._zone = config.notify, ZoneInfo(config.site.zone)
        reference = config.accounting.tariff
        minutes = int(config.accounting.interval.removesuffix("min"))
        self._tariff = load_tariff(reference, minutes) if reference is not None else None
        carriers = {name: asset.carrier for area in config.areas.values() for name, asset in area.assets.items()}
        self._electric = {name for name, carrier in carriers.items() if about(carrier).electric}
        self._factors = _factors(config, table, carriers)

    def of(self, asset: str, excess_kw: float, at_ns: int) -> Cost:
        """Return the cost of an hour of this excess at this time; what is not known of it is None."""
        co2e = self._kg_per_kwh(asset, at_ns)
        price, currency = self._price(asset, at_ns)
        return Cost(
            excess_kw,
            None if co2e is None else excess_kw * co2e,
            None if price is None else excess_kw * price,
            None if price is None else currency,
        )

    def _kg_per_kwh(self, asset: str, at_ns: int) -> float | None:
        """Return the factor of an asset's carrier [kg/kWh]: per unit of fuel, over the energy of the unit."""
        factor, content = self._factors.get(asset, (None, None))
        if factor is None:
            return None
        return _at(factor, at_ns) / (_at(content, at_ns) if content else 1.0)

    def _price(self, asset: str, at_ns: int) -> tuple[float | None, str | None]:
        """Return the price of electricity at an instant [currency/kWh], fees included."""
        if asset not in self._electric:
            return None, None
        if self._tariff is None:
            return self._notify.price_per_kwh, self._notify.currency
        one = cost(np.array([at_ns]), np.array([1]), np.array([MICRO]), self._tariff, self._zone)  # a kWh at once
        if one.rate[0] == UNPRICED:
            return None, None
        return float(one.price[0] + one.fees[0]) / MICRO, self._tariff.currency


def _factors(
    config: Gateway, table: SeriesTable, carriers: Mapping[str, str]
) -> dict[str, tuple[FactorTimeline, FactorTimeline | None]]:
    """Return of each asset the timeline of its carrier [kg/unit] and, of a fuel, of its energy [kWh/unit]."""
    named = {timeline.name: timeline for timeline in table.factors}
    grid = named.get(f"{config.site.region} {config.factors.kind}")
    found: dict[str, tuple[FactorTimeline, FactorTimeline | None]] = {}
    if grid is not None:
        found |= {asset: (grid, None) for asset, carrier in carriers.items() if about(carrier).electric}
    for spec in (spec for spec in table.specs if spec is not None):
        for key, emission in spec.products:
            tags = dict(table.spec(table.ids[key]).tags)
            asset, content = tags["asset"], named.get(f"{emission} content")
            wanted = key.endswith(".co2e") and tags.get("carrier") == carriers.get(asset)
            if wanted and asset not in found and (content or named[emission].unit == "kg/kWh"):
                found[asset] = (named[emission], content)
    return found


def _at(timeline: FactorTimeline, at_ns: int) -> float:
    return float(timeline.value[timeline.step(np.array([at_ns]))[0]])
