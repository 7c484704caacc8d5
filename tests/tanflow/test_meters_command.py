"""`tanflow meters` and what else tells of the register, on the example that ships; dates are given, not today's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carbon.ledger import Ledger
from config.load import load
from pipeline.clock import SECOND_NS
from tanflow.commands import meters
from tests.carbon.plant import CONFIG, HOUR_S, IMPORT, Plant, open_plant
from tests.tanflow import web
from tests.tanflow.command import Said, said

EXAMPLE = Path(__file__).parents[2] / "examples" / "meter-register.yaml"


Tanflow = Callable[..., Said]


@pytest.fixture
def tanflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tanflow:
    """Call the command within this process, in a wide terminal."""
    monkeypatch.setattr(meters.out, "width", 200)

    def call(*arguments: object) -> Said:
        return said(monkeypatch, capsys, "meters", *arguments)

    return call


def test_the_list_is_of_the_day(tanflow: Tanflow) -> None:
    then, now = (tanflow("list", "-c", EXAMPLE, "--on", day).out.splitlines() for day in ("2025-03-11", "2025-08-05"))
    assert then[1].split() == [
        "M-001", "incomer.meter", "20230411007", "0.5", "200/5", "10000/100", "0.57", "2023-04-11", "in", "order",
    ]  # fmt: skip
    assert "1905220118" in then[2]
    assert now[1].split()[4:7] == ["300/5", "10000/100", "0.57"]  # √(0.5² + 0.2² + 0.2²) = 0.574
    assert "2411080045" in now[2]
    assert now[3].endswith("bypassed since 2025-08-04")
    assert "by hand" in now[4]
    assert "bypassed" not in tanflow("list", "-c", EXAMPLE, "--on", "2025-08-06").out


def test_a_meter_is_shown_with_its_whole_life(tanflow: Tanflow) -> None:
    said = tanflow("show", "M-001", "-c", EXAMPLE).out.splitlines()
    assert (
        said[0] == "M-001: incomer.meter; Acrel, DTSD1352, class 0.5, substation 1, cubicle 3, shows secondary values"
    )
    assert [line.split()[0] for line in said[2:]] == ["1", "2", "3"]
    assert "4000" in said[2]
    assert "6000" in said[3]
    assert "transformers exchanged, by Li Wei" in said[3]
    swap = tanflow("show", "M-101", "-c", EXAMPLE).out
    assert "final index 812345.6, initial index 0.0" in swap


def test_what_is_due_ends_with_one_only_when_it_is_overdue(tanflow: Tanflow) -> None:
    assert tanflow("due", "-c", EXAMPLE, "--on", "2034-01-31") == Said(0, "no calibration is due within 60 days\n", "")
    soon = tanflow("due", "-c", EXAMPLE, "--on", "2034-03-01")
    assert (soon.code, soon.out) == (0, "M-001 (serial 20230411007): calibration due on 2034-04-02, in 32 days\n")
    late = tanflow("due", "-c", EXAMPLE, "--on", "2034-12-01")
    assert late.code == 1
    assert late.out.splitlines() == [
        "M-001 (serial 20230411007): calibration overdue since 2034-04-02, 243 days",
        "M-101 (serial 2411080045): calibration overdue since 2034-11-08, 23 days",
    ]


def test_mistakes_are_sentences(tanflow: Tanflow) -> None:
    said = tanflow("show", "M-01", "-c", EXAMPLE)
    assert said.code == 1
    assert "there is no meter 'M-01' under accounting.meters; did you mean 'M-10" in said.err
    assert "is not a day" in tanflow("due", "-c", EXAMPLE, "--on", "soon").err
    assert "no swap of meter 'M-001'" in tanflow("settle", "M-001", "-c", EXAMPLE).err


def test_a_plant_without_a_register_is_told_where_to_begin(tanflow: Tanflow) -> None:
    assert "docs/meters.md" in tanflow("list", "-c", EXAMPLE.with_name("minimal.yaml")).out


def registered(text: str, device: str, more: str) -> str:
    block = f"accounting: {{meters: {{M1: {{device: {device}, serial: A1, accuracy: 0.5, {more}}}}}}}\n"
    return text.replace("connections:", block + "connections:", 1)


def test_a_check_warns_sixty_days_ahead(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    warned = {}
    for days in (-3, 50, 70):
        path = tmp_path / "gateway.yaml"
        path.write_text(registered(CONFIG, "main.m", f"due: {today + timedelta(days=days)}"), "utf-8")
        warned[days] = [str(w.message) for w in load(path).warnings if w.path == "accounting.meters.M1"]
    assert "calibration overdue since" in warned[-3][0]
    assert "calibration due on" in warned[50][0]
    assert warned[70] == []


@pytest.mark.parametrize(("due", "state"), [("2026-02-20", "degraded"), ("2026-04-20", "ok")])
async def test_health_tells_what_comes_up_and_is_degraded_by_what_is_overdue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, due: str, state: str
) -> None:
    monkeypatch.setattr(web, "CONFIG", registered(web.CONFIG, "press.meter", f"due: {due}"))
    async with web.open_site(tmp_path) as site:  # on 2026-03-01
        found = (await site.client.get("/api/health")).json()
    assert found["state"] == state
    told = found["reasons"] if state == "degraded" else found["notices"]
    assert len(told) == 1
    assert told[0].startswith("M1 (serial A1): calibration")


async def test_a_bypassed_stretch_is_estimated_missing_and_filled_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The meter shows next to nothing on the second day, for it is bypassed; 24 hours are filled at rated power."""
    events = "events: [{on: 2025-01-02, type: bypass}, {on: 2025-01-03, type: restore}]"
    text = registered(CONFIG, "main.m", events).replace("type: meter\n", "type: meter\n        rated_kw: 100\n", 1)
    async with open_plant(tmp_path, text) as plant:
        shown = [50.0] * 24 + [0.5] * 24 + [50.0] * 24
        await plant.append(IMPORT, [(i + 1) * HOUR_S for i in range(72)], shown, HOUR_S)
        await plant.tick(74 * HOUR_S)
        await plant.book()
        assert estimated(plant) == [False] * 24 + [True] * 24 + [False] * 24
        filled = said(
            monkeypatch, capsys, "gaps", "fill", "-c", tmp_path / "gateway.yaml", "--stream", "main.electricity",
            "--by", "A", "--approved-by", "B", "--reason", "bypass", "--from", "2025-01-01", "--to", "2025-01-04",
        )  # fmt: skip
        assert "1 gaps are filled" in filled.out, filled
        kwh = plant.kwh("main.electricity/2/purchased_electricity/location")
        assert [kwh[hour] for hour in range(72)] == [50.0] * 24 + [100.0] * 24 + [50.0] * 24


def estimated(plant: Plant) -> list[bool]:
    """Return of each hour of the incomer whether all of it is estimated and flagged as such."""
    with Ledger.open(plant.folder) as ledger:
        (line,) = [n for n, known in ledger.lines.items() if known.key.startswith("main.electricity/2/") and
                   known.method == "location"]  # fmt: skip
        (rows,) = ledger.read(lines={line})
    whole = rows.estimated == rows.amount
    flagged = (rows.quality & 0b11) == 1
    assert (whole == flagged).all()
    assert rows.start_ns[0] % SECOND_NS == 0
    return [bool(flag) for flag in whole]
