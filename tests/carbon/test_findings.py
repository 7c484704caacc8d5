"""What a verifier will ask about a period is told, with its numbers, and nothing where all is well."""

from __future__ import annotations

from pathlib import Path

import pytest

from carbon.findings import Kind, findings
from carbon.ledger import Ledger
from tests.carbon.plant import CONFIG, HOUR_S, IMPORT, PRESS, START_NS, SUN, Plant, open_plant

EXPORT = "main.export.energy"
DAY_NS = 24 * HOUR_S * 1_000_000_000
METERS = """
accounting:
  upstream: false
  virtual: {rest: {asset: tenant, plus: [main.electricity], minus: [press.electricity]}}
  meters:
    Q1: {device: main.m, serial: A1, accuracy: 1, calibrated_on: 2020-01-01, due: 2025-01-01}
    Q2: {device: press.m, serial: A2, accuracy: 2}
"""
EXPORTING = CONFIG.replace(
    "type: float32}}}\n      press:",
    "type: float32}}, export: {quantity: energy_index, unit: kWh, modbus: {address: 2, type: float32}}}\n      press:",
    1,
).replace("      oven:", "      tenant: {type: building, fed_by: main}\n      oven:", 1)
FULL = EXPORTING.replace("connections:", METERS + "connections:", 1)


def told(plant: Plant, days: int = 2) -> dict[Kind, list[str]]:
    """Return the sentences of the first days of 2025 by their kind."""
    found: dict[Kind, list[str]] = {}
    with Ledger.open(plant.folder) as ledger:
        for kind, sentence in findings(plant.gateway.books, ledger, START_NS, START_NS + days * DAY_NS):
            found.setdefault(kind, []).append(sentence)
    return found


async def hours(plant: Plant, key: str, amounts: list[float]) -> None:
    """Commit an amount for each hour from the first on."""
    await plant.append(key, [HOUR_S * (i + 1) for i in range(len(amounts))], amounts, HOUR_S)


async def booked(plant: Plant, until_h: int) -> None:
    await plant.tick((until_h + 1) * HOUR_S)
    await plant.book()


async def test_what_counts_below_a_meter_may_exceed_it_by_the_combined_error_only(tmp_path: Path) -> None:
    async with open_plant(tmp_path, FULL) as plant:
        # Main 100 kWh ± 1 % and press 101 ± 2 %: U = √(1² + 2.02²) = 2.254 kWh, so 1 kWh too much is no finding …
        await hours(plant, IMPORT, [100.0])
        await hours(plant, PRESS, [101.0])
        await booked(plant, 1)
        assert "negative_rest" not in told(plant)
        # … but 200 and 204.6 are: U = √(2² + 4.092²) = 4.555 < 4.6.
        await plant.append(IMPORT, [2 * HOUR_S], [100.0], HOUR_S)
        await plant.append(PRESS, [2 * HOUR_S], [103.6], HOUR_S)
        await booked(plant, 2)
        found = told(plant)
        assert len(found["negative_rest"]) == 1
        assert "below main.electricity 4.600 kWh more was metered" in found["negative_rest"][0]
        assert "combined error of 4.555 kWh" in found["negative_rest"][0]
        # The virtual meter main − press is below 0 in both hours: −1 and −3.6 kWh.
        assert "negative in 2 intervals, -4.600 kWh together" in found["virtual"][0]


async def test_own_power_behind_the_main_meter_is_part_of_what_went_in(tmp_path: Path) -> None:
    async with open_plant(tmp_path, FULL) as plant:
        for key, kwh in ((IMPORT, 100.0), (SUN, 40.0), (EXPORT, 5.0), (PRESS, 135.0)):
            await hours(plant, key, [kwh])
        await booked(plant, 1)
        assert "negative_rest" not in told(plant)
        assert "export" not in told(plant)


