"""Frames of DL/T 645-2007: a reading request in, its bytes out; bytes as they arrive in, replies out.

It never writes to a meter: `Code` names the three reading commands and there is no way to encode another.
Frame: 68H, address (6 bytes, lowest digits first), 68H, control, length, data (each byte + 33H), sum mod 256, 16H.
DL/T 645-2007 §5 (frame, transmission), §7 (commands read data, read following data, read address), appendix D (errors).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

START: Final = 0x68
END: Final = 0x16
WAKE: Final = 0xFE
OFFSET: Final = 0x33
MOST_DATA: Final = 200  # bytes of data in a reply to a reading command
AROUND: Final = 12  # bytes of a frame besides its data
ANY_METER: Final = b"\xaa" * 6  # every meter on the line feels addressed

_DOWN: Final = bytes((b + OFFSET) & 0xFF for b in range(256))
_UP: Final = bytes((b - OFFSET) & 0xFF for b in range(256))
_ERRORS: Final = (
    "another error",
    "no such data",
    "wrong password or not permitted",
    "the baud rate cannot be changed",
    "too many yearly zones",
    "too many daily periods",
    "too many tariffs",
)


class Code(IntEnum):
    """The commands that can be encoded."""

    READ = 0x11
    FOLLOW = 0x12
    ADDRESS = 0x13


_ANSWER: Final = 0x80
_REFUSED: Final = 0x40
_MORE: Final = 0x20
# Controls a reply can have: of each command the answer, the answer with more to follow, the refusal.
_REPLIES: Final = {
    code | _ANSWER | flag: (code, flag)
    for code in Code
    for flag in ((0, _REFUSED) if code is Code.ADDRESS else (0, _MORE, _REFUSED))
}


class Reply(NamedTuple):
    """What a meter said: `meter` as on the wire, `data` without the offset (identifier first, or the error byte)."""

    meter: bytes
    code: Code
    data: bytes
    more: bool = False
    refused: bool = False

    def answers(self, meter: bytes, code: Code, identifier: bytes) -> bool:
        """Return whether this may be the reply to that request; a refusal does not say of what it is one."""
        if self.code is not code or meter not in (self.meter, ANY_METER):
            return False
        return len(self.data) == 1 if self.refused else self.data.startswith(identifier)


def meter_bytes(digits: str) -> bytes:
    """Return an address of 12 digits as it goes over the wire."""
    return bytes.fromhex(digits)[::-1]


def meter_digits(meter: bytes) -> str:
    """Return an address from the wire as 12 digits, as it stands on the meter."""
    return meter[::-1].hex()


def identifier_bytes(identifier: str) -> bytes:
    """Return a data identifier of 8 hexadecimal digits (DI3 … DI0) as it goes over the wire, without the offset."""
    return bytes.fromhex(identifier)[::-1]


def read_request(meter: bytes, identifier: bytes) -> bytes:
    """Return the frame that asks for a data item."""
    return _frame(meter, Code.READ, identifier)


def follow_request(meter: bytes, identifier: bytes, number: int) -> bytes:
    """Return the frame that asks for what follows; `number` counts from 1."""
    return _frame(meter, Code.FOLLOW, identifier + bytes((number,)))


def address_request() -> bytes:
    """Return the frame that asks the one meter on a line for its address."""
    return _frame(ANY_METER, Code.ADDRESS, b"")


def _frame(meter: bytes, code: Code, data: bytes) -> bytes:
    body = bytes((START, *meter, START, Code(code), len(data))) + data.translate(_DOWN)
    return body + bytes((sum(body) & 0xFF, END))


def error_words(error: int) -> str:
    """Return the bits of an error byte in words."""
    told = [words for bit, words in enumerate(_ERRORS) if error >> bit & 1]
    return f"error {error:02X}H ({', '.join(told)})" if told else f"error {error:02X}H"


class Reassembler:
    """Finds replies in bytes as they arrive, whatever lies between them.

    A reply is taken only whole: both starts, a decimal address, a control and length a reply can have, the sum, the
    end. Any single flipped bit breaks one of these; two that cancel out in the sum can pass, as the protocol has it.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self.damaged = 0  # what began like a reply and was none

    def clear(self) -> int:
        """Forget what is held and return how many bytes that was."""
        held = len(self._held)
        self._held.clear()
        return held

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that are complete with `data`."""
        held = self._held
        held += data
        found = []
        while (at := held.find(START)) >= 0:
            del held[:at]
            size = _size(held)
            if size is None:
                del held[:1]
            elif len(held) < size:
                break
            elif (reply := _reply(held[:size])) is not None:
                found.append(reply)
                del held[:size]
            else:
                self.damaged += 1
                del held[:1]
        else:
            held.clear()
        return found


def _size(held: bytearray) -> int | None:
    """Return how long the frame at the beginning is, as far as can be told; None if it can be no reply."""
    if not _decimal(held[1:7]) or (len(held) > 7 and held[7] != START):
        return None
    if len(held) > 8 and held[8] not in _REPLIES:
        return None
    if len(held) < 10:
        return AROUND
    return AROUND + held[9] if held[9] <= MOST_DATA else None


def _reply(frame: bytearray) -> Reply | None:
    if frame[-1] != END or sum(frame[:-2]) & 0xFF != frame[-2]:
        return None
    code, flag = _REPLIES[frame[8]]
    data = bytes(frame[10:-2]).translate(_UP)
    return Reply(bytes(frame[1:7]), code, data, more=flag == _MORE, refused=flag == _REFUSED)


def _decimal(digits: bytes | bytearray) -> bool:
    return all(b & 0x0F < 10 and b >> 4 < 10 for b in digits)
