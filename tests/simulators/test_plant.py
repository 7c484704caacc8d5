"""The demo factory: one time base, sums that close, the same every time, whatever the step."""

import asyncio

import pytest

from pipeline.clock import Clock
from simulators.plant import Plant
from tests.waiting import until

SECOND = 1_000_000_000
START = 1_780_272_000 * SECOND  # Monday 2026-06-01, 08:00 in China


def run(plant: Plant, seconds: float) -> Plant:
    for k in range(1, round(seconds / plant.period_s) + 1):
        plant.step(START + round(k * plant.period_s * SECOND))
    return plant


def test_main_meter_closes_the_balance() -> None:
    plant = run(Plant.demo(seed=3, period_s=5.0), 6 * 3_600)
    energy = {name: device.energy_kwh for name, device in plant.devices.items()}
    main = plant.devices["main-meter"]
    behind = energy["compressor-1"] + energy["compressor-2"] + energy["chiller-1"] - energy["pv-1"]
    assert energy["main-meter"] == pytest.approx(behind + main.base_kwh, abs=1e-6)  # type: ignore[attr-defined]
    assert min(main.trace.power_kw) > 0  # the demo never exports


def test_same_seed_same_factory_and_another_seed_another() -> None:
    one, two, other = (run(Plant.demo(seed, period_s=10.0), 1_800) for seed in (1, 1, 2))
    for name, device in one.devices.items():
        assert device.readings == two.devices[name].readings
        assert device.trace.power_kw == two.devices[name].trace.power_kw
        assert device.energy_kwh != other.devices[name].energy_kwh


@pytest.mark.parametrize("period_s", [0.2, 10.0, 60.0])
def test_energy_does_not_depend_on_the_step(period_s: float) -> None:
    fine, other = (run(Plant.demo(seed=1, period_s=s), 4 * 3_600 if period_s > 1 else 1_200) for s in (1.0, period_s))
    for name, device in fine.devices.items():
        assert other.devices[name].energy_kwh == pytest.approx(device.energy_kwh, rel=0.01), name


def test_every_device_counts_its_steps_and_serves_a_meter() -> None:
    plant = run(Plant.demo(), 10)
    assert list(plant.devices) == ["compressor-1", "compressor-2", "furnace-1", "chiller-1", "pv-1", "main-meter"]
    for name, device in plant.devices.items():
        assert device.readings["sequence"] == 9
        assert all(isinstance(value, float) for value in device.readings.values())
        if name != "furnace-1":
            assert {"power", "energy_import", "energy_export", "power_factor", "voltage_l1_n"} <= device.readings.keys()
            assert device.readings["power"] == device.trace.power_kw[-1]


def test_time_does_not_go_back() -> None:
    plant = Plant.demo()
    plant.step(START)
    with pytest.raises(ValueError, match="cannot step back"):
        plant.step(START)


async def test_run_takes_every_step_at_whole_periods_even_when_late() -> None:
    plant = Plant.demo()
    times: list[int] = []
    plant.watchers.append(times.append)
    clock = Clock(anchor_ns=START + 123_456_789, speed=100.0)
    task = asyncio.create_task(plant.run(clock, period_s=0.5))
    await until(lambda: len(times) > 20)
    behind = clock.now_ns()
    while clock.now_ns() < behind + 10 * SECOND:  # the loop is busy for ten seconds of the plant's time
        pass
    await until(lambda: times[-1] > behind + 10 * SECOND)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert times == list(range(START + SECOND // 2, times[-1] + 1, SECOND // 2))
    assert max(times) <= clock.now_ns()
