"""What a live provider says becomes the factors of the account, for good.

Known answer: Spain's hourly direct intensity of 2022 (Electricity Maps, tests/data/grid_es) over quarter hours of a
recorded steel plant (tests/data/steel), multiplied by hand here.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

import orjson
import pytest

from carbon.entries import MICRO, Entries
from carbon.factor import Factor, FactorSteps
from carbon.ledger import Ledger, Reason, verify
from carbon.live.feed import intensity_key
from carbon.live.timeline import LiveFactors
from carbon.restate import Span, restate_factors
from config.errors import Unavailable
from config.providers import HttpJson
from pipeline import quality as q
from pipeline.batch import Header, make
from pipeline.factors import Provenance
from tests.carbon.intensity_server import Answer, serving
from tests.carbon.live_plant import (
    ANY_JSON,
    GRACE_NS,
    HOUR_NS,
    LOCATION,
    MARKET,
    QUARTER_NS,
    START,
    Lapsed,
    LivePlant,
    Publisher,
    ns,
    open_live,
)  # fmt: skip
from tests.proof.running import running
from tests.waiting import until

DATA = Path(__file__).parents[1] / "data"
ANNUAL = 0.158  # European Environment Agency, 2023
HALF_A_MILLIGRAM = Decimal("0.0000005")  # each entry is rounded once
SAID = Provenance("auditor", "opinion", 2022, "", "co2e", "")


def spain() -> dict[int, tuple[Decimal, bool]]:
    with gzip.open(DATA / "grid_es" / "es_2022_hourly.csv.gz", "rt") as file:
        rows = list(csv.reader(file))[1:]
    return {ns(at): (Decimal(value), estimated == "true") for at, value, estimated in rows}


def steel(hours: int) -> list[list[Decimal]]:
    """Return the first hours of the plant's year, four quarters each [kWh]."""
    with gzip.open(DATA / "steel" / "steel_2018_15min.csv.gz", "rt") as file:
        used = [Decimal(row["Usage_kWh"]) for _, row in zip(range(4 * hours), csv.DictReader(file), strict=False)]
    return [used[4 * h : 4 * h + 4] for h in range(hours)]


async def live(plant: LivePlant, hour: int, quarters: Sequence[Decimal | float]) -> None:
    """Let an hour pass: the meter counts, the provider is asked, what is over is booked."""
    start = START + hour * HOUR_NS
    await plant.use([start + (i + 1) * QUARTER_NS for i in range(4)], [float(kwh) for kwh in quarters])
    await plant.reach(start + HOUR_NS + GRACE_NS)


def reasons(plant: LivePlant, hour: int) -> list[tuple[str, float, str]]:
    """Return (kind of reason, factor [kg/kWh], its variant) of every version of an hour."""
    ledger = plant.gateway.ground.ledger
    (line,) = [n for n, known in ledger.lines.items() if known.key == LOCATION]
    versions = ledger.versions(line, START + hour * HOUR_NS)
    factors = [ledger.factors[int(v.entry.factor[0])] for v in versions]
    said = zip(versions, factors, strict=True)
    return [(v.reason.kind, round(f.total, 9), f.provenance.variant) for v, f in said]


async def days_of_steel(folder: Path, hours: int, restart_every: int) -> Entries:
    """Return all entries of some days; each hour's figure is out two hours after it has ended."""
    clock, used = Lapsed(START), steel(hours)
    publisher = Publisher(clock, {t: (float(v), e) for t, (v, e) in spain().items()}, lag_ns=2 * HOUR_NS)
    with serving(publisher) as server:
        for first in range(0, hours, restart_every):
            async with open_live(folder, clock, ANY_JSON.format(url=server.url)) as plant:
                for hour in range(first, min(first + restart_every, hours)):
                    await live(plant, hour, used[hour])
        async with open_live(folder, clock, ANY_JSON.format(url=server.url)) as plant:
            await plant.reach(START + (hours + 3) * HOUR_NS)
            assert (plant.entries(MARKET).mixed == plant.entries().mixed).all()  # no residual mix is shipped for Spain
            assert (plant.entries(MARKET).quality & q.FACTOR_FALLBACK).all()
            # At first the annual figure stood in, and said so.
            assert reasons(plant, 0) == [("live", ANNUAL, "fallback"), ("late", 0.14733, "exact")]
            return plant.entries()


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    folders = tmp_path / "one", tmp_path / "again"
    for folder in folders:
        folder.mkdir()
    return folders


