"""One device's points → its series: measured ones, the amounts of counters, energy and carbon of what accounts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from math import inf
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from config.bindings import BoundDevice, series_key
from config.carriers import about, counted_in
from config.fuels import FuelError, FuelRow, fuel_row, units_per
from config.meters import Meter, applied_ratios
from config.model import Gateway
from config.points import Point
from config.protocols.modbus import REGISTERS
from config.protocols.mqtt import Broker
from config.quantities import AMOUNT_OF, QUANTITIES, conversion
from pipeline.batch import DERIVED
from pipeline.clock import SECOND_NS
from pipeline.gaps import gap_key
from pipeline.places import Places
from pipeline.plan import Plan, Tags, tags_of
from pipeline.ratios import ALWAYS, Steps
from pipeline.spec import NAN, Kind, Like, Spec, ratio
from pipeline.timelines import Counted, content, fuel

_KINDS: Final = {"gauge": Kind.GAUGE, "counter": Kind.COUNTER, "state": Kind.STATE, "delta": Kind.DELTA}
_GENERATORS: Final = ("pv",)
_PEAK: Final = 1.2  # rated power may be exceeded by this much before an index step is doubted
_ABSURD: Final = 10.0  # times rated power no asset takes, nor a machine it drives gives as heat
_FLOAT_STEP: Final = {"float32": 2.0**-23, "float64": 2.0**-52}
# The counter an asset is accounted by: the first of these a device has, else its first energy counter.
_ACCOUNTED: Final = ("energy_import", "energy", "energy_active_import", "energy_export")


@dataclass(slots=True)
class DeviceSeries:
    """Compiles one device: its measured points, the amounts of its counters, energy and carbon of what accounts."""

    gateway: Gateway
    bound: BoundDevice
    plan: Plan
    accounted: set[tuple[str, str]]  # (asset, carrier) that already have a series
    tables: tuple[Path, ...] = ()  # the user's factors
    meter: Meter | None = None  # what the register says of it
    _places: dict[tuple[str, ...], Tags] = field(default_factory=dict)
    _read_at: Places = field(init=False)

    def specs(self) -> Iterator[Spec]:
        """Yield every series of the device."""
        connection = self.gateway.connections[self.bound.device.connection]
        self._read_at = Places(self.bound, connection, self.plan.written)
        accounts, rate = self._accounts(), self._rate()
        for name, point in self.bound.points.items():
            spec = self._measured(name, point)
            carrier = self._carrier(point)
            rated = spec.key if name == rate else ""
            if spec.like.kind == Kind.COUNTER:
                amount = self._derived(name, AMOUNT_OF[point.quantity], carrier, main=name in accounts)
                spec = replace(spec, amount=amount.key)
                yield from self._with_carbon(amount, carrier, point, account=name in accounts)
            elif name in accounts:  # power only: integrated
                amount = self._derived(name, "energy", carrier, main=True)
                hold = int(self.bound.asset.max_hold_s * 1e9)
                spec = replace(spec, amount=amount.key, like=replace(spec.like, max_hold_ns=hold))
                yield from self._with_carbon(amount, carrier, point, account=True)
            if rated and self._timeline(carrier, point):
                product = self._derived(name, "co2e_rate", carrier, main=True)
                spec = replace(spec, products=((product.key, self._timeline(carrier, point)),))
                yield product
            yield spec
        yield self._gap()

    def _carrier(self, point: Point) -> str:
        return point.carrier or self.bound.asset.carrier

    def _accounts(self) -> set[str]:
        """Return the points the asset is accounted by: one for each carrier no other point or device has claimed."""
        points, asset = self.bound.points, self.bound.asset
        if asset.energy == "none":
            return set()
        energies = [n for n, p in points.items() if p.quantity == "energy_index"]
        unsure = [n for n in energies if about(self._carrier(points[n])).fuel and not self._row(points[n])]
        counters = [n for n in energies if n not in unsure]
        fuels = [n for n, p in points.items() if p.quantity in ("volume_index", "mass_index") and self._row(p)]
        named = [self.bound.device.prefix + n for n in _ACCOUNTED]
        if asset.type in _GENERATORS:
            named = named[::-1]
        powers = [self.bound.power] if self.bound.power else []
        registers = [n for n in named if n in counters] + counters + fuels + unsure
        order = {"auto": registers + powers, "counter": registers, "integrate": powers}[asset.energy]
        accounts = set()
        for name in order:
            claim = (self.bound.asset_name, self._carrier(points[name]))
            if claim not in self.accounted:
                self.accounted.add(claim)
                accounts.add(name)
        return accounts

    def _rate(self) -> str:
        """Return the point whose CO₂ rate is shown live, "" for none."""
        return self.bound.power if self.bound.asset.energy != "none" else ""

    def _row(self, point: Point) -> FuelRow | None:
        """Return the factor of what a point counts, None for what is no fuel or bought heat, or has no factor."""
        carrier, unit = self._carrier(point), counted_in(point, self.bound.asset.carrier)
        accounting = self.gateway.accounting
        if not unit or not about(carrier).scope or about(carrier).electric:
            return None
        try:
            row = fuel_row(carrier, accounting.fuel_set(carrier), self.tables, unit=unit, calorific=point.calorific)
            units_per(row, unit, calorific=point.calorific, reference=point.reference)
        except FuelError:  # told by the check of the configuration where it matters
            return None
        return row

    def _timeline(self, carrier: str, point: Point) -> str:
        """Return the name of the carrier's emission timeline, making it at first use; "" for none."""
        if about(carrier).electric:
            return self.plan.grid
        row, unit = self._row(point), counted_in(point, self.bound.asset.carrier)
        if row is None:
            return ""
        state = f" at {point.reference.celsius:g} °C {point.reference.kpa:g} kPa" if point.reference else ""
        name = f"{carrier} per {unit}{state}" + (f" {point.calorific}" if point.calorific else "")
        if name not in self.plan.factors:
            meter = Counted(unit, point.calorific, point.reference)
            self.plan.add(fuel(name, row, meter, self.gateway.accounting.gwp))
            if unit != "kWh" and row.kwh_per_unit is not None:
                self.plan.add(content(f"{name} content", row, meter))
        return name

    def _with_carbon(self, amount: Spec, carrier: str, point: Point, *, account: bool) -> Iterator[Spec]:
        timeline = self._timeline(carrier, point) if account else ""
        if not timeline:
            yield amount
            return
        name = amount.key.split(".")[1]
        emission = self._derived(name, "co2e", carrier, main=True)
        products = [(emission.key, timeline)]
        yield emission
        if f"{timeline} content" in self.plan.factors:
            energy = self._derived(name, "energy", carrier, main=True)
            products.append((energy.key, f"{timeline} content"))
            yield energy
        yield replace(amount, products=tuple(products))

    def _measured(self, name: str, point: Point) -> Spec:
        device, asset = self.bound.device, self.bound.asset
        ratios = self._ratios(point)
        kind_of = (id(point), name, device.connection, device.every_s, asset.rated_kw, ratios)
        if kind_of not in self.plan.alike:
            self.plan.alike[kind_of] = self._like(name, point, ratios)
        like = self.plan.alike[kind_of]
        carrier = self._carrier(point) if like.measurement == "energy" else ""
        key = series_key(self.bound.asset_name, name, point.quantity)
        return Spec(key, self._place(carrier), like, place=self._read_at.of(point))

    def _ratios(self, point: Point) -> Steps:
        """Return what readings are multiplied by, as the meter register dates it; () for what is shown already."""
        zone = ZoneInfo(self.gateway.site.zone)
        steps = applied_ratios(self.meter, point.quantity) if self.meter else ()
        return tuple((ALWAYS if day == date.min else _midnight_ns(day, zone), float(ratio)) for day, ratio in steps)

    def _like(self, name: str, point: Point, ratios: Steps) -> Like:
        scale, offset = conversion(point.unit, point.quantity)
        mul, div = ratio(point.scale * point.sign * scale)
        quantity = QUANTITIES[point.quantity]
        low, high = self._limits(point, scale, offset, ratios)
        kind = _KINDS[point.effective_kind]
        step = abs(mul / div)
        paced = self.bound.device.every_s
        connection = self.gateway.connections[self.bound.device.connection]
        if paced is None and not isinstance(connection, Broker):
            paced = connection.every_s
        return Like(
            connection=self.bound.device.connection,
            quantity=point.quantity,
            unit=quantity.unit,
            kind=kind,
            measurement=quantity.measurement,
            field=f"{name}_{quantity.suffix}",
            mul=mul,
            div=div,
            offset=point.offset * scale + offset,
            low=low,
            high=high,
            modulus=_modulus(point) * step if kind == Kind.COUNTER else NAN,
            resolution=max(point.step * scale if point.step else 0.0, step * _last_digit(point)),
            relative=_FLOAT_STEP.get(point.modbus.type, 0.0) if point.modbus else 0.0,
            max_rate=self._max_rate(point, scale, ratios),
            period_ns=int((paced or 0.0) * 1e9),
            ratios=ratios,
        )

    def _limits(self, point: Point, scale: float, offset: float, ratios: Steps) -> tuple[float, float]:
        """Return what a reading lies between at least: as declared, or of power what no asset of that size can take."""
        if point.valid:
            low, high = sorted(v * scale + offset for v in point.valid)
            return low, high
        rated = self.bound.asset.rated_kw
        if not rated or point.quantity != "power":
            return -inf, inf
        most = _ABSURD * rated / min((r for _, r in ratios), default=1.0)
        return -most, most

    def _max_rate(self, point: Point, scale: float, ratios: Steps) -> float:
        if point.effective_kind != "counter":
            return NAN
        if point.max_rate:
            return point.max_rate * scale
        rated = self.bound.asset.rated_kw
        behind = min((r for _, r in ratios), default=1.0)  # the register turns by so much less
        return rated * _PEAK / behind if rated and point.quantity == "energy_index" else NAN

    def _derived(self, name: str, quantity: str, carrier: str, *, main: bool) -> Spec:
        kind = QUANTITIES[quantity]
        carbon = kind.measurement == "emissions"
        stem = quantity if main else name
        like = Like(
            connection=self.bound.device.connection,
            quantity=quantity,
            unit=kind.unit,
            kind=_KINDS[kind.kind],
            measurement=kind.measurement,
            field=f"{stem}_{kind.suffix}",
            stratum=DERIVED,
        )
        tags = self._place(
            carrier=carrier if kind.measurement in ("energy", "emissions") else "",
            scope=str(about(carrier).scope or "") if carbon else "",
            method=("location" if about(carrier).electric else "factor") if carbon else "",
        )
        return Spec(series_key(self.bound.asset_name, name, quantity), tags, self.plan.share(like))

    def _place(self, carrier: str = "", scope: str = "", method: str = "") -> Tags:
        """Return the tags of a series of this device; equal ones are one object, for there may be many thousands."""
        asked = carrier, scope, method
        if asked not in self._places:
            bound = self.bound
            self._places[asked] = tags_of(
                self.gateway,
                area=bound.area,
                asset=bound.asset_name,
                asset_type=bound.asset.type,
                device=bound.name,
                carrier=carrier,
                scope=scope,
                method=method,
            )
        return self._places[asked]

    def _gap(self) -> Spec:
        like = Like(self.bound.device.connection, "gap", "1", Kind.STATE, "gateway", "gap_cause")
        return Spec(gap_key(self.bound.asset_name, self.bound.name), self._place(), self.plan.share(like))


def _midnight_ns(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * SECOND_NS


def _is_integer(point: Point) -> bool:
    """Return whether the value advances in whole steps of its scale; one that is scaled by registers need not."""
    return point.modbus is not None and point.modbus.type not in _FLOAT_STEP and not point.modbus.scale_by


def _last_digit(point: Point) -> float:
    """Return by how many of its scale a value advances at least; 0 when that is not known."""
    return 10.0**-point.dlt645.decimals if point.dlt645 else 1.0 if _is_integer(point) else 0.0


def _modulus(point: Point) -> float:
    """Return after how many steps of its register a counter begins again; NaN if it does not."""
    if point.digits:
        return 10.0**point.digits
    if point.dlt645:
        return point.dlt645.counts_to
    if point.modbus is None or not _is_integer(point) or point.modbus.type.startswith("sm"):
        return NAN
    registers = REGISTERS.get(point.modbus.type, 1)
    return 10.0 ** (4 * registers) if point.modbus.type.startswith("bcd") else 2.0 ** (16 * registers)
