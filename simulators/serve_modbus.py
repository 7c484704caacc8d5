"""Register images enter, answers to Modbus TCP reads leave: many units on one port, never a write.

`python -m simulators.serve_modbus --ports 4 --units 250` serves plain moving floats as a load for benchmarks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import struct
from collections import Counter, deque
from collections.abc import Mapping
from typing import Final, NamedTuple, cast

import numpy as np

from simulators.faults import Link
from simulators.line_ends import Listening
from simulators.registers import Block, Image

log = logging.getLogger("tanflow.simulators.modbus")

_HEADER: Final = struct.Struct(">HHHBB")  # transaction, protocol, length, unit, function
_READ: Final = struct.Struct(">HH")  # address, count
_TABLES: Final = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_WRITES: Final = frozenset({5, 6, 15, 16, 21, 22, 23})
_LONGEST: Final = 254  # of what the header's length counts: unit + PDU
# Modbus Application Protocol V1.1b3 §7
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, BUSY, TARGET_SILENT = 1, 2, 3, 6, 11


class WriteAttempt(NamedTuple):
    """A request that would have changed a device."""

    unit: int
    function: int
    data: bytes


class Unit:
    """One device behind a port; `image` is replaced as a whole, `link` says how it answers."""

    def __init__(self, image: Image | None = None, max_registers: int = 125) -> None:
        self.max_registers = max_registers
        self.link: Link | None = None
        self.blocks: dict[int, Block] = {}
        if image is not None:
            self.show(image)

    def show(self, image: Image) -> None:
        """Show `image` from now on."""
        self.blocks = {function: image[table] for function, table in _TABLES.items() if table in image}

    def read(self, function: int, address: int, count: int) -> bytes:
        """Return the PDU that answers a read of `count` registers or bits, an exception included."""
        bits = function < 3
        if not 0 < count <= (2_000 if bits else self.max_registers):
            return bytes((function | 0x80, ILLEGAL_VALUE))
        block = self.blocks.get(function)
        if block is None or address < block.first or address + count > block.end:
            return bytes((function | 0x80, ILLEGAL_ADDRESS))
        at = address - block.first
        if not bits:
            data = block.data[2 * at : 2 * (at + count)]
        else:
            data = np.packbits(np.frombuffer(block.data, np.uint8, count, at), bitorder="little").tobytes()
        return bytes((function, len(data))) + data


class Bank:
    """Units at one place, however they are reached.

    Function codes 1-4 are answered. Anything else gets exception 1; what would have been a write is kept in
    `write_attempts`. `requests` counts all of them by function code, `asked` by unit.
    """

    def __init__(self, units: Mapping[int, Unit] | None = None) -> None:
        self.units: dict[int, Unit] = dict(units or {})
        self.requests: Counter[int] = Counter()
        self.asked: Counter[int] = Counter()
        self.write_attempts: deque[WriteAttempt] = deque(maxlen=10_000)

    def pdu(self, unit: Unit | None, number: int, function: int, body: bytes) -> bytes:
        """Return the answer to one request as a PDU, as if no fault were on."""
        self.requests[function] += 1
        self.asked[number] += 1
        if function in _WRITES:
            self.write_attempts.append(WriteAttempt(number, function, body))
            log.warning("write attempt on unit %d, function %d", number, function)
        if unit is None:
            return bytes((function | 0x80, TARGET_SILENT))
        if function not in _TABLES:
            return bytes((function | 0x80, ILLEGAL_FUNCTION))
        if len(body) != 4:
            return bytes((function | 0x80, ILLEGAL_VALUE))
        return unit.read(function, *_READ.unpack(body))


class _Connection(asyncio.Protocol):
    def __init__(self, server: ModbusServer) -> None:
        self.server = server
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if self.rest:
            data = self.rest + data
        at, size = 0, len(data)
        while size - at >= 8:
            transaction, protocol, length, unit, function = _HEADER.unpack_from(data, at)
            if protocol or not 2 <= length <= _LONGEST:
                self.transport.abort()  # not Modbus, and no way to find the next request
                return
            end = at + 6 + length
            if end > size:
                break
            self.answer(transaction, unit, function, data[at + 8 : end])
            at = end
        self.rest = data[at:]

    def answer(self, transaction: int, number: int, function: int, body: bytes) -> None:
        unit = self.server.units.get(number)
        pdu = self.server.pdu(unit, number, function, body)
        frame = struct.pack(">HHHB", transaction, 0, len(pdu) + 1, number) + pdu
        link = unit.link if unit else None
        if link is None:
            self.transport.write(frame)
        elif link.drop == "close":
            self.transport.abort()
        elif not link.drop:
            if link.exception:
                frame = frame[:4] + bytes((0, 3, number, function | 0x80, link.exception))
            frame = link.garbage or frame
            asyncio.get_running_loop().call_later(link.lag_s, self.late, frame)

    def late(self, frame: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(frame)


class ModbusServer(Bank, Listening):
    """Modbus TCP units on one host and port; port 0 takes a free one, known after entering.

    A unit that does not exist gets exception 11, as behind a gateway.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, units: Mapping[int, Unit] | None = None) -> None:
        Bank.__init__(self, units)
        Listening.__init__(self, host, port)

    def _accepted(self) -> asyncio.Protocol:
        return _Connection(self)


async def serve_load(host: str, ports: int, units: int, registers: int, every_s: float) -> None:
    """Serve `ports` × `units` devices of `registers`/2 float32 input registers that drift; print the ports as JSON."""
    count = registers // 2
    rng = np.random.default_rng(1)
    values = rng.uniform(10.0, 500.0, (ports * units, count)).astype(">f4")
    servers = [ModbusServer(host, 0, {u + 1: Unit() for u in range(units)}) for _ in range(ports)]
    for server in servers:
        await server.__aenter__()
    print(json.dumps({"ports": [server.port for server in servers]}), flush=True)
    everyone = [unit for server in servers for unit in server.units.values()]
    while True:
        values[:] = values * rng.uniform(0.999, 1.001, values.shape)
        data, size = values.tobytes(), 4 * count
        for i, unit in enumerate(everyone):
            unit.show({"input": Block(0, 2 * count, data[i * size : (i + 1) * size])})
        await asyncio.sleep(every_s)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve many Modbus TCP units of moving float32 input registers.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--ports", type=int, default=4)
    parser.add_argument("--units", type=int, default=250, help="on each port, at most 247")
    parser.add_argument("--registers", type=int, default=124)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between new values")
    given = parser.parse_args()
    import uvloop  # here: tests and the demo bring their own loop

    uvloop.run(serve_load(given.host, given.ports, given.units, given.registers, given.every))


if __name__ == "__main__":
    main()
