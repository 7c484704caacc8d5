"""The vocabulary of what is measured: quantity → canonical unit, default kind and database measurement."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import pint

KindName = Literal["gauge", "counter", "state", "delta"]
Measurement = Literal["energy", "emissions", "process", "kpi", "alert", "gateway"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One physical quantity; values inside tanflow are always in `unit`, `suffix` ends its database field."""

    unit: str
    suffix: str
    kind: KindName
    measurement: Measurement


def _gauge(unit: str, suffix: str, measurement: Measurement = "energy") -> Quantity:
    return Quantity(unit, suffix, "gauge", measurement)


QUANTITIES: dict[str, Quantity] = {
    # electricity and energy; *_index is what a register shows, the bare name is the amount of one interval
    "power": _gauge("kW", "kw"),
    "reactive_power": _gauge("kvar", "kvar"),
    "apparent_power": _gauge("kVA", "kva"),
    "power_factor": _gauge("1", "1"),
    "voltage": _gauge("V", "v"),
    "current": _gauge("A", "a"),
    "frequency": _gauge("Hz", "hz"),
    "distortion": _gauge("%", "pct"),
    "phase_angle": _gauge("deg", "deg"),
    "energy_index": Quantity("kWh", "index_kwh", "counter", "energy"),
    "energy": Quantity("kWh", "kwh", "delta", "energy"),
    "reactive_energy_index": Quantity("kvarh", "index_kvarh", "counter", "energy"),
    "reactive_energy": Quantity("kvarh", "kvarh", "delta", "energy"),
    "apparent_energy_index": Quantity("kVAh", "index_kvah", "counter", "energy"),
    "apparent_energy": Quantity("kVAh", "kvah", "delta", "energy"),
    # fuels, products and media
    "volume_index": Quantity("m3", "index_m3", "counter", "process"),
    "volume": Quantity("m3", "m3", "delta", "process"),
    "volume_flow": _gauge("m3/h", "m3_h", "process"),
    "mass_index": Quantity("t", "index_t", "counter", "process"),
    "mass": Quantity("t", "t", "delta", "process"),
    "mass_flow": _gauge("t/h", "t_h", "process"),
    # process
    "temperature": _gauge("degC", "degc", "process"),
    "temperature_difference": _gauge("delta_degC", "k", "process"),
    "pressure": _gauge("bar", "bar", "process"),
    "irradiance": _gauge("W/m2", "w_m2", "process"),
    "speed": _gauge("1/min", "rpm", "process"),
    "ratio": _gauge("%", "pct", "process"),
    "duration": Quantity("h", "h", "gauge", "process"),
    "count": Quantity("1", "count", "gauge", "process"),
    "state": Quantity("1", "state", "state", "process"),
    "clock_offset": _gauge("s", "s", "process"),  # a device's own clock less the time its answer came
    # carbon and what is computed from several series
    "co2e": Quantity("kg", "kg", "delta", "emissions"),
    "co2e_rate": _gauge("kg/h", "kg_h", "emissions"),
    "grid_intensity": _gauge("kg/kWh", "kg_kwh", "emissions"),  # of one interval, as a live provider says it
    "energy_intensity": Quantity("kWh/t", "kwh_t", "delta", "kpi"),
    "kpi": Quantity("1", "value", "delta", "kpi"),  # of a formula, in the unit it declares
    "grade": Quantity("1", "grade", "delta", "kpi"),  # 1 … 3 of a standard, 4 worse than its limit
    "completeness": Quantity("1", "completeness", "delta", "kpi"),
    "alert": Quantity("1", "state", "state", "alert"),
    "alert_value": _gauge("1", "value", "alert"),  # what was judged, in the unit of what is watched
    "alert_limit": _gauge("1", "limit", "alert"),
    "alert_excess": _gauge("kW", "excess_kw", "alert"),  # what it costs while it lasts
    # what the account says of an interval, restatements included
    "account_co2e": Quantity("kg", "kg", "delta", "emissions"),
    "account_energy": Quantity("kWh", "kwh", "delta", "emissions"),
    # the gateway about itself
    "gap": Quantity("1", "cause", "state", "gateway"),
    "act": Quantity("1", "act", "state", "gateway"),  # what a person did
    "tick": Quantity("1", "count", "state", "gateway"),
    "health": Quantity("1", "count", "gauge", "gateway"),
}

