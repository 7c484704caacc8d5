"""`tanflow check --connect`: every point of every protocol is read once; what is silent says why; no trace is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from config.bindings import bind, series_key
from config.load import Loaded, load
from config.templates import load_all
from pipeline.log.directory import DataDirectory
from simulators.certificates import made
from simulators.faults import Link
from simulators.serve_modbus_rtu import RtuServer
from simulators.serve_opcua import OpcuaServer, Secured
from tanflow.commissioning.sampling import sample
from tests.services.mosquitto import Mosquitto
from tests.services.ports import free_port
from tests.tanflow.command import said
from tests.tanflow.commissioning.serving import in_thread, serving, unit
from tests.tanflow.factory import read_factory
from tests.waiting import until

CONFIG = """
version: 1
site: {{name: works, region: CN-GD}}
connections:
  floor: {{protocol: modbus, timeout_s: 0.3}}
{more}
areas:
  hall:
    assets:
      main:
        type: meter
        rated_kw: 100
        devices:
          m:
            connection: floor
            address: 127.0.0.1:{port}/1
            points:
              voltage: {{quantity: voltage, unit: V, scale: 0.1, valid: [0, 400], modbus: {{address: 5}}}}
              beyond: {{quantity: voltage, unit: V, valid: [0, 10], modbus: {{address: 5}}}}
              model: {{quantity: count, unit: "1", modbus: {{address: 8, type: string, length: 1}}}}
              nowhere: {{quantity: voltage, unit: V, modbus: {{address: 5000}}}}
          gone:
            connection: floor
            address: 127.0.0.1:{port}/9
            prefix: gone_
            points: {{voltage: {{quantity: voltage, unit: V, modbus: {{address: 5}}}}}}
{devices}
"""
BROKER = "  broker: {{protocol: mqtt, host: 127.0.0.1, port: {port}, version: '{version}'}}"
TOPIC = """          t:
            connection: broker
            address: plant/a
            prefix: t_
            points: {power: {quantity: power, unit: kW, mqtt: {path: p}}}"""


def test_each_point_is_read_or_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hanging = unit(5, [1])
    hanging.link = Link(drop="silent")
    slow = unit(0, [230])
    slow.link = Link(lag_s=0.25)
    slow_device = """          slow:
            connection: floor
            address: 127.0.0.1:{port}/3
            prefix: slow_
            points: {{voltage: {{quantity: voltage, unit: V, modbus: {{address: 0}}}}}}"""
    path = tmp_path / "gateway.yaml"
    with serving({1: unit(0, [0, 0, 0, 0, 0, 2301, 0, 0, 0x4142]), 3: slow, 9: hanging}) as server:
        text = CONFIG.format(port=server.port, more="", devices=slow_device.format(port=server.port))
        path.write_text(text.replace("timeout_s: 0.3", "timeout_s: 1"))
        before = sorted(tmp_path.rglob("*"))
        told = said(monkeypatch, capsys, "check", "-c", path, "--connect", "--deadline", "20s", "--json")
        assert sorted(tmp_path.rglob("*")) == before
        assert not server.write_attempts
        assert set(server.requests) == {3}
    assert told.code == 1
    found: dict[str, Any] = {one["point"]: one for one in orjson.loads(told.out)["points"]}
    assert found["voltage"]["value"] == pytest.approx(230.1)
    assert (found["voltage"]["quality"], found["voltage"]["raw"], found["voltage"]["unit"]) == ("good", "08fd", "V")
    assert (found["model"]["value"], found["model"]["raw"]) == ("AB", "4142")
    assert "outside valid: [0, 10]" in found["beyond"]["why"]
    assert "illegal data address" in found["nowhere"]["why"]
    assert "no answer within 1 s" in found["gone_voltage"]["why"]
    # It is the answer that took so long, not the visit.
    assert found["slow_voltage"]["took_s"] >= 0.25
    assert found["gone_voltage"]["took_s"] is None


def test_all_well_is_a_table_in_eighty_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway.yaml"
    with serving({1: unit(0, [0, 0, 0, 0, 0, 23, 0, 0, 0x4142]), 9: unit(0, [0] * 9)}) as server:
        text = CONFIG.format(port=server.port, more="", devices="").replace("5000", "5").replace("[0, 10]", "[0, 99]")
        path.write_text(text)
        told = said(monkeypatch, capsys, "check", "-c", path, "--connect", "--deadline", "100s")
    assert told.code == 0, told
    assert "5 of 5 points answered" in told.out
    table = told.out[told.out.index("device ") :]
    assert max(len(line.rstrip()) for line in table.splitlines()) <= 80


def test_lines_of_a_running_gateway_are_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway.yaml"
    units = {1: unit(0, [0, 0, 0, 0, 0, 23, 0, 0, 0x4142]), 9: unit(0, [0] * 9)}
    with serving(units) as server, in_thread(lambda: RtuServer(units={2: unit(0, [7])})) as line:
        more = "  yard: {protocol: modbus, framing: rtu}\n  cellar: {protocol: dlt645}"
        devices = f"""          y:
            connection: yard
            address: 127.0.0.1:{line.port}/2
            points: {{a: {{quantity: voltage, unit: V, modbus: {{address: 0}}}}}}
          c:
            connection: cellar
            address: 127.0.0.1:9/202107170001
            points: {{c: {{quantity: voltage, unit: V, dlt645: {{data: "02010100"}}}}}}"""
        text = CONFIG.format(port=server.port, more=more, devices=devices).replace("5000", "5").replace("10]", "99]")
        path.write_text(text)
        call = ("check", "-c", path, "--connect", "--deadline", "100s")
        with DataDirectory(tmp_path / "data"):
            told = said(monkeypatch, capsys, *call)
            kept = orjson.loads(said(monkeypatch, capsys, *call, "--json").out)
        assert not line.requests
        assert told.code == 0, told
        assert "main.y: a: read by the running gateway: see tanflow tail" in told.out
        assert "main.c: c: read by the running gateway: see tanflow tail" in told.out
        assert "5 of 7 points answered, 2 left to the running gateway" in told.out
        assert "leaves cellar, yard to it" in told.err
        assert (kept["failed"], kept["left"]) == (0, 2)
        # Its lock tells a gateway that runs; a process of the number one had, here the test's own, is none.
        path.write_text(text[: text.index("          c:\n")])
        told = said(monkeypatch, capsys, *call)
        assert "is running" not in told.err
        assert "6 of 6 points answered" in told.out
        assert line.requests


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_broker_keeps_nothing_of_it_and_the_gateway_goes_on_hearing(
    version: str, tmp_path: Path, mosquitto: Mosquitto
) -> None:
    publisher = Client(CallbackAPIVersion.VERSION2, "publisher")
    publisher.connect("127.0.0.1", mosquitto.port)
    publisher.loop_start()
    publisher.publish("plant/a", json.dumps({"p": 4.5}), qos=1, retain=True).wait_for_publish(60)
    path = tmp_path / "gateway.yaml"
    broker = BROKER.format(port=mosquitto.port, version=version)
    path.write_text(CONFIG.format(port=9, more=broker, devices=TOPIC))
    loaded = load(path)
    mine = [d for d in bind(loaded.gateway, loaded.templates) if d.name == "t"]
    (one,) = await sample(loaded, mine, 30.0, lambda done, of: None)
    assert (one.value, one.failed) == (4.5, False)
    assert '"p": 4.5' in one.raw
    # A session that had stayed would hold this one, and would not be told again what is retained.
    publisher.publish("plant/a", json.dumps({"p": 9}), qos=1).wait_for_publish(60)
    (again,) = await sample(loaded, mine, 30.0, lambda done, of: None)
    assert again.value == 4.5
    publisher.loop_stop()
    publisher.disconnect()


async def test_the_whole_factory_answers_over_all_its_protocols(tmp_path: Path) -> None:
    async with read_factory(tmp_path) as (gateway, _):
        loaded = Loaded(tmp_path / "gateway.yaml", gateway.config, load_all(), ())
        chosen = [d for d in gateway.devices if d.asset_name in ("main-meter", "furnace-1", "pv-1")]
        wanted = [series_key(d.asset_name, name, p.quantity) for d in chosen for name, p in d.points.items()]
        ids = [gateway.table.ids[key] for key in wanted if key in gateway.table.ids]
        await until(lambda: np.isfinite(gateway.latest.value[ids]).all(), what="a plant that shows all it has")
        samples = await sample(loaded, chosen, 60.0, lambda done, of: None)
        assert {s.connection for s in samples} == {"floor", "plc", "broker"}
        assert {s.key: s.why for s in samples if s.failed} == {}
        assert all(s.raw for s in samples)


async def test_a_server_nobody_trusts_is_told_with_the_directory_that_stays(tmp_path: Path) -> None:
    shown = Secured(made("plc", "urn:tanflow:simulators"))
    async with OpcuaServer(f"opc.tcp://127.0.0.1:{free_port()}", shown) as server:
        path = tmp_path / "gateway.yaml"
        plc = f"  plc: {{protocol: opcua, url: '{server.url}', security: {{}}}}"
        device = """          o:
            connection: plc
            prefix: o_
            points: {power: {quantity: power, unit: kW, opcua: {node: ns=2;s=x}}}"""
        path.write_text(CONFIG.format(port=9, more=plc, devices=device))
        loaded = load(path)
        mine = [d for d in bind(loaded.gateway, loaded.templates) if d.name == "o"]
        (one,) = await sample(loaded, mine, 15.0, lambda done, of: None)
    assert f"--data {tmp_path / 'data'}" in one.why
    assert "tanflow certs check" in one.why
    assert not (tmp_path / "data").exists()
