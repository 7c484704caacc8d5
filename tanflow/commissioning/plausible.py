"""A number read and the one a display shows → whether they may be the same, and by which scale."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from config.quantities import QUANTITIES, conversion

SCALES: Final = (1.0, 0.1, 10.0, 0.01, 100.0, 0.001, 1_000.0)  # the likelier ones first
# Units a meter may count in while its display shows another; of those a person can name, smallest first.
_FAMILIES: Final = (
    ("Wh", "kWh", "MWh", "GWh"),
    ("varh", "kvarh", "Mvarh"),
    ("VAh", "kVAh", "MVAh"),
    ("W", "kW", "MW"),
    ("var", "kvar", "Mvar"),
    ("VA", "kVA", "MVA"),
    ("mV", "V", "kV"),
    ("mA", "A", "kA"),
    ("Pa", "kPa", "bar", "MPa"),
)
_QUANTITY: Final = {
    "V": "voltage", "A": "current", "Hz": "frequency", "W": "power", "var": "reactive_power", "VA": "apparent_power",
    "Wh": "energy_index", "varh": "reactive_energy_index", "VAh": "apparent_energy_index", "%": "ratio",
    "m3": "volume_index", "m3/h": "volume_flow", "t": "mass_index", "t/h": "mass_flow", "degC": "temperature",
    "°C": "temperature", "Pa": "pressure", "bar": "pressure",
}  # fmt: skip


class Fit(NamedTuple):
    """A way in which what was read is what is shown: `value · scale` in `unit`, off by `error` of what is shown."""

    scale: float
    unit: str
    error: float
    surprise: int  # how unusual scale and unit are, the least first


def fits(value: float, expected: float, unit: str, tolerance: float) -> Fit | None:
    """Return the likeliest way in which a value is the expected one within a relative tolerance; None where none is.

    |value · scale · unit / asked unit − expected| ≤ tolerance · |expected|; an expected 0 is met by 0 alone.
    """
    if not math.isfinite(value) or (value == 0) != (expected == 0):
        return None
    found = []
    for rank, (other, factor) in enumerate(_units(unit)):
        for place, scale in enumerate(SCALES):
            shown = value * scale * factor
            error = abs(shown - expected) / abs(expected) if expected else 0.0
            if math.isfinite(shown) and error <= tolerance:
                # A scale beside another unit is a guess upon a guess.
                found.append(Fit(scale, other, error, place + rank * (len(SCALES) if scale != 1 else 2)))
    return min(found, key=lambda fit: (fit.surprise, fit.error), default=None)


def quantity_of(unit: str) -> str:
    """Return what is most likely measured in a unit, "" where nothing is known of it."""
    for quantity in dict.fromkeys((_QUANTITY.get(unit, ""), *_QUANTITY.values())):
        if quantity and unit and _is_unit(unit, quantity):
            return quantity
    return next((name for name in QUANTITIES if unit and _is_unit(unit, name)), "")


def _is_unit(unit: str, quantity: str) -> bool:
    try:
        conversion(unit, quantity)
    except ValueError:
        return False
    return True


def _units(unit: str) -> list[tuple[str, float]]:
    """Return the unit and its likely multiples, each with its size in that unit, the nearest first."""
    family = next((f for f in _FAMILIES if unit in f), ())
    if not family:
        return [(unit, 1.0)]
    quantity = quantity_of(unit)
    size = conversion(unit, quantity)[0]
    others = sorted((abs(family.index(u) - family.index(unit)), u) for u in family)
    return [(u, conversion(u, quantity)[0] / size) for _, u in others]
