"""Bytes a Modbus TCP server sends: the wire makes of them what a slow second reader makes; all replies decode."""

from __future__ import annotations

from itertools import product
from typing import Any, Final, cast

import numpy as np

from collectors.modbus_client import Exchange
from collectors.modbus_frames import BITS, Read
from collectors.modbus_plan import Place, compile_plan
from collectors.modbus_tcp import TcpWire
from config.protocols.modbus import REGISTERS, Order
from tests.collectors.test_modbus_tcp_fuzz import Deaf, Listener, second_reader

LARGEST: Final = 1_200
_TABLES: Final = ("coil", "discrete", "holding", "input")
_TRANSACTION: Final = b"\x00\x01"
_ORDERS: Final[tuple[Order, ...]] = ("big", "little")
_BLOCKS: Final = [
    compile_plan([Place("holding", 0, words, cast(Any, kind), word, byte, None, (0,))]).blocks[0]
    for (kind, words), word, byte in product(REGISTERS.items(), _ORDERS, _ORDERS)
    if kind != "bool"
]


def target(data: bytes) -> None:
    """The first four bytes choose what was asked and how the rest is cut on its way."""
    if len(data) < 4:
        return
    table: Any = _TABLES[data[0] % 4]
    count = 1 + data[1] * 8 % (2_000 if table in BITS else 125)
    read, cut, stream = Read(data[2], table, 0, count), 1 + data[3], data[4:]
    listener = Listener()
    wire = TcpWire(cast(Any, listener))
    wire.connection_made(cast(Any, Deaf()))
    wire.send(Exchange(cast(Any, None), read, cast(Any, listener)))
    for at in range(0, len(stream), cut):
        if not listener.in_use:
            break
        wire.data_received(stream[at : at + cut])
        assert len(wire._buffer) < 260 or not listener.in_use  # less than one frame is ever held
    assert listener.told == list(second_reader(stream, read, _TRANSACTION))
    for told in listener.told:
        if told.what == "answered" and table == "holding":
            _decoded(told.data)


def _decoded(data: bytes) -> None:
    for block in _BLOCKS:
        if len(data) >= 2 * block.count:
            values, quality = block.decode(np.frombuffer(data[: 2 * block.count], np.uint8)[np.newaxis])
            assert ((quality == 0) == np.isfinite(values)).all()
