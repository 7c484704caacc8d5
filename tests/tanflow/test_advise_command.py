"""`tanflow advise` as a person uses it: by hand on two machines, with the log's last readings, and what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.load import load
from pipeline.batch import make
from pipeline.log.writer import Entry
from tanflow.commands import advise
from tests.pipeline.journal import open_log
from tests.pipeline.tables import HEADER, SECOND, START
from tests.tanflow.command import said

FIXED = "drive: fixed_speed_oil_injected_rotary, rated_flow_m3_min: 9.7, package_kw: 62, unloaded_kw: 15"
VARIABLE = (
    "drive: variable_speed_oil_injected_rotary, rated_flow_m3_min: 13.2, package_kw: 84, unloaded_kw: 12, "
    "least_flow_m3_min: 3, least_flow_kw: 25"
)
POINTS = """{power: {quantity: power, unit: kW, opcua: {node: "ns=2;s=%s.p"}}, flow: {quantity: volume_flow, unit: m3/h,
          opcua: {node: "ns=2;s=%s.f"}}}"""
CONFIG = """version: 1
site: {name: works, region: CN-GD, zone: Asia/Shanghai}
connections: {plc: {protocol: opcua, url: "opc.tcp://127.0.0.1:4840"}}
areas:
  hall:
    assets:
      small: {type: compressor, facts: {SMALL}, devices: {d: {connection: plc, points: SMALL-POINTS}}}
      large: {type: compressor, facts: {LARGE}, devices: {d: {connection: plc, points: LARGE-POINTS}}}
      station: {type: compressor_station, energy: none, members: [small, large]}
