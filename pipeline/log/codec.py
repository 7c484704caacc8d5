"""Batches of one commit ↔ one compressed blob of columns: the on-disk form of the log (docs/log-format.md).

Layout before compression: uint32 length of the header, the header as JSON, then the five columns of all batches end to
end, each byte-shuffled: Δtime_ns int64, span_ns int64, Δseries int32, value float64, quality uint16.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import zstandard

from config.errors import GatewayError
from pipeline.batch import COLUMNS, DTYPES, Batch, Header

FORMAT: Final = 1
_LENGTH = struct.Struct("<I")
_DELTAS: Final = ("time_ns", "series")
_MAX_BLOB: Final = 1 << 30  # a header that claims more is damage, not data
_local = threading.local()


class DamagedLog(GatewayError):
    """A stored commit cannot be read back: its bytes are not what was written."""


def _compressor() -> zstandard.ZstdCompressor:
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
    return _local.compressor  # type: ignore[no-any-return]


def shuffle(column: npt.NDArray[Any]) -> bytes:
    """Return the bytes of a little-endian column, first bytes of all values first: like bytes compress together."""
    column = np.ascontiguousarray(column.astype(column.dtype.newbyteorder("<"), copy=False))
    return column.view(np.uint8).reshape(len(column), column.itemsize).T.tobytes()


def unshuffle(data: bytes | memoryview, rows: int, dtype: Any) -> npt.NDArray[Any]:
    """Return the column of `rows` values, of an even number of bytes each, that `shuffle` ordered; or ValueError.

    Most planes of bytes hold nothing but zeros: those that do not are put together two and two.
    """
    column: npt.NDArray[Any] = np.zeros(rows, np.dtype(dtype).newbyteorder("<"))
    if len(data) != column.nbytes:
        raise ValueError(f"{len(data)} bytes are not {rows} values of {column.itemsize}")
    pairs, nothing = column.view("<u2").reshape(rows, column.itemsize // 2), bytes(rows)
    for pair in range(column.itemsize // 2):
        low, high = (bytes(data[at * rows : (at + 1) * rows]) for at in (2 * pair, 2 * pair + 1))
        if high != nothing:
            both = np.frombuffer(high, np.uint8).astype("<u2") << 8
            pairs[:, pair] = both | np.frombuffer(low, np.uint8)
        elif low != nothing:
            pairs[:, pair] = np.frombuffer(low, np.uint8)
    return column


def encode(batches: Sequence[Batch]) -> bytes:
    """Return the blob of one commit."""
    heads = [
        {
            "connection": b.header.connection,
            "revision": b.header.revision,
            "boot": b.header.boot,
            "received_ns": b.header.received_ns,
            "monotonic_ns": b.header.monotonic_ns,
            "stratum": b.header.stratum,
            "note": b.header.note,
            "token": b.token.hex(),
            "rows": len(b),
        }
        for b in batches
    ]
    head = orjson.dumps({"format": FORMAT, "batches": heads})
    parts = [_LENGTH.pack(len(head)), head]
    for name in COLUMNS:
        column = np.concatenate([getattr(b, name) for b in batches]) if batches else np.empty(0, DTYPES[name])
        if name in _DELTAS:
            column = np.diff(column, prepend=column.dtype.type(0))
        parts.append(shuffle(column))
    return _compressor().compress(b"".join(parts))


def decode(blob: bytes) -> tuple[Batch, ...]:
    """Return the batches of one commit; raises DamagedLog when the bytes are not a commit."""
    try:
        if (claimed := zstandard.frame_content_size(blob)) > _MAX_BLOB:  # it is believed, and so much taken at once
            raise DamagedLog(f"commit claims {claimed} bytes")
        data = memoryview(zstandard.ZstdDecompressor().decompress(blob, max_output_size=_MAX_BLOB))
        size = _LENGTH.unpack_from(data)[0]
        head = orjson.loads(data[4 : 4 + size])
        if head["format"] != FORMAT:
            raise DamagedLog(f"commit of format {head['format']}; this version reads {FORMAT}")
        counts = [h["rows"] for h in head["batches"]]
        columns = _columns(data[4 + size :], sum(counts))
    except (zstandard.ZstdError, struct.error, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise DamagedLog(f"commit cannot be decoded: {error}") from error
    bounds = pairwise(accumulate(counts, initial=0))
    return tuple(_batch(h, columns, a, b) for h, (a, b) in zip(head["batches"], bounds, strict=True))


def _columns(data: memoryview, rows: int) -> dict[str, npt.NDArray[Any]]:
    columns, at = {}, 0
    for name in COLUMNS:
        size = rows * np.dtype(DTYPES[name]).itemsize
        column = unshuffle(data[at : at + size], rows, DTYPES[name])
        columns[name] = np.cumsum(column, dtype=DTYPES[name]) if name in _DELTAS else column
        at += size
    return columns


def _batch(head: dict[str, Any], columns: dict[str, npt.NDArray[Any]], start: int, end: int) -> Batch:
    header = Header(
        head["connection"],
        head["revision"],
        head["boot"],
        head["received_ns"],
        head["monotonic_ns"],
        head["stratum"],
        head["note"],
    )
    time_ns, span_ns, series, value, quality = (columns[name][start:end] for name in COLUMNS)
    return Batch(header, time_ns, span_ns, series, value, quality, token=bytes.fromhex(head["token"]))
