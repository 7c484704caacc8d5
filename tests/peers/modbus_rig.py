"""Points and servers in; a running Modbus collector and the rows it yields out."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from collectors.modbus import ModbusCollector
from config.bindings import BoundDevice, series_key
from config.model import Asset, Device
from config.points import Point, Template
from config.protocols.modbus import ModbusConnection, ModbusDefaults
from pipeline.batch import Batch
from pipeline.clock import Clock
from pipeline.counters import Counters
from pipeline.gaps import Gap, gap_key
from pipeline.ports import Origin
from tests.services.ports import free_port

Answer = bytes | None
Handler = Callable[[int, int, int, int], Answer]


def bound(
    name: str,
    address: str,
    points: Mapping[str, dict[str, Any]],
    *,
    every_s: float | None = None,
    template: Mapping[str, Any] | None = None,
) -> BoundDevice:
    """Return a device whose points are given as their `modbus:` blocks; `template` sets limits and orders."""
    made = {n: Point(quantity="count", unit="1", modbus=p) for n, p in points.items()}
    device = Device(connection="floor", address=address, every_s=every_s, points=made)
    whole = None
    if template is not None:
        whole = Template(
            id="rig",
            vendor="-",
            model="-",
            protocol="modbus",
            source=("test",),
            confidence="-",
            points=made,
            **template,
        )
    return BoundDevice("hall", name, Asset(type="meter", devices={"meter": device}), "meter", device, whole, made)


def defaults(**orders: str) -> ModbusDefaults:
    return ModbusDefaults.model_validate(orders)


def ids_of(devices: Sequence[BoundDevice]) -> dict[str, int]:
    keys: list[str] = []
    for device in devices:
        keys += [series_key(device.asset_name, n, p.quantity) for n, p in device.points.items()]
        keys.append(gap_key(device.asset_name, device.name))
    return {key: i for i, key in enumerate(keys)}


class Run:
    """A collector at work and all it has yielded; `commit_s` is how long each batch is 'committed'."""

    def __init__(self, devices: Sequence[BoundDevice], **manners: Any) -> None:
        self.devices = devices
        self.ids = ids_of(devices)
        self.names = {i: key.rsplit(".", 1)[0] for key, i in self.ids.items()}
        self.counters = Counters()
        self.batches: list[Batch] = []
        self.commit = asyncio.Event()
        self.commit.set()
        connection = ModbusConnection(**{"protocol": "modbus", "every_s": 0.1, "timeout_s": 0.2, **manners})
        self.collector = ModbusCollector(Origin("floor", 1, Clock()), connection, devices, self.ids, self.counters)

    async def pump(self) -> None:
        async for batch in self.collector.batches():
            self.batches.append(batch)
            await self.commit.wait()

    def rows(self, name: str) -> list[tuple[int, int, float, int]]:
        """Return (time_ns, span_ns, value, quality) of `asset.point`, in the order they came."""
        return [
            (int(b.time_ns[i]), int(b.span_ns[i]), float(b.value[i]), int(b.quality[i]))
            for b in self.batches
            for i in range(len(b))
            if self.names[int(b.series[i])] == name
        ]

    def values(self, name: str) -> list[float]:
        return [value for _, _, value, _ in self.rows(name)]

    def gaps(self, asset: str) -> list[int]:
        """Return the gap codes of an asset's meter, in order, without the cycles a busy test machine misses."""
        told: list[int] = []
        for code in self.values(f"{asset}.meter-gap"):
            if code != Gap.MISSED and not (told and told[-1] == code == Gap.NONE):
                told.append(int(code))
        return told


@asynccontextmanager
async def running(devices: Sequence[BoundDevice], **manners: Any) -> AsyncIterator[Run]:
    run = Run(devices, **manners)
    async with run.collector:
        pump = asyncio.create_task(run.pump())
        try:
            yield run
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)


def frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    return struct.pack(">HHHB", transaction, 0, 1 + len(pdu), unit) + pdu


def registers(function: int, values: Sequence[int]) -> bytes:
    """Return the PDU of a good reply with these registers."""
    return struct.pack(f">BB{len(values)}H", function, 2 * len(values), *values)


class Server:
    """A server that answers as told: `handle(unit, function, address, length)` → PDU, or None for silence.

    `requests` keeps every byte sequence clients sent; `raw`, when set, replaces the whole answer.
    """

    def __init__(self, handle: Handler) -> None:
        self.handle = handle
        self.raw: Callable[[bytes], bytes] | None = None
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = free_port()  # the same again after a stop
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                request = await reader.readexactly(12)
                self.requests.append(request)
                writer.write(self._reply(request))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _reply(self, request: bytes) -> bytes:
        if self.raw is not None:
            return self.raw(request)
        transaction, _, _, unit, function, address, length = struct.unpack(">HHHBBHH", request)
        pdu = self.handle(unit, function, address, length)
        return b"" if pdu is None else frame(transaction, unit, pdu)


@asynccontextmanager
async def serving(handle: Handler) -> AsyncIterator[Server]:
    server = Server(handle)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def counting(unit: int, function: int, address: int, length: int) -> bytes:
    """Answer every register with its own address."""
    return registers(function, range(address, address + length))
