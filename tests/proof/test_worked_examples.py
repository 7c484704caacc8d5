"""One example of each scope worked by hand, from what people enter and meters count to the sums of the ledger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from carbon.compute import compute
from carbon.entries import MICRO, Activity, Line
from carbon.factor import GASES, FactorSteps
from carbon.factors.process import clinker_factor
from carbon.factors.steam import dry_steam, steam_heat
from carbon.ledger import Ledger, Reason, verify
from carbon.market.year import allocate_year, restate_market
from pipeline import quality as q
from tests.carbon.papers import documents, enter
from tests.proof.booking import DAY_NS, HOUR_NS, QUARTER_NS, at, booking, meter, months, summed

ZONE = "Europe/London"
PAPERS = """
version: 1
site: {{name: works, zone: {zone}, region: GB}}
accounting: {{gwp: {gwp}, fuels: {fuels}}}
connections: {{}}
areas: {{hall: {{assets: {{boiler: {{type: boiler}}, chiller: {{type: chiller}}}}}}}}
"""
HEAD = "kind,asset,carrier,from,to,quantity,unit,opening,bought,closing"


def papers(folder: Path, row: str, line: str, *, gwp: str = "AR5", fuels: str = "ipcc-2006") -> dict[str, float]:
    """Return what a paper of 2025 comes to in the ledger's sums: kilograms by gas, biogenic CO₂ and kWh."""
    office = documents(folder, PAPERS.format(zone=ZONE, gwp=gwp, fuels=fuels))
    enter(office, f"{HEAD}\n{row}")
    with Ledger.open(office.data) as ledger:
        edges = [at(ZONE, 2025, 1, 1), at(ZONE, 2026, 1, 1)]
        columns = (*GASES, "biogenic", "energy")
        found = [total[0] / MICRO for total in summed(ledger, line, edges, *columns)]
    return dict(zip(columns, found, strict=True))


# ── scope 1 ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("gwp", "ch4", "n2o"), [("AR4", 64.5, 115.326), ("AR5", 72.24, 102.555), ("AR6", 69.66, 105.651)]
)
def test_coal_by_its_mass_in_each_report(gwp: str, ch4: float, n2o: float, tmp_path: Path) -> None:
    """10 t of other bituminous coal: 25.8 GJ/t, 94.6 kg CO₂/GJ, 10 kg CH₄/TJ, 1.5 kg N₂O/TJ (IPCC 2006 Vol. 2, tables
    1.2 and 2.3), 258 GJ in all.

    CO₂ 258 · 94.6 = 24,406.8 kg; CH₄ 2.58 kg · 25 (AR4), 28 (AR5), 27.0 (AR6: not fossil, since all carbon counts as
    CO₂ already); N₂O 0.387 kg · 298, 265, 273. Energy 258 GJ / 0.0036 = 71,666.667 kWh.
    """
    row = "delivery,boiler,bituminous,2025-01-01,2025-01-31,10,t,,,"
    found = papers(tmp_path, row, "boiler.bituminous/1/stationary_combustion/factor", gwp=gwp)
    expected = {"co2": 24_406.8, "ch4": ch4, "n2o": n2o, "fgas": 0, "mixed": 0, "biogenic": 0, "energy": 71_666.667}
    assert found == pytest.approx(expected, abs=1e-3)


def test_petrol_by_its_volume(tmp_path: Path) -> None:
    """1,000 L of mineral petrol: 2.32567 kg CO₂, 0.00820 CH₄ and 0.00597 N₂O [kg CO₂e/L] (DESNZ 2025, AR5)."""
    row = "delivery,boiler,petrol,2025-01-01,2025-12-31,1000,L,,,"
    found = papers(tmp_path, row, "boiler.petrol/1/stationary_combustion/factor", fuels="desnz-2025")
    assert [found[gas] for gas in GASES] == pytest.approx([2_325.67, 8.2, 5.97, 0, 0], abs=1e-4)


