"""Amounts as people write them → the unit of a factor; what cannot be converted is told, never guessed."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from config.points import GasReference
from config.quantities import conversion

_QUANTITY_OF: Final = {"m3": "volume", "L": "volume", "t": "mass", "kg": "mass", "kWh": "energy", "GJ": "energy"}
# Nothing that could be a sum or a power: names of units only.
_NAME: Final = re.compile(r"[A-Za-zµ]{1,20}[³3]?")
_TEN_THOUSAND: Final = re.compile(r"^(万|10\^4|1e4|10⁴)\s*")
_ZERO_CELSIUS_K: Final = Decimal("273.15")


class Mistaken(ValueError):
    """What a row says cannot be meant; `column` is where to correct it."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


def scale(unit: str, wanted: str) -> Decimal:
    """Return s so that an amount in `wanted` = amount in `unit` · s; raises ValueError with what would be right."""
    bare = _TEN_THOUSAND.sub("", unit)
    times = Decimal(10_000) if bare != unit else Decimal(1)
    bare = bare.replace("m³", "m3")
    if re.fullmatch(r"(?i)(N|S|Std|Sta?nd)\s?m3", bare):
        raise ValueError(f"'{unit}' does not say which normal state; write m3, and celsius and kpa beside it")
    if bare == wanted:
        return times
    if not _NAME.fullmatch(bare):
        raise ValueError(f"'{unit}' is not a unit; write {wanted} or one that converts to it")
    quantity = _QUANTITY_OF.get(wanted)
    if quantity is None:
        raise ValueError(f"'{unit}' cannot be converted; write {wanted}")
    try:
        factor = conversion(bare, quantity)[0] / conversion(wanted, quantity)[0]
    except ValueError:
        raise ValueError(
            f"'{unit}' cannot be converted to {wanted}; write it in {wanted} or another unit of {quantity}"
        ) from None
    return times * Decimal(f"{factor:.15g}")


def heat_scale(unit: str, per: str) -> Decimal:
    """Return s so that a heat value in kWh per `per` = value in `unit` (GJ/t, MJ/m3 …) · s; raises ValueError."""
    energy, slash, matter = unit.partition("/")
    if not slash:
        raise ValueError(f"'{unit}' is not a heat value; write e.g. GJ/t or MJ/m3")
    return scale(energy.strip(), "kWh") / scale(matter.strip(), per)


def gas_ratio(stated: GasReference, wanted: GasReference) -> Decimal:
    """Return m³(wanted) per m³(stated) of the same gas = (T_wanted/T_stated) · (p_stated/p_wanted), ideal gas."""
    kelvin = [Decimal(str(state.celsius)) + _ZERO_CELSIUS_K for state in (wanted, stated)]
    return kelvin[0] / kelvin[1] * Decimal(str(stated.kpa)) / Decimal(str(wanted.kpa))


def reference_of(row: object) -> GasReference | None:
    """Return the state a row's gas volume is stated in, None where it states none."""
    celsius, kpa = getattr(row, "celsius", None), getattr(row, "kpa", None)
    if celsius is None:
        return None
    return GasReference(celsius=float(celsius)) if kpa is None else GasReference(celsius=float(celsius), kpa=float(kpa))
