"""Meters behind transformers: what their registers show becomes what flowed before them, dated, and nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.bindings import bind
from config.load import load
from config.model import Gateway
from config.templates import load_all
from pipeline import quality as q
from pipeline.batch import Batch, Header, make
from pipeline.compile import compile_plan
from pipeline.ingest import derive
from pipeline.meter import MeterState
from pipeline.normalise import normalise
from pipeline.ratios import ALWAYS, Ratios
from pipeline.series import SeriesTable
from tests.pipeline.tables import HOUR, SECOND

MIDNIGHT = 1_740_758_400 * SECOND  # 2025-03-01T00:00 in Shanghai
CT = {"ratio": "400/5"}
INDEX, ENERGY = "main.energy_import.energy_index", "main.energy_import.energy"


def plant(template: str, *, rated_kw: float | None = None, **meter: Any) -> SeriesTable:
    """Return the table of one metered asset of a shipped template."""
    device = {"connection": "floor", "address": "127.0.0.1/1", "template": template}
    asset = {"type": "meter", "devices": {"m": device}} | ({"rated_kw": rated_kw} if rated_kw else {})
    register = {"M1": {"device": "main.m", "serial": "A1", "accuracy": 0.5, **meter}} if meter else {}
    config = Gateway.model_validate(
        {
            "version": 1,
            "site": {"name": "s", "region": "CN-GD", "zone": "Asia/Shanghai"},
            "connections": {"floor": {"protocol": "modbus"}},
            "areas": {"hall": {"assets": {"main": asset}}},
            "accounting": {"meters": register},
        }
    )
    plan = compile_plan(config, bind(config, load_all()))
    return SeriesTable(1, plan.specs, {s.key: i for i, s in enumerate(plan.specs)}, plan.factors)


def raw(table: SeriesTable, key: str, values: Sequence[float], every_s: int = 600, start_ns: int = MIDNIGHT) -> Batch:
    times = [start_ns + i * every_s * SECOND for i in range(len(values))]
    return make(Header("floor", 1, "boot", times[-1], 0), times, [table.ids[key]] * len(values), values)


def amounts(table: SeriesTable, batch: Batch) -> dict[str, list[float]]:
    _, _, derived = derive(table, MeterState.fresh(len(table)), normalise(table, batch))
    keys = {number: key for key, number in table.ids.items()}
    found: dict[str, list[float]] = {}
    for series, value in zip(derived.series.tolist(), derived.value.tolist(), strict=True):
        found.setdefault(keys[series], []).append(value)
    return found


def test_one_load_through_a_meter_of_primary_and_one_of_secondary_values_is_the_same() -> None:
    """Acrel ADL400 shows primary energy (0.1 kWh a digit), DTSD1352 secondary (0.01 kWh, × PT × CT): 40 kWh through
    400/5 are 400 digits of the one and 50 of the other, says each maker's register list."""
    primary = plant("acrel_adl400", serial="A1", ct=CT)
    secondary = plant("acrel_dtsd1352", ct=CT, shows="secondary")
    assert amounts(primary, raw(primary, "main.energy_import.energy_index", [0, 400]))[ENERGY] == [40]
    assert amounts(secondary, raw(secondary, "main.energy_import.energy_index", [0, 50]))[
        "main.energy_import.energy"
    ] == [40]
    direct = plant("acrel_dtsd1352")
    assert amounts(direct, raw(direct, "main.energy_import.energy_index", [0, 50]))[ENERGY] == [0.5]


def test_each_quantity_is_multiplied_by_the_transformers_it_stands_behind() -> None:
    table = plant("acrel_dtsd1352", ct=CT, pt={"ratio": "10000/100"}, shows="secondary")
    shown = {
        "main.power.power": (1000.0, 8000.0),  # W: 1 kW × 80 × 100
        "main.reactive_power.reactive_power": (1000.0, 8000.0),
        "main.current_l1.current": (100.0, 80.0),  # 1 A × 80
        "main.voltage_l1_n.voltage": (600.0, 6000.0),  # 60 V × 100
        "main.frequency.frequency": (5000.0, 50.0),
        "main.power_factor.power_factor": (900.0, 0.9),
        INDEX: (100.0, 1.0),  # the index stays what the register shows
    }
    for key, (register, value) in shown.items():
        assert normalise(table, raw(table, key, [register])).value.tolist() == [pytest.approx(value)], key