async def test_export_beyond_generation_is_told(tmp_path: Path) -> None:
    async with open_plant(tmp_path, FULL) as plant:
        await hours(plant, SUN, [10.0, 0.0])
        await hours(plant, EXPORT, [4.0, 3.0])
        await booked(plant, 2)
        (sentence,) = told(plant)["export"]
        assert sentence.startswith("in 1 intervals more was exported than generated, 3.000 kWh together")


async def test_missing_hours_and_streams_that_fell_silent_are_told(tmp_path: Path) -> None:
    async with open_plant(tmp_path, FULL) as plant:
        await hours(plant, IMPORT, [10.0] * 20)
        await hours(plant, PRESS, [1.0] * 18)  # 2 of 20 h missing: 10 %
        await booked(plant, 20)
        found = told(plant)
        assert found["gap"] == [
            "press.electricity: in 2025-01-01 … 2025-01-02 10.0 % of the time is missing and not filled; "
            "more than 5 % of a stream is a finding"
        ]


async def test_a_stream_that_falls_silent_is_missing_in_all_later_months(tmp_path: Path) -> None:
    async with open_plant(tmp_path, FULL) as plant:
        await hours(plant, IMPORT, [10.0] * 24 * 65)
        await hours(plant, PRESS, [1.0] * 24 * 20)
        await booked(plant, 24 * 65)
        (sentence,) = told(plant, 65)["gap"]
        assert "press.electricity: in 2025-01-01 … 2025-03-06 69.2 % of the time is missing" in sentence  # 45 of 65 d
        with Ledger.open(plant.folder) as ledger:
            march = findings(plant.gateway.books, ledger, START_NS + 60 * DAY_NS, START_NS + 65 * DAY_NS)
        silent = [sentence for kind, sentence in march if kind == "gap"]
        assert silent == [
            "press.electricity: nothing is booked in 2025-03-02 … 2025-03-06, although the configuration has it"
        ]


async def test_calibration_register_fallback_and_uncertainty(tmp_path: Path) -> None:
    async with open_plant(tmp_path, FULL) as plant:
        await hours(plant, IMPORT, [75.0])
        await hours(plant, SUN, [25.0])
        await booked(plant, 24)
        found = told(plant, 400)
        # Due on the first, which was still in time; booked until then.
        assert found["calibration"] == ["Q1 (serial A1): calibration due on 2025-01-01, in 0 days"]
        assert found["unregistered"] == [
            "25.0% of the metered energy rests on meters without an entry in the register: roof.solar"
        ]
        assert any("residual_mix is not available" in s for s in found["market"])
        assert any(s.endswith("33 kg CO₂e of scope 2 (market) rest on it, 100.0% of it") for s in found["fallback"])
        assert found["upstream"] == ["scope 3 category 3 is not counted: accounting.upstream is switched off"]
        assert found["unstated"][0].startswith("100.0% of the location-based emissions rest on factors without")


@pytest.mark.parametrize("kind", ["invoice", "certificate", "negative_rest", "export", "virtual", "gap"])
async def test_where_all_is_well_nothing_is_told(tmp_path: Path, kind: Kind) -> None:
    async with open_plant(tmp_path) as plant:
        await hours(plant, IMPORT, [75.0])
        await booked(plant, 1)
        assert kind not in told(plant)


async def test_a_time_in_which_the_whole_gateway_was_silent_is_told(tmp_path: Path) -> None:
    async with open_plant(tmp_path) as plant:
        await plant.append(IMPORT, [HOUR_S], [10.0], HOUR_S)
        await plant.tick(2 * HOUR_S)
        await plant.book()
        books, day_ns = plant.gateway.books, 24 * HOUR_S * 10**9
        with Ledger.open(plant.folder) as ledger:
            told = findings(books, ledger, START_NS, START_NS + day_ns, now_ns=START_NS + 3 * day_ns)
            until_now = findings(books, ledger, START_NS, START_NS + day_ns, now_ns=START_NS + HOUR_S * 10**9)
        sentence = "nothing at all is booked from 2025-01-01 01:00 to 2025-01-02 00:00, 23.0 h"
        assert sentence in [found.sentence for found in told]
        assert not [found for found in until_now if "nothing at all" in found.sentence]
