"""EngineeringUnits of a variable → our unit and, where no other is possible, its quantity.

OPC UA (Part 8, 5.6.4.3) numbers units by the letters of their UN/CEFACT Recommendation 20 common code.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from config.quantities import conversion

_UNECE: Final = "http://www.opcfoundation.org/UA/units/un/cefact"


class Meant(NamedTuple):
    """A unit as configurations write it, and the quantity of a point with it; empty: more than one is possible."""

    unit: str
    quantity: str


# Common code → unit and quantity. A tonne, a litre or a second may be a counter, a level or a set point: left open.
_CODES: Final = {
    "WTT": Meant("W", "power"), "KWT": Meant("kW", "power"), "MAW": Meant("MW", "power"),
    "D44": Meant("var", "reactive_power"), "KVR": Meant("kvar", "reactive_power"),
    "D46": Meant("VA", "apparent_power"), "KVA": Meant("kVA", "apparent_power"),
    "VLT": Meant("V", "voltage"), "KVT": Meant("kV", "voltage"), "AMP": Meant("A", "current"),
    "HTZ": Meant("Hz", "frequency"), "WHR": Meant("Wh", "energy_index"), "KWH": Meant("kWh", "energy_index"),
    "MWH": Meant("MWh", "energy_index"), "K3": Meant("kvarh", "reactive_energy_index"),
    "C79": Meant("kVAh", "apparent_energy_index"), "CEL": Meant("degC", "temperature"),
    "FAH": Meant("degF", "temperature"), "BAR": Meant("bar", "pressure"), "MBR": Meant("mbar", "pressure"),
    "PAL": Meant("Pa", "pressure"), "KPA": Meant("kPa", "pressure"), "MPA": Meant("MPa", "pressure"),
    "MQH": Meant("m3/h", "volume_flow"), "L2": Meant("l/min", "volume_flow"), "E18": Meant("t/h", "mass_flow"),
    "E93": Meant("kg/h", "mass_flow"), "D54": Meant("W/m2", "irradiance"), "RPM": Meant("1/min", "speed"),
    "MTQ": Meant("m3", ""), "LTR": Meant("l", ""), "TNE": Meant("t", ""), "KGM": Meant("kg", ""),
    "KEL": Meant("K", ""), "P1": Meant("%", ""), "SEC": Meant("s", ""), "HUR": Meant("h", ""),
}  # fmt: skip
_BY_NAME: Final = {meant.unit: meant for meant in _CODES.values()} | {
    "°C": _CODES["CEL"], "°F": _CODES["FAH"], "m³/h": _CODES["MQH"], "m³": _CODES["MTQ"], "rpm": _CODES["RPM"],
    "r/min": _CODES["RPM"], "W/m²": _CODES["D54"],
}  # fmt: skip


def meant_by(unit: Any) -> Meant | None:
    """Return what an EUInformation means: by its code, else by the name it shows; None where neither is known."""
    if unit is None:
        return None
    code = unit.UnitId.to_bytes(4, "big").strip(b"\0").decode("latin-1") if unit.UnitId > 0 else ""
    meant = _CODES.get(code) if unit.NamespaceUri in (_UNECE, None, "") else None
    meant = meant or named(unit.DisplayName.Text or "")
    if meant is not None and meant.quantity:
        conversion(meant.unit, meant.quantity)
    return meant


def named(unit: str) -> Meant | None:
    """Return what a unit as it is shown means: kW, °C, m³/h; None where it is not known."""
    return _BY_NAME.get(unit.strip())
