"""The scripts most people write: pymodbus reads, influxdb-client `Point`s go out. The yardsticks of `make bench`.

`python -m benchmarks.peer_pymodbus JSON`. Every `every_s` (0: as soon as the last round is done) every device is read
with one request, its floats are converted and written synchronously. `"style": "plain"`: one `Point` a value, one write
a device, as in the libraries' own examples. `"style": "careful"`: one `Point` a device with all its fields, one write a
round for all devices. No log, no history, no energy, no CO₂, no recovery. It prints how many values it has written.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import Any

import orjson
from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS, WriteApi
from pymodbus.client import AsyncModbusTcpClient


async def read(client: AsyncModbusTcpClient, unit: int, values: int) -> list[float]:
    answer = await client.read_input_registers(0, count=2 * values, device_id=unit)
    if answer.isError():
        raise RuntimeError(f"unit {unit}: {answer}")
    numbers = client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32)
    assert isinstance(numbers, list)
    return [float(number) for number in numbers]


def point_a_value(device: str, values: list[float], time_ns: int) -> list[Point]:
    return [
        Point("energy").tag("device", device).field(f"v{i}", value).time(time_ns, WritePrecision.NS)
        for i, value in enumerate(values)
    ]


def point_a_device(device: str, values: list[float], time_ns: int) -> list[Point]:
    point = Point("energy").tag("device", device).time(time_ns, WritePrecision.NS)
    for i, value in enumerate(values):
        point.field(f"v{i}", value)
    return [point]


@dataclass
class Script:
    """Round after round over all ports at once; the units behind a port are read in turn."""

    given: dict[str, Any]
    writer: WriteApi
    clients: dict[int, AsyncModbusTcpClient]
    written: int = 0

    async def write(self, points: list[Point]) -> None:
        await asyncio.to_thread(self.writer.write, self.given["bucket"], record=points)

    async def plain(self, port: int) -> list[Point]:
        for unit in range(1, self.given["units"] + 1):
            values = await read(self.clients[port], unit, self.given["values"])
            await self.write(point_a_value(f"{port}-{unit}", values, time.time_ns()))
            self.written += len(values)
        return []

    async def careful(self, port: int) -> list[Point]:
        found: list[Point] = []
        for unit in range(1, self.given["units"] + 1):
            values = await read(self.clients[port], unit, self.given["values"])
            found += point_a_device(f"{port}-{unit}", values, time.time_ns())
        return found

    async def round(self) -> None:
        poll = self.plain if self.given["style"] == "plain" else self.careful
        batch = [point for part in await asyncio.gather(*map(poll, self.clients)) for point in part]
        if batch:
            await self.write(batch)
            self.written += len(batch) * self.given["values"]


async def main(given: dict[str, Any]) -> None:
    with InfluxDBClient(given["url"], token="none", org="bench") as database:
        clients = {port: AsyncModbusTcpClient("127.0.0.1", port=port) for port in given["ports"]}
        for client in clients.values():
            await client.connect()
        script = Script(given, database.write_api(write_options=SYNCHRONOUS), clients)
        due = time.monotonic()
        while True:
            await script.round()
            print(script.written, flush=True)
            due = max(due + given["every_s"], time.monotonic())
            await asyncio.sleep(due - time.monotonic())


if __name__ == "__main__":
    asyncio.run(main(orjson.loads(sys.argv[1])))
