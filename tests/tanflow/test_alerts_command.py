"""`tanflow alerts`: a list with where each is from, and a dry run that finds what a gateway would have told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from config.load import load
from pipeline.batch import Header, make
from pipeline.clock import SECOND_NS, Clock
from tanflow.commands import alerts
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tanflow.past import Past
from tests.tanflow.command import said

CONFIG = """version: 1
site: {name: works, region: CN-GD, zone: Asia/Shanghai, shifts: {day: {start: "06:00", end: "22:00"}}}
api: null
data: {commit_ms: 10, ballast_mb: 1, min_free_mb: 16, dir: data}
connections: {floor: {protocol: modbus}}
areas:
  hall:
    assets:
      press:
        type: meter
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/1
            points:
              power: {quantity: power, unit: kW, modbus: {address: 0, type: float32}}
      drill:
        type: meter
        alerts: none
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/2
            points:
              power: {quantity: power, unit: kW, modbus: {address: 0, type: float32}}
windows:
  load: {type: formula, asset: press, formula: mean(power), unit: kW}
alerts:
  busy: {window: load, above: 100, hold_s: 3600}
  peak: {point: press.power, above: 100, severity: info}
"""
FIRST = 1_772_294_400  # 2026-03-01T00:00 in Shanghai, a Sunday
MINUTE, HOUR, DAY = 60, 3_600, 86_400
Tanflow = Callable[..., tuple[int, str]]


def power(at_s: int) -> float:
    """Return 50 kW; on the second day 150 kW from 10:00 to 14:00."""
    return 150.0 if DAY + 10 * HOUR <= at_s < DAY + 14 * HOUR else 50.0


@asynccontextmanager
async def filled(folder: Path) -> AsyncIterator[Gateway]:
    """Open a gateway and let it accept a reading each minute of three days."""
    (folder / "gateway.yaml").write_text(CONFIG)
    loaded = load(folder / "gateway.yaml")
    clock = Clock(anchor_ns=(FIRST + 3 * DAY) * SECOND_NS)
    async with open_gateway(loaded.gateway, loaded.templates, base=folder, clock=clock) as gateway:
        series = gateway.table.ids["press.power.power"]
        for first in range(0, 3 * DAY, 6 * HOUR):
            offsets = range(first, first + 6 * HOUR, MINUTE)
            times = [(FIRST + at) * SECOND_NS for at in offsets]
            header = Header("floor", gateway.table.revision, clock.boot, times[-1], 0)
            batch = make(header, times, [series] * len(times), [power(at) for at in offsets])
            await gateway.ingests["floor"].accept(batch)
        yield gateway


@pytest.fixture
async def factory(tmp_path: Path) -> Path:
    """A gateway's data directory: three days in the history, the gateway gone."""
    async with filled(tmp_path) as gateway:
        await gateway.archivist.cut()
    return tmp_path


