"""From a register to what is known of its series: width, step, fastest advance, limits and period."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.spec import Spec
from tests.pipeline.plans import ON_MODBUS, meter, specs


def one(known: Mapping[str, Any], **asset: Any) -> Spec:
    """Return the measured series of one counter `e`."""
    device = meter("e")
    device["points"]["e"] |= known
    found = specs({"a": {"type": "other", "devices": {"m": device}} | asset})
    return next(s for k, s in found.items() if k.startswith("a.e.") and not s.like.stratum)


@pytest.mark.parametrize(
    ("known", "modulus", "resolution"),
    [
        ({"modbus": ON_MODBUS}, 2.0**32, 1.0),
        ({"modbus": ON_MODBUS, "scale": 0.01}, 2.0**32 / 100, 0.01),
        ({"modbus": ON_MODBUS, "unit": "Wh"}, 2.0**32 / 1000, 0.001),
        ({"modbus": ON_MODBUS, "unit": "MWh", "scale": 0.1}, 2.0**32 * 100, 100.0),
        ({"modbus": {"address": 0, "type": "uint16"}}, 2.0**16, 1.0),
        ({"modbus": {"address": 0, "type": "int64"}}, 2.0**64, 1.0),
        ({"modbus": {"address": 0, "type": "bcd32"}}, 1e8, 1.0),
        ({"modbus": ON_MODBUS, "digits": 6, "scale": 0.1}, 1e5, 0.1),
    ],
)
def test_width_and_step_of_registers(known: dict[str, Any], modulus: float, resolution: float) -> None:
    """A register of n steps begins again after n steps of its unit; `digits` says so for decimal ones."""
    index = one(known)
    assert index.like.modulus == pytest.approx(modulus, rel=1e-12)
    assert index.like.resolution == pytest.approx(resolution, rel=1e-12)
    assert index.like.relative == 0.0


@pytest.mark.parametrize(("kind", "relative"), [("float32", 2.0**-23), ("float64", 2.0**-52)])
def test_a_float_register_does_not_roll_over_and_grows_coarser(kind: str, relative: float) -> None:
    index = one({"modbus": {"address": 0, "type": kind}})
    assert math.isnan(index.like.modulus)
    assert (index.like.resolution, index.like.relative) == (0.0, relative)


def test_a_register_scaled_by_others_has_no_known_end_unless_its_digits_are_stated() -> None:
    """How many kWh a step is stands in another register, and may change with it."""
    scaled = {**ON_MODBUS, "scale_by": [{"address": 9}]}
    index = one({"modbus": scaled})
    assert (math.isnan(index.like.modulus), index.like.resolution) == (True, 0.0)
    assert one({"modbus": scaled, "digits": 7}).like.modulus == 1e7
    assert math.isnan(one({"modbus": {"address": 0, "type": "sm32"}}).like.modulus)


def test_the_fastest_advance_comes_from_rated_power_or_is_stated() -> None:
    assert one({}, rated_kw=100).like.max_rate == pytest.approx(120.0)
    assert one({"max_rate": 5, "unit": "MWh"}, rated_kw=100).like.max_rate == pytest.approx(5_000.0)
    assert math.isnan(one({}).like.max_rate)


def test_power_beyond_ten_times_what_the_asset_is_rated_for_is_bad() -> None:
    """A torn float is 1e7 kW for a second; what is declared goes before it, and nothing is known without either."""
    power = {"quantity": "power", "unit": "W", "modbus": ON_MODBUS}
    assert (one(power, rated_kw=100).like.low, one(power, rated_kw=100).like.high) == (-1_000.0, 1_000.0)
    assert one(power | {"valid": [0, 5e6]}, rated_kw=100).like.high == pytest.approx(5_000.0)
    assert math.isinf(one(power).like.high)


def test_the_period_is_the_devices_or_its_connections() -> None:
    assert one({}).like.period_ns == 5_000_000_000
    device = meter("e") | {"every_s": 60}
    assert (
        specs({"a": {"type": "other", "devices": {"m": device}}})["a.e.energy_index"].like.period_ns == 60_000_000_000
    )


def test_limits_and_signs_are_in_canonical_units() -> None:
    """−20 … 180 °F are −28.9 … 82.2 °C; a power that counts export positive is turned by its sign."""
    warm = one({"quantity": "temperature", "unit": "degF", "valid": [-20, 180], "modbus": ON_MODBUS})
    assert (warm.like.low, warm.like.high) == (pytest.approx(-28.889, abs=1e-3), pytest.approx(82.222, abs=1e-3))
    power = one({"quantity": "power", "unit": "W", "sign": -1, "modbus": ON_MODBUS})
    assert power.like.mul / power.like.div == -0.001