# The interval quantity a counter register yields.
AMOUNT_OF = {
    "energy_index": "energy",
    "reactive_energy_index": "reactive_energy",
    "apparent_energy_index": "apparent_energy",
    "volume_index": "volume",
    "mass_index": "mass",
}


# The units of nearly all meters are powers of ten: with only these pint is not loaded.
_DECIMAL: Final = re.compile("([mkMG]?)(Wh?|varh?|VAh?|V|A|Hz|bar|Pa)")
_PREFIX: Final = {"m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_IN_BAR: Final = {"Pa": -5, "bar": 0}


def _decimal(unit: str) -> tuple[str, int] | None:
    """Return (base unit, power of ten) of a unit; None where it takes more to know it."""
    match = _DECIMAL.fullmatch(unit)
    if not match:
        return None
    prefix, stem = match.groups()
    return "bar" if stem in _IN_BAR else stem, _PREFIX[prefix] + _IN_BAR.get(stem, 0)


@cache
def _registry() -> pint.UnitRegistry[float]:
    import pint  # here: few need it

    registry: pint.UnitRegistry[float] = pint.UnitRegistry()
    registry.define("var = volt * ampere")
    registry.define("varh = var * hour")
    registry.define("VAh = volt * ampere * hour")
    registry.define("m3 = meter ** 3")
    registry.define("m2 = meter ** 2")
    return registry


_UNIT: Final = re.compile(r"[A-Za-zµ°%\d/*^()_]{1,60}")
_LONGEST: Final = 60  # characters of a unit
# A number or bracket to a power, which none needs: 9**9**9 has 370 million digits.
_TOWER: Final = re.compile(r"(?:(?<![A-Za-zµ\d.])[\d.]+(?:[eE][-+]?\d+)?|\))\s*(?:\*\*|\^|[⁻⁰¹²³⁴-⁹])")


def _is_bounded(text: str) -> bool:
    """Return whether a text is read as a unit in bounded time."""
    return len(text) <= _LONGEST and not _TOWER.search(text)


@cache
def unit_of(text: str) -> pint.Unit:
    """Return the unit a text names, e.g. `kWh/m3/K`, `kW/(m3/min)`, `%`, `1`; raises ValueError with a sentence."""
    if not _UNIT.fullmatch(text) or not _is_bounded(text):
        raise ValueError(f"'{text}' is no unit; write e.g. kW, kWh/t, m3/h, % or 1")
    try:
        return _registry().Unit("dimensionless" if text == "1" else text)
    except Exception as error:
        raise ValueError(f"'{text}' is no unit; write e.g. kW, kWh/t, m3/h, % or 1") from error


@cache
def conversion(unit: str, quantity: str) -> tuple[float, float]:
    """Return (scale, offset) so that `canonical = value · scale + offset`.

    `unit` is any unit pint knows ("Wh", "MJ", "psi", "degF", "l/s").
    Raises ValueError with a sentence that says what would be right.
    """
    if quantity not in QUANTITIES:
        alike = difflib.get_close_matches(quantity, QUANTITIES, n=1)
        hint = f"did you mean '{alike[0]}'?" if alike else f"known: {', '.join(sorted(QUANTITIES))}"
        raise ValueError(f"unknown quantity '{quantity}'; {hint}")
    canonical = QUANTITIES[quantity].unit
    if unit == canonical:
        return 1.0, 0.0
    given, wanted = _decimal(unit), _decimal(canonical)
    if given and wanted and given[0] == wanted[0]:
        return 10.0 ** (given[1] - wanted[1]), 0.0
    try:
        if not _is_bounded(unit):
            raise ValueError(unit)
        registry = _registry()
        zero, one = (registry.Quantity(v, unit or "1").to(canonical).magnitude for v in (0.0, 1.0))
    except Exception as error:
        raise ValueError(f"'{unit}' is not a unit of {quantity}; write {canonical} or a multiple of it") from error
    return float(one - zero), float(zero)
