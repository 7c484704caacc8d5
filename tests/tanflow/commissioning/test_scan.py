"""`tanflow scan`: who answers is found, one careful read each; it says what it will do and stops where it is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
import yaml

from simulators.faults import Link
from simulators.serve_modbus_rtu import RtuServer
from tanflow.commissioning.scanning import longest_s, units
from tests.services.ports import free_port
from tests.tanflow.command import said
from tests.tanflow.commissioning.serving import in_thread, serving, unit
from tests.waiting import until_sync


def test_units_that_answer_or_refuse_are_there_and_others_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = unit(0, [1])
    silent.link = Link(drop="silent")
    with serving({1: unit(0, [230]), 7: unit(3_000, [5]), 9: silent}) as server:
        place = f"modbus://127.0.0.1:{server.port}?units=1-10"
        told = said(monkeypatch, capsys, "scan", place, "--yes", "--pause", 0.02, "--timeout", 0.3)
        assert told.code == 0
        assert "function 3, which only reads" in told.err
        assert "holding register 0 is 230" in told.out
        assert "exception 2 (illegal data address)" in told.out
        skeleton = yaml.safe_load(told.out[told.out.index("connections:") :])
        assert list(skeleton["devices"]) == ["unit_1", "unit_7"]
        assert skeleton["devices"]["unit_7"]["address"] == f"127.0.0.1:{server.port}/7"
        assert set(server.requests) == {3}
        assert sum(server.requests.values()) == 10
        assert not server.write_attempts
        found = orjson.loads(said(monkeypatch, capsys, "scan", place, "--yes", "--pause", 0.02, "--json").out)
        assert [one["unit"] for one in found["units"]] == [1, 7]


def test_units_behind_a_serial_server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(lambda: RtuServer(units={2: unit(0, [1]), 5: unit(0, [2])})) as server:
        place = f"modbus+rtu://127.0.0.1:{server.port}?units=1-6"
        told = said(monkeypatch, capsys, "scan", place, "--yes", "--timeout", 0.3, "--pause", 0.02)
        assert "no other master may use this line" in told.err
        skeleton = yaml.safe_load(told.out[told.out.index("connections:") :])
        assert list(skeleton["devices"]) == ["unit_2", "unit_5"]
        assert skeleton["connections"]["floor"] == {"protocol": "modbus", "framing": "rtu"}


def test_nothing_is_asked_before_somebody_agrees(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving({1: unit(0, [1])}) as server:
        told = said(monkeypatch, capsys, "scan", f"modbus://127.0.0.1:{server.port}")
        assert told.code == 2
        assert "--yes" in told.err
        assert not server.requests


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    told = said(monkeypatch, capsys, "scan", f"modbus://127.0.0.1:{free_port()}?units=1-3", "--yes")
    assert (told.code, told.out) == (1, "")
    with serving({}) as server:
        told = said(
            monkeypatch, capsys, "scan", f"modbus://127.0.0.1:{server.port}?units=1-3", "--yes", "--pause", 0.02
        )
        assert told.code == 1
        assert "no unit answers" in told.out


WRONG = ["modbus://h?units=x", "modbus://h?units=5-1", "modbus://h/3?units=1", "mqtt://h", "modbus://h?units=1-300"]


@pytest.mark.parametrize("wrong", [*WRONG, "modbus+rtu://h?units=0-5", "modbus://h?unit=3"])
def test_what_cannot_be_meant(wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(monkeypatch, capsys, "scan", wrong, "--yes").code == 2


def test_numbers_of_units_and_the_longest_time() -> None:
    assert units("1-3, 7,2", on_line=True) == [1, 2, 3, 7]
    assert longest_s(247, 0.5, 0.1) == pytest.approx(148.7)


@pytest.mark.parametrize("port_given", [True, False])
def test_interrupted_it_shows_what_it_has_found(port_given: bool, tmp_path: Path) -> None:
    with ExitStack() as held:
        server = held.enter_context(serving({n: unit(0, [n]) for n in range(1, 248)}))
        place = f"modbus://127.0.0.1:{server.port}" + ("?units=1-247" if port_given else "")
        command = [sys.executable, "-m", "tanflow", "scan", place, "--yes", "--pause", "0.5"]
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
        )
        until_sync(lambda: sum(server.requests.values()) >= 2, what="the scan under way")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "holding register 0 is 1" in out
    assert "stopped; " in err
    assert "Traceback" not in err
