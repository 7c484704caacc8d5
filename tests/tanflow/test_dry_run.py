"""Readings through everything an alert stands on, without a gateway: amounts, windows, their parts, then the alert."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.bindings import bind
from config.load import Loaded, load
from pipeline.alerts.stage import Status
from pipeline.clock import SECOND_NS
from pipeline.compile import compile_plan
from tanflow.dry_run import Readings, Transition, run

CONFIG = """version: 1
site: {name: works, region: CN-GD, zone: Asia/Shanghai}
connections: {floor: {protocol: modbus}}
areas:
  hall:
    assets:
      oven:
        type: other
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/1
            points:
              energy_import: {quantity: energy_index, unit: kWh, modbus: {address: 0, type: float64}}
              mass: {quantity: mass_index, unit: t, carrier: product, modbus: {address: 4, type: float64}}
windows:
  per-tonne: {type: energy_intensity, energy: [oven.energy_import], product: oven.mass}
alerts:
  thirsty: {type: intensity, window: per-tonne, idle_kw: 200, per_unit: 280, over_percent: 10}
"""
FIRST = 1_772_294_400  # 2026-03-01T00:00 in Shanghai
# Each hour: kWh and tonnes. Of 8 t 305 kWh/t are explained, of 2 t 380; the third hour takes 340, the fifth 380.
HOURS = ((2_440.0, 8.0), (760.0, 2.0), (2_720.0, 8.0), (2_440.0, 8.0), (760.0, 2.0))


def plant(folder: Path) -> Loaded:
    (folder / "gateway.yaml").write_text(CONFIG)
    return load(folder / "gateway.yaml")


def readings(every_s: int) -> Iterator[Readings]:
    """Yield the indexes of both counters, as they rise through the hours and a quarter of one more."""
    kwh, mass = 1_000.0, 50.0
    yield FIRST * SECOND_NS, {"oven.energy_import.energy_index": kwh, "oven.mass.mass_index": mass, "no.such.key": 1.0}
    for hour, (energy, product) in enumerate((*HOURS, (0.0, 0.0))):
        for at in range(every_s, 3_600 + 1, every_s):
            now = (FIRST + hour * 3_600 + at) * SECOND_NS
            share = at / 3_600
            index = {"oven.energy_import.energy_index": kwh + energy * share}
            yield now, index | {"oven.mass.mass_index": mass + product * share}
        kwh, mass = kwh + energy, mass + product


@pytest.mark.parametrize("every_s", [10, 60, 300])
def test_an_hour_that_takes_too_much_is_told_at_its_end(tmp_path: Path, every_s: int) -> None:
    """2,720 kWh where 200 + 8 · 280 = 2,440 are explained: 280 kW. The next hour is within, and clears."""
    loaded = plant(tmp_path)
    told = [t for t in run(loaded.gateway, loaded.templates, readings(every_s)) if t.alert.name == "thirsty"]
    hours = [((t.time_ns / SECOND_NS) - FIRST) / 3_600 for t in told]
    assert hours == [3.0, 4.0]
    assert [(t.status, t.changed) for t in told] == [(Status.FIRING, True), (Status.CLEAR, True)]
    assert numbers(told[0]) == pytest.approx((340.0, 335.5, 280.0))
    assert numbers(told[1])[:2] == pytest.approx((305.0, 335.5))


def numbers(told: Transition) -> tuple[float, float, float]:
    assert not math.isnan(told.value)
    return told.value, told.limit, told.excess


def test_a_window_of_energy_per_product_yields_both_as_figures(tmp_path: Path) -> None:
    loaded = plant(tmp_path)
    specs = {s.key: s for s in compile_plan(loaded.gateway, list(bind(loaded.gateway, loaded.templates))).specs}
    assert specs["oven.per-tonne.energy_intensity"].like.field == "energy_intensity_kwh_t"
    assert specs["oven.per-tonne-energy.kpi"].like.field == "per_tonne_energy_kwh"
    assert specs["oven.per-tonne-product.kpi"].like.field == "per_tonne_product_t"
