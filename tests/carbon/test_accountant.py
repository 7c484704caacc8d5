"""Rows of the log become entries of the ledger: each interval once, late ones on top, nothing lost by a restart."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from carbon.entries import MICRO
from carbon.factor import FactorSteps
from carbon.ledger import Ledger, Reason, verify
from carbon.papers.register import Filed
from carbon.papers.rows import parse
from carbon.restate import Correction, Span, restate_activity, restate_factors
from pipeline import quality as q
from tests.carbon.ledger_parts import factor
from tests.carbon.plant import CONFIG, GAS, HOUR_S, IMPORT, PRESS, START_NS, SUN, open_plant

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
LOCATION = "main.electricity/2/purchased_electricity/location"
MARKET = "main.electricity/2/purchased_electricity/market"
BURNT = "oven.natural_gas/1/stationary_combustion/factor"


async def test_an_hour_is_booked_when_it_is_over_and_its_grace_with_it(tmp_path: Path) -> None:
    async with open_plant(tmp_path) as plant:
        await plant.append(IMPORT, [1800, 3600, 5400], [30.0, 50.0, 7.0], 1800)
        await plant.tick(3600 + 299)
        await plant.book()
        assert not len(plant.entries())
        await plant.tick(3600 + 300)
        await plant.book()
        assert plant.kwh(LOCATION) == {0: 80.0}
        # Guangdong, the newest published by the first of January 2025: 0.4403 kg/kWh of 2022, MEE 2024-12-20.
        assert plant.kg(LOCATION) == {0: pytest.approx(80 * 0.4403, abs=1e-6)}
        assert not verify(plant.folder, None).problems


async def test_gas_is_counted_in_the_factors_state(tmp_path: Path) -> None:
    async with open_plant(tmp_path) as plant:
        await plant.append(GAS, [3600], [1000.0], 3600)
        await plant.tick(2 * HOUR_S)
        await plant.book()
        # 1,000 m³ of 0 °C: 2.16219 t, and 389.31 GJ/10⁴ Nm³ = 10,814.17 kWh (NDRC, later guidelines).
        assert plant.kg(BURNT)[0] == pytest.approx(2162.19, abs=0.01)
        assert plant.kwh(BURNT)[0] == pytest.approx(10_814.17, abs=0.01)


async def test_what_a_main_meter_counts_is_not_counted_again(tmp_path: Path) -> None:
    async with open_plant(tmp_path) as plant:
        for key, kwh in ((IMPORT, 100.0), (PRESS, 60.0), (SUN, 25.0)):
            await plant.append(key, [3600], [kwh], 3600)
        await plant.tick(2 * HOUR_S)
        await plant.book()
        with Ledger.open(plant.folder) as ledger:
            roles = {line.stream: line.role for line in ledger.lines.values()}
        assert roles == {"main.electricity": "boundary", "press.electricity": "breakdown", "roof.solar": "own"}


async def test_the_market_method_stands_beside_and_says_when_nobody_publishes_a_residual_mix(tmp_path: Path) -> None:
    async with open_plant(tmp_path) as plant:
        await plant.append(IMPORT, [3600], [100.0], 3600)
        await plant.tick(2 * HOUR_S)
        await plant.book()
        assert plant.kg(MARKET) == plant.kg(LOCATION)
        entries = plant.entries()
        with Ledger.open(plant.folder) as ledger:
            methods = {ledger.lines[n].method: int(qual) for n, qual in zip(entries.line, entries.quality, strict=True)}
        assert methods["market"] & q.FACTOR_FALLBACK
        assert not methods["location"] & q.FACTOR_FALLBACK


async def test_late_amounts_make_a_new_version_on_top(tmp_path: Path) -> None:
    async with open_plant(tmp_path) as plant:
        await plant.append(IMPORT, [3600], [80.0], 3600)
        await plant.tick(2 * HOUR_S)
        await plant.book()
        await plant.append(PRESS, [3600], [5.0], 3600)  # its collector was behind
        await plant.append(IMPORT, [3600], [3.0], 0)
        await plant.tick(3 * HOUR_S)
        await plant.book()
        assert plant.kwh(LOCATION) == {0: 83.0}
        assert plant.kwh("press.electricity/2/purchased_electricity/location") == {0: 5.0}
        with Ledger.open(plant.folder) as ledger:
            (line,) = [n for n, known in ledger.lines.items() if known.key == LOCATION]
            start = int(plant.entries().start_ns[0])
            kinds = [version.reason.kind for version in ledger.versions(line, start)]
        assert kinds == ["live", "late"]


async def test_an_outage_is_one_amount_over_the_hours_it_lasted(tmp_path: Path) -> None:
    async with open_plant(tmp_path) as plant:
        await plant.append(IMPORT, [3600], [10.0], 3600)
        await plant.append(IMPORT, [5 * HOUR_S], [40.0], 4 * HOUR_S, q.UNCERTAIN | q.PROFILE_ESTIMATED)
        await plant.tick(6 * HOUR_S)
        await plant.book()
        assert plant.kwh(LOCATION) == dict.fromkeys(range(5), 10.0)


async def test_a_restart_in_the_middle_of_an_hour_loses_nothing(tmp_path: Path) -> None:
    async with open_plant(tmp_path) as plant:
        await plant.append(IMPORT, [900], [10.0], 900)
        await plant.tick(1000)
        await plant.book()
        await plant.gateway.accountant.checkpoint()
        await plant.append(IMPORT, [1800], [11.0], 900)
        await plant.tick(1900)
        await plant.book()  # and dies without another checkpoint
    async with open_plant(tmp_path) as plant:
        await plant.append(IMPORT, [3600], [12.0], 1800)
        await plant.tick(2 * HOUR_S)
        await plant.book()
        assert plant.kwh(LOCATION) == {0: 33.0}


async def test_what_the_ledger_says_comes_back_into_the_log(tmp_path: Path) -> None:
    async with open_plant(tmp_path) as plant:
        await plant.append(IMPORT, [3600], [80.0], 3600)
        await plant.tick(2 * HOUR_S)
        await plant.book()
        await plant.gateway.publisher.step()
        log, ids = plant.gateway.log, plant.gateway.table.ids
        key = "main.electricity-2-purchased_electricity-location.account_co2e"
        rows = [b for w in log.reader.read(0) for b in w.batches if b.header.connection == "ledger"]
        values = np.concatenate([b.value[b.series == ids[key]] for b in rows])
        assert values.tolist() == [plant.kg(LOCATION)[0]]
        words = [[float(b.value[b.series == ids[f"gateway.ledger-head-{n}.health"]][0]) for n in range(8)] for b in rows
                 if (b.series == ids["gateway.ledger-head-0.health"]).any()]  # fmt: skip
        head = b"".join(int(w).to_bytes(4, "big") for w in words[-1]).hex()
        with Ledger.open(plant.folder) as ledger:
            assert head == ledger.head().hash
        before = log.position
        await plant.gateway.publisher.step()
        assert log.position == before  # what is published is not published again


async def test_a_virtual_meter_follows_its_parts_and_their_late_amounts(tmp_path: Path) -> None:
    virtual = "accounting: {virtual: {rest: {asset: main, plus: [main.electricity], minus: [press.electricity]}}}\n"
    async with open_plant(tmp_path, CONFIG.replace("connections:", virtual + "connections:", 1)) as plant:
        rest = "main.electricity.rest/2/purchased_electricity/location"
        await plant.append(IMPORT, [3600, 7200], [100.0, 50.0], 3600)
        await plant.append(PRESS, [3600, 7200], [60.0, 50.0], 3600)
        await plant.tick(3 * HOUR_S)
        await plant.book()
        assert plant.kwh(rest) == {0: 40.0, 1: 0.0}
        await plant.append(PRESS, [3600], [5.0], 0)
        await plant.tick(4 * HOUR_S)
        await plant.book()
        assert plant.kwh(rest) == {0: 35.0, 1: 0.0}
        with Ledger.open(plant.folder) as ledger:
            kinds = [block.reason.kind for block in ledger.blocks() if block.reason]
            rows = [block.rows for block in ledger.blocks() if block.reason and block.reason.kind == "virtual"]
        assert kinds == ["live", "virtual", "late", "virtual"]
        assert rows[1] == 2  # the second hour is as it was: one version for each method of the first


async def test_hours_booked_after_a_laboratory_report_count_by_it(tmp_path: Path) -> None:
    async with open_plant(tmp_path) as plant:
        said = {
            "kind": "lab", "asset": "oven", "carrier": "natural_gas", "from": "2025-01-01", "to": "2025-01-31",
            "ncv": "36.0", "unit": "MJ/m3", "celsius": "0", "document_number": "L7",
        }  # fmt: skip
        problems: list[str] = []
        document = parse(said, lambda column, message: problems.append(f"{column}: {message}"))
        assert document is not None, problems
        with Ledger.open(plant.folder, write=True) as ledger, ledger.writing() as w:
            w.document(Filed(0, document, "", "a test", "Li", "Wang").to_json())
        await plant.append(GAS, [3600], [1000.0], 3600)
        await plant.tick(2 * HOUR_S)
        await plant.book()
        # 36 MJ/m³ instead of 38.931: 10,000 kWh, and 2,162.19 kg · 36/38.931 = 1,999.41 kg.
        assert plant.kwh(BURNT)[0] == pytest.approx(10_000.0, abs=0.01)
        assert plant.kg(BURNT)[0] == pytest.approx(1999.41, abs=0.01)


REGISTER = """
accounting:
  meters:
    main-ct: {device: main.m, serial: S1, accuracy: 0.5, shows: primary, ct: {ratio: 400/5}}
