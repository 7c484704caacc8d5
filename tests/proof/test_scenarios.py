"""Each scenario of the demo raises its alert within the stated time and no other; a week of nothing wrong, none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.alerts.stage import Status
from pipeline.clock import SECOND_NS
from simulators.scenario import Showing
from tanflow.showing import Rehearsal, names, scenario

EXPECTED = {
    "all-is-well": None,
    "fouling": "chiller-1.fouling",
    "frozen-meter": "compressor-1.meter-frozen",
    "idle-furnace": "furnace-1.idling-hot",
    "leak": "air-station.leaks",
    "night-load": "main-meter.night-load",
}


def shown(name: str) -> Showing:
    found = scenario(name).demo
    assert found
    return found


def test_there_is_a_scenario_for_each_and_it_names_its_alert() -> None:
    assert {name: shown(name).alert for name in names()} == EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_it_fires_within_the_stated_time_and_nothing_else_does(name: str) -> None:
    show, rehearsal = shown(name), Rehearsal(scenario(name))
    told = rehearsal.run(show.lasts_h * 3_600)
    fired = [t for t in told if t.changed and t.status is Status.FIRING]
    keys = [f"{t.alert.asset}.{t.alert.name}" for t in fired]
    assert keys == ([show.alert] if show.alert else [])
    if show.within_h:
        took_h = (fired[0].time_ns - rehearsal.begin_ns) / (3_600 * SECOND_NS)
        begins_h = min(one.at_s for one in (*scenario(name).events, *scenario(name).faults)) / 3_600
        assert begins_h < took_h <= show.within_h


def test_the_demo_shows_one_over_the_real_protocols(tmp_path: Path) -> None:
    """As a person runs it; its end says which alert came and when, that no other did, and that no reading was lost."""
    arguments = ("-m", "tanflow", "demo", "--scenario", "frozen-meter", "--speed", "300", "--port", "0")
    ended = subprocess.run(
        [sys.executable, *arguments, "--data", str(tmp_path / "data")], capture_output=True, text=True, timeout=600
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr[-2_000:]
    assert "compressor-1.meter-frozen is to fire within 1 h of the plant" in ended.stdout
    assert "compressor-1.meter-frozen fired after" in ended.stdout
    assert "no other alert fired" in ended.stdout
    assert ended.stdout.count(" ok") == 6
