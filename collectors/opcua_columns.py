"""Values of a server → columns: item, time, number and status of each; what is no plain number rides beside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from asyncua import ua

from collectors.opcua_values import time_of

_NUMBERS = range(ua.VariantType.Boolean.value, ua.VariantType.Double.value + 1)


@dataclass(frozen=True, slots=True)
class Columns:
    """n values in the order they came; `odd` holds (row, value as it came) of those whose number is yet to be found."""

    index: npt.NDArray[np.int64]  # of the item
    time_ns: npt.NDArray[np.int64]  # the source's, else the server's [ns UTC]; 0: neither is known
    value: npt.NDArray[np.float64]
    status: npt.NDArray[np.int64]
    kind: npt.NDArray[np.uint8]  # of variant, as on the wire
    odd: tuple[tuple[int, ua.DataValue], ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: npt.NDArray[np.bool_]) -> Columns:
        """Return the values of a mask."""
        moved = np.cumsum(rows) - 1
        odd = tuple((int(moved[row]), data) for row, data in self.odd if rows[row])
        return Columns(self.index[rows], self.time_ns[rows], self.value[rows], self.status[rows], self.kind[rows], odd)


def columns_of(values: Iterable[tuple[int, ua.DataValue]]) -> Columns:
    """Return (item, value) pairs as the library decoded them in columns."""
    index, time_ns, number, status, kind, odd = [], [], [], [], [], []
    for row, (item, data) in enumerate(values):
        variant: Any = data.Value
        plain = variant is not None and isinstance(variant.Value, (int, float)) and not variant.is_array
        type_ = variant.VariantType.value if variant is not None else 0
        if not plain or type_ not in _NUMBERS:
            odd.append((row, data))
        index.append(item)
        time_ns.append(time_of(data))
        number.append(float(variant.Value) if plain else np.nan)
        status.append(data.StatusCode.value if data.StatusCode else 0)
        kind.append(type_ & 0xFF)
    return Columns(
        np.array(index, np.int64),
        np.array(time_ns, np.int64),
        np.array(number, np.float64),
        np.array(status, np.int64),
        np.array(kind, np.uint8),
        tuple(odd),
    )


def joined(parts: Sequence[Columns]) -> Columns:
    """Return the values of several in one; none of them may have odd ones."""
    if len(parts) == 1:
        return parts[0]
    return Columns(
        np.concatenate([p.index for p in parts]),
        np.concatenate([p.time_ns for p in parts]),
        np.concatenate([p.value for p in parts]),
        np.concatenate([p.status for p in parts]),
        np.concatenate([p.kind for p in parts]),
    )