@pytest.mark.parametrize(("gwp", "kg"), [("AR4", 11_764.8), ("AR5", 11_828.4), ("AR6", 14_184.0)])
def test_refrigerant_by_its_balance(gwp: str, kg: float, tmp_path: Path) -> None:
    """R-404A: 10 kg in stock, 5 bought, 12 left: 3 kg escaped, 3 · (0.44 · R-125 + 0.52 · R-143a + 0.04 · R-134a).

    AR4 0.44 · 3500 + 0.52 · 4470 + 0.04 · 1430 = 3921.6; AR5 0.44 · 3170 + 0.52 · 4800 + 0.04 · 1300 = 3942.8; AR6
    0.44 · 3740 + 0.52 · 5810 + 0.04 · 1530 = 4728.0 (IPCC; composition ASHRAE 34).
    """
    row = "stock,chiller,R-404A,2025-01-01,2025-12-31,,kg,10,5,12"
    found = papers(tmp_path, row, "chiller.R404A/1/fugitive/factor", gwp=gwp)
    assert [found[gas] for gas in GASES] == pytest.approx([0, 0, 0, kg, 0], abs=1e-4)


def test_wood_is_biogenic_but_for_its_methane_and_nitrous_oxide(tmp_path: Path) -> None:
    """20 t of wood: 15.6 GJ/t, 112 kg CO₂/GJ, 30 kg CH₄/TJ, 4 kg N₂O/TJ (IPCC 2006), 312 GJ.

    Biogenic CO₂ 34,944 kg outside the scopes; CH₄ 9.36 kg · 28 = 262.08 kg, N₂O 1.248 kg · 265 = 330.72 kg in scope 1.
    """
    row = "delivery,boiler,wood,2025-01-01,2025-12-31,20,t,,,"
    found = papers(tmp_path, row, "boiler.wood/1/stationary_combustion/factor")
    assert [found[gas] for gas in GASES] == pytest.approx([0, 262.08, 330.72, 0, 0], abs=1e-4)
    assert found["biogenic"] == pytest.approx(34_944, abs=1e-4)


def test_bottled_carbon_dioxide_is_a_process(tmp_path: Path) -> None:
    """A welding shop's CO₂: 100 kg in stock, 400 bought, 150 left: 350 kg, its potential is 1 by definition."""
    row = "stock,boiler,CO2,2025-01-01,2025-12-31,,kg,100,400,150"
    found = papers(tmp_path, row, "boiler.CO2/1/process/factor")
    assert [found[gas] for gas in GASES] == pytest.approx([350, 0, 0, 0, 0], abs=1e-6)


def test_clinker_by_its_oxides(tmp_path: Path) -> None:
    """1,000 t of clinker: 65 % CaO, a point of it from slag, 2 % MgO (NDRC, cement producers; IPCC: 0.52 t/t).

    (0.65 − 0.01) · 44/56 + 0.02 · 44/40 = 0.5028571 + 0.022 = 0.5248571 t/t → 524.857 t.
    """
    line = Line("kiln.clinker", "kiln", "hall", "other", "clinker", "t", "boundary", 1, "process", "factor")
    factor = FactorSteps.constant(clinker_factor(0.65, 0.02, cao_other=0.01))
    start = months(ZONE, 2025)
    activity = Activity.make(start[:10], np.diff(start[:11]), np.zeros(10), 100 * MICRO)
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            w.entries(
                compute(activity, w.line(line), factor, w.factor, -1), Reason("manual", "kiln's book", "Ann", "Bo")
            )
        co2, others = summed(ledger, line.key, [start[0], start[12]], "co2", "mixed")
    assert co2[0] / MICRO / 1000 == pytest.approx(524.857, abs=5e-4)
    assert others == [0]
    assert verify(tmp_path).ok


# ── scope 2 ───────────────────────────────────────────────────────────────────────────────────────


