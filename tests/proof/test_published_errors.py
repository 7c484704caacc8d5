"""Errors found in public emission data, one test each: what the account does where others went wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from carbon.entries import MICRO
from carbon.factor import Factor
from carbon.ledger import Ledger
from config.errors import ConfigError
from config.factor_tables import shipped
from pipeline import quality as q
from tests.carbon.papers import documents, enter, year_of
from tests.proof.booking import DAY_NS, HOUR_NS, at, booking, meter, refused

SHANGHAI = "Asia/Shanghai"
LOCATION = "main.electricity/2/purchased_electricity/location"
MARKET = "main.electricity/2/purchased_electricity/market"
HEAD = "region,kind,value,unit,gas,data_year,valid_from,valid_to,publisher,publication,published_on,source,confidence\n"
Hour = tuple[int, ...]  # year, month, day and hour of the site's clock


class Booked:
    """What one MWh in each of some hours became on a line: kilograms by gas, factor, and whether it is a fallback."""

    def __init__(self, rows: Sequence[tuple[float, float, Factor, bool]]) -> None:
        self.kg = [co2 + mixed for co2, mixed, _, _ in rows]
        self.co2, self.mixed = [row[0] for row in rows], [row[1] for row in rows]
        self.said = [row[2].provenance for row in rows]
        self.fallback = [row[3] for row in rows]


async def one_mwh(folder: Path, config: str, zone: str, hours: Sequence[Hour], *lines: str) -> list[Booked]:
    """Book 1 MWh in each of the hours; return what each line makes of it."""
    starts = [at(zone, *hour) for hour in hours]
    async with booking(folder, config, min(starts)) as account:
        for start in sorted(starts):
            await account.count("main.import.energy", start + HOUR_NS, 1000.0, HOUR_NS)
        await account.book(max(starts) + DAY_NS)
        found = [account.line(line) for line in lines]
        with Ledger.open(account.folder) as ledger:
            factors = ledger.factors
    booked = []
    for rows in found:
        at_row = {int(start): i for i, start in enumerate(rows.start_ns)}
        order = [at_row[start] for start in starts]
        fallback = (rows.quality & q.FACTOR_FALLBACK) != 0
        columns = [(rows.co2[i] / MICRO, rows.mixed[i] / MICRO, factors[int(rows.factor[i])]) for i in order]
        booked.append(Booked([(*row, bool(fallback[i])) for row, i in zip(columns, order, strict=True)]))
    return booked


# ── China's grid ──────────────────────────────────────────────────────────────────────────────────


async def test_reporting_figures_under_the_label_of_an_average(tmp_path: Path) -> None:
    """0.5703 and 0.5810 kg/kWh go round as "China 2024", "Central China 2022" or "IEA 2023".

    They are what the emissions trading scheme prescribed for 2022 and 2021 (MEE); the averages of those years are
    0.5366 (公告2024年第33号) and 0.5568 (公告2024年第12号). Who writes the wrong label into a table of their own is
    followed, but the ledger then names them as the publisher.
    """
    config = meter(SHANGHAI, "CN", "factors: {rule: same_year}")
    hours = [(2021, 6, 1), (2022, 6, 1), (2024, 6, 1)]
    (found,) = await one_mwh(tmp_path, config, SHANGHAI, hours, LOCATION)
    assert found.kg == pytest.approx([556.8, 536.6, 530.6])  # of 2024 nothing is published: 2023, flagged
    assert found.fallback == [False, False, True]
    assert "'location_average'" in refused(tmp_path, meter(SHANGHAI, "CN", "factors: {kind: ets_reporting}"))

    row = "CN,location_average,0.5703,kg/kWh,co2,2024,2024-01-01,2024-12-31,a blog,IEA 2023,2024,copied,low\n"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "blog.csv").write_text(HEAD + row)
    config = meter(SHANGHAI, "CN", "factors: {rule: same_year, tables: [blog.csv]}")
    (found,) = await one_mwh(tmp_path / "mine", config, SHANGHAI, [(2024, 6, 1)], LOCATION)
    assert found.kg == pytest.approx([570.3])
    assert (found.said[0].publisher, found.said[0].publication) == ("a blog", "IEA 2023")


async def test_a_footprint_is_no_factor_of_scope_2(tmp_path: Path) -> None:
    """0.5777 (2024) and 0.6205 (2023) kg CO₂e/kWh are life-cycle figures for products (MEE, NBS, NEA, 2025-10-23).

    No way leads from them into scope 2: not as the location's kind, not as what is uncovered, not as a series.
    """
    for block in ("factors: {kind: product_footprint}", "accounting: {market: {uncovered: product_footprint}}"):
        assert "must be" in refused(tmp_path, meter(SHANGHAI, "CN", block))
    (tmp_path / "hours.csv").write_text("time,kg\n2024-06-01T00:00+08:00,0.5777\n")
    said = "file: hours.csv, region: CN, kind: product_footprint, unit: kg/kWh, gas: co2e, publisher: x, publication: y"
    config = meter(SHANGHAI, "CN", f"factors: {{rule: same_year, series: [{{{said}}}]}}")
    for found in await one_mwh(tmp_path, config, SHANGHAI, [(2023, 6, 1), (2024, 6, 1)], LOCATION, MARKET):
        assert found.kg == pytest.approx([530.6, 530.6])


async def test_what_is_left_of_the_market_rises_while_the_average_falls(tmp_path: Path) -> None:
    """0.5942 → 0.5856 → 0.6096 (2021 … 2023) leaves out traded non-fossil power; the average fell to 0.5306 (MEE, NBS).

    Taken for a newer average it would turn a falling trend around. Each stands under its own method.
    """
    block = "factors: {rule: same_year}\naccounting: {market: {uncovered: ex_market}}"
    hours = [(2021, 6, 1), (2022, 6, 1), (2023, 6, 1)]
    location, market = await one_mwh(tmp_path, meter(SHANGHAI, "CN", block), SHANGHAI, hours, LOCATION, MARKET)
    assert market.kg == pytest.approx([594.2, 585.6, 609.6])
    assert location.kg == pytest.approx([556.8, 536.6, 530.6])
    assert not any(market.fallback + location.fallback)


async def test_a_year_is_published_one_or_two_years_later(tmp_path: Path) -> None:
    """MEE and NBS published 2021 on 2024-04-12, 2022 on 2024-12-20 and 2023 on 2025-12-31.

    What was known on a day and what belongs to its year are two rules; each entry carries data year and publication.
    """
    hours = [(2022, 7, 1, 0), (2024, 12, 19, 23), (2024, 12, 20, 0), (2025, 12, 30, 23), (2025, 12, 31, 0)]
    found = {}
    for rule in ("latest_published", "same_year"):
        (tmp_path / rule).mkdir()
        config = meter(SHANGHAI, "CN", f"factors: {{rule: {rule}}}")
        (found[rule],) = await one_mwh(tmp_path / rule, config, SHANGHAI, hours, LOCATION)
    known, same = found["latest_published"], found["same_year"]
    assert known.kg == pytest.approx([556.8, 556.8, 536.6, 536.6, 530.6])
    assert [said.data_year for said in known.said] == [2021, 2021, 2022, 2022, 2023]
    assert [said.published_on for said in known.said[1:4]] == ["2024-04-12", "2024-12-20", "2024-12-20"]
    assert known.fallback == [True, False, False, False, False]  # in July 2022 nothing was published yet
    assert same.kg == pytest.approx([536.6, 530.6, 530.6, 530.6, 530.6])
    assert same.fallback == [False, True, True, True, True]  # of 2024 and 2025 nothing is published yet


# ── what a factor counts, and who says so ─────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("region", "zone", "year", "kg", "column"),
    [
        ("CN-GD", SHANGHAI, 2023, 441.9, "co2"),  # MEE and NBS: CO₂ alone
        ("SG", "Asia/Singapore", 2005, 525.5, "co2"),  # EMA
        ("GB", "Europe/London", 2025, 177.0, "mixed"),  # DESNZ: CO₂e
        ("KR", "Asia/Seoul", 2022, 431.2, "mixed"),  # GIR
        ("TW", "Asia/Taipei", 2018, 533.0, "mixed"),  # MOEA
    ],
)
async def test_co2_alone_and_all_gases_keep_their_columns(
    region: str, zone: str, year: int, kg: float, column: str, tmp_path: Path
) -> None:
    """Official figures of China, Japan, India and Singapore are CO₂, those of the UK, US, Korea, Taiwan CO₂e.

    Added up under one name they are neither; here the gas is a column of its own all the way into the sums.
    """
    config = meter(zone, region, "factors: {rule: same_year}")
    (found,) = await one_mwh(tmp_path, config, zone, [(year, 6, 1)], LOCATION)
    assert {"co2": found.co2, "mixed": found.mixed} == {"co2": [0.0], "mixed": [0.0]} | {column: pytest.approx([kg])}


async def test_pounds_of_carbon_dioxide_equivalent(tmp_path: Path) -> None:
    """A public transcription of eGRID divides CH₄ and N₂O by 1,000 a second time, another one invents its values.

    Shipped are the CO₂e rates of eGRID2023 as the EPA's own application holds them, in lb/MWh; 1 lb = 0.45359237 kg.
    AKGD: 905.109 lb/MWh → 410.551 kg.
    """
    rows = [row for row in shipped() if row.publisher == "US EPA"]
    assert len(rows) > 20
    for row in rows:
        pounds = re.search(r"([\d.]+) lb CO2e/MWh", row.source)
        assert pounds, row.source
        assert row.value == pytest.approx(float(pounds[1]) * 0.45359237 / 1000, abs=6e-7)
    (found,) = await one_mwh(
        tmp_path, meter("America/Anchorage", "US-AKGD"), "America/Anchorage", [(2023, 6, 1)], LOCATION
    )
    assert found.mixed == pytest.approx([410.551])


async def test_publishers_never_mix_in_a_trend(tmp_path: Path) -> None:
    """Estonia 2023 is 464 g/kWh at AIB and 690 at the EEA, Finland 45 and 40, Poland 668 and 614.

    Where two know a region one has to be chosen, and where that one is silent its own nearest year serves, flagged;
    never the other's figure.
    """
    one = "EE,location_average,0.690,kg/kWh,co2e,2023,2023-01-01,2023-12-31,EEA,p,2024,s,high\n"
    other = "EE,location_average,0.464,kg/kWh,co2e,2024,2024-01-01,2024-12-31,AIB,p,2025,s,high\n"
    (tmp_path / "two.csv").write_text(HEAD + one + other)
    said = refused(tmp_path, meter("Europe/Tallinn", "EE", "factors: {tables: [two.csv]}"))
    assert "comes from AIB and EEA; publishers must not mix" in said
    block = "factors: {rule: same_year, tables: [two.csv], publishers: [EEA]}"
    hours = [(2023, 6, 1), (2024, 6, 1)]
    (found,) = await one_mwh(tmp_path, meter("Europe/Tallinn", "EE", block), "Europe/Tallinn", hours, LOCATION)
    assert found.kg == pytest.approx([690.0, 690.0])
    assert found.fallback == [False, True]


# ── fuels ─────────────────────────────────────────────────────────────────────────────────────────

SET = "site: {name: works, zone: Asia/Shanghai, region: CN-GD}\n"
DELIVERED = "kind,asset,carrier,from,to,quantity,unit,celsius\ndelivery,site,"


def tonnes(folder: Path, row: str, line: str, accounting: str = "{}") -> float:
    """Return the emissions [t] of January 2025 by a delivery of a site without meters."""
    folder.mkdir(exist_ok=True)
    text = (
        f"version: 1\n{SET}connections: {{}}\naccounting: {accounting}\n"
        "areas: {hall: {assets: {office: {type: building}}}}\n"
    )
    office = documents(folder, text)
    enter(office, DELIVERED + row)
    return year_of(office, 2025, f"site.{line}/1/stationary_combustion/factor")[1] / MICRO / 1000


def test_the_default_of_a_coal_depends_on_the_guideline(tmp_path: Path) -> None:
    """Anthracite is 20.304, 24.515 or 22.867 GJ/t by batch of guidelines: a default has to name its set.

    By hand, 100 t: later guidelines (NDRC) 24.515 · 0.02749 · 0.94 · 44/12 = 2.322768 t/t; GB/T 32151 and the
    emissions trading 22.867 · 0.02749 · 1 · 44/12 = 2.304910 t/t.
    """
    row = "anthracite,2025-01-01,2025-01-31,100,t,"
    assert tonnes(tmp_path / "a", row, "anthracite") == pytest.approx(232.2768, abs=1e-4)
    by_trading = tonnes(tmp_path / "b", row, "anthracite", "{other_fuels: {anthracite: cn-ets}}")
    assert by_trading == pytest.approx(230.4917, abs=1e-3)


def test_liquefied_gas_has_no_default_to_trust(tmp_path: Path) -> None:
    """LNG is 2.33 t/t in one Chinese guideline (41.868 · 0.0153) and 3.18 in another (51.498 · 0.0172); IPCC gas 2.69.

    So the Chinese set holds none; it has to be taken from somewhere on purpose: DESNZ 2025, 2,598.26 kg CO₂/t with
    3.8528 CH₄ and 1.19161 N₂O = 2.60330 t/t.
    """
    row = "lng,2025-01-01,2025-01-31,10,t,"
    with pytest.raises(ConfigError, match="set ndrc-24 has no factor of lng; to take it from desnz-2025"):
        tonnes(tmp_path / "a", row, "lng")
    assert tonnes(tmp_path / "b", row, "lng", "{other_fuels: {lng: desnz-2025}}") == pytest.approx(26.0330, abs=5e-5)


def test_a_slip_in_the_carbon_of_bituminous_coal(tmp_path: Path) -> None:
    """One public file has 0.02308 tC/GJ; the guidelines have 0.02618, 13 % more.

    By hand, 100 t: 23.204 · 0.02618 · 0.93 · 44/12 = 2.071509 t/t (with the slip 1.826220).
    """
    row = "bituminous,2025-01-01,2025-01-31,100,t,"
    assert tonnes(tmp_path, row, "bituminous") == pytest.approx(207.1509, abs=1e-4)


def test_factors_in_another_unit_are_refused(tmp_path: Path) -> None:
    """A public transcription of GB/T 32150-2025 has coke at "94.0", in no unit of carbon; grids are often in g/kWh.

    As t C/GJ that would be 345 t CO₂/GJ, where blast-furnace gas emits most of all fuels, 0.26; and no grid emits 581
    kg/kWh.
    """
    head = "set,fuel,unit,basis,gj_per_unit,carbon_t_per_gj,data_year,publisher,publication,published_on,source,"
    coke = "mine,coke,t,net,28.435,94.0,2025,a blog,GB/T 32150-2025,2025,copied,low\n"
    gas = "mine,natural_gas,m3,net,389.31,0.0153,2025,a blog,per 10⁴ m³,2025,copied,low\n"
    (tmp_path / "own.csv").write_text(f"{head}confidence\n{coke}{gas}")
    grid = "CN,location_average,581,kg/kWh,co2,2022,2022-01-01,2022-12-31,a blog,p,2024,copied,low\n"
    (tmp_path / "grid.csv").write_text(HEAD + grid)
    config = meter(SHANGHAI, "CN", "factors: {tables: [%s]}")
    said = refused(tmp_path, config % "own.csv")
    assert "own.csv:2: row: 344667 kg CO₂/GJ is more than any fuel emits; is it in another unit?" in said
    (tmp_path / "own.csv").write_text(f"{head}confidence\n{gas}")
    said = refused(tmp_path, config % "own.csv")
    assert "389.31 GJ/m3 is more than any fuel holds; is it in another unit?" in said
    assert "value: must be less than or equal to 3, not '581'" in refused(tmp_path, config % "grid.csv")


GAS_METER = "{quantity: volume_index, unit: m3%s, modbus: {address: 0, type: uint32}}"
BURNT = "main.natural_gas/1/stationary_combustion/factor"


async def test_a_million_cubic_metres_at_20_degrees(tmp_path: Path) -> None:
    """10⁶ m³ × 2.16219 t/10³ Nm³ is 2,014.7 t where the meter counts at 20 °C, not 2,162.2 t.

    389.31 GJ/10⁴ Nm³ · 0.0153 · 0.99 · 44/12 = 2.16219 (NDRC; at 0 °C), × 273.15/293.15. A meter that does not state
    its temperature is refused, and so is a paper.
    """
    point = GAS_METER % ", reference: {celsius: 20}"
    config = meter(SHANGHAI, "CN-GD", carrier="natural_gas", point=point)
    start = at(SHANGHAI, 2025, 1, 1)
    async with booking(tmp_path, config, start) as account:
        await account.count("main.import.volume", start + HOUR_NS, 1e6, HOUR_NS)
        await account.book(start + DAY_NS)
        assert account.line(BURNT).co2e.sum() / MICRO / 1000 == pytest.approx(2_014.7, abs=0.05)
    by_paper = tonnes(tmp_path / "a", "natural_gas,2025-01-01,2025-01-31,1000000,m3,20", "natural_gas")
    assert by_paper == pytest.approx(2_014.7, abs=0.05)
    stateless = meter(SHANGHAI, "CN-GD", carrier="natural_gas", point=GAS_METER % "")
    assert "reference" in refused(tmp_path, stateless)
    with pytest.raises(ConfigError, match="needs the state it was counted in"):
        tonnes(tmp_path / "b", "natural_gas,2025-01-01,2025-01-31,1000000,m3,", "natural_gas")


async def test_net_and_gross_energy_of_gas(tmp_path: Path) -> None:
    """UK, US and Australian factors of gas are per gross kWh, IPCC's and China's per net; their ratio is 0.903.

    DESNZ 2025, natural gas, 1 MWh: gross 182.59 + 0.28 + 0.09 = 182.96 kg, net 202.29 + 0.31 + 0.10 = 202.70 kg. Energy
    is told by the net value: 1,000 kWh gross are 902.66 kWh.
    """
    point = "{quantity: energy_index, unit: kWh%s, modbus: {address: 0, type: uint32}}"
    start, found = at("Europe/London", 2025, 1, 1), {}
    for basis in ("gross", "net"):
        (tmp_path / basis).mkdir()
        stated = point % f", calorific: {basis}"
        config = meter("Europe/London", "GB", "accounting: {fuels: desnz-2025}", "natural_gas", stated)
        async with booking(tmp_path / basis, config, start) as account:
            await account.count("main.import.energy", start + HOUR_NS, 1000.0, HOUR_NS)
            await account.book(start + DAY_NS)
            rows = account.line(BURNT)
            found[basis] = rows.co2e.sum() / MICRO, rows.energy.sum() / MICRO
    assert found["gross"] == pytest.approx((182.96, 902.66), abs=1e-3)
    assert found["net"] == pytest.approx((202.70, 1000.0), abs=1e-3)
    silent = meter("Europe/London", "GB", "accounting: {fuels: desnz-2025}", "natural_gas", point % "")
    assert "calorific" in refused(tmp_path, silent)
