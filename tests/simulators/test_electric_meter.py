"""A three-phase meter's readings agree with each other, and the main meter with everything behind it."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.device import Device
from simulators.electric_meter import MainMeter
from simulators.electrical import Submeter, electrical
from simulators.site import Site

SECOND = 1_000_000_000
START = 1_780_272_000 * SECOND
powers = st.floats(-2_000, 2_000)
Flow = tuple[float, float]


class Machine(Device):
    """Draws what it is told."""

    def __init__(self, name: str, powers: list[tuple[float, float]]) -> None:
        super().__init__(name)
        self.powers = iter(powers)

    def advance(self, now_ns: int, dt_s: float) -> float:
        power, reactive = next(self.powers)
        self.readings.update(power=power, reactive_power=reactive)
        return power


@given(powers, powers)
@settings(deadline=None)
def test_readings_agree_with_each_other(power: float, reactive: float) -> None:
    site = Site()
    site.advance(START, 1.0)
    r = electrical(power, reactive, site)
    assert r["apparent_power"] ** 2 == pytest.approx(power**2 + reactive**2)
    assert -1 <= r["power_factor"] <= 1
    assert r["apparent_power"] * r["power_factor"] == pytest.approx(power, abs=1e-9)
    for point in ("power", "reactive_power", "apparent_power"):
        assert sum(r[f"{point}_{p}"] for p in ("l1", "l2", "l3")) == pytest.approx(r[point], abs=1e-9)
    amperes = sum(r[f"voltage_{p}_n"] * r[f"current_{p}"] for p in ("l1", "l2", "l3"))
    assert amperes / 1_000 == pytest.approx(r["apparent_power"], abs=1e-9)
    assert r["voltage_ll_avg"] == pytest.approx(math.sqrt(3) * r["voltage_ln_avg"], rel=1e-4)
    assert 49.8 < r["frequency"] < 50.2
    assert 220 < r["voltage_ln_avg"] < 240


@given(st.lists(st.tuples(powers, powers, st.floats(0.05, 60)), min_size=1, max_size=30))
def test_registers_count_both_directions_and_never_fall(steps: list[tuple[float, float, float]]) -> None:
    site = Site()
    meter = Submeter("m", site)
    before_net = meter.energy_import - meter.energy_export
    last = meter.read(0.0, 0.0, 1.0)
    for power, reactive, dt in steps:
        now = meter.read(power, reactive, dt)
        for counter in ("energy_import", "energy_export", "reactive_energy_import", "reactive_energy_export",
                        "apparent_energy_total", "energy_import_l2"):  # fmt: skip
            assert now[counter] >= last[counter]
        last = now
    net = sum(power * dt for power, _, dt in steps) / 3_600
    assert last["energy_net_total"] - before_net == pytest.approx(net, abs=1e-6)


flows = st.tuples(st.floats(0, 500), st.floats(-100, 300))  # kW, kvar


@given(st.lists(st.tuples(flows, flows, flows, st.floats(0.05, 60)), min_size=1, max_size=20))
def test_main_meter_is_the_sum(rows: list[tuple[Flow, Flow, Flow, float]]) -> None:
    site = Site()
    a = Machine("a", [row[0] for row in rows])
    b = Machine("b", [row[1] for row in rows])
    pv = Machine("pv", [row[2] for row in rows])
    main = MainMeter("main", site, [a, b], [pv])
    start = main.meter.energy_import - main.meter.energy_export
    now = START
    for *_, dt in rows:
        now += int(dt * SECOND)
        for device in (a, b, pv, main):
            device.step(now, dt)
    expected = a.energy_kwh + b.energy_kwh - pv.energy_kwh + main.base_kwh
    assert main.energy_kwh == pytest.approx(expected, abs=1e-9)
    assert main.meter.energy_import - main.meter.energy_export - start == pytest.approx(expected, abs=1e-6)
    assert main.readings["apparent_power"] >= abs(main.readings["power"])


def test_main_meter_counts_export_when_the_sun_outruns_the_factory() -> None:
    site = Site()
    main = MainMeter("main", site, [], [Machine("pv", [(50.0, 0.0)])], base=lambda now_ns: 20.0)
    bought, sold = main.meter.energy_import, main.meter.energy_export
    for device in (*main.generators, main):
        device.step(START, 3_600.0)
    assert main.readings["power"] == pytest.approx(-30.0)
    assert main.readings["power_factor"] < 0
    assert main.readings["energy_import"] == bought
    assert main.readings["energy_export"] == pytest.approx(sold + 30.0)