"""


async def test_late_amounts_undo_no_restatement(tmp_path: Path) -> None:
    """400 kWh at 400/5 are 300 kWh at 300/5; 40 kWh more of that hour, shown by the same meter, are 30 kWh."""
    async with open_plant(tmp_path, CONFIG + REGISTER) as plant:
        await plant.append(IMPORT, [3600, 7200], [400.0, 400.0], 3600)
        await plant.tick(9000)
        await plant.book()
        ledger, span = plant.gateway.ground.ledger, Span(START_NS, START_NS + HOUR_NS, plant.gateway.books.zone)
        location = {n for n, line in ledger.lines.items() if line.key == LOCATION}
        stated = FactorSteps.constant(factor(0.4, 2024))
        restate_factors(ledger, dict.fromkeys(location, stated), span, Reason("restatement", "as audited", "me"))
        version = ledger.meters[0]
        correction = {0: Correction(replace(version, ratio=60.0), Fraction(3, 4))}
        plate = Reason("restatement", "the plate says 300/5", "me")
        restate_activity(ledger, set(ledger.lines), correction, span, plate)
        await plant.append(IMPORT, [3600], [40.0], 0)
        await plant.tick(12600)
        await plant.book()
        assert plant.kwh(LOCATION) == {0: 330.0, 1: 400.0}
        assert plant.kg(LOCATION) == {0: 132.0, 1: pytest.approx(400 * 0.4403, abs=1e-6)}
        assert plant.kg(MARKET)[0] == pytest.approx(330 * 0.4403, abs=1e-6)
        assert [ledger.versions(n, START_NS)[-1].entry.meter.tolist() for n in location] == [[1]]
        head = ledger.head()
        restate_activity(ledger, set(ledger.lines), correction, span, plate)
        assert ledger.head() == head


async def test_an_interval_stays_as_long_as_it_was_booked(tmp_path: Path) -> None:
    quarters = CONFIG + "accounting: {interval: 15min}\n"
    async with open_plant(tmp_path) as plant:
        await plant.append(IMPORT, [3600, 8100], [400.0, 7.0], 900)
        await plant.tick(8100)
        await plant.book()
        await plant.gateway.accountant.checkpoint()
    async with open_plant(tmp_path, quarters) as plant:
        await plant.append(IMPORT, [900, 9000], [1.0, 8.0], 900)  # the first one late, of an hour booked as a whole
        await plant.tick(9300)
        await plant.book()
        assert plant.kwh(LOCATION) == {0: 401.0, 2: 8.0}  # two quarters of the third hour, told by their hour
    async with open_plant(tmp_path) as plant:
        await plant.append(IMPORT, [8100, 9900], [3.0, 5.0], 900)  # of an hour two quarters of which are booked
        await plant.tick(15000)
        await plant.book()
        booked = plant.entries()
        with Ledger.open(plant.folder) as ledger:
            mine = booked.take(np.isin(booked.line, [n for n, line in ledger.lines.items() if line.key == LOCATION]))
    minutes = ((mine.start_ns - START_NS) // MINUTE_NS).tolist()
    assert list(zip(minutes, (mine.span_ns // MINUTE_NS).tolist(), (mine.amount // MICRO).tolist(), strict=True)) == [
        (0, 60, 401), (120, 15, 10), (135, 15, 8), (150, 15, 5),
    ]  # fmt: skip
    assert not verify(plant.folder, None).problems
