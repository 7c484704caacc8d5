"""Units: what is converted without pint is what pint says of it; what is no unit of a quantity is refused."""

from __future__ import annotations

import pint
import pytest

from config.quantities import QUANTITIES, conversion

# pint lacks these; the rest of what the table of decimal units knows is its own.
PINT = pint.UnitRegistry()
for known in ("var = volt * ampere", "varh = var * hour", "VAh = volt * ampere * hour"):
    PINT.define(known)
STEMS = {
    "power": "W",
    "reactive_power": "var",
    "apparent_power": "VA",
    "voltage": "V",
    "current": "A",
    "frequency": "Hz",
    "energy": "Wh",
    "reactive_energy": "varh",
    "apparent_energy": "VAh",
    "pressure": "Pa",
}


@pytest.mark.parametrize("prefix", ["", "m", "k", "M", "G"])
@pytest.mark.parametrize(("quantity", "stem"), STEMS.items())
def test_decimal_units_are_converted_as_pint_converts_them(quantity: str, stem: str, prefix: str) -> None:
    expected = PINT.Quantity(1.0, prefix + stem).to(QUANTITIES[quantity].unit).magnitude
    scale, offset = conversion(prefix + stem, quantity)
    assert scale == pytest.approx(expected, rel=1e-14)
    assert offset == 0.0


def test_other_units_are_asked_of_pint() -> None:
    assert conversion("MJ", "energy") == pytest.approx((1 / 3.6, 0.0))
    assert conversion("degF", "temperature") == pytest.approx((5 / 9, -160 / 9))
    assert conversion("mbar", "pressure") == (0.001, 0.0)


@pytest.mark.parametrize(
    ("unit", "quantity"), [("kW", "energy"), ("V", "current"), ("bar", "voltage"), ("kk", "power")]
)
def test_what_is_no_unit_of_a_quantity_is_refused(unit: str, quantity: str) -> None:
    with pytest.raises(ValueError, match=f"'{unit}' is not a unit of {quantity}"):
        conversion(unit, quantity)
