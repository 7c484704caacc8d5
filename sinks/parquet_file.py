"""Columns in, a Parquet file out, row group by row group: what a cut writes needs no database in memory.

https://github.com/apache/parquet-format: version 1 data pages, one a column chunk, zstd; a column is a dictionary with
indices of whole bytes where few values come again and again, else plain integers or byte-stream-split numbers. Row
groups tell their smallest and largest integers, so that a reader passes over those it does not need. Each page has its
CRC-32; that of all pages' heads and the file's end stands before the end, where other readers do not look.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import zstandard

from pipeline.log.codec import shuffle

Column = npt.NDArray[Any]

ROW_GROUP: Final = 30_720  # rows: a reader of one series decodes no more of a file
_FEW: Final = 8_192  # rows: fewer wait for those that follow, for a row group costs by its columns too
MAGIC: Final = b"PAR1"
WRITER: Final = b"tanflow"
_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12  # types of Thrift's compact protocol
_PLAIN, _RLE, _RLE_DICTIONARY, _BYTE_STREAM_SPLIT = 0, 3, 8, 9
_ZSTD: Final = 6
_UINT_16: Final = 12  # as a converted type
_REQUIRED, _OPTIONAL = 0, 1
_TYPES: Final = {"i4": 1, "i8": 2, "f8": 5, "u2": 1}
_STORED: Final = {"u2": "i4"}  # there is no type of two bytes
_MOST: Final = 1 << 16  # values in a dictionary
# Rows looked at first, by their place in [0, 1): most columns of measured numbers are no dictionary. They are drawn by
# lot, once and for all, for what comes again and again often does so at even distances. The lot is Python's: that of
# numpy is 3 MB of libraries nobody else needs.
_LOOK: Final = np.fromiter(iter(random.Random(1).random, None), np.float64, 2_048)
_GLANCE, _VARIED = 256, 240  # of so many rows looked at before the rest, more than this are all different

Field = tuple[int, int, bytes]


class ParquetFile:
    """A file that grows until `close`, or `abandon`: then it has no end and is no Parquet file. Both raise OSError.

    A number that is none (NaN) is stored as a missing value, so that other programs' sums pass over it.
    """

    def __init__(self, path: Path, types: Mapping[str, Any]) -> None:
        self._types = {name: np.dtype(dtype).str[1:] for name, dtype in types.items()}
        self._file = path.open("wb", buffering=0)
        self._waiting: list[Mapping[str, Column]] = []
        self._at = 0
        self._groups: list[bytes] = []
        self._rows = 0
        self._crc = 0  # of what no page's own covers
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._put(MAGIC)

    def append(self, columns: Mapping[str, Column]) -> None:
        """Add rows; the columns are those of the file and stay as they are. Raises OSError."""
        self._waiting.append({name: columns[name] for name in self._types})
        if sum(map(self._rows_of, self._waiting)) >= _FEW:
            self._write(_FEW)

    def close(self) -> None:
        """Write what waits and the end of the file."""
        if self._waiting:
            self._write(1)
        schema = [
            _struct(_binary(4, b"rows"), _i32(5, len(self._types))),
            *(_element(*entry) for entry in self._types.items()),
        ]
        orders = [_struct((1, _STRUCT, _struct()))] * len(self._types)  # integers are compared as integers
        meta = _struct(
            _i32(1, 1),
            _list(2, _STRUCT, schema),
            _i64(3, self._rows),
            _list(4, _STRUCT, self._groups),
            _binary(6, WRITER),
            _list(7, _STRUCT, orders),
        )
        end = meta + struct.pack("<I", len(meta)) + MAGIC
        self._put(struct.pack("<I", zlib.crc32(end, self._crc)) + end)
        self._file.close()

    def abandon(self) -> None:
        """Leave it as it is."""
        self._file.close()

    def _rows_of(self, columns: Mapping[str, Column]) -> int:
        return len(columns[next(iter(self._types))])

    def _write(self, least: int) -> None:
        """Write what waits in row groups of at least so many rows; what is left over waits on."""
        parts, self._waiting = self._waiting, []
        columns = (
            {name: np.concatenate([part[name] for part in parts]) for name in self._types} if parts[1:] else parts[0]
        )
        rows, at = self._rows_of(columns), 0
        while rows - at >= least:
            group = {name: column[at : at + ROW_GROUP] for name, column in columns.items()}
            self._group(group)
            at += self._rows_of(group)
        if at < rows:
            self._waiting.append({name: column[at:].copy() for name, column in columns.items()})
        self._rows += at

    def _put(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        self._at += len(data)

    def _group(self, columns: Mapping[str, Column]) -> None:
        start, rows, plain = self._at, 0, 0
        chunks = []
        for name, column in columns.items():
            rows = len(column)
            chunk, size = self._chunk(name, column)
            chunks.append(chunk)
            plain += size
        self._groups.append(
            _struct(_list(1, _STRUCT, chunks), _i64(2, plain), _i64(3, rows), _i64(5, start), _i64(6, self._at - start))
        )

    def _chunk(self, name: str, column: Column) -> tuple[bytes, int]:
        """Write one column of a row group; return (what the end of the file says of it, its size plain)."""
        kind, rows, start, plain = self._types[name], len(column), self._at, 0
        column, levels = _present(column) if kind == "f8" else (column, b"")
        stored = np.ascontiguousarray(column, f"<{_STORED.get(kind, kind)}")
        values, at = _dictionary(stored) or (None, None)
        if values is not None and at is not None:
            page = _struct(_i32(1, len(values)), _i32(2, _PLAIN))
            plain += self._page(_i32(1, 2), (7, _STRUCT, page), values.tobytes())
            encoding, body = _RLE_DICTIONARY, _indices(at, len(values))
        elif kind == "f8":
            encoding, body = _BYTE_STREAM_SPLIT, shuffle(stored)
        else:
            encoding, body = _PLAIN, stored.tobytes()
        data_at = self._at
        page = _struct(_i32(1, rows), _i32(2, encoding), _i32(3, _RLE), _i32(4, _RLE))
        plain += self._page(_i32(1, 0), (5, _STRUCT, page), levels + body)
        meta = [
            _i32(1, _TYPES[kind]),
            _list(2, _I32, [_zigzag(e) for e in {encoding, _PLAIN, _RLE}]),
            _list(3, _BINARY, [_text(name.encode())]),
            _i32(4, _ZSTD),
            _i64(5, rows),
            _i64(6, plain),
            _i64(7, self._at - start),
            _i64(9, data_at),
        ]
        meta += [_i64(11, start)] if values is not None else []
        if kind != "f8":
            all_ = stored if values is None else values
            meta.append((12, _STRUCT, _struct(_binary(5, all_.max().tobytes()), _binary(6, all_.min().tobytes()))))
        return _struct(_i64(2, start), (3, _STRUCT, _struct(*meta))), plain

    def _page(self, kind: Field, about: Field, body: bytes) -> int:
        data = self._compressor.compress(body)
        head = _struct(kind, _i32(2, len(body)), _i32(3, len(data)), _i32(4, _signed(zlib.crc32(data))), about)
        self._crc = zlib.crc32(head, self._crc)
        self._put(head + data)
        return len(head) + len(body)


def _element(name: str, kind: str) -> bytes:
    """Return a column's entry in the schema."""
    fields = [_i32(1, _TYPES[kind]), _i32(3, _OPTIONAL if kind == "f8" else _REQUIRED), _binary(4, name.encode())]
    return _struct(*fields, *([_i32(6, _UINT_16)] if kind == "u2" else []))


