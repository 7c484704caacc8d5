"""Devices and serial servers that send without end: they are hung up on, and little is held or looked at."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

from collectors.dlt645_line import Line
from collectors.modbus_client import Exchange
from collectors.modbus_frames import Read
from collectors.modbus_line import RtuWay, RtuWire
from collectors.modbus_tcp import TcpWire
from config.protocols.dlt645 import Dlt645Connection
from config.protocols.serial import Serial
from pipeline.counters import Counters
from tests.collectors.test_modbus_tcp_fuzz import Deaf, Listener
from tests.hostile.cost import TRAPPED_S, measured

MIB = 1 << 20


def test_modbus_tcp_answers_nobody_asked_for() -> None:
    listener = Listener()
    wire = TcpWire(cast(Any, listener))
    wire.connection_made(cast(Any, Deaf()))
    wire.send(Exchange(cast(Any, None), Read(1, "holding", 0, 1), cast(Any, listener)))
    stray = bytes.fromhex("777700000005010302002a")
    with measured() as cost:
        wire.data_received(stray * (2 * MIB // len(stray)))
    assert [told.what for told in listener.told] == ["rejected"] * 257 + ["broken"]
    assert cost.peak_bytes < 8 * MIB
    assert cost.cpu_s < TRAPPED_S


class Hearing(Listener):
    """A link of a serial line, of which nothing is expected."""

    def refused(self, exchange: Exchange, failure: Any) -> None:
        self.told.append(cast(Any, failure.words))


async def test_a_serial_server_that_sends_without_end() -> None:
    listener = Hearing()
    way = RtuWay(Serial(baudrate=19_200), ("127.0.0.1", 9), 1.0)
    wire = RtuWire(cast(Any, listener), way)
    wire.connection_made(cast(Any, Deaf()))
    read = Read(1, "holding", 0, 125)
    exchange = Exchange(cast(Any, None), read, cast(Any, listener))
    exchange.request, *_ = way.form(read)
    with measured() as cost:
        for _ in range(20):
            wire.data_received(b"\x01\x03\xfa" * 80_000)  # each could be the beginning of the reply
            assert len(wire._buffer) <= 2_048
        wire._quiet_from = 0.0
        wire.send(exchange)
        assert wire._sent
        wire.data_received(b"\x01\x03\xfa" * 80_000)
    assert len(listener.told) == 2
    assert "bytes that are no reply" in str(listener.told[-1])
    assert cost.peak_bytes < 4 * MIB
    assert cost.cpu_s < TRAPPED_S


async def test_a_line_of_meters_that_sends_without_end() -> None:
    counters = Counters()
    said = Dlt645Connection.model_validate({"protocol": "dlt645"})
    line = Line("127.0.0.1", 9, said, counters)
    line._answer = answer = asyncio.get_running_loop().create_future()
    line._since_s = time.monotonic()
    with measured() as cost:
        for _ in range(50):
            line.received(b"\x68" * 250_000)
    assert "faster than the line" in str(answer.exception())
    assert cost.peak_bytes < 4 * MIB
    assert cost.cpu_s < TRAPPED_S
