"""Events change what is: each is seen in the physics it is about, and the meters still agree with the truth."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from simulators.events import Event
from simulators.plant import Plant

SECOND = 1_000_000_000
MIDNIGHT = 1_781_539_200 * SECOND  # Tuesday 2026-06-16, 00:00 in China
DAY_S = 86_400.0


def plant(*events: dict[str, object]) -> Plant:
    made = Plant.demo(period_s=30.0)
    made.suffer(TypeAdapter(tuple[Event, ...]).validate_python(events))
    return made


def run(plant: Plant, seconds: float) -> Plant:
    begin = plant.time_ns or MIDNIGHT
    for k in range(1, round(seconds / plant.period_s) + 1):
        plant.step(begin + round(k * plant.period_s * SECOND))
    return plant


def kwh(plant: Plant, device: str, seconds: float) -> float:
    """Return the true energy of a device over the next `seconds` [kWh]."""
    before = plant.devices[device].energy_kwh
    return run(plant, seconds).devices[device].energy_kwh - before


def test_a_leak_grows_to_its_size_and_costs_what_compressing_it_costs() -> None:
    leak = {"at_s": 3_600, "event": "leak", "asset": "air-station", "m3_min_per_day": 48, "most_m3_min": 2}
    sound, leaking = plant(), plant(leak)
    for one in (sound, leaking):
        run(one, 7_200)
    air = leaking.machines["air-station"]
    assert air.leak_m3_min == pytest.approx(1.5 + 2.0, rel=0.01)  # type: ignore[attr-defined]
    machines = ("compressor-1", "compressor-2")
    extra = [sum(kwh(one, name, 1_800) for name in machines) for one in (sound, leaking)]
    # Two cubic metres a minute more of a machine that regulates: (0.84 + 0.24·s) · 83.2 kW / (1.04 · 13.2 m³/min) each
    assert 2 * 5.1 * 0.5 < extra[1] - extra[0] < 2 * 5.9 * 0.5


def test_a_fouled_condenser_doubles_its_approach_and_costs_power() -> None:
    clean, fouled = plant(), plant({"at_s": 0, "event": "fouling", "asset": "chiller-1", "per_day": 24, "most": 1})
    for one in (clean, fouled):
        run(one, 10 * 3_600)
    approach = [
        one.devices["chiller-1"].readings["condensing_temperature"]
        - one.devices["chiller-1"].readings["condenser_leaving_water_temperature"]
        for one in (clean, fouled)
    ]
    assert approach[1] == pytest.approx(2 * approach[0], rel=0.02)
    energy = [kwh(one, "chiller-1", 3_600) for one in (clean, fouled)]
    assert 1.01 < energy[1] / energy[0] < 1.08  # 3 … 4 % a kelvin of condensing temperature


def test_an_idle_furnace_makes_nothing_burns_gas_and_goes_on() -> None:
    furnace = plant({"at_s": 8 * 3_600, "for_s": 4 * 3_600, "event": "idle", "asset": "furnace-1"})
    run(furnace, 8 * 3_600 + 600)
    shown = furnace.devices["furnace-1"].readings
    mass = shown["mass"]
    burnt = kwh(furnace, "furnace-1", 3.5 * 3_600)
    assert shown["mass"] == mass
    assert 150 < burnt / 3.5 < 700  # kW: walls and flue, and at first the pieces that stay
    assert shown["furnace_temperature"] == pytest.approx(1_250, abs=30)
    run(furnace, 3_600)
    assert shown["mass"] > mass + 3  # mended


def test_an_extra_load_is_on_the_main_meter_alone() -> None:
    extra = {"at_s": 3_600, "for_s": 3_600, "event": "extra_load", "asset": "main-meter", "kw": 60}
    sound, loaded = plant(), plant(extra)
    for one in (sound, loaded):
        run(one, 4 * 3_600)
    for name, device in sound.devices.items():
        more = 60.0 if name == "main-meter" else 0.0
        assert loaded.devices[name].energy_kwh - device.energy_kwh == pytest.approx(more, abs=1e-6), name


def test_events_on_one_machine_add_up_and_go_as_they_came() -> None:
    one = {"at_s": 60, "for_s": 120, "event": "extra_load", "asset": "main-meter", "kw": 10}
    both = plant(one, {**one, "at_s": 120, "kw": 5})
    seen = [run(both, 30).machines["main-meter"].extra_kw for _ in range(10)]  # type: ignore[attr-defined]
    assert seen == [0, 10, 10, 15, 15, 5, 5, 0, 0, 0]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"event": "leak", "asset": "chiller-1", "m3_min_per_day": 1}, "'chiller-1' cannot leak.*'air-station'"),
        ({"event": "idle", "asset": "furnace-9"}, "there is no 'furnace-9'; what can here: 'furnace-1'"),
    ],
)
def test_what_cannot_happen_is_refused(event: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        plant({"at_s": 0, **event})