async def test_steel_on_spains_grid_by_the_hour_over_any_restarts(two: tuple[Path, Path]) -> None:
    hours, grid = 30, spain()
    entries = await days_of_steel(two[0], hours, restart_every=hours)
    used, values = steel(hours), [grid[START + h * HOUR_NS][0] for h in range(hours)]
    by_hand = [sum(kwh) * g / 1000 for kwh, g in zip(used, values, strict=True)]
    assert entries.start_ns.tolist() == [START + h * HOUR_NS for h in range(hours)]
    for mg, kg in zip(entries.mixed.tolist(), by_hand, strict=True):
        assert abs(Decimal(mg) / MICRO - kg) <= HALF_A_MILLIGRAM
    assert abs(Decimal(int(entries.mixed.sum())) / MICRO - sum(by_hand)) <= hours * HALF_A_MILLIGRAM
    assert not (entries.quality & q.FACTOR_FALLBACK).any()
    assert not verify(two[0] / "data", None).problems

    again = await days_of_steel(two[1], hours, restart_every=4)
    for name in ("start_ns", "amount", "mixed", "quality", "factor"):
        assert getattr(again, name).tolist() == getattr(entries, name).tolist(), name


async def test_half_hours_make_an_hour_and_a_forecast_is_a_fallback_until_it_was(tmp_path: Path) -> None:
    clock, actual = Lapsed(START), False

    def neso(path: str) -> Answer:
        steps = [
            {"from": f"2022-03-26T00:{m:02d}Z", "to": f"2022-03-26T0{(m + 30) // 60}:{(m + 30) % 60:02d}Z",
             "intensity": {"forecast": f, "actual": a if actual else None}}
            for m, f, a in ((0, 200, 180), (30, 210, 191))
        ]  # fmt: skip
        return Answer(orjson.dumps({"data": steps}))

    with serving(neso) as server:
        factors = f"factors: {{live: {{provider: uk_carbon_intensity, url: '{server.url}'}}}}"
        async with open_live(tmp_path, clock, factors) as plant:
            await live(plant, 0, [1.0, 2.0, 3.0, 4.0])
            assert plant.factors() == [("neso/GB/live/2022", 0.205, "fallback")]
            assert plant.entries().quality.tolist() == [q.UNCERTAIN | q.FACTOR_FALLBACK]
            actual = True
            await plant.reach(START + 3 * HOUR_NS)
            assert reasons(plant, 0) == [("live", 0.205, "fallback"), ("late", 0.1855, "exact")]
            # 10 kWh · (180 + 191)/2 g/kWh = 1.855 kg of CO₂ alone, as its publisher counts.
            assert plant.entries().co2.tolist() == [1_855_000]
            assert plant.entries().quality.tolist() == [0]
            head = plant.gateway.ground.ledger.head()
            await plant.reach(START + 3 * HOUR_NS + GRACE_NS)
            assert plant.gateway.ground.ledger.head() == head  # nothing new is said, nothing is booked


async def test_a_ledger_that_was_busy_books_the_revision_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Lapsed(START)
    publisher = Publisher(clock, {START: (100.0, False)})
    with serving(publisher) as server:
        async with open_live(tmp_path, clock, ANY_JSON.format(url=server.url)) as plant:
            await live(plant, 0, [1.0] * 4)
            publisher.hours[START] = (90.0, False)
            with monkeypatch.context() as busy:
                busy.setattr(Ledger, "writing", writing_in_vain)
                with pytest.raises(Unavailable):
                    await plant.reach(START + HOUR_NS + 2 * GRACE_NS)
            await plant.gateway.accountant.checkpoint()
            assert reasons(plant, 0) == [("live", 0.1, "exact"), ("late", 0.09, "exact")]


def writing_in_vain(_: Ledger) -> NoReturn:
    raise Unavailable("another process has been writing for half a minute")


async def test_half_of_an_hour_is_not_taken_for_all_of_it(tmp_path: Path) -> None:
    step = {"from": "2022-03-26T00:00Z", "to": "2022-03-26T00:30Z", "intensity": {"forecast": 200, "actual": 180}}
    with serving(Answer(orjson.dumps({"data": [step]}))) as server:
        factors = f"factors: {{live: {{provider: uk_carbon_intensity, url: '{server.url}'}}}}"
        async with open_live(tmp_path, Lapsed(START), factors) as plant:
            await live(plant, 0, [1.0, 2.0, 3.0, 4.0])
            assert reasons(plant, 0) == [("live", ANNUAL, "fallback")]


