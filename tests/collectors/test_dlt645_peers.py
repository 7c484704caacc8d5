"""The `dlt645` package from PyPI as peer: our collector reads its server, its client our simulator; TCP and serial."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from dlt645 import Demand, MeterClientService, MeterServerService

from collectors.dlt645_frames import meter_bytes
from config.protocols.serial import Serial
from simulators.serve_dlt645 import Meter, PortLine, TcpLine
from tests.interop import saw
from tests.peers.dlt645_rig import Run, device, point
from tests.services.ports import free_port
from tests.waiting import until, until_sync

AREA = "DL/T 645-2007"
PEER = "dlt645 3.2 (PyPI)"
METER = "123456789012"
# Identifier → quantity, unit, what the meter shows: positive, negative, zero, and all digits.
SHOWN: dict[str, tuple[str, str, float]] = {
    "00010000": ("energy_index", "kWh", 123456.78),
    "00010100": ("energy_index", "kWh", 0.01),
    "00020000": ("energy_index", "kWh", 799999.99),
    "00030000": ("reactive_energy_index", "kvarh", -1234.56),
    "00050000": ("reactive_energy_index", "kvarh", 0.0),
    "02010100": ("voltage", "V", 230.5),
    "02010300": ("voltage", "V", 0.0),
    "02020100": ("current", "A", -4.999),
    "02020300": ("current", "A", 123.456),
    "02030000": ("power", "kW", -5.1234),
    "02030300": ("power", "kW", 79.9999),
    "02040000": ("reactive_power", "kvar", 0.4331),
    "02050000": ("apparent_power", "kVA", 0.5006),
    "02060000": ("power_factor", "1", -0.501),
    "02800002": ("frequency", "Hz", 49.98),
}
DEMANDS = {"01010000": ("power", "kW", 12.3456), "01020000": ("power", "kW", 0.0)}
POINTS = {f"p{data}": point(data, q, unit) for data, (q, unit, _) in (SHOWN | DEMANDS).items()}


def fill(server: MeterServerService) -> None:
    # The peer's own text form of an address is in reverse; in bytes it takes it as it goes over the wire.
    server.set_address(meter_bytes(METER))
    for data, (_, _, value) in SHOWN.items():
        (server.set_00 if data.startswith("00") else server.set_02)(int(data, 16), value)
    for data, (_, _, value) in DEMANDS.items():
        server.set_01(int(data, 16), Demand(value, datetime(2026, 7, 23, 11, 30)))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Both ends of a serial line."""
    ends = str(tmp_path / "a"), str(tmp_path / "b")
    socat = subprocess.Popen(["socat", *(f"pty,raw,echo=0,link={end}" for end in ends)])
    try:
        until_sync(lambda: all(Path(end).exists() for end in ends), what="a pair of socat's")
        yield ends
    finally:
        socat.terminate()
        socat.wait(300)


async def read_all(run: Run) -> int:
    """Wait for every point and compare it; return how many values were equal."""
    keys = {data: f"m1.p{data}.{quantity}" for data, (quantity, *_) in (SHOWN | DEMANDS).items()}
    async with run:
        await until(lambda: all(len(run.values(key)) >= 2 for key in keys.values()))
    for data, key in keys.items():
        assert set(run.values(key)) == {(SHOWN | DEMANDS)[data][2]}, data
    return sum(len(run.values(key)) for key in keys.values())


async def test_its_server_over_tcp_is_read() -> None:
    port = free_port()
    server = MeterServerService.new_tcp_server("127.0.0.1", port)
    fill(server)
    assert await asyncio.to_thread(server.start)
    try:
        equal = await read_all(Run([device("1", f"127.0.0.1:{port}/{METER}", POINTS)], timeout_s=10, every_s=2.0))
    finally:
        assert await asyncio.to_thread(server.stop)
    saw(AREA, PEER, "its server over TCP: energies, demands, variables, signs", f"{equal} values equal")


