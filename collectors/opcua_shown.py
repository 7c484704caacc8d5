"""Columns of values → the last value of each item as it came, for whoever commissions."""

from __future__ import annotations

import numpy as np
from asyncua import ua

from collectors.opcua_columns import Columns
from collectors.opcua_values import Heard, heard
from config.protocols.opcua import OpcuaPoint


class Shown:
    """The last value of each item as it came."""

    def __init__(self, size: int) -> None:
        self._at_ns = np.zeros(size, np.int64)
        self._time_ns = np.zeros(size, np.int64)
        self._value = np.zeros(size)
        self._status = np.zeros(size, np.int64)
        self._kind = np.zeros(size, np.uint8)
        self._odd: dict[int, tuple[int, ua.DataValue]] = {}

    def take(self, columns: Columns, now_ns: int) -> None:
        """Take values that arrived."""
        index = columns.index
        self._at_ns[index] = now_ns
        self._time_ns[index], self._value[index] = columns.time_ns, columns.value
        self._status[index], self._kind[index] = columns.status, columns.kind
        for item in set(self._odd).intersection(index.tolist()) if self._odd else ():
            del self._odd[item]
        for row, data in columns.odd:
            self._odd[int(index[row])] = now_ns, data

    def of(self, index: int, point: str, node: OpcuaPoint) -> Heard:
        """Return what an item showed last, under the name and node of its point."""
        if index in self._odd:
            now_ns, data = self._odd[index]
            return heard(point, node, data, now_ns)
        if not self._at_ns[index]:
            return heard(point, node, None, 0)
        kind = ua.VariantType(int(self._kind[index]))
        number = float(self._value[index])
        if kind == ua.VariantType.Boolean:
            shown = str(number != 0)
        else:
            shown = str(number if kind in (ua.VariantType.Float, ua.VariantType.Double) else int(number))
        status = ua.StatusCode(int(self._status[index])).name
        at = int(self._time_ns[index]), int(self._at_ns[index])
        return Heard(point, str(node), kind.name, shown, status, *at)
