"""A plant → what is wrong with its meter register, and what of it should be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from config.explain import nearest
from config.meters import TRANSFORMED, Meter, MeterEvent, Transformer, calibrations_due
from config.plant_checks import Finding, Loc, Plant
from config.points import Point
from config.window_checks import untold

_COUNTED: Final = ("energy_index", "volume_index", "mass_index", "power")
_CLASSES: Final = (0.05, 5.0)  # of meters and transformers, IEC 62053, IEC 61869-2 and -3, EN 1359, EN 1434 [%]


def check_meters(plant: Plant) -> Iterator[Finding]:
    """Yield every mistake of the register."""
    register = plant.gateway.accounting.meters
    for name, meter in register.items():
        path: Loc = ("accounting", "meters", name)
        yield from _device(plant, path, meter)
        yield from _classes(path, meter)
        yield from _dates(path, meter)
        yield from _events(path, meter)
    yield from _claimed_twice(register)
    yield from _serials(register)


def doubt_meters(plant: Plant) -> Iterator[Finding]:
    """Yield calibrations that are overdue or soon due."""
    today = datetime.now(ZoneInfo(plant.gateway.site.zone)).date()
    for calibration in calibrations_due(plant.gateway.accounting.meters, today):
        yield ("accounting", "meters", calibration.meter), str(calibration)


# ── what it reads ─────────────────────────────────────────────────────────────────────────────────


def _device(plant: Plant, path: Loc, meter: Meter) -> Iterator[Finding]:
    if meter.device is None:
        return
    known = {f"{asset}.{name}": device for _, asset, _, name, device in plant.devices()}
    if meter.device not in known:
        if not untold(plant)(meter.device):
            yield (*path, "device"), f"there is no device '{meter.device}'{nearest(meter.device, known)}"
        return
    device = known[meter.device]
    if device.template and device.template not in plant.templates:
        return
    points = plant.points(device)
    if not any(point.quantity in _COUNTED for point in points.values()):
        message = "has neither a counter of energy, volume or mass nor power; nothing is accounted by it"
        yield (*path, "device"), f"'{meter.device}' {message}"
        return
    template = plant.templates.get(device.template or "")
    yield from _shows(path, meter, points, template.shows if template else None, device.template or "")


def _shows(path: Loc, meter: Meter, points: dict[str, Point], known: str | None, template: str) -> Iterator[Finding]:
    """Yield where the transformers' ratio would be applied twice, or not at all."""
    where = (*path, "shows")
    behind = bool(meter.ct or meter.pt)
    if meter.shows == "secondary" and not behind:
        yield where, "values behind transformers are multiplied by their ratio; add ct: or pt:, or write primary"
    elif meter.shows == "secondary" and not any(point.quantity in TRANSFORMED for point in points.values()):
        yield where, f"'{meter.device}' measures nothing that stands behind a current or voltage transformer"
    elif meter.shows == "secondary" and known == "primary":
        yield where, f"template {template} shows primary values already; multiplied again they would be too large"
    elif meter.shows == "primary" and behind and known == "secondary":
        yield where, f"template {template} shows values behind the transformers; write shows: secondary"


def _claimed_twice(register: dict[str, Meter]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name, meter in register.items():
        if meter.device and first.setdefault(meter.device, name) != name:
            message = (
                f"'{meter.device}' is read through meter '{first[meter.device]}' already; a meter put in the place of "
                f"another is a swap under its events:"
            )
            yield ("accounting", "meters", name, "device"), message


# ── what it is ────────────────────────────────────────────────────────────────────────────────────


def _classes(path: Loc, meter: Meter) -> Iterator[Finding]:
    yield from _class((*path, "accuracy"), meter.accuracy)
    yield from _transformers(path, meter)
    for index, event in enumerate(meter.events):
        yield from _transformers((*path, "events", index), event)


def _transformers(path: Loc, of: Meter | MeterEvent) -> Iterator[Finding]:
    for kind in ("ct", "pt"):
        transformer: Transformer | None = getattr(of, kind)
        if transformer and transformer.accuracy is not None:
            yield from _class((*path, kind, "accuracy"), transformer.accuracy)


def _class(where: Loc, accuracy: float) -> Iterator[Finding]:
    if not _CLASSES[0] <= accuracy <= _CLASSES[1]:
        yield where, f"{accuracy:g} is no class: it is the limit of error in %, e.g. 0.5 for class 0.5S"


# ── when ──────────────────────────────────────────────────────────────────────────────────────────


def _dates(path: Loc, meter: Meter) -> Iterator[Finding]:
    """Yield days that cannot follow each other."""
    if meter.due and meter.calibrated_on and meter.due <= meter.calibrated_on:
        yield (*path, "due"), f"must be after the calibration it follows ({meter.calibrated_on})"
    for index, event in enumerate(meter.events):
        at: Loc = (*path, "events", index)
        if event.due and event.due <= event.on:
            yield (*at, "due"), f"must be after the day of the event ({event.on})"
        if meter.calibrated_on and event.on < meter.calibrated_on and event.type in ("calibrate", "swap"):
            message = (
                f"is before calibrated_on ({meter.calibrated_on}); what stands above events: is the meter as it was "
                "before them"
            )
            yield (*at, "on"), message


def _events(path: Loc, meter: Meter) -> Iterator[Finding]:
    """Yield events that cannot happen to a meter in the state it is in."""
    serial, bypassed = meter.serial, False
    for index, event in enumerate(meter.events):
        at: Loc = (*path, "events", index)
        if event.type == "install" and index:
            earlier = meter.events[0]
            message = f"'{earlier.type}' on {earlier.on} is before the installation"
            yield (*at, "on"), f"{message}; another meter in its place is a swap"
        if event.type == "swap" and event.serial == serial:
            yield (*at, "serial"), f"'{serial}' is the meter that was there already; a swap names the new one"
        if event.type == "restore" and not bypassed:
            yield (*at, "type"), "nothing is restored: no bypass is open before it"
        if event.type == "bypass" and bypassed:
            yield (*at, "type"), "it is bypassed already; a restore ends the bypass before"
        serial = event.serial or serial
        bypassed = {"bypass": True, "restore": False}.get(event.type, bypassed)


def _serials(register: dict[str, Meter]) -> Iterator[Finding]:
    """Yield serial numbers that stand in two places at one time."""
    stands: dict[str, list[tuple[date, date, Loc]]] = {}
    for name, meter in register.items():
        path: Loc = ("accounting", "meters", name)
        changes = [(date.min, meter.serial, (*path, "serial"))]
        changes += [(e.on, e.serial, (*path, "events", i, "serial")) for i, e in enumerate(meter.events) if e.serial]
        for (start, serial, where), (end, _, _) in pairwise([*changes, (date.max, "", ())]):
            stands.setdefault(serial, []).append((start, end, where))
    for serial, places in stands.items():
        for index, (start, end, where) in enumerate(places):
            for other_start, other_end, other in places[:index]:
                if other[2] != where[2] and start < other_end and other_start < end:
                    yield where, f"'{serial}' is meter '{other[2]}' at that time; no two meters have one serial number"
                    break
