"""`tanflow probe sunspec://…` against a served recording: models, values, and YAML that a configuration takes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml

from config.points import DeviceMap
from simulators.registers import Block
from simulators.serve_modbus import ModbusServer, Unit
from tests.collectors.test_sunspec import recorded
from tests.tanflow.command import said
from tests.tanflow.commissioning.serving import serving, unit


@contextmanager
def served(name: str) -> Iterator[int]:
    """Serve a recording from a loop of its own, for the command brings its own; yield the port."""
    words = recorded(name)
    first, end = min(words), max(words) + 1
    data = b"".join(words.get(a, 0).to_bytes(2, "big") for a in range(first, end))
    loop = asyncio.new_event_loop()
    server = ModbusServer(units={1: Unit({"holding": Block(first, end, data)})})
    loop.run_until_complete(server.__aenter__())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.port
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(300)
        loop.close()


def test_models_values_and_a_device_map(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with served("solaredge_se33k") as port:
        told = said(monkeypatch, capsys, "probe", f"sunspec://127.0.0.1:{port}/1", "--timeout", "30")
    assert told.code == 0, told.err
    assert "looking for SunSpec models in unit 1" in told.err
    assert "maker SolarEdge, model SE33.3K, version 0003.2251, serial 7E1240CC" in told.out
    templates = yaml.safe_load(told.out[told.out.index("templates:") :])["templates"]
    template = DeviceMap.model_validate(templates["sunspec_solaredge_se33_3k"])
    assert template.points["energy_export"].modbus is not None
    assert template.points["energy_export"].modbus.address == 40_093
    assert "cabinet_temperature" in template.notes  # shows nothing, and is left out
    assert "cabinet_temperature" not in template.points


def test_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with served("fronius_symo") as port:
        told = said(monkeypatch, capsys, "probe", f"sunspec://127.0.0.1:{port}", "--json", "--timeout", "30")
    answer = json.loads(told.out)
    assert [m["number"] for m in answer["models"]] == [1, 113, 120, 121, 122, 123, 160]
    assert answer["flaw"] is None
    values = {p["name"]: p["value"] for p in answer["points"]}
    assert (values["power"], values["energy_export"], values["cabinet_temperature"]) == (70.0, 11_937_020.0, None)


def test_what_cannot_work_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with served("veris_e51c2") as port:
        url = f"sunspec://127.0.0.1:{port}/9"
        told = said(monkeypatch, capsys, "probe", url, "--timeout", "30")
        assert (told.code, "unit 9" in told.err) == (1, True)
        told = said(monkeypatch, capsys, "probe", f"{url}?address=7")
        assert (told.code, "address" in told.err) == (2, True)


def test_a_chain_without_end_is_shown_in_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving({1: unit(40_000, [0x5375, 0x6E53, *[7] * 1_000])}) as server:
        told = said(monkeypatch, capsys, "probe", f"sunspec://127.0.0.1:{server.port}/1", "--within", "600")
    assert told.code == 0, told.err
    assert "for 600 s at most" in told.err
    assert "and 80 more; all of them with --json" in told.out
    assert "not to its end: more than 100 models, and still no end" in told.out
    assert len(told.out.splitlines()) < 30
