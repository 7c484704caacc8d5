"""Bytes a DL/T 645 line brings: the same replies however they are cut, each whole, and numbers or a refusal of them."""

from __future__ import annotations

from typing import Final

from collectors.dlt645_frames import AROUND, MOST_DATA, START, Reassembler, error_words
from collectors.dlt645_plan import Field, Unfit

LARGEST: Final = 800
_FIELDS: Final = [
    Field(0, item, size, size + gap, decimals, signed)
    for item, size, gap, decimals, signed in (
        (None, 4, 0, 2, False), (0, 4, 0, 2, True), (3, 2, 0, 1, False), (1, 3, 3, 4, True), (None, 8, 0, 0, True),
    )
]  # fmt: skip


def target(data: bytes) -> None:
    """The first byte says how the rest is cut; a mark `SUM!` becomes checksum and end of the frame before it."""
    if not data:
        return
    cut, stream = 1 + data[0], _summed(data[1:])
    whole, pieces = Reassembler(), Reassembler()
    at_once = whole.feed(stream)
    one_by_one = []
    for at in range(0, len(stream), cut):
        one_by_one += pieces.feed(stream[at : at + cut])
        assert len(pieces._held) < AROUND + MOST_DATA
    assert at_once == one_by_one
    assert whole.damaged == pieces.damaged
    for reply in at_once:
        assert len(reply.data) <= MOST_DATA
        error_words(reply.data[0] if reply.data else 0)
        _read(reply.data[4:])


def _summed(data: bytes) -> bytes:
    *parts, last = data.split(b"SUM!")
    return b"".join(part + bytes((sum(part[part.find(START) :]) & 0xFF, 0x16)) for part in parts) + last


def _read(data: bytes) -> None:
    for field in _FIELDS:
        try:
            assert isinstance(field.read(data), float)
        except Unfit as error:
            assert str(error).isprintable()
