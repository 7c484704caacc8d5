"""Recorded devices give the values of the SunSpec Alliance's own client; no chain, however hostile, is without end."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.modbus_ask import Answer, Asker, asker
from collectors.modbus_frames import Failure, Read
from collectors.modbus_plan import compile_plan, place
from collectors.sunspec import Found, device_map, discover, points_of
from config.errors import Rejected, Unavailable
from config.points import DeviceMap
from config.quantities import conversion
from config.sunspec import load_models
from pipeline.gaps import Gap
from simulators.registers import Block, RegisterMap
from simulators.serve_modbus import ModbusServer, Unit
from tests.interop import saw

DATA = Path(__file__).parents[1] / "data" / "sunspec"
RECORDED = sorted(p.stem for p in DATA.glob("*.txt"))
PEER: dict[str, dict[str, dict[str, Any]]] = json.loads((DATA / "pysunspec2.json").read_text())
BASE = 40_000


def recorded(name: str) -> dict[int, int]:
    words: dict[int, int] = {}
    for line in (DATA / f"{name}.txt").read_text().splitlines():
        if not line.startswith("#"):
            start, row = line.split(":")
            words |= {int(start) + n: int(word, 16) for n, word in enumerate(row.split())}
    return words


@asynccontextmanager
async def asking(words: Mapping[int, int]) -> AsyncIterator[Asker]:
    """Serve words over Modbus TCP and yield who may ask for them; what lies between them is 0."""
    first, end = min(words), max(words) + 1
    data = b"".join(struct.pack(">H", words.get(a, 0)) for a in range(first, end))
    server = ModbusServer(units={1: Unit({"holding": Block(first, end, data)})})
    async with server, asker("127.0.0.1", server.port, None, 30.0, rtu=False) as way:
        yield way


async def found_in(words: Mapping[int, int]) -> Found:
    async with asking(words) as way:
        return await discover(way, 1)


@pytest.mark.parametrize("name", RECORDED)
async def test_a_recorded_device_shows_what_the_alliances_client_decodes(name: str) -> None:
    found = await found_in(recorded(name))
    known = {str(m.number): m for m in found.models if str(m.number) in PEER[name]}
    assert set(known) == set(PEER[name])
    assert found.about == dict(zip(("maker", "model", "version", "serial"), PEER[name]["1"].values(), strict=True))
    shown = {r.point.modbus.address: r for r in points_of(found) if r.point.modbus}
    compared = 0
    for number, values in PEER[name].items():
        for where, expected in values.items() if number != "1" else ():
            reading = shown.get(known[number].address + int(where.split()[0]))
            if reading is not None:
                compared += 1
                expected = None if expected == 0 and "Tot" in where else expected  # an accumulator of 0 is none
                assert reading.value == pytest.approx(math.nan if expected is None else expected, nan_ok=True), where
    assert compared >= 25
    saw("SunSpec", "pysunspec2 1.3.7 (SunSpec Alliance)", f"registers recorded of {name}", f"{compared} values equal")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("solaredge_se33k", {"power": 24.767, "power_factor": -0.9987, "energy_export": 17534.384, "dc_power": 25.144}),
        (
            "veris_e51c2",
            {"power": 6.54, "power_factor": 0.9925, "energy_import": 906.63, "apparent_energy_export": 0.22},
        ),
    ],
)
async def test_units_are_those_solarnetwork_expects(name: str, values: dict[str, float]) -> None:
    """Power factor: SolarEdge shows percent by 10^-2, Veris a fraction by 10^-4; kW and kWh are canonical."""
    shown = {r.name: r for r in points_of(await found_in(recorded(name)))}
    for point, expected in values.items():
        scale, offset = conversion(shown[point].point.unit, shown[point].point.quantity)
        assert shown[point].value * scale + offset == pytest.approx(expected)


@pytest.mark.parametrize("name", RECORDED)
async def test_the_device_map_reads_the_device(name: str) -> None:
    """What is pasted under templates: gives the values that discovery showed, in one or two reads."""
    words = recorded(name)
    found = await found_in(words)
    title, block = device_map(found)
    assert title.startswith("sunspec_")
    template = DeviceMap.model_validate(yaml.safe_load(yaml.safe_dump(block)))
    spots = [place(p.modbus, template.modbus) for p in template.points.values() if p.modbus]
    plan = compile_plan(spots, template.max_registers, template.max_gap)
    assert len(plan.blocks) <= 2
    expected = {r.name: r.value for r in points_of(found)}
    names = list(template.points)
    for read in plan.blocks:
        raw = b"".join(struct.pack(">H", words.get(a, 0)) for a in range(read.address, read.address + read.count))
        values, quality = read.decode(np.frombuffer(raw, np.uint8)[np.newaxis])
        assert not quality.any()
        assert values[0].tolist() == [expected[names[i]] for i in read.points]


async def test_what_is_simulated_by_the_device_map_comes_back() -> None:
    """The simulated meter's scale registers follow its values; a chain is laid around what it shows."""
    words = recorded("veris_e51c2")
    _, block = device_map(await found_in(words))
    template = DeviceMap.model_validate(block)
    power = {"power": 1234.5, "power_l1": 411.5, "power_l2": 411.5, "power_l3": 411.5}
    readings = power | {"voltage_l1_n": 230.1, "frequency": 49.98, "energy_import": 123456.0, "current_l1": 1800.0}
    image = RegisterMap(template.points, template.modbus).encode(readings)["holding"]
    served = dict(enumerate(struct.unpack(f">{len(image.data) // 2}H", image.data), image.first))
    chain = {a: w for a, w in words.items() if a < 40_071 or a >= 40_176}
    shown = {r.name: r for r in points_of(await found_in(chain | served))}
    for name, value in readings.items():
        point = shown[name].point
        assert shown[name].value * conversion(point.unit, point.quantity)[0] == pytest.approx(value, rel=2e-4), name