"""
Advise = Callable[..., tuple[int, str]]


def write(folder: Path, small: str = FIXED, large: str = VARIABLE) -> Path:
    text = CONFIG
    for name, facts in (("small", small), ("large", large)):
        text = text.replace(f"{name.upper()}-POINTS", POINTS % (name, name)).replace(
            f"{{{name.upper()}}}", f"{{{facts}}}"
        )
    (folder / "gateway.yaml").write_text(text)
    return folder / "gateway.yaml"


@pytest.fixture
def tanflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Advise:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(advise.out, "width", 80)
    write(tmp_path)
    (tmp_path / "data").mkdir()

    def call(*arguments: str) -> tuple[int, str]:
        return said(monkeypatch, capsys, "advise", *arguments).both

    return call


def row(said: str, name: str) -> list[str]:
    (line,) = (line for line in said.splitlines() if line.startswith(f"{name} "))
    return re.split(r"\s{2,}", line.strip())[1:]


def test_the_cheapest_choice_beside_all_running_by_hand(tanflow: Advise) -> None:
    """20 m³/min. The small one full 62, the large one with 10.3 on its line from 3 (25) to 13.2 (84) 25 + 59 · 7.3/10.2
    = 67.23: 129.2 kW. All at 20/22.9 = 87.3 %: 8.47 for 15 + 47 · 0.8734 = 56.05 and 11.53 for 25 + 59 · 8.528/10.2
    = 74.33: 130.4 kW."""
    code, said = tanflow("station", "--flow", "20")
    assert code == 0, said
    assert row(said, "small") == ["9.7 (100 %)", "8.5 (87 %)"]
    assert row(said, "large") == ["10.3 (78 %)", "11.5 (87 %)"]
    assert row(said, "kW") == ["129.2", "130.4"]
    assert row(said, "kW/(m3/min)") == ["6.46", "6.52"]
    assert "advised takes 0.9 % less for each m3 than all running" in said


async def readings(folder: Path, rows: dict[str, float], second: int = 0) -> None:
    log = await open_log(folder)
    ids = await log.series_ids(rows)
    times = [START + second * SECOND] * len(rows)
    await log.append(Entry([make(HEADER, times, [ids[key] for key in rows], list(rows.values()))]))
    await log.close()


NOW = {
    "small.power.power": 40.0, "small.flow.volume_flow": 300.0, "large.power.power": 55.0,
    "large.flow.volume_flow": 420.0,
}  # fmt: skip


async def test_without_a_flow_the_last_readings_are_taken(tmp_path: Path, tanflow: Advise) -> None:
    """300 and 420 m³/h are 5 and 7 m³/min for 40 and 55 kW. By the facts 15 + 47 · 5/9.7 = 39.23 and 25 + 59 · 4/10.2
    = 48.14: 87.36 kW, the meters show 8.7 % more. The large one alone takes 25 + 59 · 9/10.2 = 77.06: 11.8 % less."""
    await readings(tmp_path / "data", NOW)
    code, said = tanflow("station")
    assert code == 0, said
    assert "station: 12.0 m3/min, last reading" in said
    assert row(said, "small")[:2] == ["-", "5.0 (52 %)"]
    assert row(said, "kW")[:3] == ["77.1", "87.4", "95.0"]
    assert "advised takes 11.8 % less for each m3 than now, by facts" in said
    assert "the meters show 8.7 % more than the facts say" in said
    assert max(len(line) for line in said.splitlines() if "  " in line) <= 80


async def test_running_unloaded_costs_and_the_advised_choice_saves_nothing(tmp_path: Path, tanflow: Advise) -> None:
    """The large one alone delivers 12, the small one stands (77.06 kW, as advised) or runs unloaded: 15 kW more."""
    alone = NOW | {"small.power.power": 0.0, "small.flow.volume_flow": 0.0, "large.flow.volume_flow": 720.0}
    await readings(tmp_path / "data", alone)
    assert "advised takes as much for each m3 as now, by facts" in tanflow("station")[1]
    await readings(tmp_path / "data", alone | {"small.power.power": 14.0}, second=1)
    assert row(tanflow("station")[1], "kW")[:3] == ["77.1", "92.1", "69.0"]


async def test_what_is_old_is_not_now(tmp_path: Path, tanflow: Advise) -> None:
    await readings(tmp_path / "data", NOW)
    await readings(tmp_path / "data", {"small.power.power": 40.0, "small.flow.volume_flow": 300.0}, second=400)
    code, said = tanflow("station")
    assert code == 1
    assert "no recent flow of 'station'" in said
    code, said = tanflow("station", "--flow", "12")
    assert code == 0
    assert "now, metered" not in said
    assert "only 1 of 2 show flow and power" in said


def test_what_cannot_be_advised_is_said(tanflow: Advise) -> None:
    for arguments, sentence in (
        (("station",), "say it: --flow 25"),
        (("station", "--flow", "23"), "more than all machines of 'station' deliver: 22.9"),
        (("small", "--flow", "5"), "no asset of type compressor_station with members"),
        (("statoin", "--flow", "5"), "there is no asset 'statoin'"),
    ):
        code, said = tanflow(*arguments)
        assert (code, sentence in said) == (1, True), said


def test_missing_facts_are_named(tmp_path: Path, tanflow: Advise) -> None:
    write(tmp_path, small="package_kw: 62", large="rated_flow_m3_min: 13.2, unloaded_kw: 12")
    code, said = tanflow("station", "--flow", "5")
    assert code == 1
    assert "small states no rated_flow_m3_min, drive, unloaded_kw; large states no drive, package_kw" in said


def test_what_is_assumed_is_said(tmp_path: Path, tanflow: Advise) -> None:
    """Without its least flow the large one lies on the line from 12 to 75 kW: at 12 m³/min 12 + 63 · 12/13.2."""
    plain = "drive: variable_speed_oil_injected_rotary, rated_flow_m3_min: 13.2, rated_kw: 75, unloaded_kw: 12"
    write(tmp_path, large=plain)
    code, said = tanflow("station", "--flow", "12")
    assert code == 0, said
    assert row(said, "kW")[0] == "69.3"
    assert "large states no package_kw: the 75 kW of its rated_kw are taken" in said
    assert "large states no least_flow_m3_min and least_flow_kw" in said


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ("unloaded_kw: 62, package_kw: 62", "must be below package_kw, 62"),
        ("least_flow_m3_min: 10, least_flow_kw: 30, rated_flow_m3_min: 9.7", "must be below rated_flow_m3_min, 9.7"),
        ("least_flow_kw: 30", "says nothing without least_flow_m3_min"),
        ("unloaded_kw: -1", "must be more than 0"),
    ],
)
def test_facts_that_cannot_be_are_found_by_check(tmp_path: Path, facts: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        load(write(tmp_path, small=facts))