async def test_its_server_on_a_serial_line_is_read(pair: tuple[str, str]) -> None:
    server = MeterServerService.new_rtu_server(pair[1], 8, 1, 2_400, "N", 5.0)
    fill(server)
    assert await asyncio.to_thread(server.start)
    try:
        serial = {"port": pair[0], "baudrate": 2_400, "parity": "N"}
        equal = await read_all(Run([device("1", METER, POINTS)], serial=serial, timeout_s=10, every_s=2.0))
    finally:
        assert await asyncio.to_thread(server.stop)
    saw(AREA, PEER, "its server on a serial line (socat pair, 2,400 baud)", f"{equal} values equal")


async def test_what_its_server_does_not_have_is_an_exception_and_nothing_else() -> None:
    port = free_port()
    server = MeterServerService.new_tcp_server("127.0.0.1", port)
    fill(server)
    assert await asyncio.to_thread(server.start)
    points = {"there": point("02010100", "voltage", "V"), "not": point("02010700", "voltage", "V")}
    try:
        async with (run := Run([device("1", f"127.0.0.1:{port}/{METER}", points)], timeout_s=10)):
            await until(lambda: len(run.values("m1.there.voltage")) >= 2)
            assert run.counters.links["m1.meter"] == "02010700: error 02H (no such data)"
    finally:
        assert await asyncio.to_thread(server.stop)
    saw(AREA, PEER, "its server's refusal of an unknown identifier", "a gap row with its cause, the others stand")


def ask(client: MeterClientService) -> tuple[str, dict[str, object]]:
    """Return the address it is told, and what its client makes of each answer."""
    assert client.connect()
    try:
        client.address = bytearray(meter_bytes(METER))
        told = client.read_address()
        found: dict[str, object] = {}
        for data in SHOWN:
            item = (client.read_00 if data.startswith("00") else client.read_02)(int(data, 16))
            found[data] = item.value if item else None
        for data in DEMANDS:
            item = client.read_01(int(data, 16))
            found[data] = item.value.value if item else None
        assert client.read_02(0x02010200) is None  # not there: refused
        assert client.write_04(0x04000101, "26072304", "00000000") is None
        return bytes(client.address).hex() if told is None else str(told.value), found
    finally:
        client.disconnect()


def simulated() -> Meter:
    """Return a meter of our simulator that shows the same."""
    from config.points import Point
    from simulators.meter_items import MeterItems

    made = Meter(METER)
    readings = {f"p{data}": value for data, (_, _, value) in (SHOWN | DEMANDS).items()}
    points = {name: Point.model_validate(given | {"kind": "gauge"}) for name, given in POINTS.items()}
    made.items = MeterItems(points, made).encode(readings, 1_784_806_200_000_000_000)
    return made


@pytest.mark.writes("the peer's client writes on purpose, and is refused")
async def test_its_client_reads_our_meter_over_tcp() -> None:
    async with TcpLine() as line:
        line.meters[METER] = simulated()
        client = MeterClientService.new_tcp_client("127.0.0.1", line.port, 10.0)
        _, found = await asyncio.to_thread(ask, client)
        assert [attempt.command for attempt in line.write_attempts] == [0x14]
    assert found == {data: value for data, (_, _, value) in (SHOWN | DEMANDS).items()}
    saw(AREA, PEER, "its client on our simulator over TCP; its write is refused", f"{len(found)} values equal")


@pytest.mark.writes("the peer's client writes on purpose, and is refused")
async def test_its_client_reads_our_meter_on_a_serial_line(pair: tuple[str, str]) -> None:
    async with PortLine(Serial(port=pair[1], baudrate=2_400, parity="N")) as line:
        line.meters[METER] = simulated()
        client = MeterClientService.new_rtu_client(pair[0], 2_400, 8, 1, "N", 10.0)
        _, found = await asyncio.to_thread(ask, client)
    assert found == {data: value for data, (_, _, value) in (SHOWN | DEMANDS).items()}
    saw(AREA, PEER, "its client on our simulator, serial line (socat pair, 2,400 baud)", f"{len(found)} values equal")