async def test_electricity_by_location_and_by_market(tmp_path: Path) -> None:
    """1 GWh in the UK in 2024, 40 % by a contract at 0.012 kg/kWh (GHG Protocol Scope 2 Guidance, chapter 6).

    Location: 10⁶ · 0.20705 (DESNZ 2024) = 207,050 kg. Market: 400,000 · 0.012 + 600,000 · 0.20705 = 129,030 kg, for
    nobody whose figures may be passed on publishes the residual mix: the average serves, and says so.
    """
    contract = "{supplier: Wind Ltd, kg_per_kwh: 0.012, valid_from: 2024-01-01, valid_to: 2024-12-31, share: 0.4}"
    block = f"factors: {{rule: same_year}}\naccounting: {{market: {{contracts: {{ppa: {contract}}}}}}}"
    edges = months(ZONE, 2024)
    ends = edges[0] + HOUR_NS * np.arange(1, 1001)
    location, market = (f"main.electricity/2/purchased_electricity/{method}" for method in ("location", "market"))
    async with booking(tmp_path, meter(ZONE, "GB", block), edges[0]) as account:
        await account.count("main.import.energy", ends, 1000.0, HOUR_NS)
        await account.book(int(ends[-1]) + DAY_NS)
        with Ledger.open(account.folder, write=True) as ledger:
            books = account.gateway.books
            allocated = allocate_year(books, ledger, 2024)
            restate_market(books, ledger, 2024, allocated, "Ann")
        year = [edges[0], edges[-1]]
        by_location = [total[0] / MICRO for total in account.sums(location, year, "mixed", "co2", "energy")]
        by_market = [total[0] / MICRO for total in account.sums(market, year, "mixed", "co2", "energy")]
        assert (account.line(market).quality & q.FACTOR_FALLBACK).all()
    assert by_location == pytest.approx([207_050, 0, 1e6], abs=1e-3)
    assert by_market == pytest.approx([129_030, 0, 1e6], abs=1e-2)


def test_steam_by_its_enthalpy(tmp_path: Path) -> None:
    """100 t of saturated steam of 0.8 MPa, bought: h″ = 2,768.30 kJ/kg (IAPWS-IF97).

    100 · (2,768.30 − 83.74)/1000 = 268.456 GJ; · 0.11 t CO₂/GJ (NDRC guidelines) = 29.530 t; 74,571 kWh.
    """
    gigajoules = float(steam_heat(100.0, dry_steam(0.8)))
    assert gigajoules == pytest.approx(268.456, abs=5e-4)
    row = f"delivery,boiler,steam,2025-01-01,2025-12-31,{gigajoules:.6f},GJ,,,"
    found = papers(tmp_path, row, "boiler.steam/2/purchased_steam/factor", fuels="ndrc-24")
    assert found["co2"] / 1000 == pytest.approx(29.530, abs=5e-4)
    assert found["energy"] == pytest.approx(268.456 / 0.0036, abs=0.2)


# ── scope 3, category 3 ───────────────────────────────────────────────────────────────────────────


async def test_what_the_grid_loses_on_the_way(tmp_path: Path) -> None:
    """1 GWh consumed in the UK in 2025: · 0.01853 kg CO₂e/kWh (DESNZ 2025, transmission and distribution) = 18.53 t.

    Beside 177.00 t of generation; the energy lost was never the site's, so energy is counted once.
    """
    year, losses = [at(ZONE, 2025, 1, 1), at(ZONE, 2026, 1, 1)], "main.electricity/3/td_losses/location"
    ends = year[0] + QUARTER_NS * np.arange(1, 2001)
    async with booking(tmp_path, meter(ZONE, "GB", "factors: {rule: same_year}"), year[0]) as account:
        await account.count("main.import.energy", ends, 500.0, QUARTER_NS)
        await account.book(int(ends[-1]) + DAY_NS)
        lost = [total[0] / MICRO for total in account.sums(losses, year, "mixed", "energy")]
        (made,) = account.sums("main.electricity/2/purchased_electricity/location", year, "mixed")
    assert lost == pytest.approx([18_530, 0], abs=1e-3)
    assert made[0] / MICRO == pytest.approx(177_000, abs=1e-3)


async def test_a_year_of_losses_begins_with_the_sites_year(tmp_path: Path) -> None:
    """New Zealand, 13 hours ahead: both figures of 2025 (MfE: 0.0787 and 0.00596 kg/kWh) begin at its midnight."""
    zone = "Pacific/Auckland"
    new_year = at(zone, 2025, 1, 1)
    async with booking(tmp_path, meter(zone, "NZ", "factors: {rule: same_year}"), new_year - HOUR_NS) as account:
        await account.count("main.import.energy", [new_year, new_year + HOUR_NS], 1000.0, HOUR_NS)
        await account.book(new_year + DAY_NS)
        made = account.line("main.electricity/2/purchased_electricity/location")
        lost = account.line("main.electricity/3/td_losses/location")
    assert (made.mixed / MICRO).tolist() == [99.4, 78.7]
    assert (lost.mixed / MICRO).tolist() == [5.96, 5.96]
    assert ((lost.quality & q.FACTOR_FALLBACK) != 0).tolist() == [True, False]  # of 2024 none is published here
