"""The time of a bus, by hand: characters, silences, turnarounds; what cannot be kept is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.line_budget import words
from collectors.modbus_budget import buses
from config.bindings import bind
from config.errors import ConfigError
from config.load import Loaded, load
from tanflow.checking import check_more, summary

HEAD = """\
version: 1
site: {name: works, region: GB}
connections:
  floor:
    protocol: modbus
    framing: FRAMING
    serial: {PORTbaudrate: 9600, parity: N, stop_bits: 1}
    turnaround_s: 0.02
    every_s: PERIOD
areas:
  hall:
    assets:
"""
METER = """\
      meter-N:
        type: meter
        rated_kw: 10
        devices:
          m:
            connection: floor
            address: "AT"
            points:
              p: {quantity: power, unit: W, modbus: {address: 0, type: float32}}
              u: {quantity: voltage, unit: V, modbus: {address: 500, type: uint16}}
"""


def plant(folder: Path, units: int, period: float, *, framing: str = "rtu", server: str = "") -> Loaded:
    head = HEAD.replace("FRAMING", framing).replace("PERIOD", f"{period:g}")
    text = head.replace("PORT", "" if server else "port: /dev/ttyS1, ")
    for n in range(1, units + 1):
        text += METER.replace("-N", f"-{n}").replace("AT", f"{server}{n}")
    path = folder / "gateway.yaml"
    path.write_text(text, "utf-8")
    return load(path)


# Two requests of 8 characters, replies of 5 + 4 and 5 + 2 characters, 10 bits each at 9,600 baud; a silence of 3.5
# characters before each of the four frames; 20 ms of turnaround twice, and 4 ms for the gateway itself.
ONE_S = (2 * 8 + 9 + 7 + 4 * 3.5) * 10 / 9_600 + 2 * 0.024


@pytest.mark.parametrize(
    ("framing", "server", "name"),
    [("rtu", "", "/dev/ttyS1"), ("rtu", "10.0.0.9:4001/", "10.0.0.9:4001"), ("tcp", "10.0.0.9/", "10.0.0.9:502")],
    ids=["serial port", "serial server", "TCP gateway"],
)
def test_a_cycle_is_what_its_characters_take(tmp_path: Path, framing: str, server: str, name: str) -> None:
    loaded = plant(tmp_path, 10, 2, framing=framing, server=server)
    (bus,) = buses(loaded.gateway, bind(loaded.gateway, loaded.templates))
    assert bus.name == name
    assert bus.cycle_s == pytest.approx(10 * ONE_S)
    assert bus.load == pytest.approx(10 * ONE_S / 2)
    assert list(words(bus)) == [
        f"bus {name} (9600 baud, 8N1): 10 devices, 20 requests, cycle 959 ms, busy 48% of the time",
        "  meter-1.m and 9 more, each: 2 requests, 96 ms every 2 s, 4.8%",
    ]
    check_more(loaded)
    assert f"  bus {name} (9600 baud, 8N1)" in summary(loaded)


def test_a_period_no_bus_can_keep_is_refused_with_what_would_do(tmp_path: Path) -> None:
    loaded = plant(tmp_path, 20, 2)  # 20 × 95.9 ms is more than nine tenths of 2 s
    with pytest.raises(ConfigError) as caught:
        check_more(loaded)
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (9, "connections.floor.every_s")
    assert problem.message == (
        "bus /dev/ttyS1 cannot keep this: reading its 20 devices once takes 1.92 s at 9600 baud, every 2 s that is 96% "
        "of its time, and a tenth is kept for units that do not answer; every_s: 2.2 would do, or 19200 baud if all "
        "units can, or fewer points"
    )
    check_more(plant(tmp_path, 20, 2.2))
    check_more(plant(tmp_path, 18, 2))


def test_two_connections_through_one_gateway_share_its_bus(tmp_path: Path) -> None:
    loaded = plant(tmp_path, 2, 2, framing="tcp", server="10.0.0.9:4001/")
    text = loaded.path.read_text("utf-8")
    more = "  slow: {protocol: modbus, serial: {}, every_s: 60}\nareas:\n"
    last = METER.replace("-N", "-3").replace("AT", "10.0.0.9:4001/3").replace("connection: floor", "connection: slow")
    loaded.path.write_text(text.replace("areas:\n", more) + last, "utf-8")
    again = load(loaded.path)
    (bus,) = buses(again.gateway, bind(again.gateway, again.templates))
    assert [share.device for share in bus.shares] == ["meter-1.m", "meter-2.m", "meter-3.m"]
    assert bus.load == pytest.approx(2 * ONE_S / 2 + bus.shares[2].busy_s / 60)


def test_a_server_that_says_nothing_of_a_line_is_no_bus(tmp_path: Path) -> None:
    loaded = plant(tmp_path, 2, 2, framing="tcp", server="10.0.0.9/")
    text = loaded.path.read_text("utf-8")
    loaded.path.write_text("".join(line for line in text.splitlines(True) if "serial:" not in line), "utf-8")
    again = load(loaded.path)
    assert buses(again.gateway, bind(again.gateway, again.templates)) == []
