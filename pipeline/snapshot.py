"""State of one connection's stages ↔ bytes: what recovery starts from instead of the beginning of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import zstandard

from config.errors import GatewayError
from pipeline.batch import Times
from pipeline.meter import MeterState

FORMAT: Final = 1


def encode(state: MeterState, newest_ns: Times, series: npt.NDArray[np.int32], tokens: Sequence[bytes]) -> bytes:
    """Return the state of the given series, their newest rows' times and the collector's last tokens as bytes."""
    head = orjson.dumps({"format": FORMAT, "rows": len(series), "newest": True, "tokens": [t.hex() for t in tokens]})
    columns: list[npt.NDArray[Any]] = [series, *(column[series] for column in (*state.columns, newest_ns))]
    body = b"".join(c.astype(c.dtype.newbyteorder("<")).tobytes() for c in columns)
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(head + b"\n" + body)


def decode(data: bytes, state: MeterState, newest_ns: Times) -> list[bytes]:
    """Put a snapshot's series back into `state` and `newest_ns` (in place) and return the tokens.

    One of an earlier version lacks the newest rows' times: what was folded last is known, rows kept apart are not.
    Raises GatewayError for a foreign format.
    """
    head, _, body = zstandard.ZstdDecompressor().decompress(data).partition(b"\n")
    meta = orjson.loads(head)
    if meta["format"] != FORMAT:
        raise GatewayError(f"snapshot of format {meta['format']}; this version reads {FORMAT}")
    rows, at = meta["rows"], 4 * meta["rows"]
    series = np.frombuffer(body, "<i4", rows)
    newest_ns[series] = np.frombuffer(body, "<i8", rows, at)  # the state's first column is what was folded last
    for column in (*state.columns, newest_ns) if meta.get("newest") else state.columns:
        column[series] = np.frombuffer(body, column.dtype.newbyteorder("<"), rows, at)
        at += rows * column.dtype.itemsize
    return [bytes.fromhex(t) for t in meta["tokens"]]
