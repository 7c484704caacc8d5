"""`tanflow factors`: every figure with its year and source, in 80 columns and in a pipe; users' tables taken in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tanflow.commands import factors
from tests.tanflow.command import Said, said

HEADER = (
    "region,kind,value,unit,gas,data_year,valid_from,valid_to,publisher,publication,published_on,source,confidence\n"
)
ROW = "GB,location_average,0.2,kg/kWh,co2e,2025,2025-01-01,2025-12-31,utility,bill,2026,letter,high\n"
CONFIG = """version: 1
site: {name: works, region: GB}
connections: {floor: {protocol: modbus}}
areas: {hall: {assets: {a: {type: meter, devices: {
  m: {connection: floor, address: 10.0.0.1/1, template: eastron_sdm630}}}}}}
"""


Tanflow = Callable[..., Said]


@pytest.fixture
def tanflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tanflow:
    """Call the command within this process, as in a pipe 80 columns wide."""
    monkeypatch.setattr(factors.out, "width", 80)

    def call(*arguments: object) -> Said:
        return said(monkeypatch, capsys, "factors", *arguments)

    return call


def test_a_region_is_shown_with_every_year_and_its_source(tanflow: Tanflow) -> None:
    said = tanflow("show", "CN-GD")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0] == "CN-GD Guangdong 广东 — location_average"
    assert [line.split() for line in lines[2:5]] == [
        ["2021", "0.4715", "co2", "2021-01-01", "2021-12-31", "2024-04-12", "[1]"],
        ["2022", "0.4403", "co2", "2022-01-01", "2022-12-31", "2024-12-20", "[2]"],
        ["2023", "0.4419", "co2", "2023-01-01", "2023-12-31", "2025-12-31", "[3]"],
    ]
    assert lines[5].startswith("  [1] 生态环境部、国家统计局 (MEE+NBS): 公告2024年第12号")
    assert "mee.gov.cn" in lines[5]


def test_a_country_shows_each_kind_apart_and_a_name_finds_its_region(tanflow: Tanflow) -> None:
    said = tanflow("show", "cn").out
    for kind in ("location_average", "ex_market", "fossil", "life_cycle", "product_footprint", "ets_reporting"):
        assert f"— {kind}" in said
    assert tanflow("show", "guangdong").out.startswith("CN-GD ")


def test_a_fuel_is_shown_by_set_unit_and_gas(tanflow: Tanflow) -> None:
    lines = tanflow("show", "diesel", "--gwp", "AR6").out.splitlines()
    assert lines[0].startswith("diesel 柴油 — kg CO2e per unit, AR6")
    assert ["ndrc-24", "t", "3145.1", "12036"] in [line.split()[:4] for line in lines]
    assert all(len(line) <= 80 for line in lines[:9])


def test_a_gas_is_shown_by_report(tanflow: Tanflow) -> None:
    assert ["AR5", "1924", "[2]"] in [line.split() for line in tanflow("show", "R-410A").out.splitlines()]


def test_what_nobody_knows_is_a_sentence(tanflow: Tanflow) -> None:
    said = tanflow("show", "dieesl")
    assert (said.code, said.out) == (1, "")
    assert "nothing is known of 'dieesl'; did you mean 'diesel'?" in said.err


def test_the_list_names_kinds_publishers_and_sets(tanflow: Tanflow) -> None:
    said = tanflow("list").out
    for word in ("Ember", "US EPA", "residual_mix", "ndrc-24", "desnz-2025", "AR6"):
        assert word in said


def test_check_tells_every_mistake_of_every_file(tanflow: Tanflow, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(HEADER + ROW)
    bad.write_text(HEADER + ROW.replace("0.2", "lots") + ROW.replace("co2e", "co3"))
    assert tanflow("check", good).out == f"{good}: 1 grid factors of GB\n"
    said = tanflow("check", good, bad, tmp_path / "none.csv")
    assert said.code == 2
    assert [line.partition(": ")[0] for line in said.err.splitlines()] == [
        f"{bad}:2", f"{bad}:3", f"{tmp_path / 'none.csv'}:1",
    ]  # fmt: skip


def test_import_copies_the_table_and_says_what_to_write(tanflow: Tanflow, tmp_path: Path) -> None:
    table, config = tmp_path / "mine.csv", tmp_path / "plant" / "gateway.yaml"
    table.write_text(HEADER + ROW)
    config.parent.mkdir()
    config.write_text(CONFIG)
    for _ in range(2):  # doing it again changes nothing
        said = tanflow("import", table, "-c", config)
        assert said.code == 0, said.err
        assert "factors: {tables: [factors/mine.csv]}" in said.out
    assert (config.parent / "factors" / "mine.csv").read_text() == HEADER + ROW
    assert config.read_text() == CONFIG
    config.write_text(CONFIG + "factors: {tables: [factors/mine.csv]}\n")
    assert "utility" in tanflow("show", "GB", "-c", config).out


def test_a_series_is_shown_with_its_span_and_mean(tanflow: Tanflow, tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("t,g\n2025-01-01 00:00,100\n2025-01-01 01:00,300\n")
    about = "{file: h.csv, region: GB, unit: g/kWh, gas: co2, publisher: NESO, publication: hourly}"
    (tmp_path / "gateway.yaml").write_text(CONFIG + f"factors: {{series: [{about}]}}\n")
    said = tanflow("show", "GB", "-c", tmp_path / "gateway.yaml")
    assert "2025-01-01T00:00Z to 2025-01-01T01:00Z, 2 steps, mean 0.2 kg/kWh, co2" in said.out
    assert "NESO: hourly." in said.out


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [(ROW, 2, "columns missing"), (HEADER, 2, "has no rows"), (HEADER + ROW.replace("0.2", "0.3"), 1, "give the new")],
)
def test_import_takes_in_nothing_doubtful(tanflow: Tanflow, tmp_path: Path, text: str, code: int, told: str) -> None:
    config, table = tmp_path / "gateway.yaml", tmp_path / "mine.csv"
    config.write_text(CONFIG)
    (tmp_path / "factors").mkdir()
    (tmp_path / "factors" / "mine.csv").write_text(HEADER + ROW)
    table.write_text(text)
    said = tanflow("import", table, "-c", config)
    assert (said.code, told in said.err) == (code, True)
    assert (tmp_path / "factors" / "mine.csv").read_text() == HEADER + ROW
