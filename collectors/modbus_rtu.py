"""Modbus RTU on the wire: a block to read in, request bytes out; received bytes in, the block's data or a failure out.

Frame layout, CRC-16 and silences: Modbus over Serial Line Specification and Implementation Guide V1.02 §2.3, §2.5.1.
Requests are those of modbus_frames in another wrapping, so nothing but the four reading functions exists here either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from collectors.modbus_frames import Failure, Read, read_reply
from collectors.modbus_frames import encode as encode_tcp
from collectors.modbus_frames import good_header as tcp_header
from config.protocols.serial import Serial
from pipeline.gaps import Gap

SHORTEST: Final = 5  # unit, function, exception code, CRC
REQUEST_CHARACTERS: Final = 8
REPLY_CHARACTERS: Final = 5  # of a good reply, beside its data
_FAST_SILENCE_S: Final = 0.00175  # above 19,200 baud, instead of 3.5 characters
_FAST: Final = 19_200
_READING: Final = range(1, 5)


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC: Final = _crc_table()


def crc(data: bytes) -> bytes:
    """Return the CRC-16 of a frame's bytes as it is sent, low byte first."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value.to_bytes(2, "little")


def intact(frame: bytes) -> bool:
    """Return whether the frame ends in its own CRC."""
    return crc(frame[:-2]) == frame[-2:]


def encode(read: Read) -> bytes:
    """Return the request (8 bytes); ValueError for what no device could answer."""
    if not 1 <= read.unit <= 247:
        raise ValueError(f"unit {read.unit} does not exist on a serial line: 1 to 247")
    body = encode_tcp(read)[4:]
    return body + crc(body)


def good_header(read: Read) -> bytes:
    """Return what precedes the data in a good reply (3 bytes)."""
    return tcp_header(read)[4:]


def silence_s(line: Serial) -> float:
    """Return how long a line is silent between frames [s]: 3.5 characters, 1.75 ms above 19,200 baud."""
    return _FAST_SILENCE_S if line.baudrate > _FAST else 3.5 * character_s(line)


def character_s(line: Serial) -> float:
    """Return how long one character takes [s]."""
    return line.bits_per_character / line.baudrate


def on_line_s(read: Read, line: Serial) -> float:
    """Return how long request and good reply occupy the line [s], the silence before each included."""
    characters = REQUEST_CHARACTERS + REPLY_CHARACTERS + read.size
    return characters * character_s(line) + 2 * silence_s(line)


def without_echo(read: Read, received: bytes) -> bytes:
    """Return what was received after the request itself: some adapters hear what they say.

    The echo of a read of 17 to 24 bits around address 768 has the very form of its reply.
    """
    return received.removeprefix(encode(read))


def find_reply(read: Read, received: bytes) -> bytes | Failure | None:
    """Return the data of the reply wherever it begins, the exception told, or None where neither has arrived whole.

    What precedes a frame is noise; an exact echo of the request is no reply.
    """
    received = without_echo(read, received)
    head = good_header(read)
    for frame in _frames(received, head, REPLY_CHARACTERS + read.size):
        return frame[3:-2]
    for frame in _frames(received, bytes((head[0], head[1] | 0x80)), SHORTEST):
        answer = _judged(read, frame)
        assert isinstance(answer, Failure)
        return answer
    return None


def first_frame(received: bytes) -> bytes | None:
    """Return the intact reply to a reading function, of any unit, that `received` begins with; None without one."""
    if len(received) < SHORTEST:
        return None
    function = received[1]
    if function & 0x7F not in _READING:
        return None
    size = SHORTEST if function & 0x80 else REPLY_CHARACTERS + received[2]
    frame = received[:size]
    return frame if len(frame) == size and intact(frame) else None


def answered(read: Read, received: bytes) -> bool:
    """Return whether the unit itself has plainly answered, if with bytes changed on the way."""
    return received.startswith(good_header(read)) and len(received) >= REPLY_CHARACTERS + read.size


def malformed(read: Read, received: bytes) -> Failure:
    """Return what is wrong with bytes that hold no reply."""
    frame = first_frame(received)
    if frame is not None:
        answer = _judged(read, frame)
        if isinstance(answer, Failure):
            return answer
    if answered(read, received):
        return Failure(Gap.MALFORMED, f"{read}: the reply's CRC is wrong: noise on the line, or two units answer")
    shown = received[:12].hex(" ") + (" …" if len(received) > 12 else "")
    return Failure(Gap.MALFORMED, f"{read}: {len(received)} bytes that are no reply: {shown}")


def _judged(read: Read, frame: bytes) -> bytes | Failure:
    return read_reply(read, bytes(6) + frame[:-2])


def _frames(received: bytes, head: bytes, size: int) -> Iterator[bytes]:
    """Yield what begins with `head`, has `size` bytes and is intact."""
    start = received.find(head)
    while 0 <= start <= len(received) - size:
        frame = received[start : start + size]
        if intact(frame):
            yield frame
        start = received.find(head, start + 1)
