"""Stream → its lines and their factors: which scopes and methods an activity is counted under, and by what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from carbon.entries import Line, Method, Scope
from carbon.factor import Factor, FactorSteps, steps
from carbon.factors.fuels import fuel_factor
from carbon.factors.process_factors import process_factor
from carbon.factors.steam import heat_per_tonne
from carbon.factors.upstream import losses_steps
from carbon.market.blend import uncovered_steps
from carbon.streams import Stream
from config.carriers import About, about
from config.fuels import fuel_row
from config.model import Gateway
from pipeline.factors import FactorTimeline, Provenance
from pipeline.timelines import grid_timeline

Rule = tuple[Line, FactorSteps]
_NONE: Final = (0.0, 0.0, 0.0, 0.0, 0.0)
_NOTHING: Final = Provenance("tanflow", "kept beside the account, without a factor", 0, "", "co2e", "")


def grid_steps(what: str, timeline: FactorTimeline) -> FactorSteps:
    """Return the factors of a grid's timeline [kg/kWh]; those of CO₂ alone count as CO₂, those of CO₂e as `mixed`."""
    made = []
    rows = zip(timeline.start_ns.tolist(), timeline.value.tolist(), timeline.provenance, strict=True)
    for start, value, said in rows:
        kg = (value, 0.0, 0.0, 0.0, 0.0) if said.gas == "co2" else (0.0, 0.0, 0.0, 0.0, value)
        name = f"{said.publisher}/{what}/{said.data_year}"
        made.append((start, Factor(name, "kWh", kg, 1.0, said, uncertainty=said.uncertainty)))
    return steps(made)


@dataclass(frozen=True)
class Rules:
    """The rules of a configuration; factors are made once and shared by every stream that uses them."""

    config: Gateway
    base: Path = Path()

    def of(self, stream: Stream) -> tuple[Rule, ...]:
        """Return the lines of a stream. Raises ConfigError or FuelError where a factor is missing."""
        kind = about(stream.carrier)
        process = self.config.accounting.process.get(stream.carrier)
        if process is not None:
            factor = process_factor(stream.carrier, process, self.config.accounting.gwp)
            return ((_line(stream, 1, "process", "factor"), self._constant(factor)),)
        if stream.role in ("memo", "export"):
            category = "exported_electricity" if stream.role == "export" else "memo"
            return ((_line(stream, 0, category, "none"), self._without(stream.unit)),)
        if kind.electric:
            return tuple(self._electricity(stream, kind))
        if not kind.scope:
            return ()
        if stream.role == "own":
            return (*self._fuel(stream, kind), *self._null_power(stream))
        return tuple(self._fuel(stream, kind))

    def _electricity(self, stream: Stream, kind: About) -> Iterator[Rule]:
        yield _line(stream, 2, kind.category, "location"), self.location
        yield _line(stream, 2, kind.category, "market"), self.market
        if self.config.accounting.upstream and self.losses:
            yield _line(stream, 3, "td_losses", "location"), self.losses

    def _fuel(self, stream: Stream, kind: About) -> Iterator[Rule]:
        accounting = self.config.accounting
        fuels, register = accounting.fuel_set(stream.carrier), stream.calorific
        if stream.heat is not None:
            row = fuel_row(stream.carrier, fuels, self._tables, unit="GJ")
            factor = heat_per_tonne(fuel_factor(row, unit="GJ", gwp=accounting.gwp), stream.heat)
            yield _line(stream, kind.scope, kind.category, "factor"), self._constant(factor)
            return
        row = fuel_row(stream.carrier, fuels, self._tables, unit=stream.unit, calorific=register)
        factor = fuel_factor(row, unit=stream.unit, gwp=accounting.gwp, calorific=register, reference=stream.reference)
        yield _line(stream, kind.scope, kind.category, "factor"), self._constant(factor)

    def _null_power(self, stream: Stream) -> Iterator[Rule]:
        """Yield the line on which own power counts whose certificates were sold; nothing until they are allocated."""
        if self.config.accounting.market.sold_mwh:
            line = _line(stream, 2, "purchased_electricity", "market")
            yield replace(line, role="boundary"), self._constant(Factor("none/own", "kWh", _NONE, 0.0, _NOTHING))

    @cached_property
    def _tables(self) -> tuple[Path, ...]:
        return tuple(self.base / table for table in self.config.factors.tables)

    @cached_property
    def _made(self) -> dict[str, FactorSteps]:
        return {}

    def _constant(self, factor: Factor) -> FactorSteps:
        return self._made.setdefault(factor.version, FactorSteps.constant(factor))

    def _without(self, unit: str) -> FactorSteps:
        kwh = 1.0 if unit == "kWh" else 0.0
        return self._constant(Factor(f"none/{unit}", unit, _NONE, kwh, _NOTHING))

    @cached_property
    def location(self) -> FactorSteps:
        """Return the grid's average where the site stands."""
        return self._grid("location_average", self.config.site.region)

    @cached_property
    def market(self) -> FactorSteps:
        """Return what electricity counts that no contract or certificate covers."""
        return self._uncovered[0]

    @cached_property
    def findings(self) -> list[str]:
        """Return what a reader of the account must know of its factors."""
        return self._uncovered[1]

    @cached_property
    def _uncovered(self) -> tuple[FactorSteps, list[str]]:
        kind = self.config.accounting.market.uncovered
        region = self.config.site.region
        found = None
        for market in dict.fromkeys((region, region.partition("-")[0])):  # certificates are traded in a whole country
            if found is None and kind != "location_average":
                with suppress(LookupError):
                    found = self._grid(kind, market)
        return uncovered_steps(kind, found, self.location)

    @cached_property
    def losses(self) -> FactorSteps | None:
        """Return what the grid loses on the way, per kWh consumed; None where nobody publishes it."""
        return losses_steps(self.config.site.region, self.location, zone=self.config.site.zone)

    def _grid(self, kind: str, region: str) -> FactorSteps:
        return grid_steps(f"{region}/{kind}", grid_timeline(self.config, region, kind, self.base))


def _line(stream: Stream, scope: Scope, category: str, method: Method) -> Line:
    return Line(
        stream.key, stream.asset, stream.area, stream.asset_type, stream.carrier, stream.unit, stream.role, scope,
        category, method,
    )  # fmt: skip
