"""A Parquet file in; out: whether its bits are those that were written, as far as it says what they were."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import IO, Final

from sinks.parquet_file import MAGIC, WRITER

_HEAD: Final = 1_024  # bytes; more than the head of any page takes
_END: Final = 8  # the length of what the file says of itself, and the magic
_SUM: Final = 4
_VERSION: Final = b"\x15\x02"  # how what the file says of itself begins: field 1 is an integer, 1
_SIZE, _CRC = 3, 4  # fields of a page's head
_DEEP: Final = 8


def changed(path: Path) -> str:
    """Return what is not as it was written, "" where nothing is or nothing can be said; raises OSError.

    A file of ours has a check sum of each page and one of all the rest. One that DuckDB wrote, or an earlier version,
    has none.
    """
    try:
        with path.open("rb") as file:
            return _changed(file, os.fstat(file.fileno()).st_size)
    except (ValueError, IndexError, struct.error):
        return "is no Parquet file, or not as it was written"


def _changed(file: IO[bytes], size: int) -> str:
    file.seek(max(0, size - _END))
    length, magic = struct.unpack("<I4s", file.read())
    end, at, crc = size - _END - length, len(MAGIC), 0
    file.seek(0)
    if end < at or file.read(at) != MAGIC or magic != MAGIC:
        raise ValueError("no begin or no end")
    file.seek(end)
    about = file.read()
    if WRITER not in about:
        return ""
    summed = False
    while at < end - _SUM:
        file.seek(at)
        data = file.read(_HEAD)
        said, head = page_head(data)
        if not 0 <= said.get(_SIZE, -1) <= end - at - head:
            raise ValueError("no page")
        crc = zlib.crc32(data[:head], crc)
        file.seek(at + head)
        summed = summed or _CRC in said
        if _CRC in said and zlib.crc32(file.read(said[_SIZE])) != said[_CRC] & 0xFFFFFFFF:
            return f"has changed since it was written (the page at byte {at})"
        at += head + said[_SIZE]
    if at == end and not summed and about.startswith(_VERSION):  # with no page it could be the sum that follows
        return ""
    file.seek(end - _SUM)
    (written,) = struct.unpack("<I", file.read(_SUM))
    return "" if written == zlib.crc32(file.read(), crc) else "has changed since it was written (its structure)"


def page_head(data: bytes) -> tuple[dict[int, int], int]:
    """Return (the integers of a structure of Thrift's compact protocol by their numbers, how many bytes it takes).

    Raises ValueError or IndexError for what is none.
    """
    return _struct(data, 0, 0)


def _struct(data: bytes, at: int, deep: int) -> tuple[dict[int, int], int]:
    numbers: dict[int, int] = {}
    field = 0
    while data[at]:
        field, kind, at = field + (data[at] >> 4), data[at] & 0xF, at + 1
        if kind in (4, 5, 6):
            number, at = _varint(data, at)
            numbers[field] = number >> 1 ^ -(number & 1)
        else:
            at = _past(data, at, kind, deep)
    return numbers, at + 1


def _past(data: bytes, at: int, kind: int, deep: int) -> int:
    """Return where a value that is no integer ends."""
    if kind in (1, 2):  # true, false: in the field's own byte
        return at
    if kind == 8:
        length, at = _varint(data, at)
        return at + length
    if kind == 12 and deep < _DEEP:
        return _struct(data, at, deep + 1)[1]
    raise ValueError(f"type {kind} stands in no page's head")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while data[at] & 0x80:
        number |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
    return number | data[at] << shift, at + 1
