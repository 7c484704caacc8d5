"""Meters that answer as told, on a line over TCP; and DL/T 645 devices as bound from a configuration."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from collectors.dlt645 import Dlt645Collector
from config.bindings import BoundDevice
from config.protocols.dlt645 import Dlt645Connection
from pipeline.counters import Counters
from simulators.serve_dlt645 import Meter, TcpLine
from tests.collectors.driving import Driven, bound, ids_of, origin

ENERGY, VOLTAGE, POWER = "00010000", "02010100", "02030000"
SHOWN = {
    ENERGY: bytes.fromhex("78563412"),
    VOLTAGE: bytes.fromhex("0523"),
    POWER: bytes.fromhex("341285"),
    "0201FF00": bytes.fromhex("0523 1523 2523"),
    "01010000": bytes.fromhex("452301 3011230726"),
}


class OddMeter(Meter):
    """A meter whose answers pass through `twist` on their way; b"" is silence."""

    twist: Callable[[bytes, bytes], bytes] | None = None

    def answer(self, command: int, data: bytes) -> bytes:
        answer = super().answer(command, data)
        return self.twist(answer, data) if self.twist else answer


def meter(digits: str = "1", items: Mapping[str, bytes] = SHOWN) -> OddMeter:
    return OddMeter(digits.zfill(12), items)


def point(data: str, quantity: str = "power", unit: str = "kW", **place: Any) -> dict[str, Any]:
    return {"quantity": quantity, "unit": unit, "dlt645": {"data": data, **place}}


ALL = {
    "energy": point(ENERGY, "energy_index", "kWh"),
    "voltage": point(VOLTAGE, "voltage", "V"),
    "power": point(POWER),
}


def device(digits: str, address: str, points: dict[str, dict[str, Any]] | None = None, **more: Any) -> BoundDevice:
    return bound("meter", points or ALL, asset=f"m{digits}", address=address, **more)


class Run(Driven):
    """A DL/T 645 collector at work, with its counters."""

    def __init__(self, devices: Sequence[BoundDevice], **manners: Any) -> None:
        ids = ids_of(devices)
        self.counters = Counters()
        connection = Dlt645Connection.model_validate(
            {"protocol": "dlt645", "every_s": 0.3, "timeout_s": 2.0, "serial": {"baudrate": 115_200}, **manners}
        )
        self.collector = Dlt645Collector(origin(), connection, devices, ids, self.counters)
        super().__init__(self.collector, ids)


@asynccontextmanager
async def reading(
    meters: Sequence[Meter], *devices: dict[str, Any], **manners: Any
) -> AsyncIterator[tuple[Run, TcpLine]]:
    """Serve `meters` on one line and read each; `devices` are points or more of each, in the same order."""
    async with TcpLine() as line:
        line.meters = {m.digits: m for m in meters}
        more = [*devices, *({} for _ in meters[len(devices) :])]
        read = [
            device(m.digits.lstrip("0"), f"127.0.0.1:{line.port}/{m.digits}", **given)
            for m, given in zip(meters, more, strict=True)
        ]
        async with (run := Run(read, **manners)):
            yield run, line
