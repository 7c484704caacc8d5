"""Entries of one block ↔ its body: a JSON header and one compressed piece a column, readable alone (docs/ledger.md).

Body: uint32 length of the header, the header as JSON, the pieces of the columns in the order of `Entries`.
"""

from __future__ import annotations

import struct
import threading
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import orjson
import zstandard

from carbon.entries import Entries
from config.errors import GatewayError
from pipeline.log.codec import shuffle, unshuffle

MAX_ROWS: Final = 65_536  # of one block: bounds what a reader must hold
COLUMNS: Final = tuple(f.name for f in fields(Entries))
DTYPES: Final[dict[str, Any]] = {
    **dict.fromkeys(COLUMNS, np.dtype("<i8")),
    **dict.fromkeys(("line", "factor", "meter"), np.dtype("<i4")),
    "quality": np.dtype("<u2"),
    "peak": np.dtype("<f4"),
}
_DELTAS: Final = ("start_ns", "line")
_LENGTH: Final = struct.Struct("<I")
_NAN: Final = 0x7FC0_0000  # the one not-a-number that `peak` holds
_local = threading.local()
Column = npt.NDArray[Any]


class DamagedLedger(GatewayError):
    """What is stored is not what was written."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a block was written and who stands for it."""

    kind: Literal["live", "late", "restatement", "manual", "substitution", "allocation", "virtual"]
    text: str = ""
    by: str = ""
    approved_by: str = ""
    method: str = ""


def ordered(entries: Entries) -> Entries:
    """Return entries by (start, line); raises ValueError where two are of one line and start."""
    start, line = entries.start_ns, entries.line
    if not ascending(start, line):
        entries = entries.take(np.lexsort((line, start)))
        if not ascending(entries.start_ns, entries.line):
            raise ValueError("two entries of one line and start in one block; the later would hide the earlier")
    return entries


def ascending(start: Column, line: Column) -> bool:
    """Return whether entries stand by (start, line), none of them twice."""
    later = start[1:] > start[:-1]
    return bool(np.all(later | ((start[1:] == start[:-1]) & (line[1:] > line[:-1]))))


def encode(entries: Entries, reason: Reason) -> bytes:
    """Return the body of a block of entries ordered by (start, line)."""
    columns: dict[str, Column] = {}
    said: dict[str, dict[str, Any]] = {}
    pieces: list[bytes] = []
    for name in COLUMNS:
        column = np.asarray(getattr(entries, name), DTYPES[name])
        if name == "peak":
            column = np.where(np.isnan(column), np.array(_NAN, "<u4").view("<f4"), column)
        said[name], piece = _pack(name, column, columns)
        pieces += piece
        columns[name] = column
    head = orjson.dumps({"reason": asdict(reason), "rows": len(entries), "columns": said})
    return b"".join([_LENGTH.pack(len(head)), head, *pieces])


def _pack(name: str, column: Column, before: dict[str, Column]) -> tuple[dict[str, Any], list[bytes]]:
    """Return how a column is stored, and its piece: one value, the same as an earlier column, or compressed."""
    bits = column.view(f"<u{column.itemsize}")
    if (bits == bits[0]).all():
        value = column[0].item()
        return {"constant": None if value != value else value}, []
    for other, values in before.items():
        if values.dtype == column.dtype and values[0] == column[0] and np.array_equal(values, column):
            return {"same": other}, []
    if name in _DELTAS:
        column = np.diff(column, prepend=column.dtype.type(0))
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=1)
    piece = _local.compressor.compress(shuffle(column))
    return {"zstd": len(piece)}, [piece]


class Body:
    """The stored entries of one block, columns decoded when asked for. Raises DamagedLedger where it is not sound."""

    __slots__ = ("_data", "_pieces", "_said", "reason", "rows")

    def __init__(self, body: bytes) -> None:
        try:
            size = _LENGTH.unpack_from(body)[0]
            head = orjson.loads(body[4 : 4 + size])
            self.reason = Reason(**head["reason"])
            self.rows = int(head["rows"])
            self._said: dict[str, dict[str, Any]] = head["columns"]
            self._pieces, at = dict[str, slice](), 4 + size
            for name in COLUMNS:
                length = self._said[name].get("zstd", 0)
                self._pieces[name] = slice(at, at + length)
                at += length
        except (struct.error, orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise DamagedLedger(f"the body of a block cannot be read: {error}") from error
        if at != len(body) or not 0 < self.rows <= MAX_ROWS or tuple(self._said) != COLUMNS:
            raise DamagedLedger("the body of a block is not of the stated size or columns")
        self._data = body

    def column(self, name: str) -> Column:
        """Return one column, read-only."""
        said = self._said[name]
        if "constant" in said:
            value = said["constant"]
            return np.broadcast_to(np.asarray(np.nan if value is None else value, DTYPES[name]), self.rows)
        if "same" in said and COLUMNS.index(said["same"]) < COLUMNS.index(name):
            return self.column(said["same"])
        column = self._unpack(name)
        return np.cumsum(column, dtype=DTYPES[name]) if name in _DELTAS else column

    def _unpack(self, name: str) -> Column:
        data, size = self._data[self._pieces[name]], self.rows * DTYPES[name].itemsize
        try:
            if zstandard.frame_content_size(data) != size:  # it is believed, and so much taken at once
                raise DamagedLedger(f"the column {name} of a block is not of its {self.rows} rows")
            if not hasattr(_local, "decompressor"):
                _local.decompressor = zstandard.ZstdDecompressor()
            return unshuffle(_local.decompressor.decompress(data), self.rows, DTYPES[name])
        except zstandard.ZstdError as error:
            raise DamagedLedger(f"the column {name} of a block cannot be decompressed: {error}") from error

    def entries(self, rows: slice | Column = slice(None)) -> Entries:
        """Return the entries, or those rows of them."""
        return Entries(*(self.column(name)[rows] for name in COLUMNS))
