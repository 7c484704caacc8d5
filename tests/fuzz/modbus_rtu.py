"""Bytes a serial line or server brings: a reply is found only where its checksum holds, whatever stands around it."""

from __future__ import annotations

from typing import Any, Final

from collectors.modbus_frames import BITS, Failure, Read
from collectors.modbus_rtu import answered, crc, find_reply, first_frame, good_header, intact, malformed, without_echo
from pipeline.gaps import Gap

LARGEST: Final = 600
_TABLES: Final = ("coil", "discrete", "holding", "input")


def target(data: bytes) -> None:
    """The first three bytes choose what was asked; a mark `CRC!` in the rest becomes the checksum of what stands
    before it, which chance would hardly find.
    """
    if len(data) < 3:
        return
    table: Any = _TABLES[data[0] % 4]
    count = 1 + data[1] * 8 % (2_000 if table in BITS else 125)
    read = Read(1 + data[2] % 247, table, data[1], count)
    received = without_echo(read, _summed(data[3:]))
    reply = find_reply(read, received)
    if isinstance(reply, bytes):
        frame = good_header(read) + reply
        assert len(reply) == read.size
        assert frame + crc(frame) in received
    elif isinstance(reply, Failure):
        assert reply.cause in (Gap.EXCEPTION, Gap.MALFORMED, Gap.TIMEOUT)  # a gateway tells of one by an exception
    else:
        told = malformed(read, received)
        assert len(told.words) < 300
        assert told.words.isprintable()
    frame_first = first_frame(received)
    assert frame_first is None or intact(frame_first)
    answered(read, received)


def _summed(data: bytes) -> bytes:
    *parts, last = data.split(b"CRC!")
    return b"".join(part + crc(part) for part in parts) + last
