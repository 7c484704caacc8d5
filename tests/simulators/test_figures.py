"""A day of the demo factory through its configuration's own figures: they show the physics the machines have."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from config.bindings import bind
from config.load import load
from config.points import Point
from config.quantities import AMOUNT_OF
from pipeline.alerts.context import Context
from pipeline.batch import INPUT, WINDOW, Batch, Header, make
from pipeline.compile import compile_plan
from pipeline.heartbeat import TICK_KEY
from pipeline.kpi import Windows
from simulators.gas_meter import NCV_0C_MJ_M3
from simulators.plant import Plant
from tanflow.stages import stages

FACTORY = Path(__file__).parents[2] / "simulators" / "factory.yaml"
START = round(datetime(2026, 6, 14, 16, tzinfo=UTC).timestamp()) * 10**9  # midnight of a Monday in Dongguan
STEP_S, HOURS = 60, 25
SECOND = 10**9


@cache
def day() -> dict[str, list[tuple[float, float]]]:
    """Return (value, completeness) of every window of every figure of one simulated day, by `asset.figure`."""
    loaded = load(FACTORY)
    devices = list(bind(loaded.gateway, loaded.templates))
    plan = compile_plan(loaded.gateway, devices, FACTORY.parent)
    ids = {spec.key: number for number, spec in enumerate(plan.specs)}
    (windows,) = (s for s in stages(Context.of(loaded.gateway, devices, ids)) if isinstance(s, Windows))
    points = {(d.asset_name, n): p for d in devices for n, p in d.points.items()}
    plant, found, before = Plant.demo(), defaultdict(dict[int, float]), dict[str, float]()
    state, names = {}, {number: key for key, number in ids.items()}
    for n in range(1, HOURS * 3_600 // STEP_S + 1):
        now = START + n * STEP_S * SECOND
        plant.step(now)
        state, out = windows.fold(state, rows(plant, points, ids, before, now), Header("w", 1, "b", now, 0, WINDOW))
        for series, at, value in zip(out.series.tolist(), out.time_ns.tolist(), out.value.tolist(), strict=True):
            found[names[series]][at] = value
    figures = {key: key.rpartition(".")[0] for key in found if not key.endswith((".completeness", ".grade"))}
    result = {f: [(v, found[f"{f}.completeness"][at]) for at, v in found[key].items()] for key, f in figures.items()}
    grades = {key: [(v, 1.0) for v in found[key].values()] for key in found if key.endswith(".grade")}
    return result | grades


def rows(
    plant: Plant, points: dict[tuple[str, str], Point], ids: dict[str, int], before: dict[str, float], now: int
) -> Batch:
    """Return what a gateway would log of one step: readings, the amounts of counters, kWh of gas, and a tick."""
    series, values, spans = [ids[TICK_KEY]], [0.0], [0]
    for (asset, name), point in points.items():
        value = plant.devices[asset].readings.get(name)
        if value is None or math.isnan(value):
            continue
        if point.quantity not in AMOUNT_OF:
            series.append(ids[f"{asset}.{name}.{point.quantity}"])
            values.append(value)
            spans.append(0)
            continue
        amount = AMOUNT_OF[point.quantity]
        grown = value - before.setdefault(f"{asset}.{name}", value)
        before[f"{asset}.{name}"] = value
        follows = {amount: grown}
        if f"{asset}.{name}.energy" in ids and amount == "volume":
            follows["energy"] = grown * NCV_0C_MJ_M3 / 3.6
        for quantity, one in follows.items():
            series.append(ids[f"{asset}.{name}.{quantity}"])
            values.append(one)
            spans.append(STEP_S * SECOND)
    return make(Header("m", 1, "b", now, 0, INPUT), now, series, values, 0, spans)


def whole(figure: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the values of a figure's complete windows."""
    values = [value for value, share in day()[figure] if share > 0.98]
    assert values, f"{figure}: {day()[figure]}"
    return np.array(values)


@pytest.mark.parametrize(
    ("figure", "low", "high"),
    [
        ("air-station.specific-power", 6.0, 8.5),  # 6.3 and 6.4 rated; part load and unloaded running cost the rest
        ("air-station.specific-energy", 0.10, 0.142),  # the same over 60
        ("compressor-2.specific-power-loaded", 6.1, 7.0),  # its switching is seen once a minute
        ("compressor-1.isentropic-efficiency", 60.0, 80.0),
        ("chiller-1.cop", 4.5, 7.5),
        ("chiller-1.heat-balance", -3.0, 3.0),
        ("chiller-1.evaporator-approach", 0.2, 2.6),
        ("chiller-1.condenser-approach", 0.2, 2.1),
        ("pv-1.performance-ratio", 80.0, 90.0),
        ("furnace-1.flue-loss", 14.5, 35.0),
        ("furnace-1.excess-air", 8.0, 45.0),
    ],
)
def test_a_figure_lies_where_the_machine_works(figure: str, low: float, high: float) -> None:
    values = whole(figure)
    assert low <= values.min(), figure
    assert values.max() <= high, figure


def test_kw_per_ton_of_refrigeration_is_3_517_over_cop() -> None:
    assert whole("chiller-1.kw-per-rt") == pytest.approx(3.517 / whole("chiller-1.cop"))


def test_energy_per_tonne_is_one_figure_two_ways() -> None:
    """The window of energy_intensity and the furnace's own figure are the same formula; one is of shifts only."""
    shifts, always = (whole(f"furnace-1.{name}") for name in ("furnace-intensity", "energy-per-tonne"))
    assert set(shifts) < set(always)
    assert len(shifts) == 16
    assert 290 < np.median(shifts) < 340  # kWh/t of a walking-beam furnace


def test_the_fixed_speed_machine_is_graded_by_its_loaded_hours() -> None:
    """55 kW, 0.7 MPa, air: 6.0, 6.5, 7.2 in GB 19153-2019; the machine takes 6.4 at 7 bar."""
    graded = {grade for grade, _ in day()["compressor-2.specific-power-loaded.grade"]}
    assert graded <= {2.0, 3.0}
    assert 2.0 in graded
