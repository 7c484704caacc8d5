"""Readings by point name [canonical units] enter, the data items of a DL/T 645 meter leave."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from config.points import Point
from config.protocols.dlt645 import Dlt645Point
from simulators.faults import Shown
from simulators.registers import raw_value
from simulators.serve_dlt645 import Meter


class MeterItems:
    """The points of one meter, and `meter` as their outlet; `encode` makes the items of one step.

    Values of a row that no point asks for show 0, and so does a point the device has no reading for.
    """

    def __init__(self, points: Mapping[str, Point], meter: Meter) -> None:
        self._meter = meter
        self._places = {name: (point, point.dlt645) for name, point in points.items() if point.dlt645 is not None}
        self._counts: dict[str, int] = {}
        for _, place in self._places.values():
            self._counts[place.data] = max(self._counts.get(place.data, 1), (place.item or 0) + 1)

    async def show(self, shown: Shown) -> None:
        self._meter.items = self.encode(shown.readings, shown.time_ns)
        self._meter.link = shown.link

    def encode(self, readings: Mapping[str, float], time_ns: int) -> dict[str, bytes]:
        """Return the data of each identifier; demands are said to have occurred at `time_ns` [ns UTC]."""
        moment = datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%y%m%d%H%M")
        items: dict[str, list[bytes]] = {}
        for name, (point, place) in self._places.items():
            row = items.setdefault(place.data, [bytes(place.stride)] * self._counts[place.data])
            digits = _digits(place, raw_value(point, readings.get(name, 0.0)), wraps=point.effective_kind == "counter")
            row[place.item or 0] = digits + (bytes.fromhex(moment)[::-1] if place.stride > place.size else b"")
        return {identifier: b"".join(row) for identifier, row in items.items()}


def _digits(place: Dlt645Point, shown: float, *, wraps: bool) -> bytes:
    """Return a value as packed digits, lowest byte first; FF where there is none. Counters wrap, gauges stop."""
    if not math.isfinite(shown):
        return b"\xff" * place.size
    states = 10 ** (2 * place.size)
    most = states * 8 // 10 - 1 if place.form.signed else states - 1
    number = round(abs(shown) * 10**place.decimals)
    number = number % states if wraps and not place.form.signed else min(number, most)
    data = bytearray(bytes.fromhex(f"{number:0{2 * place.size}d}")[::-1])
    if place.form.signed and shown < 0 and number:
        data[-1] |= 0x80
    return bytes(data)
