"""A plant → what is wrong with its windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import time

from config.bindings import is_phase
from config.carriers import about, counted_in
from config.explain import nearest
from config.kpis import figures
from config.model import Asset
from config.plant_checks import Finding, Loc, Plant
from config.points import Point
from config.power_checks import whole_powers
from config.quantities import AMOUNT_OF
from config.windows import EnergyIntensity, Formula, minutes

Points = dict[str, dict[str, Point]]  # of every asset by full name


def check_windows(plant: Plant) -> Iterator[Finding]:
    """Yield everything wrong with windows."""
    points = {name: points_of(plant, asset) for _, name, asset in plant.assets()}
    for name, window in plant.gateway.windows.items():
        if isinstance(window, EnergyIntensity):
            yield from _intensity(plant, name, window, points)
        if plant.is_whole("site"):
            yield from _shifts(plant, name, window)
    yield from _figures(plant, points)


def points_of(plant: Plant, asset: Asset) -> dict[str, Point]:
    """Return the points of an asset by full name, as far as they can be told."""
    return {name: point for device in asset.devices.values() for name, point in plant.points(device).items()}


def untold(plant: Plant) -> Callable[[str], bool]:
    """Return the test whether what a reference names may stand in a block that is wrong itself."""
    if any(p[0] == "areas" and len(p) < 4 for p in plant.broken):
        return lambda reference: True
    names = {str(p[3]) for p in plant.broken if p[0] == "areas"}
    names |= {asset for _, asset, _, _, d in plant.devices() if d.template and d.template not in plant.templates}
    return lambda reference: reference.partition(".")[0] in names


# ── the site's shifts ─────────────────────────────────────────────────────────────────────────────


def _shifts(plant: Plant, name: str, window: EnergyIntensity | Formula) -> Iterator[Finding]:
    shifts = [(s.start, s.end) for s in plant.gateway.site.shifts.values()]
    if isinstance(window, Formula):
        key = "during" if window.during != "always" else "every" if window.every == "shift" else ""
    else:
        key = "shifts_only" if window.shifts_only else ""
    if key and not shifts:
        yield ("windows", name, key), "the site has no shifts; add site.shifts or leave this out"
    elif key == "every" and _overlap(shifts):
        yield ("windows", name, key), "the site's shifts overlap; what falls in two cannot be counted by shift"


def _overlap(shifts: list[tuple[time, time]]) -> bool:
    """Return whether any minute of the day lies in two shifts."""
    taken: set[int] = set()
    for begin, end in shifts:
        mine = minutes(begin, end)
        if taken & mine:
            return True
        taken |= mine
    return False


# ── formulas ──────────────────────────────────────────────────────────────────────────────────────


def _figures(plant: Plant, points: Points) -> Iterator[Finding]:
    """Yield what is wrong with formulas."""
    hidden, found = untold(plant), figures(plant.gateway, points)
    for window, why in found.wrong:
        # names of an energy_intensity are told one by one; an asset that is wrong itself, at its own place
        entry = plant.gateway.windows[window]
        if isinstance(entry, Formula) and not hidden(entry.asset):
            yield ("windows", window, "formula"), why
    for name, figure in found.own.items():
        if figure.window in found.found:
            yield ("windows", name), f"'{figure.window}' is a figure of the asset's type already; call this otherwise"


# ── energy per tonne ──────────────────────────────────────────────────────────────────────────────


def _intensity(plant: Plant, name: str, window: EnergyIntensity, points: Points) -> Iterator[Finding]:
    path, hidden = ("windows", name), untold(plant)
    for index, reference in enumerate(window.energy):
        if not hidden(reference):
            where = (*path, "energy", index)
            yield from refer(points, reference, where) or energy(plant, points, reference, where)
    if not hidden(window.product):
        product = (*path, "product")
        yield from refer(points, window.product, product) or _product(points, window.product, product)


def refer(points: Points, reference: str, path: Loc) -> list[Finding]:
    """Return why a reference names no point, nothing where it does."""
    asset, dot, point = reference.partition(".")
    if not dot:
        return [(path, f"'{reference}' must be written asset.point")]
    if asset not in points:
        return [(path, f"there is no asset '{asset}'{nearest(asset, points)}")]
    if point not in points[asset]:
        return [(path, f"asset '{asset}' has no point '{point}'{nearest(point, points[asset])}")]
    return []


def energy(plant: Plant, points: Points, reference: str, path: Loc) -> list[Finding]:
    """Return why no energy follows from a point, nothing where it does."""
    name, _, of = reference.partition(".")
    asset, point = next(a for _, n, a in plant.assets() if n == name), points[name][of]
    if point.quantity == "energy_index" and point.effective_kind == "counter":
        return []
    carrier = point.carrier or asset.carrier
    if point.quantity in ("volume_index", "mass_index"):
        if about(carrier).fuel and counted_in(point, asset.carrier):
            return []
        return [
            (path, f"a {AMOUNT_OF[point.quantity]} of {carrier} has no known energy content; name an energy counter")
        ]
    if point.quantity != "power":
        return [(path, f"'{reference}' shows {point.quantity}; name a counter of energy or gas, or a power")]
    counters = [
        n
        for n, p in points[name].items()
        if p.quantity == "energy_index" and p.effective_kind == "counter" and (p.carrier or asset.carrier) == carrier
    ]
    if asset.energy == "integrate" or (asset.energy == "auto" and not counters):
        whole = whole_powers(plant, asset).get(carrier)
        return [] if of == whole else [(path, f"'{reference}' is not integrated: {_instead(name, of, carrier, whole)}")]
    if counters:
        return [(path, f"'{reference}' is not integrated, because '{name}' counts energy; name {name}.{counters[0]}")]
    return [(path, f"'{reference}' is not integrated; set energy: integrate at asset '{name}'")]


def _instead(asset: str, power: str, carrier: str, whole: str | None) -> str:
    """Return what to name instead of a power that is not the one its asset is accounted by."""
    if whole:
        return f"the power of '{asset}' is {asset}.{whole}; name that"
    if is_phase(power):
        return "it is a phase alone; name a point of their sum"
    return f"of a device only one power is; name an energy counter of {carrier}"


def _product(points: dict[str, dict[str, Point]], reference: str, path: Loc) -> list[Finding]:
    asset, _, name = reference.partition(".")
    point = points[asset][name]
    if point.quantity == "mass_index" and point.effective_kind == "counter":
        return []
    return [(path, f"'{reference}' shows {point.quantity}; the product is a counter of mass (quantity mass_index)")]
