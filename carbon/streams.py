"""Configuration → streams: every flow of energy or matter the account knows, and where its amounts come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from carbon.entries import Role
from config.accounting import VirtualMeter
from config.bindings import BoundDevice, series_key
from config.fuels import Calorific
from config.model import Asset, Gateway
from config.points import GasReference, Point, SteamState, WaterState
from config.processes import Process
from config.quantities import AMOUNT_OF, QUANTITIES
from pipeline.spec import Kind, Spec

_MADE_ON_SITE: Final = ("solar", "wind", "hydro")
_MEMO: Final = ("mass", "reactive_energy")  # quantities kept beside the account: production, and what the tariff asks


@dataclass(frozen=True, slots=True)
class Stream:
    """One flow: `series` is the key of its amounts in the log, "" where people or other streams bring them."""

    key: str  # asset.carrier, with a third part where an asset has several: main-meter.electricity.export
    asset: str
    area: str
    asset_type: str
    carrier: str
    unit: str
    role: Role
    series: str = ""
    device: str = ""  # asset.device that reads it: how the meter register finds it
    reference: GasReference | None = None
    calorific: Calorific | None = None  # what a register of a fuel's energy counts by
    virtual: VirtualMeter | None = None
    heat: SteamState | WaterState | None = None  # of what is counted in tonnes


def streams(config: Gateway, devices: Iterable[BoundDevice], specs: Iterable[Spec]) -> dict[str, Stream]:
    """Return every stream by key: of accounted counters and integrated power, of production, and virtual ones."""
    amounts = {s.key: s for s in specs if s.like.kind == Kind.DELTA}
    found: dict[str, Stream] = {}
    for device in devices:
        for stream in _metered(config, device, amounts):
            found.setdefault(stream.key, stream)
    for name, virtual in config.accounting.virtual.items():
        area, asset = place(config, virtual.asset)
        key = f"{virtual.asset}.{virtual.carrier}.{name}"
        unit = next((found[part].unit for part in virtual.plus if part in found), "kWh")
        role = _role_of_virtual(virtual, found)
        found[key] = Stream(key, virtual.asset, area, asset.type, virtual.carrier, unit, role, virtual=virtual)
    for name, process in config.accounting.process.items():
        if process.metered_by:
            found[f"{process.asset}.{name}"] = _of_process(config, name, process)
    return {key: _placed(config, stream, found) for key, stream in found.items()}


def _of_process(config: Gateway, name: str, process: Process) -> Stream:
    """Return the stream of a process: a copy of the tonnes it goes by, which are kept as what they are too."""
    area, asset = place(config, process.asset)
    copy = VirtualMeter(asset=process.asset, plus=(process.metered_by,))
    return Stream(f"{process.asset}.{name}", process.asset, area, asset.type, name, "t", "boundary", virtual=copy)


def _role_of_virtual(virtual: VirtualMeter, found: Mapping[str, Stream]) -> Role:
    """Return breakdown: what it is made of is counted where it is measured; memo where that is beside the account."""
    roles = {found[part].role for part in virtual.plus if part in found}
    return "memo" if roles and roles <= {"own", "export", "memo"} else "breakdown"


def place(config: Gateway, name: str) -> tuple[str, Asset]:
    """Return the area and the asset of a name; raises KeyError."""
    for area_name, area in config.areas.items():
        if name in area.assets:
            return area_name, area.assets[name]
    raise KeyError(name)


def _metered(config: Gateway, device: BoundDevice, amounts: Mapping[str, Spec]) -> Iterator[Stream]:
    for name, point in device.points.items():
        quantity = AMOUNT_OF.get(point.quantity, "energy" if point.quantity == "power" else "")
        spec = amounts.get(series_key(device.asset_name, name, quantity))
        if spec is None:
            continue
        carrier = point.carrier or device.asset.carrier
        accounted = any(target.endswith(".co2e") for target, _ in spec.products)
        if accounted:
            role: Role = "own" if carrier in _MADE_ON_SITE else "boundary"
            yield _stream(device, point, spec, carrier, role, "")
        elif quantity == "mass" and (point.steam or point.hot_water):
            yield _stream(device, point, spec, carrier, "boundary", "")
        elif quantity in _MEMO:
            kind = "product" if quantity == "mass" else "reactive"
            yield _stream(device, point, spec, kind if quantity == "mass" else carrier, "memo", kind)
        elif quantity == "energy" and name.endswith("export") and carrier not in _MADE_ON_SITE:
            yield _stream(device, point, spec, carrier, "export", "export")


def _stream(device: BoundDevice, point: Point, spec: Spec, carrier: str, role: Role, part: str) -> Stream:
    key = f"{device.asset_name}.{carrier}" + (f".{part}" if part and part != carrier else "")
    unit = QUANTITIES[spec.like.quantity].unit
    return Stream(
        key, device.asset_name, device.area, device.asset.type, carrier, unit, role, spec.key, device.key,
        point.reference, point.calorific, heat=point.steam or point.hot_water,
    )  # fmt: skip


def _placed(config: Gateway, stream: Stream, found: Mapping[str, Stream]) -> Stream:
    """Return the stream as a part of another's where a meter above already counts the same carrier."""
    if stream.role != "boundary":
        return stream
    _, asset = place(config, stream.asset)
    role = role_of(config, asset, stream.carrier, found)
    return stream if role == stream.role else replace(stream, role=role)


def role_of(config: Gateway, asset: Asset, carrier: str, found: Mapping[str, Stream]) -> Role:
    """Return boundary, or breakdown where a meter above the asset already counts the carrier."""
    seen: set[str] = set()
    above = asset.fed_by
    while above and above not in seen:
        if f"{above}.{carrier}" in found:
            return "breakdown"
        seen.add(above)
        above = place(config, above)[1].fed_by
    return "boundary"
