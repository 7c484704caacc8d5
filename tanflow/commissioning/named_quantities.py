"""The name of a value, or its unit → unit and quantity, only where no other is possible."""

from __future__ import annotations

import re
from typing import Final

from collectors.opcua_units import Meant, named

_KILO: Final = re.compile(r"[kK](Wh|W|VArh|VAr|VAh|VA)(?![a-z])")  # which no rule for words keeps together
_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|\d+")
# How a name ends → unit. One letter says what it is only behind the word for it.
_ENDS: Final = {
    ("kw",): "kW", ("kwh",): "kWh", ("kvar",): "kvar", ("kvarh",): "kvarh", ("kva",): "kVA", ("kvah",): "kVAh",
    ("hz",): "Hz", ("rpm",): "rpm", ("degc",): "degC", ("celsius",): "degC", ("degf",): "degF",
    ("fahrenheit",): "degF", ("power", "w"): "W", ("voltage", "v"): "V", ("current", "a"): "A",
    ("temperature", "c"): "degC", ("temp", "c"): "degC", ("temperature", "f"): "degF", ("temp", "f"): "degF",
    ("pressure", "bar"): "bar", ("pressure", "kpa"): "kPa", ("pressure", "pa"): "Pa", ("pressure", "mbar"): "mbar",
    ("flow", "m3h"): "m3/h", ("flow", "m3", "h"): "m3/h", ("w", "m2"): "W/m2",
    ("energy", "wh"): "Wh", ("energy", "mwh"): "MWh",
}  # fmt: skip
_LONGEST: Final = 3


def by_name(path: str) -> Meant | None:
    """Return what a path's last key says of unit and quantity: power_kw, energyKwh, temperature_c; None: not enough."""
    parts = tuple(part.lower() for part in _PARTS.findall(_KILO.sub(_apart, path.rpartition(".")[2])))
    for count in range(_LONGEST, 0, -1):
        unit = _ENDS.get(parts[-count:])
        if unit is not None and not {"avg", "max", "min", "limit", "setpoint", "target", "rated"} & set(parts):
            return by_unit(unit)
    return Meant("1", "power_factor") if parts[-2:] == ("power", "factor") else None


def _apart(unit: re.Match[str]) -> str:
    return f"_k{unit[1].lower()}"


def by_unit(unit: str) -> Meant | None:
    """Return unit and quantity of a unit as a device writes it; None where it leaves open what is measured."""
    meant = named(unit)
    return meant if meant is not None and meant.quantity else None
