"""A carrier and its unit → tonnes of standard coal per unit, by measured calorific value or the standard's defaults."""

from __future__ import annotations

from typing import Final

from config.carriers import about
from config.coefficients import KGCE_GJ, standard_coal
from config.explain import nearest

# One unit in the base of its dimension: kg, m3, MJ.
_SIZE: Final = {
    "kg": ("kg", 1.0), "t": ("kg", 1000.0), "m3": ("m3", 1.0), "L": ("m3", 1e-3),
    "MJ": ("MJ", 1.0), "GJ": ("MJ", 1000.0), "kWh": ("MJ", 3.6), "MWh": ("MJ", 3600.0),
}  # fmt: skip
# GB/T 2589-2020 gives these by a range only [kgce per unit]: no value of it is the standard's.
_RANGES: Final = {"coke_oven_gas": "0.5714 … 0.6143 kgce/m3"}


def tce_per_unit(
    carrier: str, unit: str, *, kwh_per_unit: float | None = None, supply_rate: float | None = None
) -> float:
    """Return the tonnes of standard coal (29.3076 GJ each) that one unit of a carrier stands for.

    `kwh_per_unit` [kWh net calorific] of the carrier's own factor comes before the defaults, as GB/T 2589-2020 wants.
    Electricity counts by its heat, 0.1229 kgce/kWh (equivalent value, 当量值), or with `supply_rate` [kgce/kWh], the
    year's coal rate of supply, by what was burnt to make it (equal value, 等价值).
    Raises ValueError where the standard gives a range or nothing and no calorific value is known.
    """
    if unit not in _SIZE:
        raise ValueError(f"no standard coal is known per '{unit}'{nearest(unit, _SIZE)}")
    base, size = _SIZE[unit]
    if about(carrier).electric:
        return _of_electricity(unit, supply_rate)
    if supply_rate is not None:
        raise ValueError(f"a coal rate of supply is for electricity, not for {carrier}")
    if kwh_per_unit is not None:
        return kwh_per_unit * 0.0036 / KGCE_GJ / 1000
    if base == "MJ":
        return size / 1000 / KGCE_GJ / 1000
    row = standard_coal(carrier)
    into, row_size = _SIZE[row.unit.removeprefix("kgce/")] if row else ("", 1.0)
    if row is None or into != base:
        raise ValueError(_why_not(carrier, unit))
    return row.value * size / row_size / 1000


def _of_electricity(unit: str, supply_rate: float | None) -> float:
    base, size = _SIZE[unit]
    if base != "MJ":
        raise ValueError(f"electricity is counted in kWh, not in {unit}")
    if supply_rate is not None and not 0.1 < supply_rate < 1:
        raise ValueError(f"a coal rate of supply is about 0.30 kgce/kWh, not {supply_rate:g}")
    row = standard_coal("electricity")
    equivalent = row.value if row else 3.6 / 1000 / KGCE_GJ
    return (equivalent if supply_rate is None else supply_rate) * size / 3.6 / 1000


def _why_not(carrier: str, unit: str) -> str:
    if carrier in _RANGES and unit in ("m3", "L"):
        message = f"GB/T 2589-2020 gives {carrier} by a range only, {_RANGES[carrier]}"
    else:
        message = f"GB/T 2589-2020 has no default for {carrier} per {unit}"
    return f"{message}: enter its measured calorific value"
