"""A plant and a database enter; the folder of a Node-RED that reads one into the other leaves, as its users draw it.

Each second, or with `steady` as soon as all devices behind a port have answered, every device of the plant is asked by
node-red-contrib-modbus, a function turns its registers into points, and those of all devices go out in one write a
second by the batch node of node-red-contrib-influxdb: one point a value, or, with `wide`, one a device with all its
fields. No log, no history, no energy, no CO₂.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from benchmarks.plant import Plant
from benchmarks.report import ROOT

HOME = ROOT / "benchmarks" / "node_red"
_FLOW = "flow"

_ASK = """
const messages = [];
for (let unit = 1; unit <= UNITS; unit++)
    messages.push({ payload: { fc: 4, unitid: unit, address: 0, quantity: REGISTERS }, topic: PORT });
return [messages];
"""
_AGAIN = """
const answers = (context.get("answers") || 0) + 1;
context.set("answers", answers % UNITS);
return answers === UNITS ? msg : null;
"""
_DECODE = """
const bytes = msg.responseBuffer.buffer, timestamp = new Date();
const device = msg.topic + "-" + msg.modbusRequest.unitid;
const points = flow.get("points") || [];
for (let i = 0; 4 * i < bytes.length; i++) {
    const fields = { ["v" + i]: bytes.readFloatBE(4 * i) };
    points.push({ measurement: "energy", fields, tags: { device }, timestamp });
}
flow.set("points", points);
"""
_DECODE_WIDE = """
const bytes = msg.responseBuffer.buffer, fields = {};
for (let i = 0; 4 * i < bytes.length; i++) fields["v" + i] = bytes.readFloatBE(4 * i);
const device = msg.topic + "-" + msg.modbusRequest.unitid;
const points = flow.get("points") || [];
points.push({ measurement: "energy", fields, tags: { device }, timestamp: new Date() });
flow.set("points", points);
"""
_BATCH = """
const points = flow.get("points") || [];
flow.set("points", []);
return points.length ? { payload: points } : null;
"""
_COUNT = 'flow.set("written", (flow.get("written") || 0) + msg.payload.length * VALUES);'  # of a point
_TELL = 'msg.payload = String(flow.get("written") || 0);\nreturn msg;'


def command(
    plant: Plant, url: str, database: str, port: int, directory: Path, *, wide: bool, steady: bool = False
) -> list[str]:
    """Write flow and settings into `directory`; return what runs them, with /written on `port`."""
    program = next((HOME / "node_modules").glob("node-linux-*/bin/node"), None)
    red = HOME / "node_modules" / "node-red" / "red.js"
    if program is None or not red.exists():
        raise RuntimeError("Node-RED is not installed; scripts/needs node-red brings it")
    (directory / "flows.json").write_bytes(orjson.dumps(_flow(plant, url, database, wide, steady)))
    settings: dict[str, Any] = {
        "uiHost": "127.0.0.1",
        "uiPort": port,
        "httpAdminRoot": False,  # headless: no editor
        "nodesDir": str(HOME / "node_modules"),
        "telemetry": {"enabled": False, "updateNotification": False},
        "logging": {"console": {"level": "info"}},
    }
    (directory / "settings.js").write_text(f"module.exports = {orjson.dumps(settings).decode()};\n")
    return [str(program), str(red), "--userDir", str(directory), str(directory / "flows.json")]


def _flow(plant: Plant, url: str, database: str, wide: bool, steady: bool) -> list[dict[str, Any]]:
    at = urlsplit(url)
    nodes: list[dict[str, Any]] = [
        {"id": _FLOW, "type": "tab", "label": "plant"},
        {
            "id": "db",
            "type": "influxdb",
            "hostname": at.hostname,
            "port": str(at.port),
            "protocol": "http",
            "database": database,
            "influxdbVersion": "1.x",
        },
        *_each_second("flush", "batch"),
        _function("batch", _BATCH, "write"),
        _node("write", "influxdb batch", influxdb="db", wires=[]),
        _node("done", "complete", scope=["write"], wires=[["count"]]),
        _function("count", _COUNT.replace("VALUES", str(plant.values if wide else 1))),
        _node("get", "http in", url="/written", method="get", wires=[["tell"]]),
        _function("tell", _TELL, "answer"),
        _node("answer", "http response", wires=[]),
        _function("decode", _DECODE_WIDE if wide else _DECODE),
    ]
    for port in plant.ports:
        nodes += _reading(port, plant, steady)
    return nodes


def _reading(port: int, plant: Plant, steady: bool) -> list[dict[str, Any]]:
    """Return what reads the units behind one port; everything not said is as the palette puts it."""
    answered = ["decode", f"again-{port}"] if steady else ["decode"]
    ask = _ASK.replace("UNITS", str(plant.units)).replace("REGISTERS", str(2 * plant.values))
    client = {
        "id": f"client-{port}",
        "type": "modbus-client",
        "clienttype": "tcp",
        "bufferCommands": True,
        "tcpHost": "127.0.0.1",
        "tcpPort": str(port),
        "tcpType": "DEFAULT",
        "unit_id": "1",
        "commandDelay": "1",
        "clientTimeout": "1000",
        "reconnectOnTimeout": True,
        "reconnectTimeout": "2000",
        "parallelUnitIdsAllowed": True,
        "showWarnings": True,
    }
    return [
        client,
        *_each_second(f"second-{port}", f"ask-{port}", again="" if steady else "1"),
        _function(f"again-{port}", _AGAIN.replace("UNITS", str(plant.units)), f"ask-{port}"),
        _function(f"ask-{port}", ask.replace("PORT", str(port)), f"read-{port}"),
        _node(f"read-{port}", "modbus-flex-getter", server=f"client-{port}", wires=[answered, []]),
    ]


def _each_second(name: str, to: str, again: str = "1") -> list[dict[str, Any]]:
    """Return what begins after the start, once the clients are there, and comes again every second or never."""
    return [_node(name, "inject", props=[{"p": "payload"}], repeat=again, once=True, onceDelay="3", wires=[[to]])]


def _function(name: str, code: str, to: str = "") -> dict[str, Any]:
    return _node(name, "function", func=code, outputs=1, wires=[[to] if to else []])


def _node(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    # Without a place on the sheet it would be taken for a configuration node.
    return {"id": name, "type": kind, "z": _FLOW, "name": name, "x": 100, "y": 100, **fields}