async def test_two_meters_behind_an_inverter_are_told_apart() -> None:
    inverter, meter = recorded("solaredge_se33k"), recorded("veris_e51c2")
    words = {a: w for a, w in inverter.items() if a < 40_121}
    for start in (40_121, 40_228):
        words |= {start + n: meter.get(40_069 + n, 0) for n in range(107)}
    found = await found_in(words | {40_335: 0xFFFF, 40_336: 0})
    assert [m.number for m in found.models] == [1, 103, 203, 203]
    _, block = device_map(found)
    assert {"power", "meter_power", "meter_2_power"} <= set(block["points"])
    assert block["points"]["meter_2_power"]["modbus"]["address"] == 40_228 + 18


@pytest.mark.parametrize("base", [0, 50_000])
async def test_a_map_may_begin_elsewhere(base: int) -> None:
    found = await found_in({a - BASE + base: w for a, w in recorded("veris_e51c2").items()})
    assert (found.base, [m.address for m in found.models], found.flaw) == (base, [base + 2, base + 69], "")


async def test_a_unit_without_a_map_is_refused_with_a_sentence() -> None:
    with pytest.raises(Rejected, match=r"unit 1 shows no SunSpec map \(no 'SunS' at holding 40000, 50000, 0\)"):
        await found_in({40_000: 1, 40_001: 2, 0: 0})


class Memory:
    """Words that answer whatever is asked, the rest with exception 2; counts what was asked."""

    def __init__(self, words: Mapping[int, int]) -> None:
        self.words = words
        self.asked: list[Read] = []

    async def ask(self, read: Read) -> Answer:
        self.asked.append(read)
        wanted = range(read.address, read.address + read.length)
        if not all(a in self.words for a in wanted):
            return Answer(b"", Failure(Gap.EXCEPTION, f"{read}: exception 2"), 0.0)
        return Answer(b"".join(struct.pack(">H", self.words[a]) for a in wanted), None, 0.0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 101, 103, 113, 203, 50, 105, 66, 0x8000, 0xFFFE, 0xFFFF]), max_size=700))
