"""Dead letters and the commissioning view: what came and was not taken, and what devices said last, raw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.log.writer import DeadLetter, Entry
from tests.tanflow.asked_plant import asked_plant
from tests.tanflow.factory import read_factory
from tests.waiting import until

NOW_S = 3_600.0


async def test_dead_letters_come_newest_first_with_their_number_by_reason(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        letters = [
            DeadLetter(n, "collector.broker", f"plant/{n}", "neither JSON nor a number", b"\xff" * n) for n in range(70)
        ]
        letters.append(DeadLetter(99, "sink.db", "energy", "field type conflict", b"energy power=1i"))
        await plant.gateway.log.append(Entry(dead=letters))
        found = await plant.get("/api/deadletters?limit=2")
        assert (found["total"], len(found["letters"])) == (71, 2)
        first, second = found["letters"]
        assert (first["component"], first["source"], first["reason"]) == ("sink.db", "energy", "field type conflict")
        assert bytes.fromhex(first["raw_hex"]) == b"energy power=1i"
        assert (len(second["raw_hex"]) // 2, second["bytes"]) == (64, 69)
        assert [(t["component"], t["count"]) for t in found["totals"]] == [("collector.broker", 70), ("sink.db", 1)]


async def test_no_letters_are_an_empty_list(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        assert await plant.get("/api/deadletters") == {"letters": [], "total": 0, "totals": []}
        answer = await plant.client.get("/api/deadletters?limit=100000")
        assert (answer.status_code, "more than 1000" in answer.json()["error"]) == (400, True)


async def test_before_a_device_said_anything_nothing_is_shown(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        found = await plant.get("/api/commissioning?device=main.m")
        assert found["blocks"] == []
        assert {(p["raw_hex"], p["value"], tuple(p["readings"])) for p in found["points"]} == {(None, None, ())}
        answer = await plant.client.get("/api/commissioning?device=main.meter")
        assert (answer.status_code, "name it asset.device" in answer.json()["error"]) == (400, True)


async def test_what_devices_of_every_protocol_said_last_is_shown_raw(tmp_path: Path) -> None:
    keys = ("compressor-1.power.power", "furnace-1.furnace_temperature.temperature", "pv-1.power.power")
    async with read_factory(tmp_path, *keys) as (gateway, client):
        await until(
            lambda: all(gateway.latest.value[gateway.table.ids[key]] > 0 for key in keys), 30, "running machines"
        )
        for of_protocol in (_modbus, _opcua, _mqtt):
            await of_protocol(client)


async def _said(client: httpx.AsyncClient, device: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    answer = await client.get("/api/commissioning", params={"device": device})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found, {point["name"]: point for point in found["points"]}


async def _modbus(client: httpx.AsyncClient) -> None:
    found, points = await _said(client, "compressor-1.meter")
    assert found["protocol"] == "modbus"
    assert all(block["age_s"] < 60 for block in found["blocks"])
    words = {
        block["address"] + n: word
        for block in found["blocks"]
        if block["function"] == "input"
        for n, word in enumerate(block["words"])
    }
    power = points["power"]
    address = power["address"]
    assert words[address] + words[address + 1][2:] == f"0x{power['raw_hex']}"
    (configured,) = [r for r in power["readings"] if r["configured"]]
    assert (configured["type"], configured["order"], configured["offset"]) == ("float32", "ABCD", 0)
    assert configured["value"] == power["value"]
    assert power["canonical"] == pytest.approx(power["value"] / 1_000, rel=0.5)  # W and kW, seconds apart
    assert {r["offset"] for point in points.values() for r in point["readings"]} == {-1, 0, 1}


async def _opcua(client: httpx.AsyncClient) -> None:
    found, points = await _said(client, "furnace-1.plc")
    temperature = points["furnace_temperature"]
    assert (found["protocol"], temperature["node"]) == ("opcua", "ns=2;s=furnace-1.temperature")
    assert (temperature["type"], temperature["status"]) == ("Double", "Good")
    assert float(temperature["raw"]) == temperature["value"] > 0
    assert temperature["source_ns"] > 0


async def _mqtt(client: httpx.AsyncClient) -> None:
    found, points = await _said(client, "pv-1.inverter")
    (message,) = found["messages"]
    assert message["topic"] == "dongguan-1/pv-1"
    assert '"power_kw"' in message["payload"]
    paths = {reading["path"]: reading for reading in points["power"]["readings"]}
    assert paths["power_kw"]["configured"]
    assert paths["power_kw"]["raw"] == points["power"]["value"]
    assert not paths["energy_kwh"]["configured"]