def _present(column: Column) -> tuple[Column, bytes]:
    """Return the numbers that are some, and the levels that tell which."""
    known = ~np.isnan(column)
    if known.all():
        runs = _varint(len(column) << 1) + b"\1"
    else:
        runs = _packed(np.packbits(known, bitorder="little").tobytes(), len(column))
        column = column[known]
    return column, struct.pack("<I", len(runs)) + runs


def _dictionary(column: Column) -> tuple[Column, Column] | None:
    """Return (the distinct values ordered by their bits, each number's place among them); None for too many."""
    bits = column.view(f"<i{column.itemsize}")
    if len(bits) and (bits[1:] >= bits[:-1]).all():  # in order: none comes again later
        starts = np.append(0, np.flatnonzero(bits[1:] != bits[:-1]) + 1)
        few = len(starts) <= min(len(_LOOK) // 2, len(bits) // 2 + 1)
        return (column[starts], np.repeat(np.arange(len(starts)), np.diff(starts, append=len(bits)))) if few else None
    if len(bits) > len(_LOOK) and len(_distinct(_drawn(bits, _LOOK[:_GLANCE]))) > _VARIED:
        return None
    values = _distinct(_drawn(bits, _LOOK) if len(bits) > len(_LOOK) else bits)
    if not 0 < len(values) <= len(_LOOK) // 2:
        return None
    at = np.minimum(np.searchsorted(values, bits), len(values) - 1)
    if len(unseen := np.flatnonzero(values[at] != bits)):
        looked, values = values, _distinct(np.concatenate([values, _distinct(bits[unseen])]))
        at = np.searchsorted(values, looked)[at]
        at[unseen] = np.searchsorted(values, bits[unseen])
    return (values.view(column.dtype), at) if len(values) <= min(_MOST, len(bits) // 2 + 1) else None


def _drawn(bits: Column, look: Column) -> Column:
    return bits[(look * len(bits)).astype(np.intp)]


def _distinct(bits: Column) -> Column:
    ordered = bits if (bits[1:] >= bits[:-1]).all() else np.sort(bits)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered


def _indices(at: Column, values: int) -> bytes:
    """Return places in a dictionary of so many values: one run, or whole bytes that zstd squeezes."""
    if values == 1:
        return b"\1" + _varint(len(at) << 1) + b"\0"
    dtype: Any = np.uint8 if values <= 1 << 8 else "<u2"
    whole = np.concatenate([at.astype(dtype), np.zeros(-len(at) % 8, dtype)])
    return bytes([8 * whole.itemsize]) + _packed(whole.tobytes(), len(at))


def _packed(data: bytes, rows: int) -> bytes:
    return _varint((-(-rows // 8) << 1) | 1) + data


def _signed(number: int) -> int:
    """Return 32 bits as the signed integer Thrift has for them."""
    return number - (1 << 32) if number >> 31 else number


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _zigzag(number: int) -> bytes:
    return _varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _text(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _i32(number: int, value: int) -> Field:
    return number, _I32, _zigzag(value)


def _i64(number: int, value: int) -> Field:
    return number, _I64, _zigzag(value)


def _binary(number: int, data: bytes) -> Field:
    return number, _BINARY, _text(data)


def _list(number: int, kind: int, items: list[bytes]) -> Field:
    size = bytes([len(items) << 4 | kind]) if len(items) < 15 else bytes([0xF0 | kind]) + _varint(len(items))
    return number, _LIST, size + b"".join(items)


def _struct(*fields: Field) -> bytes:
    """Return a structure of Thrift's compact protocol; fields come by rising number, less than 16 apart."""
    parts, last = [], 0
    for number, kind, data in fields:
        parts += [bytes([(number - last) << 4 | kind]), data]
        last = number
    return b"".join(parts) + b"\0"