async def test_any_chain_comes_to_an_end(tail: list[int]) -> None:
    """Whatever follows "SunS": bounded reads within the limits, and a reason where there is no end mark."""
    memory = Memory(dict(enumerate([0x5375, 0x6E53, *tail], BASE)))
    found = await discover(memory, 1)
    assert len(found.models) <= 100
    assert len(memory.asked) <= 1 + 101 + 3 * 100
    assert all(1 <= r.length <= 125 and r.address + r.length <= 65_536 and r.table == "holding" for r in memory.asked)
    assert all(a.address + 2 + a.length == b.address for a, b in zip(found.models, found.models[1:], strict=False))
    list(points_of(found))


async def test_what_a_device_calls_itself_cannot_steer_a_terminal() -> None:
    words = recorded("veris_e51c2") | {40_004: 0x1B5B, 40_005: 0x324A}  # ESC [2J clears a screen
    found = await discover(Memory({a: words.get(a, 0) for a in range(BASE, 40_178)}), 1)
    assert found.about["maker"].startswith("\\x1b[2J")
    assert "\x1b" not in str(device_map(found))


async def test_a_chain_without_end_says_so() -> None:
    endless = Memory(dict.fromkeys(range(BASE, 50_000), 7) | {BASE: 0x5375, BASE + 1: 0x6E53})
    found = await discover(endless, 1)
    assert (len(found.models), found.flaw) == (100, "more than 100 models, and still no end")
    with pytest.raises(Rejected, match=r"none of the models can be read here: 7$"):
        device_map(found)
    beyond = Memory({BASE: 0x5375, BASE + 1: 0x6E53, BASE + 2: 103, BASE + 3: 0xFFFF})
    assert "has 65535 registers, which is beyond 65535" in (await discover(beyond, 1)).flaw


async def test_a_slow_chain_is_followed_for_a_while_only() -> None:
    """Every answer takes 1.5 s on the given clock; the last request is made before the time is over, none after."""
    now, told = [0.0], []

    class Slow(Memory):
        async def ask(self, read: Read) -> Answer:
            now[0] += 1.5
            return await super().ask(read)

    slow = Slow(dict.fromkeys(range(BASE, 50_000), 7) | {BASE: 0x5375, BASE + 1: 0x6E53})
    found = await discover(slow, 1, 20.0, told.append, lambda: now[0])
    assert (len(slow.asked), len(found.models), found.flaw) == (14, 13, "no end within 20 s")
    assert tuple(told) == found.models


async def test_a_device_map_names_a_bounded_number_of_models() -> None:
    words = recorded("veris_e51c2")
    end = next(a for a in range(BASE + 2, BASE + 2_000) if words.get(a) == 0xFFFF and words.get(a + 1) == 0)
    chain = {a: w for a, w in words.items() if a < end} | dict.fromkeys(range(end, end + 400), 7)
    found = await discover(Memory({a: chain.get(a, 0) for a in range(BASE, max(chain) + 1)}), 1)
    assert len(found.models) > 40
    notes = device_map(found)[1]["notes"]
    assert f" and {len(found.models) - 20} more" in notes


async def test_a_silent_unit_is_unavailable() -> None:
    class Silent:
        async def ask(self, read: Read) -> Answer:
            return Answer(b"", Failure(Gap.TIMEOUT, f"{read}: no answer within 1 s"), 1.0)

    with pytest.raises(Unavailable, match="unit 1: holding 40000–40001: no answer within 1 s"):
        await discover(Silent(), 1)


def test_models_are_complete_and_stay_within_their_length() -> None:
    models = load_models()
    assert {101, 102, 103, 111, 112, 113, 201, 202, 203, 204, 211, 212, 213, 214} == set(models)
    for one in models.values():
        for name, point in one.points.items():
            assert point.modbus is not None
            first, last = 2, 2 + one.length
            assert first <= point.modbus.address < point.modbus.address + point.modbus.registers <= last, name
            assert point.modbus.span <= 125, name
