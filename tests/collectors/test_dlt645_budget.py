"""The time of a line with DL/T 645 meters, by hand; periods it cannot keep are refused with what would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.dlt645_budget import buses
from collectors.line_budget import words
from config.bindings import bind
from config.errors import ConfigError
from config.load import Loaded, load
from tanflow.checking import check_more, summary

HEAD = """\
version: 1
site: {name: works, region: CN}
connections:
  yard:
    protocol: dlt645
    serial: {port: /dev/ttyS1, baudrate: 2400}
    every_s: PERIOD
areas:
  yard:
    assets:
"""
METER = """\
      meter-N:
        type: meter
        rated_kw: 10
        devices:
          m:
            connection: yard
            address: "20260000000N"
            template: dlt645_three_phase
            only: [energy_import, power]
"""
# Two questions: 4 + 12 + 4 characters asked, 4 + 12 + 4 and the value's 4 or 3 answered, 11 bits each at 2,400 baud;
# 100 ms until the meter begins, 30 ms of silence afterwards.
ONE_S = ((20 + 24) + (20 + 23)) * 11 / 2_400 + 2 * 0.13


def plant(folder: Path, meters: int, period: float) -> Loaded:
    text = HEAD.replace("PERIOD", f"{period:g}") + "".join(
        METER.replace("N:", f"{n}:").replace('N"', f'{n}"') for n in range(1, meters + 1)
    )
    path = folder / "gateway.yaml"
    path.write_text(text, "utf-8")
    return load(path)


def test_a_cycle_is_what_its_characters_take(tmp_path: Path) -> None:
    loaded = plant(tmp_path, 9, 15)
    (bus,) = buses(loaded.gateway, bind(loaded.gateway, loaded.templates))
    assert bus.cycle_s == pytest.approx(9 * ONE_S)
    assert list(words(bus)) == [
        "bus /dev/ttyS1 (2400 baud, 8E1): 9 devices, 18 requests, cycle 5.93 s, busy 40% of the time",
        "  meter-1.m and 8 more, each: 2 requests, 659 ms every 15 s, 4.4%",
    ]
    check_more(loaded)
    assert "  bus /dev/ttyS1 (2400 baud, 8E1)" in summary(loaded)


def test_a_period_the_line_cannot_keep_is_refused_and_told_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check_more(plant(tmp_path, 9, 5))
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (7, "connections.yard.every_s")
    assert "reading its 9 devices once takes 5.93 s at 2400 baud, every 5 s that is 119% of its time" in problem.message
    assert "every_s: 6.6 would do, or 4800 baud if all units can" in problem.message
    check_more(plant(tmp_path, 9, 6.6))
