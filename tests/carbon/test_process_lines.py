"""Processes and bought heat by mass on the account's lines, from meters and from papers; states that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from carbon.factors.steam import mistake_of
from carbon.ledger import Ledger, verify
from config.errors import ConfigError
from config.load import load
from config.points import SteamState, WaterState
from tanflow.checking import check_more
from tests.carbon.papers import documents, enter, year_of
from tests.carbon.plant import CONFIG, HOUR_S, open_plant

MASS = "modbus: {address: 0, type: uint32}}}"
PLANT = (
    CONFIG.replace(
        "connections:",
        """accounting:
  process:
    clinker: {asset: kiln, from: kiln.product, kind: clinker, cao: 0.65, mgo: 0.02}
    limestone: {asset: kiln, kind: limestone, purity: 0.95}
    wafers: {asset: kiln, kind: etching, gas: CF4, used: 0.5}
connections:""",
        1,
    )
    + f"""
      kiln:
        type: other
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/5
            points: {{made: {{quantity: mass_index, unit: t, {MASS}
      dryer:
        type: other
        carrier: steam
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/6
            points: {{tonnes: {{quantity: mass_index, unit: t, steam: {{mpa: 0.8}}, {MASS}
"""
)
CLINKER, LIMESTONE, WAFERS = (f"kiln.{name}/1/process/factor" for name in ("clinker", "limestone", "wafers"))
STEAM = "dryer.steam/2/purchased_steam/factor"


async def test_tonnes_made_drive_the_process_and_stay_production(tmp_path: Path) -> None:
    async with open_plant(tmp_path, PLANT) as plant:
        await plant.append("kiln.made.mass", [HOUR_S], [10.0], HOUR_S)
        await plant.tick(2 * HOUR_S)
        await plant.book()
        # Clinker: 0.65 · 44/56 + 0.02 · 44/40 = 0.510714 + 0.022 = 0.532714 t/t; 10 t are 5,327.143 kg.
        assert plant.kg(CLINKER) == {0: pytest.approx(5327.143, abs=1e-3)}
        with Ledger.open(plant.folder) as ledger:
            roles = {line.key: line.role for line in ledger.lines.values()}
            amounts = {ledger.lines[n].key: a for e in ledger.read() for n, a in zip(e.line, e.amount, strict=True)}
        assert roles == {"kiln.product/0/memo/none": "memo", CLINKER: "boundary"}
        assert set(amounts.values()) == {10_000_000}
        assert not verify(plant.folder, None).problems


async def test_tonnes_of_steam_bring_the_heat_of_their_state(tmp_path: Path) -> None:
    async with open_plant(tmp_path, PLANT) as plant:
        await plant.append("dryer.tonnes.mass", [HOUR_S], [4.0], HOUR_S)
        await plant.tick(2 * HOUR_S)
        await plant.book()
        # Saturated at 0.8 MPa: h″ = 2768.3 kJ/kg (IAPWS-IF97), so 2.68456 GJ/t and, at 110 kg/GJ, 295.30 kg/t.
        assert plant.kg(STEAM) == {0: pytest.approx(4 * 295.30, abs=0.05)}
        assert plant.kwh(STEAM) == {0: pytest.approx(4 * 2.68456 / 0.0036, abs=0.2)}


def test_a_process_takes_its_tonnes_from_papers_too(tmp_path: Path) -> None:
    to = documents(tmp_path, PLANT)
    enter(
        to,
        """
kind,asset,from,to,carrier,quantity,unit
delivery,kiln,2025-01-01,2025-01-31,limestone,20,t
delivery,kiln,2025-01-01,2025-01-31,wafers,2.5,kg
""",
    )
    # CaCO₃ gives 44.009/100.086 = 0.439712 t/t; 20 t at 95 % purity: 8,354.5 kg.
    amount, mass = year_of(to, 2025, LIMESTONE)
    assert amount == 20_000_000
    assert mass / 1e6 == pytest.approx(8354.5, abs=0.1)
    # CF₄: (1 − 0.1)·(1 − 0.5)·6630 (AR5) = 2,983.5 kg CO₂e/kg; 2.5 kg: 7,458.75 kg.
    assert year_of(to, 2025, WAFERS)[1] / 1e6 == pytest.approx(7458.75, abs=1e-3)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("delivery,press,2025-01-01,2025-01-31,limestone,20,t", "process 'limestone' is booked on asset 'kiln'"),
        ("delivery,kiln,2025-01-01,2025-01-31,clinker,20,t", "is metered by"),
        ("delivery,kiln,2025-01-01,2025-01-31,limestone,20,kWh", "cannot be"),
        ("delivery,kiln,2025-01-01,2025-01-31,chalk,20,t", "'chalk' is not a fuel"),
    ],
)
def test_papers_that_fit_no_process_are_refused(tmp_path: Path, row: str, told: str) -> None:
    to = documents(tmp_path, PLANT)
    with pytest.raises(ConfigError, match=told):
        enter(to, f"kind,asset,from,to,carrier,quantity,unit\n{row}\n")


def test_a_state_of_steam_that_is_water_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(PLANT.replace("steam: {mpa: 0.8}", "steam: {mpa: 0.8, celsius: 120}"), "utf-8")
    loaded = load(path)
    line = path.read_text("utf-8").splitlines().index(next(x for x in path.open() if "celsius: 120" in x).rstrip()) + 1
    with pytest.raises(ConfigError, match="that is water") as caught:
        check_more(loaded)
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (line, "areas.hall.assets.dryer.devices.m.points.tonnes.steam")


def test_states_that_bring_heat() -> None:
    assert not mistake_of(SteamState(mpa=0.8, celsius=200))
    assert not mistake_of(SteamState(mpa=0.8, dryness=0.95))
    assert not mistake_of(WaterState(celsius=90, back_celsius=60))


OFFICE = """
      office:
        type: building
        carrier: cooling
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/9
            points: {cold: {quantity: energy_index, unit: kWh, modbus: {address: 0, type: float32}}}
"""
ROW = """set,fuel,unit,basis,gj_per_unit,co2,data_year,publisher,publication,published_on,source,confidence,licence
own,cooling,kWh,none,0.0036,0.15,2025,District Cooling Ltd,Statement 2025,2025-02-01,letter 7,high,private
"""


async def test_bought_cooling_counts_by_a_row_of_ones_own_and_is_told_without(tmp_path: Path) -> None:
    (tmp_path / "cool.csv").write_text(ROW, "utf-8")
    own = "factors: {tables: [cool.csv]}\naccounting: {other_fuels: {cooling: own}}\nconnections:"
    async with open_plant(tmp_path, CONFIG.replace("connections:", own, 1) + OFFICE) as plant:
        await plant.append("office.cold.energy", [HOUR_S], [10.0], HOUR_S)
        await plant.tick(2 * HOUR_S)
        await plant.book()
        assert plant.kg("office.cooling/2/purchased_cooling/factor") == {0: 1.5}  # 10 kWh at 0.15 kg/kWh
    (tmp_path / "gateway.yaml").write_text(CONFIG + OFFICE, "utf-8")
    told = [problem for problem in load(tmp_path / "gateway.yaml").warnings if "cooling" in problem.message]
    assert [problem.path for problem in told] == ["areas.hall.assets.office.carrier"]