async def test_late_amounts_count_by_what_their_hour_is_booked_with_however_old(tmp_path: Path) -> None:
    days = 40
    clock = Lapsed(START)
    hours: dict[int, tuple[float | None, bool]] = {START + 24 * d * HOUR_NS: (99.0, False) for d in range(days)}
    publisher = Publisher(clock, hours | {START: (250.0, False)})
    with serving(publisher) as server:
        async with open_live(tmp_path, clock, ANY_JSON.format(url=server.url)) as plant:
            for day in range(days):
                await live(plant, 24 * day, [1.0] * 4)
            await plant.use([START + HOUR_NS], [6.0], HOUR_NS)
            await plant.use([START + 2 * HOUR_NS], [6.0], HOUR_NS)  # nobody has said anything of this hour
            await plant.reach(START + 24 * days * HOUR_NS)
            assert reasons(plant, 0) == [("live", 0.25, "exact"), ("late", 0.25, "exact")]
            assert plant.entries().mixed.tolist()[:2] == [10 * 250_000, int(6 * ANNUAL * MICRO)]
            assert reasons(plant, 1) == [("late", ANNUAL, "fallback")]


async def test_what_a_person_has_restated_and_what_was_booked_before_are_left_alone(tmp_path: Path) -> None:
    clock = Lapsed(START)
    publisher = Publisher(clock)
    async with open_live(tmp_path, clock, "") as plant:
        await live(plant, 0, [1.0] * 4)  # nobody is asked yet
    with serving(publisher) as server:
        async with open_live(tmp_path, clock, ANY_JSON.format(url=server.url)) as plant:
            for hour in (1, 2):
                await live(plant, hour, [1.0] * 4)
            ledger = plant.gateway.ground.ledger
            numbers = {n for n, known in ledger.lines.items() if known.key == LOCATION}
            stated = FactorSteps.constant(Factor("auditor/ES/2022", "kWh", (0.0, 0.0, 0.0, 0.0, 0.2), 1.0, SAID))
            span = Span(START + HOUR_NS, START + 2 * HOUR_NS, plant.gateway.books.zone)
            restate_factors(ledger, dict.fromkeys(numbers, stated), span, Reason("restatement", "as audited", "me"))
            publisher.hours |= {START + h * HOUR_NS: (99.0, False) for h in range(3)}
            await plant.reach(START + 4 * HOUR_NS)
            assert [reasons(plant, hour)[-1] for hour in range(3)] == [
                ("live", ANNUAL, "fallback"), ("restatement", 0.2, "exact"), ("late", 0.099, "exact"),
            ]  # fmt: skip


def heard(known: LiveFactors, hours: range, values: Sequence[float]) -> None:
    header = Header("gateway", 1, "b", START, 0)
    ends = [START + (h + 1) * HOUR_NS for h in hours]
    known.hear(make(header, ends, [7] * len(ends), list(values), 0, HOUR_NS), 7)


def test_a_week_known_of_a_month_stands_for_its_missing_hours_to_the_last_revision() -> None:
    madrid = ZoneInfo("Europe/Madrid")
    base = FactorSteps.constant(Factor("eea/ES", "kWh", (0.0, 0.0, 0.0, 0.0, ANNUAL), 1.0, SAID))
    config = HttpJson.model_validate({
        "provider": "http_json", "url": "https://127.0.0.1/{start}", "publisher": "p", "publication": "n", "zone": "ES",
        "gas": "co2e", "unit": "g/kWh", "time": "t", "value": "v",
    })  # fmt: skip
    known = LiveFactors.of(config, base, HOUR_NS, 0, madrid)
    april = (ns("2022-03-31T22:00") - START) // HOUR_NS  # midnight in Madrid
    missing = START + (april + 300) * HOUR_NS
    heard(known, range(april - 24, april), [9.9] * 24)  # the last day of March is no part of April
    heard(known, range(april, april + 167), [0.2] * 167)
    (factor,) = known.factors([missing]).factors
    assert (factor.total, factor.provenance.variant) == (ANNUAL, "fallback")
    heard(known, range(april + 167, april + 168), [0.368])
    (factor,) = known.factors([missing]).factors
    assert factor.id == "p/ES/live-mean/2022-04"
    assert factor.total == (167 * 0.2 + 0.368) / 168 == 0.201
    assert factor.provenance.variant == "fallback"
    heard(known, range(april + 167, april + 168), [0.2])  # revised
    assert known.factors([missing]).factors[0].total == 0.2


async def test_a_running_gateway_asks_and_shows_what_it_is_told(tmp_path: Path) -> None:
    clock = Lapsed(START)
    with serving(Publisher(clock, {START - HOUR_NS: (123.0, False)})) as server:
        async with open_live(tmp_path, clock, ANY_JSON.format(url=server.url)) as plant:
            gateway = plant.gateway
            number = gateway.table.ids[intensity_key(gateway.config)]
            async with running(gateway):
                await until(lambda: gateway.latest.value[number] == 0.123)
                assert gateway.board.component("factors").state == "running"
            assert "gateway.factors-received.health" in gateway.table.ids