def test_a_change_of_ratio_takes_effect_at_its_midnight_without_a_restart_or_a_lost_reading() -> None:
    table = plant(
        "acrel_dtsd1352", ct=CT, shows="secondary",
        events=[{"on": "2025-03-01", "type": "ratio", "ct": {"ratio": "300/5"}}],
    )  # fmt: skip
    index = [100 * i for i in range(5)]  # 1 kWh in ten minutes behind the transformers
    found = amounts(table, raw(table, INDEX, index, start_ns=MIDNIGHT - 1200 * SECOND))
    assert found[ENERGY] == [80, 80, 60, 60]
    # One that lies across midnight is shared by time: half an hour at 80, half an hour at 60.
    found = amounts(table, raw(table, INDEX, [0, 100], 3600, MIDNIGHT - 1800 * SECOND))
    assert found[ENERGY] == [70]


def test_energy_from_power_is_of_primary_power() -> None:
    config = plant("acrel_dtsd1352", ct=CT, shows="secondary", rated_kw=500)
    found = normalise(config, raw(config, "main.power.power", [1000, 1000], 60))
    assert found.value.tolist() == [80, 80]


def test_what_is_impossible_is_measured_behind_the_transformers() -> None:
    """500 kW are at most 600 kWh in an hour, and 7.5 of the register's: a jump by 100 is doubted, one by 5 is not."""
    table = plant("acrel_dtsd1352", ct=CT, shows="secondary", rated_kw=500)
    _, measured, _ = derive(table, MeterState.fresh(len(table)), normalise(table, raw(table, INDEX, [0, 10_000])))
    assert measured.quality[1] & q.RANGE
    assert amounts(table, raw(table, INDEX, [0, 500]))[ENERGY] == [400]


def test_it_is_part_of_the_plan_and_of_what_a_revision_keeps() -> None:
    one = plant("acrel_dtsd1352", ct=CT, shows="secondary")
    other = plant("acrel_dtsd1352", ct={"ratio": "300/5"}, shows="secondary")
    assert one.digest != other.digest
    kept = SeriesTable.unpack(1, one.pack())
    assert kept.digest == one.digest
    batch = raw(one, INDEX, [0, 50])
    assert amounts(kept, batch) == amounts(one, batch)


@given(
    steps=st.lists(st.tuples(st.integers(1, 100), st.integers(1, 400)), max_size=5),
    start=st.integers(-50, 600), span=st.integers(1, 600),
)  # fmt: skip
def test_the_mean_over_an_interval_is_the_sum_of_its_hours(steps: list[tuple[int, int]], start: int, span: int) -> None:
    edges = np.cumsum([s for s, _ in steps]).tolist()
    course = ((ALWAYS, 7.0), *((int(edge) * HOUR, float(r)) for edge, (_, r) in zip(edges, steps, strict=True)))
    ratios = Ratios([(), course])
    one = np.ones(1, np.int32)
    mean = ratios.over(one, np.array([start * HOUR]), np.array([(start + span) * HOUR]))[0]
    hours = np.arange(start, start + span) * HOUR
    assert mean == pytest.approx(ratios.at(np.ones(span, np.int32), hours).mean())
    assert ratios.over(np.zeros(1, np.int32), hours[:1], hours[:1] + HOUR).tolist() == [1.0]


def test_plans_without_transformers_multiply_nothing() -> None:
    loaded = load(Path(__file__).parents[2] / "examples" / "factory.yaml")
    plan = compile_plan(loaded.gateway, bind(loaded.gateway, loaded.templates))
    assert SeriesTable(1, plan.specs, {s.key: i for i, s in enumerate(plan.specs)}, plan.factors).ratios is None