@pytest.fixture
def tanflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tanflow:
    """Run a command of `tanflow alerts` and return its exit code and what it said."""

    def run(command: str, *arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(alerts.out, "width", 200)
        return said(monkeypatch, capsys, "alerts", command, "-c", tmp_path / "gateway.yaml", *arguments).both

    return run


PERIOD = ("--from", "2026-03-01", "--to", "2026-03-04")


def test_every_alert_is_listed_with_where_it_is_from(factory: Path, tanflow: Tanflow) -> None:
    code, said = tanflow("list")
    assert code == 0
    assert "press.busy  threshold, warning\n    load > 100 kW, for 1 h  [gateway.yaml]" in said
    assert "\n    collector.floor down, for 5 min  [every plant]" in said
    assert "\n    collector.floor rejected > 0 within 1 h  [every plant]" in said
    assert "press.peak  threshold, info" in said
    assert "press.night-load +25 % of like days of 28 d, at least 2 kW, for 2 h  [type meter: practice]" in said
    assert "0 work days, 0 Saturdays, 0 Sundays known; needs 3 like days" in said
    assert "collector.floor down" in said
    _, one = tanflow("list", "--rule", "press.peak", "--format", "json")
    (row,) = json.loads(one)
    assert (row["alert"], row["watches"], row["fires"], row["from"]) == ("peak", "press.power", "> 100", "gateway.yaml")


def test_the_dry_run_finds_what_happened(factory: Path, tanflow: Tanflow) -> None:
    """`peak`: 150 kW for four hours, 50 kW beyond: 200 kWh, 4 of 72 hours. `busy`: the hours that end at 11:00 … 14:00
    are beyond; held for an hour, with the 60 s until that hour is told, it fires from 12:01 to 15:00.
    """
    code, said = tanflow("test", *PERIOD)
    assert code == 0
    assert "2026-03-02 10:00 … 2026-03-02 14:00  press.peak: 150 beyond 100, worst 150, 200 kWh\n" in said
    assert "2026-03-02 12:01 … 2026-03-02 15:00  press.busy: 150 beyond 100, worst 150\n" in said
    code, said = tanflow("test", *PERIOD, "--format", "json")
    told = json.loads(said)
    assert [(f["alert"], f["since"], f["until"], f["kwh"]) for f in told["firings"]] == [
        ("peak", "2026-03-02T02:00:00Z", "2026-03-02T06:00:00Z", pytest.approx(200.0)),
        ("busy", "2026-03-02T04:01:00Z", "2026-03-02T07:00:00Z", None),
    ]
    rates = {rate["alert"]: rate for rate in told["rules"]}
    assert rates["peak"]["share"] == pytest.approx(4 / 72)
    assert rates["peak"]["a_week"] == pytest.approx(7 / 3)
    assert rates["night-load"]["firings"] == 0
    assert told["rows"] == 3 * 1_440


def test_only_part_of_the_past(factory: Path, tanflow: Tanflow) -> None:
    """Until the second midnight nothing has fired; a firing that begins before the period is part of it."""
    _, said = tanflow("test", "--from", "2026-03-01", "--to", "2026-03-02", "--format", "json")
    assert json.loads(said)["firings"] == []
    _, said = tanflow("test", "--from", "2026-03-03", "--to", "2026-03-04", "--format", "json")
    assert json.loads(said)["firings"] == []


def test_what_is_yet_to_come_counts_for_nothing(
    factory: Path, tanflow: Tanflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour after the last row 40 kW were exceeded for 73 hours, by 110 kW in four of them and 10 kW else."""
    monkeypatch.setattr("time.time_ns", lambda: (FIRST + 3 * DAY + HOUR) * 10**9)
    period = ("--from", "2026-03-01", "--to", "2026-05-01", "--rule", "peak", "--set", "above=40")
    _, said = tanflow("test", *period, "--format", "json")
    (firing,), (rate,) = (json.loads(said)[name] for name in ("firings", "rules"))
    assert firing["until"] is None
    assert firing["kwh"] == pytest.approx(4 * 110 + 69 * 10, rel=0.001)
    assert rate["share"] == pytest.approx(1, abs=0.001)
    assert rate["a_week"] == pytest.approx(7 * 24 / 73)


def test_another_limit_is_tried_without_editing(factory: Path, tanflow: Tanflow) -> None:
    def fired(*arguments: str) -> int:
        code, said = tanflow("test", *PERIOD, "--format", "json", "--rule", "busy", *arguments)
        assert code == 0, said
        told = json.loads(said)
        assert [rate["alert"] for rate in told["rules"]] == ["busy"]
        return len(told["firings"])

    assert fired() == 1
    assert fired("--set", "above=160") == 0
    assert fired("--set", "above=140", "--set", "hold_s=14400") == 0
    assert fired("--set", "above=40", "--set", "hold_s=0") == 1


def test_what_a_type_brings_can_be_tried_too(factory: Path, tanflow: Tanflow) -> None:
    code, said = tanflow("test", *PERIOD, "--rule", "press.night-load", "--set", "over_percent=10")
    assert code == 0
    assert "press.night-load" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--rule", "bussy"), "there is no alert 'bussy'; did you mean"),
        (("--set", "above=3"), "--set tries one rule"),
        (("--rule", "busy", "--set", "above"), "is not name=value"),
        (("--rule", "busy", "--set", "below=3"), "give the limit"),
        (("--rule", "busy", "--set", "abvoe=3"), "abvoe"),
        (("--rule", "busy", "--set", "above=["), "'[' is no value"),
        (("--rule", "busy", "--set", "above=!!python/none"), "is no value"),
        (("--rule", "busy", "--set", "window=laod"), "there is no window 'laod'; did you mean 'load'?"),
        (("--rule", "busy", "--set", "waste=press.pover"), "asset 'press' has no figure 'pover'"),
        (("--rule", "press.m-stale", "--set", "device=press.n"), "there is no device 'press.n'"),
        (("--rule", "press.m-stale", "--set", "device=drill.m"), "an alert of 'drill', not of 'press'"),
        (("--rule", "collector-floor-down", "--set", "component=sink.x"), "the gateway has no part 'sink.x'"),
        (("--format", "xml"), "'xml' is not one of 'table', 'json'"),
        (("--from", "0001-01-01"), "--from: '0001-01-01' is not between the years 1971 and 2200"),
        (("--to", "9999-12-31"), "--to: '9999-12-31' is not between the years 1971 and 2200"),
        (("--from", "2026-03-09"), "--from must be before --to"),
        (("--from", "march"), "is not a day"),
    ],
)
def test_a_slip_is_told(factory: Path, tanflow: Tanflow, arguments: tuple[str, ...], sentence: str) -> None:
    code, said = tanflow("test", *PERIOD, *arguments)
    assert code != 0
    assert sentence in " ".join(said.replace("│", " ").split())


def test_a_list_of_what_is_not_there_is_no_empty_list(factory: Path, tanflow: Tanflow) -> None:
    code, said = tanflow("list", "--rule", "bussy")
    assert code != 0
    assert "there is no alert 'bussy'; did you mean" in said


async def test_while_the_gateway_runs_and_whether_rows_are_archived_or_not(tmp_path: Path) -> None:
    """All rows in the log; some in the history; all in the history: the past is the same."""
    async with filled(tmp_path) as gateway:
        series = [gateway.table.ids["press.power.power"]]
        period = FIRST * SECOND_NS, (FIRST + 3 * DAY) * SECOND_NS

        def values() -> list[tuple[int, float]]:
            batches = list(Past(tmp_path / "data").rows(series, *period))
            return [one for b in batches for one in zip(b.time_ns.tolist(), b.value.tolist(), strict=True)]

        before = values()
        assert [value for _, value in before] == [power(at) for at in range(0, 3 * DAY, MINUTE)]
        await gateway.archivist.cut()
        assert values() == before
